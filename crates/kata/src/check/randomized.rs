//! Sequentially consistent executions, sampled: shuttle with a portfolio of schedulers and fixed seeds.
//!
//! It finds wrong interleavings of programs too large for an exhaustive walk, and deadlocks, and lost wake-ups. It
//! decides nothing about orderings.

use super::report::{Report, Test};
use super::timeline::Context;
use super::{evidence, explore};
use crate::record::{self, Pass};
use shuttle::scheduler::{
    PctScheduler, RandomScheduler, ReplayScheduler, Schedule, Scheduler, Task, TaskId,
    UrwRandomScheduler,
};
use shuttle::{Config, FailurePersistence, MaxSteps, Runner};
use shuttle_engine::runtime::execution::CurrentSchedule;
use shuttle_engine::scheduler::serialization::serialize_schedule;
use std::cell::Cell;

/// A longer replay string helps nobody; the check itself is as deterministic.
const LONGEST_REPLAY: usize = 600;

/// The environment variable a failing schedule is replayed with.
const REPLAY: &str = "KATA_REPLAY";

/// Runs `model` under 600 schedules. See [`Randomized`].
///
/// # Panics
/// If an execution fails. The picture of the first one that does goes to stderr.
pub fn randomized<F: Fn() + Send + Sync + 'static>(model: F) {
    Randomized::new().run(model);
}

/// A sample of schedules: a third of them random, a third PCT with three priority changes, a third uniform random walk.
#[derive(Clone, Debug)]
pub struct Randomized {
    schedules: usize,
    steps: usize,
    seed: u64,
    adversary: bool,
    leaks: bool,
}

impl Default for Randomized {
    fn default() -> Self {
        Self::new()
    }
}

impl Randomized {
    /// 600 schedules of at most 20 000 steps.
    #[must_use]
    pub fn new() -> Self {
        Self {
            schedules: 600,
            steps: 20_000,
            seed: 0x6B61_7461,
            adversary: true,
            leaks: false,
        }
    }

    /// How many schedules to try.
    #[must_use]
    pub fn schedules(self, schedules: usize) -> Self {
        Self { schedules, ..self }
    }

    /// How many steps an execution may have; one with more fails the check.
    #[must_use]
    pub fn steps(self, steps: usize) -> Self {
        Self { steps, ..self }
    }

    /// The seed of all random choices.
    #[must_use]
    pub fn seed(self, seed: u64) -> Self {
        Self { seed, ..self }
    }

    /// Operations fail or return without cause only where the machine makes them. For comparisons.
    #[must_use]
    pub fn without_adversary(self) -> Self {
        Self {
            adversary: false,
            ..self
        }
    }

    /// Also fails if memory that the model allocated is still allocated when it returns.
    #[must_use]
    pub fn no_leaks(self) -> Self {
        Self {
            leaks: true,
            ..self
        }
    }

    /// Samples `model`. With the replay string of an earlier failure in `KATA_REPLAY`, runs that schedule alone.
    ///
    /// # Panics
    /// If an execution fails. The picture of the first one that does goes to stderr.
    pub fn run<F: Fn() + Send + Sync + 'static>(self, model: F) {
        self.explore(model)
            .unwrap_or_else(|report| explore::fail(&report));
    }

    /// As [`run`](Self::run), without a panic or a picture on stderr.
    ///
    /// # Errors
    /// With the report of the first execution that fails.
    pub fn explore<F: Fn() + Send + Sync + 'static>(self, model: F) -> Result<(), Box<Report>> {
        self.explore_as(Test::running(std::any::type_name::<F>()), model)
    }

    pub(super) fn explore_as<F: Fn() + Send + Sync + 'static>(
        self,
        test: Test,
        model: F,
    ) -> Result<(), Box<Report>> {
        let replay = std::env::var(REPLAY)
            .ok()
            .filter(|schedule| !schedule.is_empty());
        let scheduler: Box<dyn Scheduler + Send> = match replay {
            Some(schedule) => {
                SCHEDULER.set("replay");
                let mut scheduler = ReplayScheduler::new_from_encoded(&schedule);
                scheduler.set_allow_incomplete();
                Box::new(scheduler)
            }
            None => Box::new(Portfolio::new(self.seed, self.schedules)),
        };
        let (total, seed) = (self.schedules, self.seed);
        let explored = move || {
            let scheduler = SCHEDULER.get();
            format!(
                "after {} of {total} schedules (shuttle, {scheduler}, seed {seed:#x})",
                record::executions()
            )
        };
        let sample = Sample {
            test,
            steps: self.steps,
            adversary: self.adversary,
            leaks: self.leaks,
            replayable: true,
        };
        sample.run(explored, scheduler, model)
    }
}

/// What every exploration under shuttle needs to know.
pub(super) struct Sample {
    pub test: Test,
    pub steps: usize,
    pub adversary: bool,
    pub leaks: bool,
    /// Whether `KATA_REPLAY` is understood by the check.
    pub replayable: bool,
}

impl Sample {
    /// Runs `model` under every schedule that `scheduler` gives.
    pub(super) fn run<F: Fn() + Send + Sync + 'static>(
        self,
        explored: impl Fn() -> String + 'static,
        scheduler: impl Scheduler + 'static,
        model: F,
    ) -> Result<(), Box<Report>> {
        let Self {
            test,
            steps,
            adversary,
            leaks,
            replayable,
        } = self;
        let mut config = Config::new();
        config.stack_size = 0x4_0000;
        config.failure_persistence = FailurePersistence::None;
        config.max_steps = MaxSteps::FailAfter(steps);
        config.silence_warnings = true;
        let context = move || {
            let command = test.command("shuttle");
            let schedule = serialize_schedule(&CurrentSchedule::get_schedule()).replace('\n', "");
            let replay = if replayable && schedule.len() <= LONGEST_REPLAY {
                format!("{REPLAY}={schedule} {command}")
            } else {
                command
            };
            Context {
                test: test.name(),
                world: "shuttle",
                explored: explored(),
                replay,
            }
        };
        record::begin_exploration();
        evidence::begin();
        record::begin_pass(Pass {
            adversary,
            strengthened: false,
            bound: None,
        });
        explore::explore(context, || {
            Runner::new(scheduler, config).run(move || {
                explore::begin_execution();
                model();
                explore::end_execution(leaks);
            });
        })?;
        evidence::give(false);
        Ok(())
    }
}

const PCT: &str = "PCT, depth 3";

thread_local! {
    static SCHEDULER: Cell<&'static str> = const { Cell::new("") };
}

/// One scheduler after the other.
struct Portfolio {
    /// Some execution of the current scheduler has had a choice. PCT refuses to go on if its first one has had none.
    concurrent: bool,
    rest: Vec<(&'static str, Box<dyn Scheduler + Send>)>,
}

impl Portfolio {
    fn new(seed: u64, schedules: usize) -> Self {
        let share = schedules.div_ceil(3);
        Self {
            concurrent: false,
            rest: vec![
                (
                    "uniform random walk",
                    Box::new(UrwRandomScheduler::new_from_seed(
                        seed,
                        schedules - 2 * share.min(schedules / 2),
                    )),
                ),
                (PCT, Box::new(PctScheduler::new_from_seed(seed, 3, share))),
                (
                    "random",
                    Box::new(RandomScheduler::new_from_seed(seed, share)),
                ),
            ],
        }
    }

    fn current(&mut self) -> &mut dyn Scheduler {
        &mut *self.rest.last_mut().expect("an execution has begun").1
    }
}

impl Drop for Portfolio {
    fn drop(&mut self) {
        // Dropped after a failure, the engine's schedulers print seeds that are of no use here.
        if std::thread::panicking() {
            std::mem::forget(std::mem::take(&mut self.rest));
        }
    }
}

impl Scheduler for Portfolio {
    fn new_execution(&mut self) -> Option<Schedule> {
        while let Some((name, scheduler)) = self.rest.last_mut() {
            let begins = SCHEDULER.replace(name) != *name;
            if *name == PCT && !begins && !self.concurrent {
                self.rest.pop();
                continue;
            }
            self.concurrent &= !begins;
            if let Some(schedule) = scheduler.new_execution() {
                return Some(schedule);
            }
            self.rest.pop();
        }
        None
    }

    fn next_task(
        &mut self,
        runnable: &[&Task],
        current: Option<TaskId>,
        is_yielding: bool,
    ) -> Option<TaskId> {
        self.concurrent |= runnable.len() > 1;
        self.current().next_task(runnable, current, is_yielding)
    }

    fn next_u64(&mut self) -> u64 {
        self.current().next_u64()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

    /// It depends on what outlives an execution, which no model may: so the first of PCT is the one without a choice.
    #[test]
    fn an_execution_without_a_choice_fails_nothing() {
        static EXECUTIONS: AtomicUsize = AtomicUsize::new(0);
        let model = || {
            if EXECUTIONS.fetch_add(1, Relaxed) != 2 {
                let threads = [0, 1].map(|_| crate::thread::spawn(|| ()));
                for thread in threads {
                    thread.join().unwrap();
                }
            }
        };
        Randomized::new().schedules(6).run(model);
        assert_eq!(EXECUTIONS.load(Relaxed), 5);
    }
}
