//! What an addition costs the others, counted and not timed.
//!
//! Decides how often additions take a cache line away from another thread, in a simulation of coherent caches: a
//! processor for each thread, a line for each atomic. The numbers are the same on every machine.
//! Does not decide how many nanoseconds an addition takes. Does not see padding, since here every atomic is in a line of
//! its own: that is judged by addresses, in `unit`.

use kata::check::{Randomized, mesi};
use kata::sync::Arc;
use kata::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use kata::thread;
use sharded_counter::Counter;

/// Additions of each thread.
const ADDITIONS: u64 = 30;

/// Adds on `threads` threads to a counter of `shards` shards, and returns what that has cost all of them.
fn cost(threads: usize, shards: usize) -> mesi::Counts {
    cost_of(Arc::new(Counter::with_shards(shards)), threads)
}

fn cost_of(counter: Arc<Counter>, threads: usize) -> mesi::Counts {
    let sum = counter.sum();
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
    assert!(
        cost.accesses >= additions,
        "{additions} additions were made and {} accesses to atomics were seen: what is counted in is not `kata`'s, so no check \
         can tell what it costs or whether it waits",
        cost.accesses
    );
    assert_eq!(
        counter.sum(),
        sum + additions,
        "all threads are done: exact"
    );
    cost
}

/// Each thread takes its shard from whoever made the counter, and draws a number perhaps: a few lines once, whatever
/// the number of additions.
const MOST: u64 = 6;

fn threads_do_not_take_lines_from_each_other(threads: usize, shards: usize) {
    after(threads, shards, move || {
        Arc::new(Counter::with_shards(shards))
    });
}

/// The same for a counter that has a past.
fn after(
    threads: usize,
    shards: usize,
    counter: impl Fn() -> Arc<Counter> + Send + Sync + 'static,
) {
    Randomized::new().schedules(60).run(move || {
        let taken = cost_of(counter(), threads).invalidations;
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

/// Counts once on each of `threads` new threads, one after the other.
fn visit(counter: &Arc<Counter>, threads: usize) {
    for _ in 0..threads {
        let counter = counter.clone();
        thread::spawn(move || counter.add(1)).join().unwrap();
    }
}

#[test]
fn threads_that_come_late_do_not_disturb_each_other() {
    // As many as there are shards have counted before, three times over, and are gone.
    for shards in [2, 3] {
        after(shards, shards, move || {
            let counter = Arc::new(Counter::with_shards(shards));
            visit(&counter, 3 * shards);
            counter
        });
    }
}

#[test]
fn more_threads_than_a_byte_counts_get_shards_in_turn() {
    Randomized::new().schedules(2).run(|| {
        let counter = Arc::new(Counter::with_shards(3));
        visit(&counter, 254);
        let taken = cost_of(counter, 3).invalidations;
        assert!(
            taken <= 4 * MOST,
            "three threads on three shards, after 254 others: they took cache lines from each other {taken} times. Their \
             numbers have gone round a byte, and two of them have the same shard"
        );
    });
}

#[test]
fn a_thread_keeps_its_shard_of_each_of_many_counters() {
    Randomized::new().schedules(1).run(|| {
        /// More than a small table in each thread has room for.
        const COUNTERS: u64 = 40;
        let counters: Arc<Vec<_>> =
            Arc::new((0..COUNTERS).map(|_| Counter::with_shards(16)).collect());
        let before = mesi::replay().total();
        let mine = counters.clone();
        let adding = thread::spawn(move || {
            for _ in 0..ADDITIONS {
                mine.iter().for_each(|counter| counter.add(1));
            }
        });
        adding.join().unwrap();
        let misses = (mesi::replay().total() - before).stalls();
        drop(counters); // not before: it would be counted
        assert!(
            misses <= MOST * COUNTERS,
            "one thread alone counts in {COUNTERS} counters in turn, and waited for a cache line {misses} times in {} \
             additions: it does not remember its shards, and finds none of them in its cache",
            ADDITIONS * COUNTERS
        );
    });
}

#[test]
fn a_counter_where_another_one_was_begins_anew() {
    begins_anew(0, 60);
}

#[test]
fn a_counter_after_many_others_begins_anew() {
    // With the first one as many as a byte counts.
    begins_anew(255, 10);
}

fn begins_anew(between: usize, schedules: usize) {
    Randomized::new().schedules(schedules).run(move || {
        // This thread and two visitors have shards of the first counter. With these, the next thread's number is odd if
        // threads are numbered for all counters together.
        let mut counter = Arc::new(Counter::with_shards(2));
        counter.add(1);
        visit(&counter, 2);
        // Others come and go.
        for _ in 0..between {
            let _passing = Counter::with_shards(1);
        }
        // In its place, with its address, another one, which a new thread comes to first.
        *Arc::get_mut(&mut counter).expect("the visitors are gone") = Counter::with_shards(2);
        let turn = Arc::new(AtomicUsize::new(0));
        let before = mesi::replay().total();
        let other = {
            let (counter, turn) = (counter.clone(), turn.clone());
            thread::spawn(move || {
                counter.add(1);
                turn.store(1, SeqCst);
                (1..ADDITIONS).for_each(|_| counter.add(1));
            })
        };
        while turn.load(SeqCst) == 0 {
            thread::yield_now();
        }
        (0..ADDITIONS).for_each(|_| counter.add(1));
        other.join().unwrap();
        let taken = (mesi::replay().total() - before).invalidations;
        assert!(
            taken <= 4 * MOST,
            "two threads, one of which had used a counter that is gone, have taken cache lines from each other {taken} times \
             in {} additions to a new one of two shards: what a thread remembers of the old counter is taken for the new one",
            2 * ADDITIONS
        );
    });
}

#[test]
fn many_threads_share_all_shards() {
    // Six threads for three shards: each shard has two, and none has more than its part of the work.
    Randomized::new().schedules(20).run(|| {
        let counter = Arc::new(Counter::with_shards(3));
        let before = mesi::replay().total();
        let first = cost_of(counter.clone(), 3).invalidations;
        let second = cost_of(counter, 3).invalidations;
        let all = (mesi::replay().total() - before).invalidations;
        assert!(
            first.max(second) <= 3 * MOST,
            "three threads on three shards, and then three more: they took cache lines from each other {first} and {second} \
             times ({all} in all). The later ones do not get shards in turn"
        );
    });
}
