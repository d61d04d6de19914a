//! The checks of `litmus`, a file a kind. The world decides which of them are built.

#[macro_use]
mod programs;

#[cfg(not(feature = "loom"))]
mod enumerated;
#[cfg(not(feature = "loom"))]
mod stress;
#[cfg(not(feature = "loom"))]
mod unit;

#[cfg(feature = "loom")]
mod loom;
