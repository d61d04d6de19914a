//! One exercise's trouble is one exercise's state: the others are graded, and there is always one JSON object.

use std::fs;
use std::os::unix::fs::symlink;
use std::process::{Command, Output};

use serde_json::Value;

use crate::fixture::{find, json, message, text};
use crate::small::{Small, answers};

const RIGHT: &str = "pub fn answer() -> u32 { 42 }\n";

fn pipe(path: &std::path::Path) {
    let made = Command::new("mkfifo").arg(path).status().unwrap();
    assert!(made.success());
}

/// A course with a right solution in each of three exercises, of which the first is going to be spoilt.
fn course(test: &str) -> Small {
    let course = Small::write(
        test,
        &[answers("spoilt"), answers("second"), answers("third")],
    );
    for name in ["spoilt", "second", "third"] {
        course.solve(name, RIGHT);
    }
    course
}

fn graded(course: &Small, what: &str) -> (Output, Value) {
    let output = course.run(&["--json"]);
    let result = json(&output);
    for name in ["second", "third"] {
        let exercise = find(&result, name);
        assert_eq!(
            exercise["state"],
            "passing",
            "{what}: {result:#}\n{}",
            text(&output.stderr)
        );
    }
    (output, result)
}

#[test]
fn whatever_is_wrong_with_an_exercise_its_neighbours_are_graded() {
    let course = course("neighbours");
    let dir = course.root.join(course.path("spoilt", ""));
    let at = |rest: &str| course.root.join(course.path("spoilt", rest));
    let kept = course.root.join("kept");
    let manifest = fs::read_to_string(at("Cargo.toml")).unwrap();
    let empty = |rest: &str| {
        let _ = fs::remove_file(at(rest));
        let _ = fs::remove_dir_all(at(rest));
    };
    let spoil: [(&str, &str, &dyn Fn()); 13] = [
        ("a broken manifest", "tests_edited", &|| {
            fs::write(at("Cargo.toml"), "[package\n").unwrap()
        }),
        ("no manifest", "tests_edited", &|| empty("Cargo.toml")),
        ("a manifest that is not UTF-8", "tests_edited", &|| {
            fs::write(at("Cargo.toml"), b"# caf\xe9\n").unwrap()
        }),
        ("a pipe for a manifest", "tests_edited", &|| {
            empty("Cargo.toml");
            pipe(&at("Cargo.toml"));
        }),
        ("a link to nothing for a manifest", "tests_edited", &|| {
            empty("Cargo.toml");
            symlink("nowhere", at("Cargo.toml")).unwrap();
        }),
        ("a folder for a manifest", "tests_edited", &|| {
            empty("Cargo.toml");
            fs::create_dir(at("Cargo.toml")).unwrap();
        }),
        ("another name in the manifest", "tests_edited", &|| {
            fs::write(
                at("Cargo.toml"),
                manifest.replace("\"spoilt\"", "\"second\""),
            )
            .unwrap();
        }),
        ("a target that is not there", "tests_edited", &|| {
            fs::write(
                at("Cargo.toml"),
                format!("{manifest}\n[[bench]]\nname = \"nowhere\"\n"),
            )
            .unwrap();
        }),
        ("a dependency that is not there", "tests_edited", &|| {
            fs::write(
                at("Cargo.toml"),
                format!("{manifest}\n[dependencies.nowhere]\npath = \"../nowhere\"\n"),
            )
            .unwrap();
        }),
        ("a pipe for lib.rs", "wont_compile", &|| {
            empty("src/lib.rs");
            pipe(&at("src/lib.rs"));
        }),
        ("a folder for lib.rs", "wont_compile", &|| {
            empty("src/lib.rs");
            fs::create_dir(at("src/lib.rs")).unwrap();
        }),
        ("a link to nothing for lib.rs", "wont_compile", &|| {
            empty("src/lib.rs");
            symlink("nowhere", at("src/lib.rs")).unwrap();
        }),
        ("a pipe among the tests", "tests_edited", &|| {
            empty("tests/checks/unit.rs");
            pipe(&at("tests/checks/unit.rs"));
        }),
    ];
    let copied = Command::new("cp").arg("-r").args([&dir, &kept]).status();
    assert!(copied.unwrap().success());
    for (what, state, spoil) in spoil {
        spoil();
        let (output, result) = graded(&course, what);
        let spoilt = find(&result, "spoilt");
        assert_eq!(
            spoilt["state"],
            state,
            "{what}: {result:#}\n{}",
            text(&output.stderr)
        );
        assert!(!message(&result, "spoilt").is_empty(), "{what}");
        assert_eq!(output.status.code(), Some(1), "{what}");
        fs::remove_dir_all(&dir).unwrap();
        let copied = Command::new("cp").arg("-r").args([&kept, &dir]).status();
        assert!(copied.unwrap().success());
    }
    let (output, result) = graded(&course, "mended");
    assert_eq!(find(&result, "spoilt")["state"], "passing", "{result:#}");
    assert_eq!(output.status.code(), Some(0));
}

#[test]
fn what_lies_about_is_told_and_harms_nobody() {
    let course = course("strays");
    let phase = course.root.join("exercises/phase1_internals");
    let exercise = course.root.join(course.path("spoilt", ""));
    let copied = Command::new("cp")
        .arg("-r")
        .args([&exercise, &phase.join("09_copied")])
        .status();
    assert!(copied.unwrap().success());
    fs::create_dir(phase.join("notes")).unwrap();
    symlink("nowhere", phase.join("05_nowhere")).unwrap();
    fs::write(phase.join("06_file"), "").unwrap();
    fs::create_dir_all(course.root.join("exercises/elsewhere/thing")).unwrap();
    fs::create_dir_all(phase.join("07_piped")).unwrap();
    pipe(&phase.join("07_piped/Cargo.toml"));
    fs::create_dir_all(course.root.join("solutions/phase1_internals/01_spoilt")).unwrap();

    let (_, result) = graded(&course, "strays");
    assert_eq!(find(&result, "spoilt")["state"], "passing", "{result:#}");
    assert_eq!(
        find(&result, "copied")["state"],
        "tests_edited",
        "{result:#}"
    );
    let errors = result["errors"].as_array().unwrap();
    for path in [
        "exercises/phase1_internals/notes",
        "exercises/elsewhere/thing",
    ] {
        let told = errors.iter().filter_map(Value::as_str);
        assert!(
            told.clone().any(|error| error.contains(path)),
            "{path}: {errors:?}"
        );
    }

    // Moved away under another name.
    fs::rename(&exercise, phase.join("01_renamed")).unwrap();
    let (_, result) = graded(&course, "renamed");
    assert_eq!(
        find(&result, "spoilt")["state"],
        "tests_edited",
        "{result:#}"
    );
}
