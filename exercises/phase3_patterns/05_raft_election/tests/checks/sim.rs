//! Whole clusters in virtual time, on a network that loses, doubles, delays and reorders messages, with nodes that pause
//! and crash: 200 seeds for three nodes and as many for five.
//!
//! Decides whether a rule of safety is broken in any of these runs, and whether there is a leader soon after the last
//! fault, and no change of leaders after that. What fails is repeated with ever fewer faults before it is shown.
//! Does not decide anything about the runs that other seeds would give. The seeds are the same in every run of the checks.

use kata::check::sim::{Fault, Faults, Kind, Schedule, Sim};
use rstest::rstest;

use super::cluster::{OneLeaderInTheEnd, Raft, Safety};

/// In milliseconds: how long it may take to find a leader when nothing is wrong any more.
const PATIENCE: u64 = 5_000;

/// Then it has to stay for so long.
const PEACE: u64 = 3_000;

/// Messages take up to 100 ms here, as long as a node is patient, so that elections overlap all the time.
#[rstest]
#[case::three(3)]
#[case::five(5)]
fn never_two_leaders_in_a_term(#[case] nodes: usize) {
    let trouble = 10_000;
    Sim::new(Raft::new(nodes))
        .until(trouble)
        .latency(1..=100)
        .faults(Faults {
            most: 60,
            until: trouble,
        })
        .run(Safety::default());
}

#[rstest]
#[case::three(3)]
#[case::five(5)]
fn a_leader_is_found_and_stays_when_nothing_goes_wrong(#[case] nodes: usize) {
    Sim::new(Raft::new(nodes))
        .until(PATIENCE + PEACE)
        .run(OneLeaderInTheEnd::new(
            PATIENCE,
            "The cluster starts, nothing goes wrong",
        ));
}

#[rstest]
#[case::three(3)]
#[case::five(5)]
fn a_leader_is_found_and_stays_after_the_last_fault(#[case] nodes: usize) {
    let trouble = 3_000;
    Sim::new(Raft::new(nodes))
        .until(trouble + PATIENCE + PEACE)
        .faults(Faults {
            most: 10,
            until: trouble,
        })
        .run(OneLeaderInTheEnd::new(
            trouble + PATIENCE,
            "The last fault was over at 3000 ms",
        ));
}

/// A network was cut in pieces for long, and every node has lost 300 elections in a row.
#[rstest]
#[case::three(3)]
#[case::five(5)]
fn a_leader_is_found_and_stays_after_many_lost_elections(#[case] nodes: usize) {
    Sim::new(Raft {
        lost: 300,
        ..Raft::new(nodes)
    })
    .seeds(20)
    .until(PATIENCE + PEACE)
    .run(OneLeaderInTheEnd::new(
        PATIENCE,
        "Every node has lost 300 elections in a row, and nothing goes wrong any more",
    ));
}

/// Whichever node leads is alone for two seconds, the others elect another one, and then it hears of that.
#[rstest]
#[case::three(3)]
#[case::five(5)]
fn a_leader_that_was_cut_off_steps_down(#[case] nodes: usize) {
    for alone in 0..nodes {
        let cut = Fault {
            at: 2_000,
            lasts: 2_000,
            kind: Kind::Split(vec![alone]),
        };
        Sim::new(Raft::new(nodes))
            .seeds(10)
            .schedule(Schedule(vec![cut]))
            .until(4_000 + PATIENCE + PEACE)
            .run(OneLeaderInTheEnd::new(
                4_000 + PATIENCE,
                "The network was whole again at 4000 ms",
            ));
    }
}
