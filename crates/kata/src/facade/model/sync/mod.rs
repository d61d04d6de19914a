//! `std::sync`, as far as all three worlds have it, recorded.

mod arc;
mod condvar;

use super::*;
use engine::sync::Until;
use std::mem::ManuallyDrop;
use std::ops::{Deref, DerefMut};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

pub use super::atomic;
pub use arc::Arc;
pub use condvar::{Condvar, WaitTimeoutResult};
pub use std::sync::{LockResult, PoisonError, TryLockError, TryLockResult};

/// What a poisonable lock answers.
fn judge<R>(poisoned: bool, result: R) -> LockResult<R> {
    if poisoned {
        Err(PoisonError::new(result))
    } else {
        Ok(result)
    }
}

macro_rules! guard {
    ($(#[$doc:meta])* $guard:ident of $lock:ident, $($mutable:tt)?) => {
        $(#[$doc])*
        #[must_use = "if unused, the lock is released at once"]
        pub struct $guard<'a, T: ?Sized> {
            raw: ManuallyDrop<engine::sync::$guard<'a, T>>,
            lock: &'a $lock<T>,
            site: Site,
            /// Its thread was unwinding when it was made: then its drop is no sign of trouble.
            in_unwind: bool,
        }

        impl<'a, T: ?Sized> $guard<'a, T> {
            fn wrap(raw: engine::sync::$guard<'a, T>, lock: &'a $lock<T>, site: Site) -> Self {
                let in_unwind = record::unwinder() == Some(record::current());
                Self { raw: ManuallyDrop::new(raw), lock, site, in_unwind }
            }

            #[allow(dead_code)] // only a mutex's guard is taken apart, by a condition variable
            fn unwrap(self) -> (engine::sync::$guard<'a, T>, &'a $lock<T>) {
                let this = ManuallyDrop::new(self);
                // SAFETY: `this` is not used again and not dropped.
                (unsafe { std::ptr::read(&*this.raw) }, this.lock)
            }
        }

        impl<T: ?Sized> Drop for $guard<'_, T> {
            fn drop(&mut self) {
                let unlock = || {
                    let exclusive = !stringify!($($mutable)?).is_empty();
                    if exclusive && !self.in_unwind && record::unwinder() == Some(record::current()) {
                        self.lock.poisoned.store(true, Relaxed);
                    }
                    // SAFETY: dropped once, here.
                    unsafe { ManuallyDrop::drop(&mut self.raw) };
                };
                step(About::Known(&self.lock.tag), Op::Unlock, self.site, unlock, nothing);
            }
        }

        impl<T: ?Sized> Deref for $guard<'_, T> {
            type Target = T;

            fn deref(&self) -> &T {
                &self.raw
            }
        }

        $(impl<T: ?Sized> DerefMut for $guard<'_, T> {
            fn deref_mut(&$mutable self) -> &$mutable T {
                &mut self.raw
            }
        })?

        impl<T: ?Sized + std::fmt::Debug> std::fmt::Debug for $guard<'_, T> {
            fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                (**self).fmt(formatter)
            }
        }
    };
}

guard! {
    /// `std::sync::MutexGuard`, recorded.
    MutexGuard of Mutex, mut
}
guard! {
    /// `std::sync::RwLockReadGuard`, recorded.
    RwLockReadGuard of RwLock,
}
guard! {
    /// `std::sync::RwLockWriteGuard`, recorded.
    RwLockWriteGuard of RwLock, mut
}

macro_rules! lock {
    ($(#[$doc:meta])* $lock:ident: $($(#[$method_doc:meta])* $method:ident, $try_method:ident -> $guard:ident;)*) => {
        $(#[$doc])*
        pub struct $lock<T: ?Sized> {
            tag: Tag,
            /// Somebody has panicked with the lock in hand. Not as the engine tells it: all model threads share one OS
            /// thread, so that a guard dropped by one while another one panics would count.
            poisoned: AtomicBool,
            raw: engine::sync::$lock<T>,
        }

        impl<T> $lock<T> {
            /// A lock around `value`.
            #[track_caller]
            pub fn new(value: T) -> Self {
                let _aside = watch::aside();
                Self {
                    tag: Tag::new(stringify!($lock), Location::caller()),
                    poisoned: AtomicBool::new(false),
                    raw: engine::sync::$lock::new(value),
                }
            }

            /// The value.
            ///
            /// # Errors
            /// If the lock is poisoned.
            pub fn into_inner(self) -> LockResult<T> {
                let poisoned = self.poisoned.load(Relaxed);
                judge(poisoned, self.raw.into_inner())
            }
        }

        impl<T: ?Sized> $lock<T> {
            $(
                $(#[$method_doc])*
                ///
                /// # Errors
                /// If the lock is poisoned.
                #[track_caller]
                pub fn $method(&self) -> LockResult<$guard<'_, T>> {
                    let site = Location::caller();
                    let op = Op::Lock(stringify!($method));
                    let acquire = || self.raw.$method();
                    let raw = step(About::Object(&self.tag), op, site, acquire, nothing);
                    judge(self.poisoned.load(Relaxed), $guard::wrap(raw, self, site))
                }

                /// As above, without waiting.
                ///
                /// # Errors
                /// If the lock is held or poisoned.
                #[track_caller]
                pub fn $try_method(&self) -> TryLockResult<$guard<'_, T>> {
                    let site = Location::caller();
                    let op = Op::TryLock { name: stringify!($try_method), acquired: None };
                    let acquire = || self.raw.$try_method();
                    let note = |raw: &Option<_>, op: &mut Op| {
                        if let Op::TryLock { acquired, .. } = op {
                            *acquired = Some(raw.is_some());
                        }
                    };
                    let raw = step(About::Object(&self.tag), op, site, acquire, note);
                    let Some(raw) = raw else {
                        return Err(TryLockError::WouldBlock);
                    };
                    Ok(judge(self.poisoned.load(Relaxed), $guard::wrap(raw, self, site))?)
                }
            )*

            /// The value, which nobody else can reach.
            ///
            /// # Errors
            /// If the lock is poisoned.
            pub fn get_mut(&mut self) -> LockResult<&mut T> {
                let poisoned = self.poisoned.load(Relaxed);
                judge(poisoned, self.raw.get_mut())
            }
        }

        impl<T: Default> Default for $lock<T> {
            #[track_caller]
            fn default() -> Self {
                Self::new(T::default())
            }
        }

        impl<T: ?Sized> std::fmt::Debug for $lock<T> {
            fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.debug_struct(stringify!($lock)).finish_non_exhaustive()
            }
        }
    };
}

lock! {
    /// `std::sync::Mutex`, recorded.
    Mutex:
    /// Waits for the lock.
    lock, try_lock -> MutexGuard;
}
lock! {
    /// `std::sync::RwLock`, recorded.
    RwLock:
    /// Waits for shared access.
    read, try_read -> RwLockReadGuard;
    /// Waits for exclusive access.
    write, try_write -> RwLockWriteGuard;
}
