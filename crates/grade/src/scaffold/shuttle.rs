//! Random, reproducible schedules of more threads than the exhaustive checks can afford.
//!
//! Decides whether every thread gets to know. Does not decide orderings: here every atomic access is sequentially consistent.
//! Does not decide everything: it samples.

use NAME::TYPE;
use kata::check::randomized;
use kata::sync::Arc;
use kata::thread;

const THREADS: usize = 4;

#[test]
fn everybody_gets_to_know() {
    randomized(|| {
        let flag = Arc::new(TYPE::new());
        let waiters: Vec<_> = (0..THREADS)
            .map(|_| {
                let flag = flag.clone();
                thread::spawn(move || {
                    while !flag.is_finished() {
                        thread::yield_now();
                    }
                })
            })
            .collect();
        flag.finish();
        for waiter in waiters {
            waiter.join().unwrap();
        }
    });
}
