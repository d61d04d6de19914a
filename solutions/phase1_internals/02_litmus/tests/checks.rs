extern crate litmus_solution as litmus;
#[path = "../../../../exercises/phase1_internals/02_litmus/tests/checks/main.rs"]
mod checks;
