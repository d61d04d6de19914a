extern crate mutex_condvar_solution as mutex_condvar;
#[path = "../../../../exercises/phase1_internals/09_mutex_condvar/benches/peers.rs"]
mod peers;

fn main() {
    peers::main();
}
