//! One run: an exercise graded in a thread of its own, which tells what it finds out.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::mpsc::Sender;
use std::sync::{Mutex, PoisonError};
use std::thread::JoinHandle;

use crate::cache::WorldResult;
use crate::course::{Course, Target, World};
use crate::error::{Error, Result};
use crate::grade::{self, Plan};
use crate::judge::TestResult;
use crate::lock::Lock;
use crate::result::{NextStep, Report};
use crate::watch::Watch;

/// What a run tells.
pub enum News {
    /// This world is being built.
    Building(World),
    /// Cargo is at work on this.
    Compiling(String),
    /// So many checks are going to have a result.
    Testing(World, usize),
    /// One of those.
    Tested(World, TestResult),
    /// All of a world, from an earlier run.
    Known(World, WorldResult),
    /// Another grader holds the target directory.
    Waiting,
    /// It is over.
    Done(Box<Result<Report>>),
    /// It passes, and this is what to turn to.
    Next(NextStep),
}

/// A run that has begun.
pub struct Run {
    interrupted: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

impl Run {
    /// Begins as soon as `previous`, which is stopped, has killed what it had started.
    pub fn start(
        previous: Option<Self>,
        root: &Path,
        exercise: &str,
        plan: &Plan,
        number: u64,
        sender: Sender<(u64, News)>,
    ) -> Self {
        let interrupted = Arc::new(AtomicBool::new(false));
        let plan = Plan {
            interrupted: Arc::clone(&interrupted),
            ..plan.clone()
        };
        let root: PathBuf = root.to_path_buf();
        let exercise = exercise.to_owned();
        if let Some(previous) = &previous {
            previous.interrupted.store(true, Relaxed);
        }
        let thread = std::thread::spawn(move || {
            if let Some(previous) = previous {
                previous.end();
            }
            let teller = Teller {
                exercise,
                number,
                sender: Mutex::new(sender),
            };
            let run = std::panic::AssertUnwindSafe(|| grade(&root, &plan, &teller));
            let done = std::panic::catch_unwind(run).unwrap_or_else(|_| {
                Err(Error::new(
                    "This is a mistake in the grader.",
                    "Please report it.",
                ))
            });
            // One that was stopped has nothing to say.
            if !plan.interrupted.load(Relaxed) {
                let passes = done
                    .as_ref()
                    .is_ok_and(|report| report.passed == report.total);
                teller.tell(News::Done(Box::new(done)));
                if let (true, Ok(Some(step))) = (passes, next(&root, &plan)) {
                    teller.tell(News::Next(step));
                }
            }
        });
        Self {
            interrupted,
            thread,
        }
    }

    /// Stops it. Nothing of it is alive then.
    pub fn end(self) {
        self.interrupted.store(true, Relaxed);
        let _ = self.thread.join();
    }
}

fn grade(root: &Path, plan: &Plan, teller: &Teller) -> Result<Report> {
    let lock = Lock::read(root)?;
    let mut course = Course::read(root, &lock)?;
    // Alone, for a verdict that is soon there: nobody asks what is known of the others.
    course
        .exercises
        .retain(|exercise| exercise.name == teller.exercise);
    let selected = vec![true; course.exercises.len()];
    let assessments = grade::assess(&course, &lock, &selected, plan, teller)?;
    Ok(Report::new(
        &course,
        &assessments,
        &selected,
        Target::Exercises,
    ))
}

/// What to turn to once it passes, as far as earlier runs have found out.
fn next(root: &Path, plan: &Plan) -> Result<Option<NextStep>> {
    let lock = Lock::read(root)?;
    let course = Course::read(root, &lock)?;
    let assessments = grade::known(&course, &lock, plan)?;
    let all = vec![true; assessments.len()];
    Ok(Report::new(&course, &assessments, &all, Target::Exercises).next)
}

struct Teller {
    exercise: String,
    number: u64,
    sender: Mutex<Sender<(u64, News)>>,
}

impl Teller {
    fn tell(&self, news: News) {
        let sender = self.sender.lock().unwrap_or_else(PoisonError::into_inner);
        // Nobody listens any more when the grader ends.
        let _ = sender.send((self.number, news));
    }
}

impl Watch for Teller {
    fn building(&self, world: World, _packages: usize) {
        self.tell(News::Building(world));
    }

    fn compiling(&self, what: &str) {
        self.tell(News::Compiling(what.to_owned()));
    }

    fn known(&self, _package: &str, world: World, result: &WorldResult) {
        self.tell(News::Known(world, result.clone()));
    }

    fn testing(&self, _package: &str, world: World, tests: usize) {
        self.tell(News::Testing(world, tests));
    }

    fn tested(&self, _package: &str, world: World, result: &TestResult) {
        self.tell(News::Tested(world, result.clone()));
    }

    fn waiting_for_other_grader(&self) {
        self.tell(News::Waiting);
    }
}
