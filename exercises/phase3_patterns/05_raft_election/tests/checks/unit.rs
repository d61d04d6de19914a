//! One node and one input at a time: the rules of Figure 2 of the Raft paper, as far as they are about elections.
//!
//! Decides what a node makes of a single message or timeout, and what it sends.
//! Does not decide what is on the disk when something is sent, or whether the rules add up to a cluster with one leader: the
//! other checks do.

use std::collections::BTreeSet;

use raft_election::{Input, LastEntry, Message, Node, NodeId, Output, Role, Stable, Term};
use rstest::rstest;

/// A node, and ways to speak to it.
struct Machine {
    node: Node,
}

/// What came of an input.
#[derive(Debug)]
struct Done {
    outputs: Vec<Output>,
}

impl Done {
    fn sent(&self) -> Vec<(NodeId, Message)> {
        let sent = |output: &Output| match *output {
            Output::Send { to, message } => Some((to, message)),
            _ => None,
        };
        self.outputs.iter().filter_map(sent).collect()
    }

    fn timer(&self) -> Option<(u64, u64)> {
        let timer = |output: &Output| match output {
            Output::SetTimer(range) => Some((*range.start(), *range.end())),
            _ => None,
        };
        self.outputs.iter().rev().find_map(timer)
    }

    /// The one answer that was sent to `to`.
    fn answer(&self, to: NodeId) -> Message {
        match self.sent().as_slice() {
            &[(receiver, message)] if receiver == to => message,
            other => {
                panic!("n{to} is to get one answer, and nobody else anything: {other:?} was sent")
            }
        }
    }
}

impl Machine {
    /// Node 0, with an empty log.
    fn start(nodes: usize, term: Term, voted_for: Option<NodeId>) -> Self {
        Self::with_log(nodes, &[], term, voted_for)
    }

    fn with_log(nodes: usize, log: &[Term], term: Term, voted_for: Option<NodeId>) -> Self {
        let disk = Stable { term, voted_for };
        let (node, outputs) = Node::start(0, nodes, log, disk);
        assert!(
            outputs
                .iter()
                .any(|output| matches!(output, Output::SetTimer(_))),
            "a node that starts must set its timer: nobody else will ever wake it if all others wait as well"
        );
        Self { node }
    }

    /// A candidate for term 1.
    fn candidate(nodes: usize) -> Self {
        let mut machine = Self::start(nodes, 0, None);
        machine.timeout();
        machine
    }

    /// The leader of term 1.
    fn leader(nodes: usize) -> Self {
        let mut machine = Self::candidate(nodes);
        for from in 1..=nodes / 2 {
            machine.receive(from, vote(1, true));
        }
        assert_eq!(
            machine.node.role(),
            Role::Leader,
            "it has a majority of the votes in its own term"
        );
        machine
    }

    fn step(&mut self, input: Input) -> Done {
        let outputs = self.node.step(input);
        Done { outputs }
    }

    fn timeout(&mut self) -> Done {
        self.step(Input::Timeout)
    }

    fn receive(&mut self, from: NodeId, message: Message) -> Done {
        self.step(Input::Receive { from, message })
    }

    fn is(&self) -> (Role, Term) {
        (self.node.role(), self.node.term())
    }
}

fn vote(term: Term, granted: bool) -> Message {
    Message::Vote { term, granted }
}

fn request(term: Term) -> Message {
    Message::RequestVote {
        term,
        last: LastEntry::default(),
    }
}

fn heartbeat(term: Term) -> Message {
    Message::Heartbeat { term }
}

fn reply(term: Term) -> Message {
    Message::HeartbeatReply { term }
}

/// All of them, whatever their order.
fn receivers(sent: &[(NodeId, Message)], message: Message) -> BTreeSet<NodeId> {
    assert!(
        sent.iter().all(|(_, other)| *other == message),
        "nothing but {message:?} is to be sent: {sent:?}"
    );
    let receivers: BTreeSet<NodeId> = sent.iter().map(|(to, _)| *to).collect();
    assert_eq!(receivers.len(), sent.len(), "to each node once: {sent:?}");
    receivers
}

#[rstest]
#[case::for_the_first_time(0, None)]
#[case::after_a_vote(7, Some(2))]
fn a_node_starts_as_a_follower(#[case] term: Term, #[case] voted_for: Option<NodeId>) {
    let machine = Machine::start(3, term, voted_for);
    assert_eq!(
        machine.is(),
        (Role::Follower, term),
        "it begins where its disk says that it was, and listens first"
    );
}

#[rstest]
#[case::of_three(3)]
#[case::of_four(4)]
#[case::of_five(5)]
fn a_timeout_begins_an_election(#[case] nodes: usize) {
    let mut machine = Machine::with_log(nodes, &[1, 1, 2], 6, Some(1));
    let done = machine.timeout();
    assert_eq!(
        machine.is(),
        (Role::Candidate, 7),
        "a new term, and it wants to lead it"
    );
    let last = LastEntry { index: 3, term: 2 };
    assert_eq!(
        receivers(&done.sent(), Message::RequestVote { term: 7, last }),
        (1..nodes).collect(),
        "it asks everybody else for a vote, and says where its log ends"
    );
    assert!(
        done.timer().is_some(),
        "an election may be lost by all: without a timer nobody begins the next one"
    );
}

#[test]
fn a_candidate_that_times_out_begins_another_election() {
    let mut machine = Machine::candidate(3);
    let done = machine.timeout();
    assert_eq!(machine.is(), (Role::Candidate, 2));
    assert_eq!(receivers(&done.sent(), request(2)), BTreeSet::from([1, 2]));
    machine.receive(1, vote(1, true));
    assert_eq!(
        machine.is(),
        (Role::Candidate, 2),
        "a vote for an election that is over is no vote in this one"
    );
}

#[rstest]
#[case::of_one(1, 0)]
#[case::of_two(2, 1)]
#[case::of_three(3, 1)]
#[case::of_four(4, 2)]
#[case::of_five(5, 2)]
fn a_majority_makes_a_leader(#[case] nodes: usize, #[case] needed: usize) {
    let mut machine = Machine::start(nodes, 0, None);
    let mut done = machine.timeout();
    for from in 1..=needed {
        assert_eq!(
            machine.is(),
            (Role::Candidate, 1),
            "{from} of {nodes} votes, its own included, are not more than half"
        );
        done = machine.receive(from, vote(1, true));
    }
    assert_eq!(
        machine.is(),
        (Role::Leader, 1),
        "{} of {nodes} votes, its own included, are more than half",
        needed + 1
    );
    let sent = if nodes == 1 { Vec::new() } else { done.sent() };
    assert_eq!(
        receivers(&sent, heartbeat(1)),
        (1..nodes).collect(),
        "everybody hears of it at once: the next one is about to time out"
    );
    assert!(
        done.timer().is_some(),
        "without a timer there is never another heartbeat"
    );
}

#[test]
fn a_vote_counts_once() {
    let mut machine = Machine::candidate(5);
    for _ in 0..3 {
        machine.receive(1, vote(1, true));
    }
    assert_eq!(
        machine.is(),
        (Role::Candidate, 1),
        "one voter is one vote, however often the network repeats it: 2 of 5"
    );
    machine.receive(2, vote(1, true));
    assert_eq!(machine.is(), (Role::Leader, 1));
}

#[test]
fn a_refusal_is_no_vote() {
    let mut machine = Machine::candidate(3);
    machine.receive(1, vote(1, false));
    assert_eq!(machine.is(), (Role::Candidate, 1));
    machine.receive(2, vote(1, true));
    assert_eq!(machine.is(), (Role::Leader, 1));
}

#[test]
fn a_leader_that_times_out_sends_heartbeats() {
    let mut machine = Machine::leader(3);
    let done = machine.timeout();
    assert_eq!(machine.is(), (Role::Leader, 1));
    assert_eq!(
        receivers(&done.sent(), heartbeat(1)),
        BTreeSet::from([1, 2])
    );
    assert!(
        done.timer().is_some(),
        "without a timer this was the last one"
    );
}

/// Asked by n1 for term 3, by a node whose log is empty too.
#[rstest]
#[case::of_a_new_term(2, Some(2), true)]
#[case::of_its_own_term(3, None, true)]
#[case::who_has_its_vote_already(3, Some(1), true)]
#[case::after_it_has_voted_for_another(3, Some(2), false)]
#[case::after_it_has_voted_for_itself(3, Some(0), false)]
#[case::of_an_older_term(4, None, false)]
fn a_candidate_is_answered(
    #[case] term: Term,
    #[case] voted_for: Option<NodeId>,
    #[case] granted: bool,
) {
    let mut machine = Machine::start(3, term, voted_for);
    let done = machine.receive(1, request(3));
    let now = term.max(3);
    assert_eq!(
        done.answer(1),
        vote(now, granted),
        "in term {term}, with its vote given to {voted_for:?}, asked for a vote in term 3"
    );
    assert_eq!(machine.is(), (Role::Follower, now));
    if granted {
        assert!(
            done.timer().is_some() || voted_for == Some(1),
            "who has voted waits for the winner: the timer is set anew, or it runs for the same term itself"
        );
    } else {
        assert_eq!(
            done.timer(),
            None,
            "whoever is refused must not keep others from trying: a refusal leaves the timer alone"
        );
    }
}

/// Up to date is: the later last term, and in the same term, the longer log.
#[rstest]
#[case::both_empty(&[], 0, 0, true)]
#[case::alike(&[1, 1], 2, 1, true)]
#[case::longer(&[1, 1], 3, 1, true)]
#[case::shorter(&[1, 1], 1, 1, false)]
#[case::empty(&[1], 0, 0, false)]
#[case::later_term(&[1, 1], 2, 2, true)]
#[case::later_term_and_shorter(&[1, 1, 1], 1, 2, true)]
#[case::earlier_term(&[1, 2], 2, 1, false)]
#[case::earlier_term_and_longer(&[1, 2], 5, 1, false)]
fn a_vote_goes_to_a_log_that_is_up_to_date(
    #[case] log: &[Term],
    #[case] index: u64,
    #[case] term: Term,
    #[case] granted: bool,
) {
    let mut machine = Machine::with_log(3, log, 4, None);
    let last = LastEntry { index, term };
    let done = machine.receive(2, Message::RequestVote { term: 5, last });
    assert_eq!(
        done.answer(2),
        vote(5, granted),
        "a log with the entries {log:?} is asked for a vote by one of {index} entries, the last of term {term}"
    );
}

#[rstest]
#[case::by_a_request(request(5))]
#[case::by_a_vote(vote(5, true))]
#[case::by_a_refusal(vote(5, false))]
#[case::by_a_heartbeat(heartbeat(5))]
#[case::by_the_answer_to_a_heartbeat(reply(5))]
fn a_newer_term_makes_a_follower(#[case] message: Message) {
    let (_, pace) = Machine::leader(3).timeout().timer().expect("it leads");
    for (was, mut machine) in [
        ("follower", Machine::start(3, 1, Some(2))),
        ("candidate", Machine::candidate(3)),
        ("leader", Machine::leader(3)),
    ] {
        let done = machine.receive(1, message);
        assert_eq!(
            machine.is(),
            (Role::Follower, 5),
            "a {was} of term 1 hears of term 5 by {message:?}"
        );
        if was == "leader" {
            assert!(
                done.timer().is_some_and(|(_, latest)| latest > pace),
                "it was the leader, and its timer is set for a heartbeat: as a follower it has to be more patient"
            );
        }
        if message == heartbeat(5) {
            assert!(
                done.timer().is_some(),
                "the {was} has just heard from the leader of term 5, and its old timer runs on: it may depose that leader \
                 at once"
            );
            // Whether it votes is its own affair from here on: the election of term 5 is over.
            continue;
        }
        // It has not voted in the new term, but for whom it may have voted just now.
        let granted = machine.receive(1, request(5)).answer(1);
        assert_eq!(
            granted,
            vote(5, true),
            "the {was}'s vote of term 1 binds nobody in term 5"
        );
    }
}

#[rstest]
#[case::a_request(request(1), Some(vote(3, false)))]
#[case::a_heartbeat(heartbeat(1), Some(reply(3)))]
#[case::a_vote(vote(1, true), None)]
#[case::an_answer(reply(1), None)]
fn an_older_term_changes_nothing(#[case] message: Message, #[case] answer: Option<Message>) {
    for candidate in [false, true] {
        let mut machine = Machine::start(3, 3 - Term::from(candidate), None);
        if candidate {
            machine.timeout();
        }
        let before = machine.is();
        let done = machine.receive(2, message);
        assert_eq!(machine.is(), before, "{message:?} comes from the past");
        assert_eq!(
            done.sent(),
            answer
                .map(|answer| (2, answer))
                .into_iter()
                .collect::<Vec<_>>(),
            "whoever lives in the past and asks is told of the present; whoever answers is not"
        );
        assert_eq!(
            done.timer(),
            None,
            "a leader or candidate of the past keeps nobody waiting"
        );
    }
}

#[test]
fn a_heartbeat_of_its_own_term_is_followed() {
    for (was, mut machine) in [
        ("follower", Machine::start(3, 1, None)),
        ("candidate", Machine::candidate(3)),
    ] {
        let done = machine.receive(2, heartbeat(1));
        assert_eq!(
            machine.is(),
            (Role::Follower, 1),
            "n2 has won the election of term 1, says the heartbeat, and the {was} has not"
        );
        assert_eq!(done.answer(2), reply(1));
        assert!(
            done.timer().is_some(),
            "a heartbeat is there to make the {was} patient: the timer is set anew"
        );
    }
}

#[test]
fn a_loser_of_an_election_keeps_its_vote() {
    let mut machine = Machine::candidate(3);
    machine.receive(2, heartbeat(1));
    let done = machine.receive(1, request(1));
    assert_eq!(
        done.answer(1),
        vote(1, false),
        "it has voted for itself in this term, whatever has come of it"
    );
}

#[test]
fn a_leader_answers_no_answers() {
    let mut machine = Machine::leader(3);
    for message in [reply(1), vote(1, true), vote(1, false)] {
        let done = machine.receive(2, message);
        assert_eq!(machine.is(), (Role::Leader, 1));
        assert_eq!(
            done.sent(),
            [],
            "{message:?} is an answer. If answers are answered, the network never rests"
        );
        assert_eq!(
            done.timer(),
            None,
            "{message:?} sets the leader's timer anew: followers that answer slowly postpone the heartbeats of all others"
        );
    }
}

#[rstest]
#[case::of_three(3)]
#[case::of_five(5)]
fn a_late_request_of_its_own_term_changes_nothing(#[case] nodes: usize) {
    for (was, mut machine) in [
        ("candidate", Machine::candidate(nodes)),
        ("leader", Machine::leader(nodes)),
    ] {
        let before = machine.is();
        let done = machine.receive(nodes - 1, request(1));
        assert_eq!(
            done.answer(nodes - 1),
            vote(1, false),
            "the {was} of term 1 has voted for itself"
        );
        assert_eq!(
            machine.is(),
            before,
            "a rival's request of the same term was late: it takes nothing from the {was}"
        );
        assert_eq!(
            done.timer(),
            None,
            "whoever refuses in its own term leaves its timer alone"
        );
    }
}

/// However a leader's time ends, also if it gives up by itself because nobody answers.
#[rstest]
#[case::of_three(3)]
#[case::of_five(5)]
fn a_leader_never_votes_for_another_in_its_own_term(#[case] nodes: usize) {
    let mut machine = Machine::leader(nodes);
    for unanswered in 0..40 {
        let mut asked = Machine {
            node: machine.node.clone(),
        };
        let done = asked.receive(1, request(1));
        let answer = done.answer(1);
        assert!(
            matches!(answer, Message::Vote { granted: false, .. }),
            "it has led term 1, {unanswered} heartbeats went unanswered, and now it votes for a rival in the same term: \
             {answer:?}. If that rival wins, one term has had two leaders"
        );
        machine.timeout();
    }
}

/// A message takes up to 20 ms, so a follower hears nothing for two heartbeats and 20 ms if one is lost.
#[test]
fn one_lost_heartbeat_deposes_nobody() {
    let (_, pace) = Machine::leader(3).timeout().timer().expect("it leads");
    let silence = 2 * pace + 20;
    let (_, outputs) = Node::start(0, 3, &[], Stable::default());
    let mut follower = Machine::start(3, 1, None);
    let mut voter = Machine::start(3, 0, None);
    for (when, done) in [
        ("when it starts", Done { outputs }),
        ("when it has voted", voter.receive(1, request(1))),
        ("after a heartbeat", follower.receive(1, heartbeat(1))),
        (
            "after a heartbeat of a newer term",
            follower.receive(1, heartbeat(2)),
        ),
        (
            "when it leads no more",
            Machine::leader(3).receive(1, reply(2)),
        ),
    ] {
        let (earliest, _) = done.timer().expect("its timer is set");
        assert!(
            earliest > silence,
            "{when} a node waits {earliest} ms at least, and its leader is silent for up to {pace} ms: if one heartbeat is \
             lost, nothing may come for {silence} ms, and a leader with whom nothing is wrong is deposed"
        );
    }
}

#[test]
fn after_the_last_term_there_is_no_other() {
    for message in [
        request(Term::MAX),
        heartbeat(Term::MAX),
        vote(Term::MAX, true),
        reply(Term::MAX),
    ] {
        let mut machine = Machine::start(3, 0, None);
        machine.receive(1, message);
        for _ in 0..2 {
            let done = machine.timeout();
            assert_eq!(
                machine.node.term(),
                Term::MAX,
                "a broken or hostile node has said {message:?}: terms never go back, or votes are given twice"
            );
            assert!(
                done.timer().is_some(),
                "the last term is no reason to stand still for ever"
            );
        }
        assert_ne!(machine.node.role(), Role::Leader, "nobody has voted for it");
    }
}

#[rstest]
#[case::from_the_first_number_that_is_no_node(3)]
#[case::from_far_away(usize::MAX)]
#[case::from_itself(0)]
fn strangers_are_ignored(#[case] from: NodeId) {
    for message in [
        request(9),
        vote(1, true),
        vote(9, true),
        heartbeat(1),
        heartbeat(9),
        reply(9),
    ] {
        let mut machine = Machine::candidate(3);
        let done = machine.receive(from, message);
        assert_eq!(
            machine.is(),
            (Role::Candidate, 1),
            "{message:?} from n{from} in a cluster of n0, n1 and n2: a node that was set up wrongly must not vote"
        );
        assert_eq!(done.outputs, []);
    }
}
