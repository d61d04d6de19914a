//! A mutex, a condition variable and a semaphore whose waiters sleep.
//!
//! The mutex is the third one of Drepper, "Futexes Are Tricky" (2004). What the kernel does there, a queue of park tokens
//! does here. The semaphore hands its permits over, as the one of java.util.concurrent does when it is fair.

use std::collections::VecDeque;
use std::marker::PhantomData;
use std::mem;
use std::ops::{Deref, DerefMut};

use kata::cell::UnsafeCell;
use kata::hint;
use kata::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use kata::sync::atomic::{AtomicBool, AtomicU32};
use kata::thread::{self, Thread};

/// Nobody holds the mutex.
const FREE: u32 = 0;
/// Somebody holds it, and whoever unlocks has nobody to wake.
const HELD: u32 = 1;
/// Somebody holds it, and others may be asleep.
const CONTENDED: u32 = 2;

/// Mutual exclusion around a `T`. A thread that has to wait sleeps.
pub struct Mutex<T> {
    /// [`FREE`], [`HELD`] or [`CONTENDED`]. Whoever changes it from `FREE` owns `value` until changing it back.
    state: AtomicU32,
    /// A thread gets in only while `state` is `CONTENDED`.
    sleepers: Spin<Queue>,
    /// Reached only through a guard.
    value: UnsafeCell<T>,
}

// SAFETY: a `&Mutex<T>` gives access to the value to one thread at a time. That moves a `T` between threads, hence
// `T: Send`; it never shows one `T` to two threads at once, so `T: Sync` is not needed.
unsafe impl<T: Send> Sync for Mutex<T> {}

impl<T> Mutex<T> {
    /// A free mutex around `value`.
    pub fn new(value: T) -> Self {
        Self {
            state: AtomicU32::new(FREE),
            sleepers: Spin::default(),
            value: UnsafeCell::new(value),
        }
    }

    /// Takes the mutex if it is free, without waiting.
    #[inline]
    pub fn try_lock(&self) -> Option<MutexGuard<'_, T>> {
        self.state
            // Acquire: pairs with the Release in `MutexGuard::drop`. Relaxed: who fails may touch nothing.
            .compare_exchange(FREE, HELD, Acquire, Relaxed)
            .is_ok()
            .then(|| self.guard())
    }

    /// Takes the mutex, sleeping for as long as somebody else holds it.
    #[inline]
    pub fn lock(&self) -> MutexGuard<'_, T> {
        self.try_lock().unwrap_or_else(|| self.lock_contended())
    }

    #[cold]
    fn lock_contended(&self) -> MutexGuard<'_, T> {
        // `CONTENDED` although nobody else may wait: while we slept, others may have gone to sleep behind us, and the
        // unlock that woke us has wiped out every sign of them. Acquire: pairs with the Release in `MutexGuard::drop`.
        while self.state.swap(CONTENDED, Acquire) != FREE {
            // Looks again inside the queue's lock: an unlock that came before us there is seen, one that comes after
            // us finds us in the queue. Relaxed: the queue's lock orders the two.
            let place = self
                .sleepers
                .with(|queue| (self.state.load(Relaxed) == CONTENDED).then(|| queue.join()));
            if let Some(place) = place {
                self.sleepers.sleep(place);
            }
        }
        self.guard()
    }

    fn guard(&self) -> MutexGuard<'_, T> {
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
    /// As good as a `&mut T`: `Send` and `Sync` exactly when that is.
    acts_as: PhantomData<&'a mut T>,
}

impl<T> Deref for MutexGuard<'_, T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: while the state is not `FREE` this is the only guard, and the borrow of it rules out a `&mut T` made
        // by `deref_mut`. The Acquire that took the mutex ordered all earlier writes before us.
        self.mutex.value.with(|value| unsafe { &*value })
    }
}

impl<T> DerefMut for MutexGuard<'_, T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: as in `deref`, and the exclusive borrow of the guard rules out every other reference to the value.
        self.mutex.value.with_mut(|value| unsafe { &mut *value })
    }
}

impl<T> Drop for MutexGuard<'_, T> {
    #[inline]
    fn drop(&mut self) {
        // Release: pairs with the Acquires in `try_lock` and `lock_contended`.
        if self.mutex.state.swap(FREE, Release) == CONTENDED {
            self.mutex.sleepers.wake_one();
        }
    }
}

/// A place to sleep until the value of a [`Mutex`] has changed.
#[derive(Default)]
pub struct Condvar {
    sleepers: Spin<Queue>,
}

impl Condvar {
    /// A condition variable that nobody waits on.
    pub fn new() -> Self {
        Self::default()
    }

    /// Unlocks, sleeps until notified, and locks again.
    pub fn wait<'a, T>(&self, guard: MutexGuard<'a, T>) -> MutexGuard<'a, T> {
        let mutex = guard.mutex;
        // Before the unlock: whoever changes the value from now on finds us in the queue.
        let place = self.sleepers.with(Queue::join);
        drop(guard);
        self.sleepers.sleep(place);
        mutex.lock()
    }

    /// Waits for as long as `condition` holds.
    pub fn wait_while<'a, T>(
        &self,
        mut guard: MutexGuard<'a, T>,
        mut condition: impl FnMut(&mut T) -> bool,
    ) -> MutexGuard<'a, T> {
        // Not `if`: between the notification and our turn with the mutex others may have had theirs.
        while condition(&mut guard) {
            guard = self.wait(guard);
        }
        guard
    }

    /// Wakes one of the threads that wait, if there is any.
    pub fn notify_one(&self) {
        self.sleepers.wake_one();
    }

    /// Wakes all threads that wait.
    pub fn notify_all(&self) {
        let all = self.sleepers.with(|queue| mem::take(&mut queue.entries));
        for (_, thread) in all {
            thread.unpark();
        }
    }
}

/// A number of permits that threads acquire and release.
pub struct Semaphore {
    permits: Spin<Permits>,
}

struct Permits {
    /// Permits that nobody has. Not 0 only while the queue is empty: a permit that comes back while somebody waits is
    /// handed over.
    free: usize,
    /// Who waits for a permit. Whoever takes a thread out, other than the thread itself, gives it a permit by that.
    queue: Queue,
}

impl Semaphore {
    /// A semaphore with so many permits.
    pub fn new(permits: usize) -> Self {
        Self {
            permits: Spin::new(Permits {
                free: permits,
                queue: Queue::default(),
            }),
        }
    }

    /// Takes a permit if one is free, without waiting.
    pub fn try_acquire(&self) -> Option<Permit<'_>> {
        self.permits
            .with(Permits::take)
            .then(|| Permit { semaphore: self })
    }

    /// Takes a permit, sleeping until there is one.
    pub fn acquire(&self) -> Permit<'_> {
        self.acquire_unless(|| false)
            .expect("nobody has cancelled this")
    }

    /// Takes a permit as soon as there is one, unless `cancelled` says so first.
    pub fn acquire_unless(&self, mut cancelled: impl FnMut() -> bool) -> Option<Permit<'_>> {
        let place = self
            .permits
            .with(|permits| (!permits.take()).then(|| permits.queue.join()));
        if let Some(place) = place {
            let waiting = Waiting {
                semaphore: self,
                place,
            };
            loop {
                if cancelled() {
                    return None;
                }
                // After the question and right before the park: the question may have used up our token.
                if !self.permits.with(|permits| permits.queue.holds(place)) {
                    break;
                }
                thread::park();
            }
            mem::forget(waiting);
        }
        Some(Permit { semaphore: self })
    }

    /// Adds permits and wakes as many of those who wait.
    pub fn release(&self, permits: usize) {
        let mut left = permits;
        while left > 0 {
            let next = self.permits.with(|permits| {
                let next = permits.queue.call();
                if next.is_none() {
                    permits.free += left;
                }
                next
            });
            let Some(thread) = next else { return };
            thread.unpark();
            left -= 1;
        }
    }
}

impl Permits {
    /// Whether there was a permit to take.
    fn take(&mut self) -> bool {
        let any = self.free > 0;
        self.free -= usize::from(any);
        any
    }
}

/// Stands for the place of a thread in the queue for permits. Dropping it gives up waiting.
struct Waiting<'a> {
    semaphore: &'a Semaphore,
    place: u64,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let Self { semaphore, place } = self;
        // Out of the queue already: a permit was handed over to a thread that no longer wants it, so pass it on.
        if !semaphore
            .permits
            .with(|permits| permits.queue.leave(*place))
        {
            semaphore.release(1);
        }
    }
}

/// The right to do what a [`Semaphore`] limits; dropping it gives it back.
#[must_use = "a permit that is dropped at once permits nothing"]
pub struct Permit<'a> {
    semaphore: &'a Semaphore,
}

impl Permit<'_> {
    /// Takes the permit out of circulation: dropping it would have given it back.
    pub fn forget(self) {
        mem::forget(self);
    }
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        self.semaphore.release(1);
    }
}

/// Threads that sleep, or are about to, in the order in which they came.
///
/// A thread is to wake up once its entry is gone. Whoever takes the entry out unparks the thread afterwards, so a thread
/// that finds its entry and parks is sure to be unparked.
#[derive(Default)]
struct Queue {
    /// Each with its place, in ascending order.
    entries: VecDeque<(u64, Thread)>,
    /// The place that the next thread gets. No two are ever the same.
    next: u64,
}

impl Queue {
    /// Enters the current thread and returns its place.
    fn join(&mut self) -> u64 {
        let place = self.next;
        self.next += 1;
        self.entries.push_back((place, thread::current()));
        place
    }

    fn find(&self, place: u64) -> Result<usize, usize> {
        self.entries.binary_search_by_key(&place, |entry| entry.0)
    }

    fn holds(&self, place: u64) -> bool {
        self.find(place).is_ok()
    }

    /// Gives up a place. `false` if somebody has taken the entry out already.
    fn leave(&mut self, place: u64) -> bool {
        self.find(place)
            .is_ok_and(|index| self.entries.remove(index).is_some())
    }

    /// Takes out the entry that came first. The caller unparks the thread, outside the lock.
    fn call(&mut self) -> Option<Thread> {
        self.entries.pop_front().map(|(_, thread)| thread)
    }
}

impl Spin<Queue> {
    /// Sleeps until the entry is gone.
    fn sleep(&self, place: u64) {
        while self.with(|queue| queue.holds(place)) {
            thread::park();
        }
    }

    fn wake_one(&self) {
        if let Some(thread) = self.with(Queue::call) {
            thread.unpark();
        }
    }
}

/// A spin lock, for the few instructions that a queue takes.
#[derive(Default)]
struct Spin<T> {
    locked: AtomicBool,
    value: UnsafeCell<T>,
}

// SAFETY: `with` lets one thread at a time use the value and never shows it to two.
unsafe impl<T: Send> Sync for Spin<T> {}

impl<T> Spin<T> {
    fn new(value: T) -> Self {
        Self {
            locked: AtomicBool::new(false),
            value: UnsafeCell::new(value),
        }
    }

    /// Calls `access` while nobody else can. `access` neither waits nor panics.
    fn with<R>(&self, access: impl FnOnce(&mut T) -> R) -> R {
        let mut looks = 0;
        while self
            .locked
            // Acquire: pairs with the Release below.
            .compare_exchange_weak(false, true, Acquire, Relaxed)
            .is_err()
        {
            looks += 1;
            if looks < 100 {
                hint::spin_loop();
            } else {
                thread::yield_now();
            }
        }
        // SAFETY: we have changed `locked` to `true` and nobody else gets past the loop until we change it back.
        let result = self.value.with_mut(|value| access(unsafe { &mut *value }));
        // Release: pairs with the Acquire above.
        self.locked.store(false, Release);
        result
    }
}
