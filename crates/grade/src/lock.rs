//! `exercises/tests.lock`: what tests, Cargo.toml and stub of each exercise were when its author last said so, which tests
//! there are, and what the crates were that they are built with.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::io;
use std::path::Path;

use serde::Deserialize;

use crate::cache::LocalCrates;
use crate::course::{Course, World};
use crate::digest;
use crate::error::{Error, Result};
use crate::files;

/// The full names of all tests, by the world that they are built in, in order.
pub type Checks = BTreeMap<World, Vec<String>>;

/// One exercise.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Entry {
    /// Of everything below tests/.
    pub tests: String,
    /// Of Cargo.toml.
    pub manifest: String,
    /// Of everything below src/.
    pub stub: String,
    /// Of tests/ and Cargo.toml when the tests were listed. Where two versions of this file were put together by hand, it
    /// tells that the list is of another one.
    #[serde(default)]
    pub listed: String,
    /// Its tests.
    #[serde(default)]
    pub checks: Checks,
}

impl Entry {
    /// The digests of what is in `dir` now, without its tests: those are known once they are built.
    pub fn of(dir: &Path) -> io::Result<Self> {
        let tests = digest::folder(&dir.join("tests"))?;
        let manifest = digest::file(&dir.join("Cargo.toml"))?;
        let mut listed = digest::Digest::default();
        listed.add(&tests);
        listed.add(&manifest);
        Ok(Self {
            stub: digest::folder(&dir.join("src"))?,
            listed: listed.finish(),
            tests,
            manifest,
            checks: Checks::new(),
        })
    }
}

/// What the file says.
#[derive(Debug, Default, PartialEq, Eq, Deserialize)]
pub struct Lock {
    /// Digests of what all exercises are built with, by the path below the course's root.
    #[serde(default)]
    course: BTreeMap<String, String>,
    /// By `phase1_internals/04_spin_lock`.
    #[serde(flatten)]
    exercises: BTreeMap<String, Entry>,
}

impl Lock {
    /// The file below the course's root.
    pub const PATH: &str = "exercises/tests.lock";

    /// Reads the file; without one, nothing is locked.
    pub fn read(root: &Path) -> Result<Self> {
        let advice = format!(
            "`git checkout -- {}` brings the course's own back.",
            Self::PATH
        );
        files::read_toml(root, Self::PATH, &advice)
    }

    /// What the file should say about the course as it is now. `checks` lists the tests of each exercise, in the
    /// course's order.
    pub fn of(course: &Course, checks: Vec<Checks>) -> Result<Self> {
        let mut exercises = BTreeMap::new();
        for (exercise, checks) in course.exercises.iter().zip(checks) {
            if let Some(problem) = &exercise.unusable {
                return Err(Error::new(
                    format!("{} cannot be locked: {problem}.", exercise.path()),
                    "Mend or remove the exercise, then lock again.",
                ));
            }
            let unreadable =
                |error| Error::new(format!("{} cannot be read: {error}", exercise.path()), "");
            let entry = Entry::of(&exercise.package.dir).map_err(unreadable)?;
            exercises.insert(exercise.path(), Entry { checks, ..entry });
        }
        Ok(Self {
            course: shared_parts(course)?,
            exercises,
        })
    }

    /// The entry of an exercise.
    pub fn entry(&self, phase: &str, folder: &str) -> Option<&Entry> {
        self.exercises.get(&format!("{phase}/{folder}"))
    }

    /// The folders that a phase should have.
    pub fn folders_of(&self, phase: &str) -> Vec<String> {
        self.exercises
            .keys()
            .filter_map(|path| path.strip_prefix(phase)?.strip_prefix('/'))
            .map(str::to_owned)
            .collect()
    }

    /// What all exercises are built with and is not the course's own now, by the path below `root`.
    pub fn edited_parts(&self, root: &Path) -> Vec<String> {
        self.course
            .iter()
            .filter(|(path, digest)| shared_part(&root.join(path)).ok().as_ref() != Some(*digest))
            .map(|(path, _)| path.clone())
            .collect()
    }

    /// The text of the file.
    pub fn render(&self) -> String {
        let mut text = String::from(
            "# What the grader takes for the course's own: SHA-256 of what all exercises are built with, and of each exercise's\n\
             # tests/, Cargo.toml and src/ (the stub), with the names of its tests in each world.\n\
             # Written by `./grade.sh lock --author`, which an author runs after changing an exercise or one of these crates.\n\
             \n[course]\n",
        );
        for (path, digest) in &self.course {
            let _ = writeln!(text, "\"{path}\" = \"{digest}\"");
        }
        for (path, entry) in &self.exercises {
            let _ = write!(
                text,
                "\n[\"{path}\"]\ntests = \"{}\"\nmanifest = \"{}\"\nstub = \"{}\"\nlisted = \"{}\"\n",
                entry.tests, entry.manifest, entry.stub, entry.listed
            );
            for (world, names) in &entry.checks {
                let _ = writeln!(text, "checks.{} = [", world.name());
                for name in names {
                    let _ = writeln!(text, "    \"{name}\",");
                }
                text.push_str("]\n");
            }
        }
        text
    }

    /// Rewrites the file.
    pub fn write(&self, root: &Path) -> Result<()> {
        fs::write(root.join(Self::PATH), self.render())
            .map_err(|error| Error::new(format!("{} cannot be written: {error}", Self::PATH), ""))
    }
}

/// The digests of the workspace's own manifest and of every crate below the course's root that an exercise is built with.
fn shared_parts(course: &Course) -> Result<BTreeMap<String, String>> {
    let crates = LocalCrates::read(&course.root);
    let used = course
        .exercises
        .iter()
        .flat_map(|exercise| crates.used_by(&exercise.package.dir).into_iter().skip(1))
        .filter_map(|dir| Some(dir.strip_prefix(&course.root).ok()?.to_str()?.to_owned()));
    let files = ["Cargo.toml", ".cargo/config.toml"].map(str::to_owned);
    let paths: BTreeSet<String> = files.into_iter().chain(used).collect();
    let parts = paths.into_iter().map(|path| {
        let digest = shared_part(&course.root.join(&path))
            .map_err(|error| Error::new(format!("{path} cannot be read: {error}"), ""))?;
        Ok((path, digest))
    });
    parts.collect()
}

/// The digest of a file, or of what others build from a crate, which leaves out its own tests and benches.
pub(crate) fn shared_part(path: &Path) -> io::Result<String> {
    if !path.is_dir() {
        return digest::file(path);
    }
    let mut digest = digest::Digest::default();
    for file in ["Cargo.toml", "build.rs"] {
        digest.add(digest::file(&path.join(file))?);
    }
    digest.add(digest::folder(&path.join("src"))?);
    Ok(digest.finish())
}
