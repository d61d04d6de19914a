//! What the ending of a test says about the code.
//!
//! A test has passed only on positive evidence: libtest says, on its standard output and in its own log, that this very
//! test ran and passed, and that nothing else happened; and a check that explores has left the word of its models, which ran
//! to their end and saw the learner's code at work. An exit code alone proves nothing: learner code may call
//! `std::process::exit(0)`.

use std::process::ExitStatus;
use std::sync::atomic::Ordering::Relaxed;

use kata_report::Skip;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::course::{Models, Package};
use crate::process::{self, Excess};
use crate::run::{self, Ending, Settings, Trial};

/// One test and what became of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TestResult {
    /// Its name, without the module that a solution's test target wraps around it.
    pub name: String,
    /// What became of it.
    pub verdict: Verdict,
    /// What its models explored, if it passed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub explored: Vec<Explored>,
}

/// What one model explored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Explored {
    /// So many executions.
    pub executions: usize,
    /// Whether these are all that there are.
    pub complete: bool,
}

impl TestResult {
    /// A test in which nothing was explored.
    pub fn new(name: impl Into<String>, verdict: Verdict) -> Self {
        Self {
            name: name.into(),
            verdict,
            explored: Vec::new(),
        }
    }

    /// The check kind: the first segment of the name.
    pub fn kind(&self) -> &str {
        kind_of(&self.name)
    }
}

/// The check kind of the test `name`: the first segment.
pub fn kind_of(name: &str) -> &str {
    name.split_once("::").map_or("checks", |(kind, _)| kind)
}

/// What became of a test.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "verdict", rename_all = "snake_case")]
pub enum Verdict {
    /// It ran, and libtest said so.
    Passed,
    /// It passed, but a part that needs something from this machine was left out.
    Skipped {
        /// What was missing.
        reason: String,
    },
    /// It did not pass.
    Failed(Failure),
    /// The hang guard stopped it.
    Hanging(Failure),
}

/// Why a test did not pass.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Failure {
    /// In words.
    pub message: String,
    /// `kata`'s own report, with the picture, if it wrote one.
    pub timeline: Option<Value>,
}

impl Failure {
    /// A failure without a timeline.
    pub fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            timeline: None,
        }
    }

    /// Whether all that it says is that something is not written yet.
    pub fn is_todo(&self) -> bool {
        let headline = self.timeline.as_ref().map(|timeline| &timeline["headline"]);
        let headline = headline.and_then(Value::as_str).unwrap_or("");
        self.message.contains(TODO) || headline.contains(TODO)
    }
}

/// What the panic of a `todo!()` says.
const TODO: &str = "not yet implemented";

/// The name of a test without the module that a solution's test target wraps around it.
pub fn plain_name(name: &str) -> &str {
    name.strip_prefix("checks::").unwrap_or(name)
}

/// The kinds of checks that explore a model.
const EXPLORING: [&str; 4] = ["loom", "shuttle", "linearizable", "non_blocking"];

/// What became of the test `name` of `package`, whose process left `trial`.
pub fn verdict(package: &Package, name: &str, trial: &Trial, settings: &Settings) -> Verdict {
    let report = trial.report.as_ref();
    let failure = report.filter(|report| report["schema"] == kata_report::SCHEMA);
    let explain = |message: String| match failure {
        Some(report) => Failure {
            message: message_of(report),
            timeline: Some(report.clone()),
        },
        None => Failure::new(message),
    };

    let status = match stopped(trial, UNSEEN_WAIT) {
        Ok(status) => status,
        Err(Stopped::Hanging(message)) => return Verdict::Hanging(explain(message)),
        Err(Stopped::Excessive(message)) => return Verdict::Failed(explain(message)),
    };
    if !(status.success() && libtest_says_passed(name, &trial.stdout)) {
        return Verdict::Failed(explain(failure_message(trial, status, settings)));
    }
    if failure.is_some() {
        return Verdict::Failed(explain(String::new()));
    }
    if trial
        .log
        .as_ref()
        .is_some_and(|log| !is_log_of_pass(name, log))
        && !settings.no_log.load(Relaxed)
    {
        let mut message = "The output says that the test passed, but libtest's own log does not, so nothing is known. Does \
                           something print what a test prints, or end the process?"
            .to_owned();
        if let Some(panics) = panic_messages(&trial.stderr) {
            message.push('\n');
            message.push_str(&panics);
        }
        return Verdict::Failed(Failure::new(message));
    }
    if trial.left_process_behind {
        return Verdict::Failed(Failure::new(
            "The test left a process behind: killed. Whatever starts a process has to end it and wait for it.",
        ));
    }
    if let Some(skip) = report.and_then(|report| Skip::deserialize(report).ok()) {
        return Verdict::Skipped {
            reason: skip.reason.into_owned(),
        };
    }
    let unseen = trial.evidence.iter().any(|model| model.operations == 0);
    if unseen && package.models == Models::LearnerCode {
        return Verdict::Failed(Failure::new(
            "No operation of yours was seen in a model of this check, so nothing was explored. Locks, atomics, cells and \
             threads come from `kata`.",
        ));
    }
    let explores = package.models != Models::None && EXPLORING.contains(&kind_of(plain_name(name)));
    if explores && trial.evidence.is_empty() {
        return Verdict::Failed(Failure::new(
            "The check ended, but no model has said that it was explored to its end, so nothing is known.",
        ));
    }
    Verdict::Passed
}

/// What the models of a test explored that passed.
pub fn explored(trial: &Trial) -> Vec<Explored> {
    let models = trial.evidence.iter().map(|model| Explored {
        executions: model.executions,
        complete: model.complete,
    });
    models.collect()
}

/// Whether libtest's log is that of one test, which passed.
fn is_log_of_pass(name: &str, log: &str) -> bool {
    let line = log.strip_suffix('\n').unwrap_or(log);
    line == format!("ok {name}") || line == format!("ok {name} - should panic")
}

/// Whether the output says that `name`, and nothing else, ran and passed.
fn libtest_says_passed(name: &str, stdout: &str) -> bool {
    let passed = format!("test {name} ... ok");
    let passed_by_panic = format!("test {name} - should panic ... ok");
    let ran = stdout
        .lines()
        .any(|line| line.ends_with(&passed) || line.ends_with(&passed_by_panic));
    let summary = stdout
        .lines()
        .rfind(|line| line.starts_with("test result: "));
    ran && summary.is_some_and(|summary| {
        summary.starts_with("test result: ok. 1 passed; 0 failed; 0 ignored;")
    })
}

fn message_of(report: &Value) -> String {
    let part = |name: &str| report[name].as_str().unwrap_or("").trim();
    let message = format!("{}\n{}", part("headline"), part("why"));
    message.trim().to_owned()
}

const UNSEEN_WAIT: &str = " In a check of a model it may also be a wait that the checker cannot see: locks, `park`, \
                           `spin_loop`, `yield_now` and atomics come from `kata`, not from `std`.";

/// Why a process was stopped, in words.
enum Stopped {
    /// It would not have come to its end.
    Hanging(String),
    /// It used too much.
    Excessive(String),
}

/// How the process ended, or why it was stopped. `or_else` is another reason for a hang.
fn stopped(trial: &Trial, or_else: &str) -> Result<ExitStatus, Stopped> {
    let mebibytes = |bytes: u64| bytes >> 20;
    let excess = match trial.end {
        Ending::Exited(status) => return Ok(status),
        Ending::Exceeded(excess) => excess,
        Ending::Flooded => {
            return Err(Stopped::Excessive(format!(
                "It printed more than {} MiB, so it was stopped.",
                mebibytes(run::PRINTED)
            )));
        }
    };
    let hanging = |what: String| {
        let mut message = format!("{what}{or_else}");
        if let Some(said) = panic_messages(&trial.stderr).or_else(|| output(trial)) {
            message.push_str("\nUntil then it said:\n");
            message.push_str(&said);
        }
        Stopped::Hanging(message)
    };
    Err(match excess {
        Excess::Cpu(limit) => hanging(format!(
            "It had used {} s of CPU time without coming to its end, so it was stopped: a loop that never ends.",
            limit.as_secs_f64()
        )),
        Excess::Idle(limit) => hanging(format!(
            "For {} s all its threads slept, so it was stopped: a deadlock, or a wait for something that never happens.",
            limit.as_secs_f64()
        )),
        Excess::Wall(limit) if process::MEASURES => hanging(format!(
            "It was still running after {} s by the clock, of which it had used {} s of CPU time, so it was stopped: a loop \
             that never ends.",
            limit.as_secs_f64(),
            trial.cpu.unwrap_or_default().as_secs_f64()
        )),
        Excess::Wall(limit) => hanging(format!(
            "It was still running after {} s, so it was stopped: a deadlock, or a loop that never ends.",
            limit.as_secs_f64()
        )),
        Excess::Processes(limit) => Stopped::Excessive(format!(
            "It had more than {limit} processes at once, so all of them were stopped."
        )),
        Excess::Memory(limit) => Stopped::Excessive(format!(
            "Out of memory: together its processes had more than {} MiB, so they were stopped.",
            mebibytes(limit)
        )),
        Excess::Written(limit) => Stopped::Excessive(format!(
            "It wrote more than {} MiB to files and pipes, so it was stopped.",
            mebibytes(limit)
        )),
    })
}

/// Why a program that is no test did not come to its end; nothing if it did.
pub fn failure_of_program(trial: &Trial, settings: &Settings) -> Option<Verdict> {
    let status = match stopped(trial, "") {
        Ok(status) => status,
        Err(Stopped::Hanging(message)) => return Some(Verdict::Hanging(Failure::new(message))),
        Err(Stopped::Excessive(message)) => return Some(Verdict::Failed(Failure::new(message))),
    };
    if status.success() {
        return None;
    }
    let message = death_message(trial, status, settings)
        .or_else(|| panic_messages(&trial.stderr))
        .unwrap_or_else(|| early_end_message(trial, status));
    Some(Verdict::Failed(Failure::new(message)))
}

/// What the system did to the process, and what it said before.
fn death_message(trial: &Trial, status: ExitStatus, settings: &Settings) -> Option<String> {
    let memory = settings.memory >> 20;
    let stderr = &trial.stderr;
    let cause = if stderr.contains("has overflowed its stack") {
        Some(
            "The stack overflowed: a recursion that never ends, or one that is too deep."
                .to_owned(),
        )
    } else if stderr.contains("memory allocation of") {
        Some(format!("Out of memory: a test may use {memory} MiB."))
    } else {
        signal_message(status, stderr, memory)
    }?;
    Some(match panic_messages(stderr) {
        Some(panics) => format!("{cause}\n{panics}"),
        None => cause,
    })
}

fn early_end_message(trial: &Trial, status: ExitStatus) -> String {
    let code = status.code().unwrap_or(-1);
    let mut message = format!(
        "The process ended with exit code {code} before the test was over. Does something call `std::process::exit`?"
    );
    if let Some(panics) = panic_messages(&trial.stderr) {
        message.push('\n');
        message.push_str(&panics);
    }
    message
}

fn failure_message(trial: &Trial, status: ExitStatus, settings: &Settings) -> String {
    let stderr = &trial.stderr;
    if let Some(message) = death_message(trial, status, settings) {
        return message;
    }
    let summary = trial
        .stdout
        .lines()
        .rfind(|line| line.starts_with("test result: "));
    match summary {
        Some(summary) if summary.contains(" 1 ignored;") => {
            "The test is marked #[ignore], so nothing is known.".to_owned()
        }
        Some(summary) if summary.contains(" 0 passed; 0 failed;") => {
            "The test program does not know this test, so nothing is known.".to_owned()
        }
        Some(_) => panic_messages(stderr)
            .or_else(|| output(trial))
            .unwrap_or_else(|| "The test failed without a message.".to_owned()),
        None => early_end_message(trial, status),
    }
}

#[cfg(unix)]
fn signal_message(status: ExitStatus, stderr: &str, memory: u64) -> Option<String> {
    use std::os::unix::process::ExitStatusExt as _;

    use rustix::process::Signal;

    let signal = status.signal()?;
    let is = |candidate: Signal| signal == candidate.as_raw();
    let panicked_twice = stderr.contains("panic in a destructor during cleanup")
        || stderr.contains("panicked while processing panic")
        || stderr.contains("cannot unwind");
    Some(if is(Signal::ABORT) && panicked_twice {
        "Aborted (SIGABRT): a panic where none can be caught, such as in a `Drop` that runs because of another panic."
            .to_owned()
    } else if is(Signal::ABORT) {
        "Aborted (SIGABRT).".to_owned()
    } else if is(Signal::SEGV) || is(Signal::BUS) {
        "Memory was accessed that is not there (SIGSEGV): a pointer that dangles or was never valid, or a stack that overflowed."
            .to_owned()
    } else if is(Signal::ILL) || is(Signal::TRAP) {
        "The processor met an instruction that must not be reached (SIGILL): undefined behaviour, or an abort."
            .to_owned()
    } else if is(Signal::KILL) {
        format!(
            "Killed (SIGKILL), probably by the system for want of memory; a test may use {memory} MiB."
        )
    } else if is(Signal::XFSZ) {
        format!(
            "It wrote a file longer than {} MiB, so it was stopped.",
            run::FILE >> 20
        )
    } else {
        format!("Killed by signal {signal}.")
    })
}

#[cfg(not(unix))]
fn signal_message(status: ExitStatus, _stderr: &str, _memory: u64) -> Option<String> {
    const ACCESS_VIOLATION: i32 = 0xC000_0005_u32 as i32;
    const FAST_FAIL: i32 = 0xC000_0409_u32 as i32;
    match status.code()? {
        ACCESS_VIOLATION => Some("Memory was accessed that is not there.".to_owned()),
        FAST_FAIL => Some("Aborted.".to_owned()),
        _ => None,
    }
}

/// The most panics worth showing, and the most lines of each.
const PANICS: usize = 3;
const PANIC_LINES: usize = 24;

/// The messages of the panics in `stderr`, each with its place, without what the runtime adds.
fn panic_messages(stderr: &str) -> Option<String> {
    let stderr = console::strip_ansi_codes(stderr);
    let mut panics: Vec<(String, Vec<&str>)> = Vec::new();
    let mut inside = false;
    for line in stderr.lines() {
        if let Some(place) = place_of_panic(line) {
            panics.push((place.to_owned(), Vec::new()));
            inside = true;
        } else if line.starts_with("note: run with `RUST_BACKTRACE")
            || line.starts_with("stack backtrace:")
            || line.starts_with("fatal runtime error:")
            || line.starts_with("thread caused non-unwinding panic")
        {
            inside = false;
        } else if inside && let Some((_, message)) = panics.last_mut() {
            message.push(line);
        }
    }
    // The runtime's own last word on two panics at once says less than the two.
    panics.retain(|(_, lines)| !lines.contains(&"panic in a destructor during cleanup"));
    let more = panics.len().saturating_sub(PANICS);
    let mut text = String::new();
    for (place, lines) in panics.into_iter().take(PANICS) {
        let shown = lines.len().min(PANIC_LINES);
        let message = lines[..shown].join("\n");
        let rest = if lines.len() > shown { "\n…" } else { "" };
        text.push_str(&format!("{}{rest}\n  at {place}\n", message.trim()));
    }
    if more > 0 {
        text.push_str(&format!("… and {more} more panics\n"));
    }
    (!text.is_empty()).then(|| text.trim_end().to_owned())
}

/// `src/lib.rs:9:5`, if this is the first line of a panic.
fn place_of_panic(line: &str) -> Option<&str> {
    let (_, after) = line.split_once("thread '")?;
    let (_, place) = after.split_once(" panicked at ")?;
    Some(place.trim_end_matches(':'))
}

/// The last lines of what the test said, without what libtest says.
fn output(trial: &Trial) -> Option<String> {
    const LINES: usize = 12;
    let text = format!("{}\n{}", trial.stdout, trial.stderr);
    let text = console::strip_ansi_codes(&text).into_owned();
    let mut after_failures = false;
    let lines: Vec<&str> = text
        .lines()
        .filter(|line| {
            // libtest's list of names.
            let is_name = after_failures && line.starts_with("    ");
            after_failures = is_name || *line == "failures:";
            !is_name
        })
        .filter(|line| {
            let line = line.trim();
            !(line.is_empty()
                || line.starts_with("running 1 test")
                || line.starts_with("test result: ")
                || (line.starts_with("test ") && line.contains(" ... "))
                || (line.starts_with("test ") && line.contains(" has been running for over "))
                || line == "failures:"
                || line.starts_with("note: run with `RUST_BACKTRACE"))
        })
        .collect();
    let last = lines.len().saturating_sub(LINES);
    let mut said = lines[last..].join("\n");
    if said.len() > 4000 {
        let cut = said.floor_char_boundary(4000);
        said.truncate(cut);
        said.push('…');
    }
    (!said.is_empty()).then_some(said)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSED: &str = "\nrunning 1 test\ntest unit::a ... ok\n\ntest result: ok. 1 passed; 0 failed; 0 ignored; 0 measured; 3 filtered out; finished in 0.00s\n\n";

    #[test]
    fn only_the_test_itself_is_evidence() {
        assert!(libtest_says_passed("unit::a", PASSED));
        assert!(!libtest_says_passed("unit::b", PASSED));
        assert!(!libtest_says_passed("unit::a", ""));
        let ignored = PASSED.replace(
            "1 passed; 0 failed; 0 ignored",
            "0 passed; 0 failed; 1 ignored",
        );
        assert!(!libtest_says_passed("unit::a", &ignored));
        let nothing_ran = PASSED.replace("1 passed", "0 passed");
        assert!(!libtest_says_passed("unit::a", &nothing_ran));
    }

    #[test]
    fn the_log_is_of_one_test_that_passed() {
        assert!(is_log_of_pass("unit::a", "ok unit::a\n"));
        for log in [
            "",
            "failed unit::a\n",
            "ok unit::b\n",
            "ok unit::a\nok unit::b\n",
        ] {
            assert!(!is_log_of_pass("unit::a", log), "{log}");
        }
    }

    #[test]
    fn output_before_the_verdict_does_not_hide_it() {
        let noisy = PASSED.replace("test unit::a", "half a linetest unit::a");
        assert!(libtest_says_passed("unit::a", &noisy));
    }

    #[test]
    fn a_panic_is_its_message_and_its_place() {
        let stderr = "\nthread 'unit::a' (4711) panicked at src/lib.rs:9:5:\nassertion failed\n  left: 1\nnote: run with `RUST_BACKTRACE=1` environment variable to display a backtrace\n";
        assert_eq!(
            panic_messages(stderr).as_deref(),
            Some("assertion failed\n  left: 1\n  at src/lib.rs:9:5")
        );
        assert_eq!(panic_messages("quiet"), None);
    }
}
