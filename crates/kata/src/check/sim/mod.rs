//! Nodes that exchange messages, on a network that does its worst, in virtual time.
//!
//! A node is a state machine without threads, clocks or random numbers of its own: an [`Input`] goes in, a list of
//! [`Effect`]s comes out. A check makes one of learner code by implementing [`Protocol`], says what must hold in a
//! [`Property`], and picks one or both of two ways to look for a run in which it does not:
//!
//! | oracle | what it explores | what it decides |
//! |---|---|---|
//! | [`Sim`] | one run for each seed, in virtual time, with [`Schedule`]s of faults | safety and liveness, in what it happens to try |
//! | [`Walk`] | every order of events within bounds on timeouts, crashes and duplicates; time does not exist | safety, within the bounds; the counterexample is a shortest one |
//!
//! **What a crash loses.** Effects happen one after the other in the order of the list, and a crash may fall between any
//! two of them: what was sent before it is on its way, what was to be persisted after it never was. The node starts again
//! from what was persisted last.
//!
//! **The same everywhere.** Whatever is left to chance is computed from the seed and from what it is about (the third
//! message from n0 to n2, say), in integers, by a generator that is part of this module. A verdict depends on no machine,
//! no clock and no version of any crate; and taking a fault out of a schedule changes nothing but what that fault did, by
//! which a failing schedule can be made short.

mod diagram;
mod network;
mod random;
mod schedule;
#[cfg(test)]
mod tests;
mod walk;

use std::fmt;
use std::hash::{Hash, Hasher};
use std::ops::RangeInclusive;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

pub use network::Sim;
pub use random::Random;
pub use schedule::{Fault, Faults, Kind, Schedule};
pub use walk::Walk;

/// A node's number, from 0.
pub type Id = usize;

/// Nodes of one kind, and how to speak of them in pictures.
pub trait Protocol {
    /// A running node: all that a crash loses. A [`Walk`] needs it to be `Eq` and `Hash` as well.
    type Node: Clone;
    /// What nodes send each other.
    type Message: Clone;
    /// What survives a crash.
    type Stable: Clone;

    /// How many nodes there are.
    fn nodes(&self) -> usize;
    /// What is on a node's disk before it starts for the first time.
    fn initial(&self, id: Id) -> Self::Stable;
    /// Starts a node, for the first time or after a crash.
    fn start(&self, id: Id, stable: &Self::Stable) -> (Self::Node, Vec<EffectOf<Self>>);
    /// Gives a node something to do.
    fn step(&self, node: &mut Self::Node, input: Input<Self::Message>) -> Vec<EffectOf<Self>>;

    /// What a node is, in at most some 16 characters, such as `leader, term 2`. A picture shows it whenever it changes.
    fn state(&self, node: &Self::Node) -> String;
    /// A message, in at most some 14 characters.
    fn label(&self, message: &Self::Message) -> String;
    /// What was persisted, in at most some 16 characters.
    fn saved(&self, stable: &Self::Stable) -> String;

    /// What a message is about, such as its term. A picture of a long run shows only what its violation is about.
    fn topic_of_message(&self, _message: &Self::Message) -> Option<u64> {
        None
    }
    /// What a node is about.
    fn topic_of_node(&self, _node: &Self::Node) -> Option<u64> {
        None
    }
}

/// An [`Effect`] of a protocol.
pub type EffectOf<P> = Effect<<P as Protocol>::Message, <P as Protocol>::Stable>;

/// What a node is told.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Input<M> {
    /// A timer that it has set has run out.
    Timeout(usize),
    /// A message has arrived.
    Receive {
        /// Who sent it.
        from: Id,
        /// What it says.
        message: M,
    },
}

/// What a node does.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Effect<M, S> {
    /// Writes to its disk. What comes later in the list happens after it is written.
    Persist(S),
    /// Sends a message.
    Send {
        /// To whom.
        to: Id,
        /// What.
        message: M,
    },
    /// Sets a timer, once. If it is running already, it is set anew.
    SetTimer {
        /// Its number; whatever the node likes.
        timer: usize,
        /// In how many milliseconds it runs out: any number of the range, all equally likely.
        after: RangeInclusive<u64>,
    },
    /// Stops a timer.
    CancelTimer(usize),
}

/// When something happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// In a walk: the number of the step, from 1; 0 before the first.
    Step(usize),
    /// In a simulation: milliseconds of virtual time.
    Time(u64),
}

impl Moment {
    fn number(self) -> u64 {
        match self {
            Self::Step(step) => step as u64,
            Self::Time(time) => time,
        }
    }
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Step(step) => write!(f, "in step {step}"),
            Self::Time(time) => write!(f, "at {time} ms"),
        }
    }
}

/// What a [`Property`] sees after each step of a node.
pub struct View<'a, P: Protocol + ?Sized> {
    /// All nodes; `None` is down.
    pub nodes: &'a [Option<P::Node>],
    /// What is on their disks.
    pub stable: &'a [P::Stable],
    /// When.
    pub moment: Moment,
    /// Who has taken a step.
    pub node: Id,
    /// What it was given; `None` if it was started, or has crashed between two steps.
    pub input: Option<&'a Input<P::Message>>,
    /// What it did. If it crashed meanwhile, only what it did before that.
    pub done: &'a [EffectOf<P>],
}

impl<P: Protocol + ?Sized> std::fmt::Debug for View<'_, P> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("View")
            .field("moment", &self.moment)
            .field("node", &self.node)
            .finish_non_exhaustive()
    }
}

/// What must hold in every run. One value sees one run, from its beginning.
pub trait Property<P: Protocol>: Clone {
    /// Looks on after each step of a node.
    ///
    /// # Errors
    /// If the property does not hold.
    fn observe(&mut self, view: &View<'_, P>) -> Result<(), Violation>;

    /// Looks on when a simulation is over. A walk has no end.
    ///
    /// # Errors
    /// If the property does not hold.
    fn finish(&mut self, _view: &View<'_, P>) -> Result<(), Violation> {
        Ok(())
    }
}

/// That a property does not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Which one, in a few words. A schedule is shortened as long as it violates the property of this name.
    pub rule: &'static str,
    /// Who did what.
    pub why: String,
    /// What it is about, if that is something that messages and nodes are about too.
    pub topic: Option<u64>,
}

/// Something that a property remembers only to tell of it: it does not make two states of a [`Walk`] different.
#[derive(Clone, Debug, Default)]
pub struct Aside<T>(pub T);

impl<T> PartialEq for Aside<T> {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl<T> Eq for Aside<T> {}

impl<T> Hash for Aside<T> {
    fn hash<H: Hasher>(&self, _: &mut H) {}
}

/// What a step came to: its effects, or that it panicked, or did what no node can do.
fn guarded<M, S, T>(
    nodes: usize,
    id: Id,
    step: impl FnOnce() -> (T, Vec<Effect<M, S>>),
) -> Result<(T, Vec<Effect<M, S>>), Violation> {
    let broken = |rule, why| {
        Err(Violation {
            rule,
            why,
            topic: None,
        })
    };
    let (outcome, effects) = match catch_unwind(AssertUnwindSafe(step)) {
        Ok(outcome) => outcome,
        Err(panic) => {
            let message = super::panics::message(&*panic);
            if message.contains("not yet implemented") {
                resume_unwind(panic);
            }
            return broken("a node panics", format!("n{id} panics: {message}"));
        }
    };
    for effect in &effects {
        match effect {
            Effect::Send { to, .. } if *to == id => {
                return broken(
                    "a node sends to itself",
                    format!("n{id} sends a message to itself: what it knows it need not be told."),
                );
            }
            Effect::Send { to, .. } if *to >= nodes => {
                return broken(
                    "a message to nobody",
                    format!("n{id} sends to n{to}, but the last node is n{}.", nodes - 1),
                );
            }
            Effect::SetTimer { after, .. } if after.is_empty() || *after.start() == 0 => {
                return broken(
                    "a timer that cannot be set",
                    format!(
                        "n{id} sets a timer to {after:?} ms: it takes a range that is not empty and begins at 1 or later."
                    ),
                );
            }
            _ => {}
        }
    }
    Ok((outcome, effects))
}

/// The command that runs this check alone.
fn command() -> String {
    let command = super::report::Test::running("").command("std");
    format!("{command} --nocapture")
}

/// Fails the running check with a picture.
fn fail(report: &super::Report) -> ! {
    eprint!("\n{}\n", report.text);
    super::deliver::deliver(report);
    resume_unwind(Box::new(report.headline.clone()))
}
