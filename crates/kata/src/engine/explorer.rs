//! The explorer: each execution that RC11 allows, once, by running the model for each of them.
//!
//! An execution is a [`Graph`]. Those that are still to be explored say which store each load reads; one is taken, the model
//! is run along it from the start in any order that agrees with program order and reads-from, and then goes on beyond its
//! end, always by the first thread that can, always with the newest store; what else would have been possible is put aside.
//! Nothing of a graph depends on values: they come from the run, so addresses may differ from run to run.
//!
//! The threads are coroutines on one thread of the operating system. Whoever wants to do something that others can see
//! asks here ([`perform`]), and is suspended while it is not its turn.
//!
//! # Waiting
//!
//! An operation that waits is a load whose source lets it go on, see [`Wait`]. A hint (`spin_loop`, `yield_now`) may mean
//! anything: the thread is run on, with the same values again. If it comes back to a hint without having done anything
//! else, nor looked in another way, it waits; if not, it has to be let pass, and what follows is explored.

use super::memory::{Fault, Memory, Touch};
use super::{Body, Done, TIMEOUT, Trace, Wish};
use corosensei::stack::DefaultStack;
use corosensei::{Coroutine, Yielder};
use memory_model::{
    Access, Branches, Change, Clock, EventId, Graph, Kind, Location, MOST_THREADS, STRIKE, Wait,
};
use std::any::Any;
use std::cell::Cell;
use std::collections::{BTreeSet, HashMap};
use std::mem::discriminant;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::rc::Rc;
use std::sync::atomic::Ordering::SeqCst;

/// The stack of a thread. What is not used costs nothing.
const STACK: usize = 512 * 1024;
/// The most events of an execution.
const EVENTS: usize = 300;
/// The most events of an execution with SeqCst operations.
const EVENTS_IN_ORDER: usize = 120;
/// The most events of all runs together.
const WORK: usize = 260_000;
/// A thread that has read so much since a hint, and nothing new, and has done nothing else, waits.
const PROBED_READS: usize = 40;
/// And so does one that has given so many hints.
const PROBED_HINTS: usize = 500;
/// Hints of a thread that has not looked at anything.
const IDLE: usize = 10_000;
/// Operations of a thread that is unwound; a destructor that waits would wait for ever.
const UNWOUND: usize = 5_000;

/// What an exploration found out.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counts {
    /// Executions in which all threads came to their end.
    pub executions: usize,
    /// Runs of the model that did not: a thread waited for what another execution brings.
    pub abandoned: usize,
}

impl Counts {
    fn runs(self) -> usize {
        self.executions + self.abandoned
    }
}

type Fiber = Coroutine<(), (), (), DefaultStack>;

/// What a thread is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Ready,
    /// In an operation that cannot go on.
    Waiting,
    /// It has said that it waits, and does.
    Hinted,
    /// It has said that it waits, and reads several locations, or writes what was there.
    Looping,
    Joining(usize),
    /// It lets the others go first.
    Yielding,
    Ended,
}

/// A look at what a thread does after a hint.
#[derive(Debug, Default)]
struct Probe {
    reads: usize,
    hints: usize,
    locations: BTreeSet<Location>,
}

/// Why a run is over before its time.
enum Ending {
    /// It cannot become a whole execution, or it is to be run again.
    Abandoned,
    /// It has more events than an execution may have.
    TooLong,
    /// A thread has panicked.
    Panicked(Box<dyn Any + Send>),
    /// From now on references to values created here have to be counted.
    Counted(usize),
}

pub(crate) struct Explorer {
    graph: Graph,
    open: Vec<Graph>,
    extending: bool,
    /// How many events of the graph each thread has done.
    done: [usize; MOST_THREADS],
    states: [State; MOST_THREADS],
    current: usize,
    yielders: [*const Yielder<(), ()>; MOST_THREADS],
    fibers: Vec<Option<Fiber>>,
    spawned: Vec<(usize, Body)>,
    stacks: Vec<DefaultStack>,
    memory: Memory,
    probe: Option<Probe>,
    /// What a thread that loops looks at.
    looks_at: [BTreeSet<Location>; MOST_THREADS],
    /// Hints since the last event.
    idle: [usize; MOST_THREADS],
    /// Its turn has come again after it has let the others go first.
    yielded: [bool; MOST_THREADS],
    /// A wait of limited time is no deadlock.
    timed: [bool; MOST_THREADS],
    ending: Option<Ending>,
    /// Operations that a thread has done although the run was over.
    unwound: usize,
    /// What a thread sees and leaves that fails while the run is over.
    overlay: HashMap<Location, u64>,
    strong: bool,
    adversary: bool,
    /// Where values were created whose references have to be counted: who drops the last one matters.
    counted: BTreeSet<usize>,
}

thread_local! {
    static EXPLORER: Cell<*mut Explorer> = const { Cell::new(std::ptr::null_mut()) };
}

/// Whether an exploration is going on in this thread of the operating system.
pub(crate) fn is_running() -> bool {
    !EXPLORER.get().is_null()
}

/// Whether a thread is being looked at: nothing of what it does counts.
pub(crate) fn is_probing() -> bool {
    let explorer = EXPLORER.get();
    // SAFETY: the pointer is valid while it is set, and nobody borrows the explorer across a switch.
    !explorer.is_null() && unsafe { (*explorer).probe.is_some() }
}

pub(crate) fn with<R>(ask: impl FnOnce(&mut Explorer) -> R) -> R {
    let explorer = EXPLORER.get();
    assert!(!explorer.is_null(), "outside of an exploration");
    // SAFETY: the pointer is valid while it is set; all threads of the model are coroutines of this thread, `ask` does not
    // switch, and it is not called from within another `ask`.
    ask(unsafe { &mut *explorer })
}

enum Answer {
    Done(Done),
    Suspend(*const Yielder<(), ()>),
}

/// Does what the current thread wants as soon as it is its turn.
pub(crate) fn perform(wish: Wish) -> Done {
    loop {
        match with(|explorer| explorer.answer(wish)) {
            Answer::Done(done) => return done,
            // SAFETY: it is the yielder of the coroutine that runs this.
            Answer::Suspend(yielder) => unsafe { &*yielder }.suspend(()),
        }
    }
}

/// Starts a thread, and returns its number.
pub(crate) fn spawn(body: Body) -> usize {
    let child = perform(Wish::Spawn).value as usize;
    with(|explorer| explorer.spawned.push((child, body)));
    child
}

/// What the last access of the current thread has read and stored.
pub(crate) fn trace() -> Trace {
    with(|explorer| {
        if explorer.ending.is_some() || explorer.probe.is_some() {
            return Trace::default();
        }
        let thread = explorer.current;
        Trace::of(&explorer.graph, thread, explorer.done[thread])
    })
}

/// An access through a unique reference: the value, and the store that stands for what is written that way.
pub(crate) fn lend(access: Access) -> (u64, Option<EventId>) {
    let newest = |explorer: &mut Explorer| {
        let newest = explorer.newest(access.location);
        let seen = explorer.overlay.get(&access.location).copied();
        if explorer.ending.is_some() {
            seen.unwrap_or(newest)
        } else {
            newest
        }
    };
    let value = with(newest);
    perform(Wish::Write(access, value));
    let store = |explorer: &mut Explorer| {
        let done = explorer.done[explorer.current];
        explorer
            .ending
            .is_none()
            .then(|| EventId::new(explorer.current, done - 1))
    };
    (value, with(store))
}

impl Explorer {
    fn answer(&mut self, wish: Wish) -> Answer {
        if self.ending.is_none()
            && let Some(done) = self.attempt(wish)
        {
            return Answer::Done(done);
        }
        let fails = crate::record::unwinder() == Some(self.current);
        if self.ending.is_none() || !fails || self.unwound > UNWOUND {
            return Answer::Suspend(self.yielders[self.current]);
        }
        self.unwound += 1;
        Answer::Done(self.unwind(wish))
    }

    /// What a thread gets that fails while the run is over: the newest values, and its own.
    fn unwind(&mut self, wish: Wish) -> Done {
        let (location, mask, change) = match wish {
            Wish::Read(access) => (access.location, access.mask, access.change),
            Wish::Write(access, value) => (access.location, u64::MAX, Change::Set(value)),
            _ => return Done::default(),
        };
        let old = self.overlay.get(&location).copied();
        let old = old.unwrap_or_else(|| self.newest(location));
        let new = change.apply(old, mask, 0);
        if let Some(new) = new {
            self.overlay.insert(location, new);
        }
        Done {
            value: old,
            stored: new.is_some(),
        }
    }

    fn newest(&mut self, location: Location) -> u64 {
        let initial = self.memory.initial(location);
        self.graph.value(self.graph.newest(location), initial)
    }

    /// What happens before whatever the current thread does now.
    fn now(&self) -> Clock {
        self.graph.before(self.current, self.done[self.current])
    }

    /// Whether whatever is in `clock` happens before what the current thread does now.
    pub(crate) fn knows(&self, clock: &Clock) -> bool {
        let now = self.now();
        let mut threads = clock.iter().zip(&now).enumerate();
        threads.all(|(thread, (there, here))| thread == self.current || there <= here)
    }

    /// The clock of what the current thread does now, for somebody who learns of it in a way of his own. Nobody knows of it before
    /// they know of the thread's next event.
    pub(crate) fn clock(&self) -> Clock {
        let mut now = self.now();
        now[self.current] = self.done[self.current] as u16 + 1;
        now
    }

    /// How many of its events the current thread has done.
    pub(crate) fn place(&self) -> usize {
        self.done[self.current]
    }

    /// What has been done so far.
    pub(crate) fn execution(&self) -> Graph {
        self.graph.beginning(&self.done)
    }

    pub(crate) fn create(&mut self, initial: u64) -> Location {
        let thread = self.current;
        if self.probe.is_some() {
            // Whatever is created has a number: the thread is no longer where it was.
            self.escape();
        }
        self.memory.create(initial, thread, self.done[thread])
    }

    pub(crate) fn create_static(&mut self, index: usize) -> Location {
        self.memory.create_static(index)
    }

    pub(crate) fn touch(&mut self, location: Location, touch: Touch) -> Result<(), Fault> {
        if self.ending.is_some() || self.probe.is_some() {
            return Ok(());
        }
        let thread = self.current;
        let now = self.now();
        let at = (thread, self.done[thread]);
        self.memory.touch(location, touch, at, &now)
    }

    /// Says what a store was that stood for what is written through a unique reference.
    pub(crate) fn give_back(&mut self, location: Location, store: Option<EventId>, value: u64) {
        match store {
            Some(store) if self.ending.is_none() => self.graph.set_value(store, value),
            _ => {
                self.overlay.insert(location, value);
            }
        }
    }

    /// Whether references to the values created at `site` are counted.
    pub(crate) fn is_counted(&self, site: usize) -> bool {
        self.counted.contains(&site)
    }

    /// From now on references to the values created at `site` are counted: the exploration begins again.
    pub(crate) fn count(&mut self, site: usize) {
        // Not because of what a thread lets go of that fails.
        if self.ending.is_none() && crate::record::unwinder() != Some(self.current) {
            self.ending = Some(Ending::Counted(site));
        }
    }

    /// Whether the exploration begins again, and nobody has been told yet.
    pub(crate) fn begins_again(&self) -> bool {
        matches!(self.ending, Some(Ending::Counted(_)))
    }

    pub(crate) fn set_timed(&mut self, timed: bool) {
        self.timed[self.current] = timed;
    }

    fn attempt(&mut self, wish: Wish) -> Option<Done> {
        let thread = self.current;
        if self.probe.is_some() {
            return self.probe(wish);
        }
        match wish {
            Wish::Pause => return self.pause(),
            Wish::Choose(..) if !self.adversary => return Some(Done::default()),
            Wish::Choose(site, TIMEOUT)
                if self.graph.has_strayed(thread, self.done[thread], site) =>
            {
                return Some(Done::default());
            }
            _ => {}
        }
        self.idle[thread] = 0;
        if self.done[thread] < self.graph.events(thread).len() {
            self.replay(wish)
        } else if self.extending {
            self.extend(wish)
        } else {
            None
        }
    }

    fn replay(&mut self, wish: Wish) -> Option<Done> {
        let thread = self.current;
        let place = self.done[thread];
        let event = self.graph.events(thread)[place];
        let at = |location| event.access.location == location;
        let fits = match (wish, event.kind) {
            (Wish::Read(access), Kind::Load { .. })
            | (Wish::Write(access, _), Kind::Store { .. }) => at(access.location),
            (Wish::Join(child), Kind::Join(joined)) => child == usize::from(joined),
            (Wish::Fence(_), Kind::Fence)
            | (Wish::Spawn, Kind::Spawn(_))
            | (Wish::End, Kind::End)
            | (Wish::Choose(..), Kind::Choice(_)) => true,
            _ => false,
        };
        assert!(
            fits,
            "kata: the model does not do the same when it is run again\nA model must not depend on anything but `kata`: no \
             clock, no randomness, no address of an object or a thread, no state that outlives an execution."
        );
        match wish {
            Wish::Read(access) => {
                let source = event.source().expect("it is a load");
                if source != EventId::INITIAL && self.done[source.thread()] <= source.place() {
                    return None;
                }
                let initial = self.memory.initial(access.location);
                let value = self.graph.value(source, initial);
                let id = EventId::new(thread, place);
                self.graph.set_value(id, value);
                self.graph.set_change(id, access.change);
                if self.graph.wait(thread) == Some(Wait::Operation)
                    && place + 1 == self.graph.events(thread).len()
                {
                    self.states[thread] = State::Waiting;
                    return None;
                }
                let new = self.graph.event(id).stores();
                self.done[thread] += 1;
                if let Some(new) = new {
                    self.graph.set_value(EventId::new(thread, place + 1), new);
                    self.done[thread] += 1;
                }
                Some(Done {
                    value,
                    stored: new.is_some(),
                })
            }
            Wish::Join(child) if self.states[child] != State::Ended => None,
            _ => {
                let mut answer = 0;
                match (wish, event.kind) {
                    (Wish::Write(_, value), _) => {
                        self.graph.set_value(EventId::new(thread, place), value);
                    }
                    (_, Kind::Spawn(child)) => answer = child.into(),
                    (_, Kind::Choice(way)) => answer = way.into(),
                    (_, Kind::End) => self.states[thread] = State::Ended,
                    _ => {}
                }
                self.done[thread] += 1;
                Some(Done {
                    value: answer,
                    stored: false,
                })
            }
        }
    }

    fn extend(&mut self, wish: Wish) -> Option<Done> {
        let thread = self.current;
        self.strong |= match wish {
            Wish::Read(access) => [access.order, access.failure].contains(&SeqCst),
            Wish::Write(access, _) => access.order == SeqCst,
            Wish::Fence(order) => order == SeqCst,
            _ => false,
        };
        let most = if self.strong { EVENTS_IN_ORDER } else { EVENTS };
        if self.graph.len() >= most {
            self.ending = Some(Ending::TooLong);
            return None;
        }
        let mut value = 0;
        match wish {
            Wish::Read(access) => {
                let initial = self.memory.initial(access.location);
                let graph = std::mem::take(&mut self.graph);
                if !self.adopt(graph.read(thread, access, initial)) {
                    return None;
                }
                if self.graph.wait(thread) == Some(Wait::Operation) {
                    self.states[thread] = State::Waiting;
                    return None;
                }
                let event = self.graph.events(thread)[self.done[thread]];
                let stored = event.stores().is_some();
                self.done[thread] += 1 + usize::from(stored);
                return Some(Done {
                    value: event.value,
                    stored,
                });
            }
            Wish::Write(access, value) => {
                let graph = std::mem::take(&mut self.graph);
                if !self.adopt(graph.write(thread, access, value)) {
                    return None;
                }
            }
            Wish::Fence(order) => self.graph.fence(thread, order),
            Wish::Join(child) => {
                if self.states[child] != State::Ended {
                    self.states[thread] = State::Joining(child);
                    return None;
                }
                self.graph.join(thread, child);
            }
            Wish::Spawn => value = self.graph.spawn(thread) as u64,
            Wish::End => {
                self.graph.end(thread);
                self.states[thread] = State::Ended;
            }
            Wish::Choose(site, way) => {
                if way != STRIKE || !self.graph.has_struck() {
                    let mut strayed = self.graph.clone();
                    strayed.choose(thread, way, site);
                    self.open.push(strayed);
                }
                self.graph.choose(thread, 0, site);
            }
            Wish::Pause => unreachable!("a hint is no event"),
        }
        self.done[thread] += 1;
        Some(Done {
            value,
            stored: false,
        })
    }

    /// Goes on with one of the graphs and keeps the others for later. Not if a thread that has gone on to a hint would have
    /// to read something else now: then that graph is run anew.
    fn adopt(&mut self, mut branches: Branches) -> bool {
        let next = branches.forward.pop();
        self.graph = next.expect("the newest store can always be read and overwritten");
        self.open.append(&mut branches.aside);
        self.open.append(&mut branches.forward);
        let awake = |thread: usize| {
            self.states[thread] == State::Hinted && self.graph.wait(thread).is_none()
        };
        let again = (0..self.graph.threads()).any(awake);
        if again {
            self.open.push(self.graph.clone());
            self.ending = Some(Ending::Abandoned);
        }
        !again
    }

    /// The thread says that it waits.
    fn pause(&mut self) -> Option<Done> {
        let thread = self.current;
        let place = self.done[thread];
        if self.graph.passes(thread, place) {
            return Some(Done::default());
        }
        let events = self.graph.events(thread);
        let looked = match events[..place] {
            // A failed attempt by swap has written what was there.
            [.., load, store] if store.kind == (Kind::Store { exclusive: true }) => {
                store.access.site != 0 && store.value == load.value
            }
            [.., last] => matches!(last.kind, Kind::Load { .. }) && last.access.site != 0,
            [] => false,
        };
        if !looked {
            // It has not looked at anything: it waits for nothing, and lets the others go first. But it must not go round for
            // ever.
            self.idle[thread] += 1;
            if self.idle[thread] > IDLE {
                self.ending = Some(Ending::TooLong);
                return None;
            }
            if !self.extending {
                // The order is the graph's.
                return (place < events.len()).then(Done::default);
            }
            self.yielded[thread] = !self.yielded[thread];
            if self.yielded[thread] {
                self.states[thread] = State::Yielding;
                return None;
            }
            return Some(Done::default());
        }
        if place < events.len() {
            return Some(Done::default());
        }
        if self.graph.wait(thread) == Some(Wait::Hint) {
            self.states[thread] = State::Hinted;
            return None;
        }
        if !self.extending {
            return None;
        }
        self.probe = Some(Probe::default());
        Some(Done::default())
    }

    /// The thread does something else than to look at the same again: the hint was none.
    fn escape(&mut self) {
        let thread = self.current;
        self.probe = None;
        let mut graph = self.graph.clone();
        graph.let_pass(thread, self.done[thread]);
        self.open.push(graph);
        self.ending = Some(Ending::Abandoned);
    }

    fn probe(&mut self, wish: Wish) -> Option<Done> {
        let thread = self.current;
        match wish {
            Wish::Read(access) => {
                let seen = self.graph.events(thread).iter().rev().find(|event| {
                    event.access.location == access.location
                        && matches!(event.kind, Kind::Load { .. } | Kind::Store { .. })
                });
                let Some(value) = seen.map(|event| event.value) else {
                    self.escape();
                    return None;
                };
                if access.awaits || !self.has_looked_so(access) {
                    self.escape();
                    return None;
                }
                let new = access.change.apply(value, access.mask, 0);
                if new.is_some_and(|new| new != value) {
                    self.escape();
                    return None;
                }
                let probe = self.probe.as_mut().expect("asked before");
                probe.reads += 1;
                probe.locations.insert(access.location);
                Some(Done {
                    value,
                    stored: new.is_some(),
                })
            }
            Wish::Pause => {
                let probe = self.probe.as_mut().expect("asked before");
                probe.hints += 1;
                if probe.reads < PROBED_READS && probe.hints < PROBED_HINTS {
                    return Some(Done::default());
                }
                self.conclude();
                None
            }
            Wish::Fence(_) | Wish::Choose(..) => Some(Done::default()),
            Wish::Write(..) | Wish::Spawn | Wish::Join(_) | Wish::End => {
                self.escape();
                None
            }
        }
    }

    /// Whether this look is like an earlier one since the current thread did anything but look: it would bring the same, in
    /// value and in what is known after it.
    fn has_looked_so(&self, access: Access) -> bool {
        let likewise = |seen: Access| {
            (seen.location, seen.order, seen.failure)
                == (access.location, access.order, access.failure)
                && discriminant(&seen.change) == discriminant(&access.change)
        };
        let events = self.graph.events(self.current);
        let looks = (0..events.len())
            .rev()
            .take_while(|&place| match events[place].kind {
                Kind::Load { .. } => true,
                // A failed attempt by swap has written what was there.
                Kind::Store { exclusive: true } => events[place].value == events[place - 1].value,
                _ => false,
            });
        let mut loads = looks.filter(|&place| matches!(events[place].kind, Kind::Load { .. }));
        loads.any(|place| likewise(events[place].access))
    }

    /// The thread that was looked at waits.
    fn conclude(&mut self) {
        let thread = self.current;
        let Some(probe) = self.probe.take() else {
            return;
        };
        let last = EventId::new(thread, self.done[thread] - 1);
        let event = self.graph.event(last);
        let loads = matches!(event.kind, Kind::Load { .. });
        let alone = probe
            .locations
            .iter()
            .all(|&location| location == event.access.location);
        // What it has overlooked will not come again: nothing that follows is a whole execution.
        if loads && self.graph.was_stale(last) {
            self.ending = Some(Ending::Abandoned);
        } else if loads && alone {
            self.graph.set_hint(thread);
            self.states[thread] = State::Hinted;
        } else {
            self.looks_at[thread] = probe.locations;
            self.states[thread] = State::Looping;
        }
    }

    /// Whether nothing that is there lets a thread go on.
    fn is_stuck(&mut self, thread: usize) -> bool {
        match self.states[thread] {
            State::Ended | State::Joining(_) => true,
            State::Ready | State::Yielding => false,
            State::Waiting if self.timed[thread] => false,
            State::Waiting | State::Hinted => {
                let events = self.graph.events(thread);
                let last = *events.last().expect("it has looked");
                let value = self.newest(last.access.location);
                if self.states[thread] == State::Hinted {
                    value == last.value
                } else {
                    let Access { change, mask, .. } = last.access;
                    change.apply(value, mask, 0).is_none()
                }
            }
            State::Looping => {
                let locations = std::mem::take(&mut self.looks_at[thread]);
                let stuck = locations.iter().all(|&location| {
                    let value = self.newest(location);
                    let events = self.graph.events(thread).iter().rev();
                    let mut seen = events.filter(|event| event.access.location == location);
                    seen.next().is_none_or(|event| event.value == value)
                });
                self.looks_at[thread] = locations;
                stuck
            }
        }
    }

    fn is_runnable(&self, thread: usize) -> bool {
        match self.states[thread] {
            State::Ready => self.is_next(thread),
            State::Waiting => self.graph.wait(thread).is_none() && self.is_next(thread),
            State::Joining(child) => self.states[child] == State::Ended,
            State::Hinted | State::Looping | State::Yielding | State::Ended => false,
        }
    }

    /// Whether a thread does not have to let another one first do the store that it reads next: one that has been called reads
    /// what another one has left that was called with it.
    fn is_next(&self, thread: usize) -> bool {
        let next = self.graph.events(thread).get(self.done[thread]);
        let source = next.and_then(memory_model::Event::source);
        source.is_none_or(|source| {
            source == EventId::INITIAL || source.place() < self.done[source.thread()]
        })
    }

    /// How many of a thread's events are to be done again.
    fn to_replay(&self, thread: usize) -> usize {
        let waits = self.graph.wait(thread) == Some(Wait::Operation);
        self.graph.events(thread).len() - usize::from(waits)
    }

    fn begin(&mut self, graph: Graph) {
        self.graph = graph;
        self.extending = false;
        self.done = [0; MOST_THREADS];
        self.states = [State::Ready; MOST_THREADS];
        self.memory.reset();
        self.probe = None;
        self.idle = [0; MOST_THREADS];
        self.yielded = [false; MOST_THREADS];
        self.timed = [false; MOST_THREADS];
        self.ending = None;
        self.unwound = 0;
        self.overlay.clear();
        self.spawned.clear();
    }
}

/// How an exploration went.
pub(crate) enum Outcome {
    /// All executions have been explored.
    Complete(Counts),
    /// The budget of runs was used up.
    OutOfBudget,
}

/// What is done around each run of the model.
pub(crate) struct Around<'a> {
    pub begin: &'a dyn Fn(Counts),
    /// After an execution in which all threads came to their end.
    pub end: &'a dyn Fn(),
    /// After a run that came to nothing.
    pub abandon: &'a dyn Fn(),
}

/// Explores all executions of `model`, with at most `budget` runs.
///
/// # Panics
/// As the model does, or if all threads wait.
pub(crate) fn explore(
    model: Rc<dyn Fn()>,
    adversary: bool,
    budget: usize,
    around: &Around<'_>,
) -> Outcome {
    let mut explorer = Box::new(Explorer {
        graph: Graph::default(),
        open: Vec::new(),
        extending: false,
        done: [0; MOST_THREADS],
        states: [State::Ready; MOST_THREADS],
        current: 0,
        yielders: [std::ptr::null(); MOST_THREADS],
        fibers: Vec::new(),
        spawned: Vec::new(),
        stacks: Vec::new(),
        memory: Memory::default(),
        probe: None,
        looks_at: std::array::from_fn(|_| BTreeSet::new()),
        idle: [0; MOST_THREADS],
        yielded: [false; MOST_THREADS],
        timed: [false; MOST_THREADS],
        ending: None,
        unwound: 0,
        overlay: HashMap::new(),
        strong: false,
        adversary,
        counted: BTreeSet::new(),
    });
    let running = Running::new(&raw mut *explorer);
    let mut counts = Counts::default();
    let mut work = 0;
    let first = || Graph::new(1, adversary);
    with(|explorer| explorer.open.push(first()));
    while let Some(graph) = with(|explorer| explorer.open.pop()) {
        if counts.runs() == budget || budget < usize::MAX && work > WORK {
            return Outcome::OutOfBudget;
        }
        (around.begin)(counts);
        let _aside = crate::watch::aside();
        let complete = running.run(&model, graph);
        work += with(|explorer| explorer.graph.len());
        let ending = with(|explorer| explorer.ending.take());
        match ending {
            Some(Ending::Panicked(payload)) => {
                running.leave();
                resume_unwind(payload);
            }
            Some(Ending::Counted(site)) => {
                running.leave();
                with(|explorer| {
                    explorer.counted.insert(site);
                    explorer.open = vec![first()];
                });
                counts = Counts::default();
                (around.abandon)();
            }
            Some(Ending::TooLong) => {
                running.leave();
                (around.abandon)();
                return Outcome::OutOfBudget;
            }
            Some(Ending::Abandoned) => {
                running.leave();
                counts.abandoned += 1;
                (around.abandon)();
            }
            None if complete => {
                counts.executions += 1;
                running.leave();
                (around.end)();
            }
            None => {
                let stuck = with(|explorer| {
                    let threads = 0..explorer.graph.threads();
                    let spins = |state| matches!(state, State::Hinted | State::Looping);
                    let spinning = explorer.states.iter().any(|&state| spins(state));
                    let mut all = threads.into_iter();
                    all.all(|thread| explorer.is_stuck(thread))
                        .then_some(spinning)
                });
                if let Some(spinning) = stuck {
                    running.leave();
                    if spinning {
                        panic!("{}", super::SPINS_FOREVER);
                    }
                    panic!("deadlock");
                }
                running.leave();
                counts.abandoned += 1;
                (around.abandon)();
            }
        }
    }
    Outcome::Complete(counts)
}

/// The explorer is where the threads of the model find it, while this lives.
struct Running;

impl Drop for Running {
    fn drop(&mut self) {
        EXPLORER.set(std::ptr::null_mut());
    }
}

impl Running {
    fn new(explorer: *mut Explorer) -> Self {
        EXPLORER.set(explorer);
        Self
    }

    /// Runs the model along a graph and beyond it. Returns whether all threads have come to their end.
    fn run(&self, model: &Rc<dyn Fn()>, graph: Graph) -> bool {
        let model = Rc::clone(model);
        with(|explorer| {
            explorer.begin(graph);
            let main = move || {
                crate::watch::resume();
                model();
                crate::local::end_thread(0);
                std::mem::forget(crate::watch::aside());
            };
            explorer.spawned.push((0, Box::new(main)));
        });
        // Along it: whoever can go on does.
        loop {
            let [mut open, mut progress] = [false; 2];
            self.start();
            for thread in 0..with(|explorer| explorer.graph.threads()) {
                let before = with(|explorer| explorer.done[thread]);
                if before >= with(|explorer| explorer.to_replay(thread)) {
                    continue;
                }
                open = true;
                self.resume(thread);
                self.start();
                if with(|explorer| explorer.ending.is_some()) {
                    return false;
                }
                progress |= with(|explorer| explorer.done[thread]) > before;
            }
            if !open {
                break;
            }
            assert!(progress, "kata: a run does not follow its graph");
        }
        // Beyond it: the first one that can.
        with(|explorer| explorer.extending = true);
        loop {
            self.start();
            let next = with(|explorer| {
                if explorer.ending.is_some() {
                    return None;
                }
                let mut threads = 0..explorer.graph.threads();
                let yields = |thread: &usize| explorer.states[*thread] == State::Yielding;
                let next = threads
                    .clone()
                    .find(|&thread| explorer.is_runnable(thread))
                    .or_else(|| threads.find(yields));
                if let Some(thread) = next {
                    explorer.states[thread] = State::Ready;
                }
                next
            });
            let Some(thread) = next else { break };
            self.resume(thread);
        }
        with(|explorer| {
            let ended = |thread| explorer.states[thread] == State::Ended;
            explorer.ending.is_none() && (0..explorer.graph.threads()).all(ended)
        })
    }

    fn resume(&self, thread: usize) {
        let fiber = with(|explorer| {
            explorer.current = thread;
            explorer.fibers.get_mut(thread).and_then(Option::take)
        });
        let Some(mut fiber) = fiber else { return };
        crate::record::set_current(thread);
        if !fiber.done() {
            fiber.resume(());
        }
        with(|explorer| explorer.fibers[thread] = Some(fiber));
    }

    /// Gives those who have been spawned a stack.
    fn start(&self) {
        let spawned = with(|explorer| std::mem::take(&mut explorer.spawned));
        for (thread, body) in spawned {
            let stack = with(|explorer| explorer.stacks.pop());
            let stack =
                stack.unwrap_or_else(|| DefaultStack::new(STACK).expect("memory for a stack"));
            let fiber = Coroutine::with_stack(stack, move |yielder: &Yielder<(), ()>, ()| {
                with(|explorer| explorer.yielders[thread] = yielder);
                run_thread(body);
            });
            with(|explorer| {
                if explorer.fibers.len() <= thread {
                    explorer.fibers.resize_with(thread + 1, || None);
                }
                explorer.fibers[thread] = Some(fiber);
            });
        }
    }

    /// Leaves the threads that are still there where they stand. What is on their stacks is leaked: code need not be prepared
    /// for an end at such a place, and what it owns must not be touched.
    fn leave(&self) {
        let fibers = with(|explorer| {
            explorer.ending = Some(Ending::Abandoned);
            explorer.probe = None;
            std::mem::take(&mut explorer.spawned)
                .into_iter()
                .for_each(std::mem::forget);
            std::mem::take(&mut explorer.fibers)
        });
        let fails = crate::record::unwinder();
        for (thread, fiber) in fibers.into_iter().enumerate() {
            let Some(mut fiber) = fiber else { continue };
            // Whoever fails must come to where that is caught: the panic is one of the thread of the operating system.
            if fails == Some(thread) && fiber.started() && !fiber.done() {
                crate::watch::spare();
                with(|explorer| explorer.current = thread);
                crate::record::set_current(thread);
                fiber.resume(());
            }
            self.give_back(fiber);
        }
    }

    fn give_back(&self, mut fiber: Fiber) {
        if !fiber.done() {
            // SAFETY: what is on the stack is leaked; nobody looks at it again.
            unsafe { fiber.force_reset() };
        }
        let stack = fiber.into_stack();
        with(|explorer| explorer.stacks.push(stack));
    }
}

/// The whole life of a thread.
fn run_thread(body: Body) {
    let result = catch_unwind(AssertUnwindSafe(body));
    let over = with(|explorer| explorer.ending.is_some());
    if over {
        return;
    }
    match result {
        Ok(()) => {
            // It may learn here that the run is over.
            let _ = catch_unwind(|| perform(Wish::End));
        }
        Err(payload) => with(|explorer| {
            if explorer.probe.is_some() {
                explorer.escape();
            } else {
                explorer.ending = Some(Ending::Panicked(payload));
            }
        }),
    }
}
