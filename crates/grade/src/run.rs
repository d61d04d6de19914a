//! One test is one process: started alone, watched, its output captured up to a limit.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use kata_report::Evidence;
use serde_json::Value;

use crate::course::Package;
use crate::error::{Error, Result};
use crate::files;
use crate::process::{self, Confinement, End, Excess, Group, Guards, Limits};

/// How much of the beginning and of the end of each stream is kept.
const KEPT: usize = 32 * 1024;

/// How much of the list of tests is read.
const LIST_KEPT: usize = 4 * 1024 * 1024;

/// For how long a process may be idle, and for how long several together: a check that starts programs waits for them
/// with a guard of its own, `kata::check::process::GUARD`, and has more to say when it is reached.
const IDLE: Duration = Duration::from_secs(10);
const IDLE_TOGETHER: Duration = Duration::from_secs(30);

/// The wall clock's limit, in limits of CPU time. What gets less than this part of one processor without being idle is
/// stopped by the clock.
const WALL: u32 = 20;

/// How many processes a test may have at once.
pub const PROCESSES: usize = 256;

/// How many bytes a file may be long, how many may be written to all files and pipes, and how many printed.
pub const FILE: u64 = 1 << 30;
pub const WRITTEN: u64 = 4 << 30;
pub const PRINTED: u64 = 256 << 20;

/// How long the rest of the output may take once every known process that could write it is gone.
const DRAIN: Duration = Duration::from_secs(2);

/// Under which conditions tests run.
#[derive(Debug)]
pub struct Settings {
    /// Where cargo builds, for tests that build something themselves.
    pub target_dir: PathBuf,
    /// An empty folder for the failure reports of tests.
    pub reports: PathBuf,
    /// After so much CPU time a test is stopped.
    pub hang_guard: Duration,
    /// How many bytes of address space a process of a test may use, and how many bytes of memory all of them together.
    pub memory: u64,
    /// How many tests run at once.
    pub workers: usize,
    /// Set when the grader is to stop.
    pub interrupted: Arc<AtomicBool>,
    /// Added to every test's environment.
    pub environment: Vec<(OsString, OsString)>,
    /// Makes the reports' names.
    pub next_report: AtomicU64,
    /// Whether this libtest keeps no log.
    pub no_log: AtomicBool,
}

impl Settings {
    /// Whether the grader is to stop.
    pub fn stopped(&self) -> bool {
        self.interrupted.load(Relaxed)
    }
}

/// How a test process ended.
#[derive(Debug)]
pub enum Ending {
    /// By itself, or by a signal that the grader did not send.
    Exited(ExitStatus),
    /// It was stopped because it exceeded a guard.
    Exceeded(Excess),
    /// It was stopped because it printed more than [`PRINTED`] bytes.
    Flooded,
}

/// What a test process left when it had ended.
#[derive(Debug)]
pub struct Trial {
    /// How it ended.
    pub end: Ending,
    /// The CPU time it used, if the system says.
    pub cpu: Option<Duration>,
    /// Whether one of its children was still alive, and killed.
    pub left_process_behind: bool,
    /// What it wrote, perhaps without the middle.
    pub stdout: String,
    /// What it wrote, perhaps without the middle.
    pub stderr: String,
    /// What `kata` wrote about a failure or a part that was skipped.
    pub report: Option<Value>,
    /// What models said that ran to their end.
    pub evidence: Vec<Evidence>,
    /// libtest's own log, if it keeps one.
    pub log: Option<String>,
}

/// The names of all tests in `binary`, in its own order; an explanation if it does not say.
pub fn list(
    settings: &Settings,
    package: &Package,
    binary: &Path,
) -> Result<std::result::Result<Vec<String>, String>> {
    let arguments = ["--list", "--format", "terse"];
    let guard = settings.hang_guard;
    let mut trial = run(settings, package, binary, &arguments, LIST_KEPT, guard)?;
    if trial.stderr.contains("Unrecognized option: 'logfile'") {
        // A later libtest, which keeps no log.
        settings.no_log.store(true, Relaxed);
        trial = run(settings, package, binary, &arguments, LIST_KEPT, guard)?;
    }
    let complete = matches!(trial.end, Ending::Exited(status) if status.success());
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

/// Runs one test alone, and stops it after so much CPU time as `hang_guard` says, or if it is idle.
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
    let nonce = nonce();
    let report = settings.reports.join(format!("{number}.json"));
    let log = settings.reports.join(format!("{nonce}.log"));
    let trouble = |error: io::Error| {
        Error::new(
            format!("{} could not be run: {error}", binary.display()),
            "If the disk is full or memory is short, make room; then grade again.",
        )
    };

    let (stdout, stdout_writer) = io::pipe().map_err(trouble)?;
    let (stderr, stderr_writer) = io::pipe().map_err(trouble)?;
    let mut command = Command::new(binary);
    let is_test = arguments != ["--bench"];
    if is_test && !settings.no_log.load(Relaxed) {
        command.arg("--logfile").arg(&log);
    }
    command
        .args(arguments)
        .current_dir(&package.dir)
        .stdin(Stdio::null())
        .stdout(stdout_writer)
        .stderr(stderr_writer);
    set_environment(&mut command, settings, package, &report, &nonce);
    let confinement = Confinement {
        limits: Limits {
            memory: Some(settings.memory),
            file_size: Some(FILE),
        },
        spares_daemons: false,
    };
    let printed = Arc::new(AtomicU64::new(0));
    let stdout = Capture::start(stdout, kept, &printed).map_err(trouble)?;
    let stderr = Capture::start(stderr, kept, &printed).map_err(trouble)?;
    let group = Group::spawn(command, &confinement).map_err(trouble)?;

    let stopped = || settings.stopped() || printed.load(Relaxed) > PRINTED;
    let guards = guards(hang_guard, settings.memory);
    let ended = process::wait(group, guards, &stopped).map_err(trouble)?;
    let end = match ended.end {
        End::Stopped if settings.stopped() => return Err(Error::Interrupted),
        End::Stopped => Ending::Flooded,
        End::Exceeded(excess) => Ending::Exceeded(excess),
        End::Exited(status) => Ending::Exited(status),
    };
    Ok(Trial {
        end,
        cpu: ended.cpu,
        left_process_behind: ended.left_process_behind,
        stdout: stdout.finish(),
        stderr: stderr.finish().replacen(LOG_IS_DEPRECATED, "", 1),
        report: files::read(&report)
            .ok()
            .and_then(|text| signed(&text, &nonce)),
        evidence: evidence(&report, &nonce),
        log: is_test.then(|| files::read_text(&log).unwrap_or_default()),
    })
}

/// What libtest says of its log, without which there is no witness but the standard output, where everybody writes.
const LOG_IS_DEPRECATED: &str = "warning: `--logfile` is deprecated";

/// A word that nobody guesses.
fn nonce() -> String {
    let word = || RandomState::new().build_hasher().finish();
    format!("{:016x}{:016x}", word(), word())
}

/// What a process wrote that was given `nonce`, without that; nothing if it was another one.
fn signed(text: &[u8], nonce: &str) -> Option<Value> {
    let mut value: Value = serde_json::from_slice(text).ok()?;
    let signature = value.as_object_mut()?.remove("nonce")?;
    (signature == nonce).then_some(value)
}

fn evidence(report: &Path, nonce: &str) -> Vec<Evidence> {
    let text = files::read(&kata_report::evidence_path(report)).unwrap_or_default();
    let lines = text.split(|&byte| byte == b'\n');
    lines
        .filter_map(|line| serde_json::from_value(signed(line, nonce)?).ok())
        .collect()
}

fn guards(cpu: Duration, memory: u64) -> Guards {
    Guards {
        cpu: Some(cpu),
        idle: Some(IDLE.min(cpu)),
        idle_together: Some(IDLE_TOGETHER.min(cpu)),
        wall: Some(if process::MEASURES { cpu * WALL } else { cpu }),
        processes: Some(PROCESSES),
        memory: Some(memory),
        written: Some(WRITTEN),
    }
}

/// What `cargo test` would set, and none of the knobs that could change what a check explores.
fn set_environment(
    command: &mut Command,
    settings: &Settings,
    package: &Package,
    report: &Path,
    nonce: &str,
) {
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
    let settings_of_cargo: [(&str, OsString); 8] = [
        ("CARGO_MANIFEST_DIR", package.dir.clone().into()),
        ("CARGO_PKG_NAME", package.name.clone().into()),
        ("CARGO_TARGET_DIR", settings.target_dir.clone().into()),
        (kata_report::REPORT, report.into()),
        (kata_report::NONCE, nonce.into()),
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
    /// Adds to `printed` what it reads.
    fn start(stream: io::PipeReader, kept: usize, printed: &Arc<AtomicU64>) -> io::Result<Self> {
        let shared = Arc::new((Mutex::new(Kept::default()), Condvar::new()));
        process::start_patiently(|| {
            let mut stream = stream.try_clone()?;
            let printed = Arc::clone(printed);
            let shared = Arc::clone(&shared);
            std::thread::Builder::new().spawn(move || {
                let mut buffer = vec![0; 64 * 1024];
                loop {
                    let read = match stream.read(&mut buffer) {
                        Ok(read) => read,
                        Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                        Err(_) => 0,
                    };
                    printed.fetch_add(read as u64, Relaxed);
                    let mut state = shared.0.lock().unwrap_or_else(PoisonError::into_inner);
                    state.keep(&buffer[..read], kept);
                    if read == 0 {
                        state.at_end = true;
                        shared.1.notify_all();
                        return;
                    }
                }
            })
        })?;
        Ok(Self(shared))
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
