//! Every execution of a small program that the memory model allows, within a bound on preemptions: loom.

use super::explore;
use super::report::{Report, Test};
use super::timeline::{Context, INCONCLUSIVE};
use crate::record::{self, Mapping, Pass};
use std::sync::Arc;

/// Explores all executions of `model` with at most three preemptions. See [`Exhaustive`].
///
/// # Panics
/// If an execution fails. The picture of the first one that does goes to stderr.
pub fn exhaustive<F: Fn() + Send + Sync + 'static>(model: F) {
    Exhaustive::new().run(model);
}

/// How many executions an exploration consisted of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Coverage {
    /// Executions explored, over all passes.
    pub executions: usize,
    /// Passes: more than one where SeqCst accesses are mapped in two ways, or where the adversary has something to do.
    pub passes: usize,
}

/// An exploration of all executions within a bound.
///
/// It always runs to completion. What it cannot see:
///
/// - more preemptions than the bound allows;
/// - load buffering;
/// - that a SeqCst read-modify-write on an unrelated location is no full fence in C++20 (it is one on x86);
/// - that a plain store ends a release sequence, once the location has seen a read-modify-write: the correction that
///   keeps such stores out of the middle of other threads' read-modify-writes makes them continue it.
#[derive(Clone, Debug)]
pub struct Exhaustive {
    preemptions: usize,
    branches: usize,
    leaks: bool,
    raw: bool,
}

impl Default for Exhaustive {
    fn default() -> Self {
        Self::new()
    }
}

impl Exhaustive {
    /// At most three preemptions, at most 2000 scheduling points an execution.
    #[must_use]
    pub fn new() -> Self {
        Self {
            preemptions: 3,
            branches: 2_000,
            leaks: false,
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

    /// Also fails if memory that the model allocated is still allocated when it returns.
    #[must_use]
    pub fn no_leaks(self) -> Self {
        Self {
            leaks: true,
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
        self.explore(model)
            .unwrap_or_else(|report| explore::fail(&report))
    }

    /// As [`run`](Self::run), without a panic or a picture on stderr.
    ///
    /// A deadlock whose threads hold guards aborts the process nonetheless: the engine panics again while it unwinds.
    ///
    /// # Errors
    /// With the report of the first execution that fails.
    pub fn explore<F: Fn() + Send + Sync + 'static>(
        self,
        model: F,
    ) -> Result<Coverage, Box<Report>> {
        let model = Arc::new(model);
        let test = Test::running(std::any::type_name::<F>());
        let bound = self.preemptions;
        let context = move || Context {
            test: test.name(),
            world: "loom",
            explored: format!(
                "after {} of ? interleavings (loom, preemptions ≤ {bound})",
                record::executions()
            ),
            replay: test.command("loom"),
        };
        record::begin_exploration();
        let mut passes = 0;
        let mut pass = |mapping: Mapping, adversary: bool| {
            passes += 1;
            let pass = Pass {
                mapping,
                adversary,
                strengthened: false,
            };
            let mut outcome = self.pass(pass, &context, &model);
            // A thread that waits by read-modify-writes for a store that the engine keeps from it.
            while let Err(report) = &outcome
                && report.headline == INCONCLUSIVE
                && record::modified_late()
            {
                record::swap_from_the_beginning();
                outcome = self.pass(pass, &context, &model);
            }
            outcome.map_err(|report| {
                if report.blames_an_ordering {
                    self.without_weak_orderings(pass, &context, &model)
                        .unwrap_or(report)
                } else {
                    report
                }
            })
        };
        if self.raw {
            pass(Mapping::Raw, false)?;
        } else {
            pass(Mapping::Leading, false)?;
            let (seq_cst, prey) = (record::seq_cst_seen(), record::prey_seen());
            if seq_cst {
                pass(Mapping::Trailing, false)?;
            }
            if prey {
                pass(Mapping::Leading, true)?;
            }
        }
        Ok(Coverage {
            executions: record::executions(),
            passes,
        })
    }

    fn pass<F: Fn() + Send + Sync + 'static>(
        &self,
        pass: Pass,
        context: &(impl Fn() -> Context + Clone + 'static),
        model: &Arc<F>,
    ) -> Result<(), Box<Report>> {
        record::begin_pass(pass);
        explore::explore(context.clone(), || self.engine_run(model, None))
    }

    /// A failure that no ordering can mend, if there is one: a better picture than one in which a load reads an old value.
    /// The search is bounded, for there need not be any.
    fn without_weak_orderings<F: Fn() + Send + Sync + 'static>(
        &self,
        pass: Pass,
        context: &(impl Fn() -> Context + Clone + 'static),
        model: &Arc<F>,
    ) -> Option<Box<Report>> {
        const EXECUTIONS: usize = 3_000;
        record::begin_pass(Pass {
            strengthened: true,
            ..pass
        });
        explore::explore(context.clone(), || self.engine_run(model, Some(EXECUTIONS)))
            .err()
            .filter(|report| report.headline != INCONCLUSIVE)
    }

    /// Explores everything, or no more than `executions`.
    fn engine_run<F: Fn() + Send + Sync + 'static>(
        &self,
        model: &Arc<F>,
        executions: Option<usize>,
    ) {
        let mut engine = loom::model::Builder::new();
        engine.max_branches = self.branches;
        engine.preemption_bound = Some(self.preemptions);
        engine.max_permutations = executions;
        if let Some(executions) = executions {
            // The engine looks at the bound now and then only.
            engine.checkpoint_interval = executions;
        }
        engine.max_duration = None;
        engine.checkpoint_file = None;
        engine.location = false;
        engine.log = false;
        let model = Arc::clone(model);
        let leaks = self.leaks;
        engine.check(move || {
            explore::begin_execution();
            model();
            explore::end_execution(leaks);
        });
    }
}
