//! shuttle behind the facade. It is sequentially consistent, so orderings pass through and decide nothing.
//!
//! The adversary draws from the scheduler's own random source, so that a failing schedule replays with its strikes.

use crate::record::{self, Site};
use crate::world::{Word, fail};
use memory_model::Change;
use shuttle::future::batch_semaphore::{BatchSemaphore, Fairness};
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
    use super::{Site, Token, below, pause, switch};
    use shuttle::sync as raw;
    pub(crate) use shuttle::sync::{MutexGuard, RwLockReadGuard, RwLockWriteGuard};
    use std::cell::RefCell;
    use std::ops::Deref;
    use std::rc::Rc;
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
        /// It is notified, or its time runs out.
        Timed,
        /// At once, without a notification.
        Now,
    }

    /// Who waits. A notification takes somebody out of the list.
    ///
    /// It is not the engine's, in which time never runs out.
    #[derive(Debug)]
    pub(crate) struct Condvar(RefCell<Vec<Rc<Token>>>);

    // SAFETY: all model threads are coroutines of one OS thread, and no switch happens while the list is borrowed.
    unsafe impl Sync for Condvar {}
    // SAFETY: as above.
    unsafe impl Send for Condvar {}

    impl Condvar {
        pub(crate) fn new() -> Self {
            Self(RefCell::default())
        }

        /// Returns also whether the time has run out.
        pub(crate) fn wait<'a, T>(
            &self,
            guard: MutexGuard<'a, T>,
            lock: &'a Mutex<T>,
            until: Until,
        ) -> (MutexGuard<'a, T>, bool) {
            drop(guard);
            // Nobody has run since the lock was released.
            let waiter = Waiter::new(self);
            let timed_out = match until {
                Until::Notified => {
                    waiter.token.take();
                    false
                }
                // At each turn the time runs out, one time in four.
                Until::Timed => loop {
                    pause();
                    if !waiter.waits() {
                        break false;
                    }
                    if below(4) == 0 {
                        break true;
                    }
                },
                // A strike comes at any time, also before anybody else has done anything: a yield would rule that out.
                Until::Now => true,
            };
            drop(waiter);
            (lock.lock(), timed_out)
        }

        pub(crate) fn notify_one(&self) {
            switch();
            let called = {
                let mut waiting = self.0.borrow_mut();
                match waiting.len() {
                    0 => None,
                    1 => waiting.pop(),
                    many => Some(waiting.swap_remove(below(many))),
                }
            };
            called.iter().for_each(|token| token.give());
        }

        pub(crate) fn notify_all(&self) {
            switch();
            let called = self.0.take();
            called.iter().for_each(|token| token.give());
        }
    }

    /// A place in the list.
    struct Waiter<'a> {
        condvar: &'a Condvar,
        token: Rc<Token>,
    }

    impl<'a> Waiter<'a> {
        fn new(condvar: &'a Condvar) -> Self {
            let token = Rc::new(Token::new());
            condvar.0.borrow_mut().push(Rc::clone(&token));
            Self { condvar, token }
        }

        /// Whether nobody has notified it.
        fn waits(&self) -> bool {
            let all = self.condvar.0.borrow();
            all.iter().any(|token| Rc::ptr_eq(token, &self.token))
        }
    }

    impl Drop for Waiter<'_> {
        fn drop(&mut self) {
            let mut all = self.condvar.0.borrow_mut();
            all.retain(|token| !Rc::ptr_eq(token, &self.token));
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
    record::running() && record::pass().adversary && below(8) == 0
}

/// A number less than `bound`, from the scheduler.
fn below(bound: usize) -> usize {
    let _aside = crate::watch::aside();
    (shuttle::rand::thread_rng().next_u64() % bound as u64) as usize
}

/// Whether a wait of limited time runs out of it at once.
pub(crate) fn times_out(site: Site) -> bool {
    strikes(site)
}

/// What the wake of a future, or a notification, makes available and one thread takes. It is none of the tokens that the
/// engine's `unpark` gives: those are for the program.
#[derive(Debug)]
pub(crate) struct Token {
    available: Cell<bool>,
    /// A permit for each time it has been made available, until the thread has been blocked and needs it.
    wakes: BatchSemaphore,
}

// SAFETY: all model threads are coroutines of one OS thread, and no switch happens while a cell is being read or set.
unsafe impl Sync for Token {}
// SAFETY: as above.
unsafe impl Send for Token {}

impl Token {
    pub(crate) fn new() -> Self {
        Self {
            available: Cell::new(false),
            wakes: BatchSemaphore::new(0, Fairness::Unfair),
        }
    }

    /// Waits until the token is available, and takes it. Always called by the same thread.
    pub(crate) fn take(&self) {
        switch();
        while !self.available.replace(false) {
            // It fails only when the execution is over.
            let _ = self.wakes.acquire_blocking(1);
        }
    }

    /// Makes the token available to the thread that takes it.
    pub(crate) fn give(&self) {
        switch();
        self.available.set(true);
        self.wakes.release(1);
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
