//! Random, reproducible schedules of a few threads with a few calls each.
//!
//! Decides whether an addition can get lost between the steps of another call, and what a sum may be meanwhile.
//! Does not decide orderings: here every atomic access is sequentially consistent. (A counter needs none: what a thread
//! may conclude about *other* memory from a number is nothing.) Does not decide everything: it samples.

use kata::check::{Randomized, randomized};
use kata::sync::Arc;
use kata::sync::atomic::{AtomicU64, Ordering::SeqCst};
use kata::thread;
use sharded_counter::Counter;

#[test]
fn threads_that_share_a_shard_lose_nothing() {
    randomized(|| {
        let counter = Arc::new(Counter::with_shards(2));
        let threads: Vec<_> = [1, 10, 100, 1_000]
            .into_iter()
            .map(|amount| {
                let counter = counter.clone();
                thread::spawn(move || {
                    counter.add(amount);
                    counter.add(amount);
                })
            })
            .collect();
        for thread in threads {
            thread.join().unwrap();
        }
        assert_eq!(
            counter.sum(),
            2_222,
            "all threads are done, and the sum is not what they have added: a digit for each thread"
        );
    });
}

#[test]
fn resets_take_each_addition_once() {
    randomized(|| {
        let counter = Arc::new(Counter::with_shards(2));
        let adding: Vec<_> = [1, 10]
            .into_iter()
            .map(|amount| {
                let counter = counter.clone();
                thread::spawn(move || (0..3).for_each(|_| counter.add(amount)))
            })
            .collect();
        let resetting: Vec<_> = (0..2)
            .map(|_| {
                let counter = counter.clone();
                thread::spawn(move || counter.reset_sum() + counter.reset_sum())
            })
            .collect();
        for thread in adding {
            thread.join().unwrap();
        }
        let taken: u64 = resetting
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .sum();
        let left = counter.sum();
        assert_eq!(
            taken + left,
            33,
            "{taken} were taken out by resets and {left} are left: events were lost between two reports, or were \
             reported twice"
        );
    });
}

#[test]
fn a_sum_lies_between_what_was_there_before_and_after() {
    randomized(|| {
        let counter = Arc::new(Counter::with_shards(3));
        // What the threads are about to add, and what they have added.
        let (begun, done) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
        let threads: Vec<_> = [1, 10]
            .into_iter()
            .map(|amount| {
                let (counter, begun, done) = (counter.clone(), begun.clone(), done.clone());
                thread::spawn(move || {
                    for _ in 0..3 {
                        begun.fetch_add(amount, SeqCst);
                        counter.add(amount);
                        done.fetch_add(amount, SeqCst);
                    }
                })
            })
            .collect();
        let mut last = 0;
        for _ in 0..3 {
            let before = done.load(SeqCst);
            let sum = counter.sum();
            let after = begun.load(SeqCst);
            assert!(
                before <= sum,
                "the sum is {sum}, and {before} had been added before it was asked for: whoever waits for a number to \
                 be reached may wait forever"
            );
            assert!(
                sum <= after,
                "the sum is {sum}, and no more than {after} had been added when it was there: some events were \
                 counted twice"
            );
            assert!(
                last <= sum,
                "the sum was {last} and is {sum}, and nobody has reset it: a rate computed from it is negative, or \
                 enormous"
            );
            last = sum;
        }
        for thread in threads {
            thread.join().unwrap();
        }
        assert_eq!(counter.sum(), 33, "all threads are done: exact");
    });
}

#[test]
fn a_sum_beside_a_reset_leaves_the_counter_as_it_is() {
    randomized(|| {
        let counter = Arc::new(Counter::with_shards(2));
        counter.add(100);
        let calls: [fn(&Counter) -> u64; 4] = [
            |counter| {
                counter.add(1);
                0
            },
            Counter::reset_sum,
            |counter| {
                counter.sum();
                0
            },
            |counter| {
                counter.add(10);
                counter.sum();
                0
            },
        ];
        let threads = calls.map(|call| {
            let counter = counter.clone();
            thread::spawn(move || call(&counter))
        });
        let taken: u64 = threads.map(|thread| thread.join().unwrap()).iter().sum();
        assert_eq!(
            taken + counter.sum(),
            111,
            "a reset has taken out {taken}, and with what is left it is not what was added: a sum that was on its way has put \
             something back, or taken something out"
        );
    });
}

#[test]
fn readers_do_not_disturb_each_other() {
    randomized(|| {
        let counter = Arc::new(Counter::with_shards(2));
        counter.add(5);
        let readers: Vec<_> = (0..3)
            .map(|_| {
                let counter = counter.clone();
                thread::spawn(move || [counter.sum(), counter.sum()])
            })
            .collect();
        for reader in readers {
            assert_eq!(
                reader.join().unwrap(),
                [5, 5],
                "nobody adds anything, and readers see different numbers: one takes away what another wants to read"
            );
        }
    });
}

#[test]
fn a_reset_at_rest_takes_everything() {
    randomized(|| {
        let counter = Arc::new(Counter::with_shards(3));
        for _ in 0..2 {
            let threads: Vec<_> = [1, 10, 100, 1_000]
                .into_iter()
                .map(|amount| {
                    let counter = counter.clone();
                    thread::spawn(move || counter.add(amount))
                })
                .collect();
            for thread in threads {
                thread.join().unwrap();
            }
            let taken = counter.reset_sum();
            assert_eq!(
                (taken, counter.sum()),
                (1_111, 0),
                "all threads are done, and a reset has not taken out what they have added (a digit for each): a report is \
                 short of what it should say"
            );
        }
    });
}

#[test]
fn many_threads_lose_nothing() {
    // More than any small array holds.
    Randomized::new().schedules(30).run(|| {
        const THREADS: u64 = 20;
        let counter = Arc::new(Counter::with_shards(12));
        let threads: Vec<_> = (0..THREADS)
            .map(|_| {
                let counter = counter.clone();
                thread::spawn(move || counter.add(1))
            })
            .collect();
        for thread in threads {
            thread.join().unwrap();
        }
        assert_eq!(counter.reset_sum(), THREADS, "all threads are done: exact");
    });
}

#[test]
fn an_addition_that_loses_every_race_is_made() {
    // One thread adds once, among ninety additions of others to the same word.
    Randomized::new().schedules(300).run(|| {
        const OTHERS: u64 = 3;
        const EACH: u64 = 30;
        let counter = Arc::new(Counter::with_shards(1));
        let threads: Vec<_> = (0..=OTHERS)
            .map(|thread| {
                let counter = counter.clone();
                let times = if thread == 0 { 1 } else { EACH };
                thread::spawn(move || (0..times).for_each(|_| counter.add(1)))
            })
            .collect();
        for thread in threads {
            thread.join().unwrap();
        }
        assert_eq!(
            counter.sum(),
            OTHERS * EACH + 1,
            "four threads share a shard, and an addition was given up: it had lost the race for its word too often"
        );
    });
}
