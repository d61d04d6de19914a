//! Random, reproducible schedules of more threads than the exhaustive checks can afford.
//!
//! Decides whether an update can be lost or a waiter left behind when four threads want the lock again and again.
//! Does not decide orderings: here every atomic access is sequentially consistent. Does not decide everything: it samples.

use kata::check::{Body, Randomized, randomized, stands_still};
use kata::sync::Arc;
use kata::thread;
use spin_lock::SpinLock;

const THREADS: usize = 4;
const UPDATES: usize = 3;

/// Adds one as slowly as it can be done: whoever else gets in meanwhile is overwritten.
fn add_one_slowly(value: &mut usize) {
    let before = *value;
    thread::yield_now();
    *value = before + 1;
}

#[test]
fn lock_loses_no_update() {
    randomized(|| {
        let lock = Arc::new(SpinLock::new(0));
        let threads: Vec<_> = (0..THREADS)
            .map(|_| {
                let lock = lock.clone();
                thread::spawn(move || {
                    for _ in 0..UPDATES {
                        add_one_slowly(&mut lock.lock());
                    }
                })
            })
            .collect();
        for thread in threads {
            thread.join().unwrap();
        }
        assert_eq!(
            *lock.lock(),
            THREADS * UPDATES,
            "two threads held the lock at once and one overwrote what the other had counted"
        );
    });
}

#[test]
fn try_lock_loses_no_update() {
    randomized(|| {
        let lock = Arc::new(SpinLock::new(0));
        let threads: Vec<_> = (0..THREADS)
            .map(|_| {
                let lock = lock.clone();
                thread::spawn(move || {
                    let mut successes = 0;
                    for _ in 0..UPDATES {
                        if let Some(mut guard) = lock.try_lock() {
                            add_one_slowly(&mut guard);
                            successes += 1;
                        }
                    }
                    successes
                })
            })
            .collect();
        let successes: usize = threads
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .sum();
        assert_eq!(
            *lock.lock(),
            successes,
            "two calls of try_lock succeeded at once and one overwrote what the other had counted"
        );
    });
}

#[test]
fn twenty_waiters_are_let_in_one_by_one() {
    const WAITERS: usize = 20;
    // Steps for a lock whose waiters take turns, too.
    Randomized::new().schedules(8).steps(400_000).run(|| {
        let lock = Arc::new(SpinLock::new(0));
        let guard = lock.lock();
        let waiters = [(); WAITERS].map(|()| {
            let lock = lock.clone();
            thread::spawn(move || add_one_slowly(&mut lock.lock()))
        });
        for _ in 0..200 {
            assert!(
                lock.try_lock().is_none(),
                "two guards at once: the lock is held and {WAITERS} threads want it, and try_lock has taken it as well"
            );
            thread::yield_now();
        }
        assert_eq!(
            *guard, 0,
            "two guards at once: the lock is held and {WAITERS} threads want it, and one of these got it as well"
        );
        drop(guard);
        for waiter in waiters {
            waiter.join().unwrap();
        }
        assert_eq!(
            *lock.lock(),
            WAITERS,
            "{WAITERS} threads waited for the lock, two held it at once, and one overwrote what the other had counted"
        );
    });
}

#[test]
fn a_waiter_waits_as_long_as_it_takes() {
    /// More than a number of 16 bits counts.
    const HOLD: usize = 66_000;
    Randomized::new().schedules(1).steps(4 * HOLD).run(|| {
        let lock = Arc::new(SpinLock::new(0));
        let mut guard = lock.lock();
        let waiter = {
            let lock = lock.clone();
            thread::spawn(move || *lock.lock() += 1)
        };
        for _ in 0..HOLD {
            thread::yield_now();
        }
        assert_eq!(
            *guard, 0,
            "two owners at once: a waiter that has looked {HOLD} times took the lock although it is held"
        );
        assert!(
            lock.try_lock().is_none(),
            "the lock is held, and after {HOLD} looks of a waiter it can be taken"
        );
        *guard += 1;
        drop(guard);
        let waited = waiter.join();
        assert!(
            waited.is_ok() && *lock.lock() == 2,
            "a waiter that has looked {HOLD} times while the lock was held did not get it in the end, or was not alone"
        );
    });
}

/// What `try_lock` is called beside. One attempt and what belongs to it: whoever tries for longer waits.
fn try_lock_never_waits_for(stopped: fn(&SpinLock<usize>), held: bool) {
    const MOST: usize = 20;
    stands_still(MOST, move || {
        let lock = Arc::new(SpinLock::new(0));
        if held {
            std::mem::forget(lock.lock());
        }
        let same = lock.clone();
        let other: Body = Box::new(move || stopped(&same));
        let caller: Body = Box::new(move || drop(lock.try_lock()));
        [other, caller]
    });
}

#[test]
fn try_lock_never_waits() {
    try_lock_never_waits_for(|lock| add_one_slowly(&mut lock.lock()), false);
}

#[test]
fn try_lock_never_waits_for_another_try_lock() {
    for held in [false, true] {
        try_lock_never_waits_for(|lock| drop(lock.try_lock()), held);
    }
}
