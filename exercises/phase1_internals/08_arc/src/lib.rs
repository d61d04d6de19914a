//! A value with many owners, freed by the last one. The task is in `README.md`.
#![allow(dead_code, unused_variables)] // Delete this line when you start: from then on the compiler helps you.

use std::ops::Deref;
use std::ptr::NonNull;

use kata::cell::UnsafeCell;

/// How many [`Arc`]s of one value there may be, and how many [`Weak`]s. Whoever makes many more ends the process.
///
/// Yours to lower if your counts are smaller, to no less than 65,535.
pub const MAX_REFERENCES: usize = isize::MAX as usize;

/// What all references to one value point to: a single allocation.
///
/// Yours to complete. Whatever two threads may reach belongs into an atomic or a cell of `kata`: the model checker sees
/// nothing else.
struct Block<T> {
    value: UnsafeCell<T>,
}

/// One of many owners of a `T`, on any number of threads.
///
/// The value is dropped when its last `Arc` is, whether there are [`Weak`]s left or not.
///
/// # Examples
///
/// ```no_run
/// use arc::Arc;
///
/// let mut numbers = Arc::new(vec![1, 2, 3]);
/// Arc::get_mut(&mut numbers).expect("nobody else has it yet").push(4);
///
/// let theirs = numbers.clone();
/// let sum = std::thread::spawn(move || theirs.iter().sum::<i32>());
/// assert_eq!(numbers.len(), 4);
/// assert_eq!(sum.join().unwrap(), 10);
///
/// assert_eq!(Arc::try_unwrap(numbers).ok(), Some(vec![1, 2, 3, 4]));
/// ```
pub struct Arc<T> {
    block: NonNull<Block<T>>,
}

// SAFETY: none yet. As they stand, these lines say that an `Arc` may go to other threads whatever it holds, even an `Rc`.
// That is false. What must `T` promise for them to become true?
unsafe impl<T> Send for Arc<T> {}
// SAFETY: none yet.
unsafe impl<T> Sync for Arc<T> {}

impl<T> Arc<T> {
    /// Moves `value` to the heap. One allocation holds it and all that its references need to know of each other.
    pub fn new(value: T) -> Self {
        Self::with_forgotten(value, 0, 0)
    }

    /// As [`new`](Self::new), and as if `arcs` further `Arc`s and `weaks` [`Weak`]s had been made and given to
    /// [`std::mem::forget`]. Neither number is larger than [`MAX_REFERENCES`].
    ///
    /// It is there for the checks, which live too short to forget that many one by one.
    #[doc(hidden)]
    pub fn with_forgotten(value: T, arcs: usize, weaks: usize) -> Self {
        todo!()
    }

    /// The value, to be changed, if `this` is the only reference to it: no other `Arc` and no [`Weak`].
    ///
    /// `None` means that there was another one during the call. A reference whose drop happened before the call does not
    /// count.
    pub fn get_mut(this: &mut Self) -> Option<&mut T> {
        todo!()
    }

    /// The value itself, if `this` is its only `Arc`. Its [`Weak`]s lose it.
    ///
    /// # Errors
    ///
    /// With `this`, if there was another `Arc` during the call.
    pub fn try_unwrap(this: Self) -> Result<T, Self> {
        todo!()
    }

    /// A reference that does not keep the value alive.
    ///
    /// Ends the process instead of exceeding [`MAX_REFERENCES`] by more than a few.
    pub fn downgrade(this: &Self) -> Weak<T> {
        todo!()
    }
}

impl<T> Deref for Arc<T> {
    type Target = T;

    fn deref(&self) -> &T {
        todo!()
    }
}

impl<T> Clone for Arc<T> {
    /// Another owner of the same value.
    ///
    /// Ends the process instead of exceeding [`MAX_REFERENCES`] by more than a few.
    fn clone(&self) -> Self {
        todo!()
    }
}

impl<T> Drop for Arc<T> {
    /// Drops the value if this was its last `Arc`. Whatever any thread did with the value before it let go of it comes
    /// before that.
    fn drop(&mut self) {
        // No `todo!()` here: drop also runs while another panic unwinds, and a second panic aborts the process. Until
        // you write this, everything leaks.
    }
}

/// A reference to a value that does not keep it alive. See [`Arc::downgrade`].
///
/// # Examples
///
/// ```no_run
/// use arc::Arc;
///
/// let owner = Arc::new(7);
/// let weak = Arc::downgrade(&owner);
/// assert_eq!(weak.upgrade().as_deref(), Some(&7));
/// drop(owner);
/// assert!(weak.upgrade().is_none());
/// ```
pub struct Weak<T> {
    block: NonNull<Block<T>>,
}

// SAFETY: none yet, as for `Arc`.
unsafe impl<T> Send for Weak<T> {}
// SAFETY: none yet.
unsafe impl<T> Sync for Weak<T> {}

impl<T> Weak<T> {
    /// An [`Arc`] of the value, or `None` if the last one is gone. While an `Arc` lives, it is never `None`.
    ///
    /// Ends the process instead of exceeding [`MAX_REFERENCES`] by more than a few.
    pub fn upgrade(&self) -> Option<Arc<T>> {
        todo!()
    }
}

impl<T> Clone for Weak<T> {
    /// Another weak reference to the same value, be it alive or not.
    ///
    /// Ends the process instead of exceeding [`MAX_REFERENCES`] by more than a few.
    fn clone(&self) -> Self {
        todo!()
    }
}

impl<T> Drop for Weak<T> {
    fn drop(&mut self) {
        // No `todo!()` here, as for `Arc`.
    }
}
