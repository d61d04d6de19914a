//! A lock whose readers write nothing: they read, and find out whether they may believe it. The task is in `README.md`.
#![allow(dead_code, unused_variables)] // Delete this line when you start: from then on the compiler helps you.

use kata::sync::atomic::AtomicU64;

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
}

impl<const N: usize> SeqLock<N> {
    /// A lock around `words`.
    pub fn new(words: [u64; N]) -> Self {
        todo!()
    }

    /// All words of one write. Waits while a write is going on, and tries again if one has come in between.
    ///
    /// Whatever the writer did before it wrote these words comes before whatever the caller does next.
    pub fn read(&self) -> [u64; N] {
        todo!()
    }

    /// As [`read`](Self::read), but tries once and never waits.
    ///
    /// `None` means that a write was going on during the call. While nobody writes, it is never returned.
    pub fn try_read(&self) -> Option<[u64; N]> {
        todo!()
    }

    /// Replaces all words. Waits for other writers, and for no reader.
    pub fn write(&self, words: [u64; N]) {
        todo!()
    }
}
