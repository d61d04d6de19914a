//! The checks of `treiber_stack`, a file a kind. The world decides which of them are built.

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
mod linearizable;
#[cfg(all(feature = "shuttle", not(feature = "loom")))]
mod non_blocking;
#[cfg(all(feature = "shuttle", not(feature = "loom")))]
mod shuttle;

/// What the checks of the model worlds push.
#[cfg(any(feature = "loom", feature = "shuttle"))]
mod parcel;

/// Counts what the stack asks of the heap.
#[cfg(not(any(feature = "loom", feature = "shuttle")))]
#[global_allocator]
static ALLOCATOR: kata::check::Counting = kata::check::Counting;
