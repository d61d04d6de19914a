//! Real threads on real processors, more of them than most machines have cores.
//!
//! Decides whether a lock keeps threads apart here and lets every one of them through in the end. It is the only check in
//! which freed nodes are really given to somebody else, and in which the operating system takes the processor from the
//! one thread that all others stand behind.
//! Does not decide orderings: x86 forgives every one of them. Does not prove anything: it samples.

use kata::check::{Stress, allocations_in};

use super::lock::{Lock, for_both};

const THREADS: usize = 5;
const UPDATES: usize = 20;
const ROUNDS: usize = 200;

for_both! {
    lock_again_and_again: ticket_lock_loses_no_update, mcs_lock_loses_no_update;
    both_ways: ticket_try_lock_loses_no_update, mcs_try_lock_loses_no_update;
}

fn stress<L: Lock<usize>>(update: impl Fn(usize, &L) -> usize + Send + Sync + 'static) {
    Stress::new(THREADS).rounds(ROUNDS).run(
        |_round| L::new(0),
        move |thread, lock| {
            allocations_in(|| (0..UPDATES).map(|_| update(thread, lock)).sum::<usize>())
        },
        |lock, results| {
            let updates: usize = results.iter().map(|(updates, _)| updates).sum();
            // Not by `lock`: a lock that is stuck should fail here, not hang.
            let value = *lock
                .try_lock()
                .expect("every owner has let go, yet the lock is still taken");
            assert_eq!(
                value, updates,
                "two threads held the lock at once and one overwrote what the other had counted"
            );
            let ((), dropped) = allocations_in(|| drop(lock));
            let used = results
                .iter()
                .map(|(_, heap)| heap.live_bytes)
                .sum::<isize>();
            assert!(
                used + dropped.live_bytes <= 0,
                "{} bytes were not given back although the lock is gone",
                used + dropped.live_bytes
            );
        },
    );
}

fn lock_again_and_again<L: Lock<usize>>() {
    stress(|_thread, lock: &L| {
        *lock.lock() += 1;
        1
    });
}

fn both_ways<L: Lock<usize>>() {
    stress(|thread, lock: &L| {
        let guard = match thread {
            0 => Some(lock.lock()),
            _ => lock.try_lock(),
        };
        guard.map_or(0, |mut guard| {
            *guard += 1;
            1
        })
    });
}
