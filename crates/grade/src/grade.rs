//! Grades the selected exercises: what is known already, then what has to be built and run.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use tempfile::TempDir;
use walkdir::WalkDir;

use crate::build::{self, Built};
use crate::cache::{Basis, Cache, WorldResult};
use crate::course::{Course, Exercise, Package, Target, World};
use crate::error::{Error, Result};
use crate::inputs::{self, Unit};
use crate::judge::{Failure, TestResult, Verdict, plain_name};
use crate::lock::{Checks, Entry, Lock};
use crate::permitted;
use crate::pool::{self, Job};
use crate::process::Pauses;
use crate::run::{self, Settings};
use crate::settle;
use crate::watch::Watch;
use crate::workspace::Workspace;

/// What to grade, and how.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Whose code.
    pub target: Target,
    /// Whether results found earlier may be used.
    pub use_cache: bool,
    /// Where cargo builds.
    pub target_dir: PathBuf,
    /// After so much CPU time a test is stopped.
    pub hang_guard: Duration,
    /// How many tests run at once.
    pub workers: usize,
    /// Set when the grader is to stop.
    pub interrupted: Arc<AtomicBool>,
}

/// How many bytes of address space a test may use.
pub const MEMORY: u64 = 4 << 30;

/// What is known about one exercise.
#[derive(Debug, Default)]
pub struct Assessment {
    /// The source is still the stub.
    pub untouched: bool,
    /// What differs from the course's own, in words that follow the exercise's id.
    pub edited: Vec<String>,
    /// What was found out in each world.
    pub worlds: BTreeMap<World, WorldResult>,
    /// Whether all worlds were looked at, as far as there was reason to.
    pub complete: bool,
    /// Whether something had to be built or run for it now, rather than known from before.
    pub renewed: bool,
    /// If only checks with this in their names were asked for, that.
    pub only: Option<String>,
}

/// Holds a target directory's grader folder: one grader at a time.
pub struct Workplace {
    folder: PathBuf,
    reports: TempDir,
    _lock: File,
}

impl Workplace {
    /// Takes the folder, waiting for another grader if there is one.
    pub fn take(target_dir: &Path, stopped: &dyn Fn() -> bool, watch: &dyn Watch) -> Result<Self> {
        let folder = target_dir.join("grade");
        let unwritable = |error: std::io::Error| {
            let what = format!("{} cannot be written: {error}", folder.display());
            let full = [io::ErrorKind::StorageFull, io::ErrorKind::QuotaExceeded];
            if full.contains(&error.kind()) {
                Error::new(
                    format!("The disk is full. {what}"),
                    "Make room, then grade again.",
                )
            } else {
                Error::new(
                    what,
                    "The grader builds there. Make it writable, or set CARGO_TARGET_DIR to a folder that is.",
                )
            }
        };
        fs::create_dir_all(&folder).map_err(unwritable)?;
        let lock = File::create(folder.join("lock")).map_err(unwritable)?;
        let mut told = false;
        let mut pauses = Pauses::new();
        loop {
            match lock.try_lock() {
                Ok(()) => break,
                Err(TryLockError::WouldBlock) => {
                    if !told {
                        watch.waiting_for_other_grader();
                        told = true;
                    }
                    if stopped() {
                        return Err(Error::Interrupted);
                    }
                    pauses.pause();
                }
                Err(TryLockError::Error(error)) => return Err(unwritable(error)),
            }
        }
        // Whatever a killed grader left behind: nobody else is here now.
        for entry in fs::read_dir(&folder).map_err(unwritable)?.flatten() {
            if entry
                .file_name()
                .as_encoded_bytes()
                .starts_with(REPORTS.as_bytes())
            {
                let _ = fs::remove_dir_all(entry.path());
            }
        }
        let reports = tempfile::Builder::new()
            .prefix(REPORTS)
            .tempdir_in(&folder)
            .map_err(unwritable)?;
        Ok(Self {
            folder,
            reports,
            _lock: lock,
        })
    }

    /// The conditions under which tests run here.
    pub fn settings(&self, plan: &Plan) -> Settings {
        settings(plan, self.reports.path())
    }
}

fn settings(plan: &Plan, reports: &Path) -> Settings {
    Settings {
        target_dir: plan.target_dir.clone(),
        reports: reports.to_path_buf(),
        hang_guard: plan.hang_guard,
        memory: MEMORY,
        workers: plan.workers,
        interrupted: Arc::clone(&plan.interrupted),
        next_report: AtomicU64::new(0),
        no_log: AtomicBool::new(false),
        environment: Vec::new(),
    }
}

const REPORTS: &str = "reports-";

/// Assesses every exercise of the course, in its order. Of those not selected, only what is known already is said.
pub fn assess(
    course: &Course,
    lock: &Lock,
    selected: &[bool],
    plan: &Plan,
    watch: &dyn Watch,
) -> Result<Vec<Assessment>> {
    assess_only(course, lock, selected, None, plan, watch)
}

/// As [`assess`], but nothing runs before everything is built: what runs may harm a build that goes on beside it.
pub fn assess_hostile(
    course: &Course,
    lock: &Lock,
    selected: &[bool],
    plan: &Plan,
    watch: &dyn Watch,
) -> Result<Vec<Assessment>> {
    assess_in(
        Order::BuildAllFirst,
        course,
        lock,
        selected,
        None,
        plan,
        watch,
    )
}

/// As [`assess`], but of the selected exercises only checks with `only` in their names have to run.
pub fn assess_only(
    course: &Course,
    lock: &Lock,
    selected: &[bool],
    only: Option<&str>,
    plan: &Plan,
    watch: &dyn Watch,
) -> Result<Vec<Assessment>> {
    let order = Order::RunWhileBuilding;
    assess_in(order, course, lock, selected, only, plan, watch)
}

/// When tests run.
#[derive(Clone, Copy, PartialEq)]
enum Order {
    /// Those of a world run while the next one is being built.
    RunWhileBuilding,
    /// They run when nothing is left to be built.
    BuildAllFirst,
}

fn assess_in(
    order: Order,
    course: &Course,
    lock: &Lock,
    selected: &[bool],
    only: Option<&str>,
    plan: &Plan,
    watch: &dyn Watch,
) -> Result<Vec<Assessment>> {
    let stopped = || plan.interrupted.load(std::sync::atomic::Ordering::Relaxed);
    let workplace = Workplace::take(&plan.target_dir, &stopped, watch)?;
    let settings = workplace.settings(plan);
    let cache = Cache::open(workplace.folder.join("cache"), &course.root, &settings)?;
    let edited = edited_parts(course, lock, plan.target);
    let (mut assessments, open) = look(course, lock, &edited, selected, only, plan, &cache)?;
    for (index, assessment) in assessments.iter().enumerate() {
        for (world, result) in assessment.worlds.iter().filter(|_| selected[index]) {
            watch.known(&course.exercises[index].name, *world, result);
        }
    }

    let mut workspace = Workspace::read(&course.root, workplace.folder.join("workspace"));
    for work in find_out(order, open, &mut workspace, &cache, &settings, watch)? {
        // What the tests are is said of those that were built just now.
        let again = first_look_among(&course.exercises[work.index], lock, plan.target, &edited)?;
        assessments[work.index] = Assessment {
            worlds: work.known,
            complete: only.is_none(),
            renewed: true,
            ..again
        };
    }
    for (assessment, _) in assessments.iter_mut().zip(selected).filter(|(_, is)| **is) {
        assessment.only = only.map(str::to_owned);
    }
    Ok(assessments)
}

/// What earlier runs have found out about every exercise of the course as it is now. Nothing is built, and another grader
/// may be at work.
pub fn known(course: &Course, lock: &Lock, plan: &Plan) -> Result<Vec<Assessment>> {
    let folder = plan.target_dir.join("grade");
    let settings = settings(plan, &folder);
    let cache = Cache::open(folder.join("cache"), &course.root, &settings)?;
    let none = vec![false; course.exercises.len()];
    let edited = edited_parts(course, lock, plan.target);
    look(course, lock, &edited, &none, None, plan, &cache).map(|(assessments, _)| assessments)
}

/// What all exercises are built with and is not the course's own.
fn edited_parts(course: &Course, lock: &Lock, target: Target) -> Vec<String> {
    match target {
        Target::Exercises => lock.edited_parts(&course.root),
        Target::Solutions => Vec::new(),
    }
}

/// As [`first_look`], with what is wrong for all exercises.
fn first_look_among(
    exercise: &Exercise,
    lock: &Lock,
    target: Target,
    edited_parts: &[String],
) -> Result<Assessment> {
    let mut assessment = first_look(exercise, lock, target)?;
    if !assessment.untouched {
        let edited = edited_parts.iter().map(|path| not_own(path, path));
        assessment.edited.extend(edited);
    }
    Ok(assessment)
}

/// What is known of all exercises, and what is to be found out about the selected ones.
fn look(
    course: &Course,
    lock: &Lock,
    edited_parts: &[String],
    selected: &[bool],
    only: Option<&str>,
    plan: &Plan,
    cache: &Cache,
) -> Result<(Vec<Assessment>, Vec<Work>)> {
    let mut assessments = Vec::with_capacity(course.exercises.len());
    let mut open = Vec::new();
    for (index, exercise) in course.exercises.iter().enumerate() {
        let mut assessment = first_look_among(exercise, lock, plan.target, edited_parts)?;
        let package = course.package(exercise, plan.target);
        match package {
            _ if assessment.complete => {}
            None => {
                let missing = format!(
                    "solutions/{}/Cargo.toml is missing or damaged.",
                    exercise.path()
                );
                assessment
                    .worlds
                    .insert(World::Std, WorldResult::DoesNotCompile(missing));
                assessment.complete = true;
            }
            Some(package) => {
                let locked = lock.entry(exercise.phase.name, &exercise.folder);
                let locked = locked.map(|entry| &entry.checks);
                let work = Work::new(
                    index,
                    package,
                    exercise,
                    locked,
                    selected[index],
                    plan,
                    cache,
                );
                let work = match work {
                    Ok(work) => work,
                    Err(Error::Interrupted) => return Err(Error::Interrupted),
                    Err(error) => {
                        let result = WorldResult::DoesNotCompile(error.to_string());
                        assessment.worlds.insert(World::Std, result);
                        assessment.complete = true;
                        assessments.push(assessment);
                        continue;
                    }
                };
                assessment.worlds = work.known.clone();
                assessment.complete = work.is_complete();
                // What is known already was found out about source that may stand.
                if selected[index]
                    && !assessment.complete
                    && let Some(refused) = refused(&course.root, exercise, &work.package)
                {
                    assessment.worlds = BTreeMap::from([(World::Std, refused)]);
                    assessment.complete = true;
                }
                if selected[index] && !assessment.complete {
                    let work = match only {
                        Some(only) => work.reduced_to(only),
                        None => work,
                    };
                    if !work.is_complete() {
                        open.push(work);
                    }
                }
            }
        }
        assessments.push(assessment);
    }

    Ok((assessments, open))
}

/// What can be said without building anything.
pub(crate) fn first_look(exercise: &Exercise, lock: &Lock, target: Target) -> Result<Assessment> {
    let mut assessment = Assessment::default();
    if target == Target::Solutions {
        return Ok(assessment);
    }
    if let Some(problem) = &exercise.unusable {
        assessment.edited.push(problem.clone());
        assessment.complete = true;
        return Ok(assessment);
    }
    let Some(locked) = lock.entry(exercise.phase.name, &exercise.folder) else {
        assessment.edited.push(format!(
            "{lock} says nothing about it, so it is none of the course's exercises; `git checkout -- {lock}` brings back what \
             the course says",
            lock = Lock::PATH
        ));
        // Whether it was started cannot be told either.
        assessment.complete = true;
        return Ok(assessment);
    };
    let own = format!("exercises/{}", exercise.path());
    let found = match Entry::of(&exercise.package.dir) {
        Ok(found) => found,
        Err(error) => {
            let said = format!("its files cannot be read, so nothing was built: {error}");
            assessment.edited.push(said);
            assessment.complete = true;
            return Ok(assessment);
        }
    };
    if found.tests != locked.tests {
        let edited = not_own("tests", &format!("{own}/tests"));
        assessment.edited.push(edited);
    }
    // Either may have cargo run whatever it likes, and spoil the builds of others.
    let manifest_edited = found.manifest != locked.manifest;
    if manifest_edited {
        let edited = not_own("Cargo.toml", &format!("{own}/Cargo.toml"));
        assessment.edited.push(edited);
    }
    let build_script = fs::symlink_metadata(exercise.package.dir.join("build.rs")).is_ok();
    if build_script {
        assessment.edited.push(format!(
            "the course has no build.rs here, so nothing was built; `rm {own}/build.rs` removes it"
        ));
    }
    assessment.untouched = found.stub == locked.stub;
    let special = no_ordinary_file(&exercise.package.dir.join("tests"));
    assessment.complete =
        assessment.untouched || manifest_edited || build_script || special.is_some();
    if let (false, Some(special)) = (
        assessment.complete,
        no_ordinary_file(&exercise.package.dir.join("src")),
    ) {
        let shown = special
            .strip_prefix(&exercise.package.dir)
            .unwrap_or(&special);
        let said = format!(
            "{own}/{} is no ordinary file, so nothing was built.",
            shown.display()
        );
        let result = WorldResult::DoesNotCompile(said);
        assessment.worlds.insert(World::Std, result);
        assessment.complete = true;
    }
    Ok(assessment)
}

/// The result for source that names what it must not, for which nothing is built.
fn refused(root: &Path, exercise: &Exercise, package: &Package) -> Option<WorldResult> {
    let shown = package.dir.strip_prefix(root).unwrap_or(&package.dir);
    let shown = shown.display().to_string();
    let said = permitted::look(&package.dir, &shown, &exercise.std, exercise.has_models())?;
    let message = format!(
        "The checks cannot vouch for this source, so nothing of it was built or run:\n{said}"
    );
    Some(failed("source", message))
}

/// A pipe, a device or the like below `folder`, over which a compiler may never come to its end.
fn no_ordinary_file(folder: &Path) -> Option<PathBuf> {
    let entries = WalkDir::new(folder).into_iter().flatten();
    let mut paths = entries.map(walkdir::DirEntry::into_path);
    paths.find(|path| fs::metadata(path).is_ok_and(|file| !file.is_file() && !file.is_dir()))
}

/// What to say of a part that an author has not written so; `path` is where it is below the course's root.
fn not_own(part: &str, path: &str) -> String {
    format!("{part} is not the course's own; `git checkout -- {path}` brings that back")
}

/// A package about which something has to be found out.
struct Work {
    index: usize,
    package: Package,
    /// The tests that have to run; nothing for a solution that no lock speaks of, whose tests are those that it has.
    expected: Option<Checks>,
    /// Folders that it takes checks from.
    tests: Vec<PathBuf>,
    keys: BTreeMap<World, String>,
    known: BTreeMap<World, WorldResult>,
    /// If only tests with this in their names are to run, that.
    only: Option<String>,
}

impl Work {
    fn new(
        index: usize,
        package: Package,
        exercise: &Exercise,
        expected: Option<&Checks>,
        selected: bool,
        plan: &Plan,
        cache: &Cache,
    ) -> Result<Self> {
        let tests = match plan.target {
            Target::Exercises => Vec::new(),
            Target::Solutions => vec![exercise.package.dir.join("tests")],
        };
        let keys = cache.keys(&package, &tests, expected)?;
        let mut known = BTreeMap::new();
        for (&world, key) in &keys {
            if plan.use_cache
                && let Some(result) = cache.load(&package, world, key)
                && (result.is_lasting() || !selected)
            {
                known.insert(world, result);
            }
        }
        Ok(Self {
            index,
            package,
            expected: expected.cloned(),
            tests,
            keys,
            known,
            only: None,
        })
    }

    /// Without the other tests, and without the worlds that have only others.
    fn reduced_to(mut self, only: &str) -> Self {
        if let Some(expected) = &self.expected {
            let names = |world: &World| expected.get(world).into_iter().flatten();
            self.keys
                .retain(|world, _| names(world).any(|name| name.contains(only)));
        }
        self.only = Some(only.to_owned());
        self
    }

    /// One world that does not compile is enough: the others would say the same thing again.
    fn does_not_compile(&self) -> bool {
        self.known
            .values()
            .any(|result| matches!(result, WorldResult::DoesNotCompile(_)))
    }

    fn is_open(&self, world: World) -> bool {
        self.keys.contains_key(&world)
            && !self.known.contains_key(&world)
            && !self.does_not_compile()
    }

    fn is_complete(&self) -> bool {
        World::ALL.into_iter().all(|world| !self.is_open(world))
    }
}

/// A test's place: which work, which world, which of its tests.
#[derive(Clone, Copy)]
struct Place {
    work: usize,
    world: World,
    test: usize,
}

/// Builds one world after the other and runs the tests.
fn find_out(
    order: Order,
    mut open: Vec<Work>,
    workspace: &mut Workspace,
    cache: &Cache,
    settings: &Settings,
    watch: &dyn Watch,
) -> Result<Vec<Work>> {
    if open.is_empty() {
        return Ok(open);
    }
    let running = Mutex::new(Running::default());
    let packages: Vec<Package> = open.iter().map(|work| work.package.clone()).collect();
    let finished = |place: Place, result: TestResult| {
        watch.tested(&packages[place.work].name, place.world, &result);
        let mut running = running.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((basis, tests)) = running.finish(place, result) {
            cache.store(&packages[place.work], place.world, basis, &tests);
        }
    };
    pool::run_jobs(settings, watch, &finished, |jobs| {
        let mut queue = Vec::new();
        // Fails only if every worker is gone, which run_jobs reports itself.
        let hand_over = |queue: &mut Vec<_>| {
            for job in queue.drain(..) {
                let _ = jobs.send(job);
            }
        };
        for world in World::BY_COST {
            build_and_queue(
                &mut open, world, workspace, cache, settings, watch, &running, &mut queue,
            )?;
            if order == Order::RunWhileBuilding {
                hand_over(&mut queue);
            }
        }
        hand_over(&mut queue);
        Ok(())
    })?;
    let running = running.into_inner().unwrap_or_else(PoisonError::into_inner);
    for ((work, world), tests) in running.0 {
        let result = if tests.stamp.is_still_true() {
            tests.into_result()
        } else {
            let unit = Unit {
                package: packages[work].name.clone(),
                files: vec![tests.stamp.path],
                ..Unit::default()
            };
            unit.forget();
            failed(
                "program",
                "The test program was changed while it was tested, by another build or by what is tested, so nothing is known. \
                 Grade again.",
            )
        };
        open[work].known.insert(world, result);
    }
    Ok(open)
}

/// The result of a world in which no check can be believed.
fn failed(what: &str, why: impl Into<String>) -> WorldResult {
    let verdict = Verdict::Failed(Failure::new(why));
    WorldResult::Tests(vec![TestResult::new(format!("build::{what}"), verdict)])
}

#[expect(
    clippy::too_many_arguments,
    reason = "one step of one loop, apart only to be read"
)]
fn build_and_queue(
    open: &mut [Work],
    world: World,
    workspace: &mut Workspace,
    cache: &Cache,
    settings: &Settings,
    watch: &dyn Watch,
    running: &Mutex<Running>,
    queue: &mut Vec<Job<Place>>,
) -> Result<()> {
    let indices: Vec<usize> = (0..open.len())
        .filter(|&index| open[index].is_open(world))
        .collect();
    if indices.is_empty() {
        return Ok(());
    }
    watch.building(world, indices.len());
    let packages: Vec<&Package> = indices.iter().map(|&index| &open[index].package).collect();
    let course = workspace.course().to_path_buf();
    let request = build::Request {
        root: &course,
        target_dir: &settings.target_dir,
        program: build::Program::Checks,
        world,
        packages: &packages,
        environment: &[],
        hang_guard: settings.hang_guard,
    };
    let stopped = || settings.stopped();
    let built = settle::build(&request, workspace, &settings.reports, &stopped, watch)?;
    cache.look_again();

    // Nothing of what was built has run by then: a program that changes files would be taken for what they were built from.
    let mut programs = Vec::with_capacity(indices.len());
    for (index, settled) in indices.into_iter().zip(built) {
        let work = &open[index];
        let expected = work.expected.as_ref();
        let keys = cache.keys(&work.package, &work.tests, expected)?;
        let basis = settled.inputs;
        let basis = basis.map(|inputs| cache.basis(&keys[&world], inputs));
        let program = match settled.built {
            Built::Binary(binary) => Ok(Stamp::of(&binary)),
            Built::DoesNotCompile(errors) => Err(errors),
        };
        programs.push((index, basis, program));
    }
    for (index, basis, program) in programs {
        let work = &mut open[index];
        let store = |work: &mut Work, basis: Option<Basis>, result: WorldResult| {
            if let Some(basis) = basis {
                cache.store(&work.package, world, basis, &result);
            }
            work.known.insert(world, result);
        };
        let stamp = match program {
            Ok(stamp) => stamp,
            Err(errors) => {
                store(work, basis, WorldResult::DoesNotCompile(errors));
                continue;
            }
        };
        let binary = stamp.path.clone();
        let names = match run::list(settings, &work.package, &binary)? {
            Ok(names) => names,
            Err(explanation) => {
                work.known
                    .insert(world, failed("list_of_checks", explanation));
                continue;
            }
        };
        let (names, others) = match &work.expected {
            None => (names, Vec::new()),
            Some(expected) => compare(names, expected.get(&world).map_or(&[], Vec::as_slice)),
        };
        let (names, others, basis) = match &work.only {
            None => (names, others, basis),
            // A part is not kept.
            Some(only) => {
                let mut names = names;
                let mut others = others;
                names.retain(|name| plain_name(name).contains(only));
                others.retain(|test| test.name.contains(only));
                (names, others, None)
            }
        };
        if names.is_empty() {
            let result = WorldResult::Tests(others);
            watch.known(&work.package.name, world, &result);
            store(work, basis, result);
            continue;
        }
        watch.queued(names.len());
        watch.testing(&work.package.name, world, names.len() + others.len());
        for other in &others {
            watch.tested(&work.package.name, world, other);
        }
        running
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .begin(
                index,
                world,
                Tests {
                    results: vec![None; names.len()],
                    others,
                    basis,
                    stamp,
                },
            );
        for (test, name) in names.into_iter().enumerate() {
            queue.push(Job {
                tag: Place {
                    work: index,
                    world,
                    test,
                },
                package: work.package.clone(),
                binary: binary.clone(),
                test: name,
            });
        }
    }
    Ok(())
}

/// Of the tests that a program has, those to run, and what is to be said of those that are missing or too many.
///
/// Elsewhere than on Unix the course has other tests: what needs Unix is one that says so.
fn compare(found: Vec<String>, expected: &[String]) -> (Vec<String>, Vec<TestResult>) {
    let known: BTreeSet<&str> = found.iter().map(|name| plain_name(name)).collect();
    let missing = expected
        .iter()
        .filter(|name| !known.contains(name.as_str()))
        .map(|name| {
            let verdict = if cfg!(unix) {
                let said =
                    "The test program does not have this test of the course, so nothing is known.";
                Verdict::Failed(Failure::new(said))
            } else {
                Verdict::Skipped {
                    reason: "this check needs Unix".to_owned(),
                }
            };
            TestResult::new(name, verdict)
        });
    let mut others: Vec<TestResult> = missing.collect();
    let (to_run, surplus) = found
        .into_iter()
        .partition(|name| !cfg!(unix) || expected.iter().any(|own| own == plain_name(name)));
    let surplus: Vec<String> = surplus;
    others.extend(surplus.into_iter().map(|name| {
        let said = format!(
            "{} does not know this test, so it is none of the course's and was not run.",
            Lock::PATH
        );
        TestResult::new(plain_name(&name), Verdict::Failed(Failure::new(said)))
    }));
    (to_run, others)
}

/// The tests that were queued, and the results that are in.
#[derive(Default)]
struct Running(BTreeMap<(usize, World), Tests>);

struct Tests {
    results: Vec<Option<TestResult>>,
    /// What is known of tests that were not queued.
    others: Vec<TestResult>,
    /// What the results rest on, if that is known.
    basis: Option<Basis>,
    /// Of the program.
    stamp: Stamp,
}

/// Tells whether a file is still the same one: a program that somebody builds again while it is tested may be another.
#[derive(Clone, PartialEq)]
struct Stamp {
    path: PathBuf,
    found: Option<(u64, SystemTime)>,
}

impl Stamp {
    fn of(path: &Path) -> Self {
        let metadata = fs::metadata(path).ok();
        Self {
            path: path.to_path_buf(),
            found: metadata.map(|file| (file.len(), inputs::last_change(&file))),
        }
    }

    fn is_still_true(&self) -> bool {
        Self::of(&self.path) == *self
    }
}

impl Running {
    fn begin(&mut self, work: usize, world: World, tests: Tests) {
        self.0.insert((work, world), tests);
    }

    /// Takes a result; returns the world's, to be kept, when this was the last one.
    fn finish(&mut self, place: Place, result: TestResult) -> Option<(Basis, WorldResult)> {
        let tests = self.0.get_mut(&(place.work, place.world))?;
        tests.results[place.test] = Some(result);
        let results: Option<Vec<TestResult>> = tests.results.iter().cloned().collect();
        let result = WorldResult::Tests([results?, tests.others.clone()].concat());
        let basis = tests.basis.take()?;
        tests.stamp.is_still_true().then_some((basis, result))
    }
}

impl Tests {
    fn into_result(self) -> WorldResult {
        let results = self.results.into_iter().flatten();
        WorldResult::Tests(results.chain(self.others).collect())
    }
}

/// The tests of every exercise, for [`Lock::of`]. Those of an exercise that `lock` knows with the same tests/ and Cargo.toml
/// are taken from there, the others are built.
pub fn checks(course: &Course, lock: &Lock, plan: &Plan, watch: &dyn Watch) -> Result<Vec<Checks>> {
    let stopped = || plan.interrupted.load(std::sync::atomic::Ordering::Relaxed);
    let workplace = Workplace::take(&plan.target_dir, &stopped, watch)?;
    let settings = workplace.settings(plan);
    let known = |exercise: &Exercise| {
        let entry = lock.entry(exercise.phase.name, &exercise.folder)?;
        let found = Entry::of(&exercise.package.dir).ok()?;
        (entry.listed == found.listed).then(|| entry.checks.clone())
    };
    let mut all: Vec<Option<Checks>> = course.exercises.iter().map(known).collect();
    let open: Vec<usize> = (0..all.len())
        .filter(|&index| all[index].is_none())
        .collect();
    for world in World::ALL {
        let of_world = |&index: &usize| {
            let package = &course.exercises[index].package;
            package.worlds.contains(&world) && package.dir.join("tests").is_dir()
        };
        let indices: Vec<usize> = open.iter().copied().filter(of_world).collect();
        let packages: Vec<&Package> = indices
            .iter()
            .map(|&index| &course.exercises[index].package)
            .collect();
        watch.building(world, packages.len());
        let request = build::Request {
            root: &course.root,
            target_dir: &settings.target_dir,
            program: build::Program::Checks,
            world,
            packages: &packages,
            environment: &[],
            hang_guard: settings.hang_guard,
        };
        let built = build::build(&request, &stopped, watch)?;
        for (index, built) in indices.into_iter().zip(built) {
            let package = &course.exercises[index].package;
            let listed = match built {
                Built::Binary(binary) => run::list(&settings, package, &binary)?,
                Built::DoesNotCompile(errors) => Err(errors),
            };
            let names = listed.map_err(|why| {
                let what = format!("The tests of `{}` cannot be listed:\n{why}", package.name);
                Error::new(what, "Mend the stub or its tests, then lock again.")
            })?;
            let checks = all[index].get_or_insert_default();
            checks.insert(world, names);
        }
    }
    Ok(all.into_iter().map(Option::unwrap_or_default).collect())
}

/// The name of a test as its own crate has it: a solution wraps a module around the exercise's.
pub fn replay_command(package: &Package, target: Target, world: World, test: &str) -> String {
    let features = world
        .feature()
        .map_or_else(String::new, |feature| format!(" --features {feature}"));
    let module = match target {
        Target::Exercises => "",
        Target::Solutions => "checks::",
    };
    format!(
        "cargo test -p {}{features} --test checks -- --exact {module}{}",
        package.name,
        plain_name(test)
    )
}
