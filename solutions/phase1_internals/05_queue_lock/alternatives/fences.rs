//! Fences in place of ordered accesses, as far as they go: a Release fence orders what comes before it, and not the store
//! behind it. The two stores that say "I am done with your node" are themselves a use of the node, so they carry the
//! Release on their own.

use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};
use std::ptr::null_mut;

use kata::cell::UnsafeCell;
use kata::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use kata::sync::atomic::{AtomicBool, AtomicPtr, AtomicUsize, fence};
use kata::{hint, thread};

fn pause(looks: &mut usize) {
    *looks += 1;
    if *looks > 100 {
        thread::yield_now();
    } else {
        hint::spin_loop();
    }
}

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

    fn enter(&self, ticket: usize) -> TicketGuard<'_, T> {
        // Pairs with the Release fence of the unlock.
        fence(Acquire);
        TicketGuard {
            lock: self,
            ticket,
            acts_as: PhantomData,
        }
    }

    pub fn lock(&self) -> TicketGuard<'_, T> {
        let ticket = self.next.fetch_add(1, Relaxed);
        let mut looks = 0;
        while self.serving.load(Relaxed) != ticket {
            pause(&mut looks);
        }
        self.enter(ticket)
    }

    pub fn try_lock(&self) -> Option<TicketGuard<'_, T>> {
        let ticket = self.serving.load(Relaxed);
        let next = ticket.wrapping_add(1);
        match self.next.compare_exchange(ticket, next, Relaxed, Relaxed) {
            Ok(_) => Some(self.enter(ticket)),
            Err(_) => None,
        }
    }
}

#[must_use = "a guard that is dropped at once protects nothing"]
pub struct TicketGuard<'a, T> {
    lock: &'a TicketLock<T>,
    ticket: usize,
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
        fence(Release);
        self.lock
            .serving
            .store(self.ticket.wrapping_add(1), Relaxed);
    }
}

pub struct McsLock<T> {
    tail: AtomicPtr<Node>,
    value: UnsafeCell<T>,
}

struct Node {
    waits: AtomicBool,
    next: AtomicPtr<Node>,
}

// SAFETY: as for the ticket lock.
unsafe impl<T: Send> Sync for McsLock<T> {}

impl<T> McsLock<T> {
    pub fn new(value: T) -> Self {
        Self {
            tail: AtomicPtr::new(null_mut()),
            value: UnsafeCell::new(value),
        }
    }

    fn node() -> *mut Node {
        let node = Box::into_raw(Box::new(Node {
            waits: AtomicBool::new(true),
            next: AtomicPtr::new(null_mut()),
        }));
        // Pairs with the Acquire fences of those who read its address.
        fence(Release);
        node
    }

    fn enter(&self, node: *mut Node) -> McsGuard<'_, T> {
        McsGuard { lock: self, node }
    }

    pub fn lock(&self) -> McsGuard<'_, T> {
        let node = Self::node();
        let predecessor = self.tail.swap(node, Relaxed);
        // Pairs with the Release fences of an unlock and of `node`.
        fence(Acquire);
        if !predecessor.is_null() {
            // SAFETY: the predecessor keeps its node until it has seen the link, and ours is our guard's.
            unsafe {
                (*predecessor).next.store(node, Release);
                let mut looks = 0;
                while (*node).waits.load(Relaxed) {
                    pause(&mut looks);
                }
            }
            fence(Acquire);
        }
        self.enter(node)
    }

    pub fn try_lock(&self) -> Option<McsGuard<'_, T>> {
        let node = Self::node();
        let result = self
            .tail
            .compare_exchange(null_mut(), node, Relaxed, Relaxed);
        fence(Acquire);
        if result.is_err() {
            // SAFETY: nobody else has its address.
            drop(unsafe { Box::from_raw(node) });
            return None;
        }
        Some(self.enter(node))
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
        // For whoever finds the lock free.
        fence(Release);
        let tail = &self.lock.tail;
        if tail
            .compare_exchange(self.node, null_mut(), Relaxed, Relaxed)
            .is_err()
        {
            // SAFETY: somebody is behind us, and keeps its node until we have let it in.
            unsafe {
                let mut looks = 0;
                while (*self.node).next.load(Relaxed).is_null() {
                    pause(&mut looks);
                }
                // The successor made its node before, and is done with ours.
                fence(Acquire);
                (*(*self.node).next.load(Relaxed))
                    .waits
                    .store(false, Release);
            }
        }
        // SAFETY: nobody else has its address any more.
        drop(unsafe { Box::from_raw(self.node) });
    }
}
