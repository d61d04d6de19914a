//! What checks write and the grader reads, as data.
//!
//! | schema | type | says |
//! |---|---|---|
//! | `kata/failure/v1` | [`Report`] | why a check rejects a program, with the picture |
//! | `kata/skip/v1` | [`Skip`] | what is missing on this machine |
//! | `kata/bench/v1` | [`bench::Report`] | what was measured |

pub mod bench;
mod failure;
mod skip;

pub use failure::{Report, SCHEMA, Step, wrap};
pub use skip::Skip;

/// A word out of a fixed list. A name of its own, because serde would take `&'static str` for borrowed from the input.
type Word = &'static str;
