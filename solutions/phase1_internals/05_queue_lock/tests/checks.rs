extern crate queue_lock_solution as queue_lock;
#[path = "../../../../exercises/phase1_internals/05_queue_lock/tests/checks/main.rs"]
mod checks;
