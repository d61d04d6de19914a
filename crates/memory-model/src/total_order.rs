//! Whether the SeqCst operations of a graph have a single total order, as RC11 demands.
//!
//! The rule is *psc* of Lahav, Vafeiadis, Kang, Hur and Dreyer, "Repairing Sequential Consistency in C/C++11" (PLDI 2017).
//! Each read-modify-write is one event here.

use super::graph::{Event, EventId, Graph, Kind, NOWHERE};
use super::relation::Relation;

impl Graph {
    /// Whether no cycle keeps the SeqCst operations from standing in one order.
    ///
    /// # Panics
    /// If two of more than 1,024 events are SeqCst.
    pub(super) fn has_total_order(&self) -> bool {
        let strong = |event: &&Event| event.is_strong();
        if self.threads.iter().flatten().filter(strong).count() < 2 {
            // One operation has an order.
            return true;
        }
        let numbered = Numbered::new(self);
        match numbered.events.len().div_ceil(128) {
            0 | 1 => numbered.constraints::<1>().is_acyclic(),
            2 => numbered.constraints::<2>().is_acyclic(),
            3 | 4 => numbered.constraints::<4>().is_acyclic(),
            _ => numbered.constraints::<8>().is_acyclic(),
        }
    }
}

/// The events of a graph by number: the two of a read-modify-write have the same.
struct Numbered<'a> {
    graph: &'a Graph,
    /// The number of each event of each thread.
    numbers: Vec<Vec<usize>>,
    /// The last event of each number: of a read-modify-write, the store.
    events: Vec<(EventId, &'a Event)>,
    /// Whether an event of this number is SeqCst.
    strong: Vec<bool>,
}

impl<'a> Numbered<'a> {
    fn new(graph: &'a Graph) -> Self {
        let mut numbers = Vec::new();
        let mut events: Vec<(EventId, &Event)> = Vec::new();
        let mut strong = Vec::new();
        for (thread, own) in graph.threads.iter().enumerate() {
            let mut of_thread = Vec::new();
            for (place, event) in own.iter().enumerate() {
                let id = EventId {
                    thread: thread as u8,
                    place: place as u16,
                };
                if event.kind == (Kind::Store { exclusive: true }) {
                    *events.last_mut().expect("its load comes before it") = (id, event);
                } else {
                    events.push((id, event));
                    strong.push(event.is_strong());
                }
                of_thread.push(events.len() - 1);
            }
            numbers.push(of_thread);
        }
        Self {
            graph,
            numbers,
            events,
            strong,
        }
    }

    fn number(&self, id: EventId) -> usize {
        self.numbers[usize::from(id.thread)][usize::from(id.place)]
    }

    /// All pairs for which `related` is true.
    fn relation<const WORDS: usize>(
        &self,
        related: impl Fn(usize, usize) -> bool,
    ) -> Relation<WORDS> {
        let mut relation = Relation::empty(self.events.len());
        for from in 0..self.events.len() {
            for to in 0..self.events.len() {
                if from != to && related(from, to) {
                    relation.add(from, to);
                }
            }
        }
        relation
    }

    fn only<const WORDS: usize>(&self, keep: impl Fn(usize) -> bool) -> Relation<WORDS> {
        Relation::identity(self.events.len()).filter(|event, _| keep(event))
    }

    fn is_fence(&self, number: usize) -> bool {
        self.events[number].1.kind == Kind::Fence
    }

    /// Reads from, modification order, and from a load to the stores that come later than the one it reads.
    fn observations<const WORDS: usize>(&self) -> [Relation<WORDS>; 3] {
        let [mut reads, mut modifications, mut reads_before] =
            [0; 3].map(|_| Relation::empty(self.events.len()));
        for (_, order) in &self.graph.modifications {
            for (rank, &store) in order.iter().enumerate() {
                for &later in &order[rank + 1..] {
                    modifications.add(self.number(store), self.number(later));
                }
            }
        }
        for (thread, events) in self.graph.threads.iter().enumerate() {
            for (place, event) in events.iter().enumerate() {
                let Some(source) = event.source() else {
                    continue;
                };
                let load = self.numbers[thread][place];
                let order = self.graph.order(event.access.location);
                let later = match order.iter().position(|&store| store == source) {
                    None => order,
                    Some(rank) => {
                        reads.add(self.number(source), load);
                        &order[rank + 1..]
                    }
                };
                for &store in later {
                    // Its own store comes later than the one it reads: that says nothing.
                    if self.number(store) != load {
                        reads_before.add(load, self.number(store));
                    }
                }
            }
        }
        [reads, modifications, reads_before]
    }

    /// What a total order has to agree with.
    fn constraints<const WORDS: usize>(&self) -> Relation<WORDS> {
        let sequenced = self.relation::<WORDS>(|from, to| {
            let (from, to) = (self.events[from].0, self.events[to].0);
            from.thread == to.thread && from.place < to.place
        });
        let happens_before = self.relation(|from, to| {
            let from = self.events[from].0;
            from.place < self.events[to].1.happens_before[usize::from(from.thread)]
        });
        let [reads, modifications, reads_before] = self.observations();
        let coherence = reads.union(&modifications).union(&reads_before).closure();

        let place = |number: usize| self.events[number].1.access.location;
        let same = |from: usize, to: usize| place(from) != NOWHERE && place(from) == place(to);
        let strong = self.only(|number| self.strong[number]);
        let fences = self.only(|number| self.strong[number] && self.is_fence(number));
        let enter = strong.union(&fences.then(&happens_before.optional()));
        let leave = strong.union(&happens_before.optional().then(&fences));
        let elsewhere = sequenced.filter(|from, to| !same(from, to));
        let base = sequenced
            .union(&elsewhere.then(&happens_before).then(&elsewhere))
            .union(&happens_before.filter(same))
            .union(&modifications)
            .union(&reads_before);
        let between = happens_before.union(&happens_before.then(&coherence).then(&happens_before));
        enter
            .then(&base)
            .then(&leave)
            .union(&fences.then(&between).then(&fences))
    }
}
