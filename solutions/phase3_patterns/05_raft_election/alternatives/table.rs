//! A machine in the manner of a table: the node before, the input, the node after. It writes in every step, keeps voters as
//! bits, and as etcd does, is patient anew whenever it enters a term as a follower.

use std::ops::RangeInclusive;

pub type NodeId = usize;
pub type Term = u64;
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct LastEntry {
    pub index: u64,
    pub term: Term,
}
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Stable {
    pub term: Term,
    pub voted_for: Option<NodeId>,
}
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Message {
    RequestVote {
        term: Term,
        last: LastEntry,
    },
    Vote {
        term: Term,
        granted: bool,
    },
    Heartbeat {
        term: Term,
    },
    HeartbeatReply {
        term: Term,
    },
}
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Input {
    Timeout,
    Receive {
        from: NodeId,
        message: Message,
    },
}
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Output {
    Persist(Stable),
    Send {
        to: NodeId,
        message: Message,
    },
    SetTimer(RangeInclusive<u64>),
}
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    Follower,
    Candidate,
    Leader,
}

const PATIENCE: RangeInclusive<u64> = 300..=600;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Phase {
    Following,
    /// The bits of those who have voted for it.
    Campaigning(u128),
    Leading,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Node {
    id: NodeId,
    nodes: usize,
    last: LastEntry,
    stable: Stable,
    phase: Phase,
}

/// What a step comes to: the phase after it, the timer if it is to be set, and what is sent.
type Turn = (Phase, Option<RangeInclusive<u64>>, Vec<(NodeId, Message)>);

impl Node {
    pub fn start(id: NodeId, nodes: usize, log: &[Term], stable: Stable) -> (Self, Vec<Output>) {
        assert!(nodes <= 128, "a bit for each node");
        let term = log.last().copied().unwrap_or_default();
        let last = LastEntry {
            index: log.len() as u64,
            term,
        };
        let phase = Phase::Following;
        (
            Self {
                id,
                nodes,
                last,
                stable,
                phase,
            },
            vec![Output::Persist(stable), Output::SetTimer(PATIENCE)],
        )
    }

    pub fn step(&mut self, input: Input) -> Vec<Output> {
        let (phase, timer, sent) = match input {
            Input::Receive { from, .. } if from >= self.nodes || from == self.id => {
                return Vec::new();
            }
            Input::Receive { from, message } => {
                let (term, after) = match message {
                    Message::RequestVote { term, .. }
                    | Message::Vote { term, .. }
                    | Message::Heartbeat { term }
                    | Message::HeartbeatReply { term } => (term, self.stable.term.max(term)),
                };
                let entered = after > self.stable.term;
                if entered {
                    self.phase = Phase::Following;
                    self.stable = Stable {
                        term: after,
                        voted_for: None,
                    };
                }
                let (phase, timer, sent) = self.received(from, message, term == after);
                (phase, timer.or(entered.then_some(PATIENCE)), sent)
            }
            Input::Timeout if self.phase == Phase::Leading => self.led(),
            // After the last term there is no election.
            Input::Timeout if self.stable.term == Term::MAX => {
                (self.phase, Some(PATIENCE), Vec::new())
            }
            Input::Timeout => {
                self.stable.term += 1;
                self.stable.voted_for = Some(self.id);
                match self.elected(1 << self.id) {
                    (phase @ Phase::Campaigning(_), ..) => {
                        let message = Message::RequestVote {
                            term: self.stable.term,
                            last: self.last,
                        };
                        (phase, Some(PATIENCE), self.to_all(message))
                    }
                    leading => leading,
                }
            }
        };
        self.phase = phase;
        let mut outputs = vec![Output::Persist(self.stable)];
        outputs.extend(
            sent.into_iter()
                .map(|(to, message)| Output::Send { to, message }),
        );
        outputs.extend(timer.map(Output::SetTimer));
        outputs
    }

    pub fn role(&self) -> Role {
        match self.phase {
            Phase::Following => Role::Follower,
            Phase::Campaigning(_) => Role::Candidate,
            Phase::Leading => Role::Leader,
        }
    }

    pub fn term(&self) -> Term {
        self.stable.term
    }

    fn received(&mut self, from: NodeId, message: Message, current: bool) -> Turn {
        let term = self.stable.term;
        match (self.phase, message) {
            (phase, Message::RequestVote { last, .. }) => {
                let key = |entry: LastEntry| (entry.term, entry.index);
                let granted = current
                    && key(last) >= key(self.last)
                    && *self.stable.voted_for.get_or_insert(from) == from;
                let timer = granted.then_some(PATIENCE);
                (phase, timer, vec![(from, Message::Vote { term, granted })])
            }
            (Phase::Campaigning(votes), Message::Vote { granted: true, .. }) if current => {
                self.elected(votes | 1 << from)
            }
            (phase, Message::Heartbeat { .. }) => {
                let answer = vec![(from, Message::HeartbeatReply { term })];
                if current {
                    (Phase::Following, Some(PATIENCE), answer)
                } else {
                    (phase, None, answer)
                }
            }
            (phase, Message::Vote { .. } | Message::HeartbeatReply { .. }) => {
                (phase, None, Vec::new())
            }
        }
    }

    /// A candidate with these votes.
    fn elected(&self, votes: u128) -> Turn {
        if votes.count_ones() as usize * 2 > self.nodes {
            self.led()
        } else {
            (Phase::Campaigning(votes), None, Vec::new())
        }
    }

    fn led(&self) -> Turn {
        let term = self.stable.term;
        let sent = self.to_all(Message::Heartbeat { term });
        (Phase::Leading, Some(100..=100), sent)
    }

    fn to_all(&self, message: Message) -> Vec<(NodeId, Message)> {
        (0..self.nodes)
            .filter(|&to| to != self.id)
            .map(|to| (to, message))
            .collect()
    }
}
