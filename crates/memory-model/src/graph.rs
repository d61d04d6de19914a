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

use std::sync::atomic::Ordering::{self, AcqRel, Acquire, Release, SeqCst};

/// The most threads.
pub const MOST_THREADS: usize = 8;

/// How many events of each thread.
pub(super) type Clock = [u16; MOST_THREADS];

fn join(clock: &mut Clock, other: &Clock) {
    for (own, other) in clock.iter_mut().zip(other) {
        *own = (*own).max(*other);
    }
}

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

    fn is_in(self, clock: &Clock) -> bool {
        self == Self::INITIAL || self.place < clock[usize::from(self.thread)]
    }
}

/// What a load does with the value that it has read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Then {
    /// Nothing: it is a load.
    Nothing,
    /// Stores the sum: `fetch_add`.
    Add(u32),
    /// Stores `new` if the value is `current`: `compare_exchange`.
    Exchange {
        /// What the value must be.
        current: u32,
        /// What it then becomes.
        new: u32,
        /// How it is read if it is something else.
        failure: Ordering,
    },
}

/// What an event is, apart from where it stands in the graph.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Load { source: EventId, then: Then },
    Store { exclusive: bool },
    Fence,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Event {
    pub kind: Kind,
    /// Of an access. A fence has the number of no location.
    pub location: usize,
    order: Ordering,
    /// What was read or written.
    pub value: u32,
    /// What happens before it, and itself.
    pub happens_before: Clock,
    /// What leads to it by program order and reads-from, and itself.
    causes: Clock,
    /// What an acquire fence after it adds to what happens before.
    to_acquire: Clock,
    /// What happens before the last release fence before it.
    fenced: Clock,
    /// Of a store: what happens before whoever reads it with Acquire.
    message: Clock,
}

/// The location of an event that has none.
pub(super) const NOWHERE: usize = usize::MAX;

impl Event {
    fn new(kind: Kind, location: usize, order: Ordering, value: u32) -> Self {
        let nothing = [0; MOST_THREADS];
        Self {
            kind,
            location,
            order,
            value,
            happens_before: nothing,
            causes: nothing,
            to_acquire: nothing,
            fenced: nothing,
            message: nothing,
        }
    }

    /// What a read-modify-write stores, if it does.
    pub fn stores(&self) -> Option<u32> {
        match self.kind {
            Kind::Load { then, .. } => match then {
                Then::Nothing => None,
                Then::Add(operand) => Some(self.value + operand),
                Then::Exchange { current, new, .. } => (self.value == current).then_some(new),
            },
            Kind::Store { .. } | Kind::Fence => None,
        }
    }

    /// The ordering that counts: a compare-exchange that fails has another one.
    pub fn order(&self) -> Ordering {
        match self.kind {
            Kind::Load {
                then: Then::Exchange { failure, .. },
                ..
            } if self.stores().is_none() => failure,
            _ => self.order,
        }
    }

    fn acquires(&self) -> bool {
        !matches!(self.kind, Kind::Store { .. })
            && matches!(self.order(), Acquire | AcqRel | SeqCst)
    }

    fn releases(&self) -> bool {
        !matches!(self.kind, Kind::Load { .. }) && matches!(self.order(), Release | AcqRel | SeqCst)
    }

    pub fn source(&self) -> Option<EventId> {
        match self.kind {
            Kind::Load { source, .. } => Some(source),
            _ => None,
        }
    }

    fn is_exclusive(&self) -> bool {
        self.kind == Kind::Store { exclusive: true }
    }
}

/// A consistent execution, or the beginning of one.
#[derive(Clone, Debug)]
pub struct Graph {
    pub(super) threads: Vec<Vec<Event>>,
    /// The modification order of each location, without the initial value.
    pub(super) modifications: Vec<Vec<EventId>>,
    /// All events in the order in which they came. A load that was turned keeps its place.
    added: Vec<EventId>,
}

impl Graph {
    /// Nothing has happened yet.
    ///
    /// # Panics
    /// If there are more than [`MOST_THREADS`] threads.
    pub(super) fn new(threads: usize, locations: usize) -> Self {
        assert!(
            threads <= MOST_THREADS,
            "{threads} threads are too many: {MOST_THREADS} is the most"
        );
        Self {
            threads: vec![Vec::new(); threads],
            modifications: vec![Vec::new(); locations],
            added: Vec::new(),
        }
    }

    pub(super) fn event(&self, id: EventId) -> &Event {
        &self.threads[usize::from(id.thread)][usize::from(id.place)]
    }

    fn event_mut(&mut self, id: EventId) -> &mut Event {
        &mut self.threads[usize::from(id.thread)][usize::from(id.place)]
    }

    /// The value of a store.
    pub(super) fn value(&self, store: EventId) -> u32 {
        if store == EventId::INITIAL {
            0
        } else {
            self.event(store).value
        }
    }

    /// What two executions are told apart by: where each load reads from, and the modification orders.
    #[must_use]
    pub fn key(&self) -> (Vec<Vec<Option<EventId>>>, Vec<Vec<EventId>>) {
        let sources = |events: &Vec<Event>| events.iter().map(Event::source).collect();
        (
            self.threads.iter().map(sources).collect(),
            self.modifications.clone(),
        )
    }

    /// The stores that a load of `location` may read if coherence is not asked: the newest comes last.
    pub(super) fn stores(&self, location: usize) -> impl Iterator<Item = EventId> {
        std::iter::once(EventId::INITIAL).chain(self.modifications[location].iter().copied())
    }

    /// A store's place in modification order; the initial value has 0.
    fn rank(&self, location: usize, store: EventId) -> usize {
        self.stores(location)
            .position(|other| other == store)
            .expect("the store has a place")
    }

    /// The clocks of an event, from the events it follows.
    fn clocked(&self, id: EventId) -> Event {
        let thread = usize::from(id.thread);
        let before = id.place.checked_sub(1).map(|place| {
            self.event(EventId {
                thread: id.thread,
                place,
            })
        });
        let mut event = *self.event(id);
        let nothing = [0; MOST_THREADS];
        (
            event.happens_before,
            event.causes,
            event.to_acquire,
            event.fenced,
        ) = before.map_or((nothing, nothing, nothing, nothing), |before| {
            (
                before.happens_before,
                before.causes,
                before.to_acquire,
                before.fenced,
            )
        });
        if let Some(source) = event.source()
            && source != EventId::INITIAL
        {
            let store = self.event(source);
            join(&mut event.causes, &store.causes);
            join(&mut event.to_acquire, &store.message);
            if event.acquires() {
                join(&mut event.happens_before, &store.message);
            }
        }
        if event.kind == Kind::Fence && event.acquires() {
            let acquired = event.to_acquire;
            join(&mut event.happens_before, &acquired);
        }
        event.happens_before[thread] = id.place + 1;
        event.causes[thread] = id.place + 1;
        match event.kind {
            Kind::Fence if event.releases() => event.fenced = event.happens_before,
            Kind::Store { exclusive } => {
                event.message = if event.releases() {
                    event.happens_before
                } else {
                    event.fenced
                };
                // Only read-modify-writes continue a release sequence.
                let continued = before.filter(|_| exclusive).and_then(Event::source);
                if let Some(source) = continued
                    && source != EventId::INITIAL
                {
                    let message = self.event(source).message;
                    join(&mut event.message, &message);
                }
            }
            _ => {}
        }
        event
    }

    fn push(&mut self, thread: usize, event: Event) -> EventId {
        let place = self.threads[thread].len();
        let id = EventId {
            thread: u8::try_from(thread).expect("there are few threads"),
            place: u16::try_from(place).expect("a thread of a litmus program is short"),
        };
        self.threads[thread].push(event);
        *self.event_mut(id) = self.clocked(id);
        self.added.push(id);
        id
    }

    /// The lowest rank in modification order that coherence leaves to an access, because of what happens before it.
    fn oldest(&self, access: EventId) -> usize {
        let own = self.event(access);
        let mut oldest = 0;
        for (thread, events) in self.threads.iter().enumerate() {
            let earlier = &events[..usize::from(own.happens_before[thread])];
            for (place, event) in earlier.iter().enumerate() {
                let id = EventId {
                    thread: thread as u8,
                    place: place as u16,
                };
                if event.location != own.location || id == access {
                    continue;
                }
                let seen = event.source().unwrap_or(id);
                oldest = oldest.max(self.rank(own.location, seen));
            }
        }
        oldest
    }

    /// Adds a fence. `None` if the SeqCst operations forbid it.
    pub(super) fn with_fence(mut self, thread: usize, order: Ordering) -> Option<Self> {
        self.push(thread, Event::new(Kind::Fence, NOWHERE, order, 0));
        self.has_total_order().then_some(self)
    }

    /// Adds a load that reads from `source`. `None` if it may not.
    pub(super) fn with_load(
        mut self,
        thread: usize,
        location: usize,
        order: Ordering,
        then: Then,
        source: EventId,
    ) -> Option<Self> {
        let value = self.value(source);
        let kind = Kind::Load { source, then };
        let load = self.push(thread, Event::new(kind, location, order, value));
        self.may_read(load).then_some(self)
    }

    fn may_read(&self, load: EventId) -> bool {
        let event = self.event(load);
        let source = event.source().expect("it is a load");
        self.rank(event.location, source) >= self.oldest(load) && self.has_total_order()
    }

    /// Adds a store, in all ways: at each place in modification order, and read by each load that was there before and
    /// could not know of it.
    ///
    /// `exclusive` is the store of the read-modify-write whose load is the thread's last event.
    pub(super) fn with_store(
        mut self,
        thread: usize,
        location: usize,
        order: Ordering,
        value: u32,
        exclusive: bool,
    ) -> Vec<Self> {
        let kind = Kind::Store { exclusive };
        let store = self.push(thread, Event::new(kind, location, order, value));
        let mut graphs = self.placed(store);
        graphs.retain(Self::has_total_order);
        graphs.extend(self.revisits(store));
        graphs
    }

    /// The store at each place in modification order that coherence and atomicity leave to it.
    fn placed(&self, store: EventId) -> Vec<Self> {
        let event = self.event(store);
        let order = &self.modifications[event.location];
        let behind = if event.is_exclusive() {
            let load = EventId {
                place: store.place - 1,
                ..store
            };
            let source = self.event(load).source().expect("a load comes before it");
            let source = self.rank(event.location, source);
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
                graph.modifications[event.location].insert(index, store);
                graph
            })
            .collect()
    }

    /// The graphs in which an earlier load reads the new store, which has no place yet.
    ///
    /// What came after the load and did not lead to the store is taken away, for it may depend on what the load read. The
    /// same graph would come of many that differ in that part alone. It is made of the one in which that part is *maximal*
    /// (Kokologiannakis, Marmanis, Gladstein, Vafeiadis: "Truly Stateless, Optimal Dynamic Partial Order Reduction", POPL
    /// 2022), so that each is made once.
    fn revisits(&self, store: EventId) -> Vec<Self> {
        let causes = self.event(store).causes;
        let location = self.event(store).location;
        let mut graphs = Vec::new();
        for (age, &load) in self.added.iter().enumerate() {
            let event = self.event(load);
            if event.source().is_none() || event.location != location || load.is_in(&causes) {
                continue;
            }
            let lost = |id: EventId| !id.is_in(&causes);
            let lost_after: Vec<EventId> = self.added[age + 1..]
                .iter()
                .copied()
                .filter(|&id| lost(id))
                .collect();
            let maximal = std::iter::once(&load)
                .chain(&lost_after)
                .all(|&id| self.is_maximal(id, &causes));
            if !maximal {
                continue;
            }
            let mut turned = self.without(&lost_after);
            let value = turned.value(store);
            let event = turned.event_mut(load);
            event.value = value;
            if let Kind::Load { source, .. } = &mut event.kind {
                *source = store;
            }
            *turned.event_mut(load) = turned.clocked(load);
            let placed = turned.placed(store).into_iter();
            graphs.extend(placed.filter(|graph| graph.may_read(load)));
        }
        graphs
    }

    /// Whether `id` was added in the maximal way, as a store with these causes sees it: a load read the newest store that
    /// was there, a store came last, and nobody who was there already reads it.
    fn is_maximal(&self, id: EventId, causes: &Clock) -> bool {
        let event = self.event(id);
        if event.kind == Kind::Fence {
            return true;
        }
        let age = |id: EventId| {
            let position = self.added.iter().position(|&other| other == id);
            position.expect("it was added")
        };
        let own = age(id);
        let was_there = |other: EventId| other.is_in(causes) || age(other) <= own;
        let read_already = event.source().is_none()
            && self
                .added
                .iter()
                .any(|&other| self.event(other).source() == Some(id) && was_there(other));
        if read_already {
            return false;
        }
        let store = event.source().unwrap_or(id);
        let rank = self.rank(event.location, store);
        let later = &self.modifications[event.location][rank..];
        was_there(store) && !later.iter().any(|&later| was_there(later))
    }

    /// Without these events, which are the last ones of their threads.
    fn without(&self, lost: &[EventId]) -> Self {
        let mut graph = self.clone();
        for id in lost {
            let events = &mut graph.threads[usize::from(id.thread)];
            events.truncate(events.len().min(usize::from(id.place)));
        }
        graph.added.retain(|id| !lost.contains(id));
        for order in &mut graph.modifications {
            order.retain(|id| !lost.contains(id));
        }
        graph
    }
}
