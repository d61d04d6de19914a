//! A lock that waits by looking again instead of sleeping. The task is in `README.md`.
#![allow(dead_code, unused_variables)] // Delete this line when you start: from then on the compiler helps you.

use std::ops::{Deref, DerefMut};

use kata::cell::UnsafeCell;
use kata::sync::atomic::AtomicBool;

/// A mutual exclusion lock around a `T` that waits by looking again instead of sleeping.
///
/// For critical sections of a few instructions, shorter than the time it takes to put a thread to sleep and wake it.
/// Unlike [`std::sync::Mutex`] it is not poisoned by a panic: the next owner sees the value as the panic left it.
///
/// # Examples
///
/// ```no_run
/// use spin_lock::SpinLock;
///
/// let hits = SpinLock::new(0);
/// *hits.lock() += 1;
///
/// let guard = hits.lock();
/// assert!(hits.try_lock().is_none());
/// drop(guard);
/// assert!(hits.try_lock().is_some());
/// ```
pub struct SpinLock<T> {
    /// Whether a guard exists.
    locked: AtomicBool,
    /// What only the owner of the lock may touch.
    value: UnsafeCell<T>,
}

// SAFETY: none yet. As it stands, this line says that threads may share the lock whatever it holds, even an `Rc`. That is
// false. What must `T` promise for it to become true?
unsafe impl<T> Sync for SpinLock<T> {}

impl<T> SpinLock<T> {
    /// A free lock around `value`.
    pub fn new(value: T) -> Self {
        todo!()
    }

    /// Takes the lock if it is free, without waiting.
    ///
    /// `None` means that somebody held the lock at that moment. A lock that nobody holds and nobody else asks for is
    /// always taken: callers may give up for good when they get `None`.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # let statistics = spin_lock::SpinLock::new(0);
    /// // Not worth waiting for: skip this update if another thread is at it.
    /// if let Some(mut hits) = statistics.try_lock() {
    ///     *hits += 1;
    /// }
    /// ```
    pub fn try_lock(&self) -> Option<Guard<'_, T>> {
        todo!()
    }

    /// Takes the lock, waiting for as long as somebody else holds it.
    ///
    /// A thread that asks for a lock it already holds waits for itself, forever.
    pub fn lock(&self) -> Guard<'_, T> {
        todo!()
    }
}

/// Exclusive access to the value of a [`SpinLock`]; dropping it unlocks.
///
/// A guard stands for a `&mut T`: it may be shared between threads exactly when `T` is `Sync`, and it must not be moved to
/// another one unless `T` is `Send`.
#[must_use = "a guard that is dropped at once protects nothing"]
pub struct Guard<'a, T> {
    lock: &'a SpinLock<T>,
}

impl<T> Deref for Guard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        todo!()
    }
}

impl<T> DerefMut for Guard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        todo!()
    }
}

impl<T> Drop for Guard<'_, T> {
    /// Unlocks. Everything the owner did to the value comes before whatever the next owner does to it.
    fn drop(&mut self) {
        todo!()
    }
}
