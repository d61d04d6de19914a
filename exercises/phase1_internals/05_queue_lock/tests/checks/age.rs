//! What a lock is after billions of visits, without making them.
//!
//! A number of 32 bits starts again from zero after four billion visits, and a lock that is wrong then is right for a day.
//! Making the visits would take a minute. So the check lets the lock be taken some ten thousand times, looks into its
//! memory for what has grown by the same amount with each visit, and lets that go on growing.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;

/// How a lock's memory is read and written: by the kernel, because the fields are nobody's business and some of the bytes
/// between them have no value.
pub struct Memory<'a, L> {
    lock: &'a L,
    all: File,
}

impl<'a, L> Memory<'a, L> {
    /// # Errors
    ///
    /// If the system does not let a process look at its own memory like that.
    pub fn of(lock: &'a L) -> io::Result<Self> {
        let all = OpenOptions::new()
            .read(true)
            .write(true)
            .open("/proc/self/mem")?;
        Ok(Self { lock, all })
    }

    fn address(&self) -> u64 {
        std::ptr::from_ref(self.lock).expose_provenance() as u64
    }

    /// The words of the lock, of 32 bits each.
    fn words(&self) -> io::Result<Vec<u32>> {
        let mut bytes = vec![0; size_of::<L>()];
        self.all.read_exact_at(&mut bytes, self.address())?;
        let words = bytes.chunks_exact(4);
        Ok(words
            .map(|word| u32::from_ne_bytes(word.try_into().expect("four bytes")))
            .collect())
    }

    /// Lets `visit` run ten thousand times and more, and has the lock look as if it had run so often that the next
    /// `left` visits are the last ones before a number of 32 bits starts again from zero. Says how many visits were left out,
    /// which is none if nothing in the lock counts them.
    ///
    /// # Errors
    ///
    /// As for [`of`](Self::of).
    pub fn age(&self, left: u32, mut visit: impl FnMut()) -> io::Result<u32> {
        /// More than 16 bits can count.
        const SEEN: u32 = 70_000;
        let at_first = self.words()?;
        visit();
        let after_one = self.words()?;
        (1..SEEN).for_each(|_| visit());
        let now = self.words()?;
        let grown = |index: usize| {
            let step = after_one[index].wrapping_sub(at_first[index]);
            let all = now[index].wrapping_sub(at_first[index]);
            (step != 0 && step < 1 << 8 && all == step.wrapping_mul(SEEN)).then_some(step)
        };
        let counters: Vec<(usize, u32)> = (0..now.len())
            .filter_map(|index| Some((index, grown(index)?)))
            .collect();
        let ahead = counters
            .iter()
            .map(|&(index, step)| (u32::MAX - now[index]) / step);
        let skipped = ahead.min().unwrap_or_default().saturating_sub(left);
        for (index, step) in counters {
            let older = now[index].wrapping_add(step.wrapping_mul(skipped));
            let at = self.address() + 4 * index as u64;
            self.all.write_all_at(&older.to_ne_bytes(), at)?;
        }
        Ok(skipped)
    }
}
