//! Both counts in one word, so that one look sees both: `get_mut` needs no lock. The last owner turns its share of the
//! value into a share of the block, in the same step, so nobody holds a reference that is not one.

use std::mem::MaybeUninit;
use std::ops::Deref;
use std::process::abort;
use std::ptr::NonNull;

use kata::cell::UnsafeCell;
use kata::sync::atomic::AtomicU64;
use kata::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed};

pub const MAX_REFERENCES: usize = i32::MAX as usize;

/// One `Arc`, in the lower half.
const ARC: u64 = 1;
/// One `Weak`, in the upper half.
const WEAK: u64 = 1 << 32;

fn arcs(counts: u64) -> usize {
    counts as u32 as usize
}

fn weaks(counts: u64) -> usize {
    (counts >> 32) as usize
}

fn check(count: usize) {
    if count > MAX_REFERENCES {
        abort();
    }
}

struct Block<T> {
    counts: AtomicU64,
    value: UnsafeCell<MaybeUninit<T>>,
}

pub struct Arc<T> {
    block: NonNull<Block<T>>,
}

// SAFETY: the value is shown to several threads and dropped by any of them.
unsafe impl<T: Send + Sync> Send for Arc<T> {}
// SAFETY: as above.
unsafe impl<T: Send + Sync> Sync for Arc<T> {}

impl<T> Arc<T> {
    pub fn new(value: T) -> Self {
        Self::with_forgotten(value, 0, 0)
    }

    #[doc(hidden)]
    pub fn with_forgotten(value: T, arcs: usize, weaks: usize) -> Self {
        assert!(arcs <= MAX_REFERENCES && weaks <= MAX_REFERENCES);
        let block = Block {
            counts: AtomicU64::new(ARC * (arcs as u64 + 1) + WEAK * weaks as u64),
            value: UnsafeCell::new(MaybeUninit::new(value)),
        };
        Self {
            block: NonNull::from(Box::leak(Box::new(block))),
        }
    }

    fn block(&self) -> &Block<T> {
        // SAFETY: `counts` counts us.
        unsafe { self.block.as_ref() }
    }

    pub fn get_mut(this: &mut Self) -> Option<&mut T> {
        // Acquire: pairs with the AcqRel of the drops. If the one reference left is ours, nobody else can change that.
        (this.block().counts.load(Acquire) == ARC).then(|| {
            // SAFETY: the only reference is borrowed exclusively.
            this.block()
                .value
                .with_mut(|value| unsafe { (*value).assume_init_mut() })
        })
    }

    /// Lets go of a share of the value. Of the last one there remains a share of the block.
    fn release(counts: u64) -> u64 {
        match arcs(counts) {
            1 => counts - ARC + WEAK,
            _ => counts - ARC,
        }
    }

    pub fn try_unwrap(this: Self) -> Result<T, Self> {
        let release = |counts| (arcs(counts) == 1).then(|| Self::release(counts));
        let released = this.block().counts.fetch_update(AcqRel, Relaxed, release);
        if released.is_err() {
            return Err(this);
        }
        let rest = Weak { block: this.block };
        std::mem::forget(this);
        // SAFETY: the last share of the value was ours.
        let value = rest
            .block()
            .value
            .with(|value| unsafe { (*value).assume_init_read() });
        Ok(value)
    }

    pub fn downgrade(this: &Self) -> Weak<T> {
        check(weaks(this.block().counts.fetch_add(WEAK, Relaxed)));
        Weak { block: this.block }
    }
}

impl<T> Deref for Arc<T> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: it is there, and nobody changes it, while an `Arc` is shared.
        self.block()
            .value
            .with(|value| unsafe { (*value).assume_init_ref() })
    }
}

impl<T> Clone for Arc<T> {
    fn clone(&self) -> Self {
        check(arcs(self.block().counts.fetch_add(ARC, Relaxed)));
        Self { block: self.block }
    }
}

impl<T> Drop for Arc<T> {
    fn drop(&mut self) {
        // AcqRel: what the owners before us did comes before us; what we did comes before those after us.
        let before = self
            .block()
            .counts
            .fetch_update(AcqRel, Relaxed, |counts| Some(Self::release(counts)))
            .unwrap_or_else(|counts| counts);
        if arcs(before) == 1 {
            let rest = Weak { block: self.block };
            // SAFETY: the last share of the value was ours.
            rest.block()
                .value
                .with_mut(|value| unsafe { (*value).assume_init_drop() });
        }
    }
}

pub struct Weak<T> {
    block: NonNull<Block<T>>,
}

// SAFETY: as for `Arc`.
unsafe impl<T: Send + Sync> Send for Weak<T> {}
// SAFETY: as for `Arc`.
unsafe impl<T: Send + Sync> Sync for Weak<T> {}

impl<T> Weak<T> {
    fn block(&self) -> &Block<T> {
        // SAFETY: `counts` counts us.
        unsafe { self.block.as_ref() }
    }

    pub fn upgrade(&self) -> Option<Arc<T>> {
        let one_more = |counts| (arcs(counts) > 0).then(|| counts + ARC);
        let before = self
            .block()
            .counts
            .fetch_update(Relaxed, Relaxed, one_more)
            .ok()?;
        check(arcs(before));
        Some(Arc { block: self.block })
    }
}

impl<T> Clone for Weak<T> {
    fn clone(&self) -> Self {
        check(weaks(self.block().counts.fetch_add(WEAK, Relaxed)));
        Self { block: self.block }
    }
}

impl<T> Drop for Weak<T> {
    fn drop(&mut self) {
        // AcqRel: as for `Arc`.
        if self.block().counts.fetch_sub(WEAK, AcqRel) == WEAK {
            // SAFETY: that was the last reference of either kind.
            drop(unsafe { Box::from_raw(self.block.as_ptr()) });
        }
    }
}
