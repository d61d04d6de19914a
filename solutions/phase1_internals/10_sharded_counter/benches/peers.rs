extern crate sharded_counter_solution as sharded_counter;
#[path = "../../../../exercises/phase1_internals/10_sharded_counter/benches/peers.rs"]
mod peers;

fn main() {
    peers::main();
}
