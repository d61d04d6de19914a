//! The strongest ordering everywhere, and an MCS lock that keeps one node for the next thread to come, so that an
//! uncontended `lock` allocates nothing.

use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};
use std::ptr::null_mut;

use kata::cell::UnsafeCell;
use kata::sync::atomic::Ordering::SeqCst;
use kata::sync::atomic::{AtomicPtr, AtomicUsize};
use kata::thread::yield_now;

pub struct TicketLock<T> {
    next: AtomicUsize,
    serving: AtomicUsize,
    value: UnsafeCell<T>,
}

// SAFETY: the lock hands the value from thread to thread and never shows it to two.
unsafe impl<T: Send> Sync for TicketLock<T> {}

impl<T> TicketLock<T> {
    pub fn new(value: T) -> Self {
        Self {
            next: AtomicUsize::new(0),
            serving: AtomicUsize::new(0),
            value: UnsafeCell::new(value),
        }
    }

    pub fn lock(&self) -> TicketGuard<'_, T> {
        let mut ticket = self.next.load(SeqCst);
        while let Err(now) =
            self.next
                .compare_exchange_weak(ticket, ticket.wrapping_add(1), SeqCst, SeqCst)
        {
            ticket = now;
        }
        while self.serving.load(SeqCst) != ticket {
            yield_now();
        }
        TicketGuard {
            lock: self,
            acts_as: PhantomData,
        }
    }

    pub fn try_lock(&self) -> Option<TicketGuard<'_, T>> {
        let next = self.next.load(SeqCst);
        if self.serving.load(SeqCst) != next {
            return None;
        }
        self.next
            .compare_exchange(next, next.wrapping_add(1), SeqCst, SeqCst)
            .ok()?;
        Some(TicketGuard {
            lock: self,
            acts_as: PhantomData,
        })
    }
}

#[must_use = "a guard that is dropped at once protects nothing"]
pub struct TicketGuard<'a, T> {
    lock: &'a TicketLock<T>,
    acts_as: PhantomData<&'a mut T>,
}

impl<T> Deref for TicketGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: this is the only guard, and it is borrowed shared.
        self.lock.value.with(|value| unsafe { &*value })
    }
}

impl<T> DerefMut for TicketGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: this is the only guard, and it is borrowed exclusively.
        self.lock.value.with_mut(|value| unsafe { &mut *value })
    }
}

impl<T> Drop for TicketGuard<'_, T> {
    fn drop(&mut self) {
        let served = self.lock.serving.load(SeqCst);
        self.lock.serving.store(served.wrapping_add(1), SeqCst);
    }
}

const WAITS: usize = 0;
const OWNS: usize = 1;

pub struct McsLock<T> {
    tail: AtomicPtr<Node>,
    /// A node that nobody uses, or null.
    spare: AtomicPtr<Node>,
    value: UnsafeCell<T>,
}

struct Node {
    state: AtomicUsize,
    next: AtomicPtr<Node>,
}

// SAFETY: as for the ticket lock.
unsafe impl<T: Send> Sync for McsLock<T> {}

impl<T> McsLock<T> {
    pub fn new(value: T) -> Self {
        Self {
            tail: AtomicPtr::default(),
            spare: AtomicPtr::default(),
            value: UnsafeCell::new(value),
        }
    }

    fn take_node(&self) -> *mut Node {
        let spare = self.spare.swap(null_mut(), SeqCst);
        if spare.is_null() {
            return Box::into_raw(Box::new(Node {
                state: AtomicUsize::new(WAITS),
                next: AtomicPtr::default(),
            }));
        }
        // SAFETY: it was nobody's, and is ours now.
        let node = unsafe { &*spare };
        node.state.store(WAITS, SeqCst);
        node.next.store(null_mut(), SeqCst);
        spare
    }

    fn give_node(&self, node: *mut Node) {
        if self
            .spare
            .compare_exchange(null_mut(), node, SeqCst, SeqCst)
            .is_err()
        {
            // SAFETY: there is a spare one, and nobody knows this one.
            drop(unsafe { Box::from_raw(node) });
        }
    }

    pub fn lock(&self) -> McsGuard<'_, T> {
        let node = self.take_node();
        let before = self.tail.swap(node, SeqCst);
        if !before.is_null() {
            // SAFETY: the predecessor keeps its node until it knows us, and ours is our guard's.
            unsafe {
                (*before).next.store(node, SeqCst);
                while (*node).state.load(SeqCst) != OWNS {
                    yield_now();
                }
            }
        }
        McsGuard { lock: self, node }
    }

    pub fn try_lock(&self) -> Option<McsGuard<'_, T>> {
        let node = self.take_node();
        let taken = self
            .tail
            .compare_exchange(null_mut(), node, SeqCst, SeqCst)
            .is_err();
        if taken {
            self.give_node(node);
            return None;
        }
        Some(McsGuard { lock: self, node })
    }
}

impl<T> Drop for McsLock<T> {
    fn drop(&mut self) {
        let spare = self.spare.swap(null_mut(), SeqCst);
        if !spare.is_null() {
            // SAFETY: nobody uses it.
            drop(unsafe { Box::from_raw(spare) });
        }
    }
}

#[must_use = "a guard that is dropped at once protects nothing"]
pub struct McsGuard<'a, T> {
    lock: &'a McsLock<T>,
    node: *mut Node,
}

// SAFETY: a shared guard gives out a `&T` and nothing else.
unsafe impl<T: Sync> Sync for McsGuard<'_, T> {}

impl<T> Deref for McsGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: this is the only guard, and it is borrowed shared.
        self.lock.value.with(|value| unsafe { &*value })
    }
}

impl<T> DerefMut for McsGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: this is the only guard, and it is borrowed exclusively.
        self.lock.value.with_mut(|value| unsafe { &mut *value })
    }
}

impl<T> Drop for McsGuard<'_, T> {
    fn drop(&mut self) {
        let tail = &self.lock.tail;
        if tail
            .compare_exchange(self.node, null_mut(), SeqCst, SeqCst)
            .is_err()
        {
            // SAFETY: somebody is behind us and waits for us.
            unsafe {
                let next = loop {
                    let next = (*self.node).next.load(SeqCst);
                    if !next.is_null() {
                        break next;
                    }
                    yield_now();
                };
                (*next).state.swap(OWNS, SeqCst);
            }
        }
        self.lock.give_node(self.node);
    }
}
