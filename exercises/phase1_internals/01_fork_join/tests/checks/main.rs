//! The checks of `fork_join`, a file a kind. All of them run on real threads: there is no atomic access here that a model
//! checker could look into.

mod compile;
mod meeting;
mod property;
mod stress;
mod unit;

/// Memory is counted, not sampled.
#[global_allocator]
static ALLOCATOR: kata::check::Counting = kata::check::Counting;
