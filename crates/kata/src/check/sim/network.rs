//! A discrete-event simulation: events in the order of virtual time, and of their making where times are equal.

use std::collections::{BTreeMap, VecDeque};
use std::ops::RangeInclusive;

use super::diagram::Record;
use super::diagram::Stamp;
use super::schedule::shorten;
use super::{
    Effect, EffectOf, Fault, Faults, Id, Input, Kind, Moment, Property, Protocol, Random, Schedule,
    View, Violation, command, fail, guarded,
};
use crate::check::report::Report;

/// The seed of the one run to make.
const SEED: &str = "KATA_SEED";

/// Runs a [`Protocol`] once for each seed.
///
/// Without any faults messages are never lost or doubled, and take from 1 to 20 ms, so that they may overtake each other.
#[derive(Clone)]
pub struct Sim<P> {
    protocol: P,
    seeds: u64,
    until: u64,
    latency: RangeInclusive<u64>,
    faults: Faults,
    fixed: Option<Schedule>,
    most_events: usize,
}

impl<P> std::fmt::Debug for Sim<P> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Sim")
            .field("seeds", &self.seeds)
            .field("faults", &self.faults)
            .finish_non_exhaustive()
    }
}

impl<P: Protocol> Sim<P> {
    /// 200 seeds, ten seconds of virtual time each, no faults.
    ///
    /// # Panics
    /// If there are less than two nodes.
    pub fn new(protocol: P) -> Self {
        assert!(protocol.nodes() > 1, "a network has at least two nodes");
        Self {
            protocol,
            seeds: 200,
            until: 10_000,
            latency: 1..=20,
            faults: Faults { most: 0, until: 0 },
            fixed: None,
            most_events: 100_000,
        }
    }

    /// How many seeds, from 0.
    #[must_use]
    pub fn seeds(self, seeds: u64) -> Self {
        Self { seeds, ..self }
    }

    /// When a run ends, in milliseconds of virtual time.
    #[must_use]
    pub fn until(self, until: u64) -> Self {
        Self { until, ..self }
    }

    /// How many milliseconds a message takes when nothing is wrong.
    #[must_use]
    pub fn latency(self, latency: RangeInclusive<u64>) -> Self {
        Self { latency, ..self }
    }

    /// Draws a schedule of faults from each seed.
    #[must_use]
    pub fn faults(self, faults: Faults) -> Self {
        Self { faults, ..self }
    }

    /// The same schedule for every seed.
    #[must_use]
    pub fn schedule(self, schedule: Schedule) -> Self {
        Self {
            fixed: Some(schedule),
            ..self
        }
    }

    /// More events than this in one run are a storm. 100,000 if nothing else is said.
    #[must_use]
    pub fn at_most(self, events: usize) -> Self {
        Self {
            most_events: events,
            ..self
        }
    }

    /// Makes all runs. With a seed in `KATA_SEED`, makes that run alone and prints all that happens in it.
    ///
    /// # Panics
    /// If a run violates `property`. Its schedule is made as short as it gets first; the picture goes to stderr.
    pub fn run(&self, property: impl Property<P>) {
        let seed = std::env::var(SEED).ok().and_then(|seed| seed.parse().ok());
        if let Some(seed) = seed {
            println!("{}", self.log(seed, property.clone()));
        }
        let seeds = seed.map_or(0..self.seeds, |seed: u64| seed..seed.saturating_add(1));
        if let Err(report) = self.explore(seeds, property) {
            fail(&report);
        }
    }

    /// As [`run`](Self::run), for these seeds, without a panic or a picture on stderr.
    ///
    /// # Errors
    /// With the report of one seed whose run violates `property`: the one that does so first in virtual time.
    pub fn explore(
        &self,
        seeds: std::ops::Range<u64>,
        property: impl Property<P>,
    ) -> Result<(), Box<Report>> {
        let total = seeds.end - seeds.start;
        let failures: Vec<(u64, u64, Violation)> = seeds
            .filter_map(|seed| {
                let schedule = self.schedule_of(seed);
                let (at, violation) = self.once(seed, &schedule, property.clone(), None).err()?;
                Some((at, seed, violation))
            })
            .collect();
        // The one that fails first in virtual time has the shortest history to begin with.
        let Some((_, seed, violation)) = failures.iter().min_by_key(|(at, seed, _)| (*at, *seed))
        else {
            return Ok(());
        };
        let seed = *seed;
        let schedule = self.schedule_of(seed);
        let drawn = schedule.0.len();
        let same = |candidate: &Schedule| {
            let outcome = self.once(seed, candidate, property.clone(), None);
            outcome.is_err_and(|(_, other)| other.rule == violation.rule)
        };
        let schedule = shorten(schedule, same);
        let mut record = Record::new(self.protocol.nodes());
        let (_, violation) = self
            .once(seed, &schedule, property, Some(&mut record))
            .expect_err("it has failed before, and nothing is left to chance");
        let shortened = if schedule.0.len() == drawn {
            String::new()
        } else {
            format!(" (drawn: {drawn} faults)")
        };
        let explored = format!(
            "{} of {total} seeds fail; seed {seed}, {} nodes, {schedule}{shortened}",
            failures.len(),
            self.protocol.nodes()
        );
        let replay = format!("{SEED}={seed} {}", command());
        Err(Box::new(record.report(&violation, explored, replay)))
    }

    /// All that happens in the run of a seed, a line each. The same seed gives the same text, everywhere.
    pub fn log(&self, seed: u64, property: impl Property<P>) -> String {
        let mut record = Record::new(self.protocol.nodes());
        let schedule = self.schedule_of(seed);
        let outcome = self.once(seed, &schedule, property, Some(&mut record));
        let end = match outcome {
            Ok(()) => "nothing wrong".to_owned(),
            Err((_, violation)) => format!("{}: {}", violation.rule, violation.why),
        };
        format!("seed {seed}, {schedule}\n{}{end}\n", record.log())
    }

    fn schedule_of(&self, seed: u64) -> Schedule {
        match &self.fixed {
            Some(schedule) => schedule.clone(),
            None => self.faults.schedule(seed, self.protocol.nodes()),
        }
    }

    fn once<Q: Property<P>>(
        &self,
        seed: u64,
        schedule: &Schedule,
        property: Q,
        record: Option<&mut Record>,
    ) -> Result<(), (u64, Violation)> {
        let nodes = self.protocol.nodes();
        let mut run = Run {
            sim: self,
            seed,
            now: 0,
            sequence: 0,
            queue: BTreeMap::new(),
            nodes: (0..nodes).map(|_| None).collect(),
            stable: (0..nodes).map(|id| self.protocol.initial(id)).collect(),
            timers: vec![BTreeMap::new(); nodes],
            timers_set: 0,
            doomed: vec![None; nodes],
            paused: vec![0; nodes],
            waiting: (0..nodes).map(|_| VecDeque::new()).collect(),
            sent: vec![0; nodes * nodes],
            active: Vec::new(),
            property,
            record,
        };
        run.go(schedule).map_err(|violation| (run.now, violation))
    }
}

/// What is going to happen.
enum Event<M> {
    Begin(Fault, usize),
    End(Fault, usize),
    Restart(Id),
    Timer {
        node: Id,
        timer: usize,
        set: u64,
    },
    Deliver {
        from: Id,
        to: Id,
        message: M,
        stamp: Option<Stamp>,
    },
}

/// What chance decides about.
#[derive(Clone, Copy)]
enum Purpose {
    Loss = 1,
    Latency,
    Duplicate,
    LatencyOfDuplicate,
    Timer,
}

#[derive(Clone, Copy)]
struct Doom {
    /// Of its fault.
    index: usize,
    writing: bool,
    effects: usize,
    down: u64,
}

struct Run<'a, P: Protocol, Q> {
    sim: &'a Sim<P>,
    seed: u64,
    now: u64,
    sequence: u64,
    queue: BTreeMap<(u64, u64), Event<P::Message>>,
    nodes: Vec<Option<P::Node>>,
    stable: Vec<P::Stable>,
    /// By node: which timers are running, and as the how-manieth of all they were set.
    timers: Vec<BTreeMap<usize, u64>>,
    timers_set: u64,
    /// By node: how it is going to crash.
    doomed: Vec<Option<Doom>>,
    paused: Vec<usize>,
    /// What has come for a paused node.
    waiting: Vec<VecDeque<Event<P::Message>>>,
    /// By link: how many messages it was given.
    sent: Vec<u64>,
    /// The faults of the network that are going on, by their place in the schedule.
    active: Vec<(usize, Kind)>,
    property: Q,
    record: Option<&'a mut Record>,
}

impl<P: Protocol, Q: Property<P>> Run<'_, P, Q> {
    fn go(&mut self, schedule: &Schedule) -> Result<(), Violation> {
        for (index, fault) in schedule.0.iter().enumerate() {
            self.push(fault.at, Event::Begin(fault.clone(), index));
            self.push(fault.at + fault.lasts, Event::End(fault.clone(), index));
        }
        if let Some(record) = &mut self.record {
            record.set_now(Moment::Time(0));
        }
        for id in 0..self.nodes.len() {
            self.start(id)?;
        }
        let mut events = 0;
        while let Some(((at, _), event)) = self.queue.pop_first() {
            if at > self.sim.until {
                break;
            }
            self.now = at;
            if let Some(record) = &mut self.record {
                record.set_now(Moment::Time(at));
            }
            events += 1;
            if events > self.sim.most_events {
                return Err(Violation {
                    rule: "a storm of messages",
                    why: format!(
                        "{events} events in {at} ms: the nodes answer each other's answers, or their timers run out all the time."
                    ),
                    topic: None,
                });
            }
            self.happen(event)?;
        }
        self.now = self.sim.until;
        let view = View {
            nodes: &self.nodes,
            stable: &self.stable,
            moment: Moment::Time(self.now),
            node: 0,
            input: None,
            done: &[],
        };
        self.property.finish(&view)
    }

    fn push(&mut self, at: u64, event: Event<P::Message>) {
        self.queue.insert((at, self.sequence), event);
        self.sequence += 1;
    }

    fn happen(&mut self, event: Event<P::Message>) -> Result<(), Violation> {
        match event {
            Event::Begin(fault, index) => self.begin(fault, index),
            Event::End(fault, index) => self.end(fault, index),
            Event::Restart(node) => return self.start(node),
            Event::Timer { node, timer, set } => {
                if self.timers[node].get(&timer) != Some(&set) {
                    return Ok(());
                }
                if self.paused[node] > 0 {
                    self.waiting[node].push_back(Event::Timer { node, timer, set });
                    return Ok(());
                }
                self.timers[node].remove(&timer);
                if let Some(record) = &mut self.record {
                    let topic = self.nodes[node]
                        .as_ref()
                        .and_then(|node| self.sim.protocol.topic_of_node(node));
                    record.at(node, topic, "timeout");
                }
                return self.step(node, &Input::Timeout(timer));
            }
            Event::Deliver {
                from,
                to,
                message,
                stamp,
            } => {
                if self.paused[to] > 0 {
                    self.waiting[to].push_back(Event::Deliver {
                        from,
                        to,
                        message,
                        stamp,
                    });
                    return Ok(());
                }
                let lost = self.nodes[to].is_none();
                if let Some(record) = &mut self.record {
                    record.arrow(&self.sim.protocol, (from, to), &message, lost, stamp);
                }
                if !lost {
                    return self.step(to, &Input::Receive { from, message });
                }
            }
        }
        Ok(())
    }

    fn begin(&mut self, fault: Fault, index: usize) {
        match fault.kind {
            Kind::Crash {
                node,
                writing,
                effects,
                down,
            } => {
                self.doomed[node] = Some(Doom {
                    index,
                    writing,
                    effects,
                    down,
                });
            }
            Kind::Pause(node) => {
                self.paused[node] += 1;
                if let Some(record) = &mut self.record {
                    record.at(node, None, "paused");
                }
            }
            kind => {
                if let Some(record) = &mut self.record {
                    record.wide(kind.to_string());
                }
                self.active.push((index, kind));
            }
        }
    }

    fn end(&mut self, fault: Fault, index: usize) {
        match fault.kind {
            Kind::Crash { node, .. } => {
                if self.doomed[node].is_some_and(|doom| doom.index == index) {
                    self.doomed[node] = None;
                }
            }
            Kind::Pause(node) => {
                self.paused[node] -= 1;
                if self.paused[node] == 0 {
                    if let Some(record) = &mut self.record {
                        record.at(node, None, "goes on");
                    }
                    while let Some(event) = self.waiting[node].pop_front() {
                        self.push(self.now, event);
                    }
                }
            }
            kind => {
                if let Some(record) = &mut self.record {
                    record.wide(format!("no longer: {kind}"));
                }
                self.active.retain(|(active, _)| *active != index);
            }
        }
    }

    fn start(&mut self, id: Id) -> Result<(), Violation> {
        let protocol = &self.sim.protocol;
        let stable = &self.stable[id];
        let count = self.nodes.len();
        let outcome = guarded(count, id, || protocol.start(id, stable));
        if self.now > 0
            && let Some(record) = &mut self.record
        {
            record.restart(id, None);
        }
        let (node, effects) = outcome?;
        self.nodes[id] = Some(node);
        self.perform(id, None, &effects)
    }

    fn step(&mut self, id: Id, input: &Input<P::Message>) -> Result<(), Violation> {
        let Some(node) = &mut self.nodes[id] else {
            return Ok(());
        };
        let protocol = &self.sim.protocol;
        let count = self.stable.len();
        let outcome = guarded(count, id, || ((), protocol.step(node, input.clone())));
        let ((), effects) = outcome?;
        self.perform(id, Some(input), &effects)
    }

    fn perform(
        &mut self,
        id: Id,
        input: Option<&Input<P::Message>>,
        effects: &[EffectOf<P>],
    ) -> Result<(), Violation> {
        let writes = || {
            effects
                .iter()
                .any(|effect| matches!(effect, Effect::Persist(_)))
        };
        let crash = self.doomed[id].take_if(|doom| !doom.writing || writes());
        let done = crash.map_or(effects.len(), |doom| doom.effects.min(effects.len()));
        for effect in &effects[..done] {
            self.effect(id, effect);
        }
        let protocol = &self.sim.protocol;
        if let Some(doom) = crash {
            if let Some(record) = &mut self.record {
                let topic = self.nodes[id]
                    .as_ref()
                    .and_then(|node| protocol.topic_of_node(node));
                record.crash(id, topic, &undone(protocol, &effects[done..]));
            }
            self.nodes[id] = None;
            self.timers[id].clear();
            self.push(self.now + doom.down.max(1), Event::Restart(id));
        } else if let Some(record) = &mut self.record
            && let Some(node) = &self.nodes[id]
        {
            record.state(protocol, id, node);
        }
        let view = View {
            nodes: &self.nodes,
            stable: &self.stable,
            moment: Moment::Time(self.now),
            node: id,
            input,
            done: &effects[..done],
        };
        self.property.observe(&view)
    }

    fn effect(&mut self, id: Id, effect: &EffectOf<P>) {
        match effect {
            Effect::Persist(stable) => {
                self.stable[id] = stable.clone();
                if let Some(record) = &mut self.record {
                    record.saved(&self.sim.protocol, id, stable);
                }
            }
            Effect::Send { to, message } => self.send(id, *to, message),
            Effect::SetTimer { timer, after } => {
                let set = self.timers_set;
                self.timers_set += 1;
                // By what the node has seen, not by how many timers there were in all: another node's fault is no reason
                // for this one to draw something else.
                let which = self.sent[id * self.nodes.len() + id];
                self.sent[id * self.nodes.len() + id] += 1;
                let after = self.draw(Purpose::Timer, id, id, which).within(after);
                self.timers[id].insert(*timer, set);
                self.push(
                    self.now + after,
                    Event::Timer {
                        node: id,
                        timer: *timer,
                        set,
                    },
                );
            }
            Effect::CancelTimer(timer) => {
                self.timers[id].remove(timer);
            }
        }
    }

    fn draw(&self, purpose: Purpose, from: Id, to: Id, which: u64) -> Random {
        Random::keyed(self.seed, &[purpose as u64, from as u64, to as u64, which])
    }

    fn send(&mut self, from: Id, to: Id, message: &P::Message) {
        let link = from * self.nodes.len() + to;
        let which = self.sent[link];
        self.sent[link] += 1;
        let (mut lost, mut doubled, mut latency) = (false, false, self.sim.latency.clone());
        let mut losses = self.draw(Purpose::Loss, from, to, which);
        let mut duplicates = self.draw(Purpose::Duplicate, from, to, which);
        for (_, kind) in &self.active {
            match kind {
                Kind::Cut { from: one, to: two } => lost |= (*one, *two) == (from, to),
                Kind::Split(group) => lost |= group.contains(&from) != group.contains(&to),
                Kind::Loss(percent) => lost |= losses.chance(*percent),
                Kind::Duplicates(percent) => doubled |= duplicates.chance(*percent),
                Kind::Slow(most) => latency = *latency.start()..=(*latency.end()).max(*most),
                Kind::Pause(_) | Kind::Crash { .. } => {}
            }
        }
        if lost {
            if let Some(record) = &mut self.record {
                record.arrow(&self.sim.protocol, (from, to), message, true, None);
            }
            return;
        }
        let stamp = self.record.as_ref().map(|record| record.stamp());
        for purpose in [Purpose::Latency, Purpose::LatencyOfDuplicate] {
            if matches!(purpose, Purpose::LatencyOfDuplicate) && !doubled {
                continue;
            }
            let after = self.draw(purpose, from, to, which).within(&latency);
            let message = message.clone();
            self.push(
                self.now + after,
                Event::Deliver {
                    from,
                    to,
                    message,
                    stamp,
                },
            );
        }
    }
}

/// What a crash has kept a node from doing, in words.
pub(super) fn undone<P: Protocol>(protocol: &P, effects: &[EffectOf<P>]) -> Vec<String> {
    effects
        .iter()
        .filter_map(|effect| match effect {
            Effect::Persist(stable) => Some(format!("disk: {}", protocol.saved(stable))),
            Effect::Send { to, message } => Some(format!("{} → n{to}", protocol.label(message))),
            Effect::SetTimer { .. } | Effect::CancelTimer(_) => None,
        })
        .collect()
}
