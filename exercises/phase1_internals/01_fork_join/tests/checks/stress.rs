//! Calls that meet each other on real threads.
//!
//! Decides whether calls really run at the same time, and on how many threads: a call waits until others have come as
//! far as itself, which they never do if they are to run after it.
//! Does not decide how fast any of it is. A meeting that does not come about is given up after some seconds, so that the
//! check fails instead of hanging; no verdict depends on time otherwise.

use std::collections::HashSet;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Condvar, Mutex};
use std::thread;
use std::time::Duration;

use fork_join::{join, par_map};
use kata::check::Stress;
use rstest::rstest;

/// Thousands of times what a meeting takes.
const PATIENCE: Duration = Duration::from_secs(5);

/// Where calls wait for each other.
struct Meeting {
    /// How far they have come together, and whether somebody has waited in vain.
    state: Mutex<(usize, bool)>,
    changed: Condvar,
}

impl Meeting {
    fn new() -> Self {
        Self {
            state: Mutex::new((0, false)),
            changed: Condvar::new(),
        }
    }

    /// One step further.
    fn advance(&self) {
        self.state.lock().unwrap().0 += 1;
        self.changed.notify_all();
    }

    /// Waits until they have come so far. `false` if it was in vain, for this call or an earlier one.
    fn wait_for(&self, steps: usize) -> bool {
        let state = self.state.lock().unwrap();
        let waiting = |(now, in_vain): &mut (usize, bool)| *now < steps && !*in_vain;
        let (mut state, _) = self
            .changed
            .wait_timeout_while(state, PATIENCE, waiting)
            .unwrap();
        state.1 |= state.0 < steps;
        self.changed.notify_all();
        !state.1
    }
}

#[rstest]
#[case::two(2, 2)]
#[case::eight(8, 8)]
#[case::fewer_items_than_workers(3, 8)]
fn every_item_gets_a_worker_of_its_own_if_there_are_enough(
    #[case] items: usize,
    #[case] workers: usize,
) {
    let items: Vec<usize> = (0..items).collect();
    for _ in 0..20 {
        let meeting = Meeting::new();
        let met = par_map(&items, workers, |_| {
            meeting.advance();
            meeting.wait_for(items.len())
        });
        assert!(
            met.iter().all(|met| *met),
            "{} calls waited for each other on {workers} workers, in vain: at least two of them run one after the \
             other. A program that computes on all its processors is as slow as on one. Is every worker started before \
             the first one is waited for, and does nobody hold a lock while calling `f`?",
            items.len()
        );
    }
}

#[test]
fn results_come_in_the_order_of_the_items_and_not_of_time() {
    const ITEMS: usize = 4;
    let items: Vec<usize> = (0..ITEMS).collect();
    for _ in 0..100 {
        let meeting = Meeting::new();
        let results = par_map(&items, ITEMS, |&item| {
            // The last item first, the first item last.
            let in_turn = meeting.wait_for(ITEMS - 1 - item);
            meeting.advance();
            (item, in_turn)
        });
        assert!(
            results.iter().all(|(_, in_turn)| *in_turn),
            "a call waited for one of a later item, in vain: they run one after the other"
        );
        let order: Vec<usize> = results.iter().map(|(item, _)| *item).collect();
        assert_eq!(
            order, items,
            "the calls ended in reverse order, and the results have followed them: a user gets the result of another \
             item, on some days"
        );
    }
}

#[test]
fn no_more_threads_than_workers_call_f() {
    const WORKERS: usize = 3;
    let items: Vec<usize> = (0..60).collect();
    for _ in 0..20 {
        let (inside, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let threads = Mutex::new(HashSet::new());
        par_map(&items, WORKERS, |_| {
            most.fetch_max(inside.fetch_add(1, Relaxed) + 1, Relaxed);
            threads.lock().unwrap().insert(thread::current().id());
            thread::yield_now();
            inside.fetch_sub(1, Relaxed);
        });
        let (most, threads) = (most.into_inner(), threads.into_inner().unwrap().len());
        assert!(
            most <= WORKERS,
            "{most} calls of `f` ran at the same time with {WORKERS} workers: who limits the workers to limit open \
             files or memory gets more of them"
        );
        assert!(
            threads <= WORKERS,
            "{threads} threads were started for {} items and {WORKERS} workers: with a million items it is a million \
             threads, and starting one takes longer than most calls",
            items.len()
        );
    }
}

#[test]
fn join_runs_both_at_the_same_time() {
    for _ in 0..50 {
        let meeting = Meeting::new();
        let meet = || {
            meeting.advance();
            meeting.wait_for(2)
        };
        assert_eq!(
            join(meet, meet),
            (true, true),
            "two closures waited for each other, in vain: join runs one after the other"
        );
    }
}

/// The sum of the numbers below `end`, from `begin` on.
fn sum(begin: u64, end: u64) -> u64 {
    if end - begin <= 2 {
        return (begin..end).sum();
    }
    let middle = begin.midpoint(end);
    let (left, right) = join(|| sum(begin, middle), || sum(middle, end));
    left + right
}

#[test]
fn calls_can_be_nested() {
    for _ in 0..30 {
        assert_eq!(
            sum(0, 64),
            2016,
            "a tree of joins does not add up what its leaves have found"
        );
        let rows = [10, 20, 30];
        let table = par_map(&rows, 3, |row| {
            par_map(&[1, 2, 3], 2, |column| row + column)
        });
        assert_eq!(
            table,
            [[11, 12, 13], [21, 22, 23], [31, 32, 33]],
            "a par_map inside of a par_map gets in its way"
        );
    }
}

#[test]
fn callers_do_not_disturb_each_other() {
    Stress::new(4).rounds(100).run(
        |round| round * 1_000,
        |thread, offset| {
            let items: Vec<usize> = (0..10).map(|item| offset + thread * 100 + item).collect();
            let results = par_map(&items, 2, |item| item + 1);
            let (first, last) = join(|| items[0] + 1, || items[9] + 1);
            (items, results, first, last)
        },
        |_offset, seen| {
            for (items, results, first, last) in seen {
                let expected: Vec<usize> = items.iter().map(|item| item + 1).collect();
                assert_eq!(
                    (first, last),
                    (expected[0], expected[9]),
                    "four threads call join at once, and one gets the result of another"
                );
                assert_eq!(
                    results, expected,
                    "four threads call par_map at once, and one gets the results of another"
                );
            }
        },
    );
}
