//! The program: a coordinator or a worker, see `README.md`. Given; there is nothing to do here.

#[path = "../tests/checks/program/mod.rs"]
mod program;

fn main() -> std::process::ExitCode {
    program::main()
}
