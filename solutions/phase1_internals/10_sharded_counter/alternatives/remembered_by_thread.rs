//! Each counter numbers the threads that come to it, and each thread remembers by counter which shard is its own.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ops::{Deref, DerefMut};
use std::ptr;

use kata::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};

// Every ordering in here is Relaxed and pairs with nothing: a count publishes no other memory.

kata::lazy_static! {
    /// The number of the next counter. Numbers do not come again, so what a thread remembers of a counter that is gone
    /// means no other one.
    static ref NEXT_COUNTER: AtomicUsize = AtomicUsize::new(0);
}

kata::thread_local! {
    /// Which shard is this thread's, by the number of the counter.
    static MY_SHARDS: RefCell<BTreeMap<usize, usize>> = RefCell::new(BTreeMap::new());
}

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

/// A counter for events that many threads count and few ever ask for.
///
/// It consists of *shards*, and each thread adds to one of them. Threads are dealt out to the shards in turn, in the
/// order in which they first count something: as long as there are no more of them than shards, no two share one. A
/// thread keeps to its shard for good.
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
    number: usize,
    /// How many threads have counted here: the turn of the next one. Written once by each thread.
    threads: AtomicUsize,
    shards: Box<[CachePadded<AtomicU64>]>,
}

impl Counter {
    /// A counter at 0 with room for `shards` threads that do not disturb each other. More threads than that may count
    /// as well.
    ///
    /// # Panics
    ///
    /// With "a counter needs at least one shard" if `shards` is 0.
    pub fn with_shards(shards: usize) -> Self {
        assert!(shards > 0, "a counter needs at least one shard");
        Self {
            number: NEXT_COUNTER.fetch_add(1, Relaxed),
            threads: AtomicUsize::new(0),
            shards: (0..shards)
                .map(|_| CachePadded::new(AtomicU64::new(0)))
                .collect(),
        }
    }

    /// Adds `amount`, without ever waiting for another thread.
    pub fn add(&self, amount: u64) {
        let mine = MY_SHARDS.with(|mine| {
            let next = || self.threads.fetch_add(1, Relaxed) % self.shards.len();
            *mine.borrow_mut().entry(self.number).or_insert_with(next)
        });
        self.shards[mine].fetch_add(amount, Relaxed);
    }

    /// What has been added so far, without waiting.
    ///
    /// Exact if nobody is adding: everything that happened before this call is in it. Otherwise it lies between the
    /// number at the beginning and the number at the end of the call. As long as nobody resets the counter, a later
    /// call never gives less than an earlier one.
    pub fn sum(&self) -> u64 {
        self.shards
            .iter()
            .fold(0, |sum, shard| sum.wrapping_add(shard.load(Relaxed)))
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
        // A swap: what is added between a load and a store would be lost.
        self.shards
            .iter()
            .fold(0, |sum, shard| sum.wrapping_add(shard.swap(0, Relaxed)))
    }

    /// The address of the memory that each shard counts in, one for each shard. For the checks only: they cannot know
    /// what your shards are.
    #[doc(hidden)]
    pub fn shard_addresses(&self) -> Vec<usize> {
        self.shards
            .iter()
            .map(|shard| ptr::from_ref::<AtomicU64>(shard).addr())
            .collect()
    }
}
