//! The stack beside a `Vec` in a mutex.

use std::hint::black_box;
use std::sync::{Mutex, PoisonError};

use kata::check::bench::{Bench, Contender};
use treiber_stack::Stack;

/// Threads that push a value and pop one again and again. The stack is empty in between if there is one thread.
fn pushing_and_popping<Values: Send + Sync + 'static>(
    name: &str,
    threads: usize,
    new: impl Fn() -> Values + 'static,
    push: impl Fn(&Values, u64) + Send + Sync + 'static,
    pop: impl Fn(&Values) -> Option<u64> + Send + Sync + 'static,
) -> Contender {
    Contender::new(name, threads, new, move |values, _thread, operations| {
        for value in 0..operations {
            push(black_box(values), value);
            black_box(pop(black_box(values)));
        }
    })
}

pub fn main() {
    let mut bench = Bench::new();
    for (scenario, threads) in [("push, pop, 1 thread", 1), ("push, pop, 2 threads", 2)] {
        bench.compare(
            scenario,
            pushing_and_popping("Stack", threads, Stack::new, Stack::push, Stack::pop),
            [pushing_and_popping(
                "Mutex<Vec>",
                threads,
                || Mutex::new(Vec::new()),
                |values, value| {
                    let mut values = values.lock().unwrap_or_else(PoisonError::into_inner);
                    values.push(value);
                },
                |values| {
                    let mut values = values.lock().unwrap_or_else(PoisonError::into_inner);
                    values.pop()
                },
            )],
        );
    }
    bench.report();
}
