//! Grades other people's code: a class of submissions, each exercise of each in a sandbox of its own.
//!
//! | module | purpose |
//! |---|---|
//! | [`submission`] | what is taken of a submission |
//! | [`stage`] | the fresh copy of the course on which it is laid |
//! | [`registry`] | the downloaded crates, and nothing else of cargo's |
//! | [`sandbox`] | where a cell runs |
//! | [`cgroup`] | what the kernel limits of it, where it may |
//! | [`refusal`] | what to do where there is no sandbox |
//! | [`cell`] | the grader inside the sandbox |
//! | [`outcome`], [`page`] | results as data, as a table, as pages |
//! | [`merge`] | the results of several machines as one |

use std::collections::VecDeque;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tempfile::TempDir;

use crate::course::{Course, Exercise};
use crate::digest::{self, Digest};
use crate::error::{Error, Result};
use crate::lock::Lock;
use crate::result::{CheckReport, Report, State};
use crate::shard::Shard;

pub mod cell;
pub mod cgroup;
pub mod merge;
pub mod outcome;
pub mod page;
pub mod refusal;
pub mod registry;
pub mod sandbox;
pub mod stage;
pub mod submission;

use cell::{Answer, Task};
use outcome::{Goal, Graded, Out, RECORD_SCHEMA, Record, Results, Row, SCHEMA, goals};
use sandbox::{CELLS, Cell, Ending, Sandbox, Warm};
use stage::Stage;
use submission::{Source, Submission, Taken};

/// What to grade, and how.
#[derive(Debug)]
pub struct Plan {
    /// Holds a folder for each submission.
    pub submissions: PathBuf,
    /// Where the results go.
    pub out: PathBuf,
    /// Which part of the submissions.
    pub shard: Option<Shard>,
    /// How many sandboxes at once.
    pub jobs: usize,
    /// How many processors there are for them.
    pub cores: usize,
    /// Whether the submissions may do as they like.
    pub trust: bool,
    /// After this time a check is stopped.
    pub hang_guard: Duration,
    /// After this time an exercise is stopped, whatever it does.
    pub limit: Duration,
    /// Where cargo builds.
    pub target_dir: PathBuf,
    /// Set when the grader is to stop.
    pub interrupted: Arc<AtomicBool>,
}

/// Hears where the work is.
pub trait Listener: Sync {
    /// Something worth a line.
    fn tell(&self, line: &str);
    /// A submission is through, the so-manieth of so many; it was known already, or it has just been graded.
    fn finished(&self, record: &Record, known: bool, done: usize, all: usize);
}

/// How often a cell is run that does not answer: the machine may be to blame.
const TRIES: usize = 2;

/// Grades a class. What an earlier run with the same `out` found out is kept.
pub fn grade(root: &Path, plan: &Plan, listener: &dyn Listener) -> Result<Results> {
    let stopped = || plan.interrupted.load(Relaxed);
    let tell = |line: &str| listener.tell(line);
    let mut submissions = submission::list(&plan.submissions)?;
    if let Some(shard) = plan.shard {
        let mut places = 0..;
        submissions.retain(|_| places.next().is_some_and(|place| shard.has(place)));
    }
    let jobs = plan.jobs.clamp(1, CELLS);
    must_be_apart(&plan.submissions, &plan.out)?;
    let out = Out::take(&plan.out)?;

    let stage = Stage::take(root, &plan.target_dir, &stopped, &tell)?;
    let sandbox = if plan.trust {
        Sandbox::None
    } else {
        Sandbox::find(root, stage.folder())?
    };
    if let Some(limits) = sandbox.limits() {
        tell(&format!("limits: {limits}"));
    }
    let lock = Lock::read(&stage.course)?;
    let work = Work {
        course: Course::read(&stage.course, &lock)?,
        workers: (plan.cores / jobs).max(1),
        plan,
        stage: &stage,
        sandbox: &sandbox,
        scratch: out.scratch()?,
    };
    work.prepare(&stopped, &tell)?;
    let goals = goals(&work.course, &lock);

    let mut results = Results {
        schema: SCHEMA.to_owned(),
        course: stage.digest.clone(),
        sandbox: sandbox.name().to_owned(),
        shard: plan.shard.map(|shard| shard.to_string()),
        exercises: goals.clone(),
        submissions: Vec::new(),
    };
    let queue = Queue {
        work: &work,
        out: &out,
        goals: &goals,
        listener,
        all: submissions.len(),
        waiting: Mutex::new((submissions.into(), VecDeque::new())),
        rows: Mutex::new(Vec::new()),
        failed: AtomicBool::new(false),
        error: Mutex::new(None),
    };
    std::thread::scope(|scope| {
        for slot in 0..jobs {
            let queue = &queue;
            scope.spawn(move || queue.work_off(slot));
        }
    });
    if stopped() {
        return Err(Error::Interrupted);
    }
    if let Some(error) = locked(&queue.error).take() {
        return Err(error);
    }
    results.submissions = std::mem::take(&mut *locked(&queue.rows));
    results
        .submissions
        .sort_by(|left, right| left.id.cmp(&right.id));
    out.sum_up(&results)?;
    Ok(results)
}

/// Results among the submissions would be taken for one.
fn must_be_apart(submissions: &Path, out: &Path) -> Result<()> {
    if whole(out).starts_with(whole(submissions)) {
        return Err(Error::new(
            format!("{} lies in {}.", out.display(), submissions.display()),
            "Name a folder outside of the submissions with --out DIR.",
        ));
    }
    Ok(())
}

/// The path without links, as far as it exists.
fn whole(path: &Path) -> PathBuf {
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    path.ancestors()
        .find_map(|known| {
            let rest = path.strip_prefix(known).ok()?;
            Some(fs::canonicalize(known).ok()?.join(rest))
        })
        .unwrap_or(path)
}

/// What every worker needs to know.
struct Work<'a> {
    plan: &'a Plan,
    stage: &'a Stage,
    sandbox: &'a Sandbox,
    course: Course,
    /// How many checks run at once in one cell.
    workers: usize,
    scratch: TempDir,
}

impl Work<'_> {
    /// Has everything built that all submissions share. Without a sandbox each worker builds its own.
    fn prepare(&self, stopped: &dyn Fn() -> bool, tell: &dyn Fn(&str)) -> Result<()> {
        if let Sandbox::None = self.sandbox {
            return Ok(());
        }
        self.stage.warm_up(stopped, tell, || {
            tell("Building what all submissions share. This happens once for each state of the course's crates.");
            let cell = Cell {
                slot: 0,
                course: &self.stage.course,
                source: None,
                warm: Warm::Written(&self.stage.warm),
                workers: self.plan.cores,
                hang_guard: self.plan.hang_guard,
                limit: Duration::MAX,
            };
            let what = match self.sandbox.run(&cell, Task::Prepare, stopped)? {
                Ending::Answered(Answer::Prepared) => return Ok(()),
                Ending::Answered(Answer::Trouble(what)) | Ending::Silent(what) => what,
                Ending::UsedUp(what) => what,
                Ending::Answered(Answer::Graded(..)) | Ending::OutOfTime => "No answer.".to_owned(),
            };
            let advice = "The course itself could not be built, so nothing was graded.";
            Err(Error::new(what, advice))
        })
    }

    /// Tells one grading from another: what a result depends on.
    fn key(&self, taken: &Taken) -> String {
        let mut key = Digest::default();
        key.add(&self.stage.digest);
        key.add(self.sandbox.name());
        key.add(format!("{:?} {:?}", self.plan.hang_guard, self.plan.limit));
        key.add(taken.digest());
        key.finish()
    }

    /// What can be said without running anything; nothing if it has to be graded.
    fn at_once(&self, exercise: &Exercise, source: Option<&Source>) -> Result<Option<Graded>> {
        let Some(source) = source else {
            return Ok(Some(graded(exercise, Some(State::NotStarted), Vec::new())));
        };
        let notes = source.notes.clone();
        if !source.files.contains_key("lib.rs") {
            let mut graded = graded(exercise, Some(State::WontCompile), notes);
            graded.notes.insert(0, "There is no src/lib.rs.".to_owned());
            return Ok(Some(graded));
        }
        let trouble = |error: io::Error| Error::new(format!("{}: {error}", exercise.path()), "");
        // As the grader compares a source with the stub: line ends and files that editors leave do not count.
        let folder = TempDir::new_in(self.scratch.path()).map_err(trouble)?;
        source.write(&folder.path().join("src")).map_err(trouble)?;
        let digest = |folder: &Path| digest::folder(&folder.join("src")).map_err(trouble);
        let untouched = digest(folder.path())? == digest(&exercise.package.dir)?;
        Ok(untouched.then(|| graded(exercise, Some(State::NotStarted), notes)))
    }

    /// Grades one exercise in a cell of its own.
    fn in_cell(&self, slot: usize, exercise: &Exercise, source: &Source) -> Result<Graded> {
        let stopped = || self.plan.interrupted.load(Relaxed);
        let trouble = |error: io::Error| Error::new(format!("{}: {error}", exercise.path()), "");
        let path = format!("exercises/{}/src", exercise.path());
        let mut silent = String::new();
        for _ in 0..TRIES {
            let folder = TempDir::new_in(self.scratch.path()).map_err(trouble)?;
            let laid = folder.path().join("src");
            source.write(&laid).map_err(trouble)?;
            let own = self.scratch.path().join(format!("cell-{slot}"));
            let (course, warm, source) = match self.sandbox {
                Sandbox::Bubblewrap(_) => (
                    self.stage.course.clone(),
                    Warm::Read(&self.stage.warm),
                    Some((laid.as_path(), path.clone())),
                ),
                // No cell writes into another's folder; what one leaves behind in its own is put right.
                Sandbox::None => {
                    let course = own.join("course");
                    let _ = fs::remove_dir_all(&course);
                    stage::copy_folder(&self.stage.course, &course).map_err(trouble)?;
                    let src = course.join(&path);
                    fs::remove_dir_all(&src).map_err(trouble)?;
                    fs::rename(&laid, &src).map_err(trouble)?;
                    (course, Warm::Written(&own), None)
                }
            };
            let cell = Cell {
                slot,
                course: &course,
                source,
                warm,
                workers: self.workers,
                hang_guard: self.plan.hang_guard,
                limit: self.plan.limit,
            };
            let task = Task::Grade(exercise.name.clone());
            match self.sandbox.run(&cell, task, &stopped)? {
                Ending::Answered(Answer::Graded(report, notes)) => {
                    return Ok(of_report(exercise, *report, notes));
                }
                Ending::Answered(Answer::Trouble(what)) => silent = what,
                Ending::Answered(Answer::Prepared) => silent = "It prepared.".to_owned(),
                Ending::Silent(what) => silent = format!("The grader was ended: {what}"),
                Ending::OutOfTime => {
                    let seconds = self.plan.limit.as_secs();
                    let note = format!(
                        "The grader had not answered after {seconds} s, so it was stopped: did the code stop it?"
                    );
                    return Ok(graded(exercise, Some(State::Hanging), vec![note]));
                }
                Ending::UsedUp(what) => {
                    return Ok(graded(exercise, Some(State::Failing), vec![what]));
                }
            }
        }
        Ok(graded(exercise, None, vec![silent]))
    }
}

fn graded(exercise: &Exercise, state: Option<State>, notes: Vec<String>) -> Graded {
    Graded {
        id: exercise.id(),
        name: exercise.name.clone(),
        title: exercise.title.clone(),
        state,
        notes,
        checks: Vec::new(),
    }
}

fn of_report(exercise: &Exercise, report: Report, mut notes: Vec<String>) -> Graded {
    notes.extend(report.errors);
    let found = report
        .phases
        .into_iter()
        .flat_map(|phase| phase.exercises)
        .find(|found| found.name == exercise.name);
    let (state, checks): (_, Vec<CheckReport>) = match found {
        Some(found) => (Some(found.state), found.checks),
        None => (None, Vec::new()),
    };
    Graded {
        checks,
        ..graded(exercise, state, notes)
    }
}

/// A submission of which exercises are being graded.
struct Open {
    key: String,
    submission: Submission,
    notes: Vec<String>,
    graded: Mutex<Vec<Option<Graded>>>,
    left: AtomicUsize,
}

/// One exercise of one submission.
struct Job {
    open: Arc<Open>,
    exercise: usize,
    source: Source,
}

/// Hands out exercises, submission after submission, and takes their results in.
struct Queue<'a> {
    work: &'a Work<'a>,
    out: &'a Out,
    goals: &'a [Goal],
    listener: &'a dyn Listener,
    all: usize,
    waiting: Mutex<(VecDeque<Submission>, VecDeque<Job>)>,
    rows: Mutex<Vec<Row>>,
    failed: AtomicBool,
    error: Mutex<Option<Error>>,
}

impl Queue<'_> {
    fn work_off(&self, slot: usize) {
        while !self.failed.load(Relaxed) && !self.work.plan.interrupted.load(Relaxed) {
            let done = match self.next() {
                Ok(None) => return,
                Ok(Some(job)) => self.run(slot, job),
                Err(error) => Err(error),
            };
            if let Err(error) = done {
                self.failed.store(true, Relaxed);
                locked(&self.error).get_or_insert(error);
            }
        }
    }

    /// The next exercise. Submissions in which nothing has to be run are dealt with on the way.
    fn next(&self) -> Result<Option<Job>> {
        let mut waiting = locked(&self.waiting);
        loop {
            if let Some(job) = waiting.1.pop_front() {
                return Ok(Some(job));
            }
            if self.work.plan.interrupted.load(Relaxed) {
                return Ok(None);
            }
            let Some(submission) = waiting.0.pop_front() else {
                return Ok(None);
            };
            waiting.1 = self.open(submission)?.into();
        }
    }

    fn open(&self, submission: Submission) -> Result<Vec<Job>> {
        let exercises = &self.work.course.exercises;
        let taken = Taken::from(&submission, exercises);
        let key = self.work.key(&taken);
        if let Some(record) = self.out.record(&submission.id)
            && record.key == key
            && record.is_settled()
        {
            // The page may be that of an earlier grader, or somebody removed it.
            self.out.store_page(&record, self.goals)?;
            self.finish(&record, true);
            return Ok(Vec::new());
        }
        let mut graded = Vec::new();
        let mut open = Vec::new();
        for (index, (exercise, source)) in exercises.iter().zip(taken.sources).enumerate() {
            let known = self.work.at_once(exercise, source.as_ref())?;
            if known.is_none()
                && let Some(source) = source
            {
                open.push((index, source));
            }
            graded.push(known);
        }
        let submission = Arc::new(Open {
            key,
            submission,
            notes: taken.notes,
            graded: Mutex::new(graded),
            left: AtomicUsize::new(open.len()),
        });
        if open.is_empty() {
            self.close(&submission)?;
        }
        let job = |(exercise, source)| Job {
            open: Arc::clone(&submission),
            exercise,
            source,
        };
        Ok(open.into_iter().map(job).collect())
    }

    fn run(&self, slot: usize, job: Job) -> Result<()> {
        let exercise = &self.work.course.exercises[job.exercise];
        let mut graded = self.work.in_cell(slot, exercise, &job.source)?;
        graded.notes.extend(job.source.notes);
        locked(&job.open.graded)[job.exercise] = Some(graded);
        if job.open.left.fetch_sub(1, Relaxed) == 1 {
            self.close(&job.open)?;
        }
        Ok(())
    }

    /// All exercises of a submission are in.
    fn close(&self, open: &Open) -> Result<()> {
        let graded = std::mem::take(&mut *locked(&open.graded));
        let record = Record {
            schema: RECORD_SCHEMA.to_owned(),
            key: open.key.clone(),
            name: open.submission.name.clone(),
            id: open.submission.id.clone(),
            notes: open.notes.clone(),
            exercises: graded.into_iter().flatten().collect(),
        };
        self.out.store(&record, self.goals)?;
        self.finish(&record, false);
        Ok(())
    }

    fn finish(&self, record: &Record, known: bool) {
        let mut rows = locked(&self.rows);
        rows.push(Row::of(record, self.goals));
        self.listener.finished(record, known, rows.len(), self.all);
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Results {
    /// 0 if everything was graded, whatever came out; 1 if something could not be.
    pub fn exit_code(&self) -> u8 {
        let mut states = self.submissions.iter().flat_map(|row| &row.exercises);
        u8::from(states.any(|reached| reached.state.is_none()))
    }
}
