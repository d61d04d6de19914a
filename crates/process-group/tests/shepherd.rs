//! Nothing that is started outlives whoever started it, whatever it does and whatever becomes of the grader.

#![cfg(target_os = "linux")]

use std::fs;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use process_group::{Confinement, End, Ended, Group, Guards, wait, wait_for_leader};

/// A shell that runs `script`, in which every `sleep` is to be found by its argument.
fn shell(script: &str) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", script]).stdin(Stdio::null());
    command
}

fn run(script: &str) -> Ended {
    let group = Group::spawn(shell(script), &Confinement::default()).unwrap();
    wait(group, Guards::default(), &|| false).unwrap()
}

fn code(end: &End) -> Option<i32> {
    match end {
        End::Exited(status) => status.code(),
        _ => None,
    }
}

fn is_running(argument: &str) -> bool {
    fs::read_dir("/proc").unwrap().flatten().any(|entry| {
        let line = fs::read(entry.path().join("cmdline")).unwrap_or_default();
        line.split(|&byte| byte == 0)
            .any(|word| word == argument.as_bytes())
    })
}

#[test]
fn the_end_is_that_of_the_program() {
    let ended = run("exit 7");
    assert_eq!(code(&ended.end), Some(7));
    assert!(!ended.left_process_behind);
    let End::Exited(status) = run("kill -SEGV $$").end else {
        panic!("it ended by itself")
    };
    assert_eq!(status.signal(), Some(11));
    let error = Group::spawn(Command::new("/no/such/program"), &Confinement::default());
    assert!(error.is_err_and(|error| error.kind() == std::io::ErrorKind::NotFound));
}

#[test]
fn who_ends_soon_is_not_left_behind() {
    let ended = run("sleep 0.2 & exit 0");
    assert_eq!(code(&ended.end), Some(0));
    assert!(!ended.left_process_behind);
}

#[test]
fn daemons_are_found_and_killed() {
    for (script, argument) in [
        ("sleep 91701 & exit 0", "91701"),
        ("setsid sleep 91702 & exit 0", "91702"),
        // Twice removed, with nothing in its environment.
        (
            "(setsid env -i sh -c 'env -i setsid sleep 91703 & exit' & exit) & exit 0",
            "91703",
        ),
        // Starts itself anew all the time.
        (
            "cat > /dev/null; setsid sh -c 'f() { (sleep 0.0091704; f) & exit; }; f' & exit 0",
            "0.0091704",
        ),
    ] {
        let ended = run(script);
        assert_eq!(code(&ended.end), Some(0), "{script}");
        assert!(ended.left_process_behind, "{script}");
        assert!(!is_running(argument), "{script}");
    }
}

#[test]
fn what_is_stopped_is_stopped_with_all_it_started() {
    let script = "setsid sleep 91711 & env -i sleep 91712 & sleep 91713";
    let group = Group::spawn(shell(script), &Confinement::default()).unwrap();
    let all_running = || {
        ["91711", "91712", "91713"]
            .iter()
            .all(|one| is_running(one))
    };
    let ended = wait(group, Guards::default(), &all_running).unwrap();
    assert!(matches!(ended.end, End::Stopped));
    assert!(
        !["91711", "91712", "91713"]
            .iter()
            .any(|one| is_running(one))
    );
}

#[test]
fn a_daemon_of_a_build_is_spared_unless_the_build_is_stopped() {
    let confinement = Confinement {
        spares_daemons: true,
        ..Confinement::default()
    };
    let script = "setsid sleep 3.91721 & exit 3";
    let group = Group::spawn(shell(script), &confinement).unwrap();
    let begin = Instant::now();
    let end = wait_for_leader(group, &|| false).unwrap();
    assert_eq!(code(&end), Some(3));
    while !is_running("3.91721") {
        // It sleeps for longer.
        assert!(begin.elapsed() < Duration::from_secs(3), "it was killed");
    }

    let script = "setsid sleep 91722 & sleep 91723";
    let group = Group::spawn(shell(script), &confinement).unwrap();
    let both = || is_running("91722") && is_running("91723");
    assert!(matches!(
        wait_for_leader(group, &both).unwrap(),
        End::Stopped
    ));
    assert!(!is_running("91722") && !is_running("91723"));
}

#[test]
fn all_descendants_count_wherever_they_are() {
    let script = "setsid sleep 91731 & env -i setsid sleep 91732 & sleep 91733";
    let group = Group::spawn(shell(script), &Confinement::default()).unwrap();
    let three = ["91731", "91732", "91733"];
    while !three.iter().all(|one| is_running(one)) {
        std::thread::yield_now();
    }
    // The shell, which waits for the last one or has become it, and the sleepers.
    let processes = group.usage(Duration::ZERO).unwrap().processes;
    assert!((3..=4).contains(&processes), "{processes}");
    assert_eq!(group.members(Duration::ZERO).len(), processes);
    group.kill().unwrap();
    assert!(!three.iter().any(|one| is_running(one)));
}
