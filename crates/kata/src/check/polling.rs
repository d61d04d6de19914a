//! Futures polled by hand, so that a check says when each poll happens, and counts the wakes in between.
//!
//! Everything here is deterministic. A future that is not woken is not polled again, and whoever drops one between two
//! polls has cancelled it.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::task::{Context, Poll, Wake, Waker};

/// Polls `future` once, with `waker`.
#[track_caller]
pub fn poll_once<F: Future + ?Sized>(future: Pin<&mut F>, waker: &Waker) -> Poll<F::Output> {
    let outcome = future.poll(&mut Context::from_waker(waker));
    #[cfg(any(feature = "loom", feature = "shuttle"))]
    record(crate::record::Op::Poll(outcome.is_ready()));
    outcome
}

/// Writes a line into the timeline of a model: what the check does here that is no operation of its own, such as to drop a
/// future. Nothing elsewhere.
#[track_caller]
pub fn note(text: &'static str) {
    #[cfg(any(feature = "loom", feature = "shuttle"))]
    record(crate::record::Op::Note(text));
    let _ = text;
}

/// Records what touches no object, at the place from which the oracle was called.
#[cfg(any(feature = "loom", feature = "shuttle"))]
#[track_caller]
fn record(op: crate::record::Op) {
    let _aside = crate::watch::aside();
    crate::record::event(crate::record::NO_OBJECT, op, std::panic::Location::caller());
}

/// Counts how often its waker is woken. Two of them make two wakers that do not wake the same task.
#[derive(Debug, Default)]
pub struct Wakes(Arc<Count>);

#[derive(Debug, Default)]
struct Count(AtomicUsize);

impl Wakes {
    /// Not woken yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The waker whose wakes are counted.
    #[must_use]
    pub fn waker(&self) -> Waker {
        Waker::from(Arc::clone(&self.0))
    }

    /// How many wakes there have been.
    #[must_use]
    pub fn count(&self) -> usize {
        self.0.0.load(Relaxed)
    }
}

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.0.fetch_add(1, Relaxed);
    }
}

#[cfg(all(test, not(any(feature = "loom", feature = "shuttle"))))]
mod tests {
    use super::*;
    use std::pin::pin;

    #[test]
    fn a_waker_counts_its_own_wakes_and_those_of_its_clones() {
        let (wakes, other) = (Wakes::new(), Wakes::new());
        let waker = wakes.waker();
        waker.wake_by_ref();
        let clone = waker.clone();
        drop(waker);
        clone.wake();
        assert_eq!((wakes.count(), other.count()), (2, 0));
        assert!(
            wakes.waker().will_wake(&wakes.waker()) && !wakes.waker().will_wake(&other.waker())
        );
    }

    #[test]
    fn a_future_is_polled_exactly_once() {
        let mut polls = 0;
        let mut future = pin!(std::future::poll_fn(|_| {
            polls += 1;
            if polls == 2 {
                Poll::Ready(polls)
            } else {
                Poll::Pending
            }
        }));
        assert!(poll_once(future.as_mut(), Waker::noop()).is_pending());
        assert_eq!(poll_once(future.as_mut(), Waker::noop()), Poll::Ready(2));
    }
}
