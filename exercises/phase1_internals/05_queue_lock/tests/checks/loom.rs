//! Every execution that C++20 allows, without load buffering, within the bounds that each check prints.
//!
//! Decides whether two or three threads can hold a lock at once, whether the next owner is sure to see what the last one
//! wrote, whether a successor can be forgotten, and whether a node is touched after it was freed, or not freed at all. A
//! missing Acquire or Release shows here and nowhere else.
//! Does not decide in which order waiters get in (see `order`): without happens-before there is no earlier or later here.
//! No more than one thread waits for a lock at a time: two that look in turn would keep the third from ever being run.

use kata::check::Exhaustive;
use kata::sync::Arc;
use kata::thread;

use super::lock::{Lock, for_both};

/// What a lock is asked to keep consistent: two numbers that are equal whenever nobody holds it.
type Pair = (u32, u32);

/// Two separate writes, so that an owner let in too early has something to see half of.
fn advance(pair: &mut Pair) {
    pair.0 += 1;
    pair.1 += 1;
}

fn explore(model: fn()) {
    Exhaustive::new().no_leaks().run(model);
}

for_both! {
    try_lock_on_a_free_lock:
        ticket_try_lock_on_a_free_lock_succeeds,
        mcs_try_lock_on_a_free_lock_succeeds;
    try_lock_on_a_held_lock:
        ticket_try_lock_on_a_held_lock_fails,
        mcs_try_lock_on_a_held_lock_fails;
    twice_by_one_thread:
        a_thread_that_takes_a_ticket_twice_waits_for_itself,
        a_thread_that_queues_twice_waits_for_itself;
    one_thread_at_a_time:
        ticket_lock_lets_in_one_thread_at_a_time,
        mcs_lock_lets_in_one_thread_at_a_time;
    one_attempt_at_a_time:
        ticket_try_lock_lets_in_one_thread_at_a_time,
        mcs_try_lock_lets_in_one_thread_at_a_time;
    attempts_beside_a_wait:
        ticket_try_lock_disturbs_no_waiter,
        mcs_try_lock_disturbs_no_waiter;
    a_guard_on_the_move:
        ticket_guard_may_be_moved_while_others_wait,
        mcs_guard_may_be_moved_while_others_wait;
}

fn try_lock_on_a_free_lock<L: Lock<u32>>() {
    // `compare_exchange_weak` may fail for no reason at all. In this world it does, once in each place that calls it.
    explore(|| {
        let lock = L::new(0);
        assert!(
            lock.try_lock().is_some(),
            "nobody has ever held this lock, yet try_lock says that somebody does: its caller gives up for nothing"
        );
        assert!(
            lock.try_lock().is_some(),
            "nobody holds this lock any more, yet try_lock says that somebody does: its caller gives up for nothing"
        );
    });
}

fn try_lock_on_a_held_lock<L: Lock<u32>>() {
    explore(|| {
        let lock = Arc::new(L::new(0));
        let guard = lock.lock();
        let other = {
            let lock = lock.clone();
            thread::spawn(move || {
                assert!(
                    lock.try_lock().is_none(),
                    "two guards at once: two threads would each hold a `&mut` to the same value"
                );
                assert!(
                    lock.try_lock().is_none(),
                    "the first failed try_lock has unlocked what another thread had locked"
                );
            })
        };
        other.join().unwrap();
        drop(guard);
        assert!(
            lock.try_lock().is_some(),
            "two failed attempts have left something in the queue: the free lock waits for threads that went away"
        );
    });
}

fn twice_by_one_thread<L: Lock<Pair>>() {
    let twice = Exhaustive::new().explore(|| {
        let lock = L::new((0, 0));
        std::mem::forget(lock.lock());
        std::mem::forget(lock.lock());
    });
    assert!(
        twice.is_err(),
        "a thread that held the lock has got it once more: it has two `&mut` to the same value, and may change under the \
         one what it has borrowed through the other"
    );
    explore(|| drop(L::new((0, 0)).lock()));
}

fn one_thread_at_a_time<L: Lock<Pair>>() {
    fn advance_twice<L: Lock<Pair>>(lock: &L) {
        for _ in 0..2 {
            advance(&mut lock.lock());
        }
    }
    explore(|| {
        let lock = Arc::new(L::new((0, 0)));
        let other = {
            let lock = lock.clone();
            thread::spawn(move || advance_twice(&*lock))
        };
        advance_twice(&*lock);
        other.join().unwrap();
        assert_eq!(
            *lock.lock(),
            (4, 4),
            "two threads advanced the pair twice each, one at a time: an update was lost"
        );
    });
}

fn advance_if_free<L: Lock<Pair>>(lock: &L) -> u32 {
    match lock.try_lock() {
        Some(mut pair) => {
            advance(&mut pair);
            1
        }
        None => 0,
    }
}

fn one_attempt_at_a_time<L: Lock<Pair>>() {
    explore(|| {
        let lock = Arc::new(L::new((0, 0)));
        let others = [(); 2].map(|()| {
            let lock = lock.clone();
            thread::spawn(move || advance_if_free(&*lock))
        });
        let mut successes = advance_if_free(&*lock);
        for other in others {
            successes += other.join().unwrap();
        }
        assert_eq!(
            *lock.lock(),
            (successes, successes),
            "try_lock succeeded {successes} times and each owner advanced the pair: an update was lost"
        );
    });
}

fn attempts_beside_a_wait<L: Lock<Pair>>() {
    explore(|| {
        let lock = Arc::new(L::new((0, 0)));
        let other = {
            let lock = lock.clone();
            thread::spawn(move || advance_if_free(&*lock) + advance_if_free(&*lock))
        };
        advance(&mut lock.lock());
        let advances = 1 + other.join().unwrap();
        assert_eq!(
            *lock.lock(),
            (advances, advances),
            "try_lock and lock let their callers in at the same time: an update was lost"
        );
    });
}

fn a_guard_on_the_move<L: Lock<Pair>>() {
    explore(|| {
        let lock = Arc::new(L::new((0, 0)));
        let mut guard = Box::new(lock.lock());
        let other = {
            let lock = lock.clone();
            thread::spawn(move || advance(&mut lock.lock()))
        };
        advance(&mut guard);
        let guard = *guard;
        let held = Some(guard);
        drop(held);
        other.join().unwrap();
        assert_eq!(*lock.lock(), (2, 2), "an update was lost");
    });
}
