//! loom proposes, the axioms dispose: interleavings within a bound on preemptions, of which those count that RC11 allows.
//!
//! What is inside loom's atomic is not a value but the number of a store of this execution, so it is known which store each
//! load reads. To loom a read-modify-write is a load and a store, and SeqCst is Acquire and Release: it must never be
//! stricter than the axioms. Each event goes into a [`Graph`], one for each modification order that is still possible. When
//! none is left the execution does not exist, and is abandoned.
//!
//! Three of loom's properties are made up for:
//!
//! - it remembers one last access of each atomic, so that a thread's own load hides an earlier load of another thread from
//!   the store that follows: of `x.load()` beside `x.load(); x.swap(1)` it explores one execution. Every load passes a
//!   *turnstile* first: all accesses to that depend on each other, and it orders no memory;
//! - its own park token is lost on a thread that yields, and wakes a thread that waits for something else. An operation that
//!   waits looks at its word, and the thread is blocked only while there is nothing for it;
//! - the creation of an atomic is an access for it, and as it knows less of what happens before what than the axioms do, it
//!   would take that for a race. All atomics are created before the first thread runs.
//!
//! There is nothing in loom to choose by. So a notification goes to the thread with the lowest number of those that wait, and in
//! a pass of its own to the one with the highest; and the adversary strikes in a pass of its own, once for each place and thread,
//! which keeps the state space small, too.

use super::memory::{Fault, Memory, Touch, token};
use super::{Body, Done, Trace, Wish};
use corosensei::stack::DefaultStack;
use corosensei::{Coroutine, Yielder};
use loom::sync::atomic::{AtomicU8, AtomicU64, fence};
use memory_model::{Access, Change, EventId, Graph, Location, MOST_THREADS, NOTHING, Signs};
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering::{self, AcqRel, Acquire, Relaxed, Release, SeqCst};

/// The most modification orders that are followed at the same time. With more some executions may be missed.
const ORDERS: usize = 512;

/// How many locations there are words for at least.
const LEAST_LOCATIONS: usize = 32;

/// The stack of a thread. What is not used costs nothing.
const STACK: usize = 512 * 1024;

/// A location as loom sees it.
struct Word {
    /// The number of a store, in `stores`; of the bare engine, the value.
    word: AtomicU64,
    turnstile: AtomicU8,
    /// Tracks accesses for the bare engine.
    cell: loom::cell::UnsafeCell<()>,
    /// The stores by their numbers. A read-modify-write that has stored nothing leaves the name of another one's.
    stores: RefCell<Vec<EventId>>,
    /// Who waits for a store to it.
    blocked: RefCell<Vec<loom::thread::Thread>>,
}

impl Word {
    fn new(initial: u64) -> Self {
        Self {
            word: AtomicU64::new(initial),
            turnstile: AtomicU8::new(0),
            cell: loom::cell::UnsafeCell::new(()),
            stores: RefCell::new(vec![EventId::INITIAL]),
            blocked: RefCell::default(),
        }
    }
}

struct Proposer {
    /// One for each modification order that is possible.
    graphs: Vec<Graph>,
    memory: Memory,
    words: HashMap<Location, Rc<Word>>,
    /// Words for locations to come.
    spare: Vec<Rc<Word>>,
    handles: Vec<Option<loom::thread::JoinHandle<()>>>,
    abandoned: bool,
    /// How each thread gets away from an execution that does not exist.
    yielders: [*const Yielder<(), ()>; MOST_THREADS],
    /// What a thread sees and leaves that fails in an execution that does not exist.
    overlay: HashMap<Location, u64>,
    /// Where the adversary has struck, and whom.
    struck: Vec<(usize, usize)>,
    /// Whose wait is over also if nothing else happens any more.
    timed: [bool; MOST_THREADS],
    /// Who has said that it waits, and has not read anything since.
    paused: [bool; MOST_THREADS],
    /// Who has said that it waits, and has learnt nothing since.
    waits: [bool; MOST_THREADS],
    /// Who has just read once more what it had read, which is no event.
    rounds: [Option<EventId>; MOST_THREADS],
    options: Options,
}

/// How interleavings are proposed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Options {
    pub preemptions: usize,
    pub branches: usize,
    /// How many executions, with those that do not exist.
    pub executions: usize,
    /// Whether the adversary strikes.
    pub adversary: bool,
    /// Whether a notification goes to the last of those that wait, and not to the first.
    pub last_is_notified: bool,
    /// The engine as it is: nothing is judged.
    pub bare: bool,
}

thread_local! {
    static PROPOSER: RefCell<Option<Proposer>> = const { RefCell::new(None) };
    static RUNNING: Cell<bool> = const { Cell::new(false) };
    static PREY_SEEN: Cell<bool> = const { Cell::new(false) };
    static CHOICE_SEEN: Cell<bool> = const { Cell::new(false) };
    /// How many locations an execution has had so far, and some more.
    static LOCATIONS: Cell<usize> = const { Cell::new(LEAST_LOCATIONS) };
    static OUTGROWN: Cell<bool> = const { Cell::new(false) };
    static STACKS: RefCell<Vec<DefaultStack>> = const { RefCell::new(Vec::new()) };
}

/// Whether an execution is running in this thread of the operating system.
pub(crate) fn is_running() -> bool {
    RUNNING.get()
}

/// Whether somebody came by a place at which the adversary could strike, since the last call.
pub(crate) fn take_prey_seen() -> bool {
    PREY_SEEN.replace(false)
}

/// Whether there was a notification for one of several threads, since the last call.
pub(crate) fn take_choice_seen() -> bool {
    CHOICE_SEEN.replace(false)
}

/// Whether an execution had more locations than any before it, since the last call: what loom took for a race in it may have been
/// the creation of an atomic.
pub(crate) fn take_outgrown() -> bool {
    OUTGROWN.replace(false)
}

fn with<R>(ask: impl FnOnce(&mut Proposer) -> R) -> R {
    PROPOSER.with_borrow_mut(|proposer| ask(proposer.as_mut().expect("outside of a model")))
}

/// Explores `model`. `begin` and `end` are called around each execution; of one that does not exist only `begin`, and then
/// `abandon`.
pub(crate) fn propose(
    options: Options,
    model: Arc<dyn Fn() + Send + Sync>,
    begin: impl Fn() + Send + Sync + 'static,
    end: impl Fn() + Send + Sync + 'static,
    abandon: impl Fn() + Send + Sync + 'static,
) {
    let mut engine = loom::model::Builder::new();
    engine.max_branches = options.branches;
    engine.preemption_bound = Some(options.preemptions);
    engine.max_permutations = Some(options.executions.saturating_add(1));
    engine.checkpoint_interval = 1;
    engine.max_duration = None;
    engine.checkpoint_file = None;
    engine.location = false;
    engine.log = false;
    let forget = Forget;
    engine.check(move || {
        let mut memory = Memory::default();
        memory.reset();
        PROPOSER.set(Some(Proposer {
            graphs: vec![Graph::new(1, true)],
            memory,
            words: HashMap::new(),
            spare: Vec::new(),
            handles: Vec::new(),
            abandoned: false,
            yielders: [std::ptr::null(); MOST_THREADS],
            overlay: HashMap::new(),
            struck: Vec::new(),
            timed: [false; MOST_THREADS],
            paused: [false; MOST_THREADS],
            waits: [false; MOST_THREADS],
            rounds: [None; MOST_THREADS],
            options,
        }));
        RUNNING.set(true);
        with(|proposer| {
            if !options.bare {
                let words = (0..LOCATIONS.get()).map(|_| Rc::new(Word::new(0)));
                proposer.spare = words.collect();
            }
            proposer.word(token(0));
            for number in 0..crate::local::statics() {
                let location = proposer.memory.create_static(number);
                proposer.word(location);
            }
        });
        begin();
        let _aside = crate::watch::aside();
        let model = Arc::clone(&model);
        live(0, move || {
            crate::watch::resume();
            model();
            crate::local::end_thread(0);
            std::mem::forget(crate::watch::aside());
        });
        std::mem::forget(crate::watch::aside());
        // Whoever has not been joined comes to its end, or finds out that the execution does not exist.
        let handles: Vec<_> = with(|proposer| std::mem::take(&mut proposer.handles));
        for handle in handles.into_iter().flatten() {
            let _ = handle.join();
        }
        if with(|proposer| proposer.abandoned) {
            abandon();
        } else {
            end();
        }
        RUNNING.set(false);
        PROPOSER.set(None);
    });
    drop(forget);
}

/// After a failure there is no execution any more.
struct Forget;

impl Drop for Forget {
    fn drop(&mut self) {
        RUNNING.set(false);
        // loom's objects must not be dropped outside of an execution.
        std::mem::forget(PROPOSER.take());
    }
}

impl Proposer {
    fn word(&mut self, location: Location) -> Rc<Word> {
        if let Some(word) = self.words.get(&location) {
            return Rc::clone(word);
        }
        let initial = if self.options.bare {
            self.memory.initial(location)
        } else {
            0
        };
        let word = self.spare.pop().unwrap_or_else(|| {
            OUTGROWN.set(!self.options.bare);
            Rc::new(Word::new(initial))
        });
        self.words.insert(location, Rc::clone(&word));
        let locations = self.words.len() + LEAST_LOCATIONS / 2;
        LOCATIONS.set(LOCATIONS.get().max(locations));
        word
    }

    /// Every graph becomes those that `grow` makes of it.
    fn judge<Graphs: IntoIterator<Item = Graph>>(&mut self, grow: impl Fn(&Graph) -> Graphs) {
        if self.options.bare {
            return;
        }
        self.graphs = self.graphs.iter().flat_map(grow).take(ORDERS).collect();
        if self.graphs.is_empty() {
            self.abandoned = true;
        }
    }

    fn always(&mut self, grow: impl Fn(&mut Graph)) {
        if !self.options.bare {
            self.graphs.iter_mut().for_each(grow);
        }
    }

    fn value(&mut self, location: Location, store: EventId) -> u64 {
        let initial = self.memory.initial(location);
        self.graphs[0].value(store, initial)
    }

    /// The place of the next event of a thread.
    fn place(&self, thread: usize) -> usize {
        self.graphs
            .first()
            .filter(|_| !self.options.bare)
            .map_or(0, |graph| graph.events(thread).len())
    }

    fn unwind(&mut self, wish: Wish) -> Done {
        let (location, mask, change) = match wish {
            Wish::Read(access) => (access.location, access.mask, access.change),
            Wish::Write(access, value) => (access.location, u64::MAX, Change::Set(value)),
            _ => return Done::default(),
        };
        let initial = self.memory.initial(location);
        let old = self.overlay.get(&location).copied().unwrap_or(initial);
        let new = change.apply(old, mask, 0);
        if let Some(new) = new {
            self.overlay.insert(location, new);
        }
        Done {
            value: old,
            stored: new.is_some(),
        }
    }
}

/// If the execution does not exist, nobody goes on with it.
fn abandon_if_so(thread: usize) {
    let abandoned = with(|proposer| {
        proposer.abandoned.then(|| {
            let words = proposer.words.values();
            words
                .flat_map(|word| word.blocked.take())
                .collect::<Vec<_>>()
        })
    });
    let Some(blocked) = abandoned else { return };
    crate::watch::spare();
    loom::skip_branch();
    blocked.iter().for_each(loom::thread::Thread::unpark);
    leave_unless_failing(thread);
}

/// Leaves the current thread where it stands, in an execution that does not exist. What is on its stack is leaked: code need
/// not be prepared for an end at such a place. But a thread that fails comes to where that is caught, for the panic is one of
/// the thread of the operating system.
fn leave_unless_failing(thread: usize) {
    if crate::record::unwinder() == Some(thread) {
        return;
    }
    let yielder = with(|proposer| proposer.yielders[thread]);
    // SAFETY: it is the yielder of the coroutine that runs this, see `live`.
    unsafe { &*yielder }.suspend(());
    unreachable!("a thread that has been left is not resumed");
}

/// The whole life of a thread: a coroutine within loom's, so that it can be left where it stands.
fn live(thread: usize, body: impl FnOnce() + 'static) {
    let stack = STACKS.with_borrow_mut(Vec::pop);
    let stack = stack.unwrap_or_else(|| DefaultStack::new(STACK).expect("memory for a stack"));
    let mut fiber = Coroutine::with_stack(stack, move |yielder: &Yielder<(), ()>, ()| {
        with(|proposer| proposer.yielders[thread] = yielder);
        body();
        crate::record::set_current(thread);
        perform(Wish::End);
    });
    fiber.resume(());
    if !fiber.done() {
        // SAFETY: what is on the stack is leaked; nobody looks at it again.
        unsafe { fiber.force_reset() };
    }
    STACKS.with_borrow_mut(|stacks| stacks.push(fiber.into_stack()));
}

fn acquires(order: Ordering) -> Ordering {
    if matches!(order, Acquire | AcqRel | SeqCst) {
        Acquire
    } else {
        Relaxed
    }
}

fn releases(order: Ordering) -> Ordering {
    if matches!(order, Release | AcqRel | SeqCst) {
        Release
    } else {
        Relaxed
    }
}

/// What the last access of the current thread has read and stored.
pub(crate) fn trace() -> Trace {
    let thread = crate::record::current();
    with(|proposer| {
        let graph = proposer.graphs.first().filter(|_| !proposer.options.bare);
        let source = proposer.rounds[thread];
        graph.map_or_else(Trace::default, |graph| match source {
            Some(_) => Trace {
                source,
                ..Trace::default()
            },
            None => Trace::of(graph, thread, graph.events(thread).len()),
        })
    })
}

/// How many events the current thread has done.
pub(crate) fn place() -> usize {
    let thread = crate::record::current();
    let place = PROPOSER.try_with(|proposer| {
        let proposer = proposer.try_borrow().ok();
        let place = |proposer: &Proposer| proposer.place(thread);
        proposer
            .and_then(|proposer| proposer.as_ref().map(place))
            .unwrap_or_default()
    });
    place.unwrap_or_default()
}

/// What has been done so far, in one of the modification orders that are possible.
pub(crate) fn execution() -> Option<Graph> {
    PROPOSER.with(|proposer| {
        let proposer = proposer.try_borrow().ok()?;
        let proposer = proposer
            .as_ref()
            .filter(|proposer| !proposer.options.bare)?;
        proposer.graphs.first().cloned()
    })
}

/// Does what the current thread wants.
pub(crate) fn perform(wish: Wish) -> Done {
    let thread = crate::record::current();
    with(|proposer| proposer.rounds[thread] = None);
    if with(|proposer| proposer.abandoned) {
        leave_unless_failing(thread);
        return with(|proposer| proposer.unwind(wish));
    }
    let done = match wish {
        Wish::Read(access) if access.awaits => wait(thread, access),
        Wish::Read(access) => read(thread, access),
        Wish::Write(access, value) => {
            write(thread, access, value);
            Done::default()
        }
        Wish::Fence(order) => {
            let bare = with(|proposer| proposer.options.bare);
            fence(if order == SeqCst && !bare {
                AcqRel
            } else {
                order
            });
            crate::record::set_current(thread);
            with(|proposer| proposer.always(|graph| graph.fence(thread, order)));
            Done::default()
        }
        Wish::Join(child) => {
            let handle = with(|proposer| proposer.handles[child].take());
            let _ = handle.expect("a thread is joined once").join();
            crate::record::set_current(thread);
            with(|proposer| proposer.always(|graph| graph.join(thread, child)));
            Done::default()
        }
        Wish::End => {
            with(|proposer| proposer.always(|graph| graph.end(thread)));
            Done::default()
        }
        Wish::Pause => {
            with(|proposer| {
                proposer.paused[thread] = true;
                proposer.waits[thread] = true;
            });
            loom::thread::yield_now();
            Done::default()
        }
        Wish::Choose(site, way) => {
            PREY_SEEN.set(true);
            let way = u8::from(with(|proposer| proposer.strike(thread, site))) * way;
            with(|proposer| proposer.always(|graph| graph.choose(thread, way, site)));
            Done {
                value: way.into(),
                stored: false,
            }
        }
        Wish::Spawn => unreachable!("see `spawn`"),
    };
    crate::record::set_current(thread);
    abandon_if_so(thread);
    done
}

impl Proposer {
    /// Whether the adversary strikes this thread here, for the first time in this execution.
    fn strike(&mut self, thread: usize, site: usize) -> bool {
        let first = self.options.adversary && !self.struck.contains(&(thread, site));
        if first {
            self.struck.push((thread, site));
        }
        first
    }
}

/// Starts a thread, and returns its number.
pub(crate) fn spawn(body: Body) -> usize {
    let _aside = crate::watch::aside();
    let parent = crate::record::current();
    let child = with(|proposer| {
        if proposer.handles.is_empty() {
            proposer.handles.push(None);
        }
        let child = proposer.handles.len();
        assert!(
            child < MOST_THREADS,
            "more than {MOST_THREADS} threads are too many"
        );
        proposer.always(|graph| {
            graph.spawn(parent);
        });
        proposer.handles.push(None);
        proposer.word(token(child));
        child
    });
    // loom wants to send it; all threads of a model are one thread of the operating system.
    let body = Sent(body);
    let handle = loom::thread::spawn(move || {
        let body = body;
        let Sent(body) = body;
        live(child, body);
    });
    crate::record::set_current(parent);
    with(|proposer| proposer.handles[child] = Some(handle));
    child
}

struct Sent(Body);

// SAFETY: all threads of a model are coroutines of one thread of the operating system.
unsafe impl Send for Sent {}

/// A store to `word` is done: whoever waits for one looks again.
fn wake(word: &Word) {
    let blocked = word.blocked.take();
    blocked.iter().for_each(loom::thread::Thread::unpark);
}

fn read(thread: usize, access: Access) -> Done {
    let (word, bare) = with(|proposer| (proposer.word(access.location), proposer.options.bare));
    if bare {
        return bare_read(&word, access);
    }
    // Who waits by swaps reads what it has written itself, again and again, if it may read something old.
    let paused = with(|proposer| std::mem::take(&mut proposer.paused[thread]));
    let always = access.change.apply(0, access.mask, 0).is_some()
        && access.change.apply(1, access.mask, 0).is_some();
    if always && (paused || access.site == 0)
        || access.site == 0 && access.change != Change::Nothing
    {
        return modify(&word, thread, access);
    }
    let change = access.change;
    if matches!(change, Change::Weak { .. }) {
        PREY_SEEN.set(true);
    }
    word.turnstile.swap(0, Relaxed);
    let reads = if change == Change::Nothing {
        acquires(access.order)
    } else if acquires(access.order) == Acquire || acquires(access.failure) == Acquire {
        Acquire
    } else {
        Relaxed
    };
    let number = word.word.load(reads) as usize;
    crate::record::set_current(thread);
    if with(|proposer| proposer.abandoned) {
        return Done::default();
    }
    let source = word.stores.borrow()[number];
    let stored = with(|proposer| {
        let value = proposer.value(access.location, source);
        let succeeds = change.apply(value, access.mask, 0).is_some();
        let weak = matches!(change, Change::Weak { .. }) && succeeds;
        let variant = u8::from(weak && proposer.strike(thread, access.site));
        let stores = change.apply(value, access.mask, variant).is_some();
        let round =
            |graph: &Graph| variant == 0 && !stores && graph.goes_round(thread, access, source);
        // It is the same in all of them.
        let round = proposer.graphs.first().is_some_and(round);
        proposer.waits[thread] &= round;
        proposer.rounds[thread] = round.then_some(source);
        let waits = proposer.waits[thread];
        proposer.judge(|graph| {
            let grown = graph.propose_load(thread, access, (source, value), variant)?;
            if !round {
                return Some(grown);
            }
            // A thread that waits does not overlook a store for ever. To loom the newest store is the last one that was
            // done, so it would not come here again.
            let overlooks = waits && graph.newest(access.location) != source;
            (!overlooks).then(|| graph.clone())
        });
        (value, stores)
    });
    let (value, stores) = stored;
    if !stores || with(|proposer| proposer.abandoned) {
        return Done {
            value,
            stored: false,
        };
    }
    let number = reserve(&word, thread);
    word.word.store(number, releases(access.order));
    crate::record::set_current(thread);
    if !with(|proposer| proposer.abandoned) {
        with(|proposer| proposer.judge(|graph| graph.propose_exclusive(thread)));
        wake(&word);
    }
    Done {
        value,
        stored: true,
    }
}

/// A number for the next event of a thread, a store to `word`.
fn reserve(word: &Word, thread: usize) -> u64 {
    let place = with(|proposer| proposer.place(thread));
    let mut stores = word.stores.borrow_mut();
    stores.push(EventId::new(thread, place));
    stores.len() as u64 - 1
}

fn write(thread: usize, access: Access, value: u64) {
    let (word, bare) = with(|proposer| (proposer.word(access.location), proposer.options.bare));
    if bare {
        word.word.store(value, access.order);
        wake(&word);
        return;
    }
    let number = reserve(&word, thread);
    if access.site == 0 {
        word.word.swap(number, releases(access.order));
    } else {
        word.word.store(number, releases(access.order));
    }
    crate::record::set_current(thread);
    if !with(|proposer| proposer.abandoned) {
        with(|proposer| proposer.judge(|graph| graph.propose_store(thread, access, value)));
        wake(&word);
    }
}

/// A read-modify-write of the facade's own words, which only such operations change: it is one for loom too, whether it
/// stores or not, and sees the newest store.
fn modify(word: &Word, thread: usize, access: Access) -> Done {
    let Access {
        location,
        change,
        mask,
        order,
        ..
    } = access;
    let place = with(|proposer| proposer.place(thread));
    let number = {
        let mut stores = word.stores.borrow_mut();
        stores.push(EventId::new(thread, place + 1));
        stores.len() - 1
    };
    word.word.swap(number as u64, order);
    crate::record::set_current(thread);
    if with(|proposer| proposer.abandoned) {
        return Done::default();
    }
    let source = with(|proposer| proposer.graphs[0].newest(location));
    let value = with(|proposer| proposer.value(location, source));
    let last = change.variants(value, false) - 1;
    CHOICE_SEEN.set(CHOICE_SEEN.get() || last > 0);
    let last_is_notified = with(|proposer| proposer.options.last_is_notified);
    let variant = if last_is_notified { last } else { 0 };
    let stored = change.apply(value, mask, variant).is_some();
    if stored {
        with(|proposer| {
            proposer.judge(|graph| {
                let graph = graph.propose_load(thread, access, (source, value), variant)?;
                graph.propose_exclusive(thread)
            });
        });
        if !with(|proposer| proposer.abandoned) {
            wake(word);
        }
    } else {
        word.stores.borrow_mut()[number] = source;
        if !access.awaits {
            let load = |graph: &Graph| graph.propose_load(thread, access, (source, value), 0);
            with(|proposer| proposer.judge(load));
        }
    }
    Done { value, stored }
}

/// A wait of limited time begins or ends.
pub(crate) fn set_timed(timed: bool) {
    let thread = crate::record::current();
    with(|proposer| proposer.timed[thread] = timed);
}

/// Blocks the thread while there is nothing for it. In a wait of limited time it lets the others go on, and looks once more.
fn wait(thread: usize, access: Access) -> Done {
    let (word, bare) = with(|proposer| (proposer.word(access.location), proposer.options.bare));
    let timed = with(|proposer| proposer.timed[thread]);
    let mut yielded = false;
    loop {
        let done = if bare {
            bare_read(&word, access)
        } else {
            modify(&word, thread, access)
        };
        if done.stored || yielded || with(|proposer| proposer.abandoned) {
            return done;
        }
        if timed {
            yielded = true;
            loom::thread::yield_now();
        } else {
            word.blocked.borrow_mut().push(loom::thread::current());
            loom::thread::park();
        }
        crate::record::set_current(thread);
        if with(|proposer| proposer.abandoned) {
            return Done::default();
        }
    }
}

/// The engine's own operation.
fn bare_read(word: &Word, access: Access) -> Done {
    let Access {
        order,
        failure,
        change,
        mask,
        ..
    } = access;
    let raw = &word.word;
    let value = match change {
        Change::Nothing => raw.load(order),
        Change::Set(value) => raw.swap(value, order),
        Change::Add(value) if mask == u64::MAX => raw.fetch_add(value, order),
        Change::And(value) => raw.fetch_and(value, order),
        Change::Or(value) => raw.fetch_or(value, order),
        Change::Xor(value) => raw.fetch_xor(value, order),
        Change::Max(value, Signs::Unsigned) => raw.fetch_max(value, order),
        Change::Min(value, Signs::Unsigned) => raw.fetch_min(value, order),
        Change::Exchange { current, new } | Change::Weak { current, new } => {
            match raw.compare_exchange(current, new, order, failure) {
                Ok(value) | Err(value) => value,
            }
        }
        _ => {
            let update = |value| change.apply(value, mask, 0);
            match raw.fetch_update(AcqRel, Acquire, update) {
                Ok(value) | Err(value) => value,
            }
        }
    };
    let stored = change.apply(value, mask, 0).is_some();
    if stored {
        wake(word);
    }
    Done { value, stored }
}

pub(crate) fn touch(location: Location, touch: Touch) -> Result<(), Fault> {
    let thread = crate::record::current();
    let (word, bare, abandoned) = with(|proposer| {
        let word = proposer.options.bare.then(|| proposer.word(location));
        (word, proposer.options.bare, proposer.abandoned)
    });
    if abandoned {
        return Ok(());
    }
    if bare {
        match (word, touch) {
            (_, Touch::Atomic) | (None, _) => {}
            (Some(word), Touch::Read) => drop(word.cell.get()),
            (Some(word), Touch::Write | Touch::End) => drop(word.cell.get_mut()),
        }
        return Ok(());
    }
    with(|proposer| {
        let place = proposer.place(thread);
        let now = proposer
            .graphs
            .first()
            .map_or(NOTHING, |graph| graph.before(thread, place));
        proposer
            .memory
            .touch(location, touch, (thread, place), &now)
    })
}

pub(crate) fn create(initial: u64) -> Location {
    let thread = crate::record::current();
    with(|proposer| {
        let place = proposer.place(thread);
        let location = proposer.memory.create(initial, thread, place);
        proposer.word(location);
        location
    })
}

pub(crate) fn create_static(number: usize) -> Location {
    with(|proposer| proposer.memory.create_static(number))
}

/// An access through a unique reference: the value, and the store that stands for what is written that way.
pub(crate) fn lend(access: Access) -> (u64, Option<EventId>) {
    let thread = crate::record::current();
    let Access { location, .. } = access;
    if with(|proposer| proposer.abandoned) {
        let value = with(|proposer| proposer.unwind(Wish::Read(access))).value;
        return (value, None);
    }
    let (word, bare) = with(|proposer| (proposer.word(location), proposer.options.bare));
    if bare {
        return (bare_read(&word, access).value, None);
    }
    let value = with(|proposer| {
        let newest = proposer.graphs[0].newest(location);
        proposer.value(location, newest)
    });
    let place = with(|proposer| proposer.place(thread));
    perform(Wish::Write(access, value));
    (value, Some(EventId::new(thread, place)))
}

/// What has been written meanwhile.
pub(crate) fn give_back(location: Location, store: Option<EventId>, value: u64) {
    if !is_running() {
        return;
    }
    with(|proposer| match store {
        Some(store) if !proposer.abandoned => {
            proposer.always(|graph| graph.set_value(store, value));
        }
        _ if proposer.options.bare => {}
        _ => {
            proposer.overlay.insert(location, value);
        }
    });
    let bare = with(|proposer| proposer.options.bare.then(|| proposer.word(location)));
    if let Some(word) = bare {
        word.word.store(value, Relaxed);
    }
}
