//! A state word instead of a flag, the weak compare-exchange in a loop of its own, unlocking by `swap`, and a guard that
//! stays on its thread, as `std`'s does.

use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};

use kata::cell::UnsafeCell;
use kata::sync::atomic::AtomicU32;
use kata::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use kata::{hint, thread};

const FREE: u32 = 0;
const HELD: u32 = 1;

pub struct SpinLock<T> {
    state: AtomicU32,
    value: UnsafeCell<T>,
}

// SAFETY: the lock hands the value from thread to thread and never shows it to two.
unsafe impl<T: Send> Sync for SpinLock<T> {}

impl<T> SpinLock<T> {
    pub fn new(value: T) -> Self {
        Self {
            state: AtomicU32::new(FREE),
            value: UnsafeCell::new(value),
        }
    }

    pub fn try_lock(&self) -> Option<Guard<'_, T>> {
        // The weak form may fail on a free lock: only a state that is not `FREE` ends the loop without the lock.
        // Acquire: pairs with the Release in `Guard::drop`.
        while let Err(state) = self
            .state
            .compare_exchange_weak(FREE, HELD, Acquire, Relaxed)
        {
            if state != FREE {
                return None;
            }
        }
        Some(Guard {
            lock: self,
            stays_here: PhantomData,
        })
    }

    pub fn lock(&self) -> Guard<'_, T> {
        for pauses in [4, 8, 16, 32, 64, 128] {
            if let Some(guard) = self.try_lock_if_it_looks_free() {
                return guard;
            }
            (0..pauses).for_each(|_| hint::spin_loop());
        }
        loop {
            if let Some(guard) = self.try_lock_if_it_looks_free() {
                return guard;
            }
            thread::yield_now();
        }
    }

    fn try_lock_if_it_looks_free(&self) -> Option<Guard<'_, T>> {
        // Relaxed: a hint; the compare-exchange decides.
        if self.state.load(Relaxed) == FREE {
            self.try_lock()
        } else {
            None
        }
    }
}

#[must_use = "a guard that is dropped at once protects nothing"]
pub struct Guard<'a, T> {
    lock: &'a SpinLock<T>,
    /// Takes away `Send` and `Sync`.
    stays_here: PhantomData<*const ()>,
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
        self.lock.state.swap(FREE, Release);
    }
}
