//! Whether there is such a program at all.
//!
//! Decides that no load is asked to release and no store to acquire: neither exists, and an atomic panics when it is
//! asked. Decides that a choice is one: the same however often it is asked for, and by whom. Does not decide anything about
//! what the program does.

use std::fmt::Debug;

use super::programs::{Litmus, possible};

fn every_access_can_have_its_ordering<L: Litmus>(choice: fn() -> L) {
    possible(choice);
}

mod every_access_can_have_its_ordering {
    each! { super::every_access_can_have_its_ordering }
}

fn the_choice_is_always_the_same<L>(choice: fn() -> L)
where
    L: Litmus + PartialEq + Debug + Send + 'static,
{
    let first = possible(choice);
    let asked_again = || (0..1_100).map(|_| choice()).find(|again| *again != first);
    let elsewhere = std::thread::scope(|scope| scope.spawn(asked_again).join().unwrap());
    if let Some(other) = asked_again().or(elsewhere) {
        panic!(
            "{}: the choice was {first:?}, and {other:?} when it was asked for again. The other checks look at one of them, and the \
             program runs with the other one",
            L::NAME
        );
    }
}

mod the_choice_is_always_the_same {
    each! { super::the_choice_is_always_the_same }
}
