//! How long a learner waits: from one edited line to the full verdict of one exercise in all its worlds, warm.
//!
//! `cargo bench -p grade` works on a copy of the course in a temporary folder, with a target folder of its own. The
//! exercise is the first argument, 1.04 if there is none; what is graded is its reference solution, edited anew in each
//! round so that nothing comes from the cache.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const ROUNDS: usize = 7;

fn main() -> std::io::Result<()> {
    let wanted = std::env::args()
        .skip(1)
        .find(|argument| !argument.starts_with('-'));
    let wanted = wanted.unwrap_or_else(|| "spin_lock".to_owned());
    let root = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .canonicalize()?;
    let (exercise, solution) =
        folders(&root, &wanted).unwrap_or_else(|| panic!("no exercise is called {wanted}"));

    let copy = tempfile::tempdir()?;
    for part in [
        "Cargo.toml",
        "Cargo.lock",
        ".cargo/config.toml",
        "crates/kata",
        "crates/memory-model",
        "crates/process-group",
        "crates/report",
        "exercises/tests.lock",
    ] {
        copy_all(&root.join(part), &copy.path().join(part))?;
    }
    for folder in [&exercise, &solution] {
        copy_all(&root.join(folder), &copy.path().join(folder))?;
    }
    let source = fs::read_to_string(root.join(&solution).join("src/lib.rs"))?;
    let edited = copy.path().join(&exercise).join("src/lib.rs");
    let target = copy.path().join("target");
    let grade = |round: usize| -> std::io::Result<Duration> {
        fs::write(&edited, format!("{source}\nconst _: usize = {round};\n"))?;
        let begin = Instant::now();
        let output = Command::new(env!("CARGO_BIN_EXE_grade"))
            .args(["--json", "--course"])
            .arg(copy.path())
            .arg(&wanted)
            .env("CARGO_TARGET_DIR", &target)
            .stderr(Stdio::inherit())
            .output()?;
        let taken = begin.elapsed();
        let verdict = String::from_utf8_lossy(&output.stdout);
        assert!(
            output.status.success() && verdict.contains("\"passing\""),
            "the reference must pass:\n{verdict}"
        );
        Ok(taken)
    };

    println!("{wanted}: cold {:.1} s", grade(0)?.as_secs_f64());
    let mut times = (1..=ROUNDS)
        .map(grade)
        .collect::<std::io::Result<Vec<_>>>()?;
    times.sort_unstable();
    let [least, median, most] = [0, ROUNDS / 2, ROUNDS - 1].map(|index| times[index].as_secs_f64());
    println!(
        "{wanted}: edit to verdict {median:.2} s (median of {ROUNDS}; {least:.2} to {most:.2})"
    );
    Ok(())
}

/// The folders of an exercise and of its solution, relative to the root.
fn folders(root: &Path, name: &str) -> Option<(PathBuf, PathBuf)> {
    let phases = fs::read_dir(root.join("exercises")).ok()?.flatten();
    phases
        .filter_map(|phase| Some((phase.file_name(), fs::read_dir(phase.path()).ok()?)))
        .flat_map(|(phase, exercises)| {
            exercises
                .flatten()
                .map(move |exercise| (phase.clone(), exercise.file_name()))
        })
        .find(|(_, exercise)| {
            exercise
                .to_string_lossy()
                .split_once('_')
                .is_some_and(|(_, rest)| rest == name)
        })
        .map(|(phase, exercise)| {
            let within = Path::new(&phase).join(exercise);
            (
                Path::new("exercises").join(&within),
                Path::new("solutions").join(&within),
            )
        })
}

fn copy_all(from: &Path, to: &Path) -> std::io::Result<()> {
    for entry in walkdir::WalkDir::new(from) {
        let entry = entry?;
        let within = entry
            .path()
            .strip_prefix(from)
            .expect("the walk stays inside");
        let place = if within.as_os_str().is_empty() {
            to.to_owned()
        } else {
            to.join(within)
        };
        if entry.file_type().is_dir() {
            fs::create_dir_all(place)?;
        } else {
            if let Some(parent) = place.parent() {
                fs::create_dir_all(parent)?;
            }
            fs::copy(entry.path(), place)?;
        }
    }
    Ok(())
}
