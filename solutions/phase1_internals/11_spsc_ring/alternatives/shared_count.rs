//! A count of the values instead of two indices: both ends change it, with read-modify-writes. Slower, and right.

use std::mem::MaybeUninit;

use kata::cell::UnsafeCell;
use kata::sync::Arc;
use kata::sync::atomic::AtomicUsize;
use kata::sync::atomic::Ordering::{Acquire, Relaxed, Release};

struct Ring<T> {
    count: AtomicUsize,
    /// Where the oldest value is, for the end of the ring. The consumer's place while there is a consumer.
    oldest: UnsafeCell<usize>,
    slots: Vec<UnsafeCell<MaybeUninit<T>>>,
}

// SAFETY: the count gives each slot to one of the two ends at a time.
unsafe impl<T: Send> Sync for Ring<T> {}

impl<T> Drop for Ring<T> {
    fn drop(&mut self) {
        let (oldest, count) = (*self.oldest.get_mut(), *self.count.get_mut());
        let capacity = self.slots.len();
        for place in oldest..oldest + count {
            // SAFETY: `count` values from the oldest one on are in the ring.
            unsafe { self.slots[place % capacity].get_mut().assume_init_drop() };
        }
    }
}

pub fn channel<T>(capacity: usize) -> (Producer<T>, Consumer<T>) {
    channel_starting_at(capacity, 0)
}

#[doc(hidden)]
pub fn channel_starting_at<T>(capacity: usize, _start: usize) -> (Producer<T>, Consumer<T>) {
    assert!(capacity >= 1, "the capacity of a ring must be at least 1");
    let ring = Arc::new(Ring {
        count: AtomicUsize::new(0),
        oldest: UnsafeCell::new(0),
        slots: (0..capacity)
            .map(|_| UnsafeCell::new(MaybeUninit::uninit()))
            .collect(),
    });
    (
        Producer {
            ring: ring.clone(),
            place: 0,
        },
        Consumer { ring },
    )
}

pub struct Producer<T> {
    ring: Arc<Ring<T>>,
    place: usize,
}

impl<T> Producer<T> {
    pub fn push(&mut self, value: T) -> Result<(), T> {
        // Acquire: pairs with the Release of `fetch_sub` in `pop`.
        if self.ring.count.load(Acquire) == self.ring.slots.len() {
            return Err(value);
        }
        self.ring.slots[self.place].with_mut(|slot| {
            // SAFETY: there are fewer values than slots, so the one after the newest is free.
            unsafe { (*slot).write(value) };
        });
        self.place = (self.place + 1) % self.ring.slots.len();
        self.ring.count.fetch_add(1, Release); // pairs with the Acquire in `pop`
        Ok(())
    }

    pub fn capacity(&self) -> usize {
        self.ring.slots.len()
    }

    pub fn len(&self) -> usize {
        self.ring.count.load(Relaxed)
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

pub struct Consumer<T> {
    ring: Arc<Ring<T>>,
}

impl<T> Consumer<T> {
    pub fn pop(&mut self) -> Option<T> {
        // Acquire: pairs with the Release of `fetch_add` in `push`.
        if self.ring.count.load(Acquire) == 0 {
            return None;
        }
        // SAFETY: only the consumer, and after it the end of the ring, uses `oldest`.
        let place = self.ring.oldest.with(|oldest| unsafe { *oldest });
        // SAFETY: there is a value, and this is where the oldest one lies.
        let value = self.ring.slots[place].with(|slot| unsafe { (*slot).assume_init_read() });
        let next = (place + 1) % self.ring.slots.len();
        // SAFETY: as above.
        self.ring
            .oldest
            .with_mut(|oldest| unsafe { *oldest = next });
        self.ring.count.fetch_sub(1, Release); // pairs with the Acquire in `push`
        Some(value)
    }

    pub fn capacity(&self) -> usize {
        self.ring.slots.len()
    }

    pub fn len(&self) -> usize {
        self.ring.count.load(Relaxed)
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
