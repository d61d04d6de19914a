//! Every execution of a litmus program that the C++20 memory model allows, and so Rust's, which is the same.
//!
//! For programs of a few threads with a few operations each. An execution is a set of events, a store for each load to
//! read from, and an order of the stores to each location. All of them are tried; those that break a rule are thrown
//! away. Nothing is run and nothing is sampled: an outcome that is not found is forbidden.
//!
//! The rules are those of the C++20 draft N4861, \[intro.races\] and \[atomics.order\], without consume:
//!
//! - **synchronizes with**: a release, or a release fence before a store, with an acquire, or an acquire fence after a
//!   load, when the load reads from the release sequence of the store. Only read-modify-writes continue a release
//!   sequence (P0982); a plain store of the same thread does not any more.
//! - **happens before**: sequenced before and synchronizes with, and what follows from the two.
//! - **coherence-ordered before**: reads from, modification order, reads before, and what follows from the three. It has no
//!   cycle, which makes read-modify-writes atomic, and it never contradicts happens before.
//! - **the single total order of SeqCst operations**: agrees with *strongly happens before*, and with coherence order
//!   between accesses and across fences (P0668). See [`Total`].
//! - **causes**: see [`Cycles`].
//!
//! The laws are from Lahav, Vafeiadis, Kang, Hur and Dreyer, "Repairing Sequential Consistency in C/C++11" (PLDI 2017),
//! on which P0668 is built; to enumerate candidates and to throw away the inconsistent ones is how herd works (Alglave,
//! Maranget and Tautschnig, "Herding Cats", 2014).
#![warn(missing_docs, missing_debug_implementations)]

mod change;
#[cfg(test)]
mod differential;
mod execution;
mod explorer;
mod graph;
mod picture;
mod program;
pub mod random;
mod recheck;
mod relation;
mod remedy;
#[cfg(test)]
mod tests;
mod total_order;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;

pub use change::{Change, Signs, waiter};
pub use explorer::Exploration;
pub use graph::{
    Access, Branches, Clock, Event, EventId, Graph, Key, Kind, Location, MOST_THREADS, NOTHING,
    STRIKE, Wait, join,
};
pub use picture::Witness;
pub use program::{
    Op, Program, Thread, Value, Weaker, compare_exchange, fence, fetch_add, load, store, when,
};
pub use recheck::Recheck;
pub use remedy::{Fence, Moment, Remedied, Remedy, Side};

/// How much the SeqCst operations promise.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Total {
    /// What C++20 says.
    ///
    /// That is a little more than x86 does: two SeqCst loads are ordered by what they observe of a store even if the
    /// store is Relaxed, and a processor that reads its own store from its store buffer does not heed that (LWG issue
    /// 3941).
    #[default]
    Standard,
    /// What the paper says that C++20 took it from, and what the compilers implement: the loads are ordered by what they
    /// observe of a SeqCst store.
    Rc11,
}

/// Which causes may go round in a circle: a load that reads a store which comes after it in program order, and so on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Cycles {
    /// All that the rules above allow, values out of thin air included. The letter of C++20.
    Allowed,
    /// All in which not every store depends on the load before it. This is C++20 with its recommendation that there be no
    /// values out of thin air. Dependencies are those that are written there: a value that is passed on, a condition.
    #[default]
    WithoutDependencies,
    /// None: a load never reads a store that comes later. This is RC11, and all that loom explores. Real ARM and POWER
    /// processors are allowed more, and so is a compiler.
    Forbidden,
}

/// Which model.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Model {
    /// How much SeqCst promises.
    pub total: Total,
    /// Which causes may go round in a circle.
    pub cycles: Cycles,
}

/// What an execution leaves behind: the value of each register that was loaded, and the last one of each location.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Outcome(BTreeMap<&'static str, u32>);

impl Outcome {
    /// The value of a register, or the last one of a location.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<u32> {
        self.0.get(name).copied()
    }

    /// Whether all of `values` are as stated.
    #[must_use]
    pub fn is(&self, values: &[(&str, u32)]) -> bool {
        values
            .iter()
            .all(|&(name, value)| self.get(name) == Some(value))
    }
}

impl FromIterator<(&'static str, u32)> for Outcome {
    fn from_iter<Values: IntoIterator<Item = (&'static str, u32)>>(values: Values) -> Self {
        Self(values.into_iter().collect())
    }
}

impl std::fmt::Display for Outcome {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let values: Vec<String> = self
            .0
            .iter()
            .map(|(name, value)| format!("{name} = {value}"))
            .collect();
        formatter.pad(&values.join(", "))
    }
}

impl Program {
    /// An execution of this program that the model allows and whose outcome is `wanted`, if there is one.
    ///
    /// # Panics
    /// If an operation has an ordering it cannot have, see [`misfit`](Program::misfit), or if there are more than 128 events.
    pub fn find(&self, model: Model, wanted: impl Fn(&Outcome) -> bool) -> Option<Witness> {
        let mut found = None;
        execution::candidates(self, &wanted, &mut |execution| {
            if execution.is_consistent(model) {
                found = Some(Witness::new(self, execution));
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        });
        found
    }

    /// Whether the work of [`outcomes`](Self::outcomes) is bounded: candidates are put together in at most so many ways.
    #[must_use]
    pub fn is_small(&self, ways: usize) -> bool {
        execution::is_small(self, ways)
    }

    /// All outcomes that the model allows.
    ///
    /// # Panics
    /// As [`find`](Self::find).
    #[must_use]
    pub fn outcomes(&self, model: Model) -> BTreeSet<Outcome> {
        let outcomes = self.outcomes_of(model, usize::MAX);
        outcomes.expect("there are not so many candidates")
    }

    /// All outcomes that the model allows, unless there are as many candidates as `most`.
    ///
    /// # Panics
    /// As [`find`](Self::find).
    #[must_use]
    pub fn outcomes_of(&self, model: Model, most: usize) -> Option<BTreeSet<Outcome>> {
        let mut outcomes = BTreeSet::new();
        let mut candidates = 0;
        execution::candidates(self, &|_| true, &mut |execution| {
            candidates += 1;
            if candidates == most {
                return ControlFlow::Break(());
            }
            if !outcomes.contains(&execution.outcome) && execution.is_consistent(model) {
                outcomes.insert(execution.outcome.clone());
            }
            ControlFlow::Continue(())
        });
        (candidates < most).then_some(outcomes)
    }

    /// The first program of [`weakened`](Self::weakened) that forbids the outcome, too: an ordering here is stronger than
    /// it needs to be.
    ///
    /// # Panics
    /// As [`find`](Self::find).
    pub fn needlessly_strong(
        &self,
        model: Model,
        outcome: impl Fn(&Outcome) -> bool,
    ) -> Option<Weaker> {
        self.weakened()
            .into_iter()
            .find(|weaker| weaker.program.find(model, &outcome).is_none())
    }
}
