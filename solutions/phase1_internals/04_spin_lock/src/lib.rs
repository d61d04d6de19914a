//! A test-and-test-and-set spin lock with bounded exponential backoff.
//!
//! Test-and-test-and-set is from Rudolph and Segall, "Dynamic Decentralized Cache Schemes for MIMD Parallel
//! Processors" (1984); backoff from Anderson, "The Performance of Spin Lock Alternatives for Shared-Memory
//! Multiprocessors" (1990).

use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};

use kata::cell::UnsafeCell;
use kata::sync::atomic::AtomicBool;
use kata::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use kata::{hint, thread};

/// Between two looks at the lock a waiter pauses 1, 2, 4, … 2^`SPIN_LIMIT` times; after that it gives its processor away.
///
/// The 127 pauses together take some three microseconds: longer than any critical section a spin lock is meant for.
const SPIN_LIMIT: u32 = 6;

/// A lock that waits by looking again instead of sleeping.
pub struct SpinLock<T> {
    /// `true` exactly while a guard exists. Whoever changes it to `true` owns `value` until changing it back.
    locked: AtomicBool,
    /// Reached only through a guard.
    value: UnsafeCell<T>,
}

// SAFETY: a `&SpinLock<T>` gives access to the value to one thread at a time. That moves a `T` between threads, hence
// `T: Send`; it never shows one `T` to two threads at once, so `T: Sync` is not needed.
unsafe impl<T: Send> Sync for SpinLock<T> {}

impl<T> SpinLock<T> {
    /// A free lock around `value`.
    pub fn new(value: T) -> Self {
        Self {
            locked: AtomicBool::new(false),
            value: UnsafeCell::new(value),
        }
    }

    /// Takes the lock if it is free, without waiting.
    ///
    /// `None` means that somebody held the lock; it is never returned for a lock that was free.
    #[inline]
    pub fn try_lock(&self) -> Option<Guard<'_, T>> {
        self.locked
            // Acquire: pairs with the Release in `Guard::drop`. Relaxed: who fails may touch nothing, so needs no edge.
            // Not the weak form: it may fail on a free lock, and nothing here would try again.
            .compare_exchange(false, true, Acquire, Relaxed)
            .is_ok()
            // `then`, not `then_some`: a guard made for a failed attempt would unlock the owner's lock as it drops.
            .then(|| Guard {
                lock: self,
                acts_as: PhantomData,
            })
    }

    /// Takes the lock, waiting for as long as somebody else holds it.
    ///
    /// A thread that asks for a lock it already holds waits for itself, forever.
    #[inline]
    pub fn lock(&self) -> Guard<'_, T> {
        self.try_lock().unwrap_or_else(|| self.lock_contended())
    }

    #[cold]
    fn lock_contended(&self) -> Guard<'_, T> {
        let mut turn = 0;
        loop {
            // Relaxed: a hint when to try. What orders the value is the compare-exchange in `try_lock`. A load leaves
            // the cache line shared among the waiters; each compare-exchange would take it away from the owner.
            while self.locked.load(Relaxed) {
                back_off(&mut turn);
            }
            if let Some(guard) = self.try_lock() {
                return guard;
            }
        }
    }
}

/// Waits twice as long as in the turn before, up to a limit; beyond it the owner may well be waiting for our processor.
fn back_off(turn: &mut u32) {
    if *turn > SPIN_LIMIT {
        return thread::yield_now();
    }
    for _ in 0..1 << *turn {
        hint::spin_loop();
    }
    *turn += 1;
}

/// Exclusive access to the value of a [`SpinLock`]; dropping it unlocks.
#[must_use = "a guard that is dropped at once protects nothing"]
pub struct Guard<'a, T> {
    lock: &'a SpinLock<T>,
    /// `lock` alone would make the guard `Sync` for every `T: Send`. A guard is as good as a `&mut T`, so let it be
    /// `Send` and `Sync` exactly when that is. Nothing ties a locked `SpinLock` to the thread that locked it: any
    /// thread may unlock.
    acts_as: PhantomData<&'a mut T>,
}

impl<T> Deref for Guard<'_, T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: while `locked` is true this is the only guard, and the borrow of it rules out a `&mut T` made by
        // `deref_mut`. The Acquire that took the lock ordered all earlier writes before us.
        self.lock.value.with(|value| unsafe { &*value })
    }
}

impl<T> DerefMut for Guard<'_, T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: as in `deref`, and the exclusive borrow of the guard rules out every other reference to the value.
        self.lock.value.with_mut(|value| unsafe { &mut *value })
    }
}

impl<T> Drop for Guard<'_, T> {
    #[inline]
    fn drop(&mut self) {
        // Release: pairs with the Acquire in `try_lock`. All we did to the value comes before the lock is seen free.
        self.lock.locked.store(false, Release);
    }
}
