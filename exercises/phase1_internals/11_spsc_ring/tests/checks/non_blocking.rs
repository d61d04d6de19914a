//! One end is stopped after each of its steps in turn, as if the operating system had taken its processor away.
//!
//! Decides whether the other end can go on without it: a lock inside a ring fails here, if the lock is `kata`'s. And the
//! other way round: one end is slow, and the other one does a lot between any two of its steps. Decides whether a call ends
//! after a few steps of its own.
//! Does not decide orderings: here every atomic access is sequentially consistent.

use kata::check::{Body, non_blocking, outpaced, stands_still};
use spsc_ring::channel;

/// A ring of `capacity` that holds `values` values: one end calls push and the other one pop, a few times.
fn both_ends_at_work(capacity: usize, values: usize) -> Vec<Body> {
    let (mut producer, mut consumer) = channel(capacity);
    for value in 0..values {
        assert_eq!(producer.push(value), Ok(()), "there is room");
    }
    vec![
        Box::new(move || {
            for value in 0..3 {
                let _ = producer.push(value);
            }
            let _ = (producer.len(), producer.is_empty());
        }),
        Box::new(move || {
            for _ in 0..3 {
                let _ = consumer.pop();
            }
            let _ = (consumer.len(), consumer.is_empty());
        }),
    ]
}

#[test]
fn neither_end_waits_for_the_other_while_there_are_values_and_room() {
    non_blocking(|| both_ends_at_work(4, 2));
}

#[test]
fn a_count_is_given_at_once() {
    // The slots may speak: then a count looks at every slot, once.
    const PLACES: usize = 4;
    const MOST_TO_COUNT: usize = 2 * (PLACES + 4);
    stands_still(MOST_TO_COUNT, || {
        let (mut producer, consumer) = channel(PLACES);
        let end: Body = Box::new(move || {
            for value in 0..3 {
                let _ = producer.push(value);
            }
        });
        let count: Body = Box::new(move || {
            let _ = (consumer.len(), consumer.is_empty());
            std::mem::forget(consumer);
        });
        [end, count]
    });
    stands_still(MOST_TO_COUNT, || {
        let (mut producer, mut consumer) = channel(PLACES);
        for value in 0..PLACES {
            assert_eq!(producer.push(value), Ok(()), "there is room");
        }
        let end: Body = Box::new(move || {
            for _ in 0..3 {
                let _ = consumer.pop();
            }
        });
        let count: Body = Box::new(move || {
            let _ = (producer.len(), producer.is_empty());
            std::mem::forget(producer);
        });
        [end, count]
    });
}

#[test]
fn a_full_ring_refuses_at_once() {
    non_blocking(|| both_ends_at_work(1, 1));
}

#[test]
fn an_empty_ring_answers_at_once() {
    non_blocking(|| both_ends_at_work(1, 0));
}

/// Of the slow end, for one call: what a call may take (see `bench`), and the beginning and the end of its thread.
const MOST: usize = 14;
const CAPACITY: usize = 128;

#[test]
fn a_push_beside_many_pops_takes_few_steps() {
    outpaced(MOST, || {
        let (mut producer, mut consumer) = channel(CAPACITY);
        for value in 0..CAPACITY / 2 {
            assert_eq!(producer.push(value), Ok(()), "there is room");
        }
        let push: Body = Box::new(move || {
            assert_eq!(producer.push(100), Ok(()), "there is room");
            // The end itself goes when the other one has.
            std::mem::forget(producer);
        });
        let pops: Body = Box::new(move || {
            for value in 0..CAPACITY / 2 {
                assert_eq!(consumer.pop(), Some(value), "the oldest value");
            }
        });
        [push, pops]
    });
}

#[test]
fn a_pop_beside_many_pushes_takes_few_steps() {
    outpaced(MOST, || {
        let (mut producer, mut consumer) = channel(CAPACITY);
        assert_eq!(producer.push(0), Ok(()), "there is room");
        let pop: Body = Box::new(move || {
            assert_eq!(consumer.pop(), Some(0), "the oldest value");
            std::mem::forget(consumer);
        });
        let pushes: Body = Box::new(move || {
            for value in 1..CAPACITY / 2 {
                assert_eq!(producer.push(value), Ok(()), "there is room");
            }
        });
        [pop, pushes]
    });
}
