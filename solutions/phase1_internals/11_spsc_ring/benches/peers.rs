extern crate spsc_ring_solution as spsc_ring;
#[path = "../../../../exercises/phase1_internals/11_spsc_ring/benches/peers.rs"]
mod peers;

fn main() {
    peers::main();
}
