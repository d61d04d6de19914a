//! Test-and-set: every look is a `swap`, and the backoff alone keeps the traffic down.

use std::ops::{Deref, DerefMut};

use kata::cell::UnsafeCell;
use kata::sync::atomic::AtomicBool;
use kata::sync::atomic::Ordering::{Acquire, Release};
use kata::{hint, thread};

pub struct SpinLock<T> {
    locked: AtomicBool,
    value: UnsafeCell<T>,
}

// SAFETY: the lock hands the value from thread to thread and never shows it to two.
unsafe impl<T: Send> Sync for SpinLock<T> {}

impl<T> SpinLock<T> {
    pub fn new(value: T) -> Self {
        Self {
            locked: AtomicBool::new(false),
            value: UnsafeCell::new(value),
        }
    }

    pub fn try_lock(&self) -> Option<Guard<'_, T>> {
        // Acquire: pairs with the Release in `Guard::drop`. Swapping `true` for `true` changes nothing.
        if self.locked.swap(true, Acquire) {
            None
        } else {
            Some(Guard { lock: self })
        }
    }

    pub fn lock(&self) -> Guard<'_, T> {
        let mut pauses = 1;
        loop {
            if let Some(guard) = self.try_lock() {
                return guard;
            }
            for _ in 0..pauses {
                hint::spin_loop();
            }
            if pauses < 64 {
                pauses *= 2;
            } else {
                thread::yield_now();
            }
        }
    }
}

#[must_use = "a guard that is dropped at once protects nothing"]
pub struct Guard<'a, T> {
    lock: &'a SpinLock<T>,
}

// SAFETY: a shared guard gives out a `&T` and nothing else.
unsafe impl<T: Sync> Sync for Guard<'_, T> {}

impl<T> Deref for Guard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: this is the only guard, and it is borrowed shared.
        self.lock.value.with(|value| unsafe { &*value })
    }
}

impl<T> DerefMut for Guard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: this is the only guard, and it is borrowed exclusively.
        self.lock.value.with_mut(|value| unsafe { &mut *value })
    }
}

impl<T> Drop for Guard<'_, T> {
    fn drop(&mut self) {
        // Release: pairs with the Acquire in `try_lock`.
        self.lock.locked.store(false, Release);
    }
}
