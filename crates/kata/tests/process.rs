//! `check::process` and `check::skip`, seen from outside: each case runs in a process of its own, and what it leaves is
//! looked at.

#![cfg(all(
    unix,
    feature = "check",
    not(any(feature = "loom", feature = "shuttle"))
))]

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{Command, Output};

use kata::check::process::{GATES, Process, Scene, scene};
use kata::check::{Folder, require_program, skip};

/// Says what this process is, if it is to be something else than a test.
const ROLE: &str = "KATA_TEST_ROLE";

/// What the other cases start: this test again, in a role.
#[test]
fn in_a_role() {
    let Some(role) = std::env::var(ROLE).ok() else {
        return;
    };
    let words: Vec<&str> = role.split(' ').collect();
    match words[..] {
        ["gates", ref names @ ..] => {
            for name in names {
                let mut keeper = TcpStream::connect(std::env::var(GATES).unwrap()).unwrap();
                writeln!(keeper, "{} {name}", std::process::id()).unwrap();
                let _ = keeper.read(&mut [0]);
            }
        }
        ["skips"] => skip("a thing is missing (get it)"),
        ["requires", name] => assert!(require_program(name, "get it").is_some() == (name == "sh")),
        ["fails"] => scene(|scene| {
            let mut cat = scene.program("cat").name("the cat").start();
            cat.say("meow");
            assert_eq!(cat.line(), "woof", "what the cat says");
        }),
        ["starts_and_dies"] => scene(|scene| {
            let mut sleeper = shell(scene, "sleeper", "echo $$; exec sleep 86351");
            println!("pid {}", sleeper.line());
            let this = rustix::process::getpid();
            let _ = rustix::process::kill_process(this, rustix::process::Signal::KILL);
        }),
        _ => panic!("no such role: {role}"),
    }
}

/// Runs `in_a_role` in a process of its own.
fn play(role: &str, environment: &[(&str, &str)], report: &Path) -> Output {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "in_a_role", "--nocapture", "--test-threads=2"])
        .env(ROLE, role)
        .env("KATA_REPORT", report)
        .env_remove("KATA_REQUIRE_REAL")
        .envs(environment.iter().copied())
        .output()
        .unwrap()
}

fn report_of(role: &str, environment: &[(&str, &str)]) -> (Output, serde_json::Value) {
    let folder = Folder::new();
    let report = folder.path().join("report.json");
    let output = play(role, environment, &report);
    let report = std::fs::read(report).unwrap_or_default();
    let report = serde_json::from_slice(&report).unwrap_or_default();
    (output, report)
}

fn shell<'a>(scene: &'a Scene, name: &str, script: &str) -> Process<'a> {
    let program = scene.program("sh").name(name).arg("-c");
    program.arg(script).may_fail().start()
}

/// A process that passes these gates and ends.
fn walker<'a>(scene: &'a Scene, gates: &str) -> Process<'a> {
    // The environment of a program is the scene's business, so a shell sets it.
    let program = scene.program("sh").name("walker").arg("-c");
    program
        .arg("KATA_TEST_ROLE=\"$1\" exec \"$0\" --exact in_a_role --nocapture")
        .arg(std::env::current_exe().unwrap())
        .arg(format!("gates {gates}"))
        .start()
}

#[cfg(target_os = "linux")]
fn is_alive(pid: &str) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let state = stat
        .rsplit(')')
        .next()
        .and_then(|rest| rest.split_whitespace().next());
    state.is_some_and(|state| state != "Z" && state != "X")
}

#[test]
fn a_process_is_talked_to() {
    scene(|scene| {
        let mut cat = scene.program("cat").start();
        assert_eq!(cat.name(), "cat");
        for line in ["a", "b"] {
            cat.say(line);
        }
        assert_eq!((cat.line(), cat.line()), ("a".to_owned(), "b".to_owned()));
        cat.hush();
        assert!(cat.wait().success());
    });
}

#[test]
fn a_gate_holds_until_it_is_released() {
    scene(|scene| {
        let mut first = walker(scene, "one two");
        let gate = scene.reached("the first gate");
        assert_eq!((gate.process(), gate.what()), ("walker", "one"));
        gate.release();
        let gate = scene.reached("the second gate");
        assert_eq!(gate.what(), "two");
        let mut second = walker(scene, "three four");
        let other = scene.reached("the third gate");
        assert_eq!(other.what(), "three");
        scene.open_gates();
        other.release();
        second.wait();
        gate.release();
        first.wait();
    });
}

#[test]
fn a_stopped_process_stands_still_and_goes_on() {
    scene(|scene| {
        let mut cat = scene.program("cat").start();
        cat.stop();
        cat.say("meow");
        cat.resume();
        assert_eq!(cat.line(), "meow");
        cat.stop();
        cat.kill();
        assert_eq!(cat.wait().signal(), Some(9));
    });
}

#[test]
fn a_file_ends_where_the_limit_is() {
    scene(|scene| {
        let file = scene.folder().join("file");
        let program = scene
            .program("dd")
            .arg("if=/dev/zero")
            .arg("bs=5000")
            .arg("count=3");
        let mut of = std::ffi::OsString::from("of=");
        of.push(&file);
        let mut writer = program.arg(of).file_size(7_000).start();
        let status = writer.wait();
        assert!(!status.success(), "{status}");
        assert_eq!(file.metadata().unwrap().len(), 7_000);
    });
}

#[test]
fn what_a_failing_process_said_is_in_the_message() {
    let panic = std::panic::catch_unwind(|| {
        scene(|scene| {
            let program = scene.program("sh").name("the one").arg("-c");
            let mut program = program.arg("echo last words >&2; exit 3").start();
            program.line();
        });
    });
    let panic = panic.expect_err("the process failed");
    let message = panic.downcast_ref::<String>().expect("a formatted panic");
    assert!(
        message.contains("the one ended by itself: exit status: 3"),
        "{message}"
    );
    assert!(message.contains("last words"), "{message}");
}

#[test]
fn a_failure_is_drawn_and_delivered() {
    let (output, report) = report_of("fails", &[]);
    assert!(!output.status.success());
    assert_eq!(report["schema"], "kata/failure/v1");
    let text = report["text"].as_str().expect("a picture");
    for part in [
        "what the cat says",
        "the cat",
        "is told: meow",
        "says: meow",
    ] {
        assert!(text.contains(part), "{part} is not in {text}");
    }
}

#[test]
#[cfg(target_os = "linux")]
fn nobody_outlives_a_scene() {
    let mut pids = Vec::new();
    let panic = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        scene(|scene| {
            // A grandchild as well.
            let mut parent = shell(scene, "parent", "sleep 86352 & echo $!; echo $$; wait");
            pids = vec![parent.line(), parent.line()];
            panic!("the check fails");
        });
    }));
    assert!(panic.is_err());
    for pid in pids {
        assert!(!is_alive(&pid), "{pid} lives on");
    }
}

#[test]
#[cfg(target_os = "linux")]
fn nobody_outlives_a_test_that_is_killed() {
    let (output, _) = report_of("starts_and_dies", &[]);
    assert_eq!(output.status.signal(), Some(9));
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let pid = said
        .lines()
        .find_map(|line| line.split_once("pid ").map(|(_, pid)| pid.trim()))
        .expect("it said which process it started");
    // The system kills it as soon as its parent is dead, and the parent is.
    let begin = std::time::Instant::now();
    while is_alive(pid) {
        assert!(begin.elapsed().as_secs() < 20, "{pid} lives on");
        std::thread::yield_now();
    }
}

#[test]
fn a_skip_is_reported_and_a_requirement_fails() {
    let (output, report) = report_of("skips", &[]);
    assert!(output.status.success());
    let expected =
        serde_json::json!({"schema": "kata/skip/v1", "reason": "a thing is missing (get it)"});
    assert_eq!(report, expected);

    let (output, report) = report_of("skips", &[("KATA_REQUIRE_REAL", "1")]);
    assert!(!output.status.success());
    assert!(report.is_null(), "{report}");
    assert!(String::from_utf8_lossy(&output.stderr).contains("a thing is missing (get it)"));
}

#[test]
fn a_program_is_found_or_named() {
    let (output, report) = report_of("requires sh", &[("KATA_REQUIRE_REAL", "1")]);
    assert!(output.status.success() && report.is_null());
    let (output, report) = report_of("requires no-such-program", &[]);
    assert!(output.status.success());
    assert_eq!(
        report["reason"],
        "no-such-program is not installed (get it)"
    );
}
