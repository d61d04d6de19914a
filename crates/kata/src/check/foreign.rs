//! Other people's code: values, closures and wakers that do what the author of a structure did not think of.
//!
//! A structure calls code that is not its own wherever it drops, clones, compares or hashes a value, runs a closure or
//! wakes a task. That code may panic, use the very same structure again, take long, or come back later than expected.
//!
//! What it decides: whether the structure is whole after such a call, for the calls that a check provokes. What it cannot:
//! that there are no other calls.

use std::cmp::Ordering;
use std::fmt::{self, Debug};
use std::hash::{Hash, Hasher};
use std::ops::Deref;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Wake, Waker};

/// What one call does besides being counted.
type Act = Box<dyn FnMut(usize) + Send>;

/// A piece of code that belongs to somebody else; its clones are the same piece.
///
/// In the model worlds an act that blocks or yields does so through the facade, like any other code.
#[derive(Clone)]
pub struct Foreign(Arc<Inner>);

struct Inner {
    calls: AtomicUsize,
    /// Taken out while it runs, so that an act may lead to a further call, which then only counts.
    act: Mutex<Option<Act>>,
}

/// With which a [`Foreign`] panics.
#[derive(Debug)]
struct Trouble;

impl Foreign {
    /// Counts its calls and does nothing else.
    #[must_use]
    pub fn counts() -> Self {
        Self::acts(|_| {})
    }

    /// Panics in its call number `which`, from 1, and in no other. Quietly: the panic hook does not run.
    #[must_use]
    pub fn panics_once(which: usize) -> Self {
        Self::acts(move |call| {
            if call == which {
                resume_unwind(Box::new(Trouble));
            }
        })
    }

    /// Calls `act` once, in its call number `which`, from 1: code that uses the object it was called from, for example, or
    /// waits for another thread.
    #[must_use]
    pub fn acts_once(which: usize, act: impl FnOnce() + Send + 'static) -> Self {
        let mut act = Some(act);
        Self::acts(move |call| {
            if call == which
                && let Some(act) = act.take()
            {
                act();
            }
        })
    }

    /// Gives the processor away `steps` times in each call.
    #[must_use]
    pub fn slow(steps: usize) -> Self {
        Self::acts(move |_| (0..steps).for_each(|_| crate::thread::yield_now()))
    }

    /// Calls `act` in each call, with the number of the call, from 1. A call that comes while `act` runs is counted only.
    #[must_use]
    pub fn acts(act: impl FnMut(usize) + Send + 'static) -> Self {
        Self(Arc::new(Inner {
            calls: AtomicUsize::new(0),
            act: Mutex::new(Some(Box::new(act))),
        }))
    }

    /// A call.
    pub fn call(&self) {
        let call = self.0.calls.fetch_add(1, Relaxed) + 1; // a mere number
        let act = self.act().take();
        if let Some(mut act) = act {
            let outcome = catch_unwind(AssertUnwindSafe(|| act(call)));
            *self.act() = Some(act);
            if let Err(trouble) = outcome {
                resume_unwind(trouble);
            }
        }
    }

    /// How many calls there were.
    #[must_use]
    pub fn calls(&self) -> usize {
        self.0.calls.load(Relaxed)
    }

    /// Runs `run`, which may meet the panic of a [`panics_once`](Self::panics_once); `None` if it did.
    ///
    /// # Panics
    ///
    /// If `run` panics otherwise: that is no trouble of other people's.
    pub fn survive<R>(run: impl FnOnce() -> R) -> Option<R> {
        match catch_unwind(AssertUnwindSafe(run)) {
            Ok(result) => Some(result),
            Err(trouble) if trouble.is::<Trouble>() => None,
            Err(trouble) => resume_unwind(trouble),
        }
    }

    /// A waker whose `wake` is a call.
    #[must_use]
    pub fn waker(&self) -> Waker {
        Waker::from(Arc::new(Woken(self.clone())))
    }

    /// `value`, of which each drop is a call.
    #[must_use]
    pub fn in_drop<T>(&self, value: T) -> InDrop<T> {
        InDrop(value, self.clone())
    }

    /// `value`, of which each clone, comparison and hash is a call.
    #[must_use]
    pub fn in_use<T>(&self, value: T) -> InUse<T> {
        InUse(value, self.clone())
    }

    fn act(&self) -> std::sync::MutexGuard<'_, Option<Act>> {
        self.0.act.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Debug for Foreign {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Foreign")
            .field("calls", &self.calls())
            .finish()
    }
}

struct Woken(Foreign);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.call();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.0.call();
    }
}

/// A value whose drop is other people's code. See [`Foreign::in_drop`].
#[derive(Debug)]
pub struct InDrop<T>(T, Foreign);

impl<T> Deref for InDrop<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T> Drop for InDrop<T> {
    fn drop(&mut self) {
        self.1.call();
    }
}

/// A value whose `Clone`, `PartialEq`, `Ord` and `Hash` are other people's code. See [`Foreign::in_use`].
#[derive(Debug)]
pub struct InUse<T>(T, Foreign);

impl<T> Deref for InUse<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T: Clone> Clone for InUse<T> {
    fn clone(&self) -> Self {
        self.1.call();
        Self(self.0.clone(), self.1.clone())
    }
}

impl<T: PartialEq> PartialEq for InUse<T> {
    fn eq(&self, other: &Self) -> bool {
        self.1.call();
        self.0 == other.0
    }
}

impl<T: Eq> Eq for InUse<T> {}

impl<T: Ord> PartialOrd for InUse<T> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<T: Ord> Ord for InUse<T> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.1.call();
        self.0.cmp(&other.0)
    }
}

impl<T: Hash> Hash for InUse<T> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.1.call();
        self.0.hash(state);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_panics_in_the_call_it_was_told_and_in_no_other() {
        let foreign = Foreign::panics_once(2);
        assert!(Foreign::survive(|| foreign.call()).is_some());
        assert!(Foreign::survive(|| foreign.call()).is_none());
        assert!(Foreign::survive(|| foreign.call()).is_some());
        assert_eq!(foreign.calls(), 3);
    }

    #[test]
    fn a_panic_of_anybody_else_goes_on() {
        let outcome = catch_unwind(|| Foreign::survive(|| resume_unwind(Box::new("mine"))));
        assert_eq!(*outcome.unwrap_err().downcast::<&str>().unwrap(), "mine");
    }

    #[test]
    fn an_act_that_leads_to_another_call_is_counted_and_does_not_act_again() {
        let first = Foreign::counts();
        let again = Arc::new(Mutex::new(None::<Foreign>));
        let foreign = Foreign::acts_once(1, {
            let (first, again) = (first.clone(), again.clone());
            move || {
                first.call();
                again.lock().unwrap().as_ref().unwrap().call();
            }
        });
        *again.lock().unwrap() = Some(foreign.clone());
        foreign.call();
        assert_eq!((first.calls(), foreign.calls()), (1, 2));
    }

    #[test]
    fn drops_wakes_and_comparisons_are_calls() {
        let foreign = Foreign::counts();
        drop(foreign.in_drop(1));
        foreign.waker().wake_by_ref();
        foreign.waker().wake();
        let value = foreign.in_use(1);
        assert!(value == value.clone() && value <= value);
        assert_eq!(foreign.calls(), 1 + 2 + 3);
        assert_eq!(*value, 1);
    }
}
