extern crate dekker_solution as dekker;
#[path = "../../../../exercises/phase1_internals/06_dekker/benches/peers.rs"]
mod peers;

fn main() {
    peers::main();
}
