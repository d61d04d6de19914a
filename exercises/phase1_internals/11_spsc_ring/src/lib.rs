//! A bounded queue from one thread to one other that never makes either of them wait. The task is in `README.md`.
#![allow(dead_code, unused_variables)] // Delete this line when you start: from then on the compiler helps you.

use std::mem::MaybeUninit;

use kata::cell::UnsafeCell;
use kata::sync::Arc;

/// What the two handles share.
struct Ring<T> {
    /// Where the values lie. Some of the slots hold one and some do not: that is for you to know, not for the compiler.
    slots: Box<[UnsafeCell<MaybeUninit<T>>]>,
    // Whatever else the two sides have to tell each other.
}

/// A ring with room for `capacity` values, as its two ends.
///
/// Values come out in the order in which they went in. All memory is allocated here; neither end ever allocates again.
/// Either end may be dropped first. The values that are left are dropped, each once, when both ends are gone.
///
/// # Panics
///
/// With "the capacity of a ring must be at least 1" if `capacity` is 0.
///
/// # Examples
///
/// ```no_run
/// let (mut producer, mut consumer) = spsc_ring::channel(2);
/// assert_eq!(producer.push('a'), Ok(()));
/// assert_eq!(producer.push('b'), Ok(()));
/// assert_eq!(producer.push('c'), Err('c'));
///
/// assert_eq!(consumer.pop(), Some('a'));
/// assert_eq!(consumer.pop(), Some('b'));
/// assert_eq!(consumer.pop(), None);
/// ```
pub fn channel<T>(capacity: usize) -> (Producer<T>, Consumer<T>) {
    channel_starting_at(capacity, 0)
}

/// As [`channel`], and as if `start` values had gone through the ring already. For the checks only.
///
/// If you number values or slots on and on, the first one gets the number `start`: the checks can then watch the numbers
/// pass `usize::MAX` without waiting for a century. If nothing of yours ever grows that large, ignore `start`.
#[doc(hidden)]
pub fn channel_starting_at<T>(capacity: usize, start: usize) -> (Producer<T>, Consumer<T>) {
    todo!()
}

/// The end of a ring that values go into.
///
/// There is one for each ring. It may be moved to any thread if the values may.
pub struct Producer<T> {
    ring: Arc<Ring<T>>,
}

// SAFETY: none yet. As it stands this line says that the producer may move to another thread whatever it sends, even an
// `Rc`. That is false. What must `T` promise for it to become true?
unsafe impl<T> Send for Producer<T> {}

impl<T> Producer<T> {
    /// Appends `value`, in a bounded number of steps whatever the consumer does.
    ///
    /// # Errors
    ///
    /// With `value` itself if the ring is full.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # let (mut producer, consumer) = spsc_ring::channel(1024);
    /// # let sample = 0.5;
    /// // An audio thread must not wait, so it drops what the other side is too slow for, and can say so.
    /// if let Err(sample) = producer.push(sample) {
    ///     eprintln!("lost {sample}");
    /// }
    /// ```
    pub fn push(&mut self, value: T) -> Result<(), T> {
        todo!()
    }

    /// How many values the ring has room for: what was given to [`channel`].
    pub fn capacity(&self) -> usize {
        todo!()
    }

    /// How many values are in the ring, at most: the consumer may be taking some out.
    ///
    /// The next `capacity() - len()` calls of [`push`](Self::push) succeed.
    pub fn len(&self) -> usize {
        todo!()
    }

    /// Whether the ring is empty. If it is, it stays so until the next [`push`](Self::push).
    pub fn is_empty(&self) -> bool {
        todo!()
    }
}

/// The end of a ring that values come out of.
///
/// There is one for each ring. It may be moved to any thread if the values may.
pub struct Consumer<T> {
    ring: Arc<Ring<T>>,
}

// SAFETY: none yet, as above.
unsafe impl<T> Send for Consumer<T> {}

impl<T> Consumer<T> {
    /// Takes the oldest value, in a bounded number of steps whatever the producer does.
    ///
    /// `None` means that the ring was empty, not that there will be no more: the producer may be at work.
    pub fn pop(&mut self) -> Option<T> {
        todo!()
    }

    /// How many values the ring has room for: what was given to [`channel`].
    pub fn capacity(&self) -> usize {
        todo!()
    }

    /// How many values are in the ring, at least: the producer may be putting more in.
    ///
    /// The next `len()` calls of [`pop`](Self::pop) succeed.
    pub fn len(&self) -> usize {
        todo!()
    }

    /// Whether the ring is empty. If it is not, it stays so until the next [`pop`](Self::pop).
    pub fn is_empty(&self) -> bool {
        todo!()
    }
}
