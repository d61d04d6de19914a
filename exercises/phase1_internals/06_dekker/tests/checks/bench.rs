//! What the locks cost, counted and not timed.
//!
//! Decides how many read-modify-writes an owner makes that nobody disturbs, also after a guest has come and gone.
//! Does not decide how many nanoseconds that takes, or how many fences there are: see the README on what they cost.

use dekker::{BiasedLock, Role};
use kata::check::{Randomized, rmw_count};
use kata::sync::Arc;
use kata::thread;

/// More than a byte counts, and more than once of what happens every thousandth time.
const VISITS: usize = 1_100;

/// How many read-modify-writes an owner makes that comes and goes.
fn visits_of_the_owner(lock: &BiasedLock) -> usize {
    let before = rmw_count();
    for _ in 0..VISITS {
        lock.lock(Role::Owner);
        lock.unlock(Role::Owner);
    }
    rmw_count() - before
}

#[test]
fn an_owner_that_is_alone_makes_no_read_modify_write() {
    Randomized::new().schedules(3).steps(200_000).run(|| {
        let lock = Arc::new(BiasedLock::new());
        assert_eq!(
            visits_of_the_owner(&lock),
            0,
            "an owner came {VISITS} times, nobody else ever did, and it made that many read-modify-writes: the lock is no \
             cheaper for it than for anybody else"
        );
        for guests in [1, 40] {
            let visits = {
                let lock = lock.clone();
                thread::spawn(move || {
                    for _ in 0..guests {
                        lock.lock(Role::Guest);
                        lock.unlock(Role::Guest);
                    }
                })
            };
            visits.join().unwrap();
            assert_eq!(
                visits_of_the_owner(&lock),
                0,
                "guests have come and gone, {guests} of them one after the other, and an owner that comes {VISITS} times makes \
                 that many read-modify-writes: a look at the numbers makes the lock dear for good"
            );
        }
    });
}

#[test]
fn an_owner_that_had_to_wait_makes_no_read_modify_write_afterwards() {
    Randomized::new().schedules(20).steps(200_000).run(|| {
        let lock = Arc::new(BiasedLock::new());
        let others: Vec<_> = [Role::Owner, Role::Guest, Role::Guest]
            .into_iter()
            .map(|role| {
                let lock = lock.clone();
                thread::spawn(move || {
                    for _ in 0..4 {
                        lock.lock(role);
                        thread::yield_now();
                        lock.unlock(role);
                    }
                })
            })
            .collect();
        for other in others {
            other.join().unwrap();
        }
        assert_eq!(
            visits_of_the_owner(&lock),
            0,
            "an owner and two guests were in each other's way. They are gone, an owner comes {VISITS} times, alone, and makes that \
             many read-modify-writes: after one quarrel the lock is dear for good"
        );
    });
}
