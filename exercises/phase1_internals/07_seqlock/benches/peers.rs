//! `SeqLock` beside `std::sync::RwLock`.

use std::hint::black_box;
use std::sync::{PoisonError, RwLock};

use kata::check::bench::{Bench, Contender};
use seqlock::SeqLock;

type Words = [u64; 4];

/// Threads that read four words again and again, and write them once in `period` operations.
fn using<Lock: Send + Sync + 'static>(
    name: &str,
    (threads, period): (usize, u64),
    new: impl Fn() -> Lock + 'static,
    read: impl Fn(&Lock) -> Words + Send + Sync + 'static,
    write: impl Fn(&Lock, Words) + Send + Sync + 'static,
) -> Contender {
    Contender::new(name, threads, new, move |lock, _thread, operations| {
        for operation in 1..=operations {
            if operation.is_multiple_of(period) {
                write(black_box(lock), [operation; 4]);
            } else {
                black_box(read(black_box(lock)));
            }
        }
    })
}

pub fn main() {
    let mut bench = Bench::new();
    for (scenario, load) in [
        ("read, 1 thread", (1, u64::MAX)),
        ("read, 2 threads", (2, u64::MAX)),
        ("2 threads, 1 in 100 writes", (2, 100)),
        ("write, 1 thread", (1, 1)),
    ] {
        bench.compare(
            scenario,
            using(
                "SeqLock",
                load,
                || SeqLock::new([0; 4]),
                SeqLock::read,
                SeqLock::write,
            ),
            [using(
                "std::sync::RwLock",
                load,
                || RwLock::new([0; 4]),
                |lock| *lock.read().unwrap_or_else(PoisonError::into_inner),
                |lock, words| *lock.write().unwrap_or_else(PoisonError::into_inner) = words,
            )],
        );
    }
    bench.report();
}
