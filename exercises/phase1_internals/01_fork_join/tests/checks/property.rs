//! Calls that nobody thought of, next to a loop that is right: `Iterator::map`.
//!
//! Decides whether a caller who looks at results and panics alone can tell `par_map` from a loop. The calls come from a
//! fixed seed and are the same in every run; one that fails is shortened before it is shown.
//! Does not decide whether anything runs at the same time.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use fork_join::{join, par_map};
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, RngSeed, TestRunner};

/// Of all random choices. Another one gives other calls.
const SEED: u64 = 0x1_01;
const CASES: u32 = 200;

fn check<S: Strategy>(inputs: &S, compare: impl Fn(S::Value) -> Result<(), TestCaseError>) {
    let config = Config {
        cases: CASES,
        failure_persistence: None,
        rng_algorithm: RngAlgorithm::ChaCha,
        rng_seed: RngSeed::Fixed(SEED),
        max_shrink_iters: 500,
        ..Config::default()
    };
    TestRunner::new(config)
        .run(inputs, compare)
        .unwrap_or_else(|failure| panic!("(seed {SEED:#x}) {failure}"));
}

#[test]
fn par_map_cannot_be_told_from_a_loop() {
    par_map(&[0], 1, |number| *number);
    let items = prop::collection::vec(any::<u32>(), 0..150);
    check(&(items, 1..12_usize), |(items, workers)| {
        prop_assert_eq!(
            par_map(&items, workers, |item| u64::from(*item) * 3),
            items
                .iter()
                .map(|item| u64::from(*item) * 3)
                .collect::<Vec<_>>(),
            "{} workers do not give what a loop gives",
            workers
        );
        Ok(())
    });
}

#[test]
fn par_map_panics_exactly_if_a_loop_would() {
    par_map(&[0], 1, |number| *number);
    // One item in thirty is a bad one.
    let items = prop::collection::vec(prop::bool::weighted(1.0 / 30.0), 0..60);
    check(&(items, 1..8_usize), |(bad, workers)| {
        let items: Vec<usize> = (0..bad.len()).collect();
        let outcome = catch_unwind(AssertUnwindSafe(|| {
            par_map(&items, workers, |&item| {
                if bad[item] {
                    resume_unwind(Box::new(item));
                }
            })
        }));
        match outcome {
            Ok(_) => prop_assert!(
                !bad.contains(&true),
                "{} workers: a call panicked, and its caller was not told",
                workers
            ),
            Err(panic) => match panic.downcast_ref::<usize>() {
                Some(&item) => prop_assert!(
                    bad[item],
                    "{} workers: par_map panicked for item {}, for which `f` did not panic",
                    workers,
                    item
                ),
                None => prop_assert!(
                    false,
                    "{} workers: par_map panicked with something else than what a call panicked with",
                    workers
                ),
            },
        }
        Ok(())
    });
}

#[test]
fn join_sorts_as_a_loop_does() {
    join(|| (), || ());
    check(&prop::collection::vec(any::<u8>(), 0..200), |mut values| {
        let mut expected = values.clone();
        expected.sort_unstable();
        quicksort(&mut values);
        prop_assert_eq!(
            values,
            expected,
            "two halves sorted with join do not make a sorted whole"
        );
        Ok(())
    });
}

/// Both halves at once, as long as they are worth a thread.
fn quicksort(values: &mut [u8]) {
    if values.len() <= 30 {
        return values.sort_unstable();
    }
    let middle = values.len() / 2;
    let (left, pivot, right) = values.select_nth_unstable(middle);
    let _ = pivot;
    join(|| quicksort(left), || quicksort(right));
}
