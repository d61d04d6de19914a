//! A bounded wait-free queue for one producer and one consumer.
//!
//! The ring is from Lamport, "Specifying Concurrent Program Modules" (1983). That each side keeps a copy of the other's
//! index and looks again only when the copy says *full* or *empty* is from Lee, Bu and Chandranmenon, "A Lock-Free,
//! Cache-Efficient Shared Ring Buffer for Multi-Core Architectures" (2009), and is what the `rtrb` crate does.

use std::mem::MaybeUninit;

use kata::cell::UnsafeCell;
use kata::sync::Arc;
use kata::sync::atomic::AtomicUsize;
use kata::sync::atomic::Ordering::{Acquire, Relaxed, Release};

/// Keeps what one thread writes out of the cache lines that the other one writes.
///
/// 128 and not 64: x86 prefetches lines in pairs, and some ARM cores have lines of 128 bytes.
#[repr(align(128))]
struct CachePadded<T>(T);

/// What the two handles share.
///
/// The *n*-th value has the number `start + n`, modulo 2^64, and lies in slot `number % slots.len()`. Because the number
/// of slots is a power of two, that stays true when the numbers wrap around.
///
/// ```text
///                 head                tail
///                  ▼                   ▼
///   slots    . . . a   b   c   d   e   . . .          head..tail hold values, the rest is free
/// ```
struct Ring<T> {
    /// The number of the oldest value. Only the consumer writes it: behind it lies what the producer may overwrite.
    head: CachePadded<AtomicUsize>,
    /// The number that the next value will have. Only the producer writes it: before it lies what the consumer may read.
    ///
    /// Never behind `head` and never more than `capacity` ahead of it.
    tail: CachePadded<AtomicUsize>,
    /// `capacity` of them, rounded up to a power of two. Those of the numbers from `head` to `tail` hold a value.
    slots: Box<[UnsafeCell<MaybeUninit<T>>]>,
    /// How many values may be in the ring.
    capacity: usize,
}

impl<T> Ring<T> {
    fn slot(&self, number: usize) -> &UnsafeCell<MaybeUninit<T>> {
        // SAFETY: `len` is a power of two, so the mask is below it. The compiler does not know that it is not 0, and would
        // check: a third of the time that a push takes.
        unsafe { self.slots.get_unchecked(number & (self.slots.len() - 1)) }
    }
}

impl<T> Drop for Ring<T> {
    fn drop(&mut self) {
        let (mut head, tail) = (*self.head.0.get_mut(), *self.tail.0.get_mut());
        while head != tail {
            self.slot(head)
                // SAFETY: both handles are gone, so nobody else uses the slot, and slots from `head` to `tail` hold values.
                .with_mut(|slot| unsafe { (*slot).assume_init_drop() });
            head = head.wrapping_add(1);
        }
    }
}

/// A ring with room for `capacity` values, as its two ends.
///
/// It allocates memory for the next power of two, once; neither end ever allocates again.
///
/// # Panics
///
/// With "the capacity of a ring must be at least 1" if `capacity` is 0; if there is not enough memory.
pub fn channel<T>(capacity: usize) -> (Producer<T>, Consumer<T>) {
    channel_starting_at(capacity, 0)
}

/// As [`channel`], with `start` for the number of the first value: so that tests see the numbers wrap around.
#[doc(hidden)]
pub fn channel_starting_at<T>(capacity: usize, start: usize) -> (Producer<T>, Consumer<T>) {
    assert!(capacity > 0, "the capacity of a ring must be at least 1");
    let slots = capacity
        .checked_next_power_of_two()
        .expect("a ring must fit into memory");
    let slots = (0..slots).map(|_| UnsafeCell::new(MaybeUninit::uninit()));
    let ring = Arc::new(Ring {
        head: CachePadded(AtomicUsize::new(start)),
        tail: CachePadded(AtomicUsize::new(start)),
        slots: slots.collect(),
        capacity,
    });
    let producer = Producer {
        ring: Arc::clone(&ring),
        tail: start,
        seen_head: start,
    };
    let consumer = Consumer {
        ring,
        head: start,
        seen_tail: start,
    };
    (producer, consumer)
}

/// The end of a ring that values go into.
pub struct Producer<T> {
    ring: Arc<Ring<T>>,
    /// What `ring.tail` is: nobody else changes it.
    tail: usize,
    /// What `ring.head` was when last looked at. By now it may be further on, so there is at least as much room as this
    /// says.
    seen_head: usize,
}

// SAFETY: moving a producer to another thread moves the values pushed there to the thread of the consumer, and those
// left in the ring to the thread that drops it: `T: Send`. The two never use one slot at the same time, so `T: Sync`
// is not needed.
unsafe impl<T: Send> Send for Producer<T> {}

impl<T> Producer<T> {
    /// Appends `value`, in a bounded number of steps whatever the consumer does.
    ///
    /// # Errors
    ///
    /// With `value` itself if the ring is full.
    #[inline]
    pub fn push(&mut self, value: T) -> Result<(), T> {
        if self.tail.wrapping_sub(self.seen_head) == self.ring.capacity {
            // Acquire: pairs with the Release in `pop`. The consumer has read a slot before it is seen to be free.
            self.seen_head = self.ring.head.0.load(Acquire);
            if self.tail.wrapping_sub(self.seen_head) == self.ring.capacity {
                return Err(value);
            }
        }
        self.ring.slot(self.tail).with_mut(|slot| {
            // SAFETY: there are fewer than `capacity` values from `seen_head` to `tail`, so this slot is free, and the
            // consumer does not use it before it has read a larger `tail`. It holds no value that ought to be dropped.
            unsafe { (*slot).write(value) };
        });
        self.tail = self.tail.wrapping_add(1);
        // Release: pairs with the Acquire in `pop`. The value is in its slot before it is seen to be there.
        self.ring.tail.0.store(self.tail, Release);
        Ok(())
    }

    /// How many values the ring has room for.
    pub fn capacity(&self) -> usize {
        self.ring.capacity
    }

    /// How many values are in the ring, at most: the consumer may be taking some out.
    pub fn len(&self) -> usize {
        // Relaxed: a number, no access to a slot follows from it. No later `push` sees an older `head` than this.
        self.tail.wrapping_sub(self.ring.head.0.load(Relaxed))
    }

    /// Whether the ring is empty. If it is, it stays so until the next `push`.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// The end of a ring that values come out of.
pub struct Consumer<T> {
    ring: Arc<Ring<T>>,
    /// What `ring.head` is: nobody else changes it.
    head: usize,
    /// What `ring.tail` was when last looked at. By now it may be further on, so there are at least as many values as
    /// this says.
    seen_tail: usize,
}

// SAFETY: moving a consumer to another thread moves all values to come to that thread: `T: Send`. The rest is as for the
// producer.
unsafe impl<T: Send> Send for Consumer<T> {}

impl<T> Consumer<T> {
    /// Takes the oldest value, in a bounded number of steps whatever the producer does; `None` if the ring is empty.
    #[inline]
    pub fn pop(&mut self) -> Option<T> {
        if self.head == self.seen_tail {
            // Acquire: pairs with the Release in `push`. A value that is seen to be there is in its slot.
            self.seen_tail = self.ring.tail.0.load(Acquire);
            if self.head == self.seen_tail {
                return None;
            }
        }
        let slot = self.ring.slot(self.head);
        // SAFETY: slots from `head` to `seen_tail` hold values, and the producer does not use them before it has read a
        // larger `head`. The value is read once, because `head` moves on.
        let value = slot.with(|slot| unsafe { (*slot).assume_init_read() });
        self.head = self.head.wrapping_add(1);
        // Release: pairs with the Acquire in `push`. The value is out of its slot before that is seen to be free.
        self.ring.head.0.store(self.head, Release);
        Some(value)
    }

    /// How many values the ring has room for.
    pub fn capacity(&self) -> usize {
        self.ring.capacity
    }

    /// How many values are in the ring, at least: the producer may be putting more in.
    pub fn len(&self) -> usize {
        // Relaxed: a number, no access to a slot follows from it. No later `pop` sees an older `tail` than this.
        self.ring.tail.0.load(Relaxed).wrapping_sub(self.head)
    }

    /// Whether the ring is empty. If it is not, it stays so until the next `pop`.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
