//! Two copies of the words, of which readers use the one that is not being written: Linux's `seqcount_latch_t`. A reader
//! gets something even from a lock whose writer is not running.

use std::array;

use kata::hint;
use kata::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use kata::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, fence};

pub struct SeqLock<const N: usize> {
    /// Its lowest bit is the number of the copy to read.
    sequence: AtomicUsize,
    copies: [[AtomicU64; N]; 2],
    writing: AtomicBool,
}

impl<const N: usize> SeqLock<N> {
    pub fn new(words: [u64; N]) -> Self {
        Self {
            sequence: AtomicUsize::new(0),
            copies: [words.map(AtomicU64::new), words.map(AtomicU64::new)],
            writing: AtomicBool::new(false),
        }
    }

    pub fn read(&self) -> [u64; N] {
        loop {
            if let Some(words) = self.try_read() {
                return words;
            }
            hint::spin_loop();
        }
    }

    pub fn try_read(&self) -> Option<[u64; N]> {
        // Acquire: pairs with the Releases in `write`. The copy is complete.
        let sequence = self.sequence.load(Acquire);
        let copy = &self.copies[sequence & 1];
        let words = array::from_fn(|place| copy[place].load(Relaxed));
        // Pairs with the fences in `write`: a later word brings a later number with it.
        fence(Acquire);
        (self.sequence.load(Relaxed) == sequence).then_some(words)
    }

    pub fn write(&self, words: [u64; N]) {
        while self
            .writing
            .compare_exchange(false, true, Acquire, Relaxed)
            .is_err()
        {
            hint::spin_loop();
        }
        // Nobody else changes it.
        let sequence = self.sequence.load(Relaxed);
        for (step, copy) in self.copies.iter().enumerate() {
            // Sends the readers to the other copy. Release: that one is complete.
            self.sequence.store(sequence + 1 + step, Release);
            fence(Release);
            for (place, word) in copy.iter().zip(words) {
                place.store(word, Relaxed);
            }
        }
        self.writing.store(false, Release);
    }
}
