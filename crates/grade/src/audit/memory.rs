//! What earlier audits found out, by the content of everything that it depends on: a file an exercise.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use kata_report::Remedy;
use serde::{Deserialize, Serialize};

use crate::course::World;
use crate::digest::Digest;
use crate::judge::Verdict;

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
        /// What the picture of a loom check advises; nothing if it was none.
        #[serde(default)]
        remedies: Option<Vec<Remedy>>,
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

#[derive(Debug, Default, Serialize, Deserialize)]
struct Record {
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
    /// Of the exercise with this name, in `folder`. `base` is what all its outcomes depend on; without `use_it`, nothing
    /// is known.
    pub fn open(folder: &Path, name: &str, base: Digest, use_it: bool) -> Self {
        let path = folder.join(format!("{name}.json"));
        let known: Record = fs::read(&path)
            .ok()
            .filter(|_| use_it)
            .and_then(|text| serde_json::from_slice(&text).ok())
            .unwrap_or_default();
        Self {
            path,
            base,
            known,
            used: Record::default(),
        }
    }

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

    /// Writes down what this audit used or found out. What cannot be stored will be found out again.
    pub fn save(&mut self) {
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
