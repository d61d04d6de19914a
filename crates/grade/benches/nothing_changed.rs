//! How long a learner waits for a course of 55 exercises in which all is done and nothing has changed.
//!
//! `cargo bench --profile dev -p grade --bench nothing_changed` measures the grader as `./grade.sh` builds it. It writes the
//! course into a temporary folder: each exercise uses `kata` in all three worlds, and its files are as long as those of
//! 1.04. Building it once takes some minutes. Measured is `./grade.sh` as a whole, with the cargo that it asks whether the
//! grader is up to date.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use grade::course::{Course, Exercise, World};
use grade::lock::Lock;

const EXERCISES: usize = 55;
const ROUNDS: usize = 9;
const MOST: Duration = Duration::from_millis(500);

fn main() -> std::io::Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .canonicalize()?;
    let copy = tempfile::tempdir()?;
    write_course(&root, copy.path())?;
    let target = copy.path().join("target");
    let grade = |arguments: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_grade"))
            .arg("--course")
            .arg(copy.path())
            .args(arguments)
            .env("CARGO_TARGET_DIR", &target)
            .stderr(Stdio::inherit())
            .output()?;
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{said}");
        std::io::Result::Ok(said)
    };
    lock(copy.path()).expect("the course can be locked");
    for number in 1..=EXERCISES {
        let source = dir(copy.path(), number).join("src/lib.rs");
        let stub = fs::read_to_string(&source)?;
        fs::write(&source, stub.replace("todo!()", "state.load(Relaxed)"))?;
    }
    let begin = Instant::now();
    grade(&["--all"])?;
    println!("first run: {:.1} s", begin.elapsed().as_secs_f64());

    let whole = measure(|| {
        let said = grade(&["--all"]).expect("the grader runs");
        assert!(said.contains("nothing has changed since"), "{said}");
    });
    let script = measure(|| {
        let cargo = Command::new(env!("CARGO"))
            .args(["build", "--quiet", "--package", "grade", "--manifest-path"])
            .arg(root.join("Cargo.toml"))
            .status();
        assert!(cargo.expect("cargo runs").success());
    });
    let [grader, cargo] = [whole, script].map(|times| times.map(|time| time.as_secs_f64()));
    println!(
        "nothing changed: {:.3} s for {EXERCISES} exercises (median {:.3} s), and {:.3} s (median {:.3} s) for cargo to see that \
         the grader is built; least of {ROUNDS} rounds",
        grader[0], grader[1], cargo[0], cargo[1]
    );
    // What else the machine does only adds.
    let least = whole[0] + script[0];
    assert!(least <= MOST, "{least:?} is more than {MOST:?}");
    Ok(())
}

/// What `./grade.sh lock --author` writes, without building anything to find out what is known.
fn lock(root: &Path) -> grade::error::Result<()> {
    let course = Course::read(root, &Lock::default())?;
    let checks = |exercise: &Exercise| {
        let name = |world: World| match world {
            World::Std => "unit::answers".to_owned(),
            world => format!("{}::answers", world.name()),
        };
        let worlds = exercise.package.worlds.iter();
        worlds.map(|&world| (world, vec![name(world)])).collect()
    };
    let checks = course.exercises.iter().map(checks).collect();
    Lock::of(&course, checks)?.write(root)
}

/// The least and the median of some rounds, after one that does not count.
fn measure(run: impl Fn()) -> [Duration; 2] {
    run();
    let round = |_| {
        let begin = Instant::now();
        run();
        begin.elapsed()
    };
    let mut times: Vec<Duration> = (0..ROUNDS).map(round).collect();
    times.sort_unstable();
    [times[0], times[ROUNDS / 2]]
}

fn dir(course: &Path, number: usize) -> PathBuf {
    course.join(format!(
        "exercises/phase1_internals/{number:02}_e{number:02}"
    ))
}

fn write_course(root: &Path, course: &Path) -> std::io::Result<()> {
    for part in ["Cargo.lock", "crates"] {
        copy_all(&root.join(part), &course.join(part))?;
    }
    fs::remove_dir_all(course.join("crates/grade"))?;
    let mut manifest: toml::Table = toml::from_str(&fs::read_to_string(root.join("Cargo.toml"))?)
        .expect("the course's manifest is TOML");
    let workspace = manifest["workspace"].as_table_mut();
    let workspace = workspace.expect("it is a table");
    workspace.remove("default-members");
    workspace["members"] = vec!["crates/*", "exercises/*/*"].into();
    // How fast the checks are is not measured here.
    manifest.remove("profile");
    let profile = "\n[profile.dev]\ndebug = 0\nincremental = false\n";
    fs::write(course.join("Cargo.toml"), manifest.to_string() + profile)?;

    let like = root.join("exercises/phase1_internals/04_spin_lock");
    for number in 1..=EXERCISES {
        let dir = dir(course, number);
        let name = format!("e{number:02}");
        put(
            &dir.join("Cargo.toml"),
            &format!(
                "[package]\nname = \"{name}\"\nversion.workspace = true\nedition.workspace = true\n\
                 [package.metadata.kata]\ntitle = \"Exercise {number}\"\n\
                 [features]\nloom = [\"kata/loom\"]\nshuttle = [\"kata/shuttle\"]\n\
                 [dependencies]\nkata.workspace = true\n\
                 [dev-dependencies]\nkata = {{ workspace = true, features = [\"check\"] }}\n"
            ),
        )?;
        let stub = "use kata::sync::atomic::{AtomicU32, Ordering::Relaxed};\n\
                    pub fn answer(state: &AtomicU32) -> u32 { let _ = Relaxed; todo!() }\n";
        let text = in_comments(&like.join("src"))?;
        put(&dir.join("src/lib.rs"), &format!("{text}{stub}"))?;
        let text = in_comments(&like.join("tests"))?;
        put(
            &dir.join("tests/checks/main.rs"),
            &format!(
                "{text}use kata::sync::atomic::AtomicU32;\n\
                 #[cfg(not(any(feature = \"loom\", feature = \"shuttle\")))]\nmod unit {{ #[test] fn answers() {{ super::check() }} }}\n\
                 #[cfg(feature = \"loom\")]\nmod loom {{ #[test] fn answers() {{ kata::check::exhaustive(super::check) }} }}\n\
                 #[cfg(all(feature = \"shuttle\", not(feature = \"loom\")))]\nmod shuttle {{ #[test] fn answers() {{ kata::check::randomized(super::check) }} }}\n\
                 fn check() {{ assert_eq!({name}::answer(&AtomicU32::new(42)), 42) }}\n"
            ),
        )?;
    }
    let cargo = Command::new(env!("CARGO"))
        .args(["update", "--workspace", "--offline", "--quiet"])
        .current_dir(course)
        .status()?;
    assert!(cargo.success());
    Ok(())
}

/// What is in the files below a folder, as comments: as much to read, and nothing to compile.
fn in_comments(folder: &Path) -> std::io::Result<String> {
    let mut comments = String::new();
    for entry in walkdir::WalkDir::new(folder) {
        let entry = entry?;
        if entry.file_type().is_file() {
            for line in fs::read_to_string(entry.path())?.lines() {
                let _ = writeln!(comments, "// {line}");
            }
        }
    }
    Ok(comments)
}

fn put(path: &Path, text: &str) -> std::io::Result<()> {
    fs::create_dir_all(path.parent().expect("it is in a folder"))?;
    fs::write(path, text)
}

fn copy_all(from: &Path, to: &Path) -> std::io::Result<()> {
    for entry in walkdir::WalkDir::new(from) {
        let entry = entry?;
        let place = to.join(
            entry
                .path()
                .strip_prefix(from)
                .expect("the walk stays inside"),
        );
        if entry.file_type().is_dir() {
            fs::create_dir_all(place)?;
        } else {
            fs::create_dir_all(place.parent().expect("it is in a folder"))?;
            let place = if from.is_file() { to.to_owned() } else { place };
            fs::copy(entry.path(), place)?;
        }
    }
    Ok(())
}
