//! A futex of our own, `wait` if the word is as expected and `wake` so many, and the three built on it as on Linux: a
//! mutex of three states, a condition variable that counts, a semaphore whose permits go to whoever is quickest.

use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};

use kata::cell::UnsafeCell;
use kata::hint;
use kata::sync::Arc;
use kata::sync::atomic::Ordering::SeqCst;
use kata::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize};
use kata::thread::{self, Thread};

struct Sleeper {
    thread: Thread,
    awake: AtomicBool,
}

/// Who sleeps, last come first.
struct Bench {
    busy: AtomicBool,
    sleepers: UnsafeCell<Vec<Arc<Sleeper>>>,
}

// SAFETY: `sleepers` is reached in `with` only.
unsafe impl Sync for Bench {}
// SAFETY: what is inside may move.
unsafe impl Send for Bench {}

impl Bench {
    fn new() -> Self {
        Self {
            busy: AtomicBool::new(false),
            sleepers: UnsafeCell::new(Vec::new()),
        }
    }

    fn with<R>(&self, access: impl FnOnce(&mut Vec<Arc<Sleeper>>) -> R) -> R {
        while self
            .busy
            .compare_exchange(false, true, SeqCst, SeqCst)
            .is_err()
        {
            hint::spin_loop();
        }
        // SAFETY: `busy` keeps the others out.
        let result = self
            .sleepers
            .with_mut(|sleepers| access(unsafe { &mut *sleepers }));
        self.busy.store(false, SeqCst);
        result
    }

    fn sit_down_if(&self, condition: impl FnOnce() -> bool) -> Option<Arc<Sleeper>> {
        self.with(|sleepers| {
            condition().then(|| {
                let sleeper = Arc::new(Sleeper {
                    thread: thread::current(),
                    awake: AtomicBool::new(false),
                });
                sleepers.push(sleeper.clone());
                sleeper
            })
        })
    }

    /// Whether it was still there.
    fn get_up(&self, sleeper: &Arc<Sleeper>) -> bool {
        self.with(|sleepers| {
            let before = sleepers.len();
            sleepers.retain(|other| !Arc::ptr_eq(other, sleeper));
            sleepers.len() < before
        })
    }

    fn wait_if(&self, condition: impl FnOnce() -> bool) {
        if let Some(sleeper) = self.sit_down_if(condition) {
            while !sleeper.awake.load(SeqCst) {
                thread::park();
            }
        }
    }

    fn wake(&self, count: usize) {
        let woken = self.with(|sleepers| {
            let stay = sleepers.len().saturating_sub(count);
            sleepers.split_off(stay)
        });
        for sleeper in woken {
            sleeper.awake.store(true, SeqCst);
            sleeper.thread.unpark();
        }
    }
}

pub struct Mutex<T> {
    state: AtomicU32,
    bench: Bench,
    value: UnsafeCell<T>,
}

// SAFETY: the mutex hands the value from thread to thread and never shows it to two.
unsafe impl<T: Send> Sync for Mutex<T> {}

impl<T> Mutex<T> {
    pub fn new(value: T) -> Self {
        Self {
            state: AtomicU32::new(0),
            bench: Bench::new(),
            value: UnsafeCell::new(value),
        }
    }

    pub fn try_lock(&self) -> Option<MutexGuard<'_, T>> {
        match self.state.compare_exchange(0, 1, SeqCst, SeqCst) {
            Ok(_) => Some(MutexGuard {
                mutex: self,
                acts_as: PhantomData,
            }),
            Err(_) => None,
        }
    }

    pub fn lock(&self) -> MutexGuard<'_, T> {
        let mut mine = self.state.compare_exchange(0, 1, SeqCst, SeqCst).is_ok();
        // A few more looks before the sleep: the owner may be about to finish.
        for _ in 0..20 {
            if mine || self.state.load(SeqCst) == 2 {
                break;
            }
            hint::spin_loop();
            mine = self.state.compare_exchange(0, 1, SeqCst, SeqCst).is_ok();
        }
        while !mine {
            mine = self.state.swap(2, SeqCst) == 0;
            if !mine {
                self.bench.wait_if(|| self.state.load(SeqCst) == 2);
            }
        }
        MutexGuard {
            mutex: self,
            acts_as: PhantomData,
        }
    }
}

#[must_use = "a guard that is dropped at once protects nothing"]
pub struct MutexGuard<'a, T> {
    mutex: &'a Mutex<T>,
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

impl<T> Drop for MutexGuard<'_, T> {
    fn drop(&mut self) {
        if self.mutex.state.fetch_sub(1, SeqCst) != 1 {
            self.mutex.state.store(0, SeqCst);
            self.mutex.bench.wake(1);
        }
    }
}

pub struct Condvar {
    notifications: AtomicU32,
    bench: Bench,
}

impl Default for Condvar {
    fn default() -> Self {
        Self::new()
    }
}

impl Condvar {
    pub fn new() -> Self {
        Self {
            notifications: AtomicU32::new(0),
            bench: Bench::new(),
        }
    }

    pub fn wait<'a, T>(&self, guard: MutexGuard<'a, T>) -> MutexGuard<'a, T> {
        // Read while the mutex is held: a notification that comes later changes it.
        let seen = self.notifications.load(SeqCst);
        let mutex = guard.mutex;
        drop(guard);
        self.bench
            .wait_if(|| self.notifications.load(SeqCst) == seen);
        mutex.lock()
    }

    pub fn wait_while<'a, T>(
        &self,
        mut guard: MutexGuard<'a, T>,
        mut condition: impl FnMut(&mut T) -> bool,
    ) -> MutexGuard<'a, T> {
        while condition(&mut guard) {
            guard = self.wait(guard);
        }
        guard
    }

    pub fn notify_one(&self) {
        self.notifications.fetch_add(1, SeqCst);
        self.bench.wake(1);
    }

    pub fn notify_all(&self) {
        self.notifications.fetch_add(1, SeqCst);
        self.bench.wake(usize::MAX);
    }
}

pub struct Semaphore {
    free: AtomicUsize,
    bench: Bench,
}

impl Semaphore {
    pub fn new(permits: usize) -> Self {
        Self {
            free: AtomicUsize::new(permits),
            bench: Bench::new(),
        }
    }

    pub fn try_acquire(&self) -> Option<Permit<'_>> {
        self.free
            .fetch_update(SeqCst, SeqCst, |free| free.checked_sub(1))
            .is_ok()
            .then(|| Permit { semaphore: self })
    }

    pub fn acquire(&self) -> Permit<'_> {
        loop {
            if let Some(permit) = self.try_acquire() {
                return permit;
            }
            self.bench.wait_if(|| self.free.load(SeqCst) == 0);
        }
    }

    pub fn acquire_unless(&self, mut cancelled: impl FnMut() -> bool) -> Option<Permit<'_>> {
        /// On the way out, whichever it is: if somebody has woken us, let that not have been for nothing.
        struct PassOn<'a>(&'a Semaphore, &'a Arc<Sleeper>);
        impl Drop for PassOn<'_> {
            fn drop(&mut self) {
                if !self.0.bench.get_up(self.1) {
                    self.0.bench.wake(1);
                }
            }
        }

        loop {
            if let Some(permit) = self.try_acquire() {
                return Some(permit);
            }
            let Some(sleeper) = self.bench.sit_down_if(|| self.free.load(SeqCst) == 0) else {
                continue;
            };
            let pass_on = PassOn(self, &sleeper);
            loop {
                if cancelled() {
                    return None;
                }
                if sleeper.awake.load(SeqCst) {
                    break;
                }
                thread::park();
            }
            std::mem::forget(pass_on);
        }
    }

    pub fn release(&self, permits: usize) {
        if permits > 0 {
            self.free.fetch_add(permits, SeqCst);
            self.bench.wake(permits);
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
