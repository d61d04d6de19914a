//! What learner code and checks build on.
//!
//! Code written against `kata::sync`, `kata::cell`, `kata::thread`, `kata::future` and `kata::hint` compiles in three worlds; a
//! feature picks the world:
//!
//! | world | feature | what `kata` is |
//! |---|---|---|
//! | std | none | plain re-exports of `std`: nothing between the code and the machine |
//! | loom | `loom` | every execution that C++20 allows, without load buffering, each one once |
//! | shuttle | `shuttle` | sequentially consistent executions, sampled by several schedulers |
//!
//! In the two model worlds every operation is recorded, so that a failure can be drawn in the learner's own lines.
//! If both features are on, loom wins.
#![warn(missing_docs, missing_debug_implementations)]

#[cfg(any(feature = "loom", feature = "shuttle"))]
mod record;
#[cfg(any(feature = "loom", feature = "shuttle"))]
mod watch;

#[cfg(any(feature = "loom", feature = "shuttle"))]
#[path = "facade/model/mod.rs"]
mod world;
#[cfg(not(any(feature = "loom", feature = "shuttle")))]
#[path = "facade/std.rs"]
mod world;

/// Futures: an executor for one of them. Wakers and the rest are those of `std::task`.
#[cfg(any(feature = "loom", feature = "shuttle"))]
#[path = "facade/future_model.rs"]
pub mod future;
/// Futures: an executor for one of them. Wakers and the rest are those of `std::task`.
#[cfg(not(any(feature = "loom", feature = "shuttle")))]
#[path = "facade/future_std.rs"]
pub mod future;

#[cfg(any(feature = "loom", feature = "shuttle"))]
#[path = "facade/local.rs"]
mod local;

#[cfg(feature = "loom")]
mod engine;
#[cfg(all(feature = "shuttle", not(feature = "loom")))]
#[path = "facade/shuttle.rs"]
mod engine;

pub use world::{Canary, cell, hint, sync, thread};

#[cfg(feature = "check")]
pub mod check;

#[doc(hidden)]
#[cfg(any(feature = "loom", feature = "shuttle"))]
pub use local::Lazy as __Lazy;
