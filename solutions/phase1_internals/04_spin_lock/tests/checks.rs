extern crate spin_lock_solution as spin_lock;
#[path = "../../../../exercises/phase1_internals/04_spin_lock/tests/checks/main.rs"]
mod checks;
