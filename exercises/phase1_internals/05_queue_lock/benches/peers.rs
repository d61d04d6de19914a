//! The two queue locks beside each other and beside `std::sync::Mutex`, which serves nobody in turn.

use std::hint::black_box;
use std::sync::{Mutex, PoisonError};

use kata::check::bench::{Bench, Contender};
use queue_lock::{McsLock, TicketLock};

/// Threads that take one lock again and again and add to the number in it.
fn adding<Lock: Send + Sync + 'static>(
    name: &str,
    threads: usize,
    new: impl Fn() -> Lock + 'static,
    add: impl Fn(&Lock) + Send + Sync + 'static,
) -> Contender {
    Contender::new(name, threads, new, move |lock, _thread, operations| {
        for _ in 0..operations {
            add(black_box(lock));
        }
    })
}

fn ticket(threads: usize) -> Contender {
    adding(
        "TicketLock",
        threads,
        || TicketLock::new(0_u64),
        |lock| *lock.lock() += 1,
    )
}

fn mcs(threads: usize) -> Contender {
    adding(
        "McsLock",
        threads,
        || McsLock::new(0_u64),
        |lock| *lock.lock() += 1,
    )
}

fn std(threads: usize) -> Contender {
    adding(
        "std::sync::Mutex",
        threads,
        || Mutex::new(0_u64),
        |lock| *lock.lock().unwrap_or_else(PoisonError::into_inner) += 1,
    )
}

pub fn main() {
    let mut bench = Bench::new();
    for threads in [1, 2] {
        let s = if threads == 1 { "" } else { "s" };
        bench.compare(
            &format!("ticket, {threads} thread{s}"),
            ticket(threads),
            [std(threads)],
        );
        bench.compare(
            &format!("MCS, {threads} thread{s}"),
            mcs(threads),
            [ticket(threads), std(threads)],
        );
    }
    bench.report();
}
