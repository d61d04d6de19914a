//! What an author wrote for one exercise: read, and looked at as far as that can be done without building anything.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use super::mutants::{self, Equivalent, Mutant};
use super::report::ExerciseReport;
use super::scratch::Origin;
use super::{form, kinds};
use crate::course::Exercise;
use crate::digest;
use crate::error::{Error, Result};
use crate::lock::{Entry, Lock};
use crate::repeated;

/// The least that an author writes.
const LEAST_MUTANTS: usize = 6;
const LEAST_ALTERNATIVES: usize = 2;

/// Everything that an author wrote, read.
pub struct Material {
    /// The exercise's folder.
    pub exercise_dir: PathBuf,
    /// The solution's folder.
    pub solution_dir: PathBuf,
    /// README.md.
    pub readme: String,
    /// The stub's src/lib.rs.
    pub stub: String,
    /// The solution's.
    pub solution: String,
    /// Other right ones, by name.
    pub alternatives: Vec<(String, String)>,
    /// Wrong ones.
    pub mutants: Vec<Mutant>,
    /// Answers to generated ones.
    pub equivalents: Vec<Equivalent>,
    /// kinds.toml, if it can be read.
    pub kinds: Option<String>,
}

impl Material {
    /// Reads it, and reports what is wrong with it. Nothing if stub or solution are missing.
    pub fn read(
        root: &Path,
        exercise: &Exercise,
        solution_dir: PathBuf,
        report: &mut ExerciseReport,
    ) -> Option<Self> {
        let exercise_dir = exercise.package.dir.clone();
        let mut text = |subject: &str, path: PathBuf| match fs::read_to_string(&path) {
            Ok(text) => Some(text.replace("\r\n", "\n")),
            Err(error) => {
                let path = path
                    .strip_prefix(root)
                    .unwrap_or(&path)
                    .display()
                    .to_string();
                report.find(subject, format!("{path} cannot be read: {error}"));
                None
            }
        };
        let stub = text("stub", exercise_dir.join("src/lib.rs"));
        let solution = text("solution", solution_dir.join("src/lib.rs"));
        let readme = text("form", exercise_dir.join("README.md"));
        let hints = text("hints", hints_path(root, exercise));
        let manifest = text("form", exercise_dir.join("Cargo.toml"));
        let mutants = text("mutants", solution_dir.join("mutants.toml"));
        let kinds = text("kinds", solution_dir.join(kinds::FILE));
        let (stub, solution) = (stub?, solution?);

        if let Some(hints) = hints {
            for problem in form::hints(&hints, &stub, &solution) {
                report.find("hints", problem);
            }
        }
        for problem in manifest
            .iter()
            .flat_map(|text| form::metadata(text, &exercise.id()))
        {
            report.find("form", problem);
        }
        if !solution_dir.join("Cargo.toml").is_file() {
            report.find(
                "solution",
                "it has no Cargo.toml: run ./grade.sh lock --author",
            );
            return None;
        }
        match repeated::differences(root, &exercise.path(), &exercise.name) {
            Ok(files) => {
                for file in files {
                    let file = file.display();
                    report.find(
                        "solution",
                        format!("{file} is not what it repeats of the exercise: run ./grade.sh lock --author"),
                    );
                }
            }
            Err(error) => report.find("solution", format!("the exercise cannot be read: {error}")),
        }
        let mutants = match mutants.as_deref().map(mutants::parse).transpose() {
            Ok(file) => file.unwrap_or_default(),
            Err(problem) => {
                report.find("mutants", format!("mutants.toml: {problem}"));
                mutants::File::default()
            }
        };
        let alternatives = read_alternatives(&solution_dir);
        if mutants.mutant.len() < LEAST_MUTANTS {
            report.find(
                "mutants",
                format!(
                    "mutants.toml has {}; {LEAST_MUTANTS} are the least",
                    mutants.mutant.len()
                ),
            );
        }
        if alternatives.len() < LEAST_ALTERNATIVES {
            report.find(
                "alternatives",
                format!(
                    "alternatives/ has {}; {LEAST_ALTERNATIVES} are the least",
                    alternatives.len()
                ),
            );
        }
        Some(Self {
            exercise_dir,
            solution_dir,
            readme: readme.unwrap_or_default(),
            stub,
            solution,
            alternatives,
            mutants: mutants.mutant,
            equivalents: mutants.equivalent,
            kinds,
        })
    }

    fn folder(&self, origin: Origin) -> &Path {
        match origin {
            Origin::Stub => &self.exercise_dir,
            Origin::Solution => &self.solution_dir,
        }
    }

    /// What the files beside src/lib.rs hold.
    pub fn digests_of_other_sources(&self) -> Result<BTreeMap<Origin, String>> {
        let mut digests = BTreeMap::new();
        for origin in [Origin::Stub, Origin::Solution] {
            let src = self.folder(origin).join("src");
            let mut entries: Vec<PathBuf> = fs::read_dir(&src)
                .into_iter()
                .flatten()
                .flatten()
                .map(|entry| entry.path())
                .filter(|path| !path.ends_with("lib.rs"))
                .collect();
            entries.sort();
            let mut all = digest::Digest::default();
            for path in entries {
                all.add(path.file_name().unwrap_or_default().as_encoded_bytes());
                let content = if path.is_dir() {
                    digest::folder(&path)
                } else {
                    digest::file(&path)
                };
                all.add(content.map_err(|error| {
                    Error::new(format!("{} cannot be read: {error}", path.display()), "")
                })?);
            }
            digests.insert(origin, all.finish());
        }
        Ok(digests)
    }
}

fn read_alternatives(solution: &Path) -> Vec<(String, String)> {
    let mut alternatives: Vec<(String, String)> = fs::read_dir(solution.join("alternatives"))
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| {
            let path = entry.path();
            let name = path.file_stem()?.to_str()?.to_owned();
            let is_rust = path.extension().is_some_and(|extension| extension == "rs");
            is_rust.then(|| Some((name, fs::read_to_string(&path).ok()?)))?
        })
        .collect();
    alternatives.sort();
    alternatives
}

/// Where the hints are.
pub fn hints_path(root: &Path, exercise: &Exercise) -> PathBuf {
    root.join("hints").join(format!("{}.md", exercise.path()))
}

/// Reports what differs from `exercises/tests.lock`.
pub fn check_lock(
    root: &Path,
    lock: &Lock,
    exercise: &Exercise,
    report: &mut ExerciseReport,
) -> Result<()> {
    for part in lock.edited_parts(root) {
        report.find(
            "lock",
            format!("stale lock or edited {part}: run ./grade.sh lock --author"),
        );
    }
    let found = Entry::of(&exercise.package.dir).map_err(|error| {
        Error::new(
            format!("{} cannot be read: {error}", exercise.package.dir.display()),
            "Check the permissions of the files in it.",
        )
    })?;
    match lock.entry(exercise.phase.name, &exercise.folder) {
        None => report.find(
            "lock",
            format!(
                "{} says nothing about it: run ./grade.sh lock --author",
                Lock::PATH
            ),
        ),
        Some(locked) => {
            if found.stub != locked.stub {
                report.find(
                    "lock",
                    "stale lock or edited stub: run ./grade.sh lock --author",
                );
            }
            for (part, differs) in [
                ("tests", found.tests != locked.tests),
                ("Cargo.toml", found.manifest != locked.manifest),
            ] {
                if differs {
                    report.find(
                        "lock",
                        format!("stale lock or edited {part}: run ./grade.sh lock --author"),
                    );
                }
            }
        }
    }
    Ok(())
}
