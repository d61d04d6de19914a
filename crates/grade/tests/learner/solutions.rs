//! `solution` shows the reference beside the learner's code, and leaves everything as it is.

use std::fs;

use crate::course::{RIGHT, WRONG, assert_has, said, snapshot, stderr, stdout, write};

#[test]
fn before_it_passes_the_reference_is_a_spoiler() {
    let course = write("solution_spoil");
    let refused = |words: &[&str]| {
        let output = course.run(&["solution", "first"]);
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        assert_eq!(stdout(&output), "");
        assert_has(&stderr(&output), words);
    };
    refused(&["1.01 first does not pass yet (not started)", "--spoil"]);
    course.solve("first", RIGHT);
    refused(&["not known: ./grade.sh first finds out"]);
    course.solve("first", WRONG);
    course.run(&["first"]);
    refused(&["does not pass yet (failing)"]);
    let shown = said(&course, &["solution", "first", "--spoil"]);
    assert_has(
        &shown,
        &[
            "-pub fn answer() -> u32 { 41 }",
            "+    42",
            "--spoil --with",
        ],
    );
    for (arguments, words) in [
        (
            &["solution", "third", "--spoil"][..],
            "no solutions/phase1_internals/03_third here",
        ),
        (
            &["solution", "first", "--spoil", "--with", "sums"],
            "It has",
        ),
        (&["solution", "frist"], "Did you mean `first`?"),
    ] {
        let output = course.run(arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {output:?}");
        assert_has(&stderr(&output), &[words]);
    }
}

#[test]
fn once_it_passes_it_is_shown_freely() {
    let course = write("solution_free");
    course.solve("first", RIGHT);
    let shown = stdout(&course.run(&["first"]));
    assert_has(
        &shown,
        &["1.01 first passes. `./grade.sh solution first` shows the reference"],
    );
    let shown = said(&course, &["solution", "first"]);
    assert_has(
        &shown,
        &[
            "--- yours      exercises/phase1_internals/01_first/src/lib.rs\n+++ reference  solutions/phase1_internals/01_first/src/lib.rs\n@@ -1,5 +1,5 @@\n-//! Mine.\n+//! The reference.\n \n pub fn answer() -> u32 {\n-    6 * 7\n+    42\n }\n",
            "Questions that no check asks\n\n1. Why 42?\n",
            "least like yours first",
        ],
    );
    // Two are described, the third is named.
    assert_eq!(shown.matches("  As a ").count(), 2, "{shown}");
    assert_eq!(shown.matches("\n  and ").count(), 1, "{shown}");
    let shown = said(&course, &["solution", "1.01", "--with", "sum"]);
    assert_has(
        &shown,
        &["+//! As a sum.", "+pub fn answer() -> u32 { 40 + 2 }"],
    );
    assert!(!shown.contains("solution first --with sum"), "{shown}");
    course.put("solutions/phase1_internals/01_first/src/lib.rs", RIGHT);
    assert_has(&said(&course, &["solution", "first"]), &["word for word"]);
}

#[test]
fn nothing_is_written_whatever_is_there() {
    let course = write("solution_untouched");
    course.solve("first", RIGHT);
    course.put(&course.path("first", "src/helper.rs"), "// mine\n");
    course.put(&course.path("first", "notes.txt"), "mine\n");
    course.run(&["first"]);
    let outside = course.root.join("outside.rs");
    fs::write(&outside, WRONG).unwrap();
    std::os::unix::fs::symlink(
        &outside,
        course.root.join(course.path("first", "src/linked.rs")),
    )
    .unwrap();
    fs::write(
        course.root.join(course.path("first", "src/latin.rs")),
        b"// caf\xe9\n",
    )
    .unwrap();
    let before = snapshot(&course.root);
    for arguments in [
        &["solution", "first"][..],
        &["solution", "first", "--spoil"],
        &["solution", "first", "--spoil", "--with", "hex"],
        &["solution", "second", "--spoil"],
        &["explain", "first"],
        &["list"],
        &["next"],
    ] {
        course.run(arguments);
        assert_eq!(snapshot(&course.root), before, "{arguments:?}");
    }
    let shown = said(&course, &["solution", "first", "--spoil"]);
    assert_has(&shown, &["-// mine", "latin.rs cannot be read"]);
}
