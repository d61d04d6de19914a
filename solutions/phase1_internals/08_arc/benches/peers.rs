extern crate arc_solution as arc;
#[path = "../../../../exercises/phase1_internals/08_arc/benches/peers.rs"]
mod peers;

fn main() {
    peers::main();
}
