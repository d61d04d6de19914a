//! Calls that nobody thought of, from threads that come one after the other, next to a counter that is right: a number.
//!
//! Decides whether the counter can be told from a number as long as one thing happens at a time. The calls come from a
//! fixed seed and are the same in every run; one that fails is shortened before it is shown.
//! Does not decide anything about two threads at the same time.

use std::thread;

use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, RngSeed, TestRunner};
use sharded_counter::Counter;

/// Of all random choices. Another one gives other calls.
const SEED: u64 = 0x1_10;
const CASES: u32 = 150;

#[derive(Clone, Copy, Debug)]
enum Call {
    Add(u64),
    Sum,
    ResetSum,
}

fn call() -> impl Strategy<Value = Call> {
    prop_oneof![
        4 => (0..1_000_u64).prop_map(Call::Add),
        1 => any::<u64>().prop_map(Call::Add),
        2 => Just(Call::Sum),
        1 => Just(Call::ResetSum),
    ]
}

/// What the call returns; an addition returns nothing.
fn perform(counter: &Counter, call: Call) -> Option<u64> {
    match call {
        Call::Add(amount) => {
            counter.add(amount);
            None
        }
        Call::Sum => Some(counter.sum()),
        Call::ResetSum => Some(counter.reset_sum()),
    }
}

/// The same with a number.
fn expected(number: &mut u64, call: Call) -> Option<u64> {
    match call {
        Call::Add(amount) => {
            *number = number.wrapping_add(amount);
            None
        }
        Call::Sum => Some(*number),
        Call::ResetSum => Some(std::mem::take(number)),
    }
}

#[test]
fn a_counter_at_rest_cannot_be_told_from_a_number() {
    Counter::with_shards(1).add(1);
    let config = Config {
        cases: CASES,
        failure_persistence: None,
        rng_algorithm: RngAlgorithm::ChaCha,
        rng_seed: RngSeed::Fixed(SEED),
        max_shrink_iters: 500,
        ..Config::default()
    };
    // Each call is made here, or by a thread that has never counted anything before.
    let calls = prop::collection::vec((any::<bool>(), call()), 0..25);
    TestRunner::new(config)
        .run(&(1..6_usize, calls), |(shards, calls)| {
            let counter = Counter::with_shards(shards);
            let mut number = 0;
            for (place, (elsewhere, call)) in calls.into_iter().enumerate() {
                let result = if elsewhere {
                    thread::scope(|scope| scope.spawn(|| perform(&counter, call)).join().unwrap())
                } else {
                    perform(&counter, call)
                };
                prop_assert_eq!(
                    result,
                    expected(&mut number, call),
                    "call {} of a counter with {} shards, while nobody else was using it: {:?}",
                    place,
                    shards,
                    call
                );
            }
            Ok(())
        })
        .unwrap_or_else(|failure| {
            panic!("(seed {SEED:#x}; input: shards, calls with \"on another thread?\"): {failure}")
        });
}
