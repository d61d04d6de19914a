extern crate seqlock_solution as seqlock;
#[path = "../../../../exercises/phase1_internals/07_seqlock/benches/peers.rs"]
mod peers;

fn main() {
    peers::main();
}
