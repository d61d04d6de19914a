//! One function for each kind of message, and an outbox that writes to the disk when something is about to be sent.

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

const PATIENCE: RangeInclusive<u64> = 200..=400;
const PACE: u64 = 40;

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Node {
    me: NodeId,
    last: LastEntry,
    role: Role,
    term: Term,
    voted_for: Option<NodeId>,
    /// For each node, whether it has voted for this one in this term.
    votes: Vec<bool>,
    disk: Stable,
}

/// What a step wants done, in order.
struct Outbox<'a> {
    disk: &'a mut Stable,
    outputs: Vec<Output>,
}

impl Outbox<'_> {
    /// Sends, and writes before that what has not been written.
    fn send(&mut self, now: Stable, to: NodeId, message: Message) {
        if *self.disk != now {
            *self.disk = now;
            self.outputs.push(Output::Persist(now));
        }
        self.outputs.push(Output::Send { to, message });
    }
}

impl Node {
    pub fn start(id: NodeId, nodes: usize, log: &[Term], stable: Stable) -> (Self, Vec<Output>) {
        let node = Self {
            me: id,
            last: LastEntry {
                index: u64::try_from(log.len()).expect("a log that fits into memory"),
                term: *log.last().unwrap_or(&0),
            },
            role: Role::Follower,
            term: stable.term,
            voted_for: stable.voted_for,
            votes: vec![false; nodes],
            disk: stable,
        };
        (node, vec![Output::SetTimer(PATIENCE)])
    }

    pub fn step(&mut self, input: Input) -> Vec<Output> {
        let mut disk = self.disk;
        let mut outbox = Outbox {
            disk: &mut disk,
            outputs: Vec::new(),
        };
        match input {
            Input::Timeout => self.time_out(&mut outbox),
            Input::Receive { from, message } => {
                if from != self.me && from < self.votes.len() {
                    self.receive(&mut outbox, from, message);
                }
            }
        }
        let outputs = outbox.outputs;
        self.disk = disk;
        outputs
    }

    pub fn role(&self) -> Role {
        self.role
    }

    pub fn term(&self) -> Term {
        self.term
    }

    fn now(&self) -> Stable {
        Stable {
            term: self.term,
            voted_for: self.voted_for,
        }
    }

    fn time_out(&mut self, outbox: &mut Outbox<'_>) {
        if self.role != Role::Leader && self.term == Term::MAX {
            // After the last term there is no election.
            outbox.outputs.push(Output::SetTimer(PATIENCE));
        } else if self.role != Role::Leader {
            self.term += 1;
            self.voted_for = Some(self.me);
            self.role = Role::Candidate;
            self.votes.fill(false);
            self.votes[self.me] = true;
            let (term, last) = (self.term, self.last);
            self.to_all(outbox, Message::RequestVote { term, last });
            outbox.outputs.push(Output::SetTimer(PATIENCE));
            self.lead_if_elected(outbox);
        } else {
            self.beat(outbox);
        }
    }

    fn receive(&mut self, outbox: &mut Outbox<'_>, from: NodeId, message: Message) {
        match message {
            Message::RequestVote { term, last } => self.request(outbox, from, term, last),
            Message::Vote { term, granted } => {
                self.hear(outbox, term);
                if granted && term == self.term && self.role == Role::Candidate {
                    self.votes[from] = true;
                    self.lead_if_elected(outbox);
                }
            }
            Message::Heartbeat { term } => {
                self.hear(outbox, term);
                if term == self.term && self.role != Role::Leader {
                    self.role = Role::Follower;
                    outbox.outputs.push(Output::SetTimer(PATIENCE));
                }
                let term = self.term;
                outbox.send(self.now(), from, Message::HeartbeatReply { term });
            }
            Message::HeartbeatReply { term } => self.hear(outbox, term),
        }
    }

    fn hear(&mut self, outbox: &mut Outbox<'_>, term: Term) {
        if term > self.term {
            self.term = term;
            self.voted_for = None;
            if self.role == Role::Leader {
                outbox.outputs.push(Output::SetTimer(PATIENCE));
            }
            self.role = Role::Follower;
        }
    }

    fn request(&mut self, outbox: &mut Outbox<'_>, from: NodeId, term: Term, last: LastEntry) {
        self.hear(outbox, term);
        let newer = last.term > self.last.term;
        let as_new = last.term == self.last.term && last.index >= self.last.index;
        let free = self.voted_for.is_none() || self.voted_for == Some(from);
        let granted = term == self.term && free && (newer || as_new);
        if granted {
            self.voted_for = Some(from);
        }
        let term = self.term;
        outbox.send(self.now(), from, Message::Vote { term, granted });
        if granted {
            outbox.outputs.push(Output::SetTimer(PATIENCE));
        }
    }

    fn lead_if_elected(&mut self, outbox: &mut Outbox<'_>) {
        let votes = self.votes.iter().filter(|voted| **voted).count();
        if 2 * votes > self.votes.len() {
            self.role = Role::Leader;
            self.beat(outbox);
        }
    }

    fn beat(&mut self, outbox: &mut Outbox<'_>) {
        let term = self.term;
        self.to_all(outbox, Message::Heartbeat { term });
        outbox.outputs.push(Output::SetTimer(PACE..=PACE));
    }

    fn to_all(&self, outbox: &mut Outbox<'_>, message: Message) {
        for to in 0..self.votes.len() {
            if to != self.me {
                outbox.send(self.now(), to, message);
            }
        }
    }
}
