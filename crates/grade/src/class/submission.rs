//! What is taken of a submission: the Rust files below `src/` of each exercise, and nothing else.
//!
//! A submission is a folder. It is either a clone of the course, or a tree with `exercises/PHASE/NN_NAME/src` in it, or it
//! holds a folder for each exercise, called `NAME` or `NN_NAME`, with `src` inside. Everything that is not a regular file
//! of a sensible size is refused and said so. No link is followed, so nothing outside the submission is ever read. The
//! folder must be at rest: somebody who can change it while it is read could have a FIFO read.

use std::collections::BTreeMap;
use std::fs::{self, File, FileType};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use crate::course::Exercise;
use crate::digest::Digest;
use crate::error::{Error, Result};

/// The most bytes of one file.
const FILE_SIZE: u64 = 512 * 1024;
/// The most files of one exercise.
const FILES: usize = 64;
/// The most entries that are looked at in one exercise.
const ENTRIES: usize = 1000;
/// How deep below `src/` files are looked for.
const DEPTH: usize = 4;
/// The most complaints about one exercise that are written down.
const NOTES: usize = 20;

/// A folder with somebody's work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Submission {
    /// The folder's name, as a reader sees it.
    pub name: String,
    /// The name as a part of file names: letters, digits, `.`, `-` and `_`; every other byte is `%` and two digits.
    pub id: String,
    /// Where it is.
    pub folder: PathBuf,
    /// Why nothing in it can be taken, if so.
    pub unusable: Option<String>,
}

/// All submissions in `folder`, by name. Files and hidden entries are none.
pub fn list(folder: &Path) -> Result<Vec<Submission>> {
    let trouble = |error: io::Error| {
        Error::new(
            format!("{} cannot be read: {error}", folder.display()),
            "Name the folder that holds a folder for each submission.",
        )
    };
    let mut submissions = Vec::new();
    for entry in fs::read_dir(folder).map_err(trouble)? {
        let entry = entry.map_err(trouble)?;
        let name = entry.file_name();
        let kind = entry.file_type().map_err(trouble)?;
        if kind.is_file() || name.as_encoded_bytes().starts_with(b".") {
            continue;
        }
        let unusable = (!kind.is_dir()).then(|| format!("it is {}, not a folder", word_for(kind)));
        submissions.push(Submission {
            id: as_file_name(name.as_encoded_bytes()),
            name: name.to_string_lossy().into_owned(),
            folder: entry.path(),
            unusable,
        });
    }
    submissions.sort_by(|left, right| left.id.cmp(&right.id));
    Ok(submissions)
}

fn as_file_name(name: &[u8]) -> String {
    let mut text = String::new();
    for (at, &byte) in name.iter().enumerate() {
        let plain = byte.is_ascii_alphanumeric() || byte == b'_' || at > 0 && b".-".contains(&byte);
        if plain {
            text.push(char::from(byte));
        } else {
            text.push_str(&format!("%{byte:02X}"));
        }
    }
    text
}

/// What was taken of one submission.
#[derive(Debug, Default)]
pub struct Taken {
    /// An exercise each, in the course's order; nothing where the submission has no such folder.
    pub sources: Vec<Option<Source>>,
    /// What could not be taken, and belongs to no exercise.
    pub notes: Vec<String>,
}

/// The files of one exercise.
#[derive(Debug, Default)]
pub struct Source {
    /// By path below `src/`, with `/` between the parts.
    pub files: BTreeMap<String, Vec<u8>>,
    /// What was not taken, and why.
    pub notes: Vec<String>,
}

impl Taken {
    /// Reads what the submission holds of `exercises`.
    pub fn from(submission: &Submission, exercises: &[Exercise]) -> Self {
        let mut taken = Self::default();
        if let Some(problem) = &submission.unusable {
            taken.notes.push(format!("Nothing was taken: {problem}."));
        }
        let usable = submission.unusable.is_none();
        let tree = submission.folder.join("exercises");
        let is_tree = usable && fs::symlink_metadata(&tree).is_ok();
        for exercise in exercises {
            let places: Vec<Vec<&str>> = match (usable, is_tree) {
                (false, _) => Vec::new(),
                (true, true) => vec![vec!["exercises", exercise.phase.name, &exercise.folder]],
                (true, false) => vec![vec![&exercise.folder], vec![&exercise.name]],
            };
            let mut source = None;
            for place in places {
                match Source::at(&submission.folder, &place) {
                    Ok(None) => {}
                    Ok(Some(_)) if source.is_some() => taken.note(format!(
                        "{} was left: {} is the same exercise.",
                        place.join("/"),
                        exercise.folder
                    )),
                    Ok(found) => source = found,
                    Err(problem) => taken.note(problem),
                }
            }
            taken.sources.push(source);
        }
        if usable && taken.notes.is_empty() && taken.sources.iter().all(Option::is_none) {
            taken.notes.push(
                "No exercise was found: neither exercises/PHASE/NN_NAME/src nor NAME/src nor NN_NAME/src."
                    .to_owned(),
            );
        }
        taken
    }

    fn note(&mut self, note: String) {
        if !self.notes.contains(&note) {
            self.notes.push(note);
        }
    }

    /// Tells one state of a submission from another.
    pub fn digest(&self) -> String {
        let mut digest = Digest::default();
        let add_notes = |digest: &mut Digest, notes: &[String]| {
            digest.add(notes.len().to_string());
            notes.iter().for_each(|note| digest.add(note));
        };
        add_notes(&mut digest, &self.notes);
        for source in &self.sources {
            let Some(source) = source else {
                digest.add("absent");
                continue;
            };
            digest.add(source.files.len().to_string());
            for (path, content) in &source.files {
                digest.add(path);
                digest.add(content);
            }
            add_notes(&mut digest, &source.notes);
        }
        digest.finish()
    }
}

impl Source {
    /// What `src/` at `place` holds; nothing if there is no such folder. An error is a folder that cannot be entered.
    fn at(root: &Path, place: &[&str]) -> std::result::Result<Option<Self>, String> {
        let mut folder = root.to_path_buf();
        let mut said = String::new();
        for part in place.iter().chain(&["src"]) {
            folder.push(part);
            if !said.is_empty() {
                said.push('/');
            }
            said.push_str(part);
            match fs::symlink_metadata(&folder) {
                Ok(metadata) if metadata.is_dir() => {}
                Ok(metadata) => {
                    let word = word_for(metadata.file_type());
                    return Err(format!("{said} is {word}, not a folder: not entered."));
                }
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
                Err(error) => return Err(format!("{said} cannot be read: {error}.")),
            }
        }
        let mut source = Self::default();
        source.take_folder(&folder, "", 1, &mut 0);
        if source.notes.len() > NOTES {
            let more = source.notes.len() - NOTES;
            source.notes.truncate(NOTES);
            source.notes.push(format!("… and {more} more like these."));
        }
        Ok(Some(source))
    }

    fn take_folder(&mut self, folder: &Path, below: &str, depth: usize, seen: &mut usize) {
        let mut entries = Vec::new();
        let listing = match fs::read_dir(folder) {
            Ok(listing) => listing,
            Err(error) => {
                self.notes
                    .push(format!("src/{below} cannot be read: {error}."));
                return;
            }
        };
        for entry in listing.flatten() {
            *seen += 1;
            if *seen > ENTRIES {
                self.notes.push(format!(
                    "src has more than {ENTRIES} entries: the others were left."
                ));
                break;
            }
            entries.push(entry);
        }
        entries.sort_by_key(fs::DirEntry::file_name);
        for entry in entries {
            let name = entry.file_name();
            let Some(name) = name.to_str().filter(|name| !name.contains('\\')) else {
                let name = name.to_string_lossy();
                self.notes.push(format!(
                    "src/{below}{name} was left: its name is none for a source file."
                ));
                continue;
            };
            let path = format!("{below}{name}");
            if let Err(problem) = self.take(&entry, &path, depth, seen) {
                self.notes.push(format!("src/{path} was left: {problem}."));
            }
        }
    }

    fn take(
        &mut self,
        entry: &fs::DirEntry,
        path: &str,
        depth: usize,
        seen: &mut usize,
    ) -> std::result::Result<(), String> {
        let trouble = |error: io::Error| format!("it cannot be read: {error}");
        let kind = entry.file_type().map_err(trouble)?;
        if kind.is_dir() {
            if depth == DEPTH {
                return Err(format!("folders are entered {DEPTH} deep"));
            }
            self.take_folder(&entry.path(), &format!("{path}/"), depth + 1, seen);
            return Ok(());
        }
        if !kind.is_file() {
            return Err(format!("it is {}, not a file", word_for(kind)));
        }
        if !path.ends_with(".rs") {
            return Err("only .rs files are taken".to_owned());
        }
        if self.files.len() == FILES {
            return Err(format!("{FILES} files are taken, no more"));
        }
        let mut content = Vec::new();
        let file = File::open(entry.path()).map_err(trouble)?;
        file.take(FILE_SIZE + 1)
            .read_to_end(&mut content)
            .map_err(trouble)?;
        if content.len() as u64 > FILE_SIZE {
            return Err(format!("it is larger than {} KiB", FILE_SIZE / 1024));
        }
        self.files.insert(path.to_owned(), content);
        Ok(())
    }

    /// Writes the files into the new folder `folder`. They count as changed now, whatever their age: cargo goes by that.
    pub fn write(&self, folder: &Path) -> io::Result<()> {
        make_folder(folder)?;
        for (path, content) in &self.files {
            let mut place = folder.to_path_buf();
            let mut parts = path.split('/').peekable();
            while let Some(part) = parts.next() {
                place.push(part);
                if parts.peek().is_some() {
                    make_folder(&place)?;
                }
            }
            fs::write(&place, content)?;
            readable(&place, 0o644)?;
        }
        Ok(())
    }
}

/// Makes a folder that everybody may read, whatever the umask says.
pub(super) fn make_folder(folder: &Path) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    readable(folder, 0o755)
}

/// Sets the mode, so that the user of the sandbox can read what is there.
pub(super) fn readable(path: &Path, mode: u32) -> io::Result<()> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        fs::set_permissions(path, fs::Permissions::from_mode(mode))
    }
    #[cfg(not(unix))]
    {
        let _ = (path, mode);
        Ok(())
    }
}

/// What an entry is, for a reader.
fn word_for(kind: FileType) -> &'static str {
    #[cfg(unix)]
    {
        use std::os::unix::fs::FileTypeExt as _;
        if kind.is_fifo() {
            return "a FIFO";
        } else if kind.is_socket() {
            return "a socket";
        } else if kind.is_block_device() || kind.is_char_device() {
            return "a device";
        }
    }
    if kind.is_symlink() {
        "a link"
    } else if kind.is_dir() {
        "a folder"
    } else {
        "a file"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_names_are_plain_and_differ_where_names_do() {
        for (name, id) in [
            ("anna-1.b_c", "anna-1.b_c"),
            ("..", "%2E."),
            ("-rf", "%2Drf"),
            ("a/b c", "a%2Fb%20c"),
            ("a%2Fb", "a%252Fb"),
            ("ü", "%C3%BC"),
        ] {
            assert_eq!(as_file_name(name.as_bytes()), id);
        }
    }
}
