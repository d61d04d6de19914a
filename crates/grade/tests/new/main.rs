//! A new exercise on a course of none: it works as it is laid out, and the audit says what an author has to write.
//!
//! `kata` is replaced by as much of it as the std world needs here, so that nothing has to be downloaded or built for long.

#![cfg(unix)]

#[path = "../shared/grader.rs"]
mod grader;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

const WORKSPACE: &str = r#"[workspace]
resolver = "3"
members = ["crates/*", "exercises/*/*", "solutions/*/*"]
[workspace.package]
version = "0.1.0"
edition = "2024"
rust-version = "1.95"
license = "MIT"
publish = false
[workspace.dependencies]
kata = { path = "crates/kata" }
[workspace.lints.rust]
unsafe_op_in_unsafe_fn = "deny"
[profile.dev]
debug = 0
"#;

const KATA: &str = "[package]\nname = \"kata\"\nedition = \"2024\"\n[features]\ncheck = []\nloom = []\nshuttle = []\n";

struct Course {
    root: PathBuf,
}

impl Course {
    fn write(name: &str) -> Self {
        let root = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        let _ = fs::remove_dir_all(&root);
        let course = Self { root };
        course.put("Cargo.toml", WORKSPACE);
        course.put("crates/kata/Cargo.toml", KATA);
        course.put("crates/kata/src/lib.rs", "pub use std::sync;\n");
        fs::create_dir_all(course.root.join("exercises")).unwrap();
        course
    }

    fn put(&self, path: &str, text: &str) {
        let path = self.root.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn run(&self, arguments: &[&str]) -> Output {
        grader::grader(&self.root, arguments).output().unwrap()
    }

    fn succeeds(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        let trouble = String::from_utf8_lossy(&output.stderr);
        assert_eq!(
            output.status.code(),
            Some(0),
            "{arguments:?}: {said}{trouble}"
        );
        said
    }

    fn findings(&self) -> Vec<String> {
        let output = self.run(&["audit", "trace_checker", "--json"]);
        let result: Value = serde_json::from_slice(&output.stdout).unwrap();
        let exercise = &result["exercises"][0];
        assert_eq!(
            (&exercise["stub"], &exercise["solution"]),
            (&true.into(), &true.into()),
            "{result:#}"
        );
        let findings = exercise["findings"].as_array().unwrap().iter();
        findings
            .map(|finding| {
                format!(
                    "{}: {}",
                    finding["subject"].as_str().unwrap(),
                    finding["problem"].as_str().unwrap()
                )
            })
            .collect()
    }
}

#[test]
fn a_new_exercise_works_and_the_audit_says_what_is_missing() {
    let course = Course::write("new");
    let said = course.succeeds(&[
        "new",
        "phase5",
        "trace_checker",
        "--number",
        "4",
        "--world",
        "std",
    ]);
    for path in [
        "exercises/phase5_reliability/04_trace_checker/Cargo.toml",
        "exercises/phase5_reliability/04_trace_checker/README.md",
        "exercises/phase5_reliability/04_trace_checker/src/lib.rs",
        "exercises/phase5_reliability/04_trace_checker/tests/checks/main.rs",
        "exercises/phase5_reliability/04_trace_checker/tests/checks/unit.rs",
        "hints/phase5_reliability/04_trace_checker.md",
        "solutions/phase5_reliability/04_trace_checker/Cargo.toml",
        "solutions/phase5_reliability/04_trace_checker/alternatives/README.md",
        "solutions/phase5_reliability/04_trace_checker/kinds.toml",
        "solutions/phase5_reliability/04_trace_checker/mutants.toml",
        "solutions/phase5_reliability/04_trace_checker/src/lib.rs",
        "solutions/phase5_reliability/04_trace_checker/tests/checks.rs",
        "exercises/tests.lock",
    ] {
        assert!(said.contains(path), "{path} is not in\n{said}");
        assert!(course.root.join(path).is_file(), "{path}");
    }
    let formatted = Command::new(env!("CARGO"))
        .args(["fmt", "--all", "--check"])
        .current_dir(&course.root)
        .status();
    assert!(
        formatted.unwrap().success(),
        "what was laid out is not formatted"
    );

    // A learner's first look.
    let said = course.succeeds(&["trace_checker"]);
    assert!(
        said.contains("5.04  trace_checker") && said.contains("not started"),
        "{said}"
    );
    let said = course.succeeds(&["--solutions", "--all"]);
    assert!(said.contains("passing"), "{said}");

    let findings = course.findings();
    for missing in [
        "hints: 0 sections `## Hint` that say something; three are the least",
        "form: [package.metadata.kata] has no `title`",
        "form: [package.metadata.kata] has no `topic`",
        "form: [package.metadata.kata] has no `size`",
        "form: [package.metadata.kata] has no `mirrors`",
        "mutants: mutants.toml has 1; 6 are the least",
        "alternatives: alternatives/ has 0; 2 are the least",
        "kinds: kinds.toml says nothing about pairs, foreign_panics, foreign_calls_back and 30 more of 33 kinds",
        "form: README.md's section `## Theory` is empty",
        "form: README.md's section `## Task` is empty",
        "form: README.md's section `## Checks` is empty",
        "form: README.md's section `## Questions` is empty",
        "form: README.md's section `## Further reading` is empty",
        "form: README.md's Checks say nothing about `unit`",
    ] {
        assert!(
            findings.iter().any(|found| found == missing),
            "{missing} is not in {findings:#?}"
        );
    }
    assert!(
        !findings
            .iter()
            .any(|found| found.starts_with("lock") || found.starts_with("solution"))
    );

    // What the author writes is no longer missing.
    let readme = "exercises/phase5_reliability/04_trace_checker/README.md";
    let text = fs::read_to_string(course.root.join(readme)).unwrap();
    course.put(
        readme,
        &text.replace("## Theory\n", "## Theory\n\nA trace is a list.\n"),
    );
    let fewer = course.findings();
    assert_eq!(fewer.len() + 1, findings.len(), "{fewer:#?}");
    assert!(!fewer.iter().any(|found| found.contains("Theory")));
}

#[test]
fn what_a_solution_repeats_is_written_with_the_lock() {
    let course = Course::write("new_repeated");
    course.succeeds(&["new", "5", "trace_checker", "--world", "std"]);
    let solution = "solutions/phase5_reliability/01_trace_checker";
    let manifest = "exercises/phase5_reliability/01_trace_checker/Cargo.toml";
    let text = fs::read_to_string(course.root.join(manifest)).unwrap();
    course.put(manifest, &format!("{text}\n[features]\nextra = []\n"));
    fs::remove_file(course.root.join(solution).join("tests/checks.rs")).unwrap();
    let said = course.succeeds(&["lock", "--author"]);
    assert!(
        said.contains(&format!("{solution}/Cargo.toml: written")),
        "{said}"
    );
    assert!(
        said.contains(&format!("{solution}/tests/checks.rs: written")),
        "{said}"
    );
    let text = fs::read_to_string(course.root.join(solution).join("Cargo.toml")).unwrap();
    assert!(
        text.contains("name = \"trace_checker_solution\"") && text.contains("extra = []"),
        "{text}"
    );
    assert!(!text.contains("metadata"), "{text}");
    assert!(!course.succeeds(&["lock", "--author"]).contains("written"));
}

#[test]
fn nothing_is_written_over() {
    let course = Course::write("new_refused");
    course.succeeds(&["new", "1", "spin_lock", "--number", "4", "--world", "std"]);
    course.put("solutions/phase1_internals/05_ring/src/lib.rs", "// mine\n");
    for (arguments, words) in [
        (&["new", "7", "ring"][..], "There is no phase `7`"),
        (&["new", "1", "Ring"], "no name for an exercise"),
        (&["new", "1", "../ring"], "no name for an exercise"),
        (&["new", "1", "match"], "no name for an exercise"),
        (&["new", "1", "kata"], "the course's own crates"),
        (
            &["new", "2", "spin_lock"],
            "1.04 spin_lock has that name already",
        ),
        (
            &["new", "1", "ring", "--number", "4"],
            "1.04 is spin_lock already",
        ),
        (&["new", "1", "ring", "--number", "100"], "from 1 to 99"),
        (&["new", "1", "ring"], "is there already"),
        (
            &["new", "1", "ring", "--world", "tokio"],
            "the worlds are std, loom and shuttle",
        ),
    ] {
        let output = course.run(arguments);
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {said}");
        assert!(said.contains(words), "{arguments:?}: {said}");
    }
    let mine = course
        .root
        .join("solutions/phase1_internals/05_ring/src/lib.rs");
    assert_eq!(fs::read_to_string(mine).unwrap(), "// mine\n");
    assert!(
        !course
            .root
            .join("exercises/phase1_internals/05_ring")
            .exists()
    );
}
