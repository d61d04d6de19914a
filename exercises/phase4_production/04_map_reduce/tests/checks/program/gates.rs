//! Where the program can be held, see `kata::check::process`, and which number it believes to have.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
#[cfg(target_os = "linux")]
use std::sync::atomic::{AtomicI32, Ordering::Relaxed};

use map_reduce::App;

/// An app whose work begins when a check allows it: each call of `map`, and each call of `reduce` for a key that begins
/// with "gate".
pub struct Gated<'a>(pub &'a dyn App);

impl App for Gated<'_> {
    fn map(&self, input: &str, text: &str) -> Vec<(String, String)> {
        gate(&format!("map {input}"));
        self.0.map(input, text)
    }

    fn reduce(&self, key: &str, values: &[String]) -> String {
        if key.starts_with("gate") {
            gate(&format!("reduce {key}"));
        }
        self.0.reduce(key, values)
    }
}

/// Says what is about to happen and waits until it may. Where nobody asks, it happens at once.
fn gate(what: &str) {
    let Some(keeper) = std::env::var("KATA_GATES").ok() else {
        return;
    };
    let mut keeper = TcpStream::connect(keeper).expect("the check keeps the gates");
    let line = format!("{} {what}\n", number());
    keeper
        .write_all(line.as_bytes())
        .expect("the check listens");
    let _ = keeper.read(&mut [0]);
}

/// What `std::process::id` says, if not 0.
#[cfg(target_os = "linux")]
static BELIEVED: AtomicI32 = AtomicI32::new(0);

/// Has this process believe that its number is another one. Processes on two machines, or in two containers, may have the
/// same one: in a container it is often 1.
#[cfg(target_os = "linux")]
pub fn believe(number: i32) {
    BELIEVED.store(number, Relaxed);
}

/// In place of libc's, which `std::process::id` calls.
// SAFETY: it has the signature of the function whose name it takes.
#[cfg(target_os = "linux")]
#[unsafe(no_mangle)]
extern "C" fn getpid() -> i32 {
    match BELIEVED.load(Relaxed) {
        0 => number(),
        believed => believed,
    }
}

/// The number that this process has.
#[cfg(target_os = "linux")]
fn number() -> i32 {
    let link = std::fs::read_link("/proc/self").expect("Linux says which process this is");
    let number = link.to_str().and_then(|number| number.parse().ok());
    number.expect("it says so in digits")
}

/// The number that this process has.
#[cfg(not(target_os = "linux"))]
fn number() -> u32 {
    std::process::id()
}
