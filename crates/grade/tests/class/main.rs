//! `./grade.sh class` on a small course: what is taken, what comes out, what a stopped run leaves, and what a sandbox keeps.

#![cfg(target_os = "linux")]

mod fixture;
mod results;
mod sandboxed;
