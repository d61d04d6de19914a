//! One primitive, a fair semaphore. The mutex is one with a single permit, a condition variable a list of private ones
//! (after Birrell, "Implementing Condition Variables with Semaphores", 2003).

use std::collections::VecDeque;
use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};

use kata::cell::UnsafeCell;
use kata::hint;
use kata::sync::Arc;
use kata::sync::atomic::AtomicBool;
use kata::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use kata::thread::{self, Thread};

struct SpinLock<T> {
    locked: AtomicBool,
    value: UnsafeCell<T>,
}

// SAFETY: one thread at a time has a guard.
unsafe impl<T: Send> Sync for SpinLock<T> {}

struct SpinGuard<'a, T>(&'a SpinLock<T>);

impl<T> SpinLock<T> {
    fn new(value: T) -> Self {
        Self {
            locked: AtomicBool::new(false),
            value: UnsafeCell::new(value),
        }
    }

    fn lock(&self) -> SpinGuard<'_, T> {
        // Acquire: pairs with the Release in `SpinGuard::drop`.
        while self.locked.swap(true, Acquire) {
            while self.locked.load(Relaxed) {
                hint::spin_loop();
                thread::yield_now();
            }
        }
        SpinGuard(self)
    }
}

impl<T> Drop for SpinGuard<'_, T> {
    fn drop(&mut self) {
        // Release: pairs with the Acquire in `lock`.
        self.0.locked.store(false, Release);
    }
}

impl<T> Deref for SpinGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: this is the only guard.
        self.0.value.with(|value| unsafe { &*value })
    }
}

impl<T> DerefMut for SpinGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: this is the only guard, and it is borrowed exclusively.
        self.0.value.with_mut(|value| unsafe { &mut *value })
    }
}

struct Waiter {
    thread: Thread,
    served: AtomicBool,
}

pub struct Semaphore {
    state: SpinLock<State>,
}

struct State {
    free: usize,
    queue: VecDeque<Arc<Waiter>>,
}

impl Semaphore {
    pub fn new(permits: usize) -> Self {
        Self {
            state: SpinLock::new(State {
                free: permits,
                queue: VecDeque::new(),
            }),
        }
    }

    pub fn try_acquire(&self) -> Option<Permit<'_>> {
        let mut state = self.state.lock();
        state.free = state.free.checked_sub(1)?;
        Some(Permit { semaphore: self })
    }

    pub fn acquire(&self) -> Permit<'_> {
        self.acquire_unless(|| false)
            .expect("nobody has cancelled this")
    }

    pub fn acquire_unless(&self, mut cancelled: impl FnMut() -> bool) -> Option<Permit<'_>> {
        let mut state = self.state.lock();
        if state.free > 0 {
            state.free -= 1;
            return Some(Permit { semaphore: self });
        }
        let waiter = Arc::new(Waiter {
            thread: thread::current(),
            served: AtomicBool::new(false),
        });
        state.queue.push_back(waiter.clone());
        drop(state);

        let given_up = GivenUp(self, &waiter);
        // Acquire: pairs with the Release in `release`, for what was done before it.
        while !waiter.served.load(Acquire) {
            if cancelled() {
                return None;
            }
            if !waiter.served.load(Acquire) {
                thread::park();
            }
        }
        std::mem::forget(given_up);
        Some(Permit { semaphore: self })
    }

    pub fn release(&self, permits: usize) {
        let mut served = Vec::new();
        let mut state = self.state.lock();
        for number in 0..permits {
            match state.queue.pop_front() {
                Some(waiter) => {
                    // Release: pairs with the Acquires in `acquire_unless`.
                    waiter.served.store(true, Release);
                    served.push(waiter);
                }
                None => {
                    state.free += permits - number;
                    break;
                }
            }
        }
        drop(state);
        for waiter in served {
            waiter.thread.unpark();
        }
    }
}

/// Leaves the queue, and gives back what it has been given before.
struct GivenUp<'a>(&'a Semaphore, &'a Arc<Waiter>);

impl Drop for GivenUp<'_> {
    fn drop(&mut self) {
        let mut state = self.0.state.lock();
        state.queue.retain(|waiter| !Arc::ptr_eq(waiter, self.1));
        drop(state);
        // Relaxed: the lock above comes after the one under which it was set.
        if self.1.served.load(Relaxed) {
            self.0.release(1);
        }
    }
}

#[must_use = "a permit that is dropped at once permits nothing"]
pub struct Permit<'a> {
    semaphore: &'a Semaphore,
}

impl Permit<'_> {
    pub fn forget(self) {
        std::mem::forget(self);
    }
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        self.semaphore.release(1);
    }
}

pub struct Mutex<T> {
    permit: Semaphore,
    value: UnsafeCell<T>,
}

// SAFETY: one permit, one owner at a time.
unsafe impl<T: Send> Sync for Mutex<T> {}

impl<T> Mutex<T> {
    pub fn new(value: T) -> Self {
        Self {
            permit: Semaphore::new(1),
            value: UnsafeCell::new(value),
        }
    }

    pub fn try_lock(&self) -> Option<MutexGuard<'_, T>> {
        let permit = self.permit.try_acquire()?;
        Some(MutexGuard {
            mutex: self,
            _permit: permit,
            acts_as: PhantomData,
        })
    }

    pub fn lock(&self) -> MutexGuard<'_, T> {
        MutexGuard {
            mutex: self,
            _permit: self.permit.acquire(),
            acts_as: PhantomData,
        }
    }
}

#[must_use = "a guard that is dropped at once protects nothing"]
pub struct MutexGuard<'a, T> {
    mutex: &'a Mutex<T>,
    _permit: Permit<'a>,
    acts_as: PhantomData<&'a mut T>,
}

impl<T> Deref for MutexGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: this is the only guard.
        self.mutex.value.with(|value| unsafe { &*value })
    }
}

impl<T> DerefMut for MutexGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: this is the only guard, and it is borrowed exclusively.
        self.mutex.value.with_mut(|value| unsafe { &mut *value })
    }
}

pub struct Condvar {
    waiting: SpinLock<VecDeque<Arc<Semaphore>>>,
}

impl Default for Condvar {
    fn default() -> Self {
        Self::new()
    }
}

impl Condvar {
    pub fn new() -> Self {
        Self {
            waiting: SpinLock::new(VecDeque::new()),
        }
    }

    pub fn wait<'a, T>(&self, guard: MutexGuard<'a, T>) -> MutexGuard<'a, T> {
        let bell = Arc::new(Semaphore::new(0));
        self.waiting.lock().push_back(bell.clone());
        let mutex = guard.mutex;
        drop(guard);
        bell.acquire().forget();
        mutex.lock()
    }

    pub fn wait_while<'a, T>(
        &self,
        mut guard: MutexGuard<'a, T>,
        mut condition: impl FnMut(&mut T) -> bool,
    ) -> MutexGuard<'a, T> {
        loop {
            if !condition(&mut guard) {
                return guard;
            }
            guard = self.wait(guard);
        }
    }

    pub fn notify_one(&self) {
        let bell = self.waiting.lock().pop_front();
        if let Some(bell) = bell {
            bell.release(1);
        }
    }

    pub fn notify_all(&self) {
        let bells: Vec<_> = self.waiting.lock().drain(..).collect();
        for bell in bells {
            bell.release(1);
        }
    }
}
