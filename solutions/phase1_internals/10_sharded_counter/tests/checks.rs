extern crate sharded_counter_solution as sharded_counter;
#[path = "../../../../exercises/phase1_internals/10_sharded_counter/tests/checks/main.rs"]
mod checks;
