//! Numbers that look random and are the same everywhere.

use std::hash::{Hash, Hasher};
use std::ops::RangeInclusive;

/// A sequence of numbers that is determined by its seed.
///
/// The generator is SplitMix64 (Steele, Lea and Flood, "Fast Splittable Pseudorandom Number Generators", 2014). It is
/// part of this module so that no update of a crate can change what a check explores.
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// The sequence of this seed.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The sequence for one purpose among many: it has nothing to do with that for any other purpose.
    pub fn keyed(seed: u64, purpose: &[u64]) -> Self {
        let mut state = mix(seed);
        for &word in purpose {
            state = mix(state ^ mix(word.wrapping_add(GOLDEN)));
        }
        Self(state)
    }

    /// The next number.
    pub fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(GOLDEN);
        mix(self.0)
    }

    /// A number of `range`, all equally likely, but for a bias too small to matter in ranges shorter than 2^32.
    ///
    /// # Panics
    /// If the range is empty.
    pub fn within(&mut self, range: &RangeInclusive<u64>) -> u64 {
        assert!(!range.is_empty(), "nothing to choose from in {range:?}");
        let width = u128::from(range.end() - range.start()) + 1;
        // The high half of the product: a number below `width`.
        let offset = (u128::from(self.next_u64()) * width) >> 64;
        range.start() + u64::try_from(offset).expect("below the width of a range of u64")
    }

    /// A number below `bound`.
    ///
    /// # Panics
    /// If `bound` is 0.
    pub fn below(&mut self, bound: usize) -> usize {
        let last = u64::try_from(bound).expect("a usize is a u64 here") - 1;
        usize::try_from(self.within(&(0..=last))).expect("below a usize")
    }

    /// True in `percent` of 100 cases.
    pub fn chance(&mut self, percent: u64) -> bool {
        percent > 0 && self.within(&(0..=99)) < percent
    }
}

const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

fn mix(mut word: u64) -> u64 {
    word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    word ^ (word >> 31)
}

/// 64 bits by which states are told apart.
pub(super) struct Fingerprint(u64);

impl Fingerprint {
    pub(super) fn of(value: &impl Hash) -> u64 {
        let mut hasher = Self(GOLDEN);
        value.hash(&mut hasher);
        hasher.finish()
    }

    fn add(&mut self, word: u64) {
        self.0 = mix(self.0.rotate_left(23) ^ word.wrapping_add(GOLDEN));
    }
}

impl Hasher for Fingerprint {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.add(u64::from_le_bytes(word));
        }
        self.add(bytes.len() as u64);
    }

    fn write_u8(&mut self, number: u8) {
        self.add(number.into());
    }

    fn write_u32(&mut self, number: u32) {
        self.add(number.into());
    }

    fn write_u64(&mut self, number: u64) {
        self.add(number);
    }

    fn write_usize(&mut self, number: usize) {
        self.add(number as u64);
    }

    fn write_isize(&mut self, number: isize) {
        self.add(number as u64);
    }
}
