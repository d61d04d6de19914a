//! The two locks on Dekker's handshake beside `std::sync::Mutex`.

use std::hint::black_box;
use std::sync::{Mutex, PoisonError};

use dekker::{BiasedLock, Peterson, Role, Side};
use kata::check::bench::{Bench, Contender};

/// Threads that take one lock again and again; `visit` takes it and gives it back, for the thread of that number.
fn visiting<Lock: Send + Sync + 'static>(
    name: &str,
    threads: usize,
    new: impl Fn() -> Lock + 'static,
    visit: impl Fn(&Lock, usize) + Send + Sync + 'static,
) -> Contender {
    Contender::new(name, threads, new, move |lock, thread, operations| {
        for _ in 0..operations {
            visit(black_box(lock), thread);
        }
    })
}

fn std(threads: usize) -> Contender {
    visiting(
        "std::sync::Mutex",
        threads,
        || Mutex::new(()),
        |lock, _thread| {
            drop(lock.lock().unwrap_or_else(PoisonError::into_inner));
        },
    )
}

pub fn main() {
    let mut bench = Bench::new();
    for (scenario, threads) in [("Peterson, 1 side", 1), ("Peterson, 2 sides", 2)] {
        bench.compare(
            scenario,
            visiting("Peterson", threads, Peterson::new, |lock, thread| {
                let side = [Side::Left, Side::Right][thread];
                lock.lock(side);
                lock.unlock(side);
            }),
            [std(threads)],
        );
    }
    bench.compare(
        "BiasedLock, owner alone",
        visiting("BiasedLock", 1, BiasedLock::new, |lock, _thread| {
            lock.lock(Role::Owner);
            lock.unlock(Role::Owner);
        }),
        [std(1)],
    );
    bench.report();
}
