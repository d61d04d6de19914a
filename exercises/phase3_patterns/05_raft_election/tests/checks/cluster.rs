//! A cluster of nodes as `kata::check::sim` sees it, and what must hold in it.

use std::collections::{BTreeMap, BTreeSet};

use kata::check::sim::{Aside, Effect, Id, Input, Moment, Property, Protocol, View, Violation};
use raft_election::{Message, Node, Output, Role, Stable, Term};

/// One node for each log.
#[derive(Clone)]
pub struct Raft {
    pub logs: Vec<Vec<Term>>,
    /// How many elections in a row each node has lost before it is seen.
    pub lost: usize,
}

impl Raft {
    /// Nodes whose logs are all alike.
    pub fn new(nodes: usize) -> Self {
        Self {
            logs: vec![Vec::new(); nodes],
            lost: 0,
        }
    }
}

/// The only timer that a node has.
const TIMER: usize = 0;

fn effects(outputs: Vec<Output>) -> Vec<Effect<Message, Stable>> {
    let effect = |output| match output {
        Output::Persist(stable) => Effect::Persist(stable),
        Output::Send { to, message } => Effect::Send { to, message },
        Output::SetTimer(after) => Effect::SetTimer {
            timer: TIMER,
            after,
        },
    };
    outputs.into_iter().map(effect).collect()
}

pub fn term_of(message: &Message) -> Term {
    match *message {
        Message::RequestVote { term, .. }
        | Message::Vote { term, .. }
        | Message::Heartbeat { term }
        | Message::HeartbeatReply { term } => term,
    }
}

impl Protocol for Raft {
    type Node = Node;
    type Message = Message;
    type Stable = Stable;

    fn nodes(&self) -> usize {
        self.logs.len()
    }

    fn initial(&self, _: Id) -> Stable {
        Stable::default()
    }

    fn start(&self, id: Id, stable: &Stable) -> (Node, Vec<Effect<Message, Stable>>) {
        let (mut node, outputs) = Node::start(id, self.logs.len(), &self.logs[id], *stable);
        let mut effects = effects(outputs);
        for _ in 0..self.lost {
            let outputs = node.step(raft_election::Input::Timeout);
            effects = self::effects(outputs);
        }
        if self.lost > 0 {
            // Nobody has heard of these elections.
            effects.retain(|effect| !matches!(effect, Effect::Send { .. }));
        }
        (node, effects)
    }

    fn step(&self, node: &mut Node, input: Input<Message>) -> Vec<Effect<Message, Stable>> {
        effects(node.step(match input {
            Input::Timeout(_) => raft_election::Input::Timeout,
            Input::Receive { from, message } => raft_election::Input::Receive { from, message },
        }))
    }

    fn state(&self, node: &Node) -> String {
        let role = match node.role() {
            Role::Follower => "follower",
            Role::Candidate => "candidate",
            Role::Leader => "LEADER",
        };
        format!("{role} {}", node.term())
    }

    fn label(&self, message: &Message) -> String {
        match message {
            Message::RequestVote { term, .. } => format!("RequestVote {term}"),
            Message::Vote {
                term,
                granted: true,
            } => format!("Vote {term} yes"),
            Message::Vote {
                term,
                granted: false,
            } => format!("Vote {term} no"),
            Message::Heartbeat { term } => format!("Heartbeat {term}"),
            Message::HeartbeatReply { term } => format!("Reply {term}"),
        }
    }

    fn saved(&self, stable: &Stable) -> String {
        match stable.voted_for {
            Some(id) => format!("{}, n{id}", stable.term),
            None => format!("{}, –", stable.term),
        }
    }

    fn topic_of_message(&self, message: &Message) -> Option<u64> {
        Some(term_of(message))
    }

    fn topic_of_node(&self, node: &Node) -> Option<u64> {
        Some(node.term())
    }
}

/// At most one leader a term, and what makes it so.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Safety {
    /// Who has led each term.
    leaders: BTreeMap<Term, Id>,
    /// Not what it watches, but what it tells.
    story: Aside<Story>,
}

#[derive(Clone, Debug, Default)]
struct Story {
    /// By term and leader: since when.
    leaders: BTreeMap<(Term, Id), Option<Moment>>,
    /// Who has voted for whom, in which term, and when it said so.
    votes: Vec<(Term, Id, Id, Moment)>,
    /// Who has crashed when.
    crashes: Vec<(Id, Moment)>,
}

impl Story {
    fn look(&mut self, view: &View<'_, Raft>) {
        if view.nodes[view.node].is_none() {
            self.crashes.push((view.node, view.moment));
        }
        for effect in view.done {
            if let Effect::Send {
                to,
                message:
                    Message::Vote {
                        term,
                        granted: true,
                    },
            } = *effect
            {
                self.votes.push((term, view.node, to, view.moment));
            }
        }
    }

    /// Who has voted for `candidate` in `term`, itself included.
    fn voters(&self, term: Term, candidate: Id) -> BTreeSet<Id> {
        self.votes
            .iter()
            .filter(|(of, _, to, _)| (*of, *to) == (term, candidate))
            .map(|(_, voter, ..)| *voter)
            .chain([candidate])
            .collect()
    }

    fn vote(&self, term: Term, voter: Id, candidate: Id) -> String {
        let at = self
            .votes
            .iter()
            .find(|vote| (vote.0, vote.1, vote.2) == (term, voter, candidate))
            .map(|vote| vote.3);
        match at {
            Some(at) => format!("for n{candidate} {at}"),
            None => "for itself".to_owned(),
        }
    }

    /// How it came to two leaders.
    fn two_leaders(&self, nodes: usize, term: Term, first: Id, second: Id) -> String {
        let mut why = format!(
            "n{first} leads term {term} {}, n{second} leads it too {}. ",
            since(self.leaders.get(&(term, first))),
            since(self.leaders.get(&(term, second)))
        );
        let majority = nodes / 2 + 1;
        for leader in [first, second] {
            let voters = self.voters(term, leader);
            if voters.len() < majority {
                let names: Vec<String> = voters.iter().map(|id| format!("n{id}")).collect();
                why += &format!(
                    "For n{leader} there are the votes of {} in term {term}: {} of {nodes}, and a majority is {majority}. A vote \
                     counts once, and in its own term.",
                    names.join(" and "),
                    voters.len()
                );
                return why;
            }
        }
        let (one, two) = (self.voters(term, first), self.voters(term, second));
        for &voter in one.intersection(&two) {
            why += &format!(
                "n{voter} voted {} and {}. ",
                self.vote(term, voter, first),
                self.vote(term, voter, second)
            );
            if let Some((_, at)) = self.crashes.iter().find(|(id, _)| *id == voter) {
                why += &format!(
                    "It crashed {at} and no longer knew: a vote has to be on the disk before anybody hears of it."
                );
            }
        }
        why.trim_end().to_owned()
    }
}

fn since(moment: Option<&Option<Moment>>) -> String {
    match moment {
        Some(Some(moment)) => format!(
            "since {}",
            moment
                .to_string()
                .trim_start_matches("in ")
                .trim_start_matches("at ")
        ),
        _ => "some time before".to_owned(),
    }
}

impl Property<Raft> for Safety {
    fn observe(&mut self, view: &View<'_, Raft>) -> Result<(), Violation> {
        let id = view.node;
        self.story.0.look(view);
        let Some(node) = &view.nodes[id] else {
            return Ok(());
        };
        if node.role() != Role::Leader {
            return Ok(());
        }
        let term = node.term();
        self.story
            .0
            .leaders
            .entry((term, id))
            .or_insert(Some(view.moment));
        let first = *self.leaders.entry(term).or_insert(id);
        if first != id {
            return Err(Violation {
                rule: "two leaders in one term",
                why: self.story.0.two_leaders(view.nodes.len(), term, first, id),
                topic: Some(term),
            });
        }
        Ok(())
    }
}

/// Whoever hears of a newer term enters it, as a follower.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct NewerTermsWin;

impl Property<Raft> for NewerTermsWin {
    fn observe(&mut self, view: &View<'_, Raft>) -> Result<(), Violation> {
        let (Some(Input::Receive { from, message }), Some(node)) =
            (view.input, &view.nodes[view.node])
        else {
            return Ok(());
        };
        let (heard, id) = (term_of(message), view.node);
        if node.term() < heard {
            return Err(Violation {
                rule: "a newer term ignored",
                why: format!(
                    "n{id} hears from n{from} of term {heard} {} and is still in term {}. Whoever hears of a newer term, in whatever \
                     message, enters it as a follower.",
                    view.moment,
                    node.term()
                ),
                topic: None,
            });
        }
        Ok(())
    }
}

/// What a majority has in its logs is in the log of every leader.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct LeadersKnowAll {
    /// Which logs hold all that a majority has.
    pub complete: Vec<bool>,
}

impl Property<Raft> for LeadersKnowAll {
    fn observe(&mut self, view: &View<'_, Raft>) -> Result<(), Violation> {
        let id = view.node;
        match &view.nodes[id] {
            Some(node) if node.role() == Role::Leader && !self.complete[id] => Err(Violation {
                rule: "a leader that lacks what a majority has",
                why: format!(
                    "n{id} leads term {} {}, and its log lacks an entry that a majority of the logs has. It may have been acknowledged to \
                     a user, and it is going to be overwritten. Whoever has it must not vote for a log without it.",
                    node.term(),
                    view.moment
                ),
                topic: None,
            }),
            _ => Ok(()),
        }
    }
}

/// One and the same leader from some time on.
#[derive(Clone, Debug)]
pub struct OneLeaderInTheEnd {
    /// From when on, in milliseconds.
    pub from: u64,
    /// Why there has to be one.
    pub because: &'static str,
    /// Who led which term then.
    seen: Option<(Id, Term)>,
}

impl OneLeaderInTheEnd {
    pub fn new(from: u64, because: &'static str) -> Self {
        Self {
            from,
            because,
            seen: None,
        }
    }
}

impl Property<Raft> for OneLeaderInTheEnd {
    fn observe(&mut self, view: &View<'_, Raft>) -> Result<(), Violation> {
        let Moment::Time(now) = view.moment else {
            return Ok(());
        };
        if now < self.from {
            return Ok(());
        }
        let leaders: Vec<(Id, Term)> = view
            .nodes
            .iter()
            .enumerate()
            .filter_map(|(id, node)| {
                let node = node.as_ref()?;
                (node.role() == Role::Leader).then(|| (id, node.term()))
            })
            .collect();
        let because = self.because;
        let violation = |why| {
            Err(Violation {
                rule: "no lasting leader",
                why,
                topic: None,
            })
        };
        match (leaders.as_slice(), self.seen) {
            ([], None) => {
                let highest = view.nodes.iter().flatten().map(Node::term).max();
                violation(format!(
                    "{because}, and at {now} ms there is still no leader, in term {}. How do nodes get out of each other's way that all \
                     time out together, and does everyone always have a timer running?",
                    highest.unwrap_or(0)
                ))
            }
            ([], Some((id, term))) => violation(format!(
                "{because}, and at {now} ms n{id} no longer leads term {term}. Nobody may depose a leader without a cause: do its \
                 heartbeats come often enough, at once when it is elected, and does each of them keep a follower patient?"
            )),
            (&[leader], None) => {
                self.seen = Some(leader);
                Ok(())
            }
            (&[leader], Some(seen)) if leader == seen => Ok(()),
            (&[(id, term)], Some((old, of))) => violation(format!(
                "{because}, and at {now} ms n{id} leads term {term} where n{old} led term {of} before. Nobody may depose a leader \
                 without a cause: do its heartbeats come often enough, and does each of them keep a follower patient?"
            )),
            (&[(one, first), (two, second), ..], _) => violation(format!(
                "{because}, and at {now} ms n{one} still leads term {first} while n{two} leads term {second}. Whoever hears of a newer \
                 term, in whatever message, no longer leads."
            )),
        }
    }

    fn finish(&mut self, view: &View<'_, Raft>) -> Result<(), Violation> {
        self.observe(view)?;
        let Some((leader, term)) = self.seen else {
            return Ok(());
        };
        for (id, node) in view.nodes.iter().enumerate() {
            if let Some(node) = node
                && node.term() != term
            {
                return Err(Violation {
                    rule: "no lasting leader",
                    why: format!(
                        "{}, n{leader} leads term {term}, and n{id} is in term {} in the end: it follows nobody.",
                        self.because,
                        node.term()
                    ),
                    topic: None,
                });
            }
        }
        Ok(())
    }
}
