//! One thread, real atomics.
//!
//! Decides what a single thread can see of the ring: what goes in, what comes out and in which order, when it is full and
//! when empty, and what becomes of the values that stay.
//! Does not decide anything about two threads: a ring whose indices are plain numbers would pass.

use std::collections::VecDeque;
use std::panic::catch_unwind;

use kata::check::Drops;
use rstest::rstest;
use spsc_ring::{Consumer, Producer, channel, channel_starting_at};

/// Pushes the next number for as long as there is room, which ought to be `expected` times.
fn fill(producer: &mut Producer<usize>, next: &mut usize, expected: usize, when: &str) {
    for pushed in 0..expected {
        assert_eq!(
            producer.push(*next),
            Ok(()),
            "{when}: there must be room for {expected} values, and push calls the ring full after {pushed}"
        );
        *next += 1;
    }
    assert_eq!(
        producer.push(usize::MAX),
        Err(usize::MAX),
        "{when}: the ring holds as many values as it has room for; one more must be handed back, or it would take the \
         place of a value that nobody has read"
    );
}

#[rstest]
#[case::capacity_one(1)]
#[case::capacity_two(2)]
#[case::capacity_three(3)]
#[case::capacity_eight(8)]
fn a_new_ring_is_empty(#[case] capacity: usize) {
    let (producer, mut consumer) = channel::<usize>(capacity);
    assert_eq!(
        consumer.pop(),
        None,
        "nothing was pushed, yet pop found a value"
    );
    assert_eq!(
        (producer.len(), consumer.len()),
        (0, 0),
        "nothing was pushed"
    );
    assert!(
        producer.is_empty() && consumer.is_empty(),
        "nothing was pushed"
    );
    assert_eq!(
        (producer.capacity(), consumer.capacity()),
        (capacity, capacity),
        "both ends must name the capacity that was asked for, however many slots there are"
    );
}

#[test]
fn a_ring_without_room_is_refused() {
    drop(channel::<u8>(1));
    let panic = catch_unwind(|| drop(channel::<u8>(0))).expect_err(
        "a ring of capacity 0 was made: each push into it fails, and somebody retries forever",
    );
    let message = panic
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_default();
    assert!(
        message.contains("the capacity of a ring must be at least 1"),
        "capacity 0 panics with {message:?}: its user cannot tell what is wrong"
    );
}

#[rstest]
#[case::capacity_one(1)]
#[case::capacity_two(2)]
#[case::capacity_three(3)]
#[case::capacity_four(4)]
#[case::capacity_seven(7)]
#[case::capacity_eight(8)]
fn a_ring_takes_exactly_its_capacity(#[case] capacity: usize) {
    let (mut producer, mut consumer) = channel(capacity);
    let mut next = 0;
    fill(&mut producer, &mut next, capacity, "a new ring");
    fill(
        &mut producer,
        &mut next,
        0,
        "a full ring that has refused a value",
    );
    assert_eq!(
        (producer.len(), consumer.len()),
        (capacity, capacity),
        "the ring is full"
    );
    for expected in 0..capacity {
        assert_eq!(
            consumer.pop(),
            Some(expected),
            "{capacity} values were pushed and must come out in that order"
        );
    }
    assert_eq!(
        consumer.pop(),
        None,
        "all values were taken, yet pop found one more"
    );
}

#[rstest]
#[case::capacity_one(1)]
#[case::capacity_two(2)]
#[case::capacity_three(3)]
#[case::capacity_four(4)]
#[case::capacity_seven(7)]
#[case::capacity_eight(8)]
fn a_slot_is_free_once_its_value_was_popped(#[case] capacity: usize) {
    let (mut producer, mut consumer) = channel(capacity);
    let mut next = 0;
    fill(&mut producer, &mut next, capacity, "a new ring");
    for popped in 0..3 * capacity {
        assert_eq!(
            consumer.pop(),
            Some(popped),
            "values must come out in order, lap after lap"
        );
        fill(
            &mut producer,
            &mut next,
            1,
            "one value was taken out of a full ring",
        );
    }
}

#[rstest]
#[case::capacity_one(1)]
#[case::capacity_two(2)]
#[case::capacity_three(3)]
#[case::capacity_four(4)]
#[case::capacity_seven(7)]
#[case::capacity_eight(8)]
fn an_empty_ring_can_be_used_again(#[case] capacity: usize) {
    let (mut producer, mut consumer) = channel(capacity);
    for value in 0..3 * capacity {
        assert_eq!(
            producer.push(value),
            Ok(()),
            "the ring is empty, so there is room"
        );
        assert_eq!(
            consumer.pop(),
            Some(value),
            "the one value in the ring must come out"
        );
        assert_eq!(
            consumer.pop(),
            None,
            "the one value in the ring came out twice"
        );
    }
}

#[rstest]
#[case::capacity_one(1)]
#[case::capacity_three(3)]
#[case::capacity_four(4)]
fn len_counts_the_values_in_the_ring(#[case] capacity: usize) {
    let (mut producer, mut consumer) = channel(capacity);
    let check = |producer: &Producer<usize>, consumer: &Consumer<usize>, expected: usize| {
        assert_eq!(
            (producer.len(), consumer.len()),
            (expected, expected),
            "nobody else uses the ring, and there are {expected} values in it (producer's and consumer's answer)"
        );
        assert_eq!(
            (producer.is_empty(), consumer.is_empty()),
            (expected == 0, expected == 0),
            "nobody else uses the ring, and there are {expected} values in it (producer's and consumer's answer)"
        );
    };
    for _lap in 0..3 {
        for values in 0..capacity {
            check(&producer, &consumer, values);
            assert_eq!(producer.push(values), Ok(()), "there is room");
        }
        for values in (0..capacity).rev() {
            check(&producer, &consumer, values + 1);
            assert!(consumer.pop().is_some(), "there is a value left");
        }
        check(&producer, &consumer, 0);
    }
}

/// Two in and one out for a while, then one in and two out, next to a queue that is right.
fn use_for_some_laps(capacity: usize, start: usize) {
    let (mut producer, mut consumer) = channel_starting_at(capacity, start);
    let mut right = VecDeque::new();
    let context = format!(
        "a ring of capacity {capacity} through which {start} values have gone: a service that has run for long goes wrong \
         here"
    );
    for call in 0..100 {
        let (pushes, pops) = if call / 10 % 2 == 0 { (2, 1) } else { (1, 2) };
        for value in [2 * call, 2 * call + 1].into_iter().take(pushes) {
            let room = right.len() < capacity;
            assert_eq!(
                producer.push(value),
                if room { Ok(()) } else { Err(value) },
                "{context}. It holds {} values, and push is wrong about the room (right is right)",
                right.len()
            );
            if room {
                right.push_back(value);
            }
        }
        assert_eq!(
            (producer.len(), consumer.len()),
            (right.len(), right.len()),
            "{context}. len is wrong (producer's and consumer's answer)"
        );
        for _ in 0..pops {
            let expected = right.pop_front();
            assert_eq!(
                consumer.pop(),
                expected,
                "{context}. pop does not give the oldest value (right)"
            );
        }
    }
}

#[rstest]
#[case::capacity_one(1)]
#[case::capacity_two(2)]
#[case::capacity_three(3)]
#[case::capacity_four(4)]
#[case::capacity_seven(7)]
#[case::capacity_eight(8)]
fn numbers_that_wrap_around_change_nothing(#[case] capacity: usize) {
    for before in 0..20 {
        use_for_some_laps(capacity, usize::MAX - before);
    }
}

/// `popped` values have gone through when the ring is dropped with `left` values in it.
#[rstest]
#[case::a_new_ring(3, 0, 0)]
#[case::one_value(3, 0, 1)]
#[case::a_full_ring(3, 0, 3)]
#[case::all_were_popped(3, 5, 0)]
#[case::some_were_popped(3, 1, 1)]
#[case::around_the_end(3, 2, 2)]
#[case::a_full_ring_in_its_second_lap(3, 4, 3)]
#[case::a_single_slot(1, 2, 1)]
#[case::a_power_of_two(4, 6, 4)]
fn values_left_in_the_ring_are_dropped_once(
    #[case] capacity: usize,
    #[case] popped: usize,
    #[case] left: usize,
) {
    for (start, producer_first) in [
        (0, true),
        (0, false),
        (usize::MAX - 3, true),
        (usize::MAX - 3, false),
    ] {
        let drops = Drops::new();
        let (mut producer, mut consumer) = channel_starting_at(capacity, start);
        for value in 0..popped {
            assert!(
                producer.push(drops.token(value)).is_ok(),
                "the ring is empty, so there is room"
            );
            let token = consumer.pop().expect("the value just pushed is there");
            assert_eq!(*token, value, "the one value in the ring must come out");
        }
        for value in popped..popped + left {
            assert!(producer.push(drops.token(value)).is_ok(), "there is room");
        }
        if left == capacity {
            // Handed back, and dropped here.
            assert!(producer.push(drops.token(100)).is_err(), "the ring is full");
        }
        assert_eq!(
            drops.created() - drops.dropped(),
            left,
            "every value that is still alive must be in the ring, and no value in the ring may have been dropped"
        );
        if producer_first {
            drop(producer);
            drop(consumer);
        } else {
            drop(consumer);
            drop(producer);
        }
        drops.assert_each_dropped_once();
    }
}

#[test]
fn each_end_outlives_the_other() {
    let (mut producer, mut consumer) = channel(2);
    assert_eq!(producer.push("a".to_owned()), Ok(()));
    drop(producer);
    assert_eq!(
        consumer.pop().as_deref(),
        Some("a"),
        "the producer is gone, and with it a value that it had sent"
    );
    assert_eq!(consumer.pop(), None, "the ring is empty");

    let (mut producer, consumer) = channel(1);
    drop(consumer);
    assert_eq!(
        producer.push("a".to_owned()),
        Ok(()),
        "nobody will pop any more, but the ring has room"
    );
    assert_eq!(
        producer.push("b".to_owned()),
        Err("b".to_owned()),
        "the ring is full and stays so"
    );
}

#[test]
fn values_of_size_zero_are_counted() {
    let (mut producer, mut consumer) = channel(3);
    for _ in 0..3 {
        assert_eq!(producer.push(()), Ok(()), "there is room");
    }
    assert_eq!(
        producer.push(()),
        Err(()),
        "a full ring is full, however small its values"
    );
    for _ in 0..3 {
        assert_eq!(consumer.pop(), Some(()), "three were pushed");
    }
    assert_eq!(consumer.pop(), None, "three were popped");
}
