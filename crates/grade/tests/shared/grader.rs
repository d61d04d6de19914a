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

/// As somebody without rights, where the tests run as somebody whom no permission keeps out.
#[cfg(unix)]
#[allow(dead_code, reason = "not all tests that share this file need it")]
pub fn as_nobody(mut command: Command) -> Command {
    use std::os::unix::process::CommandExt as _;
    let is_root = Command::new("id").arg("-u").output();
    if is_root.is_ok_and(|output| output.stdout == b"0\n") {
        command.uid(65534).gid(65534);
    }
    command
}
