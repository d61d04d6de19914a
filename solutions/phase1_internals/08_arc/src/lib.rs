//! Atomic reference counting with weak references.
//!
//! The design is that of `std::sync::Arc`, as Bos explains it in "Rust Atomics and Locks", chapter 6: all `Arc`s together
//! hold one `Weak`, and `get_mut` locks the weak count while it looks at the other one.

use std::mem::ManuallyDrop;
use std::ops::Deref;
use std::process::abort;
use std::ptr::NonNull;

use kata::cell::UnsafeCell;
use kata::hint;
use kata::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use kata::sync::atomic::{AtomicUsize, fence};

/// How many [`Arc`]s of one value there may be, and how many [`Weak`]s. Whoever makes many more ends the process.
///
/// Half of what a count can hold: while one thread finds the limit passed and aborts, others go on counting.
pub const MAX_REFERENCES: usize = isize::MAX as usize;

/// What `weak` says while `get_mut` looks at `strong`.
const LOCKED: usize = usize::MAX;

/// What all references to one value point to.
struct Block<T> {
    /// How many `Arc`s there are. At zero the value is gone, and zero is final.
    strong: AtomicUsize,
    /// How many `Weak`s there are, plus one for all `Arc`s together. At zero the block is freed. `LOCKED` for a moment
    /// when there is a single `Arc` and somebody asks whether.
    weak: AtomicUsize,
    /// Shared by the `Arc`s. Taken or dropped by whoever takes `strong` to zero.
    value: UnsafeCell<ManuallyDrop<T>>,
}

/// One of many owners of a `T`, on any number of threads.
pub struct Arc<T> {
    block: NonNull<Block<T>>,
}

// SAFETY: with a clone on either side of it, an `Arc` that goes to another thread shows the value to both (`T: Sync`),
// and whichever thread is last drops it (`T: Send`). The counts are atomic.
unsafe impl<T: Send + Sync> Send for Arc<T> {}
// SAFETY: a `&Arc<T>` can be cloned into an `Arc<T>`, so it is as good as one.
unsafe impl<T: Send + Sync> Sync for Arc<T> {}

impl<T> Arc<T> {
    /// Moves `value` to the heap. One allocation holds it and its counts.
    #[inline]
    pub fn new(value: T) -> Self {
        Self::with_forgotten(value, 0, 0)
    }

    /// As [`new`](Self::new), and as if `arcs` further `Arc`s and `weaks` [`Weak`]s had been made and given to
    /// [`std::mem::forget`]. Neither number is larger than [`MAX_REFERENCES`].
    #[doc(hidden)]
    #[inline]
    pub fn with_forgotten(value: T, arcs: usize, weaks: usize) -> Self {
        assert!(arcs <= MAX_REFERENCES && weaks <= MAX_REFERENCES);
        let block = Box::new(Block {
            strong: AtomicUsize::new(arcs + 1),
            weak: AtomicUsize::new(weaks + 1),
            value: UnsafeCell::new(ManuallyDrop::new(value)),
        });
        Self {
            block: NonNull::from(Box::leak(block)),
        }
    }

    fn block(&self) -> &Block<T> {
        // SAFETY: the block lives at least as long as the `Weak` that all `Arc`s hold together.
        unsafe { self.block.as_ref() }
    }

    /// The value, to be changed, if `this` is the only reference to it: no other `Arc` and no [`Weak`].
    pub fn get_mut(this: &mut Self) -> Option<&mut T> {
        let block = this.block();
        // The two counts cannot be read at once, and while one is read a reference may move to the other. With the weak
        // count locked, no `Arc` becomes a `Weak`; as it was one, there is no `Weak` that could become an `Arc`.
        // Acquire: pairs with the Release in `Weak::drop`. What a `Weak`, now gone, was upgraded to is in `strong`.
        // Relaxed: nothing is done with a value that is shared.
        block
            .weak
            .compare_exchange(1, LOCKED, Acquire, Relaxed)
            .ok()?;
        // Acquire: pairs with the Release in `Arc::drop`. What the other owners did comes before what we do.
        let only = block.strong.load(Acquire) == 1;
        // Release: pairs with the Acquire in `downgrade`. That `Arc` had not been dropped when we looked.
        block.weak.store(1, Release);
        only.then(|| {
            // SAFETY: no other `Arc`, no `Weak`, and `this` is borrowed exclusively for as long as the result lives.
            block
                .value
                .with_mut(|value| unsafe { &mut *value.cast::<T>() })
        })
    }

    /// The value itself, if `this` is its only `Arc`. Its [`Weak`]s lose it.
    ///
    /// # Errors
    ///
    /// With `this`, if there was another `Arc` during the call.
    pub fn try_unwrap(this: Self) -> Result<T, Self> {
        // Acquire: pairs with the Release in `Arc::drop`. Relaxed: nothing is done with a value that is shared.
        if this
            .block()
            .strong
            .compare_exchange(1, 0, Acquire, Relaxed)
            .is_err()
        {
            return Err(this);
        }
        let this = ManuallyDrop::new(this);
        let _weak = Weak { block: this.block };
        // SAFETY: we took `strong` to zero, so nobody else reaches the value, now or later, and nobody drops it.
        let take = |value: *mut ManuallyDrop<T>| unsafe { ManuallyDrop::take(&mut *value) };
        Ok(this.block().value.with_mut(take))
    }

    /// A reference that does not keep the value alive.
    pub fn downgrade(this: &Self) -> Weak<T> {
        let weak = &this.block().weak;
        let mut count = weak.load(Relaxed);
        loop {
            if count == LOCKED {
                // For the two instructions of a `get_mut` that will fail.
                hint::spin_loop();
                count = weak.load(Relaxed);
                continue;
            }
            if count > MAX_REFERENCES {
                abort();
            }
            // Acquire: pairs with the Release in `get_mut`, which must not see this `Arc` dropped before it unlocks.
            match weak.compare_exchange_weak(count, count + 1, Acquire, Relaxed) {
                Ok(_) => return Weak { block: this.block },
                Err(now) => count = now,
            }
        }
    }

    #[cold]
    fn drop_value(&mut self) {
        // Dropped after the value, also if the value's drop panics.
        let _weak = Weak { block: self.block };
        // SAFETY: we took `strong` to zero, so nobody else reaches the value, now or later, and nobody drops it.
        let drop = |value: *mut ManuallyDrop<T>| unsafe { ManuallyDrop::drop(&mut *value) };
        self.block().value.with_mut(drop);
    }
}

impl<T> Deref for Arc<T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: `strong` counts us, so nobody drops, takes or changes the value while we live.
        self.block()
            .value
            .with(|value| unsafe { &*value.cast::<T>() })
    }
}

impl<T> Clone for Arc<T> {
    /// Another owner of the same value.
    #[inline]
    fn clone(&self) -> Self {
        // Relaxed: the new `Arc` reaches another thread by some way of its own, and that way orders it.
        if self.block().strong.fetch_add(1, Relaxed) > MAX_REFERENCES {
            abort();
        }
        Self { block: self.block }
    }
}

impl<T> Drop for Arc<T> {
    #[inline]
    fn drop(&mut self) {
        // Release: pairs with the fence of whoever comes last, and with the Acquires of `get_mut` and `try_unwrap`: all
        // we did with the value comes before its end.
        if self.block().strong.fetch_sub(1, Release) == 1 {
            // Acquire: pairs with the Release of all who came before us.
            fence(Acquire);
            self.drop_value();
        }
    }
}

/// A reference to a value that does not keep it alive. See [`Arc::downgrade`].
pub struct Weak<T> {
    block: NonNull<Block<T>>,
}

// SAFETY: a `Weak<T>` can be upgraded to an `Arc<T>`, so it may go where that may.
unsafe impl<T: Send + Sync> Send for Weak<T> {}
// SAFETY: as above.
unsafe impl<T: Send + Sync> Sync for Weak<T> {}

impl<T> Weak<T> {
    fn block(&self) -> &Block<T> {
        // SAFETY: `weak` counts us, so nobody frees the block while we live.
        unsafe { self.block.as_ref() }
    }

    /// An [`Arc`] of the value, or `None` if the last one is gone. While an `Arc` lives, it is never `None`.
    pub fn upgrade(&self) -> Option<Arc<T>> {
        // Zero is final: a count that was seen above zero may be zero by now, so looking and counting are one step.
        let one_more = |count| match count {
            0 => None,
            1..=MAX_REFERENCES => Some(count + 1),
            _ => abort(),
        };
        // Relaxed: nobody changes the value while there is a `Weak`, so what we knew of it when we got ours is enough.
        self.block()
            .strong
            .fetch_update(Relaxed, Relaxed, one_more)
            .ok()?;
        Some(Arc { block: self.block })
    }
}

impl<T> Clone for Weak<T> {
    /// Another weak reference to the same value, be it alive or not.
    #[inline]
    fn clone(&self) -> Self {
        // Relaxed: as for `Arc`. Never `LOCKED`: that takes a count of one, and with us it is at least two, or the
        // `Arc`s are gone.
        if self.block().weak.fetch_add(1, Relaxed) > MAX_REFERENCES {
            abort();
        }
        Self { block: self.block }
    }
}

impl<T> Drop for Weak<T> {
    #[inline]
    fn drop(&mut self) {
        // Release: pairs with the fence of whoever frees the block, and with the Acquire in `get_mut`.
        if self.block().weak.fetch_sub(1, Release) == 1 {
            // Acquire: pairs with the Release of all who came before us.
            fence(Acquire);
            // SAFETY: the block was a box, and nobody is left who could reach it. Its value is gone.
            drop(unsafe { Box::from_raw(self.block.as_ptr()) });
        }
    }
}
