//! What the compiler read, in its own words: its dep-info names every file, wherever it is and however it was included.
//!
//! A program is *settled* when all that it was made from was last changed before the compiler began. Cargo compares
//! times of modification alone, so a file that was moved into place keeps an old program alive, and one that changes
//! while the compiler runs may be read before or after. The time at which a file's entry last changed, which nobody can
//! set back, shows both. Files are digested before that is looked at: what is settled then is what was digested.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, Metadata};
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crate::digest;

/// One program or library that cargo built or found built.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Unit {
    /// The name of its package.
    pub package: String,
    /// Whether cargo found it built.
    pub fresh: bool,
    /// What was built.
    pub files: Vec<PathBuf>,
}

/// What a unit was made from.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Inputs {
    /// The digests of files, whether or not those are below the package's folder.
    pub files: BTreeMap<PathBuf, String>,
    /// Environment variables, and what they held; cargo's own are left out.
    pub environment: BTreeMap<String, Option<String>>,
}

impl Inputs {
    /// Adds those of another unit.
    pub fn extend(&mut self, other: Self) {
        self.files.extend(other.files);
        self.environment.extend(other.environment);
    }
}

/// The digests of files, each found out once.
#[derive(Default)]
pub struct Digests(RefCell<BTreeMap<PathBuf, Option<String>>>);

impl Digests {
    /// The digest of a file; nothing if it is none.
    pub fn of(&self, path: &Path) -> Option<String> {
        if let Some(digest) = self.0.borrow().get(path) {
            return digest.clone();
        }
        let digest = path.is_file().then(|| digest::file(path).ok()).flatten();
        let mut known = self.0.borrow_mut();
        known.insert(path.to_path_buf(), digest.clone());
        digest
    }

    /// Those of all files; an error if one is none.
    pub fn of_all(
        &self,
        files: impl IntoIterator<Item = PathBuf>,
    ) -> io::Result<BTreeMap<PathBuf, String>> {
        let files = files.into_iter().map(|path| {
            let digest = self.of(&path).ok_or(io::ErrorKind::NotFound)?;
            Ok((path, digest))
        });
        files.collect()
    }
}

impl Unit {
    /// What the compiler says that it read, as it is now; `root` is where it ran.
    pub fn inputs(&self, root: &Path, digests: &Digests) -> io::Result<Inputs> {
        let text = fs::read_to_string(self.dep_info()?)?;
        let (files, environment) = parse(&text, root);
        Ok(Inputs {
            files: digests.of_all(files)?,
            environment,
        })
    }

    /// Whether it was made from what is there now. `begin` is when cargo was started.
    pub fn is_settled(&self, inputs: &Inputs, begin: SystemTime) -> bool {
        let since = if self.fresh {
            self.finished()
        } else {
            Ok(begin)
        };
        since.is_ok_and(|since| {
            let mut files = inputs.files.keys();
            files.all(|file| file.metadata().is_ok_and(|file| last_change(&file) < since))
        })
    }

    /// A moment after which the compiler has read nothing more for it.
    fn finished(&self) -> io::Result<SystemTime> {
        let dep_info = self.dep_info()?;
        // Elsewhere cargo writes the dep-info itself, and leaves it alone while the list of files is the same.
        let by_compiler = dep_info
            .parent()
            .is_some_and(|folder| folder.ends_with("deps"));
        let file = if by_compiler {
            Some(&dep_info)
        } else {
            self.files.first()
        };
        file.ok_or(io::ErrorKind::NotFound)?.metadata()?.modified()
    }

    fn dep_info(&self) -> io::Result<PathBuf> {
        let candidates = self.files.iter().flat_map(|file| {
            let stem = file
                .file_stem()
                .and_then(|stem| stem.to_str())
                .unwrap_or("");
            let name = |stem: &str| file.with_file_name(format!("{stem}.d"));
            [stem.strip_prefix("lib").map(name), Some(name(stem))]
        });
        let mut candidates = candidates.flatten();
        candidates
            .find(|path| path.is_file())
            .ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    /// Has cargo build the package anew next time.
    pub fn forget(&self) {
        let profile = self.files.iter().find_map(|file| {
            let folder = file.parent()?;
            if folder.ends_with("deps") {
                folder.parent()
            } else {
                Some(folder)
            }
        });
        let fingerprints = profile.map(|profile| profile.join(".fingerprint"));
        let entries = fingerprints.and_then(|folder| fs::read_dir(folder).ok());
        for entry in entries.into_iter().flatten().flatten() {
            let name = entry.file_name();
            let package = name.to_str().and_then(|name| name.rsplit_once('-'));
            if package.is_some_and(|(package, _)| package == self.package) {
                let _ = fs::remove_dir_all(entry.path());
            }
        }
    }
}

/// The name in cargo's id of a package: `path+file:///course/exercises/x#name@0.1.0`, or `…/name#0.1.0`.
pub fn package_name(id: &str) -> &str {
    let (path, rest) = id.rsplit_once('#').unwrap_or((id, ""));
    match rest.split_once('@') {
        Some((name, _)) => name,
        None => path.rsplit('/').next().unwrap_or(path),
    }
}

/// When the content, the name, or anything else about a file was last changed.
pub fn last_change(file: &Metadata) -> SystemTime {
    let modified = file.modified().unwrap_or_else(|_| SystemTime::now());
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt as _;
        use std::time::{Duration, UNIX_EPOCH};
        let seconds = u64::try_from(file.ctime()).unwrap_or_default();
        let nanoseconds = u32::try_from(file.ctime_nsec()).unwrap_or_default();
        modified.max(UNIX_EPOCH + Duration::new(seconds, nanoseconds))
    }
    #[cfg(not(unix))]
    modified
}

/// The time as the file system in `folder` tells it.
pub fn now(folder: &Path) -> io::Result<SystemTime> {
    tempfile::tempfile_in(folder)?.metadata()?.modified()
}

/// Reads a Makefile as rustc writes it: `program: file file`, blanks in names behind a backslash, and comments.
fn parse(text: &str, root: &Path) -> (BTreeSet<PathBuf>, BTreeMap<String, Option<String>>) {
    let mut read = BTreeSet::new();
    let mut environment = BTreeMap::new();
    for line in text.lines() {
        if let Some(variable) = line.strip_prefix("# env-dep:") {
            let (name, value) = match variable.split_once('=') {
                Some((name, value)) => (name, Some(value.to_owned())),
                None => (variable, None),
            };
            if !name.starts_with("CARGO_") && name != "OUT_DIR" {
                environment.insert(name.to_owned(), value);
            }
        } else if !line.starts_with('#')
            && let Some((_, files)) = line.split_once(": ")
        {
            read.extend(names(files).map(|file| root.join(file)));
        }
    }
    (read, environment)
}

fn names(list: &str) -> impl Iterator<Item = String> {
    let mut names = vec![String::new()];
    let mut characters = list.chars();
    while let Some(character) = characters.next() {
        let last = names.len() - 1;
        match character {
            '\\' => names[last].extend(characters.next()),
            ' ' => names.push(String::new()),
            other => names[last].push(other),
        }
    }
    names.into_iter().filter(|name| !name.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_makefile_names_files_and_variables() {
        let text = "/t/libx.rlib: src/lib.rs /else where.rs \\\n";
        assert_eq!(names("a b\\ c").collect::<Vec<_>>(), ["a", "b c"]);
        let (files, _) = parse(text, Path::new("/r"));
        assert!(files.contains(Path::new("/r/src/lib.rs")));
        let text = "x: a.rs ../imp.rs\n\na.rs:\n\n# env-dep:EASY\n# env-dep:WAY=out\n# env-dep:CARGO_PKG_NAME=x\n";
        let (files, environment) = parse(text, Path::new("/r"));
        let files: Vec<&Path> = files.iter().map(PathBuf::as_path).collect();
        assert_eq!(files, [Path::new("/r/../imp.rs"), Path::new("/r/a.rs")]);
        let environment: Vec<_> = environment.into_iter().collect();
        let expected = [
            ("EASY".to_owned(), None),
            ("WAY".to_owned(), Some("out".to_owned())),
        ];
        assert_eq!(environment, expected);
    }

    #[test]
    fn a_package_id_holds_a_name() {
        assert_eq!(
            package_name("path+file:///course/exercises/04_lock#lock@0.1.0"),
            "lock"
        );
        assert_eq!(
            package_name("path+file:///course/crates/kata#0.1.0"),
            "kata"
        );
    }
}
