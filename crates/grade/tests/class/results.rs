//! What comes out does not depend on the sandbox, so these trust their submissions and run everywhere.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use super::fixture::{Course, answer, ended_with, exercise_path, put, signal, text};

/// Seven submissions, each with a trouble of its own.
fn write_submissions(folder: &Path) {
    let right = answer("42");
    let of = |submission: &str, path: &str| folder.join(submission).join(path);
    // A clone of the course.
    for index in 0..3 {
        let path = format!("{}/src/lib.rs", exercise_path(index));
        put(&of("anna", &path), &right);
    }
    // A folder an exercise; `rest` is the stub.
    put(
        &of("ben", "answer/src/lib.rs"),
        &answer("panic!(\"<script>alert(1)</script>\")"),
    );
    put(
        &of("ben", "02_sum/src/lib.rs"),
        "mod parts;\npub use parts::answer;\n",
    );
    put(&of("ben", "02_sum/src/parts/mod.rs"), &right);
    put(
        &of("ben", "rest/src/lib.rs"),
        "pub fn answer() -> u32 { todo!() }\r\n",
    );
    // Nothing can be compiled, or nothing ends.
    put(&of("carl", "answer/src/lib.rs"), &answer("\"forty-two\""));
    put(&of("carl", "sum/src/lib.rs"), &answer("loop {}"));
    put(
        &of("carl", "rest/src/lib.rs"),
        &answer("std::process::exit(0)"),
    );
    // What is no source file.
    fs::create_dir_all(of("dora", "answer/src")).unwrap();
    let fifo = Command::new("mkfifo")
        .arg(of("dora", "answer/src/lib.rs"))
        .status();
    assert!(fifo.unwrap().success());
    put(&of("dora", "sum/src/lib.rs"), &right);
    put(&of("dora", "sum/src/big.rs"), &"/".repeat(600 * 1024));
    put(&of("dora", "sum/src/notes.txt"), "todo");
    symlink("/etc/passwd", of("dora", "sum/src/link.rs")).unwrap();
    put(
        &of("dora", "sum/build.rs"),
        "compile_error!(\"it was built\");\n",
    );
    put(
        &of("dora", "sum/tests/checks/unit.rs"),
        "compile_error!(\"it was built\");\n",
    );
    put(&folder.join("elsewhere.rs"), &right);
    fs::create_dir_all(of("dora", "rest")).unwrap();
    symlink("../../anna", of("dora", "rest/src")).unwrap();
    // Nothing at all, in three ways.
    fs::create_dir_all(folder.join("empty")).unwrap();
    symlink("anna", folder.join("linked")).unwrap();
    put(&of("=1+1, \"x\"", "README"), "to do");
}

const STATES: [(&str, [&str; 3]); 7] = [
    ("anna", ["passing", "passing", "passing"]),
    ("ben", ["failing", "passing", "not_started"]),
    ("carl", ["wont_compile", "hanging", "failing"]),
    ("dora", ["wont_compile", "passing", "not_started"]),
    ("empty", ["not_started", "not_started", "not_started"]),
    ("linked", ["not_started", "not_started", "not_started"]),
    ("=1+1, \"x\"", ["not_started", "not_started", "not_started"]),
];

const OPTIONS: [&str; 4] = ["--trust", "--hang-guard", "3", "--jobs"];

fn options(jobs: &'static str) -> Vec<&'static str> {
    [&OPTIONS[..], &[jobs]].concat()
}

/// The course, its submissions, and the results of a whole run in `whole`; a test at a time has them to itself.
fn graded() -> (&'static Course, MutexGuard<'static, ()>) {
    static GRADED: OnceLock<Course> = OnceLock::new();
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let course = GRADED.get_or_init(|| {
        let course = Course::write("class");
        write_submissions(&course.root.join("submissions"));
        let output = course
            .class("submissions", "whole", &options("2"))
            .output()
            .unwrap();
        ended_with(&output, 0);
        course
    });
    let guard = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    (course, guard)
}

#[test]
fn every_submission_has_its_states_and_points() {
    let (course, _guard) = graded();
    for (submission, states) in STATES {
        for (id, state) in ["1.01", "1.02", "1.03"].iter().zip(states) {
            assert_eq!(
                course.state("whole", submission, id),
                state,
                "{submission} {id}"
            );
        }
    }
    let results = course.json("whole/results.json");
    assert_eq!(results["schema"], "kata/class/v1");
    assert_eq!(results["sandbox"], "none");
    assert_eq!(results["exercises"][1]["checks"]["loom"], 1);
    let anna = results["submissions"]
        .as_array()
        .unwrap()
        .iter()
        .find(|row| row["name"] == "anna");
    let anna = anna.unwrap();
    assert_eq!(anna["passing"], 3);
    assert_eq!(anna["exercises"][1]["points"]["loom"], 1);
    assert_eq!(
        anna["exercises"][0]["points"]["unit"],
        results["exercises"][0]["checks"]["unit"]
    );
}

#[test]
fn the_table_has_a_row_a_submission_and_no_formula() {
    let (course, _guard) = graded();
    let table = course.text("whole/results.csv");
    let lines: Vec<&str> = table.lines().collect();
    assert_eq!(lines.len(), 8, "{table}");
    assert!(
        lines[0].starts_with("submission,passing,1.01 answer,1.01 unit of 2,1.02 sum,"),
        "{table}"
    );
    assert!(
        lines
            .iter()
            .any(|line| line.starts_with("anna,3,passing,2,passing,1,")),
        "{table}"
    );
    assert!(
        lines
            .iter()
            .any(|line| line.starts_with("\"'=1+1, \"\"x\"\"\",0,not started,0,")),
        "{table}"
    );
}

#[test]
fn a_page_shows_what_failed_as_text() {
    let (course, _guard) = graded();
    let page = course.text("whole/submissions/ben.html");
    assert!(
        page.contains("&lt;script&gt;alert(1)&lt;/script&gt;"),
        "{page}"
    );
    assert!(!page.contains("<script"), "{page}");
    assert!(
        !page.contains("http://") && !page.contains("https://"),
        "{page}"
    );
    assert!(
        fs::exists(
            course
                .root
                .join("whole/submissions/%3D1%2B1%2C%20%22x%22.html")
        )
        .unwrap()
    );
}

#[test]
fn only_source_files_are_taken_and_the_rest_is_told() {
    let (course, _guard) = graded();
    let record = course.json("whole/submissions/dora.json");
    let said = record.to_string();
    for words in [
        "src/lib.rs was left: it is a FIFO, not a file.",
        "There is no src/lib.rs.",
        "src/big.rs was left: it is larger than 512 KiB.",
        "src/link.rs was left: it is a link, not a file.",
        "src/notes.txt was left: only .rs files are taken.",
        "rest/src is a link, not a folder: not entered.",
    ] {
        assert!(said.contains(words), "{words:?} is missing: {record:#}");
    }
    let notes =
        |name: &str| course.json(&format!("whole/submissions/{name}.json"))["notes"].clone();
    assert_eq!(
        notes("linked")[0],
        "Nothing was taken: it is a link, not a folder."
    );
    assert!(
        notes("empty")[0]
            .as_str()
            .unwrap()
            .starts_with("No exercise was found")
    );
}

#[test]
fn a_killed_run_goes_on_where_it_stopped() {
    let (course, _guard) = graded();
    let _ = fs::remove_dir_all(course.root.join("killed"));
    let mut run = course
        .class("submissions", "killed", &options("1"))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    // By then one submission is through, and another is not.
    let first = course.root.join("killed/submissions/anna.json");
    while !first.exists() {
        assert!(
            run.try_wait().unwrap().is_none(),
            "it ended before it could be killed"
        );
        std::thread::yield_now();
    }
    signal(run.id(), "KILL");
    run.wait().unwrap();
    assert!(!fs::exists(course.root.join("killed/results.json")).unwrap());
    assert!(!fs::exists(course.root.join("killed/submissions/carl.json")).unwrap());
    let written = fs::metadata(&first).unwrap().modified().unwrap();

    let output = course
        .class("submissions", "killed", &options("2"))
        .output()
        .unwrap();
    ended_with(&output, 0);
    let stderr = text(&output.stderr);
    assert!(
        stderr.contains("anna: 3 passing (known already)"),
        "{stderr}"
    );
    assert!(
        !stderr.contains("carl: 1 failing, 1 hanging, 1 won't compile (known"),
        "{stderr}"
    );
    for file in ["results.json", "results.csv"] {
        assert_eq!(
            course.text(&format!("killed/{file}")),
            course.text(&format!("whole/{file}"))
        );
    }
    assert_eq!(
        fs::metadata(&first).unwrap().modified().unwrap(),
        written,
        "it was graded again"
    );
    let left: Vec<_> = fs::read_dir(course.root.join("killed"))
        .unwrap()
        .flatten()
        .collect();
    assert!(
        left.iter()
            .all(|entry| !entry.file_name().as_encoded_bytes().starts_with(b".work")),
        "{left:?}"
    );
}

#[test]
fn parts_put_together_are_the_whole() {
    let (course, _guard) = graded();
    let mut parts = Vec::new();
    for part in ["1/3", "2/3", "3/3"] {
        let out = format!("part-{}", &part[..1]);
        let mut arguments = options("2");
        arguments.extend(["--shard", part]);
        ended_with(
            &course
                .class("submissions", &out, &arguments)
                .output()
                .unwrap(),
            0,
        );
        parts.push(course.root.join(out).to_str().unwrap().to_owned());
    }
    let merged = course.root.join("merged");
    let merge = |parts: &[String]| {
        let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
        let arguments = [
            &["class", "merge"],
            &parts[..],
            &["--out", merged.to_str().unwrap()],
        ];
        course.grader(&arguments.concat()).output().unwrap()
    };
    let output = merge(&parts);
    ended_with(&output, 0);
    assert_eq!(text(&output.stderr), "");
    for file in ["results.json", "results.csv"] {
        assert_eq!(
            course.text(&format!("merged/{file}")),
            course.text(&format!("whole/{file}"))
        );
    }
    assert!(fs::exists(merged.join("submissions/ben.html")).unwrap());

    let output = merge(&parts[1..]);
    ended_with(&output, 0);
    assert!(text(&output.stderr).contains("Shard 1/3 is not among the parts."));
    fs::remove_file(course.root.join("part-2/results.json")).unwrap();
    let output = merge(&parts);
    ended_with(&output, 2);
    assert!(text(&output.stderr).contains("A run writes it when it is through"));
    let results = course
        .text("part-3/results.json")
        .replace("\"none\"", "\"bubblewrap\"");
    fs::write(course.root.join("part-3/results.json"), results).unwrap();
    let output = merge(&[parts[0].clone(), parts[2].clone()]);
    ended_with(&output, 2);
    assert!(text(&output.stderr).contains("differ in the sandbox"));
}

#[test]
fn what_a_submission_changed_is_graded_again_and_nothing_else() {
    let (course, _guard) = graded();
    let submissions = course.root.join("changing");
    put(&submissions.join("emil/answer/src/lib.rs"), &answer("41"));
    put(&submissions.join("fay/answer/src/lib.rs"), &answer("42"));
    let run = || {
        let output = course
            .class("changing", "changed", &options("1"))
            .output()
            .unwrap();
        ended_with(&output, 0);
        text(&output.stderr)
    };
    run();
    assert_eq!(course.state("changed", "emil", "1.01"), "failing");
    put(
        &submissions.join("emil/answer/src/lib.rs"),
        &answer("40 + 2"),
    );
    let said = run();
    assert!(said.contains("emil: 1 passing, 2 not started\n"), "{said}");
    assert!(
        said.contains("fay: 1 passing, 2 not started (known already)"),
        "{said}"
    );
    assert_eq!(course.state("changed", "emil", "1.01"), "passing");
}

#[test]
fn without_a_sandbox_nothing_runs_unless_it_is_trusted() {
    let (course, _guard) = graded();
    let toolchain = Path::new(env!("CARGO")).parent().unwrap();
    let output = course
        .class("submissions", "untrusted", &[])
        .env("PATH", toolchain)
        .output()
        .unwrap();
    ended_with(&output, 2);
    let stderr = text(&output.stderr);
    assert!(stderr.contains("bubblewrap is not installed"), "{stderr}");
    assert!(stderr.contains("--trust"), "{stderr}");
    let left: Vec<_> = fs::read_dir(course.root.join("untrusted/submissions"))
        .unwrap()
        .collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn results_among_the_submissions_are_refused() {
    let (course, _guard) = graded();
    let output = course
        .class("submissions", "submissions", &options("1"))
        .output()
        .unwrap();
    ended_with(&output, 2);
    assert!(
        text(&output.stderr).contains("lies in"),
        "{}",
        text(&output.stderr)
    );
    assert!(!fs::exists(course.root.join("submissions/submissions")).unwrap());
}

#[test]
fn a_course_that_was_worked_on_grades_nobody() {
    let course = Course::write("class-solved");
    write_submissions(&course.root.join("submissions"));
    put(
        &course.root.join(exercise_path(1)).join("src/lib.rs"),
        &answer("42"),
    );
    let output = course
        .class("submissions", "out", &options("1"))
        .output()
        .unwrap();
    ended_with(&output, 2);
    let stderr = text(&output.stderr);
    assert!(
        stderr.contains("exercises/phase1_internals/02_sum"),
        "{stderr}"
    );
    assert!(stderr.contains("fresh clone"), "{stderr}");
}
