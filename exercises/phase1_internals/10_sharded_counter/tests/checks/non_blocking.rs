//! One thread is stopped in the middle of a call for as long as it takes. The others must finish theirs.
//!
//! Decides that no call waits for another one, be it by a lock, a flag, or a turn. Each thread is stopped after each of
//! its steps in turn.
//! Does not decide how long a call takes, or whether a compare-exchange may have to be repeated: that is progress, too.

use kata::check::{Body, non_blocking, outpaced};
use kata::sync::Arc;
use sharded_counter::Counter;

#[test]
fn nobody_waits_for_a_thread_that_is_stopped() {
    non_blocking(|| {
        let counter = Arc::new(Counter::with_shards(1));
        // Whatever is set up once for all threads may be set up under a lock.
        counter.add(1);
        let call = |call: fn(&Counter)| {
            let counter = counter.clone();
            let body: Body = Box::new(move || {
                call(&counter);
                call(&counter);
            });
            body
        };
        vec![
            call(|counter| counter.add(1)),
            call(|counter| counter.add(2)),
            call(|counter| {
                counter.sum();
            }),
            call(|counter| {
                counter.reset_sum();
            }),
        ]
    });
}

/// Calls `slow` while another thread adds 300 times to the same shards, some of that between any two steps of the call.
fn beside_a_fast_thread(shards: usize, most: usize, slow: fn(&Counter)) {
    outpaced(most, move || {
        let counter = Arc::new(Counter::with_shards(shards));
        counter.add(1);
        let busy = counter.clone();
        [
            Box::new(move || slow(&counter)) as Body,
            Box::new(move || (0..300).for_each(|_| busy.add(1))),
        ]
    });
}

#[test]
fn a_sum_is_done_however_busy_the_others_are() {
    /// Two shards, and more than enough for the rest. Whoever looks until nothing changes looks on and on.
    const MOST: usize = 40;
    beside_a_fast_thread(2, MOST, |counter| {
        counter.sum();
    });
}

#[test]
fn nothing_is_given_up_however_busy_the_others_are() {
    /// More than the fast thread adds in all.
    const MUCH: u64 = 1 << 40;
    beside_a_fast_thread(1, usize::MAX, |counter| {
        counter.add(MUCH);
        assert!(
            counter.sum() >= MUCH,
            "an addition was given up: it had lost the race for its word too often"
        );
        assert!(
            counter.reset_sum() >= MUCH,
            "a reset was given up: it had lost the race for a word too often, and the report is short"
        );
    });
}
