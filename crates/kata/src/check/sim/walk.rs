//! Every order of events, breadth first: the first violation found is one that no shorter run shows.
//!
//! There is no time here. A timer that is set may run out at any moment, a message may take for ever, and that is how one
//! is lost.

use std::collections::{HashSet, VecDeque};
use std::hash::{Hash, Hasher};

use super::diagram::{Record, Stamp, report_without_picture};
use super::network::undone;
use super::random::Fingerprint;
use super::{
    Effect, EffectOf, Id, Input, Moment, Property, Protocol, View, Violation, command, fail,
    guarded,
};
use crate::check::report::Report;

/// Explores a [`Protocol`] up to bounds.
pub struct Walk<P: Protocol> {
    protocol: P,
    timeouts: u8,
    crashes: u8,
    duplicates: u8,
    /// Only these nodes' timers run out; those of all nodes if nobody said so.
    impatient: Option<Vec<Id>>,
    lost: fn(&P::Message) -> bool,
    /// In words.
    losses: &'static str,
    steps: usize,
    most: usize,
    sometimes: Vec<Sometimes<P>>,
}

impl<P: Protocol> std::fmt::Debug for Walk<P> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Walk")
            .field("steps", &self.steps)
            .field("most", &self.most)
            .finish_non_exhaustive()
    }
}

/// A state that must be reached on some path.
struct Sometimes<P: Protocol> {
    what: &'static str,
    holds: fn(&[Option<P::Node>]) -> bool,
}

/// How far a walk came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extent {
    /// How many different states there are.
    pub states: usize,
    /// How many steps lead to the most distant one.
    pub depth: usize,
    /// Whether that was all within the bounds.
    pub complete: bool,
}

impl<P: Protocol> Walk<P>
where
    P::Node: Eq + Hash,
    P::Message: Eq + Hash,
    P::Stable: Eq + Hash,
{
    /// No timeouts, crashes or duplicates: then nothing much happens.
    pub fn new(protocol: P) -> Self {
        Self {
            protocol,
            timeouts: 0,
            crashes: 0,
            duplicates: 0,
            impatient: None,
            lost: |_| false,
            losses: "",
            steps: usize::MAX,
            most: 2_000_000,
            sometimes: Vec::new(),
        }
    }

    /// At most so many timers run out on a path.
    #[must_use]
    pub fn timeouts(self, timeouts: u8) -> Self {
        Self { timeouts, ..self }
    }

    /// At most so many nodes crash on a path, and start again at once.
    #[must_use]
    pub fn crashes(self, crashes: u8) -> Self {
        Self { crashes, ..self }
    }

    /// At most so many messages arrive twice on a path.
    #[must_use]
    pub fn duplicates(self, duplicates: u8) -> Self {
        Self { duplicates, ..self }
    }

    /// Only the timers of these nodes run out. Where nodes are alike it does not matter which they are.
    #[must_use]
    pub fn timeouts_of(self, nodes: &[Id]) -> Self {
        Self {
            impatient: Some(nodes.to_vec()),
            ..self
        }
    }

    /// Messages that never arrive: `what` they are, in words, and which. Fewer histories, each of them possible.
    #[must_use]
    pub fn without(self, what: &'static str, lost: fn(&P::Message) -> bool) -> Self {
        Self {
            lost,
            losses: what,
            ..self
        }
    }

    /// No history is longer than so many steps.
    #[must_use]
    pub fn steps(self, steps: usize) -> Self {
        Self { steps, ..self }
    }

    /// Stops after so many states, for nodes that have more of them than anybody expected.
    #[must_use]
    pub fn at_most(self, states: usize) -> Self {
        Self {
            most: states,
            ..self
        }
    }

    /// Demands that some path leads to a state in which `holds`: a node that does nothing violates nothing.
    #[must_use]
    pub fn sometimes(mut self, what: &'static str, holds: fn(&[Option<P::Node>]) -> bool) -> Self {
        self.sometimes.push(Sometimes { what, holds });
        self
    }

    /// Explores.
    ///
    /// # Panics
    /// If a path violates `property`, or if a state that must be reached is not. The picture goes to stderr.
    pub fn run<Q: Property<P> + Eq + Hash>(&self, property: Q) {
        match self.explore(property) {
            Ok(extent) => println!("{}", self.words(&extent)),
            Err(report) => fail(&report),
        }
    }

    /// As [`run`](Self::run), without a panic or a picture on stderr.
    ///
    /// # Errors
    /// With the report of a shortest path to a violation.
    pub fn explore<Q: Property<P> + Eq + Hash>(&self, property: Q) -> Result<Extent, Box<Report>> {
        let mut paths = Paths(Vec::new());
        let mut reached = vec![false; self.sometimes.len()];
        let mut seen = HashSet::new();
        let mut depth = 0;
        let first = match self.initial(&property, None) {
            Ok(state) => state,
            Err(violation) => {
                return Err(self.picture(&property, &[], &violation, 1, 0));
            }
        };
        seen.insert(Fingerprint::of(&first));
        self.look(&first, &mut reached);
        let mut frontier = VecDeque::from([(first, Paths::ROOT, 0)]);
        let mut complete = true;
        'walk: while let Some((state, path, distance)) = frontier.pop_front() {
            if distance == self.steps {
                continue;
            }
            for action in self.actions(&state) {
                let effects = match self.effects(&state, action) {
                    Ok(effects) => effects,
                    Err(violation) => {
                        let path = paths.to(path, action);
                        return Err(self.picture(
                            &property,
                            &path,
                            &violation,
                            seen.len(),
                            distance + 1,
                        ));
                    }
                };
                for action in self.with_crashes(&state, action, &effects.1) {
                    let next = self.outcome(&state, action, &effects, distance + 1, None);
                    let next = match next {
                        Ok(next) => next,
                        Err(violation) => {
                            let path = paths.to(path, action);
                            return Err(self.picture(
                                &property,
                                &path,
                                &violation,
                                seen.len(),
                                distance + 1,
                            ));
                        }
                    };
                    if seen.insert(Fingerprint::of(&next)) {
                        depth = depth.max(distance + 1);
                        self.look(&next, &mut reached);
                        let path = paths.add(path, action);
                        frontier.push_back((next, path, distance + 1));
                        if seen.len() >= self.most {
                            complete = false;
                            break 'walk;
                        }
                    }
                }
            }
        }
        let extent = Extent {
            states: seen.len(),
            depth,
            complete,
        };
        if let Some(missed) = reached.iter().position(|reached| !reached) {
            let violation = Violation {
                rule: "something never happens",
                why: format!(
                    "{}: on no path at all, whatever order messages and timeouts come in. A node that does nothing does nothing wrong, \
                     but nothing right either.",
                    self.sometimes[missed].what
                ),
                topic: None,
            };
            let explored = self.words(&extent);
            return Err(Box::new(report_without_picture(
                &violation,
                explored,
                command(),
            )));
        }
        Ok(extent)
    }

    /// What was explored; bounded, not verified.
    fn words(&self, extent: &Extent) -> String {
        format!(
            "{} states of {} nodes up to {} steps deep{}: {}",
            extent.states,
            self.protocol.nodes(),
            extent.depth,
            if extent.complete {
                ""
            } else {
                ", and there are more"
            },
            self.bounds()
        )
    }

    fn bounds(&self) -> String {
        let mut bounds = Vec::new();
        for (number, one, many) in [
            (usize::from(self.timeouts), "timeout", "timeouts"),
            (usize::from(self.crashes), "crash", "crashes"),
            (usize::from(self.duplicates), "duplicate", "duplicates"),
            (self.steps, "step", "steps"),
        ] {
            match number {
                0 | usize::MAX => {}
                1 => bounds.push(format!("1 {one}")),
                _ => bounds.push(format!("{number} {many}")),
            }
        }
        let mut text = format!("within {}", bounds.join(", "));
        if let Some(nodes) = &self.impatient {
            let names: Vec<String> = nodes.iter().map(|id| format!("n{id}")).collect();
            text += &format!(", timeouts of {} only", names.join(" and "));
        }
        if !self.losses.is_empty() {
            text += &format!(", {} lost", self.losses);
        }
        text
    }

    fn look<Q>(&self, state: &StateOf<P, Q>, reached: &mut [bool]) {
        for (reached, sometimes) in reached.iter_mut().zip(&self.sometimes) {
            *reached |= (sometimes.holds)(&state.nodes);
        }
    }

    fn initial<Q: Property<P>>(
        &self,
        property: &Q,
        mut record: Option<&mut Record>,
    ) -> Result<StateOf<P, Q>, Violation> {
        let count = self.protocol.nodes();
        let mut nodes = Vec::new();
        let mut all = Vec::new();
        let stable: Vec<P::Stable> = (0..count).map(|id| self.protocol.initial(id)).collect();
        for (id, stable) in stable.iter().enumerate() {
            let (node, effects) = guarded(count, id, || self.protocol.start(id, stable))?;
            nodes.push(Some(node));
            all.push(effects);
        }
        let mut state = State {
            nodes,
            stable,
            timers: vec![Vec::new(); count],
            bag: Vec::new(),
            timeouts: 0,
            crashes: 0,
            duplicates: 0,
            property: property.clone(),
        };
        for (id, effects) in all.iter().enumerate() {
            state.perform(id, effects, self.lost);
            if let Some(record) = &mut record {
                state.show(&self.protocol, record, id);
            }
            state.observe::<P>(id, None, effects, 0)?;
        }
        Ok(state)
    }

    /// What may happen next, but for crashes within a step.
    fn actions<Q>(&self, state: &StateOf<P, Q>) -> Vec<Action> {
        let mut actions = Vec::new();
        for index in 0..state.bag.len() {
            if index > 0 && state.bag[index] == state.bag[index - 1] {
                continue;
            }
            for keep in [false, true] {
                if keep && state.duplicates >= self.duplicates {
                    continue;
                }
                let what = What::Deliver { index, keep };
                actions.push(Action {
                    what,
                    crash_after: None,
                });
            }
        }
        if state.timeouts < self.timeouts {
            for (node, timers) in state.timers.iter().enumerate() {
                let is_impatient = |nodes: &Vec<Id>| nodes.contains(&node);
                if !self.impatient.as_ref().is_none_or(is_impatient) {
                    continue;
                }
                for &timer in timers {
                    let what = What::Timeout { node, timer };
                    actions.push(Action {
                        what,
                        crash_after: None,
                    });
                }
            }
        }
        if state.crashes < self.crashes {
            for node in 0..state.nodes.len() {
                let what = What::Crash { node };
                actions.push(Action {
                    what,
                    crash_after: None,
                });
            }
        }
        actions
    }

    /// The node after the step of an action, and what it wants to do.
    fn effects<Q>(
        &self,
        state: &StateOf<P, Q>,
        action: Action,
    ) -> Result<(P::Node, Vec<EffectOf<P>>), Violation> {
        let id = state.who(action);
        let count = state.nodes.len();
        match state.input(action) {
            None => guarded(count, id, || self.protocol.start(id, &state.stable[id])),
            Some(input) => guarded(count, id, || {
                let mut node = state.nodes[id].clone().expect("it starts again at once");
                let effects = self.protocol.step(&mut node, input);
                (node, effects)
            }),
        }
    }

    /// The action itself, and with a crash at every place that makes a difference: after something was done, and before
    /// something else would have been.
    fn with_crashes<Q>(
        &self,
        state: &StateOf<P, Q>,
        action: Action,
        effects: &[EffectOf<P>],
    ) -> Vec<Action> {
        let mut actions = vec![action];
        if state.crashes >= self.crashes || matches!(action.what, What::Crash { .. }) {
            return actions;
        }
        let counts = |effect: &EffectOf<P>| !matches!(effect, Effect::SetTimer { .. });
        for after in 1..effects.len() {
            if counts(&effects[after - 1]) && effects[after..].iter().any(counts) {
                actions.push(Action {
                    crash_after: Some(after),
                    ..action
                });
            }
        }
        actions
    }

    fn outcome<Q: Property<P>>(
        &self,
        state: &StateOf<P, Q>,
        action: Action,
        (node, effects): &(P::Node, Vec<EffectOf<P>>),
        step: usize,
        mut watch: Option<(&mut Record, &mut Vec<Sent<P::Message>>)>,
    ) -> Result<StateOf<P, Q>, Violation> {
        let id = state.who(action);
        let input = state.input(action);
        let mut next = state.clone();
        match action.what {
            What::Deliver { index, keep } => {
                let letter = next.bag[index].clone();
                if keep {
                    next.duplicates += 1;
                } else {
                    next.bag.remove(index);
                }
                if let Some((record, sent)) = &mut watch {
                    let place = sent.iter().position(|sent| sent.letter == letter);
                    let stamp = place.map(|place| sent[place].stamp);
                    if let Some(place) = place
                        && !keep
                    {
                        sent.remove(place);
                    }
                    let ends = (letter.from, letter.to);
                    record.arrow(&self.protocol, ends, &letter.message, false, stamp);
                }
            }
            What::Timeout { timer, .. } => {
                next.timeouts += 1;
                next.timers[id].retain(|&running| running != timer);
                if let Some((record, _)) = &mut watch {
                    record.at(id, None, "timeout");
                }
            }
            What::Crash { .. } => {
                next.crashes += 1;
                next.timers[id].clear();
                if let Some((record, _)) = &mut watch {
                    record.crash(id, None, &[]);
                    record.restart(id, None);
                }
            }
        }
        next.nodes[id] = Some(node.clone());
        let done = action.crash_after.unwrap_or(effects.len());
        next.perform(id, &effects[..done], self.lost);
        if let Some((record, sent)) = &mut watch {
            for effect in &effects[..done] {
                match effect {
                    Effect::Persist(stable) => record.saved(&self.protocol, id, stable),
                    Effect::Send { to, message } => sent.push(Sent {
                        letter: Letter::new(id, *to, message.clone()),
                        stamp: record.stamp(),
                    }),
                    _ => {}
                }
            }
        }
        if action.crash_after.is_some() {
            next.crashes += 1;
            next.timers[id].clear();
            next.nodes[id] = None;
            next.observe::<P>(id, input.as_ref(), &effects[..done], step)?;
            if let Some((record, _)) = &mut watch {
                record.crash(id, None, &undone(&self.protocol, &effects[done..]));
                record.restart(id, None);
            }
            let (node, effects) = guarded(next.nodes.len(), id, || {
                self.protocol.start(id, &next.stable[id])
            })?;
            next.nodes[id] = Some(node);
            next.perform(id, &effects, self.lost);
            if let Some((record, _)) = &mut watch {
                next.show(&self.protocol, record, id);
            }
            next.observe::<P>(id, None, &effects, step)?;
        } else {
            if let Some((record, _)) = &mut watch {
                next.show(&self.protocol, record, id);
            }
            next.observe::<P>(id, input.as_ref(), &effects[..done], step)?;
        }
        Ok(next)
    }

    /// Goes the path again, and draws it.
    fn picture<Q: Property<P>>(
        &self,
        property: &Q,
        path: &[Action],
        violation: &Violation,
        states: usize,
        depth: usize,
    ) -> Box<Report> {
        let mut record = Record::new(self.protocol.nodes());
        let mut sent = Vec::new();
        let mut again = || -> Result<(), Violation> {
            let mut state = self.initial(property, Some(&mut record))?;
            for (&action, step) in path.iter().zip(1..) {
                record.set_now(Moment::Step(step));
                let effects = self.effects(&state, action)?;
                let watch = Some((&mut record, &mut sent));
                state = self.outcome(&state, action, &effects, step, watch)?;
            }
            Ok(())
        };
        let mut violation = again().err().unwrap_or_else(|| violation.clone());
        // Every step of a shortest history matters.
        violation.topic = None;
        let explored = format!(
            "a shortest history: {depth} steps, found after {states} states of {} nodes, {}",
            self.protocol.nodes(),
            self.bounds()
        );
        Box::new(record.report(&violation, explored, command()))
    }
}

/// A message that was sent.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Letter<M> {
    /// The fingerprint of the rest: computed once, it is needed often.
    key: u64,
    from: Id,
    to: Id,
    message: M,
}

impl<M: Hash> Letter<M> {
    fn new(from: Id, to: Id, message: M) -> Self {
        Self {
            key: Fingerprint::of(&(from, to, &message)),
            from,
            to,
            message,
        }
    }
}

impl<M> Hash for Letter<M> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.key.hash(state);
    }
}

/// The same, in a path that is being drawn.
struct Sent<M> {
    letter: Letter<M>,
    stamp: Stamp,
}

type StateOf<P, Q> =
    State<<P as Protocol>::Node, <P as Protocol>::Message, <P as Protocol>::Stable, Q>;

/// Everything that decides what may happen next.
#[derive(Clone, PartialEq, Eq, Hash)]
struct State<N, M, S, Q> {
    /// All of them run, but for the moment of a crash.
    nodes: Vec<Option<N>>,
    stable: Vec<S>,
    /// By node: the timers that are set.
    timers: Vec<Vec<usize>>,
    /// Messages on their way, in an order that does not depend on how they came here.
    bag: Vec<Letter<M>>,
    timeouts: u8,
    crashes: u8,
    duplicates: u8,
    property: Q,
}

impl<N, M: Clone + Eq + Hash, S: Clone, Q> State<N, M, S, Q> {
    fn who(&self, action: Action) -> Id {
        match action.what {
            What::Deliver { index, .. } => self.bag[index].to,
            What::Timeout { node, .. } | What::Crash { node } => node,
        }
    }

    fn input(&self, action: Action) -> Option<Input<M>> {
        match action.what {
            What::Deliver { index, .. } => {
                let Letter { from, message, .. } = self.bag[index].clone();
                Some(Input::Receive { from, message })
            }
            What::Timeout { timer, .. } => Some(Input::Timeout(timer)),
            What::Crash { .. } => None,
        }
    }

    fn perform(&mut self, id: Id, effects: &[Effect<M, S>], lost: fn(&M) -> bool) {
        for effect in effects {
            match effect {
                Effect::Persist(stable) => self.stable[id] = stable.clone(),
                Effect::Send { message, .. } if lost(message) => {}
                Effect::Send { to, message } => {
                    let letter = Letter::new(id, *to, message.clone());
                    let place = self.bag.partition_point(|other| other.key < letter.key);
                    self.bag.insert(place, letter);
                }
                Effect::SetTimer { timer, .. } => {
                    if let Err(place) = self.timers[id].binary_search(timer) {
                        self.timers[id].insert(place, *timer);
                    }
                }
                Effect::CancelTimer(timer) => self.timers[id].retain(|running| running != timer),
            }
        }
    }

    fn observe<P>(
        &mut self,
        node: Id,
        input: Option<&Input<M>>,
        done: &[Effect<M, S>],
        step: usize,
    ) -> Result<(), Violation>
    where
        P: Protocol<Node = N, Message = M, Stable = S>,
        Q: Property<P>,
    {
        let view = View::<P> {
            nodes: &self.nodes,
            stable: &self.stable,
            moment: Moment::Step(step),
            node,
            input,
            done,
        };
        self.property.observe(&view)
    }

    fn show<P>(&self, protocol: &P, record: &mut Record, id: Id)
    where
        P: Protocol<Node = N, Message = M, Stable = S>,
    {
        if let Some(node) = &self.nodes[id] {
            record.state(protocol, id, node);
        }
    }
}

/// What may happen.
#[derive(Clone, Copy, Debug)]
struct Action {
    what: What,
    /// The node crashes in the middle, after so many effects.
    crash_after: Option<usize>,
}

#[derive(Clone, Copy, Debug)]
enum What {
    /// The message at this place of the bag arrives. It may arrive once more, if it is kept.
    Deliver { index: usize, keep: bool },
    /// A timer runs out.
    Timeout { node: Id, timer: usize },
    /// A node crashes between two steps.
    Crash { node: Id },
}

/// How each state was reached first: from which one, and by what.
struct Paths(Vec<(usize, Action)>);

impl Paths {
    const ROOT: usize = usize::MAX;

    fn add(&mut self, from: usize, action: Action) -> usize {
        self.0.push((from, action));
        self.0.len() - 1
    }

    fn to(&self, mut path: usize, last: Action) -> Vec<Action> {
        let mut actions = vec![last];
        while path != Self::ROOT {
            let (from, action) = self.0[path];
            actions.push(action);
            path = from;
        }
        actions.reverse();
        actions
    }
}
