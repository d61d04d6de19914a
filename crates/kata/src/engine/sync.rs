//! Locks, condition variables and references, made of reads and writes of words.

use super::{Done, Touch, Wish, create, explorer, perform, proposer, touch};
use crate::record::Site;
use memory_model::{Access, Change, Clock, Location, NOTHING, join, waiter};
use std::cell::{Cell, UnsafeCell};
use std::mem::ManuallyDrop;
use std::ops::{Deref, DerefMut};
use std::ptr::NonNull;
use std::sync::atomic::Ordering::{self, Acquire, Relaxed, Release};

fn access(location: Location, order: Ordering, change: Change) -> Access {
    Access {
        change,
        ..Access::new(location, order)
    }
}

/// What a writer leaves in the word of a lock. Readers count up from 0.
const WRITER: u64 = 1 << 32;

/// A lock for one writer or several readers.
#[derive(Debug)]
pub(crate) struct RawLock(Location);

impl RawLock {
    pub(crate) fn new() -> Self {
        Self(create(0))
    }

    fn acquire(&self, shared: bool, awaits: bool) -> bool {
        touch(self.0, Touch::Atomic);
        let change = if shared {
            Change::Enter(WRITER)
        } else {
            Change::Exchange {
                current: 0,
                new: WRITER,
            }
        };
        let wish = Wish::Read(Access {
            awaits,
            shared,
            ..access(self.0, Acquire, change)
        });
        perform(wish).stored
    }

    fn release(&self, shared: bool) {
        touch(self.0, Touch::Atomic);
        if shared {
            perform(Wish::Read(Access {
                shared,
                ..access(self.0, Release, Change::Add(1_u64.wrapping_neg()))
            }));
        } else {
            perform(Wish::Write(Access::new(self.0, Release), 0));
        }
    }
}

macro_rules! lock {
    ($lock:ident: $($method:ident, $try_method:ident -> $guard:ident, $shared:literal $(, $mutable:ident)?;)*) => {
        #[derive(Debug)]
        pub(crate) struct $lock<T: ?Sized> {
            raw: RawLock,
            value: UnsafeCell<T>,
        }

        // SAFETY: as of `std`.
        unsafe impl<T: ?Sized + Send> Send for $lock<T> {}

        impl<T> $lock<T> {
            pub(crate) fn new(value: T) -> Self {
                Self { raw: RawLock::new(), value: UnsafeCell::new(value) }
            }

            pub(crate) fn into_inner(self) -> T {
                let this = ManuallyDrop::new(self);
                touch(this.raw.0, Touch::End);
                // SAFETY: `this` is not used again; the other field owns nothing.
                unsafe { std::ptr::read(&this.value) }.into_inner()
            }
        }

        impl<T: ?Sized> $lock<T> {
            pub(crate) fn get_mut(&mut self) -> &mut T {
                touch(self.raw.0, Touch::Write);
                self.value.get_mut()
            }

            $(
                pub(crate) fn $method(&self) -> $guard<'_, T> {
                    self.raw.acquire($shared, true);
                    $guard(self)
                }

                pub(crate) fn $try_method(&self) -> Option<$guard<'_, T>> {
                    self.raw.acquire($shared, false).then(|| $guard(self))
                }
            )*
        }

        impl<T: ?Sized> Drop for $lock<T> {
            fn drop(&mut self) {
                touch(self.raw.0, Touch::End);
            }
        }

        $(
            pub(crate) struct $guard<'a, T: ?Sized>(&'a $lock<T>);

            impl<T: ?Sized> Drop for $guard<'_, T> {
                fn drop(&mut self) {
                    self.0.raw.release($shared);
                }
            }

            impl<T: ?Sized> Deref for $guard<'_, T> {
                type Target = T;

                fn deref(&self) -> &T {
                    // SAFETY: the lock is held, so nobody writes.
                    unsafe { &*self.0.value.get() }
                }
            }

            $(impl<T: ?Sized> DerefMut for $guard<'_, T> {
                fn deref_mut(&$mutable self) -> &$mutable T {
                    // SAFETY: the lock is held exclusively.
                    unsafe { &mut *self.0.value.get() }
                }
            })?
        )*
    };
}

lock! {
    Mutex:
    lock, try_lock -> MutexGuard, false, mut;
}
lock! {
    RwLock:
    read, try_read -> RwLockReadGuard, true;
    write, try_write -> RwLockWriteGuard, false, mut;
}

// SAFETY: as of `std`.
unsafe impl<T: ?Sized + Send> Sync for Mutex<T> {}
// SAFETY: as of `std`.
unsafe impl<T: ?Sized + Send + Sync> Sync for RwLock<T> {}

/// Who waits and who has been called, as bits of one word. It orders no memory: the lock does.
#[derive(Debug)]
pub(crate) struct Condvar(Location);

/// How a wait ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Until {
    /// It is notified.
    Notified,
    /// It is notified, or its time runs out if nothing else happens any more. To the explorer that is no execution: the time
    /// might have run out at once.
    Timed,
    /// At once, without a notification.
    Now,
}

impl Condvar {
    pub(crate) fn new() -> Self {
        Self(create(0))
    }

    fn modify(&self, change: Change, awaits: bool) -> Done {
        perform(Wish::Read(Access {
            awaits,
            ..access(self.0, Relaxed, change)
        }))
    }

    /// Returns also whether the time has run out.
    pub(crate) fn wait<'a, T>(
        &self,
        guard: MutexGuard<'a, T>,
        lock: &'a Mutex<T>,
        until: Until,
    ) -> (MutexGuard<'a, T>, bool) {
        touch(self.0, Touch::Atomic);
        let [waits, called] = waiter(crate::record::current());
        if until == Until::Now {
            drop(guard);
            return (lock.lock(), true);
        }
        self.modify(Change::Or(waits), false);
        drop(guard);
        set_timed(until == Until::Timed);
        let done = self.modify(Change::Take(called), true);
        set_timed(false);
        let timed_out = !done.stored && {
            let before = self.modify(Change::And(!(waits | called)), false);
            before.value & called == 0
        };
        (lock.lock(), timed_out)
    }

    pub(crate) fn notify_one(&self) {
        touch(self.0, Touch::Atomic);
        self.modify(Change::CallOne, false);
    }

    pub(crate) fn notify_all(&self) {
        touch(self.0, Touch::Atomic);
        self.modify(Change::CallAll, false);
    }
}

impl Drop for Condvar {
    fn drop(&mut self) {
        touch(self.0, Touch::End);
    }
}

fn set_timed(timed: bool) {
    if explorer::is_running() {
        explorer::with(|explorer| explorer.set_timed(timed));
    } else {
        proposer::set_timed(timed);
    }
}

struct Shared<T: ?Sized> {
    /// The references, as the run has them.
    references: Cell<usize>,
    /// What happens before the references were dropped that are gone.
    dropped: Cell<Clock>,
    /// The references, as the memory model has them, if they are counted.
    counter: Option<Location>,
    site: usize,
    value: T,
}

/// A counted reference.
///
/// In most models one thread has the last reference in every execution, and knows of the ends of all others. Then counting
/// is nothing that the threads could see of one another. Where that is not so, the exploration begins again, and each change
/// of the count is a read-modify-write, as in `std`.
pub(crate) struct Arc<T: ?Sized>(NonNull<Shared<T>>);

// SAFETY: as of `std`.
unsafe impl<T: ?Sized + Send + Sync> Send for Arc<T> {}
// SAFETY: as of `std`.
unsafe impl<T: ?Sized + Send + Sync> Sync for Arc<T> {}

fn counts(site: usize) -> bool {
    if explorer::is_running() {
        explorer::with(|explorer| explorer.is_counted(site))
    } else {
        proposer::is_running()
    }
}

impl<T> Arc<T> {
    pub(crate) fn new(value: T, site: Site) -> Self {
        let site = super::key(site);
        let shared = Shared {
            references: Cell::new(1),
            dropped: Cell::new(NOTHING),
            counter: counts(site).then(|| create(1)),
            site,
            value,
        };
        alive(1);
        // Outside of the engine: the block is the program's.
        let block = crate::watch::within(|| Box::new(shared));
        Self(NonNull::from(Box::leak(block)))
    }

    pub(crate) fn try_unwrap(this: Self) -> Result<T, Self> {
        if !this.is_unique() {
            return Err(this);
        }
        let this = ManuallyDrop::new(this);
        this.count_down();
        alive(-1);
        // SAFETY: this was the last reference.
        let block = unsafe { Box::from_raw(this.0.as_ptr()) };
        Ok(crate::watch::within(|| {
            let Shared { value, .. } = *block;
            value
        }))
    }

    pub(crate) fn into_raw(this: Self) -> *const T {
        let this = ManuallyDrop::new(this);
        &raw const this.shared().value
    }

    /// # Safety
    /// `pointer` came from `into_raw` and is taken back once.
    pub(crate) unsafe fn from_raw(pointer: *const T) -> Self {
        let offset = std::mem::offset_of!(Shared<T>, value);
        // SAFETY: per the caller, the value is that of a block.
        let block = unsafe { pointer.byte_sub(offset) };
        Self(NonNull::new(block.cast::<Shared<T>>().cast_mut()).expect("a reference is not null"))
    }
}

impl<T: ?Sized> Arc<T> {
    fn shared(&self) -> &Shared<T> {
        // SAFETY: the block lives while there is a reference.
        unsafe { self.0.as_ref() }
    }

    pub(crate) fn ptr_eq(this: &Self, other: &Self) -> bool {
        std::ptr::addr_eq(this.0.as_ptr(), other.0.as_ptr())
    }

    pub(crate) fn strong_count(this: &Self) -> usize {
        let shared = this.shared();
        match shared.counter {
            Some(counter) => {
                perform(Wish::Read(access(counter, Acquire, Change::Nothing))).value as usize
            }
            None => {
                let count = shared.references.get();
                if count > 1 || !knows(&shared.dropped.get()) {
                    count_from_now_on(shared.site);
                }
                count
            }
        }
    }

    /// Whether this is the only reference, and all others have ended before now.
    fn is_unique(&self) -> bool {
        Self::strong_count(self) == 1
    }

    pub(crate) fn get_mut(this: &mut Self) -> Option<&mut T> {
        if this.is_unique() {
            // SAFETY: this is the only reference.
            Some(unsafe { &mut this.0.as_mut().value })
        } else {
            None
        }
    }

    /// Takes one reference away. Returns whether it was the last one.
    fn count_down(&self) -> bool {
        let shared = self.shared();
        let one_less = || {
            let references = shared.references.get() - 1;
            shared.references.set(references);
            references
        };
        if let Some(counter) = shared.counter {
            let change = Change::Add(1_u64.wrapping_neg());
            perform(Wish::Read(access(counter, Release, change)));
            // Only now, when its turn has come: the run keeps to the order of the changes, so its own count says who is last.
            let references = one_less();
            if references == 0 {
                super::fence(Acquire);
            }
            return references == 0;
        }
        let references = one_less();
        let mut dropped = shared.dropped.get();
        if references > 0 {
            if let Some(clock) = clock() {
                join(&mut dropped, &clock);
                shared.dropped.set(dropped);
            }
        } else if !knows(&dropped) {
            count_from_now_on(shared.site);
        }
        references == 0
    }
}

impl<T: ?Sized> Clone for Arc<T> {
    fn clone(&self) -> Self {
        let shared = self.shared();
        if let Some(counter) = shared.counter {
            perform(Wish::Read(access(counter, Relaxed, Change::Add(1))));
        }
        shared.references.set(shared.references.get() + 1);
        Self(self.0)
    }
}

impl<T: ?Sized> Drop for Arc<T> {
    fn drop(&mut self) {
        if self.count_down() {
            alive(-1);
            // SAFETY: this was the last reference.
            let block = unsafe { Box::from_raw(self.0.as_ptr()) };
            let block = Within(ManuallyDrop::new(block));
            if begins_again() {
                // This run ends here, but what the value owns is given back.
                perform(Wish::Pause);
            }
            drop(block);
        }
    }
}

/// A block whose end belongs to the code under test.
struct Within<T: ?Sized>(ManuallyDrop<Box<Shared<T>>>);

impl<T: ?Sized> Drop for Within<T> {
    fn drop(&mut self) {
        // SAFETY: dropped once, here.
        crate::watch::within(|| unsafe { ManuallyDrop::drop(&mut self.0) });
    }
}

impl<T: ?Sized> Deref for Arc<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.shared().value
    }
}

thread_local! {
    static ALIVE: Cell<isize> = const { Cell::new(0) };
}

/// Values that references are counted for, in this execution.
pub(crate) fn values_alive() -> isize {
    ALIVE.get()
}

/// An execution begins.
pub(crate) fn forget_values() {
    ALIVE.set(0);
}

fn alive(change: isize) {
    ALIVE.set(ALIVE.get() + change);
}

fn knows(clock: &Clock) -> bool {
    !explorer::is_running() || explorer::with(|explorer| explorer.knows(clock))
}

fn clock() -> Option<Clock> {
    explorer::is_running().then(|| explorer::with(|explorer| explorer.clock()))
}

fn begins_again() -> bool {
    explorer::is_running() && explorer::with(|explorer| explorer.begins_again())
}

fn count_from_now_on(site: usize) {
    if explorer::is_running() {
        explorer::with(|explorer| explorer.count(site));
    }
}
