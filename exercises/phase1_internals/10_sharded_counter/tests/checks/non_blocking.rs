//! One thread is stopped in the middle of a call for as long as it takes. The others must finish theirs.
//!
//! Decides that no call waits for another one, be it by a lock, a flag, or a turn. Each thread is stopped after each of
//! its steps in turn.
//! Does not decide how long a call takes, or whether a compare-exchange may have to be repeated: that is progress, too.

use kata::check::{Body, non_blocking};
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
