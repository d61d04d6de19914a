//! The checks of `raft_election`, a file a kind. None of them uses a thread or a clock: a node has neither.

mod cluster;

mod enumerated;
mod property;
mod rules;
mod sim;
mod unit;
