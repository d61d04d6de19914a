//! Every execution of a small program that the memory model allows; where there are too many, those within a bound.

use super::report::{Report, Test};
use super::timeline::{Context, INCONCLUSIVE};
use super::{evidence, explore};
use crate::engine::{self, Around, Counts, Options, Outcome};
use crate::record::{self, Pass};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::Relaxed;

/// Explores all executions of `model`; where there are too many, those with at most three preemptions. See [`Exhaustive`].
///
/// # Panics
/// If an execution fails. The picture of the first one that does goes to stderr.
pub fn exhaustive<F: Fn() + Send + Sync + 'static>(model: F) {
    Exhaustive::new().run(model);
}

/// What an exploration consisted of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Coverage {
    /// Executions explored.
    pub executions: usize,
    /// Of which they are all.
    pub extent: Extent,
}

/// What has been explored to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extent {
    /// All executions that there are.
    All,
    /// All executions within so many preemptions.
    Preemptions(usize),
    /// As many executions within so many preemptions as were to be explored. There may be more.
    Executions(usize),
}

fn within(bound: usize) -> String {
    match bound {
        1 => "within 1 preemption".to_owned(),
        many => format!("within {many} preemptions"),
    }
}

impl std::fmt::Display for Coverage {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let executions = match self.executions {
            1 => "1 execution".to_owned(),
            many => format!("{many} executions"),
        };
        match self.extent {
            Extent::All => write!(formatter, "verified: all {executions}"),
            Extent::Preemptions(bound) => {
                write!(formatter, "bounded: {executions} {}", within(bound))
            }
            Extent::Executions(bound) => {
                write!(
                    formatter,
                    "bounded: the first {executions} {}",
                    within(bound)
                )
            }
        }
    }
}

/// An exploration of all executions that C++20 allows, but for load buffering: a load never reads a store that comes later
/// in program order.
///
/// Models with a moderate number of executions are explored to the last one. Of others, those within a bound on preemptions
/// are, up to a number.
///
/// A loop that waits, with `spin_loop` or `yield_now` on every turn, is taken to go on for ever as it does in forty looks at
/// the same values: what it does otherwise within these, such as a look with a weaker ordering, is explored, what it does
/// otherwise later is not.
///
/// # Memory ordering
/// SeqCst is that of RC11 (Lahav, Vafeiadis, Kang, Hur, Dreyer, PLDI 2017), which is what compilers implement: the letter of
/// C++20 promises a little more, see LWG issue 3941.
#[derive(Clone, Debug)]
pub struct Exhaustive {
    preemptions: usize,
    branches: usize,
    executions: usize,
    leaks: bool,
    step_by_step: bool,
    raw: bool,
}

impl Default for Exhaustive {
    fn default() -> Self {
        Self::new()
    }
}

impl Exhaustive {
    /// At most three preemptions, at most 2000 scheduling points an execution, at most 10,000 executions where not all are
    /// explored.
    #[must_use]
    pub fn new() -> Self {
        Self {
            preemptions: 3,
            branches: 2_000,
            executions: 10_000,
            leaks: false,
            step_by_step: false,
            raw: false,
        }
    }

    /// How often a thread may be interrupted although it could go on.
    #[must_use]
    pub fn preemptions(self, preemptions: usize) -> Self {
        Self {
            preemptions,
            ..self
        }
    }

    /// How many scheduling points an execution may have; one with more is inconclusive and fails the check.
    #[must_use]
    pub fn branches(self, branches: usize) -> Self {
        Self { branches, ..self }
    }

    /// How many executions are explored, also of those that turn out not to exist, if not all are.
    #[must_use]
    pub fn executions(self, executions: usize) -> Self {
        Self { executions, ..self }
    }

    /// Also fails if memory that the model allocated is still allocated when it returns.
    #[must_use]
    pub fn no_leaks(self) -> Self {
        Self {
            leaks: true,
            ..self
        }
    }

    /// Explores interleavings step by step, within the bound on preemptions, also where all executions could be explored.
    ///
    /// For checks that count steps: to an execution it does not matter how often somebody has looked in vain.
    #[must_use]
    pub fn step_by_step(self) -> Self {
        Self {
            step_by_step: true,
            ..self
        }
    }

    /// The engine as it is, without corrections and without the adversary. For comparisons only: it rejects right
    /// programs.
    #[must_use]
    pub fn raw_engine(self) -> Self {
        Self { raw: true, ..self }
    }

    /// Explores `model`.
    ///
    /// # Panics
    /// If an execution fails. The picture of the first one that does goes to stderr.
    pub fn run<F: Fn() + Send + Sync + 'static>(self, model: F) -> Coverage {
        let coverage = self
            .explore(model)
            .unwrap_or_else(|report| explore::fail(&report));
        println!("{coverage}");
        coverage
    }

    /// As [`run`](Self::run), without a panic or a picture on stderr.
    ///
    /// # Errors
    /// With the report of the first execution that fails.
    pub fn explore<F: Fn() + Send + Sync + 'static>(
        self,
        model: F,
    ) -> Result<Coverage, Box<Report>> {
        evidence::begin();
        let coverage = self.cover(model)?;
        evidence::give(coverage.extent == Extent::All);
        Ok(coverage)
    }

    fn cover<F: Fn() + Send + Sync + 'static>(self, model: F) -> Result<Coverage, Box<Report>> {
        let model = Arc::new(model);
        let test = Test::running(std::any::type_name::<F>());
        let context = move || Context {
            test: test.name(),
            world: "loom",
            explored: {
                let within = record::pass().bound.map(within).unwrap_or_default();
                let execution = format!("in execution {} {within}", record::executions());
                let execution = execution.trim_end();
                format!("{execution} (of all that C++20 allows, without load buffering)")
            },
            replay: test.command("loom"),
        };
        let context = Arc::new(context);
        let engines = Engines::chosen(self.raw || self.step_by_step);
        record::begin_exploration();
        if engines != Engines::Loom {
            let budget = if engines == Engines::Graph {
                usize::MAX
            } else {
                BUDGET
            };
            let outcome = self.pass(false, budget, &context, &model);
            let outcome = outcome.map_err(|report| self.at_fault(report, &context, &model));
            if let Some(counts) = outcome? {
                return Ok(Coverage {
                    executions: counts.executions,
                    extent: Extent::All,
                });
            }
            assert!(
                engines != Engines::Graph,
                "KATA_ENGINE=graph: the model is too large to explore all of its executions"
            );
        }
        record::begin_exploration();
        let at_fault = |report| self.at_fault(report, &context, &model);
        let propose = |options| self.propose(options, &context, &model).map_err(at_fault);
        let options = Options {
            preemptions: self.preemptions,
            branches: self.branches,
            executions: self.executions,
            adversary: false,
            last_is_notified: false,
            bare: self.raw,
        };
        let mut all = propose(options)?;
        if engine::take_choice_seen() && !self.raw {
            all &= propose(Options {
                last_is_notified: true,
                ..options
            })?;
        }
        if engine::take_prey_seen() && !self.raw {
            all &= propose(Options {
                adversary: true,
                ..options
            })?;
        }
        Ok(Coverage {
            executions: record::executions(),
            extent: if all {
                Extent::Preemptions(self.preemptions)
            } else {
                Extent::Executions(self.preemptions)
            },
        })
    }

    /// The report of a failure that no ordering can mend, if there is one, instead of one that blames an ordering.
    fn at_fault<F: Fn() + Send + Sync + 'static>(
        &self,
        report: Box<Report>,
        context: &Arc<impl Fn() -> Context + 'static>,
        model: &Arc<F>,
    ) -> Box<Report> {
        if report.remedies.is_empty() || self.raw {
            return report;
        }
        record::begin_exploration();
        let again = self.pass(true, BUDGET_OF_STRONG, context, model).err();
        let again = again.filter(|report| report.headline != INCONCLUSIVE);
        again.unwrap_or(report)
    }

    /// Explores what loom proposes within the bounds. Returns whether that is all within the bound on preemptions.
    fn propose<F: Fn() + Send + Sync + 'static>(
        &self,
        options: Options,
        context: &Arc<impl Fn() -> Context + 'static>,
        model: &Arc<F>,
    ) -> Result<bool, Box<Report>> {
        // What outgrew an earlier exploration says nothing of this one.
        engine::take_outgrown();
        record::begin_pass(Pass {
            adversary: options.adversary,
            strengthened: false,
            bound: Some(self.preemptions),
        });
        let leaks = self.leaks;
        let context = Arc::clone(context);
        let proposed = Arc::new(AtomicUsize::new(0));
        let begin = {
            let proposed = Arc::clone(&proposed);
            move || {
                proposed.fetch_add(1, Relaxed);
                explore::begin_execution();
            }
        };
        let before = record::executions();
        loop {
            let (context, begin) = (Arc::clone(&context), begin.clone());
            let explored = explore::explore(
                move || context(),
                || {
                    engine::propose(
                        options,
                        Arc::clone(model) as Arc<dyn Fn() + Send + Sync>,
                        begin,
                        move || explore::end_execution(leaks),
                        explore::abandon_run,
                    );
                },
            );
            match explored {
                Ok(()) => return Ok(proposed.load(Relaxed) < self.executions),
                Err(report) if !engine::take_outgrown() => return Err(report),
                // Next time there is room for as many.
                Err(_) => {
                    proposed.store(0, Relaxed);
                    record::set_executions(before);
                }
            }
        }
    }

    /// Explores everything, as it is or with all orderings SeqCst, within a budget of runs.
    fn pass<F: Fn() + Send + Sync + 'static>(
        &self,
        strengthened: bool,
        budget: usize,
        context: &Arc<impl Fn() -> Context + 'static>,
        model: &Arc<F>,
    ) -> Result<Option<Counts>, Box<Report>> {
        record::begin_pass(Pass {
            adversary: true,
            strengthened,
            bound: None,
        });
        let model: Rc<dyn Fn()> = {
            let model = Arc::clone(model);
            Rc::new(move || model())
        };
        let leaks = self.leaks;
        let mut counts = None;
        let context = Arc::clone(context);
        explore::explore(
            move || context(),
            || {
                let around = Around {
                    begin: &|counts: Counts| {
                        explore::begin_execution();
                        record::set_executions(counts.executions + 1);
                    },
                    end: &|| explore::end_execution(leaks),
                    abandon: &explore::abandon_run,
                };
                if let Outcome::Complete(all) = engine::explore(model, true, budget, &around) {
                    counts = Some(all);
                }
            },
        )?;
        Ok(counts)
    }
}

/// Which engines explore a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Engines {
    /// The explorer, and where that is too much, loom.
    Both,
    /// The explorer alone.
    Graph,
    /// loom alone.
    Loom,
}

impl Engines {
    /// What `KATA_ENGINE` says.
    fn chosen(loom: bool) -> Self {
        if loom {
            return Self::Loom;
        }
        match std::env::var("KATA_ENGINE").as_deref() {
            Err(_) | Ok("") => Self::Both,
            Ok("graph") => Self::Graph,
            Ok("loom") => Self::Loom,
            Ok(other) => panic!("KATA_ENGINE={other}: there are `graph` and `loom`"),
        }
    }
}

/// So many runs of a model, then there is another engine.
const BUDGET: usize = 100_000;

/// So many runs in the search for a failure that no ordering can mend: there need not be any.
const BUDGET_OF_STRONG: usize = 3_000;
