//! A case in a process of its own: both ends of it.

use crate::table::{Row, Verdict};
use serde::Deserialize;
use std::fmt;
use std::fs::{self, File};
use std::path::PathBuf;
use std::process::{Command, ExitCode, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

/// The argument that makes the test binary run one case: `--case NAME ENGINE`.
pub const FLAG: &str = "--case";

/// The child's evidence that it came to its end.
const ACCEPTED: &str = "accepted, executions:";

/// Far more than the slowest case needs; only against a child that hangs.
const HANG: Duration = Duration::from_secs(120);

/// With what a case is explored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Engine {
    Kata,
    /// loom alone, where `kata` tries its explorer first.
    StepByStep,
    /// The engine without `kata`'s corrections and without the adversary.
    Raw,
}

/// A report as it arrives.
#[derive(Debug, Deserialize)]
pub struct Report {
    pub schema: String,
    pub test: String,
    pub world: String,
    pub headline: String,
    pub why: String,
    pub threads: Vec<String>,
    pub steps: Vec<Step>,
    pub replay: String,
    pub text: String,
    #[serde(default)]
    pub remedies: Vec<Remedy>,
}

/// An advice of a report.
#[derive(Debug, Deserialize)]
pub struct Remedy {
    pub text: String,
    pub helps: Option<bool>,
}

/// A step of a report.
#[derive(Debug, Deserialize, PartialEq, Eq)]
pub struct Step {
    pub step: usize,
    pub thread: usize,
    pub text: String,
    pub location: String,
}

/// What became of a child.
#[derive(Debug)]
pub enum Outcome {
    Accepted {
        executions: usize,
    },
    Rejected(Box<Report>),
    /// No evidence of anything.
    Died(String),
}

impl Outcome {
    pub fn report(&self) -> Option<&Report> {
        match self {
            Self::Rejected(report) => Some(report),
            _ => None,
        }
    }

    fn inconclusive(&self) -> bool {
        self.report()
            .is_some_and(|report| report.headline.starts_with("inconclusive"))
    }

    /// The verdict in one word.
    pub fn word(&self) -> String {
        match self {
            Self::Accepted { .. } => "accepts",
            Self::Rejected(_) if self.inconclusive() => "inconclusive",
            Self::Rejected(_) => "rejects",
            Self::Died(_) => "died",
        }
        .to_owned()
    }

    pub fn is(&self, verdict: &Verdict) -> bool {
        match (self, verdict) {
            (Self::Accepted { .. }, Verdict::Accepted) => true,
            (Self::Rejected(report), Verdict::Rejected(headline)) => {
                !self.inconclusive() && report.headline.contains(headline)
            }
            (Self::Rejected(_), Verdict::Inconclusive) => self.inconclusive(),
            _ => false,
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Accepted { executions } => {
                write!(formatter, "accepted after {executions} executions")
            }
            Self::Rejected(report) => write!(formatter, "rejected:\n{}", report.text),
            Self::Died(how) => write!(formatter, "the child died without a verdict: {how}"),
        }
    }
}

/// Runs the case `name` in this process.
pub fn run(rows: &[Row], name: &str, engine: &str) -> ExitCode {
    static EXECUTIONS: AtomicUsize = AtomicUsize::new(0);
    let row = rows
        .iter()
        .find(|row| row.name() == name)
        .expect("the parent names a row");
    let engine = if engine == "raw" {
        Engine::Raw
    } else {
        Engine::Kata
    };
    // A report is named after the thread, as under libtest.
    let outcome = thread::scope(|scope| {
        let explore = || row.explore(engine, || _ = EXECUTIONS.fetch_add(1, Relaxed));
        let builder = thread::Builder::new().name(name.to_owned());
        builder
            .spawn_scoped(scope, explore)
            .expect("one thread can be started")
            .join()
    });
    match outcome {
        Ok(()) => {
            println!("{ACCEPTED} {}", EXECUTIONS.load(Relaxed));
            ExitCode::SUCCESS
        }
        Err(_) => ExitCode::FAILURE,
    }
}

/// Runs the case `name` in a child process, on the schedule `replay` alone if there is one.
pub fn explore(name: &str, engine: Engine, replay: Option<&str>) -> Outcome {
    static CHILDREN: AtomicUsize = AtomicUsize::new(0);
    let number = CHILDREN.fetch_add(1, Relaxed);
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR"))
        .join(format!("litmus-{}-{number}", std::process::id()));
    let outcome = explore_in(&folder, name, engine, replay);
    let _ = fs::remove_dir_all(&folder);
    outcome.unwrap_or_else(|error| Outcome::Died(error.to_string()))
}

fn explore_in(
    folder: &PathBuf,
    name: &str,
    engine: Engine,
    replay: Option<&str>,
) -> std::io::Result<Outcome> {
    fs::create_dir_all(folder)?;
    let [report, stdout, stderr] =
        ["report.json", "stdout", "stderr"].map(|file| folder.join(file));
    let mut child = Command::new(std::env::current_exe()?)
        .args([
            FLAG,
            name,
            if engine == Engine::Raw { "raw" } else { "kata" },
        ])
        .env(
            "KATA_ENGINE",
            if engine == Engine::StepByStep {
                "loom"
            } else {
                ""
            },
        )
        .env("KATA_REPORT", &report)
        .env("KATA_REPLAY", replay.unwrap_or_default())
        .stdin(Stdio::null())
        .stdout(File::create(&stdout)?)
        .stderr(File::create(&stderr)?)
        .spawn()?;
    let start = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break status;
        }
        if start.elapsed() > HANG {
            child.kill()?;
            child.wait()?;
            return Ok(Outcome::Died(format!("still running after {HANG:?}")));
        }
        pause();
    };
    let stdout = fs::read_to_string(stdout)?;
    let said = stdout
        .lines()
        .find_map(|line| line.strip_prefix(ACCEPTED)?.trim().parse().ok());
    let report = fs::read(report).ok();
    Ok(match (status.success(), said, report) {
        (true, Some(executions), None) if executions > 0 => Outcome::Accepted { executions },
        (false, None, Some(json)) => match serde_json::from_slice(&json) {
            Ok(report) => Outcome::Rejected(Box::new(report)),
            Err(error) => Outcome::Died(format!("its report is no report: {error}")),
        },
        (_, said, report) => {
            let stderr = fs::read_to_string(stderr)?;
            let report = if report.is_some() {
                "a report"
            } else {
                "no report"
            };
            Outcome::Died(format!("{status}, said {said:?}, left {report}\n{stderr}"))
        }
    })
}

/// std cannot wait for a process with a time limit.
#[expect(
    clippy::disallowed_methods,
    reason = "the pauses are short and decide nothing"
)]
fn pause() {
    thread::sleep(Duration::from_millis(1));
}
