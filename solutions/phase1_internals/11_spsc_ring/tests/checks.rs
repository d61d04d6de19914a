extern crate spsc_ring_solution as spsc_ring;
#[path = "../../../../exercises/phase1_internals/11_spsc_ring/tests/checks/main.rs"]
mod checks;
