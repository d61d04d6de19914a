//! What is known of a class: a file for each submission, and the sum of them all.
//!
//! No time stands in any of them, so the same submissions have the same results whether they were graded at one go, or
//! stopped and resumed, or in parts on many machines.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use tempfile::TempDir;

use super::page;
use crate::course::{Course, Exercise};
use crate::error::{Error, Result};
use crate::judge::kind_of;
use crate::lock::Lock;
use crate::result::{CheckReport, State};

/// What stands in `schema` of `results.json`.
pub const SCHEMA: &str = "kata/class/v1";
/// What stands in `schema` of a submission's file.
pub const RECORD_SCHEMA: &str = "kata/class-submission/v1";

/// All that is known of one submission.
#[derive(Debug, Serialize, Deserialize)]
pub struct Record {
    /// [`RECORD_SCHEMA`].
    pub schema: String,
    /// Made of everything that the results depend on.
    pub key: String,
    /// The folder's name.
    pub name: String,
    /// The same as a part of file names.
    pub id: String,
    /// What could not be taken, and belongs to no exercise.
    pub notes: Vec<String>,
    /// All exercises of the course, in its order.
    pub exercises: Vec<Graded>,
}

/// One exercise of one submission.
#[derive(Debug, Serialize, Deserialize)]
pub struct Graded {
    /// `1.04`.
    pub id: String,
    /// `spin_lock`.
    pub name: String,
    /// What a reader sees.
    pub title: String,
    /// What it is in; nothing if the grader could not find out.
    pub state: Option<State>,
    /// What was not taken, and why a state is what it is where no check says so.
    pub notes: Vec<String>,
    /// A kind each.
    pub checks: Vec<CheckReport>,
}

impl Record {
    /// The record in a folder of results, if there is one that can be read.
    pub fn read(folder: &Path, id: &str) -> Option<Self> {
        let text = fs::read(file_of(folder, id, "json")).ok()?;
        let record: Self = serde_json::from_slice(&text).ok()?;
        (record.schema == RECORD_SCHEMA).then_some(record)
    }

    /// Whether the grader found everything out that there was.
    pub fn is_settled(&self) -> bool {
        self.exercises
            .iter()
            .all(|exercise| exercise.state.is_some())
    }

    /// `3 passing, 1 failing, 11 not started`.
    pub fn in_short(&self) -> String {
        let states = self.exercises.iter().map(|exercise| exercise.state);
        count_words(states)
    }

    /// How many exercises pass.
    pub fn passing(&self) -> usize {
        let passing = |exercise: &&Graded| exercise.state == Some(State::Passing);
        self.exercises.iter().filter(passing).count()
    }
}

/// A state in words.
pub fn words(state: Option<State>) -> &'static str {
    state.map_or("ungraded", State::words)
}

/// How many are in each state, in words.
fn count_words(states: impl Iterator<Item = Option<State>> + Clone) -> String {
    const ORDER: [Option<State>; 7] = [
        Some(State::Passing),
        Some(State::Failing),
        Some(State::Hanging),
        Some(State::WontCompile),
        Some(State::TestsEdited),
        None,
        Some(State::NotStarted),
    ];
    let mut counts = Vec::new();
    for state in ORDER {
        let count = states.clone().filter(|other| *other == state).count();
        if count > 0 {
            counts.push(format!("{count} {}", words(state)));
        }
    }
    counts.join(", ")
}

/// What a run says at its end.
pub fn overview(results: &Results) -> String {
    let submissions = results.submissions.len();
    let exercises = results.exercises.len();
    let states = results
        .submissions
        .iter()
        .flat_map(|row| row.exercises.iter().map(|reached| reached.state));
    let mut text = format!(
        "{submissions} submissions × {exercises} exercises: {}\n",
        count_words(states.clone())
    );
    if results.sandbox == "none" {
        text.push_str("They ran without a sandbox.\n");
    }
    if states.clone().any(|state| state.is_none()) {
        text.push_str(
            "Some could not be graded; their pages say why. Another run tries those again.\n",
        );
    }
    text
}

/// `results.json`.
#[derive(Debug, Serialize, Deserialize)]
pub struct Results {
    /// [`SCHEMA`].
    pub schema: String,
    /// Tells one state of the course from another.
    pub course: String,
    /// `bubblewrap`, or `none` where the submissions were trusted.
    pub sandbox: String,
    /// `2/3` if this is the second of three parts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shard: Option<String>,
    /// What there was to reach.
    pub exercises: Vec<Goal>,
    /// In the order of their ids.
    pub submissions: Vec<Row>,
}

/// What an exercise asks for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Goal {
    /// `1.04`.
    pub id: String,
    /// `spin_lock`.
    pub name: String,
    /// What a reader sees.
    pub title: String,
    /// How many checks of each kind there are: a point each.
    pub checks: BTreeMap<String, usize>,
}

/// What a submission reached.
#[derive(Debug, Serialize, Deserialize)]
pub struct Row {
    /// The folder's name.
    pub name: String,
    /// The name of its files: `submissions/ID.json` and `submissions/ID.html`.
    pub id: String,
    /// How many exercises pass.
    pub passing: usize,
    /// All exercises, in the course's order.
    pub exercises: Vec<Reached>,
}

/// What a submission reached in one exercise.
#[derive(Debug, Serialize, Deserialize)]
pub struct Reached {
    /// `1.04`.
    pub id: String,
    /// What it is in; nothing if the grader could not find out.
    pub state: Option<State>,
    /// How many checks of each kind passed in full.
    pub points: BTreeMap<String, usize>,
}

/// What every exercise of the course asks for.
pub fn goals(course: &Course, lock: &Lock) -> Vec<Goal> {
    let goal = |exercise: &Exercise| {
        let mut checks: BTreeMap<String, usize> = BTreeMap::new();
        let entry = lock.entry(exercise.phase.name, &exercise.folder);
        for name in entry
            .iter()
            .flat_map(|entry| entry.checks.values().flatten())
        {
            *checks.entry(kind_of(name).to_owned()).or_default() += 1;
        }
        Goal {
            id: exercise.id(),
            name: exercise.name.clone(),
            title: exercise.title.clone(),
            checks,
        }
    };
    course.exercises.iter().map(goal).collect()
}

impl Row {
    /// The sum of a record. What is passing but for a kind that the course does not know counts for nothing.
    pub fn of(record: &Record, goals: &[Goal]) -> Self {
        let reached = |(graded, goal): (&Graded, &Goal)| {
            let passed = |kind: &String| {
                let of_kind = graded.checks.iter().find(|check| check.kind == *kind);
                (kind.clone(), of_kind.map_or(0, |check| check.passed))
            };
            Reached {
                id: graded.id.clone(),
                state: graded.state,
                points: goal.checks.keys().map(passed).collect(),
            }
        };
        Self {
            name: record.name.clone(),
            id: record.id.clone(),
            passing: record.passing(),
            exercises: record.exercises.iter().zip(goals).map(reached).collect(),
        }
    }
}

/// The folder that results are written to, taken by one run at a time.
#[derive(Debug)]
pub struct Out {
    folder: PathBuf,
    _lock: File,
}

impl Out {
    /// Takes the folder, made if need be. What an earlier run summed up is taken away: it may not hold any more.
    pub fn take(folder: &Path) -> Result<Self> {
        let submissions = folder.join("submissions");
        fs::create_dir_all(&submissions).map_err(|error| unwritable(folder, &error))?;
        let lock =
            File::create(folder.join(".lock")).map_err(|error| unwritable(folder, &error))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(fs::TryLockError::WouldBlock) => {
                return Err(Error::new(
                    format!("Another ./grade.sh class works in {}.", folder.display()),
                    "Wait for it, or name another folder with --out DIR.",
                ));
            }
            Err(fs::TryLockError::Error(error)) => return Err(unwritable(folder, &error)),
        }
        for entry in [folder, &submissions]
            .into_iter()
            .filter_map(|folder| fs::read_dir(folder).ok())
            .flatten()
            .flatten()
        {
            let name = entry.file_name();
            let name = name.as_encoded_bytes();
            let gone = if name == b"results.json" || name == b"results.csv" || name.starts_with(NEW)
            {
                fs::remove_file(entry.path())
            } else if name.starts_with(WORK) {
                fs::remove_dir_all(entry.path())
            } else {
                Ok(())
            };
            gone.map_err(|error| unwritable(folder, &error))?;
        }
        Ok(Self {
            folder: folder.to_owned(),
            _lock: lock,
        })
    }

    fn trouble(&self, error: &io::Error) -> Error {
        unwritable(&self.folder, error)
    }

    /// Makes a folder for what is needed only while the work lasts.
    pub fn scratch(&self) -> Result<TempDir> {
        tempfile::Builder::new()
            .prefix(".work-")
            .tempdir_in(&self.folder)
            .map_err(|error| self.trouble(&error))
    }

    /// The record of a submission, if there is one that can be read.
    pub fn record(&self, id: &str) -> Option<Record> {
        Record::read(&self.folder, id)
    }

    /// Writes a record and its page, each as a whole or not at all, the record last.
    pub fn store(&self, record: &Record, goals: &[Goal]) -> Result<()> {
        self.store_page(record, goals)?;
        let json = serde_json::to_string_pretty(record)
            .map_err(|error| self.trouble(&io::Error::other(error)))?;
        self.write(&file_of(&self.folder, &record.id, "json"), &(json + "\n"))
    }

    /// Writes the page of a record.
    pub fn store_page(&self, record: &Record, goals: &[Goal]) -> Result<()> {
        let page = page::render(record, goals);
        self.write(&file_of(&self.folder, &record.id, "html"), &page)
    }

    /// Writes the sums.
    pub fn sum_up(&self, results: &Results) -> Result<()> {
        self.write(&self.folder.join("results.csv"), &table(results))?;
        let json = serde_json::to_string_pretty(results)
            .map_err(|error| self.trouble(&io::Error::other(error)))?;
        self.write(&self.folder.join("results.json"), &(json + "\n"))
    }

    /// A reader, or a later run, finds the old file or the new one, never a half.
    fn write(&self, file: &Path, text: &str) -> Result<()> {
        let folder = file.parent().unwrap_or(&self.folder);
        let write = || {
            let mut new = tempfile::Builder::new()
                .prefix(".new-")
                .permissions(plain_permissions())
                .tempfile_in(folder)?;
            io::Write::write_all(&mut new, text.as_bytes())?;
            new.as_file().sync_all()?;
            new.persist(file)?;
            Ok(())
        };
        write().map_err(|error: io::Error| self.trouble(&error))
    }
}

/// How the names of files begin that are not yet written to their end.
const NEW: &[u8] = b".new-";
/// How the name of the folder begins that is needed only while the work lasts.
const WORK: &[u8] = b".work-";

fn file_of(folder: &Path, id: &str, extension: &str) -> PathBuf {
    folder.join("submissions").join(format!("{id}.{extension}"))
}

fn unwritable(folder: &Path, error: &io::Error) -> Error {
    Error::new(
        format!("{} cannot be written: {error}", folder.display()),
        "Make room, or name another folder with --out DIR.",
    )
}

/// As any file of the caller's; the umask takes away what it takes away.
#[cfg(unix)]
fn plain_permissions() -> fs::Permissions {
    std::os::unix::fs::PermissionsExt::from_mode(0o666)
}

#[cfg(not(unix))]
fn plain_permissions() -> fs::Permissions {
    fs::metadata(".").map_or_else(
        |_| unreachable!("the current folder"),
        |own| own.permissions(),
    )
}

/// `results.csv`: a row a submission; a column for each exercise's state, and one for the points of each of its kinds.
fn table(results: &Results) -> String {
    let mut text = String::from("submission,passing");
    for goal in &results.exercises {
        let _ = write!(text, ",{}", field(&format!("{} {}", goal.id, goal.name)));
        for (kind, count) in &goal.checks {
            let _ = write!(
                text,
                ",{}",
                field(&format!("{} {kind} of {count}", goal.id))
            );
        }
    }
    text.push_str("\r\n");
    for row in &results.submissions {
        let _ = write!(text, "{},{}", field(&row.name), row.passing);
        for reached in &row.exercises {
            let _ = write!(text, ",{}", words(reached.state));
            for points in reached.points.values() {
                let _ = write!(text, ",{points}");
            }
        }
        text.push_str("\r\n");
    }
    text
}

/// A field as RFC 4180 has it, that no spreadsheet takes for a formula.
fn field(text: &str) -> String {
    let formula = text.starts_with(['=', '+', '-', '@', '\t', '\r']);
    let text = if formula {
        format!("'{text}")
    } else {
        text.to_owned()
    };
    if text.contains(['"', ',', '\n', '\r']) {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_is_quoted_and_never_a_formula() {
        for (text, expected) in [
            ("anna", "anna"),
            ("a,b", "\"a,b\""),
            ("say \"no\"", "\"say \"\"no\"\"\""),
            ("=cmd()", "'=cmd()"),
            ("two\nlines", "\"two\nlines\""),
        ] {
            assert_eq!(field(text), expected);
        }
    }
}
