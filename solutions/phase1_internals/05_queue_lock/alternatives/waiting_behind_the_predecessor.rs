//! A ticket lock whose guard knows no number, and in place of the MCS queue that of Craig and of Landin and Hagersten:
//! each waiter looks at the node of its predecessor, so nobody needs to be told who comes behind, and there is no window.
//! The node of an owner is freed by its successor. Unlike theirs, the queue is empty, and its tail null, while the lock
//! is free.

use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};
use std::ptr;

use kata::cell::UnsafeCell;
use kata::hint::spin_loop;
use kata::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};
use kata::sync::atomic::{AtomicBool, AtomicPtr, AtomicU32};
use kata::thread::yield_now;

pub struct TicketLock<T> {
    serving: AtomicU32,
    next: AtomicU32,
    value: UnsafeCell<T>,
}

// SAFETY: the lock hands the value from thread to thread and never shows it to two.
unsafe impl<T: Send> Sync for TicketLock<T> {}

impl<T> TicketLock<T> {
    pub fn new(value: T) -> Self {
        Self {
            serving: AtomicU32::new(0),
            next: AtomicU32::new(0),
            value: UnsafeCell::new(value),
        }
    }

    pub fn lock(&self) -> TicketGuard<'_, T> {
        let mine = self.next.fetch_add(1, Relaxed);
        loop {
            // Acquire: pairs with the Release of the unlock.
            let ahead = mine.wrapping_sub(self.serving.load(Acquire));
            if ahead == 0 {
                return TicketGuard {
                    lock: self,
                    acts_as: PhantomData,
                };
            }
            // The longer the queue, the later the next look; with a long one, somebody else had better run.
            for _ in 0..ahead.min(8) {
                spin_loop();
            }
            if ahead > 1 {
                yield_now();
            }
        }
    }

    pub fn try_lock(&self) -> Option<TicketGuard<'_, T>> {
        let serving = self.serving.load(Acquire);
        while let Err(next) =
            self.next
                .compare_exchange_weak(serving, serving.wrapping_add(1), Relaxed, Relaxed)
        {
            if next != serving {
                return None;
            }
        }
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
        // Release: pairs with the Acquire loads.
        self.lock.serving.fetch_add(1, Release);
    }
}

pub struct McsLock<T> {
    tail: AtomicPtr<Node>,
    value: UnsafeCell<T>,
}

struct Node {
    /// Whether the owner of the node still waits or works.
    busy: AtomicBool,
}

impl Node {
    fn new() -> *mut Self {
        Box::into_raw(Box::new(Self {
            busy: AtomicBool::new(true),
        }))
    }
}

// SAFETY: as for the ticket lock.
unsafe impl<T: Send> Sync for McsLock<T> {}

impl<T> McsLock<T> {
    pub fn new(value: T) -> Self {
        Self {
            tail: AtomicPtr::new(ptr::null_mut()),
            value: UnsafeCell::new(value),
        }
    }

    pub fn lock(&self) -> McsGuard<'_, T> {
        let node = Node::new();
        // AcqRel: pairs with itself, so that nodes are seen made; and with the Release of an unlock.
        let predecessor = self.tail.swap(node, AcqRel);
        if !predecessor.is_null() {
            // SAFETY: its owner found that the tail had moved on, and leaves it to us.
            unsafe {
                while (*predecessor).busy.load(Acquire) {
                    spin_loop();
                }
                drop(Box::from_raw(predecessor));
            }
        }
        McsGuard { lock: self, node }
    }

    pub fn try_lock(&self) -> Option<McsGuard<'_, T>> {
        if !self.tail.load(Relaxed).is_null() {
            return None;
        }
        let node = Node::new();
        match self
            .tail
            .compare_exchange(ptr::null_mut(), node, AcqRel, Relaxed)
        {
            Ok(_) => Some(McsGuard { lock: self, node }),
            Err(_) => {
                // SAFETY: nobody else has seen it.
                unsafe { drop(Box::from_raw(node)) };
                None
            }
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
// SAFETY: any thread may unlock.
unsafe impl<T: Send> Send for McsGuard<'_, T> {}

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
        let last = self
            .lock
            .tail
            .compare_exchange(self.node, ptr::null_mut(), Release, Relaxed);
        // SAFETY: the node is still ours; from the store on it is the successor's.
        unsafe {
            match last {
                Ok(_) => drop(Box::from_raw(self.node)),
                Err(_) => (*self.node).busy.store(false, Release),
            }
        }
    }
}
