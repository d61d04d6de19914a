extern crate seqlock_solution as seqlock;
#[path = "../../../../exercises/phase1_internals/07_seqlock/tests/checks/main.rs"]
mod checks;
