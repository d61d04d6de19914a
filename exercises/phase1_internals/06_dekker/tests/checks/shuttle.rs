//! Random, reproducible schedules, some of which let one thread run until it waits and says so.
//!
//! Decides whether anybody waits forever, alone or for each other, and whether two threads are inside at once when they come
//! again and again.
//! Does not decide orderings: here every atomic access is sequentially consistent, and a fence does nothing. Does not decide
//! everything: it samples.

use dekker::{BiasedLock, Peterson};
use kata::check::randomized;
use kata::sync::Arc;
use kata::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use kata::thread;

use super::Lock;

/// Lets threads of these numbers come `times` times each, and add one as slowly as it can be done.
fn explore<L: Lock, const N: usize>(threads: [usize; N], times: usize) {
    randomized(move || {
        let shared = Arc::new((L::new(), AtomicUsize::new(0)));
        let running = threads.map(|number| {
            let shared = shared.clone();
            thread::spawn(move || {
                let (lock, visits) = &*shared;
                for _ in 0..times {
                    lock.lock(number);
                    let before = visits.load(Relaxed);
                    thread::yield_now();
                    visits.store(before + 1, Relaxed);
                    lock.unlock(number);
                }
            })
        });
        for thread in running {
            thread.join().unwrap();
        }
        assert_eq!(
            shared.1.load(Relaxed),
            N * times,
            "two threads were inside at once, and one wrote over what the other had counted"
        );
    });
}

#[test]
fn peterson_loses_no_update() {
    explore::<Peterson, _>([0, 1], 3);
}

#[test]
fn peterson_keeps_nobody_waiting_for_a_side_that_is_not_there() {
    explore::<Peterson, _>([0], 3);
    explore::<Peterson, _>([1], 3);
}

#[test]
fn the_biased_lock_loses_no_update() {
    explore::<BiasedLock, _>([0, 1, 2], 3);
}

#[test]
fn the_biased_lock_loses_no_update_of_guests() {
    explore::<BiasedLock, _>([1, 2, 3], 2);
}

#[test]
fn the_biased_lock_keeps_nobody_waiting_for_an_owner_that_is_not_there() {
    explore::<BiasedLock, _>([0], 3);
    explore::<BiasedLock, _>([1], 3);
}
