//! Real processes under each guard: what exceeds it is stopped, what does not is let alone, and nothing survives.

#![cfg(target_os = "linux")]

use std::process::{Command, Stdio};
use std::time::Duration;

use process_group::{Confinement, End, Ended, Excess, Group, Guards, wait};

const SECOND: Duration = Duration::from_secs(1);

fn shell(script: &str, guards: Guards) -> Ended {
    let mut command = Command::new("sh");
    command
        .args(["-c", script])
        .stdin(Stdio::null())
        .stdout(Stdio::null());
    let group = Group::spawn(command, &Confinement::default()).unwrap();
    wait(group, guards, &|| false).unwrap()
}

fn excess(ended: &Ended) -> Excess {
    match ended.end {
        End::Exceeded(excess) => excess,
        _ => panic!("{ended:?}"),
    }
}

const HANGS: Guards = Guards {
    cpu: Some(SECOND),
    idle: Some(SECOND),
    idle_together: Some(SECOND),
    wall: None,
    processes: None,
    memory: None,
    written: None,
};

#[test]
fn what_spins_is_stopped() {
    let ended = shell("while :; do :; done", HANGS);
    assert_eq!(excess(&ended), Excess::Cpu(SECOND));
}

#[test]
fn what_its_children_use_counts() {
    // Each of them alone uses little; some have ended, one left the group.
    let spin = "n=0; while [ $n -lt 100000 ]; do n=$((n+1)); done";
    let script = format!("while :; do (setsid sh -c '{spin}'); ({spin}); done");
    let ended = shell(&script, HANGS);
    assert_eq!(excess(&ended), Excess::Cpu(SECOND));
    assert!(ended.cpu.unwrap() >= SECOND / 2, "{ended:?}");
}

#[test]
fn what_sleeps_is_stopped() {
    let ended = shell("exec sleep 100", HANGS);
    assert_eq!(excess(&ended), Excess::Idle(SECOND));
    let ended = shell("sleep 100 & sleep 100 & wait", HANGS);
    assert_eq!(excess(&ended), Excess::Idle(SECOND));
}

#[test]
fn what_waits_for_a_child_that_works_is_not_idle() {
    let guards = Guards {
        cpu: Some(3 * SECOND),
        ..HANGS
    };
    let ended = shell("sh -c 'while :; do :; done' & wait", guards);
    assert_eq!(excess(&ended), Excess::Cpu(3 * SECOND));
}

#[test]
fn the_wall_clock_stands_behind_both() {
    let guards = Guards {
        wall: Some(SECOND),
        ..Guards::default()
    };
    let ended = shell("exec sleep 100", guards);
    assert_eq!(excess(&ended), Excess::Wall(SECOND));
}

#[test]
fn processes_that_multiply_are_stopped() {
    let guards = Guards {
        processes: Some(20),
        ..Guards::default()
    };
    // Ends by itself at 64 times 20 seconds, should the guard not work.
    let script = "f() { if [ $1 -gt 0 ]; then f $(($1-1)) & f $(($1-1)) & fi; sleep 20; }; f 5";
    let ended = shell(script, guards);
    assert_eq!(excess(&ended), Excess::Processes(20));
    // Also if the first of them has ended.
    let ended = shell(&format!("({script}) & exit 0"), guards);
    assert_eq!(excess(&ended), Excess::Processes(20));
}

#[test]
fn the_memory_of_all_together_is_limited() {
    let guards = Guards {
        memory: Some(64 << 20),
        ..Guards::default()
    };
    // `tail` keeps the line, which has no end.
    let hoard = "head -c 24000000 /dev/zero | tail -c 20000000 | (sleep 20; cat)";
    let ended = shell(
        &format!("for n in 1 2 3 4 5; do {hoard} & done; wait"),
        guards,
    );
    assert_eq!(excess(&ended), Excess::Memory(64 << 20));
}

#[test]
fn what_is_written_is_limited() {
    let guards = Guards {
        written: Some(64 << 20),
        ..Guards::default()
    };
    let ended = shell("exec cat /dev/zero", guards);
    assert_eq!(excess(&ended), Excess::Written(64 << 20));
}

#[test]
fn a_child_that_is_about_to_end_is_not_left_behind() {
    let ended = shell(
        "timeout 3 sh -c 'while :; do :; done' & exit 0",
        Guards::default(),
    );
    assert!(!ended.left_process_behind, "{ended:?}");
    let ended = shell("sleep 20 & exit 0", Guards::default());
    assert!(ended.left_process_behind, "{ended:?}");
    // It sleeps for longer than a program may.
    let guards = Guards {
        idle: Some(2 * SECOND),
        idle_together: Some(2 * SECOND),
        ..Guards::default()
    };
    let ended = shell("sleep 20 & exit 0", guards);
    assert!(ended.left_process_behind, "{ended:?}");
    let ended = shell("while :; do :; done & exit 0", Guards::default());
    assert!(ended.left_process_behind, "{ended:?}");
}
