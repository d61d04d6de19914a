//! The shards only grow. What was taken out is remembered besides, and two resets agree on it by compare-exchange.

use std::ops::{Deref, DerefMut};

use kata::sync::atomic::Ordering::{Acquire, Relaxed, Release, SeqCst};
use kata::sync::atomic::{AtomicU64, AtomicUsize};

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(align(256))]
pub struct CachePadded<T> {
    value: T,
}

impl<T> CachePadded<T> {
    pub const fn new(value: T) -> Self {
        Self { value }
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
    static ref NEXT: CachePadded<AtomicUsize> = CachePadded::new(AtomicUsize::new(0));
}

kata::thread_local! {
    static NUMBER: usize = NEXT.fetch_add(1, SeqCst);
}

struct Shard {
    added: AtomicU64,
    taken: AtomicU64,
}

pub struct Counter {
    shards: Vec<Box<CachePadded<Shard>>>,
}

impl Counter {
    pub fn with_shards(shards: usize) -> Self {
        assert_ne!(shards, 0, "a counter needs at least one shard");
        let shard = || Shard {
            added: AtomicU64::new(0),
            taken: AtomicU64::new(0),
        };
        Self {
            shards: (0..shards)
                .map(|_| Box::new(CachePadded::new(shard())))
                .collect(),
        }
    }

    pub fn add(&self, amount: u64) {
        let shard = &self.shards[NUMBER.with(|number| *number) % self.shards.len()];
        // A loop, though one step would do.
        let mut count = shard.added.load(Relaxed);
        while let Err(found) =
            shard
                .added
                .compare_exchange_weak(count, count.wrapping_add(amount), Relaxed, Relaxed)
        {
            count = found;
        }
    }

    pub fn sum(&self) -> u64 {
        self.shards.iter().fold(0, |sum, shard| {
            // Acquire, and `taken` first: what was taken had been added, and is seen to be.
            let taken = shard.taken.load(Acquire);
            sum.wrapping_add(shard.added.load(Relaxed).wrapping_sub(taken))
        })
    }

    pub fn reset_sum(&self) -> u64 {
        self.shards.iter().fold(0, |sum, shard| {
            loop {
                let taken = shard.taken.load(Acquire);
                let added = shard.added.load(Relaxed);
                // Release: pairs with the Acquires. Nobody sees this without the additions it takes out.
                let exchanged = shard.taken.compare_exchange(taken, added, Release, Relaxed);
                if exchanged.is_ok() {
                    break sum.wrapping_add(added.wrapping_sub(taken));
                }
            }
        })
    }

    #[doc(hidden)]
    pub fn shard_addresses(&self) -> Vec<usize> {
        let shards = self.shards.iter();
        shards
            .map(|shard| std::ptr::from_ref(&shard.added).addr())
            .collect()
    }
}
