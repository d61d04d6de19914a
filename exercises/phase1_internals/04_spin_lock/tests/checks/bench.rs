//! What a waiter costs the others, counted and not timed.
//!
//! Decides how often a waiter writes to the word that the owner needs, and how long it goes on waiting once the lock is
//! free. Both are numbers of operations in a schedule, the same on every machine.
//! Does not decide how many nanoseconds a lock takes, or whether the waiter ever yields to the operating system: here
//! `spin_loop` and `yield_now` are the same.

use kata::check::{Randomized, longest_pause, write_count};
use kata::sync::Arc;
use kata::sync::atomic::{AtomicBool, Ordering::Relaxed};
use kata::thread;
use spin_lock::SpinLock;

/// The owner steps aside this often while it holds the lock. The waiter then takes about as many steps.
const HOLD: usize = 1_500;

/// What each of `WAITERS` threads has done by the time it has had the lock: `counted`, asked in that thread. The lock is
/// held while all of them wait.
fn of_each_waiter(counted: fn() -> usize, judge: fn(Vec<usize>)) {
    const WAITERS: usize = 3;
    Randomized::new().schedules(30).run(move || {
        let lock = Arc::new(SpinLock::new(0));
        let guard = lock.lock();
        let waiters: Vec<_> = (0..WAITERS)
            .map(|_| {
                let lock = lock.clone();
                thread::spawn(move || {
                    let before = counted();
                    *lock.lock() += 1;
                    counted() - before
                })
            })
            .collect();
        for _ in 0..HOLD {
            thread::yield_now();
        }
        drop(guard);
        judge(
            waiters
                .into_iter()
                .map(|waiter| waiter.join().unwrap())
                .collect(),
        );
    });
}

#[test]
fn waiters_seldom_write() {
    of_each_waiter(write_count, |writes| {
        /// A waiter that looks with loads makes a few. One that looks by writing may still pass if it does so rarely.
        const MOST: usize = HOLD / 20;
        let most = writes.into_iter().max().unwrap();
        assert!(
            most <= MOST,
            "one waiter of three made {most} writes, read-modify-writes included, until it had got the lock and given it \
             back. Each takes a cache line away from the others, the owner among them: the lock becomes slower with every \
             thread that waits for it"
        );
    });
}

#[test]
fn no_pause_is_long() {
    of_each_waiter(longest_pause, |pauses| {
        /// "Some two hundred", and a few `yield_now`s.
        const LONGEST: usize = 256;
        let longest = pauses.into_iter().max().unwrap();
        assert!(
            longest <= LONGEST,
            "one waiter of three made {longest} pauses in a row without a look at the lock: the lock may have been free for \
             all that time, and nobody used it"
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
