//! Candidate executions of a program, and which of them the model accepts.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;
use std::sync::atomic::Ordering;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Release, SeqCst};

use super::program::{Op, Program, Value};
use super::relation::{Relation, Set, members};
use super::{Cycles, Model, Outcome, Total};

/// What one operation did.
#[derive(Clone, Debug)]
pub(super) struct Event {
    /// Its thread; `None` for the initial value of a location.
    pub thread: Option<usize>,
    pub location: Option<&'static str>,
    pub order: Option<Ordering>,
    pub read: Option<u32>,
    pub written: Option<u32>,
    /// The reads whose values it needs: what it stores, and whether it happens at all. Numbers are the thread's own.
    pub needs: Set,
    /// How it reads in a picture.
    pub text: String,
}

impl Event {
    fn is_fence(&self) -> bool {
        self.location.is_none()
    }

    pub fn acquires(&self) -> bool {
        (self.read.is_some() || self.is_fence())
            && matches!(self.order, Some(Acquire | AcqRel | SeqCst))
    }

    pub fn releases(&self) -> bool {
        (self.written.is_some() || self.is_fence())
            && matches!(self.order, Some(Release | AcqRel | SeqCst))
    }

    fn modifies(&self) -> bool {
        self.read.is_some() && self.written.is_some()
    }
}

/// One way through a thread, for some values that its reads may or may not get.
#[derive(Clone, Debug, Default)]
struct Path {
    events: Vec<Event>,
    /// The value of each register, and the reads it comes from.
    registers: BTreeMap<&'static str, (u32, Set)>,
}

/// The values a location may come to hold.
type Values = BTreeMap<&'static str, BTreeSet<u32>>;

/// All paths through `ops`, each read giving any of the `values` of its location.
fn paths(thread: usize, ops: &[Op], values: &Values) -> Vec<Path> {
    let mut all = Vec::new();
    let rest: Vec<(Set, &Op)> = ops.iter().rev().map(|op| (0, op)).collect();
    walk(thread, rest, Path::default(), values, &mut all);
    all
}

/// Goes on from `path` with `rest`, last operation first, each with the reads that decided whether it happens.
fn walk(
    thread: usize,
    mut rest: Vec<(Set, &Op)>,
    mut path: Path,
    values: &Values,
    all: &mut Vec<Path>,
) {
    while let Some((control, op)) = rest.pop() {
        let mut event = Event {
            thread: Some(thread),
            location: None,
            order: None,
            read: None,
            written: None,
            needs: control,
            text: op.to_string(),
        };
        let this: Set = 1 << path.events.len();
        let read = |location: &'static str| values[location].iter().copied();
        match op {
            Op::Fence(None) => continue,
            Op::Fence(order) => event.order = *order,
            Op::Store {
                location,
                value,
                order,
            } => {
                let (value, needs) = match value {
                    Value::Constant(value) => (*value, 0),
                    Value::Register(register) => path.registers[register],
                };
                (event.location, event.order) = (Some(*location), Some(*order));
                event.written = Some(value);
                event.needs |= needs;
            }
            Op::When { register, is, then } => {
                let (value, needs) = path.registers[register];
                if value == *is {
                    rest.extend(then.iter().rev().map(|op| (control | needs, op)));
                }
                continue;
            }
            Op::Load {
                location,
                order,
                into,
            } => {
                for value in read(location) {
                    let mut path = path.clone();
                    path.registers.insert(into, (value, this));
                    path.events.push(Event {
                        location: Some(*location),
                        order: Some(*order),
                        read: Some(value),
                        text: format!("{op} → {value}"),
                        ..event.clone()
                    });
                    walk(thread, rest.clone(), path, values, all);
                }
                return;
            }
            Op::FetchAdd {
                location,
                operand,
                order,
                into,
            } => {
                for value in read(location) {
                    let mut path = path.clone();
                    path.registers.insert(into, (value, this));
                    path.events.push(Event {
                        location: Some(*location),
                        order: Some(*order),
                        read: Some(value),
                        written: Some(value + operand),
                        text: format!("{op} → {value}"),
                        ..event.clone()
                    });
                    walk(thread, rest.clone(), path, values, all);
                }
                return;
            }
            Op::CompareExchange {
                location,
                current,
                new,
                success,
                failure,
                into,
            } => {
                for value in read(location) {
                    let done = value == *current;
                    let mut path = path.clone();
                    path.registers.insert(into, (value, this));
                    let result = if done { "Ok" } else { "Err" };
                    path.events.push(Event {
                        location: Some(*location),
                        order: Some(if done { *success } else { *failure }),
                        read: Some(value),
                        written: done.then_some(*new),
                        text: format!("{op} → {result}({value})"),
                        ..event.clone()
                    });
                    walk(thread, rest.clone(), path, values, all);
                }
                return;
            }
        }
        path.events.push(event);
    }
    all.push(path);
}

/// At most so many paths there are through `ops`.
fn most_paths(ops: &[Op], values: &Values) -> usize {
    let ways = |op: &Op| match op {
        Op::Load { location, .. }
        | Op::FetchAdd { location, .. }
        | Op::CompareExchange { location, .. } => values[location].len(),
        Op::When { then, .. } => most_paths(then, values),
        Op::Store { .. } | Op::Fence(_) => 1,
    };
    ops.iter().map(ways).fold(1, usize::saturating_mul)
}

/// Every constant that is stored anywhere, and whatever additions can make of them; `None` if that leads to more than `most`
/// ways through all threads.
fn values(program: &Program, most: usize) -> Option<Values> {
    fn constants(ops: &[Op], values: &mut Values, length: &mut usize) {
        for op in ops {
            *length += 1;
            let (location, value) = match op {
                Op::Load { location, .. } | Op::FetchAdd { location, .. } => (location, 0),
                Op::Store {
                    location, value, ..
                } => match value {
                    Value::Constant(value) => (location, *value),
                    Value::Register(_) => (location, 0),
                },
                Op::CompareExchange { location, new, .. } => (location, *new),
                Op::Fence(_) => continue,
                Op::When { then, .. } => {
                    constants(then, values, length);
                    continue;
                }
            };
            values.entry(location).or_default().extend([0, value]);
        }
    }
    let (mut values, mut length) = (Values::new(), 0);
    for thread in program.threads() {
        constants(&thread.ops, &mut values, &mut length);
    }
    // A value is passed on at most once by each operation.
    for _ in 0..length {
        let ways = |values: &Values| {
            let ops = program.threads().iter().map(|thread| &thread.ops);
            let ways = ops.map(|ops| most_paths(ops, values));
            ways.fold(1, usize::saturating_mul)
        };
        if ways(&values) > most {
            return None;
        }
        let mut more = values.clone();
        for (number, thread) in program.threads().iter().enumerate() {
            for path in paths(number, &thread.ops, &values) {
                for event in path.events {
                    if let (Some(location), Some(value)) = (event.location, event.written) {
                        more.entry(location).or_default().insert(value);
                    }
                }
            }
        }
        if more == values {
            break;
        }
        values = more;
    }
    Some(values)
}

/// An execution: the events, which store each read reads from, and the modification order of each location.
#[derive(Clone, Debug)]
pub(super) struct Execution {
    pub events: Vec<Event>,
    /// The initial values come before all else.
    pub sequenced: Relation,
    /// From the beginning of a thread to its first event, and from its last one to who waits for its end.
    pub joined: Relation,
    /// From a store to the loads that read it.
    pub reads: Relation,
    /// Modification order.
    pub modifications: Relation,
    pub outcome: Outcome,
}

/// What follows from an execution.
pub(super) struct Derived {
    /// From a load to the stores that come later than the one it reads: *reads before*.
    pub reads_before: Relation,
    /// What the standard calls coherence-ordered before.
    pub coherence: Relation,
    pub synchronizes: Relation,
    pub happens_before: Relation,
}

impl Execution {
    pub fn derive(&self) -> Derived {
        let events = self.events.len();
        let mut reads_before = Relation::empty(events);
        for (store, load) in self.reads.pairs() {
            for (_, later) in self
                .modifications
                .pairs()
                .filter(|&(from, _)| from == store)
            {
                if later != load {
                    reads_before.add(load, later);
                }
            }
        }
        let coherence = self
            .reads
            .union(&self.modifications)
            .union(&reads_before)
            .closure();

        let mut synchronizes = Relation::empty(events);
        for (store, load) in self.reads.pairs() {
            for from in self.releasing(store) {
                for to in self.acquiring(load) {
                    synchronizes.add(from, to);
                }
            }
        }
        let happens_before = self
            .sequenced
            .union(&self.joined)
            .union(&synchronizes)
            .closure();
        Derived {
            reads_before,
            coherence,
            synchronizes,
            happens_before,
        }
    }

    /// The operations whose release a reader of `store` sees: those that head a release sequence with `store` in it, and
    /// the fences before such a head.
    ///
    /// As of C++20 only read-modify-writes continue a release sequence, and each reads its predecessor.
    pub fn releasing(&self, store: usize) -> Vec<usize> {
        let mut from = Vec::new();
        let mut head = Some(store);
        let mut seen: Set = 0;
        while let Some(store) = head {
            if seen >> store & 1 == 1 {
                // Two that read each other's value, in a candidate that atomicity will reject.
                break;
            }
            seen |= 1 << store;
            if self.events[store].releases() {
                from.push(store);
            }
            let fences = (0..self.events.len()).filter(|&fence| {
                self.events[fence].is_fence()
                    && self.events[fence].releases()
                    && self.sequenced.has(fence, store)
            });
            from.extend(fences);
            let before = self.reads.pairs().find(|&(_, load)| load == store);
            head = before
                .map(|(before, _)| before)
                .filter(|_| self.events[store].modifies());
        }
        from
    }

    /// The operations that get what a release published when `load` has read it: itself, and the fences after it.
    pub fn acquiring(&self, load: usize) -> Vec<usize> {
        let fences = (0..self.events.len())
            .filter(|&fence| self.events[fence].is_fence() && self.sequenced.has(load, fence));
        std::iter::once(load)
            .chain(fences)
            .filter(|&event| self.events[event].acquires())
            .collect()
    }

    /// Whether the model allows it.
    pub fn is_consistent(&self, model: Model) -> bool {
        let derived = self.derive();
        let Derived {
            coherence,
            happens_before,
            ..
        } = &derived;
        // A cycle in coherence order is a read-modify-write that is not atomic.
        coherence.is_irreflexive()
            && happens_before.is_irreflexive()
            // The four coherence rules, and that nothing is read which comes later.
            && happens_before.then(coherence).is_irreflexive()
            && self.total_order_exists(model.total, &derived)
            && self.causes_are_acyclic(model.cycles)
    }

    /// Whether Release and Acquire would allow it wherever they stood, so that only SeqCst can forbid it.
    pub fn only_the_total_order_forbids(&self, derived: &Derived) -> bool {
        let strongest = self.sequenced.union(&self.reads).closure();
        strongest.is_irreflexive() && strongest.then(&derived.coherence).is_irreflexive()
    }

    /// What keeps two accesses of a thread out of the order of everything SeqCst: a weaker fence between them, or without
    /// any fence the weaker ones of the two.
    pub fn outside_the_total_order(&self) -> Set {
        let strong = |event: usize| self.events[event].order == Some(SeqCst);
        let is_access = |event: usize| !self.events[event].is_fence();
        let pairs = self
            .sequenced
            .pairs()
            .filter(|&(one, other)| {
                let thread = self.events[one].thread;
                thread.is_some() && thread == self.events[other].thread
            })
            .filter(|&(one, other)| is_access(one) && is_access(other));
        let mut outside = 0;
        for (one, other) in pairs {
            let between: Vec<usize> = (0..self.events.len())
                .filter(|&event| self.sequenced.has(one, event) && self.sequenced.has(event, other))
                .filter(|&event| !is_access(event))
                .collect();
            if between.iter().copied().any(strong) {
                continue;
            }
            let weak = if between.is_empty() {
                vec![one, other]
            } else {
                between
            };
            for event in weak.into_iter().filter(|&event| !strong(event)) {
                outside |= 1 << event;
            }
        }
        outside
    }

    /// Whether there is a single total order of the SeqCst operations, as demanded.
    fn total_order_exists(&self, total: Total, derived: &Derived) -> bool {
        let events = self.events.len();
        let strong = |event: usize| self.events[event].order == Some(SeqCst);
        let fence = |event: usize| strong(event) && self.events[event].is_fence();
        let only = |keep: &dyn Fn(usize) -> bool| {
            Relation::identity(events).filter(|event, _| keep(event))
        };
        let (all, fences) = (only(&strong), only(&fence));
        let happens_before = &derived.happens_before;
        // From a SeqCst operation, or from what a SeqCst fence happens before; and the like at the other end.
        let enter = all.union(&fences.then(&happens_before.optional()));
        let leave = all.union(&happens_before.optional().then(&fences));
        let constraints = match total {
            Total::Standard => {
                // [intro.races]: strongly happens before.
                let strongly = self
                    .sequenced
                    .union(
                        &derived
                            .synchronizes
                            .filter(|from, to| strong(from) && strong(to)),
                    )
                    .union(&self.sequenced.then(happens_before).then(&self.sequenced))
                    .closure();
                // [atomics.order], paragraph 4.
                let observed = enter.then(&derived.coherence).then(&leave);
                all.then(&strongly).then(&all).union(&observed)
            }
            Total::Rc11 => {
                let same = |from: usize, to: usize| {
                    self.events[from].location.is_some()
                        && self.events[from].location == self.events[to].location
                };
                let elsewhere = self.sequenced.filter(|from, to| !same(from, to));
                let base = self
                    .sequenced
                    .union(&elsewhere.then(happens_before).then(&elsewhere))
                    .union(&happens_before.filter(same))
                    .union(&self.modifications)
                    .union(&derived.reads_before);
                let between = happens_before
                    .union(&happens_before.then(&derived.coherence).then(happens_before));
                enter
                    .then(&base)
                    .then(&leave)
                    .union(&fences.then(&between).then(&fences))
            }
        };
        constraints.is_acyclic()
    }

    fn causes_are_acyclic(&self, cycles: Cycles) -> bool {
        match cycles {
            Cycles::Allowed => true,
            Cycles::WithoutDependencies => {
                let mut causes = self.reads.clone();
                for (event, needs) in self.events.iter().map(|event| event.needs).enumerate() {
                    members(needs).for_each(|read| causes.add(read, event));
                }
                causes.is_acyclic()
            }
            Cycles::Forbidden => {
                let order = self.sequenced.union(&self.joined);
                self.reads.union(&order).is_acyclic()
            }
        }
    }
}

/// Whether the enumerator goes through at most so many ways for the values of the loads alone: a measure of its work.
pub(super) fn is_small(program: &Program, ways: usize) -> bool {
    values(program, ways).is_some()
}

/// Calls `visit` on each execution in which all reads read what was written, consistent or not, whose outcome is
/// `wanted`, until it says stop.
pub(super) fn candidates(
    program: &Program,
    wanted: &dyn Fn(&Outcome) -> bool,
    visit: &mut dyn FnMut(&Execution) -> ControlFlow<()>,
) {
    if let Some(misfit) = program.misfit() {
        panic!("{misfit}");
    }
    let values = values(program, usize::MAX).expect("no bound");
    let threads: Vec<Vec<Path>> = program
        .threads()
        .iter()
        .enumerate()
        .map(|(number, thread)| paths(number, &thread.ops, &values))
        .collect();
    let locations: Vec<&'static str> = values.keys().copied().collect();
    let _ = choose(&threads, &mut Vec::new(), &mut |paths| {
        let (events, sequenced) = assemble(&locations, paths);
        let mut outcome = Outcome::default();
        for path in paths {
            let registers = path.registers.iter();
            outcome
                .0
                .extend(registers.map(|(&register, &(value, _))| (register, value)));
        }
        let orders: Vec<Vec<Vec<usize>>> = locations
            .iter()
            .map(|&location| {
                let writes = (locations.len()..events.len())
                    .filter(|&event| {
                        events[event].location == Some(location) && events[event].written.is_some()
                    })
                    .collect();
                permutations(writes)
            })
            .collect();
        let sources: Vec<(usize, Vec<usize>)> = (0..events.len())
            .filter(|&read| events[read].read.is_some())
            .map(|read| {
                let from = (0..events.len())
                    .filter(|&write| {
                        write != read
                            && events[write].location == events[read].location
                            && events[write].written == events[read].read
                    })
                    .collect();
                (read, from)
            })
            .collect();
        let choices: Vec<Vec<usize>> = sources.iter().map(|(_, from)| from.clone()).collect();
        choose(&orders, &mut Vec::new(), &mut |orders| {
            let mut outcome = outcome.clone();
            let mut modifications = Relation::empty(events.len());
            for (initial, order) in orders.iter().enumerate() {
                for (place, &write) in order.iter().enumerate() {
                    modifications.add(initial, write);
                    for &later in &order[place + 1..] {
                        modifications.add(write, later);
                    }
                }
                let last = order.last().map_or(Some(0), |&last| events[last].written);
                outcome
                    .0
                    .extend(last.map(|last| (locations[initial], last)));
            }
            if !wanted(&outcome) {
                return ControlFlow::Continue(());
            }
            choose(&choices, &mut Vec::new(), &mut |from| {
                let mut reads = Relation::empty(events.len());
                for (&&from, (read, _)) in from.iter().zip(&sources) {
                    reads.add(from, *read);
                }
                visit(&Execution {
                    events: events.clone(),
                    sequenced: sequenced.clone(),
                    joined: Relation::empty(events.len()),
                    reads,
                    modifications: modifications.clone(),
                    outcome: outcome.clone(),
                })
            })
        })
    });
}

/// The initial values, then the threads.
fn assemble(locations: &[&'static str], paths: &[&Path]) -> (Vec<Event>, Relation) {
    let mut events: Vec<Event> = locations
        .iter()
        .map(|&location| Event {
            thread: None,
            location: Some(location),
            order: None,
            read: None,
            written: Some(0),
            needs: 0,
            text: format!("{location} is 0"),
        })
        .collect();
    let initial = events.len();
    for path in paths {
        let first = events.len();
        events.extend(path.events.iter().map(|event| Event {
            needs: event.needs << first,
            ..event.clone()
        }));
    }
    let mut sequenced = Relation::empty(events.len());
    for after in initial..events.len() {
        for before in 0..after {
            if before < initial || events[before].thread == events[after].thread {
                sequenced.add(before, after);
            }
        }
    }
    (events, sequenced)
}

/// Calls `visit` with one item of each of `sets`, in all ways.
fn choose<'a, T>(
    sets: &'a [Vec<T>],
    chosen: &mut Vec<&'a T>,
    visit: &mut dyn FnMut(&[&'a T]) -> ControlFlow<()>,
) -> ControlFlow<()> {
    match sets.get(chosen.len()) {
        None => visit(chosen),
        Some(set) => {
            for item in set {
                chosen.push(item);
                choose(sets, chosen, visit)?;
                chosen.pop();
            }
            ControlFlow::Continue(())
        }
    }
}

fn permutations(items: Vec<usize>) -> Vec<Vec<usize>> {
    if items.is_empty() {
        return vec![Vec::new()];
    }
    let mut all = Vec::new();
    for (place, &first) in items.iter().enumerate() {
        let mut others = items.clone();
        others.remove(place);
        for mut order in permutations(others) {
            order.insert(0, first);
            all.push(order);
        }
    }
    all
}
