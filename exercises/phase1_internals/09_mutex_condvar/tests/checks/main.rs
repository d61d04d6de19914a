//! The checks of `mutex_condvar`, a file a kind. The world decides which of them are built.

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
