//! The author's gate: the tests are tested.
//!
//! A check is worth what it rejects. The audit takes each exercise apart: the stub must fail every check by its
//! `todo!()`, the solution and every other right one must pass them all, and every wrong one must be rejected. Wrong ones
//! are those an author wrote down and those made here, one change each.
//!
//! | module | purpose |
//! |---|---|
//! | [`exercise`] | one exercise from its files to its report |
//! | [`material`] | what an author wrote |
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

use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};

use crate::contents;
use crate::course::Course;
use crate::error::{Error, Result};
use crate::grade::{Plan, Workplace};
use crate::lock::Lock;
use crate::watch::Watch;

pub mod api;
pub mod crew;
pub mod exercise;
pub mod form;
pub mod generated;
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

use report::{ExerciseReport, Report};

/// How many exercises are taken apart at once: while one is built, the tests of another run.
const LANES: usize = 2;

/// Audits the selected exercises. With `only_changed`, those that were green and have not changed are left out.
pub fn audit(
    course: &Course,
    lock: &Lock,
    selected: &[bool],
    only_changed: bool,
    plan: &Plan,
    watch: &dyn Watch,
) -> Result<Report> {
    let interrupted = &plan.interrupted;
    let stopped = || interrupted.load(Relaxed);
    let folder = plan.target_dir.join("audit");
    let workplace = Workplace::take(&folder, &stopped, watch)?;
    let mut settings = workplace.settings(plan);
    // What a wrong solution makes proptest find is no regression of the course.
    settings
        .environment
        .push(("PROPTEST_DISABLE_FAILURE_PERSISTENCE".into(), "true".into()));
    let target_dir: PathBuf = plan.target_dir.clone();
    let scratch = folder.join("variants");
    let common = memory::Common::read(&course.root, folder.join("cache"))?;
    let shared = exercise::Course {
        root: &course.root,
        exercises: &course.exercises,
        lock,
        is_listed: contents::is_current(course),
        scratch: &scratch,
        common: &common,
        workshop: trials::Workshop {
            settings: &settings,
            target_dir: &target_dir,
            watch,
        },
        use_memory: plan.use_cache,
        only_changed,
    };

    let chosen: Vec<usize> = (0..course.exercises.len())
        .filter(|&index| selected.get(index) == Some(&true))
        .collect();
    let next = AtomicUsize::new(0);
    let reports: Mutex<Vec<(usize, ExerciseReport)>> = Mutex::default();
    let first_error: Mutex<Option<Error>> = Mutex::default();
    crew::with_crew(plan.workers, |crew| {
        std::thread::scope(|scope| {
            for _ in 0..LANES {
                let crew = crew.clone();
                let (shared, chosen, next) = (&shared, &chosen, &next);
                let (reports, first_error) = (&reports, &first_error);
                scope.spawn(move || {
                    while let Some(&index) = chosen.get(next.fetch_add(1, Relaxed)) {
                        match exercise::audit(shared, &course.exercises[index], &crew) {
                            Ok(None) => {}
                            Ok(Some(report)) => reports
                                .lock()
                                .unwrap_or_else(PoisonError::into_inner)
                                .push((index, report)),
                            Err(error) => {
                                let mut first =
                                    first_error.lock().unwrap_or_else(PoisonError::into_inner);
                                first.get_or_insert(error);
                                next.store(usize::MAX / 2, Relaxed);
                            }
                        }
                    }
                });
            }
        });
    });
    crate::process::sweep();
    if let Some(error) = first_error
        .into_inner()
        .unwrap_or_else(PoisonError::into_inner)
    {
        return Err(error);
    }
    let mut reports = reports.into_inner().unwrap_or_else(PoisonError::into_inner);
    reports.sort_by_key(|(index, _)| *index);
    let reports = reports.into_iter().map(|(_, report)| report).collect();
    Ok(Report::new(reports))
}
