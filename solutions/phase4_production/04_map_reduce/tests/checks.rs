extern crate map_reduce_solution as map_reduce;
#[path = "../../../../exercises/phase4_production/04_map_reduce/tests/checks/main.rs"]
mod checks;
