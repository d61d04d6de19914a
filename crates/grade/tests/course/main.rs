//! The grader on a small course in which everything that can go wrong does, none of it with an effect on its neighbours.

#![cfg(unix)]

mod expected;
mod fixture;
#[cfg(target_os = "linux")]
mod forged;
#[path = "../shared/grader.rs"]
mod grader;
mod guards;
mod made_of;
mod neighbours;
mod outlived;
mod permitted;
mod shown;
mod small;
mod surroundings;

use std::fs::{self, File};
use std::io::{BufRead as _, BufReader};
use std::process::{Output, Stdio};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use fixture::{Course, find, json, message, text};
use serde_json::Value;

/// The course and what the first run over all of it said.
struct Graded {
    course: Course,
    output: Output,
    result: Value,
}

/// Grades everything once; a test at a time then has the course to itself.
fn graded() -> (&'static Graded, MutexGuard<'static, ()>) {
    static GRADED: OnceLock<Graded> = OnceLock::new();
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let graded = GRADED.get_or_init(|| {
        let course = Course::write("course");
        let output = course.run(&["--json", "--hang-guard", "3"]);
        let result = json(&output);
        Graded {
            course,
            output,
            result,
        }
    });
    let guard = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    (graded, guard)
}

#[test]
fn every_mistake_has_its_state() {
    let (graded, _guard) = graded();
    let result = &graded.result;
    assert_eq!(result["schema"], "kata/result/v1");
    assert_eq!(graded.output.status.code(), Some(1));
    for (name, state) in [
        ("fresh", "not_started"),
        ("solved", "passing"),
        ("wrong", "failing"),
        ("does_not_compile", "wont_compile"),
        ("deadlocks", "hanging"),
        ("spins", "hanging"),
        ("exits", "failing"),
        ("aborts", "failing"),
        ("panics_twice", "failing"),
        ("recurses", "failing"),
        ("hoards", "failing"),
        ("floods", "passing"),
        ("leaves_child", "failing"),
        ("child_escapes", "failing"),
        ("test_deleted", "tests_edited"),
        ("test_ignored", "tests_edited"),
        ("test_edited", "tests_edited"),
        ("not_utf8", "wont_compile"),
        ("lost_source", "wont_compile"),
        ("explains", "failing"),
    ] {
        let exercise = find(result, name);
        assert_eq!(exercise["state"], state, "{name}: {exercise:#}");
    }
    let phase = &result["phases"][0];
    assert_eq!(
        (&phase["id"], &phase["total"]),
        (&"phase1".into(), &21.into())
    );
    assert_eq!(result["phases"].as_array().unwrap().len(), 6);
    assert_eq!(result["level"], "Basics");
    assert_eq!(result["target"], "exercises");
}

#[test]
fn every_failure_says_why() {
    let (graded, _guard) = graded();
    for (name, words) in [
        ("wrong", "left: 41"),
        (
            "wrong",
            "at exercises/phase1_internals/03_wrong/tests/checks/unit.rs:2",
        ),
        ("does_not_compile", "mismatched types"),
        ("deadlocks", "For 3 s all its threads slept"),
        ("spins", "had used 3 s of CPU time"),
        ("exits", "exit code 0 before the test was over"),
        ("aborts", "SIGABRT"),
        ("panics_twice", "a panic where none can be caught"),
        ("panics_twice", "first panic"),
        ("recurses", "The stack overflowed"),
        ("hoards", "Out of memory"),
        ("leaves_child", "left a process behind"),
        ("child_escapes", "left a process behind"),
        ("test_deleted", "tests is not the course's own"),
        ("not_utf8", "UTF-8"),
        ("lost_source", "has no src/lib.rs"),
        ("explains", "data race\nnothing orders them"),
    ] {
        let message = message(&graded.result, name);
        assert!(message.contains(words), "{name}: {message}");
    }
    let explains = find(&graded.result, "explains");
    let timeline = &explains["checks"][0]["failures"][0]["timeline"];
    assert_eq!(timeline["text"], "the picture");
}

#[test]
fn a_skipped_part_is_neither_passed_nor_failed() {
    let (graded, _guard) = graded();
    let skips = find(&graded.result, "skips");
    assert!(message(&graded.result, "skips").contains("too little is known"));
    let check = &skips["checks"][1];
    assert_eq!(check["skipped"], 1);
    assert_eq!(check["passed"], 0);
    assert_eq!(
        check["skip_reasons"][0],
        "no-such-server is not installed (get it)"
    );
    // Where everything has to be checked, it is a failure, and says what is missing.
    let mut grader = graded.course.grader(&["--json", "skips"]);
    let output = grader.env("KATA_REQUIRE_REAL", "1").output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let result = json(&output);
    assert_eq!(find(&result, "skips")["state"], "failing");
    assert!(message(&result, "skips").contains("no-such-server is not installed (get it)"));
}

#[test]
fn kinds_of_all_worlds_are_counted() {
    let (graded, _guard) = graded();
    let solved = find(&graded.result, "solved");
    let kinds: Vec<_> = solved["checks"]
        .as_array()
        .unwrap()
        .iter()
        .map(|check| (check["kind"].as_str().unwrap(), check["passed"].as_u64()))
        .collect();
    assert_eq!(kinds, [("unit", Some(4)), ("loom", Some(1))]);
}

#[cfg(target_os = "linux")]
#[test]
fn no_child_of_a_test_survives() {
    let (_graded, _guard) = graded();
    for sleeper in fixture::SLEEPERS {
        assert!(!fixture::is_running(sleeper), "sleep {sleeper} is alive");
    }
}

#[test]
fn nothing_is_run_twice_unless_it_has_to_be() {
    let (graded, _guard) = graded();
    let course = &graded.course;
    let grade = |arguments: &[&str]| {
        let output = course.run(arguments);
        assert_eq!(output.status.code(), Some(0), "{}", text(&output.stdout));
        course.runs()
    };
    let arguments = ["solved", "--json", "--hang-guard", "3"];
    let before = course.runs();
    assert_eq!(grade(&arguments), before, "the result was known");

    for entry in fs::read_dir(course.root.join("target/grade/cache")).unwrap() {
        let path = entry.unwrap().path();
        if path
            .file_name()
            .unwrap()
            .to_str()
            .unwrap()
            .starts_with("solved-")
        {
            fs::write(path, "{ damaged").unwrap();
        }
    }
    let after_damage = grade(&arguments);
    assert!(after_damage > before, "a damaged entry is no result");
    assert_eq!(grade(&arguments), after_damage);
    assert!(grade(&["solved", "--no-cache", "--hang-guard", "3"]) > after_damage);
}

#[test]
fn the_solution_passes() {
    let (graded, _guard) = graded();
    let output = graded.course.run(&["--solutions", "--json", "1.02"]);
    let result = json(&output);
    assert_eq!(output.status.code(), Some(0), "{result:#}");
    assert_eq!(result["target"], "solutions");
    assert_eq!(
        (&result["passed"], &result["total"]),
        (&1.into(), &1.into())
    );
    let check = &find(&result, "solved")["checks"][0];
    assert_eq!(check["kind"], "unit");
}

#[test]
fn a_fresh_exercise_is_no_failure_and_says_how_to_begin() {
    let (graded, _guard) = graded();
    let course = &graded.course;
    for selector in [
        "fresh",
        "1.01",
        "01_fresh",
        "exercises/phase1_internals/01_fresh/",
    ] {
        let output = course.run(&[selector]);
        assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
        assert!(text(&output.stdout).contains("not started"));
    }
    assert_eq!(course.run(&["fresh", "--all"]).status.code(), Some(1));
}

#[test]
fn an_unknown_name_is_answered_with_the_nearest() {
    let (graded, _guard) = graded();
    let output = graded.course.run(&["solvde"]);
    assert_eq!(output.status.code(), Some(2));
    let stderr = text(&output.stderr);
    assert!(stderr.contains("Did you mean `solved`?"), "{stderr}");
    assert_eq!(
        graded.course.run(&["--no-such-option"]).status.code(),
        Some(2)
    );
}

#[test]
fn what_the_grader_cannot_do_it_says() {
    let (graded, _guard) = graded();
    let output = graded
        .course
        .grader(&["fresh"])
        .env(
            "CARGO_TARGET_DIR",
            graded.course.root.join("Cargo.toml/target"),
        )
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
    let stderr = text(&output.stderr);
    assert!(stderr.contains("cannot be written"), "{stderr}");

    let output = graded
        .course
        .grader(&["wrong", "--no-cache"])
        .env("CARGO", "/no/such/cargo")
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
    let stderr = text(&output.stderr);
    assert!(stderr.contains("cargo could not be run"), "{stderr}");
}

#[test]
fn without_a_terminal_there_are_tables_and_no_escapes() {
    let (graded, _guard) = graded();
    let junit = graded.course.root.join("junit.xml");
    let output = graded.course.run(&[
        "phase1",
        "--hang-guard",
        "3",
        "--junit",
        junit.to_str().unwrap(),
    ]);
    let stdout = text(&output.stdout);
    assert!(
        !output.stdout.contains(&0x1b) && !output.stderr.contains(&0x1b),
        "{stdout}"
    );
    for words in [
        "Phase 1 · Deep theory & internals  2/21 passing",
        "Phase 6 · Capstones",
        "won't compile",
        "the picture",
        "Again: cargo test -p wrong --test checks -- --exact unit::answers",
        "level: Basics",
        "Next step: Continue with 1.03 wrong",
    ] {
        assert!(stdout.contains(words), "{words:?} is missing:\n{stdout}");
    }
    let xml = fs::read_to_string(junit).unwrap();
    let case = "<testcase name=\"unit::answers\" classname=\"wrong\">";
    let (_, inside) = xml.split_once(case).expect("a test is a case");
    assert!(inside.trim_start().starts_with("<failure"), "{xml}");
    assert!(!xml.contains('\u{1b}'));
}

#[test]
fn the_report_is_a_page_of_the_whole_course_and_a_badge() {
    let (graded, _guard) = graded();
    let file = |name: &str| graded.course.root.join(name).to_str().unwrap().to_owned();
    let (html, badge) = (file("progress.html"), file("badge.svg"));
    let arguments = ["report", "--html", &html, "--badge", &badge];
    let folder = graded.course.root.join(Course::path("solved", "src"));
    let output = graded
        .course
        .grader(&[&arguments[..], &["--hang-guard", "3"]].concat())
        .current_dir(folder)
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    assert_eq!(text(&output.stdout), "");
    let page = fs::read_to_string(html).unwrap();
    for words in [
        "2 of 21 passing",
        "Phase 6 · Capstones",
        "<article class=\"card passing\">",
        "<article class=\"card tests_edited wide\">",
        "the picture",
        "expected `u32`, found `&amp;str`",
        "Continue with 1.03 wrong",
    ] {
        assert!(page.contains(words), "{words:?} is missing:\n{page}");
    }
    let badge = fs::read_to_string(badge).unwrap();
    assert!(badge.contains("2 of 21 · Basics"), "{badge}");
}

#[test]
fn a_report_goes_nowhere_but_to_a_file() {
    let (graded, _guard) = graded();
    for arguments in [&["report"][..], &["report", "--solutions"]] {
        let output = graded.course.run(arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        let stderr = text(&output.stderr);
        assert!(
            stderr.contains("<--html <FILE>|--badge <FILE>>"),
            "{stderr}"
        );
    }
    let arguments = [
        "report",
        "--html",
        "/no/such/folder/a.html",
        "--hang-guard",
        "3",
    ];
    let output = graded.course.run(&arguments);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("Name another file with --html FILE"));
}

#[test]
fn in_an_exercises_folder_that_exercise_is_graded() {
    let (graded, _guard) = graded();
    let folder = graded.course.root.join(Course::path("solved", "src"));
    let output = graded
        .course
        .grader(&["--hang-guard", "3"])
        .current_dir(folder)
        .output()
        .unwrap();
    let stdout = text(&output.stdout);
    for words in [
        "Completion: 1 of 1 selected, 2 of 21 in the course passing",
        "solved passes. `./grade.sh solution solved` shows the reference beside yours",
        "Next step: Continue with 1.03 wrong",
    ] {
        assert!(stdout.contains(words), "{words:?} is missing:\n{stdout}");
    }
    assert!(!stdout.contains("Phase 2"), "{stdout}");
}

#[test]
fn the_next_step_is_in_what_was_asked_for() {
    let (graded, _guard) = graded();
    let stdout = text(&graded.course.run(&["fresh"]).stdout);
    assert!(
        stdout.contains("Next step: Start with 1.01 fresh"),
        "{stdout}"
    );
}

#[test]
fn a_reader_that_stops_reading_is_no_error() {
    let (graded, _guard) = graded();
    let mut grader = graded
        .course
        .grader(&["list"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(grader.stdout.take());
    let output = grader.wait_with_output().unwrap();
    assert_eq!(text(&output.stderr), "");
    assert_eq!(output.status.code(), Some(0));
}

#[test]
fn the_second_grader_waits_for_the_first() {
    let (graded, _guard) = graded();
    let lock = File::open(graded.course.root.join("target/grade/lock")).unwrap();
    lock.lock().unwrap();
    let mut second = graded
        .course
        .grader(&["fresh"])
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(second.stderr.take().unwrap())
        .read_line(&mut line)
        .unwrap();
    assert!(line.contains("waiting"), "{line}");
    assert!(second.try_wait().unwrap().is_none());
    lock.unlock().unwrap();
    assert_eq!(second.wait().unwrap().code(), Some(0));
}

#[cfg(target_os = "linux")]
#[test]
fn an_interrupt_leaves_nothing_running() {
    let (graded, _guard) = graded();
    let course = &graded.course;
    for signal in ["INT", "TERM", "HUP", "QUIT"] {
        let started = course.root.join(Course::path("spins", "spinning"));
        let _ = fs::remove_file(&started);
        let mut grader = course
            .grader(&["spins", "--no-cache", "--hang-guard", "100"])
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let test: u32 = loop {
            let id = fs::read_to_string(&started).unwrap_or_default();
            match id.parse() {
                Ok(id) => break id,
                Err(_) if grader.try_wait().unwrap().is_some() => panic!("ended by itself"),
                Err(_) => std::thread::yield_now(),
            }
        };
        let kill = format!("kill -{signal} {}", grader.id());
        let sent = std::process::Command::new("sh")
            .args(["-c", &kill])
            .status();
        assert!(sent.unwrap().success());
        let interrupted = Instant::now();
        let output = grader.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(130), "{}", text(&output.stderr));
        assert!(
            interrupted.elapsed() < Duration::from_secs(50),
            "it waited for the guard"
        );
        assert!(!fs::exists(format!("/proc/{test}")).unwrap());
        let left: Vec<_> = fs::read_dir(course.root.join("target/grade"))
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .filter(|name| name != "lock" && name != "cache")
            .collect();
        assert!(left.is_empty(), "{left:?}");
    }
}

#[test]
fn the_script_says_how_to_get_cargo() {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../../grade.sh");
    let output = std::process::Command::new("/bin/sh")
        .arg(script)
        .env_clear()
        .env("PATH", "/nowhere")
        .env("HOME", "/nowhere")
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
    let stderr = text(&output.stderr);
    assert!(stderr.contains("https://rustup.rs"), "{stderr}");
}

#[test]
fn only_an_author_locks() {
    let (graded, _guard) = graded();
    let lock = graded.course.root.join("exercises/tests.lock");
    let before = fs::read(&lock).unwrap();
    let output = graded.course.run(&["lock"]);
    assert_eq!(output.status.code(), Some(2));
    let stderr = text(&output.stderr);
    assert!(stderr.contains("for authors"), "{stderr}");
    assert!(stderr.contains("git checkout"), "{stderr}");
    assert_eq!(fs::read(&lock).unwrap(), before);
}

#[test]
fn trouble_of_the_grader_is_json_too() {
    let nowhere = std::env::temp_dir().join("no-such-course");
    let grade = |arguments: &[&str]| {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_grade"));
        command.args(arguments).arg("--course").arg(&nowhere);
        command.output().unwrap()
    };
    let output = grade(&["--json"]);
    assert_eq!(output.status.code(), Some(2));
    let result = json(&output);
    assert_eq!(result["schema"], "kata/result/v1");
    assert_eq!(result["phases"], Value::Array(Vec::new()));
    let error = result["errors"][0].as_str().unwrap();
    assert!(error.contains("no-such-course"), "{error}");
    assert_eq!(text(&grade(&[]).stdout), "");

    let (graded, _guard) = graded();
    let output = graded.course.run(&["--json", "--no-such-option"]);
    assert_eq!(output.status.code(), Some(2));
    let error = json(&output)["errors"][0].clone();
    assert!(
        error.as_str().unwrap().contains("'--no-such-option'"),
        "{error}"
    );
    let output = graded.course.run(&["--json", "no_such_exercise"]);
    assert_eq!(output.status.code(), Some(2));
    let result = json(&output);
    let error = result["errors"][0].as_str().unwrap();
    assert!(error.contains("no_such_exercise"), "{error}");
}
