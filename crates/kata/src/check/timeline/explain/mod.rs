//! The last sentence of a picture: which edge is missing.
//!
//! The recorded operations form a graph: program order, spawn and join, locks, and the edges by which a store
//! synchronises with a load that reads from it. A second kind of edge, at a price, stands for a store and a load that reads from
//! it but whose orderings do not synchronise. The cheapest path from one access to the other then consists of what may be
//! missing. That is a guess, which is tried ([`cure`](super::cure)) before anybody is told of it.

mod adversary;
mod deadlock;
mod freed;
mod race;
mod spinning;
mod stale;

use super::Picture;
use super::cure::{Cure, Goal, Search, acquires, full_fence_after, join, releases};
use crate::record::{Event, NO_OBJECT, Op, Record, Value};
pub(super) use adversary::adversary;
pub(super) use deadlock::deadlock;
pub(super) use freed::freed;
use memory_model::{Fence, Side};
pub(super) use race::{overlap, race};
pub(super) use spinning::spinning;
pub(super) use stale::stale;
use stale::{last_stale, overlooked, overlooks};
use std::collections::HashMap;
use std::sync::atomic::Ordering::{self, AcqRel, Acquire, Release, SeqCst};

fn seq_cst(op: &Op) -> bool {
    match *op {
        Op::Load { order, .. } | Op::Store { order, .. } | Op::Rmw { order, .. } => order == SeqCst,
        Op::Fence(order) => order == SeqCst,
        _ => false,
    }
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

fn stores(op: &Op) -> bool {
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
        exclusive(op)
            || matches!(op, Op::CellRead | Op::Unpark(_))
            || stored(op).is_some()
            || loaded(op).is_some()
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

struct Graph<'a> {
    events: &'a [Event],
    edges: Vec<Vec<(usize, Option<Missing>)>>,
    /// The event whose store each load reads; `None` for the initial value.
    sources: Vec<Option<usize>>,
}

impl<'a> Graph<'a> {
    fn new(picture: &'a Picture) -> Self {
        let events = &picture.events;
        let mut graph = Self {
            events,
            edges: vec![Vec::new(); events.len()],
            sources: vec![None; events.len()],
        };
        let threads = picture.threads.len();
        let mut last_of = vec![None::<usize>; threads];
        let mut spawned_by = vec![None::<usize>; threads];
        let mut unlocked = HashMap::<u32, usize>::new();
        let mut unparked = vec![None::<usize>; threads];
        let mut woken = vec![None::<usize>; threads];
        for (index, event) in events.iter().enumerate() {
            let previous = last_of[event.thread].replace(index);
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
            if let (Some((_, order)), Some(source)) = (loaded(&event.op), event.trace.source) {
                let named = |event: &Event| event.trace.store == Some(source);
                graph.sources[index] = events.iter().position(named);
                if let Some(store) = graph.sources[index] {
                    graph.synchronise(store, index, order);
                }
            }
        }
        graph
    }

    fn order(&mut self, before: usize, after: usize) {
        self.edges[before].push((after, None));
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
                Some(previous) => link = previous,
                None => break,
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
    /// What it says would have helped, and how. Nothing if it blames no ordering.
    pub advises: Vec<(Cure, Goal)>,
}

impl Why {
    /// Goes on with an advice.
    fn advise(&mut self, advice: Advice, goal: Goal) {
        self.text = format!("{} {}", self.text, advice.text);
        self.speaks_of.extend(advice.speaks_of);
        let cures = advice.cures.into_iter();
        self.advises.extend(cures.map(|cure| (cure, goal)));
    }
}

/// What would have helped: each of these cures does.
struct Advice {
    text: String,
    speaks_of: Vec<usize>,
    cures: Vec<Cure>,
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
fn tried(picture: &Picture, goal: Goal) -> Search<Advice> {
    picture.cure(goal).map(|cure| {
        let words = capital(picture.words(&cure));
        let text = match goal {
            Goal::Ordered(..) if !picture.helps(&cure, Goal::Forbidden) => {
                format!("{words} would order the two.")
            }
            _ => format!("{words} would have made this execution impossible."),
        };
        Advice {
            text,
            speaks_of: Picture::speaks_of(&cure),
            cures: vec![cure],
        }
    })
}

/// What is missing on the way from one event to another, if it is that which helps.
fn missing(picture: &Picture, from: usize, to: usize, goal: Goal) -> Option<Advice> {
    let missing = Graph::new(picture).missing(from, to)?;
    let cure = cure_of(picture, &missing);
    if missing.is_empty() || !picture.helps(&cure, goal) {
        return None;
    }
    let mut advice = Advice {
        text: String::new(),
        speaks_of: Vec::new(),
        cures: Vec::new(),
    };
    let mut said = Vec::new();
    for step in &missing {
        let fenced = with_a_fence(&cure, step).filter(|cure| picture.helps(cure, goal));
        said.push(capital(sentence(picture, step, fenced.is_some())));
        advice.speaks_of.extend([step.store, step.load]);
        advice.cures.extend(fenced);
    }
    let both = cure.orders.iter().filter(|(_, order)| *order == AcqRel);
    said.extend(both.map(|&(event, _)| format!("So {} needs AcqRel.", picture.step(event))));
    advice.text = said.join(" ");
    advice.cures.insert(0, cure);
    Some(advice)
}

/// The same cure with a fence in place of one of its orderings.
fn with_a_fence(cure: &Cure, missing: &Missing) -> Option<Cure> {
    let (beside, side, order) = match (missing.release, missing.acquire) {
        (true, false) => (missing.store, Side::Before, Release),
        (false, true) => (missing.load, Side::After, Acquire),
        _ => return None,
    };
    let mut cure = cure.clone();
    let place = cure.orders.iter().position(|&(event, _)| event == beside)?;
    // Where it is to have both, one of them is not enough.
    if cure.orders[place].1 == AcqRel {
        return None;
    }
    cure.orders.remove(place);
    cure.fences.push(Fence {
        beside,
        side,
        order,
    });
    Some(cure)
}

fn sentence(picture: &Picture, missing: &Missing, may_be_a_fence: bool) -> String {
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
        if may_be_a_fence && fences() {
            format!(", or a fence({order}) right {side} it")
        } else {
            String::new()
        }
    };
    // A fence publishes what comes before it, and not the store behind it.
    let fence = (0..store).rev().find(|&index| {
        picture.events[index].thread == picture.events[store].thread
            && matches!(picture.events[index].op, Op::Fence(order) if releases(order))
    });
    match (release, acquire) {
        (true, false) if fence.is_some() => format!(
            "{to} read what {from} stored, but {from} is {}, and {}, a fence, publishes only what comes before that fence. {} needs \
             Release{}.",
            order(store, false),
            picture.step(fence.unwrap_or(store)),
            capital(&from),
            or_a_fence("Release", "before")
        ),
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

fn capital(text: impl Into<String>) -> String {
    let text = text.into();
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| {
        first.to_uppercase().chain(chars).collect()
    })
}
