//! Whoever waits sleeps on a condition variable; no lock is held while a value is made. `Option` drops what is there.

use std::sync::PoisonError;

use kata::cell::UnsafeCell;
use kata::sync::atomic::AtomicBool;
use kata::sync::atomic::Ordering::SeqCst;
use kata::sync::{Condvar, Mutex};

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

#[derive(Clone, Copy, PartialEq)]
enum State {
    Empty,
    Busy,
    Full,
}

pub struct OnceCell<T> {
    full: AtomicBool,
    state: Mutex<State>,
    changed: Condvar,
    value: UnsafeCell<Option<T>>,
}

// SAFETY: the value is shown to all threads, and moved in on one and dropped on another.
unsafe impl<T: Send + Sync> Sync for OnceCell<T> {}

/// Sets the state, and wakes those who wait for that.
struct Leave<'a> {
    state: &'a Mutex<State>,
    changed: &'a Condvar,
    to: State,
}

impl Drop for Leave<'_> {
    fn drop(&mut self) {
        *self.state.lock().unwrap_or_else(PoisonError::into_inner) = self.to;
        self.changed.notify_all();
    }
}

impl<T> OnceCell<T> {
    const_outside_models! {
        pub const fn new() -> Self {
            Self {
                full: AtomicBool::new(false),
                state: Mutex::new(State::Empty),
                changed: Condvar::new(),
                value: UnsafeCell::new(None),
            }
        }
    }

    pub fn get(&self) -> Option<&T> {
        if self.full.load(SeqCst) {
            // SAFETY: the value was written before `full` was set, and is not written again.
            self.value.with(|value| unsafe { (*value).as_ref() })
        } else {
            None
        }
    }

    pub fn get_or_init(&self, init: impl FnOnce() -> T) -> &T {
        if let Some(value) = self.get() {
            return value;
        }
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        while *state == State::Busy {
            let woken = self.changed.wait(state);
            state = woken.unwrap_or_else(PoisonError::into_inner);
        }
        if *state == State::Empty {
            *state = State::Busy;
            drop(state);
            let mut leave = Leave {
                state: &self.state,
                changed: &self.changed,
                to: State::Empty,
            };
            let value = init();
            // SAFETY: the state is `Busy`: nobody else reads or writes.
            self.value.with_mut(|place| unsafe { *place = Some(value) });
            self.full.store(true, SeqCst);
            leave.to = State::Full;
        } else {
            drop(state);
        }
        self.get().expect("the cell is full")
    }

    pub fn set(&self, value: T) -> Result<(), T> {
        let mut value = Some(value);
        self.get_or_init(|| value.take().unwrap());
        match value {
            None => Ok(()),
            Some(value) => Err(value),
        }
    }
}
