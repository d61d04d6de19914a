//! Publish once, with a pointer to a value in the heap, fences around it, and a list of parked waiters that exists only
//! while somebody makes the value.

use std::marker::PhantomData;
use std::ptr;

use kata::sync::atomic::{AtomicPtr, Ordering, fence};
use kata::sync::{Mutex, MutexGuard, PoisonError};
use kata::thread::{self, Thread};

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
    /// Null, or the value, which comes from a `Box`. Never changes again once it is not null.
    value: AtomicPtr<T>,
    /// `None` if nobody is making a value, else the threads that wait for whoever does.
    waiting: Mutex<Option<Vec<Thread>>>,
    /// The cell owns a `T`, and goes to another thread only if the `T` may.
    owns: PhantomData<T>,
}

// SAFETY: a shared cell gives out `&T` to every thread, so `T` has to be `Sync`. It also takes a `T` in on one thread that
// is dropped on another one, so it has to be `Send`.
unsafe impl<T: Send + Sync> Sync for OnceCell<T> {}

impl<T> OnceCell<T> {
    const_outside_models! {
        /// An empty cell. `const`, so that it can be the value of a `static`.
        pub const fn new() -> Self {
            Self {
                value: AtomicPtr::new(ptr::null_mut()),
                waiting: Mutex::new(None),
                owns: PhantomData,
            }
        }
    }

    /// The value, if there is one. Never waits: while somebody is making the value, there is none yet.
    ///
    /// Everything that the thread which made the value did before it was in the cell comes before whatever the caller does
    /// afterwards.
    pub fn get(&self) -> Option<&T> {
        let value = self.value.load(Ordering::Relaxed); // The fence below acquires for it.
        if value.is_null() {
            return None;
        }
        fence(Ordering::Acquire); // Pairs with the Release fence in `get_or_init`, through `value`.
        // SAFETY: the pointer is not null, so it comes from `Box::into_raw`, and what it points to was written before the
        // Release fence, so before this. It is never written again, and stays until the cell is dropped.
        Some(unsafe { &*value })
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
        loop {
            if let Some(value) = self.get() {
                return value;
            }
            let mut waiting = self.waiting();
            // The second look. The lock is what orders it after those who had their turn already.
            if self.get().is_some() {
                continue;
            }
            match &mut *waiting {
                None => {
                    *waiting = Some(Vec::new());
                    break;
                }
                Some(threads) => threads.push(thread::current()),
            }
            drop(waiting);
            thread::park();
        }

        let turn = Turn(self);
        let value = Box::into_raw(Box::new(init()));
        fence(Ordering::Release); // Pairs with the Acquire fence in `get`, through `value`.
        self.value.store(value, Ordering::Relaxed); // The fence above releases for it.
        drop(turn);
        // SAFETY: just made, never written again, and it stays until the cell is dropped.
        unsafe { &*value }
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
        let mut value = Some(value);
        self.get_or_init(|| value.take().expect("init is called once"));
        value.map_or(Ok(()), Err)
    }

    fn waiting(&self) -> MutexGuard<'_, Option<Vec<Thread>>> {
        // No foreign code runs under the lock: poison would mean nothing.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The right to make the value. Whoever waits is woken when it ends, be it in a value or in a panic.
struct Turn<'a, T>(&'a OnceCell<T>);

impl<T> Drop for Turn<'_, T> {
    fn drop(&mut self) {
        let threads = self.0.waiting().take();
        threads
            .into_iter()
            .flatten()
            .for_each(|thread| thread.unpark());
    }
}

impl<T> Drop for OnceCell<T> {
    fn drop(&mut self) {
        let value = *self.value.get_mut();
        if !value.is_null() {
            // SAFETY: it comes from `Box::into_raw`, and nobody else can have the cell or a reference into it any more.
            drop(unsafe { Box::from_raw(value) });
        }
    }
}

impl<T> Default for OnceCell<T> {
    /// An empty cell.
    fn default() -> Self {
        Self::new()
    }
}
