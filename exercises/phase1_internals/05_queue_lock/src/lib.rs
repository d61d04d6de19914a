//! Two locks that let waiters in in the order in which they came. The task is in `README.md`.
#![allow(dead_code, unused_variables)] // Delete this line when you start: from then on the compiler helps you.

use std::ops::{Deref, DerefMut};
use std::ptr::NonNull;

use kata::cell::UnsafeCell;
use kata::sync::atomic::{AtomicPtr, AtomicUsize};

// Step 1: the ticket lock.

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
    /// The ticket that the next thread to come will draw.
    next: AtomicUsize,
    /// The ticket whose holder owns the lock, or will as soon as it comes.
    serving: AtomicUsize,
    /// What only the owner of the lock may touch.
    value: UnsafeCell<T>,
}

// SAFETY: none yet. As it stands, this line says that threads may share the lock whatever it holds, even an `Rc`. That is
// false. What must `T` promise for it to become true?
unsafe impl<T> Sync for TicketLock<T> {}

impl<T> TicketLock<T> {
    /// A free lock around `value`.
    pub fn new(value: T) -> Self {
        todo!()
    }

    /// Takes the lock, waiting for its turn: everybody who had taken a place in the queue before gets in before.
    ///
    /// A thread that asks for a lock it already holds waits for itself, forever.
    pub fn lock(&self) -> TicketGuard<'_, T> {
        todo!()
    }

    /// Takes the lock if it is free and nobody waits for it, without waiting.
    ///
    /// A lock that nobody holds and nobody else asks for is always taken: callers may give up for good when they get
    /// `None`. Whoever gets `None` has left no trace in the queue.
    pub fn try_lock(&self) -> Option<TicketGuard<'_, T>> {
        todo!()
    }
}

/// Exclusive access to the value of a [`TicketLock`]; dropping it unlocks.
///
/// A guard stands for a `&mut T`, so it may be shared between threads exactly when a `&mut T` may.
#[must_use = "a guard that is dropped at once protects nothing"]
pub struct TicketGuard<'a, T> {
    lock: &'a TicketLock<T>,
}

impl<T> Deref for TicketGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        todo!()
    }
}

impl<T> DerefMut for TicketGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        todo!()
    }
}

impl<T> Drop for TicketGuard<'_, T> {
    /// Lets the next one in. Everything the owner did to the value comes before whatever the next owner does to it.
    fn drop(&mut self) {
        todo!()
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
/// Yours to complete. Whatever two threads may reach belongs into an atomic or a cell of `kata`: the model checkers see
/// nothing else.
struct Node {
    /// The node of whoever came next, once that thread has said so.
    next: AtomicPtr<Node>,
}

// SAFETY: none yet, as for `TicketLock`.
unsafe impl<T> Sync for McsLock<T> {}

impl<T> McsLock<T> {
    /// A free lock around `value`.
    pub fn new(value: T) -> Self {
        todo!()
    }

    /// Takes the lock, waiting for its turn: everybody who had taken a place in the queue before gets in before.
    ///
    /// A thread that asks for a lock it already holds waits for itself, forever.
    pub fn lock(&self) -> McsGuard<'_, T> {
        todo!()
    }

    /// Takes the lock if it is free and nobody waits for it, without waiting.
    ///
    /// A lock that nobody holds and nobody else asks for is always taken: callers may give up for good when they get
    /// `None`. Whoever gets `None` has left no trace in the queue.
    pub fn try_lock(&self) -> Option<McsGuard<'_, T>> {
        todo!()
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

impl<T> Deref for McsGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        todo!()
    }
}

impl<T> DerefMut for McsGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        todo!()
    }
}

impl<T> Drop for McsGuard<'_, T> {
    /// Lets the next one in. Everything the owner did to the value comes before whatever the next owner does to it.
    fn drop(&mut self) {
        todo!()
    }
}
