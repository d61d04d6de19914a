//! One line of sleepers with permits that are handed over: a mutex is a line with one permit, a condition variable one that
//! keeps none.

use std::collections::VecDeque;
use std::marker::PhantomData;
use std::mem;
use std::ops::{Deref, DerefMut};

use kata::cell::UnsafeCell;
use kata::sync::Arc;
use kata::sync::atomic::{
    AtomicBool,
    Ordering::{Acquire, Relaxed, Release},
};
use kata::thread::{Thread, current, park, yield_now};

// What all three share.

/// Permits, and the line of those who sleep for one. A permit is handed over to whoever has slept longest.
///
/// State and line are behind the same lock, so nothing falls between a look at the one and a step into the other.
struct Line {
    locked: AtomicBool,
    /// What only the owner of `locked` may touch, for a few steps and never asleep.
    inner: UnsafeCell<Inner>,
}

struct Inner {
    /// Permits that nobody waits for: while there are any, nobody is in the line.
    permits: usize,
    sleepers: VecDeque<Arc<Sleeper>>,
}

struct Sleeper {
    thread: Thread,
    /// Whether a permit was handed to this sleeper. It has been taken out of the line before.
    served: AtomicBool,
}

// SAFETY: `with` shows what is inside to one thread at a time, and all of it is `Send`.
unsafe impl Sync for Line {}

impl Line {
    fn new(permits: usize) -> Self {
        let inner = Inner {
            permits,
            sleepers: VecDeque::new(),
        };
        Self {
            locked: AtomicBool::new(false),
            inner: UnsafeCell::new(inner),
        }
    }

    /// Runs `step`, which does not panic, alone.
    fn with<R>(&self, step: impl FnOnce(&mut Inner) -> R) -> R {
        // Acquire: pairs with the store below, of whoever was here before. Relaxed: failed, nothing was seen.
        while self
            .locked
            .compare_exchange(false, true, Acquire, Relaxed)
            .is_err()
        {
            yield_now();
        }
        // SAFETY: `locked` was false and is true now, by us: all others wait above until the store below.
        let result = self.inner.with_mut(|inner| step(unsafe { &mut *inner }));
        // Release: pairs with the compare-exchange of whoever is next.
        self.locked.store(false, Release);
        result
    }

    /// Takes a permit if one is free.
    fn try_take(&self) -> bool {
        self.with(|inner| {
            let free = inner.permits > 0;
            inner.permits -= usize::from(free);
            free
        })
    }

    /// Takes a permit, sleeping until there is one.
    fn take(&self) {
        if let Some(place) = self.take_or_enter() {
            place.sleep_unless(|| false);
        }
    }

    /// Takes a permit if one is free, which `None` means, or else a place in the line.
    fn take_or_enter(&self) -> Option<Place<'_>> {
        if self.try_take() {
            return None;
        }
        // Made out here, as it may allocate. So a permit may come in meanwhile.
        let sleeper = Arc::new(Sleeper {
            thread: current(),
            served: AtomicBool::new(false),
        });
        self.with(|inner| {
            if inner.permits > 0 {
                inner.permits -= 1;
                return None;
            }
            inner.sleepers.push_back(sleeper.clone());
            Some(Place {
                line: self,
                sleeper,
                done: false,
            })
        })
    }

    /// Hands out permits to the front of the line. What is left over is kept for later or is gone.
    fn give(&self, permits: usize, left_over: LeftOver) {
        let served: Vec<_> = self.with(|inner| {
            let served = permits.min(inner.sleepers.len());
            if left_over == LeftOver::Kept {
                // Saturating: nobody uses up that many.
                inner.permits = inner.permits.saturating_add(permits - served);
            }
            inner.sleepers.drain(..served).collect()
        });
        for sleeper in served {
            // Release: pairs with the loads in `Place`.
            sleeper.served.store(true, Release);
            sleeper.thread.unpark();
        }
    }
}

/// What becomes of permits that nobody waits for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum LeftOver {
    Kept,
    Gone,
}

/// A place in a line. Whoever drops it without having slept leaves the line, and gives back the permit that came meanwhile.
struct Place<'a> {
    line: &'a Line,
    sleeper: Arc<Sleeper>,
    done: bool,
}

impl Place<'_> {
    /// Sleeps until a permit is handed over, which `true` means, or until `cancelled`.
    fn sleep_unless(mut self, mut cancelled: impl FnMut() -> bool) -> bool {
        while !self.served() && !cancelled() {
            // Once more: the question may have used up the token that came with the permit.
            if !self.served() {
                park();
            }
        }
        self.done = true;
        self.served() || !self.leave()
    }

    fn served(&self) -> bool {
        // Acquire: pairs with the store in `give`.
        self.sleeper.served.load(Acquire)
    }

    /// Leaves the line. `false`: somebody else has taken this sleeper out of it, for a permit.
    fn leave(&self) -> bool {
        self.line.with(|inner| {
            let place = inner
                .sleepers
                .iter()
                .position(|other| Arc::ptr_eq(other, &self.sleeper));
            place
                .and_then(|place| inner.sleepers.remove(place))
                .is_some()
        })
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        if !self.done && !self.leave() {
            self.line.give(1, LeftOver::Kept);
        }
    }
}

// Step 1: the mutex.

/// Mutual exclusion around a `T`. Who has to wait sleeps.
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
    /// One permit: to own the mutex.
    line: Line,
    /// What only the owner of the mutex may touch.
    value: UnsafeCell<T>,
}

// SAFETY: the mutex hands the value from thread to thread, hence `T: Send`, and never shows it to two threads at once.
unsafe impl<T: Send> Sync for Mutex<T> {}

impl<T> Mutex<T> {
    /// A free mutex around `value`.
    pub fn new(value: T) -> Self {
        Self {
            line: Line::new(1),
            value: UnsafeCell::new(value),
        }
    }

    /// Takes the mutex if it is free, without waiting.
    ///
    /// `None` means that somebody held the mutex at that moment. A mutex that nobody holds and nobody else asks for is
    /// always taken.
    pub fn try_lock(&self) -> Option<MutexGuard<'_, T>> {
        self.line.try_take().then(|| MutexGuard {
            mutex: self,
            acts_as: PhantomData,
        })
    }

    /// Takes the mutex, sleeping for as long as somebody else holds it.
    ///
    /// A thread that asks for a mutex it already holds waits for itself, forever.
    pub fn lock(&self) -> MutexGuard<'_, T> {
        self.line.take();
        MutexGuard {
            mutex: self,
            acts_as: PhantomData,
        }
    }
}

/// Exclusive access to the value of a [`Mutex`]; dropping it unlocks.
#[must_use = "a guard that is dropped at once protects nothing"]
pub struct MutexGuard<'a, T> {
    mutex: &'a Mutex<T>,
    /// A guard is as good as a `&mut T`: it is `Send` and `Sync` exactly when that is.
    acts_as: PhantomData<&'a mut T>,
}

impl<T> Deref for MutexGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: this guard has the only permit of the mutex. It is borrowed for as long as the result is.
        self.mutex.value.with(|value| unsafe { &*value })
    }
}

impl<T> DerefMut for MutexGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: this guard has the only permit of the mutex. It is borrowed mutably for as long as the result is.
        self.mutex.value.with_mut(|value| unsafe { &mut *value })
    }
}

impl<T> Drop for MutexGuard<'_, T> {
    /// Unlocks, and wakes one of those who sleep, if there is any. Everything the owner did to the value comes before
    /// whatever the next owner does to it.
    fn drop(&mut self) {
        self.mutex.line.give(1, LeftOver::Kept);
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
    /// Never a permit: who is notified is handed one, and what nobody waits for is gone.
    line: Line,
}

impl Default for Condvar {
    fn default() -> Self {
        Self::new()
    }
}

impl Condvar {
    /// A condition variable that nobody waits on.
    pub fn new() -> Self {
        Self { line: Line::new(0) }
    }

    /// Unlocks the mutex, sleeps until notified, and locks the mutex again.
    ///
    /// Unlocking and going to sleep are one step: whoever gets the mutex after this thread and then notifies finds it
    /// waiting. Threads that wait on one condition variable at the same time all use the same mutex.
    ///
    /// It may return without a notification, and another thread may have had the mutex between the notification and the
    /// return. So look again at what you wait for, in a loop, or use [`wait_while`](Self::wait_while).
    pub fn wait<'a, T>(&self, guard: MutexGuard<'a, T>) -> MutexGuard<'a, T> {
        let mutex = guard.mutex;
        // First into the line, then the unlock: whoever has the mutex afterwards finds us there.
        let place = self.line.take_or_enter();
        drop(guard);
        if let Some(place) = place {
            place.sleep_unless(|| false);
        }
        mutex.lock()
    }

    /// Waits for as long as `condition` holds: when this returns, the mutex is locked and `condition` is false.
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

    /// Wakes one of the threads that wait, if there is any. The caller may hold the mutex or not.
    pub fn notify_one(&self) {
        self.line.give(1, LeftOver::Gone);
    }

    /// Wakes all threads that wait. The caller may hold the mutex or not.
    pub fn notify_all(&self) {
        self.line.give(usize::MAX, LeftOver::Gone);
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
    line: Line,
}

impl Semaphore {
    /// A semaphore with so many permits.
    pub fn new(permits: usize) -> Self {
        Self {
            line: Line::new(permits),
        }
    }

    /// Takes a permit if one is free, without waiting.
    ///
    /// `None` means that there was no permit left at that moment.
    pub fn try_acquire(&self) -> Option<Permit<'_>> {
        self.line.try_take().then(|| Permit { semaphore: self })
    }

    /// Takes a permit, sleeping until there is one.
    ///
    /// Everything that was done before a permit was released comes before whatever its next holder does.
    pub fn acquire(&self) -> Permit<'_> {
        self.line.take();
        Permit { semaphore: self }
    }

    /// Takes a permit as soon as there is one, unless `cancelled` says `true` first.
    ///
    /// A permit that is free at the call is taken without asking. Otherwise `cancelled` is asked before the thread goes
    /// to sleep, and again each time it wakes up. Whoever makes the answer `true` must afterwards unpark the thread. If a
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
        let taken = match self.line.take_or_enter() {
            None => true,
            Some(place) => place.sleep_unless(cancelled),
        };
        taken.then(|| Permit { semaphore: self })
    }

    /// Adds permits, and wakes as many of those who wait.
    ///
    /// There may be more of them afterwards than the semaphore began with.
    pub fn release(&self, permits: usize) {
        self.line.give(permits, LeftOver::Kept);
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
        mem::forget(self);
    }
}

impl Drop for Permit<'_> {
    /// Gives the permit back.
    fn drop(&mut self) {
        self.semaphore.release(1);
    }
}
