//! loom behind the facade, corrected where it rejects right programs.
//!
//! - **SeqCst accesses.** loom treats them as AcqRel. Here each is the matching weaker access and a `fence(SeqCst)`, in
//!   one pass before it and in a second pass after it. Both mappings let code that is right with SeqCst accesses pass;
//!   the leading one shows what a weakened load breaks, the trailing one what a weakened store breaks.
//! - **Atomicity of read-modify-writes** (loom issue 254: a plain store may slip between the read and the write of
//!   another thread's `swap`). Once an atomic has seen a successful read-modify-write in an execution, a store to it
//!   is done as a swap. A store that came before may still slip behind any number of later read-modify-writes, so that a
//!   thread that waits by them waits forever: such an exploration is begun again, with all stores to that atomic as swaps.
//! - **Park tokens.** loom's own token is lost on a thread that yields, wakes a thread that waits for something else (a
//!   `join` then fails an assertion of loom's), and orders memory before it is taken. Here a token is an atomic of the
//!   model: `unpark` gives it with Release, `park` takes it with Acquire and blocks only while there is none.
//! - **Hidden loads.** loom remembers one last access of each atomic, so that a thread's own load hides an earlier load of
//!   another thread from the store that follows: of `x.load()` beside `x.load(); x.swap(1)` it explores one execution.
//!   Every load passes a [`Turnstile`] first.
//!
//! The adversary strikes in a pass of its own, once for each call site and thread, so that the state space stays small.

use crate::record::{self, Mapping, Site};
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::atomic::Ordering::{self, AcqRel, Acquire, Relaxed, Release, SeqCst};

pub(crate) use loom::{sync, thread};

/// loom's atomics, and a boolean that allows exclusive access as the others do.
pub(crate) mod atomic {
    use super::Ordering;
    pub(crate) use loom::sync::atomic::*;

    #[derive(Debug)]
    pub(crate) struct AtomicBool(AtomicU8);

    impl AtomicBool {
        #[track_caller]
        pub(crate) fn new(value: bool) -> Self {
            Self(AtomicU8::new(value.into()))
        }

        pub(crate) fn with_mut<R>(&mut self, access: impl FnOnce(&mut bool) -> R) -> R {
            self.0.with_mut(|byte| access(&mut (*byte != 0)))
        }

        pub(crate) fn load(&self, order: Ordering) -> bool {
            self.0.load(order) != 0
        }

        pub(crate) fn store(&self, value: bool, order: Ordering) {
            self.0.store(value.into(), order);
        }

        pub(crate) fn swap(&self, value: bool, order: Ordering) -> bool {
            self.0.swap(value.into(), order) != 0
        }

        pub(crate) fn compare_exchange(
            &self,
            current: bool,
            new: bool,
            success: Ordering,
            failure: Ordering,
        ) -> Result<bool, bool> {
            let outcome = self
                .0
                .compare_exchange(current.into(), new.into(), success, failure);
            outcome.map(|byte| byte != 0).map_err(|byte| byte != 0)
        }

        pub(crate) fn fetch_and(&self, value: bool, order: Ordering) -> bool {
            self.0.fetch_and(value.into(), order) != 0
        }

        pub(crate) fn fetch_nand(&self, value: bool, order: Ordering) -> bool {
            // Not the byte's `nand`, which would set the upper bits.
            if value {
                self.fetch_xor(true, order)
            } else {
                self.swap(true, order)
            }
        }

        pub(crate) fn fetch_or(&self, value: bool, order: Ordering) -> bool {
            self.0.fetch_or(value.into(), order) != 0
        }

        pub(crate) fn fetch_xor(&self, value: bool, order: Ordering) -> bool {
            self.0.fetch_xor(value.into(), order) != 0
        }
    }
}

/// What stands before an access with `order`.
pub(crate) fn before(order: Ordering) {
    if order == SeqCst {
        record::note_seq_cst();
    }
    if sequential(order) && record::pass().mapping == Mapping::Leading {
        atomic::fence(SeqCst);
    }
}

/// What stands after an access with `order`.
pub(crate) fn after(order: Ordering) {
    if sequential(order) && record::pass().mapping == Mapping::Trailing {
        atomic::fence(SeqCst);
    }
}

fn sequential(order: Ordering) -> bool {
    order == SeqCst || record::pass().strengthened
}

fn weaker(order: Ordering, weak: Ordering) -> Ordering {
    if sequential(order) && record::pass().mapping != Mapping::Raw {
        weak
    } else {
        order
    }
}

pub(crate) fn load_order(order: Ordering) -> Ordering {
    weaker(order, Acquire)
}

pub(crate) fn store_order(order: Ordering) -> Ordering {
    weaker(order, Release)
}

pub(crate) fn rmw_order(order: Ordering) -> Ordering {
    weaker(order, AcqRel)
}

pub(crate) fn fence(order: Ordering) {
    atomic::fence(if record::pass().strengthened {
        SeqCst
    } else {
        order
    });
}

pub(crate) fn stores_as_swap(object: u32) -> bool {
    record::pass().mapping != Mapping::Raw && record::stores_as_swap(object)
}

pub(crate) fn modified(object: u32) {
    record::note_modified(object);
}

/// What every load of an atomic passes through first.
///
/// All accesses to the turnstile depend on each other, so the order of two loads is explored as if it mattered: by way of
/// it the checker finds the executions that it would overlook (see above). It orders no memory and carries no value.
#[derive(Debug)]
pub(crate) struct Turnstile(loom::sync::atomic::AtomicU8);

impl Turnstile {
    pub(crate) fn new() -> Self {
        Self(loom::sync::atomic::AtomicU8::new(0))
    }

    pub(crate) fn pass(&self) {
        if record::running() && record::pass().mapping != Mapping::Raw {
            self.0.swap(0, Relaxed);
        }
    }
}

/// Whether an operation that may fail or return without cause does so here.
pub(crate) fn strikes(site: Site) -> bool {
    // The note of the strike is the record's, not a leak of the code under test.
    let _aside = crate::watch::aside();
    record::first_strike(site)
}

/// What `unpark`, or the wake of a future, makes available and one thread takes.
pub(crate) struct Token {
    available: loom::sync::atomic::AtomicU8,
    /// The thread is blocked in `take` and nowhere else.
    parked: Cell<bool>,
}

// SAFETY: all model threads are coroutines of one OS thread, and no switch happens while the cell is being read or set.
unsafe impl Sync for Token {}
// SAFETY: as above.
unsafe impl Send for Token {}

impl Token {
    pub(crate) fn new() -> Self {
        Self {
            available: loom::sync::atomic::AtomicU8::new(0),
            parked: Cell::new(false),
        }
    }

    /// Waits until the token is available, and takes it. Always called by the same thread.
    pub(crate) fn take(&self) {
        // Nobody runs between the look at the token and the block: the engine switches before an operation, not after it.
        while self.available.swap(0, Acquire) == 0 {
            self.parked.set(true);
            thread::park();
        }
    }

    /// Makes the token available to `thread`, the one that takes it.
    pub(crate) fn give(&self, thread: &thread::Thread) {
        self.available.swap(1, Release);
        if self.parked.replace(false) {
            thread.unpark();
        }
    }
}

thread_local! {
    /// The tokens of the threads of the running execution.
    static TOKENS: RefCell<Vec<Rc<Token>>> = const { RefCell::new(Vec::new()) };
}

/// Gives a thread about to begin its token. Called where it happens before all that the thread and its handles do.
pub(crate) fn begin_thread(index: usize) {
    let token = Rc::new(Token::new());
    TOKENS.with_borrow_mut(|tokens| {
        tokens.truncate(index);
        tokens.push(token);
    });
}

fn token(index: usize) -> Rc<Token> {
    TOKENS.with_borrow(|tokens| tokens[index].clone())
}

/// Waits until the token of the thread, which is the current one, is available, and takes it.
pub(crate) fn park(index: usize) {
    if record::pass().mapping == Mapping::Raw {
        return thread::park();
    }
    token(index).take();
}

/// Makes the token of a thread available.
pub(crate) fn unpark(thread: &thread::Thread, index: usize) {
    if record::pass().mapping == Mapping::Raw {
        return thread.unpark();
    }
    token(index).give(thread);
}

/// Reads the value of an atomic nobody else can reach; loom checks that nobody else does.
macro_rules! exclusive {
    ($raw:expr) => {
        $raw.with_mut(|value| *value)
    };
}
pub(crate) use exclusive;

/// What tracks the accesses to one cell.
#[derive(Debug)]
pub(crate) struct Access(loom::cell::UnsafeCell<()>);

/// An access that lasts as long as this value.
#[derive(Debug)]
pub(crate) enum Accessing<'a> {
    Reading(
        #[allow(dead_code)] loom::cell::ConstPtr<()>,
        std::marker::PhantomData<&'a ()>,
    ),
    Writing(#[allow(dead_code)] loom::cell::MutPtr<()>),
}

impl Access {
    pub(crate) fn new() -> Self {
        Self(loom::cell::UnsafeCell::new(()))
    }

    pub(crate) fn begin(&self, writes: bool) -> Accessing<'_> {
        if writes {
            Accessing::Writing(self.0.get_mut())
        } else {
            Accessing::Reading(self.0.get(), std::marker::PhantomData)
        }
    }

    /// The end of the cell counts as a write.
    pub(crate) fn end(&self) {
        drop(self.0.get_mut());
    }
}

impl Accessing<'_> {
    /// A point at which another thread could run: none is needed, loom orders accesses by happens-before.
    pub(crate) fn settle(self) -> Self {
        self
    }
}
