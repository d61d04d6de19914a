//! Every execution that C++20 allows, without load buffering, within the bounds that each check prints.
//!
//! Decides whether the consumer is sure to see what the producer wrote, and whether the producer is sure that the
//! consumer has left a slot before it is used again. A missing Acquire or Release shows here and nowhere else: x86 hides
//! it, shuttle does not model it.
//! Does not decide how the ring fares over many values. Sees slots only through `kata`'s cells, but follows the values: a
//! hand-over that it cannot see, by a lock of `std`'s for example, is none.

use kata::cell::UnsafeCell;
use kata::check::{Drops, Exhaustive, exhaustive, steps};
use kata::thread;
use spsc_ring::{Consumer, Producer, channel, channel_starting_at};

/// A value whose contents the model watches, wherever they are carried: to read them without a happens-before from the
/// thread that wrote them is a data race, even if the slots themselves are out of the model's sight.
struct Letter {
    text: UnsafeCell<usize>,
}

// SAFETY: no two threads share a letter. Said so that an end that is `Send` only for `T: Sync` fails the check that is about
// it (compile), and not the build of this one.
unsafe impl Sync for Letter {}

impl Letter {
    fn new(text: usize) -> Self {
        let letter = Self {
            text: UnsafeCell::new(0),
        };
        // A write of the thread that sends it.
        // SAFETY: nobody else has the letter.
        letter.text.with_mut(|place| unsafe { *place = text });
        letter
    }

    fn read(self) -> usize {
        // SAFETY: the letter is ours. That nobody writes it any more is what the model is asked.
        self.text.with(|text| unsafe { *text })
    }
}

/// Pushes 1, 2, … and gives up after `attempts` calls. How many went in.
fn produce(producer: &mut Producer<Letter>, attempts: usize) -> usize {
    let mut pushed = 0;
    for _ in 0..attempts {
        match producer.push(Letter::new(pushed + 1)) {
            Ok(()) => pushed += 1,
            Err(letter) => assert_eq!(
                letter.read(),
                pushed + 1,
                "push has refused a value and hands back another one"
            ),
        }
    }
    pushed
}

/// What `attempts` calls of pop give.
fn consume(consumer: &mut Consumer<Letter>, attempts: usize) -> Vec<usize> {
    (0..attempts)
        .filter_map(|_| consumer.pop())
        .map(Letter::read)
        .collect()
}

/// The values that went in came out, in order. Called when the producer has finished.
fn assert_all_arrived(pushed: usize, mut popped: Vec<usize>, consumer: &mut Consumer<Letter>) {
    popped.extend(consume(consumer, pushed + 1));
    assert_eq!(
        popped,
        (1..=pushed).collect::<Vec<_>>(),
        "{pushed} values were pushed: they must come out once each and in order, and no others"
    );
}

#[test]
fn the_consumer_sees_what_the_producer_wrote() {
    exhaustive(|| {
        let (mut producer, mut consumer) = channel(2);
        let thread = thread::spawn(move || produce(&mut producer, 2));
        let popped = consume(&mut consumer, 2);
        assert_all_arrived(thread.join().unwrap(), popped, &mut consumer);
    });
}

#[test]
fn a_slot_is_used_again_only_after_its_value_was_taken() {
    exhaustive(|| {
        let (mut producer, mut consumer) = channel(1);
        assert!(
            producer.push(Letter::new(1)).is_ok(),
            "the ring is empty, so there is room"
        );
        let thread = thread::spawn(move || {
            let popped = consume(&mut consumer, 2);
            (popped, consumer)
        });
        let mut pushed = 1;
        for _ in 0..3 {
            if producer.push(Letter::new(pushed + 1)).is_ok() {
                pushed += 1;
            }
        }
        let (popped, mut consumer) = thread.join().unwrap();
        assert_all_arrived(pushed, popped, &mut consumer);
    });
}

#[test]
fn values_stay_in_order_from_lap_to_lap() {
    // The numbers pass usize::MAX on the way, and 3 does not divide what comes after it.
    exhaustive(|| {
        let (mut producer, mut consumer) = channel_starting_at(3, usize::MAX);
        for value in [1, 2] {
            assert!(producer.push(Letter::new(value)).is_ok(), "there is room");
        }
        let thread = thread::spawn(move || {
            let mut pushed = 2;
            for _ in 0..3 {
                if producer.push(Letter::new(pushed + 1)).is_ok() {
                    pushed += 1;
                }
            }
            pushed
        });
        let popped = consume(&mut consumer, 3);
        assert_all_arrived(thread.join().unwrap(), popped, &mut consumer);
    });
}

#[test]
fn len_promises_the_consumer_that_many_values() {
    exhaustive(|| {
        let (mut producer, mut consumer) = channel(2);
        let thread = thread::spawn(move || produce(&mut producer, 2));
        let promised = consumer.len();
        assert!(
            promised <= 2,
            "a ring with room for 2 values claims to hold {promised}"
        );
        let popped = consume(&mut consumer, promised);
        assert_eq!(
            popped.len(),
            promised,
            "len promised {promised} values, and pop has found only these: {popped:?}"
        );
        if promised < 2 {
            let empty = consumer.is_empty();
            let next = consumer.pop().map(Letter::read);
            assert!(
                empty || next.is_some(),
                "is_empty said that there is a value, and pop has found none"
            );
        }
        thread.join().unwrap();
    });
}

#[test]
fn len_promises_the_producer_that_much_room() {
    exhaustive(|| {
        let (mut producer, mut consumer) = channel(2);
        assert_eq!(produce(&mut producer, 2), 2, "there is room for 2");
        let thread = thread::spawn(move || consume(&mut consumer, 2).len());
        let used = producer.len();
        assert!(
            used <= 2,
            "a ring with room for 2 values claims to hold {used}"
        );
        assert_eq!(
            produce(&mut producer, 2 - used),
            2 - used,
            "len said that {used} of 2 places were taken, so the rest was free, and push has found them full"
        );
        thread.join().unwrap();
    });
}

/// One thread alone uses the ring for a while, so that each end has been refused, has gone round and has counted often.
fn use_alone(
    producer: &mut Producer<Letter>,
    consumer: &mut Consumer<Letter>,
    refusals: usize,
    laps: usize,
) {
    for lap in 0..laps {
        assert!(producer.push(Letter::new(lap)).is_ok(), "there is room");
        assert_eq!(consumer.pop().map(Letter::read), Some(lap), "the one value");
    }
    let room = producer.capacity();
    for value in 0..room {
        assert!(producer.push(Letter::new(value)).is_ok(), "there is room");
    }
    for _ in 0..refusals {
        assert!(producer.push(Letter::new(0)).is_err(), "the ring is full");
    }
    for value in 0..room {
        assert_eq!(consumer.pop().map(Letter::read), Some(value), "the oldest");
    }
    for _ in 0..refusals {
        assert!(consumer.pop().is_none(), "the ring is empty");
    }
}

#[test]
fn a_ring_that_was_used_for_long_is_as_careful_as_a_new_one() {
    // What comes is the 8th or 16th call, value or refusal, and the ones around it.
    for (refusals, laps) in [(7, 6), (15, 14)] {
        Exhaustive::new()
            .preemptions(2)
            .branches(20_000)
            .step_by_step()
            .run(move || {
                let (mut producer, mut consumer) = channel(1);
                use_alone(&mut producer, &mut consumer, refusals, laps);
                let thread = thread::spawn(move || {
                    let mut pushed = 0;
                    for _ in 0..3 {
                        if producer.push(Letter::new(pushed + 1)).is_ok() {
                            pushed += 1;
                        }
                    }
                    pushed
                });
                let popped = consume(&mut consumer, 2);
                assert_all_arrived(thread.join().unwrap(), popped, &mut consumer);
            });
    }
}

#[test]
fn an_end_that_counts_while_the_other_works_is_told_the_truth() {
    // Each end counts between its calls: three different calls in a row, beside three of the other end.
    for before in 0..=2 {
        exhaustive(move || {
            let (mut producer, mut consumer) = channel(2);
            assert_eq!(produce(&mut producer, before), before, "there is room");
            let thread = thread::spawn(move || {
                let mut pushed = before;
                let used = producer.len();
                assert!(
                    used <= 2,
                    "a ring with room for 2 values claims to hold {used}"
                );
                let empty = producer.is_empty();
                let room = if empty { 2 } else { 2 - used };
                for _ in 0..room {
                    assert!(
                        producer.push(Letter::new(pushed + 1)).is_ok(),
                        "len or is_empty said that there is room for {room}, and push has found the ring full"
                    );
                    pushed += 1;
                }
                drop(producer);
                pushed
            });
            let mut popped = consume(&mut consumer, 1);
            let there = consumer.len();
            let there = if consumer.is_empty() {
                there
            } else {
                there.max(1)
            };
            assert!(
                there <= 2,
                "a ring with room for 2 values claims to hold {there}"
            );
            let more = consume(&mut consumer, there);
            assert_eq!(
                more.len(),
                there,
                "len or is_empty promised {there} values, and pop has found only these: {more:?}"
            );
            popped.extend(more);
            assert_all_arrived(thread.join().unwrap(), popped, &mut consumer);
        });
    }
}

#[test]
fn both_ends_may_go_at_once() {
    for (before, left) in [(0, 1), (1, 0), (1, 1)] {
        exhaustive(move || {
            let drops = Drops::new();
            let letter = move |number| (Letter::new(number), drops.token(number));
            let (mut producer, mut consumer) = channel(2);
            for number in 0..before {
                assert!(producer.push(letter(number)).is_ok(), "there is room");
            }
            let thread = thread::spawn(move || {
                for number in 0..left {
                    assert!(producer.push(letter(10 + number)).is_ok(), "there is room");
                }
            });
            drop(consumer.pop());
            drop(consumer);
            thread.join().unwrap();
            drops.assert_each_dropped_once();
        });
    }
}

#[test]
fn the_last_end_clears_the_ring() {
    // Whoever comes last must have seen all that the other one did: the end of a letter counts as a write to it.
    exhaustive(|| {
        let drops = Drops::new();
        let letter = move |number| (Letter::new(number), drops.token(number));
        let (mut producer, mut consumer) = channel(2);
        assert!(
            producer.push(letter(1)).is_ok(),
            "the ring is empty, so there is room"
        );
        let thread = thread::spawn(move || drop(producer.push(letter(2))));
        drop(consumer.pop());
        drop(consumer);
        thread.join().unwrap();
        drops.assert_each_dropped_once();
    });
}

#[test]
fn the_model_sees_what_the_ends_do() {
    exhaustive(|| {
        let (mut producer, mut consumer) = channel(1);
        let me = thread::current();
        let before = steps(&me);
        assert_eq!(
            producer.push(7),
            Ok(()),
            "the ring is empty, so there is room"
        );
        let pushed = steps(&me);
        assert_eq!(consumer.pop(), Some(7), "the value just pushed is there");
        assert!(
            pushed > before && steps(&me) > pushed,
            "push and pop were called, and no operation on an atomic or a cell was seen: take them from `kata`, not from `std`. What \
             the model checker does not see it cannot judge"
        );
    });
}
