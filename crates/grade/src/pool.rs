//! Several tests at once.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::mpsc::{self, Sender};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::course::Package;
use crate::error::{Error, Result};
use crate::judge::{self, TestResult, Verdict};
use crate::run::{self, Settings};
use crate::watch::Watch;

/// One test to run. The tag says to its owner which one it is.
pub struct Job<T> {
    /// Comes back with the result.
    pub tag: T,
    /// Whose test it is.
    pub package: Package,
    /// The test program.
    pub binary: PathBuf,
    /// The full name of the test.
    pub test: String,
}

/// Once a test of a package hangs, the package does not pass, whatever its other tests say. They get no more than this, so
/// that nobody waits a minute for each of them.
const AFTER_A_HANG: Duration = Duration::from_secs(2);

const SHORT: &str = "\nIt got so little because another check of this exercise had hung before it.";

/// Runs the jobs that `feed` sends, while it still sends, and hands each result to `finished`.
///
/// Returns when all of them have ended. Stops early, leaving no process behind, if `feed` or a job fails.
pub fn run_jobs<T: Send, R>(
    settings: &Settings,
    watch: &dyn Watch,
    finished: &(dyn Fn(T, TestResult) + Sync),
    feed: impl FnOnce(&Sender<Job<T>>) -> Result<R>,
) -> Result<R> {
    let (sender, receiver) = mpsc::channel::<Job<T>>();
    let receiver = Mutex::new(receiver);
    let failed = AtomicBool::new(false);
    let first_error = Mutex::new(None);
    let hanging = Mutex::new(BTreeSet::new());
    let hanging = || hanging.lock().unwrap_or_else(PoisonError::into_inner);
    let fail = |error: Error| {
        failed.store(true, Relaxed);
        let mut first = first_error.lock().unwrap_or_else(PoisonError::into_inner);
        first.get_or_insert(error);
    };

    let fed = std::thread::scope(|scope| {
        for _ in 0..settings.workers.max(1) {
            scope.spawn(|| {
                loop {
                    let job = {
                        let receiver = receiver.lock().unwrap_or_else(PoisonError::into_inner);
                        receiver.recv()
                    };
                    let Ok(job) = job else { return };
                    if failed.load(Relaxed) || settings.stopped() {
                        continue;
                    }
                    let mut guard = settings.hang_guard;
                    let hung_before = hanging().contains(&job.package.name);
                    if hung_before {
                        guard = guard.min(AFTER_A_HANG);
                    }
                    match run::test(settings, &job.package, &job.binary, &job.test, guard) {
                        Ok(trial) => {
                            let name = judge::plain_name(&job.test).to_owned();
                            let mut verdict =
                                judge::verdict(&job.package, &job.test, &trial, settings);
                            watch.finished(&job.package.name, &name);
                            if let Verdict::Hanging(failure) = &mut verdict {
                                hanging().insert(job.package.name.clone());
                                if hung_before {
                                    failure.message.push_str(SHORT);
                                }
                            }
                            let mut result = TestResult::new(name, verdict);
                            if result.verdict == Verdict::Passed {
                                result.explored = judge::explored(&trial);
                            }
                            finished(job.tag, result);
                        }
                        Err(error) => fail(error),
                    }
                }
            });
        }
        let fed = feed(&sender);
        if fed.is_err() {
            failed.store(true, Relaxed);
        }
        drop(sender);
        fed
    });
    crate::process::sweep();

    if settings.stopped() {
        return Err(Error::Interrupted);
    }
    match first_error
        .into_inner()
        .unwrap_or_else(PoisonError::into_inner)
    {
        Some(error) => Err(error),
        None => fed,
    }
}
