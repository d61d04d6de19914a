//! Every execution that C++20 allows, without load buffering, within the bounds that each check prints.
//!
//! Decides whether two or three threads can hold the lock at once, and whether the next owner is sure to see what the
//! last one wrote. A missing Acquire or Release shows here and nowhere else: x86 hides it, shuttle does not model it.
//! Does not decide how the lock fares among many threads, whether it is fair, or how long a waiter waits.

use kata::check::{Exhaustive, Foreign, Pairs, cell_count, exhaustive, rmw_count, steps};
use kata::sync::Arc;
use kata::thread;
use spin_lock::SpinLock;

/// What a lock is asked to keep consistent: two numbers that are equal whenever nobody holds it.
type Pair = (u32, u32);

/// Two separate writes, so that an owner let in too early has something to see half of.
fn advance(pair: &mut Pair) {
    pair.0 += 1;
    pair.1 += 1;
}

fn shared() -> Arc<SpinLock<Pair>> {
    Arc::new(SpinLock::new((0, 0)))
}

#[test]
fn try_lock_on_a_free_lock_succeeds() {
    // `compare_exchange_weak` may fail for no reason at all. In this world it does, once in each place that calls it.
    exhaustive(|| {
        let lock = SpinLock::new(0);
        assert!(
            lock.try_lock().is_some(),
            "nobody has ever held this lock, yet try_lock says that somebody does: its caller gives up for nothing"
        );
        assert!(
            lock.try_lock().is_some(),
            "nobody holds this lock any more, yet try_lock says that somebody does: its caller gives up for nothing"
        );
    });
}

#[test]
fn try_lock_on_a_held_lock_fails() {
    exhaustive(|| {
        let lock = shared();
        let guard = lock.lock();
        let other = {
            let lock = lock.clone();
            thread::spawn(move || {
                assert!(
                    lock.try_lock().is_none(),
                    "two guards at once: two threads would each hold a `&mut` to the same value"
                );
                assert!(
                    lock.try_lock().is_none(),
                    "the first failed try_lock has unlocked what another thread had locked"
                );
            })
        };
        other.join().unwrap();
        drop(guard);
    });
}

#[test]
fn lock_lets_in_one_thread_at_a_time() {
    fn advance_twice(lock: &SpinLock<Pair>) {
        for _ in 0..2 {
            advance(&mut lock.lock());
        }
    }
    exhaustive(|| {
        let lock = shared();
        let other = {
            let lock = lock.clone();
            thread::spawn(move || advance_twice(&lock))
        };
        advance_twice(&lock);
        other.join().unwrap();
        assert_eq!(
            *lock.lock(),
            (4, 4),
            "two threads advanced the pair twice each, one at a time: an update was lost"
        );
    });
}

#[test]
fn a_reader_sees_all_or_nothing_of_an_update() {
    exhaustive(|| {
        let lock = shared();
        let writer = {
            let lock = lock.clone();
            thread::spawn(move || advance(&mut lock.lock()))
        };
        let seen = *lock.lock();
        assert_eq!(
            seen.0, seen.1,
            "the value was read in the middle of another owner's update"
        );
        writer.join().unwrap();
    });
}

#[test]
fn try_lock_lets_in_one_thread_at_a_time() {
    fn advance_if_free(lock: &SpinLock<Pair>) -> u32 {
        match lock.try_lock() {
            Some(mut pair) => {
                advance(&mut pair);
                1
            }
            None => 0,
        }
    }
    exhaustive(|| {
        let lock = shared();
        let others: Vec<_> = (0..2)
            .map(|_| {
                let lock = lock.clone();
                thread::spawn(move || advance_if_free(&lock))
            })
            .collect();
        let mut successes = advance_if_free(&lock);
        for other in others {
            successes += other.join().unwrap();
        }
        assert_eq!(
            *lock.lock(),
            (successes, successes),
            "try_lock succeeded {successes} times and each owner advanced the pair: an update was lost"
        );
    });
}

#[test]
fn lock_and_try_lock_keep_each_other_out() {
    // Each counts its success in the pair itself. Three at once: one may come back from a lost attempt with what it knew.
    Pairs::new(|| SpinLock::new((0, 0)))
        .operation("lock", |lock| {
            advance(&mut lock.lock());
            1
        })
        .operation("try_lock", |lock| match lock.try_lock() {
            Some(mut pair) => {
                advance(&mut pair);
                1
            }
            None => 0,
        })
        .operation("try_lock, then lock", |lock| {
            let mut owners = 1;
            if let Some(mut pair) = lock.try_lock() {
                advance(&mut pair);
                owners += 1;
            }
            advance(&mut lock.lock());
            owners
        })
        .triple(["lock", "lock", "try_lock, then lock"])
        .triple(["lock", "lock", "lock"])
        .triple(["lock", "lock", "try_lock"])
        .triple(["lock", "try_lock", "try_lock"])
        .run(|lock, successes| {
            let owners: u32 = successes.iter().sum();
            let pair = lock
                .try_lock()
                .expect("all owners have let go, yet the lock is still taken");
            assert_eq!(
                *pair,
                (owners, owners),
                "{owners} owners advanced the pair, one at a time: an update was lost"
            );
        });
}

#[test]
fn whoever_has_waited_for_long_sees_all_of_an_update() {
    // Step by step: what a waiter does after its first look in vain, or when it has lost patience, may be something else.
    let exploration = Exhaustive::new().step_by_step();
    exploration.preemptions(1).executions(60).run(|| {
        /// Longer than a waiter pauses before it yields, and some more.
        const HOLD: usize = 300;
        let lock = shared();
        let mut guard = lock.lock();
        let waiter = {
            let lock = lock.clone();
            thread::spawn(move || {
                let pair = lock.lock();
                assert_eq!(
                    *pair,
                    (1, 1),
                    "a waiter that has waited for long sees half of what the last owner has done"
                );
            })
        };
        for _ in 0..HOLD {
            thread::yield_now();
        }
        advance(&mut guard);
        drop(guard);
        waiter.join().unwrap();
    });
}

#[test]
fn what_a_panicking_owner_has_done_is_seen_by_the_next_one() {
    exhaustive(|| {
        let lock = shared();
        let owner = {
            let lock = lock.clone();
            thread::spawn(move || {
                let outcome = Foreign::survive(|| {
                    let mut pair = lock.lock();
                    advance(&mut pair);
                    Foreign::panics_once(1).call();
                });
                assert!(outcome.is_none(), "the owner's own trouble");
            })
        };
        let seen = *lock.lock();
        assert_eq!(
            seen.0, seen.1,
            "the value was read in the middle of the update of an owner that panicked later"
        );
        owner.join().unwrap();
    });
}

#[test]
fn a_thread_that_locks_twice_waits_for_itself() {
    let twice = Exhaustive::new().explore(|| {
        let lock = SpinLock::new(0);
        std::mem::forget(lock.lock());
        std::mem::forget(lock.lock());
    });
    assert!(
        twice.is_err(),
        "a thread that held the lock has got it once more: it has two `&mut` to the same value, and may change under the \
         one what it has borrowed through the other"
    );
    exhaustive(|| drop(SpinLock::new(0).lock()));
}

#[test]
fn the_model_sees_what_the_lock_does() {
    exhaustive(|| {
        let lock = SpinLock::new(0);
        let me = thread::current();
        let before = steps(&me);
        *lock.lock() += 1;
        assert!(
            rmw_count() > 0 && steps(&me) > before + 2,
            "the lock was taken and given back, and no atomic operation was seen: take atomics from `kata`, not from `std`. \
             What the model checker does not see it cannot judge"
        );
        assert!(
            cell_count() > 0,
            "the value was changed, and no access to a cell was seen: take `UnsafeCell` from `kata`, not from `std`. What \
             the model checker does not see it cannot judge"
        );
    });
}
