extern crate fork_join_solution as fork_join;
#[path = "../../../../exercises/phase1_internals/01_fork_join/benches/peers.rs"]
mod peers;

fn main() {
    peers::main();
}
