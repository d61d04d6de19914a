//! One word says empty, busy or full; whoever waits looks again and again.

use std::mem::MaybeUninit;

use kata::cell::UnsafeCell;
use kata::sync::atomic::AtomicU8;
use kata::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use kata::{hint, thread};

/// Takes `const` away where a model checker runs the function.
macro_rules! const_outside_models {
    ($($(#[$attribute:meta])* pub const fn $name:ident() -> Self $body:block)*) => {$(
        $(#[$attribute])*
        #[cfg(not(any(feature = "loom", feature = "shuttle")))]
        pub const fn $name() -> Self $body

        $(#[$attribute])*
        #[cfg(any(feature = "loom", feature = "shuttle"))]
        pub fn $name() -> Self $body
    )*};
}

const EMPTY: u8 = 0;
const BUSY: u8 = 1;
const FULL: u8 = 2;

pub struct OnceCell<T> {
    state: AtomicU8,
    value: UnsafeCell<MaybeUninit<T>>,
}

// SAFETY: the value is shown to all threads, and moved in on one and dropped on another.
unsafe impl<T: Send + Sync> Sync for OnceCell<T> {}

/// The right to write. Given back at its end, with what the cell then is.
struct Busy<'a> {
    state: &'a AtomicU8,
    leave: u8,
}

impl Drop for Busy<'_> {
    fn drop(&mut self) {
        // Release: pairs with the Acquires of those who find the cell full.
        self.state.store(self.leave, Release);
    }
}

impl<T> OnceCell<T> {
    const_outside_models! {
        pub const fn new() -> Self {
            Self {
                state: AtomicU8::new(EMPTY),
                value: UnsafeCell::new(MaybeUninit::uninit()),
            }
        }
    }

    pub fn get(&self) -> Option<&T> {
        (self.state.load(Acquire) == FULL).then(|| self.full())
    }

    pub fn get_or_init(&self, init: impl FnOnce() -> T) -> &T {
        if let Some(value) = self.get() {
            return value;
        }
        if let Some(busy) = self.begin() {
            self.finish(busy, init());
        }
        self.full()
    }

    pub fn set(&self, value: T) -> Result<(), T> {
        match self.begin() {
            Some(busy) => {
                self.finish(busy, value);
                Ok(())
            }
            None => Err(value),
        }
    }

    /// The right to write, or nothing if the cell is full.
    fn begin(&self) -> Option<Busy<'_>> {
        let mut looks = 0;
        loop {
            // Acquire: pairs with the Release in `Busy::drop`.
            match self
                .state
                .compare_exchange_weak(EMPTY, BUSY, Acquire, Acquire)
            {
                Ok(_) => {
                    return Some(Busy {
                        state: &self.state,
                        leave: EMPTY,
                    });
                }
                Err(FULL) => return None,
                Err(_) => {
                    while self.state.load(Relaxed) == BUSY {
                        looks += 1;
                        if looks < 100 {
                            hint::spin_loop();
                        } else {
                            thread::yield_now();
                        }
                    }
                }
            }
        }
    }

    fn finish(&self, mut busy: Busy<'_>, value: T) {
        self.value.with_mut(|slot| {
            // SAFETY: `busy` exists once.
            unsafe { (*slot).write(value) };
        });
        busy.leave = FULL;
    }

    /// The value of a cell that this thread has seen full.
    fn full(&self) -> &T {
        // SAFETY: it was written before the cell was full, and is not written again.
        self.value.with(|slot| unsafe { (*slot).assume_init_ref() })
    }
}

impl<T> Drop for OnceCell<T> {
    fn drop(&mut self) {
        if *self.state.get_mut() == FULL {
            // SAFETY: it was written and is dropped once.
            unsafe { self.value.get_mut().assume_init_drop() };
        }
    }
}
