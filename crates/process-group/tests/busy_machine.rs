//! A process that gets a small part of the processor's time is neither idle nor does it spin.

#![cfg(target_os = "linux")]

use std::process::{Child, Command};
use std::time::Duration;

use process_group::{Confinement, End, Group, Guards, wait};

/// Spins beside the others until it is dropped.
struct Spinner(Child);

impl Spinner {
    fn start() -> Self {
        Self(
            Command::new("sh")
                .args(["-c", "while :; do :; done"])
                .spawn()
                .unwrap(),
        )
    }
}

impl Drop for Spinner {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_busy_machine_makes_nothing_hang() {
    let spinners: Vec<Spinner> = (0..20).map(|_| Spinner::start()).collect();
    let second = Duration::from_secs(1);
    let guards = Guards {
        cpu: Some(2 * second),
        idle: Some(second),
        idle_together: Some(second),
        ..Guards::default()
    };
    let work = "n=0; while [ $n -lt 300000 ]; do n=$((n+1)); done";
    for script in [work.to_owned(), format!("({work}) & wait")] {
        let mut command = Command::new("sh");
        command.args(["-c", &script]);
        let group = Group::spawn(command, &Confinement::default()).unwrap();
        let ended = wait(group, guards, &|| false).unwrap();
        assert!(
            matches!(ended.end, End::Exited(status) if status.success()),
            "{ended:?}"
        );
    }
    drop(spinners);
}
