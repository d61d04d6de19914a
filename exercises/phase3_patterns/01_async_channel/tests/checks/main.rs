//! The checks of `async_channel`, a file a kind. The world decides which of them are built.

#[cfg(not(any(feature = "loom", feature = "shuttle")))]
mod bench;
#[cfg(not(any(feature = "loom", feature = "shuttle")))]
mod compile;
#[cfg(not(any(feature = "loom", feature = "shuttle")))]
mod property;
#[cfg(not(any(feature = "loom", feature = "shuttle")))]
mod stress;
#[cfg(not(any(feature = "loom", feature = "shuttle")))]
mod unit;

#[cfg(feature = "loom")]
mod loom;

#[cfg(all(feature = "shuttle", not(feature = "loom")))]
mod shuttle;

/// Polls by hand, for the checks that do without threads.
#[cfg(not(any(feature = "loom", feature = "shuttle")))]
mod task;

/// Counts what the channel asks of the heap.
#[cfg(not(any(feature = "loom", feature = "shuttle")))]
#[global_allocator]
static ALLOCATOR: kata::check::Counting = kata::check::Counting;
