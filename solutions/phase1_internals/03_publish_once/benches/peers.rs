extern crate publish_once_solution as publish_once;
#[path = "../../../../exercises/phase1_internals/03_publish_once/benches/peers.rs"]
mod peers;

fn main() {
    peers::main();
}
