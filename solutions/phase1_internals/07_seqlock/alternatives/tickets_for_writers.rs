//! A ticket lock is the sequence: writers draw tickets from one count and end in another one, and a reader wants both to be
//! equal; Release and Acquire on the words take the place of the two fences.

use std::array;

use kata::hint::spin_loop;
use kata::sync::atomic::{
    AtomicU64,
    Ordering::{Acquire, Relaxed, Release},
};

/// `N` words that are written together and read together.
///
/// Reading writes nothing that another thread can see: readers disturb neither each other nor the writer, and the writer
/// waits for no reader. In return a reader that meets a write has to try again. For small values that are read far more
/// often than written: a clock, a position, a row of statistics.
///
/// The value is a row of words and not any `T: Copy`, because the words are atomics: two threads may touch one at the same
/// time. A `T` may have bytes without a value between its fields, and those cannot go through an integer. Turn your own
/// type into words and back, say by `f64::to_bits`.
///
/// # Examples
///
/// ```no_run
/// use seqlock::SeqLock;
///
/// let position = SeqLock::new([0.0_f64.to_bits(); 2]);
/// std::thread::scope(|scope| {
///     scope.spawn(|| position.write([3.0_f64.to_bits(), 4.0_f64.to_bits()]));
///     let [x, y] = position.read().map(f64::from_bits);
///     assert!(x.hypot(y) == 0.0 || x.hypot(y) == 5.0, "never 3 and never 4");
/// });
/// ```
pub struct SeqLock<const N: usize> {
    /// What a reader may be reading while a writer writes it. Whether the words belong together is another question.
    words: [AtomicU64; N],
    /// How many writes have begun: the tickets drawn by writers. A reader looks here last.
    begun: AtomicU64,
    /// How many writes have ended: the ticket whose turn it is. A reader looks here first.
    ended: AtomicU64,
}

impl<const N: usize> SeqLock<N> {
    /// A lock around `words`.
    pub fn new(words: [u64; N]) -> Self {
        Self {
            words: words.map(AtomicU64::new),
            begun: AtomicU64::new(0),
            ended: AtomicU64::new(0),
        }
    }

    /// All words of one write. Waits while a write is going on, and tries again if one has come in between.
    ///
    /// Whatever the writer did before it wrote these words comes before whatever the caller does next.
    pub fn read(&self) -> [u64; N] {
        loop {
            if let Some(words) = self.try_read() {
                return words;
            }
            spin_loop();
        }
    }

    /// As [`read`](Self::read), but tries once and never waits.
    ///
    /// `None` means that a write was going on during the call. While nobody writes, it is never returned.
    pub fn try_read(&self) -> Option<[u64; N]> {
        // Acquire: pairs with the last step of `write`, so that no word is older than that write.
        let ended = self.ended.load(Acquire);
        // Acquire: pairs with the stores of `write`. Whoever reads a word of a later write finds it begun, below.
        let words = array::from_fn(|i| self.words[i].load(Acquire));
        // Relaxed: the loads of the words keep it behind them.
        let begun = self.begun.load(Relaxed);
        (begun == ended).then_some(words)
    }

    /// Replaces all words. Waits for other writers, and for no reader.
    pub fn write(&self, words: [u64; N]) {
        // Relaxed: the stores of the words keep it before them, and the turn comes by `ended`.
        let ticket = self.begun.fetch_add(1, Relaxed);
        // Acquire: pairs with the last step of the write before.
        while self.ended.load(Acquire) != ticket {
            spin_loop();
        }
        for (shared, word) in self.words.iter().zip(words) {
            // Release: pairs with the loads of `try_read`: who reads this word must find the write begun.
            shared.store(word, Release);
        }
        // Release: pairs with the first load of `try_read`, and with the next writer's wait.
        self.ended.store(ticket + 1, Release);
    }
}
