//! The std world: what a program without a checker uses.

/// `std::sync`, as far as all three worlds have it.
pub mod sync {
    pub use std::sync::{
        Arc, Condvar, LockResult, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard,
        RwLockWriteGuard, TryLockError, TryLockResult, WaitTimeoutResult,
    };

    /// `std::sync::atomic`.
    pub mod atomic {
        pub use std::sync::atomic::{
            AtomicBool, AtomicI8, AtomicI16, AtomicI32, AtomicI64, AtomicIsize, AtomicPtr,
            AtomicU8, AtomicU16, AtomicU32, AtomicU64, AtomicUsize, Ordering, compiler_fence,
            fence,
        };
    }
}

/// Interior mutability whose accesses the model worlds can see.
pub mod cell {
    /// `std::cell::UnsafeCell`, reached through closures so that a model can tell when an access begins and ends.
    #[derive(Debug, Default)]
    #[repr(transparent)]
    pub struct UnsafeCell<T: ?Sized>(std::cell::UnsafeCell<T>);

    impl<T> UnsafeCell<T> {
        /// Wraps `value`.
        #[inline(always)]
        pub const fn new(value: T) -> Self {
            Self(std::cell::UnsafeCell::new(value))
        }

        /// Unwraps the value.
        #[inline(always)]
        pub fn into_inner(self) -> T {
            self.0.into_inner()
        }
    }

    impl<T: ?Sized> UnsafeCell<T> {
        /// Calls `access` with a pointer to read through. Only what a lock or a borrow keeps others away from may be
        /// used after `access` returns: the checker sees the access end there.
        #[inline(always)]
        pub fn with<R>(&self, access: impl FnOnce(*const T) -> R) -> R {
            access(self.0.get())
        }

        /// Calls `access` with a pointer to read and write through. What holds for the pointer of [`with`](Self::with)
        /// holds for this one.
        #[inline(always)]
        pub fn with_mut<R>(&self, access: impl FnOnce(*mut T) -> R) -> R {
            access(self.0.get())
        }

        /// The value, which nobody else can reach.
        #[inline(always)]
        pub fn get_mut(&mut self) -> &mut T {
            self.0.get_mut()
        }
    }
}

/// `std::thread`, as far as all three worlds have it, and scoped threads, which the model worlds do not have.
pub mod thread {
    pub use std::thread::{
        AccessError, Builder, JoinHandle, LocalKey, Thread, ThreadId, current, park, spawn,
        yield_now,
    };
    // Here alone: code that uses these is checked in the std world only.
    pub use std::thread::{Scope, ScopedJoinHandle, available_parallelism, scope};
}

/// `std::hint`.
pub mod hint {
    pub use std::hint::spin_loop;
}

/// A mark on a piece of memory: the model worlds report a touch after its end, a second end, and a missing end.
///
/// Here it is nothing and costs nothing.
#[derive(Debug, Default)]
pub struct Canary;

impl Canary {
    /// A living canary.
    #[inline(always)]
    pub const fn new() -> Self {
        Self
    }

    /// States that the memory this canary sits in is in use now.
    #[inline(always)]
    pub fn touch(&self) {}
}

/// Declares thread-local keys: `std::thread_local!` in the std world, the model's own in the others.
#[macro_export]
macro_rules! thread_local {
    ($($declarations:tt)*) => { ::std::thread_local! { $($declarations)* } };
}

/// Declares statics that are initialised at their first use, anew in each execution of a model.
#[macro_export]
macro_rules! lazy_static {
    ($($(#[$attribute:meta])* $vis:vis static ref $name:ident: $type:ty = $init:expr;)*) => {$(
        $(#[$attribute])*
        $vis static $name: ::std::sync::LazyLock<$type> = ::std::sync::LazyLock::new(|| $init);
    )*};
}
