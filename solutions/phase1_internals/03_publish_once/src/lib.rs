//! Double-checked locking: look without the lock; if there is nothing, take the lock and look again.
//!
//! The pattern is from Schmidt and Harrison, "Double-Checked Locking" (PLoP 1996). What it lacked, an ordering for the
//! look without the lock, is in Bacon et al., "The 'Double-Checked Locking is Broken' Declaration" (2000).

use std::mem::MaybeUninit;
use std::sync::PoisonError;

use kata::cell::UnsafeCell;
use kata::sync::Mutex;
use kata::sync::atomic::AtomicBool;
use kata::sync::atomic::Ordering::{Acquire, Relaxed, Release};

/// Takes `const` away where a model checker runs the function: its atomics cannot be made at compile time.
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

/// A cell that is empty until somebody puts a value into it, and then shows that value for as long as it lives.
pub struct OnceCell<T> {
    /// `true` once `value` is written. It never changes back.
    ready: AtomicBool,
    /// Whoever holds it may write `value` and then set `ready`, if that is not set.
    writing: Mutex<()>,
    value: UnsafeCell<MaybeUninit<T>>,
}

// SAFETY: a `&OnceCell<T>` shows the value to any number of threads at once, hence `T: Sync`. It also moves a value in on
// one thread that is dropped with the cell on another, hence `T: Send`.
unsafe impl<T: Send + Sync> Sync for OnceCell<T> {}

impl<T> OnceCell<T> {
    const_outside_models! {
        /// An empty cell.
        pub const fn new() -> Self {
            Self {
                ready: AtomicBool::new(false),
                writing: Mutex::new(()),
                value: UnsafeCell::new(MaybeUninit::uninit()),
            }
        }
    }

    /// The value, if there is one. Never waits.
    #[inline]
    pub fn get(&self) -> Option<&T> {
        // Acquire: pairs with the Release in `get_or_init_locked`. The value was written before it was announced.
        if self.ready.load(Acquire) {
            // SAFETY: `ready` was set, and the Acquire orders what was done before that before us.
            Some(unsafe { self.value() })
        } else {
            None
        }
    }

    /// The value; if there is none, the one that `init` makes.
    #[inline]
    pub fn get_or_init(&self, init: impl FnOnce() -> T) -> &T {
        match self.get() {
            Some(value) => value,
            None => self.get_or_init_locked(init),
        }
    }

    #[cold]
    fn get_or_init_locked(&self, init: impl FnOnce() -> T) -> &T {
        // Poison means that an `init` has panicked. It left nothing behind, so the next one may try.
        let _writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        // Relaxed: `ready` is set under the lock only, and the lock orders us after whoever held it before.
        if !self.ready.load(Relaxed) {
            let value = init();
            self.value.with_mut(|slot| {
                // SAFETY: nobody reads the slot before `ready` is set, and nobody else writes to it: we hold the lock.
                unsafe { (*slot).write(value) };
            });
            // Release: pairs with the Acquire in `get`. The value comes before the announcement.
            self.ready.store(true, Release);
        }
        // SAFETY: `ready` is set, by us or by somebody who held the lock before us.
        unsafe { self.value() }
    }

    /// Puts `value` into the cell, if it is empty.
    ///
    /// # Errors
    ///
    /// With `value`, if the cell has a value already.
    pub fn set(&self, value: T) -> Result<(), T> {
        let mut value = Some(value);
        self.get_or_init(|| value.take().expect("an `init` is called once at most"));
        value.map_or(Ok(()), Err)
    }

    /// # Safety
    ///
    /// `ready` is set, and that it was set happens before the call.
    unsafe fn value(&self) -> &T {
        // SAFETY: the slot was written before `ready` was set, and is not written again while `self` is borrowed.
        self.value.with(|slot| unsafe { (*slot).assume_init_ref() })
    }
}

impl<T> Default for OnceCell<T> {
    /// An empty cell.
    fn default() -> Self {
        Self::new()
    }
}

impl<T> Drop for OnceCell<T> {
    fn drop(&mut self) {
        if *self.ready.get_mut() {
            // SAFETY: it was written, and nobody can reach it any more.
            unsafe { self.value.get_mut().assume_init_drop() };
        }
    }
}
