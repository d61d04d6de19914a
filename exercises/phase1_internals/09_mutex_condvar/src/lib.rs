//! A mutex, a condition variable and a semaphore whose waiters sleep. The task is in `README.md`.
#![allow(dead_code, unused_variables)] // Delete this line when you start: from then on the compiler helps you.

use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};

use kata::cell::UnsafeCell;
use kata::sync::atomic::AtomicU32;

// Step 1: the mutex.

/// Mutual exclusion around a `T`. A thread that has to wait sleeps.
///
/// Unlike [`std::sync::Mutex`] it is not poisoned by a panic: the next owner sees the value as the panic left it.
///
/// # Examples
///
/// ```no_run
/// use mutex_condvar::Mutex;
///
/// let hits = Mutex::new(0);
/// *hits.lock() += 1;
///
/// let guard = hits.lock();
/// assert!(hits.try_lock().is_none());
/// drop(guard);
/// assert!(hits.try_lock().is_some());
/// ```
pub struct Mutex<T> {
    /// Free, held, or held while others may be asleep. Yours to replace.
    state: AtomicU32,
    // Where do those who are asleep wait, and how does the owner find them?
    /// What only the owner of the mutex may touch.
    value: UnsafeCell<T>,
}

// SAFETY: the mutex hands the value from thread to thread, hence `T: Send`, and never shows it to two threads at once.
unsafe impl<T: Send> Sync for Mutex<T> {}

impl<T> Mutex<T> {
    /// A free mutex around `value`.
    pub fn new(value: T) -> Self {
        todo!()
    }

    /// Takes the mutex if it is free, without waiting.
    ///
    /// `None` means that somebody held the mutex at that moment. A mutex that nobody holds and nobody else asks for is
    /// always taken.
    pub fn try_lock(&self) -> Option<MutexGuard<'_, T>> {
        todo!()
    }

    /// Takes the mutex, sleeping for as long as somebody else holds it.
    ///
    /// A thread that asks for a mutex it already holds waits for itself, forever.
    pub fn lock(&self) -> MutexGuard<'_, T> {
        todo!()
    }
}

/// Exclusive access to the value of a [`Mutex`]; dropping it unlocks.
#[must_use = "a guard that is dropped at once protects nothing"]
pub struct MutexGuard<'a, T> {
    mutex: &'a Mutex<T>,
    /// A guard is as good as a `&mut T`: `Send` if `T` is, and `Sync` only if `T` is.
    acts_as: PhantomData<&'a mut T>,
}

impl<T> Deref for MutexGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        todo!()
    }
}

impl<T> DerefMut for MutexGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        todo!()
    }
}

impl<T> Drop for MutexGuard<'_, T> {
    /// Unlocks, and wakes one of those who sleep, if there is any. Everything the owner did to the value comes before
    /// whatever the next owner does to it.
    fn drop(&mut self) {
        todo!()
    }
}

// Step 2: the condition variable.

/// A place to sleep until the value of a [`Mutex`] has changed.
///
/// # Examples
///
/// ```no_run
/// use mutex_condvar::{Condvar, Mutex};
///
/// static JOBS: std::sync::LazyLock<(Mutex<Vec<u32>>, Condvar)> =
///     std::sync::LazyLock::new(|| (Mutex::new(Vec::new()), Condvar::new()));
///
/// let worker = std::thread::spawn(|| {
///     let (jobs, filled) = &*JOBS;
///     filled.wait_while(jobs.lock(), |jobs| jobs.is_empty()).pop()
/// });
///
/// let (jobs, filled) = &*JOBS;
/// jobs.lock().push(1);
/// filled.notify_one();
/// assert_eq!(worker.join().unwrap(), Some(1));
/// ```
pub struct Condvar {
    // Yours.
}

impl Default for Condvar {
    fn default() -> Self {
        Self::new()
    }
}

impl Condvar {
    /// A condition variable that nobody waits on.
    pub fn new() -> Self {
        todo!()
    }

    /// Unlocks the mutex, sleeps until notified, and locks the mutex again.
    ///
    /// Unlocking and going to sleep are one step: whoever gets the mutex after this thread and then notifies finds it
    /// waiting. Threads that wait on one condition variable at the same time all use the same mutex.
    ///
    /// It may return without a notification, and another thread may have had the mutex between the notification and the
    /// return. So look again at what you wait for, in a loop, or use [`wait_while`](Self::wait_while).
    pub fn wait<'a, T>(&self, guard: MutexGuard<'a, T>) -> MutexGuard<'a, T> {
        todo!()
    }

    /// Waits for as long as `condition` holds: when this returns, the mutex is locked and `condition` is false.
    pub fn wait_while<'a, T>(
        &self,
        guard: MutexGuard<'a, T>,
        condition: impl FnMut(&mut T) -> bool,
    ) -> MutexGuard<'a, T> {
        todo!()
    }

    /// Wakes one of the threads that wait, if there is any. The caller may hold the mutex or not.
    pub fn notify_one(&self) {
        todo!()
    }

    /// Wakes all threads that wait. The caller may hold the mutex or not.
    pub fn notify_all(&self) {
        todo!()
    }
}

// Step 3: the semaphore.

/// A number of permits that threads acquire and release.
///
/// Nothing ties a permit to the thread that has acquired it: another thread may release it.
///
/// # Examples
///
/// ```no_run
/// use mutex_condvar::Semaphore;
///
/// let connections = Semaphore::new(1);
/// let permit = connections.acquire();
/// assert!(connections.try_acquire().is_none());
/// drop(permit);
/// assert!(connections.try_acquire().is_some());
///
/// // A permit can be used up, and a new one can be put in.
/// connections.acquire().forget();
/// connections.release(1);
/// ```
pub struct Semaphore {
    // Yours.
}

impl Semaphore {
    /// A semaphore with so many permits.
    pub fn new(permits: usize) -> Self {
        todo!()
    }

    /// Takes a permit if one is free, without waiting.
    ///
    /// `None` means that there was no permit left at that moment.
    pub fn try_acquire(&self) -> Option<Permit<'_>> {
        todo!()
    }

    /// Takes a permit, sleeping until there is one.
    ///
    /// Everything that was done before a permit was released comes before whatever its next holder does.
    pub fn acquire(&self) -> Permit<'_> {
        todo!()
    }

    /// Takes a permit as soon as there is one, unless `cancelled` says `true` first.
    ///
    /// A permit that is free at the call is taken without asking. Otherwise `cancelled` is asked before the thread goes
    /// to sleep, and again each time it wakes up. Whoever makes the answer `true` must afterwards unpark the thread, and
    /// a `cancelled` that sleeps itself must look again after it has slept: the unpark may have ended that sleep. If a
    /// permit and the cancellation come at the same time, either may win. Whatever happens, no permit is lost and none
    /// is made, even if `cancelled` panics.
    ///
    /// `cancelled` may take locks and may use this semaphore.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # use std::sync::atomic::{AtomicBool, Ordering::{Acquire, Release}};
    /// # static PRINTERS: std::sync::LazyLock<mutex_condvar::Semaphore> = std::sync::LazyLock::new(|| mutex_condvar::Semaphore::new(0));
    /// static ENOUGH: AtomicBool = AtomicBool::new(false);
    ///
    /// let waiter = std::thread::spawn(|| {
    ///     let permit = PRINTERS.acquire_unless(|| ENOUGH.load(Acquire));
    ///     assert!(permit.is_none());
    /// });
    /// ENOUGH.store(true, Release);
    /// waiter.thread().unpark();
    /// ```
    pub fn acquire_unless(&self, cancelled: impl FnMut() -> bool) -> Option<Permit<'_>> {
        todo!()
    }

    /// Adds permits, and wakes as many of those who wait.
    ///
    /// There may be more of them afterwards than the semaphore began with.
    pub fn release(&self, permits: usize) {
        todo!()
    }
}

/// The right to do what a [`Semaphore`] limits; dropping it gives it back.
#[must_use = "a permit that is dropped at once permits nothing"]
pub struct Permit<'a> {
    semaphore: &'a Semaphore,
}

impl Permit<'_> {
    /// Uses the permit up: it does not go back to the semaphore.
    pub fn forget(self) {
        todo!()
    }
}

impl Drop for Permit<'_> {
    /// Gives the permit back.
    fn drop(&mut self) {
        todo!()
    }
}
