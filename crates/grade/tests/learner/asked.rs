//! `list`, `next` and `explain`, which know what earlier runs have found out and build nothing.

use std::fs;

use serde_json::Value;

use crate::course::{RIGHT, WRONG, assert_has, said, stderr, stdout, write};

#[test]
fn the_list_says_how_each_exercise_stands() {
    let course = write("list");
    let shown = said(&course, &["list"]);
    assert_has(
        &shown,
        &[
            "Phase 1 · Deep theory & internals  0/3 passing\n",
            "  1.01  first   The first one   small  not started\n",
            "  1.02  second  The second one  large  not started  needs 1.01\n",
            "Phase 2 · Performance mastery  –\n",
        ],
    );
    course.solve("first", RIGHT);
    assert_has(&said(&course, &["list"]), &["small  not graded\n"]);
    course.solve("second", WRONG);
    course.run(&[]);
    let shown = said(&course, &["list"]);
    assert_has(
        &shown,
        &[
            "1/3 passing\n",
            "small  passing\n",
            "large  failing      needs 1.01 ✓\n",
            "–      not started\n",
        ],
    );
    // What was found out about other source is not known of this one.
    course.solve("first", WRONG);
    assert_has(
        &said(&course, &["list"]),
        &["0/3 passing\n", "small  not graded\n"],
    );
    course.solve("first", RIGHT);
    assert_has(&said(&course, &["list"]), &["small  passing\n"]);

    let json: Value = serde_json::from_str(&said(&course, &["list", "--json"])).unwrap();
    assert_eq!(json["schema"], "kata/list/v1");
    let second = &json["exercises"][1];
    assert_eq!(
        (&second["size"], &second["state"]),
        (&"large".into(), &"failing".into())
    );
    assert_eq!(json["exercises"][2]["size"], Value::Null);
    course.solve("second", RIGHT);
    let json: Value = serde_json::from_str(&said(&course, &["list", "--json"])).unwrap();
    assert_eq!(json["exercises"][1]["state"], "not_graded");
}

#[test]
fn the_next_exercise_is_the_first_whose_needs_are_met() {
    let course = write("next");
    let shown = said(&course, &["next"]);
    assert_has(
        &shown,
        &[
            "1.01 first · The first one",
            "01_first/README.md",
            "01_first/src/lib.rs:1  the first todo!()",
            "./grade.sh hint first",
        ],
    );
    // What is begun comes before what is untouched; the line is that of the first todo that is one.
    course.solve("third", "//! todo!()\n// todo!()\npub fn answer() -> u32 {\n    let s = \"todo!()\";\n    todo!(\"{s}\")\n}\n");
    assert_has(
        &said(&course, &["next"]),
        &["1.03 third", "03_third/src/lib.rs:5  the first todo!()"],
    );
    course.solve("third", WRONG);
    let shown = said(&course, &["next"]);
    assert_has(
        &shown,
        &["1.03 third", "not graded", "03_third/src/lib.rs:1"],
    );
    assert!(!shown.contains("the first todo"), "{shown}");
    course.solve("third", RIGHT);
    course.solve("first", RIGHT);
    course.run(&[]);
    assert_has(
        &said(&course, &["next"]),
        &[
            "1.02 second · The second one",
            "(counting, large; not started)",
        ],
    );
    course.solve("second", RIGHT);
    course.run(&[]);
    assert_has(
        &said(&course, &["next"]),
        &["Everything that is written passes."],
    );

    // Where paths below the course's root lead nowhere, they are whole.
    let folder = course.root.join("exercises");
    course.solve("first", WRONG);
    let output = course
        .grader(&["next"])
        .current_dir(&folder)
        .output()
        .unwrap();
    let whole = course.root.join(course.path("first", "src/lib.rs:1"));
    assert_has(&stdout(&output), &[&whole.display().to_string()]);
    let output = course
        .grader(&["next"])
        .current_dir(&course.root)
        .output()
        .unwrap();
    assert_has(
        &stdout(&output),
        &["edit   exercises/phase1_internals/01_first"],
    );
}

#[test]
fn the_editor_is_opened_where_to_begin() {
    let course = write("edit");
    course.put(
        "bin dir/vim",
        "#!/bin/sh\nprintf '%s\\n' \"$@\" >\"$TOLD\"\n",
    );
    let vim = course.root.join("bin dir/vim");
    fs::set_permissions(&vim, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let told = course.root.join("told");
    let path = format!(
        "{}:{}",
        vim.parent().unwrap().display(),
        std::env::var("PATH").unwrap()
    );
    course.solve("first", "\n\npub fn answer() -> u32 { todo!() } // mine\n");
    let mut grader = course.grader(&["next", "--edit"]);
    grader.env("TOLD", &told).env("PATH", path);
    let output = grader
        .env("VISUAL", "vim -n")
        .env("EDITOR", "false")
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let file = course.root.join(course.path("first", "src/lib.rs"));
    let wanted = format!("-n\n+3\n{}\n", file.display());
    assert_eq!(fs::read_to_string(&told).unwrap(), wanted);

    let output = grader.env_remove("VISUAL").output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert_has(&stderr(&output), &["`false` ended with"]);
    let output = grader.env("EDITOR", "").output().unwrap();
    assert_has(
        &stderr(&output),
        &["Neither VISUAL nor EDITOR", "src/lib.rs:3"],
    );
}

#[test]
fn a_check_is_explained_by_its_row() {
    let course = write("explain");
    let shown = said(&course, &["explain", "first", "unit"]);
    assert_has(
        &shown,
        &[
            "1.01 first · unit",
            "what it explores   the answer",
            "what it rules out  another one",
            "unit::answers",
            "./grade.sh first unit",
            "tests/checks/unit.rs",
        ],
    );
    assert!(!shown.contains("who is late"), "{shown}");
    // The only exercise that has such a check need not be named.
    assert_has(
        &said(&course, &["explain", "waits_for"]),
        &[
            "1.02 second · unit",
            "who is late",
            "./grade.sh second unit::waits_for_nobody",
        ],
    );
    assert_has(
        &said(&course, &["explain", "second"]),
        &["the answer", "who is late"],
    );
    let folder = course.root.join(course.path("second", "tests"));
    let output = course
        .grader(&["explain", "unit"])
        .current_dir(folder)
        .output();
    assert_has(&stdout(&output.unwrap()), &["1.02 second · unit"]);
    for (arguments, words) in [
        (
            &["explain", "first", "loom"][..],
            "no check with `loom` in its name",
        ),
        (&["explain", "answers"], "first, second, third"),
        (&["explain", "secnd"], "Did you mean `second`?"),
        (&["explain", "third", "unit"], "README.md cannot be read"),
    ] {
        let output = course.run(arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {output:?}");
        assert_has(&stderr(&output), &[words]);
    }
}
