//! What a waiter costs the others, counted and not timed.
//!
//! Decides how often a waiter writes to the word that the owner needs, and how long it goes on waiting once the lock is
//! free. Both are numbers of operations in a schedule, the same on every machine.
//! Does not decide how many nanoseconds a lock takes, or whether the waiter ever yields to the operating system: here
//! `spin_loop` and `yield_now` are the same.

use kata::check::{Randomized, rmw_count};
use kata::sync::Arc;
use kata::sync::atomic::{AtomicBool, Ordering::Relaxed};
use kata::thread;
use spin_lock::SpinLock;

/// The owner steps aside this often while it holds the lock. The waiter then takes about as many steps.
const HOLD: usize = 1_500;

#[test]
fn a_waiter_seldom_writes_to_the_lock() {
    /// A waiter that looks with loads makes two or three. One that looks by writing may still pass if it does so rarely.
    const MOST: usize = HOLD / 20;
    Randomized::new().schedules(30).run(|| {
        let lock = Arc::new(SpinLock::new(0));
        let guard = lock.lock();
        let waiter = {
            let lock = lock.clone();
            thread::spawn(move || {
                let before = rmw_count();
                *lock.lock() += 1;
                rmw_count() - before
            })
        };
        for _ in 0..HOLD {
            thread::yield_now();
        }
        drop(guard);
        let attempts = waiter.join().unwrap();
        assert!(
            attempts <= MOST,
            "one waiter attempted {attempts} read-modify-writes until it got the lock. Each takes the cache line away \
             from the owner: the lock becomes slower with every thread that waits for it"
        );
    });
}

#[test]
fn a_waiter_notices_the_unlock_soon() {
    const LONGEST: usize = HOLD / 4;
    Randomized::new().schedules(30).run(|| {
        let lock = Arc::new(SpinLock::new(0));
        let entered = Arc::new(AtomicBool::new(false));
        let guard = lock.lock();
        let waiter = {
            let (lock, entered) = (lock.clone(), entered.clone());
            thread::spawn(move || {
                *lock.lock() += 1;
                entered.store(true, Relaxed);
            })
        };
        for _ in 0..HOLD {
            thread::yield_now();
        }
        drop(guard);
        let mut idle = 0;
        while !entered.load(Relaxed) {
            idle += 1;
            assert!(
                idle <= LONGEST,
                "the lock was held for {HOLD} steps and has been free for {idle}, and its only waiter has not looked \
                 yet: the longer an owner works, the longer nobody works afterwards"
            );
            thread::yield_now();
        }
        waiter.join().unwrap();
    });
}
