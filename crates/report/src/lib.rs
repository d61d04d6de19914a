//! What checks write and the grader reads, as data.
//!
//! | schema | type | says |
//! |---|---|---|
//! | `kata/failure/v1` | [`Report`] | why a check rejects a program, with the picture |
//! | `kata/skip/v1` | [`Skip`] | what is missing on this machine |
//! | `kata/bench/v1` | [`bench::Report`] | what was measured |
//! | `kata/evidence/v1` | [`Evidence`] | that a model ran to its end, and what it has seen |
//!
//! Each goes to the file that the environment names in [`REPORT`], with the word that it holds in [`NONCE`] as `nonce`;
//! evidence goes to a file of its own beside that one, a line a model. See [`evidence_path`].

use std::path::{Path, PathBuf};

pub mod bench;
mod evidence;
mod failure;
mod skip;

pub use evidence::Evidence;
pub use failure::{Remedy, Report, SCHEMA, Step, wrap};
pub use skip::Skip;

/// A word out of a fixed list. A name of its own, because serde would take `&'static str` for borrowed from the input.
type Word = &'static str;

/// The environment variable that names the file for a report.
pub const REPORT: &str = "KATA_REPORT";

/// The environment variable that holds a word which no other process knows.
pub const NONCE: &str = "KATA_NONCE";

/// Where evidence goes beside `report`.
pub fn evidence_path(report: &Path) -> PathBuf {
    report.with_extension("evidence")
}
