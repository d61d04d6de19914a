//! The oracles: what decides whether learner code is right. For checks only.
//!
//! | oracle | world | what it explores |
//! |---|---|---|
//! | [`exhaustive`] | loom | every execution within a bound on preemptions |
//! | [`Pairs`] | loom | every operation of a table meeting every other one |
//! | [`randomized`] | shuttle | a portfolio of schedulers with fixed seeds |
//! | [`non_blocking`] | shuttle | one thread stopped at every point: the others must finish |
//! | [`stands_still`] | shuttle | one thread stopped at every point: an operation must return in a few steps |
//! | [`outpaced`] | shuttle | one thread that takes a step while another one takes many |
//! | [`linearizable`] | shuttle | histories against a sequential specification |
//! | [`Stress`] | std | real threads, rounds not seconds |
//! | [`bench`] | std | how long it takes, beside what a user would pick instead: shown, never a verdict |
//! | [`process`] | std, on Unix | real programs, held, stopped and killed at chosen moments |
//! | [`Compiler`] | std | programs that must compile, and programs that must not |
//! | [`Foreign`] | all | other people's values, closures and wakers that panic, call back, block, take long |
//! | [`poll_once`], [`Wakes`] | all | futures polled by hand, wakes counted |
//! | [`sim`] | std | nodes that exchange messages, on a network that does its worst, in virtual time |
//! | [`mesi`] | all | which accesses take a cache line away from another processor |

#[cfg(any(feature = "loom", feature = "shuttle"))]
mod evidence;
#[cfg(any(feature = "loom", feature = "shuttle"))]
mod explore;
#[cfg(any(feature = "loom", feature = "shuttle"))]
mod messages;
mod report;
#[cfg(any(feature = "loom", feature = "shuttle"))]
mod timeline;
/// Every execution of a litmus program that the C++20 memory model allows.
pub use memory_model as cpp20;
pub use report::{Remedy, Report, Step};
mod skip;
pub use skip::{require_program, skip};

#[cfg(feature = "loom")]
mod exhaustive;
#[cfg(feature = "loom")]
pub use exhaustive::{Coverage, Exhaustive, Extent, exhaustive};
#[cfg(feature = "loom")]
mod pairs;
#[cfg(feature = "loom")]
pub use pairs::Pairs;

#[cfg(all(feature = "shuttle", not(feature = "loom")))]
mod linearizable;
#[cfg(all(feature = "shuttle", not(feature = "loom")))]
mod non_blocking;
#[cfg(all(feature = "shuttle", not(feature = "loom")))]
mod outpaced;
#[cfg(all(feature = "shuttle", not(feature = "loom")))]
mod randomized;
#[cfg(all(feature = "shuttle", not(feature = "loom")))]
pub use {
    linearizable::linearizable,
    non_blocking::{Body, non_blocking, stands_still},
    outpaced::outpaced,
    randomized::{Randomized, randomized},
};

#[cfg(not(any(feature = "loom", feature = "shuttle")))]
pub mod bench;
mod bounds;
mod deliver;
mod drops;
mod folder;
mod foreign;
pub mod linearizability;
pub mod mesi;
mod panics;
mod polling;
pub mod sim;
mod stress;
pub use drops::{Drops, Token};
pub use folder::Folder;
pub use foreign::{Foreign, InDrop, InUse};
pub use polling::{Wakes, note, poll_once};
pub use stress::{Stress, assert_conserved, assert_fifo_per_producer};

#[cfg(all(unix, not(any(feature = "loom", feature = "shuttle"))))]
pub mod process;

#[cfg(not(any(feature = "loom", feature = "shuttle")))]
mod allocations;
#[cfg(not(any(feature = "loom", feature = "shuttle")))]
mod compiler;
#[cfg(not(any(feature = "loom", feature = "shuttle")))]
pub use allocations::{Count, Counting, allocations_in, live_blocks, live_bytes};
#[cfg(not(any(feature = "loom", feature = "shuttle")))]
pub use compiler::Compiler;

#[cfg(any(feature = "loom", feature = "shuttle"))]
mod traffic;
#[cfg(any(feature = "loom", feature = "shuttle"))]
pub use traffic::{cell_count, longest_pause, misses, rmw_count, steps, write_count};
