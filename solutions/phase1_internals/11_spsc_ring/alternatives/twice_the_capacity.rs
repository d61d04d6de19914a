//! Exactly as many slots as values, and positions from 0 to twice the capacity, so that full differs from empty: what the
//! `rtrb` crate does. The ring is shared by a raw pointer that the second end to go frees.

use std::mem::MaybeUninit;
use std::ptr::NonNull;

use kata::cell::UnsafeCell;
use kata::sync::atomic::AtomicBool;
use kata::sync::atomic::AtomicUsize;
use kata::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};

struct Ring<T> {
    head: AtomicUsize,
    tail: AtomicUsize,
    abandoned: AtomicBool,
    slots: Vec<UnsafeCell<MaybeUninit<T>>>,
}

impl<T> Ring<T> {
    fn slot(&self, position: usize) -> &UnsafeCell<MaybeUninit<T>> {
        let capacity = self.slots.len();
        &self.slots[if position < capacity {
            position
        } else {
            position - capacity
        }]
    }

    fn after(&self, position: usize) -> usize {
        if position == 2 * self.slots.len() - 1 {
            0
        } else {
            position + 1
        }
    }

    fn distance(&self, from: usize, to: usize) -> usize {
        if from <= to {
            to - from
        } else {
            2 * self.slots.len() - from + to
        }
    }
}

/// Drops the ring for the second end that asks for it.
fn abandon<T>(ring: NonNull<Ring<T>>) {
    // SAFETY: the ring is there until both ends have been here.
    let shared = unsafe { ring.as_ref() };
    // AcqRel: the first one hands over all it did to the ring, the second one takes it.
    if shared.abandoned.swap(true, AcqRel) {
        // SAFETY: it came from a `Box`, and the other end is gone.
        let ring = unsafe { Box::from_raw(ring.as_ptr()) };
        let (mut head, tail) = (ring.head.load(Relaxed), ring.tail.load(Relaxed));
        while head != tail {
            // SAFETY: from `head` to `tail` there are values.
            ring.slot(head)
                .with_mut(|slot| unsafe { (*slot).assume_init_drop() });
            head = ring.after(head);
        }
    }
}

pub fn channel<T>(capacity: usize) -> (Producer<T>, Consumer<T>) {
    channel_starting_at(capacity, 0)
}

#[doc(hidden)]
pub fn channel_starting_at<T>(capacity: usize, start: usize) -> (Producer<T>, Consumer<T>) {
    assert!(capacity != 0, "the capacity of a ring must be at least 1");
    let start = start % (2 * capacity);
    let ring = Box::new(Ring {
        head: AtomicUsize::new(start),
        tail: AtomicUsize::new(start),
        abandoned: AtomicBool::new(false),
        slots: (0..capacity)
            .map(|_| UnsafeCell::new(MaybeUninit::uninit()))
            .collect(),
    });
    let ring = NonNull::from(Box::leak(ring));
    (
        Producer {
            ring,
            seen_head: start,
        },
        Consumer {
            ring,
            seen_tail: start,
        },
    )
}

pub struct Producer<T> {
    ring: NonNull<Ring<T>>,
    seen_head: usize,
}

// SAFETY: values move from the thread of one end to that of the other.
unsafe impl<T: Send> Send for Producer<T> {}

// SAFETY: a shared producer gives out numbers only.
unsafe impl<T> Sync for Producer<T> {}

impl<T> Producer<T> {
    fn ring(&self) -> &Ring<T> {
        // SAFETY: this end has not abandoned the ring.
        unsafe { self.ring.as_ref() }
    }

    pub fn push(&mut self, value: T) -> Result<(), T> {
        let capacity = self.capacity();
        let tail = self.ring().tail.load(Relaxed); // nobody else writes it
        if self.ring().distance(self.seen_head, tail) == capacity {
            self.seen_head = self.ring().head.load(Acquire); // pairs with the Release in `pop`
            if self.ring().distance(self.seen_head, tail) == capacity {
                return Err(value);
            }
        }
        self.ring().slot(tail).with_mut(|slot| {
            // SAFETY: the slot is free, and the consumer stays away until `tail` has moved on.
            unsafe { (*slot).write(value) };
        });
        self.ring().tail.store(self.ring().after(tail), Release); // pairs with the Acquire in `pop`
        Ok(())
    }

    pub fn capacity(&self) -> usize {
        self.ring().slots.len()
    }

    pub fn len(&self) -> usize {
        let ring = self.ring();
        ring.distance(ring.head.load(Relaxed), ring.tail.load(Relaxed))
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl<T> Drop for Producer<T> {
    fn drop(&mut self) {
        abandon(self.ring);
    }
}

pub struct Consumer<T> {
    ring: NonNull<Ring<T>>,
    seen_tail: usize,
}

// SAFETY: values move from the thread of one end to that of the other.
unsafe impl<T: Send> Send for Consumer<T> {}

// SAFETY: a shared consumer gives out numbers only.
unsafe impl<T> Sync for Consumer<T> {}

impl<T> Consumer<T> {
    fn ring(&self) -> &Ring<T> {
        // SAFETY: this end has not abandoned the ring.
        unsafe { self.ring.as_ref() }
    }

    pub fn pop(&mut self) -> Option<T> {
        let head = self.ring().head.load(Relaxed); // nobody else writes it
        if head == self.seen_tail {
            self.seen_tail = self.ring().tail.load(Acquire); // pairs with the Release in `push`
            if head == self.seen_tail {
                return None;
            }
        }
        // SAFETY: there is a value, and the producer stays away until `head` has moved on.
        let value = self
            .ring()
            .slot(head)
            .with(|slot| unsafe { (*slot).assume_init_read() });
        self.ring().head.store(self.ring().after(head), Release); // pairs with the Acquire in `push`
        Some(value)
    }

    pub fn capacity(&self) -> usize {
        self.ring().slots.len()
    }

    pub fn len(&self) -> usize {
        let ring = self.ring();
        ring.distance(ring.head.load(Relaxed), ring.tail.load(Relaxed))
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl<T> Drop for Consumer<T> {
    fn drop(&mut self) {
        abandon(self.ring);
    }
}
