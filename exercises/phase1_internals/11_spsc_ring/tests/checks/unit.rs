//! One thread, real atomics.
//!
//! Decides what a single thread can see of the ring: what goes in, what comes out and in which order, when it is full and
//! when empty, and what becomes of the values that stay.
//! Does not decide anything about two threads: a ring whose indices are plain numbers would pass.

use std::any::Any;
use std::cell::Cell;
use std::collections::VecDeque;
use std::panic::catch_unwind;

use kata::check::{Drops, Foreign, Token, allocations_in};
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
    // Where a number of fewer bits, or one with a sign, would wrap around.
    for bits in [7, 8, 15, 16, 24, 31, 32, 48, usize::BITS - 1] {
        for before in 0..8 {
            use_for_some_laps(capacity, (1_usize << bits) - before);
        }
    }
}

fn assert_all_alive(drops: &Drops, left: usize) {
    assert_eq!(
        drops.created() - drops.dropped(),
        left,
        "one end is gone and the other one is not: the values in the ring live on until both are"
    );
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
            assert_all_alive(&drops, left);
            drop(consumer);
        } else {
            drop(consumer);
            assert_all_alive(&drops, left);
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

/// More values than a number of 16 bits counts, through rings in which such a number comes to lie in another slot when it
/// wraps around.
#[rstest]
#[case::capacity_three(3)]
#[case::capacity_five(5)]
#[case::capacity_eight(8)]
#[case::capacity_one_hundred(100)]
fn the_hundred_thousandth_value_comes_out_as_the_first(#[case] capacity: usize) {
    const VALUES: usize = 100_000;
    let (mut producer, mut consumer) = channel(capacity);
    let (mut pushed, mut popped) = (0, 0);
    while popped < VALUES {
        while pushed - popped <= capacity && producer.push(pushed).is_ok() {
            pushed += 1;
        }
        assert_eq!(
            (pushed - popped, producer.len(), consumer.len()),
            (capacity, capacity, capacity),
            "the ring has refused value {pushed}, and {popped} were taken out: it holds so many, by the count of the check, of the \
             producer and of the consumer"
        );
        for _ in 0..capacity.div_ceil(2) {
            assert_eq!(
                consumer.pop(),
                Some(popped),
                "values must come out in order, lap after lap"
            );
            popped += 1;
        }
    }
}

#[test]
fn a_large_ring_holds_as_many_as_it_says() {
    const CAPACITY: usize = 100_000;
    let (mut producer, mut consumer) = channel(CAPACITY);
    let mut next = 0;
    fill(&mut producer, &mut next, CAPACITY, "a new ring");
    assert_eq!(
        (producer.len(), consumer.len(), consumer.capacity()),
        (CAPACITY, CAPACITY, CAPACITY),
        "the ring is full"
    );
    for expected in 0..CAPACITY {
        assert_eq!(
            consumer.pop(),
            Some(expected),
            "{CAPACITY} values were pushed and must come out in that order"
        );
    }
    assert!(
        producer.is_empty() && consumer.is_empty(),
        "all values were taken"
    );
}

#[test]
fn a_value_that_panics_in_its_drop_is_dropped_once() {
    for producer_first in [true, false] {
        let trouble = Foreign::panics_once(1);
        let (alive, heap) = allocations_in(|| {
            let (mut producer, mut consumer) = channel(4);
            for value in 0..4 {
                assert!(
                    producer.push(trouble.in_drop(value)).is_ok(),
                    "there is room"
                );
            }
            let popped = consumer.pop();
            let dropped = Foreign::survive(|| {
                if producer_first {
                    drop(producer);
                    drop(consumer);
                } else {
                    drop(consumer);
                    drop(producer);
                }
            });
            assert!(
                dropped.is_none(),
                "a value in the ring panics in its drop, and whoever drops the last end gets the panic"
            );
            popped
        });
        assert!(
            trouble.calls() <= 3,
            "three values were in the ring when its ends went, and one panicked in its drop: {} drops",
            trouble.calls()
        );
        assert_eq!(
            heap.live_bytes, 0,
            "a value in the ring has panicked in its drop, and the memory of the ring was not given back"
        );
        let first = alive.expect("four values were pushed");
        assert_eq!(
            *first, 0,
            "the value that was popped in time is its owner's"
        );
    }
}

thread_local! {
    /// How many values of `Layout` were dropped, and how many of those where no value of that type may lie.
    static LAID_OUT: Cell<(usize, usize)> = const { Cell::new((0, 0)) };
}

/// A value of a size and an alignment.
#[derive(Clone, Debug, PartialEq)]
struct Laid<T>(T);

impl<T> Drop for Laid<T> {
    fn drop(&mut self) {
        let place = std::hint::black_box(std::ptr::from_ref(self)).addr();
        let misplaced = !place.is_multiple_of(align_of::<T>());
        let (dropped, wrong) = LAID_OUT.get();
        LAID_OUT.set((dropped + 1, wrong + usize::from(misplaced)));
    }
}

fn keeps<T: Clone + PartialEq + std::fmt::Debug>(value: T) {
    LAID_OUT.set((0, 0));
    // Several at once, so that none has a good address by chance only.
    let mut rings: Vec<_> = [1, 2, 3, 5, 8]
        .map(|capacity| (capacity, channel(capacity)))
        .into();
    let mut made = 0;
    for (capacity, (producer, consumer)) in &mut rings {
        for _ in 0..*capacity + 1 {
            assert!(producer.push(Laid(value.clone())).is_ok(), "there is room");
            let popped = consumer.pop();
            assert!(
                popped.is_some_and(|popped| popped.0 == value),
                "the one value in the ring must come out, all of it"
            );
        }
        for _ in 0..*capacity {
            assert!(producer.push(Laid(value.clone())).is_ok(), "there is room");
        }
        assert!(
            producer.push(Laid(value.clone())).is_err(),
            "a full ring is full, whatever the size of its values"
        );
        made += 2 * *capacity + 2;
    }
    drop(rings);
    let (dropped, misplaced) = LAID_OUT.get();
    assert_eq!(
        dropped,
        made,
        "{made} values of {} bytes were made, and so many were dropped: each must be, once",
        size_of::<T>()
    );
    assert_eq!(
        misplaced,
        0,
        "values of type {} lay in the ring at addresses that are no multiple of {}: whoever uses one there has undefined \
         behaviour",
        std::any::type_name::<T>(),
        align_of::<T>()
    );
}

#[test]
fn values_of_any_size_and_alignment_are_kept() {
    #[derive(Clone, Debug, PartialEq)]
    #[repr(align(64))]
    struct Line(u8);
    #[derive(Clone, Debug, PartialEq)]
    #[repr(align(256))]
    struct Aligned([u64; 500]);
    #[derive(Clone, Debug, PartialEq)]
    #[repr(align(4096))]
    struct Page(u8);
    #[derive(Clone, Debug, PartialEq)]
    #[repr(align(128))]
    struct Nothing;

    keeps(());
    keeps(Nothing);
    keeps(7_u8);
    keeps(None::<usize>);
    keeps(0_usize);
    keeps([1_u16, 2, 3]);
    keeps("text".to_owned());
    keeps([7_u128; 3]);
    keeps(Line(7));
    keeps(Aligned([7; 500]));
    keeps(Page(7));
    keeps([7_u8; 20_001]);
}

#[test]
fn every_capacity_is_exact() {
    for capacity in 1..=260 {
        let (mut producer, mut consumer) = channel(capacity);
        let mut next = 0;
        fill(&mut producer, &mut next, capacity, "a new ring");
        for expected in 0..capacity {
            assert_eq!(
                consumer.pop(),
                Some(expected),
                "a ring of capacity {capacity}: values must come out in order"
            );
        }
        fill(
            &mut producer,
            &mut next,
            capacity,
            "an empty ring in its second lap",
        );
    }
}

#[test]
fn the_thousandth_refusal_is_as_the_first() {
    const CALLS: usize = 70_000;
    let (mut producer, mut consumer) = channel(3);
    let mut next = 0;
    for round in 0..3 {
        fill(&mut producer, &mut next, 3, "an empty ring");
        for call in 0..CALLS {
            assert_eq!(
                (producer.push(usize::MAX), producer.len(), consumer.len()),
                (Err(usize::MAX), 3, 3),
                "the ring is full, and call {call} of push (or len, of either end) is not told so"
            );
        }
        for value in 0..3 {
            assert_eq!(
                consumer.pop(),
                Some(3 * round + value),
                "the ring has refused {CALLS} values since: those in it are still there, in order"
            );
        }
        for call in 0..CALLS {
            assert_eq!(
                (consumer.pop(), producer.is_empty(), consumer.is_empty()),
                (None, true, true),
                "the ring is empty, and call {call} of pop (or is_empty, of either end) is not told so"
            );
        }
    }
}

#[test]
fn more_than_a_thousand_rings_at_once_are_not_mixed_up() {
    const RINGS: usize = 1_100;
    let drops = Drops::new();
    let mut rings: Vec<_> = (0..RINGS).map(|ring| channel(1 + ring % 3)).collect();
    for (ring, (producer, _)) in rings.iter_mut().enumerate() {
        assert!(producer.push(drops.token(ring)).is_ok(), "there is room");
    }
    for (ring, (producer, consumer)) in rings.iter_mut().enumerate() {
        let full = ring % 3 == 0;
        assert_eq!(
            producer.push(drops.token(RINGS)).is_err(),
            full,
            "there are {RINGS} rings, and ring {ring} has room for {} values and holds one",
            1 + ring % 3
        );
        assert_eq!(
            consumer.pop().map(|token| *token),
            Some(ring),
            "there are {RINGS} rings, and each value comes out of the one that it was pushed into"
        );
    }
    drop(rings);
    drops.assert_each_dropped_once();
}

#[test]
fn values_may_be_ends_of_rings() {
    // The drop of a ring drops a value that is an end of another ring of the same type of values, and that one's too.
    type Inner = (Option<Box<dyn Any>>, Option<Token<usize>>);
    let drops = Drops::new();
    let mut tokens: Vec<_> = (0..8).map(|number| drops.token(number)).collect();
    let ((), heap) = allocations_in(|| {
        let mut inside: Option<Box<dyn Any>> = None;
        for _depth in 0..4 {
            let (mut producer, consumer) = channel::<Inner>(2);
            assert!(
                producer.push((inside.take(), tokens.pop())).is_ok(),
                "there is room"
            );
            assert!(producer.push((None, tokens.pop())).is_ok(), "there is room");
            inside = Some(Box::new((producer, consumer)));
        }
    });
    drops.assert_each_dropped_once();
    assert_eq!(
        heap.live_bytes, 0,
        "rings lay in rings, all are gone, and memory of theirs is kept"
    );
}

#[test]
fn an_end_that_is_dropped_in_a_panic_is_dropped_as_any_other() {
    for producer_first in [true, false] {
        let drops = Drops::new();
        let (mut producer, mut consumer) = channel(3);
        for value in 0..3 {
            assert!(producer.push(drops.token(value)).is_ok(), "there is room");
        }
        let panicked = |end: Box<dyn Any + Send>| {
            let thread = std::thread::spawn(move || {
                let _end = end;
                std::panic::resume_unwind(Box::new("the user's own"));
            });
            assert!(thread.join().is_err(), "the thread has panicked");
        };
        if producer_first {
            panicked(Box::new(producer));
            assert_eq!(
                consumer.pop().map(|token| *token),
                Some(0),
                "the producer's thread has panicked, and what it had sent is gone"
            );
            panicked(Box::new(consumer));
        } else {
            panicked(Box::new(consumer));
            assert!(producer.push(drops.token(3)).is_err(), "the ring is full");
            panicked(Box::new(producer));
        }
        drops.assert_each_dropped_once();
    }
}

#[test]
fn an_end_may_move_from_thread_to_thread() {
    let (mut producer, mut consumer) = channel(3);
    for round in 0..20 {
        for value in [2 * round, 2 * round + 1] {
            producer = std::thread::spawn(move || {
                assert_eq!(producer.push(value), Ok(()), "there is room");
                producer
            })
            .join()
            .unwrap();
        }
        for value in [2 * round, 2 * round + 1] {
            consumer = std::thread::spawn(move || {
                assert_eq!(
                    consumer.pop(),
                    Some(value),
                    "each call is made on a thread of its own, one after the other, and values come out in order all the same"
                );
                consumer
            })
            .join()
            .unwrap();
        }
    }
}

#[test]
fn two_rings_in_one_thread_are_not_mixed_up() {
    let ((mut left, mut from_left), (mut right, mut from_right)) = (channel(2), channel(2));
    assert_eq!(
        (left.push(1), right.push(2)),
        (Ok(()), Ok(())),
        "there is room"
    );
    assert_eq!(
        (left.push(3), left.push(4)),
        (Ok(()), Err(4)),
        "one ring is full"
    );
    assert_eq!(
        right.push(5),
        Ok(()),
        "one ring is full, and the other one is not"
    );
    assert_eq!(
        (
            from_right.pop(),
            from_left.pop(),
            from_right.pop(),
            from_left.pop()
        ),
        (Some(2), Some(1), Some(5), Some(3)),
        "each value comes out of the ring that it was pushed into"
    );
}
