extern crate mutex_condvar_solution as mutex_condvar;
#[path = "../../../../exercises/phase1_internals/09_mutex_condvar/tests/checks/main.rs"]
mod checks;
