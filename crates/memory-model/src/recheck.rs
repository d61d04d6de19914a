//! A finished execution, judged once more: by the axioms of the enumerator, all at once, from nothing but the events, who
//! reads from whom and the modification orders.
//!
//! What the graph has concluded on the way, its clocks above all, is not looked at: the two agree, or one of them is wrong.

use super::execution::{Event, Execution};
use super::graph::{Graph, Kind};
use super::relation::Relation;
use super::remedy::{Moment, Remedied};
use super::{Cycles, EventId, Model, Outcome, Total};
use std::collections::HashMap;

const RC11: Model = Model {
    total: Total::Rc11,
    cycles: Cycles::Forbidden,
};

/// The names of the locations are its beginnings: they are told apart by their length.
const NAMES: &str = "................................................................\
                     ................................................................";

/// What the axioms say of an execution with a [`Remedy`](super::Remedy).
#[derive(Debug)]
pub struct Recheck<'a> {
    remedied: &'a Remedied,
    names: HashMap<EventId, usize>,
    consistent: bool,
    happens_before: Relation,
}

impl Remedied {
    /// Judges the execution once more. `None` if it is too much for the enumerator: more than 128 events and locations, or
    /// readers' locks, of which it knows nothing.
    ///
    /// Takes time in the cube of the number of events.
    #[must_use]
    pub fn recheck(&self) -> Option<Recheck<'_>> {
        let (execution, names) = candidate(&self.graph)?;
        Some(Recheck {
            remedied: self,
            names,
            consistent: execution.is_consistent(RC11),
            happens_before: execution.derive().happens_before,
        })
    }
}

impl Recheck<'_> {
    /// See [`Remedied::is_consistent`].
    #[must_use]
    pub fn is_consistent(&self) -> bool {
        self.consistent
    }

    /// See [`Remedied::orders`].
    #[must_use]
    pub fn orders(&self, (thread, place): Moment, (later, end): Moment) -> bool {
        if thread == later {
            return true;
        }
        let around = &self.remedied.around;
        let name = |thread: usize, place: usize| self.names[&EventId::new(thread, place)];
        let Some(&[next, _]) = around[thread].get(place) else {
            return false;
        };
        let from = name(thread, next);
        let to = match end.checked_sub(1) {
            Some(last) => name(later, around[later][last][1]),
            // Before its first event, a thread knows what its beginning knows.
            None => match self.remedied.graph.spawn_of(later) {
                Some(spawn) => self.names[&spawn],
                None => return false,
            },
        };
        from == to || self.happens_before.has(from, to)
    }
}

/// The graph in the enumerator's terms, and the number of each event.
fn candidate(graph: &Graph) -> Option<(Execution, HashMap<EventId, usize>)> {
    let ids = || {
        let threads = 0..graph.threads();
        threads.flat_map(|thread| {
            let places = 0..graph.events(thread).len();
            places.map(move |place| EventId::new(thread, place))
        })
    };
    if ids().any(|id| graph.event(id).access.shared) {
        return None;
    }
    let is_access = |kind| matches!(kind, Kind::Load { .. } | Kind::Store { .. });
    let mut locations: Vec<_> = ids()
        .map(|id| graph.event(id))
        .filter(|event| is_access(event.kind))
        .map(|event| event.access.location)
        .collect();
    locations.sort_unstable();
    locations.dedup();
    if locations.len() + graph.len() > Relation::<1>::MOST_EVENTS {
        return None;
    }
    let name = |index: usize| Some(&NAMES[..=index]);
    let initial = |index: usize| Event {
        thread: None,
        location: name(index),
        order: None,
        read: None,
        written: Some(0),
        needs: 0,
        text: String::new(),
    };
    let mut events: Vec<Event> = (0..locations.len()).map(initial).collect();
    let mut names = HashMap::new();
    for id in ids() {
        let event = graph.event(id);
        if event.kind == (Kind::Store { exclusive: true }) {
            // One operation with the load before it.
            let load = events.len() - 1;
            events[load].written = Some(0);
            names.insert(id, load);
            continue;
        }
        let place = locations.binary_search(&event.access.location);
        let access = is_access(event.kind);
        names.insert(id, events.len());
        events.push(Event {
            thread: Some(id.thread()),
            location: place.ok().filter(|_| access).and_then(name),
            order: (access || event.kind == Kind::Fence).then(|| event.order()),
            read: event.source().map(|_| 0),
            written: matches!(event.kind, Kind::Store { .. }).then_some(0),
            needs: 0,
            text: String::new(),
        });
    }
    let count = events.len();
    let mut sequenced = Relation::empty(count);
    for after in locations.len()..count {
        for before in 0..after {
            if before < locations.len() || events[before].thread == events[after].thread {
                sequenced.add(before, after);
            }
        }
    }
    let mut joined = Relation::empty(count);
    for id in ids() {
        let of = |child: u8, last: bool| {
            let events = graph.events(usize::from(child)).len();
            let place = if last { events.checked_sub(1)? } else { 0 };
            names.get(&EventId::new(usize::from(child), place)).copied()
        };
        match graph.event(id).kind {
            Kind::Spawn(child) => {
                if let Some(first) = of(child, false) {
                    joined.add(names[&id], first);
                }
            }
            Kind::Join(child) => {
                if let Some(last) = of(child, true) {
                    joined.add(last, names[&id]);
                }
            }
            _ => {}
        }
    }
    let mut reads = Relation::empty(count);
    for id in ids() {
        let event = graph.event(id);
        let Some(source) = event.source() else {
            continue;
        };
        let place = locations.binary_search(&event.access.location);
        let initial = place.expect("the location of an access");
        let source = names.get(&source).copied().unwrap_or(initial);
        reads.add(source, names[&id]);
    }
    let mut modifications = Relation::empty(count);
    for (initial, &location) in locations.iter().enumerate() {
        let order = graph.order(location).iter().map(|id| names[id]);
        let order: Vec<usize> = std::iter::once(initial).chain(order).collect();
        for (place, &store) in order.iter().enumerate() {
            for &later in &order[place + 1..] {
                modifications.add(store, later);
            }
        }
    }
    let execution = Execution {
        events,
        sequenced,
        joined,
        reads,
        modifications,
        outcome: Outcome::default(),
    };
    Some((execution, names))
}
