//! Nothing that a submission starts outlives its test, or the grader, whatever ends that.

#![cfg(target_os = "linux")]

use std::fs;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::fixture::{find, is_running, message};
use crate::small::{Small, answers};

/// Starts a process that has left everything by which it could be known.
const DAEMON: &str = "let _ = std::process::Command::new(\"sh\").args([\"-c\", \"(setsid env -i setsid sleep SECONDS & exit) & exit\"]).env_clear().env(\"PATH\", \"/usr/bin:/bin\").status();";

fn daemon(seconds: &str) -> String {
    DAEMON.replace("SECONDS", seconds)
}

#[test]
fn daemons_end_with_their_test_and_are_told_of() {
    let course = Small::write(
        "daemons",
        &[
            answers("daemon"),
            answers("renews"),
            answers("many"),
            answers("neighbour"),
        ],
    );
    course.solve(
        "daemon",
        &format!("pub fn answer() -> u32 {{ {} 42 }}\n", daemon("92801")),
    );
    // Ends and begins again all the time.
    let renews = daemon("0.0092802").replace(
        "setsid sleep 0.0092802",
        "setsid sh -c 'f() { (/usr/bin/sleep 0.0092802; f) & exit; }; f'",
    );
    course.solve(
        "renews",
        &format!("pub fn answer() -> u32 {{ {renews} 42 }}\n"),
    );
    course.solve(
        "many",
        &format!(
            "pub fn answer() -> u32 {{ for _ in 0..50 {{ {} }} 42 }}\n",
            daemon("92803")
        ),
    );
    course.solve("neighbour", "pub fn answer() -> u32 { 42 }\n");
    let result = course.grade(&["--jobs", "4"]);
    for name in ["daemon", "renews", "many"] {
        assert_eq!(
            find(&result, name)["state"],
            "failing",
            "{name}: {result:#}"
        );
        let said = message(&result, name);
        assert!(said.contains("left a process behind"), "{name}: {said}");
    }
    assert_eq!(find(&result, "neighbour")["state"], "passing", "{result:#}");
    for argument in ["92801", "0.0092802", "92803"] {
        assert!(!is_running(argument), "{argument}");
    }
}

fn start(course: &Small) -> Child {
    course
        .grader(&["--hang-guard", "1000"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// Waits for what is bound to come.
fn until(what: &str, is_so: impl Fn() -> bool) {
    let begin = Instant::now();
    while !is_so() {
        assert!(begin.elapsed() < Duration::from_secs(60), "{what}");
        std::thread::yield_now();
    }
}

fn kill(grader: &mut Child, signal: &str) {
    let sent = Command::new("sh")
        .args(["-c", &format!("kill -{signal} {}", grader.id())])
        .status();
    assert!(sent.unwrap().success());
    grader.wait().unwrap();
}

#[test]
fn a_grader_that_is_killed_leaves_no_test_behind() {
    let course = Small::write("killed", &[answers("loops")]);
    course.solve(
        "loops",
        &format!(
            "pub fn answer() -> u32 {{ {} std::fs::write(\"looping\", std::process::id().to_string()).unwrap(); loop {{ std::hint::spin_loop() }} }}\n",
            daemon("92811")
        ),
    );
    let started = course.root.join(course.path("loops", "looping"));
    for signal in ["KILL", "INT", "TERM", "HUP", "QUIT"] {
        let _ = fs::remove_file(&started);
        let mut grader = start(&course);
        let id = || -> Option<u32> { fs::read_to_string(&started).ok()?.parse().ok() };
        until("the test begins", || id().is_some() && is_running("92811"));
        let test = id().unwrap();
        kill(&mut grader, signal);
        // One that was killed has others clean up after it.
        until("the test ends", || {
            !fs::exists(format!("/proc/{test}")).unwrap()
        });
        until("the daemon ends", || !is_running("92811"));
    }
}

#[test]
fn a_grader_that_is_killed_leaves_no_compiler_behind() {
    let course = Small::write("killed_build", &[answers("const_loop")]);
    course.solve(
        "const_loop",
        "#![allow(long_running_const_eval)]\nconst fn forever() -> u32 { loop {} }\npub const ANSWER: u32 = forever();\npub fn answer() -> u32 { ANSWER }\n",
    );
    let compiler = || is_running("const_loop");
    for signal in ["KILL", "TERM"] {
        let mut grader = start(&course);
        until("the compiler begins", compiler);
        kill(&mut grader, signal);
        until("the compiler ends", || !compiler());
    }
}
