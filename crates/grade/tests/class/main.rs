//! `./grade.sh class` on a small course: what is taken, what comes out, what a stopped run leaves, and what a sandbox keeps.

#![cfg(target_os = "linux")]

use std::io::Write as _;

mod fan_out;
mod fixture;
#[path = "../shared/grader.rs"]
mod grader;
mod results;
mod sandboxed;

/// Says that a test needs what this machine does not have, past libtest, which would keep it to itself.
fn say_skipped(test: &str, why: &str) {
    let line = format!("skipped: {test}: {why}\n");
    std::io::stderr().write_all(line.as_bytes()).unwrap();
}
