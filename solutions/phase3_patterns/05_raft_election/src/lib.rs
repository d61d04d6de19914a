//! Leader election in Raft: sections 5.1, 5.2 and 5.4.1 of Ongaro and Ousterhout, "In Search of an Understandable
//! Consensus Algorithm" (2014), as a machine without threads, clocks or chance, in the manner of etcd's `raft` package.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;

/// How long a node waits for a leader, or for the end of an election, in milliseconds.
///
/// A multiple of what a message and its answer take, so that an election is over before the next node begins one; and wide
/// enough that two nodes seldom begin together.
const ELECTION: RangeInclusive<u64> = 150..=300;

/// How long a leader is silent, in milliseconds: a follower misses two heartbeats before it becomes impatient.
const HEARTBEAT: RangeInclusive<u64> = 50..=50;

/// A node's number. The nodes of a cluster are numbered from 0.
pub type NodeId = usize;

/// A span of time with at most one leader. Terms are numbered, and every node knows the highest one it has heard of.
pub type Term = u64;

/// Where a log ends: what two logs are compared by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct LastEntry {
    /// How many entries the log has.
    pub index: u64,
    /// In which term the last entry was made; 0 if there is none.
    pub term: Term,
}

/// What a node has to know again after a crash.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Stable {
    /// The highest term it has heard of; 0 at first.
    pub term: Term,
    /// Whom it has given its vote in that term.
    pub voted_for: Option<NodeId>,
}

/// What nodes send each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Message {
    /// A candidate asks for a vote.
    RequestVote {
        /// The term that it wants to lead.
        term: Term,
        /// Where its log ends.
        last: LastEntry,
    },
    /// The answer to a `RequestVote`.
    Vote {
        /// The term of whoever answers, after what it has learned from the question.
        term: Term,
        /// Whether the candidate has its vote in this term.
        granted: bool,
    },
    /// A leader says that it is there. (In Raft, an `AppendEntries` without entries.)
    Heartbeat {
        /// The term that it leads.
        term: Term,
    },
    /// The answer to a `Heartbeat`.
    HeartbeatReply {
        /// The term of whoever answers, after what it has learned from the heartbeat.
        term: Term,
    },
}

impl Message {
    /// The term of whoever sent it.
    fn term(&self) -> Term {
        match *self {
            Self::RequestVote { term, .. }
            | Self::Vote { term, .. }
            | Self::Heartbeat { term }
            | Self::HeartbeatReply { term } => term,
        }
    }
}

/// What a node is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Input {
    /// The timer has run out. It does not run on by itself.
    Timeout,
    /// A message has arrived: perhaps late, perhaps again, perhaps after ones that were sent later.
    Receive {
        /// Who sent it.
        from: NodeId,
        /// What it says.
        message: Message,
    },
}

/// What a node wants done.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Output {
    /// Write this to the disk in place of what is there. What comes later in the list happens after it is written.
    Persist(Stable),
    /// Send a message.
    Send {
        /// To whom.
        to: NodeId,
        /// What.
        message: Message,
    },
    /// Set the timer to so many milliseconds: any number of the range, all equally likely. A node has one timer. If it is
    /// running, it is set anew.
    SetTimer(RangeInclusive<u64>),
}

/// What a node is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// Listens to a leader, or waits for one.
    Follower,
    /// Wants to be the leader.
    Candidate,
    /// Is the leader.
    Leader,
}

/// What a node is, and what it knows only as such.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum State {
    Follower,
    Candidate {
        /// Who has voted for it in this term, itself included. A set: an answer that comes twice is one vote.
        votes: BTreeSet<NodeId>,
    },
    Leader,
}

/// One node of a cluster.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Node {
    id: NodeId,
    nodes: usize,
    last: LastEntry,
    /// What is on the disk, or will be before anything is sent that depends on it.
    stable: Stable,
    state: State,
}

impl Node {
    /// Starts the node `id` of a cluster of `nodes` nodes, for the first time or after a crash, and says what it wants
    /// done first.
    pub fn start(id: NodeId, nodes: usize, log: &[Term], stable: Stable) -> (Self, Vec<Output>) {
        let last = LastEntry {
            index: log.len() as u64,
            term: log.last().copied().unwrap_or(0),
        };
        let node = Self {
            id,
            nodes,
            last,
            stable,
            state: State::Follower,
        };
        (node, vec![Output::SetTimer(ELECTION)])
    }

    /// What the node makes of an input, and what it wants done.
    pub fn step(&mut self, input: Input) -> Vec<Output> {
        let before = self.stable;
        let mut outputs = match input {
            Input::Timeout if self.state == State::Leader => self.send_heartbeats(),
            Input::Timeout => self.campaign(),
            Input::Receive { from, .. } if from >= self.nodes || from == self.id => Vec::new(),
            Input::Receive { from, message } => self.receive(from, message),
        };
        if self.stable != before {
            // First of all: after a crash the node must know whatever it has told anybody.
            outputs.insert(0, Output::Persist(self.stable));
        }
        outputs
    }

    /// What the node is.
    pub fn role(&self) -> Role {
        match self.state {
            State::Follower => Role::Follower,
            State::Candidate { .. } => Role::Candidate,
            State::Leader => Role::Leader,
        }
    }

    /// The highest term that the node has heard of.
    pub fn term(&self) -> Term {
        self.stable.term
    }

    fn receive(&mut self, from: NodeId, message: Message) -> Vec<Output> {
        let mut outputs = self.follow(message.term());
        let term = self.stable.term;
        match message {
            Message::RequestVote { term: asked, last } => {
                let granted = asked == term
                    && self
                        .stable
                        .voted_for
                        .is_none_or(|candidate| candidate == from)
                    && (last.term, last.index) >= (self.last.term, self.last.index);
                if granted {
                    self.stable.voted_for = Some(from);
                    outputs.push(Output::SetTimer(ELECTION));
                }
                let message = Message::Vote { term, granted };
                outputs.push(Output::Send { to: from, message });
            }
            Message::Vote {
                term: voted,
                granted: true,
            } if voted == term => {
                if let State::Candidate { votes } = &mut self.state {
                    votes.insert(from);
                    outputs.extend(self.count_votes());
                }
            }
            Message::Heartbeat { term: led } => {
                if led == term {
                    // Somebody has won the election of this term, and it was not this node.
                    self.state = State::Follower;
                    outputs.push(Output::SetTimer(ELECTION));
                }
                let message = Message::HeartbeatReply { term };
                outputs.push(Output::Send { to: from, message });
            }
            Message::Vote { .. } | Message::HeartbeatReply { .. } => {}
        }
        outputs
    }

    /// Enters a term that somebody else has begun, if it is a new one.
    fn follow(&mut self, term: Term) -> Vec<Output> {
        if term <= self.stable.term {
            return Vec::new();
        }
        let was_leader = self.state == State::Leader;
        self.state = State::Follower;
        self.stable = Stable {
            term,
            voted_for: None,
        };
        if was_leader {
            // Its timer is set for a heartbeat.
            vec![Output::SetTimer(ELECTION)]
        } else {
            // The timer runs on: whoever asks for a vote and does not get it must not keep others from asking.
            Vec::new()
        }
    }

    /// Begins a new term as a candidate, with its own vote.
    fn campaign(&mut self) -> Vec<Output> {
        let Some(term) = self.stable.term.checked_add(1) else {
            // No election comes after the last term. Only a broken node can have named it.
            return vec![Output::SetTimer(ELECTION)];
        };
        self.stable = Stable {
            term,
            voted_for: Some(self.id),
        };
        self.state = State::Candidate {
            votes: BTreeSet::from([self.id]),
        };
        let mut outputs = vec![Output::SetTimer(ELECTION)];
        outputs.extend(self.broadcast(Message::RequestVote {
            term: self.stable.term,
            last: self.last,
        }));
        outputs.extend(self.count_votes());
        outputs
    }

    /// Leads, if a majority of all nodes wants it to.
    fn count_votes(&mut self) -> Vec<Output> {
        match &self.state {
            State::Candidate { votes } if votes.len() > self.nodes / 2 => {
                self.state = State::Leader;
                // At once: the others are about to become impatient.
                self.send_heartbeats()
            }
            _ => Vec::new(),
        }
    }

    fn send_heartbeats(&self) -> Vec<Output> {
        let term = self.stable.term;
        let mut outputs = vec![Output::SetTimer(HEARTBEAT)];
        outputs.extend(self.broadcast(Message::Heartbeat { term }));
        outputs
    }

    fn broadcast(&self, message: Message) -> impl Iterator<Item = Output> {
        let id = self.id;
        (0..self.nodes)
            .filter(move |&to| to != id)
            .map(move |to| Output::Send { to, message })
    }
}
