//! The last sentence of a picture: which edge is missing.
//!
//! The recorded operations form a graph: program order, spawn and join, locks, and the edges by which a store
//! synchronises with a load that reads from it. What a load has read from is not recorded; it is taken to be the most
//! recent store of the value it returned. A second kind of edge, at a price, stands for a store and a load that reads from
//! it but whose orderings do not synchronise. The cheapest path from one access to the other then consists
//! of what is missing; if there is none, no ordering would help.

use super::Picture;
use super::cure::{Cure, Goal, join};
use crate::record::{Event, NO_OBJECT, Op, Record, Value};
use std::collections::HashMap;
use std::sync::atomic::Ordering::{self, AcqRel, Acquire, Release, SeqCst};

fn releases(order: Ordering) -> bool {
    matches!(order, Release | AcqRel | SeqCst)
}

fn seq_cst(op: &Op) -> bool {
    match *op {
        Op::Load { order, .. } | Op::Store { order, .. } | Op::Rmw { order, .. } => order == SeqCst,
        Op::Fence(order) => order == SeqCst,
        _ => false,
    }
}

fn acquires(order: Ordering) -> bool {
    matches!(order, Acquire | AcqRel | SeqCst)
}

/// What an event has stored in an atomic, and with which ordering.
fn stored(op: &Op) -> Option<(Value, Ordering)> {
    match *op {
        Op::Store { order, value } => Some((value, order)),
        Op::Rmw {
            order,
            written: Some(value),
            ..
        } => Some((value, order)),
        _ => None,
    }
}

pub(super) fn stores(op: &Op) -> bool {
    stored(op).is_some()
}

/// What an event has read from an atomic, and with which ordering.
fn loaded(op: &Op) -> Option<(Value, Ordering)> {
    match *op {
        Op::Load {
            order,
            value: Some(value),
        } => Some((value, order)),
        Op::Rmw {
            order,
            failure,
            read: Some(value),
            written,
            ..
        } => Some((
            value,
            if written.is_some() {
                order
            } else {
                failure.unwrap_or(order)
            },
        )),
        _ => None,
    }
}

/// Whether two operations on one cell or atomic must not be concurrent.
fn conflict(one: &Op, other: &Op) -> bool {
    let exclusive = |op: &Op| matches!(op, Op::CellWrite | Op::Exclusive(_));
    let access = |op: &Op| {
        exclusive(op) || matches!(op, Op::CellRead) || stored(op).is_some() || loaded(op).is_some()
    };
    (exclusive(one) && access(other)) || (access(one) && exclusive(other))
}

/// A store that was read, and what would have made the two synchronise.
#[derive(Clone, Copy)]
struct Missing {
    store: usize,
    load: usize,
    release: bool,
    acquire: bool,
}

/// Where a load took its value from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Source {
    Initial,
    Store(usize),
}

/// Which of several stores of the same value a load is taken to have read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Policy {
    Latest,
    Oldest,
}

pub(super) struct Graph<'a> {
    events: &'a [Event],
    edges: Vec<Vec<(usize, Option<Missing>)>>,
    /// The events that are ordered before each event, at once and not by way of others.
    incoming: Vec<Vec<usize>>,
    /// For each event and thread: how many of the thread's events happen before it or are it.
    clocks: Vec<Vec<usize>>,
    /// The number of each event in its thread, from 1.
    positions: Vec<usize>,
    pub(super) sources: Vec<Option<Source>>,
}

impl<'a> Graph<'a> {
    pub(super) fn new(record: &Record, events: &'a [Event], policy: Policy) -> Self {
        let mut graph = Self {
            events,
            edges: vec![Vec::new(); events.len()],
            incoming: vec![Vec::new(); events.len()],
            clocks: Vec::with_capacity(events.len()),
            positions: Vec::with_capacity(events.len()),
            sources: vec![None; events.len()],
        };
        let threads = record.threads.len();
        let mut last_of = vec![None::<usize>; threads];
        let mut spawned_by = vec![None::<usize>; threads];
        let mut unlocked = HashMap::<u32, usize>::new();
        let mut unparked = vec![None::<usize>; threads];
        let mut woken = vec![None::<usize>; threads];
        for (index, event) in events.iter().enumerate() {
            let previous = last_of[event.thread].replace(index);
            let position = previous.map_or(1, |previous: usize| graph.positions[previous] + 1);
            graph.positions.push(position);
            let before = match event.op {
                Op::Join(child) => last_of[child],
                Op::Park { spurious: false } => unparked[event.thread],
                Op::Await { spurious: false } => woken[event.thread],
                Op::Lock(_)
                | Op::TryLock {
                    acquired: Some(true),
                    ..
                } => unlocked.get(&event.object).copied(),
                _ => None,
            };
            for before in previous
                .or(spawned_by[event.thread])
                .into_iter()
                .chain(before)
            {
                graph.order(before, index);
            }
            match event.op {
                Op::Spawn(child) => spawned_by[child] = Some(index),
                Op::Unpark(target) => unparked[target] = Some(index),
                Op::Wake {
                    thread,
                    stale: false,
                } => woken[thread] = Some(index),
                Op::Unlock => {
                    unlocked.insert(event.object, index);
                }
                _ => {}
            }
            let clock = graph.clock(index, threads);
            graph.clocks.push(clock);
            if let Some((value, order)) = loaded(&event.op) {
                let initial = record
                    .objects
                    .get(event.object as usize)
                    .and_then(|object| object.initial);
                let source = graph.source(index, value, initial, policy);
                graph.sources[index] = source;
                if let Some(Source::Store(store)) = source {
                    graph.synchronise(store, index, order);
                    graph.clocks[index] = graph.clock(index, threads);
                }
            }
        }
        graph
    }

    fn order(&mut self, before: usize, after: usize) {
        self.edges[before].push((after, None));
        self.incoming[after].push(before);
    }

    fn clock(&self, index: usize, threads: usize) -> Vec<usize> {
        let mut clock = vec![0; threads];
        for &before in &self.incoming[index] {
            for (mine, theirs) in clock.iter_mut().zip(&self.clocks[before]) {
                *mine = (*mine).max(*theirs);
            }
        }
        clock[self.events[index].thread] = self.positions[index];
        clock
    }

    /// Where the load at `load` has taken `value` from. Coherence rules out what is older than a store the thread
    /// already knows of; a read-modify-write reads the newest.
    fn source(
        &self,
        load: usize,
        value: Value,
        initial: Option<Value>,
        policy: Policy,
    ) -> Option<Source> {
        let event = &self.events[load];
        if let Some(name) = event.trace.source {
            let named = |event: &Event| event.trace.store == Some(name);
            return Some(
                self.events
                    .iter()
                    .position(named)
                    .map_or(Source::Initial, Source::Store),
            );
        }
        let known = |store: &usize| {
            let ordered = self.clocks[load][self.events[*store].thread] >= self.positions[*store];
            let read = || {
                (0..load).any(|index| {
                    self.events[index].thread == event.thread
                        && self.sources[index] == Some(Source::Store(*store))
                })
            };
            ordered || read()
        };
        let stores: Vec<usize> = (0..load)
            .filter(|&index| {
                self.events[index].object == event.object
                    && stored(&self.events[index].op).is_some()
            })
            .collect();
        let oldest = stores.iter().copied().rev().find(known);
        let mut candidates: Vec<Source> = stores
            .iter()
            .copied()
            .filter(|&store| oldest.is_none_or(|oldest| store >= oldest))
            .filter(|&store| {
                stored(&self.events[store].op)
                    .is_some_and(|(written, _)| written.bits == value.bits)
            })
            .map(Source::Store)
            .collect();
        if oldest.is_none() && initial.is_some_and(|initial| initial.bits == value.bits) {
            candidates.insert(0, Source::Initial);
        }
        match policy {
            Policy::Oldest if matches!(event.op, Op::Load { .. }) => candidates.first().copied(),
            _ => candidates.last().copied(),
        }
    }

    fn synchronise(&mut self, store: usize, load: usize, order: Ordering) {
        let mut heads = Vec::new();
        let mut link = store;
        loop {
            let event = &self.events[link];
            if stored(&event.op).is_some_and(|(_, order)| releases(order)) {
                heads.push(link);
            }
            let fence = (0..link).rev().find(|&index| {
                self.events[index].thread == event.thread
                    && matches!(self.events[index].op, Op::Fence(order) if releases(order))
            });
            heads.extend(fence);
            // A read-modify-write continues the release sequence of what it has read.
            match self.sources[link] {
                Some(Source::Store(previous)) => link = previous,
                _ => break,
            }
        }
        let thread = self.events[load].thread;
        let tail = if acquires(order) {
            Some(load)
        } else {
            (load + 1..self.events.len()).find(|&index| {
                self.events[index].thread == thread
                    && matches!(self.events[index].op, Op::Fence(order) if acquires(order))
            })
        };
        let acquire = tail.is_none();
        let tail = tail.unwrap_or(load);
        // A thread knows what it did itself.
        heads.retain(|&head| self.events[head].thread != thread);
        for &head in &heads {
            if acquire {
                // The store itself may be of the reader's own thread, and only continue what another one has released.
                let released =
                    if self.events[store].thread == thread && stores(&self.events[head].op) {
                        head
                    } else {
                        store
                    };
                let missing = Missing {
                    store: released,
                    load,
                    release: false,
                    acquire,
                };
                self.edges[head].push((tail, Some(missing)));
            } else {
                self.order(head, tail);
            }
        }
        if !heads.contains(&store) && self.events[store].thread != thread {
            self.edges[store].push((
                tail,
                Some(Missing {
                    store,
                    load,
                    release: true,
                    acquire,
                }),
            ));
        }
    }

    /// What is missing on the cheapest path from `from` to `to`; `None` if there is no path.
    fn missing(&self, from: usize, to: usize) -> Option<Vec<Missing>> {
        let mut best = vec![usize::MAX; self.events.len()];
        let mut came = vec![None::<(usize, Option<Missing>)>; self.events.len()];
        best[from] = 0;
        // Every edge leads forward in time, so one sweep settles all.
        for node in from..self.events.len() {
            if best[node] == usize::MAX {
                continue;
            }
            for &(next, missing) in &self.edges[node] {
                let price = best[node]
                    + missing.map_or(0, |missing| {
                        usize::from(missing.release) + usize::from(missing.acquire)
                    });
                if price < best[next] {
                    best[next] = price;
                    came[next] = Some((node, missing));
                }
            }
        }
        (best[to] != usize::MAX).then(|| {
            let mut found = Vec::new();
            let mut node = to;
            while let Some((previous, missing)) = came[node] {
                found.extend(missing);
                node = previous;
            }
            found.reverse();
            found
        })
    }
}

/// An explanation, and the events it speaks of.
#[derive(Default)]
pub(super) struct Why {
    pub text: String,
    pub speaks_of: Vec<usize>,
    /// Whether it says that other orderings would have helped.
    pub blames_an_ordering: bool,
}

/// What makes up for what is missing.
fn cure_of(picture: &Picture, missing: &[Missing]) -> Cure {
    let mut cure = Cure::default();
    let mut strengthen = |event: usize, own: Ordering, order: Ordering| match cure
        .orders
        .iter_mut()
        .find(|(other, _)| *other == event)
    {
        Some((_, mine)) => *mine = join(*mine, order),
        None => cure.orders.push((event, join(own, order))),
    };
    for missing in missing {
        let store = stored(&picture.events[missing.store].op);
        if let Some((_, own)) = store.filter(|_| missing.release) {
            strengthen(missing.store, own, Release);
        }
        let load = loaded(&picture.events[missing.load].op);
        if let Some((_, own)) = load.filter(|_| missing.acquire) {
            strengthen(missing.load, own, Acquire);
        }
    }
    cure
}

/// What would have helped, found by trying.
fn tried(picture: &Picture, goal: Goal) -> Option<(String, Vec<usize>)> {
    let cure = picture.cure(goal)?;
    let words = capital(picture.words(&cure));
    let forbids = picture.helps(&cure, Goal::Forbidden);
    let text = match goal {
        Goal::Ordered(..) if !forbids => format!("{words} would order the two."),
        _ => format!("{words} would have made this execution impossible."),
    };
    Some((text, Picture::speaks_of(&cure)))
}

fn sentence(picture: &Picture, missing: &Missing) -> String {
    let Missing {
        store,
        load,
        release,
        acquire,
    } = *missing;
    let order = |index: usize, load: bool| {
        let op = &picture.events[index].op;
        let (_, order) =
            if load { loaded(op) } else { stored(op) }.expect("an edge joins a store and a load");
        format!("{order:?}")
    };
    let (from, to) = (picture.step(store), picture.step(load));
    let thread = picture.thread(picture.events[store].thread);
    // Advice for those who write with fences.
    let fences = || {
        let mut ops = picture.events.iter().map(|event| &event.op);
        ops.any(|op| matches!(op, Op::Fence(_)))
    };
    let or_a_fence = |order: &str, side: &str| {
        if fences() {
            format!(", or a fence({order}) right {side} it")
        } else {
            String::new()
        }
    };
    match (release, acquire) {
        (true, false) => format!(
            "{to} read what {from} stored, but {from} is {}: it publishes nothing that {thread} did before it. \
             It needs Release{}.",
            order(store, false),
            or_a_fence("Release", "before")
        ),
        (false, true) => format!(
            "{to} read what {from} released, but {to} is {}: it sees nothing that {thread} did before. It needs \
             Acquire{}.",
            order(load, true),
            or_a_fence("Acquire", "after")
        ),
        _ => format!(
            "{to} read what {from} stored, but {from} is {} and {to} is {}: it takes a Release store that is read by \
             an Acquire load to order what stands before the one before what stands after the other.",
            order(store, false),
            order(load, true)
        ),
    }
}

/// What is missing, and which step needs two things.
fn sentences(picture: &Picture, missing: &[Missing]) -> String {
    let missed = missing
        .iter()
        .map(|missing| capital(sentence(picture, missing)));
    let cure = cure_of(picture, missing);
    let both = cure.orders.iter().filter(|(_, order)| *order == AcqRel);
    let both = both.map(|&(event, _)| format!("So {} needs AcqRel.", picture.step(event)));
    missed.chain(both).collect::<Vec<_>>().join(" ")
}

/// Two accesses to one cell that nothing orders; the later one is the last event.
pub(super) fn race(picture: &Picture, record: &Record) -> Why {
    let last = picture.events.len() - 1;
    let failing = &picture.events[last];
    let object = record.objects.get(failing.object as usize);
    let rivals: Vec<usize> = (0..last)
        .rev()
        .filter(|&index| {
            let event = &picture.events[index];
            event.object == failing.object
                && event.thread != failing.thread
                && conflict(&event.op, &failing.op)
        })
        .collect();
    // Initialisation has no event of its own: it comes right before its thread's next one.
    let initialisation = object
        .filter(|object| object.creator != failing.thread)
        .and_then(|object| {
            (object.born..last).find(|&index| picture.events[index].thread == object.creator)
        });
    // If everything is ordered, some load must have read an older store of the same value.
    let found = [Policy::Latest, Policy::Oldest]
        .into_iter()
        .find_map(|policy| {
            let graph = Graph::new(record, &picture.events, policy);
            let unordered = |&index: &usize| match picture.happens_before(index, last) {
                Some(ordered) => !ordered,
                None => graph
                    .missing(index, last)
                    .is_none_or(|missing| !missing.is_empty()),
            };
            let rival = rivals
                .iter()
                .copied()
                .find(unordered)
                .map(|rival| (rival, false));
            let rival = rival.or_else(|| {
                initialisation
                    .filter(|next| unordered(next))
                    .map(|next| (next, true))
            })?;
            Some((rival, graph))
        });
    let Some(((from, initialises), graph)) = found else {
        let text = "Another access to the same memory is not ordered before this one.".to_owned();
        return Why {
            text,
            ..Why::default()
        };
    };
    let other = picture.thread(picture.events[from].thread);
    let opening = if initialises {
        let created = object.expect("it was initialised").created;
        format!(
            "{} touches what {other} has initialised at {}:{}, and nothing orders that initialisation before it.",
            capital(picture.step(last)),
            created.file().rsplit('/').next().unwrap_or_default(),
            created.line()
        )
    } else {
        let what = match picture.events[from].op {
            Op::CellRead => "read",
            Op::CellWrite => "write",
            Op::Exclusive("drop") => "drop",
            _ => "access",
        };
        format!(
            "{} races with {}: nothing orders {other}'s {what} before it.",
            capital(picture.step(last)),
            picture.step(from)
        )
    };
    let mut speaks_of = vec![from];
    let goal = Goal::Ordered(from, last);
    let missing = graph.missing(from, last).unwrap_or_default();
    let mut blames_an_ordering = true;
    let closing = if !missing.is_empty() && picture.helps(&cure_of(picture, &missing), goal) {
        let ends = missing
            .iter()
            .flat_map(|missing| [missing.store, missing.load]);
        speaks_of.extend(ends);
        sentences(picture, &missing)
    } else if let Some((text, events)) = overlooked(picture, goal).or_else(|| tried(picture, goal))
    {
        speaks_of.extend(events);
        text
    } else {
        blames_an_ordering = false;
        "No ordering can help; the two must be kept apart.".to_owned()
    };
    Why {
        text: format!("{opening} {closing}"),
        speaks_of,
        blames_an_ordering,
    }
}

/// The last load that returned an old value, and the newest store that it has overlooked.
fn last_stale(picture: &Picture) -> Option<(usize, usize)> {
    let loads = (0..picture.events.len()).rev();
    loads
        .into_iter()
        .find_map(|load| Some((load, picture.overlooked(load).pop()?)))
}

/// The last load that did not return what was stored last although it overlooked nothing, and that store.
fn last_overtaken(picture: &Picture) -> Option<(usize, usize)> {
    let events = &picture.events;
    (0..events.len()).rev().find_map(|load| {
        let event = &events[load];
        let (Op::Load { value: Some(_), .. }, Some(source)) = (&event.op, event.trace.source)
        else {
            return None;
        };
        let store = (0..load).rev().find(|&index| {
            events[index].object == event.object && events[index].trace.store.is_some()
        })?;
        (events[store].trace.store != Some(source)).then_some((load, store))
    })
}

/// The last load that returned an old value, and why it could.
pub(super) fn stale(picture: &Picture, record: &Record) -> Option<Why> {
    let events = &picture.events;
    let stale = last_stale(picture);
    let (load, store) = stale.or_else(|| last_overtaken(picture))?;
    let goal = Goal::Forbidden;
    let mut speaks_of = vec![load, store];
    let opening = if stale.is_none() {
        let source = events[load].trace.source;
        let read = (0..load).find(|&index| events[index].trace.store == source)?;
        speaks_of.push(read);
        format!(
            "{} returned what {} stored although {} had stored something else by then: nothing orders the two stores, so \
             whichever comes last in the modification order of {} stays.",
            capital(picture.step(load)),
            picture.step(read),
            picture.step(store),
            picture.name(events[load].object)
        )
    } else {
        format!(
            "{} returned an old value although {} had stored a newer one: nothing orders {} before {}.",
            capital(picture.step(load)),
            picture.step(store),
            picture.step(store),
            picture.step(load)
        )
    };
    let graph = Graph::new(record, events, Policy::Latest);
    let missing = graph.missing(store, load).unwrap_or_default();
    let closing = if !missing.is_empty() && picture.helps(&cure_of(picture, &missing), goal) {
        let ends = missing
            .iter()
            .flat_map(|missing| [missing.store, missing.load]);
        speaks_of.extend(ends);
        sentences(picture, &missing)
    } else {
        let found = store_buffering(picture, load, store, goal).or_else(|| tried(picture, goal));
        let (text, events) = found?;
        speaks_of.extend(events);
        text
    };
    Some(Why {
        text: format!("{opening} {closing}"),
        speaks_of,
        blames_an_ordering: true,
    })
}

/// A load that missed a store of another thread because both threads store first and then look: two accesses that no chain
/// of reads joins are kept apart by an older value that should not have been read.
fn overlooked(picture: &Picture, goal: Goal) -> Option<(String, Vec<usize>)> {
    let loads = (0..picture.events.len()).rev();
    let mut missed = loads.flat_map(|load| {
        let stores = picture.overlooked(load).into_iter();
        stores.map(move |store| (load, store))
    });
    missed.find_map(|(load, store)| {
        let (text, mut events) = store_buffering(picture, load, store, goal)?;
        let opening = format!(
            "{} returned an old value although {} had stored a newer one.",
            capital(picture.step(load)),
            picture.step(store)
        );
        events.extend([load, store]);
        Some((format!("{opening} {text}"), events))
    })
}

/// A store followed by a load of something else, in both threads: only a full fence in each keeps their order.
fn store_buffering(
    picture: &Picture,
    load: usize,
    store: usize,
    goal: Goal,
) -> Option<(String, Vec<usize>)> {
    let events = &picture.events;
    let thread = events[load].thread;
    let own = (0..load).rev().find(|&index| {
        events[index].thread == thread
            && events[index].object != events[load].object
            && stored(&events[index].op).is_some()
    })?;
    let full_fence = |from: usize, to: usize, thread: usize| {
        (from..to).any(|index| {
            events[index].thread == thread && matches!(events[index].op, Op::Fence(SeqCst))
        })
    };
    let sequential = |index: usize| seq_cst(&events[index].op);
    let other = events[store].thread;
    let theirs = (store + 1..events.len()).find(|&index| {
        events[index].thread == other
            && events[index].object == events[own].object
            && loaded(&events[index].op).is_some()
    });
    let mut lacking = Vec::new();
    if !(full_fence(own, load, thread) || sequential(own) && sequential(load)) {
        lacking.push((own, load));
    }
    if let Some(theirs) = theirs
        && !(full_fence(store, theirs, other) || sequential(store) && sequential(theirs))
    {
        lacking.push((store, theirs));
    }
    let fences = Cure {
        fences: lacking.iter().map(|&(store, _)| store).collect(),
        ..Cure::default()
    };
    let accesses = lacking.iter().flat_map(|&(store, load)| [store, load]);
    let orders = Cure {
        orders: accesses.map(|access| (access, SeqCst)).collect(),
        ..Cure::default()
    };
    let what = match [&fences, &orders].map(|cure| picture.helps(cure, goal)) {
        _ if lacking.is_empty() => return None,
        [true, true] => "A fence(SeqCst), or SeqCst on the store and on the load, is missing",
        [true, false] => "A fence(SeqCst) is missing",
        [false, true] => "SeqCst on the store and on the load is missing",
        [false, false] => return None,
    };
    let places = lacking.iter().map(|&(store, load)| {
        format!(
            "{} between {} and {}",
            picture.thread(events[store].thread),
            picture.step(store),
            picture.step(load)
        )
    });
    let text = format!(
        "A store followed by a load of something else may take effect in the other order (store buffering), and \
         Release and Acquire do not prevent it. {what} in {}.",
        places.collect::<Vec<_>>().join(" and in ")
    );
    Some((text, [Some(own), theirs].into_iter().flatten().collect()))
}

/// What each blocked thread waits for. The blocked operations are the last events.
pub(super) fn deadlock(picture: &Picture) -> Why {
    let events = &picture.events;
    let mut speaks_of = Vec::new();
    let mut sentences = Vec::new();
    for blocked in picture.performed..events.len() {
        let event = &events[blocked];
        let who = picture.thread(event.thread);
        let earlier = |found: &dyn Fn(&Event) -> bool| {
            (0..blocked.min(picture.performed))
                .rev()
                .find(|&index| found(&events[index]))
        };
        let sentence = match event.op {
            Op::Lock(_) => {
                let holder = earlier(&|other| {
                    other.object == event.object
                        && matches!(
                            other.op,
                            Op::Lock(_)
                                | Op::TryLock {
                                    acquired: Some(true),
                                    ..
                                }
                        )
                });
                match holder {
                    Some(holder) => {
                        speaks_of.push(holder);
                        let owner = events[holder].thread;
                        let owner = if owner == event.thread {
                            "itself".into()
                        } else {
                            picture.thread(owner)
                        };
                        format!(
                            "{who} waits for {}, held by {owner} since {}.",
                            picture.name(event.object),
                            picture.step(holder)
                        )
                    }
                    None => format!("{who} waits for {}.", picture.name(event.object)),
                }
            }
            Op::Wait { .. } => {
                match earlier(&|other| {
                    other.object == event.object && matches!(other.op, Op::Notify(_))
                }) {
                    Some(notify) => {
                        speaks_of.push(notify);
                        format!(
                            "{who} waits on {}, but the last notification, {}, has already happened: nobody will wake it.",
                            picture.name(event.object),
                            picture.step(notify)
                        )
                    }
                    None => format!(
                        "{who} waits on {}, and nobody ever notifies it.",
                        picture.name(event.object)
                    ),
                }
            }
            Op::Park { .. } => match earlier(
                &|other| matches!(other.op, Op::Unpark(target) if target == event.thread),
            ) {
                Some(unpark) => {
                    speaks_of.push(unpark);
                    // The first park that could take it did.
                    let used = (unpark..blocked).find(|&index| {
                        let other = &events[index];
                        other.thread == event.thread
                            && matches!(other.op, Op::Park { spurious: false })
                    });
                    speaks_of.extend(used);
                    let by =
                        used.map_or_else(String::new, |used| format!(" by {}", picture.step(used)));
                    format!(
                        "{who} is parked; its last unpark, {}, has already been used up{by}.",
                        picture.step(unpark)
                    )
                }
                None => format!("{who} is parked, and nobody ever unparks it."),
            },
            Op::Await { .. } => {
                let poll = earlier(&|other| {
                    other.thread == event.thread && matches!(other.op, Op::Poll(false))
                });
                let wake = earlier(
                    &|other| matches!(other.op, Op::Wake { thread, .. } if thread == event.thread),
                );
                speaks_of.extend(poll);
                speaks_of.extend(wake);
                let since = poll.map_or_else(String::new, |poll| {
                    format!(" since its poll returned Pending in {}", picture.step(poll))
                });
                let stale = |wake: usize| matches!(events[wake].op, Op::Wake { stale: true, .. });
                let wake = match wake {
                    Some(wake) if stale(wake) => format!(
                        "but the last wake, {}, was called on the waker of an earlier poll. The waker of the latest poll is \
                         the one that counts: nobody will wake it.",
                        picture.step(wake)
                    ),
                    Some(wake) => format!(
                        "but the last wake, {}, has already been used up: nobody will wake it.",
                        picture.step(wake)
                    ),
                    None => "and nobody ever wakes it.".to_owned(),
                };
                format!("{who} has been waiting to be woken{since}, {wake}")
            }
            Op::Join(target) => format!("{who} waits for {} to end.", picture.thread(target)),
            _ => format!("{who} is stuck."),
        };
        sentences.push(sentence);
    }
    let stale = last_stale(picture);
    let mut blames_an_ordering = false;
    if let Some((load, store)) = stale
        && let Some((text, more)) = tried(picture, Goal::Forbidden)
    {
        sentences.push(format!(
            "{} returned an old value although {} had stored a newer one. {text}",
            capital(picture.step(load)),
            picture.step(store)
        ));
        speaks_of.extend([load, store]);
        speaks_of.extend(more);
        blames_an_ordering = true;
    }
    Why {
        text: sentences.join(" "),
        speaks_of,
        blames_an_ordering,
    }
}

/// What the adversary did to the thread that failed last, if anything.
pub(super) fn adversary(picture: &Picture, thread: usize) -> Option<Why> {
    let own = |&index: &usize| picture.events[index].thread == thread;
    let last = (0..picture.events.len())
        .rev()
        .filter(own)
        .take(12)
        .find(|&index| {
            matches!(
                picture.events[index].op,
                Op::Wait { spurious: true }
                    | Op::Park { spurious: true }
                    | Op::Await { spurious: true }
                    | Op::Rmw { spurious: true, .. }
            )
        })?;
    let step = capital(picture.step(last));
    let text = match picture.events[last].op {
        Op::Rmw { .. } => format!(
            "{step} failed although the value was the expected one: compare_exchange_weak may do that at any time. Use it \
             in a loop, or use compare_exchange."
        ),
        Op::Await { .. } => format!(
            "{step} polled the future again although nobody had woken it: executors may do that at any time. A future that \
             is polled looks again whether what it waits for has come, and keeps the waker of this poll."
        ),
        Op::Park { .. } => format!(
            "{step} returned although nobody unparked the thread: park may do that at any time. Park in a loop that \
             looks again whether there is still a reason to wait."
        ),
        _ => format!(
            "{step} returned although nobody notified: wait may do that at any time. Wait in a loop that checks the \
             condition again."
        ),
    };
    Some(Why {
        text,
        speaks_of: vec![last],
        ..Why::default()
    })
}

/// Two accesses to one cell at the same time; the later one is the last event.
pub(super) fn overlap(picture: &Picture, why: &str) -> Why {
    let last = picture.events.len() - 1;
    let failing = &picture.events[last];
    let inside = (0..last).rev().find(|&index| {
        let event = &picture.events[index];
        event.object == failing.object
            && event.thread != failing.thread
            && conflict(&event.op, &failing.op)
    });
    let Some(inside) = inside else {
        return Why {
            text: why.to_owned(),
            ..Why::default()
        };
    };
    let text = format!(
        "{} begins while {} is still inside {}. {why}",
        capital(picture.step(last)),
        picture.thread(picture.events[inside].thread),
        picture.step(inside)
    );
    Why {
        text,
        speaks_of: vec![inside],
        ..Why::default()
    }
}

/// What the threads that never finish look at.
pub(super) fn spinning(picture: &Picture) -> Why {
    let events = &picture.events;
    let mut speaks_of = Vec::new();
    let mut text =
        "The execution was given up: somebody spins for longer than the bound on steps allows."
            .to_owned();
    for thread in 0..picture.threads.len() {
        // A thread that is in the middle of nothing has finished.
        if !events[picture.performed..]
            .iter()
            .any(|event| event.thread == thread)
        {
            continue;
        }
        let own = |&index: &usize| events[index].thread == thread;
        let recent = (0..events.len()).rev().filter(own).take(4);
        let Some(look) = recent
            .into_iter()
            .find(|&index| loaded(&events[index].op).is_some())
        else {
            continue;
        };
        let object = events[look].object;
        // Whoever swaps in the value that is there already has not put it there.
        let value = loaded(&events[look].op).map(|(value, _)| value.bits);
        let set = (0..look)
            .rev()
            .filter(|&index| events[index].object == object)
            .filter_map(|index| stored(&events[index].op).map(|(written, _)| (index, written.bits)))
            .take_while(|&(_, written)| Some(written) == value)
            .last()
            .map(|(index, _)| index);
        let (Some((value, _)), Some(set)) = (loaded(&events[look].op), set) else {
            continue;
        };
        if stored(&events[set].op).is_some_and(|(written, _)| written.bits == value.bits) {
            speaks_of.push(set);
            text += &format!(
                " {} keeps finding {} in {}, where {} has put it.",
                picture.thread(thread),
                picture.value(value),
                picture.name(object),
                picture.step(set)
            );
        }
    }
    text += " A thread that waits must call kata's hint::spin_loop or thread::yield_now on every turn (std's are invisible \
             here), or nobody else gets a turn. If it does, what it waits for never comes.";
    Why {
        text,
        speaks_of,
        ..Why::default()
    }
}

/// Who freed what the last event touches.
pub(super) fn freed(picture: &Picture, why: &str) -> Why {
    let last = picture.events.len() - 1;
    let object = picture.events[last].object;
    let dropped = (0..last).rev().find(|&index| {
        object != NO_OBJECT
            && picture.events[index].object == object
            && matches!(picture.events[index].op, Op::Exclusive("drop"))
    });
    let Some(dropped) = dropped else {
        return Why {
            text: why.to_owned(),
            ..Why::default()
        };
    };
    let mut text = format!(
        "{} touches {}, which {} freed in {}.",
        capital(picture.step(last)),
        picture.name(object),
        picture.thread(picture.events[dropped].thread),
        picture.step(dropped)
    );
    let mut speaks_of = vec![dropped];
    let goal = Goal::Forbidden;
    let reason = overlooked(picture, goal).or_else(|| tried(picture, goal));
    let blames_an_ordering = reason.is_some();
    if let Some((reason, events)) = reason {
        text = format!("{text} {reason}");
        speaks_of.extend(events);
    }
    Why {
        text,
        speaks_of,
        blames_an_ordering,
    }
}

fn capital(text: impl Into<String>) -> String {
    let text = text.into();
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| {
        first.to_uppercase().chain(chars).collect()
    })
}
