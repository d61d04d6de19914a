//! Two first-come, first-served locks: one from two numbers, one from a list of waiters.
//!
//! The ticket lock is Reed and Kanodia's sequencer and event count ("Synchronization with Eventcounts and Sequencers",
//! 1979) made into a spin lock; the list is from Mellor-Crummey and Scott, "Algorithms for Scalable Synchronization on
//! Shared-Memory Multiprocessors" (1991).

use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};
use std::ptr::{NonNull, null_mut};

use kata::cell::UnsafeCell;
use kata::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};
use kata::sync::atomic::{AtomicBool, AtomicPtr, AtomicUsize};
use kata::{hint, thread};

/// Looks until `done`. In a queue the wait is as long as the queue, and only one thread can end it: after some thousand
/// pauses that thread may well be waiting for our processor.
fn wait_until(mut done: impl FnMut() -> bool) {
    const PAUSES: u32 = 200;
    let mut pauses = 0;
    while !done() {
        if pauses < PAUSES {
            pauses += 1;
            hint::spin_loop();
        } else {
            thread::yield_now();
        }
    }
}

/// A lock that serves its waiters in the order in which they came, from two numbers.
pub struct TicketLock<T> {
    /// The ticket that the next thread to come will draw. The lock is free while it equals `serving`.
    next: AtomicUsize,
    /// The ticket whose holder owns `value`. Changed by the owner only.
    serving: AtomicUsize,
    /// Reached only through a guard.
    value: UnsafeCell<T>,
}

// SAFETY: a `&TicketLock<T>` gives access to the value to one thread at a time. That moves a `T` between threads, hence
// `T: Send`; it never shows one `T` to two threads at once, so `T: Sync` is not needed.
unsafe impl<T: Send> Sync for TicketLock<T> {}

impl<T> TicketLock<T> {
    /// A free lock around `value`.
    pub fn new(value: T) -> Self {
        Self {
            next: AtomicUsize::new(0),
            serving: AtomicUsize::new(0),
            value: UnsafeCell::new(value),
        }
    }

    /// Takes the lock, waiting for its turn.
    pub fn lock(&self) -> TicketGuard<'_, T> {
        // Relaxed: a ticket says when it is our turn, and not what happened before.
        let ticket = self.next.fetch_add(1, Relaxed);
        // Acquire: pairs with the Release in `TicketGuard::drop`.
        wait_until(|| self.serving.load(Acquire) == ticket);
        self.guard(ticket)
    }

    /// Takes the lock if it is free and nobody waits for it, without waiting.
    pub fn try_lock(&self) -> Option<TicketGuard<'_, T>> {
        // Acquire: pairs with the Release in `TicketGuard::drop`.
        let ticket = self.serving.load(Acquire);
        self.next
            // Relaxed: drawing the ticket that is served means that nobody else has it. What happened before came with
            // the load. Not the weak form: it may fail on a free lock, and nothing here would try again.
            .compare_exchange(ticket, ticket.wrapping_add(1), Relaxed, Relaxed)
            .is_ok()
            .then(|| self.guard(ticket))
    }

    fn guard(&self, ticket: usize) -> TicketGuard<'_, T> {
        TicketGuard {
            lock: self,
            ticket,
            acts_as: PhantomData,
        }
    }
}

/// Exclusive access to the value of a [`TicketLock`]; dropping it unlocks.
#[must_use = "a guard that is dropped at once protects nothing"]
pub struct TicketGuard<'a, T> {
    lock: &'a TicketLock<T>,
    ticket: usize,
    /// `lock` alone would make the guard `Sync` for every `T: Send`.
    acts_as: PhantomData<&'a mut T>,
}

impl<T> Deref for TicketGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: this is the only guard, for nobody else has its ticket, and the borrow of it rules out a `&mut T` made
        // by `deref_mut`. The Acquire that ended the wait ordered all earlier writes before us.
        self.lock.value.with(|value| unsafe { &*value })
    }
}

impl<T> DerefMut for TicketGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: as in `deref`, and the exclusive borrow of the guard rules out every other reference to the value.
        self.lock.value.with_mut(|value| unsafe { &mut *value })
    }
}

impl<T> Drop for TicketGuard<'_, T> {
    fn drop(&mut self) {
        // Release: pairs with the Acquire loads of `serving`. A store is enough: only the owner writes here.
        self.lock
            .serving
            .store(self.ticket.wrapping_add(1), Release);
    }
}

/// A lock that serves its waiters in the order in which they came, and in which each of them waits at a place of its own.
pub struct McsLock<T> {
    /// The node of whoever came last, or null if the lock is free.
    tail: AtomicPtr<Node>,
    /// Reached only through a guard.
    value: UnsafeCell<T>,
}

/// A place in the queue. It belongs to the thread that came with it, which frees it when it unlocks. Two others know it:
/// the predecessor until it has set `granted`, the successor until it has set `next`.
struct Node {
    /// The node of whoever came next. Set once, by that thread.
    next: AtomicPtr<Node>,
    /// Whether the lock was handed to this node's thread. Set once, by the predecessor. The only thing a waiter looks at.
    granted: AtomicBool,
}

impl Node {
    /// On the heap and not on the stack: a guard may be moved, and it may be forgotten while the successor, or the next
    /// thread to come, still has the address. Not kept as a `Box`, which would claim that nobody has.
    fn new() -> NonNull<Self> {
        NonNull::from(Box::leak(Box::new(Self {
            next: AtomicPtr::new(null_mut()),
            granted: AtomicBool::new(false),
        })))
    }

    /// # Safety
    ///
    /// Nobody else has the address any more.
    unsafe fn free(node: NonNull<Self>) {
        // SAFETY: it came out of a box in `new`, and is the caller's alone.
        drop(unsafe { Box::from_raw(node.as_ptr()) });
    }
}

// SAFETY: as for `TicketLock`. The nodes are made of atomics.
unsafe impl<T: Send> Sync for McsLock<T> {}

impl<T> McsLock<T> {
    /// A free lock around `value`.
    pub fn new(value: T) -> Self {
        Self {
            tail: AtomicPtr::new(null_mut()),
            value: UnsafeCell::new(value),
        }
    }

    /// Takes the lock, waiting for its turn.
    pub fn lock(&self) -> McsGuard<'_, T> {
        let node = Node::new();
        // Acquire: of a free lock, pairs with the Release in `McsGuard::drop`; of a predecessor, with the Release here,
        // so that we do not touch its node before it was made. Release: the same, for our successor.
        let predecessor = self.tail.swap(node.as_ptr(), AcqRel);
        if let Some(predecessor) = NonNull::new(predecessor) {
            // SAFETY: the predecessor does not free its node before it has seen this store: its place is not the last,
            // so it must know whom to hand the lock to. We do not touch it again.
            // Release: pairs with the Acquires in `McsGuard::drop`: it will write to our node, made before.
            unsafe { predecessor.as_ref() }
                .next
                .store(node.as_ptr(), Release);
            // SAFETY: our guard frees our node.
            let granted = &unsafe { node.as_ref() }.granted;
            // Acquire: pairs with the Release in `McsGuard::drop`.
            wait_until(|| granted.load(Acquire));
        }
        McsGuard {
            lock: self,
            node,
            acts_as: PhantomData,
        }
    }

    /// Takes the lock if it is free and nobody waits for it, without waiting.
    pub fn try_lock(&self) -> Option<McsGuard<'_, T>> {
        let node = Node::new();
        if self
            .tail
            // AcqRel: as in `lock`. Not the weak form: it may fail on a free lock, and nothing here would try again.
            .compare_exchange(null_mut(), node.as_ptr(), AcqRel, Relaxed)
            .is_err()
        {
            // SAFETY: it never got into the queue.
            unsafe { Node::free(node) };
            return None;
        }
        Some(McsGuard {
            lock: self,
            node,
            acts_as: PhantomData,
        })
    }
}

/// Exclusive access to the value of an [`McsLock`]; dropping it unlocks.
#[must_use = "a guard that is dropped at once protects nothing"]
pub struct McsGuard<'a, T> {
    lock: &'a McsLock<T>,
    node: NonNull<Node>,
    acts_as: PhantomData<&'a mut T>,
}

// SAFETY: a shared guard gives out a `&T` and nothing else.
unsafe impl<T: Sync> Sync for McsGuard<'_, T> {}

impl<T> Deref for McsGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: this is the only guard: the lock was free, or its last owner has made us the next. The borrow of it
        // rules out a `&mut T` made by `deref_mut`. The Acquire that let us in ordered all earlier writes before us.
        self.lock.value.with(|value| unsafe { &*value })
    }
}

impl<T> DerefMut for McsGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: as in `deref`, and the exclusive borrow of the guard rules out every other reference to the value.
        self.lock.value.with_mut(|value| unsafe { &mut *value })
    }
}

impl<T> Drop for McsGuard<'_, T> {
    fn drop(&mut self) {
        // SAFETY: freed below.
        let node = unsafe { self.node.as_ref() };
        // Acquire, here and below: pairs with the Release store of `next` in `lock`. The successor made its node before
        // we write to it, and is done with ours before we free it.
        let mut next = node.next.load(Acquire);
        if next.is_null() {
            let free = self.lock.tail.compare_exchange(
                self.node.as_ptr(),
                null_mut(),
                // Release: pairs with the Acquire of whoever finds the lock free.
                Release,
                Relaxed,
            );
            if free.is_err() {
                // Somebody has taken the place behind us and has not told us yet who it is.
                wait_until(|| {
                    next = node.next.load(Acquire);
                    !next.is_null()
                });
            }
        }
        if let Some(next) = NonNull::new(next) {
            // SAFETY: the successor waits for this store and frees its node only later; we do not touch it again.
            // Release: pairs with the Acquire with which it waits.
            unsafe { next.as_ref() }.granted.store(true, Release);
        }
        // SAFETY: either nobody came behind us and the tail no longer points here, or the successor has set `next` and
        // will not look back; the predecessor let go of it when it let us in.
        unsafe { Node::free(self.node) };
    }
}
