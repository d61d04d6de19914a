//! Every execution that C++20 allows, without load buffering, within the bounds that each check prints.
//!
//! Decides whether two threads can be inside at once, and whether whoever comes in sees what the one before it did. A missing
//! fence, or one in the wrong place, shows here; a missing Acquire or Release shows here and nowhere else.
//! A SeqCst read-modify-write on some other word is no fence here, though it is one on x86: the C++ memory model does not
//! promise it.
//! Does not decide how the locks fare among more than three threads, all of which spin, or whether they are fair.

use dekker::{BiasedLock, Peterson};
use kata::cell::UnsafeCell;
use kata::check::{Exhaustive, exhaustive, steps};
use kata::sync::Arc;
use kata::thread;

use super::Lock;

/// What a lock is asked to keep consistent.
struct Shared<L> {
    lock: L,
    /// How often each thread was inside, in all. Its accesses are watched: two that nothing orders are a data race.
    visits: UnsafeCell<usize>,
}

// SAFETY: whether the lock keeps accesses to `visits` apart is what the model decides.
unsafe impl<L: Lock> Sync for Shared<L> {}

impl<L: Lock> Shared<L> {
    fn visit(&self, thread: usize) {
        self.lock.lock(thread);
        // SAFETY: see `Sync`.
        self.visits.with_mut(|visits| unsafe { *visits += 1 });
        self.lock.unlock(thread);
    }
}

/// Lets each thread in `visits`, given by its number and how often it comes, visit the lock. Each of them is once the thread
/// that starts the others.
///
/// loom alone would overlook executions in which a store comes before somebody else's look. `kata` makes up for that; the
/// change of roles makes the check independent of it.
fn explore<L: Lock, const N: usize>(visits: [(usize, usize); N]) {
    explore_within::<L, N>(&Exhaustive::new(), visits);
}

fn explore_within<L: Lock, const N: usize>(bounds: &Exhaustive, visits: [(usize, usize); N]) {
    for first in 0..N {
        bounds.clone().run(move || {
            let shared = Arc::new(Shared {
                lock: L::new(),
                visits: UnsafeCell::new(0),
            });
            let come = |(thread, times): (usize, usize)| {
                let shared = shared.clone();
                move || {
                    for _ in 0..times {
                        shared.visit(thread);
                    }
                }
            };
            let others: Vec<_> = (1..N)
                .map(|distance| thread::spawn(come(visits[(first + distance) % N])))
                .collect();
            come(visits[first])();
            for other in others {
                other.join().unwrap();
            }
            // SAFETY: all threads are joined.
            let seen = shared.visits.with(|visits| unsafe { *visits });
            assert_eq!(
                seen,
                visits.iter().map(|&(_, times)| times).sum::<usize>(),
                "the threads were inside that often less than they came: two were inside at once, and one wrote over what \
                 the other had written"
            );
        });
    }
}

#[test]
fn peterson_lets_in_one_side_at_a_time() {
    explore::<Peterson, _>([(0, 1), (1, 1)]);
}

#[test]
fn peterson_lets_in_one_side_at_a_time_that_comes_again() {
    explore::<Peterson, _>([(0, 2), (1, 1)]);
    explore::<Peterson, _>([(0, 1), (1, 2)]);
}

#[test]
fn peterson_lets_in_one_side_at_a_time_if_both_come_again() {
    explore::<Peterson, _>([(0, 2), (1, 2)]);
}

#[test]
fn peterson_lets_in_a_side_that_is_alone() {
    explore::<Peterson, _>([(0, 3)]);
    explore::<Peterson, _>([(1, 3)]);
}

#[test]
fn the_owner_and_a_guest_are_not_inside_at_once() {
    explore::<BiasedLock, _>([(0, 1), (1, 1)]);
}

#[test]
fn an_owner_that_comes_again_and_a_guest_are_not_inside_at_once() {
    explore::<BiasedLock, _>([(0, 2), (1, 1)]);
}

#[test]
fn the_owner_and_a_guest_that_comes_again_are_not_inside_at_once() {
    explore::<BiasedLock, _>([(0, 1), (1, 2)]);
}

#[test]
fn an_owner_and_a_guest_that_both_come_again_are_not_inside_at_once() {
    explore::<BiasedLock, _>([(0, 2), (1, 2)]);
}

#[test]
fn two_guests_are_not_inside_at_once() {
    explore::<BiasedLock, _>([(1, 1), (2, 1)]);
    explore::<BiasedLock, _>([(1, 2), (2, 1)]);
}

#[test]
fn the_owner_and_two_guests_are_not_inside_at_once() {
    explore_within::<BiasedLock, _>(&Exhaustive::new().preemptions(2), [(0, 1), (1, 1), (2, 1)]);
}

#[test]
fn an_owner_or_a_guest_that_is_alone_gets_in() {
    explore::<BiasedLock, _>([(0, 3)]);
    explore::<BiasedLock, _>([(1, 3)]);
}

#[test]
fn the_model_sees_what_the_locks_do() {
    fn seen<L: Lock>(name: &str) {
        let me = thread::current();
        let (lock, before) = (L::new(), steps(&me));
        lock.lock(0);
        lock.unlock(0);
        assert!(
            steps(&me) > before,
            "{name} was locked and unlocked, and no operation was seen: take atomics and fences from `kata`, not from `std`. What \
             the model checker does not see it cannot judge"
        );
    }
    exhaustive(|| {
        seen::<Peterson>("Peterson's lock");
        seen::<BiasedLock>("the biased lock");
    });
}
