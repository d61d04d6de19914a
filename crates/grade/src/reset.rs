//! `reset`: the course's own text again, after everything that was there has been moved into a backup.
//!
//! No file of a learner's is ever overwritten or removed: each one is moved as it is, in one step where the system can do
//! that, and what cannot be done is undone. So whenever the grader is killed, a file is in its place or in the backup.

use std::fmt::Write as _;
use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use tempfile::TempDir;
use walkdir::WalkDir;

use crate::answer::Answer;
use crate::course::{Course, Exercise};
use crate::digest;
use crate::error::{Error, Result};
use crate::files;
use crate::lock::Lock;
use crate::originals::{self, Part};
use crate::remembered::FOLDER;

/// What to begin anew.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  ./grade.sh reset spin_lock             src/ of one exercise
  ./grade.sh reset phase1                of all exercises of a phase
  ./grade.sh reset --all                 of all that there are
  ./grade.sh reset spin_lock --tests     tests/ and Cargo.toml instead; what you have written stays

Everything that was there, also files that you have added, is moved to .kata/backups/DATE first; the answer says where, and
how to have it back. The original is what exercises/tests.lock has the digest of. It is taken from the copies in
.kata/originals, which the grader makes when it first sees an exercise, or from the history of your git repository.")]
pub struct Options {
    /// What to reset [default: in an exercise's folder, that one]
    #[arg(value_name = "EXERCISE|PHASE", conflicts_with = "all")]
    selectors: Vec<String>,

    /// Reset all exercises
    #[arg(long)]
    all: bool,

    /// Reset tests/ and Cargo.toml instead of src/
    #[arg(long)]
    tests: bool,
}

/// A part that is not as the course ships it.
struct Target<'a> {
    exercise: &'a Exercise,
    /// Below the course's root, and below the backup.
    path: PathBuf,
    /// What is to be there; nothing if the course has none.
    original: Option<PathBuf>,
}

/// Resets what the options name.
pub fn reset(course: &Course, lock: &Lock, options: &Options) -> Result<Answer> {
    let here = course.here();
    if options.selectors.is_empty() && !options.all && here.is_none() {
        return Err(Error::new(
            "Reset what?",
            "Name an exercise or a phase, or say --all. A backup is made in every case.",
        ));
    }
    let selectors = match here {
        Some(here) if options.selectors.is_empty() && !options.all => vec![here],
        _ => options.selectors.clone(),
    };
    let selected = course.select(&selectors)?;
    let exercises = course.exercises.iter().zip(selected).filter(|(_, is)| *is);
    let exercises: Vec<&Exercise> = exercises.map(|(exercise, _)| exercise).collect();

    let own = course.root.join(FOLDER);
    let stage = fs::create_dir_all(&own).and_then(|()| TempDir::with_prefix_in("reset-", &own));
    let stage = stage.map_err(|error| {
        unchanged(
            format!(
                "{} cannot be written, where the backup would be: {error}",
                own.display()
            ),
            "Make it a folder that can be written.",
        )
    })?;
    let parts: &[Part] = if options.tests {
        &[Part::Tests, Part::Manifest]
    } else {
        &[Part::Src]
    };
    let mut targets = Vec::new();
    for exercise in &exercises {
        for &part in parts {
            targets.extend(look(course, lock, exercise, part, stage.path())?);
        }
        if options.tests && fs::symlink_metadata(exercise.package.dir.join("build.rs")).is_ok() {
            targets.push(Target {
                exercise,
                path: below_root(exercise, "build.rs"),
                original: None,
            });
        }
    }
    let what = if options.tests {
        "tests/ and Cargo.toml"
    } else {
        "src/"
    };
    if targets.is_empty() {
        return Ok(Answer::new(match exercises.as_slice() {
            [one] => format!(
                "{} {}: {what} as the course ships it. Nothing was done.\n",
                one.id(),
                one.name
            ),
            all => format!(
                "{} exercises: {what} as the course ships it. Nothing was done.\n",
                all.len()
            ),
        }));
    }
    let backup = new_backup(&own).map_err(|error| {
        unchanged(
            format!("No backup can be made in {}: {error}", own.display()),
            "Make room, or make it writable.",
        )
    })?;
    let mut work = Work {
        root: &course.root,
        backup: &backup,
        moved: Vec::new(),
        placed: Vec::new(),
    };
    if let Err((path, error)) = work.run(&targets) {
        let what = format!("{}: {error}", path.display());
        return Err(match work.undo() {
            Ok(()) => {
                // Nothing is in it any more.
                let _ = fs::remove_dir_all(&backup);
                unchanged(what, "Make it writable, then reset again.")
            }
            Err((path, error)) => Error::new(
                format!(
                    "{what}\nNor could {} be moved back: {error}",
                    path.display()
                ),
                format!("What is not in its place is in {}.", backup.display()),
            ),
        });
    }
    Ok(Answer::new(render(
        course,
        &targets,
        what,
        &backup,
        work.moved.len(),
    )))
}

fn unchanged(what: String, advice: &str) -> Error {
    Error::new(format!("{what}\nNothing was changed."), advice)
}

fn below_root(exercise: &Exercise, part: &str) -> PathBuf {
    Path::new("exercises")
        .join(exercise.phase.name)
        .join(&exercise.folder)
        .join(part)
}

/// Fetches the original of a part that differs from it.
fn look<'a>(
    course: &Course,
    lock: &Lock,
    exercise: &'a Exercise,
    part: Part,
    stage: &Path,
) -> Result<Option<Target<'a>>> {
    let Some(entry) = lock.entry(exercise.phase.name, &exercise.folder) else {
        return Err(unchanged(
            format!(
                "{} says nothing about {} {}, so its original is not known.",
                Lock::PATH,
                exercise.id(),
                exercise.name
            ),
            "`git checkout -- exercises/tests.lock` brings back what the course says.",
        ));
    };
    let path = below_root(exercise, part.name());
    if part.is_original(&course.root.join(&path), entry) {
        return Ok(None);
    }
    let original = stage.join(&exercise.folder).join(part.name());
    match originals::find(course, exercise, part, entry, &original) {
        Ok(true) => Ok(Some(Target {
            exercise,
            path,
            original: Some(original),
        })),
        Ok(false) => Err(unchanged(
            format!(
                "The original of {} was not found: neither among the copies in {FOLDER}/originals nor in the history of git.",
                path.display()
            ),
            "Fetch the course once more into another folder, and take it from there.",
        )),
        Err(error) => Err(unchanged(
            format!(
                "The original of {} cannot be written to {}: {error}",
                path.display(),
                stage.display()
            ),
            "If the disk is full, make room.",
        )),
    }
}

/// A folder of this moment's, which nobody else has.
fn new_backup(own: &Path) -> io::Result<PathBuf> {
    let backups = own.join("backups");
    fs::create_dir_all(&backups)?;
    let now = humantime::format_rfc3339_seconds(SystemTime::now()).to_string();
    // Colons are not allowed everywhere.
    let now = now.replace(':', "-");
    for number in 1_u32.. {
        let name = match number {
            1 => now.clone(),
            number => format!("{now}-{number}"),
        };
        match fs::create_dir(backups.join(&name)) {
            Ok(()) => return Ok(backups.join(name)),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
    }
    Err(io::ErrorKind::AlreadyExists.into())
}

/// What was done so far, so that it can be undone.
struct Work<'a> {
    root: &'a Path,
    backup: &'a Path,
    /// From where to where.
    moved: Vec<(PathBuf, PathBuf)>,
    placed: Vec<PathBuf>,
}

/// Where something could not be done, and why.
type Trouble = (PathBuf, io::Error);

impl Work<'_> {
    fn run(&mut self, targets: &[Target]) -> std::result::Result<(), Trouble> {
        for target in targets {
            self.take_away(&target.path)?;
        }
        for target in targets {
            if let Some(original) = &target.original {
                self.place(original, &target.path)?;
            }
        }
        Ok(())
    }

    /// Moves everything at `path` into the backup but what no digest counts. Links are moved, not followed.
    fn take_away(&mut self, path: &Path) -> std::result::Result<(), Trouble> {
        let whole = self.root.join(path);
        let Ok(metadata) = fs::symlink_metadata(&whole) else {
            return Ok(());
        };
        if !metadata.is_dir() {
            return self.move_to_backup(path);
        }
        let mut folders = Vec::new();
        for entry in WalkDir::new(&whole)
            .contents_first(false)
            .into_iter()
            .filter_entry(|entry| entry.depth() == 0 || !digest::is_left_behind(entry.file_name()))
        {
            let entry = entry.map_err(|error| (whole.clone(), error.into()))?;
            if entry.file_type().is_dir() {
                folders.push(entry.into_path());
            } else {
                let below = entry
                    .path()
                    .strip_prefix(self.root)
                    .unwrap_or(path)
                    .to_path_buf();
                self.move_to_backup(&below)?;
            }
        }
        // Those that are empty now. The first is the part itself, in which somebody's shell may be.
        for folder in folders.iter().skip(1).rev() {
            let _ = fs::remove_dir(folder);
        }
        Ok(())
    }

    fn move_to_backup(&mut self, path: &Path) -> std::result::Result<(), Trouble> {
        let from = self.root.join(path);
        let mut to = self.backup.join(path);
        let in_backup = |error| (from.clone(), error);
        fs::create_dir_all(to.parent().unwrap_or(self.backup)).map_err(in_backup)?;
        // Somebody has saved it again since it was moved.
        while fs::symlink_metadata(&to).is_ok() {
            let mut name = to.into_os_string();
            name.push(".again");
            to = PathBuf::from(name);
        }
        move_file(&from, &to).map_err(|error| (from.clone(), error))?;
        self.moved.push((from, to));
        Ok(())
    }

    /// Writes the original's files where nothing is.
    fn place(&mut self, original: &Path, path: &Path) -> std::result::Result<(), Trouble> {
        for entry in WalkDir::new(original).into_iter().flatten() {
            if !entry.file_type().is_file() {
                continue;
            }
            let below = entry.path().strip_prefix(original).unwrap_or(Path::new(""));
            let path = if below.as_os_str().is_empty() {
                path.to_path_buf()
            } else {
                path.join(below)
            };
            let place = self.root.join(&path);
            let trouble = |error| (place.clone(), error);
            let content = files::read(entry.path()).map_err(trouble)?;
            fs::create_dir_all(place.parent().unwrap_or(self.root)).map_err(trouble)?;
            let mut file = loop {
                match fs::File::create_new(&place) {
                    Ok(file) => break file,
                    Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                        self.move_to_backup(&path)?;
                    }
                    Err(error) => return Err(trouble(error)),
                }
            };
            self.placed.push(place.clone());
            file.write_all(&content).map_err(trouble)?;
        }
        Ok(())
    }

    fn undo(&mut self) -> std::result::Result<(), Trouble> {
        for place in self.placed.drain(..) {
            let _ = fs::remove_file(place);
        }
        while let Some((from, to)) = self.moved.pop() {
            let trouble = |error| (from.clone(), error);
            fs::create_dir_all(from.parent().unwrap_or(self.root)).map_err(trouble)?;
            move_file(&to, &from).map_err(trouble)?;
        }
        Ok(())
    }
}

/// Moves a file or a link; to another file system by a copy that is complete before the file goes.
fn move_file(from: &Path, to: &Path) -> io::Result<()> {
    match fs::rename(from, to) {
        Err(error) if error.kind() == io::ErrorKind::CrossesDevices => {}
        done => return done,
    }
    if fs::symlink_metadata(from)?.is_symlink() {
        let leads_to = fs::read_link(from)?;
        #[cfg(unix)]
        std::os::unix::fs::symlink(leads_to, to)?;
        #[cfg(windows)]
        std::os::windows::fs::symlink_file(leads_to, to)?;
    } else {
        fs::copy(from, to)?;
        fs::File::open(to)?.sync_all()?;
    }
    fs::remove_file(from)
}

fn render(course: &Course, targets: &[Target], what: &str, backup: &Path, files: usize) -> String {
    let mut text = String::new();
    let mut last = String::new();
    for target in targets {
        let head = format!("{} {}", target.exercise.id(), target.exercise.name);
        if head != last {
            let _ = writeln!(text, "{head}: {what} as the course ships it.");
            last = head;
        }
    }
    let backup = backup
        .strip_prefix(&course.root)
        .unwrap_or(backup)
        .display();
    let files = match files {
        1 => "one file".to_owned(),
        files => format!("{files} files"),
    };
    let _ = writeln!(
        text,
        "What was there ({files}) is in {backup}. To have it back, in {}: cp -R {backup}/. .",
        course.root.display()
    );
    text
}
