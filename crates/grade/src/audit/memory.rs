//! What earlier audits found out, by the content of everything that it depends on: a file an exercise.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::cache::{self, LocalCrates};
use crate::course::{Exercise, World};
use crate::digest::{self, Digest};
use crate::error::{Error, Result};
use crate::judge::Verdict;

/// To be raised when the audit itself comes to other conclusions.
const VERSION: &str = "1";

/// What became of a variant in one world.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// What the compiler said.
    DoesNotCompile(String),
    /// Every test was run.
    Ran {
        /// What the compiler warned of.
        warnings: Vec<String>,
        /// All tests.
        tests: Vec<Ran>,
    },
    /// The first test that did not pass.
    Rejected {
        /// Its name.
        test: String,
        /// Whether it was stopped by the hang guard.
        hanging: bool,
    },
    /// Every test passed.
    Survived,
}

/// One test that was run to its end.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Ran {
    /// Its name.
    pub name: String,
    /// What became of it.
    pub verdict: Verdict,
    /// How long it took.
    pub milliseconds: u64,
    /// How much CPU time it used; 0 if nobody measured that.
    #[serde(default)]
    pub cpu_milliseconds: u64,
}

impl Outcome {
    /// Whether the same content is sure to give the same outcome: what a machine lacks today it may have tomorrow.
    fn is_lasting(&self) -> bool {
        match self {
            Self::Ran { tests, .. } => !tests
                .iter()
                .any(|test| matches!(test.verdict, Verdict::Skipped { .. })),
            _ => true,
        }
    }
}

/// What the whole course has in common.
pub struct Common {
    folder: PathBuf,
    digest: Digest,
    crates: LocalCrates,
}

impl Common {
    /// For the course at `root`; what is found out is kept in `folder`.
    pub fn read(root: &Path, folder: PathBuf) -> Result<Self> {
        let mut digest = Digest::default();
        digest.add(VERSION);
        digest.add(cache::compiler());
        digest.add(settings_and_versions(root));
        digest.add(digest::file(&root.join(".cargo/config.toml")).map_err(unreadable)?);
        for name in ["RUSTFLAGS", "CARGO_ENCODED_RUSTFLAGS", "KATA_REQUIRE_REAL"] {
            digest.add(
                std::env::var_os(name)
                    .unwrap_or_default()
                    .as_encoded_bytes(),
            );
        }
        Ok(Self {
            folder,
            digest,
            crates: LocalCrates::read(root),
        })
    }

    /// The memory of one exercise, whose solution is in `solution`.
    pub fn open(&self, exercise: &Exercise, solution: &Path, use_it: bool) -> Result<Memory> {
        let mut base = self.digest.clone();
        base.add(&exercise.name);
        for dir in [&exercise.package.dir, solution] {
            base.add(digest::file(&dir.join("Cargo.toml")).map_err(unreadable)?);
            for used in self.crates.used_by(dir).iter().skip(1) {
                base.add(self.crates.digest(used).map_err(unreadable)?);
            }
        }
        base.add(digest::folder(&exercise.package.dir.join("tests")).map_err(unreadable)?);
        let path = self.folder.join(format!("{}.json", exercise.name));
        let known: Record = fs::read(&path)
            .ok()
            .filter(|_| use_it)
            .and_then(|text| serde_json::from_slice(&text).ok())
            .unwrap_or_default();
        Ok(Memory {
            path,
            base,
            known,
            used: Record::default(),
        })
    }

    /// The digest of every file that an audit of the exercise looks at. `locked` is what exercises/tests.lock says.
    pub fn everything(
        &self,
        exercise: &Exercise,
        files: &[PathBuf],
        locked: &str,
    ) -> Result<String> {
        let mut digest = self.digest.clone();
        digest.add(locked);
        digest.add(exercise.id());
        for path in files {
            digest.add(if path.is_dir() {
                digest::folder(path).map_err(unreadable)?
            } else {
                digest::file(path).map_err(unreadable)?
            });
        }
        for used in self.crates.used_by(&exercise.package.dir).iter().skip(1) {
            digest.add(self.crates.digest(used).map_err(unreadable)?);
        }
        Ok(digest.finish())
    }
}

fn unreadable(error: io::Error) -> Error {
    Error::new(format!("The course cannot be read: {error}"), "")
}

/// What Cargo.toml and Cargo.lock say to every crate. A new exercise changes both files, but nothing for the others.
fn settings_and_versions(root: &Path) -> String {
    let table = |name: &str| -> toml::Table {
        fs::read_to_string(root.join(name))
            .ok()
            .and_then(|text| toml::from_str(&text).ok())
            .unwrap_or_default()
    };
    let mut manifest = table("Cargo.toml");
    if let Some(toml::Value::Table(workspace)) = manifest.get_mut("workspace") {
        workspace.remove("members");
        workspace.remove("default-members");
    }
    let mut lock = table("Cargo.lock");
    if let Some(toml::Value::Array(packages)) = lock.get_mut("package") {
        packages.retain(|package| package.get("source").is_some());
    }
    format!("{manifest}\n{lock}")
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct Record {
    /// Of all files, when nothing was wrong with any of them.
    green: Option<String>,
    outcomes: BTreeMap<String, Outcome>,
}

/// What is known about one exercise.
pub struct Memory {
    path: PathBuf,
    base: Digest,
    known: Record,
    used: Record,
}

impl Memory {
    /// What an outcome depends on. `files` are the variant's own, `mode` is how it is tested.
    pub fn key(&self, files: &str, mode: &str, world: World) -> String {
        let mut digest = self.base.clone();
        digest.add(files);
        digest.add(mode);
        digest.add(world.name());
        digest.finish()
    }

    /// The outcome found earlier.
    pub fn load(&mut self, key: &str) -> Option<Outcome> {
        let outcome = self.known.outcomes.get(key)?.clone();
        self.used.outcomes.insert(key.to_owned(), outcome.clone());
        Some(outcome)
    }

    /// Takes note of an outcome.
    pub fn store(&mut self, key: String, outcome: &Outcome) {
        if outcome.is_lasting() {
            self.used.outcomes.insert(key, outcome.clone());
        }
    }

    /// Whether nothing was wrong when all files were as `everything` says.
    pub fn was_green(&self, everything: &str) -> bool {
        self.known.green.as_deref() == Some(everything)
    }

    /// Writes down what this audit used or found out. What cannot be stored will be found out again.
    pub fn save(&mut self, green: Option<String>) {
        self.used.green = green;
        let _ = self.replace();
    }

    /// Writes down what is known so far as well as what was known before: the audit did not come to its end.
    pub fn save_unfinished(&mut self) {
        for (key, outcome) in &self.known.outcomes {
            let outcomes = &mut self.used.outcomes;
            outcomes
                .entry(key.clone())
                .or_insert_with(|| outcome.clone());
        }
        let _ = self.replace();
    }

    fn replace(&self) -> io::Result<()> {
        let folder = self.path.parent().unwrap_or(Path::new("."));
        fs::create_dir_all(folder)?;
        let mut file = tempfile::NamedTempFile::new_in(folder)?;
        file.write_all(&serde_json::to_vec(&self.used)?)?;
        file.persist(&self.path)?;
        Ok(())
    }
}
