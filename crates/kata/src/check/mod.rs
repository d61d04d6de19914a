//! The oracles: what decides whether learner code is right. For checks only.
//!
//! | oracle | world | what it explores |
//! |---|---|---|
//! | [`exhaustive`] | loom | every execution within a bound on preemptions |
//! | [`randomized`] | shuttle | a portfolio of schedulers with fixed seeds |
//! | [`non_blocking`] | shuttle | one thread stopped at every point: the others must finish |
//! | [`linearizable`] | shuttle | histories against a sequential specification |
//! | [`Stress`] | std | real threads, rounds not seconds |
//! | [`sim`] | std | nodes that exchange messages, on a network that does its worst, in virtual time |
//! | [`mesi`] | all | which accesses take a cache line away from another processor |

#[cfg(any(feature = "loom", feature = "shuttle"))]
mod explore;
mod report;
#[cfg(any(feature = "loom", feature = "shuttle"))]
mod timeline;
pub use report::{Report, Step};

#[cfg(feature = "loom")]
mod exhaustive;
#[cfg(feature = "loom")]
pub use exhaustive::{Coverage, Exhaustive, exhaustive};

#[cfg(all(feature = "shuttle", not(feature = "loom")))]
mod linearizable;
#[cfg(all(feature = "shuttle", not(feature = "loom")))]
mod non_blocking;
#[cfg(all(feature = "shuttle", not(feature = "loom")))]
mod randomized;
#[cfg(all(feature = "shuttle", not(feature = "loom")))]
pub use {
    linearizable::linearizable,
    non_blocking::{Body, non_blocking},
    randomized::{Randomized, randomized},
};

mod bounds;
pub mod cpp20;
mod drops;
pub mod linearizability;
pub mod mesi;
pub mod sim;
mod stress;
pub use drops::{Drops, Token};
pub use stress::{Stress, assert_conserved, assert_fifo_per_producer};

#[cfg(not(any(feature = "loom", feature = "shuttle")))]
mod allocations;
#[cfg(not(any(feature = "loom", feature = "shuttle")))]
pub use allocations::{Count, Counting, allocations_in, live_blocks, live_bytes};

#[cfg(any(feature = "loom", feature = "shuttle"))]
mod traffic;
#[cfg(any(feature = "loom", feature = "shuttle"))]
pub use traffic::{misses, rmw_count, steps};
