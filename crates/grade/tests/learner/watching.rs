//! `watch` in a pseudo-terminal and in a pipe: a save is graded whatever the exercise is doing, and no key waits for it.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use expectrl::process::unix::WaitStatus;
use expectrl::session::OsSession;
use expectrl::{ControlCode, Eof, Expect as _, Session};

use crate::course::{RIGHT, WRONG, assert_has, stderr, write};
use crate::small::Small;

/// Waits for itself for ever, beside a thread that is busy, so that no guard ends it before the test does.
const DEADLOCK: &str = "pub fn answer() -> u32 {\n    std::thread::spawn(|| loop { std::hint::spin_loop() });\n    std::fs::write(\"hanging\", std::process::id().to_string()).unwrap();\n    let lock = std::sync::Mutex::new(42);\n    let _first = lock.lock().unwrap();\n    *lock.lock().unwrap()\n}\n";

/// The grader in a terminal of 80 columns and 24 lines.
fn terminal(course: &Small, arguments: &[&str]) -> OsSession {
    let mut grader = course.grader(arguments);
    grader.env("TERM", "xterm").env("NO_COLOR", "1");
    grader.stdin(Stdio::inherit());
    let mut session = Session::spawn(grader).unwrap();
    // A machine may be busy; the test is over as soon as it has seen what it waits for.
    session.set_expect_timeout(Some(Duration::from_secs(300)));
    session
}

fn sees(session: &mut OsSession, words: &str) -> String {
    let found = session
        .expect(words)
        .unwrap_or_else(|error| panic!("{words:?}: {error}"));
    String::from_utf8_lossy(found.before()).into_owned()
}

/// The process that waits for itself, once it does.
fn hanging(course: &Small, name: &str) -> String {
    let file = course.root.join(course.path(name, "hanging"));
    loop {
        match fs::read_to_string(&file) {
            Ok(id) if !id.is_empty() => {
                fs::remove_file(&file).unwrap();
                return id;
            }
            _ => std::thread::yield_now(),
        }
    }
}

fn is_alive(id: &str) -> bool {
    // One that is killed and not yet waited for is dead.
    let stat = fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
    stat.rsplit(')')
        .next()
        .is_some_and(|rest| !rest.is_empty() && !rest.trim_start().starts_with('Z'))
}

/// It has ended, and the terminal is as it was.
fn gave_back(mut session: OsSession, code: i32) {
    let end = session.expect(Eof).unwrap();
    let end = String::from_utf8_lossy(end.as_bytes()).into_owned();
    assert_has(&end, &["\u{1b}[?1049l", "\u{1b}[?25h"]);
    let status = session.get_process().wait().unwrap();
    assert!(
        matches!(status, WaitStatus::Exited(_, own) if own == code),
        "{status:?}\n{end}"
    );
}

#[test]
fn a_fix_saved_while_the_exercise_is_deadlocked_is_graded_without_a_key() {
    let course = write("watch_deadlock");
    course.solve("first", DEADLOCK);
    let mut session = terminal(&course, &["watch", "first", "--hang-guard", "100000"]);
    sees(&mut session, "1.01 first");
    let process = hanging(&course, "first");
    assert!(is_alive(&process));
    course.solve("first", RIGHT);
    sees(&mut session, "passing");
    sees(&mut session, "solution first");
    assert!(!is_alive(&process), "it is still waiting for itself");

    // The other way round, and from one that hangs to one that fails.
    course.solve("first", DEADLOCK);
    let process = hanging(&course, "first");
    course.solve("first", WRONG);
    sees(&mut session, "left: 41");
    assert!(!is_alive(&process));
    session.send("q").unwrap();
    gave_back(session, 1);
}

#[test]
fn keys_are_answered_while_the_exercise_is_deadlocked() {
    let course = write("watch_keys");
    course.solve("first", DEADLOCK);
    let mut session = terminal(&course, &["watch", "--hang-guard", "100000"]);
    let process = hanging(&course, "first");
    session.send("h").unwrap();
    sees(&mut session, "hint 1 of 3: a question");
    session.send("h").unwrap();
    sees(&mut session, "Nobody asks twice.");
    session.send("l").unwrap();
    sees(&mut session, "1.03  third");
    assert!(is_alive(&process), "a key is no reason to stop it");
    session.send("n").unwrap();
    sees(&mut session, "1.02 second");
    sees(&mut session, "not started");
    assert!(!is_alive(&process), "nobody watches it any more");
    // Nobody has named one, so the one that is saved is watched.
    course.solve("third", WRONG);
    sees(&mut session, "1.03 third");
    sees(&mut session, "left: 41");
    course.solve(
        "first",
        DEADLOCK.replace("spin_loop()", "spin_loop();").as_str(),
    );
    sees(&mut session, "1.01 first");
    let process = hanging(&course, "first");
    session.send(ControlCode::EndOfText).unwrap();
    gave_back(session, 1);
    assert!(!is_alive(&process));
}

#[test]
fn the_editor_has_the_terminal_to_itself() {
    let course = write("watch_editor");
    course.solve("first", WRONG);
    course.put(
        "editor",
        "#!/bin/sh\nprintf 'edits %s\\n' \"$1\"\nread line\nprintf '%s\\n' \"$line\" >\"$1\"\n",
    );
    let editor = course.root.join("editor");
    fs::set_permissions(&editor, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let mut grader = course.grader(&["watch", "first"]);
    grader
        .env("TERM", "xterm")
        .env("EDITOR", &editor)
        .stdin(Stdio::inherit())
        .env_remove("VISUAL");
    let mut session = Session::spawn(grader).unwrap();
    session.set_expect_timeout(Some(Duration::from_secs(300)));
    sees(&mut session, "left: 41");
    session.send("e").unwrap();
    let before = sees(&mut session, "edits ");
    assert_has(&before, &["\u{1b}[?1049l"]);
    session.send_line("pub fn answer() -> u32 { 42 }").unwrap();
    sees(&mut session, "\u{1b}[?1049h");
    sees(&mut session, "passing");
    session.send("q").unwrap();
    gave_back(session, 0);
}

#[test]
fn a_polite_kill_gives_the_terminal_back() {
    let course = write("watch_killed");
    course.solve("first", DEADLOCK);
    let mut session = terminal(&course, &["watch", "first", "--hang-guard", "100000"]);
    let process = hanging(&course, "first");
    let grader = session.get_process().pid().to_string();
    assert!(
        Command::new("kill")
            .arg(&grader)
            .status()
            .unwrap()
            .success()
    );
    session.set_expect_timeout(Some(Duration::from_secs(300)));
    gave_back(session, 1);
    assert!(!is_alive(&process));
}

#[test]
fn a_terminal_that_is_closed_ends_it() {
    let course = write("watch_closed");
    for signals in ["", "trap '' HUP;"] {
        course.solve("first", DEADLOCK);
        let grade = env!("CARGO_BIN_EXE_grade");
        let root = course.root.display();
        let script = format!(
            "{signals} echo $$ >'{root}/grader'; exec '{grade}' --course '{root}' watch first --hang-guard 100000"
        );
        let mut terminal = Command::new("script")
            .args(["-qec", &script, "/dev/null"])
            .env("CARGO_TARGET_DIR", course.root.join("target"))
            .env("TERM", "xterm")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let process = hanging(&course, "first");
        let grader = fs::read_to_string(course.root.join("grader")).unwrap();
        assert!(is_alive(grader.trim()));
        terminal.kill().unwrap();
        terminal.wait().unwrap();
        let begin = std::time::Instant::now();
        while is_alive(grader.trim()) || is_alive(&process) {
            assert!(
                begin.elapsed() < Duration::from_secs(300),
                "it goes on without a terminal"
            );
            std::thread::yield_now();
        }
        course.solve("first", RIGHT);
    }
}

/// The grader in a pipe, and its lines.
fn piped(course: &Small, arguments: &[&str]) -> (Child, impl FnMut(&str) -> String) {
    let mut child = course
        .grader(arguments)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let until = move |words: &str| {
        let mut text = String::new();
        for line in lines.by_ref() {
            let line = line.unwrap();
            text.push_str(&line);
            text.push('\n');
            if line.contains(words) {
                return text;
            }
        }
        panic!("{words:?} does not come:\n{text}");
    };
    (child, until)
}

#[test]
fn in_a_pipe_it_prints_plain_lines() {
    let course = write("watch_pipe");
    course.solve("first", WRONG);
    let (mut child, mut until) = piped(&course, &["watch", "first"]);
    let text = until("right: 42");
    assert_has(
        &text,
        &[
            "1.01 first · The first one: run 1\n",
            "  std      ✗ 0/1",
            "first: failing\n",
            "unit::answers",
            "left: 41",
        ],
    );
    course.solve("first", "pub fn answer() -> u32 { \"forty-two\" }\n");
    assert_has(
        &until("mismatched types"),
        &[": run 2\n", "first: won't compile\n"],
    );
    course.solve("first", DEADLOCK);
    let process = hanging(&course, "first");
    course.solve("first", RIGHT);
    let text = until("first: passing");
    assert_has(&text, &["  std      ✓ 1"]);
    assert!(!text.contains('\u{1b}'), "{text:?}");
    assert!(!is_alive(&process));
    // Saved without a change, or beside the source: no run.
    course.solve("first", RIGHT);
    course.put(&course.path("first", "notes.txt"), "mine\n");
    course.put(&course.path("first", "src/.lib.rs.swp"), "mine\n");
    course.solve("second", WRONG);
    course.solve("first", WRONG);
    let text = until("first: failing");
    assert_eq!(text.matches(": run ").count(), 1, "{text}");
    course.solve("first", RIGHT);
    until("first: passing");
    assert!(
        Command::new("kill")
            .arg(child.id().to_string())
            .status()
            .unwrap()
            .success()
    );
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn a_reader_that_has_seen_enough_ends_it() {
    let course = write("watch_head");
    course.solve("first", WRONG);
    let (mut child, mut until) = piped(&course, &["watch", "first"]);
    until("first: failing");
    drop(until);
    course.solve("first", RIGHT);
    assert!(child.wait().unwrap().code().is_some());
}

#[test]
fn what_cannot_be_watched_is_said() {
    let course = write("watch_unknown");
    for (arguments, words) in [
        (&["watch", "frist"][..], "Did you mean `first`?"),
        (&["watch", "first", "--hang-guard", "0"], "above 0"),
    ] {
        let output = course.run(arguments);
        assert_eq!(output.status.code(), Some(2), "{output:?}");
        assert_has(&stderr(&output), &[words]);
        assert!(output.stdout.is_empty());
    }
}
