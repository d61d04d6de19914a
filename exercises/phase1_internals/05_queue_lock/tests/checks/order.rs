//! First come, first served: under random, reproducible schedules of six threads.
//!
//! Decides whether threads get in in the order in which they took their places. To know that order without a clock, the
//! threads come one by one while the lock is held: the next one starts when the one before has performed more operations
//! inside `lock` than it takes to get a place. Since it cannot get in meanwhile, it has got one and waits.
//! Does not decide who is first of two that come at the same moment; nobody can.

use kata::check::{Randomized, steps};
use kata::sync::Arc;
use kata::thread::{self, JoinHandle};

use super::lock::{Lock, for_both};

/// Whoever has performed that many operations has its place in the queue. It takes two or three, and nobody interferes.
const ARRIVED: usize = 40;

const WAITERS: usize = 5;

/// Who has got in, in order.
type Visits = Vec<usize>;

for_both! {
    in_the_order_of_arrival: ticket_lock_serves_in_the_order_of_arrival, mcs_lock_serves_in_the_order_of_arrival;
    in_a_long_queue: ticket_lock_serves_forty_in_the_order_of_arrival, mcs_lock_serves_forty_in_the_order_of_arrival;
    held_for_long: ticket_lock_may_be_held_for_long, mcs_lock_may_be_held_for_long;
    the_last_owner_comes_last: ticket_lock_makes_its_last_owner_queue_again, mcs_lock_makes_its_last_owner_queue_again;
    an_attempt_overtakes_nobody: ticket_try_lock_overtakes_nobody, mcs_try_lock_overtakes_nobody;
}

fn explore(model: fn()) {
    Randomized::new().schedules(120).run(model);
}

/// Starts threads that lock and write down their number, each when the one before it has its place in the queue. The lock
/// must be held.
fn arrive<L: Lock<Visits>>(
    lock: &Arc<L>,
    numbers: impl Iterator<Item = usize>,
) -> Vec<JoinHandle<()>> {
    let arrive = |number| {
        let waiter = {
            let lock = lock.clone();
            thread::spawn(move || lock.lock().push(number))
        };
        while steps(waiter.thread()) < ARRIVED {
            thread::yield_now();
        }
        waiter
    };
    numbers.map(arrive).collect()
}

fn leave(waiters: Vec<JoinHandle<()>>) {
    for waiter in waiters {
        waiter.join().unwrap();
    }
}

fn in_the_order_of_arrival<L: Lock<Visits>>() {
    explore(come_and_be_served::<L, WAITERS>);
}

fn in_a_long_queue<L: Lock<Visits>>() {
    let exploration = Randomized::new().schedules(3).steps(400_000);
    exploration.run(come_and_be_served::<L, 40>);
}

fn come_and_be_served<L: Lock<Visits>, const MANY: usize>() {
    let lock = Arc::new(L::new(Vec::new()));
    let guard = lock.lock();
    let waiters = arrive(&lock, 0..MANY);
    drop(guard);
    leave(waiters);
    let visits = lock.lock();
    assert!(
        visits.iter().copied().eq(0..MANY),
        "{MANY} threads came in the order of their numbers and were let in as {:?}: somebody was overtaken, and under load there \
         is no end to how often",
        *visits
    );
}

fn held_for_long<L: Lock<Visits>>() {
    /// In case somebody loses patience.
    const TURNS: usize = 3_000;
    Randomized::new().schedules(3).steps(400_000).run(|| {
        let lock = Arc::new(L::new(Vec::new()));
        let guard = lock.lock();
        let waiters = arrive(&lock, 0..2);
        for _ in 0..TURNS {
            thread::yield_now();
        }
        assert!(
            guard.is_empty(),
            "the owner has held the lock for {TURNS} steps, and somebody who waited is inside beside it"
        );
        drop(guard);
        leave(waiters);
        assert_eq!(*lock.lock(), [0, 1], "two threads have waited for long");
    });
}

fn the_last_owner_comes_last<L: Lock<Visits>>() {
    const OWNER: usize = 99;
    explore(|| {
        let lock = Arc::new(L::new(Vec::new()));
        let guard = lock.lock();
        let waiters = arrive(&lock, 0..2);
        drop(guard);
        lock.lock().push(OWNER);
        leave(waiters);
        assert_eq!(
            *lock.lock(),
            [0, 1, OWNER],
            "two threads waited, and the owner ({OWNER}) unlocked and came back: a thread that works in a loop keeps the \
             others out"
        );
    });
}

fn an_attempt_overtakes_nobody<L: Lock<Visits>>() {
    explore(|| {
        let lock = Arc::new(L::new(Vec::new()));
        let guard = lock.lock();
        let waiters = arrive(&lock, 0..2);
        drop(guard);
        if let Some(visits) = lock.try_lock() {
            assert_eq!(
                *visits,
                [0, 1],
                "two threads had waited when try_lock was called, and it went in before them"
            );
        }
        leave(waiters);
    });
}
