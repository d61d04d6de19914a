//! A sequence lock: a number that is odd during a write and another one after it.
//!
//! The lock is from Linux 2.5.60 (S. Hemminger and A. Arcangeli, 2003) and described in Lameter, "Effective
//! Synchronization on Linux/NUMA Systems" (2005); the orderings are from Boehm, "Can Seqlocks Get Along with Programming
//! Language Memory Models?" (MSPC 2012).

use std::array;

use kata::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use kata::sync::atomic::{AtomicU64, AtomicUsize, fence};
use kata::{hint, thread};

/// `N` words that are written together and read together.
pub struct SeqLock<const N: usize> {
    /// Twice the number of finished writes, plus one while a write is going on. Whoever makes it odd is the only writer
    /// until making it even.
    sequence: AtomicUsize,
    words: [AtomicU64; N],
}

impl<const N: usize> SeqLock<N> {
    /// A lock around `words`.
    pub fn new(words: [u64; N]) -> Self {
        Self {
            sequence: AtomicUsize::new(0),
            words: words.map(AtomicU64::new),
        }
    }

    /// All words of one write.
    #[inline]
    pub fn read(&self) -> [u64; N] {
        let mut turn = 0;
        loop {
            if let Some(words) = self.try_read() {
                return words;
            }
            pause(&mut turn);
        }
    }

    /// As [`read`](Self::read), but tries once and never waits.
    #[inline]
    pub fn try_read(&self) -> Option<[u64; N]> {
        // Acquire: pairs with the Release at the end of `write`. The words are no older than the write we have seen.
        let before = self.sequence.load(Acquire);
        if !is_even(before) {
            return None;
        }
        let words = array::from_fn(|index| self.words[index].load(Relaxed));
        // Pairs with the fence in `write`: if one of the words is from a later write, then the next load finds at least
        // the odd number that came before it. An Acquire load instead would keep what follows it below, not what
        // precedes it above.
        fence(Acquire);
        (self.sequence.load(Relaxed) == before).then_some(words)
    }

    /// Replaces all words.
    pub fn write(&self, words: [u64; N]) {
        let before = self.begin_write();
        // Pairs with the fence in `try_read`: whoever sees one of our words sees the odd number, too. A Release on the
        // odd number instead would keep what precedes it above, not what follows it below.
        fence(Release);
        for (place, word) in self.words.iter().zip(words) {
            place.store(word, Relaxed);
        }
        // Release: pairs with the Acquires in `try_read` and `begin_write`. Whoever sees this number sees our words.
        self.sequence.store(before.wrapping_add(2), Release);
    }

    /// Keeps other writers out. Returns the number that was even until then.
    fn begin_write(&self) -> usize {
        let mut turn = 0;
        loop {
            // Relaxed: a guess. The compare-exchange decides.
            let sequence = self.sequence.load(Relaxed);
            if is_even(sequence)
                && self
                    .sequence
                    // Acquire: pairs with the Release at the end of `write`. Our words come after the last writer's.
                    .compare_exchange_weak(sequence, sequence + 1, Acquire, Relaxed)
                    .is_ok()
            {
                return sequence;
            }
            pause(&mut turn);
        }
    }
}

fn is_even(sequence: usize) -> bool {
    sequence.is_multiple_of(2)
}

/// A write takes nanoseconds. Whoever still waits after a hundred looks waits for a writer that is not running.
fn pause(turn: &mut u32) {
    if *turn < 100 {
        *turn += 1;
        hint::spin_loop();
    } else {
        thread::yield_now();
    }
}
