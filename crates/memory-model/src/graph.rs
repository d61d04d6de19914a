//! An execution under construction: a graph that grows by one event at a time and is consistent after each.
//!
//! The model is RC11: the rules of the crate's root with [`Total::Rc11`](super::Total::Rc11), and program order and
//! reads-from never go round in a circle ([`Cycles::Forbidden`](super::Cycles::Forbidden)). So whatever leads to an event
//! is there before it, and what follows from the past of an event is known once and for all when it comes: *happens
//! before* is a vector clock that each event gets when it is added. Two rules remain to be looked at:
//!
//! - **Coherence**: nothing that happens before an event has seen a later store than the event itself sees. That is a
//!   lower bound on the places in modification order, see [`Graph::oldest`].
//! - **Atomicity**: the store of a read-modify-write stands right behind the store that its load reads. No other store
//!   is put between the two.
//!
//! SeqCst is a rule about the whole graph; see [`total_order`](super::total_order).
//!
//! A read-modify-write is two events, a load and, right after it, an *exclusive* store. For a moment two of them may read
//! the same store: the second one has no place then, unless the first reads from it instead.
//!
//! # Waiting
//!
//! A thread may wait for what it reads next ([`Wait`]). Its last load is there, with the newest store as its source, but it
//! is *provisional*: as soon as a store comes that the thread waits for, the load reads that one, as if it had only then
//! been added. So a wait is not explored once for each moment at which it might have looked in vain, and a thread that
//! waits at the end of an execution waits forever. (GenMC calls this in-place revisiting.)

use super::change::Change;
use std::sync::atomic::Ordering::{self, AcqRel, Acquire, Relaxed, Release, SeqCst};

/// The most threads.
pub const MOST_THREADS: usize = 8;

/// How many events of each thread.
pub type Clock = [u16; MOST_THREADS];

/// The clock of nothing.
pub const NOTHING: Clock = [0; MOST_THREADS];

/// Adds what is in `other`.
pub fn join(clock: &mut Clock, other: &Clock) {
    for (own, other) in clock.iter_mut().zip(other) {
        *own = (*own).max(*other);
    }
}

/// The number of an atomic location.
pub type Location = u32;

/// The location of an event that has none.
pub(super) const NOWHERE: Location = Location::MAX;

/// An event: its thread, and its place in that thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EventId {
    pub(super) thread: u8,
    pub(super) place: u16,
}

impl EventId {
    /// The store of the initial value, of whichever location.
    pub const INITIAL: Self = Self {
        thread: u8::MAX,
        place: 0,
    };

    /// The event of a thread at a place.
    ///
    /// # Panics
    /// If there is no such thread, or if the place is beyond 65,535.
    #[must_use]
    pub fn new(thread: usize, place: usize) -> Self {
        assert!(thread < MOST_THREADS, "thread {thread} is too many");
        Self {
            thread: thread as u8,
            place: u16::try_from(place).expect("a thread of a model is short"),
        }
    }

    /// The thread; of the initial value a number that no thread has.
    #[must_use]
    pub fn thread(self) -> usize {
        usize::from(self.thread)
    }

    /// The place in the thread.
    #[must_use]
    pub fn place(self) -> usize {
        usize::from(self.place)
    }

    pub(super) fn is_in(self, clock: &Clock) -> bool {
        self == Self::INITIAL || self.place < clock[self.thread()]
    }
}

/// An atomic access, apart from what it reads or writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Access {
    /// Where.
    pub location: Location,
    /// The ordering, of a read-modify-write if it stores.
    pub order: Ordering,
    /// The ordering of a read-modify-write that stores nothing.
    pub failure: Ordering,
    /// Of a read: what is stored after it.
    pub change: Change,
    /// The bits of the words at this location.
    pub mask: u64,
    /// The thread waits here until the read-modify-write stores.
    pub awaits: bool,
    /// A reader's access to a lock: readers learn nothing of each other. What such a store releases is for accesses that
    /// are not shared.
    pub shared: bool,
    /// Where in the source, in whatever way.
    pub site: usize,
}

impl Access {
    /// A load or a store of a word.
    #[must_use]
    pub fn new(location: Location, order: Ordering) -> Self {
        Self {
            location,
            order,
            failure: Relaxed,
            change: Change::Nothing,
            mask: u64::MAX,
            awaits: false,
            shared: false,
            site: 0,
        }
    }
}

/// The way of a choice that is made at most once in an execution.
pub const STRIKE: u8 = 1;

/// What an event is, apart from where it stands in the graph.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// A load, perhaps that of a read-modify-write.
    Load {
        /// The store that it reads.
        source: EventId,
    },
    /// A store.
    Store {
        /// It belongs to a read-modify-write whose load is the event before it.
        exclusive: bool,
    },
    /// A fence.
    Fence,
    /// The beginning of a thread.
    Spawn(u8),
    /// The wait for the end of a thread.
    Join(u8),
    /// The end of the thread.
    End,
    /// One of several ways in which it goes on. None of them is a cause of anything; 0 is the usual one.
    Choice(u8),
}

/// What a thread waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wait {
    /// A value with which the operation can go on.
    Operation,
    /// Another value than the last one, whatever it is: the thread has said that it waits.
    Hint,
}

/// An event in its graph.
#[derive(Clone, Copy, Debug)]
pub struct Event {
    /// What it is.
    pub kind: Kind,
    /// Where and how; of a fence the ordering alone.
    pub access: Access,
    /// What was read or written.
    pub value: u64,
    /// In which of several ways a read-modify-write goes, see [`Change::variants`].
    pub variant: u8,
    /// What happens before it, and itself.
    pub happens_before: Clock,
    /// What leads to it by program order and reads-from, and itself.
    pub(super) causes: Clock,
    /// What an acquire fence after it adds to what happens before.
    to_acquire: Clock,
    /// What happens before the last release fence before it.
    fenced: Clock,
    /// Of a store: what happens before whoever reads it with Acquire.
    message: Clock,
    /// Of a store: what does so besides unless the reader's access is shared.
    message_of_shared: Clock,
}

impl Event {
    fn new(kind: Kind, access: Access, value: u64) -> Self {
        Self {
            kind,
            access,
            value,
            variant: 0,
            happens_before: NOTHING,
            causes: NOTHING,
            to_acquire: NOTHING,
            fenced: NOTHING,
            message: NOTHING,
            message_of_shared: NOTHING,
        }
    }

    /// What a read-modify-write stores, if it does.
    #[must_use]
    pub fn stores(&self) -> Option<u64> {
        match self.kind {
            Kind::Load { .. } => {
                let Access { change, mask, .. } = self.access;
                change.apply(self.value, mask, self.variant)
            }
            _ => None,
        }
    }

    /// The ordering that counts: a read-modify-write that stores nothing has another one.
    #[must_use]
    pub fn order(&self) -> Ordering {
        let reads = matches!(self.kind, Kind::Load { .. });
        if reads && self.access.change != Change::Nothing && self.stores().is_none() {
            self.access.failure
        } else {
            self.access.order
        }
    }

    fn acquires(&self) -> bool {
        matches!(self.kind, Kind::Load { .. } | Kind::Fence)
            && matches!(self.order(), Acquire | AcqRel | SeqCst)
    }

    fn releases(&self) -> bool {
        matches!(self.kind, Kind::Store { .. } | Kind::Fence)
            && matches!(self.order(), Release | AcqRel | SeqCst)
    }

    /// The store that a load reads.
    #[must_use]
    pub fn source(&self) -> Option<EventId> {
        match self.kind {
            Kind::Load { source } => Some(source),
            _ => None,
        }
    }

    pub(super) fn is_strong(&self) -> bool {
        let ordered = matches!(
            self.kind,
            Kind::Load { .. } | Kind::Store { .. } | Kind::Fence
        );
        ordered && self.order() == SeqCst
    }

    fn is_exclusive(&self) -> bool {
        self.kind == Kind::Store { exclusive: true }
    }
}

/// What two executions are told apart by.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    threads: Vec<Vec<(Kind, u8)>>,
    orders: Vec<(Location, Vec<EventId>)>,
}

/// The graphs that come of one more operation.
#[derive(Debug, Default)]
pub struct Branches {
    /// Those in which the operation reads or overwrites the newest store, and nothing else is different. The last one is
    /// the one to go on with.
    pub forward: Vec<Graph>,
    /// All others.
    pub aside: Vec<Graph>,
}

/// A consistent execution, or the beginning of one.
#[derive(Clone, Debug, Default)]
pub struct Graph {
    pub(super) threads: Vec<Vec<Event>>,
    /// What happens before the beginning of each thread, and what leads to it.
    starts: Vec<[Clock; 2]>,
    /// The modification order of each location, without the initial value.
    pub(super) modifications: Vec<(Location, Vec<EventId>)>,
    /// All events in the order in which they came. A load that was turned keeps its place.
    pub(super) added: Vec<EventId>,
    /// Who waits, with its last event, a load that is provisional.
    waits: Vec<Option<Wait>>,
    /// After so many events of a thread a hint that it waits has turned out to be none.
    passes: Vec<(usize, usize)>,
    /// Whether a weak exchange may fail without cause, once.
    fails: bool,
}

impl Graph {
    /// Nothing has happened yet. `fails` is whether a weak exchange may fail without cause, once.
    ///
    /// # Panics
    /// If there are more than [`MOST_THREADS`] threads.
    #[must_use]
    pub fn new(threads: usize, fails: bool) -> Self {
        let mut graph = Self {
            fails,
            ..Self::default()
        };
        (0..threads).for_each(|_| graph.add_thread([NOTHING; 2]));
        graph
    }

    fn add_thread(&mut self, start: [Clock; 2]) {
        assert!(
            self.threads.len() < MOST_THREADS,
            "more than {MOST_THREADS} threads are too many"
        );
        self.threads.push(Vec::new());
        self.starts.push(start);
        self.waits.push(None);
    }

    /// How many threads there are.
    #[must_use]
    pub fn threads(&self) -> usize {
        self.threads.len()
    }

    /// The events of a thread, in program order.
    #[must_use]
    pub fn events(&self, thread: usize) -> &[Event] {
        &self.threads[thread]
    }

    /// How many events there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.added.len()
    }

    /// Whether nothing has happened yet.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.added.is_empty()
    }

    /// An event.
    ///
    /// # Panics
    /// If there is none of this name; the initial value of a location is none.
    #[must_use]
    pub fn event(&self, id: EventId) -> &Event {
        &self.threads[id.thread()][id.place()]
    }

    fn event_mut(&mut self, id: EventId) -> &mut Event {
        &mut self.threads[id.thread()][id.place()]
    }

    /// The value of a store. `initial` is what the location began with.
    #[must_use]
    pub fn value(&self, store: EventId, initial: u64) -> u64 {
        if store == EventId::INITIAL {
            initial
        } else {
            self.event(store).value
        }
    }

    /// A run of the same program may find other values, such as addresses: this one was read or written this time.
    pub fn set_value(&mut self, id: EventId, value: u64) {
        self.event_mut(id).value = value;
    }

    /// A run of the same program may change values in another way, if values are addresses.
    pub fn set_change(&mut self, id: EventId, change: Change) {
        self.event_mut(id).access.change = change;
    }

    /// What happens before the next event of a thread that has done `place` of its events.
    #[must_use]
    pub fn before(&self, thread: usize, place: usize) -> Clock {
        match place.checked_sub(1) {
            Some(last) => self.threads[thread][last].happens_before,
            None => self.starts[thread][0],
        }
    }

    /// Whether a thread waits.
    #[must_use]
    pub fn wait(&self, thread: usize) -> Option<Wait> {
        self.waits[thread]
    }

    /// Says that a thread waits for another value than the one its last event, a load, has read.
    pub fn set_hint(&mut self, thread: usize) {
        self.waits[thread] = Some(Wait::Hint);
    }

    /// Whether a hint that the thread waits, after so many of its events, has turned out to be none.
    #[must_use]
    pub fn passes(&self, thread: usize, place: usize) -> bool {
        self.passes.contains(&(thread, place))
    }

    /// Says that a hint that the thread waits, after so many of its events, is none.
    pub fn let_pass(&mut self, thread: usize, place: usize) {
        self.passes.push((thread, place));
    }

    /// What two executions are told apart by: what each thread does, where each load reads from, and the modification orders.
    #[must_use]
    pub fn key(&self) -> Key {
        let kind = |event: &Event| (event.kind, event.variant);
        let mut orders = self.modifications.clone();
        orders.retain(|(_, order)| !order.is_empty());
        orders.sort_unstable();
        let threads = self.threads.iter();
        let threads = threads.map(|events| events.iter().map(kind).collect());
        Key {
            threads: threads.collect(),
            orders,
        }
    }

    /// The modification order of a location, without the initial value.
    #[must_use]
    pub fn order(&self, location: Location) -> &[EventId] {
        let found = self.modifications.iter().find(|(at, _)| *at == location);
        found.map_or(&[], |(_, order)| order)
    }

    fn order_mut(&mut self, location: Location) -> &mut Vec<EventId> {
        let found = self
            .modifications
            .iter()
            .position(|(at, _)| *at == location);
        let index = found.unwrap_or_else(|| {
            self.modifications.push((location, Vec::new()));
            self.modifications.len() - 1
        });
        &mut self.modifications[index].1
    }

    /// The newest store to a location.
    #[must_use]
    pub fn newest(&self, location: Location) -> EventId {
        *self.order(location).last().unwrap_or(&EventId::INITIAL)
    }

    /// A store's place in modification order; the initial value has 0.
    pub(super) fn rank(&self, location: Location, store: EventId) -> usize {
        if store == EventId::INITIAL {
            return 0;
        }
        let order = self.order(location);
        let index = order.iter().position(|&other| other == store);
        index.expect("the store has a place") + 1
    }

    fn at_rank(&self, location: Location, rank: usize) -> EventId {
        rank.checked_sub(1)
            .map_or(EventId::INITIAL, |index| self.order(location)[index])
    }

    /// The clocks of an event, from the events it follows.
    fn clocked(&self, id: EventId) -> Event {
        let thread = id.thread();
        let before = id.place().checked_sub(1);
        let before = before.map(|place| &self.threads[thread][place]);
        let mut event = *self.event(id);
        match before {
            Some(before) => {
                event.happens_before = before.happens_before;
                event.causes = before.causes;
                event.to_acquire = before.to_acquire;
                event.fenced = before.fenced;
            }
            None => {
                [event.happens_before, event.causes] = self.starts[thread];
                [event.to_acquire, event.fenced] = [NOTHING; 2];
            }
        }
        match event.kind {
            Kind::Load { source } if source != EventId::INITIAL => {
                let store = self.event(source);
                join(&mut event.causes, &store.causes);
                join(&mut event.to_acquire, &store.message);
                if event.acquires() {
                    join(&mut event.happens_before, &store.message);
                    if !event.access.shared {
                        join(&mut event.happens_before, &store.message_of_shared);
                    }
                }
            }
            Kind::Join(child) => {
                if let Some(last) = self.threads[usize::from(child)].last() {
                    join(&mut event.causes, &last.causes);
                    join(&mut event.happens_before, &last.happens_before);
                }
            }
            Kind::Fence if event.acquires() => {
                let acquired = event.to_acquire;
                join(&mut event.happens_before, &acquired);
            }
            _ => {}
        }
        event.happens_before[thread] = id.place + 1;
        event.causes[thread] = id.place + 1;
        match event.kind {
            Kind::Fence if event.releases() => event.fenced = event.happens_before,
            Kind::Store { exclusive } => {
                let released = if event.releases() {
                    event.happens_before
                } else {
                    event.fenced
                };
                [event.message, event.message_of_shared] = if event.access.shared {
                    [NOTHING, released]
                } else {
                    [released, NOTHING]
                };
                // Only read-modify-writes continue a release sequence.
                let continued = before.filter(|_| exclusive).and_then(Event::source);
                if let Some(source) = continued
                    && source != EventId::INITIAL
                {
                    let source = self.event(source);
                    join(&mut event.message, &source.message);
                    join(&mut event.message_of_shared, &source.message_of_shared);
                }
            }
            _ => {}
        }
        event
    }

    fn push(&mut self, thread: usize, event: Event) -> EventId {
        let id = EventId::new(thread, self.threads[thread].len());
        self.threads[thread].push(event);
        *self.event_mut(id) = self.clocked(id);
        self.added.push(id);
        id
    }

    /// No events, and as many threads.
    pub(super) fn bare(&self) -> Self {
        Self {
            threads: vec![Vec::new(); self.threads()],
            starts: vec![[NOTHING; 2]; self.threads()],
            waits: vec![None; self.threads()],
            ..Self::default()
        }
    }

    /// Adds an event as it is, but for its clocks. A store has no place yet.
    pub(super) fn add(&mut self, thread: usize, event: Event) -> EventId {
        self.push(thread, event)
    }

    /// Says that a thread begins with this event.
    pub(super) fn start(&mut self, child: usize, spawn: EventId) {
        let spawn = self.event(spawn);
        self.starts[child] = [spawn.happens_before, spawn.causes];
    }

    /// Gives the stores the modification orders of `other`, in which they have other names.
    pub(super) fn order_like(&mut self, other: &Self, name: impl Fn(EventId) -> EventId) {
        let orders = other.modifications.iter();
        let orders = orders.map(|(at, order)| (*at, order.iter().map(|&id| name(id)).collect()));
        self.modifications = orders.collect();
    }

    /// What each thread has done with so many of its events.
    ///
    /// # Panics
    /// If one of these events reads one that is not among them.
    #[must_use]
    pub fn beginning(&self, done: &[usize]) -> Self {
        self.without(|id| id.place() >= done[id.thread()])
    }

    /// Adds the store of a read-modify-write whose load was just added or turned, if it stores. It has no place yet.
    fn push_exclusive(&mut self, load: EventId) -> Option<EventId> {
        let event = *self.event(load);
        let value = event.stores()?;
        let kind = Kind::Store { exclusive: true };
        Some(self.push(load.thread(), Event::new(kind, event.access, value)))
    }

    /// The lowest rank in modification order that coherence leaves to an access, because of what happens before it.
    pub(super) fn oldest(&self, access: EventId) -> usize {
        let own = self.event(access);
        let location = own.access.location;
        let mut oldest = 0;
        for (thread, events) in self.threads.iter().enumerate() {
            let earlier = &events[..usize::from(own.happens_before[thread])];
            for (place, event) in earlier.iter().enumerate() {
                let id = EventId {
                    thread: thread as u8,
                    place: place as u16,
                };
                if event.access.location == location && id != access {
                    let seen = event.source().unwrap_or(id);
                    oldest = oldest.max(self.rank(location, seen));
                }
            }
        }
        oldest
    }

    /// Adds a fence. There is always a consistent way.
    pub fn fence(&mut self, thread: usize, order: Ordering) {
        self.push(
            thread,
            Event::new(Kind::Fence, Access::new(NOWHERE, order), 0),
        );
    }

    fn mark(&mut self, thread: usize, kind: Kind) -> EventId {
        self.push(thread, Event::new(kind, Access::new(NOWHERE, Relaxed), 0))
    }

    /// Adds the beginning of a thread, and returns the number of that one.
    ///
    /// # Panics
    /// If there are more than [`MOST_THREADS`].
    pub fn spawn(&mut self, thread: usize) -> usize {
        let begun = |child: usize| {
            let kind = Kind::Spawn(child as u8);
            self.threads
                .iter()
                .flatten()
                .any(|event| event.kind == kind)
        };
        let child = (1..).find(|&child| !begun(child)).expect("a number");
        let spawn = self.mark(thread, Kind::Spawn(child as u8));
        let spawn = self.event(spawn);
        let start = [spawn.happens_before, spawn.causes];
        if child == self.threads.len() {
            self.add_thread(start);
        } else {
            self.starts[child] = start;
        }
        child
    }

    /// Adds the wait for the end of a thread that has ended.
    pub fn join(&mut self, thread: usize, child: usize) {
        self.mark(thread, Kind::Join(child as u8));
    }

    /// Adds the end of a thread.
    pub fn end(&mut self, thread: usize) {
        self.mark(thread, Kind::End);
    }

    /// Adds a choice.
    pub fn choose(&mut self, thread: usize, way: u8, site: usize) {
        let choice = self.mark(thread, Kind::Choice(way));
        self.event_mut(choice).access.site = site;
    }

    /// Whether a thread has gone another way than the usual one at this place in the source, among the first `place` of its
    /// events.
    #[must_use]
    pub fn has_strayed(&self, thread: usize, place: usize, site: usize) -> bool {
        let strayed = |event: &Event| matches!(event.kind, Kind::Choice(way) if way != 0);
        self.threads[thread][..place]
            .iter()
            .any(|event| event.access.site == site && strayed(event))
    }

    /// Whether something has happened in this execution that happens once: a weak exchange has failed without cause, or a
    /// choice of [`STRIKE`] was made.
    #[must_use]
    pub fn has_struck(&self) -> bool {
        self.threads.iter().flatten().any(|event| match event.kind {
            Kind::Choice(way) => way == STRIKE,
            _ => event.variant != 0 && matches!(event.access.change, Change::Weak { .. }),
        })
    }

    /// Whether a weak exchange may fail without cause.
    fn may_fail(&self) -> bool {
        self.fails && !self.has_struck()
    }

    fn may_read(&self, load: EventId) -> bool {
        let event = self.event(load);
        let source = event.source().expect("it is a load");
        self.rank(event.access.location, source) >= self.oldest(load) && self.has_total_order()
    }

    /// All ways to add a read: from each store that it may read, in each variant, with what it then stores. `initial` is
    /// what the location began with.
    #[must_use]
    pub fn read(self, thread: usize, access: Access, initial: u64) -> Branches {
        let Access {
            location,
            change,
            mask,
            ..
        } = access;
        let load = |source, value| Event::new(Kind::Load { source }, access, value);
        let newest = self.order(location).len();
        let oldest = {
            let mut graph = self.clone();
            let load = graph.push(thread, load(EventId::INITIAL, initial));
            graph.oldest(load)
        };
        let fails = self.may_fail();
        let mut branches = Branches::default();
        for rank in oldest..=newest {
            let source = self.at_rank(location, rank);
            let value = self.value(source, initial);
            let waits = access.awaits && change.apply(value, mask, 0).is_none();
            if waits && rank < newest {
                // An old value that lets nobody go on: it would wait for a new one.
                continue;
            }
            for variant in 0..change.variants(value, fails) {
                let mut graph = self.clone();
                let mut event = load(source, value);
                event.variant = variant;
                let load = graph.push(thread, event);
                if !graph.may_read(load) {
                    continue;
                }
                if waits {
                    graph.waits[thread] = Some(Wait::Operation);
                }
                let mut placed = Branches::default();
                match graph.push_exclusive(load) {
                    None => placed.forward.push(graph),
                    Some(store) => graph.settle(store, &mut placed),
                }
                branches.aside.append(&mut placed.aside);
                if rank == newest && variant == 0 {
                    branches.forward = placed.forward;
                } else {
                    branches.aside.append(&mut placed.forward);
                }
            }
        }
        branches
    }

    /// All ways to add a store: at each place in modification order, and read by each load that was there before and could
    /// not know of it.
    #[must_use]
    pub fn write(mut self, thread: usize, access: Access, value: u64) -> Branches {
        let kind = Kind::Store { exclusive: false };
        let store = self.push(thread, Event::new(kind, access, value));
        let mut branches = Branches::default();
        self.settle(store, &mut branches);
        branches
    }

    /// Adds a load that reads from `source`, where something else than this graph decides. `None` if it may not. The store
    /// of a read-modify-write is added by [`propose_exclusive`](Self::propose_exclusive), at any later time at which the
    /// load is its thread's last event.
    #[must_use]
    pub fn propose_load(
        &self,
        thread: usize,
        access: Access,
        (source, value): (EventId, u64),
        variant: u8,
    ) -> Option<Self> {
        let mut graph = self.clone();
        let mut event = Event::new(Kind::Load { source }, access, value);
        event.variant = variant;
        let load = graph.push(thread, event);
        graph.may_read(load).then_some(graph)
    }

    /// Whether a thread that reads `source` once more goes round and learns nothing: since it has last done anything else than
    /// to read it has read it twice already, and all that it has read since is what it read between the two.
    ///
    /// Such an event adds no constraint. Whatever it comes after in an order comes before the first of the two or is among
    /// those, and so before the second one, which comes before the same stores as this.
    #[must_use]
    pub fn goes_round(&self, thread: usize, access: Access, source: EventId) -> bool {
        let events = &self.threads[thread];
        let same = |event: &Event, access: &Access, source| {
            event.variant == 0 && event.access == *access && event.source() == Some(source)
        };
        let looks = |event: &&Event| event.source().is_some() && event.stores().is_none();
        let round = events.iter().rev().take_while(looks).count();
        let round = &events[events.len() - round..];
        let again = |event: &&Event| same(event, &access, source);
        let mut times = (0..round.len()).rev().filter(|&at| again(&&round[at]));
        let (Some(second), Some(first)) = (times.next(), times.next()) else {
            return false;
        };
        let learnt = |event: &Event| {
            let mut clock = event.happens_before;
            clock[thread] = 0;
            clock
        };
        let known = |event: &Event| {
            let source = event.source().expect("it is a load");
            let mut before = round[first..second].iter();
            before.any(|earlier| same(earlier, &event.access, source))
        };
        let last = round.last().expect("there are two");
        learnt(&round[first]) == learnt(last) && round[second..].iter().all(known)
    }

    /// Adds the store of a read-modify-write whose load is the thread's last event, at its place. `None` if it is taken.
    #[must_use]
    pub fn propose_exclusive(&self, thread: usize) -> Option<Self> {
        let mut graph = self.clone();
        let load = EventId::new(thread, self.threads[thread].len() - 1);
        let store = graph.push_exclusive(load)?;
        graph.placed(store).pop().filter(Self::has_total_order)
    }

    /// Adds a store, at each place in modification order that it may have.
    #[must_use]
    pub fn propose_store(&self, thread: usize, access: Access, value: u64) -> Vec<Self> {
        let mut graph = self.clone();
        let kind = Kind::Store { exclusive: false };
        let store = graph.push(thread, Event::new(kind, access, value));
        let mut placed = graph.placed(store);
        placed.retain(Self::has_total_order);
        placed
    }

    /// All graphs that come of a store which is in its thread but has no place yet.
    fn settle(&self, store: EventId, branches: &mut Branches) {
        for graph in self.placed(store) {
            if graph.has_total_order() {
                graph.awaken(store, branches);
            }
        }
        self.revisit(store, branches);
    }

    /// The store at each place in modification order that coherence and atomicity leave to it.
    fn placed(&self, store: EventId) -> Vec<Self> {
        let event = self.event(store);
        let location = event.access.location;
        let order = self.order(location);
        let behind = if event.is_exclusive() {
            let load = EventId {
                place: store.place - 1,
                ..store
            };
            let source = self.event(load).source().expect("a load comes before it");
            let source = self.rank(location, source);
            source..=source
        } else {
            self.oldest(store)..=order.len()
        };
        // The initial value has rank 0, so the store behind rank r is at index r.
        behind
            .filter(|&index| {
                // The store there may be the other half of a read-modify-write of the one before.
                order
                    .get(index)
                    .is_none_or(|&next| !self.event(next).is_exclusive())
            })
            .map(|index| {
                let mut graph = self.clone();
                graph.order_mut(location).insert(index, store);
                graph
            })
            .collect()
    }

    /// Lets those who wait read a new store that they have waited for.
    fn awaken(self, store: EventId, branches: &mut Branches) {
        let (location, value) = {
            let event = self.event(store);
            (event.access.location, event.value)
        };
        let newest = self.newest(location) == store;
        let mut loads = Vec::new();
        let mut modifiers = Vec::new();
        for (thread, wait) in self.waits.iter().enumerate() {
            let Some(wait) = wait else { continue };
            let load = EventId::new(thread, self.threads[thread].len() - 1);
            let event = self.event(load);
            let Access { change, mask, .. } = event.access;
            let stores = change.apply(value, mask, 0).is_some();
            let goes_on = match wait {
                Wait::Operation => stores,
                Wait::Hint => value != event.value,
            };
            if event.access.location != location || !goes_on {
                continue;
            }
            if stores {
                modifiers.push(load);
            } else {
                loads.push(load);
            }
        }

        let mut graphs = vec![self];
        for load in loads {
            let mut turned = Vec::new();
            for graph in graphs {
                let awake = graph.awake(load, store, 0);
                // Where it waits on, a later store may still come. But nobody waits when the newest store lets it go on.
                if awake.is_none() || !newest {
                    turned.push(graph);
                }
                turned.extend(awake);
            }
            graphs = turned;
        }
        for graph in graphs {
            let mut gone_on = false;
            // Only one of them can come right behind the new store.
            for &load in &modifiers {
                let change = graph.event(load).access.change;
                let fails = graph.may_fail();
                for variant in 0..change.variants(value, fails) {
                    let Some(mut awake) = graph.awake(load, store, variant) else {
                        continue;
                    };
                    gone_on = true;
                    match awake.push_exclusive(load) {
                        None => branches.aside.push(awake),
                        Some(own) => awake.settle(own, branches),
                    }
                }
            }
            if !gone_on || !newest {
                branches.forward.push(graph);
            }
        }
    }

    /// With the last load of a thread that waits turned to a new store, as if it came now.
    fn awake(&self, load: EventId, store: EventId, variant: u8) -> Option<Self> {
        let mut graph = self.clone();
        graph.waits[load.thread()] = None;
        graph.added.retain(|&id| id != load);
        graph.added.push(load);
        graph.turn(load, store, variant);
        graph.may_read(load).then_some(graph)
    }

    fn turn(&mut self, load: EventId, store: EventId, variant: u8) {
        let value = self.event(store).value;
        let event = self.event_mut(load);
        event.value = value;
        event.variant = variant;
        event.kind = Kind::Load { source: store };
        *self.event_mut(load) = self.clocked(load);
    }

    /// The graphs in which an earlier load reads the new store, which has no place yet.
    ///
    /// What came after the load and did not lead to the store is taken away, for it may depend on what the load read. The
    /// same graph would come of many that differ in that part alone. It is made of the one in which that part is *maximal*
    /// (Kokologiannakis, Marmanis, Gladstein, Vafeiadis: "Truly Stateless, Optimal Dynamic Partial Order Reduction", POPL
    /// 2022), so that each is made once.
    fn revisit(&self, store: EventId, branches: &mut Branches) {
        let causes = self.event(store).causes;
        let location = self.event(store).access.location;
        let mut ages = Ages(Vec::new());
        for (age, &load) in self.added.iter().enumerate() {
            let event = self.event(load);
            if event.access.location != location
                || event.source().is_none()
                || load.is_in(&causes)
                || self.is_provisional(load)
            {
                continue;
            }
            if ages.0.is_empty() {
                ages = Ages::of(self);
            }
            let lost = |id: EventId| !id.is_in(&causes) && ages.of_event(id) > age;
            let maximal = self.added[age..]
                .iter()
                .filter(|&&id| id == load || lost(id))
                .all(|&id| self.is_maximal(id, &causes, &ages));
            if !maximal {
                continue;
            }
            let mut turned = self.without(lost);
            // What it does after another value is another question.
            turned
                .passes
                .retain(|&pass| pass != (load.thread(), load.place() + 1));
            let Access { change, mask, .. } = event.access;
            let fails = turned.may_fail();
            let value = turned.event(store).value;
            let waits = event.access.awaits && change.apply(value, mask, 0).is_none();
            for variant in 0..change.variants(value, fails) {
                let mut turned = turned.clone();
                turned.turn(load, store, variant);
                for mut graph in turned.placed(store) {
                    if !graph.may_read(load) {
                        continue;
                    }
                    if waits {
                        if graph.newest(location) != store {
                            continue;
                        }
                        graph.waits[load.thread()] = Some(Wait::Operation);
                    }
                    match graph.push_exclusive(load) {
                        None => branches.aside.push(graph),
                        Some(own) => {
                            let mut placed = Branches::default();
                            graph.settle(own, &mut placed);
                            branches.aside.append(&mut placed.forward);
                            branches.aside.append(&mut placed.aside);
                        }
                    }
                }
            }
        }
    }

    fn is_provisional(&self, load: EventId) -> bool {
        self.waits[load.thread()].is_some() && load.place() + 1 == self.threads[load.thread()].len()
    }

    /// Whether `id` was added in the maximal way, as a store with these causes sees it: a load read the newest store that
    /// was there, a store came last, and nobody who was there already reads it.
    fn is_maximal(&self, id: EventId, causes: &Clock, ages: &Ages) -> bool {
        let event = self.event(id);
        let own = ages.of_event(id);
        let was_there = |other: EventId| other.is_in(causes) || ages.of_event(other) <= own;
        let store = match event.kind {
            Kind::Choice(way) => return way == 0,
            Kind::Load { .. } if event.variant != 0 => return false,
            Kind::Load { source } => source,
            Kind::Store { .. } => {
                let read_already = self
                    .added
                    .iter()
                    .any(|&other| self.event(other).source() == Some(id) && was_there(other));
                if read_already {
                    return false;
                }
                id
            }
            _ => return true,
        };
        let location = event.access.location;
        let later = &self.order(location)[self.rank(location, store)..];
        was_there(store) && !later.iter().any(|&later| was_there(later))
    }

    /// Without these events, which are the last ones of their threads.
    fn without(&self, lost: impl Fn(EventId) -> bool) -> Self {
        let mut graph = Self {
            threads: Vec::with_capacity(self.threads.len()),
            starts: self.starts.clone(),
            modifications: Vec::with_capacity(self.modifications.len()),
            added: self.added.iter().copied().filter(|&id| !lost(id)).collect(),
            waits: self.waits.clone(),
            passes: Vec::new(),
            fails: self.fails,
        };
        for (thread, events) in self.threads.iter().enumerate() {
            let places = 0..events.len();
            let kept = places.take_while(|&place| !lost(EventId::new(thread, place)));
            let kept = &events[..kept.count()];
            if kept.len() < events.len() {
                graph.waits[thread] = None;
            }
            graph.threads.push(kept.to_vec());
        }
        for (location, order) in &self.modifications {
            let kept = order.iter().copied().filter(|&id| !lost(id)).collect();
            graph.modifications.push((*location, kept));
        }
        let kept = |&&(thread, place): &&(usize, usize)| place <= graph.threads[thread].len();
        graph.passes = self.passes.iter().filter(kept).copied().collect();
        graph
    }

    /// Whether a load reads an older store than the newest one that was there when it came.
    #[must_use]
    pub fn was_stale(&self, load: EventId) -> bool {
        let event = self.event(load);
        let source = event.source().expect("it is a load");
        let age = self.added.iter().position(|&id| id == load);
        let age = age.expect("it was added");
        let location = event.access.location;
        let later = &self.order(location)[self.rank(location, source)..];
        later.iter().any(|later| self.added[..age].contains(later))
    }
}

/// When each event came.
struct Ages(Vec<Vec<usize>>);

impl Ages {
    fn of(graph: &Graph) -> Self {
        let threads = graph.threads.iter();
        let mut ages = Self(threads.map(|events| vec![0; events.len()]).collect());
        for (age, id) in graph.added.iter().enumerate() {
            ages.0[id.thread()][id.place()] = age;
        }
        ages
    }

    /// The initial values were there from the beginning.
    fn of_event(&self, id: EventId) -> usize {
        if id == EventId::INITIAL {
            0
        } else {
            self.0[id.thread()][id.place()]
        }
    }
}
