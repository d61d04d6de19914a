//! Every order in which messages and timeouts can come, and every place where a crash can fall, within bounds.
//!
//! Decides whether any of these histories breaks a rule of safety, and shows a shortest one. A message may take for ever,
//! which is how it gets lost; a timer may run out at any moment.
//! Does not decide anything beyond the bounds, which are printed, nor whether a leader is ever found in time: there is none
//! here.

use kata::check::sim::Walk;
use raft_election::{Message, Node, Role, Term};

use super::cluster::{LeadersKnowAll, NewerTermsWin, Raft, Safety};

fn somebody_leads(nodes: &[Option<Node>]) -> bool {
    nodes
        .iter()
        .flatten()
        .any(|node| node.role() == Role::Leader)
}

fn walk(raft: Raft) -> Walk<Raft> {
    Walk::new(raft).sometimes("A leader is elected", somebody_leads)
}

/// An election is decided before anybody sends a heartbeat.
fn is_heartbeat(message: &Message) -> bool {
    matches!(
        message,
        Message::Heartbeat { .. } | Message::HeartbeatReply { .. }
    )
}

/// Nor does a vote that is refused decide anything.
fn is_heartbeat_or_refusal(message: &Message) -> bool {
    is_heartbeat(message) || matches!(message, Message::Vote { granted: false, .. })
}

mod never_two_leaders_in_a_term {
    use super::*;

    #[test]
    fn when_a_node_crashes() {
        walk(Raft::new(3))
            .timeouts(3)
            .timeouts_of(&[0, 1])
            .crashes(1)
            .without("heartbeats", is_heartbeat)
            .run(Safety::default());
    }

    #[test]
    fn when_one_election_follows_the_other() {
        walk(Raft::new(3))
            .timeouts(3)
            .timeouts_of(&[0, 1])
            .without("heartbeats", is_heartbeat)
            .run(Safety::default());
    }

    #[test]
    fn when_an_answer_comes_twice() {
        // Three nodes would not show it: with its own vote a candidate needs one more, however often it is counted.
        walk(Raft::new(5))
            .timeouts(2)
            .timeouts_of(&[0, 1])
            .duplicates(1)
            .without("heartbeats and refusals", is_heartbeat_or_refusal)
            .steps(9)
            .run(Safety::default());
    }
}

mod a_leader_knows_what_a_majority_knows {
    use super::*;

    fn check(logs: [&[Term]; 3], complete: [bool; 3]) {
        walk(Raft {
            logs: logs.map(<[Term]>::to_vec).into(),
            lost: 0,
        })
        .timeouts(2)
        .without("heartbeats", is_heartbeat)
        .run(LeadersKnowAll {
            complete: complete.to_vec(),
        });
    }

    #[test]
    fn when_a_log_is_shorter() {
        check([&[1, 1], &[1, 1], &[1]], [true, true, false]);
    }

    #[test]
    fn when_a_log_is_longer_and_older() {
        check([&[1, 2], &[1, 2], &[1, 1, 1]], [true, true, false]);
    }

    #[test]
    fn when_a_log_is_of_the_last_term_and_shorter() {
        check([&[1, 2, 2], &[1, 2, 2], &[1, 2]], [true, true, false]);
    }
}

#[test]
fn a_newer_term_ends_an_older_one() {
    walk(Raft::new(3)).timeouts(2).run(NewerTermsWin);
}
