//! Real threads, more of them than shards.
//!
//! Decides whether additions get lost or are counted twice here, and whether a reader ever sees the number fall.
//! Does not prove anything: it samples. Does not look at time: on a machine with few cores a single word can be as fast.

use kata::check::Stress;
use sharded_counter::Counter;

const THREADS: usize = 4;
const ADDITIONS: u64 = 2_000;
const ROUNDS: usize = 100;

#[test]
fn no_addition_is_lost() {
    Stress::new(THREADS).rounds(ROUNDS).run(
        |round| Counter::with_shards(1 + round % 5),
        |_thread, counter| (0..ADDITIONS).for_each(|_| counter.add(1)),
        |counter, _results| {
            assert_eq!(
                counter.sum(),
                THREADS as u64 * ADDITIONS,
                "all threads are done, and the sum is not what they have added"
            );
        },
    );
}

#[test]
fn resets_take_each_addition_once() {
    Stress::new(THREADS).rounds(ROUNDS).run(
        |round| Counter::with_shards(1 + round % 5),
        |thread, counter| {
            let mut taken = 0;
            for turn in 0..ADDITIONS {
                counter.add(1);
                if thread == 0 && turn % 8 == 0 {
                    taken += counter.reset_sum();
                }
            }
            taken
        },
        |counter, taken| {
            let (taken, left) = (taken.into_iter().sum::<u64>(), counter.sum());
            assert_eq!(
                taken + left,
                THREADS as u64 * ADDITIONS,
                "{taken} were taken out by resets and {left} are left: events were lost between two reports, or were \
                 reported twice"
            );
        },
    );
}

#[test]
fn a_reader_never_sees_the_number_fall() {
    Stress::new(THREADS).rounds(ROUNDS).run(
        |round| Counter::with_shards(1 + round % 5),
        |thread, counter| {
            let mut last = 0;
            for _ in 0..ADDITIONS {
                if thread == 0 {
                    let now = counter.sum();
                    assert!(
                        now >= last,
                        "the sum was {last} and is {now}, and nobody has reset it: a rate computed from it is \
                         negative, or enormous"
                    );
                    last = now;
                } else {
                    counter.add(1);
                }
            }
        },
        |counter, _results| {
            assert_eq!(
                counter.sum(),
                (THREADS as u64 - 1) * ADDITIONS,
                "all threads are done, and the sum is not what they have added"
            );
        },
    );
}
