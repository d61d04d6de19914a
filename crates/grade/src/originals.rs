//! The course's own text of what a learner edits, wherever it can still be found.
//!
//! `exercises/tests.lock` has its digest, so whatever is found is known to be right. The places are copies that the grader
//! takes when it sees the original, and the history of the learner's git repository.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use walkdir::WalkDir;

use crate::course::{Course, Exercise};
use crate::digest;
use crate::files;
use crate::lock::{Entry, Lock};
use crate::remembered::FOLDER;

/// A part of an exercise that the lock has a digest of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// The learner's.
    Src,
    /// The checks.
    Tests,
    /// Cargo.toml.
    Manifest,
}

impl Part {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Src, Self::Tests, Self::Manifest];

    /// Its name in the exercise's folder.
    pub fn name(self) -> &'static str {
        match self {
            Self::Src => "src",
            Self::Tests => "tests",
            Self::Manifest => "Cargo.toml",
        }
    }

    /// What the lock says of it.
    pub fn digest(self, entry: &Entry) -> &str {
        match self {
            Self::Src => &entry.stub,
            Self::Tests => &entry.tests,
            Self::Manifest => &entry.manifest,
        }
    }

    /// Whether what is at `path` is what the lock speaks of.
    pub fn is_original(self, path: &Path, entry: &Entry) -> bool {
        let found = match self {
            Self::Manifest => digest::file(path),
            Self::Src | Self::Tests => digest::folder(path),
        };
        found.is_ok_and(|found| found == self.digest(entry))
    }
}

/// Where the copy of an original with this digest is.
fn copy_of(root: &Path, digest: &str) -> PathBuf {
    root.join(FOLDER).join("originals").join(digest)
}

/// Takes a copy of every original that is there and has none yet. Where that cannot be done, there will be none.
pub fn record(course: &Course, lock: &Lock) {
    for exercise in &course.exercises {
        let Some(entry) = lock.entry(exercise.phase.name, &exercise.folder) else {
            continue;
        };
        for part in Part::ALL {
            let copy = copy_of(&course.root, part.digest(entry));
            let path = exercise.package.dir.join(part.name());
            if !copy.exists() && part.is_original(&path, entry) {
                let _ = record_one(&path, &copy, part, entry);
            }
        }
    }
}

fn record_one(path: &Path, copy: &Path, part: Part, entry: &Entry) -> io::Result<()> {
    let folder = copy.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(folder)?;
    let draft = tempfile::tempdir_in(folder)?;
    let whole = draft.path().join(part.name());
    copy_ordinary(path, &whole)?;
    if part.is_original(&whole, entry) {
        fs::rename(whole, copy)?;
    }
    Ok(())
}

/// Copies a file, or the files in a folder that count, with what they hold and nothing else.
fn copy_ordinary(from: &Path, to: &Path) -> io::Result<()> {
    for entry in WalkDir::new(from)
        .into_iter()
        .filter_entry(|entry| entry.depth() == 0 || !digest::is_left_behind(entry.file_name()))
    {
        let entry = entry?;
        if !entry.file_type().is_dir() {
            let below = entry.path().strip_prefix(from).unwrap_or(Path::new(""));
            let place = if below.as_os_str().is_empty() {
                to.to_path_buf()
            } else {
                to.join(below)
            };
            fs::create_dir_all(place.parent().unwrap_or(to))?;
            fs::write(place, files::read(entry.path())?)?;
        }
    }
    Ok(())
}

/// Writes the original of a part of an exercise to `place`, which does not exist yet. Says whether it was found.
pub fn find(
    course: &Course,
    exercise: &Exercise,
    part: Part,
    entry: &Entry,
    place: &Path,
) -> io::Result<bool> {
    let copy = copy_of(&course.root, part.digest(entry));
    if part.is_original(&copy, entry) {
        copy_ordinary(&copy, place)?;
        if part.is_original(place, entry) {
            return Ok(true);
        }
        remove(place)?;
    }
    let path = format!("exercises/{}/{}", exercise.path(), part.name());
    for object in versions(&course.root, &path) {
        if write_object(&course.root, &object, place)? && part.is_original(place, entry) {
            return Ok(true);
        }
        remove(place)?;
    }
    Ok(false)
}

fn remove(place: &Path) -> io::Result<()> {
    match fs::remove_dir_all(place).or_else(|_| fs::remove_file(place)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// The different versions of a path that git knows, those of the current branch first.
fn versions(root: &Path, path: &str) -> Vec<String> {
    let log = |more: &[&str]| {
        let arguments = [&["log", "--format=%H"], more, &["--", path]].concat();
        String::from_utf8(git(root, &arguments).unwrap_or_default()).unwrap_or_default()
    };
    let commits = format!("HEAD\n{}{}", log(&[]), log(&["--all"]));
    let mut seen = BTreeSet::new();
    let mut objects: Vec<String> = Vec::new();
    for commit in commits.lines() {
        if !seen.insert(commit) {
            continue;
        }
        let object = git(
            root,
            &[
                "rev-parse",
                "--verify",
                "--quiet",
                &format!("{commit}:./{path}"),
            ],
        );
        let object = object.and_then(|object| String::from_utf8(object).ok());
        if let Some(object) = object.map(|object| object.trim().to_owned())
            && !objects.contains(&object)
        {
            objects.push(object);
        }
    }
    objects
}

/// Writes a file or a folder as git has it; not one with links.
fn write_object(root: &Path, object: &str, place: &Path) -> io::Result<bool> {
    let kind = git(root, &["cat-file", "-t", object]).unwrap_or_default();
    if kind.starts_with(b"blob") {
        return write_blob(root, object, place);
    }
    let listed = git(root, &["ls-tree", "-r", "-z", "--full-tree", object]).unwrap_or_default();
    for line in String::from_utf8_lossy(&listed)
        .split('\0')
        .filter(|line| !line.is_empty())
    {
        let Some((about, path)) = line.split_once('\t') else {
            return Ok(false);
        };
        let [mode, _, blob] = about.split(' ').collect::<Vec<_>>()[..] else {
            return Ok(false);
        };
        let is_below = Path::new(path)
            .components()
            .all(|part| matches!(part, std::path::Component::Normal(_)));
        if !mode.starts_with("100") || !is_below || !write_blob(root, blob, &place.join(path))? {
            return Ok(false);
        }
    }
    Ok(true)
}

fn write_blob(root: &Path, blob: &str, place: &Path) -> io::Result<bool> {
    let Some(content) = git(root, &["cat-file", "blob", blob]) else {
        return Ok(false);
    };
    fs::create_dir_all(place.parent().unwrap_or(Path::new(".")))?;
    fs::write(place, content)?;
    Ok(true)
}

/// What git prints; nothing if it is not there or not content.
fn git(root: &Path, arguments: &[&str]) -> Option<Vec<u8>> {
    let mut command = Command::new("git");
    // Set by a hook, these would lead to another repository.
    for name in ["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_PREFIX"] {
        command.env_remove(name);
    }
    let output = command
        .arg("-C")
        .arg(root)
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .ok()?;
    output.status.success().then_some(output.stdout)
}
