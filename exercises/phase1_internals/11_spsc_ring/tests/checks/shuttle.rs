//! Random, reproducible schedules of more values than the exhaustive checks can afford.
//!
//! Decides whether the ring comes to a halt, or loses or reorders a value, over several laps of a few small capacities.
//! Does not decide orderings: here every atomic access is sequentially consistent. Does not decide everything: it samples.

use kata::check::Randomized;
use kata::thread;
use spsc_ring::channel_starting_at;

const VALUES: usize = 9;

/// Each end tries until it has succeeded `VALUES` times.
fn all_values_arrive(capacity: usize) {
    Randomized::new().schedules(300).run(move || {
        let (mut producer, mut consumer) = channel_starting_at(capacity, usize::MAX - VALUES / 2);
        let thread = thread::spawn(move || {
            for value in 0..VALUES {
                let mut rest = producer.push(value);
                while let Err(value) = rest {
                    thread::yield_now();
                    rest = producer.push(value);
                }
            }
        });
        for expected in 0..VALUES {
            let value = loop {
                match consumer.pop() {
                    Some(value) => break value,
                    None => thread::yield_now(),
                }
            };
            assert_eq!(
                value, expected,
                "values must come out in the order in which they went in, each once"
            );
        }
        thread.join().unwrap();
        assert_eq!(
            consumer.pop(),
            None,
            "all values were taken, yet pop found one more"
        );
    });
}

#[test]
fn all_values_arrive_through_one_slot() {
    all_values_arrive(1);
}

#[test]
fn all_values_arrive_through_two_slots() {
    all_values_arrive(2);
}

#[test]
fn all_values_arrive_through_three_slots() {
    all_values_arrive(3);
}
