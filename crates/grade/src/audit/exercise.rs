//! One exercise: its stub, its solution, other right solutions, and everything that must be rejected.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::{Duration, Instant};

use super::basis::Basis;
use super::crew::Crew;
use super::form;
use super::generated::Kind;
use super::kinds;
use super::lock::{AuditLock, Kills};
use super::material::{self, Material};
use super::memory::{Memory, Outcome};
use super::report::ExerciseReport;
use super::scratch::{self, Ground, Plot};
use super::trials::{Checks, Mode, Trial, Trials, Workshop, kind_of};
use super::variants::{self, Role, Variant};
use crate::course::{Exercise, Package, World};
use crate::error::Result;
use crate::judge;
use crate::lock::Lock;

/// What all exercises have in common.
pub struct Course<'env> {
    /// The course's folder.
    pub root: &'env Path,
    /// All exercises.
    pub exercises: &'env [Exercise],
    /// What the grader takes for the course's own.
    pub lock: &'env Lock,
    /// What has been audited, and what rejected wrong solutions then.
    pub audited: &'env AuditLock,
    /// Where variants are written.
    pub scratch: &'env Path,
    /// Where outcomes found earlier are.
    pub memories: &'env Path,
    /// Whether README.md says what the exercises say of themselves.
    pub is_listed: bool,
    /// Digests.
    pub basis: &'env Basis,
    /// How variants are built and run.
    pub workshop: Workshop<'env>,
    /// Whether outcomes found earlier may be used.
    pub use_memory: bool,
}

/// What can be seen of an exercise beside others, and beside what is locked, without auditing it.
pub fn look(course: &Course<'_>, exercise: &Exercise) -> Result<ExerciseReport> {
    let mut report = ExerciseReport {
        id: exercise.id(),
        name: exercise.name.clone(),
        path: exercise.path(),
        ..ExerciseReport::default()
    };
    find_shared_names(course.exercises, exercise, &mut report);
    if !course.is_listed {
        report.find(
            "lock",
            "README.md's table of phases is not what the exercises say: run ./grade.sh lock --author",
        );
    }
    match &exercise.unusable {
        Some(problem) => report.find("exercise", problem.clone()),
        None => material::check_lock(course.root, course.lock, exercise, &mut report)?,
    }
    Ok(report)
}

/// Audits an exercise and adds to what a [`look`] at it has found.
pub fn audit<'env>(
    course: &Course<'env>,
    exercise: &Exercise,
    report: &mut ExerciseReport,
    crew: &Crew<'env>,
) -> Result<()> {
    if exercise.unusable.is_some() {
        return Ok(());
    }
    let begin = Instant::now();
    let audited = try_variants(course, exercise, report, crew);
    report.seconds = begin.elapsed().as_secs_f64();
    audited
}

fn try_variants<'env>(
    course: &Course<'env>,
    exercise: &Exercise,
    report: &mut ExerciseReport,
    crew: &Crew<'env>,
) -> Result<()> {
    let solution_dir = course.root.join("solutions").join(exercise.path());
    let Some(material) = Material::read(course.root, exercise, solution_dir, report) else {
        return Ok(());
    };

    let mut memory = Memory::open(
        course.memories,
        &exercise.name,
        course.basis.of_outcomes(exercise)?,
        course.use_memory,
    );
    let variants = variants::all(&material, &exercise.name, report);
    let folder = course.scratch.join(&exercise.name);
    let ground = Ground {
        root: course.root,
        exercise: &exercise.package.dir,
        exercise_name: &exercise.name,
        solution: &material.solution_dir,
        worlds: &exercise.package.worlds,
        models: exercise.package.models,
        folder: &folder,
    };
    let plots: Vec<Plot> = variants.iter().map(Variant::plot).collect();
    let packages = ground.write(&plots)?;
    let others = material.digests_of_other_sources()?;
    let contents: Vec<String> = variants
        .iter()
        .map(|variant| {
            format!(
                "{:?} {} {}",
                variant.origin(),
                others[&variant.origin()],
                variant.source
            )
        })
        .collect();

    let mut trials = Trials::new(course.workshop, crew, &mut memory, &folder);
    let no_kills = Kills::new();
    let entry = course.audited.entry(&exercise.path());
    let bench = Bench {
        exercise,
        kills: entry.map_or(&no_kills, |entry| &entry.kills),
        material: &material,
        variants: &variants,
        packages: &packages,
        contents: &contents,
        folder: &folder,
        target_dir: course.workshop.target_dir,
        hang_guard: course.workshop.settings.hang_guard,
    };
    let examined = bench.examine(&mut trials, report);
    let binaries = std::mem::take(&mut trials.binaries);
    drop(trials);
    if !binaries.is_empty() {
        scratch::remove_builds(course.workshop.target_dir, &packages, &binaries);
    }
    if let Err(error) = examined {
        memory.save_unfinished();
        return Err(error);
    }
    memory.save();
    Ok(())
}

/// An exercise's variants, ready to be built.
pub(super) struct Bench<'a> {
    pub(super) exercise: &'a Exercise,
    pub(super) material: &'a Material,
    pub(super) variants: &'a [Variant],
    pub(super) packages: &'a [Package],
    pub(super) contents: &'a [String],
    pub(super) folder: &'a Path,
    pub(super) target_dir: &'a Path,
    /// What has rejected wrong solutions before.
    pub(super) kills: &'a Kills,
    /// After so much CPU time a learner's check is stopped.
    pub(super) hang_guard: Duration,
}

/// One attempt to have a variant rejected: the checks of these kinds in a world, or all of its checks.
#[derive(PartialEq)]
struct Step {
    world: World,
    kinds: Vec<String>,
}

/// What became of a variant, world by world.
pub(super) type Outcomes = BTreeMap<(usize, World), Outcome>;

impl Bench<'_> {
    pub(super) fn worlds(&self) -> &[World] {
        &self.exercise.package.worlds
    }

    fn trial(&self, variant: usize, mode: Mode) -> Trial<'_> {
        Trial {
            variant,
            package: &self.packages[variant],
            files: &self.contents[variant],
            mode,
        }
    }

    fn examine(&self, trials: &mut Trials<'_, '_>, report: &mut ExerciseReport) -> Result<()> {
        // What has to pass, and the stub: every check in every world.
        for &world in self.worlds() {
            let whole = (0..self.variants.len())
                .filter(|&index| !self.variants[index].is_to_be_rejected())
                .map(|index| self.trial(index, Mode::Every))
                .collect();
            trials.begin(world, whole, &Checks::new())?;
        }
        let outcomes = trials.outcomes()?;
        let mut checks: BTreeMap<World, Checks> = BTreeMap::new();
        for (index, variant) in self.variants.iter().enumerate() {
            match variant.role {
                Role::Stub => self.judge_stub(index, &outcomes, report),
                Role::Solution => {
                    checks = self.checks_of(index, &outcomes);
                    self.judge_accepted(index, &outcomes, report);
                }
                Role::Alternative => self.judge_accepted(index, &outcomes, report),
                _ => {}
            }
        }
        let names: BTreeSet<String> = checks
            .values()
            .flatten()
            .map(|(name, _)| judge::plain_name(name).to_owned())
            .collect();
        for problem in form::readme(&self.material.readme, &names) {
            report.find("form", problem);
        }
        if let Some(answers) = &self.material.kinds {
            for problem in kinds::problems(answers, &names, &self.material.readme) {
                report.find("kinds", problem);
            }
        }
        self.compare_api(report);
        self.check_kinds(&names, report);
        if report.solution != Some(true) {
            report.find(
                "mutants",
                "not tried: as long as the solution does not pass, a rejection says nothing",
            );
            return Ok(());
        }
        let outcomes = self.try_to_reject(trials, &checks)?;
        self.judge_rejected(&outcomes, report);
        Ok(())
    }

    /// The solution's tests by world, in the order in which they are tried on what is to be rejected.
    fn checks_of(&self, solution: usize, outcomes: &Outcomes) -> BTreeMap<World, Checks> {
        let mut checks = BTreeMap::new();
        for &world in self.worlds() {
            if let Some(Outcome::Ran { tests, .. }) = outcomes.get(&(solution, world)) {
                let mut of_world: Checks = tests
                    .iter()
                    .map(|test| (test.name.clone(), Duration::from_millis(test.milliseconds)))
                    .collect();
                likely_first(&mut of_world, self.kills);
                checks.insert(world, of_world);
            }
        }
        checks
    }

    /// Round by round: each variant in the world that is most likely to reject it, the survivors in the next.
    fn try_to_reject(
        &self,
        trials: &mut Trials<'_, '_>,
        checks: &BTreeMap<World, Checks>,
    ) -> Result<Outcomes> {
        let mut ways: BTreeMap<usize, Vec<Step>> = self
            .variants
            .iter()
            .enumerate()
            .filter(|(_, variant)| variant.is_to_be_rejected())
            .map(|(index, variant)| (index, self.way(variant, checks)))
            .collect();
        let none = Checks::new();
        let mut all = Outcomes::new();
        while !ways.is_empty() {
            for world in World::ALL {
                let batch: Vec<Trial<'_>> = ways
                    .iter()
                    .filter_map(|(&index, way)| {
                        let step = way.first().filter(|step| step.world == world)?;
                        let kinds = step.kinds.clone();
                        Some(self.trial(index, Mode::UntilRejected { kinds }))
                    })
                    .collect();
                if !batch.is_empty() {
                    trials.begin(world, batch, checks.get(&world).unwrap_or(&none))?;
                }
            }
            let outcomes = trials.outcomes()?;
            for ((index, _), outcome) in &outcomes {
                match outcome {
                    Outcome::Survived => {
                        if let Some(way) = ways.get_mut(index) {
                            way.remove(0);
                        }
                    }
                    _ => {
                        ways.remove(index);
                    }
                }
            }
            ways.retain(|_, way| !way.is_empty());
            all.extend(outcomes);
        }
        Ok(all)
    }

    /// How a variant is tried: what it declares first, then the worlds that are most likely to reject it.
    fn way(&self, variant: &Variant, checks: &BTreeMap<World, Checks>) -> Vec<Step> {
        let mut way = Vec::new();
        if let Role::Mutant { declared } = &variant.role {
            for world in declared.iter().flat_map(|kind| worlds_of(kind, checks)) {
                let kinds = declared.clone();
                let step = Step { world, kinds };
                if !way.contains(&step) {
                    way.push(step);
                }
            }
        }
        let promising: &[World] = match &variant.role {
            Role::Generated(generated) => match generated.kind {
                Kind::Ordering | Kind::Retry => &[World::Loom, World::Shuttle],
                // A deadlock is found there, where the others can only wait for the guard.
                Kind::WakeUp => &[World::Shuttle, World::Loom],
                Kind::Sequential => &[],
            },
            _ => &[],
        };
        for &world in promising.iter().chain(&World::ALL) {
            let kinds = Vec::new();
            let step = Step { world, kinds };
            if self.worlds().contains(&world) && !way.contains(&step) {
                way.push(step);
            }
        }
        way
    }
}

/// Those first that have rejected most, and of those that have rejected as many, the quick ones.
fn likely_first(checks: &mut Checks, kills: &Kills) {
    let kills_of = |name: &str| kills.get(judge::plain_name(name)).copied().unwrap_or(0);
    checks.sort_by_key(|(name, usual)| (Reverse(kills_of(name)), *usual));
}

/// The worlds with a check of this kind.
fn worlds_of(kind: &str, checks: &BTreeMap<World, Checks>) -> Vec<World> {
    let is_of_kind = |(name, _): &(String, Duration)| kind_of(name) == kind;
    checks
        .iter()
        .filter(|(_, checks)| checks.iter().any(is_of_kind))
        .map(|(&world, _)| world)
        .collect()
}

/// Two exercises with one number or one name: a selector could not tell them apart.
fn find_shared_names(all: &[Exercise], exercise: &Exercise, report: &mut ExerciseReport) {
    for other in all {
        if other.path() == exercise.path() {
            continue;
        }
        if other.id() == exercise.id() {
            report.find("form", format!("has the number of {}", other.path()));
        }
        if other.name == exercise.name {
            report.find("form", format!("has the name of {}", other.path()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_rejected_most_is_tried_first_and_then_what_is_quick() {
        let check =
            |(name, usual): (&str, u64)| (format!("checks::{name}"), Duration::from_millis(usual));
        let checks = [
            ("unit::a", 9),
            ("loom::b", 800),
            ("unit::c", 5),
            ("unit::d", 7),
        ];
        let mut checks: Checks = checks.map(check).to_vec();
        let order = |checks: &Checks| -> Vec<String> {
            let names = checks
                .iter()
                .map(|(name, _)| judge::plain_name(name).to_owned());
            names.collect()
        };
        likely_first(&mut checks, &Kills::new());
        assert_eq!(order(&checks), ["unit::c", "unit::d", "unit::a", "loom::b"]);
        let kills = [("loom::b", 4), ("unit::a", 1), ("unit::gone", 9)];
        let kills = kills.map(|(name, count)| (name.to_owned(), count)).into();
        likely_first(&mut checks, &kills);
        assert_eq!(order(&checks), ["loom::b", "unit::a", "unit::c", "unit::d"]);
    }
}
