//! A class spread over machines by the engines that docs/classes.md names, as far as they can be had here: GNU parallel for
//! real, Slurm by a stand-in for `sbatch` that runs one task of the array after the other.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Output};

use super::fixture::{Course, answer, ended_with, put};

/// Does what `sbatch` does with an array: reads the number of tasks off the script, and runs each in the folder where it
/// was called, with the variables that Slurm sets. Prints the job's number, as `--parsable` has it.
const SBATCH: &str = r#"#!/bin/sh
set -eu
[ "$1" = --parsable ] && shift
script=$1
shift
last=$(sed -n 's/^#SBATCH --array=1-\([0-9]*\)$/\1/p' "$script")
cpus=$(sed -n 's/^#SBATCH --cpus-per-task=\([0-9]*\)$/\1/p' "$script")
[ -n "$last" ] && [ -n "$cpus" ]
cp "$script" spooled
task=1
while [ "$task" -le "$last" ]; do
    SLURM_JOB_ID=$((4711 + task)) SLURM_ARRAY_TASK_ID=$task SLURM_ARRAY_TASK_COUNT=$last SLURM_CPUS_PER_TASK=$cpus \
        sh spooled "$@" >"class-$task.log" 2>&1
    task=$((task + 1))
done
echo 4711
"#;

/// A course with `grade.sh`, eight submissions, and the results of a run over all of them.
fn course(name: &str) -> Course {
    let course = Course::write(name);
    for (number, body) in ["42", "41", "42", "panic!()", "42", "\"no\"", "42", "6 * 7"]
        .iter()
        .enumerate()
    {
        let path = format!("submissions/learner-{number}/answer/src/lib.rs");
        put(&course.root.join(path), &answer(body));
    }
    let script = course.root.join("grade.sh");
    let grader = env!("CARGO_BIN_EXE_grade");
    executable(
        &script,
        &format!("#!/bin/sh\nexec '{grader}' --course . \"$@\" --trust\n"),
    );
    let output = course
        .class("submissions", "whole", &["--trust"])
        .output()
        .unwrap();
    ended_with(&output, 0);
    course
}

fn executable(path: &Path, text: &str) {
    put(path, text);
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

fn shell(course: &Course, command: &str) -> Output {
    Command::new("sh")
        .args(["-c", command])
        .current_dir(&course.root)
        .env("CARGO_TARGET_DIR", course.root.join("target"))
        .env("TMPDIR", course.root.join("target"))
        .output()
        .unwrap()
}

#[track_caller]
fn merged_is_whole(course: &Course) {
    let parts: Vec<_> = fs::read_dir(course.root.join("parts")).unwrap().collect();
    let parts: Vec<_> = parts.into_iter().map(|part| part.unwrap().path()).collect();
    let mut arguments = vec!["class", "merge"];
    arguments.extend(parts.iter().map(|part| part.to_str().unwrap()));
    let merged = course.root.join("merged");
    arguments.extend(["--out", merged.to_str().unwrap()]);
    ended_with(&course.grader(&arguments).output().unwrap(), 0);
    for file in ["results.json", "results.csv"] {
        assert_eq!(
            course.text(&format!("merged/{file}")),
            course.text(&format!("whole/{file}"))
        );
    }
}

#[test]
fn a_job_array_of_slurm_grades_a_class() {
    let course = course("class-slurm");
    executable(&course.root.join("sbatch"), SBATCH);
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/class/slurm.sh");
    let output = shell(
        &course,
        &format!("./sbatch --parsable '{script}' submissions parts"),
    );
    let logs = shell(&course, "cat class-*.log");
    assert!(output.status.success(), "{output:?} {logs:?}");
    assert_eq!(fs::read_dir(course.root.join("parts")).unwrap().count(), 8);
    merged_is_whole(&course);
}

#[test]
fn gnu_parallel_grades_a_class() {
    let version = Command::new("parallel").arg("--version").output();
    if !version.is_ok_and(|said| said.stdout.starts_with(b"GNU parallel")) {
        super::say_skipped("gnu_parallel_grades_a_class", "no GNU parallel");
        return;
    }
    let course = course("class-parallel");
    let documented = fs::read_to_string(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../docs/classes.md"
    ))
    .unwrap();
    let line = documented
        .lines()
        .find(|line| line.contains("| parallel "))
        .expect("docs/classes.md has the line");
    let output = shell(&course, line.trim_start().trim_start_matches("$ "));
    assert!(output.status.success(), "{line}: {output:?}");
    merged_is_whole(&course);
}
