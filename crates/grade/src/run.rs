//! One test is one process: started alone, watched, its output captured up to a limit.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use serde_json::Value;

use crate::course::Package;
use crate::error::{Error, Result};
use crate::process::{self, Confinement, End, Group, Limits};

/// How much of the beginning and of the end of each stream is kept.
const KEPT: usize = 32 * 1024;

/// How much of the list of tests is read.
const LIST_KEPT: usize = 4 * 1024 * 1024;

/// How long the rest of the output may take once every known process that could write it is gone.
const DRAIN: Duration = Duration::from_secs(2);

/// Under which conditions tests run.
#[derive(Debug)]
pub struct Settings {
    /// Where cargo builds, for tests that build something themselves.
    pub target_dir: PathBuf,
    /// An empty folder for the failure reports of tests.
    pub reports: PathBuf,
    /// After this time a test is stopped.
    pub hang_guard: Duration,
    /// How many bytes of address space a test may use.
    pub memory: u64,
    /// How many tests run at once.
    pub workers: usize,
    /// Set when the grader is to stop.
    pub interrupted: Arc<AtomicBool>,
    /// Added to every test's environment.
    pub environment: Vec<(OsString, OsString)>,
    /// Makes the reports' names.
    pub next_report: AtomicU64,
}

impl Settings {
    /// Whether the grader is to stop.
    pub fn stopped(&self) -> bool {
        self.interrupted.load(Relaxed)
    }
}

/// What a test process left when it had ended.
#[derive(Debug)]
pub struct Trial {
    /// After this time it would have been stopped.
    pub hang_guard: Duration,
    /// How it ended.
    pub end: End,
    /// Whether one of its children was still alive, and killed.
    pub left_process_behind: bool,
    /// What it wrote, perhaps without the middle.
    pub stdout: String,
    /// What it wrote, perhaps without the middle.
    pub stderr: String,
    /// What `kata` wrote about a failure or a part that was skipped.
    pub report: Option<Value>,
}

/// The names of all tests in `binary`, in its own order; an explanation if it does not say.
pub fn list(
    settings: &Settings,
    package: &Package,
    binary: &Path,
) -> Result<std::result::Result<Vec<String>, String>> {
    let arguments = ["--list", "--format", "terse"];
    let guard = settings.hang_guard;
    let trial = run(settings, package, binary, &arguments, LIST_KEPT, guard)?;
    let complete = matches!(trial.end, End::Exited(status) if status.success());
    if !complete {
        return Ok(Err(format!(
            "The checks could not even be listed: the test program did not say which tests it holds.\n{}",
            trial.stderr.trim()
        )));
    }
    let names: BTreeSet<&str> = trial
        .stdout
        .lines()
        .filter_map(|line| line.strip_suffix(": test"))
        .collect();
    Ok(Ok(names.into_iter().map(str::to_owned).collect()))
}

/// Runs one test alone, and stops it after `hang_guard`.
pub fn test(
    settings: &Settings,
    package: &Package,
    binary: &Path,
    name: &str,
    hang_guard: Duration,
) -> Result<Trial> {
    // More than one thread makes libtest run the test in a thread named after it, and print its verdict on one line;
    // uncaptured, what it said before it hung or was aborted is not lost.
    let arguments = ["--exact", name, "--test-threads=2", "--nocapture"];
    run(settings, package, binary, &arguments, KEPT, hang_guard)
}

/// Runs a bench, which is one program.
pub fn bench(settings: &Settings, package: &Package, binary: &Path) -> Result<Trial> {
    let guard = settings.hang_guard;
    run(settings, package, binary, &["--bench"], KEPT, guard)
}

fn run(
    settings: &Settings,
    package: &Package,
    binary: &Path,
    arguments: &[&str],
    kept: usize,
    hang_guard: Duration,
) -> Result<Trial> {
    let number = settings.next_report.fetch_add(1, Relaxed);
    let report = settings.reports.join(format!("{number}.json"));
    let trouble = |error: io::Error| {
        Error::new(
            format!("{} could not be run: {error}", binary.display()),
            "If the disk is full or memory is short, make room; then grade again.",
        )
    };

    let (stdout, stdout_writer) = io::pipe().map_err(trouble)?;
    let (stderr, stderr_writer) = io::pipe().map_err(trouble)?;
    let mut command = Command::new(binary);
    command
        .args(arguments)
        .current_dir(&package.dir)
        .stdin(Stdio::null())
        .stdout(stdout_writer)
        .stderr(stderr_writer);
    set_environment(&mut command, settings, package, &report);
    let confinement = Confinement {
        limits: Limits {
            memory: Some(settings.memory),
            ..Limits::default()
        },
        mark: Some(format!("KATA_REPORT={}", report.display())),
    };
    let group = Group::spawn(command, &confinement).map_err(trouble)?;
    let stdout = Capture::start(stdout, kept);
    let stderr = Capture::start(stderr, kept);

    let ended = process::wait(group, Some(hang_guard), &|| settings.stopped()).map_err(trouble)?;
    if matches!(ended.end, End::Stopped) {
        return Err(Error::Interrupted);
    }
    Ok(Trial {
        hang_guard,
        end: ended.end,
        left_process_behind: ended.left_process_behind,
        stdout: stdout.finish(),
        stderr: stderr.finish(),
        report: std::fs::read(&report)
            .ok()
            .and_then(|report| serde_json::from_slice(&report).ok()),
    })
}

/// What `cargo test` would set, and none of the knobs that could change what a check explores.
fn set_environment(command: &mut Command, settings: &Settings, package: &Package, report: &Path) {
    const KNOBS: [&str; 6] = [
        "LOOM_",
        "SHUTTLE_",
        "PROPTEST_",
        "RUST_TEST_",
        "KATA_",
        "CARGO_PKG_",
    ];
    for (name, _) in std::env::vars_os() {
        let is_knob = |prefix: &&str| name.as_encoded_bytes().starts_with(prefix.as_bytes());
        if KNOBS.iter().any(is_knob) && name != *"KATA_REQUIRE_REAL" {
            command.env_remove(name);
        }
    }
    let settings_of_cargo: [(&str, OsString); 7] = [
        ("CARGO_MANIFEST_DIR", package.dir.clone().into()),
        ("CARGO_PKG_NAME", package.name.clone().into()),
        ("CARGO_TARGET_DIR", settings.target_dir.clone().into()),
        ("KATA_REPORT", report.into()),
        ("NO_COLOR", "1".into()),
        ("RUST_BACKTRACE", "0".into()),
        // Removed together with the reports, so that a test that was killed leaves no files behind either.
        ("TMPDIR", settings.reports.clone().into()),
    ];
    command.envs(settings_of_cargo);
    command.envs(
        settings
            .environment
            .iter()
            .map(|(name, value)| (name, value)),
    );
}

/// Reads a stream to its end, whatever its length, and keeps both ends of it.
struct Capture(Arc<(Mutex<Kept>, Condvar)>);

#[derive(Default)]
struct Kept {
    head: Vec<u8>,
    tail: Vec<u8>,
    dropped: usize,
    at_end: bool,
}

impl Capture {
    fn start(mut stream: io::PipeReader, kept: usize) -> Self {
        let shared = Arc::new((Mutex::new(Kept::default()), Condvar::new()));
        let capture = Self(Arc::clone(&shared));
        std::thread::spawn(move || {
            let mut buffer = vec![0; 64 * 1024];
            loop {
                let read = match stream.read(&mut buffer) {
                    Ok(read) => read,
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                    Err(_) => 0,
                };
                let mut state = shared.0.lock().unwrap_or_else(PoisonError::into_inner);
                state.keep(&buffer[..read], kept);
                if read == 0 {
                    state.at_end = true;
                    shared.1.notify_all();
                    return;
                }
            }
        });
        capture
    }

    /// What was kept. Does not wait for a process out of reach that holds the stream open.
    fn finish(self) -> String {
        let state = self.0.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (state, _) = self
            .0
            .1
            .wait_timeout_while(state, DRAIN, |state| !state.at_end)
            .unwrap_or_else(PoisonError::into_inner);
        let mut text = String::from_utf8_lossy(&state.head).into_owned();
        if state.dropped > 0 {
            text.push_str(&format!("\n[… {} bytes left out …]\n", state.dropped));
        }
        text.push_str(&String::from_utf8_lossy(&state.tail));
        text
    }
}

impl Kept {
    fn keep(&mut self, bytes: &[u8], kept: usize) {
        let room = kept.saturating_sub(self.head.len()).min(bytes.len());
        let (first, rest) = bytes.split_at(room);
        self.head.extend_from_slice(first);
        self.tail.extend_from_slice(rest);
        if self.tail.len() > kept {
            let surplus = self.tail.len() - kept;
            self.tail.drain(..surplus);
            self.dropped += surplus;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ends_of_a_long_stream_are_kept() {
        let mut kept = Kept::default();
        for piece in [&b"abcdef"[..], b"gh", b"ijklmnop"] {
            kept.keep(piece, 4);
        }
        assert_eq!(
            (&kept.head[..], &kept.tail[..], kept.dropped),
            (&b"abcd"[..], &b"mnop"[..], 8)
        );
    }
}
