//! Both numbers of a queue in one word, as the ticket lock of Linux had them; the more are in front of a waiter, the longer it
//! pauses. The value is in a box.

use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};

use kata::cell::UnsafeCell;
use kata::sync::atomic::AtomicU64;
use kata::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use kata::{hint, thread};

/// One ticket, in the upper half of the word.
const TICKET: u64 = 1 << 32;

pub struct SpinLock<T> {
    /// Above, the ticket that the next thread draws; below, the one that is served. Free while they are equal.
    tickets: AtomicU64,
    value: Box<UnsafeCell<T>>,
}

// SAFETY: the lock hands the value from thread to thread and never shows it to two.
unsafe impl<T: Send> Sync for SpinLock<T> {}

impl<T> SpinLock<T> {
    pub fn new(value: T) -> Self {
        Self {
            tickets: AtomicU64::new(0),
            value: Box::new(UnsafeCell::new(value)),
        }
    }

    pub fn try_lock(&self) -> Option<Guard<'_, T>> {
        let mut tickets = self.tickets.load(Relaxed);
        while tickets >> 32 == tickets % TICKET {
            // Acquire: pairs with the Release in `Guard::drop`.
            match self.tickets.compare_exchange_weak(
                tickets,
                tickets.wrapping_add(TICKET),
                Acquire,
                Relaxed,
            ) {
                Ok(_) => return Some(self.guard()),
                Err(now) => tickets = now,
            }
        }
        None
    }

    pub fn lock(&self) -> Guard<'_, T> {
        // Acquire, here and below: pairs with the Release in `Guard::drop`.
        let mut tickets = self.tickets.fetch_add(TICKET, Acquire);
        let mine = tickets >> 32;
        loop {
            let before_me = mine.wrapping_sub(tickets % TICKET) % TICKET;
            if before_me == 0 {
                return self.guard();
            }
            for _ in 0..before_me.min(20) {
                hint::spin_loop();
            }
            thread::yield_now();
            tickets = self.tickets.load(Acquire);
        }
    }

    fn guard(&self) -> Guard<'_, T> {
        Guard {
            lock: self,
            acts_as: PhantomData,
        }
    }
}

#[must_use = "a guard that is dropped at once protects nothing"]
pub struct Guard<'a, T> {
    lock: &'a SpinLock<T>,
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
        // The owner alone changes the lower half, so this look is up to date there. Its carry must not draw a ticket.
        let carries = self.lock.tickets.load(Relaxed) % TICKET == TICKET - 1;
        let next = if carries {
            1_u64.wrapping_sub(TICKET)
        } else {
            1
        };
        self.lock.tickets.fetch_add(next, Release);
    }
}
