//! `Arc` and `Weak` beside those of `std::sync`.

use std::hint::black_box;
use std::sync;

use arc::Arc;
use kata::check::bench::{Bench, Contender};

/// Threads that do the same thing with one `Arc` again and again.
fn using<Owner: Send + Sync + 'static>(
    name: &str,
    threads: usize,
    new: impl Fn() -> Owner + 'static,
    visit: impl Fn(&Owner) + Send + Sync + 'static,
) -> Contender {
    Contender::new(name, threads, new, move |owner, _thread, operations| {
        for _ in 0..operations {
            visit(black_box(owner));
        }
    })
}

pub fn main() {
    let mut bench = Bench::new();
    bench.compare(
        "new, drop",
        using(
            "Arc",
            1,
            || (),
            |()| drop(black_box(Arc::new(black_box(7_u64)))),
        ),
        [using(
            "std::sync::Arc",
            1,
            || (),
            |()| drop(black_box(sync::Arc::new(black_box(7_u64)))),
        )],
    );
    for (scenario, threads) in [("clone, drop, 1 thread", 1), ("clone, drop, 2 threads", 2)] {
        bench.compare(
            scenario,
            using(
                "Arc",
                threads,
                || Arc::new(7_u64),
                |owner| drop(black_box(Arc::clone(owner))),
            ),
            [using(
                "std::sync::Arc",
                threads,
                || sync::Arc::new(7_u64),
                |owner| drop(black_box(sync::Arc::clone(owner))),
            )],
        );
    }
    bench.compare(
        "downgrade, upgrade",
        using(
            "Arc",
            1,
            || Arc::new(7_u64),
            |owner| drop(black_box(Arc::downgrade(owner).upgrade())),
        ),
        [using(
            "std::sync::Arc",
            1,
            || sync::Arc::new(7_u64),
            |owner| drop(black_box(sync::Arc::downgrade(owner).upgrade())),
        )],
    );
    bench.report();
}
