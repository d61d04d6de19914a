//! One thread, and where things lie in memory.
//!
//! Decides what a single thread can see of the counter, and whether two shards can ever be in one cache line: a matter of
//! addresses, which are the same whoever uses them.
//! Does not decide which shard a thread adds to, or anything about two threads at the same time.

use std::panic::catch_unwind;
use std::thread;

use kata::check::mesi::{Mesi, line_of};
use kata::check::{Drops, Foreign, allocations_in};
use rstest::rstest;
use sharded_counter::{CachePadded, Counter};

/// Two lines of 64 bytes, which x86 fetches together, or one of 128.
const APART: usize = 128;

#[test]
fn a_new_counter_is_at_zero() {
    assert_eq!(
        Counter::with_shards(3).sum(),
        0,
        "nothing has been added yet"
    );
}

#[rstest]
#[case::one_shard(1)]
#[case::two_shards(2)]
#[case::many_shards(64)]
fn sum_is_what_was_added(#[case] shards: usize) {
    let counter = Counter::with_shards(shards);
    for amount in 1..=100 {
        counter.add(amount);
    }
    assert_eq!(counter.sum(), 5_050, "nobody else is adding: exact");
    assert_eq!(
        counter.sum(),
        5_050,
        "asking for the sum has changed it: whoever looks at a metric spoils it for others"
    );
}

#[test]
fn reset_takes_everything_once() {
    let counter = Counter::with_shards(4);
    // From several threads, so that there is something in more than one shard.
    for amount in 1..=6 {
        thread::scope(|scope| scope.spawn(|| counter.add(amount)).join().unwrap());
    }
    assert_eq!(counter.reset_sum(), 21, "everything that was added");
    assert_eq!(
        counter.sum(),
        0,
        "it was taken out and is still in: it will be reported twice"
    );
    assert_eq!(counter.reset_sum(), 0, "it was taken out twice");
    counter.add(7);
    assert_eq!(
        counter.reset_sum(),
        7,
        "a counter must count on after it was reset"
    );
}

#[test]
fn counters_stand_for_themselves() {
    let (small, large) = (Counter::with_shards(1), Counter::with_shards(8));
    // Threads of all numbers meet counters of different sizes, the large one first.
    for _ in 0..20 {
        thread::scope(|scope| {
            let adding = scope.spawn(|| {
                large.add(1);
                small.add(100);
            });
            assert!(
                adding.join().is_ok(),
                "a thread that had used a counter of 8 shards panicked in one of 1: what a thread remembers does not \
                 fit every counter"
            );
        });
    }
    assert_eq!(
        (large.sum(), small.sum()),
        (20, 2_000),
        "what was added to one counter was counted by another"
    );
}

#[test]
fn numbers_wrap_around() {
    let counter = Counter::with_shards(64);
    counter.add(5);
    // Four threads that came one after the other: not all in one shard of 64.
    for _ in 0..4 {
        thread::scope(|scope| scope.spawn(|| counter.add(1 << 63)).join().unwrap());
    }
    let outcome = catch_unwind(|| (counter.sum(), counter.reset_sum(), counter.sum()));
    assert_eq!(
        outcome.ok(),
        Some((5, 5, 0)),
        "counts modulo 2^64: a metric must not bring down the program that it watches"
    );
}

#[test]
fn no_shards_are_refused() {
    Counter::with_shards(1).add(1);
    let Err(panic) = catch_unwind(|| Counter::with_shards(0).sum()) else {
        panic!("a counter without shards has nowhere to count, and yet it was made");
    };
    let message = panic
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned());
    assert!(
        message
            .as_deref()
            .is_some_and(|text| text.contains("a counter needs at least one shard")),
        "who computed 0 shards by mistake is to read what went wrong, and reads {message:?}"
    );
}

#[test]
fn a_padded_value_is_the_value() {
    let mut padded = CachePadded::new(String::from("fork"));
    padded.push_str(" and join");
    assert_eq!(&*padded, "fork and join", "deref shows another value");
    assert_eq!(
        padded.into_inner(),
        "fork and join",
        "into_inner gives another value"
    );
}

#[test]
fn a_padded_value_is_dropped_once() {
    let drops = Drops::new();
    drop(CachePadded::new(drops.token("dropped in its padding")));
    drop(CachePadded::new(drops.token("taken out first")).into_inner());
    drops.assert_each_dropped_once();
}

fn address<T>(value: &T) -> usize {
    std::ptr::from_ref(value).addr()
}

#[test]
fn padded_values_share_no_line_with_their_neighbours() {
    struct Between {
        before: u8,
        padded: CachePadded<u8>,
        after: u8,
    }
    let row = Box::new([CachePadded::new(1_u8); 5]);
    for pair in row.windows(2) {
        let distance = address(&*pair[1]) - address(&*pair[0]);
        assert!(
            distance >= APART,
            "two padded bytes of an array lie {distance} bytes apart and not {APART}: two threads that write to them \
             take one line from each other, without sharing anything"
        );
    }
    let between = Box::new(Between {
        before: 1,
        padded: CachePadded::new(2),
        after: 3,
    });
    let padded = address(&between.padded);
    assert!(
        padded.is_multiple_of(APART),
        "a padded byte lies at {padded:#x}, in the middle of a line: whatever lies in front of it disturbs it"
    );
    for (name, other) in [
        ("in front of", address(&between.before)),
        ("behind", address(&between.after)),
    ] {
        assert_ne!(
            other / APART,
            address(&*between.padded) / APART,
            "the field {name} a padded byte is in the same line: whoever writes to it disturbs the padded one"
        );
    }
    let large = Box::new([CachePadded::new([0_u8; 129]); 2]);
    assert!(
        address(&large[1]).is_multiple_of(APART),
        "a padded value that is larger than a line shares its last line with the next one"
    );
}

#[rstest]
#[case(1)]
#[case(2)]
#[case(3)]
#[case(8)]
#[case(17)]
#[case(1_100)]
fn shards_share_no_line(#[case] shards: usize) {
    let counter = Counter::with_shards(shards);
    let mut addresses = counter.shard_addresses();
    assert_eq!(
        addresses.len(),
        shards,
        "a counter of {shards} shards must name one address for each"
    );

    // What it would cost, if a thread for each shard added a hundred times.
    let mut caches = Mesi::new();
    for _ in 0..100 {
        for (thread, &address) in addresses.iter().enumerate() {
            caches.write(thread, line_of(address));
        }
    }
    let taken = caches.total().invalidations;
    assert_eq!(
        taken,
        0,
        "{shards} threads, each with a shard of its own, take cache lines from each other {taken} times in {} \
         additions: the shards lie in the same lines, and the counter is slower than a single word",
        100 * shards
    );

    addresses.sort_unstable();
    for pair in addresses.windows(2) {
        let distance = pair[1] - pair[0];
        assert!(
            distance >= APART,
            "two shards lie {distance} bytes apart: not in the same line, but in a pair of lines that x86 fetches \
             together, and on some ARM cores it is the same line"
        );
    }
}

#[test]
fn a_counter_that_is_gone_leaves_no_shards_behind() {
    const COUNTERS: usize = 1_000;
    const SHARDS: usize = 8;
    /// For what a thread may remember of a counter: a few words. The shards of one are a thousand bytes.
    const EACH: isize = 128;
    let make = || {
        let counter = Counter::with_shards(SHARDS);
        counter.add(1);
        assert_eq!(counter.reset_sum(), 1);
    };
    make();
    let ((), count) = allocations_in(|| (0..COUNTERS).for_each(|_| make()));
    assert!(
        count.live_bytes <= EACH * COUNTERS.cast_signed(),
        "{COUNTERS} counters have come and gone, and {} bytes were not given back: a server that makes one for each \
         connection runs out of memory",
        count.live_bytes
    );
}

#[test]
fn counting_does_not_allocate() {
    let counter = Counter::with_shards(8);
    counter.add(1); // What a thread sets up once does not count.
    let ((), count) = allocations_in(|| {
        for _ in 0..1_000 {
            counter.add(1);
            counter.sum();
            counter.reset_sum();
        }
    });
    assert_eq!(
        count.allocations, 0,
        "1,000 additions, sums and resets went to the allocator: it has locks of its own, and takes longer than all the rest"
    );
}

#[test]
fn counts_go_past_any_small_number() {
    let counter = Counter::with_shards(2);
    for _ in 0..70_000 {
        counter.add(1);
    }
    counter.add(u64::from(u32::MAX));
    assert_eq!(
        counter.sum(),
        70_000 + u64::from(u32::MAX),
        "a count is a number of 64 bits, also in a shard"
    );
}

#[test]
fn threads_may_come_and_go_without_end() {
    // More than fit into a byte, or into a table of a thousand, each for a moment.
    let counter = Counter::with_shards(5);
    for _ in 0..1_100 {
        thread::scope(|scope| {
            scope.spawn(|| counter.add(1));
        });
    }
    assert_eq!(counter.sum(), 1_100, "1,100 threads have counted once each");
}

#[test]
fn a_destructor_counts_while_a_panic_unwinds() {
    struct CountsAsItEnds<'a>(&'a Counter);
    impl Drop for CountsAsItEnds<'_> {
        fn drop(&mut self) {
            self.0.add(1);
        }
    }
    let counter = Counter::with_shards(2);
    let outcome = Foreign::survive(|| {
        let _counts = CountsAsItEnds(&counter);
        Foreign::panics_once(1).call();
    });
    assert_eq!(
        (outcome, counter.reset_sum()),
        (None, 1),
        "a request ended in a panic, and its destructor has counted it: failures are what a metric is for"
    );
}

#[test]
fn a_counter_may_be_moved() {
    let mut counters = [Counter::with_shards(2), Counter::with_shards(3)];
    counters[0].add(1);
    counters[1].add(10);
    counters.swap(0, 1);
    counters[0].add(10);
    counters[1].add(1);
    assert_eq!(
        counters.each_ref().map(Counter::sum),
        [20, 2],
        "two counters have changed places, and with them what they hold"
    );
}
