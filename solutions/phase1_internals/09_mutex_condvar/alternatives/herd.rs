//! No queue, no lock: whoever waits pushes itself onto a stack and parks; whoever changes something takes the whole stack
//! and wakes everybody on it. A wake-up too many is harmless, so nothing has to be taken back, not even by a thread
//! that gives up waiting. What it costs is a herd.

use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};
use std::ptr;

use kata::Canary;
use kata::cell::UnsafeCell;
use kata::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};
use kata::sync::atomic::{AtomicBool, AtomicPtr, AtomicUsize};
use kata::thread::{self, Thread};

struct Node {
    thread: Thread,
    next: *mut Node,
    canary: Canary,
}

/// Threads to wake at the next change.
///
/// Both of its operations are read-modify-writes of one word. Of a waiter that pushes and then looks and a changer that
/// changes and then takes, one comes second there, and sees what the other has done.
struct Herd {
    top: AtomicPtr<Node>,
}

impl Herd {
    fn new() -> Self {
        Self {
            top: AtomicPtr::new(ptr::null_mut()),
        }
    }

    fn join(&self) {
        let node = Box::into_raw(Box::new(Node {
            thread: thread::current(),
            next: ptr::null_mut(),
            canary: Canary::new(),
        }));
        let mut top = self.top.load(Relaxed);
        loop {
            // SAFETY: the node is not on the stack yet.
            unsafe { (*node).next = top };
            // AcqRel: pairs with the swap in `wake`, in both directions.
            match self.top.compare_exchange_weak(top, node, AcqRel, Relaxed) {
                Ok(_) => return,
                Err(now) => top = now,
            }
        }
    }

    fn wake(&self) {
        // AcqRel: pairs with the exchange in `join`, in both directions.
        let mut top = self.top.swap(ptr::null_mut(), AcqRel);
        while !top.is_null() {
            // SAFETY: the swap took the stack away from everybody else, and each node on it came from a box.
            let node = unsafe { Box::from_raw(top) };
            node.canary.touch();
            node.thread.unpark();
            top = node.next;
        }
    }
}

impl Drop for Herd {
    fn drop(&mut self) {
        self.wake();
    }
}

pub struct Mutex<T> {
    held: AtomicBool,
    herd: Herd,
    value: UnsafeCell<T>,
}

// SAFETY: the mutex hands the value from thread to thread and never shows it to two.
unsafe impl<T: Send> Sync for Mutex<T> {}

impl<T> Mutex<T> {
    pub fn new(value: T) -> Self {
        Self {
            held: AtomicBool::new(false),
            herd: Herd::new(),
            value: UnsafeCell::new(value),
        }
    }

    pub fn try_lock(&self) -> Option<MutexGuard<'_, T>> {
        // Acquire: pairs with the Release in `MutexGuard::drop`.
        (!self.held.swap(true, Acquire)).then(|| MutexGuard {
            mutex: self,
            acts_as: PhantomData,
        })
    }

    pub fn lock(&self) -> MutexGuard<'_, T> {
        loop {
            if let Some(guard) = self.try_lock() {
                return guard;
            }
            self.herd.join();
            if let Some(guard) = self.try_lock() {
                return guard;
            }
            thread::park();
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
        // Release: pairs with the Acquire in `try_lock`.
        self.mutex.held.store(false, Release);
        self.mutex.herd.wake();
    }
}

pub struct Condvar {
    herd: Herd,
}

impl Default for Condvar {
    fn default() -> Self {
        Self::new()
    }
}

impl Condvar {
    pub fn new() -> Self {
        Self { herd: Herd::new() }
    }

    /// Every return of `park` is passed on to the caller, with cause or without.
    pub fn wait<'a, T>(&self, guard: MutexGuard<'a, T>) -> MutexGuard<'a, T> {
        let mutex = guard.mutex;
        self.herd.join();
        drop(guard);
        thread::park();
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
        self.herd.wake();
    }

    pub fn notify_all(&self) {
        self.herd.wake();
    }
}

pub struct Semaphore {
    free: AtomicUsize,
    herd: Herd,
}

impl Semaphore {
    pub fn new(permits: usize) -> Self {
        Self {
            free: AtomicUsize::new(permits),
            herd: Herd::new(),
        }
    }

    pub fn try_acquire(&self) -> Option<Permit<'_>> {
        self.free
            // Acquire: pairs with the Release in `release`.
            .fetch_update(Acquire, Relaxed, |free| free.checked_sub(1))
            .is_ok()
            .then(|| Permit { semaphore: self })
    }

    pub fn acquire(&self) -> Permit<'_> {
        loop {
            if let Some(permit) = self.acquire_unless(|| false) {
                return permit;
            }
        }
    }

    pub fn acquire_unless(&self, mut cancelled: impl FnMut() -> bool) -> Option<Permit<'_>> {
        loop {
            if let Some(permit) = self.try_acquire() {
                return Some(permit);
            }
            self.herd.join();
            if cancelled() {
                return None;
            }
            // Also because the question may have parked, and used up the token that says so.
            if let Some(permit) = self.try_acquire() {
                return Some(permit);
            }
            thread::park();
        }
    }

    pub fn release(&self, permits: usize) {
        // Release: pairs with the Acquire in `try_acquire`.
        self.free.fetch_add(permits, Release);
        self.herd.wake();
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
