//! The author's gate: the tests are tested.
//!
//! A check is worth what it rejects. The audit takes each exercise apart: the stub must fail every check by its
//! `todo!()`, the solution and every other right one must pass them all, and every wrong one must be rejected. Wrong ones
//! are those an author wrote down and those made here, one change each.
//!
//! | module | purpose |
//! |---|---|
//! | [`choice`] | which exercises are audited, and why |
//! | [`lock`] | `solutions/audit.lock`: what was in order |
//! | [`basis`] | all that this depends on, as digests |
//! | [`exercise`] | one exercise from its files to its report |
//! | [`material`] | what an author wrote |
//! | [`kinds`] | the kinds of wrong solutions, and what an exercise has against each |
//! | [`form`], [`api`] | what is wrong without running anything |
//! | [`mutants`] | wrong solutions that an author wrote down |
//! | [`orderings`], [`generated`] | wrong solutions made from the right one |
//! | [`source`] | edits of source text |
//! | [`variants`] | all of these under one name |
//! | [`scratch`] | the workspace in which variants are crates |
//! | [`trials`], [`crew`] | building and running them, several at once |
//! | [`verdicts`] | what became of them, and what is wrong |
//! | [`memory`] | outcomes that need not be found out twice |
//! | [`report`], [`table`] | the outcome as data and for people |

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};

use crate::contents;
use crate::course::Course;
use crate::error::{Error, Result};
use crate::grade::{Plan, Workplace};
use crate::lock::Lock;
use crate::shard::Shard;
use crate::watch::Watch;

pub mod api;
pub mod basis;
pub mod choice;
pub mod crew;
pub mod exercise;
pub mod form;
pub mod generated;
pub mod kinds;
pub mod lock;
pub mod material;
pub mod memory;
pub mod mutants;
pub mod orderings;
pub mod report;
pub mod scratch;
pub mod source;
pub mod table;
pub mod trials;
pub mod variants;
pub mod verdicts;

use basis::Basis;
use choice::{Fate, Standing, Wanted, Why};
use lock::{AuditLock, Entry};
use report::{ExerciseReport, Locked, Report, Vouched};

/// How many exercises are taken apart at once: while one is built, the tests of another run.
const LANES: usize = 2;

/// What to audit, and whether to take note of it.
#[derive(Debug)]
pub struct Request {
    /// Which exercises.
    pub wanted: Wanted,
    /// Which part of them.
    pub shard: Option<Shard>,
    /// Whether what is in order goes into `solutions/audit.lock`.
    pub lock: bool,
    /// Which engine alone explores the loom models, `graph` or `loom`.
    pub engine: Option<String>,
}

/// Audits what is asked for.
pub fn audit(
    course: &Course,
    lock: &Lock,
    request: &Request,
    plan: &Plan,
    watch: &dyn Watch,
) -> Result<Report> {
    let interrupted = &plan.interrupted;
    let stopped = || interrupted.load(Relaxed);
    let folder = plan.target_dir.join("audit");
    let audited = AuditLock::read(&course.root)?;
    let workplace = Workplace::take(&folder, &stopped, watch)?;
    let mut settings = workplace.settings(plan);
    // What a wrong solution makes proptest find is no regression of the course.
    settings
        .environment
        .push(("PROPTEST_DISABLE_FAILURE_PERSISTENCE".into(), "true".into()));
    let engine = request.engine.as_deref();
    if let Some(engine) = engine {
        settings
            .environment
            .push(("KATA_ENGINE".into(), engine.into()));
    }
    let target_dir: PathBuf = plan.target_dir.clone();
    let scratch = folder.join("variants");
    // What one engine finds out is not what both do.
    let memories =
        folder.join(engine.map_or("cache".to_owned(), |engine| format!("cache-{engine}")));
    let basis = Basis::read(&course.root, plan.hang_guard)?;
    let shared = exercise::Course {
        root: &course.root,
        exercises: &course.exercises,
        lock,
        audited: &audited,
        is_listed: contents::is_current(course),
        scratch: &scratch,
        memories: &memories,
        basis: &basis,
        workshop: trials::Workshop {
            settings: &settings,
            target_dir: &target_dir,
            watch,
        },
        use_memory: plan.use_cache,
    };

    let commit = choice::commit(&course.root);
    let (mut chosen, vouched) = choose(&shared, request, commit.as_deref())?;
    let is_drawn = |one: &Chosen| one.report.why == Why::Drawn;
    let commit = commit.filter(|_| chosen.iter().any(is_drawn));
    let digests: BTreeMap<String, String> = chosen
        .iter_mut()
        .map(|one| (one.report.path.clone(), std::mem::take(&mut one.digest)))
        .collect();
    let reports = take_apart(&shared, chosen, plan.workers)?;
    crate::process::sweep();
    let mut report = Report::new(reports);
    report.vouched = vouched;
    report.commit = commit;
    report.shard = request.shard.map(|shard| shard.to_string());
    if request.lock {
        report.locked = Some(take_note(course, &report, &digests, plan)?);
    }
    Ok(report)
}

/// An exercise that is audited, by its place in the course.
struct Chosen {
    index: usize,
    report: ExerciseReport,
    digest: String,
}

/// What is audited, and what is vouched for.
fn choose(
    course: &exercise::Course<'_>,
    request: &Request,
    commit: Option<&str>,
) -> Result<(Vec<Chosen>, Vec<Vouched>)> {
    let mut looks = Vec::new();
    let mut standings = Vec::new();
    for one in course.exercises {
        let report = exercise::look(course, one)?;
        let digest = course.basis.of_audit(one)?;
        let standing = match course.audited.entry(&one.path()) {
            None => Standing::New,
            Some(entry) if entry.compiler != course.basis.compiler() => Standing::OtherCompiler,
            Some(entry) if entry.digest != digest => Standing::Changed,
            Some(_) if !report.is_green() => Standing::Wrong,
            Some(_) => Standing::Vouched,
        };
        standings.push((one.path(), standing));
        looks.push((report, digest));
    }
    let fates = choice::choose(&request.wanted, request.shard, &standings, commit);
    let mut chosen = Vec::new();
    let mut vouched = Vec::new();
    for (index, ((mut report, digest), fate)) in looks.into_iter().zip(fates).enumerate() {
        match fate {
            Fate::Audited(why) => {
                report.why = why;
                chosen.push(Chosen {
                    index,
                    report,
                    digest,
                });
            }
            Fate::Vouched => vouched.push(Vouched {
                id: report.id,
                name: report.name,
                path: report.path,
            }),
            Fate::Elsewhere => {}
        }
    }
    Ok((chosen, vouched))
}

/// Audits these, a few at a time.
fn take_apart(
    course: &exercise::Course<'_>,
    chosen: Vec<Chosen>,
    workers: usize,
) -> Result<Vec<ExerciseReport>> {
    let next = AtomicUsize::new(0);
    let chosen: Vec<Mutex<Chosen>> = chosen.into_iter().map(Mutex::new).collect();
    let first_error: Mutex<Option<Error>> = Mutex::default();
    crew::with_crew(workers, |crew| {
        std::thread::scope(|scope| {
            for _ in 0..LANES {
                let crew = crew.clone();
                let (chosen, next, first_error) = (&chosen, &next, &first_error);
                scope.spawn(move || {
                    while let Some(one) = chosen.get(next.fetch_add(1, Relaxed)) {
                        let mut one = one.lock().unwrap_or_else(PoisonError::into_inner);
                        let which = &course.exercises[one.index];
                        if let Err(error) = exercise::audit(course, which, &mut one.report, &crew) {
                            let mut first =
                                first_error.lock().unwrap_or_else(PoisonError::into_inner);
                            first.get_or_insert(error);
                            next.store(usize::MAX / 2, Relaxed);
                        }
                    }
                });
            }
        });
    });
    let first_error = first_error
        .into_inner()
        .unwrap_or_else(PoisonError::into_inner);
    if let Some(error) = first_error {
        return Err(error);
    }
    let reports = chosen.into_iter().map(|one| {
        let one = one.into_inner().unwrap_or_else(PoisonError::into_inner);
        one.report
    });
    Ok(reports.collect())
}

/// Writes into `solutions/audit.lock` what was audited, if all of it was in order. `digests` are from before.
fn take_note(
    course: &Course,
    report: &Report,
    digests: &BTreeMap<String, String>,
    plan: &Plan,
) -> Result<Locked> {
    let mut locked = Locked::default();
    if !report.green {
        return Ok(locked);
    }
    // Files may have changed meanwhile, and another audit may have written the lock.
    let basis = Basis::read(&course.root, plan.hang_guard)?;
    let mut lock = AuditLock::read(&course.root)?;
    lock.retain(|path| course.exercises.iter().any(|one| one.path() == path));
    for audited in &report.exercises {
        let Some(exercise) = course
            .exercises
            .iter()
            .find(|one| one.path() == audited.path)
        else {
            continue;
        };
        let digest = basis.of_audit(exercise)?;
        if digests.get(&audited.path) != Some(&digest) {
            let what = format!("{}: changed while it was audited", audited.path);
            locked.left_out.push(what);
        } else if let Some(skipped) = audited.skipped.first() {
            let what = format!("{}: a part was skipped, {skipped}", audited.path);
            locked.left_out.push(what);
        } else {
            let entry = Entry::of(audited, digest, basis.compiler());
            lock.insert(audited.path.clone(), entry);
            locked.written.push(audited.path.clone());
        }
    }
    lock.write(&course.root)?;
    Ok(locked)
}
