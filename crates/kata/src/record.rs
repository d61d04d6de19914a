//! What happened in the execution being explored: every operation of every model thread, in order.
//!
//! Both engines run all threads of a model as coroutines on one OS thread, so the record is thread-local and needs no
//! synchronisation. An operation is *pending* from its call until the engine has performed it: a thread that blocks or
//! fails stays in its pending operation, which is how a deadlock or a race is drawn.
//!
//! The engines switch threads only inside their own operations. [`step`](crate::world::step) therefore notes the current
//! thread before it calls the engine and restores it after: no look-up is needed.

use std::cell::{Cell, RefCell};
use std::panic::Location;
use std::sync::atomic::Ordering;

/// A place in the learner's source.
pub(crate) type Site = &'static Location<'static>;

/// How the bits of a value are to be shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Bool,
    Unsigned,
    Signed,
    Pointer,
}

/// A value as an operation saw it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Value {
    pub bits: u64,
    pub kind: Kind,
}

/// One operation and, once it is performed, its outcome.
#[derive(Clone, Debug)]
pub(crate) enum Op {
    Load {
        order: Ordering,
        value: Option<Value>,
    },
    Store {
        order: Ordering,
        value: Value,
    },
    /// A read-modify-write. `written` is `None` for a compare-exchange that failed.
    Rmw {
        name: &'static str,
        operands: [Option<Value>; 2],
        order: Ordering,
        failure: Option<Ordering>,
        read: Option<Value>,
        written: Option<Value>,
        spurious: bool,
    },
    Fence(Ordering),
    /// Exclusive access through `&mut`, `into_inner` or drop.
    Exclusive(&'static str),
    CellRead,
    CellWrite,
    Lock(&'static str),
    TryLock {
        name: &'static str,
        acquired: Option<bool>,
    },
    Unlock,
    Wait {
        spurious: bool,
    },
    Notify(&'static str),
    Spawn(usize),
    Join(usize),
    Park {
        spurious: bool,
    },
    Unpark(usize),
    /// A poll of a future that has returned, and whether it was ready.
    Poll(bool),
    /// An executor waits until its future is woken.
    Await {
        spurious: bool,
    },
    /// A future is woken. A stale waker belongs to an earlier poll and wakes nobody.
    Wake {
        thread: usize,
        stale: bool,
    },
    /// What a check says of itself.
    Note(&'static str),
    Yield,
    /// A panic, which somebody has caught if anything comes after it.
    Panic {
        message: String,
        place: String,
    },
}

/// The object of operations that have none.
pub(crate) const NO_OBJECT: u32 = u32::MAX;

/// The name of an access to an atomic: its thread, and its place among what the engine knows of that.
pub(crate) type AccessName = (usize, usize);

/// What the engine says of an access. No event has the name of the store of the initial value.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Trace {
    /// What this load is called.
    pub load: Option<AccessName>,
    /// The store that was read.
    pub source: Option<AccessName>,
    /// What this store is called.
    pub store: Option<AccessName>,
}

#[derive(Clone, Debug)]
pub(crate) struct Event {
    pub thread: usize,
    pub object: u32,
    pub op: Op,
    pub site: Site,
    pub trace: Trace,
    /// How much of what the engine knows of the thread comes before it.
    #[cfg_attr(not(feature = "loom"), allow(dead_code))]
    pub place: usize,
}

/// What is known of an object besides its operations.
#[derive(Clone, Debug)]
pub(crate) struct Object {
    pub created: Site,
    pub creator: usize,
    /// How many events had happened before it was created.
    pub born: usize,
    pub what: &'static str,
    /// Where in memory it was when it was dropped.
    pub dropped_at: Option<usize>,
}

/// What the passes over a model need to know of each other.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pass {
    #[cfg_attr(feature = "loom", allow(dead_code))]
    pub adversary: bool,
    /// Every access and fence counts as SeqCst: what fails here no ordering can mend.
    pub strengthened: bool,
    /// The bound on preemptions, if there is one.
    #[cfg_attr(not(feature = "loom"), allow(dead_code))]
    pub bound: Option<usize>,
}

/// What the handle of a thread is called, which is an object only so that its end is seen.
pub(crate) const HANDLE: &str = "Thread";

pub(crate) struct Record {
    pub events: Vec<Event>,
    pub pending: Vec<Option<Event>>,
    pub objects: Vec<Object>,
    pub threads: Vec<String>,
    /// Executions begun in this exploration.
    pub executions: usize,
}

impl Record {
    /// Whether an object is the handle of a thread, an access to which is nobody's business but the race detector's.
    pub fn is_handle(&self, object: u32) -> bool {
        let object = self.objects.get(object as usize);
        object.is_some_and(|object| object.what == HANDLE)
    }

    /// What has been done, apart from accesses to handles of threads. To unpark somebody is more than that.
    pub fn operations(&self) -> impl Iterator<Item = &Event> {
        let counts = |event: &&Event| {
            let access = matches!(event.op, Op::CellRead | Op::Exclusive(_));
            !(access && self.is_handle(event.object))
        };
        self.events.iter().filter(counts)
    }
}

thread_local! {
    static RUNNING: Cell<bool> = const { Cell::new(false) };
    static CURRENT: Cell<usize> = const { Cell::new(0) };
    static UNWINDER: Cell<Option<usize>> = const { Cell::new(None) };
    static PASS: Cell<Pass> = const { Cell::new(Pass { adversary: false, strengthened: false, bound: None }) };
    static RECORD: RefCell<Record> = const { RefCell::new(Record {
        events: Vec::new(),
        pending: Vec::new(),
        objects: Vec::new(),
        threads: Vec::new(),
        executions: 0,
    }) };
}

/// Whether what happens on this OS thread is part of an execution.
fn recording() -> bool {
    #[cfg(feature = "loom")]
    if crate::engine::is_probing() {
        return false;
    }
    RUNNING.get()
}

/// Whether an execution is running on this OS thread, and the current model thread does not unwind its stack.
pub(crate) fn running() -> bool {
    recording() && unwinder() != Some(current())
}

/// Whether a panic was on its way before this one, as far as is known in a panic hook.
pub(crate) fn panics_again() -> bool {
    let before = UNWINDER.get();
    unwinder();
    before.is_some()
}

/// The model thread that unwinds its stack, if one does.
///
/// All model threads share one OS thread, which `std::thread::panicking` asks about. The first to ask after a panic is
/// the one that panics, because the panic hook asks, and every operation does.
pub(crate) fn unwinder() -> Option<usize> {
    if std::thread::panicking() {
        UNWINDER.set(UNWINDER.get().or(Some(current())));
    } else {
        UNWINDER.set(None);
    }
    UNWINDER.get()
}

/// Whether an execution is running or failing on this OS thread.
pub(crate) fn in_execution() -> bool {
    RUNNING.get()
}

pub(crate) fn current() -> usize {
    CURRENT.get()
}

pub(crate) fn set_current(thread: usize) {
    CURRENT.set(thread);
}

#[cfg_attr(not(feature = "loom"), allow(dead_code))]
pub(crate) fn pass() -> Pass {
    PASS.get()
}

/// Begins a pass over a model.
pub(crate) fn begin_pass(pass: Pass) {
    PASS.set(pass);
}

/// Begins an exploration: the count of executions starts anew.
pub(crate) fn begin_exploration() {
    RECORD.with_borrow_mut(|record| record.executions = 0);
}

/// Begins an execution: nothing has happened, and only the main thread exists.
pub(crate) fn begin_execution() {
    RECORD.with_borrow_mut(|record| {
        record.events.clear();
        record.pending.clear();
        record.pending.push(None);
        record.objects.clear();
        record.threads.clear();
        record.threads.push("main".to_owned());
        record.executions += 1;
    });
    CURRENT.set(0);
    RUNNING.set(true);
    crate::watch::begin();
}

/// Forgets an execution that has failed.
pub(crate) fn abandon_execution() {
    RUNNING.set(false);
    crate::watch::stop();
}

/// Ends a run that has come to nothing. It was none of the executions.
#[cfg(feature = "loom")]
pub(crate) fn leave_execution() {
    RUNNING.set(false);
    RECORD.with_borrow_mut(|record| record.executions -= 1);
    crate::watch::leave();
}

/// Ends an execution that went through.
pub(crate) fn end_execution() {
    RUNNING.set(false);
    crate::watch::end();
}

/// Executions begun so far in this exploration.
pub(crate) fn executions() -> usize {
    RECORD.with_borrow(|record| record.executions)
}

/// Sets how many executions have been begun so far in this exploration.
#[cfg(feature = "loom")]
pub(crate) fn set_executions(executions: usize) {
    RECORD.with_borrow_mut(|record| record.executions = executions);
}

/// Reads the record of the running or failed execution.
pub(crate) fn with<R>(read: impl FnOnce(&Record) -> R) -> R {
    RECORD.with_borrow(read)
}

/// Registers an object and returns its number.
pub(crate) fn object(what: &'static str, created: Site) -> u32 {
    if !recording() {
        return NO_OBJECT;
    }
    let creator = current();
    RECORD.with_borrow_mut(|record| {
        let born = record.events.len();
        record.objects.push(Object {
            created,
            creator,
            born,
            what,
            dropped_at: None,
        });
        (record.objects.len() - 1) as u32
    })
}

/// Where `object` was created.
pub(crate) fn created(object: u32) -> Site {
    let here = Location::caller();
    RECORD.with_borrow(|record| {
        record
            .objects
            .get(object as usize)
            .map_or(here, |object| object.created)
    })
}

/// Registers a thread about to begin.
pub(crate) fn thread(index: usize, name: Option<&str>) {
    RECORD.with_borrow_mut(|record| {
        while record.threads.len() <= index {
            record.threads.push(format!("t{}", record.threads.len()));
            record.pending.push(None);
        }
        if let Some(name) = name {
            name.clone_into(&mut record.threads[index]);
        }
    });
}

/// The number of the next thread, for engines that have none of their own.
#[cfg(all(feature = "shuttle", not(feature = "loom")))]
pub(crate) fn next_thread() -> usize {
    RECORD.with_borrow(|record| record.threads.len())
}

/// The name that a thread was given.
pub(crate) fn name(thread: usize) -> Option<String> {
    RECORD.with_borrow(|record| {
        let name = record.threads.get(thread)?;
        let given = *name != format!("t{thread}") && thread != 0;
        given.then(|| name.clone())
    })
}

/// Says that the current thread is about to perform `op`.
pub(crate) fn begin(object: u32, op: Op, site: Site) {
    if recording() {
        let thread = current();
        RECORD.with_borrow_mut(|record| {
            record.pending[thread] = Some(Event {
                thread,
                object,
                op,
                site,
                trace: Trace::default(),
                place: progress(),
            });
        });
    }
}

/// What the engine says of the pending access of the current thread.
#[cfg(feature = "loom")]
pub(crate) fn trace(trace: Trace) {
    if recording() {
        let thread = current();
        RECORD.with_borrow_mut(|record| {
            if let Some(event) = &mut record.pending[thread] {
                event.trace = trace;
            }
        });
    }
}

/// How much of what the engine knows of the current thread has happened.
fn progress() -> usize {
    #[cfg(feature = "loom")]
    return crate::engine::place();
    #[cfg(not(feature = "loom"))]
    0
}

/// Says that `thread` is running again and has performed its pending operation. `complete` adds the outcome.
pub(crate) fn commit(thread: usize, complete: impl FnOnce(&mut Op)) {
    set_current(thread);
    if recording() {
        RECORD.with_borrow_mut(|record| {
            if let Some(mut event) = record.pending[thread].take() {
                complete(&mut event.op);
                record.events.push(event);
            }
        });
    }
}

/// Records an operation that cannot block or fail.
pub(crate) fn event(object: u32, op: Op, site: Site) {
    if recording() {
        let thread = current();
        RECORD.with_borrow_mut(|record| {
            record.events.push(Event {
                thread,
                object,
                op,
                site,
                trace: Trace::default(),
                place: progress(),
            })
        });
    }
}

/// Records a panic of the current thread.
#[track_caller]
pub(crate) fn panicked(message: &str, place: String) {
    RECORD.with_borrow_mut(|record| {
        record.events.push(Event {
            thread: current(),
            object: NO_OBJECT,
            op: Op::Panic {
                message: message.lines().next().unwrap_or_default().to_owned(),
                place,
            },
            site: Location::caller(),
            trace: Trace::default(),
            place: progress(),
        });
    });
}

/// Notes that `object` was dropped at `address`.
pub(crate) fn note_dropped(object: u32, address: usize) {
    RECORD.with_borrow_mut(|record| {
        if let Some(object) = record.objects.get_mut(object as usize) {
            object.dropped_at = Some(address);
        }
    });
}

/// The object that was dropped at `address` last.
pub(crate) fn dropped_at(address: usize) -> u32 {
    RECORD.with_borrow(|record| {
        let found = record
            .objects
            .iter()
            .rposition(|object| object.dropped_at == Some(address));
        found.map_or(NO_OBJECT, |index| index as u32)
    })
}
