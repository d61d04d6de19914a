//! `solutions/audit.lock`: which exercises were audited and found in order, by the digest of all that this depends on.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use serde::Deserialize;

use super::report::{ExerciseReport, Tally};
use crate::error::{Error, Result};
use crate::files;

/// How many variants each check has rejected, by its name.
pub type Kills = BTreeMap<String, usize>;

/// One exercise.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Entry {
    /// Of all that the audit depended on.
    pub digest: String,
    /// With what it was built.
    pub compiler: String,
    /// For readers: so many of so many.
    pub alternatives: String,
    /// As before, of the author's wrong solutions.
    pub mutants: String,
    /// As before, of weaker orderings.
    pub orderings: String,
    /// As before, of other generated variants.
    pub generated: String,
    /// What has rejected wrong solutions, for the next audit to begin with; it says nothing about what is in order.
    #[serde(default)]
    pub kills: Kills,
}

impl Entry {
    /// What a green audit says.
    pub fn of(report: &ExerciseReport, digest: String, compiler: &str) -> Self {
        Self {
            digest,
            compiler: compiler.to_owned(),
            alternatives: figures(report.alternatives),
            mutants: figures(report.mutants),
            orderings: figures(report.orderings),
            generated: figures(report.generated),
            kills: report.kills(),
        }
    }
}

fn figures(tally: Tally) -> String {
    let mut text = format!("{}/{}", tally.good, tally.total);
    if tally.equivalent > 0 {
        let _ = write!(text, ", {} equivalent", tally.equivalent);
    }
    text
}

/// What the file says, by `phase1_internals/04_spin_lock`.
#[derive(Debug, Default, PartialEq, Eq, Deserialize)]
pub struct AuditLock {
    #[serde(flatten)]
    entries: BTreeMap<String, Entry>,
}

impl AuditLock {
    /// The file below the course's root.
    pub const PATH: &str = "solutions/audit.lock";

    /// Reads the file; without one, nothing has been audited.
    pub fn read(root: &Path) -> Result<Self> {
        let advice = format!(
            "`git checkout -- {}` brings the last one back. Without the file, everything is audited.",
            Self::PATH
        );
        files::read_toml(root, Self::PATH, &advice)
    }

    /// The entry of the exercise at `path`.
    pub fn entry(&self, path: &str) -> Option<&Entry> {
        self.entries.get(path)
    }

    /// Takes note of an exercise.
    pub fn insert(&mut self, path: String, entry: Entry) {
        self.entries.insert(path, entry);
    }

    /// Drops what is no exercise any more.
    pub fn retain(&mut self, is_exercise: impl Fn(&str) -> bool) {
        self.entries.retain(|path, _| is_exercise(path));
    }

    /// The text of the file.
    pub fn render(&self) -> String {
        let mut text = String::from(
            "# Which exercises were audited and found in order: SHA-256 of all that the audit of each depended on, the figures it\n\
             # came to, and how many wrong solutions each check rejected first. What is here as it was is not audited again.\n\
             # Written by `./grade.sh audit --lock`, and never by hand.\n",
        );
        for (path, entry) in &self.entries {
            let _ = write!(
                text,
                "\n[\"{path}\"]\ndigest = \"{}\"\ncompiler = \"{}\"\nalternatives = \"{}\"\nmutants = \"{}\"\n\
                 orderings = \"{}\"\ngenerated = \"{}\"\n",
                entry.digest,
                entry.compiler,
                entry.alternatives,
                entry.mutants,
                entry.orderings,
                entry.generated
            );
            for (check, count) in &entry.kills {
                let _ = writeln!(text, "kills.\"{check}\" = {count}");
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_again() {
        let entry = Entry {
            digest: "ab".to_owned(),
            compiler: "rustc 1.95.0 (59807616e 2026-04-14)".to_owned(),
            alternatives: "2/2".to_owned(),
            mutants: "6/6".to_owned(),
            orderings: "0/1, 1 equivalent".to_owned(),
            generated: "0/0".to_owned(),
            kills: Kills::from([("unit::one".to_owned(), 3), ("loom::two".to_owned(), 1)]),
        };
        let mut lock = AuditLock::default();
        lock.insert("phase1_internals/02_b".to_owned(), entry.clone());
        lock.insert("phase1_internals/01_a".to_owned(), entry);
        let read: AuditLock = toml::from_str(&lock.render()).unwrap();
        assert_eq!(read, lock);
        let text = lock.render();
        assert!(text.find("01_a") < text.find("02_b"), "{text}");
    }
}
