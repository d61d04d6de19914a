//! Each counter deals out its own numbers, and a thread remembers its number in each counter that it has met.

use std::cell::RefCell;
use std::collections::HashMap;
use std::ops::{Deref, DerefMut};

use kata::sync::atomic::Ordering::Relaxed;
use kata::sync::atomic::{AtomicU64, AtomicUsize};

/// Aligned by a member of size zero.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Align([Line; 0]);

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C, align(128))]
struct Line;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct CachePadded<T> {
    align: Align,
    value: T,
}

impl<T> CachePadded<T> {
    pub const fn new(value: T) -> Self {
        Self {
            align: Align([]),
            value,
        }
    }

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
    static ref COUNTERS: AtomicUsize = AtomicUsize::new(0);
}

kata::thread_local! {
    /// The shard of this thread in each counter, by the counter's number. Counters that are gone are never forgotten.
    static PLACES: RefCell<HashMap<usize, usize>> = RefCell::new(HashMap::new());
}

pub struct Counter {
    number: usize,
    threads: CachePadded<AtomicUsize>,
    shards: Vec<CachePadded<AtomicU64>>,
}

impl Counter {
    pub fn with_shards(shards: usize) -> Self {
        if shards == 0 {
            panic!("a counter needs at least one shard");
        }
        let mut counter = Self {
            number: COUNTERS.fetch_add(1, Relaxed),
            threads: CachePadded::default(),
            shards: Vec::new(),
        };
        counter.shards.resize_with(shards, CachePadded::default);
        counter
    }

    pub fn add(&self, amount: u64) {
        let place = PLACES.with(|places| {
            let fresh = || self.threads.fetch_add(1, Relaxed) % self.shards.len();
            *places.borrow_mut().entry(self.number).or_insert_with(fresh)
        });
        self.shards[place].fetch_add(amount, Relaxed);
    }

    pub fn sum(&self) -> u64 {
        let mut sum = 0_u64;
        for shard in &self.shards {
            sum = sum.wrapping_add(shard.load(Relaxed));
        }
        sum
    }

    pub fn reset_sum(&self) -> u64 {
        let mut sum = 0_u64;
        for shard in &self.shards {
            sum = sum.wrapping_add(shard.swap(0, Relaxed));
        }
        sum
    }

    #[doc(hidden)]
    pub fn shard_addresses(&self) -> Vec<usize> {
        self.shards
            .iter()
            .map(|shard| std::ptr::from_ref::<AtomicU64>(shard) as usize)
            .collect()
    }
}
