//! Thread-local keys and lazily initialised statics of the model worlds: anew in each execution.

use crate::{engine, record, watch};
use std::cell::RefCell;
use std::panic::Location;

/// An access to a thread-local value that has been dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AccessError;

impl std::fmt::Display for AccessError {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("the thread-local value has been dropped")
    }
}

impl std::error::Error for AccessError {}

/// `std::thread::LocalKey`: declared by [`thread_local!`](crate::thread_local).
pub struct LocalKey<T: 'static> {
    initial: fn() -> T,
}

impl<T> std::fmt::Debug for LocalKey<T> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("LocalKey").finish_non_exhaustive()
    }
}

/// A value, type-erased, and how it is dropped.
type Kept = (*mut (), unsafe fn(*mut ()));

/// Where a value is kept.
struct Slot {
    owner: usize,
    key: usize,
    /// `None` from the moment at which it is being dropped.
    value: Option<Kept>,
}

/// # Safety
/// `value` is a box of a `T`, and is not used again.
unsafe fn free<T>(value: *mut ()) {
    // SAFETY: per the caller.
    let value = unsafe { Box::from_raw(value.cast::<T>()) };
    // The box is the facade's, what is in it the program's.
    let value = *value;
    watch::resume();
    drop(value);
    std::mem::forget(watch::aside());
}

/// The owner of what is not a thread's.
const NOBODY: usize = usize::MAX;

thread_local! {
    static SLOTS: RefCell<Vec<Slot>> = const { RefCell::new(Vec::new()) };
    static STATES: RefCell<Vec<(usize, &'static engine::Atomic<u8>)>> = const { RefCell::new(Vec::new()) };
    /// Statics get a number when they are first used, for good.
    static STATICS: RefCell<Vec<usize>> = const { RefCell::new(Vec::new()) };
}

fn find(owner: usize, key: usize) -> Option<Option<*mut ()>> {
    SLOTS.with_borrow(|slots| {
        let mut all = slots.iter();
        let found = all.find(|slot| slot.owner == owner && slot.key == key)?;
        Some(found.value.map(|(value, _)| value))
    })
}

fn keep<T>(owner: usize, key: usize, value: T) -> *mut () {
    let _aside = watch::aside();
    let value = Box::into_raw(Box::new(value)).cast::<()>();
    let slot = Slot {
        owner,
        key,
        value: Some((value, free::<T>)),
    };
    SLOTS.with_borrow_mut(|slots| slots.push(slot));
    value
}

impl<T> LocalKey<T> {
    #[doc(hidden)]
    #[must_use]
    pub const fn new(initial: fn() -> T) -> Self {
        Self { initial }
    }

    /// Calls `access` with the current thread's value, which is made at the first call.
    ///
    /// # Panics
    /// If the value has been dropped: the thread is about to end.
    pub fn with<R>(&'static self, access: impl FnOnce(&T) -> R) -> R {
        self.try_with(access)
            .expect("a thread-local value is there until its thread ends")
    }

    /// As [`with`](Self::with).
    ///
    /// # Errors
    /// If the value has been dropped: the thread is about to end.
    pub fn try_with<R>(&'static self, access: impl FnOnce(&T) -> R) -> Result<R, AccessError> {
        let (owner, key) = (record::current(), std::ptr::from_ref(self).addr());
        let value = match find(owner, key) {
            Some(value) => value.ok_or(AccessError)?,
            None => {
                let initial = (self.initial)();
                keep(owner, key, initial)
            }
        };
        // SAFETY: the value belongs to the current thread and lives until that ends; only shared references are given out.
        Ok(access(unsafe { &*value.cast::<T>() }))
    }
}

/// How many statics there are, as far as is known.
#[cfg(feature = "loom")]
pub(crate) fn statics() -> usize {
    STATICS.with_borrow(Vec::len).max(2)
}

/// Drops what a thread has kept, the last one first. What is made meanwhile is dropped as well.
pub(crate) fn end_thread(thread: usize) {
    drop_all_of(thread);
}

fn drop_all_of(owner: usize) {
    let _aside = watch::aside();
    loop {
        let next = SLOTS.with_borrow_mut(|slots| {
            let mut all = slots.iter_mut().rev();
            all.find_map(|slot| {
                if slot.owner == owner {
                    slot.value.take()
                } else {
                    None
                }
            })
        });
        let Some((value, free)) = next else { return };
        // SAFETY: taken out of its slot, so it is freed once, as what it is.
        unsafe { free(value) };
    }
}

/// Ends an execution: statics are dropped, and what threads that never ended have kept.
pub(crate) fn end_execution() {
    let _aside = watch::aside();
    STATES.with_borrow_mut(Vec::clear);
    let slots = SLOTS.take();
    for slot in slots {
        if let Some((value, free)) = slot.value {
            // SAFETY: as above.
            unsafe { free(value) };
        }
    }
}

/// Ends an execution whose threads have been left where they stand: nothing is dropped.
#[cfg(feature = "loom")]
pub(crate) fn forget_execution() {
    STATES.with_borrow_mut(Vec::clear);
    SLOTS.take();
}

/// What stands behind a static of [`lazy_static!`](crate::lazy_static).
pub struct Lazy<T: 'static> {
    initial: fn() -> T,
}

impl<T> std::fmt::Debug for Lazy<T> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Lazy").finish_non_exhaustive()
    }
}

/// Nobody has used the static.
const EMPTY: u8 = 0;
/// Somebody initialises it.
const BUSY: u8 = 1;
/// It is there.
const FULL: u8 = 2;

impl<T> Lazy<T> {
    #[doc(hidden)]
    #[must_use]
    pub const fn new(initial: fn() -> T) -> Self {
        Self { initial }
    }

    fn state(key: usize) -> &'static engine::Atomic<u8> {
        let _aside = watch::aside();
        let known = STATES.with_borrow(|states| {
            let found = states.iter().find(|(known, _)| *known == key);
            found.map(|&(_, state)| state)
        });
        known.unwrap_or_else(|| {
            let number = STATICS.with_borrow_mut(|statics| {
                let found = statics.iter().position(|&known| known == key);
                found.unwrap_or_else(|| {
                    statics.push(key);
                    statics.len() - 1
                })
            });
            // As long as the process: a few bytes an execution that uses it.
            let state = &*Box::leak(Box::new(engine::Atomic::of_static(number)));
            STATES.with_borrow_mut(|states| states.push((key, state)));
            state
        })
    }

    /// The value, which the first to ask makes. What happens before it is made happens before every use.
    #[track_caller]
    pub fn get(&'static self) -> &'static T {
        let key = std::ptr::from_ref(self).addr();
        let state = Self::state(key);
        let thread = record::current();
        let site = Location::caller();
        {
            let _aside = watch::aside();
            while state.look(site) != FULL {
                if state.exchange(EMPTY, BUSY, site) {
                    let again = Again { state, site };
                    // A static is no leak.
                    let value = (self.initial)();
                    keep(NOBODY, key, value);
                    std::mem::forget(again);
                    state.store(FULL, std::sync::atomic::Ordering::Release, site);
                } else {
                    state.wait_for(FULL, site);
                }
            }
        }
        record::set_current(thread);
        let value = find(NOBODY, key).flatten();
        // SAFETY: the value lives until the execution ends; only shared references are given out.
        unsafe { &*value.expect("it is full").cast::<T>() }
    }
}

/// The static is empty again if its initialisation panics.
struct Again {
    state: &'static engine::Atomic<u8>,
    site: record::Site,
}

impl Drop for Again {
    fn drop(&mut self) {
        self.state
            .store(EMPTY, std::sync::atomic::Ordering::Release, self.site);
    }
}

/// Declares thread-local keys: `std::thread_local!` in the std world, the model's own in the others.
#[macro_export]
macro_rules! thread_local {
    () => {};
    ($(#[$attribute:meta])* $visibility:vis static $name:ident: $type:ty = const $initial:block $(; $($rest:tt)*)?) => {
        $(#[$attribute])*
        $visibility static $name: $crate::thread::LocalKey<$type> = $crate::thread::LocalKey::new(|| $initial);
        $($crate::thread_local! { $($rest)* })?
    };
    ($(#[$attribute:meta])* $visibility:vis static $name:ident: $type:ty = $initial:expr $(; $($rest:tt)*)?) => {
        $(#[$attribute])*
        $visibility static $name: $crate::thread::LocalKey<$type> = $crate::thread::LocalKey::new(|| $initial);
        $($crate::thread_local! { $($rest)* })?
    };
}

/// Declares statics that are initialised at their first use, anew in each execution of a model.
#[macro_export]
macro_rules! lazy_static {
    () => {};
    ($(#[$attribute:meta])* $visibility:vis static ref $name:ident: $type:ty = $initial:expr; $($rest:tt)*) => {
        $(#[$attribute])*
        #[allow(non_camel_case_types)]
        #[derive(Debug)]
        $visibility struct $name { _private: () }
        #[doc(hidden)]
        $visibility static $name: $name = $name { _private: () };
        impl ::std::ops::Deref for $name {
            type Target = $type;

            fn deref(&self) -> &$type {
                static LAZY: $crate::__Lazy<$type> = $crate::__Lazy::new(|| $initial);
                LAZY.get()
            }
        }
        $crate::lazy_static! { $($rest)* }
    };
}
