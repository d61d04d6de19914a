//! `SpinLock` beside the mutexes of `std` and of `parking_lot`, which sleep when they have to wait.

use std::hint::black_box;
use std::sync::{Mutex, PoisonError};

use kata::check::bench::{Bench, Contender};
use spin_lock::SpinLock;

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

pub fn main() {
    let mut bench = Bench::new();
    for (scenario, load) in [
        ("1 thread", (1, 0)),
        ("2 threads, nothing between", (2, 0)),
        ("2 threads, work between", (2, 300)),
    ] {
        bench.compare(
            scenario,
            adding(
                "SpinLock",
                load,
                || SpinLock::new(0_u64),
                |lock| *lock.lock() += 1,
            ),
            [
                adding(
                    "std::sync::Mutex",
                    load,
                    || Mutex::new(0_u64),
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
    bench.report();
}
