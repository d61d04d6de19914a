//! What a learner has looked at: a file beside the course, and nothing that anything depends on.
//!
//! Whether an exercise is done is found out by running its checks, never read here. So a file that is damaged, newer than
//! this grader or out of reach costs nothing but the memory.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::files;

/// The folder below the course's root where a learner's own things are, which git leaves alone.
pub const FOLDER: &str = ".kata";

const FILE: &str = "progress.json";

/// What stands in `schema`; a later version has another number.
const SCHEMA: &str = "kata/progress/v1";

#[derive(Default, Serialize, Deserialize)]
struct Record {
    #[serde(default)]
    schema: String,
    /// How many hints of an exercise were shown, by its name.
    #[serde(default)]
    hints: BTreeMap<String, usize>,
    /// What another grader has written, kept as it is.
    #[serde(flatten)]
    other: Map<String, Value>,
}

/// The file, read.
pub struct Remembered {
    path: PathBuf,
    record: Record,
    /// Why the file is not to be replaced, if it is not.
    unusable: Option<String>,
}

impl Remembered {
    /// Reads what is there. Whatever is wrong with it, nothing is remembered then.
    pub fn read(root: &Path) -> Self {
        let path = root.join(FOLDER).join(FILE);
        let (record, unusable) = match files::read(&path) {
            Ok(text) => understand(&path, &text),
            Err(error) if error.kind() == io::ErrorKind::NotFound => (Record::default(), None),
            Err(error) => (Record::default(), Some(error.to_string())),
        };
        Self {
            path,
            record,
            unusable,
        }
    }

    /// How many hints of an exercise were shown.
    pub fn hints(&self, exercise: &str) -> usize {
        self.record.hints.get(exercise).copied().unwrap_or(0)
    }

    /// Remembers that so many hints were shown; says why, if that cannot be done.
    pub fn set_hints(&mut self, exercise: &str, count: usize) -> std::result::Result<(), String> {
        if self.hints(exercise) == count && self.unusable.is_none() {
            return Ok(());
        }
        self.record.hints.insert(exercise.to_owned(), count);
        let written = match &self.unusable {
            Some(why) => Err(why.clone()),
            None => self.write().map_err(|error| error.to_string()),
        };
        written.map_err(|why| {
            let path = self.path.display();
            format!("What you have seen is not remembered in {path}: {why}")
        })
    }

    fn write(&mut self) -> io::Result<()> {
        SCHEMA.clone_into(&mut self.record.schema);
        let folder = self.path.parent().unwrap_or(Path::new("."));
        fs::create_dir_all(folder)?;
        let mut file = tempfile::NamedTempFile::new_in(folder)?;
        file.write_all(&serde_json::to_vec_pretty(&self.record)?)?;
        file.persist(&self.path)?;
        Ok(())
    }
}

/// The record; or none, and why the file has to stay as it is. A damaged one is put aside.
fn understand(path: &Path, text: &[u8]) -> (Record, Option<String>) {
    let value: Value = serde_json::from_slice(text).unwrap_or_default();
    let schema = value["schema"].as_str().unwrap_or("");
    if schema.starts_with("kata/progress/") && schema != SCHEMA {
        return (
            Record::default(),
            Some(format!(
                "it is from a newer version of the course ({schema})"
            )),
        );
    }
    match serde_json::from_value(value) {
        Ok(record) => (record, None),
        Err(_) => {
            let aside = path.with_extension("json.damaged");
            let why = fs::rename(path, &aside)
                .err()
                .map(|error| format!("it is damaged, and cannot be put aside: {error}"));
            (Record::default(), why)
        }
    }
}
