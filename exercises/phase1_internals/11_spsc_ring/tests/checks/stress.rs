//! Two real threads, at full speed.
//!
//! Decides whether values are lost, doubled, reordered or torn here, with millions of encounters that no model can
//! afford, and whether each one is dropped once.
//! Does not decide orderings: x86 forgives every one of them. Does not prove anything: it samples.

use std::sync::Mutex;

use kata::check::{Drops, Stress, Token, assert_conserved};
use spsc_ring::{Consumer, Producer, channel, channel_starting_at};

/// An end for each of the two threads to take away.
struct Ends<T> {
    producer: Mutex<Option<Producer<T>>>,
    consumer: Mutex<Option<Consumer<T>>>,
}

impl<T> Ends<T> {
    fn new((producer, consumer): (Producer<T>, Consumer<T>)) -> Self {
        Self {
            producer: Mutex::new(Some(producer)),
            consumer: Mutex::new(Some(consumer)),
        }
    }

    fn producer(&self) -> Producer<T> {
        self.producer
            .lock()
            .unwrap()
            .take()
            .expect("one thread is the producer")
    }

    fn consumer(&self) -> Consumer<T> {
        self.consumer
            .lock()
            .unwrap()
            .take()
            .expect("one thread is the consumer")
    }
}

/// Wide enough that one half can be read before the other is written.
type Wide = [usize; 16];

/// What one of the two threads did.
struct Done {
    pushed: usize,
    popped: Vec<Wide>,
    consumer: Option<Consumer<Wide>>,
}

const ROUNDS: usize = 300;
/// Calls of each thread in each round, failed ones included: whoever always finds the ring full or empty ends as well.
const CALLS: usize = 2_000;

#[test]
fn values_arrive_whole_once_and_in_order() {
    const CAPACITIES: [usize; 5] = [1, 2, 3, 8, 100];
    Stress::new(2).rounds(ROUNDS).run(
        |round| {
            let start = usize::MAX - 50 * (round % 3);
            Ends::new(channel_starting_at(
                CAPACITIES[round % CAPACITIES.len()],
                start,
            ))
        },
        |thread, ends| {
            let mut done = Done {
                pushed: 0,
                popped: Vec::with_capacity(CALLS),
                consumer: None,
            };
            if thread == 0 {
                let mut producer = ends.producer();
                for call in 0..CALLS {
                    match producer.push([done.pushed; 16]) {
                        Ok(()) => done.pushed += 1,
                        // On a machine with one core the consumer needs ours.
                        Err(_) if call % 64 == 0 => std::thread::yield_now(),
                        Err(_) => std::hint::spin_loop(),
                    }
                }
            } else {
                let mut consumer = ends.consumer();
                for call in 0..CALLS {
                    match consumer.pop() {
                        Some(value) => done.popped.push(value),
                        None if call % 64 == 0 => std::thread::yield_now(),
                        None => std::hint::spin_loop(),
                    }
                }
                done.consumer = Some(consumer);
            }
            done
        },
        |_ends, done| {
            let [producer, mut consumer] = done.try_into().ok().expect("two threads");
            consumer
                .popped
                .extend(std::iter::from_fn(|| consumer.consumer.as_mut()?.pop()));
            for value in &consumer.popped {
                assert!(
                    value.iter().all(|part| *part == value[0]),
                    "a value came out half written: {value:?}"
                );
            }
            let numbers: Vec<usize> = consumer.popped.iter().map(|value| value[0]).collect();
            assert_conserved(0..producer.pushed, numbers.iter().copied());
            assert!(
                numbers.is_sorted(),
                "values came out in another order than they went in: {numbers:?}"
            );
        },
    );
}

/// What the two threads share when the drops are counted.
type Counted = (Drops, Mutex<Vec<Token<usize>>>, Ends<Token<usize>>);

#[test]
fn each_value_is_dropped_once_whoever_is_last() {
    const ROUNDS: usize = 500;
    const PUSHES: usize = 20;
    /// Fewer than most of the rings hold, so that values are left when the ends go.
    const POPS: usize = 4;
    Stress::new(2).rounds(ROUNDS).run(
        |round| {
            let drops = Drops::new();
            let tokens: Vec<_> = (0..PUSHES).map(|value| drops.token(value)).collect();
            (
                drops,
                Mutex::new(tokens),
                Ends::new(channel(1 + round % 16)),
            )
        },
        |thread, (_drops, tokens, ends): &Counted| {
            // Both ends are dropped in here, at about the same time.
            if thread == 0 {
                let mut producer = ends.producer();
                for token in tokens.lock().unwrap().drain(..) {
                    drop(producer.push(token));
                }
            } else {
                let mut consumer = ends.consumer();
                for _ in 0..POPS {
                    drop(consumer.pop());
                }
            }
        },
        |(drops, _tokens, _ends), _done| drops.assert_each_dropped_once(),
    );
}
