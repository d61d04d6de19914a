//! What an addition costs the others, counted and not timed.
//!
//! Decides how often additions take a cache line away from another thread, in a simulation of coherent caches: a
//! processor for each thread, a line for each atomic. The numbers are the same on every machine.
//! Does not decide how many nanoseconds an addition takes. Does not see padding, since here every atomic is in a line of
//! its own: that is judged by addresses, in `unit`.

use kata::check::{Randomized, mesi};
use kata::sync::Arc;
use kata::thread;
use sharded_counter::Counter;

/// Additions of each thread.
const ADDITIONS: u64 = 30;

/// Adds on `threads` threads to a counter of `shards` shards, and returns what that has cost all of them.
fn cost(threads: usize, shards: usize) -> mesi::Counts {
    let counter = Arc::new(Counter::with_shards(shards));
    let before = mesi::replay().total();
    let threads: Vec<_> = (0..threads)
        .map(|_| {
            let counter = counter.clone();
            thread::spawn(move || (0..ADDITIONS).for_each(|_| counter.add(1)))
        })
        .collect();
    let additions = ADDITIONS * threads.len() as u64;
    for thread in threads {
        thread.join().unwrap();
    }
    let cost = mesi::replay().total() - before;
    assert_eq!(counter.sum(), additions, "all threads are done: exact");
    cost
}

/// Each thread takes its shard from whoever made the counter, and draws a number perhaps: a few lines once, whatever
/// the number of additions.
const MOST: u64 = 6;

fn threads_do_not_take_lines_from_each_other(threads: usize, shards: usize) {
    Randomized::new().schedules(60).run(move || {
        let taken = cost(threads, shards).invalidations;
        assert!(
            taken <= MOST * threads as u64,
            "{threads} threads made {} additions to a counter of {shards} shards, and took cache lines from each other \
             {taken} times: two of them add to the same shard, or all of them write to something besides. They are as \
             slow together as with a single word",
            ADDITIONS * threads as u64
        );
    });
}

#[test]
fn two_threads_on_two_shards_do_not_disturb_each_other() {
    threads_do_not_take_lines_from_each_other(2, 2);
}

#[test]
fn three_threads_on_three_shards_do_not_disturb_each_other() {
    threads_do_not_take_lines_from_each_other(3, 3);
}

#[test]
fn five_threads_on_five_shards_do_not_disturb_each_other() {
    threads_do_not_take_lines_from_each_other(5, 5);
}

#[test]
fn three_threads_on_eight_shards_do_not_disturb_each_other() {
    threads_do_not_take_lines_from_each_other(3, 8);
}

#[test]
fn a_thread_keeps_to_its_shard() {
    Randomized::new().schedules(1).run(|| {
        let misses = cost(1, 16).stalls();
        assert!(
            misses <= MOST,
            "one thread alone waited for a cache line {misses} times in {ADDITIONS} additions: it goes from shard to \
             shard and finds none of them in its cache"
        );
    });
}
