//! The strongest ordering everywhere, and memory straight from the allocator.

use std::alloc::{Layout, alloc, dealloc, handle_alloc_error};
use std::ops::Deref;
use std::process::abort;
use std::ptr::{NonNull, drop_in_place};

use kata::cell::UnsafeCell;
use kata::sync::atomic::AtomicUsize;
use kata::sync::atomic::Ordering::SeqCst;
use kata::thread::yield_now;

pub const MAX_REFERENCES: usize = isize::MAX as usize;

const LOCKED: usize = usize::MAX;

struct Block<T> {
    strong: AtomicUsize,
    weak: AtomicUsize,
    value: UnsafeCell<T>,
}

fn check(count: usize) {
    if count > MAX_REFERENCES {
        abort();
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
        let layout = Layout::new::<Block<T>>();
        // SAFETY: the counts make the size more than zero.
        let memory = unsafe { alloc(layout) }.cast::<Block<T>>();
        let Some(block) = NonNull::new(memory) else {
            handle_alloc_error(layout)
        };
        // SAFETY: fresh memory of the right layout.
        unsafe {
            block.write(Block {
                strong: AtomicUsize::new(arcs + 1),
                weak: AtomicUsize::new(weaks + 1),
                value: UnsafeCell::new(value),
            });
        }
        Self { block }
    }

    fn block(&self) -> &Block<T> {
        // SAFETY: `strong` counts us, and `weak` all of us together.
        unsafe { self.block.as_ref() }
    }

    pub fn get_mut(this: &mut Self) -> Option<&mut T> {
        let block = this.block();
        block
            .weak
            .compare_exchange(1, LOCKED, SeqCst, SeqCst)
            .ok()?;
        let only = block.strong.load(SeqCst) == 1;
        block.weak.swap(1, SeqCst);
        // SAFETY: nobody else has a reference of either kind.
        only.then(|| block.value.with_mut(|value| unsafe { &mut *value }))
    }

    pub fn try_unwrap(this: Self) -> Result<T, Self> {
        let strong = &this.block().strong;
        if strong.compare_exchange(1, 0, SeqCst, SeqCst).is_err() {
            return Err(this);
        }
        // SAFETY: we were the last owner, and are forgotten before we could drop what we have read.
        let value = this.block().value.with_mut(|value| unsafe { value.read() });
        drop(Weak { block: this.block });
        std::mem::forget(this);
        Ok(value)
    }

    pub fn downgrade(this: &Self) -> Weak<T> {
        loop {
            let count = this.block().weak.load(SeqCst);
            if count == LOCKED {
                yield_now();
                continue;
            }
            check(count);
            let weak = &this.block().weak;
            if weak
                .compare_exchange(count, count + 1, SeqCst, SeqCst)
                .is_ok()
            {
                return Weak { block: this.block };
            }
        }
    }
}

impl<T> Deref for Arc<T> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: it is there, and nobody changes it, while an owner is shared.
        self.block().value.with(|value| unsafe { &*value })
    }
}

impl<T> Clone for Arc<T> {
    fn clone(&self) -> Self {
        check(self.block().strong.fetch_add(1, SeqCst));
        Self { block: self.block }
    }
}

impl<T> Drop for Arc<T> {
    fn drop(&mut self) {
        if self.block().strong.fetch_sub(1, SeqCst) == 1 {
            // Dropped after the value, also if the value's drop panics.
            let _weak = Weak { block: self.block };
            // SAFETY: we were the last owner.
            self.block().value.with_mut(|value| unsafe { drop_in_place(value) });
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
        // SAFETY: `weak` counts us.
        unsafe { self.block.as_ref() }
    }

    pub fn upgrade(&self) -> Option<Arc<T>> {
        let strong = &self.block().strong;
        let mut count = strong.load(SeqCst);
        while count > 0 {
            check(count);
            match strong.compare_exchange_weak(count, count + 1, SeqCst, SeqCst) {
                Ok(_) => return Some(Arc { block: self.block }),
                Err(now) => count = now,
            }
        }
        None
    }
}

impl<T> Clone for Weak<T> {
    fn clone(&self) -> Self {
        check(self.block().weak.fetch_add(1, SeqCst));
        Self { block: self.block }
    }
}

impl<T> Drop for Weak<T> {
    fn drop(&mut self) {
        if self.block().weak.fetch_sub(1, SeqCst) == 1 {
            // SAFETY: nobody else is left; the value is gone, and the counts need no drop.
            unsafe { dealloc(self.block.as_ptr().cast(), Layout::new::<Block<T>>()) };
        }
    }
}
