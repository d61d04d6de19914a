//! `Mutex` and `Condvar` beside those of `std` and of `parking_lot`. Nobody else has the semaphore.

use std::hint::black_box;
use std::sync::{self, PoisonError};

use kata::check::bench::{Bench, Contender};
use mutex_condvar::{Condvar, Mutex};

/// Threads that take one lock again and again, add to the number in it, and do `work` steps on their own in between.
fn adding<Lock: Send + Sync + 'static>(
    name: &str,
    (threads, work): (usize, u64),
    new: impl Fn() -> Lock + 'static,
    add: impl Fn(&Lock) + Send + Sync + 'static,
) -> Contender {
    Contender::new(name, threads, new, move |lock, _thread, operations| {
        for _ in 0..operations {
            add(black_box(lock));
            for step in 0..work {
                black_box(step);
            }
        }
    })
}

/// Two threads that take turns: an operation waits until it is the thread's turn and gives it to the other one.
fn taking_turns<Place: Send + Sync + 'static>(
    name: &str,
    new: impl Fn() -> Place + 'static,
    take_turn: impl Fn(&Place, usize) + Send + Sync + 'static,
) -> Contender {
    Contender::new(name, 2, new, move |place, thread, operations| {
        for _ in 0..operations {
            take_turn(place, thread);
        }
    })
}

pub fn main() {
    let mut bench = Bench::new();
    for (scenario, load) in [
        ("Mutex, 1 thread", (1, 0)),
        ("Mutex, 2 threads, nothing between", (2, 0)),
        ("Mutex, 2 threads, work between", (2, 300)),
    ] {
        bench.compare(
            scenario,
            adding(
                "Mutex",
                load,
                || Mutex::new(0_u64),
                |lock| *lock.lock() += 1,
            ),
            [
                adding(
                    "std::sync::Mutex",
                    load,
                    || sync::Mutex::new(0_u64),
                    |lock| *lock.lock().unwrap_or_else(PoisonError::into_inner) += 1,
                ),
                adding(
                    "parking_lot::Mutex",
                    load,
                    || parking_lot::Mutex::new(0_u64),
                    |lock| *lock.lock() += 1,
                ),
            ],
        );
    }
    bench.compare(
        "Condvar, 2 threads in turns",
        taking_turns(
            "Condvar",
            || (Mutex::new(0), Condvar::new()),
            |(turn, changed), thread| {
                let mut turn = changed.wait_while(turn.lock(), |turn| *turn != thread);
                *turn = 1 - thread;
                changed.notify_one();
            },
        ),
        [
            taking_turns(
                "std::sync::Condvar",
                || (sync::Mutex::new(0), sync::Condvar::new()),
                |(turn, changed), thread| {
                    let turn = turn.lock().unwrap_or_else(PoisonError::into_inner);
                    let mut turn = changed
                        .wait_while(turn, |turn| *turn != thread)
                        .unwrap_or_else(PoisonError::into_inner);
                    *turn = 1 - thread;
                    changed.notify_one();
                },
            ),
            taking_turns(
                "parking_lot::Condvar",
                || (parking_lot::Mutex::new(0), parking_lot::Condvar::new()),
                |(turn, changed), thread| {
                    let mut turn = turn.lock();
                    changed.wait_while(&mut turn, |turn| *turn != thread);
                    *turn = 1 - thread;
                    changed.notify_one();
                },
            ),
        ],
    );
    bench.report();
}
