//! `std::hint`, recorded.

use super::*;

/// Says that the thread waits for another one: the checker runs the others.
#[track_caller]
pub fn spin_loop() {
    super::thread::pause(Location::caller());
}
