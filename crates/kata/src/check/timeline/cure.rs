//! Which orderings or fences would have forbidden an execution: each is tried on its graph before anybody is told of it.

use super::Picture;
use crate::record::{AccessName, Event, Op};
use memory_model::{EventId, Fence, Graph, Moment, Remedied, Remedy, Side};
use std::sync::atomic::Ordering::{self, AcqRel, Acquire, Relaxed, Release, SeqCst};

/// Stronger orderings and fences, by the events of a picture.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Cure {
    /// The ordering an event should have.
    pub orders: Vec<(usize, Ordering)>,
    /// The fences that there should be.
    pub fences: Vec<Fence<usize>>,
}

/// A SeqCst fence right after an event.
pub(super) fn full_fence_after(beside: usize) -> Fence<usize> {
    Fence {
        beside,
        side: Side::After,
        order: SeqCst,
    }
}

/// What a cure has to bring about.
#[derive(Clone, Copy, Debug)]
pub(super) enum Goal {
    /// The execution does not exist any more.
    Forbidden,
    /// That, or the first of two events happens before the second one.
    Ordered(usize, usize),
}

/// What came of looking for something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Search<T> {
    Found(T),
    /// There is none.
    Nothing,
    /// The execution is too long, or nobody knows its graph.
    Unknown,
}

impl<T> Search<T> {
    pub(super) fn map<R>(self, change: impl FnOnce(T) -> R) -> Search<R> {
        match self {
            Self::Found(found) => Search::Found(change(found)),
            Self::Nothing => Search::Nothing,
            Self::Unknown => Search::Unknown,
        }
    }

    pub(super) fn found(self) -> Option<T> {
        match self {
            Self::Found(found) => Some(found),
            Self::Nothing | Self::Unknown => None,
        }
    }
}

/// Executions with more events are not searched for a cure of two parts.
const LONG: usize = 120;

/// Executions with more events are not searched for any.
const TOO_LONG: usize = 400;

impl Picture {
    fn remedied(&self, cure: &Cure) -> Option<Remedied> {
        let graph = self.execution.as_ref()?;
        let name = |&event: &usize| {
            self.graph_event(event)
                .filter(|_| !is_of_a_check(&self.events[event]))
        };
        let orders = cure.orders.iter();
        let fences = cure.fences.iter().map(|fence| {
            let Fence { side, order, .. } = *fence;
            let beside = name(&fence.beside)?;
            Some(Fence {
                beside,
                side,
                order,
            })
        });
        let remedy = Remedy {
            orders: orders
                .map(|(event, order)| Some((name(event)?, *order)))
                .collect::<Option<_>>()?,
            fences: fences.collect::<Option<_>>()?,
        };
        Some(graph.remedied(&remedy))
    }

    /// The event of the graph; of a read-modify-write, its load.
    fn graph_event(&self, event: usize) -> Option<EventId> {
        let graph = self.execution.as_ref()?;
        let event = &self.events[event];
        let trace = event.trace;
        let fence = matches!(event.op, Op::Fence(_)).then_some((event.thread, event.place));
        let (thread, place) = trace.load.or(trace.store).or(fence)?;
        (place < graph.events(thread).len()).then(|| EventId::new(thread, place))
    }

    /// The stores that a load has overlooked: they were there, and come later in modification order than what it read.
    pub(super) fn overlooked(&self, load: usize) -> Vec<usize> {
        let event = &self.events[load];
        let (
            Op::Load { value: Some(_), .. } | Op::Rmw { read: Some(_), .. },
            Some(source),
            Some(graph),
        ) = (&event.op, event.trace.source, &self.execution)
        else {
            return Vec::new();
        };
        let id = |(thread, place): AccessName| {
            let known = thread < graph.threads() && place < graph.events(thread).len();
            known.then(|| EventId::new(thread, place))
        };
        let stores = (0..load).filter(|&index| self.events[index].object == event.object);
        let mut overlooked = Vec::new();
        for store in stores {
            let Some(store_id) = self.events[store].trace.store.and_then(id) else {
                continue;
            };
            let order = graph.order(graph.event(store_id).access.location);
            let rank = |id: EventId| order.iter().position(|&other| other == id);
            let read = id(source).and_then(rank);
            if read.is_none() || rank(store_id) > read {
                overlooked.push(store);
            }
        }
        overlooked
    }

    /// Where in the execution an event stands.
    fn moment(&self, event: usize) -> Moment {
        (self.events[event].thread, self.events[event].place)
    }

    /// Whether one event happens before another; `None` if nobody knows.
    pub(super) fn happens_before(&self, before: usize, after: usize) -> Option<bool> {
        let remedied = self.remedied(&Cure::default())?;
        Some(remedied.orders(self.moment(before), self.moment(after)))
    }

    /// Whether a cure would help.
    pub(super) fn helps(&self, cure: &Cure, goal: Goal) -> bool {
        let Some(remedied) = self.remedied(cure) else {
            return false;
        };
        !remedied.is_consistent()
            || matches!(goal, Goal::Ordered(before, after) if remedied.orders(self.moment(before), self.moment(after)))
    }

    /// Whether a cure helps, judged a second time: see [`Remedied::recheck`].
    pub(super) fn really_helps(&self, cure: &Cure, goal: Goal) -> Option<bool> {
        let remedied = self.remedied(cure)?;
        let again = remedied.recheck()?;
        let ordered = |before, after| again.orders(self.moment(before), self.moment(after));
        let helps = !again.is_consistent()
            || matches!(goal, Goal::Ordered(before, after) if ordered(before, after));
        Some(helps)
    }

    /// A smallest cure in the code under test.
    pub(super) fn cure(&self, goal: Goal) -> Search<Cure> {
        let Some(length) = self.execution.as_ref().map(Graph::len) else {
            return Search::Unknown;
        };
        if length > TOO_LONG {
            return Search::Unknown;
        }
        let sites = self.sites();
        let all = |order: Option<Ordering>| {
            let mut cure = Cure::default();
            for events in &sites {
                match order {
                    Some(order) => cure
                        .orders
                        .extend(events.iter().map(|&event| (event, order))),
                    None => cure
                        .fences
                        .extend(events.iter().map(|&event| full_fence_after(event))),
                }
            }
            cure
        };
        let mut strongest = all(Some(SeqCst));
        strongest.fences = all(None).fences;
        if !self.helps(&strongest, goal) {
            return Search::Nothing;
        }
        let orders = |wanted: &[Ordering]| {
            let mut cures = Vec::new();
            for events in &sites {
                for &order in wanted {
                    let orders = events.iter().filter_map(|&event| {
                        Some((event, stronger(&self.events[event].op, order)?))
                    });
                    let orders: Vec<_> = orders.collect();
                    if !orders.is_empty() {
                        cures.push(Cure {
                            orders,
                            ..Cure::default()
                        });
                    }
                }
            }
            cures
        };
        // A fence that is there already is better made stronger than joined by another one.
        let is_fence =
            |&(event, _): &(usize, Ordering)| matches!(self.events[event].op, Op::Fence(_));
        let mut weak = orders(&[Acquire, Release, AcqRel]);
        let fenced = orders(&[SeqCst]).into_iter();
        weak.extend(fenced.filter(|cure| cure.orders.iter().all(is_fence)));
        let strong = orders(&[SeqCst]);
        let fences: Vec<Cure> = sites
            .iter()
            .map(|events| Cure {
                fences: events
                    .iter()
                    .map(|&event| full_fence_after(event))
                    .collect(),
                ..Cure::default()
            })
            .collect();
        let helps = |cure: &&Cure| self.helps(cure, goal);
        let alone = [&weak, &fences, &strong].into_iter().flatten();
        let mut found = alone.clone().find(helps).cloned();
        if found.is_none() && length <= LONG {
            let kinds = [
                (&weak, &weak),
                (&fences, &fences),
                (&weak, &fences),
                (&strong, &strong),
            ];
            found = kinds.into_iter().find_map(|(some, others)| {
                let pairs = some
                    .iter()
                    .flat_map(|one| others.iter().map(move |other| both(one, other)));
                pairs.into_iter().find(|pair| self.helps(pair, goal))
            });
        }
        // Whatever is not needed for it is left out.
        let found = found.unwrap_or_else(|| {
            let less = [all(Some(SeqCst)), all(None)].into_iter();
            let mut less = less.filter(|cure| self.helps(cure, goal));
            less.next().unwrap_or(strongest)
        });
        Search::Found(self.least(found, goal))
    }

    fn least(&self, mut cure: Cure, goal: Goal) -> Cure {
        for index in (0..cure.orders.len()).rev() {
            let mut less = cure.clone();
            less.orders.remove(index);
            if self.helps(&less, goal) {
                cure = less;
            }
        }
        for index in (0..cure.fences.len()).rev() {
            let mut less = cure.clone();
            less.fences.remove(index);
            if self.helps(&less, goal) {
                cure = less;
            }
        }
        cure
    }

    /// The atomic accesses and fences, by the lines they stand in and what they are there.
    fn sites(&self) -> Vec<Vec<usize>> {
        let mut sites: Vec<Vec<usize>> = Vec::new();
        let key = |event: usize| {
            let event = &self.events[event];
            (event.site, std::mem::discriminant(&event.op))
        };
        for (index, event) in self.events.iter().enumerate() {
            let ordered = matches!(
                event.op,
                Op::Load { .. } | Op::Store { .. } | Op::Rmw { .. } | Op::Fence(_)
            );
            if !ordered || is_of_a_check(event) || self.graph_event(index).is_none() {
                continue;
            }
            match sites.iter_mut().find(|events| key(events[0]) == key(index)) {
                Some(events) => events.push(index),
                None => sites.push(vec![index]),
            }
        }
        sites
    }

    /// A cure in words: `a fence(SeqCst) in t1 between step 3 and step 4`.
    pub(super) fn words(&self, cure: &Cure) -> String {
        let orders = cure.orders.iter().map(|&(event, order)| {
            let step = self.step(event);
            match self.events[event].op {
                Op::Fence(_) => format!("a fence({order:?}) as {step}"),
                _ => format!("{order:?} in {step}"),
            }
        });
        let fences = cure.fences.iter().map(|fence| {
            let Fence {
                beside,
                side,
                order,
            } = *fence;
            let thread = self.events[beside].thread;
            let own = |index: &usize| {
                let event = &self.events[*index];
                let hidden = matches!(event.op, Op::Yield | Op::Exclusive("drop"));
                event.thread == thread && !hidden
            };
            let (neighbours, word) = match side {
                Side::Before => (
                    (0..beside).rev().find(own).map(|last| [last, beside]),
                    "before",
                ),
                Side::After => {
                    let next = (beside + 1..self.events.len()).find(own);
                    (next.map(|next| [beside, next]), "after")
                }
            };
            let place = match neighbours {
                Some([one, other]) => {
                    format!("between {} and {}", self.step(one), self.step(other))
                }
                None => format!("{word} {}", self.step(beside)),
            };
            format!("a fence({order:?}) in {} {place}", self.thread(thread))
        });
        let parts: Vec<String> = orders.chain(fences).collect();
        match parts.as_slice() {
            [] => String::new(),
            [one] => one.clone(),
            [most @ .., last] => format!("{} and {last}", most.join(", ")),
        }
    }

    /// The events that a cure speaks of.
    pub(super) fn speaks_of(cure: &Cure) -> Vec<usize> {
        let orders = cure.orders.iter().map(|&(event, _)| event);
        orders
            .chain(cure.fences.iter().map(|fence| fence.beside))
            .collect()
    }
}

/// Whether a line is one of an exercise's checks, which are right as they are.
fn is_of_a_check(event: &Event) -> bool {
    let file = event.site.file();
    file.contains("tests/checks/") || file.contains("tests\\checks\\")
}

fn both(one: &Cure, other: &Cure) -> Cure {
    let mut both = one.clone();
    for &(event, order) in &other.orders {
        match both.orders.iter_mut().find(|(same, _)| *same == event) {
            Some((_, mine)) => *mine = join(*mine, order),
            None => both.orders.push((event, order)),
        }
    }
    both.fences.extend(&other.fences);
    both
}

pub(super) fn acquires(order: Ordering) -> bool {
    matches!(order, Acquire | AcqRel | SeqCst)
}

pub(super) fn releases(order: Ordering) -> bool {
    matches!(order, Release | AcqRel | SeqCst)
}

/// The weakest ordering that is at least as strong as both.
pub(super) fn join(one: Ordering, other: Ordering) -> Ordering {
    if one == SeqCst || other == SeqCst {
        return SeqCst;
    }
    match (
        acquires(one) || acquires(other),
        releases(one) || releases(other),
    ) {
        (true, true) => AcqRel,
        (true, false) => Acquire,
        (false, true) => Release,
        (false, false) => Relaxed,
    }
}

/// The ordering of an operation with another one added; `None` if it cannot have that, or has it already.
fn stronger(op: &Op, order: Ordering) -> Option<Ordering> {
    let (own, loads, stores) = match *op {
        Op::Load { order, .. } => (order, true, false),
        Op::Store { order, .. } => (order, false, true),
        Op::Rmw {
            order,
            written: Some(_),
            ..
        } => (order, true, true),
        Op::Rmw { order, failure, .. } => (failure.unwrap_or(order), true, false),
        Op::Fence(order) => (order, true, true),
        _ => return None,
    };
    let possible = order == SeqCst || (loads || !acquires(order)) && (stores || !releases(order));
    let joined = join(own, order);
    (possible && joined != own).then_some(joined)
}

/// The graph of the running execution, if its events are those of the record.
pub(super) fn execution() -> Option<Graph> {
    #[cfg(feature = "loom")]
    return crate::engine::execution();
    #[cfg(not(feature = "loom"))]
    None
}
