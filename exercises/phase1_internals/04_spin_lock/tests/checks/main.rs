//! The checks of `spin_lock`, a file a kind. The world decides which of them are built.

#[cfg(not(any(feature = "loom", feature = "shuttle")))]
mod compile;
#[cfg(not(any(feature = "loom", feature = "shuttle")))]
mod stress;
#[cfg(not(any(feature = "loom", feature = "shuttle")))]
mod unit;

#[cfg(feature = "loom")]
mod loom;

#[cfg(all(feature = "shuttle", not(feature = "loom")))]
mod bench;
#[cfg(all(feature = "shuttle", not(feature = "loom")))]
mod shuttle;

/// Counts what a lock leaves behind. Its counts order nothing that a check depends on: the checks of this world decide
/// nothing about orderings.
#[cfg(not(any(feature = "loom", feature = "shuttle")))]
#[global_allocator]
static ALLOCATOR: kata::check::Counting = kata::check::Counting;
