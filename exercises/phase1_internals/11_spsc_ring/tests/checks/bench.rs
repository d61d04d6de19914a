//! What a push and a pop cost, counted and not timed.
//!
//! Decides how often they go to the allocator and, in the shuttle world, how many operations on atomics and cells they
//! perform: numbers that are the same on every machine.
//! Does not decide how many nanoseconds a push takes, or whether the two indices share a cache line.

#[cfg(not(feature = "shuttle"))]
mod allocations {
    use kata::check::{Counting, allocations_in};
    use spsc_ring::channel;

    #[global_allocator]
    static ALLOCATOR: Counting = Counting;

    #[test]
    fn push_and_pop_allocate_nothing() {
        let (mut producer, mut consumer) = channel(5);
        let ((), count) = allocations_in(|| {
            for value in 0..140_000_usize {
                // Up to full, and down to empty.
                let full = value / 6 % 2 == 0;
                if full {
                    let _ = producer.push(value);
                } else {
                    let _ = consumer.pop();
                }
                assert!(producer.len() <= 5 && producer.is_empty() == consumer.is_empty());
            }
        });
        assert_eq!(
            (count.allocations, count.frees),
            (0, 0),
            "140,000 calls of push and pop, of len and is_empty, went to the allocator (allocations, frees). It may take a lock: a thread that \
             must not wait, as one that plays sound, cannot use this ring"
        );
    }

    #[test]
    fn a_ring_gives_back_its_memory() {
        let use_and_drop = |capacity, left, producer_first| {
            let (mut producer, mut consumer) = channel(capacity);
            for value in 0..left {
                assert_eq!(producer.push(Box::new(value)), Ok(()), "there is room");
            }
            if left == capacity {
                assert!(producer.push(Box::new(9)).is_err(), "the ring is full");
                assert_eq!(consumer.pop(), Some(Box::new(0)), "the oldest value");
            }
            if producer_first {
                drop(producer);
                drop(consumer);
            } else {
                drop(consumer);
                drop(producer);
            }
        };
        let ((), count) = allocations_in(|| {
            for capacity in [1, 2, 5, 8] {
                for left in 0..=capacity {
                    use_and_drop(capacity, left, true);
                    use_and_drop(capacity, left, false);
                }
            }
        });
        assert_eq!(
            count.live_bytes, 0,
            "rings were made, used and dropped, and that many bytes are still allocated: a server that makes one for \
             each connection runs out of memory"
        );
    }
}

#[cfg(feature = "shuttle")]
mod operations {
    use kata::check::Randomized;
    use spsc_ring::channel;

    const CAPACITY: usize = 16;
    const CALLS: usize = 200;
    /// For each call. An index of its own, the other one's, the slot and a store make four. More are fine; a look at
    /// every slot, or a second and a third look at an index, are not.
    const MOST: usize = 12;
    /// What it takes to make the ring, to put something in and to drop it.
    const AROUND: usize = 20 * CAPACITY;

    /// Runs `use_the_ring` with a limit to its operations, and says `otherwise` if they do not suffice.
    fn in_few_operations(otherwise: &str, use_the_ring: impl Fn() + Send + Sync + 'static) {
        let limit = CALLS * MOST + AROUND;
        match Randomized::new()
            .schedules(1)
            .steps(limit)
            .explore(use_the_ring)
        {
            Ok(()) => {}
            Err(report) if report.headline.starts_with("inconclusive") => panic!(
                "{CALLS} calls took more than {limit} operations on atomics and cells, where {MOST} for each call are \
                 plenty: {otherwise}"
            ),
            Err(report) => panic!("{}", report.text),
        }
    }

    #[test]
    fn push_and_pop_take_few_operations() {
        in_few_operations(
            "push and pop get slower as the ring gets larger, or look more often than they need to",
            || {
                let (mut producer, mut consumer) = channel(CAPACITY);
                for value in 0..CAPACITY / 2 {
                    assert_eq!(producer.push(value), Ok(()), "there is room");
                }
                for value in 0..CALLS / 2 {
                    assert_eq!(producer.push(value), Ok(()), "there is room");
                    assert!(consumer.pop().is_some(), "there are values");
                }
            },
        );
    }

    #[test]
    fn a_full_ring_refuses_in_few_operations() {
        in_few_operations(
            "push waits for room before it says that there is none: its caller did not ask for it",
            || {
                let (mut producer, _consumer) = channel(CAPACITY);
                for value in 0..CAPACITY {
                    assert_eq!(producer.push(value), Ok(()), "there is room");
                }
                for value in 0..CALLS {
                    assert_eq!(producer.push(value), Err(value), "the ring is full");
                }
            },
        );
    }

    #[test]
    fn an_empty_ring_answers_in_few_operations() {
        in_few_operations(
            "pop waits for a value before it says that there is none: its caller did not ask for it",
            || {
                let (_producer, mut consumer) = channel::<usize>(CAPACITY);
                for _ in 0..CALLS {
                    assert_eq!(consumer.pop(), None, "the ring is empty");
                }
            },
        );
    }
}
