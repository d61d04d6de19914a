//! `get_mut` locks the count of owners, not that of the weak references: upgrades wait, downgrades do not. An Acquire load
//! stands where others have a fence. A count that is too high ends the process before it is changed.

use std::mem::ManuallyDrop;
use std::ops::Deref;
use std::process::abort;
use std::ptr::NonNull;

use kata::cell::UnsafeCell;
use kata::hint::spin_loop;
use kata::sync::atomic::AtomicUsize;
use kata::sync::atomic::Ordering::{Acquire, Relaxed, Release};

pub const MAX_REFERENCES: usize = usize::MAX / 4;

const LOCKED: usize = usize::MAX;

struct Block<T> {
    value: UnsafeCell<ManuallyDrop<T>>,
    owners: AtomicUsize,
    /// Weak references, and one for all owners.
    holders: AtomicUsize,
}

/// Adds one, if it is not too many, and returns whether `possible` let it.
fn one_more(count: &AtomicUsize, possible: impl Fn(usize) -> bool) -> bool {
    let mut now = count.load(Relaxed);
    loop {
        if now == LOCKED {
            spin_loop();
            now = count.load(Relaxed);
            continue;
        }
        if !possible(now) {
            return false;
        }
        if now > MAX_REFERENCES {
            abort();
        }
        match count.compare_exchange_weak(now, now + 1, Acquire, Relaxed) {
            Ok(_) => return true,
            Err(other) => now = other,
        }
    }
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
        let block = Box::into_raw(Box::new(Block {
            value: UnsafeCell::new(ManuallyDrop::new(value)),
            owners: AtomicUsize::new(1 + arcs),
            holders: AtomicUsize::new(1 + weaks),
        }));
        Self {
            block: NonNull::new(block).expect("a box is not null"),
        }
    }

    fn block(&self) -> &Block<T> {
        // SAFETY: `owners` counts us, and all owners count among the holders.
        unsafe { self.block.as_ref() }
    }

    pub fn get_mut(this: &mut Self) -> Option<&mut T> {
        let block = this.block();
        // Acquire: pairs with the Release of the owners that are gone.
        if block
            .owners
            .compare_exchange(1, LOCKED, Acquire, Relaxed)
            .is_err()
        {
            return None;
        }
        // We are the only owner, so only a weak reference could make another one, of either kind. Acquire: pairs with the
        // Release of those that are gone; so what follows does not come before they went.
        let only = block.holders.load(Acquire) == 1;
        block.owners.store(1, Release);
        if !only {
            return None;
        }
        // SAFETY: nobody else has a reference of either kind.
        Some(
            block
                .value
                .with_mut(|value| unsafe { &mut *value.cast::<T>() }),
        )
    }

    pub fn try_unwrap(this: Self) -> Result<T, Self> {
        match this.block().owners.compare_exchange(1, 0, Acquire, Relaxed) {
            Err(_) => Err(this),
            Ok(_) => {
                let this = ManuallyDrop::new(this);
                // SAFETY: we were the last owner, and we are not dropped.
                let value = this
                    .block()
                    .value
                    .with_mut(|value| unsafe { ManuallyDrop::take(&mut *value) });
                drop(Weak { block: this.block });
                Ok(value)
            }
        }
    }

    pub fn downgrade(this: &Self) -> Weak<T> {
        one_more(&this.block().holders, |_| true);
        Weak { block: this.block }
    }
}

impl<T> Deref for Arc<T> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: it is there, and nobody changes it, while an owner is shared.
        self.block()
            .value
            .with(|value| unsafe { &*value.cast::<T>() })
    }
}

impl<T> Clone for Arc<T> {
    fn clone(&self) -> Self {
        // Never locked: there are two of us, or we are borrowed exclusively.
        one_more(&self.block().owners, |_| true);
        Self { block: self.block }
    }
}

impl<T> Drop for Arc<T> {
    fn drop(&mut self) {
        let owners = &self.block().owners;
        if owners.fetch_sub(1, Release) > 1 {
            return;
        }
        // Acquire: pairs with the Release of the other owners.
        owners.load(Acquire);
        // Dropped after the value, also if the value's drop panics.
        let _weak = Weak { block: self.block };
        // SAFETY: we were the last owner.
        self.block()
            .value
            .with_mut(|value| unsafe { ManuallyDrop::drop(&mut *value) });
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
        // SAFETY: `holders` counts us.
        unsafe { self.block.as_ref() }
    }

    pub fn upgrade(&self) -> Option<Arc<T>> {
        one_more(&self.block().owners, |owners| owners > 0).then_some(())?;
        Some(Arc { block: self.block })
    }
}

impl<T> Clone for Weak<T> {
    fn clone(&self) -> Self {
        one_more(&self.block().holders, |_| true);
        Self { block: self.block }
    }
}

impl<T> Drop for Weak<T> {
    fn drop(&mut self) {
        let holders = &self.block().holders;
        if holders.fetch_sub(1, Release) > 1 {
            return;
        }
        // Acquire: pairs with the Release of the other holders.
        holders.load(Acquire);
        // SAFETY: nobody else is left.
        unsafe { drop(Box::from_raw(self.block.as_ptr())) };
    }
}
