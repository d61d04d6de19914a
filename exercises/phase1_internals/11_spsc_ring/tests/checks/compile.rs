//! What the compiler lets a user of the ring do.
//!
//! Decides which ends may move to another thread, and that there is one producer and one consumer. These are promises
//! made in types: no run of any program can show that it was right to make them, and one wrong bound lets safe code race.
//! Decides as well which programs with references compile, and whether the ring works when it is compiled as users ship it.
//! Does not ask whether the ends are `Sync`: all that a shared end gives out is numbers, and both answers are right.
//! Does not decide anything about how the ring behaves.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::MutexGuard;

use kata::check::Compiler;
use kata::implements;
use spsc_ring::{Consumer, Producer, channel};

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
        !implements!(Producer<Rc<u32>>: Send)
            && !implements!(Producer<MutexGuard<'static, u32>>: Send),
        "safe code can push one clone of an `Rc` on another thread than the one that pops it: its plain counter is a \
         data race, then a use after free"
    );
}

#[test]
fn the_consumer_stays_where_its_values_must_stay() {
    there_is_a_ring();
    assert!(
        !implements!(Consumer<Rc<u32>>: Send)
            && !implements!(Consumer<MutexGuard<'static, u32>>: Send),
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

#[test]
fn a_ring_keeps_no_reference_to_what_is_gone() {
    there_is_a_ring();
    Compiler::new("spsc_ring", env!("CARGO_MANIFEST_DIR"))
        .accepts(
            "fn send<'a>(mut producer: Producer<&'a str>, text: &'a str) { producer.push(text).unwrap(); } \
             let text = String::new(); let (producer, mut consumer) = channel(1); send(producer, &text); consumer.pop();",
            "references cannot be sent",
        )
        .rejects(
            "E0597",
            "fn send<'a>(mut producer: Producer<&'a str>, text: &'a str) { producer.push(text).unwrap(); } \
             let (producer, mut consumer) = channel(1); { let text = String::new(); send(producer, &text); } consumer.pop();",
            "the compiler shortens a lifetime inside the producer's type: safe code sends a reference to a local variable, and the \
             consumer reads freed memory. Values go in through a producer, so it must not be covariant in `T`",
        )
        .rejects(
            "E0597",
            "let (mut producer, mut consumer) = channel(1); { let text = String::new(); producer.push(&text).unwrap(); } \
             consumer.pop();",
            "a reference outlives in the ring what it refers to, and the consumer reads freed memory",
        )
        .rejects(
            "E0597",
            "struct Looks<'a>(&'a str); impl Drop for Looks<'_> { fn drop(&mut self) { self.0.len(); } } \
             let (mut producer, _consumer) = channel(1); let text = String::new(); producer.push(Looks(&text)).ok();",
            "a value is still in the ring when what it refers to is gone, and the drop of the ring runs its drop: it reads freed \
             memory",
        )
        .accepts(
            "struct Looks<'a>(&'a str); impl Drop for Looks<'_> { fn drop(&mut self) { self.0.len(); } } \
             let text = String::new(); let (mut producer, _consumer) = channel(1); producer.push(Looks(&text)).ok();",
            "values that borrow cannot be sent",
        )
        .rejects(
            "E0597",
            "fn take(mut consumer: Consumer<&'static str>) -> Option<&'static str> { consumer.pop() } \
             let taken; { let text = String::new(); let (mut producer, consumer) = channel(1); producer.push(&*text).unwrap(); \
             taken = take(consumer); } taken;",
            "the compiler lengthens a lifetime inside the consumer's type: safe code takes out a reference that lives for ever to what \
             does not. Values come out of a consumer, so it must not be contravariant in `T`",
        )
        .accepts(
            "fn take(mut consumer: Consumer<&'static str>) -> Option<&'static str> { consumer.pop() } \
             let (mut producer, consumer) = channel(1); producer.push(\"text\").unwrap(); take(consumer);",
            "references that live for ever cannot be sent",
        )
        .rejects(
            "E0382",
            "let (mut producer, _consumer) = channel(1); let text = String::new(); let _ = producer.push(text); text.len();",
            "a value is used by its sender after it was sent",
        )
        .run();
}

#[test]
fn an_optimised_program_loses_no_value() {
    Compiler::new("spsc_ring", env!("CARGO_MANIFEST_DIR")).run_optimised(
        "let (mut producer, mut consumer) = channel(7); \
         std::thread::scope(|scope| { \
             scope.spawn(move || for value in 0..50_000 { while producer.push(value).is_err() { std::thread::yield_now(); } }); \
             for expected in 0..50_000 { \
                 let value = loop { match consumer.pop() { Some(value) => break value, None => std::thread::yield_now() } }; \
                 assert_eq!(value, expected, \"values must come out in the order in which they went in, each once\"); } }); \
         let (mut producer, mut consumer) = channel(7); let mut popped = 0; \
         for value in 0..17_000_000_usize { \
             assert_eq!(producer.push(value), Ok(()), \"there is room\"); \
             if value >= 5 { assert_eq!(consumer.pop(), Some(popped), \"after 2^24 values as before\"); popped += 1; } } \
         const MANY: usize = (1 << 24) + 5; let (mut producer, mut consumer) = channel(MANY); \
         for value in 0..MANY { assert_eq!(producer.push(value as u8), Ok(()), \"there is room for 2^24 + 5\"); } \
         assert_eq!((producer.push(0), producer.len(), consumer.len()), (Err(0), MANY, MANY), \"a ring of 2^24 + 5 is full\"); \
         for value in 0..MANY { assert_eq!(consumer.pop(), Some(value as u8), \"the oldest of 2^24 + 5\"); }",
    );
}
