//! Every execution of a litmus program under RC11, each one once, without trying candidates.
//!
//! A second way to the answer, and independent of the first: the enumerator of the crate's root makes all candidates and
//! throws away the inconsistent ones; this one grows consistent [graphs](super::Graph) and makes nothing twice. Where both
//! can be asked they must agree, see the tests.
//!
//! A graph grows by what the leftmost unfinished thread does next. A load branches over the stores that it may read; a store
//! branches over its places in modification order, and over the loads that were there before and may read it instead.

use super::Outcome;
use super::change::Change;
use super::graph::{Access, Event, Graph, Kind, Location};
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
    Read(Access),
    Write(Access, u64),
    Fence(Ordering),
}

impl Program {
    /// The locations that it accesses.
    #[must_use]
    pub fn locations(&self) -> BTreeSet<&'static str> {
        let mut locations = BTreeSet::new();
        for thread in self.threads() {
            collect_locations(&thread.ops, &mut locations);
        }
        locations
    }

    /// Visits each execution that RC11 allows once, at most `budget` of them.
    ///
    /// The work is proportional to the number of executions and of dead ends, times a polynomial in the number of events.
    ///
    /// # Panics
    /// If an operation has an ordering it cannot have, see [`misfit`](Program::misfit), if there are more than
    /// [`MOST_THREADS`](super::MOST_THREADS) threads, or if an execution has SeqCst operations and more than 128 events.
    pub fn explore(&self, budget: usize, mut visit: impl FnMut(&Graph, &Outcome)) -> Exploration {
        if let Some(misfit) = self.misfit() {
            panic!("{misfit}");
        }
        let locations: Vec<&'static str> = self.locations().into_iter().collect();
        let mut found = Exploration {
            complete: true,
            ..Exploration::default()
        };
        let mut open = vec![Graph::new(self.threads().len(), false)];
        while let Some(mut graph) = open.pop() {
            let next = (0..self.threads().len()).find_map(|thread| {
                let next = self.follow(&graph, &locations, thread, &mut BTreeMap::new())?;
                Some((thread, next))
            });
            let Some((thread, next)) = next else {
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
            let branches = match next {
                Next::Fence(order) => {
                    graph.fence(thread, order);
                    open.push(graph);
                    continue;
                }
                Next::Read(access) => graph.read(thread, access, 0),
                Next::Write(access, value) => graph.write(thread, access, value),
            };
            found.dead_ends += usize::from(branches.forward.is_empty());
            open.extend(branches.aside);
            open.extend(branches.forward);
        }
        found
    }

    /// Follows a thread along its events, fills its registers, and says what it does after them.
    fn follow(
        &self,
        graph: &Graph,
        locations: &[&'static str],
        thread: usize,
        registers: &mut BTreeMap<&'static str, u32>,
    ) -> Option<Next> {
        let access = |name: &str, order| {
            let found = locations.iter().position(|&location| location == name);
            let number = found.expect("all locations were collected");
            Access {
                mask: u32::MAX.into(),
                ..Access::new(number as Location, order)
            }
        };
        let exclusive = |event: &&Event| event.kind != Kind::Store { exclusive: true };
        let mut events = graph.events(thread).iter().filter(exclusive);
        let mut rest: Vec<&Op> = self.threads()[thread].ops.iter().rev().collect();
        while let Some(op) = rest.pop() {
            let (access, into) = match op {
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
                        let value = match value {
                            Value::Constant(value) => *value,
                            Value::Register(register) => registers[register],
                        };
                        return Some(Next::Write(access(location, *order), value.into()));
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
                } => (access(location, *order), into),
                Op::FetchAdd {
                    location,
                    operand,
                    order,
                    into,
                } => {
                    let change = Change::Add((*operand).into());
                    let access = access(location, *order);
                    (Access { change, ..access }, into)
                }
                Op::CompareExchange {
                    location,
                    current,
                    new,
                    success,
                    failure,
                    into,
                } => {
                    let access = Access {
                        change: Change::Exchange {
                            current: (*current).into(),
                            new: (*new).into(),
                        },
                        failure: *failure,
                        ..access(location, *success)
                    };
                    (access, into)
                }
            };
            let Some(load) = events.next() else {
                return Some(Next::Read(access));
            };
            registers.insert(into, load.value as u32);
        }
        None
    }

    fn outcome(&self, graph: &Graph, locations: &[&'static str]) -> Outcome {
        let mut values = BTreeMap::new();
        for thread in 0..self.threads().len() {
            self.follow(graph, locations, thread, &mut values);
        }
        for (number, &location) in locations.iter().enumerate() {
            let last = graph.newest(number as Location);
            values.insert(location, graph.value(last, 0) as u32);
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
