//! Spin lock, with a token that the owner has taken out of the word, and fences instead of ordered accesses.

use std::ops::{Deref, DerefMut};

use kata::cell::UnsafeCell;
use kata::hint::spin_loop;
use kata::sync::atomic::{AtomicBool, Ordering, fence};
use kata::thread::yield_now;

/// As many `spin_loop`s make the longest pause.
const LONGEST_PAUSE: u32 = 128;

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
    /// Whether the token is here. If it is not, a guard exists that will put it back.
    token: AtomicBool,
    /// What only the owner of the lock may touch.
    value: UnsafeCell<T>,
}

// SAFETY: the lock gives the `T` to one thread after another, never to two at once: that is sending it.
unsafe impl<T: Send> Sync for SpinLock<T> {}

impl<T> SpinLock<T> {
    /// A free lock around `value`.
    pub fn new(value: T) -> Self {
        Self {
            token: AtomicBool::new(true),
            value: UnsafeCell::new(value),
        }
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
        // Relaxed: if it takes the token, the fence acquires for it.
        if !self.token.swap(false, Ordering::Relaxed) {
            return None;
        }
        fence(Ordering::Acquire); // Pairs with the Release fence in `Guard::drop`, through `token`.
        Some(Guard { lock: self })
    }

    /// Takes the lock, waiting for as long as somebody else holds it.
    ///
    /// A thread that asks for a lock it already holds waits for itself, forever.
    pub fn lock(&self) -> Guard<'_, T> {
        let mut pause = 1;
        loop {
            // Relaxed: only a look. `try_lock` does the ordering.
            if self.token.load(Ordering::Relaxed)
                && let Some(guard) = self.try_lock()
            {
                return guard;
            }
            (0..pause).for_each(|_| spin_loop());
            if pause < LONGEST_PAUSE {
                pause *= 2;
            } else {
                yield_now();
            }
        }
    }
}

/// Exclusive access to the value of a [`SpinLock`]; dropping it unlocks.
///
/// A guard stands for a `&mut T`, so it may be shared between threads exactly when a `&mut T` may.
#[must_use = "a guard that is dropped at once protects nothing"]
pub struct Guard<'a, T> {
    lock: &'a SpinLock<T>,
}

// SAFETY: a shared guard gives out `&T` and nothing else. (The field alone would ask for `Send` instead.)
unsafe impl<T: Sync> Sync for Guard<'_, T> {}

impl<T> Deref for Guard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: whoever has taken the token has a guard, and this is the only one: nobody else uses the value before it
        // is dropped. The reference borrows the guard, so it ends before that, and excludes `deref_mut`.
        self.lock.value.with(|value| unsafe { &*value })
    }
}

impl<T> DerefMut for Guard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: as in `deref`; the guard is borrowed mutably, so this is the only reference made through it.
        self.lock.value.with_mut(|value| unsafe { &mut *value })
    }
}

impl<T> Drop for Guard<'_, T> {
    /// Unlocks. Everything the owner did to the value comes before whatever the next owner does to it.
    fn drop(&mut self) {
        fence(Ordering::Release); // Pairs with the Acquire fence in `try_lock`, through `token`.
        self.lock.token.store(true, Ordering::Relaxed); // The fence above releases for it.
    }
}
