//! The programs. Each function returns one as a closure; what it can get wrong is its parameters.
//!
//! They are written against the facade alone, so one text runs in both model worlds.

pub mod blame;
pub mod blocking;
pub mod exclusion;
pub mod futures;
pub mod heap;
pub mod memory;
pub mod structures;

#[cfg(not(feature = "loom"))]
pub mod oracles;
