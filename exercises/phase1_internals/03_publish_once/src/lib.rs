//! A value that is written once and read by everybody from then on. The task is in `README.md`.
#![allow(dead_code, unused_variables)] // Delete this line when you start: from then on the compiler helps you.

use std::mem::MaybeUninit;

use kata::cell::UnsafeCell;

/// Takes `const` away from the functions in it where a model checker runs them: its atomics cannot be made at compile
/// time, because it wants to know when each of them begins. Everywhere else the functions stay as they are written.
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
///
/// Any number of threads may ask for the value, and any number of them may try to be the one who provides it. Looking
/// into a full cell costs one load of an atomic: no lock, and no write to anything that other threads read.
///
/// # Examples
///
/// ```no_run
/// use publish_once::OnceCell;
///
/// let settings = OnceCell::new(); // mostly a `static`
/// std::thread::scope(|scope| {
///     for _ in 0..3 {
///         // One of the threads reads the file. The others wait for it, and see what it has read.
///         scope.spawn(|| {
///             let settings = settings.get_or_init(|| std::fs::read_to_string("settings"));
///             println!("{settings:?}");
///         });
///     }
/// });
/// ```
pub struct OnceCell<T> {
    /// Written by one thread, and never again.
    value: UnsafeCell<MaybeUninit<T>>,
}

// SAFETY: none yet. As it stands, this line says that threads may share the cell whatever it holds, even an `Rc`. That is
// false. What must `T` promise for it to become true?
unsafe impl<T> Sync for OnceCell<T> {}

impl<T> OnceCell<T> {
    const_outside_models! {
        /// An empty cell. `const`, so that it can be the value of a `static`.
        pub const fn new() -> Self {
            todo!()
        }
    }

    /// The value, if there is one. Never waits: while somebody is making the value, there is none yet.
    ///
    /// Everything that the thread which made the value did before it was in the cell comes before whatever the caller does
    /// afterwards.
    pub fn get(&self) -> Option<&T> {
        todo!()
    }

    /// The value; if there is none, the one that `init` makes. All callers get a reference to the same value.
    ///
    /// At most one `init` runs at a time, and none once the cell is full. Whoever comes while one runs waits for it. If
    /// it panics, its caller gets the panic, the cell stays empty, and one of those who wait is the next to try.
    ///
    /// An `init` that itself asks the same cell for its value, with anything but [`get`](Self::get), waits for itself,
    /// forever.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// let cell = publish_once::OnceCell::new();
    /// assert_eq!(cell.get(), None);
    /// assert_eq!(cell.get_or_init(|| 42), &42);
    /// assert_eq!(cell.get_or_init(|| unreachable!("there is a value")), &42);
    /// assert_eq!(cell.get(), Some(&42));
    /// ```
    pub fn get_or_init(&self, init: impl FnOnce() -> T) -> &T {
        todo!()
    }

    /// Puts `value` into the cell, if it is empty. Waits for an `init` that is running.
    ///
    /// # Errors
    ///
    /// With `value`, if the cell has a value already: from then on, [`get`](Self::get) finds it.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// let cell = publish_once::OnceCell::new();
    /// assert_eq!(cell.set("first"), Ok(()));
    /// assert_eq!(cell.set("second"), Err("second"));
    /// assert_eq!(cell.get(), Some(&"first"));
    /// ```
    pub fn set(&self, value: T) -> Result<(), T> {
        todo!()
    }
}

impl<T> Default for OnceCell<T> {
    /// An empty cell.
    fn default() -> Self {
        Self::new()
    }
}
