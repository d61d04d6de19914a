extern crate queue_lock_solution as queue_lock;
#[path = "../../../../exercises/phase1_internals/05_queue_lock/benches/peers.rs"]
mod peers;

fn main() {
    peers::main();
}
