//! Interior mutability whose accesses the checker sees.

use super::*;

/// `std::cell::UnsafeCell`, reached through closures: two accesses that nothing orders, one of them a write, are
/// a data race and fail the check.
pub struct UnsafeCell<T: ?Sized> {
    tag: Tag,
    access: engine::Tracked,
    value: std::cell::UnsafeCell<T>,
}

impl<T> UnsafeCell<T> {
    /// Wraps `value`.
    #[track_caller]
    pub fn new(value: T) -> Self {
        let _aside = watch::aside();
        let site = Location::caller();
        Self {
            tag: Tag::new("UnsafeCell", site),
            access: engine::Tracked::new(),
            value: std::cell::UnsafeCell::new(value),
        }
    }

    /// Unwraps the value.
    #[track_caller]
    pub fn into_inner(mut self) -> T {
        self.finish("into_inner", Some(Location::caller()));
        let this = std::mem::ManuallyDrop::new(self);
        // SAFETY: `this` is never used again, so the value is read once; the other fields own nothing.
        unsafe { std::ptr::read(&this.value) }.into_inner()
    }
}

impl<T: ?Sized> UnsafeCell<T> {
    /// Calls `access` with a pointer to read through. Only what a lock or a borrow keeps others away from may be
    /// used after `access` returns: the checker sees the access end there.
    #[track_caller]
    pub fn with<R>(&self, access: impl FnOnce(*const T) -> R) -> R {
        let _access = self.enter(Op::CellRead, Location::caller());
        access(self.value.get())
    }

    /// Calls `access` with a pointer to read and write through. What holds for the pointer of [`with`](Self::with)
    /// holds for this one.
    #[track_caller]
    pub fn with_mut<R>(&self, access: impl FnOnce(*mut T) -> R) -> R {
        let _access = self.enter(Op::CellWrite, Location::caller());
        access(self.value.get())
    }

    fn enter(&self, op: Op, site: Site) -> engine::Accessing<'_> {
        let writes = matches!(op, Op::CellWrite);
        let begin = || self.access.begin(writes);
        step(About::Object(&self.tag), op, site, begin, nothing).settle()
    }

    /// The value, which nobody else can reach.
    #[track_caller]
    pub fn get_mut(&mut self) -> &mut T {
        {
            let _access = self.enter(Op::CellWrite, Location::caller());
        }
        self.value.get_mut()
    }

    fn finish(&mut self, how: &'static str, site: Option<Site>) {
        finish(&mut self.tag, how, site, || self.access.end());
    }
}

impl<T: ?Sized> Drop for UnsafeCell<T> {
    fn drop(&mut self) {
        self.finish("drop", None);
    }
}

impl<T: Default> Default for UnsafeCell<T> {
    #[track_caller]
    fn default() -> Self {
        Self::new(T::default())
    }
}

impl<T: ?Sized> std::fmt::Debug for UnsafeCell<T> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("UnsafeCell").finish_non_exhaustive()
    }
}
