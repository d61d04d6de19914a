//! Writers take a mutex, and the sequence is for the readers alone. All accesses are sequentially consistent.

use std::sync::PoisonError;

use kata::sync::Mutex;
use kata::sync::atomic::AtomicU64;
use kata::sync::atomic::Ordering::SeqCst;
use kata::thread;

pub struct SeqLock<const N: usize> {
    sequence: AtomicU64,
    words: [AtomicU64; N],
    writing: Mutex<()>,
}

impl<const N: usize> SeqLock<N> {
    pub fn new(words: [u64; N]) -> Self {
        Self {
            sequence: AtomicU64::new(0),
            words: words.map(AtomicU64::new),
            writing: Mutex::new(()),
        }
    }

    pub fn read(&self) -> [u64; N] {
        loop {
            match self.try_read() {
                Some(words) => return words,
                None => thread::yield_now(),
            }
        }
    }

    pub fn try_read(&self) -> Option<[u64; N]> {
        let sequence = self.sequence.load(SeqCst);
        let words = std::array::from_fn(|place| self.words[place].load(SeqCst));
        let unchanged = sequence == self.sequence.load(SeqCst);
        (unchanged && sequence.is_multiple_of(2)).then_some(words)
    }

    pub fn write(&self, words: [u64; N]) {
        let _writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let sequence = self.sequence.load(SeqCst);
        self.sequence.store(sequence + 1, SeqCst);
        for (place, word) in self.words.iter().zip(words) {
            place.store(word, SeqCst);
        }
        self.sequence.store(sequence + 2, SeqCst);
    }
}
