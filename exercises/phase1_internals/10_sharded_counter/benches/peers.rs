//! `Counter` beside a single atomic: what sharding gains where threads count, and what it costs where one does or
//! somebody asks for the sum.

use std::hint::black_box;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use kata::check::bench::{Bench, Contender};
use sharded_counter::Counter;

const SHARDS: usize = 8;

/// Threads that do the same thing with one counter again and again.
fn using<Count: Send + Sync + 'static>(
    name: &str,
    threads: usize,
    new: impl Fn() -> Count + 'static,
    visit: impl Fn(&Count) + Send + Sync + 'static,
) -> Contender {
    Contender::new(name, threads, new, move |count, _thread, operations| {
        for _ in 0..operations {
            visit(black_box(count));
        }
    })
}

pub fn main() {
    let mut bench = Bench::new();
    for (scenario, threads) in [("add, 1 thread", 1), ("add, 2 threads", 2)] {
        bench.compare(
            scenario,
            using(
                "Counter",
                threads,
                || Counter::with_shards(SHARDS),
                |count| count.add(1),
            ),
            [using(
                "AtomicU64",
                threads,
                || AtomicU64::new(0),
                |count| {
                    count.fetch_add(1, Relaxed);
                },
            )],
        );
    }
    bench.compare(
        "sum of 8 shards, 1 thread",
        using(
            "Counter",
            1,
            || Counter::with_shards(SHARDS),
            |count| {
                black_box(count.sum());
            },
        ),
        [using(
            "AtomicU64",
            1,
            || AtomicU64::new(0),
            |count| {
                black_box(count.load(Relaxed));
            },
        )],
    );
    bench.report();
}
