//! The checks of `arc`, a file a kind. The world decides which of them are built.

#[cfg(not(feature = "loom"))]
mod compile;
#[cfg(not(feature = "loom"))]
mod stress;
#[cfg(not(feature = "loom"))]
mod unit;

#[cfg(feature = "loom")]
mod loom;

/// Memory is counted, not sampled.
#[cfg(not(feature = "loom"))]
#[global_allocator]
static ALLOCATOR: kata::check::Counting = kata::check::Counting;
