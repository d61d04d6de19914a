//! A fresh copy of the course, without solutions and hints, on which submissions are laid.
//!
//! The copy stands below the target directory, under a name made of all that it depends on, so that a second run, and
//! another shard on the same machine, find it ready.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, SystemTime};

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
const FOLDERS: [&str; 2] = [".cargo", EXERCISES];
const EXERCISES: &str = "exercises";
const CRATES: &str = "crates";
const GRADER: &str = "crates/grade";

/// The copy.
pub struct Stage {
    /// The copy itself.
    pub course: PathBuf,
    /// Where everything is built and kept that all submissions share. Another course has the same one as long as it is
    /// built with the same crates.
    pub warm: PathBuf,
    /// The same for the same course, on every machine.
    pub digest: String,
    /// Held while the two are used, so that nobody removes them.
    _used: [File; 2],
}

impl Stage {
    /// Takes the copy that is there, or makes one.
    pub fn take(
        root: &Path,
        target_dir: &Path,
        stopped: &dyn Fn() -> bool,
        tell: &dyn Fn(&str),
    ) -> Result<Self> {
        let unreadable = |error: io::Error| Error::new(format!("The course: {error}"), "");
        let digests = Digests::of(root).map_err(unreadable)?;
        let compiler = version_of_compiler(root)?;
        let name = |kind: &str, mut digest: Digest| {
            digest.add(&compiler);
            format!("{kind}-{}", &digest.finish()[..16])
        };
        let names = [name("course", digests.copied), name("warm", digests.shared)];

        let all = target_dir.join("class");
        let unwritable = |error: io::Error| {
            Error::new(
                format!("{} cannot be written: {error}", all.display()),
                "The copy of the course is kept there. Make room, or set CARGO_TARGET_DIR to another folder.",
            )
        };
        make_folder(&all).map_err(unwritable)?;
        let lock = File::create(all.join("lock")).map_err(unwritable)?;
        wait_for(&lock, stopped, tell)?;
        remove_unused(&all, &names);
        let folders = names.map(|name| all.join(name));
        let hold = |folder: &PathBuf| {
            make_folder(folder)?;
            let used = File::create(folder.join("used"))?;
            used.lock_shared()?;
            Ok(used)
        };
        let [course, warm] = &folders;
        let stage = Self {
            course: course.join("course"),
            warm: warm.join("target"),
            digest: digests.all,
            _used: [
                hold(course).map_err(unwritable)?,
                hold(warm).map_err(unwritable)?,
            ],
        };
        if !course.join("complete").exists() {
            let _ = fs::remove_dir_all(&stage.course);
            copy_course(root, &stage.course).map_err(unwritable)?;
            stage.must_be_as_shipped()?;
            leave_solutions_out(&stage.course).map_err(unwritable)?;
            resolve(&stage.course)?;
            fs::write(course.join("complete"), "").map_err(unwritable)?;
        }
        Ok(stage)
    }

    /// Where everything about the copy is kept.
    pub fn folder(&self) -> &Path {
        self.course.parent().unwrap_or(&self.course)
    }

    /// Has `build` fill the new folder `warm`, unless that was done before or another grader does it meanwhile.
    pub fn warm_up(
        &self,
        stopped: &dyn Fn() -> bool,
        tell: &dyn Fn(&str),
        build: impl FnOnce() -> Result<()>,
    ) -> Result<()> {
        let folder = self.warm.parent().unwrap_or(&self.warm);
        let unwritable =
            |error: io::Error| Error::new(format!("{}: {error}", folder.display()), "");
        let lock = File::create(folder.join("lock")).map_err(unwritable)?;
        wait_for(&lock, stopped, tell)?;
        let done = folder.join("complete");
        if done.exists() {
            let copied = self.folder().join("complete");
            return renew(&self.warm, &done, &copied).map_err(unwritable);
        }
        let _ = fs::remove_dir_all(&self.warm);
        make_folder(&self.warm).map_err(unwritable)?;
        build()?;
        fs::write(done, "").map_err(unwritable)
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

/// Digests of parts of the course, with paths relative to its folder.
struct Digests {
    /// Of everything that decides a verdict.
    all: String,
    /// Of what is copied.
    copied: Digest,
    /// Of what is built before any submission is there.
    shared: Digest,
}

impl Digests {
    fn of(root: &Path) -> io::Result<Self> {
        let mut shared = Digest::default();
        for file in FILES {
            shared.add(digest::file(&root.join(file))?);
        }
        for folder in folders(root)? {
            if folder != Path::new(EXERCISES) {
                shared.add(folder.as_os_str().as_encoded_bytes());
                shared.add(digest::folder(&root.join(folder))?);
            }
        }
        let mut copied = shared.clone();
        for entry in WalkDir::new(root.join(EXERCISES))
            .min_depth(2)
            .max_depth(2)
            .sort_by_file_name()
        {
            let manifest = entry?.path().join("Cargo.toml");
            shared.add(
                manifest
                    .strip_prefix(root)
                    .unwrap_or(&manifest)
                    .as_os_str()
                    .as_encoded_bytes(),
            );
            shared.add(digest::file(&manifest)?);
        }
        copied.add(digest::file(&root.join(Lock::PATH))?);
        copied.add(digest::folder(&root.join(EXERCISES))?);
        let mut all = copied.clone();
        all.add(digest::folder(&root.join(GRADER))?);
        Ok(Self {
            all: all.finish(),
            copied,
            shared,
        })
    }
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

/// Makes what was built count as newer than a copy of the course that was made later: the names of the two vouch for what
/// is in them, but cargo and the grader go by times.
fn renew(warm: &Path, built: &Path, copied: &Path) -> io::Result<()> {
    let time = |path: &Path| fs::metadata(path)?.modified();
    if time(built)? > time(copied)? {
        return Ok(());
    }
    let now = SystemTime::now();
    for entry in WalkDir::new(warm) {
        let entry = entry?;
        if entry.file_type().is_file() {
            set_modified(entry.path(), now)?;
        }
    }
    set_modified(built, now)
}

fn set_modified(file: &Path, time: SystemTime) -> io::Result<()> {
    File::options().write(true).open(file)?.set_modified(time)
}

/// Copies of an earlier course, unless somebody grades by one of them.
fn remove_unused(all: &Path, keep: &[String]) {
    for entry in fs::read_dir(all).into_iter().flatten().flatten() {
        let folder = entry.path();
        if keep.iter().any(|name| entry.file_name() == **name) || !folder.is_dir() {
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

/// Copies all regular files below `source`. Cargo goes by the times of their last change, and what they say was built
/// before, however new the file is that they were copied from: so all of them are old.
pub(super) fn copy_folder(source: &Path, copy: &Path) -> io::Result<()> {
    let long_ago = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000);
    for entry in WalkDir::new(source) {
        let entry = entry?;
        let relative = entry.path().strip_prefix(source).unwrap_or(entry.path());
        let place = copy.join(relative);
        if entry.file_type().is_dir() {
            make_folder(&place)?;
        } else if entry.file_type().is_file() {
            fs::write(&place, fs::read(entry.path())?)?;
            set_modified(&place, long_ago)?;
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
