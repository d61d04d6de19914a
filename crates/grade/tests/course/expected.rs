//! The course says which tests there are and what they are built with; a submission does not.

use crate::fixture::{find, message, text};
use crate::small::{Small, answers};

const RIGHT: &str = "pub fn answer() -> u32 { 42 }\n";

#[test]
fn every_test_of_the_lock_has_to_run_and_no_other_counts() {
    let course = Small::write("expected", &[answers("asked"), answers("neighbour")]);
    course.solve("asked", RIGHT);
    course.solve("neighbour", RIGHT);
    let lock = course.root.join("exercises/tests.lock");
    let own = std::fs::read_to_string(&lock).unwrap();
    assert!(
        own.contains("checks.std = [\n    \"unit::answers\",\n]"),
        "{own}"
    );
    let result = course.grade(&[]);
    assert_eq!(find(&result, "asked")["state"], "passing", "{result:#}");

    // The first exercise is to have another test than it has.
    let other = own.replacen("unit::answers", "unit::questions", 1);
    std::fs::write(&lock, other).unwrap();
    let result = course.grade(&[]);
    let asked = find(&result, "asked");
    assert_eq!(asked["state"], "failing", "{asked:#}");
    let failures: Vec<_> = asked["checks"][0]["failures"]
        .as_array()
        .unwrap()
        .iter()
        .map(|failure| {
            (
                failure["test"].as_str(),
                failure["message"].as_str().unwrap(),
            )
        })
        .collect();
    let [
        (Some("unit::questions"), missing),
        (Some("unit::answers"), surplus),
    ] = failures[..]
    else {
        panic!("{asked:#}");
    };
    assert!(missing.contains("does not have this test"), "{missing}");
    assert!(surplus.contains("does not know this test"), "{surplus}");
    assert_eq!(asked["checks"][0]["passed"], 0);
    assert_eq!(find(&result, "neighbour")["state"], "passing");
}

#[test]
fn a_program_that_denies_its_tests_does_not_pass() {
    let course = Small::write("denies", &[answers("denies")]);
    // Runs before main and answers the question which tests there are.
    course.solve(
        "denies",
        "extern \"C\" fn deny() { if std::env::args().any(|word| word == \"--list\") { std::process::exit(0) } }\n\
         #[used]\n#[unsafe(link_section = \".init_array\")]\nstatic DENY: extern \"C\" fn() = deny;\n\
         pub fn answer() -> u32 { 42 }\n",
    );
    let result = course.grade(&[]);
    assert_eq!(find(&result, "denies")["state"], "failing", "{result:#}");
    assert!(message(&result, "denies").contains("does not have this test"));
}

#[test]
fn what_the_course_builds_with_is_its_own() {
    let course = Small::write("own_parts", &[answers("begun"), answers("fresh")]);
    course.solve("begun", RIGHT);
    course.put("crates/helper/src/lib.rs", "pub const HELP: u32 = 1;\n");
    let result = course.grade(&[]);
    assert_eq!(
        find(&result, "begun")["state"],
        "tests_edited",
        "{result:#}"
    );
    let said = message(&result, "begun");
    assert!(
        said.contains("crates/helper is not the course's own"),
        "{said}"
    );
    assert!(said.contains("git checkout -- crates/helper"), "{said}");
    assert_eq!(find(&result, "fresh")["state"], "not_started");

    // What nobody builds with may change.
    course.put("crates/helper/src/lib.rs", "pub const HELP: u32 = 0;\n");
    course.put(
        "crates/helper/tests/own.rs",
        "// another test of the helper\n",
    );
    let result = course.grade(&[]);
    assert_eq!(find(&result, "begun")["state"], "passing", "{result:#}");

    course.put(
        ".cargo/config.toml",
        "[build]\nrustflags = [\"--cfg\", \"easy\"]\n",
    );
    let result = course.grade(&[]);
    assert_eq!(
        find(&result, "begun")["state"],
        "tests_edited",
        "{result:#}"
    );
}

#[test]
fn a_build_script_is_never_run() {
    let course = Small::write("build_script", &[answers("scripted"), answers("neighbour")]);
    course.solve("scripted", RIGHT);
    course.solve("neighbour", RIGHT);
    let trace = course.root.join("the-script-ran");
    let script = format!("fn main() {{ std::fs::write({trace:?}, \"\").unwrap(); }}\n");
    course.put(&course.path("scripted", "build.rs"), &script);
    let output = course.run(&["--json"]);
    let result = crate::fixture::json(&output);
    assert_eq!(
        find(&result, "scripted")["state"],
        "tests_edited",
        "{result:#}"
    );
    let said = message(&result, "scripted");
    assert!(said.contains("has no build.rs here"), "{said}");
    assert_eq!(find(&result, "neighbour")["state"], "passing");
    assert!(!trace.exists(), "{}", text(&output.stderr));
}
