//! Real threads on real processors, more of them than most machines have cores.
//!
//! Decides whether one value is made here and everybody gets it, and whether everybody gets through. It is the only check
//! in which the operating system takes the processor from an `init`, as it will in production.
//! Does not decide orderings: x86 forgives every one of them. Does not prove anything: it samples.
#![allow(clippy::drop_non_drop)] // Whether a cell needs a `Drop` of its own depends on how it keeps its value.

use std::sync::atomic::{AtomicIsize, AtomicUsize, Ordering::Relaxed};

use std::sync::Arc;

use kata::check::{Foreign, Stress, allocations_in};
use publish_once::OnceCell;

const THREADS: usize = 8;
const ROUNDS: usize = 2_000;

/// A value of many words, so that one seen too early is likely to be seen in part.
type Value = [usize; 16];

fn value_of(thread: usize) -> Value {
    [thread + 1; 16]
}

#[derive(Default)]
struct Round {
    made: AtomicUsize,
}

#[test]
fn one_init_runs_and_everybody_gets_its_value() {
    Stress::new(THREADS).rounds(ROUNDS).run(
        |_round| (OnceCell::new(), Round::default()),
        |thread, (cell, round)| {
            *cell.get_or_init(|| {
                round.made.fetch_add(1, Relaxed);
                value_of(thread)
            })
        },
        |(cell, round), seen| {
            assert_eq!(
                round.made.load(Relaxed),
                1,
                "that many threads have made a value for one cell: a connection is opened twice, a file created twice"
            );
            let value = cell.get().expect("everybody has got a value, and the cell is empty");
            for got in seen {
                assert_eq!(
                    got, *value,
                    "a thread got another value than the one in the cell, or one that was not finished"
                );
            }
        },
    );
}

#[test]
fn inits_that_fail_beside_waiting_threads_leave_nothing_behind() {
    let left = Arc::new(AtomicIsize::new(0));
    let total = Arc::clone(&left);
    Stress::new(THREADS).rounds(ROUNDS).run(
        |_round| (OnceCell::new(), Foreign::panics_once(1)),
        |thread, (cell, trouble)| {
            allocations_in(|| {
                Foreign::survive(|| {
                    *cell.get_or_init(|| {
                        // Give the others time to come and wait.
                        (0..30).for_each(|_| std::thread::yield_now());
                        trouble.call();
                        value_of(thread)
                    })
                })
            })
        },
        move |(cell, _), results| {
            let (seen, heaps): (Vec<_>, Vec<_>) = results.into_iter().unzip();
            let failed = seen.iter().filter(|seen| seen.is_none()).count();
            assert_eq!(
                failed, 1,
                "one init has panicked, and its caller alone gets its panic"
            );
            let ((), dropped) = allocations_in(|| drop(cell));
            let used: isize = heaps.iter().map(|heap| heap.live_bytes).sum();
            total.fetch_add(used + dropped.live_bytes, Relaxed);
        },
    );
    let left = left.load(Relaxed);
    // What belongs to the first panic of a thread is nobody's leak.
    let nobodys = (1 << 10) * THREADS.cast_signed();
    assert!(
        left < nobodys,
        "{left} bytes were not given back although all {ROUNDS} cells are gone: an init that fails while others wait \
         leaves something behind"
    );
}

#[test]
fn of_many_values_one_is_taken() {
    let left = Arc::new(AtomicIsize::new(0));
    let total = Arc::clone(&left);
    Stress::new(THREADS).rounds(ROUNDS).run(
        |_round| OnceCell::new(),
        |thread, cell| {
            allocations_in(|| {
                let early = cell.get().copied();
                let taken = cell.set(value_of(thread)).is_ok();
                (early, taken, cell.get().copied())
            })
        },
        move |cell, results| {
            let (seen, heaps): (Vec<_>, Vec<_>) = results.into_iter().unzip();
            let takers: Vec<_> = (0..THREADS).filter(|&thread| seen[thread].1).collect();
            assert_eq!(
                takers.len(),
                1,
                "these threads were told that their value is in the cell, which has room for one: {takers:?}"
            );
            let value = value_of(takers[0]);
            assert_eq!(cell.get(), Some(&value), "another value is in the cell than the one it took");
            for (early, _, late) in seen {
                assert!(
                    early.is_none_or(|early| early == value),
                    "a thread saw {early:?} in a cell that has held nothing but {value:?}"
                );
                assert_eq!(
                    late,
                    Some(value),
                    "after its own `set`, whatever came of it, a thread did not find the value"
                );
            }
            let ((), dropped) = allocations_in(|| drop(cell));
            let used: isize = heaps.iter().map(|heap| heap.live_bytes).sum();
            total.fetch_add(used + dropped.live_bytes, Relaxed);
        },
    );
    let left = left.load(Relaxed);
    assert!(
        left < ROUNDS.cast_signed(),
        "{left} bytes were not given back although all {ROUNDS} cells are gone: callers who come too late leave something \
         behind"
    );
}
