//! Real threads on real processors.
//!
//! Decides whether two threads are inside at once here, and whether every one gets through in the end. That a store waits
//! in a processor's buffer while the next load is done is the one reordering that x86 really does: with a fence missing,
//! this check fails more often than not. Do not rely on it.
//! Does not decide the other orderings: x86 forgives them. Does not prove anything: it samples.

use std::hint;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use dekker::{BiasedLock, Peterson};
use kata::check::Stress;

use super::Lock;

/// Few, and many rounds instead: threads that leave the start line together are at the lock together.
const UPDATES: usize = 10;
const ROUNDS: usize = 4_000;

fn loses_no_update<L: Lock>(threads: usize) {
    Stress::new(threads).rounds(ROUNDS).run(
        |_round| (L::new(), AtomicUsize::new(0)),
        |thread, (lock, visits)| {
            for _ in 0..UPDATES {
                lock.lock(thread);
                // As slowly as it can be done: whoever else gets in meanwhile is overwritten.
                let before = visits.load(Relaxed);
                (0..10).for_each(|_| hint::spin_loop());
                visits.store(before + 1, Relaxed);
                lock.unlock(thread);
            }
        },
        move |(_lock, visits), _results| {
            assert_eq!(
                visits.into_inner(),
                threads * UPDATES,
                "two threads were inside at once, and one wrote over what the other had counted"
            );
        },
    );
}

#[test]
fn peterson_loses_no_update() {
    loses_no_update::<Peterson>(2);
}

#[test]
fn the_biased_lock_loses_no_update_of_an_owner_and_a_guest() {
    loses_no_update::<BiasedLock>(2);
}

#[test]
fn the_biased_lock_loses_no_update_of_an_owner_and_many_guests() {
    loses_no_update::<BiasedLock>(6);
}
