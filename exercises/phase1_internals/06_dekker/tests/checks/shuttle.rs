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

/// Two threads that are always there: one inside, for so many turns, the other one waiting.
fn never_free<L: Lock>(schedules: usize, times: usize, inside: usize) {
    let bounds = Randomized::new().schedules(schedules).steps(times * 1_500);
    bounds.run(move || {
        let shared = Arc::new((L::new(), AtomicUsize::new(0)));
        let running = [0, 1].map(|number| {
            let shared = shared.clone();
            thread::spawn(move || {
                let (lock, visits) = &*shared;
                for _ in 0..times {
                    lock.lock(number);
                    let before = visits.load(Relaxed);
                    (0..inside).for_each(|_| thread::yield_now());
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
            2 * times,
            "after some hundreds or thousands of visits without a pause two threads were inside at once, and one wrote over what the other had \
             counted"
        );
    });
}

#[test]
fn peterson_keeps_two_sides_apart_that_come_thousands_of_times() {
    // Long enough inside for the other one to come and wait; and both together more often than sixteen bits hold.
    never_free::<Peterson>(3, 300, 12);
    never_free::<Peterson>(1, 33_000, 5);
}

#[test]
fn the_biased_lock_keeps_an_owner_and_a_guest_apart_that_come_thousands_of_times() {
    // Long enough inside for the other one to come and wait; and both together more often than sixteen bits hold.
    never_free::<BiasedLock>(3, 300, 12);
    never_free::<BiasedLock>(1, 33_000, 5);
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

/// Two locks, one thread in both of them, in turns that overlap, and for each lock somebody who competes with it there.
fn two_locks_at_once<L: Lock>() {
    randomized(|| {
        let locks = Arc::new([0, 1].map(|_| (L::new(), AtomicUsize::new(0))));
        let inside = |visits: &AtomicUsize| {
            let before = visits.load(Relaxed);
            thread::yield_now();
            visits.store(before + 1, Relaxed);
        };
        let others = [0, 1].map(|which| {
            let locks = locks.clone();
            thread::spawn(move || {
                let (lock, visits) = &locks[which];
                for _ in 0..3 {
                    lock.lock(1);
                    inside(visits);
                    lock.unlock(1);
                }
            })
        });
        let [(left, in_left), (right, in_right)] = &*locks;
        for _ in 0..2 {
            left.lock(0);
            right.lock(0);
            inside(in_left);
            left.unlock(0);
            inside(in_right);
            left.lock(0);
            right.unlock(0);
            inside(in_left);
            left.unlock(0);
        }
        for other in others {
            other.join().unwrap();
        }
        assert_eq!(
            [in_left.load(Relaxed), in_right.load(Relaxed)],
            [3 + 2 * 2, 3 + 2],
            "one thread was in two locks, and somebody else got into one of them beside it: what belongs to one lock is kept \
             for all locks together, or for all locks of a thread"
        );
    });
}

#[test]
fn peterson_and_another_lock_are_not_mixed_up_by_one_thread() {
    two_locks_at_once::<Peterson>();
}

#[test]
fn the_biased_lock_and_another_one_are_not_mixed_up_by_one_thread() {
    two_locks_at_once::<BiasedLock>();
}

/// A thread waits while another one is inside for very long.
fn waits_however_long<L: Lock>(inside: usize, waiting: usize) {
    const LONG: usize = 70_000;
    let bounds = Randomized::new()
        .schedules(1)
        .steps(20 * LONG)
        .without_adversary();
    bounds.run(move || {
        let shared = Arc::new((L::new(), AtomicUsize::new(0)));
        let waiter = {
            let shared = shared.clone();
            shared.0.lock(inside);
            thread::spawn(move || {
                shared.0.lock(waiting);
                let left = shared.1.load(Relaxed);
                shared.0.unlock(waiting);
                left
            })
        };
        (0..LONG).for_each(|_| thread::yield_now());
        shared.1.store(1, Relaxed);
        shared.0.unlock(inside);
        assert_eq!(
            waiter.join().unwrap(),
            1,
            "a thread was inside for {LONG} turns, and another one that had waited all the time lost patience and went in beside it"
        );
    });
}

#[test]
fn peterson_waits_however_long_it_takes() {
    waits_however_long::<Peterson>(0, 1);
    waits_however_long::<Peterson>(1, 0);
}

#[test]
fn the_biased_lock_waits_however_long_it_takes() {
    waits_however_long::<BiasedLock>(0, 1);
    waits_however_long::<BiasedLock>(1, 0);
    waits_however_long::<BiasedLock>(1, 2);
}

#[test]
fn the_biased_lock_keeps_out_the_owner_while_256_guests_are_there() {
    // What a byte counts as none.
    hundreds_of_guests::<256>();
}

#[test]
fn the_biased_lock_tells_300_guests_apart() {
    // More than a byte can number.
    hundreds_of_guests::<300>();
}

fn hundreds_of_guests<const GUESTS: usize>() {
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
                    "The {role:?} goes in beside somebody else: there are more guests than a small number can count, or tell apart."
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
