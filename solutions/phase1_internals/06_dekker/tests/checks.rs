extern crate dekker_solution as dekker;
#[path = "../../../../exercises/phase1_internals/06_dekker/tests/checks/main.rs"]
mod checks;
