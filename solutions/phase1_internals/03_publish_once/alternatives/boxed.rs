//! The value on the heap, and an atomic pointer to it that is null at first.

use std::marker::PhantomData;
use std::ptr;
use std::sync::PoisonError;

use kata::sync::Mutex;
use kata::sync::atomic::AtomicPtr;
use kata::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed};

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

pub struct OnceCell<T> {
    value: AtomicPtr<T>,
    making: Mutex<()>,
    /// An `AtomicPtr` is `Send` and `Sync` whatever it points to; the cell owns a `T`.
    owns: PhantomData<*mut T>,
}

// SAFETY: as for a `Box<T>`.
unsafe impl<T: Send> Send for OnceCell<T> {}
// SAFETY: shows the value to all threads, and lets one of them move it in and another one drop it.
unsafe impl<T: Send + Sync> Sync for OnceCell<T> {}

impl<T> OnceCell<T> {
    const_outside_models! {
        pub const fn new() -> Self {
            Self {
                value: AtomicPtr::new(ptr::null_mut()),
                making: Mutex::new(()),
                owns: PhantomData,
            }
        }
    }

    pub fn get(&self) -> Option<&T> {
        // SAFETY: null, or from a `Box` that lives as long as the cell.
        unsafe { self.value.load(Acquire).as_ref() }
    }

    pub fn get_or_init(&self, init: impl FnOnce() -> T) -> &T {
        self.get().unwrap_or_else(|| {
            let _making = self.making.lock().unwrap_or_else(PoisonError::into_inner);
            self.get().unwrap_or_else(|| {
                let value = Box::into_raw(Box::new(init()));
                self.value
                    .compare_exchange(ptr::null_mut(), value, AcqRel, Relaxed)
                    .expect("only the owner of the lock writes");
                // SAFETY: the `Box` lives as long as the cell.
                unsafe { &*value }
            })
        })
    }

    pub fn set(&self, value: T) -> Result<(), T> {
        let _making = self.making.lock().unwrap_or_else(PoisonError::into_inner);
        if self.get().is_some() {
            return Err(value);
        }
        self.value.swap(Box::into_raw(Box::new(value)), AcqRel);
        Ok(())
    }
}

impl<T> Drop for OnceCell<T> {
    fn drop(&mut self) {
        let value = *self.value.get_mut();
        if !value.is_null() {
            // SAFETY: from a `Box`, and freed once.
            drop(unsafe { Box::from_raw(value) });
        }
    }
}
