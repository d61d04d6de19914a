//! A course of three exercises that need no crate, and folders of submissions to it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

/// The exercises: each asks for `pub fn answer() -> u32` that returns 42. `sum` has a second world.
const EXERCISES: [(&str, &str); 3] = [("1.01", "answer"), ("1.02", "sum"), ("1.03", "rest")];

pub struct Course {
    pub root: PathBuf,
}

impl Course {
    /// Writes a course into an empty folder and has the grader lock it.
    pub fn write(name: &str) -> Self {
        let root = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        let _ = fs::remove_dir_all(&root);
        let course = Self { root };
        put(
            &course.root.join("Cargo.toml"),
            "[workspace]\nresolver = \"3\"\nmembers = [\"exercises/*/*\", \"solutions/*/*\"]\n\
             default-members = [\"solutions/*/*\"]\n[profile.dev]\ndebug = 0\n",
        );
        for (index, (_, name)) in EXERCISES.iter().enumerate() {
            let exercise = course.root.join(exercise_path(index));
            let features = if *name == "sum" {
                "[features]\nloom = []\n"
            } else {
                ""
            };
            let manifest = |package: &str| {
                format!(
                    "[package]\nname = \"{package}\"\nversion = \"0.1.0\"\nedition = \"2024\"\n[package.metadata.kata]\n\
                     title = \"The {name}\"\n{features}"
                )
            };
            put(&exercise.join("Cargo.toml"), &manifest(name));
            put(
                &exercise.join("src/lib.rs"),
                "pub fn answer() -> u32 { todo!() }\n",
            );
            let mut main = "mod unit;\n".to_owned();
            if *name == "sum" {
                main.push_str("#[cfg(feature = \"loom\")]\nmod loom;\n");
                let model =
                    format!("#[test]\nfn models() {{ assert_eq!({name}::answer(), 42); }}\n");
                put(&exercise.join("tests/checks/loom.rs"), &model);
            }
            put(&exercise.join("tests/checks/main.rs"), &main);
            put(
                &exercise.join("tests/checks/unit.rs"),
                &format!(
                    "#[test]\nfn answers() {{ assert_eq!({name}::answer(), 42); }}\n\
                     #[test]\nfn answers_little() {{ assert!({name}::answer() < 100); }}\n"
                ),
            );
        }
        let solution = course.root.join("solutions/phase1_internals/01_answer");
        put(
            &solution.join("Cargo.toml"),
            "[package]\nname = \"answer_solution\"\nversion = \"0.1.0\"\nedition = \"2024\"\n",
        );
        put(
            &solution.join("src/lib.rs"),
            "pub fn answer() -> u32 { 42 }\n",
        );
        let cargo = Command::new(env!("CARGO"))
            .args(["generate-lockfile", "--offline", "--quiet"])
            .current_dir(&course.root)
            .status();
        assert!(cargo.unwrap().success());
        let locked = course.grader(&["lock", "--author"]).output().unwrap();
        assert!(locked.status.success(), "{locked:?}");
        course
    }

    /// The grader on this course.
    pub fn grader(&self, arguments: &[&str]) -> Command {
        crate::grader::grader(&self.root, arguments)
    }

    /// `class` on the submissions in a folder, with results in another, both below the course's folder.
    pub fn class(&self, submissions: &str, out: &str, options: &[&str]) -> Command {
        let submissions = self.root.join(submissions);
        let out = self.root.join(out);
        let mut arguments = vec![
            "class",
            submissions.to_str().unwrap(),
            "--out",
            out.to_str().unwrap(),
        ];
        arguments.extend(options);
        self.grader(&arguments)
    }

    /// What is in a file of results.
    pub fn text(&self, path: &str) -> String {
        let path = self.root.join(path);
        fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }

    pub fn json(&self, path: &str) -> Value {
        serde_json::from_str(&self.text(path)).unwrap()
    }

    /// The state of an exercise in `results.json`.
    pub fn state(&self, out: &str, submission: &str, exercise: &str) -> String {
        let results = self.json(&format!("{out}/results.json"));
        let rows = results["submissions"].as_array().unwrap();
        let row = rows.iter().find(|row| row["name"] == submission);
        let reached =
            row.unwrap_or_else(|| panic!("{submission} is not in {results:#}"))["exercises"]
                .as_array()
                .unwrap()
                .iter()
                .find(|reached| reached["id"] == exercise)
                .unwrap();
        reached["state"].as_str().unwrap_or("ungraded").to_owned()
    }
}

/// Where an exercise is, below the course's root or that of a clone.
pub fn exercise_path(index: usize) -> String {
    format!(
        "exercises/phase1_internals/{:02}_{}",
        index + 1,
        EXERCISES[index].1
    )
}

pub fn put(path: &Path, text: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

/// A source in which `answer` has this body.
pub fn answer(body: &str) -> String {
    format!("pub fn answer() -> u32 {{ {body} }}\n")
}

pub fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Fails with what the grader said unless it ended with this code.
#[track_caller]
pub fn ended_with(output: &Output, code: i32) {
    assert_eq!(
        output.status.code(),
        Some(code),
        "{}\n{}",
        text(&output.stdout),
        text(&output.stderr)
    );
}

/// The processes that have `argument` in their command line.
pub fn running(argument: &str) -> usize {
    let processes = fs::read_dir("/proc").unwrap().flatten();
    processes
        .filter(|entry| {
            let line = fs::read(entry.path().join("cmdline")).unwrap_or_default();
            line.split(|&byte| byte == 0)
                .any(|word| word == argument.as_bytes())
        })
        .count()
}

/// Sends a signal by its name.
pub fn signal(process: u32, name: &str) {
    let kill = format!("kill -{name} {process}");
    let sent = Command::new("sh").args(["-c", &kill]).status();
    assert!(sent.unwrap().success());
}
