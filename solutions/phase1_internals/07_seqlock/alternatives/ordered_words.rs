//! No fences: every word is stored with Release and loaded with Acquire, and carries the odd number with it.

use kata::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use kata::sync::atomic::{AtomicU64, AtomicUsize};
use kata::{hint, thread};

pub struct SeqLock<const N: usize> {
    sequence: AtomicUsize,
    words: [AtomicU64; N],
}

impl<const N: usize> SeqLock<N> {
    pub fn new(words: [u64; N]) -> Self {
        Self {
            sequence: AtomicUsize::new(0),
            words: words.map(AtomicU64::new),
        }
    }

    pub fn read(&self) -> [u64; N] {
        for _ in 0..50 {
            if let Some(words) = self.try_read() {
                return words;
            }
            hint::spin_loop();
        }
        loop {
            if let Some(words) = self.try_read() {
                return words;
            }
            thread::yield_now();
        }
    }

    pub fn try_read(&self) -> Option<[u64; N]> {
        let sequence = self.sequence.load(Acquire);
        let mut words = [0; N];
        for (word, place) in words.iter_mut().zip(&self.words) {
            // Acquire: pairs with the Release in `write`; keeps the last load below.
            *word = place.load(Acquire);
        }
        (sequence & 1 == 0 && self.sequence.load(Relaxed) == sequence).then_some(words)
    }

    pub fn write(&self, words: [u64; N]) {
        // Whoever turns the bit on is the writer. Acquire: pairs with the Release that turns it off.
        while self.sequence.fetch_or(1, Acquire) & 1 == 1 {
            thread::yield_now();
        }
        for (place, word) in self.words.iter().zip(words) {
            // Release: keeps the bit above.
            place.store(word, Release);
        }
        self.sequence.fetch_add(1, Release);
    }
}
