//! Real threads on real processors, more of them than most machines have cores.
//!
//! Decides whether the lock keeps threads apart here and lets every one of them through in the end. It is the only check
//! in which the operating system takes the processor from an owner, as it will in production.
//! Does not decide orderings: x86 forgives every one of them. Does not prove anything: it samples.

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::thread;

use kata::check::Stress;
use spin_lock::{Guard, SpinLock};

/// More than any small constant that a lock may have room for.
const THREADS: usize = 12;
const UPDATES: usize = 50;
const ROUNDS: usize = 300;

/// The value, once all threads are done with it. Not by `lock`: a lock that is stuck should fail here, not hang.
fn left(lock: &SpinLock<usize>) -> Guard<'_, usize> {
    lock.try_lock()
        .expect("every owner has let go, yet the lock is still taken")
}

#[test]
fn lock_loses_no_update() {
    Stress::new(THREADS).rounds(ROUNDS).run(
        |_round| SpinLock::new(0),
        |_thread, lock| {
            for _ in 0..UPDATES {
                *lock.lock() += 1;
            }
        },
        |lock, _results| {
            assert_eq!(
                *left(&lock),
                THREADS * UPDATES,
                "two threads held the lock at once and one overwrote what the other had counted"
            );
        },
    );
}

#[test]
fn try_lock_loses_no_update() {
    Stress::new(THREADS).rounds(ROUNDS).run(
        |_round| SpinLock::new(0),
        |_thread, lock| {
            let mut successes = 0;
            for _ in 0..UPDATES {
                if let Some(mut guard) = lock.try_lock() {
                    *guard += 1;
                    successes += 1;
                }
            }
            successes
        },
        |lock, successes| {
            assert_eq!(
                *left(&lock),
                successes.into_iter().sum::<usize>(),
                "two calls of try_lock succeeded at once and one overwrote what the other had counted"
            );
        },
    );
}

#[test]
fn hundreds_of_waiters_are_let_in_one_by_one() {
    /// More than a number of eight bits counts.
    const WAITERS: usize = 260;
    let (lock, come) = (SpinLock::new(0), AtomicUsize::new(0));
    let guard = lock.lock();
    thread::scope(|scope| {
        for _ in 0..WAITERS {
            scope.spawn(|| {
                come.fetch_add(1, Relaxed);
                *lock.lock() += 1;
            });
        }
        // Until all have come, and a while longer, so that they wait.
        while come.load(Relaxed) < WAITERS {
            thread::yield_now();
        }
        for _ in 0..100 {
            thread::yield_now();
        }
        assert!(
            *guard == 0 && lock.try_lock().is_none(),
            "two guards at once: the lock is held and {WAITERS} threads want it, and one of these got it as well"
        );
        drop(guard);
    });
    assert_eq!(
        *left(&lock),
        WAITERS,
        "{WAITERS} threads waited for the lock, two held it at once, and one overwrote what the other had counted"
    );
}
