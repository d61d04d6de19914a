//! Sequences of calls that nobody thought of, next to a queue that is right: `VecDeque`.
//!
//! Decides whether a single thread can tell the ring from a queue with a limit. The sequences come from a fixed seed and
//! are the same in every run; one that fails is shortened before it is shown.
//! Does not decide anything about two threads.

use std::collections::VecDeque;

use kata::check::Drops;
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, RngSeed, TestRunner};
use spsc_ring::{channel, channel_starting_at};

/// Of all random choices. Another one gives other sequences.
const SEED: u64 = 0x1_11;
const CASES: u32 = 300;

#[derive(Clone, Copy, Debug)]
enum Call {
    Push,
    Pop,
    Len,
}

fn calls() -> impl Strategy<Value = Vec<Call>> {
    // Runs of one kind, so that the ring becomes full and empty more often than by tossing a coin.
    let run = (
        prop_oneof![Just(Call::Push), Just(Call::Pop), Just(Call::Len)],
        1..6_usize,
    );
    prop::collection::vec(run, 0..30).prop_map(|runs| {
        runs.into_iter()
            .flat_map(|(call, times)| vec![call; times])
            .collect()
    })
}

fn start() -> impl Strategy<Value = usize> {
    prop_oneof![
        Just(0),
        any::<usize>(),
        (0..64_usize).prop_map(|before| usize::MAX - before)
    ]
}

fn compare(capacity: usize, start: usize, calls: &[Call]) -> Result<(), TestCaseError> {
    let drops = Drops::new();
    let (mut producer, mut consumer) = channel_starting_at(capacity, start);
    let mut right = VecDeque::new();
    for (value, call) in calls.iter().enumerate() {
        match call {
            Call::Push => {
                let pushed = producer.push(drops.token(value)).map_err(|token| *token);
                let room = right.len() < capacity;
                prop_assert_eq!(
                    pushed,
                    if room { Ok(()) } else { Err(value) },
                    "call {}: push is wrong about the room in a ring of {} values",
                    value,
                    right.len()
                );
                if room {
                    right.push_back(value);
                }
            }
            Call::Pop => {
                prop_assert_eq!(
                    consumer.pop().map(|token| *token),
                    right.pop_front(),
                    "call {}: pop does not give the oldest value (the number of the call that pushed it)",
                    value
                );
            }
            Call::Len => {
                prop_assert_eq!(
                    (
                        producer.len(),
                        consumer.len(),
                        producer.is_empty(),
                        consumer.is_empty()
                    ),
                    (right.len(), right.len(), right.is_empty(), right.is_empty()),
                    "call {}: len or is_empty is wrong",
                    value
                );
            }
        }
    }
    prop_assert_eq!(
        drops.created() - drops.dropped(),
        right.len(),
        "values were dropped that are still in the ring, or are kept that are no longer in it"
    );
    drop((producer, consumer));
    prop_assert_eq!(
        drops.dropped(),
        drops.created(),
        "the ring is gone, and not every value was dropped once"
    );
    Ok(())
}

#[test]
fn one_thread_cannot_tell_the_ring_from_a_queue() {
    drop(channel::<u8>(1));
    let config = Config {
        cases: CASES,
        failure_persistence: None,
        rng_algorithm: RngAlgorithm::ChaCha,
        rng_seed: RngSeed::Fixed(SEED),
        max_shrink_iters: 1_000,
        ..Config::default()
    };
    TestRunner::new(config)
        .run(
            &(1..10_usize, start(), calls()),
            |(capacity, start, calls)| compare(capacity, start, &calls),
        )
        .unwrap_or_else(|failure| {
            panic!(
                "a ring that is no queue (seed {SEED:#x}; input: capacity, start, calls): {failure}"
            )
        });
}
