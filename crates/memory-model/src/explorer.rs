//! Every execution of a litmus program under RC11, each one once, without trying candidates.
//!
//! A second way to the answer, and independent of the first: the enumerator of the crate's root makes all candidates and
//! throws away the inconsistent ones; this one grows consistent [graphs](super::Graph) and makes nothing twice. Where both
//! can be asked they must agree, see the tests.
//!
//! A graph grows by what the leftmost unfinished thread does next. A load branches over the stores that it may read; a store
//! branches over its places in modification order, and over the loads that were there before and may read it instead.

use super::Outcome;
use super::graph::{EventId, Graph, Then};
use super::program::{Op, Program, Value};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::Ordering;

/// What an exploration has found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Exploration {
    /// Executions that RC11 allows. Each is different from all others.
    pub executions: usize,
    /// Beginnings of executions that came to nothing: two read-modify-writes have read the same store.
    pub dead_ends: usize,
    /// What the executions leave behind.
    pub outcomes: BTreeSet<Outcome>,
    /// Whether these are all. If not, the budget has run out.
    pub complete: bool,
}

/// What a thread does next.
enum Next {
    Load {
        location: usize,
        order: Ordering,
        then: Then,
    },
    Store {
        location: usize,
        order: Ordering,
        value: u32,
        exclusive: bool,
    },
    Fence(Ordering),
}

impl Next {
    fn is_exclusive(&self) -> bool {
        matches!(
            self,
            Self::Store {
                exclusive: true,
                ..
            }
        )
    }
}

impl Program {
    /// Visits each execution that RC11 allows once, at most `budget` of them.
    ///
    /// The work is proportional to the number of executions and of dead ends, times a polynomial in the number of events.
    ///
    /// # Panics
    /// If an operation has an ordering it cannot have, see [`misfit`](Program::misfit), if there are more than
    /// [`MOST_THREADS`](super::MOST_THREADS) threads, or if an execution has SeqCst operations and more than 64 events.
    pub fn explore(&self, budget: usize, mut visit: impl FnMut(&Graph, &Outcome)) -> Exploration {
        if let Some(misfit) = self.misfit() {
            panic!("{misfit}");
        }
        let mut locations = BTreeSet::new();
        for thread in self.threads() {
            collect_locations(&thread.ops, &mut locations);
        }
        let locations: Vec<&'static str> = locations.into_iter().collect();
        let mut found = Exploration {
            complete: true,
            ..Exploration::default()
        };
        let mut open = vec![Graph::new(self.threads().len(), locations.len())];
        while let Some(graph) = open.pop() {
            let Some((thread, next)) = self.next(&graph, &locations) else {
                if found.executions == budget {
                    found.complete = false;
                    return found;
                }
                found.executions += 1;
                let outcome = self.outcome(&graph, &locations);
                visit(&graph, &outcome);
                found.outcomes.insert(outcome);
                continue;
            };
            let before = open.len();
            match next {
                Next::Fence(order) => open.extend(graph.with_fence(thread, order)),
                Next::Load {
                    location,
                    order,
                    then,
                } => {
                    let sources: Vec<EventId> = graph.stores(location).collect();
                    open.extend(sources.into_iter().filter_map(|source| {
                        graph
                            .clone()
                            .with_load(thread, location, order, then, source)
                    }));
                }
                Next::Store {
                    location,
                    order,
                    value,
                    exclusive,
                } => open.extend(graph.with_store(thread, location, order, value, exclusive)),
            }
            found.dead_ends += usize::from(open.len() == before);
        }
        found
    }

    /// The second half of a read-modify-write whose first half is there, else what the leftmost unfinished thread does.
    fn next(&self, graph: &Graph, locations: &[&'static str]) -> Option<(usize, Next)> {
        let mut nexts: Vec<(usize, Next)> = (0..self.threads().len())
            .filter_map(|thread| {
                let next = self.follow(graph, locations, thread, &mut BTreeMap::new())?;
                Some((thread, next))
            })
            .collect();
        let due = nexts.iter().position(|(_, next)| next.is_exclusive());
        (!nexts.is_empty()).then(|| nexts.swap_remove(due.unwrap_or(0)))
    }

    /// Follows a thread along its events, fills its registers, and says what it does after them.
    fn follow(
        &self,
        graph: &Graph,
        locations: &[&'static str],
        thread: usize,
        registers: &mut BTreeMap<&'static str, u32>,
    ) -> Option<Next> {
        let number = |name: &str| {
            let found = locations.iter().position(|&location| location == name);
            found.expect("all locations were collected")
        };
        let mut events = graph.threads[thread].iter();
        let mut rest: Vec<&Op> = self.threads()[thread].ops.iter().rev().collect();
        while let Some(op) = rest.pop() {
            let (location, order, then, into) = match op {
                Op::Fence(None) => continue,
                Op::Fence(Some(order)) => {
                    if events.next().is_none() {
                        return Some(Next::Fence(*order));
                    }
                    continue;
                }
                Op::Store {
                    location,
                    value,
                    order,
                } => {
                    if events.next().is_none() {
                        return Some(Next::Store {
                            location: number(location),
                            order: *order,
                            value: match value {
                                Value::Constant(value) => *value,
                                Value::Register(register) => registers[register],
                            },
                            exclusive: false,
                        });
                    }
                    continue;
                }
                Op::When { register, is, then } => {
                    if registers[register] == *is {
                        rest.extend(then.iter().rev());
                    }
                    continue;
                }
                Op::Load {
                    location,
                    order,
                    into,
                } => (location, order, Then::Nothing, into),
                Op::FetchAdd {
                    location,
                    operand,
                    order,
                    into,
                } => (location, order, Then::Add(*operand), into),
                Op::CompareExchange {
                    location,
                    current,
                    new,
                    success,
                    failure,
                    into,
                } => {
                    let then = Then::Exchange {
                        current: *current,
                        new: *new,
                        failure: *failure,
                    };
                    (location, success, then, into)
                }
            };
            let Some(load) = events.next() else {
                return Some(Next::Load {
                    location: number(location),
                    order: *order,
                    then,
                });
            };
            registers.insert(into, load.value);
            if let Some(value) = load.stores()
                && events.next().is_none()
            {
                return Some(Next::Store {
                    location: load.location,
                    order: *order,
                    value,
                    exclusive: true,
                });
            }
        }
        None
    }

    fn outcome(&self, graph: &Graph, locations: &[&'static str]) -> Outcome {
        let mut values = BTreeMap::new();
        for thread in 0..self.threads().len() {
            self.follow(graph, locations, thread, &mut values);
        }
        for (number, &location) in locations.iter().enumerate() {
            let last = graph.stores(number).last().expect("the initial value");
            values.insert(location, graph.value(last));
        }
        values.into_iter().collect()
    }
}

fn collect_locations(ops: &[Op], locations: &mut BTreeSet<&'static str>) {
    for op in ops {
        match op {
            Op::Load { location, .. }
            | Op::Store { location, .. }
            | Op::FetchAdd { location, .. }
            | Op::CompareExchange { location, .. } => {
                locations.insert(location);
            }
            Op::When { then, .. } => collect_locations(then, locations),
            Op::Fence(_) => {}
        }
    }
}
