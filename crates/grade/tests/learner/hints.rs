//! `hint`, and the file that remembers which ones were shown.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use crate::course::{assert_has, said, stderr, stdout, write};

const FILE: &str = ".kata/progress.json";

#[test]
fn one_hint_after_the_other() {
    let course = write("hint");
    let shown = said(&course, &["hint", "first"]);
    assert_has(
        &shown,
        &[
            "1.01 first · hint 1 of 3: a question",
            "Who asks?",
            "./grade.sh hint first 2",
        ],
    );
    assert!(!shown.contains("Nobody"), "{shown}");
    assert_has(
        &said(&course, &["hint", "1.01"]),
        &["hint 2 of 3\n", "Nobody asks twice."],
    );
    // Another exercise has its own count; one that is asked for by number does not take others back.
    assert_has(
        &said(&course, &["hint", "second"]),
        &["1.02 second · hint 1 of 3"],
    );
    assert_has(&said(&course, &["hint", "first", "1"]), &["hint 1 of 3"]);
    assert_has(
        &said(&course, &["hint", "first"]),
        &["hint 3 of 3: steps", "That was the last one."],
    );
    let shown = said(&course, &["hint", "first"]);
    assert_has(&shown, &["You have seen all 3 hints", "--all"]);
    assert!(!shown.contains("Say it"), "{shown}");
    let all = said(&course, &["hint", "first", "--all"]);
    assert_has(&all, &["Who asks?", "Nobody asks twice.", "1. Say it."]);
    // In the exercise's folder its name can be left out.
    let folder = course.root.join(course.path("second", "src"));
    let output = course.grader(&["hint"]).current_dir(folder).output();
    assert_has(&stdout(&output.unwrap()), &["1.02 second · hint 2 of 3"]);
}

#[test]
fn what_cannot_be_shown_is_said() {
    let course = write("hint_errors");
    for (arguments, words) in [
        (&["hint", "firts"][..], "Did you mean `first`?"),
        (&["hint", "first", "4"], "1.01 first has 3 hints."),
        (&["hint", "first", "0"], "invalid value '0'"),
        (&["hint", "phase1"], "`phase1` is a phase"),
        (&["hint"], "Which exercise?"),
        (
            &["hint", "third"],
            "hints/phase1_internals/03_third.md cannot be read",
        ),
    ] {
        let output = course.run(arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {output:?}");
        assert_has(&stderr(&output), &[words]);
    }
}

#[test]
fn whatever_becomes_of_the_file_a_hint_is_shown() {
    let course = write("hint_file");
    let path = course.root.join(FILE);
    said(&course, &["hint", "first"]);

    // Damaged: put aside, and begun anew.
    for damage in [
        "{",
        "[]",
        "{\"schema\":\"kata/progress/v1\",\"hints\":7}",
        "",
    ] {
        fs::write(&path, damage).unwrap();
        let output = course.run(&["hint", "first"]);
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        assert_has(&stdout(&output), &["hint 1 of 3"]);
        let aside = fs::read_to_string(course.root.join(".kata/progress.json.damaged"));
        assert_eq!(aside.unwrap(), damage);
        assert_has(&fs::read_to_string(&path).unwrap(), &["\"first\": 1"]);
    }

    // Newer: left as it is.
    let newer = "{\"schema\":\"kata/progress/v2\",\"hints\":{\"first\":{\"seen\":2}}}";
    fs::write(&path, newer).unwrap();
    let output = course.run(&["hint", "first"]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert_has(
        &stdout(&output),
        &["hint 1 of 3", "./grade.sh hint first 2"],
    );
    assert_has(&stderr(&output), &["not remembered", "newer version"]);
    assert_eq!(fs::read_to_string(&path).unwrap(), newer);

    // What another grader of this version has added stays.
    let more = "{\"schema\":\"kata/progress/v1\",\"hints\":{\"first\":1},\"colour\":\"green\"}";
    fs::write(&path, more).unwrap();
    assert_has(&said(&course, &["hint", "first"]), &["hint 2 of 3"]);
    assert_has(
        &fs::read_to_string(&path).unwrap(),
        &["\"colour\": \"green\"", "\"first\": 2"],
    );

    // A count that no exercise has is no reason to stop.
    fs::write(
        &path,
        "{\"schema\":\"kata/progress/v1\",\"hints\":{\"first\":99}}",
    )
    .unwrap();
    assert_has(
        &said(&course, &["hint", "first"]),
        &["You have seen all 3 hints"],
    );

    // A folder, a pipe, or a file where the folder should be.
    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    let output = course.run(&["hint", "first"]);
    assert_eq!(
        (
            output.status.code(),
            stdout(&output).contains("hint 1 of 3")
        ),
        (Some(0), true)
    );
    fs::remove_dir(&path).unwrap();
    let pipe = std::process::Command::new("mkfifo").arg(&path).status();
    assert!(pipe.unwrap().success());
    let output = course.run(&["hint", "first"]);
    assert_eq!(
        (
            output.status.code(),
            stdout(&output).contains("hint 1 of 3")
        ),
        (Some(0), true)
    );
    fs::remove_dir_all(course.root.join(".kata")).unwrap();
    fs::write(course.root.join(".kata"), "mine").unwrap();
    let output = course.run(&["hint", "first"]);
    assert_eq!(
        (
            output.status.code(),
            stdout(&output).contains("hint 1 of 3")
        ),
        (Some(0), true)
    );
    assert_has(&stderr(&output), &["not remembered"]);
    assert_eq!(
        fs::read_to_string(course.root.join(".kata")).unwrap(),
        "mine"
    );
}

#[test]
fn a_course_that_cannot_be_written_has_hints() {
    let course = write("hint_read_only");
    fs::set_permissions(&course.root, fs::Permissions::from_mode(0o555)).unwrap();
    let output = crate::grader::as_nobody(course.grader(&["hint", "first"]))
        .output()
        .unwrap();
    fs::set_permissions(&course.root, fs::Permissions::from_mode(0o755)).unwrap();
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert_has(&stdout(&output), &["hint 1 of 3"]);
    assert_has(&stderr(&output), &["not remembered"]);
}

#[test]
fn the_file_says_nothing_about_completion() {
    let course = write("hint_truth");
    course.put(FILE, "{\"schema\":\"kata/progress/v1\",\"hints\":{\"first\":3},\"done\":[\"first\"],\"passing\":[\"first\"]}");
    assert_has(&said(&course, &["list"]), &["0/3 passing", "not started"]);
    assert_eq!(course.grade(&["first"])["course"]["passed"], 0);
}
