//! The grader inside a sandbox: grades one exercise of the copy of the course, and answers once.
//!
//! The learner's code runs as the same user beside it, so it may not be trusted to leave the answer alone. The process
//! cannot be looked into or written to by others (it is not dumpable), and the answer counts only if it begins with a
//! number that was on standard input, which was read to its end before anything of the learner's ran.

use std::fs;
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use walkdir::WalkDir;

use super::stage::output_of;
use crate::build;
use crate::course::{Course, Target};
use crate::error::{Error, Result};
use crate::grade::{self, Plan};
use crate::lock::Lock;
use crate::result::Report;
use crate::watch::Silent;

/// What is asked of a cell.
#[derive(Debug, Serialize, Deserialize)]
pub struct Request {
    /// Stands before the answer.
    pub nonce: String,
    /// Where the course is, as the cell sees it.
    pub course: PathBuf,
    /// Where cargo builds.
    pub target_dir: PathBuf,
    /// What was built before, to begin with.
    pub warm: Option<PathBuf>,
    /// How many tests run at once.
    pub workers: usize,
    /// After this time a test is stopped.
    pub hang_guard: Duration,
    /// Limits of the process and its children, if it has to keep any.
    pub limits: Option<CellLimits>,
    /// What to do.
    pub task: Task,
}

/// What a cell and all that it starts may use. The files' sum is limited from outside, by the size of its disk.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct CellLimits {
    /// Processes. When there are more, all but the cell itself are killed at once.
    pub processes: usize,
    /// Processes and threads together. Beyond it none can be started.
    pub threads: u64,
    /// Bytes of address space of each process.
    pub memory: u64,
    /// Bytes of each file.
    pub file_size: u64,
}

/// What a cell does.
#[derive(Debug, Serialize, Deserialize)]
pub enum Task {
    /// Build what the checks of all exercises depend on.
    Prepare,
    /// Grade the exercise of this name.
    Grade(String),
}

/// What a cell says.
#[derive(Debug, Serialize, Deserialize)]
pub enum Answer {
    /// To [`Task::Prepare`].
    Prepared,
    /// To [`Task::Grade`], with what there is to say about how it went.
    Graded(Box<Report>, Vec<String>),
    /// The grader could not work.
    Trouble(String),
}

/// Reads the request, does what it asks, and answers.
pub fn run(interrupted: Arc<AtomicBool>) -> Result<()> {
    let mut request = Vec::new();
    let trouble = |what: String| Error::new(what, "`cell` is for `class`, not for people.");
    io::stdin()
        .read_to_end(&mut request)
        .map_err(|error| trouble(format!("No request: {error}")))?;
    let request: Request = serde_json::from_slice(&request)
        .map_err(|error| trouble(format!("No request: {error}")))?;
    let answer = match work(&request, interrupted) {
        Ok(answer) => answer,
        Err(Error::Interrupted) => return Err(Error::Interrupted),
        Err(error) => Answer::Trouble(error.to_string()),
    };
    let answer = serde_json::to_string(&answer).map_err(|error| trouble(error.to_string()))?;
    // On a line of its own, whatever others wrote there.
    let line = format!("\n{} {answer}\n", request.nonce);
    let mut out = io::stdout().lock();
    out.write_all(line.as_bytes())
        .and_then(|()| out.flush())
        .map_err(|error| trouble(format!("No answer: {error}")))
}

/// The answer in what a cell wrote.
pub fn answer_in(output: &[u8], nonce: &str) -> Option<Answer> {
    output
        .split(|&byte| byte == b'\n')
        .filter_map(|line| line.strip_prefix(nonce.as_bytes())?.strip_prefix(b" "))
        .find_map(|answer| serde_json::from_slice(answer).ok())
}

fn work(request: &Request, interrupted: Arc<AtomicBool>) -> Result<Answer> {
    if let Some(limits) = request.limits {
        confine(limits).map_err(|error| {
            Error::new(format!("The sandbox's limits cannot be set: {error}"), "")
        })?;
    }
    let unwritable = |error: io::Error| {
        Error::new(
            format!(
                "{} cannot be written: {error}",
                request.target_dir.display()
            ),
            "",
        )
    };
    fs::create_dir_all(&request.target_dir).map_err(unwritable)?;
    if let Some(warm) = &request.warm {
        begin_with(warm, &request.target_dir).map_err(unwritable)?;
    }
    let lock = Lock::read(&request.course)?;
    let course = Course::read(&request.course, &lock)?;
    let plan = Plan {
        target: Target::Exercises,
        use_cache: false,
        target_dir: request.target_dir.clone(),
        hang_guard: request.hang_guard,
        workers: request.workers,
        interrupted,
    };
    match &request.task {
        Task::Prepare => prepare(&course, &plan.target_dir).map(|()| Answer::Prepared),
        Task::Grade(exercise) => {
            let selected = course.select(std::slice::from_ref(exercise))?;
            let assessments = grade::assess_hostile(&course, &lock, &selected, &plan, &Silent)?;
            let report = Report::new(&course, &assessments, &selected, plan.target);
            let limits = request.limits.filter(|_| BOMBS.load(Relaxed) > 0);
            let note = limits.map(|limits| {
                format!(
                    "More than {} processes ran at once, so all of them were killed, and what was killed says no more than \
                     that.",
                    limits.processes
                )
            });
            Ok(Answer::Graded(Box::new(report), note.into_iter().collect()))
        }
    }
}

/// Builds each stub's own tests, of which there are none, and with them all that the checks depend on. One crate at a
/// time, as a submission's will be: built together, they would be given other features.
fn prepare(course: &Course, target_dir: &Path) -> Result<()> {
    for exercise in &course.exercises {
        for world in &exercise.package.worlds {
            let name = &exercise.package.name;
            let mut cargo = Command::new(build::cargo());
            cargo
                .current_dir(&course.root)
                .args(["test", "--no-run", "--quiet", "--lib", "--package", name])
                .arg("--target-dir")
                .arg(target_dir);
            if let Some(feature) = world.feature() {
                cargo.args(["--features", &format!("{name}/{feature}")]);
            }
            output_of(&mut cargo)?;
        }
    }
    Ok(())
}

/// Files up to this size are copied, larger ones are links: cargo and rustc write small files in place, and put a new
/// file where a large one was.
const COPIED: u64 = 16 * 1024;

/// Fills `target_dir` with what was built in `warm`, at the cost of a few links.
fn begin_with(warm: &Path, target_dir: &Path) -> io::Result<()> {
    let of_grader = warm.join("grade");
    let entries = WalkDir::new(warm)
        .into_iter()
        .filter_entry(|entry| entry.path() != of_grader);
    for entry in entries {
        let entry = entry?;
        let relative = entry.path().strip_prefix(warm).unwrap_or(entry.path());
        let place = target_dir.join(relative);
        let metadata = entry.metadata().map_err(io::Error::from)?;
        if metadata.is_dir() {
            fs::create_dir_all(&place)?;
        } else if metadata.len() > COPIED {
            #[cfg(unix)]
            std::os::unix::fs::symlink(entry.path(), &place)?;
            #[cfg(not(unix))]
            fs::copy(entry.path(), &place)?;
        } else {
            // What cargo takes for fresh, it finds out from times.
            fs::copy(entry.path(), &place)?;
            let copy = fs::File::options().write(true).open(&place)?;
            copy.set_modified(metadata.modified()?)?;
        }
    }
    Ok(())
}

#[cfg(target_os = "linux")]
fn confine(limits: CellLimits) -> io::Result<()> {
    use rustix::process::{
        DumpableBehavior, Resource, Rlimit, getrlimit, set_dumpable_behavior, setrlimit,
    };

    // What is built for all is to be read by all.
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o022));
    set_dumpable_behavior(DumpableBehavior::NotDumpable)?;
    for (resource, most) in [
        (Resource::Nproc, limits.threads),
        (Resource::As, limits.memory),
        (Resource::Fsize, limits.file_size),
        (Resource::Core, 0),
    ] {
        // A lower one stays as it is: nobody may raise it.
        let most = getrlimit(resource)
            .maximum
            .map_or(most, |own| own.min(most));
        let limit = Rlimit {
            current: Some(most),
            maximum: Some(most),
        };
        setrlimit(resource, limit)?;
    }
    std::thread::spawn(move || stop_bombs(limits.processes));
    Ok(())
}

/// How often all processes had to be killed.
static BOMBS: AtomicUsize = AtomicUsize::new(0);

/// How often the processes are counted.
#[cfg(target_os = "linux")]
const PAUSE: Duration = Duration::from_millis(200);

/// Kills processes that start others faster than the guards of a test, which go from one to the next, can follow. In a
/// sandbox there is nobody else whom it could hit.
#[cfg(target_os = "linux")]
#[expect(
    clippy::disallowed_methods,
    reason = "looks now and then, as long as the cell lives"
)]
fn stop_bombs(most: usize) {
    use rustix::process::{Pid, Signal, kill_process_group};

    loop {
        std::thread::sleep(PAUSE);
        let ids = fs::read_dir("/proc").into_iter().flatten().flatten();
        let is_process = |entry: &fs::DirEntry| {
            let name = entry.file_name();
            name.as_encoded_bytes().iter().all(u8::is_ascii_digit)
        };
        if ids.filter(is_process).count() > most {
            // kill(-1): all at once, before any of them can start another.
            let _ = kill_process_group(Pid::INIT, Signal::KILL);
            BOMBS.fetch_add(1, Relaxed);
        }
    }
}

#[cfg(not(target_os = "linux"))]
fn confine(_limits: CellLimits) -> io::Result<()> {
    Err(io::Error::other("only Linux has them"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_nonce_makes_an_answer() {
        let nonce = "4711";
        let forged = b"junk\n0815 {\"Trouble\":\"forged\"}\n{\"Trouble\":\"forged\"}\n4711 half";
        assert!(answer_in(forged, nonce).is_none());
        let mut output = forged.to_vec();
        output.extend_from_slice(b"\n4711 {\"Trouble\":\"genuine\"}\n");
        let Some(Answer::Trouble(said)) = answer_in(&output, nonce) else {
            panic!("no answer in {}", String::from_utf8_lossy(&output));
        };
        assert_eq!(said, "genuine");
    }
}
