//! `exercises/tests.lock`: what tests, Cargo.toml and stub of each exercise were when its author last said so.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::io;
use std::path::Path;

use serde::Deserialize;

use crate::course::Course;
use crate::digest;
use crate::error::{Error, Result};

/// The digests of one exercise.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Entry {
    /// Of everything below tests/.
    pub tests: String,
    /// Of Cargo.toml.
    pub manifest: String,
    /// Of everything below src/.
    pub stub: String,
}

impl Entry {
    /// The digests of what is in `dir` now.
    pub fn of(dir: &Path) -> io::Result<Self> {
        Ok(Self {
            tests: digest::folder(&dir.join("tests"))?,
            manifest: digest::file(&dir.join("Cargo.toml"))?,
            stub: digest::folder(&dir.join("src"))?,
        })
    }
}

/// All entries, by `phase1_internals/04_spin_lock`.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Lock(BTreeMap<String, Entry>);

impl Lock {
    /// The file below the course's root.
    pub const PATH: &str = "exercises/tests.lock";

    /// Reads the file; without one, nothing is locked.
    pub fn read(root: &Path) -> Result<Self> {
        let advice = format!(
            "`git checkout -- {}` brings the course's own back.",
            Self::PATH
        );
        let text = match fs::read_to_string(root.join(Self::PATH)) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(error) => {
                return Err(Error::new(
                    format!("{} cannot be read: {error}", Self::PATH),
                    advice,
                ));
            }
        };
        toml::from_str(&text).map(Self).map_err(|error| {
            Error::new(
                format!("{} is damaged: {}", Self::PATH, error.message()),
                advice,
            )
        })
    }

    /// What the file should say about the course as it is now.
    pub fn of(course: &Course) -> Result<Self> {
        let mut entries = BTreeMap::new();
        for exercise in &course.exercises {
            if let Some(problem) = &exercise.unusable {
                return Err(Error::new(
                    format!("{} cannot be locked: {problem}.", exercise.path()),
                    "Mend or remove the exercise, then lock again.",
                ));
            }
            let entry = Entry::of(&exercise.package.dir).map_err(|error| {
                Error::new(format!("{} cannot be read: {error}", exercise.path()), "")
            })?;
            entries.insert(exercise.path(), entry);
        }
        Ok(Self(entries))
    }

    /// The entry of an exercise.
    pub fn entry(&self, phase: &str, folder: &str) -> Option<&Entry> {
        self.0.get(&format!("{phase}/{folder}"))
    }

    /// The folders that a phase should have.
    pub fn folders_of(&self, phase: &str) -> Vec<String> {
        self.0
            .keys()
            .filter_map(|path| path.strip_prefix(phase)?.strip_prefix('/'))
            .map(str::to_owned)
            .collect()
    }

    /// The text of the file.
    pub fn render(&self) -> String {
        let mut text = String::from(
            "# What the grader takes for the course's own: SHA-256 of each exercise's tests/, Cargo.toml and src/ (the stub).\n\
             # Written by `./grade.sh lock`, which an author runs after changing an exercise.\n",
        );
        for (path, entry) in &self.0 {
            let _ = write!(
                text,
                "\n[\"{path}\"]\ntests = \"{}\"\nmanifest = \"{}\"\nstub = \"{}\"\n",
                entry.tests, entry.manifest, entry.stub
            );
        }
        text
    }

    /// Rewrites the file.
    pub fn write(&self, root: &Path) -> Result<()> {
        fs::write(root.join(Self::PATH), self.render())
            .map_err(|error| Error::new(format!("{} cannot be written: {error}", Self::PATH), ""))
    }
}
