//! One end is stopped after each of its steps in turn, as if the operating system had taken its processor away.
//!
//! Decides whether the other end can go on without it: a lock inside a ring fails here, wherever it is hidden.
//! Does not decide orderings: here every atomic access is sequentially consistent.

use kata::check::{Body, non_blocking};
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
        }),
        Box::new(move || {
            for _ in 0..3 {
                let _ = consumer.pop();
            }
        }),
    ]
}

#[test]
fn neither_end_waits_for_the_other_while_there_are_values_and_room() {
    non_blocking(|| both_ends_at_work(4, 2));
}

#[test]
fn a_full_ring_refuses_at_once() {
    non_blocking(|| both_ends_at_work(1, 1));
}

#[test]
fn an_empty_ring_answers_at_once() {
    non_blocking(|| both_ends_at_work(1, 0));
}
