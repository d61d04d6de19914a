//! A verdict is of the files that the compiler read, all of them, and is kept for as long as they stay the same.

use std::fs::{self, File, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Child, Stdio};
use std::time::{Duration, SystemTime};

use serde_json::Value;

use crate::fixture::{find, json, text};
use crate::small::{Small, answers};

const RIGHT: &str = "pub fn answer() -> u32 { 42 }\n";
const WRONG: &str = "pub fn answer() -> u32 { 41 }\n";

fn state<'a>(result: &'a Value, name: &str) -> &'a Value {
    &find(result, name)["state"]
}

#[test]
fn files_outside_and_hidden_files_count() {
    let course = Small::write(
        "outside",
        &[answers("path"), answers("include"), answers("hidden")],
    );
    course.solve(
        "path",
        "#[path = \"../imp.rs\"]\nmod imp;\npub use imp::answer;\n",
    );
    course.solve("include", "include!(\"../imp.rs\");\n");
    course.solve(
        "hidden",
        "#[path = \".imp.rs\"]\nmod imp;\npub use imp::answer;\n",
    );
    let files = [
        course.path("path", "imp.rs"),
        course.path("include", "imp.rs"),
        course.path("hidden", "src/.imp.rs"),
    ];
    let names = ["path", "include", "hidden"];
    for (source, expected) in [
        (RIGHT, "passing"),
        (WRONG, "failing"),
        // The compiler does not say what it read for a program that it rejects.
        ("pub fn answer() -> u32 { \"42\" }\n", "wont_compile"),
        (RIGHT, "passing"),
    ] {
        for file in &files {
            course.put(file, source);
        }
        let result = course.grade(&[]);
        for name in names {
            assert_eq!(state(&result, name), expected, "{name}: {result:#}");
        }
    }
}

#[test]
fn a_file_that_is_moved_into_place_with_its_old_time_counts() {
    let course = Small::write("moved", &[answers("moved")]);
    let source = course.root.join(course.path("moved", "src/lib.rs"));
    let kept = course.root.join("kept.rs");
    fs::write(&kept, WRONG).unwrap();
    let long_ago = SystemTime::now() - Duration::from_secs(100_000);
    File::options()
        .write(true)
        .open(&kept)
        .unwrap()
        .set_modified(long_ago)
        .unwrap();
    fs::write(&source, RIGHT).unwrap();
    let result = course.grade(&[]);
    assert_eq!(state(&result, "moved"), "passing", "{result:#}");

    // Cargo looks at the time of modification alone.
    fs::rename(&kept, &source).unwrap();
    let result = course.grade(&[]);
    assert_eq!(state(&result, "moved"), "failing", "{result:#}");
}

#[test]
fn a_variable_of_the_environment_counts() {
    let course = Small::write("environment", &[answers("variable")]);
    course.solve(
        "variable",
        "pub fn answer() -> u32 { if option_env!(\"EASY_WAY_OUT\").is_some() { 42 } else { 41 } }\n",
    );
    let grade = |value: Option<&str>| {
        let mut grader = course.grader(&["--json"]);
        grader.env_remove("EASY_WAY_OUT");
        if let Some(value) = value {
            grader.env("EASY_WAY_OUT", value);
        }
        json(&grader.output().unwrap())
    };
    for (value, expected) in [(None, "failing"), (Some("1"), "passing"), (None, "failing")] {
        let result = grade(value);
        assert_eq!(state(&result, "variable"), expected, "{result:#}");
    }
}

/// Starts the grader with a compiler that runs `around`, a part of a shell script, when it compiles the library of
/// `swapped`. In that, `compile` is the real one.
fn grade_with_compiler(course: &Small, around: &str) -> Child {
    let wrapper = course.root.join("compiler.sh");
    let script = format!(
        "#!/bin/sh\ncd {root:?}\ncompile() {{ \"$@\" || exit 1; }}\n\
         case \"$*\" in\n*'--crate-name swapped '*)\n{around}\n;;\n*) exec \"$@\" ;;\nesac\n",
        root = course.root
    );
    fs::write(&wrapper, script).unwrap();
    fs::set_permissions(&wrapper, Permissions::from_mode(0o755)).unwrap();
    course
        .grader(&["--json"])
        .env("RUSTC_WRAPPER", wrapper)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

#[test]
fn a_file_that_changes_during_the_build_is_graded_as_it_is_then() {
    let course = Small::write("swapped", &[answers("swapped")]);
    let source = course.root.join(course.path("swapped", "src/lib.rs"));
    for (before, after, expected) in [(RIGHT, WRONG, "failing"), (WRONG, RIGHT, "passing")] {
        for file in ["read", "go-on"] {
            let _ = fs::remove_file(course.root.join(file));
        }
        fs::write(&source, format!("// {expected}\n{before}")).unwrap();
        // The other one is there already, and as old.
        let other = course.root.join("other.rs");
        fs::write(&other, after).unwrap();
        let mut grader = grade_with_compiler(
            &course,
            "compile \"$@\"; : > read; while [ ! -e go-on ]; do sleep 0.01; done",
        );
        while !course.root.join("read").exists() {
            assert!(grader.try_wait().unwrap().is_none(), "ended by itself");
            std::thread::yield_now();
        }
        fs::rename(&other, &source).unwrap();
        fs::write(course.root.join("go-on"), "").unwrap();
        let output = grader.wait_with_output().unwrap();
        let result = json(&output);
        assert_eq!(
            state(&result, "swapped"),
            expected,
            "{}",
            text(&output.stderr)
        );
        let result = course.grade(&[]);
        assert_eq!(state(&result, "swapped"), expected, "{result:#}");
    }
}

#[test]
fn a_file_that_was_another_one_while_the_compiler_read_it_is_compiled_again() {
    let course = Small::write("undone", &[answers("swapped")]);
    course.solve("swapped", RIGHT);
    course.put("other.rs", WRONG);
    let source = course.path("swapped", "src/lib.rs");
    // The first time alone. Afterwards everything is as it was, down to the times of modification.
    let around = format!(
        "if [ -e other.rs ]; then\n\
         mv {source} kept.rs; mv other.rs {source}; compile \"$@\"; rm {source}; mv kept.rs {source}\n\
         else compile \"$@\"; fi"
    );
    let output = grade_with_compiler(&course, &around)
        .wait_with_output()
        .unwrap();
    assert!(
        !course.root.join("other.rs").exists(),
        "{}",
        text(&output.stderr)
    );
    assert_eq!(state(&json(&output), "swapped"), "passing");
    assert_eq!(state(&course.grade(&[]), "swapped"), "passing");
}
