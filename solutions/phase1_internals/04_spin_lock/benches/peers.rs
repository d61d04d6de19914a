extern crate spin_lock_solution as spin_lock;
#[path = "../../../../exercises/phase1_internals/04_spin_lock/benches/peers.rs"]
mod peers;

fn main() {
    peers::main();
}
