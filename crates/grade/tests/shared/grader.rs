//! The grader as a command, for all tests that run it on a course of their own.

use std::path::Path;
use std::process::{Command, Stdio};

/// The grader on the course in a folder, where it also builds, without what this process was told of colours and tools.
pub fn grader(course: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_grade"));
    command
        .arg("--course")
        .arg(course)
        .args(arguments)
        .env("CARGO_TARGET_DIR", course.join("target"))
        .stdin(Stdio::null());
    for name in ["NO_COLOR", "CLICOLOR_FORCE", "KATA_REQUIRE_REAL"] {
        command.env_remove(name);
    }
    command
}
