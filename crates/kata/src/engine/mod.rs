//! The engines of the loom world, and what the facade needs of them.
//!
//! All that threads can do to one another is a [`Wish`]: to read, which may be a read-modify-write and may wait, to write,
//! a fence, to start and to join a thread, to end, to say that one waits, to choose. Locks, condition variables, tokens and
//! references are made of these, see [`sync`]. So an engine knows no more than the memory model does:
//!
//! - the [`explorer`] visits each execution that the axioms allow once;
//! - where that is too much, loom [proposes](proposer) interleavings, and the axioms say which of them exist.

mod explorer;
mod memory;
mod proposer;
pub(crate) mod sync;
pub(crate) mod thread;

pub(crate) use explorer::{Around, Counts, Outcome, explore, is_probing};
pub(crate) use memory::Touch;
pub(crate) use proposer::{Options, propose, take_choice_seen, take_outgrown, take_prey_seen};

use crate::record::Site;
use crate::world::{Word, fail};
use memory::{Fault, token};
use memory_model::{Access, Change, Event, EventId, Graph, Kind, Location, STRIKE};
use std::marker::PhantomData;
use std::sync::atomic::Ordering::{self, Acquire, Relaxed, Release, SeqCst};

/// The bits of a location's number that count the objects of one creator.
const LOCAL: u32 = 24;

/// What the panic message is if threads wait for ever by looking again and again.
pub(crate) const SPINS_FOREVER: &str = "kata: what is waited for never comes";

/// What a thread does that others can see.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Wish {
    Read(Access),
    Write(Access, u64),
    Fence(Ordering),
    Spawn,
    Join(usize),
    End,
    /// It says that it waits.
    Pause,
    /// It goes the usual way or this one, at this place in the source.
    Choose(usize, u8),
}

impl Wish {
    /// The same with SeqCst in place of what the code under test says.
    fn strengthened(self) -> Self {
        let strong = |access: Access| Access {
            order: SeqCst,
            failure: SeqCst,
            ..access
        };
        match self {
            Self::Read(access) if access.site != 0 => Self::Read(strong(access)),
            Self::Write(access, value) if access.site != 0 => Self::Write(strong(access), value),
            Self::Fence(_) => Self::Fence(SeqCst),
            other => other,
        }
    }
}

/// What came of it.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Done {
    /// The value read, the number of the thread started, or the way chosen.
    pub value: u64,
    /// A read has become a read-modify-write.
    pub stored: bool,
}

/// Where an access has read from, and what it has stored.
#[derive(Clone, Copy, Debug, Default)]
struct Trace {
    load: Option<EventId>,
    source: Option<EventId>,
    store: Option<EventId>,
}

impl Trace {
    /// Of the access that ends with the last of the first `place` events of a thread.
    fn of(graph: &Graph, thread: usize, place: usize) -> Self {
        let id = |back: usize| Some(EventId::new(thread, place.checked_sub(back)?));
        let event = |back: usize| id(back).map(|id| graph.event(id));
        match event(1).map(|event| event.kind) {
            Some(Kind::Load { source }) => Self {
                load: id(1),
                source: Some(source),
                store: None,
            },
            Some(Kind::Store { exclusive }) => Self {
                load: id(2).filter(|_| exclusive),
                source: event(2).filter(|_| exclusive).and_then(Event::source),
                store: id(1),
            },
            _ => Self::default(),
        }
    }
}

/// Says in the record where the access just done has read from, and what it has stored.
fn note_trace() {
    let trace = if explorer::is_running() {
        explorer::trace()
    } else {
        proposer::trace()
    };
    let name = |id: EventId| (id.thread(), id.place());
    crate::record::trace(crate::record::Trace {
        load: trace.load.map(name),
        source: trace.source.map(name),
        store: trace.store.map(name),
    });
}

/// How many events the current thread has done.
pub(crate) fn place() -> usize {
    if explorer::is_running() {
        explorer::with(|explorer| explorer.place())
    } else {
        proposer::place()
    }
}

/// The running execution as far as it has come, if it is known.
pub(crate) fn execution() -> Option<Graph> {
    if explorer::is_running() {
        Some(explorer::with(|explorer| explorer.execution()))
    } else {
        proposer::execution()
    }
}

/// What a thread runs.
pub(crate) type Body = Box<dyn FnOnce()>;

fn perform(wish: Wish) -> Done {
    let _aside = crate::watch::aside();
    let wish = if crate::record::pass().strengthened {
        wish.strengthened()
    } else {
        wish
    };
    if explorer::is_running() {
        explorer::perform(wish)
    } else {
        proposer::perform(wish)
    }
}

/// Whether a deadlock can be unwound. Where threads hold guards, loom panics again, and the process aborts.
pub(crate) fn survives_deadlocks() -> bool {
    !proposer::is_running()
}

/// The name of a place in the source. It is never 0, which stands for what the facade does itself.
fn key(site: Site) -> usize {
    std::ptr::from_ref(site).addr()
}

/// A fence.
pub(crate) fn fence(order: Ordering) {
    perform(Wish::Fence(order));
}

/// The way of a choice that a wait has run out of time, at most once for each place and thread.
const TIMEOUT: u8 = 2;

/// Whether an operation that may fail or return without cause does so here: once in an execution.
pub(crate) fn strikes(site: Site) -> bool {
    crate::record::running() && perform(Wish::Choose(key(site), STRIKE)).value != 0
}

/// Whether a wait of limited time runs out of it.
pub(crate) fn times_out(site: Site) -> bool {
    crate::record::running() && perform(Wish::Choose(key(site), TIMEOUT)).value != 0
}

/// The current thread says that it waits.
pub(crate) fn pause() {
    perform(Wish::Pause);
}

/// Notes an access to the memory of an object; one that is not in order is a failure.
fn touch(location: Location, touch: Touch) {
    let outcome = if explorer::is_running() {
        explorer::with(|explorer| explorer.touch(location, touch))
    } else {
        proposer::touch(location, touch)
    };
    match outcome {
        Ok(()) => {}
        Err(Fault::Race) => panic!("data race"),
        Err(Fault::Ended) if touch == Touch::End => fail(
            "double free",
            "What this step drops had already been dropped.",
        ),
        Err(Fault::Ended) => fail(
            "use after free",
            "The memory this step touches had already been freed.",
        ),
    }
}

fn create(initial: u64) -> Location {
    if explorer::is_running() {
        explorer::with(|explorer| explorer.create(initial))
    } else {
        proposer::create(initial)
    }
}

/// A word that threads share.
#[derive(Debug)]
pub(crate) struct Atomic<W> {
    location: Location,
    word: PhantomData<fn() -> W>,
}

/// A store that stands for what is written through a unique reference.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lent(Option<EventId>);

impl<W: Word> Atomic<W> {
    pub(crate) fn new(value: W) -> Self {
        Self {
            location: create(value.bits()),
            word: PhantomData,
        }
    }

    /// One that was there before the first thread, the one of this number. It holds 0.
    pub(crate) fn of_static(number: usize) -> Self {
        let location = if explorer::is_running() {
            explorer::with(|explorer| explorer.create_static(number))
        } else {
            proposer::create_static(number)
        };
        Self {
            location,
            word: PhantomData,
        }
    }

    /// A load with Acquire by the facade itself.
    pub(crate) fn look(&self, _site: Site) -> W {
        let done = perform(Wish::Read(Access::new(self.location, Acquire)));
        W::from_bits(done.value)
    }

    /// A compare-exchange by the facade itself. Returns whether it was successful.
    pub(crate) fn exchange(&self, current: W, new: W, _site: Site) -> bool {
        let [current, new] = [current, new].map(Word::bits);
        let change = Change::Exchange { current, new };
        let access = Access::new(self.location, Acquire);
        perform(Wish::Read(Access { change, ..access })).stored
    }

    /// Waits for a value.
    pub(crate) fn wait_for(&self, value: W, _site: Site) {
        let value = value.bits();
        let change = Change::Exchange {
            current: value,
            new: value,
        };
        perform(Wish::Read(Access {
            change,
            awaits: true,
            ..Access::new(self.location, Acquire)
        }));
    }

    fn access(&self, order: Ordering, site: Site) -> Access {
        Access {
            mask: W::MASK,
            site: key(site),
            ..Access::new(self.location, order)
        }
    }

    /// A read, and what `change` makes of it.
    pub(crate) fn read(
        &self,
        change: Change,
        [order, failure]: [Ordering; 2],
        site: Site,
    ) -> (W, bool) {
        touch(self.location, Touch::Atomic);
        let done = perform(Wish::Read(Access {
            change,
            failure,
            ..self.access(order, site)
        }));
        note_trace();
        (W::from_bits(done.value), done.stored)
    }

    pub(crate) fn store(&self, value: W, order: Ordering, site: Site) {
        touch(self.location, Touch::Atomic);
        perform(Wish::Write(self.access(order, site), value.bits()));
        note_trace();
    }

    /// The value, which nobody else can reach, for as long as it is lent out.
    pub(crate) fn lend(&self) -> (W, Lent) {
        touch(self.location, Touch::Write);
        let access = Access::new(self.location, Relaxed);
        let (value, store) = if explorer::is_running() {
            explorer::lend(access)
        } else {
            proposer::lend(access)
        };
        (W::from_bits(value), Lent(store))
    }

    /// What has been written meanwhile.
    pub(crate) fn give_back(&self, lent: Lent, value: W) {
        if explorer::is_running() {
            explorer::with(|explorer| explorer.give_back(self.location, lent.0, value.bits()));
        } else {
            proposer::give_back(self.location, lent.0, value.bits());
        }
    }

    /// The end of the object.
    pub(crate) fn end(&self) {
        touch(self.location, Touch::End);
    }
}

/// What tracks the accesses to one cell.
#[derive(Debug)]
pub(crate) struct Tracked(Location);

/// An access that lasts as long as this value. The order of accesses alone decides, not when they overlap.
#[derive(Debug)]
pub(crate) struct Accessing<'a>(PhantomData<&'a Tracked>);

impl Tracked {
    pub(crate) fn new() -> Self {
        Self(create(0))
    }

    pub(crate) fn begin(&self, writes: bool) -> Accessing<'_> {
        touch(self.0, if writes { Touch::Write } else { Touch::Read });
        Accessing(PhantomData)
    }

    pub(crate) fn end(&self) {
        touch(self.0, Touch::End);
    }
}

impl Accessing<'_> {
    /// A point at which another thread could run: none is needed.
    pub(crate) fn settle(self) -> Self {
        self
    }
}

/// What `unpark`, or the wake of a future, makes available and one thread takes.
#[derive(Debug)]
pub(crate) struct Token(Location);

impl Token {
    pub(crate) fn new() -> Self {
        Self(create(0))
    }

    /// The token of a thread.
    pub(crate) fn of(thread: usize) -> Self {
        Self(token(thread))
    }

    /// Waits until the token is available, and takes it. Always called by the same thread.
    pub(crate) fn take(&self) {
        let change = Change::Exchange { current: 1, new: 0 };
        perform(Wish::Read(Access {
            change,
            awaits: true,
            ..Access::new(self.0, Acquire)
        }));
    }

    /// Makes the token available to the thread that takes it.
    pub(crate) fn give(&self) {
        perform(Wish::Read(Access {
            change: Change::Set(1),
            ..Access::new(self.0, Release)
        }));
    }
}
