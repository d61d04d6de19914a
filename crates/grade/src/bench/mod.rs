//! Measures the selected exercises beside their peers, one after the other: two at once would disturb each other.
//!
//! What is measured, and how, is the exercise's `benches/peers.rs` and `kata::check::bench`; here it is built, run and
//! shown. No figure decides anything.

pub mod report;
pub mod table;

use std::fs;
use std::path::Path;

use serde::Deserialize as _;
use toml::Table;

use crate::build::{self, Built, Program};
use crate::course::{Course, Exercise, Package, Target, World};
use crate::error::Result;
use crate::grade::{self, Plan, Workplace};
use crate::judge::{self, Verdict};
use crate::lock::Lock;
use crate::run::{self, Settings, Trial};
use crate::watch::Watch;

use report::{ExerciseReport, Measured, Report, State};

/// Measures every selected exercise that has a peer and, if it is the learner's code that is asked for, was started.
pub fn bench(
    course: &Course,
    lock: &Lock,
    selected: &[bool],
    plan: &Plan,
    watch: &dyn Watch,
) -> Result<Report> {
    let stopped = || plan.interrupted.load(std::sync::atomic::Ordering::Relaxed);
    let workplace = Workplace::take(&plan.target_dir, &stopped, watch)?;
    let settings = workplace.settings(plan);

    let mut reports = Vec::new();
    let mut open = Vec::new();
    for (exercise, _) in course.exercises.iter().zip(selected).filter(|(_, is)| **is) {
        let (state, message) = match first_look(course, exercise, lock, plan.target)? {
            Ok(package) => {
                open.push((reports.len(), package));
                (State::Measured, None)
            }
            Err(reason) => reason,
        };
        reports.push(ExerciseReport {
            id: exercise.id(),
            name: exercise.name.clone(),
            state,
            message,
            measured: None,
        });
    }
    if open.is_empty() {
        return Ok(Report::new(plan.target, reports));
    }

    watch.building(World::Std, open.len());
    let packages: Vec<&Package> = open.iter().map(|(_, package)| package).collect();
    let request = build::Request {
        root: &course.root,
        target_dir: &settings.target_dir,
        program: Program::Peers,
        world: World::Std,
        packages: &packages,
        environment: &[],
        hang_guard: settings.hang_guard,
    };
    let built = build::build(&request, &stopped, watch)?;
    for (done, ((index, package), built)) in open.iter().zip(built).enumerate() {
        watch.measuring(&package.name, done, open.len());
        let report = &mut reports[*index];
        match built {
            Built::DoesNotCompile(errors) => {
                report.state = State::WontCompile;
                report.message = Some(errors);
            }
            Built::Binary(binary) => {
                let trial = run::bench(&settings, package, &binary)?;
                match figures(&trial, &settings) {
                    Ok(measured) => report.measured = Some(measured),
                    Err((state, message)) => {
                        report.state = state;
                        report.message = Some(message);
                    }
                }
            }
        }
    }
    crate::process::sweep();
    Ok(Report::new(plan.target, reports))
}

/// The package to build, or why there is nothing to measure.
fn first_look(
    course: &Course,
    exercise: &Exercise,
    lock: &Lock,
    target: Target,
) -> Result<std::result::Result<Package, (State, Option<String>)>> {
    let failed = |message: String| Ok(Err((State::Failed, Some(message))));
    if !exercise.package.dir.join("benches/peers.rs").exists() {
        return Ok(Err((State::NoPeer, None)));
    }
    if target == Target::Exercises {
        if let Some(problem) = &exercise.unusable {
            return failed(format!("It cannot be built: {problem}."));
        }
        let known = grade::first_look(exercise, lock, target)?;
        if known.untouched {
            return Ok(Err((State::NotStarted, None)));
        }
        if let (true, Some(edited)) = (known.complete, known.edited.first()) {
            return failed(format!("It is not built: {edited}."));
        }
    }
    let Some(package) = course.package(exercise, target) else {
        return failed(format!(
            "solutions/{}/Cargo.toml is missing or damaged.",
            exercise.path()
        ));
    };
    // cargo would refuse to build any of them.
    if !has_feature(&package.dir) {
        return failed(format!(
            "{}/{}/Cargo.toml has no feature `peers`, behind which the bench is to be found.",
            target.folder(),
            exercise.path()
        ));
    }
    Ok(Ok(package))
}

fn has_feature(dir: &Path) -> bool {
    fs::read_to_string(dir.join("Cargo.toml"))
        .ok()
        .and_then(|text| toml::from_str::<Table>(&text).ok())
        .is_some_and(|manifest| {
            manifest
                .get("features")
                .is_some_and(|features| features.get("peers").is_some())
        })
}

/// What the program has measured, or what became of it instead.
fn figures(trial: &Trial, settings: &Settings) -> std::result::Result<Measured, (State, String)> {
    match judge::failure_of_program(trial, settings) {
        Some(Verdict::Hanging(failure)) => return Err((State::Hanging, failure.message)),
        Some(Verdict::Failed(failure)) => return Err((State::Failed, failure.message)),
        _ => {}
    }
    let report = trial.report.as_ref();
    report
        .and_then(|report| kata_report::bench::Report::deserialize(report).ok())
        .map(|report| Measured {
            speedup: report.speedup,
            scenarios: report.scenarios,
        })
        .ok_or_else(|| {
            let message = "The program ended without saying what it measured. Does something call `std::process::exit`?";
            (State::Failed, message.to_owned())
        })
}
