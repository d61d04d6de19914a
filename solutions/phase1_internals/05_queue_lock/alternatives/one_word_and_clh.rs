//! Queue locks, the first with both numbers in one word, the second with waiters that look at their predecessor's node
//! (Craig, Landin and Hagersten's queue), so that nobody has to be told of a successor.

use std::ops::{Deref, DerefMut};
use std::ptr::{self, NonNull};

use kata::cell::UnsafeCell;
use kata::hint::spin_loop;
use kata::sync::atomic::{AtomicBool, AtomicPtr, AtomicU64, Ordering};
use kata::thread::yield_now;

/// Looks until `done`, and lets other threads run now and then.
fn wait_until(done: impl Fn() -> bool) {
    let mut looks = 0_u32;
    while !done() {
        looks = looks.wrapping_add(1);
        if looks.is_multiple_of(64) {
            yield_now();
        } else {
            spin_loop();
        }
    }
}

// Step 1: the ticket lock.

/// What drawing a ticket adds to [`TicketLock::word`].
const TICKET: u64 = 1 << 32;

/// The ticket that the next thread to come will draw.
fn next(word: u64) -> u32 {
    (word >> 32) as u32
}

/// The ticket whose holder owns the lock, or will as soon as it comes.
fn serving(word: u64) -> u32 {
    word as u32
}

/// A lock that serves its waiters in the order in which they came, from two numbers.
///
/// For critical sections of a few instructions and a few threads. Unlike [`std::sync::Mutex`] it is not poisoned by a
/// panic: the next owner sees the value as the panic left it.
///
/// # Examples
///
/// ```no_run
/// use queue_lock::TicketLock;
///
/// let hits = TicketLock::new(0);
/// *hits.lock() += 1;
///
/// let guard = hits.lock();
/// assert!(hits.try_lock().is_none());
/// drop(guard);
/// assert!(hits.try_lock().is_some());
/// ```
pub struct TicketLock<T> {
    /// `next` in the upper half, which overflows into nothing, and `serving` in the lower half.
    ///
    /// Only read-modify-writes change it, so each value is in the release sequence of every unlock before it: whoever
    /// acquires it sees what all earlier owners did.
    word: AtomicU64,
    /// What only the owner of the lock may touch.
    value: UnsafeCell<T>,
}

// SAFETY: the lock gives the `T` to one thread after another, never to two at once: that is sending it.
unsafe impl<T: Send> Sync for TicketLock<T> {}

impl<T> TicketLock<T> {
    /// A free lock around `value`.
    pub fn new(value: T) -> Self {
        Self {
            word: AtomicU64::new(0),
            value: UnsafeCell::new(value),
        }
    }

    /// Takes the lock, waiting for its turn: everybody who had taken a place in the queue before gets in before.
    ///
    /// A thread that asks for a lock it already holds waits for itself, forever.
    pub fn lock(&self) -> TicketGuard<'_, T> {
        // Relaxed: drawing orders nothing.
        let ticket = next(self.word.fetch_add(TICKET, Ordering::Relaxed));
        // Acquire: pairs with the `fetch_add` of the unlock, `TicketGuard::drop`.
        wait_until(|| serving(self.word.load(Ordering::Acquire)) == ticket);
        TicketGuard { lock: self }
    }

    /// Takes the lock if it is free and nobody waits for it, without waiting.
    ///
    /// A lock that nobody holds and nobody else asks for is always taken: callers may give up for good when they get
    /// `None`. Whoever gets `None` has left no trace in the queue.
    pub fn try_lock(&self) -> Option<TicketGuard<'_, T>> {
        // Acquire: pairs with the `fetch_add` in `TicketGuard::drop`. Relaxed: who does not get in needs no order.
        self.word
            .fetch_update(Ordering::Acquire, Ordering::Relaxed, |word| {
                // Only a ticket that is served at once.
                (next(word) == serving(word)).then(|| word.wrapping_add(TICKET))
            })
            .ok()
            .map(|_| TicketGuard { lock: self })
    }
}

/// Exclusive access to the value of a [`TicketLock`]; dropping it unlocks.
///
/// A guard stands for a `&mut T`, so it may be shared between threads exactly when a `&mut T` may.
#[must_use = "a guard that is dropped at once protects nothing"]
pub struct TicketGuard<'a, T> {
    lock: &'a TicketLock<T>,
}

// SAFETY: a shared guard gives out `&T` and nothing else. (The field alone would ask for `Send` instead.)
unsafe impl<T: Sync> Sync for TicketGuard<'_, T> {}

impl<T> Deref for TicketGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: one guard exists at a time, and nobody uses the value without one. The reference borrows the guard, so it
        // ends before the unlock, and excludes `deref_mut`.
        self.lock.value.with(|value| unsafe { &*value })
    }
}

impl<T> DerefMut for TicketGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: as in `deref`; the guard is borrowed mutably, so this is the only reference made through it.
        self.lock.value.with_mut(|value| unsafe { &mut *value })
    }
}

impl<T> Drop for TicketGuard<'_, T> {
    /// Lets the next one in. Everything the owner did to the value comes before whatever the next owner does to it.
    fn drop(&mut self) {
        // Relaxed: since this owner's turn came nobody else has written to the lower half.
        let served = serving(self.lock.word.load(Ordering::Relaxed));
        // One more, or back to zero without a carry into the upper half.
        let step = u64::from(served.wrapping_add(1)).wrapping_sub(u64::from(served));
        // Release: pairs with the Acquires in `lock` and `try_lock`.
        self.lock.word.fetch_add(step, Ordering::Release);
    }
}

// Step 2: the MCS lock.

/// A lock that serves its waiters in the order in which they came, and in which each of them waits at a place of its own.
///
/// However many threads wait, an unlock disturbs one of them. The price is a node for each thread in the queue: one
/// allocation for each time the lock is taken.
///
/// # Examples
///
/// ```no_run
/// use queue_lock::McsLock;
///
/// let names = McsLock::new(Vec::new());
/// std::thread::scope(|scope| {
///     scope.spawn(|| names.lock().push("Mellor-Crummey"));
///     scope.spawn(|| names.lock().push("Scott"));
/// });
/// assert_eq!(names.lock().len(), 2);
/// ```
pub struct McsLock<T> {
    /// The node of whoever came last, or null if the lock is free.
    tail: AtomicPtr<Node>,
    /// What only the owner of the lock may touch.
    value: UnsafeCell<T>,
}

/// A place in the queue of an [`McsLock`]: the owner has one, and so has everybody who waits.
///
/// It comes from a `Box`. Whoever comes next looks at it, and frees it as soon as it has read `done`; if nobody has come
/// when its owner leaves, the owner frees it.
struct Node {
    /// Whether its owner has left. The one store to it is the owner's last access.
    done: AtomicBool,
}

impl Node {
    fn alloc() -> NonNull<Self> {
        let node = Node {
            done: AtomicBool::new(false),
        };
        NonNull::from(Box::leak(Box::new(node)))
    }

    /// # Safety
    ///
    /// The node comes from [`alloc`](Self::alloc), and nobody uses it afterwards.
    unsafe fn free(node: NonNull<Self>) {
        // SAFETY: it comes from a `Box`, and is ours alone.
        drop(unsafe { Box::from_raw(node.as_ptr()) });
    }
}

// SAFETY: as for `TicketLock`.
unsafe impl<T: Send> Sync for McsLock<T> {}

impl<T> McsLock<T> {
    /// A free lock around `value`.
    pub fn new(value: T) -> Self {
        Self {
            tail: AtomicPtr::new(ptr::null_mut()),
            value: UnsafeCell::new(value),
        }
    }

    /// Takes the lock, waiting for its turn: everybody who had taken a place in the queue before gets in before.
    ///
    /// A thread that asks for a lock it already holds waits for itself, forever.
    pub fn lock(&self) -> McsGuard<'_, T> {
        let node = Node::alloc();
        // Release: pairs with the same `swap` by whoever comes next, which will use `node`. Acquire: pairs with that, and
        // if the lock is free, with the `compare_exchange` of the unlock.
        let before = self.tail.swap(node.as_ptr(), Ordering::AcqRel);
        if let Some(before) = NonNull::new(before) {
            // SAFETY: `before` was in the tail, so its owner will not free it but set `done`, and it was this thread that
            // took it from there, so nobody else looks at it.
            let done = unsafe { &before.as_ref().done };
            // Acquire: pairs with the `store` in `McsGuard::drop`.
            wait_until(|| done.load(Ordering::Acquire));
            // SAFETY: `done` was its owner's last access, and there is nobody else.
            unsafe { Node::free(before) };
        }
        McsGuard { lock: self, node }
    }

    /// Takes the lock if it is free and nobody waits for it, without waiting.
    ///
    /// A lock that nobody holds and nobody else asks for is always taken: callers may give up for good when they get
    /// `None`. Whoever gets `None` has left no trace in the queue.
    pub fn try_lock(&self) -> Option<McsGuard<'_, T>> {
        let node = Node::alloc();
        // As in `lock`, but nobody to wait for. Relaxed: who does not get in needs no order.
        let taken = self.tail.compare_exchange(
            ptr::null_mut(),
            node.as_ptr(),
            Ordering::AcqRel,
            Ordering::Relaxed,
        );
        if taken.is_err() {
            // SAFETY: nobody has seen it.
            unsafe { Node::free(node) };
            return None;
        }
        Some(McsGuard { lock: self, node })
    }
}

/// Exclusive access to the value of an [`McsLock`]; dropping it unlocks.
///
/// It may be moved, boxed, kept beside other guards and dropped in any order, or forgotten: then the lock stays taken.
/// A guard stands for a `&mut T`, so it may be shared between threads exactly when a `&mut T` may.
#[must_use = "a guard that is dropped at once protects nothing"]
pub struct McsGuard<'a, T> {
    lock: &'a McsLock<T>,
    node: NonNull<Node>,
}

// SAFETY: as for `TicketGuard`; a shared guard does nothing with the node.
unsafe impl<T: Sync> Sync for McsGuard<'_, T> {}

// SAFETY: the guard moves the use of a `T` to another thread. The node does not care which thread hands it on.
unsafe impl<T: Send> Send for McsGuard<'_, T> {}

impl<T> Deref for McsGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: one guard exists at a time, and nobody uses the value without one. The reference borrows the guard, so it
        // ends before the unlock, and excludes `deref_mut`.
        self.lock.value.with(|value| unsafe { &*value })
    }
}

impl<T> DerefMut for McsGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: as in `deref`; the guard is borrowed mutably, so this is the only reference made through it.
        self.lock.value.with_mut(|value| unsafe { &mut *value })
    }
}

impl<T> Drop for McsGuard<'_, T> {
    /// Lets the next one in. Everything the owner did to the value comes before whatever the next owner does to it.
    fn drop(&mut self) {
        let node = self.node;
        // Release: pairs with the Acquire of whoever finds the lock free. Relaxed: a successor is none of our business.
        let last = self.lock.tail.compare_exchange(
            node.as_ptr(),
            ptr::null_mut(),
            Ordering::Release,
            Ordering::Relaxed,
        );
        if last.is_ok() {
            // SAFETY: it has left the tail and nobody took it from there: nobody else has it.
            unsafe { Node::free(node) };
        } else {
            // SAFETY: a successor frees it, but not before `done`.
            let done = unsafe { &node.as_ref().done };
            // Release: pairs with the `load` of the successor, in `lock`.
            done.store(true, Ordering::Release);
        }
    }
}
