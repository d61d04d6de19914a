//! One node beside the rules of the README, written down as a model: what a node has to do, what it may do, and what it must not.
//!
//! Decides each step of long lives: in clusters of 1 to 100 nodes, in terms of any size, after 66,000 repetitions, with crashes
//! between any two outputs. Whatever the rules leave open is open here.
//! Does not decide anything about several nodes; the messages are made up from a fixed seed, not sent by anybody.

use std::collections::{BTreeSet, VecDeque};

use kata::check::sim::Random;
use kata::implements;
use raft_election::{Input, LastEntry, Message, Node, NodeId, Output, Role, Stable, Term};
use rstest::rstest;

use super::cluster::term_of;

/// Of all random choices. Another one gives other lives.
const SEED: u64 = 0x3_05;

/// More often than a counter of 16 bits can count.
const OFTEN: u64 = 66_000;

/// Whoever waits longer than this, in milliseconds, keeps a cluster without a leader for longer than is promised.
const LONGEST: u64 = 5_000;

/// A node, what is on its disk, and what the rules say of it.
struct Watched {
    id: NodeId,
    nodes: usize,
    log: Vec<Term>,
    node: Node,
    disk: Stable,
    role: Role,
    term: Term,
    /// Whom it has given its vote in this term.
    vote: Option<NodeId>,
    /// Whose heartbeat it has heard in this term. It need not vote in it any more.
    leader: Option<NodeId>,
    /// Who has voted for it in this term.
    granted: BTreeSet<NodeId>,
    /// Who has answered since the leader's last heartbeat.
    answered: BTreeSet<NodeId>,
    /// The highest term it has spoken of, and the vote it has promised there.
    said: (Term, Option<NodeId>),
    /// The longest silence of a leader, and the shortest patience of a follower.
    pace: u64,
    patience: u64,
    steps: u64,
    recent: VecDeque<Input>,
}

impl Watched {
    fn start(id: NodeId, nodes: usize, log: Vec<Term>, disk: Stable) -> Self {
        let (node, outputs) = Node::start(id, nodes, &log, disk);
        let mut watched = Self {
            id,
            nodes,
            log,
            node,
            disk,
            role: Role::Follower,
            term: disk.term,
            vote: disk.voted_for,
            leader: None,
            granted: BTreeSet::new(),
            answered: BTreeSet::new(),
            said: (disk.term, disk.voted_for),
            pace: 0,
            patience: LONGEST,
            steps: 0,
            recent: VecDeque::new(),
        };
        watched.started(&outputs);
        watched
    }

    fn started(&mut self, outputs: &[Output]) {
        self.holds(
            (self.node.role(), self.node.term()) == (Role::Follower, self.term),
            || "whoever starts, follows, in the term that is on its disk".to_owned(),
        );
        self.sends(outputs, &BTreeSet::new(), None);
        self.timer(outputs, Some(true), "it has just started");
        self.carry_out(outputs);
    }

    /// Stops after so many of the outputs, and starts again from what is on the disk.
    fn crash(&mut self, outputs: &[Output], after: usize) {
        self.carry_out(&outputs[..after.min(outputs.len())]);
        let (node, outputs) = Node::start(self.id, self.nodes, &self.log, self.disk);
        self.node = node;
        self.role = Role::Follower;
        self.term = self.disk.term;
        self.vote = self.disk.voted_for;
        self.leader = None;
        self.started(&outputs);
    }

    #[track_caller]
    fn holds(&self, rule: bool, why: impl FnOnce() -> String) {
        assert!(
            rule,
            "{} (n{} of {} nodes, {:?} of term {} by the rules, with its vote given to {:?}, after {} inputs; the last ones were {:?})",
            why(),
            self.id,
            self.nodes,
            self.role,
            self.term,
            self.vote,
            self.steps,
            self.recent
        );
    }

    fn last(&self) -> LastEntry {
        LastEntry {
            index: self.log.len() as u64,
            term: self.log.last().copied().unwrap_or(0),
        }
    }

    fn others(&self) -> BTreeSet<NodeId> {
        (0..self.nodes).filter(|&id| id != self.id).collect()
    }

    fn majority(&self, of: &BTreeSet<NodeId>) -> bool {
        2 * of.len() > self.nodes
    }

    fn timeout(&mut self) {
        self.step(Input::Timeout);
    }

    fn receive(&mut self, from: NodeId, message: Message) {
        self.step(Input::Receive { from, message });
    }

    fn step(&mut self, input: Input) {
        let outputs = self.take(input);
        self.carry_out(&outputs);
    }

    /// One step of the node, and of the model.
    fn take(&mut self, input: Input) -> Vec<Output> {
        self.steps += 1;
        if self.recent.len() == 6 {
            self.recent.pop_front();
        }
        self.recent.push_back(input);
        let mut twin = self.node.clone();
        let first = twin.step(input);
        let outputs = self.node.step(input);
        self.holds(outputs == first && self.node == twin, || {
            format!(
                "two equal nodes are told the same and make something different of it, {first:?} and {outputs:?}: a node has \
                 something outside of itself that other nodes share"
            )
        });
        match input {
            Input::Timeout => self.timed_out(&outputs),
            Input::Receive { from, .. } if from >= self.nodes || from == self.id => {
                self.holds(outputs.is_empty(), || {
                    format!("n{from} is nobody to listen to, and {outputs:?} came of it")
                });
            }
            Input::Receive { from, message } => self.received(from, message, &outputs),
        }
        let now = (self.node.role(), self.node.term());
        self.holds(now == (self.role, self.term), || {
            format!("it says that it is {:?} of term {}", now.0, now.1)
        });
        outputs
    }

    fn timed_out(&mut self, outputs: &[Output]) {
        if self.role == Role::Leader {
            let heard = self.majority(&self.answered) || self.nodes == 1;
            if self.node.role() == Role::Follower && !heard {
                // It may give up if a majority is silent.
                self.role = Role::Follower;
                self.sends(outputs, &BTreeSet::new(), None);
            } else {
                let message = Message::Heartbeat { term: self.term };
                self.sends(outputs, &self.others(), Some(message));
            }
            self.answered = BTreeSet::from([self.id]);
        } else if let Some(term) = self.term.checked_add(1) {
            self.term = term;
            self.vote = Some(self.id);
            self.leader = None;
            self.granted = BTreeSet::from([self.id]);
            self.role = Role::Candidate;
            if self.nodes == 1 {
                self.role = Role::Leader;
            }
            let last = self.last();
            let message = Message::RequestVote { term, last };
            self.sends(outputs, &self.others(), Some(message));
        } else {
            self.sends(outputs, &BTreeSet::new(), None);
            if self.node.role() == Role::Follower {
                self.role = Role::Follower;
            }
        }
        self.timer(outputs, Some(true), "its timer has run out");
    }

    fn received(&mut self, from: NodeId, message: Message, outputs: &[Output]) {
        let heard = term_of(&message);
        let entered = heard > self.term;
        // What its timer must do, if the rules say so: a leader's is too short for a follower.
        let mut timer = (!entered).then_some(false);
        if entered {
            timer = (self.role == Role::Leader).then_some(true);
            self.role = Role::Follower;
            self.term = heard;
            self.vote = None;
            self.leader = None;
        }
        let (term, current) = (self.term, heard == self.term);
        let to = BTreeSet::from([from]);
        match message {
            Message::RequestVote { last, .. } => {
                let own = self.last();
                let may = current
                    && self.vote.is_none_or(|id| id == from)
                    && (last.term, last.index) >= (own.term, own.index);
                let granted = outputs.iter().any(|output| {
                    matches!(
                        output,
                        Output::Send {
                            message: Message::Vote { granted: true, .. },
                            ..
                        }
                    )
                });
                self.holds(may || !granted, || {
                    format!("it gives its vote to n{from}, whose log ends with {last:?}, its own with {own:?}")
                });
                self.holds(granted || !may || self.leader.is_some(), || {
                    format!(
                        "it refuses its vote to n{from}, whose log ends with {last:?}, its own with {own:?}: if all do, there is \
                         no leader"
                    )
                });
                self.sends(outputs, &to, Some(Message::Vote { term, granted }));
                if granted {
                    timer = self.vote.is_none().then_some(true);
                    self.vote = Some(from);
                }
            }
            Message::Vote { granted, .. } => {
                let mut elected = false;
                if granted && current && self.role == Role::Candidate {
                    self.granted.insert(from);
                    elected = self.majority(&self.granted);
                }
                if elected {
                    self.role = Role::Leader;
                    self.answered = BTreeSet::from([self.id]);
                    timer = Some(true);
                    self.sends(outputs, &self.others(), Some(Message::Heartbeat { term }));
                } else {
                    self.sends(outputs, &BTreeSet::new(), None);
                }
            }
            Message::Heartbeat { .. } => {
                if current {
                    let stays = self.role == Role::Leader && self.node.role() == Role::Leader;
                    timer = (!stays).then_some(true);
                    if !stays {
                        // There is no second leader in a term unless a node is broken: a leader may do either.
                        self.role = Role::Follower;
                        self.leader = Some(from);
                    }
                }
                self.sends(outputs, &to, Some(Message::HeartbeatReply { term }));
            }
            Message::HeartbeatReply { .. } => {
                if current {
                    self.answered.insert(from);
                }
                self.sends(outputs, &BTreeSet::new(), None);
            }
        }
        self.timer(outputs, timer, "of what it has heard");
    }

    /// To each of them this message, once, and nothing else.
    fn sends(&self, outputs: &[Output], to: &BTreeSet<NodeId>, expected: Option<Message>) {
        let mut sent = BTreeSet::new();
        for output in outputs {
            if let Output::Send { to, message } = *output {
                self.holds(Some(message) == expected, || {
                    format!("it sends n{to} {message:?}, and what is due is {expected:?}")
                });
                self.holds(sent.insert(to), || {
                    format!("it sends n{to} {message:?} twice")
                });
            }
        }
        self.holds(sent == *to, || {
            format!("{expected:?} is due to {to:?} and goes to {sent:?}")
        });
    }

    /// Whether the timer is set, if the rules say so, and to what.
    fn timer(&mut self, outputs: &[Output], set: Option<bool>, because: &str) {
        let mut last = None;
        for output in outputs {
            if let Output::SetTimer(after) = output {
                self.holds(
                    !after.is_empty() && *after.start() > 0 && *after.end() <= LONGEST,
                    || format!("a timer of {after:?} ms: a leader has to be found in five seconds"),
                );
                last = Some(after);
            }
        }
        match (set, last) {
            (Some(true), None) => self.holds(false, || {
                format!("the timer has to be set, because {because}, and it is not")
            }),
            (Some(false), Some(after)) => self.holds(false, || {
                format!(
                    "its timer is set to {after:?} ms. In its own term only a vote that it gives and a heartbeat make a node wait \
                     anew, or late and doubled messages keep it waiting"
                )
            }),
            _ => {}
        }
        match (self.role, last) {
            (Role::Leader, Some(after)) => self.pace = self.pace.max(*after.end()),
            (Role::Follower, Some(after)) => self.patience = self.patience.min(*after.start()),
            _ => {}
        }
    }

    /// What it says must be on its disk, and what it has said must stay there.
    fn carry_out(&mut self, outputs: &[Output]) {
        for output in outputs {
            match *output {
                Output::Persist(stable) => {
                    let vote = stable.voted_for;
                    self.holds(
                        stable.term >= self.disk.term && stable.term <= self.term,
                        || format!("it writes {stable:?} over {:?}", self.disk),
                    );
                    self.holds(
                        stable.term != self.said.0 || self.said.1.is_none_or(|id| vote == Some(id)),
                        || {
                            format!(
                                "it writes {stable:?}, and has promised its vote to {:?}: a crash, and it votes again",
                                self.said.1
                            )
                        },
                    );
                    self.holds(
                        stable.term < self.term
                            || vote.is_none()
                            || vote == self.vote
                            || vote == self.leader,
                        || format!("it writes {stable:?}, a vote that it has not given: after a crash it gives it to nobody else"),
                    );
                    self.disk = stable;
                }
                Output::Send { to, message } => {
                    let term = term_of(&message);
                    self.holds(self.disk.term == term, || {
                        format!("{message:?} goes to n{to} with {:?} on the disk", self.disk)
                    });
                    if term > self.said.0 {
                        self.said = (term, None);
                    }
                    let vote = match message {
                        Message::RequestVote { .. } => Some(self.id),
                        Message::Vote { granted: true, .. } => Some(to),
                        _ => None,
                    };
                    if vote.is_some() {
                        self.holds(self.disk.voted_for == vote, || {
                            format!(
                                "{message:?} goes to n{to} with {:?} on the disk: a crash, and it votes again",
                                self.disk
                            )
                        });
                        self.said.1 = vote;
                    }
                }
                Output::SetTimer(_) => {}
            }
        }
    }

    /// Makes it the leader of the next term.
    fn lead(&mut self) {
        self.timeout();
        for from in self.others() {
            if self.role == Role::Candidate {
                let (term, granted) = (self.term, true);
                self.receive(from, Message::Vote { term, granted });
            }
        }
        assert_eq!(self.role, Role::Leader);
    }

    fn end(&self) {
        self.holds(self.patience > 2 * self.pace + 20, || {
            format!(
                "as a follower it has waited {} ms only, and as a leader it was silent for {} ms: one lost heartbeat deposes a leader \
                 with whom nothing is wrong",
                self.patience, self.pace
            )
        });
    }
}

/// A message that might come to it now.
fn message(random: &mut Random, watched: &Watched) -> Message {
    let far = [0, 1, 255, 65_535, 1 << 32, 1 << 53];
    let term = match random.below(12) {
        0..6 => watched.term,
        6 => watched.term.saturating_sub(1),
        7 => watched.term.saturating_sub(256),
        8 => watched.term.saturating_sub(far[random.below(far.len())]),
        9 | 10 => watched.term.saturating_add(1),
        _ => watched.term.saturating_add(random.below(3) as u64),
    };
    let own = watched.last();
    let shifts = [0, 0, 0, 1, 255, 256, 65_535, 65_536, 1 << 32, 1 << 63];
    let mut near = |number: u64| {
        let shift = shifts[random.below(shifts.len())];
        if random.chance(50) {
            number.saturating_add(shift)
        } else {
            number.saturating_sub(shift)
        }
    };
    let (index, last) = (near(own.index), near(own.term));
    match random.below(8) {
        0..3 => Message::RequestVote {
            term,
            last: LastEntry { index, term: last },
        },
        3 | 4 => Message::Vote {
            term,
            granted: random.chance(70),
        },
        5 => Message::Heartbeat { term },
        _ => Message::HeartbeatReply { term },
    }
}

/// Somebody of the cluster, or somebody whose number looks like one of theirs if bits are lost.
fn sender(random: &mut Random, nodes: usize) -> NodeId {
    let from = random.below(nodes);
    match random.below(40) {
        0 => from + nodes,
        1 => from + nodes.next_multiple_of(64),
        2 => from + nodes.next_multiple_of(256),
        3 => from + 65_536,
        4 => usize::MAX - from,
        5 => from.wrapping_add(usize::MAX / 2 + 1),
        6 => usize::try_from((1_u64 << 32) + from as u64).unwrap_or(usize::MAX),
        _ => from,
    }
}

#[rstest]
fn a_node_keeps_to_the_rules_in_clusters_of_any_size(
    #[values(1, 2, 3, 4, 5, 6, 8, 9, 16, 17, 32, 33, 64, 65, 100)] nodes: usize,
) {
    let terms = [
        0,
        240,
        65_500,
        (1 << 24) - 9,
        (1 << 31) - 9,
        (1 << 32) - 9,
        (1 << 53) - 9,
        (1 << 63) - 9,
        Term::MAX - 40,
    ];
    let mut random = Random::keyed(SEED, &[nodes as u64]);
    for first in terms {
        let log = match random.below(3) {
            0 => Vec::new(),
            1 => vec![first.min(1); 3],
            _ => vec![1, first.max(1), first.max(1)],
        };
        let id = random.below(nodes);
        let disk = Stable {
            term: first,
            voted_for: None,
        };
        let mut watched = Watched::start(id, nodes, log, disk);
        for _ in 0..300 {
            let input = if random.chance(15) {
                Input::Timeout
            } else if watched.role == Role::Candidate && random.chance(60) {
                // Somebody who has not voted for it, so that large clusters have leaders too.
                let mut from = random.below(nodes);
                while watched.granted.contains(&from) {
                    from = (from + 1) % nodes;
                }
                let (term, granted) = (watched.term, true);
                let message = Message::Vote { term, granted };
                Input::Receive { from, message }
            } else {
                Input::Receive {
                    from: sender(&mut random, nodes),
                    message: message(&mut random, &watched),
                }
            };
            let outputs = watched.take(input);
            if random.chance(4) {
                watched.crash(&outputs, random.below(4));
            } else {
                watched.carry_out(&outputs);
            }
        }
        if first < Term::MAX - 40 {
            if watched.role == Role::Leader {
                let term = watched.term + 1;
                watched.receive((id + 1) % nodes, Message::HeartbeatReply { term });
            }
            if watched.role != Role::Leader {
                watched.lead();
            }
        }
        watched.end();
    }
}

/// The same once more, 66,000 times: no counter of the node ends, and no patience grows or shrinks without end.
#[rstest]
#[case::loses_elections(|node: &mut Watched, _: u64| node.timeout())]
#[case::hears_heartbeats(|node: &mut Watched, _: u64| {
    let term = node.term;
    node.receive(1, Message::Heartbeat { term });
})]
#[case::votes(|node: &mut Watched, _: u64| {
    let (term, last) = (node.term + 1, node.last());
    node.receive(2, Message::RequestVote { term, last });
})]
#[case::refuses(|node: &mut Watched, round: u64| {
    if round == 0 {
        node.timeout();
    }
    let (term, last) = (node.term - round % 2, node.last());
    node.receive(2, Message::RequestVote { term, last });
})]
#[case::hears_old_news(|node: &mut Watched, round: u64| {
    if round == 0 {
        node.timeout();
    }
    let term = node.term - 1;
    let granted = true;
    node.receive(1, Message::Vote { term, granted });
    node.receive(2, Message::Heartbeat { term });
})]
#[case::hears_one_vote_again(|node: &mut Watched, round: u64| {
    if round == 0 {
        node.timeout();
    }
    let (term, granted) = (node.term, true);
    node.receive(1, Message::Vote { term, granted });
})]
#[case::leads(|node: &mut Watched, round: u64| {
    if round == 0 {
        node.lead();
    }
    let (term, other) = (node.term, [1, 3][usize::from(round.is_multiple_of(2))]);
    node.receive(other, Message::HeartbeatReply { term });
    node.receive(2, Message::HeartbeatReply { term });
    node.timeout();
})]
#[case::wins_and_is_deposed(|node: &mut Watched, _: u64| {
    let term = node.term + 2;
    node.lead();
    node.receive(1, Message::HeartbeatReply { term });
})]
fn a_node_keeps_to_the_rules_however_often_it(#[case] again: fn(&mut Watched, u64)) {
    let mut watched = Watched::start(0, 5, vec![1], Stable::default());
    watched.lead();
    watched.timeout();
    let term = watched.term + 1;
    watched.receive(4, Message::Heartbeat { term });
    for round in 0..OFTEN {
        again(&mut watched, round);
    }
    if watched.role == Role::Leader {
        let term = watched.term + 1;
        watched.receive(1, Message::HeartbeatReply { term });
    }
    watched.end();
}

#[test]
fn a_long_log_is_compared_by_all_of_its_length() {
    let mut watched = Watched::start(
        0,
        3,
        vec![1; 66_000],
        Stable {
            term: 1,
            voted_for: None,
        },
    );
    for index in [465, 1_000, 65_999, 66_000, 66_001, 1 << 32, (1 << 32) + 1] {
        let last = LastEntry { index, term: 1 };
        let term = watched.term + 1;
        watched.receive(1, Message::RequestVote { term, last });
    }
    watched.timeout();
}

#[test]
fn a_node_may_run_on_any_thread() {
    // A promise about a node that starts: without one there is nothing to promise.
    drop(Node::start(0, 3, &[], Stable::default()));
    assert!(
        implements!(Node: Send) && implements!(Node: Sync),
        "a Node is not Send and Sync: whoever runs several of them on threads of their own cannot"
    );
}
