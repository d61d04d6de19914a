//! shuttle behind the facade. It is sequentially consistent, so orderings pass through and decide nothing.
//!
//! The adversary draws from the scheduler's own random source, so that a failing schedule replays with its strikes.

use crate::record::{self, Site};
use crate::world::fail;
use shuttle::rand::RngCore;
use shuttle_engine::runtime::thread::switch;
use std::cell::Cell;
use std::sync::atomic::Ordering;

pub(crate) use shuttle::sync::atomic;
pub(crate) use shuttle::{sync, thread};

pub(crate) fn before(order: Ordering) {
    if order == Ordering::SeqCst {
        record::note_seq_cst();
    }
}

pub(crate) fn after(_order: Ordering) {}

pub(crate) fn load_order(order: Ordering) -> Ordering {
    order
}

pub(crate) fn store_order(order: Ordering) -> Ordering {
    order
}

pub(crate) fn rmw_order(order: Ordering) -> Ordering {
    order
}

pub(crate) fn fence(order: Ordering) {
    atomic::fence(order);
}

pub(crate) fn stores_as_swap(_object: u32) -> bool {
    false
}

pub(crate) fn modified(_object: u32) {}

/// Nothing: no access hides another one from the scheduler.
#[derive(Debug)]
pub(crate) struct Turnstile;

impl Turnstile {
    pub(crate) fn new() -> Self {
        Self
    }

    pub(crate) fn pass(&self) {}
}

/// Whether an operation that may fail or return without cause does so here: one time in eight.
pub(crate) fn strikes(_site: Site) -> bool {
    record::running() && record::pass().adversary && {
        let _aside = crate::watch::aside();
        shuttle::rand::thread_rng().next_u64().is_multiple_of(8)
    }
}

pub(crate) fn begin_thread(_index: usize) {}

pub(crate) fn park(_index: usize) {
    thread::park();
}

pub(crate) fn unpark(thread: &thread::Thread, _index: usize) {
    thread.unpark();
}

/// What the wake of a future makes available and one thread takes.
#[derive(Debug)]
pub(crate) struct Token {
    available: Cell<bool>,
    parked: Cell<bool>,
}

// SAFETY: all model threads are coroutines of one OS thread, and no switch happens while a cell is being read or set.
unsafe impl Sync for Token {}
// SAFETY: as above.
unsafe impl Send for Token {}

impl Token {
    pub(crate) fn new() -> Self {
        Self {
            available: Cell::new(false),
            parked: Cell::new(false),
        }
    }

    /// Waits until the token is available, and takes it. Always called by the same thread.
    pub(crate) fn take(&self) {
        // The engine's park may return without cause.
        while !self.available.replace(false) {
            self.parked.set(true);
            thread::park();
            self.parked.set(false);
        }
    }

    /// Makes the token available to `thread`, the one that takes it.
    pub(crate) fn give(&self, thread: &thread::Thread) {
        switch();
        self.available.set(true);
        // Not to a thread that is elsewhere: its next park would return without cause.
        if self.parked.get() {
            thread.unpark();
        }
    }
}

/// Reads the value of an atomic nobody else can reach.
macro_rules! exclusive {
    ($raw:expr) => {
        *$raw.get_mut()
    };
}
pub(crate) use exclusive;

/// What tracks the accesses to one cell: the number of readers inside, or -1 for a writer.
#[derive(Debug)]
pub(crate) struct Access(Cell<isize>);

// SAFETY: all model threads are coroutines of one OS thread, and no switch happens while the cell is being read or set.
unsafe impl Sync for Access {}
// SAFETY: as above.
unsafe impl Send for Access {}

/// An access that lasts as long as this value.
#[derive(Debug)]
pub(crate) struct Accessing<'a> {
    access: &'a Access,
    writes: bool,
}

const OVERLAP: &str = "Nothing keeps the two apart.";

impl Access {
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
