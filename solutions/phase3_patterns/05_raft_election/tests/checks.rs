extern crate raft_election_solution as raft_election;
#[path = "../../../../exercises/phase3_patterns/05_raft_election/tests/checks/main.rs"]
mod checks;
