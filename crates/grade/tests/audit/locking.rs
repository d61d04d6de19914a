//! `solutions/audit.lock`: when it is written, what it vouches for, and what is audited all the same.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use grade::audit::basis::Basis;
use grade::course;
use grade::lock::Lock;
use serde_json::Value;

use crate::fixture::{
    AID, ALTERNATIVE, CHECKS, Course, HINTS, MANIFEST, MUTANTS, README, SOLUTION, STUB, of_tally,
};
use crate::grader;

const LOCK: &str = "solutions/audit.lock";
const COUNTER: &str = "phase1_internals/01_counter";
const TALLY: &str = "phase1_internals/02_tally";

/// A course of two exercises as it should be, in a repository, with nothing locked; for one test at a time.
fn course() -> (&'static Course, MutexGuard<'static, ()>) {
    static COURSE: OnceLock<Course> = OnceLock::new();
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let guard = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let course = COURSE.get_or_init(|| {
        let course = Course::write_pair("audit_lock");
        git(&course, &["init", "--quiet"]);
        git(&course, &["add", "--all"]);
        commit(&course);
        course
    });
    course.mend();
    let _ = fs::remove_file(course.root().join(LOCK));
    let _ = fs::remove_dir_all(course.root().join("crates/grade"));
    (course, guard)
}

fn git(course: &Course, arguments: &[&str]) -> String {
    let output = Command::new("git")
        .args(["-c", "user.name=A", "-c", "user.email=a@example.org"])
        .args(["-c", "commit.gpgsign=false"])
        .args(arguments)
        .current_dir(course.root())
        .output()
        .unwrap();
    assert!(output.status.success(), "{arguments:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

fn commit(course: &Course) -> String {
    git(
        course,
        &["commit", "--quiet", "--allow-empty", "-m", "more"],
    );
    git(course, &["rev-parse", "HEAD"])
}

fn locked(course: &Course) -> Option<String> {
    fs::read_to_string(course.root().join(LOCK)).ok()
}

/// Locks both exercises.
fn lock_all(course: &Course) {
    let (result, code) = course.audit_with(&["--all", "--lock"]);
    assert_eq!(code, 0, "{result:#}");
    assert_eq!(
        result["locked"]["written"],
        serde_json::json!([COUNTER, TALLY])
    );
}

/// Paths of what was audited, each with the reason.
fn audited(result: &Value) -> Vec<(String, String)> {
    let text = |one: &Value, part: &str| one[part].as_str().unwrap().to_owned();
    let exercises = result["exercises"].as_array().unwrap();
    exercises
        .iter()
        .map(|one| (text(one, "path"), text(one, "why")))
        .collect()
}

fn vouched(result: &Value) -> Vec<String> {
    let vouched = result["vouched"].as_array().unwrap();
    let path = |one: &Value| one["path"].as_str().unwrap().to_owned();
    vouched.iter().map(path).collect()
}

fn pairs(expected: &[(&str, &str)]) -> Vec<(String, String)> {
    expected
        .iter()
        .map(|(path, why)| ((*path).to_owned(), (*why).to_owned()))
        .collect()
}

#[test]
fn the_lock_is_written_when_asked_for_and_everything_is_in_order() {
    let (course, _guard) = course();
    let (result, code) = course.audit();
    assert_eq!(code, 0, "{result:#}");
    assert_eq!(audited(&result), pairs(&[(COUNTER, "new"), (TALLY, "new")]));
    assert_eq!(locked(course), None, "nobody has asked for it");

    course.edit(
        &of_tally(ALTERNATIVE),
        "*count < self.1",
        "*count <= self.1",
    );
    let (result, code) = course.audit_with(&["--all", "--lock"]);
    assert_eq!(code, 1);
    assert_eq!(result["locked"]["written"], serde_json::json!([]));
    assert_eq!(locked(course), None, "one of two is not in order");

    course.mend();
    lock_all(course);
    let text = locked(course).unwrap();
    for line in [
        "alternatives = \"2/2\"",
        "mutants = \"6/6\"",
        "orderings = \"0/1, 1 equivalent\"",
        "generated = \"1/1\"",
    ] {
        assert_eq!(text.matches(line).count(), 2, "{text}");
    }
    assert!(text.contains("kills.\"unit::counts_to_the_limit_and_no_further\" = "));
    lock_all(course);
    assert_eq!(locked(course).unwrap(), text, "it is the same every time");
}

#[test]
fn other_entries_are_kept_and_those_of_what_is_gone_are_not() {
    let (course, _guard) = course();
    lock_all(course);
    let before = locked(course).unwrap();
    let gone = before.replace(COUNTER, "phase1_internals/09_gone");
    course.put(LOCK, &gone);
    let (result, code) = course.audit_with(&["counter", "--lock"]);
    assert_eq!(code, 0);
    assert_eq!(audited(&result), pairs(&[(COUNTER, "named")]));
    assert_eq!(locked(course).unwrap(), before);
}

#[test]
fn an_audit_that_is_stopped_writes_nothing() {
    let (course, _guard) = course();
    lock_all(course);
    let before = locked(course).unwrap();
    let marker = course.root().join("target/running");
    let _ = fs::remove_file(&marker);
    let endless = format!(
        "assert_eq!(counted, 3);\n    std::fs::write({marker:?}, \"\").unwrap();\n    loop {{ std::thread::yield_now(); }}"
    );
    course.edit(CHECKS, "assert_eq!(counted, 3);", &endless);
    course.lock();
    let arguments = ["audit", "--all", "--lock", "--hang-guard", "600"];
    let mut audit = grader::grader(course.root(), &arguments)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    while !marker.exists() {
        assert_eq!(audit.try_wait().unwrap(), None, "it ended too early");
        std::thread::yield_now();
    }
    let killed = Command::new("kill")
        .args(["-INT", &audit.id().to_string()])
        .status();
    assert!(killed.unwrap().success());
    assert_eq!(audit.wait().unwrap().code(), Some(130));
    assert_eq!(locked(course).unwrap(), before);
}

#[test]
fn what_changes_while_it_is_audited_or_is_skipped_in_part_is_not_locked() {
    let (course, _guard) = course();
    let hints = course.root().join(HINTS);
    let write = format!(
        "assert_eq!(counted, 3);\n    let hints = std::fs::read_to_string({hints:?}).unwrap();\n    std::fs::write({hints:?}, hints + \"\\n\").unwrap();"
    );
    course.edit(CHECKS, "assert_eq!(counted, 3);", &write);
    let skip = r##"assert_eq!(counted, 3);
    let variable = |name| std::env::var(name).unwrap();
    let report = r#"{"schema":"kata/skip/v1","nonce":"NONCE","reason":"no server"}"#;
    let report = report.replace("NONCE", &variable("KATA_NONCE"));
    std::fs::write(variable("KATA_REPORT"), report).unwrap();"##;
    course.edit(&of_tally(CHECKS), "assert_eq!(counted, 3);", skip);
    course.lock();
    let (result, code) = course.audit_with(&["--all", "--lock"]);
    assert_eq!(code, 0, "{result:#}");
    assert_eq!(result["locked"]["written"], serde_json::json!([]));
    let left_out = &result["locked"]["left_out"];
    let expected = [
        format!("{COUNTER}: changed while it was audited"),
        format!("{TALLY}: a part was skipped, unit::counts_to_the_limit_and_no_further: no server"),
    ];
    assert_eq!(left_out, &serde_json::json!(expected));
    assert!(!locked(course).unwrap().contains("digest"));
}

#[test]
fn what_is_vouched_for_is_not_audited_but_for_a_sample_that_the_commit_draws() {
    let (course, _guard) = course();
    lock_all(course);
    let mut drawn = BTreeSet::new();
    for _ in 0..60 {
        let head = commit(course);
        let (result, code) = course.audit();
        assert_eq!((code, &result["commit"]), (0, &Value::from(head)));
        let audited = audited(&result);
        assert_eq!(audited.len(), 1, "{audited:?}");
        assert_eq!(audited[0].1, "drawn");
        assert_eq!(vouched(&result).len(), 1);
        assert_ne!(vouched(&result)[0], audited[0].0);
        assert_eq!(self::audited(&course.audit().0), audited, "the same commit");
        drawn.insert(audited[0].0.clone());
        if drawn.len() == 2 {
            break;
        }
    }
    assert_eq!(drawn.len(), 2, "only one is ever drawn");

    let table = course.run(&["audit", "--hang-guard", "2"]);
    let table = String::from_utf8(table.stdout).unwrap();
    for part in [
        "  vouched for by audit.lock\n",
        "  drawn by the commit\n",
        "1 audited, nothing wrong. 1 vouched for by solutions/audit.lock.",
        &git(course, &["rev-parse", "HEAD"]),
    ] {
        assert!(table.contains(part), "{part} is not in\n{table}");
    }

    let mut outside = grader::grader(course.root(), &["audit", "--json", "--hang-guard", "2"]);
    let outside = outside.env("GIT_DIR", "/nonexistent").output().unwrap();
    let result: Value = serde_json::from_slice(&outside.stdout).unwrap();
    let all = [(COUNTER, "no_commit"), (TALLY, "no_commit")];
    assert_eq!(audited(&result), pairs(&all));
}

#[test]
fn what_has_changed_is_audited() {
    let (course, _guard) = course();
    lock_all(course);
    course.edit(README, "# A counter", "# Another counter");
    let (result, code) = course.audit();
    assert_eq!(code, 0, "{result:#}");
    // The other one is the whole sample.
    let expected = pairs(&[(COUNTER, "changed"), (TALLY, "drawn")]);
    assert_eq!(audited(&result), expected);

    // A digest that somebody made up.
    course.mend();
    let text = locked(course).unwrap();
    let begin = text.find("digest = \"").unwrap() + 10;
    let made_up = format!(
        "{}{}{}",
        &text[..begin],
        "0".repeat(64),
        &text[begin + 64..]
    );
    course.put(LOCK, &made_up);
    assert_eq!(audited(&course.audit().0), expected);

    // What another compiler has built.
    course.put(
        LOCK,
        &text.replacen("compiler = \"rustc", "compiler = \"other", 1),
    );
    let other = pairs(&[(COUNTER, "other_compiler"), (TALLY, "drawn")]);
    assert_eq!(audited(&course.audit().0), other);

    // What everybody can see to be wrong.
    course.put(LOCK, &text);
    let tests = fs::read_to_string(course.root().join("exercises/tests.lock")).unwrap();
    let begin = tests.find("stub = \"").unwrap() + 8;
    let stale = format!(
        "{}{}{}",
        &tests[..begin],
        "0".repeat(64),
        &tests[begin + 64..]
    );
    course.put("exercises/tests.lock", &stale);
    let (result, code) = course.audit();
    assert_eq!(code, 1);
    assert_eq!(audited(&result)[0], pairs(&[(COUNTER, "wrong")])[0]);

    course.put(LOCK, "digest =");
    let damaged = course.run(&["audit"]);
    let said = String::from_utf8(damaged.stderr).unwrap();
    assert_eq!(damaged.status.code(), Some(2));
    assert!(said.contains("solutions/audit.lock is damaged"), "{said}");
}

/// The digests of both exercises.
fn digests(root: &Path) -> [String; 2] {
    let course = course::Course::read(root, &Lock::read(root).unwrap()).unwrap();
    let basis = Basis::read(root, Duration::from_secs(2)).unwrap();
    [0, 1].map(|index| basis.of_audit(&course.exercises[index]).unwrap())
}

#[test]
fn everything_that_an_audit_depends_on_is_in_the_digest_and_nothing_else() {
    let (course, _guard) = course();
    let before = digests(course.root());
    let versions = fs::read_to_string(course.root().join("Cargo.lock")).unwrap();
    let append = |path: &str| {
        let path = course.root().join(path);
        let text = fs::read_to_string(&path).unwrap_or_default();
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text + "\n# or // more\n").unwrap();
    };
    let (both, first, second, none) = ([true; 2], [true, false], [false, true], [false; 2]);
    for (path, expected) in [
        (SOLUTION, first),
        (MUTANTS, first),
        (ALTERNATIVE, first),
        (CHECKS, first),
        (STUB, first),
        (README, first),
        (HINTS, first),
        (MANIFEST, first),
        ("solutions/phase1_internals/02_tally/src/part.rs", second),
        ("exercises/phase1_internals/02_tally/tests/part.rs", second),
        (AID, second),
        ("crates/aid/Cargo.toml", second),
        ("crates/aid/tests/own.rs", none),
        (".cargo/config.toml", both),
        ("crates/grade/src/judge.rs", both),
        ("crates/grade/src/audit/verdicts.rs", both),
        ("crates/grade/src/hint.rs", none),
        ("README.md", none),
        ("Cargo.toml", none),
    ] {
        append(path);
        let after = digests(course.root());
        let changed = [0, 1].map(|index| before[index] != after[index]);
        assert_eq!(changed, expected, "{path}");
        course.mend();
        for extra in ["tests/part.rs", "src/part.rs"] {
            for folder in ["solutions", "exercises"] {
                let part = format!("{folder}/{TALLY}/{extra}");
                let _ = fs::remove_file(course.root().join(part));
            }
        }
        for extra in [".cargo", "crates/grade", "crates/aid/tests", "README.md"] {
            let extra = course.root().join(extra);
            let _ = fs::remove_dir_all(&extra).or_else(|_| fs::remove_file(&extra));
        }
        assert_eq!(digests(course.root()), before, "{path}");
    }

    course.edit("Cargo.toml", "debug = 0", "debug = 1");
    let after = digests(course.root());
    assert!(after[0] != before[0] && after[1] != before[1]);
    course.mend();

    // A version that only one of them is built with, and one that none is.
    let outside = |name: &str| {
        format!(
            "\n[[package]]\nname = \"{name}\"\nversion = \"1.0.0\"\nsource = \"registry+https://github.com/rust-lang/crates.io-index\"\n"
        )
    };
    course.put("Cargo.lock", &(versions.clone() + &outside("unused")));
    assert_eq!(digests(course.root()), before);
    let used = versions.replace(
        "name = \"aid\"",
        "name = \"aid\"\ndependencies = [\"used\"]",
    );
    course.put("Cargo.lock", &(used + &outside("used")));
    let after = digests(course.root());
    assert!(after[0] == before[0] && after[1] != before[1]);
    course.put("Cargo.lock", &versions);
}

#[test]
fn another_checkout_has_the_same_digests() {
    let (course, _guard) = course();
    let elsewhere = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    for entry in walkdir::WalkDir::new(course.root()) {
        let entry = entry.unwrap();
        let relative = entry.path().strip_prefix(course.root()).unwrap();
        if relative.starts_with("target") || relative.starts_with(".git") {
            continue;
        }
        let copy = elsewhere.path().join(relative);
        if entry.file_type().is_dir() {
            fs::create_dir_all(copy).unwrap();
        } else {
            // As git writes them on Windows.
            let text = fs::read_to_string(entry.path()).unwrap();
            fs::write(copy, text.replace('\n', "\r\n")).unwrap();
        }
    }
    assert_eq!(digests(elsewhere.path()), digests(course.root()));
}

#[test]
fn checks_are_tried_in_the_order_in_which_they_have_rejected_but_of_the_declared_kind_first() {
    let (course, _guard) = course();
    let nobody = "[[mutant]]\nname = \"nobody_counts\"\nwhy = \"Nobody gets in.\"\nkilled_by = \"unit\"\n[[mutant.edit]]\nfind = \"return true\"\nreplace = \"return false\"\n\n[[equivalent]]";
    course.edit(MUTANTS, "[[equivalent]]", nobody);
    // The slow one would come last if nothing were known.
    let slow = "fn begins_at_nothing() {\n    for number in 0..1_500_000 {\n        std::hint::black_box(number);\n    }";
    course.edit(CHECKS, "fn begins_at_nothing() {", slow);
    course.lock();
    let (_, code) = course.audit_with(&["counter", "--lock"]);
    assert_eq!(code, 0);
    let text = locked(course).unwrap();
    let entry = &text[..text.find("kills.").unwrap()];
    // Each of these mutants is rejected by more than one check.
    let killers = |kills: &str| {
        course.put(LOCK, &format!("{entry}{kills}"));
        let (result, code) = course.audit_with(&["counter", "--no-cache"]);
        assert_eq!(code, 0, "{result:#}");
        let variants = result["exercises"][0]["variants"].as_array().unwrap();
        ["begins_at_one", "nobody_counts"].map(|name| {
            let variant = variants.iter().find(|variant| variant["name"] == name);
            variant.unwrap()["by"].as_str().unwrap().to_owned()
        })
    };
    let (first, second) = (
        "unit::begins_at_nothing",
        "unit::counts_to_the_limit_and_no_further",
    );
    let process = "kills.\"process::a_program_counts\" = 99\n";
    let found = killers(&format!(
        "{process}kills.\"{first}\" = 2\nkills.\"{second}\" = 1\n"
    ));
    assert_eq!(found, [first, second]);
    let found = killers(&format!(
        "{process}kills.\"{first}\" = 1\nkills.\"{second}\" = 2\n"
    ));
    assert_eq!(found, [second, second]);
}

#[test]
fn parts_make_up_the_whole() {
    let (course, _guard) = course();
    let part = |shard: &str| {
        let (result, code) = course.audit_with(&["--all", "--shard", shard]);
        assert_eq!((code, result["shard"].as_str()), (0, Some(shard)));
        audited(&result)
    };
    assert_eq!(part("1/2"), pairs(&[(COUNTER, "all")]));
    assert_eq!(part("2/2"), pairs(&[(TALLY, "all")]));
    assert_eq!(part("3/3"), pairs(&[]));
    let named = course.audit_with(&["phase1", "--shard", "2/2"]).0;
    assert_eq!(audited(&named), pairs(&[(TALLY, "named")]));
    let table = course.run(&["audit", "--shard", "2/2", "--hang-guard", "2"]);
    let table = String::from_utf8(table.stdout).unwrap();
    assert!(table.ends_with("1 audited, nothing wrong. This is part 2/2.\n"));
    let nothing = course.run(&["audit", "--shard", "3/3"]);
    assert_eq!(nothing.stdout, b"Nothing was audited. This is part 3/3.\n");
}

#[test]
fn arguments_that_make_no_sense_are_explained() {
    let (course, _guard) = course();
    for shard in ["0/2", "3/2", "2", "a/b", "1/0", "-1/2", "1/2/3"] {
        let output = course.run(&["audit", &format!("--shard={shard}")]);
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{shard}: {said}");
        assert!(said.contains("K/N is needed, with K from 1 to N"), "{said}");
    }
    let both = course.run(&["audit", "--all", "counter"]);
    let said = String::from_utf8(both.stderr).unwrap();
    assert_eq!(both.status.code(), Some(2));
    assert!(said.contains("cannot be used with"), "{said}");
}

#[test]
fn help_says_what_is_audited_and_when_the_lock_is_written() {
    let (course, _guard) = course();
    let help = course.run(&["audit", "--help"]);
    assert_eq!(help.status.code(), Some(0));
    let words: Vec<String> = String::from_utf8(help.stdout)
        .unwrap()
        .split_whitespace()
        .map(str::to_owned)
        .collect();
    let help = words.join(" ");
    for part in [
        "--all Audit everything, whatever audit.lock vouches for",
        "--shard <K/N> Audit the K-th of N parts",
        "--lock Write what was audited into solutions/audit.lock, unless something is wrong",
        "one in five of the others, drawn by the commit's hash",
        "outside of a git repository, everything",
    ] {
        assert!(help.contains(part), "{part} is not in\n{help}");
    }
}
