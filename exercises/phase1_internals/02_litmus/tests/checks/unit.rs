//! Whether there is such a program at all.
//!
//! Decides that no load is asked to release and no store to acquire: neither exists, and an atomic panics when it is
//! asked. Does not decide anything about what the program does.

use super::programs::{Litmus, possible};

fn every_access_can_have_its_ordering<L: Litmus>(choice: fn() -> L) {
    possible(choice);
}

mod every_access_can_have_its_ordering {
    each! { super::every_access_can_have_its_ordering }
}
