//! One node and whatever may happen to it, in any order: 400 random lives from a fixed seed, with crashes between any two
//! outputs.
//!
//! Decides whether the node keeps its word through all of it: what it has said, it stands by, before and after a crash. A
//! life that shows the contrary is shortened before it is printed.
//! Does not decide anything about several nodes; the messages are made up, not sent by anybody.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, RngSeed, TestRunner};
use raft_election::{Input, LastEntry, Message, Node, NodeId, Output, Role, Stable, Term};

/// Of all random choices. Another one gives other lives.
const SEED: u64 = 0x3_05;
const CASES: u32 = 400;

/// Something that happens to the node, and after how many outputs it crashes, if it does.
#[derive(Clone, Debug)]
struct Event {
    input: Input,
    crash_after: Option<usize>,
}

fn message() -> impl Strategy<Value = Message> {
    let term = 0..9_u64;
    let last = (0..4_u64, 0..4_u64).prop_map(|(index, term)| LastEntry {
        index,
        term: if index == 0 { 0 } else { term },
    });
    prop_oneof![
        3 => (term.clone(), last).prop_map(|(term, last)| Message::RequestVote { term, last }),
        4 => (term.clone(), prop::bool::weighted(0.8))
            .prop_map(|(term, granted)| Message::Vote { term, granted }),
        2 => term.clone().prop_map(|term| Message::Heartbeat { term }),
        1 => term.prop_map(|term| Message::HeartbeatReply { term }),
    ]
}

fn event() -> impl Strategy<Value = Event> {
    let input = prop_oneof![
        1 => Just(Input::Timeout),
        4 => (0..7_usize, message()).prop_map(|(from, message)| Input::Receive { from, message }),
    ];
    let crash = prop_oneof![9 => Just(None), 1 => (0..4_usize).prop_map(Some)];
    (input, crash).prop_map(|(input, crash_after)| Event { input, crash_after })
}

fn term_of(message: &Message) -> Term {
    match *message {
        Message::RequestVote { term, .. }
        | Message::Vote { term, .. }
        | Message::Heartbeat { term }
        | Message::HeartbeatReply { term } => term,
    }
}

/// A node, what is on its disk, and all that it has ever said.
struct Life {
    id: NodeId,
    nodes: usize,
    log: Vec<Term>,
    node: Node,
    disk: Stable,
    timer_runs: bool,
    /// The highest term it has spoken of.
    spoken: Term,
    /// Whom it has promised its vote, by term.
    promised: BTreeMap<Term, NodeId>,
    /// Who has granted it a vote in its term, since it became a candidate in it.
    granted: BTreeSet<NodeId>,
}

impl Life {
    fn begin(id: NodeId, nodes: usize, log: Vec<Term>) -> Result<Self, TestCaseError> {
        let disk = Stable::default();
        let (node, outputs) = Node::start(id, nodes, &log, disk);
        let mut life = Self {
            id,
            nodes,
            log,
            node,
            disk,
            timer_runs: false,
            spoken: 0,
            promised: BTreeMap::new(),
            granted: BTreeSet::new(),
        };
        life.carry_out(&outputs)?;
        life.look()?;
        Ok(life)
    }

    fn live(&mut self, event: &Event) -> Result<(), TestCaseError> {
        if event.input == Input::Timeout {
            if !self.timer_runs {
                return Ok(());
            }
            self.timer_runs = false;
        }
        let (role, term) = (self.node.role(), self.node.term());
        let outputs = self.node.step(event.input);
        prop_assert!(
            self.node.term() >= term,
            "the term went back from {} to {}",
            term,
            self.node.term()
        );
        if let Some(after) = event.crash_after {
            self.carry_out(&outputs[..after.min(outputs.len())])?;
            let (node, outputs) = Node::start(self.id, self.nodes, &self.log, self.disk);
            self.node = node;
            self.timer_runs = false;
            self.granted.clear();
            prop_assert!(
                self.node.term() >= self.spoken,
                "after the crash it is in term {}, and it has spoken of term {} before",
                self.node.term(),
                self.spoken
            );
            prop_assert_eq!(self.node.role(), Role::Follower, "whoever starts, follows");
            self.carry_out(&outputs)?;
        } else {
            self.heard(&event.input, role, term)?;
            self.carry_out(&outputs)?;
        }
        self.look()
    }

    /// What the input must have made of the node.
    fn heard(&mut self, input: &Input, role: Role, term: Term) -> Result<(), TestCaseError> {
        let now = (self.node.role(), self.node.term());
        match *input {
            Input::Timeout => {
                if role != Role::Leader {
                    prop_assert_eq!(
                        now.1,
                        term + 1,
                        "a timeout begins an election, in the next term"
                    );
                    self.granted = BTreeSet::from([self.id]);
                }
            }
            Input::Receive { from, .. } if from >= self.nodes || from == self.id => {
                prop_assert_eq!(now, (role, term), "n{} is nobody to listen to", from);
            }
            Input::Receive { from, message } => {
                let heard = term_of(&message);
                if heard > term {
                    prop_assert_eq!(
                        now,
                        (Role::Follower, heard),
                        "{:?} from n{} is of a newer term",
                        message,
                        from
                    );
                } else {
                    prop_assert_eq!(
                        now.1,
                        term,
                        "{:?} from n{} is not of a newer term",
                        message,
                        from
                    );
                }
                if let Message::Vote { granted: true, .. } = message
                    && heard == term
                    && role == Role::Candidate
                {
                    self.granted.insert(from);
                }
            }
        }
        if now.0 == Role::Leader && role != Role::Leader {
            prop_assert!(
                self.granted.len() > self.nodes / 2,
                "it leads term {} with the votes of {:?}, which are not more than half of {}",
                now.1,
                self.granted,
                self.nodes
            );
        }
        if now.0 == Role::Candidate {
            prop_assert!(
                self.granted.len() <= self.nodes / 2,
                "it has the votes of {:?}, more than half of {}, and does not lead",
                self.granted,
                self.nodes
            );
        }
        Ok(())
    }

    fn carry_out(&mut self, outputs: &[Output]) -> Result<(), TestCaseError> {
        for output in outputs {
            match output {
                Output::Persist(stable) => self.disk = *stable,
                Output::SetTimer(after) => {
                    prop_assert!(
                        !after.is_empty() && *after.start() > 0,
                        "a timer of {:?} ms cannot be set",
                        after
                    );
                    self.timer_runs = true;
                }
                Output::Send { to, message } => self.says(*to, message)?,
            }
        }
        Ok(())
    }

    /// Everything it says must be on its disk.
    fn says(&mut self, to: NodeId, message: &Message) -> Result<(), TestCaseError> {
        let term = term_of(message);
        prop_assert!(
            to < self.nodes && to != self.id,
            "{:?} goes to n{}",
            message,
            to
        );
        prop_assert!(
            term >= self.spoken,
            "{:?} goes out, and it has spoken of term {} before",
            message,
            self.spoken
        );
        self.spoken = term;
        prop_assert_eq!(
            self.disk.term,
            term,
            "{:?} goes to n{} with {:?} on the disk: a crash, and it has forgotten the term",
            message,
            to,
            self.disk
        );
        let vote = match message {
            Message::RequestVote { .. } => Some(self.id),
            Message::Vote { granted: true, .. } => Some(to),
            _ => None,
        };
        if let Some(candidate) = vote {
            let promised = *self.promised.entry(term).or_insert(candidate);
            prop_assert_eq!(promised, candidate, "two votes in term {}", term);
            prop_assert_eq!(
                self.disk.voted_for,
                Some(candidate),
                "{:?} goes to n{}, and its vote is not on the disk: a crash, and it votes again",
                message,
                to
            );
        }
        Ok(())
    }

    fn look(&self) -> Result<(), TestCaseError> {
        prop_assert!(
            self.timer_runs,
            "the timer has run out and was not set again: the node, now a {:?}, will never do anything of its own accord",
            self.node.role()
        );
        Ok(())
    }
}

#[test]
fn a_node_keeps_its_word_whatever_happens() {
    let lives = (
        prop_oneof![Just(1_usize), Just(2), Just(3), Just(4), Just(5)],
        prop::collection::vec(1..4_u64, 0..4),
        prop::collection::vec(event(), 1..60),
    );
    let config = Config {
        cases: CASES,
        failure_persistence: None,
        rng_algorithm: RngAlgorithm::ChaCha,
        rng_seed: RngSeed::Fixed(SEED),
        max_shrink_iters: 2_000,
        ..Config::default()
    };
    Node::start(0, 3, &[], Stable::default());
    TestRunner::new(config)
        .run(&lives, |(nodes, mut log, events)| {
            log.sort_unstable();
            let mut life = Life::begin(nodes / 2, nodes, log)?;
            for event in &events {
                life.live(event)?;
            }
            Ok(())
        })
        .unwrap_or_else(|failure| panic!("(seed {SEED:#x}) {failure}"));
}
