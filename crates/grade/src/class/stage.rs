//! A fresh copy of the course, without solutions and hints, on which submissions are laid.
//!
//! The copy stands below the target directory, under a name made of all that it depends on, so that a second run, and
//! another shard on the same machine, find it ready.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use toml::{Table, Value};
use walkdir::WalkDir;

use super::submission::{make_folder, readable};
use crate::build;
use crate::course::{Course, Target};
use crate::digest::{self, Digest};
use crate::error::{Error, Result};
use crate::grade::first_look;
use crate::lock::Lock;
use crate::process::Pauses;

/// What belongs to the course that submissions are graded by.
const FILES: [&str; 2] = ["Cargo.toml", "Cargo.lock"];
const FOLDERS: [&str; 2] = [".cargo", "exercises"];
const CRATES: &str = "crates";
const GRADER: &str = "crates/grade";

/// The copy.
pub struct Stage {
    /// Where everything about it is kept.
    pub folder: PathBuf,
    /// The copy itself.
    pub course: PathBuf,
    /// The same for the same course, on every machine.
    pub digest: String,
    /// Held while the copy is used, so that nobody removes it.
    _used: File,
}

impl Stage {
    /// Takes the copy that is there, or makes one. `variant` tells apart what is built from the same course.
    pub fn take(
        root: &Path,
        target_dir: &Path,
        variant: &str,
        stopped: &dyn Fn() -> bool,
        tell: &dyn Fn(&str),
    ) -> Result<Self> {
        let unreadable = |error: io::Error| Error::new(format!("The course: {error}"), "");
        let (digest, mut name) = digests_of(root).map_err(unreadable)?;
        name.add(variant);
        name.add(version_of_compiler(root)?);
        let name = name.finish()[..16].to_owned();

        let all = target_dir.join("class");
        let folder = all.join(&name);
        let unwritable = |error: io::Error| {
            Error::new(
                format!("{} cannot be written: {error}", all.display()),
                "The copy of the course is kept there. Make room, or set CARGO_TARGET_DIR to another folder.",
            )
        };
        make_folder(&all).map_err(unwritable)?;
        let lock = File::create(all.join("lock")).map_err(unwritable)?;
        wait_for(&lock, stopped, tell)?;
        remove_unused(&all, &name);
        make_folder(&folder).map_err(unwritable)?;
        let used = File::create(folder.join("used")).map_err(unwritable)?;
        used.lock_shared().map_err(unwritable)?;
        let stage = Self {
            course: folder.join("course"),
            folder,
            digest,
            _used: used,
        };
        if !stage.folder.join("complete").exists() {
            let _ = fs::remove_dir_all(&stage.course);
            copy_course(root, &stage.course).map_err(unwritable)?;
            stage.must_be_as_shipped()?;
            leave_solutions_out(&stage.course).map_err(unwritable)?;
            resolve(&stage.course)?;
            fs::write(stage.folder.join("complete"), "").map_err(unwritable)?;
        }
        Ok(stage)
    }

    /// Has `make` make something below the folder once, while no other grader does.
    pub fn once(
        &self,
        stopped: &dyn Fn() -> bool,
        tell: &dyn Fn(&str),
        make: impl FnOnce() -> Result<()>,
    ) -> Result<()> {
        let lock = self.folder.join("lock");
        let lock = File::create(&lock)
            .map_err(|error| Error::new(format!("{}: {error}", lock.display()), ""))?;
        wait_for(&lock, stopped, tell)?;
        make()
    }

    /// A teacher may have solved exercises, or changed checks, in the course at hand.
    fn must_be_as_shipped(&self) -> Result<()> {
        let lock = Lock::read(&self.course)?;
        let course = Course::read(&self.course, &lock)?;
        let mut changed = lock.edited_parts(&self.course);
        for exercise in &course.exercises {
            let look = first_look(exercise, &lock, Target::Exercises)?;
            if !look.edited.is_empty() || !look.untouched {
                changed.push(format!("exercises/{}", exercise.path()));
            }
        }
        if changed.is_empty() {
            return Ok(());
        }
        Err(Error::new(
            format!(
                "A class is graded by the course as it ships, and this one was changed: {}.",
                changed.join(", ")
            ),
            "Take a fresh clone for grading, or bring the course's own back with git checkout.",
        ))
    }
}

/// One of everything that decides a verdict, and one of what is copied: paths relative to the course's folder.
fn digests_of(root: &Path) -> io::Result<(String, Digest)> {
    let mut copied = Digest::default();
    for file in FILES.into_iter().chain([Lock::PATH]) {
        copied.add(digest::file(&root.join(file))?);
    }
    for folder in folders(root)? {
        copied.add(folder.as_os_str().as_encoded_bytes());
        copied.add(digest::folder(&root.join(folder))?);
    }
    let mut all = copied.clone();
    all.add(digest::folder(&root.join(GRADER))?);
    Ok((all.finish(), copied))
}

/// What is copied: not the grader, which no check is built with.
fn folders(root: &Path) -> io::Result<Vec<PathBuf>> {
    let mut folders: Vec<PathBuf> = FOLDERS.iter().map(PathBuf::from).collect();
    match fs::read_dir(root.join(CRATES)) {
        Ok(crates) => {
            for entry in crates {
                let folder = Path::new(CRATES).join(entry?.file_name());
                if folder != Path::new(GRADER) {
                    folders.push(folder);
                }
            }
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    folders.retain(|folder| root.join(folder).is_dir());
    folders.sort();
    Ok(folders)
}

fn version_of_compiler(root: &Path) -> Result<String> {
    output_of(Command::new("rustc").arg("-vV").current_dir(root))
}

/// What a command of the toolchain printed.
pub(super) fn output_of(command: &mut Command) -> Result<String> {
    let program = command.get_program().to_string_lossy().into_owned();
    let said = command.stdin(Stdio::null()).output();
    let trouble = |what: String| Error::new(format!("{program} could not be run: {what}"), "");
    let said = said.map_err(|error| trouble(error.to_string()))?;
    if !said.status.success() {
        let stderr = String::from_utf8_lossy(&said.stderr);
        return Err(trouble(stderr.trim().to_owned()));
    }
    Ok(String::from_utf8_lossy(&said.stdout).into_owned())
}

fn wait_for(lock: &File, stopped: &dyn Fn() -> bool, tell: &dyn Fn(&str)) -> Result<()> {
    let mut told = false;
    let mut pauses = Pauses::new();
    loop {
        match lock.try_lock() {
            Ok(()) => return Ok(()),
            Err(fs::TryLockError::WouldBlock) if stopped() => return Err(Error::Interrupted),
            Err(fs::TryLockError::WouldBlock) => {
                if !told {
                    tell("Another ./grade.sh class prepares the course; waiting for it.");
                    told = true;
                }
                pauses.pause();
            }
            Err(fs::TryLockError::Error(error)) => {
                return Err(Error::new(format!("A file cannot be locked: {error}"), ""));
            }
        }
    }
}

/// Copies of an earlier course, unless somebody grades by one of them.
fn remove_unused(all: &Path, keep: &str) {
    for entry in fs::read_dir(all).into_iter().flatten().flatten() {
        let folder = entry.path();
        if entry.file_name() == keep || !folder.is_dir() {
            continue;
        }
        let unused = File::open(folder.join("used")).is_ok_and(|used| used.try_lock().is_ok());
        if unused {
            let _ = fs::remove_dir_all(folder);
        }
    }
}

fn copy_course(root: &Path, copy: &Path) -> io::Result<()> {
    make_folder(copy)?;
    for file in FILES {
        let source = root.join(file);
        if source.exists() {
            fs::write(copy.join(file), fs::read(source)?)?;
            readable(&copy.join(file), 0o644)?;
        }
    }
    for folder in folders(root)? {
        copy_folder(&root.join(&folder), &copy.join(&folder))?;
    }
    Ok(())
}

/// Makes the copy a workspace without solutions, and says in its lock that this is how it is to be.
fn leave_solutions_out(course: &Path) -> io::Result<()> {
    const MANIFEST: &str = "Cargo.toml";
    let file = course.join(MANIFEST);
    let manifest = without_solutions(&fs::read_to_string(&file)?).map_err(io::Error::other)?;
    fs::write(&file, manifest)?;
    let lock = course.join(Lock::PATH);
    let mut text: Table = toml::from_str(&fs::read_to_string(&lock)?).map_err(io::Error::other)?;
    let parts = text.get_mut("course").and_then(Value::as_table_mut);
    if let Some(own) = parts.and_then(|parts| parts.get_mut(MANIFEST)) {
        *own = Value::String(digest::file(&file)?);
    }
    fs::write(lock, toml::to_string(&text).map_err(io::Error::other)?)
}

/// Copies all regular files below `source`, with the times of their last change: cargo goes by those.
pub(super) fn copy_folder(source: &Path, copy: &Path) -> io::Result<()> {
    for entry in WalkDir::new(source) {
        let entry = entry?;
        let relative = entry.path().strip_prefix(source).unwrap_or(entry.path());
        let place = copy.join(relative);
        if entry.file_type().is_dir() {
            make_folder(&place)?;
        } else if entry.file_type().is_file() {
            fs::write(&place, fs::read(entry.path())?)?;
            let copy = File::options().write(true).open(&place)?;
            copy.set_modified(entry.metadata()?.modified()?)?;
            readable(&place, 0o644)?;
        }
    }
    Ok(())
}

/// The workspace's Cargo.toml for a course that has no solutions.
fn without_solutions(manifest: &str) -> std::result::Result<String, String> {
    let mut manifest: Table = toml::from_str(manifest)
        .map_err(|error| format!("Cargo.toml is damaged: {}", error.message()))?;
    if let Some(workspace) = manifest
        .get_mut("workspace")
        .and_then(|value| value.as_table_mut())
    {
        for list in ["members", "default-members"] {
            if let Some(list) = workspace
                .get_mut(list)
                .and_then(|value| value.as_array_mut())
            {
                list.retain(|member| {
                    !member
                        .as_str()
                        .is_some_and(|member| member.starts_with("solutions/"))
                });
            }
        }
    }
    toml::to_string(&manifest).map_err(|error| error.to_string())
}

/// Has cargo forget the solutions, and download what the checks need while there is a network.
fn resolve(course: &Path) -> Result<()> {
    let run = |arguments: &[&str]| {
        let mut cargo = Command::new(build::cargo());
        cargo.current_dir(course).args(arguments).arg("--quiet");
        output_of(&mut cargo).map(drop)
    };
    run(&["update", "--workspace", "--offline"])?;
    // For this machine alone: cargo would fetch the crates of every platform otherwise.
    let host = version_of_compiler(course)?;
    let host = host.lines().find_map(|line| line.strip_prefix("host: "));
    let fetch = ["fetch", "--locked", "--target", host.unwrap_or_default()];
    run(&[&fetch[..], &["--offline"]].concat()).or_else(|_| run(&fetch))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_copy_of_the_workspace_has_no_solutions() {
        let manifest = "[workspace]\nmembers = [\"crates/*\", \"exercises/*/*\", \"solutions/*/*\"]\n\
                        default-members = [\"crates/*\", \"solutions/*/*\"]\n[profile.dev]\ndebug = 0\n";
        let copy: Table = toml::from_str(&without_solutions(manifest).expect("it is in order"))
            .expect("it is in order");
        let workspace = &copy["workspace"];
        assert_eq!(
            workspace["members"].as_array().expect("a list").len(),
            2,
            "{copy}"
        );
        assert_eq!(
            workspace["default-members"]
                .as_array()
                .expect("a list")
                .len(),
            1
        );
        assert_eq!(copy["profile"]["dev"]["debug"].as_integer(), Some(0));
    }
}
