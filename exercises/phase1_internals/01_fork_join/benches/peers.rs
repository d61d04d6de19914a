//! `par_map` and `join` beside `std::thread::scope` used by hand. One operation is a whole call.

use std::hint::black_box;
use std::thread;

use fork_join::{join, par_map};
use kata::check::bench::{Bench, Contender};

const WORKERS: usize = 2;

/// Some microseconds of work, more for a large item.
fn work(item: &u64) -> u64 {
    (0..1_000 + item % 1_000).fold(*item, |sum, step| black_box(sum.wrapping_mul(31) ^ step))
}

/// Every worker gets one share of the items, as most would write it.
fn by_hand(items: &[u64]) -> Vec<u64> {
    let share = items.len().div_ceil(WORKERS);
    thread::scope(|scope| {
        let workers: Vec<_> = items
            .chunks(share)
            .map(|share| scope.spawn(|| share.iter().map(work).collect::<Vec<_>>()))
            .collect();
        workers
            .into_iter()
            .flat_map(|worker| worker.join().expect("the work does not panic"))
            .collect()
    })
}

fn mapping(
    name: &str,
    items: fn() -> Vec<u64>,
    map: impl Fn(&[u64]) -> Vec<u64> + Send + Sync + 'static,
) -> Contender {
    Contender::new(name, 1, items, move |items, _thread, operations| {
        for _ in 0..operations {
            black_box(map(black_box(items)));
        }
    })
}

fn joining(name: &str, both: impl Fn() -> (u64, u64) + Send + Sync + 'static) -> Contender {
    Contender::new(
        name,
        1,
        || (),
        move |(), _thread, operations| {
            for _ in 0..operations {
                black_box(both());
            }
        },
    )
}

/// All items are about the same work.
fn even() -> Vec<u64> {
    vec![500; 500]
}

/// The second half is twice as much work as the first.
fn skewed() -> Vec<u64> {
    [vec![0; 250], vec![999; 250]].concat()
}

pub fn main() {
    let mut bench = Bench::new();
    for (scenario, items) in [
        ("par_map, even work", even as fn() -> Vec<u64>),
        ("par_map, skewed work", skewed),
    ] {
        bench.compare(
            scenario,
            mapping("par_map", items, |items| par_map(items, WORKERS, work)),
            [mapping("std::thread::scope", items, by_hand)],
        );
    }
    bench.compare(
        "join, next to no work",
        joining("join", || join(|| work(&1), || work(&2))),
        [joining("std::thread::scope", || {
            thread::scope(|scope| {
                let right = scope.spawn(|| work(&2));
                (work(&1), right.join().expect("the work does not panic"))
            })
        })],
    );
    bench.report();
}
