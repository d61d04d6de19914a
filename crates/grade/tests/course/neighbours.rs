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

/// Writes a right or a wrong source for one neighbour and a check for the other as soon as it is asked for its tests, which
/// is before any test has run, as long as there is a file `meddle`.
const MEDDLES: &str = r##"
extern "C" fn meddle() {
    if std::env::args().any(|word| word == "--list") && std::fs::exists("meddle").unwrap() {
        std::fs::write("../02_second/src/lib.rs", "pub fn answer() -> u32 { 41 }\n").unwrap();
        std::fs::write("../03_third/tests/checks/unit.rs", "#[test]\nfn answers() {}\n").unwrap();
    }
}
#[used]
#[unsafe(link_section = ".init_array")]
static MEDDLE: extern "C" fn() = meddle;
pub fn answer() -> u32 { 42 }
"##;

#[cfg(target_os = "linux")]
#[test]
fn what_one_exercise_writes_into_others_is_graded_as_theirs() {
    let course = course("meddles");
    course.solve("spoilt", MEDDLES);
    course.put(&course.path("spoilt", "meddle"), "");
    let checks = course
        .root
        .join(course.path("third", "tests/checks/unit.rs"));
    let own = fs::read_to_string(&checks).unwrap();
    let states = || {
        let result = course.grade(&[]);
        ["spoilt", "second", "third"].map(|name| find(&result, name)["state"].clone())
    };
    // What was built is what was there before, and its results are kept for that alone.
    assert_eq!(states(), ["passing", "passing", "tests_edited"]);
    fs::remove_file(course.root.join(course.path("spoilt", "meddle"))).unwrap();
    assert_eq!(states(), ["passing", "failing", "tests_edited"]);
    course.solve("second", RIGHT);
    fs::write(&checks, own).unwrap();
    assert_eq!(states(), ["passing", "passing", "passing"]);
}

/// Puts a program that says of itself that it passes in the place of every other test program.
const FORGES: &str = r##"
const PROGRAM: &str = "#!/bin/sh
case \"$*\" in
*--list*) echo 'unit::answers: test' ;;
*) echo 'ok unit::answers' >\"$2\"
   echo 'test unit::answers ... ok'
   echo 'test result: ok. 1 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s' ;;
esac
";
pub fn answer() -> u32 {
    use std::os::unix::fs::PermissionsExt;
    let own = std::env::current_exe().unwrap();
    let folder = own.parent().unwrap();
    for entry in std::fs::read_dir(folder).unwrap().flatten() {
        let program = entry.path();
        let name = entry.file_name().into_string().unwrap();
        if name.starts_with("checks-") && !name.contains('.') && program != own {
            let forged = folder.join("forged");
            std::fs::write(&forged, PROGRAM).unwrap();
            std::fs::set_permissions(&forged, std::fs::Permissions::from_mode(0o755)).unwrap();
            std::fs::rename(&forged, &program).unwrap();
        }
    }
    42
}
"##;

#[test]
fn a_test_program_that_another_exercise_puts_there_is_not_believed() {
    let course = course("forges");
    course.solve("spoilt", FORGES);
    course.solve("second", "pub fn answer() -> u32 { 41 }\n");
    let result = course.grade(&["--jobs", "1"]);
    assert_eq!(find(&result, "spoilt")["state"], "passing", "{result:#}");
    for name in ["second", "third"] {
        assert_eq!(find(&result, name)["state"], "failing", "{result:#}");
        let said = message(&result, name);
        assert!(said.contains("was changed while it was tested"), "{said}");
    }
    // Nothing of it is left.
    course.solve("spoilt", RIGHT);
    let result = course.grade(&[]);
    for (name, state) in [
        ("spoilt", "passing"),
        ("second", "failing"),
        ("third", "passing"),
    ] {
        assert_eq!(find(&result, name)["state"], state, "{result:#}");
    }
    assert!(message(&result, "second").contains("left: 41"));
}
