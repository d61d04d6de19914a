//! shuttle behind the facade. It is sequentially consistent, so orderings pass through and decide nothing.
//!
//! The adversary draws from the scheduler's own random source, so that a failing schedule replays with its strikes.

use crate::record::{self, Site};
use crate::world::{Word, fail};
use memory_model::Change;
use shuttle::rand::RngCore;
use shuttle_engine::runtime::thread::switch;
use std::cell::{Cell, RefCell};
use std::sync::atomic::Ordering;

pub(crate) fn fence(order: Ordering) {
    shuttle::sync::atomic::fence(order);
}

/// The current thread says that it waits.
pub(crate) fn pause() {
    shuttle::thread::yield_now();
}

/// A word that threads share.
pub(crate) struct Atomic<W>(Cell<W>);

// SAFETY: all model threads are coroutines of one OS thread, and no switch happens while the cell is being read or set.
unsafe impl<W> Sync for Atomic<W> {}

/// What is lent out is written back, without further ado.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lent;

impl<W: Word> Atomic<W> {
    pub(crate) fn new(value: W) -> Self {
        Self(Cell::new(value))
    }

    /// One that was there before the first thread. It holds 0.
    pub(crate) fn of_static(_number: usize) -> Self {
        Self::new(W::from_bits(0))
    }

    /// A read, and what `change` makes of it. A weak exchange fails without cause when the adversary says so.
    pub(crate) fn read(&self, change: Change, _orders: [Ordering; 2], site: Site) -> (W, bool) {
        let variant = u8::from(matches!(change, Change::Weak { .. }) && strikes(site));
        switch();
        let value = self.0.get();
        let new = change.apply(value.bits(), W::MASK, variant);
        if let Some(new) = new {
            self.0.set(W::from_bits(new));
        }
        (value, new.is_some())
    }

    pub(crate) fn store(&self, value: W, _order: Ordering, _site: Site) {
        switch();
        self.0.set(value);
    }

    /// A load by the facade itself.
    pub(crate) fn look(&self, site: Site) -> W {
        self.read(Change::Nothing, [Ordering::Acquire; 2], site).0
    }

    /// A compare-exchange by the facade itself. Returns whether it was successful.
    pub(crate) fn exchange(&self, current: W, new: W, site: Site) -> bool {
        let [current, new] = [current, new].map(Word::bits);
        let change = Change::Exchange { current, new };
        self.read(change, [Ordering::AcqRel; 2], site).1
    }

    /// Waits for a value.
    pub(crate) fn wait_for(&self, value: W, site: Site) {
        while self.look(site) != value {
            pause();
        }
    }

    /// The value, which nobody else can reach, for as long as it is lent out.
    pub(crate) fn lend(&self) -> (W, Lent) {
        (self.0.get(), Lent)
    }

    /// What has been written meanwhile.
    pub(crate) fn give_back(&self, _lent: Lent, value: W) {
        self.0.set(value);
    }

    /// The end of the object: what uses it afterwards is found by its mark.
    pub(crate) fn end(&self) {}
}

/// Threads of the model.
pub(crate) mod thread {
    use super::{RefCell, record};
    use shuttle::thread as raw;
    pub use shuttle::thread::ThreadId;

    thread_local! {
        /// The threads of the running execution.
        static THREADS: RefCell<Vec<Option<raw::Thread>>> = const { RefCell::new(Vec::new()) };
    }

    /// An execution begins.
    pub(crate) fn forget_threads() {
        THREADS.with_borrow_mut(Vec::clear);
    }

    fn register(index: usize, thread: raw::Thread) {
        THREADS.with_borrow_mut(|threads| {
            if threads.len() <= index {
                threads.resize(index + 1, None);
            }
            threads[index] = Some(thread);
        });
    }

    fn find(index: usize) -> Option<raw::Thread> {
        THREADS.with_borrow(|threads| threads.get(index)?.clone())
    }

    /// A thread of the running execution.
    #[derive(Clone, Debug)]
    pub(crate) struct Thread(raw::Thread);

    impl Thread {
        /// The current thread, or one that has been started.
        pub(crate) fn new(index: usize, _name: Option<&str>) -> Self {
            let thread = find(index).unwrap_or_else(|| {
                assert_eq!(
                    index,
                    record::current(),
                    "only the current thread is not known yet"
                );
                let current = raw::current();
                register(index, current.clone());
                current
            });
            Self(thread)
        }

        pub(crate) fn id(&self) -> ThreadId {
            self.0.id()
        }

        pub(crate) fn name(&self) -> Option<&str> {
            self.0.name()
        }

        pub(crate) fn unpark(&self) {
            self.0.unpark();
        }
    }

    pub(crate) fn park(_index: usize) {
        raw::park();
    }

    pub(crate) struct JoinHandle<T> {
        raw: raw::JoinHandle<T>,
        index: usize,
    }

    impl<T> JoinHandle<T> {
        pub(crate) fn index(&self) -> usize {
            self.index
        }

        pub(crate) fn join(self) -> std::thread::Result<T> {
            self.raw.join()
        }
    }

    /// Starts a thread; `body` is told its number.
    pub(crate) fn spawn<T: Send + 'static>(
        name: Option<&str>,
        body: impl FnOnce(usize) -> T + Send + 'static,
    ) -> JoinHandle<T> {
        let index = record::next_thread();
        record::thread(index, name);
        let mut builder = raw::Builder::new();
        if let Some(name) = name {
            builder = builder.name(name.to_owned());
        }
        let raw = builder.spawn(move || body(index));
        let raw = raw.expect("the engine spawns threads without fail");
        register(index, raw.thread().clone());
        JoinHandle { raw, index }
    }
}

/// Locks, condition variables and references.
pub(crate) mod sync {
    use super::Site;
    use shuttle::sync as raw;
    pub(crate) use shuttle::sync::{MutexGuard, RwLockReadGuard, RwLockWriteGuard};
    use std::ops::Deref;
    use std::sync::{PoisonError, TryLockError};

    macro_rules! lock {
        ($lock:ident: $($method:ident, $try_method:ident -> $guard:ident;)*) => {
            #[derive(Debug)]
            pub(crate) struct $lock<T: ?Sized>(raw::$lock<T>);

            impl<T> $lock<T> {
                pub(crate) fn new(value: T) -> Self {
                    Self(raw::$lock::new(value))
                }

                pub(crate) fn into_inner(self) -> T {
                    self.0.into_inner().unwrap_or_else(PoisonError::into_inner)
                }
            }

            impl<T: ?Sized> $lock<T> {
                pub(crate) fn get_mut(&mut self) -> &mut T {
                    self.0.get_mut().unwrap_or_else(PoisonError::into_inner)
                }

                $(
                    pub(crate) fn $method(&self) -> $guard<'_, T> {
                        self.0.$method().unwrap_or_else(PoisonError::into_inner)
                    }

                    pub(crate) fn $try_method(&self) -> Option<$guard<'_, T>> {
                        match self.0.$try_method() {
                            Ok(guard) => Some(guard),
                            Err(TryLockError::Poisoned(poison)) => Some(poison.into_inner()),
                            Err(TryLockError::WouldBlock) => None,
                        }
                    }
                )*
            }
        };
    }

    lock! {
        Mutex:
        lock, try_lock -> MutexGuard;
    }
    lock! {
        RwLock:
        read, try_read -> RwLockReadGuard;
        write, try_write -> RwLockWriteGuard;
    }

    /// How a wait ends.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub(crate) enum Until {
        /// It is notified.
        Notified,
        /// It is notified, or its time runs out. The scheduler cannot tell that nothing else happens any more, so it does
        /// run out, after the others have had their turn.
        Timed,
        /// At once, without a notification.
        Now,
    }

    #[derive(Debug)]
    pub(crate) struct Condvar(raw::Condvar);

    impl Condvar {
        pub(crate) fn new() -> Self {
            Self(raw::Condvar::new())
        }

        pub(crate) fn wait<'a, T>(
            &self,
            guard: MutexGuard<'a, T>,
            lock: &'a Mutex<T>,
            until: Until,
        ) -> MutexGuard<'a, T> {
            if until == Until::Notified {
                return self.0.wait(guard).unwrap_or_else(PoisonError::into_inner);
            }
            drop(guard);
            // A strike comes at any time, also before anybody else has done anything: a yield would rule that out.
            if until == Until::Timed {
                super::pause();
            }
            lock.lock()
        }

        /// Whether a wait that ended in this way has run out of time.
        pub(crate) fn timed_out(until: Until) -> bool {
            until != Until::Notified
        }

        pub(crate) fn notify_one(&self) {
            self.0.notify_one();
        }

        pub(crate) fn notify_all(&self) {
            self.0.notify_all();
        }
    }

    pub(crate) struct Arc<T: ?Sized>(raw::Arc<T>);

    impl<T> Arc<T> {
        pub(crate) fn new(value: T, _site: Site) -> Self {
            Self(raw::Arc::new(value))
        }

        pub(crate) fn try_unwrap(this: Self) -> Result<T, Self> {
            raw::Arc::try_unwrap(this.0).map_err(Self)
        }

        pub(crate) fn into_raw(this: Self) -> *const T {
            raw::Arc::into_raw(this.0)
        }

        /// # Safety
        /// `pointer` came from `into_raw` and is taken back once.
        pub(crate) unsafe fn from_raw(pointer: *const T) -> Self {
            // SAFETY: per the caller.
            Self(unsafe { raw::Arc::from_raw(pointer) })
        }
    }

    impl<T: ?Sized> Arc<T> {
        pub(crate) fn ptr_eq(this: &Self, other: &Self) -> bool {
            raw::Arc::ptr_eq(&this.0, &other.0)
        }

        pub(crate) fn strong_count(this: &Self) -> usize {
            raw::Arc::strong_count(&this.0)
        }

        pub(crate) fn get_mut(this: &mut Self) -> Option<&mut T> {
            raw::Arc::get_mut(&mut this.0)
        }
    }

    impl<T: ?Sized> Clone for Arc<T> {
        fn clone(&self) -> Self {
            Self(self.0.clone())
        }
    }

    impl<T: ?Sized> Deref for Arc<T> {
        type Target = T;

        fn deref(&self) -> &T {
            &self.0
        }
    }
}

/// Whether an operation that may fail or return without cause does so here: one time in eight.
pub(crate) fn strikes(_site: Site) -> bool {
    record::running() && record::pass().adversary && {
        let _aside = crate::watch::aside();
        shuttle::rand::thread_rng().next_u64().is_multiple_of(8)
    }
}

/// Whether a wait of limited time runs out of it at once.
pub(crate) fn times_out(site: Site) -> bool {
    strikes(site)
}

/// What the wake of a future makes available and one thread takes.
#[derive(Debug)]
pub(crate) struct Token {
    available: Cell<bool>,
    /// Who is blocked in `take` and nowhere else.
    parked: RefCell<Option<shuttle::thread::Thread>>,
}

// SAFETY: all model threads are coroutines of one OS thread, and no switch happens while a cell is being read or set.
unsafe impl Sync for Token {}
// SAFETY: as above.
unsafe impl Send for Token {}

impl Token {
    pub(crate) fn new() -> Self {
        Self {
            available: Cell::new(false),
            parked: RefCell::new(None),
        }
    }

    /// Waits until the token is available, and takes it. Always called by the same thread.
    pub(crate) fn take(&self) {
        // The engine's park may return without cause.
        while !self.available.replace(false) {
            self.parked.replace(Some(shuttle::thread::current()));
            shuttle::thread::park();
            self.parked.replace(None);
        }
    }

    /// Makes the token available to the thread that takes it.
    pub(crate) fn give(&self) {
        switch();
        self.available.set(true);
        // Not to a thread that is elsewhere: its next park would return without cause.
        let parked = self.parked.borrow().clone();
        if let Some(thread) = parked {
            thread.unpark();
        }
    }
}

/// What tracks the accesses to one cell: the number of readers inside, or -1 for a writer.
#[derive(Debug)]
pub(crate) struct Tracked(Cell<isize>);

// SAFETY: all model threads are coroutines of one OS thread, and no switch happens while the cell is being read or set.
unsafe impl Sync for Tracked {}
// SAFETY: as above.
unsafe impl Send for Tracked {}

/// An access that lasts as long as this value.
#[derive(Debug)]
pub(crate) struct Accessing<'a> {
    access: &'a Tracked,
    writes: bool,
}

const OVERLAP: &str = "Nothing keeps the two apart.";

impl Tracked {
    pub(crate) fn new() -> Self {
        Self(Cell::new(0))
    }

    pub(crate) fn begin(&self, writes: bool) -> Accessing<'_> {
        let inside = self.0.get();
        if record::running() && (inside < 0 || (writes && inside > 0)) {
            fail("data race", OVERLAP);
        }
        self.0.set(if writes { -1 } else { inside + 1 });
        Accessing {
            access: self,
            writes,
        }
    }

    /// The end of the cell counts as a write.
    pub(crate) fn end(&self) {
        if record::running() && self.0.get() != 0 {
            fail("data race", OVERLAP);
        }
    }
}

impl Accessing<'_> {
    /// A point at which another thread can run while this one is inside.
    pub(crate) fn settle(self) -> Self {
        if record::running() {
            let thread = record::current();
            let _aside = crate::watch::aside();
            switch();
            record::set_current(thread);
        }
        self
    }
}

impl Drop for Accessing<'_> {
    fn drop(&mut self) {
        let inside = self.access.0.get();
        self.access.0.set(if self.writes { 0 } else { inside - 1 });
    }
}
