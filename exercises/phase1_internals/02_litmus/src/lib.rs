//! Eleven small programs, and for each the weakest orderings that do. The task is in `README.md`.
//!
//! All locations are atomic and hold 0 at first. Every program says what must *never* be the outcome.
#![allow(dead_code, unused_variables)] // Delete this line when you start: from then on the compiler helps you.

use kata::sync::atomic::Ordering;

/// Two accesses of one thread, and the fence between them if there is one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Side {
    /// The access that comes first in program order.
    pub first: Ordering,
    /// The fence after it, or `None` for no fence.
    pub fence: Option<Ordering>,
    /// The access that comes second.
    pub second: Ordering,
}

/// Message passing: one thread writes a message and raises a flag.
///
/// ```text
///    writer                  reader
///    x.store(1, x_store)     a = y.load(y_load)
///    y.store(1, y_store)     b = x.load(x_load)
///
///    never: a = 1, b = 0     the flag without the message
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mp {
    /// The message is written.
    pub x_store: Ordering,
    /// The flag is raised.
    pub y_store: Ordering,
    /// The flag is looked at.
    pub y_load: Ordering,
    /// The message is read.
    pub x_load: Ordering,
}

/// The weakest orderings for [`Mp`].
pub fn mp() -> Mp {
    todo!()
}

/// Message passing by fences: all accesses are Relaxed.
///
/// ```text
///    writer                  reader
///    x.store(1, Relaxed)     a = y.load(Relaxed)
///    fence(writer)           fence(reader)
///    y.store(1, Relaxed)     b = x.load(Relaxed)
///
///    never: a = 1, b = 0     the flag without the message
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MpFences {
    /// The writer's fence.
    pub writer: Option<Ordering>,
    /// The reader's fence.
    pub reader: Option<Ordering>,
}

/// The weakest fences for [`MpFences`].
pub fn mp_fences() -> MpFences {
    todo!()
}

/// Coherence of reads: one location, read twice.
///
/// ```text
///    writer                  reader
///    x.store(1, store)       a = x.load(first)
///                            b = x.load(second)
///
///    never: a = 1, b = 0     the value goes back in time
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CoRr {
    /// The writer's store.
    pub store: Ordering,
    /// The reader's first look.
    pub first: Ordering,
    /// The reader's second look.
    pub second: Ordering,
}

/// The weakest orderings for [`CoRr`].
pub fn corr() -> CoRr {
    todo!()
}

/// Store buffering: each thread announces itself, then looks whether the other one has.
///
/// ```text
///    left                    right
///    x.store(1, first)       y.store(1, first)
///    fence                   fence
///    a = y.load(second)      b = x.load(second)
///
///    never: a = 0, b = 0     neither has noticed the other
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sb {
    /// Stores to `x`, loads `y`.
    pub left: Side,
    /// Stores to `y`, loads `x`.
    pub right: Side,
}

/// The weakest orderings for [`Sb`]. There is more than one answer.
pub fn sb() -> Sb {
    todo!()
}

/// Load buffering: each thread reads what the other one stores afterwards.
///
/// ```text
///    left                    right
///    a = x.load(x_load)      b = y.load(y_load)
///    y.store(1, y_store)     x.store(1, x_store)
///
///    never: a = 1, b = 1     each has read the other's future
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lb {
    /// The left thread's load.
    pub x_load: Ordering,
    /// The left thread's store.
    pub y_store: Ordering,
    /// The right thread's load.
    pub y_load: Ordering,
    /// The right thread's store.
    pub x_store: Ordering,
}

/// The weakest orderings for [`Lb`]. There is more than one answer.
pub fn lb() -> Lb {
    todo!()
}

/// Write-to-read causality: a message is seen by a second thread, which tells a third one.
///
/// ```text
///    writer                  courier                  reader
///    x.store(1, x_store)     a = x.load(x_load)       b = y.load(y_load)
///                            y.store(1, y_store)      c = x.load(x_reload)
///
///    never: a = 1, b = 1, c = 0     the news has arrived before what it is about
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wrc {
    /// The writer's store.
    pub x_store: Ordering,
    /// The courier's load.
    pub x_load: Ordering,
    /// The courier's store.
    pub y_store: Ordering,
    /// The reader's first load.
    pub y_load: Ordering,
    /// The reader's second load.
    pub x_reload: Ordering,
}

/// The weakest orderings for [`Wrc`].
pub fn wrc() -> Wrc {
    todo!()
}

/// A message and two flags, one after the other. In the literature: ISA2.
///
/// ```text
///    writer                  courier                  reader
///    x.store(1, x_store)     a = y.load(y_load)       b = z.load(z_load)
///    y.store(1, y_store)     z.store(1, z_store)      c = x.load(x_load)
///
///    never: a = 1, b = 1, c = 0     the second flag without the message
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Isa2 {
    /// The message is written.
    pub x_store: Ordering,
    /// The first flag is raised.
    pub y_store: Ordering,
    /// The first flag is looked at.
    pub y_load: Ordering,
    /// The second flag is raised.
    pub z_store: Ordering,
    /// The second flag is looked at.
    pub z_load: Ordering,
    /// The message is read.
    pub x_load: Ordering,
}

/// The weakest orderings for [`Isa2`].
pub fn isa2() -> Isa2 {
    todo!()
}

/// Independent reads of independent writes: do all threads agree on what came first?
///
/// ```text
///    writer of x             writer of y              reader xy              reader yx
///    x.store(1, x_store)     y.store(1, y_store)      a = x.load(first)      c = y.load(first)
///                                                     fence                  fence
///                                                     b = y.load(second)     d = x.load(second)
///
///    never: a = 1, b = 0, c = 1, d = 0     each reader has seen the other writer come second
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Iriw {
    /// The store to `x`.
    pub x_store: Ordering,
    /// The store to `y`.
    pub y_store: Ordering,
    /// Loads `x`, then `y`.
    pub xy: Side,
    /// Loads `y`, then `x`.
    pub yx: Side,
}

/// The weakest orderings for [`Iriw`]. There is more than one answer.
pub fn iriw() -> Iriw {
    todo!()
}

/// Two threads write to both locations, in opposite order. In the literature: 2+2W.
///
/// ```text
///    left                    right
///    x.store(1, first)       y.store(1, first)
///    fence                   fence
///    y.store(2, second)      x.store(2, second)
///
///    never: x = 1, y = 1 in the end     both first stores have come last
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TwoPlusTwoW {
    /// Stores to `x`, then to `y`.
    pub left: Side,
    /// Stores to `y`, then to `x`.
    pub right: Side,
}

/// The weakest orderings for [`TwoPlusTwoW`]. There is more than one answer.
pub fn two_plus_two_w() -> TwoPlusTwoW {
    todo!()
}

/// A release sequence: between the writer and the reader a third thread changes the flag.
///
/// ```text
///    writer                  counter                      reader
///    x.store(1, x_store)     c = y.fetch_add(1, y_add)    a = y.load(y_load)
///    y.store(1, y_store)                                  b = x.load(x_load)
///
///    never: a = 2, b = 0     the flag, raised and counted, without the message
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReleaseSequence {
    /// The message is written.
    pub x_store: Ordering,
    /// The flag is raised.
    pub y_store: Ordering,
    /// The flag is changed by somebody who does not care about the message.
    pub y_add: Ordering,
    /// The flag is looked at.
    pub y_load: Ordering,
    /// The message is read.
    pub x_load: Ordering,
}

/// The weakest orderings for [`ReleaseSequence`].
pub fn release_sequence() -> ReleaseSequence {
    todo!()
}

/// A flag that its own thread overwrites.
///
/// ```text
///    writer                  reader
///    x.store(1, x_store)     a = y.load(y_load)
///    y.store(1, first)       b = x.load(x_load)
///    y.store(2, second)
///
///    never: a = 2, b = 0     the second flag without the message
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Overwritten {
    /// The message is written.
    pub x_store: Ordering,
    /// The flag is raised.
    pub first: Ordering,
    /// The flag is raised higher.
    pub second: Ordering,
    /// The flag is looked at.
    pub y_load: Ordering,
    /// The message is read.
    pub x_load: Ordering,
}

/// The weakest orderings for [`Overwritten`]. There is more than one answer.
pub fn overwritten() -> Overwritten {
    todo!()
}
