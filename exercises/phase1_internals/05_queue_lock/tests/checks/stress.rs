//! Real threads on real processors, more of them than most machines have cores.
//!
//! Decides whether a lock keeps threads apart here and lets every one of them through in the end. It is the only check in
//! which freed nodes are really given to somebody else, and in which the operating system takes the processor from the
//! one thread that all others stand behind. Decides as well what becomes of a ticket lock whose numbers start again.
//! Does not decide orderings: x86 forgives every one of them. Does not prove anything: it samples.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;

use kata::check::{Stress, allocations_in};
use queue_lock::TicketLock;

#[cfg(target_os = "linux")]
use super::age::Memory;

use super::lock::{Lock, for_both};

const THREADS: usize = 5;
const UPDATES: usize = 20;
const ROUNDS: usize = 200;

for_both! {
    lock_again_and_again: ticket_lock_loses_no_update, mcs_lock_loses_no_update;
    both_ways: ticket_try_lock_loses_no_update, mcs_try_lock_loses_no_update;
}

/// A visit, and one that comes meanwhile.
fn visits_that_meet(lock: &TicketLock<()>, visit: &str) {
    let free = || {
        lock.try_lock().unwrap_or_else(|| {
            panic!("{visit}, nobody holds the lock, and it cannot be taken: its numbers no longer fit together")
        })
    };
    let guard = free();
    assert!(lock.try_lock().is_none(), "{visit}, there are two guards");
    let (asks, inside) = (AtomicBool::new(false), AtomicBool::new(false));
    let overtaken = thread::scope(|scope| {
        scope.spawn(|| {
            asks.store(true, Relaxed);
            let guard = lock.lock();
            inside.store(true, Relaxed);
            drop(guard);
        });
        while !asks.load(Relaxed) {
            thread::yield_now();
        }
        // Long enough for somebody who does not wait.
        for _ in 0..500 {
            thread::yield_now();
        }
        let overtaken = inside.load(Relaxed);
        drop(guard);
        overtaken
    });
    assert!(
        !overtaken,
        "{visit}, a second thread is inside beside the owner"
    );
    drop(free());
}

/// Meetings take three visits each. So that each kind of visit is once the last one before the numbers start again, there
/// are locks of three ages.
const AGES: std::ops::Range<u32> = 12..15;

#[test]
fn ticket_numbers_of_16_bits_start_again_without_harm() {
    for left in AGES {
        let lock = TicketLock::new(());
        let begin = (1 << 16) - left;
        for visit in 0..begin {
            drop(
                lock.try_lock()
                    .unwrap_or_else(|| panic!("visit {visit}: the free lock is taken")),
            );
        }
        for meeting in 0..8 {
            visits_that_meet(&lock, &format!("after {} visits", begin + 3 * meeting));
        }
    }
}

#[cfg(target_os = "linux")]
#[test]
fn ticket_numbers_of_32_bits_start_again_without_harm() {
    for left in AGES {
        let lock = TicketLock::new(());
        let visit = || drop(lock.try_lock().expect("nobody holds the lock"));
        let Ok(skipped) = Memory::of(&lock).and_then(|memory| memory.age(left, visit)) else {
            kata::check::skip("the system does not let a check look into its own memory");
            return;
        };
        for meeting in 0..8 {
            let made = 70_000 + 3 * meeting;
            visits_that_meet(
                &lock,
                &format!("after {made} visits and as if after {skipped} more"),
            );
        }
    }
}

#[cfg(not(target_os = "linux"))]
#[test]
fn ticket_numbers_of_32_bits_start_again_without_harm() {
    kata::check::skip("only on Linux can the check make a lock as old as that");
}

/// So many bytes a thread may keep for its next visit, to whichever lock: a node. Who loses one with every visit, or with
/// every refusal, loses thousands.
const KEPT: isize = 128;

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
            let left = used + dropped.live_bytes;
            assert!(
                left <= KEPT * THREADS as isize,
                "{left} bytes were not given back although the lock is gone"
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
