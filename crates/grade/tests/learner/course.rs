//! A course of three exercises with all that an author writes for a learner.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Output;

use crate::fixture::text;
use crate::small::{Exercise, Small, answers};

pub const RIGHT: &str = "//! Mine.\n\npub fn answer() -> u32 {\n    6 * 7\n}\n";
pub const WRONG: &str = "pub fn answer() -> u32 { 41 }\n";

const SECOND: Exercise = Exercise {
    manifest: "needs = [\"1.01\", \"1.24\"]\nsize = \"large\"\ntopic = \"counting\"\n",
    checks: &[
        ("main.rs", "mod unit;\n"),
        (
            "unit.rs",
            "#[test] fn answers() { assert_eq!(answer::answer(), 42); }\n#[test] fn waits_for_nobody() { assert_eq!(answer::answer(), 42); }\n",
        ),
    ],
    ..answers("second")
};

/// Writes it below the name of the test that uses it.
pub fn write(test: &str) -> Small {
    let first = Exercise {
        manifest: "size = \"small\"\n",
        ..answers("first")
    };
    let course = Small::write(
        &format!("learner_{test}"),
        &[first, SECOND, answers("third")],
    );
    for (number, name) in [(1, "first"), (2, "second")] {
        let path = format!("phase1_internals/{number:02}_{name}");
        course.put(
            &format!("hints/{path}.md"),
            "# Hints\n\n## Hint 1: a question\n\nWho asks?\n\n## Hint 2\n\nNobody asks twice.\n\n## Hint 3: steps\n\n1. Say it.\n",
        );
        course.put(
            &format!("exercises/{path}/README.md"),
            "# One\n\n## Checks\n\n| check | what it explores | what it rules out |\n|---|---|---|\n| `unit` | the answer | another one |\n| `unit`, `waits_*` | who is late | waiting |\n\n## Questions\n\n1. Why 42?\n",
        );
        course.put(
            &format!("solutions/{path}/src/lib.rs"),
            "//! The reference.\n\npub fn answer() -> u32 {\n    42\n}\n",
        );
        for (other, body) in [("sum", "40 + 2"), ("product", "6 * 7"), ("hex", "0x2a")] {
            course.put(
                &format!("solutions/{path}/alternatives/{other}.rs"),
                &format!("//! As a {other}.\n\npub fn answer() -> u32 {{ {body} }}\n"),
            );
        }
    }
    course
}

pub fn stdout(output: &Output) -> String {
    text(&output.stdout)
}

pub fn stderr(output: &Output) -> String {
    text(&output.stderr)
}

/// Standard output of what has to end well.
pub fn said(course: &Small, arguments: &[&str]) -> String {
    let output = course.run(arguments);
    assert_eq!(output.status.code(), Some(0), "{arguments:?}: {output:?}");
    stdout(&output)
}

pub fn assert_has(text: &str, words: &[&str]) {
    for word in words {
        assert!(text.contains(word), "{word:?} is missing:\n{text}");
    }
}

/// Every file of the course with its content, without what is built.
pub fn snapshot(root: &Path) -> BTreeMap<String, Vec<u8>> {
    let files = walkdir::WalkDir::new(root)
        .into_iter()
        .filter_entry(|entry| entry.depth() != 1 || entry.file_name() != "target")
        .flatten();
    files
        .filter(|entry| entry.file_type().is_file())
        .map(|entry| {
            let below = entry.path().strip_prefix(root).unwrap();
            let content = fs::read(entry.path()).unwrap();
            (below.display().to_string(), content)
        })
        .collect()
}
