//! A queue in two numbers: waiters draw tickets and are served in order. More than was asked for, and right.

use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};

use kata::cell::UnsafeCell;
use kata::sync::atomic::AtomicUsize;
use kata::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use kata::{hint, thread};

pub struct SpinLock<T> {
    /// The ticket that the next thread to ask will draw. The lock is free while it equals `serving`.
    next: AtomicUsize,
    /// The ticket whose owner may use `value`.
    serving: AtomicUsize,
    value: UnsafeCell<T>,
}

// SAFETY: the lock hands the value from thread to thread and never shows it to two.
unsafe impl<T: Send> Sync for SpinLock<T> {}

impl<T> SpinLock<T> {
    pub fn new(value: T) -> Self {
        Self {
            next: AtomicUsize::new(0),
            serving: AtomicUsize::new(0),
            value: UnsafeCell::new(value),
        }
    }

    pub fn try_lock(&self) -> Option<Guard<'_, T>> {
        // Acquire: pairs with the Release in `Guard::drop`.
        let ticket = self.serving.load(Acquire);
        // Relaxed: drawing the ticket that is being served means that nobody else has it. The order came with the load.
        self.next
            .compare_exchange(ticket, ticket.wrapping_add(1), Relaxed, Relaxed)
            .is_ok()
            .then(|| self.guard(ticket))
    }

    pub fn lock(&self) -> Guard<'_, T> {
        let ticket = self.next.fetch_add(1, Relaxed);
        let mut turns = 0;
        // Acquire: pairs with the Release in `Guard::drop`.
        while self.serving.load(Acquire) != ticket {
            if turns < 100 {
                turns += 1;
                hint::spin_loop();
            } else {
                thread::yield_now();
            }
        }
        self.guard(ticket)
    }

    fn guard(&self, ticket: usize) -> Guard<'_, T> {
        Guard {
            lock: self,
            ticket,
            acts_as: PhantomData,
        }
    }
}

#[must_use = "a guard that is dropped at once protects nothing"]
pub struct Guard<'a, T> {
    lock: &'a SpinLock<T>,
    ticket: usize,
    acts_as: PhantomData<&'a mut T>,
}

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
        // Release: pairs with the Acquire loads of `serving`.
        self.lock
            .serving
            .store(self.ticket.wrapping_add(1), Release);
    }
}
