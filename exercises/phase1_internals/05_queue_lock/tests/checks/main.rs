//! The checks of `queue_lock`, a file a kind. The world decides which of them are built.

#[cfg(all(target_os = "linux", not(any(feature = "loom", feature = "shuttle"))))]
mod age;
mod lock;

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
mod order;
#[cfg(all(feature = "shuttle", not(feature = "loom")))]
mod shuttle;

/// The nodes of the second lock are counted, not sampled.
#[cfg(not(any(feature = "loom", feature = "shuttle")))]
#[global_allocator]
static ALLOCATOR: kata::check::Counting = kata::check::Counting;
