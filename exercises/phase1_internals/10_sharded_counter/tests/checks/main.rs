//! The checks of `sharded_counter`, a file a kind. The world decides which of them are built.

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
