//! `OnceCell` beside `std::sync::OnceLock`.

use std::hint::black_box;
use std::sync::OnceLock;

use kata::check::bench::{Bench, Contender};
use publish_once::OnceCell;

/// Threads that look into one cell again and again; it was filled before.
fn looking<Cell: Send + Sync + 'static>(
    name: &str,
    threads: usize,
    filled: impl Fn() -> Cell + 'static,
    look: impl Fn(&Cell) -> u64 + Send + Sync + 'static,
) -> Contender {
    Contender::new(name, threads, filled, move |cell, _thread, operations| {
        for _ in 0..operations {
            black_box(look(black_box(cell)));
        }
    })
}

/// One thread that makes cells, fills each and looks into it once.
fn filling(name: &str, fill: impl Fn(u64) -> u64 + Send + Sync + 'static) -> Contender {
    Contender::new(
        name,
        1,
        || (),
        move |(), _thread, operations| {
            for value in 0..operations {
                black_box(fill(black_box(value)));
            }
        },
    )
}

fn ours() -> OnceCell<u64> {
    let cell = OnceCell::new();
    let _ = cell.set(7);
    cell
}

fn std() -> OnceLock<u64> {
    OnceLock::from(7)
}

pub fn main() {
    let mut bench = Bench::new();
    for (scenario, threads) in [("get, 1 thread", 1), ("get, 2 threads", 2)] {
        bench.compare(
            scenario,
            looking("OnceCell", threads, ours, |cell| {
                cell.get().copied().unwrap_or(0)
            }),
            [looking("std::sync::OnceLock", threads, std, |cell| {
                cell.get().copied().unwrap_or(0)
            })],
        );
    }
    bench.compare(
        "get_or_init, filled",
        looking("OnceCell", 1, ours, |cell| *cell.get_or_init(|| 0)),
        [looking("std::sync::OnceLock", 1, std, |cell| {
            *cell.get_or_init(|| 0)
        })],
    );
    bench.compare(
        "get_or_init, empty",
        filling("OnceCell", |value| *OnceCell::new().get_or_init(|| value)),
        [filling("std::sync::OnceLock", |value| {
            *OnceLock::new().get_or_init(|| value)
        })],
    );
    bench.report();
}
