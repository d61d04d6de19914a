//! `std::sync::Arc`, recorded.

use super::*;

/// `std::sync::Arc`: a forgotten or doubly dropped one is reported by the checker.
pub struct Arc<T: ?Sized>(ManuallyDrop<engine::sync::Arc<T>>);

impl<T> Arc<T> {
    /// Moves `value` to the heap, shared.
    #[track_caller]
    pub fn new(value: T) -> Self {
        let _aside = watch::aside();
        Self(ManuallyDrop::new(engine::sync::Arc::new(
            value,
            Location::caller(),
        )))
    }

    fn into_raw_arc(self) -> engine::sync::Arc<T> {
        let this = ManuallyDrop::new(self);
        // SAFETY: `this` is not used again and not dropped.
        unsafe { std::ptr::read(&*this.0) }
    }

    /// The value, if this is the last reference.
    ///
    /// # Errors
    /// With the reference, if it is not.
    #[track_caller]
    pub fn try_unwrap(this: Self) -> Result<T, Self> {
        let raw = this.into_raw_arc();
        let result = unrecorded(|| engine::sync::Arc::try_unwrap(raw));
        result.map_err(|raw| Self(ManuallyDrop::new(raw)))
    }

    /// A raw pointer that keeps the reference; give it back with `from_raw`.
    pub fn into_raw(this: Self) -> *const T {
        engine::sync::Arc::into_raw(this.into_raw_arc())
    }

    /// Takes a reference back.
    ///
    /// # Safety
    /// `pointer` came from `into_raw` and is taken back once.
    pub unsafe fn from_raw(pointer: *const T) -> Self {
        // SAFETY: per the caller.
        Self(ManuallyDrop::new(unsafe {
            engine::sync::Arc::from_raw(pointer)
        }))
    }
}

impl<T: ?Sized> Arc<T> {
    /// Whether both point to the same value.
    pub fn ptr_eq(this: &Self, other: &Self) -> bool {
        engine::sync::Arc::ptr_eq(&this.0, &other.0)
    }

    /// The number of references at some moment.
    #[track_caller]
    pub fn strong_count(this: &Self) -> usize {
        unrecorded(|| engine::sync::Arc::strong_count(&this.0))
    }

    /// The value, if this is the only reference.
    #[track_caller]
    pub fn get_mut(this: &mut Self) -> Option<&mut T> {
        unrecorded(|| engine::sync::Arc::get_mut(&mut this.0))
    }
}

impl<T: ?Sized> Clone for Arc<T> {
    #[track_caller]
    fn clone(&self) -> Self {
        let raw = unrecorded(|| engine::sync::Arc::clone(&self.0));
        Self(ManuallyDrop::new(raw))
    }
}

impl<T: ?Sized> Drop for Arc<T> {
    fn drop(&mut self) {
        // SAFETY: dropped once, here.
        unrecorded(|| unsafe { ManuallyDrop::drop(&mut self.0) });
    }
}

impl<T: ?Sized> Deref for Arc<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T: ?Sized> AsRef<T> for Arc<T> {
    fn as_ref(&self) -> &T {
        self
    }
}

impl<T: Default> Default for Arc<T> {
    #[track_caller]
    fn default() -> Self {
        Self::new(T::default())
    }
}

impl<T> From<T> for Arc<T> {
    #[track_caller]
    fn from(value: T) -> Self {
        Self::new(value)
    }
}

impl<T: ?Sized + std::fmt::Debug> std::fmt::Debug for Arc<T> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        (**self).fmt(formatter)
    }
}
