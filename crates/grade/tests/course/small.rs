//! A course of a few exercises that a test has to itself and may spoil as it likes.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;

use crate::fixture::json;

/// What an exercise is made of before a learner touches it.
#[derive(Clone, Copy)]
pub struct Exercise {
    pub name: &'static str,
    /// What its Cargo.toml says below `[package.metadata.kata]`.
    pub manifest: &'static str,
    /// The files below tests/checks, each with its text.
    pub checks: &'static [(&'static str, &'static str)],
}

/// Its only check is that `answer()` is 42.
pub const fn answers(name: &'static str) -> Exercise {
    Exercise {
        name,
        manifest: "",
        checks: &[
            ("main.rs", "mod unit;\n"),
            (
                "unit.rs",
                "#[test]\nfn answers() { assert_eq!(answer::answer(), 42); }\n",
            ),
        ],
    }
}

pub struct Small {
    pub root: PathBuf,
    names: Vec<&'static str>,
}

impl Small {
    /// Writes the course below the name of the test that uses it, and locks it.
    pub fn write(test: &str, exercises: &[Exercise]) -> Self {
        let root = Path::new(env!("CARGO_TARGET_TMPDIR")).join(test);
        let _ = fs::remove_dir_all(&root);
        let names = exercises.iter().map(|exercise| exercise.name).collect();
        let course = Self { root, names };
        course.put(
            "Cargo.toml",
            "[workspace]\nresolver = \"3\"\nmembers = [\"crates/*\", \"exercises/*/*\"]\n[profile.dev]\ndebug = 0\n",
        );
        // Something that all exercises are built with.
        course.put(
            "crates/helper/Cargo.toml",
            "[package]\nname = \"helper\"\nversion = \"0.1.0\"\nedition = \"2024\"\n",
        );
        course.put("crates/helper/src/lib.rs", "pub const HELP: u32 = 0;\n");
        for exercise in exercises {
            course.write_exercise(exercise);
        }
        let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../Cargo.lock");
        fs::copy(own, course.root.join("Cargo.lock")).unwrap();
        let cargo = Command::new(env!("CARGO"))
            .args(["update", "--workspace", "--offline", "--quiet"])
            .current_dir(&course.root)
            .stdout(Stdio::null())
            .status();
        assert!(cargo.unwrap().success());
        let locked = course.run(&["lock", "--author"]);
        assert!(locked.status.success(), "{locked:?}");
        course
    }

    fn write_exercise(&self, exercise: &Exercise) {
        let Exercise {
            name,
            manifest,
            checks,
        } = exercise;
        let kata = Path::new(env!("CARGO_MANIFEST_DIR")).join("../kata");
        let manifest = manifest.replace("KATA", &format!("{:?}", kata.display().to_string()));
        self.put(
            &self.path(name, "Cargo.toml"),
            &format!(
                "[package]\nname = \"{name}\"\nversion = \"0.1.0\"\nedition = \"2024\"\n[package.metadata.kata]\ntitle = \"The {name} one\"\n{manifest}\n[dependencies.helper]\npath = \"../../../crates/helper\"\n"
            ),
        );
        self.put(
            &self.path(name, "src/lib.rs"),
            "pub fn answer() -> u32 { todo!() }\n",
        );
        for (file, text) in *checks {
            let text = text.replace("answer::", &format!("{name}::"));
            self.put(&self.path(name, &format!("tests/checks/{file}")), &text);
        }
    }

    /// A path inside an exercise, below the course's root.
    pub fn path(&self, name: &str, rest: &str) -> String {
        let index = self.names.iter().position(|own| *own == name).unwrap();
        format!("exercises/phase1_internals/{:02}_{name}/{rest}", index + 1)
    }

    /// Writes a file below the course's root.
    pub fn put(&self, path: &str, text: &str) {
        let path = self.root.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// The learner's source.
    pub fn solve(&self, name: &str, source: &str) {
        self.put(&self.path(name, "src/lib.rs"), source);
    }

    pub fn grader(&self, arguments: &[&str]) -> Command {
        crate::grader::grader(&self.root, arguments)
    }

    pub fn run(&self, arguments: &[&str]) -> Output {
        self.grader(arguments).output().unwrap()
    }

    /// The result as data.
    pub fn grade(&self, arguments: &[&str]) -> Value {
        json(&self.run(&[&["--json"], arguments].concat()))
    }
}
