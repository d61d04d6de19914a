//! What waiters cost each other, counted and not timed.
//!
//! Decides how often a waiter writes to what the others need, and how often it loses its copy of what it looks at: the
//! first is what a queue lock is bought for, the second is what the MCS lock has over the ticket lock. Both are counts of
//! a schedule, the same on every machine; each atomic stands for a cache line.
//! Does not decide how many nanoseconds a lock takes, whether two of its words share a cache line, or whether a waiter
//! ever yields to the operating system: here `spin_loop` and `yield_now` are the same.

use kata::check::{Body, Randomized, misses, rmw_count, stands_still};
use kata::sync::Arc;
use kata::thread;

use super::lock::{Lock, for_both};

for_both! {
    attempt_beside_a_stopped_thread: ticket_try_lock_never_waits, mcs_try_lock_never_waits;
    waiting_without_writing: ticket_waiter_only_looks, mcs_waiter_only_looks;
}

fn waiting_without_writing<L: Lock<usize>>() {
    const HOLD: usize = 500;
    /// To take a place and to leave it again; some more for exchanges that fail.
    const MOST: usize = 12;
    Randomized::new().schedules(30).run(|| {
        let lock = Arc::new(L::new(0));
        let guard = lock.lock();
        let waiters = [(); 2].map(|()| {
            let lock = lock.clone();
            thread::spawn(move || {
                *lock.lock() += 1;
                rmw_count()
            })
        });
        for _ in 0..HOLD {
            thread::yield_now();
        }
        drop(guard);
        for waiter in waiters {
            let attempts = waiter.join().unwrap();
            assert!(
                attempts <= MOST,
                "a waiter performed {attempts} read-modify-writes until it got the lock and gave it back. Each takes the \
                 cache line away from all others: the lock becomes slower with every thread that waits for it"
            );
        }
    });
}

fn attempt_beside_a_stopped_thread<L: Lock<usize>>() {
    /// Steps of an attempt that succeeds, and of giving back what it has got.
    const MOST: usize = 60;
    stands_still(MOST, || {
        let lock = Arc::new(L::new(0));
        let stopped = lock.clone();
        let owner: Body = Box::new(move || *stopped.lock() += 1);
        let asks: Body = Box::new(move || drop(lock.try_lock()));
        [owner, asks]
    });
}

#[test]
fn mcs_waiter_is_disturbed_by_nobody_but_its_predecessor() {
    const WAITERS: usize = 20;
    /// It takes six to come, to be let in and to go.
    const MOST: usize = 12;
    Randomized::new().schedules(12).steps(100_000).run(|| {
        let lock = Arc::new(queue_lock::McsLock::new(0));
        let guard = lock.lock();
        let waiters = [(); WAITERS].map(|()| {
            let lock = lock.clone();
            thread::spawn(move || {
                let mut guard = lock.lock();
                *guard += 1;
                // Time for the others to look.
                for _ in 0..WAITERS {
                    thread::yield_now();
                }
                drop(guard);
                misses()
            })
        });
        for _ in 0..WAITERS {
            thread::yield_now();
        }
        drop(guard);
        for waiter in waiters {
            let misses = waiter.join().unwrap();
            assert!(
                misses <= MOST,
                "a thread that took the lock once lost its copy of a cache line {misses} times. It waits at a place that \
                 others write to: every unlock disturbs every waiter, as in a ticket lock"
            );
        }
    });
}
