//! A counter that many threads can add to without getting in each other's way. The task is in `README.md`.
#![allow(dead_code, unused_variables)] // Delete this line when you start: from then on the compiler helps you.

use std::ops::{Deref, DerefMut};

/// A value that shares no cache line with anything else, nor the pair of lines that some processors fetch together.
///
/// It begins at a multiple of 128 bytes, and the next value of an array of them begins 128 bytes or more after it.
///
/// # Examples
///
/// ```no_run
/// use sharded_counter::CachePadded;
///
/// let mut flags = [CachePadded::new(false), CachePadded::new(false)];
/// *flags[1] = true;
/// assert!(!*flags[0]);
/// assert!(flags[1].into_inner());
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CachePadded<T> {
    value: T,
}

impl<T> CachePadded<T> {
    /// Pads `value`.
    pub const fn new(value: T) -> Self {
        todo!()
    }

    /// The value without its padding.
    pub fn into_inner(self) -> T {
        todo!()
    }
}

impl<T> Deref for CachePadded<T> {
    type Target = T;

    fn deref(&self) -> &T {
        todo!()
    }
}

impl<T> DerefMut for CachePadded<T> {
    fn deref_mut(&mut self) -> &mut T {
        todo!()
    }
}

/// A counter for events that many threads count and few ever ask for.
///
/// It consists of *shards*, and each thread adds to one of them. Threads are dealt out to the shards in turn, in the
/// order in which they first count something: as long as no more threads than shards count anything, no two share one. (They
/// may be numbered for each counter or for all together.) A thread keeps to its shard for good.
///
/// Counts modulo 2⁶⁴. Adding orders nothing but the number itself: whoever reads it may conclude nothing about what else
/// the adding threads have written.
///
/// # Examples
///
/// ```no_run
/// use sharded_counter::Counter;
///
/// let requests = Counter::with_shards(8);
/// std::thread::scope(|scope| {
///     for _ in 0..4 {
///         scope.spawn(|| requests.add(1));
///     }
/// });
/// assert_eq!(requests.sum(), 4);
/// ```
pub struct Counter {
    // What the shards are, and how they lie in memory, is for you to say.
}

impl Counter {
    /// A counter at 0 with room for `shards` threads that do not disturb each other. More threads than that may count
    /// as well.
    ///
    /// # Panics
    ///
    /// With "a counter needs at least one shard" if `shards` is 0.
    pub fn with_shards(shards: usize) -> Self {
        todo!()
    }

    /// Adds `amount`, without ever waiting for another thread.
    pub fn add(&self, amount: u64) {
        todo!()
    }

    /// What has been added so far, without waiting.
    ///
    /// Exact if nobody is adding: everything that happened before this call is in it. Otherwise it lies between the
    /// number at the beginning and the number at the end of the call. As long as nobody resets the counter, a later
    /// call never gives less than an earlier one.
    pub fn sum(&self) -> u64 {
        todo!()
    }

    /// Takes out what has been added, and returns it, without waiting.
    ///
    /// Whatever is added is taken out exactly once, by one `reset_sum` or another, or is still in: the results of all
    /// resets and what is left are what was added in all.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # let requests = sharded_counter::Counter::with_shards(8);
    /// // Once a minute. Requests that come meanwhile are reported a minute later, and none is forgotten.
    /// println!("{} requests", requests.reset_sum());
    /// ```
    pub fn reset_sum(&self) -> u64 {
        todo!()
    }

    /// The address of the memory that each shard counts in, one for each shard. For the checks only: they cannot know
    /// what your shards are.
    #[doc(hidden)]
    pub fn shard_addresses(&self) -> Vec<usize> {
        todo!()
    }
}
