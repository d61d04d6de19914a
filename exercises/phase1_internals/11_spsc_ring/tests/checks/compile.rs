//! What the compiler lets a user of the ring do.
//!
//! Decides which ends may move to another thread, and that there is one producer and one consumer. These are promises
//! made in types: no run of any program can show that it was right to make them, and one wrong bound lets safe code race.
//! Does not ask whether the ends are `Sync`: all that a shared end gives out is numbers, and both answers are right.
//! Does not decide anything about how the ring behaves.

use std::cell::Cell;
use std::marker::PhantomData;
use std::rc::Rc;

use spsc_ring::{Consumer, Producer, channel};

/// Whether a type implements a trait, as a `bool`: a wrong bound then fails one named test instead of the build.
///
/// An associated constant of the type itself, which exists if the bound holds, goes before one of a trait.
macro_rules! implements {
    ($type:ty: $bound:path) => {{
        #[allow(dead_code)] // One of the two answers is never read.
        trait Otherwise {
            const ANSWER: bool = false;
        }
        impl<T: ?Sized> Otherwise for T {}

        struct Probe<T: ?Sized>(PhantomData<T>);
        #[allow(dead_code)]
        impl<T: ?Sized + $bound> Probe<T> {
            const ANSWER: bool = true;
        }
        <Probe<$type>>::ANSWER
    }};
}

/// The promise is about a ring that takes values: without one there is nothing to promise.
fn there_is_a_ring() {
    drop(channel::<u8>(1));
}

#[test]
fn the_ends_move_to_other_threads_with_values_that_may() {
    there_is_a_ring();
    assert!(
        implements!(Producer<u32>: Send) && implements!(Consumer<u32>: Send),
        "the two ends of a ring of plain numbers cannot be on two threads: it is good for nothing"
    );
    assert!(
        implements!(Producer<Cell<u32>>: Send) && implements!(Consumer<Cell<u32>>: Send),
        "a `Cell` may move from thread to thread, and the ring gives it to one thread at a time: asking for `T: Sync` \
         takes away what a queue is for"
    );
}

#[test]
fn the_producer_stays_where_its_values_must_stay() {
    there_is_a_ring();
    assert!(
        !implements!(Producer<Rc<u32>>: Send),
        "safe code can push one clone of an `Rc` on another thread than the one that pops it: its plain counter is a \
         data race, then a use after free"
    );
}

#[test]
fn the_consumer_stays_where_its_values_must_stay() {
    there_is_a_ring();
    assert!(
        !implements!(Consumer<Rc<u32>>: Send),
        "safe code can pop an `Rc` on another thread than the one that keeps a clone of it: its plain counter is a \
         data race, then a use after free"
    );
}

#[test]
fn there_is_one_producer_and_one_consumer() {
    there_is_a_ring();
    assert!(
        !implements!(Producer<u32>: Clone),
        "two producers write to the same slot at the same time: one value is lost, or both are torn"
    );
    assert!(
        !implements!(Consumer<u32>: Clone),
        "two consumers take the same value at the same time: it is used twice and dropped twice"
    );
}
