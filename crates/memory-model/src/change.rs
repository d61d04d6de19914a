//! What a read-modify-write makes of the value that it reads.

/// What is stored after a read, if anything is.
///
/// Values are the bits of a word, see [`apply`](Change::apply).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// Nothing: it is a load.
    Nothing,
    /// This value: `swap`.
    Set(u64),
    /// The sum, wrapping around: `fetch_add`, and `fetch_sub` of the negative.
    Add(u64),
    /// The bits of both: `fetch_and`.
    And(u64),
    /// All bits but those of both: `fetch_nand`.
    Nand(u64),
    /// The bits of either: `fetch_or`.
    Or(u64),
    /// The bits of one of them: `fetch_xor`.
    Xor(u64),
    /// The larger one: `fetch_max`. The words are signed or not.
    Max(u64, Signs),
    /// The smaller one: `fetch_min`. The words are signed or not.
    Min(u64, Signs),
    /// `new`, if the value is `current`: `compare_exchange`.
    Exchange {
        /// What the value must be.
        current: u64,
        /// What it then becomes.
        new: u64,
    },
    /// As [`Exchange`](Change::Exchange), but in its second variant it fails all the same: `compare_exchange_weak`.
    Weak {
        /// What the value must be.
        current: u64,
        /// What it then becomes.
        new: u64,
    },
    /// The value without these bits, if all of them are there.
    Take(u64),
    /// One more, unless one of these bits is there: how a reader enters a lock that writers mark.
    Enter(u64),
    /// Of the bits in the lower half, which wait, all move to the upper half, which have been called.
    CallAll,
    /// Of the bits in the lower half, which wait, one moves to the upper half; which one, the variant says.
    CallOne,
}

/// How the bits of a word are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signs {
    /// As they are.
    Unsigned,
    /// In two's complement.
    Signed,
}

/// Half of the bits of a word of waiters: so many threads there are at most.
const HALF: u32 = 32;

impl Change {
    /// What is stored by an operation on words whose bits are those of `mask`.
    #[must_use]
    pub fn apply(self, old: u64, mask: u64, variant: u8) -> Option<u64> {
        let ordered = |value: u64, signs| match signs {
            Signs::Unsigned => i128::from(value),
            Signs::Signed => {
                let unused = mask.leading_zeros();
                i128::from((value << unused).cast_signed() >> unused)
            }
        };
        let new = match self {
            Self::Nothing => return None,
            Self::Set(value) => value,
            Self::Add(value) => old.wrapping_add(value),
            Self::And(value) => old & value,
            Self::Nand(value) => !(old & value),
            Self::Or(value) => old | value,
            Self::Xor(value) => old ^ value,
            Self::Max(value, signs) if ordered(value, signs) > ordered(old, signs) => value,
            Self::Min(value, signs) if ordered(value, signs) < ordered(old, signs) => value,
            Self::Max(..) | Self::Min(..) => old,
            Self::Exchange { current, new } if old == current => new,
            Self::Weak { current, new } if old == current && variant == 0 => new,
            Self::Take(bits) if old & bits == bits => old & !bits,
            Self::Enter(writers) if old & writers == 0 => old + 1,
            Self::CallAll if waiting(old) != 0 => old >> HALF << HALF | waiting(old) << HALF,
            Self::CallOne => {
                let mut bits = (0..HALF).filter(|bit| old >> bit & 1 == 1);
                let bit = bits.nth(usize::from(variant))?;
                old & !(1 << bit) | 1 << (bit + HALF)
            }
            Self::Exchange { .. }
            | Self::Weak { .. }
            | Self::Take(_)
            | Self::Enter(_)
            | Self::CallAll => return None,
        };
        Some(new & mask)
    }

    /// In how many ways it can go when it reads `old`. `fails` is whether a weak exchange may fail without cause.
    #[must_use]
    pub fn variants(self, old: u64, fails: bool) -> u8 {
        match self {
            Self::Weak { current, .. } if fails && old == current => 2,
            Self::CallOne => waiting(old).count_ones().max(1) as u8,
            _ => 1,
        }
    }
}

/// The word of a waiter of this number, and of one that has been called.
#[must_use]
pub fn waiter(number: usize) -> [u64; 2] {
    [1 << number, 1 << (number + HALF as usize)]
}

fn waiting(word: u64) -> u64 {
    word & ((1 << HALF) - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    const BYTE: u64 = 0xFF;

    #[test]
    fn words_wrap_around_and_compare_with_their_signs() {
        assert_eq!(Change::Add(1).apply(0xFF, BYTE, 0), Some(0));
        assert_eq!(Change::Nand(0x0F).apply(0xFF, BYTE, 0), Some(0xF0));
        assert_eq!(Change::Max(0xFF, Signs::Signed).apply(3, BYTE, 0), Some(3));
        assert_eq!(
            Change::Max(0xFF, Signs::Unsigned).apply(3, BYTE, 0),
            Some(0xFF)
        );
        assert_eq!(
            Change::Min(0xFF, Signs::Signed).apply(3, BYTE, 0),
            Some(0xFF)
        );
    }

    #[test]
    fn what_fails_stores_nothing() {
        let [current, new] = [1, 2];
        assert_eq!(Change::Exchange { current, new }.apply(0, BYTE, 0), None);
        assert_eq!(Change::Weak { current, new }.apply(1, BYTE, 1), None);
        assert_eq!(Change::Take(4).apply(3, BYTE, 0), None);
        assert_eq!(Change::Enter(0x80).apply(0x80, BYTE, 0), None);
        assert_eq!(Change::CallAll.apply(0, u64::MAX, 0), None);
        assert_eq!(Change::CallOne.apply(0, u64::MAX, 0), None);
    }

    #[test]
    fn a_call_moves_waiters_up() {
        let word = waiter(1)[0] | waiter(3)[0];
        let called = Change::CallOne.apply(word, u64::MAX, 1).unwrap();
        assert_eq!(called, waiter(1)[0] | waiter(3)[1]);
        assert_eq!(Change::CallOne.variants(word, true), 2);
        let all = Change::CallAll.apply(word, u64::MAX, 0).unwrap();
        assert_eq!(all, waiter(1)[1] | waiter(3)[1]);
    }
}
