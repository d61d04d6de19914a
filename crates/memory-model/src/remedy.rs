//! What would forbid an execution: the same events with stronger orderings, or with fences between them.

use super::change::Change;
use super::graph::{EventId, Graph, Kind};
use std::sync::atomic::Ordering;

/// What is stronger than in the execution itself. A read-modify-write goes by the name of its load.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Remedy {
    /// The ordering of accesses and fences.
    pub orders: Vec<(EventId, Ordering)>,
    /// Fences beside these events.
    pub fences: Vec<Fence<EventId>>,
}

/// A fence that an execution does not have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fence<Event> {
    /// The event next to it.
    pub beside: Event,
    /// On which side of that.
    pub side: Side,
    /// Its ordering.
    pub order: Ordering,
}

/// Before or after an event in program order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// Right before it.
    Before,
    /// Right after it.
    After,
}

/// A point of an execution: a thread, and how many of its events it has done.
pub type Moment = (usize, usize);

/// An execution with a [`Remedy`].
#[derive(Clone, Debug)]
pub struct Remedied {
    pub(super) graph: Graph,
    /// For each thread and event, the place of the first of the fences before it and of the last of those after it, and its own
    /// if there are none.
    pub(super) around: Vec<Vec<[usize; 2]>>,
    consistent: bool,
}

impl Remedied {
    /// Whether the execution is still possible.
    #[must_use]
    pub fn is_consistent(&self) -> bool {
        self.consistent
    }

    /// Whether what is done at one moment happens before what is done at another.
    #[must_use]
    pub fn orders(&self, (thread, place): Moment, (later, end): Moment) -> bool {
        let end = match end.checked_sub(1) {
            Some(last) => self.around[later][last][1] + 1,
            None => 0,
        };
        if thread == later {
            return true;
        }
        let next = self.around[thread].get(place);
        next.is_some_and(|[next, _]| usize::from(self.graph.before(later, end)[thread]) > *next)
    }
}

impl Graph {
    /// The same execution with a remedy: each load reads the same store, and the modification orders are the same. Takes time
    /// in the square of the number of events.
    ///
    /// # Panics
    /// If two of more than 1,024 events are SeqCst.
    #[must_use]
    pub fn remedied(&self, remedy: &Remedy) -> Remedied {
        let threads = self.threads();
        let mut graph = self.bare();
        let mut places = vec![Vec::new(); threads];
        let mut around = vec![Vec::new(); threads];
        let mut begun: Vec<bool> = (0..threads)
            .map(|thread| self.spawn_of(thread).is_none())
            .collect();
        loop {
            let before = graph.len();
            for thread in 0..threads {
                while begun[thread]
                    && let Some(event) = self.events(thread).get(places[thread].len())
                {
                    let there = |id: EventId| places[id.thread()].get(id.place()).copied();
                    let mut event = *event;
                    match &mut event.kind {
                        Kind::Load { source } if *source != EventId::INITIAL => {
                            let Some(place) = there(*source) else { break };
                            *source = EventId::new(source.thread(), place);
                        }
                        Kind::Join(child) => {
                            let child = usize::from(*child);
                            if places[child].len() < self.events(child).len() {
                                break;
                            }
                        }
                        _ => {}
                    }
                    let place = places[thread].len();
                    let exclusive = event.kind == (Kind::Store { exclusive: true });
                    let name = EventId::new(thread, place - usize::from(exclusive));
                    let fences = |graph: &mut Self, side: Side| {
                        let here =
                            |fence: &&Fence<EventId>| fence.beside == name && fence.side == side;
                        let fences = remedy.fences.iter().filter(here);
                        fences.for_each(|fence| graph.fence(thread, fence.order));
                    };
                    let first = graph.events(thread).len();
                    if !exclusive {
                        fences(&mut graph, Side::Before);
                    }
                    let stronger = remedy.orders.iter().find(|(id, _)| *id == name);
                    if let Some(&(_, order)) = stronger {
                        let modifies = event.access.change != Change::Nothing;
                        let reads = matches!(event.kind, Kind::Load { .. });
                        let fails = reads && modifies && event.stores().is_none();
                        if fails {
                            event.access.failure = order;
                        } else {
                            event.access.order = order;
                        }
                    }
                    let new = graph.add(thread, event);
                    places[thread].push(new.place());
                    if let Kind::Spawn(child) = event.kind {
                        graph.start(usize::from(child), new);
                        begun[usize::from(child)] = true;
                    }
                    let next = self.events(thread).get(place + 1);
                    let halfway =
                        next.is_some_and(|next| next.kind == Kind::Store { exclusive: true });
                    if !halfway {
                        fences(&mut graph, Side::After);
                    }
                    around[thread].push([first, graph.events(thread).len() - 1]);
                }
            }
            if graph.len() == before {
                break;
            }
        }
        graph.order_like(self, |id| {
            EventId::new(id.thread(), places[id.thread()][id.place()])
        });
        let consistent = graph.is_consistent();
        Remedied {
            graph,
            around,
            consistent,
        }
    }

    /// The event that began a thread.
    pub(super) fn spawn_of(&self, thread: usize) -> Option<EventId> {
        let spawns = |&id: &EventId| matches!(self.event(id).kind, Kind::Spawn(child) if usize::from(child) == thread);
        self.added.iter().copied().find(spawns)
    }

    /// Whether coherence, atomicity and the order of SeqCst operations hold of all events.
    fn is_consistent(&self) -> bool {
        let coherent = |&id: &EventId| {
            let event = self.event(id);
            let location = event.access.location;
            match event.kind {
                Kind::Load { source } => self.rank(location, source) >= self.oldest(id),
                Kind::Store { .. } => self.rank(location, id) > self.oldest(id),
                _ => true,
            }
        };
        self.added.iter().all(coherent) && self.has_total_order()
    }
}
