extern crate treiber_stack_solution as treiber_stack;
#[path = "../../../../exercises/phase1_internals/12_treiber_stack/tests/checks/main.rs"]
mod checks;
