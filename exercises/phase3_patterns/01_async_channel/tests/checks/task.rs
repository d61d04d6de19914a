//! A task that is polled when the check says so, each time with another waker.

use std::pin::Pin;
use std::task::Poll;

use kata::check::{Wakes, poll_once};

/// A future and the waker of its latest poll. Dropping it cancels the future.
pub struct Task<'a, R> {
    future: Pin<Box<dyn Future<Output = R> + 'a>>,
    wakes: Wakes,
}

impl<'a, R> Task<'a, R> {
    /// Not polled yet.
    pub fn new(future: impl Future<Output = R> + 'a) -> Self {
        Self {
            future: Box::pin(future),
            wakes: Wakes::new(),
        }
    }

    /// Polls once, with a waker that the future has not seen before.
    pub fn poll(&mut self) -> Poll<R> {
        self.wakes = Wakes::new();
        poll_once(self.future.as_mut(), &self.wakes.waker())
    }

    /// Whether the waker of the latest poll has been woken since.
    pub fn is_woken(&self) -> bool {
        self.wakes.count() > 0
    }

    /// How often the waker of the latest poll has been woken.
    pub fn wakes(&self) -> usize {
        self.wakes.count()
    }

    /// Polls as an executor would: again and again as long as the future is woken. A future may wake itself to let others
    /// go first, but not for ever.
    pub fn run(&mut self) -> Poll<R> {
        const PATIENCE: usize = 100;
        for _ in 0..PATIENCE {
            let outcome = self.poll();
            if outcome.is_ready() || !self.is_woken() {
                return outcome;
            }
        }
        panic!(
            "a future was polled {PATIENCE} times, and each time it was pending and had woken itself"
        );
    }
}

/// Runs a future that need not wait for anything.
pub fn at_once<R>(future: impl Future<Output = R>, otherwise: &str) -> R {
    match Task::new(future).run() {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("{otherwise}"),
    }
}
