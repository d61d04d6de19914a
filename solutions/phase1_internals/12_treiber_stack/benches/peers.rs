extern crate treiber_stack_solution as treiber_stack;
#[path = "../../../../exercises/phase1_internals/12_treiber_stack/benches/peers.rs"]
mod peers;

fn main() {
    peers::main();
}
