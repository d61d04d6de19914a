//! Random, reproducible schedules, some of which let one thread run until it waits and says so.
//!
//! Decides whether anybody waits forever, alone or for each other, and whether two threads are inside at once when they come
//! again and again, also hundreds of times without a pause.
//! Does not decide orderings: here every atomic access is sequentially consistent, and a fence does nothing. Does not decide
//! everything: it samples.

use dekker::{BiasedLock, Peterson, Role};
use kata::check::{Randomized, randomized};
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

/// Two threads that are always there: one inside, the other one waiting. What counts their visits reaches more than a byte
/// holds.
fn never_free<L: Lock>() {
    const VISITS: usize = 300;
    /// Long enough inside for the other one to come and wait.
    const INSIDE: usize = 12;
    Randomized::new().schedules(3).steps(400_000).run(|| {
        let shared = Arc::new((L::new(), AtomicUsize::new(0)));
        let running = [0, 1].map(|number| {
            let shared = shared.clone();
            thread::spawn(move || {
                let (lock, visits) = &*shared;
                for _ in 0..VISITS {
                    lock.lock(number);
                    let before = visits.load(Relaxed);
                    (0..INSIDE).for_each(|_| thread::yield_now());
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
            2 * VISITS,
            "after some hundreds of visits without a pause two threads were inside at once, and one wrote over what the other had \
             counted"
        );
    });
}

#[test]
fn peterson_keeps_two_sides_apart_that_come_hundreds_of_times() {
    never_free::<Peterson>();
}

#[test]
fn the_biased_lock_keeps_an_owner_and_a_guest_apart_that_come_hundreds_of_times() {
    never_free::<BiasedLock>();
}

#[test]
fn two_locks_of_one_thread_are_not_mixed_up() {
    fn both<L: Lock>() {
        randomized(|| {
            let (left, right) = (L::new(), L::new());
            left.lock(0);
            right.lock(0);
            right.unlock(0);
            // Nobody is in the way here: the thread is inside of another lock.
            right.lock(1);
            left.unlock(0);
            left.lock(1);
            right.unlock(1);
            left.unlock(1);
        });
    }
    both::<Peterson>();
    both::<BiasedLock>();
}

#[test]
fn the_biased_lock_keeps_out_the_owner_while_256_guests_are_there() {
    /// What a byte counts as none.
    const GUESTS: usize = 256;
    const TURNS: usize = 14;
    // Few schedules and many steps: each guest that leaves lets in one of all those who look.
    Randomized::new().schedules(1).steps(2_000_000).run(|| {
        let lock = Arc::new(BiasedLock::new());
        // Not `kata`'s: where a thread stands is the check's own business, and no step of the model.
        let come = Arc::new(std::sync::atomic::AtomicUsize::new(0));
        let alone = Arc::new(std::sync::atomic::AtomicBool::new(true));
        lock.lock(Role::Guest);
        alone.store(false, Relaxed);
        let visit = |role| {
            let (lock, come, alone) = (lock.clone(), come.clone(), alone.clone());
            thread::spawn(move || {
                come.fetch_add(1, Relaxed);
                lock.lock(role);
                assert!(
                    alone.swap(false, Relaxed),
                    "The {role:?} goes in beside a guest: as many guests are there as a small counter can tell from none."
                );
                alone.store(true, Relaxed);
                lock.unlock(role);
            })
        };
        let guests: Vec<_> = (1..GUESTS).map(|_| visit(Role::Guest)).collect();
        while come.load(Relaxed) < GUESTS - 1 {
            thread::yield_now();
        }
        // Everybody else has about as many turns meanwhile: enough to get to the place where it waits.
        (0..TURNS).for_each(|_| thread::yield_now());
        let owner = visit(Role::Owner);
        (0..TURNS).for_each(|_| thread::yield_now());
        alone.store(true, Relaxed);
        lock.unlock(Role::Guest);
        owner.join().unwrap();
        for guest in guests {
            guest.join().unwrap();
        }
    });
}
