//! The checks of `sharded_counter`, a file a kind. The world decides which of them are built.

#[cfg(not(feature = "shuttle"))]
mod compile;
#[cfg(not(feature = "shuttle"))]
mod property;
#[cfg(not(feature = "shuttle"))]
mod stress;
#[cfg(not(feature = "shuttle"))]
mod unit;

#[cfg(feature = "shuttle")]
mod bench;
#[cfg(feature = "shuttle")]
mod non_blocking;
#[cfg(feature = "shuttle")]
mod shuttle;

/// Counts what a counter asks of the heap. Its counts are no help to the additions: these go nowhere near the allocator.
#[cfg(not(feature = "shuttle"))]
#[global_allocator]
static ALLOCATOR: kata::check::Counting = kata::check::Counting;
