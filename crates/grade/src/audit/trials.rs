//! Builds variants and runs their checks: every check of what must pass or fail as a whole, up to the first rejection of
//! what must be rejected.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, Sender};
use std::time::{Duration, Instant};

use kata_report::{Remedy, Report};

use super::crew::Crew;
use super::memory::{Memory, Outcome, Ran};
use crate::build::{self, Built};
use crate::course::{Package, World};
use crate::error::{Error, Result};
use crate::judge::{self, Failure, Verdict};
use crate::run::{self, Settings};
use crate::watch::Watch;

/// How much longer than the solution a wrong one may take, between the least and the most; but never less than
/// `LEAST_PATIENCE` times as long, for a check that is cut short would reject a right one as well.
const PATIENCE: u32 = 20;
const LEAST_PATIENCE: u32 = 5;
const LEAST: Duration = Duration::from_secs(10);
const MOST: Duration = Duration::from_secs(20);

/// Where and how variants are built and run.
#[derive(Clone, Copy)]
pub struct Workshop<'env> {
    /// The conditions for tests.
    pub settings: &'env Settings,
    /// Where cargo builds variants.
    pub target_dir: &'env Path,
    /// Who hears of progress.
    pub watch: &'env dyn Watch,
}

/// How a variant is tested.
#[derive(Debug, Clone)]
pub enum Mode {
    /// Every test, whatever becomes of it.
    Every,
    /// Until a test rejects it.
    UntilRejected {
        /// Only tests of these kinds; of every kind if there are none.
        kinds: Vec<String>,
    },
}

impl Mode {
    /// For the key of an outcome.
    fn name(&self) -> String {
        match self {
            Self::Every => "every".to_owned(),
            Self::UntilRejected { kinds } => format!("until rejected {}", kinds.join(" ")),
        }
    }
}

/// A variant to be tried in one world.
pub struct Trial<'a> {
    /// The caller's number for it.
    pub variant: usize,
    /// Its crate.
    pub package: &'a Package,
    /// What its own files hold.
    pub files: &'a str,
    /// How it is tested.
    pub mode: Mode,
}

/// The checks of one world, in the order in which they are tried, with the time that the solution takes.
pub type Checks = Vec<(String, Duration)>;

/// What the picture of a loom check advises, if that is what failed.
fn remedies(failure: Failure) -> Option<Vec<Remedy>> {
    let report: Report = serde_json::from_value(failure.timeline?).ok()?;
    (report.world == "loom" && !report.steps.is_empty()).then_some(report.remedies)
}

/// The first segment of a check's name.
pub fn kind_of(name: &str) -> &str {
    judge::plain_name(name)
        .split_once("::")
        .map_or("checks", |(kind, _)| kind)
}

/// One exercise's variants being built and run.
pub struct Trials<'a, 'env> {
    workshop: Workshop<'env>,
    crew: &'a Crew<'env>,
    memory: &'a mut Memory,
    workspace: &'a Path,
    sender: Sender<Message>,
    messages: mpsc::Receiver<Message>,
    waiting: usize,
    open: BTreeMap<(usize, World), Open>,
    done: BTreeMap<(usize, World), Outcome>,
    /// What has been built, to be removed in the end.
    pub binaries: Vec<PathBuf>,
}

/// A variant whose tests are running.
struct Open {
    key: String,
    warnings: Vec<String>,
    tests: Vec<Option<Ran>>,
}

struct Message {
    place: (usize, World),
    result: Result<Said>,
}

enum Said {
    Ran(usize, Ran),
    Ended(Outcome),
}

impl<'a, 'env> Trials<'a, 'env> {
    /// None yet.
    pub fn new(
        workshop: Workshop<'env>,
        crew: &'a Crew<'env>,
        memory: &'a mut Memory,
        workspace: &'a Path,
    ) -> Self {
        let (sender, messages) = mpsc::channel();
        Self {
            workshop,
            crew,
            memory,
            workspace,
            sender,
            messages,
            waiting: 0,
            open: BTreeMap::new(),
            done: BTreeMap::new(),
            binaries: Vec::new(),
        }
    }

    /// Builds these in `world` and sets their tests going. `checks` are needed for what is to be rejected.
    pub fn begin(&mut self, world: World, trials: Vec<Trial<'_>>, checks: &Checks) -> Result<()> {
        let mut unknown = Vec::new();
        for trial in trials {
            let key = self.memory.key(trial.files, &trial.mode.name(), world);
            match self.memory.load(&key) {
                Some(outcome) => {
                    self.done.insert((trial.variant, world), outcome);
                }
                None => unknown.push((trial, key)),
            }
        }
        if unknown.is_empty() {
            return Ok(());
        }
        self.workshop.watch.building(world, unknown.len());
        let packages: Vec<&Package> = unknown.iter().map(|(trial, _)| trial.package).collect();
        let environment = [(OsString::from("CARGO_INCREMENTAL"), OsString::from("0"))];
        let request = build::Request {
            root: self.workspace,
            target_dir: self.workshop.target_dir,
            program: build::Program::Checks,
            world,
            packages: &packages,
            environment: &environment,
            hang_guard: self.workshop.settings.hang_guard,
        };
        let settings = self.workshop.settings;
        let built =
            build::build_with_warnings(&request, &|| settings.stopped(), self.workshop.watch)?;
        for ((trial, key), (built, warnings)) in unknown.into_iter().zip(built) {
            let place = (trial.variant, world);
            match built {
                Built::DoesNotCompile(errors) => {
                    let outcome = Outcome::DoesNotCompile(errors);
                    self.memory.store(key, &outcome);
                    self.done.insert(place, outcome);
                }
                Built::Binary(binary) => {
                    self.binaries.push(binary.clone());
                    let open = Open {
                        key,
                        warnings,
                        tests: Vec::new(),
                    };
                    self.open.insert(place, open);
                    match trial.mode {
                        Mode::Every => self.run_every(place, trial.package, &binary)?,
                        Mode::UntilRejected { kinds } => {
                            self.try_to_reject(place, trial.package, binary, &kinds, checks);
                        }
                    }
                }
            }
        }
        Ok(())
    }

    fn run_every(&mut self, place: (usize, World), package: &Package, binary: &Path) -> Result<()> {
        let settings = self.workshop.settings;
        let names = run::list(settings, package, binary)?.map_err(|problem| {
            Error::new(format!("{}: {problem}", package.name), "Mend the checks.")
        })?;
        if names.is_empty() {
            self.finish(place, Vec::new());
            return Ok(());
        }
        if let Some(open) = self.open.get_mut(&place) {
            open.tests = vec![None; names.len()];
        }
        self.workshop.watch.queued(names.len());
        for (index, name) in names.into_iter().enumerate() {
            let workshop = self.workshop;
            let package = package.clone();
            let binary = binary.to_path_buf();
            let sender = self.sender.clone();
            self.waiting += 1;
            self.crew.submit(move || {
                let ran = workshop.run(&package, &binary, &name, workshop.settings.hang_guard);
                let _ = sender.send(Message {
                    place,
                    result: ran.map(|ran| Said::Ran(index, ran)),
                });
            });
        }
        Ok(())
    }

    fn try_to_reject(
        &mut self,
        place: (usize, World),
        package: &Package,
        binary: PathBuf,
        kinds: &[String],
        checks: &Checks,
    ) {
        let is_wanted = |(name, _): &&(String, Duration)| {
            kinds.is_empty() || kinds.iter().any(|kind| kind == kind_of(name))
        };
        let checks: Checks = checks.iter().filter(is_wanted).cloned().collect();
        self.workshop.watch.queued(1);
        let workshop = self.workshop;
        let package = package.clone();
        let sender = self.sender.clone();
        self.waiting += 1;
        self.crew.submit(move || {
            let result = workshop.try_to_reject(&package, &binary, &checks);
            let result = result.map(Said::Ended);
            let _ = sender.send(Message { place, result });
        });
    }

    fn finish(&mut self, place: (usize, World), tests: Vec<Ran>) {
        if let Some(open) = self.open.remove(&place) {
            let outcome = Outcome::Ran {
                warnings: open.warnings,
                tests,
            };
            self.memory.store(open.key, &outcome);
            self.done.insert(place, outcome);
        }
    }

    /// Waits for all tests that were begun; what became of the variants since the last time.
    pub fn outcomes(&mut self) -> Result<BTreeMap<(usize, World), Outcome>> {
        let gone = || Error::new("The workers of the audit are gone.", "Run it again.");
        while self.waiting > 0 {
            let message = self.messages.recv().map_err(|_| gone())?;
            self.waiting -= 1;
            let place = message.place;
            match message.result? {
                Said::Ran(index, ran) => {
                    let Some(open) = self.open.get_mut(&place) else {
                        continue;
                    };
                    open.tests[index] = Some(ran);
                    let all: Option<Vec<Ran>> = open.tests.iter().cloned().collect();
                    if let Some(tests) = all {
                        self.finish(place, tests);
                    }
                }
                Said::Ended(outcome) => {
                    if let Some(open) = self.open.remove(&place) {
                        self.memory.store(open.key, &outcome);
                        self.done.insert(place, outcome);
                    }
                }
            }
        }
        Ok(std::mem::take(&mut self.done))
    }
}

impl Workshop<'_> {
    fn run(&self, package: &Package, binary: &Path, name: &str, guard: Duration) -> Result<Ran> {
        let begin = Instant::now();
        let trial = run::test(self.settings, package, binary, name, guard)?;
        // Guards count CPU time, of which several threads use more than the clock shows.
        let cpu = trial.cpu.unwrap_or_default();
        let taken = begin.elapsed().max(cpu);
        let milliseconds = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        let verdict = judge::verdict(package, name, &trial, self.settings);
        self.watch.finished(&package.name, judge::plain_name(name));
        Ok(Ran {
            name: name.to_owned(),
            verdict,
            milliseconds: milliseconds(taken),
            cpu_milliseconds: milliseconds(cpu),
        })
    }

    fn try_to_reject(&self, package: &Package, binary: &Path, checks: &Checks) -> Result<Outcome> {
        for (name, usual) in checks {
            let most = self.settings.hang_guard.min(MOST);
            let guard = (*usual * PATIENCE).clamp(LEAST.min(most), most);
            let guard = guard.max(*usual * LEAST_PATIENCE);
            let (hanging, failure) = match self.run(package, binary, name, guard)?.verdict {
                Verdict::Passed | Verdict::Skipped { .. } => continue,
                Verdict::Failed(failure) => (false, failure),
                Verdict::Hanging(failure) => (true, failure),
            };
            return Ok(Outcome::Rejected {
                test: judge::plain_name(name).to_owned(),
                hanging,
                remedies: remedies(failure),
            });
        }
        Ok(Outcome::Survived)
    }
}
