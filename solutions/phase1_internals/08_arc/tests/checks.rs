extern crate arc_solution as arc;
#[path = "../../../../exercises/phase1_internals/08_arc/tests/checks/main.rs"]
mod checks;
