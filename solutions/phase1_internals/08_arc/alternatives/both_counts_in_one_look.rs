//! Both counts in one word, so that `get_mut` needs a single look; the last `Arc` turns into a `Weak` in one step.

use std::mem::ManuallyDrop;
use std::ops::Deref;
use std::process::abort;
use std::ptr::NonNull;

use kata::cell::UnsafeCell;
use kata::sync::atomic::{
    AtomicU64,
    Ordering::{Acquire, Relaxed, Release},
    fence,
};

/// How many [`Arc`]s of one value there may be, and how many [`Weak`]s. Whoever makes many more ends the process.
///
/// Yours to lower if your counts are smaller, to no less than 65,535.
pub const MAX_REFERENCES: usize = i32::MAX as usize;

/// One [`Arc`], in `Block::counts`.
const ARC: u64 = 1 << 32;
/// One [`Weak`], in `Block::counts`.
const WEAK: u64 = 1;

/// What all references to one value point to: a single allocation.
///
/// The value lives while there are `Arc`s, the block while `counts` is not zero.
struct Block<T> {
    /// How many `Arc`s there are, in the upper half, and how many `Weak`s, in the lower half. No `Weak` is counted for the
    /// `Arc`s: the last `Arc` turns into a `Weak`, in one step, before it ends the value.
    counts: AtomicU64,
    value: UnsafeCell<ManuallyDrop<T>>,
}

impl<T> Block<T> {
    /// Turns an `Arc` into nothing, or into a `Weak` if it is the last one. True means the latter: the caller then has the
    /// value for itself, and owes a `Weak`.
    ///
    /// If `only_last`, an `Arc` that is not the last one stays as it is.
    fn retire(&self, only_last: bool) -> bool {
        // Relaxed: a guess, which the compare-exchange confirms.
        let mut counts = self.counts.load(Relaxed);
        loop {
            let is_last = arcs(counts) == 1;
            if only_last && !is_last {
                return false;
            }
            let fewer = counts - ARC + if is_last { WEAK } else { 0 };
            // Release: pairs with the fence below, of whoever is last. Relaxed: another guess.
            match self
                .counts
                .compare_exchange_weak(counts, fewer, Release, Relaxed)
            {
                Ok(_) if is_last => {
                    // Acquire: pairs with the decrements of all other `Arc`s, which are one release sequence.
                    fence(Acquire);
                    return true;
                }
                Ok(_) => return false,
                Err(now) => counts = now,
            }
        }
    }

    /// Counts one more `Weak`, for a caller that has a reference.
    fn add_weak(&self) {
        // Relaxed: the caller's reference keeps the block, and the new one reaches other threads by what orders it.
        if weaks(self.counts.fetch_add(WEAK, Relaxed)) >= MAX_REFERENCES {
            abort();
        }
    }
}

/// How many `Arc`s there are.
fn arcs(counts: u64) -> usize {
    (counts >> 32) as usize
}

/// How many `Weak`s there are.
fn weaks(counts: u64) -> usize {
    (counts & (ARC - 1)) as usize
}

/// One of many owners of a `T`, on any number of threads.
///
/// The value is dropped when its last `Arc` is, whether there are [`Weak`]s left or not.
///
/// # Examples
///
/// ```no_run
/// use arc::Arc;
///
/// let mut numbers = Arc::new(vec![1, 2, 3]);
/// Arc::get_mut(&mut numbers).expect("nobody else has it yet").push(4);
///
/// let theirs = numbers.clone();
/// let sum = std::thread::spawn(move || theirs.iter().sum::<i32>());
/// assert_eq!(numbers.len(), 4);
/// assert_eq!(sum.join().unwrap(), 10);
///
/// assert_eq!(Arc::try_unwrap(numbers).ok(), Some(vec![1, 2, 3, 4]));
/// ```
pub struct Arc<T> {
    block: NonNull<Block<T>>,
}

// SAFETY: an `Arc` on another thread gives out `&T` there (`Sync`) and may be the last one, which drops the `T` or moves it
// out there (`Send`).
unsafe impl<T: Send + Sync> Send for Arc<T> {}
// SAFETY: who has an `&Arc<T>` can clone it, so sharing one is as much as sending one.
unsafe impl<T: Send + Sync> Sync for Arc<T> {}

impl<T> Arc<T> {
    fn block(&self) -> &Block<T> {
        // SAFETY: this `Arc` is counted, and the block is not freed before the counts are zero. All borrow it shared.
        unsafe { self.block.as_ref() }
    }
}

impl<T> Arc<T> {
    /// Moves `value` to the heap. One allocation holds it and all that its references need to know of each other.
    pub fn new(value: T) -> Self {
        Self::with_forgotten(value, 0, 0)
    }

    /// As [`new`](Self::new), and as if `arcs` further `Arc`s and `weaks` [`Weak`]s had been made and given to
    /// [`std::mem::forget`]. Neither number is larger than [`MAX_REFERENCES`].
    ///
    /// It is there for the checks, which live too short to forget that many one by one.
    #[doc(hidden)]
    pub fn with_forgotten(value: T, arcs: usize, weaks: usize) -> Self {
        let counts = ARC * (arcs as u64 + 1) + WEAK * weaks as u64;
        let block = Block {
            counts: AtomicU64::new(counts),
            value: UnsafeCell::new(ManuallyDrop::new(value)),
        };
        Self {
            block: NonNull::from(Box::leak(Box::new(block))),
        }
    }

    /// The value, to be changed, if `this` is the only reference to it: no other `Arc` and no [`Weak`].
    ///
    /// `None` means that there was another one during the call. A reference whose drop happened before the call does not
    /// count.
    pub fn get_mut(this: &mut Self) -> Option<&mut T> {
        // Both counts in one look. Acquire: pairs with the decrements of all references that are gone.
        if this.block().counts.load(Acquire) != ARC {
            return None;
        }
        // SAFETY: `this` is the only reference of either kind and is borrowed mutably for as long as the result lives, so
        // nobody else can reach the value or make a reference to it. The block lives as long as `this`.
        Some(this.block().value.with_mut(|value| unsafe { &mut **value }))
    }

    /// The value itself, if `this` is its only `Arc`. Its [`Weak`]s lose it.
    ///
    /// # Errors
    ///
    /// With `this`, if there was another `Arc` during the call.
    pub fn try_unwrap(this: Self) -> Result<T, Self> {
        if !this.block().retire(true) {
            return Err(this);
        }
        let this = ManuallyDrop::new(this);
        // The `Weak` that the last `Arc` has become. It keeps the block until the value is out of it.
        let weak = Weak { block: this.block };
        // SAFETY: no `Arc` is left and none can be made, so nobody else looks at the value, now or later: it is taken once.
        Ok(weak
            .block()
            .value
            .with_mut(|value| unsafe { ManuallyDrop::take(&mut *value) }))
    }

    /// A reference that does not keep the value alive.
    ///
    /// Ends the process instead of exceeding [`MAX_REFERENCES`] by more than a few.
    pub fn downgrade(this: &Self) -> Weak<T> {
        this.block().add_weak();
        Weak { block: this.block }
    }
}

impl<T> Deref for Arc<T> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: the value is not dropped before the last `Arc` is, and this one lives as long as the result. Only
        // `get_mut` makes a `&mut` of it, if there is no other `Arc`, and borrows that one mutably.
        self.block().value.with(|value| unsafe { &**value })
    }
}

impl<T> Clone for Arc<T> {
    /// Another owner of the same value.
    ///
    /// Ends the process instead of exceeding [`MAX_REFERENCES`] by more than a few.
    fn clone(&self) -> Self {
        // Relaxed: `self` keeps the count above zero, and the new one reaches other threads by what orders it.
        if arcs(self.block().counts.fetch_add(ARC, Relaxed)) >= MAX_REFERENCES {
            abort();
        }
        Self { block: self.block }
    }
}

impl<T> Drop for Arc<T> {
    /// Drops the value if this was its last `Arc`. Whatever any thread did with the value before it let go of it comes
    /// before that.
    fn drop(&mut self) {
        if self.block().retire(false) {
            // The `Weak` that this `Arc` has become. It keeps the block until the value is gone, also if its drop panics.
            let weak = Weak { block: self.block };
            // SAFETY: no `Arc` is left and none can be made, so nobody else looks at the value, now or later: it is dropped
            // once.
            weak.block()
                .value
                .with_mut(|value| unsafe { ManuallyDrop::drop(&mut *value) });
        }
    }
}

/// A reference to a value that does not keep it alive. See [`Arc::downgrade`].
///
/// # Examples
///
/// ```no_run
/// use arc::Arc;
///
/// let owner = Arc::new(7);
/// let weak = Arc::downgrade(&owner);
/// assert_eq!(weak.upgrade().as_deref(), Some(&7));
/// drop(owner);
/// assert!(weak.upgrade().is_none());
/// ```
pub struct Weak<T> {
    block: NonNull<Block<T>>,
}

// SAFETY: a `Weak` on another thread can become an `Arc` there, so it is as much as sending an `Arc`.
unsafe impl<T: Send + Sync> Send for Weak<T> {}
// SAFETY: who has an `&Weak<T>` can upgrade it, as above.
unsafe impl<T: Send + Sync> Sync for Weak<T> {}

impl<T> Weak<T> {
    fn block(&self) -> &Block<T> {
        // SAFETY: this `Weak` is counted, and the block is not freed before the counts are zero. All borrow it shared.
        unsafe { self.block.as_ref() }
    }
}

impl<T> Weak<T> {
    /// An [`Arc`] of the value, or `None` if the last one is gone. While an `Arc` lives, it is never `None`.
    ///
    /// Ends the process instead of exceeding [`MAX_REFERENCES`] by more than a few.
    pub fn upgrade(&self) -> Option<Arc<T>> {
        let counts = &self.block().counts;
        // Relaxed: a guess, which the compare-exchange confirms.
        let mut now = counts.load(Relaxed);
        loop {
            match arcs(now) {
                0 => return None,
                MAX_REFERENCES.. => abort(),
                // Relaxed on success: the value was there before `self`, and whoever ends it acquires our later decrement.
                // Relaxed on failure: another guess.
                _ => match counts.compare_exchange_weak(now, now + ARC, Relaxed, Relaxed) {
                    Ok(_) => return Some(Arc { block: self.block }),
                    Err(newer) => now = newer,
                },
            }
        }
    }
}

impl<T> Clone for Weak<T> {
    /// Another weak reference to the same value, be it alive or not.
    ///
    /// Ends the process instead of exceeding [`MAX_REFERENCES`] by more than a few.
    fn clone(&self) -> Self {
        self.block().add_weak();
        Self { block: self.block }
    }
}

impl<T> Drop for Weak<T> {
    fn drop(&mut self) {
        // Release: pairs with the fence of whoever frees the block, and with `get_mut`.
        if self.block().counts.fetch_sub(WEAK, Release) == WEAK {
            // Acquire: pairs with all other decrements.
            fence(Acquire);
            // SAFETY: the counts are zero: no reference is left, and only a reference makes another one. The block came
            // from a `Box`, and whoever gets here is the last, so it is freed once. The value is gone already.
            drop(unsafe { Box::from_raw(self.block.as_ptr()) });
        }
    }
}
