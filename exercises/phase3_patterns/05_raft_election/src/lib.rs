//! Leader election in Raft, as a machine without threads, clocks or chance. The task is in `README.md`.
#![allow(dead_code, unused_variables)] // Delete this line when you start: from then on the compiler helps you.

use std::ops::RangeInclusive;

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

/// One node of a cluster.
///
/// The outputs of a step are carried out in their order, and the next input comes after the last of them. A crash may
/// come between any two. Then whatever is left of the list is not done, the node is gone, and another one is made with
/// [`start`](Self::start) from what was persisted last.
///
/// Keep the derived traits: the checks tell the states of a node apart by them. Collections that have them are `Vec`,
/// `BTreeSet` and `BTreeMap`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Node {
    // Yours.
}

impl Node {
    /// Starts the node `id` of a cluster of `nodes` nodes, for the first time or after a crash, and says what it wants
    /// done first.
    ///
    /// `log` is the log on its disk: the term of each entry, never falling. It does not change in this kata. `stable` is
    /// what it persisted last, or the default if it never did.
    pub fn start(id: NodeId, nodes: usize, log: &[Term], stable: Stable) -> (Self, Vec<Output>) {
        todo!()
    }

    /// What the node makes of an input, and what it wants done.
    ///
    /// No message makes it panic. Messages from outside the cluster, or from itself, are ignored.
    pub fn step(&mut self, input: Input) -> Vec<Output> {
        todo!()
    }

    /// What the node is.
    pub fn role(&self) -> Role {
        todo!()
    }

    /// The highest term that the node has heard of.
    pub fn term(&self) -> Term {
        todo!()
    }
}
