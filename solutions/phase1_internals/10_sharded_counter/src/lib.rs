//! A striped counter: a cell for each of a few threads, each in cache lines of its own.
//!
//! The structure is that of `LongAdder` (Doug Lea, in JDK 8, 2014) and of the per-CPU counters of Linux, without their
//! growing. Threads are numbered instead of hashed, so that no two of the first few meet.

use std::ops::{Deref, DerefMut};
use std::ptr;

use kata::sync::atomic::Ordering::Relaxed;
use kata::sync::atomic::{AtomicU64, AtomicUsize};

/// A value that shares no cache line with anything else.
// 128 bytes: x86 fetches lines of 64 bytes in pairs, and some ARM cores have lines of 128.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(align(128))]
pub struct CachePadded<T> {
    value: T,
}

impl<T> CachePadded<T> {
    /// Pads `value`.
    pub const fn new(value: T) -> Self {
        Self { value }
    }

    /// The value without its padding.
    pub fn into_inner(self) -> T {
        self.value
    }
}

impl<T> Deref for CachePadded<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T> DerefMut for CachePadded<T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.value
    }
}

kata::lazy_static! {
    /// The number of the next thread to count something, in whichever counter.
    static ref THREADS: AtomicUsize = AtomicUsize::new(0);
}

kata::thread_local! {
    /// The number of this thread. It has no destructor, so it can be used in those of other thread-locals.
    // Relaxed: no number is given out twice, and nothing else follows from one.
    static NUMBER: usize = THREADS.fetch_add(1, Relaxed);
}

/// A counter for events that many threads count and few ever ask for.
// All accesses are Relaxed. Each shard has one modification order: a read-modify-write finds the newest value of it, so
// nothing is lost or taken twice, and two reads of one thread never go back in it, so sums grow. What happened before a
// read cannot be missed by it. No access to any other memory follows from a number, so there is no edge to make.
pub struct Counter {
    /// A thread adds to the one at its number, modulo how many there are. What a counter holds is the sum of all.
    shards: Box<[CachePadded<AtomicU64>]>,
}

impl Counter {
    /// A counter at 0 with room for `shards` threads that do not disturb each other.
    ///
    /// # Panics
    ///
    /// If `shards` is 0.
    pub fn with_shards(shards: usize) -> Self {
        assert!(shards > 0, "a counter needs at least one shard");
        let shards = (0..shards).map(|_| CachePadded::new(AtomicU64::new(0)));
        Self {
            shards: shards.collect(),
        }
    }

    /// Adds `amount`, without ever waiting for another thread.
    #[inline]
    pub fn add(&self, amount: u64) {
        let number = NUMBER.with(|number| *number);
        // Not a load and a store: other threads have this shard too if there are many, and `reset_sum` comes by.
        self.shards[number % self.shards.len()].fetch_add(amount, Relaxed);
    }

    /// What has been added so far: exact if nobody is adding, and never less than an earlier sum.
    pub fn sum(&self) -> u64 {
        let counts = self.shards.iter().map(|shard| shard.load(Relaxed));
        counts.fold(0, u64::wrapping_add)
    }

    /// Takes out what has been added, each addition once.
    pub fn reset_sum(&self) -> u64 {
        // One step for each shard: what is added after it stays for the next reset.
        let counts = self.shards.iter().map(|shard| shard.swap(0, Relaxed));
        counts.fold(0, u64::wrapping_add)
    }

    /// The address of the memory that each shard counts in.
    #[doc(hidden)]
    pub fn shard_addresses(&self) -> Vec<usize> {
        let words = self.shards.iter().map(|shard| &**shard);
        words.map(|word| ptr::from_ref(word).addr()).collect()
    }
}
