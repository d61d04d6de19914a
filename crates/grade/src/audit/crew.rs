//! Several jobs at once, shared by all exercises that are being audited.

use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Mutex, PoisonError};

/// Something to do.
pub type Job<'env> = Box<dyn FnOnce() + Send + 'env>;

/// Takes jobs; whoever works on them ends when the last of these is gone.
#[derive(Clone)]
pub struct Crew<'env>(Sender<Job<'env>>);

impl<'env> Crew<'env> {
    /// Hands in a job.
    pub fn submit(&self, job: impl FnOnce() + Send + 'env) {
        // Fails only when nobody works any more, and then nobody waits for the job's outcome either.
        let _ = self.0.send(Box::new(job));
    }
}

/// Calls `lead` with a crew of so many workers, and returns when both are done.
pub fn with_crew<'env, R>(workers: usize, lead: impl FnOnce(Crew<'env>) -> R) -> R {
    let (sender, jobs) = mpsc::channel::<Job<'env>>();
    let jobs = Mutex::new(jobs);
    std::thread::scope(|scope| {
        for _ in 0..workers.max(1) {
            scope.spawn(|| {
                while let Some(job) = next(&jobs) {
                    job();
                }
            });
        }
        lead(Crew(sender))
    })
}

fn next<'env>(jobs: &Mutex<Receiver<Job<'env>>>) -> Option<Job<'env>> {
    jobs.lock()
        .unwrap_or_else(PoisonError::into_inner)
        .recv()
        .ok()
}
