//! Random sequences of operations on one semaphore against a number.
//!
//! Decides whether every permit is accounted for, whatever is done in whatever order by one thread: acquired, given
//! back, used up, added, or waited for in vain.
//! Does not decide anything about two threads.

use std::thread;

use mutex_condvar::Semaphore;
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, RngSeed, TestRunner};

#[derive(Clone, Copy, Debug)]
enum Op {
    /// Keeps the permit, if there is one.
    TryAcquire,
    /// Waits, but gives up the first time it is asked.
    AcquireCancelled,
    /// Waits; when asked the first time, adds permits and goes on waiting.
    AcquireAndRelease(usize),
    /// Waits; when asked the first time, adds permits and gives up.
    CancelAndRelease(usize),
    /// Gives back the permit acquired last.
    GiveBack,
    /// Uses up the permit acquired last.
    Forget,
    Release(usize),
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        3 => Just(Op::TryAcquire),
        3 => Just(Op::AcquireCancelled),
        2 => (1..3_usize).prop_map(Op::AcquireAndRelease),
        2 => (0..3_usize).prop_map(Op::CancelAndRelease),
        2 => Just(Op::GiveBack),
        1 => Just(Op::Forget),
        1 => (0..3_usize).prop_map(Op::Release),
    ]
}

#[test]
fn every_permit_of_a_semaphore_is_accounted_for() {
    drop(Semaphore::new(1).acquire()); // Without a semaphore there is nothing to count.
    let config = Config {
        cases: 2_000,
        failure_persistence: None,
        rng_algorithm: RngAlgorithm::ChaCha,
        rng_seed: RngSeed::Fixed(0x6B61_7461),
        ..Config::default()
    };
    let outcome = TestRunner::new(config).run(
        &(0..3_usize, prop::collection::vec(op(), 1..20)),
        |(initial, ops)| {
            let semaphore = Semaphore::new(initial);
            let mut free = initial;
            let mut held = Vec::new();
            for (step, op) in ops.iter().enumerate() {
                let had_one = free > 0;
                match *op {
                    Op::TryAcquire => {
                        let permit = semaphore.try_acquire();
                        prop_assert_eq!(
                            permit.is_some(),
                            had_one,
                            "step {}: try_acquire with {} permits free",
                            step,
                            free
                        );
                        free -= usize::from(had_one);
                        held.extend(permit);
                    }
                    Op::AcquireCancelled => {
                        let permit = semaphore.acquire_unless(|| true);
                        prop_assert_eq!(
                            permit.is_some(),
                            had_one,
                            "step {}: acquire_unless, cancelled, with {} permits free",
                            step,
                            free
                        );
                        free -= usize::from(had_one);
                        held.extend(permit);
                    }
                    Op::AcquireAndRelease(permits) => {
                        let mut asked = 0;
                        let permit = semaphore.acquire_unless(|| {
                            // Asked again instead of asleep forever, should the permits not be noticed.
                            thread::current().unpark();
                            if asked == 0 {
                                semaphore.release(permits);
                            }
                            asked += 1;
                            asked > 100
                        });
                        prop_assert!(
                            permit.is_some(),
                            "step {}: acquire_unless, never cancelled, saw no permit although one was released",
                            step
                        );
                        prop_assert_eq!(
                            asked == 0,
                            had_one,
                            "step {}: acquire_unless with {} permits free asked {} times",
                            step,
                            free,
                            asked
                        );
                        free += if had_one { 0 } else { permits };
                        free -= 1;
                        held.extend(permit);
                    }
                    Op::CancelAndRelease(permits) => {
                        let mut asked = false;
                        let permit = semaphore.acquire_unless(|| {
                            if !asked {
                                semaphore.release(permits);
                            }
                            asked = true;
                            true
                        });
                        free += if had_one { 0 } else { permits };
                        prop_assert!(
                            permit.is_none() || free > 0,
                            "step {}: acquire_unless returned a permit that does not exist",
                            step
                        );
                        prop_assert!(
                            permit.is_some() || !had_one,
                            "step {}: acquire_unless gave up with {} permits free",
                            step,
                            free
                        );
                        // With the permits that came along with the cancellation, either may win.
                        free -= usize::from(permit.is_some());
                        held.extend(permit);
                    }
                    Op::GiveBack => free += usize::from(held.pop().is_some()),
                    Op::Forget => {
                        if let Some(permit) = held.pop() {
                            permit.forget();
                        }
                    }
                    Op::Release(permits) => {
                        semaphore.release(permits);
                        free += permits;
                    }
                }
            }
            let rest: Vec<_> = std::iter::from_fn(|| semaphore.try_acquire())
                .take(free + 1)
                .collect();
            prop_assert_eq!(rest.len(), free, "permits that are free at the end");
            Ok(())
        },
    );
    if let Err(error) = outcome {
        panic!(
            "a permit was lost, or one was made (input: permits at the beginning, operations): {error}"
        );
    }
}
