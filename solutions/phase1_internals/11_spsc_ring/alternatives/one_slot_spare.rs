//! Lamport's ring as it stands in textbooks: one slot more than values, indices that stay below the number of slots,
//! both read from the shared atomics each time. Written in the frame of the stub.

use std::mem::MaybeUninit;

use kata::cell::UnsafeCell;
use kata::sync::Arc;
use kata::sync::atomic::AtomicUsize;
use kata::sync::atomic::Ordering::{Acquire, Relaxed, Release};

struct Ring<T> {
    slots: Box<[UnsafeCell<MaybeUninit<T>>]>,
    /// The slot to pop from next.
    read: AtomicUsize,
    /// The slot to push into next. The ring is empty if it is `read` and full if `read` comes right after it.
    write: AtomicUsize,
}

impl<T> Ring<T> {
    fn after(&self, slot: usize) -> usize {
        if slot + 1 == self.slots.len() {
            0
        } else {
            slot + 1
        }
    }

    fn len(&self) -> usize {
        let (read, write) = (self.read.load(Relaxed), self.write.load(Relaxed));
        if write >= read {
            write - read
        } else {
            write + self.slots.len() - read
        }
    }
}

impl<T> Drop for Ring<T> {
    fn drop(&mut self) {
        // Relaxed: both ends are gone, and the `Arc` has ordered all they did before this.
        let (mut read, write) = (self.read.load(Relaxed), self.write.load(Relaxed));
        while read != write {
            // SAFETY: from `read` to `write` there are values, and nobody else to use them.
            unsafe { self.slots[read].get_mut().assume_init_drop() };
            read = self.after(read);
        }
    }
}

pub fn channel<T>(capacity: usize) -> (Producer<T>, Consumer<T>) {
    channel_starting_at(capacity, 0)
}

#[doc(hidden)]
pub fn channel_starting_at<T>(capacity: usize, _start: usize) -> (Producer<T>, Consumer<T>) {
    if capacity == 0 {
        panic!("the capacity of a ring must be at least 1");
    }
    let mut slots = Vec::new();
    for _ in 0..capacity + 1 {
        slots.push(UnsafeCell::new(MaybeUninit::uninit()));
    }
    let ring = Arc::new(Ring {
        slots: slots.into_boxed_slice(),
        read: AtomicUsize::new(0),
        write: AtomicUsize::new(0),
    });
    (Producer { ring: ring.clone() }, Consumer { ring })
}

pub struct Producer<T> {
    ring: Arc<Ring<T>>,
}

// SAFETY: values that are pushed come out on another thread.
unsafe impl<T: Send> Send for Producer<T> {}

impl<T> Producer<T> {
    pub fn push(&mut self, value: T) -> Result<(), T> {
        let write = self.ring.write.load(Relaxed); // nobody else writes it
        let next = self.ring.after(write);
        // Acquire: pairs with the Release in `pop`.
        if next == self.ring.read.load(Acquire) {
            return Err(value);
        }
        // SAFETY: the slot is free, and the consumer stays away until `write` has moved on.
        self.ring.slots[write].with_mut(|slot| unsafe { slot.write(MaybeUninit::new(value)) });
        self.ring.write.store(next, Release); // pairs with the Acquire in `pop`
        Ok(())
    }

    pub fn capacity(&self) -> usize {
        self.ring.slots.len() - 1
    }

    pub fn len(&self) -> usize {
        self.ring.len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

pub struct Consumer<T> {
    ring: Arc<Ring<T>>,
}

// SAFETY: values that are popped come from another thread.
unsafe impl<T: Send> Send for Consumer<T> {}

impl<T> Consumer<T> {
    pub fn pop(&mut self) -> Option<T> {
        let read = self.ring.read.load(Relaxed); // nobody else writes it
        // Acquire: pairs with the Release in `push`.
        if read == self.ring.write.load(Acquire) {
            return None;
        }
        // SAFETY: there is a value, and the producer stays away until `read` has moved on.
        let value = self.ring.slots[read].with(|slot| unsafe { slot.read().assume_init() });
        self.ring.read.store(self.ring.after(read), Release); // pairs with the Acquire in `push`
        Some(value)
    }

    pub fn capacity(&self) -> usize {
        self.ring.slots.len() - 1
    }

    pub fn len(&self) -> usize {
        self.ring.len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
