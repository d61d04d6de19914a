//! Signed words, the strongest ordering everywhere, numbers kept in a cell, and a reset that subtracts what it has read
//! until it has found it unchanged.

use std::cell::Cell;
use std::ops::{Deref, DerefMut};

use kata::sync::atomic::Ordering::SeqCst;
use kata::sync::atomic::{AtomicI64, AtomicUsize};

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(align(128))]
pub struct CachePadded<T> {
    value: T,
}

impl<T> CachePadded<T> {
    pub const fn new(value: T) -> Self {
        CachePadded { value }
    }

    pub fn into_inner(self) -> T {
        self.value
    }
}

impl<T> Deref for CachePadded<T> {
    type Target = T;

    fn deref(&self) -> &Self::Target {
        &self.value
    }
}

impl<T> DerefMut for CachePadded<T> {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.value
    }
}

kata::lazy_static! {
    static ref NEXT: AtomicUsize = AtomicUsize::new(1);
}

kata::thread_local! {
    /// 0 until the thread has counted something.
    static NUMBER: Cell<usize> = Cell::new(0);
}

/// A power of two of places, of which the first few are used.
pub struct Counter {
    used: usize,
    places: Vec<CachePadded<AtomicI64>>,
}

impl Counter {
    pub fn with_shards(shards: usize) -> Self {
        assert!(shards >= 1, "a counter needs at least one shard");
        Self {
            used: shards,
            places: (0..shards.next_power_of_two())
                .map(|_| CachePadded::new(AtomicI64::new(0)))
                .collect(),
        }
    }

    pub fn add(&self, amount: u64) {
        let number = NUMBER.with(|number| {
            if number.get() == 0 {
                number.set(NEXT.fetch_add(1, SeqCst));
            }
            number.get()
        });
        self.places[number % self.used].fetch_add(amount.cast_signed(), SeqCst);
    }

    pub fn sum(&self) -> u64 {
        let places = self.places.iter().map(|place| place.load(SeqCst));
        places.fold(0, i64::wrapping_add).cast_unsigned()
    }

    pub fn reset_sum(&self) -> u64 {
        let places = self.places.iter().map(|place| {
            place
                .fetch_update(SeqCst, SeqCst, |_| Some(0))
                .expect("the update is never refused")
        });
        places.fold(0, i64::wrapping_add).cast_unsigned()
    }

    #[doc(hidden)]
    pub fn shard_addresses(&self) -> Vec<usize> {
        let used = self.places[..self.used].iter();
        used.map(|place| std::ptr::from_ref(&place.value).addr())
            .collect()
    }
}
