//! Random, reproducible schedules of more threads than the exhaustive checks can afford.
//!
//! Decides whether an update can be lost or a waiter left behind when five threads want a lock again and again.
//! Does not decide orderings: here every atomic access is sequentially consistent. Does not decide everything: it samples.

use kata::check::Randomized;
use kata::sync::Arc;
use kata::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use kata::thread;

use super::lock::{Lock, for_both};

const THREADS: usize = 5;
const UPDATES: usize = 3;

for_both! {
    lock_again_and_again: ticket_lock_loses_no_update, mcs_lock_loses_no_update;
    hundreds_wait: ticket_lock_lets_in_one_of_257, mcs_lock_lets_in_one_of_257;
    try_lock_again_and_again: ticket_try_lock_loses_no_update, mcs_try_lock_loses_no_update;
}

/// Adds one as slowly as it can be done: whoever else gets in meanwhile is overwritten.
fn add_one_slowly(value: &mut usize) {
    let before = *value;
    thread::yield_now();
    *value = before + 1;
}

fn lock_again_and_again<L: Lock<usize>>() {
    Randomized::new().no_leaks().run(|| {
        let lock = Arc::new(L::new(0));
        let threads = [(); THREADS].map(|()| {
            let lock = lock.clone();
            thread::spawn(move || {
                for _ in 0..UPDATES {
                    add_one_slowly(&mut lock.lock());
                }
            })
        });
        for thread in threads {
            thread.join().unwrap();
        }
        assert_eq!(
            *lock.lock(),
            THREADS * UPDATES,
            "two threads held the lock at once and one overwrote what the other had counted"
        );
    });
}

fn hundreds_wait<L: Lock<usize>>() {
    /// One has the lock, and 256 wait, which is nobody to a number of eight bits, and too many for a table of 256.
    const MANY: usize = 257;
    Randomized::new().schedules(1).steps(2_000_000).run(|| {
        let lock = Arc::new(L::new(0));
        let come = Arc::new(AtomicUsize::new(1));
        let guard = lock.lock();
        let waiters: Vec<_> = (1..MANY)
            .map(|_| {
                let (lock, come) = (lock.clone(), come.clone());
                thread::spawn(move || {
                    come.fetch_add(1, Relaxed);
                    add_one_slowly(&mut lock.lock());
                })
            })
            .collect();
        // Until all have come, and a while longer, so that they wait.
        while come.load(Relaxed) < MANY {
            thread::yield_now();
        }
        for _ in 0..MANY / 2 {
            thread::yield_now();
        }
        assert_eq!(*guard, 0, "of {MANY} threads that want in, two are");
        assert!(
            lock.try_lock().is_none(),
            "the lock is held, {MANY} threads want in, and try_lock takes it"
        );
        drop(guard);
        for waiter in waiters {
            waiter.join().unwrap();
        }
        assert_eq!(
            *lock.lock(),
            MANY - 1,
            "of {MANY} threads two held the lock at once and one overwrote what the other had counted"
        );
    });
}

fn try_lock_again_and_again<L: Lock<usize>>() {
    Randomized::new().no_leaks().run(|| {
        let lock = Arc::new(L::new(0));
        // One of them waits in the queue while the others come and go.
        let threads = [0, 1, 2, 3, 4].map(|thread| {
            let lock = lock.clone();
            thread::spawn(move || {
                let mut updates = 0;
                for _ in 0..UPDATES {
                    let guard = match thread {
                        0 => Some(lock.lock()),
                        _ => lock.try_lock(),
                    };
                    if let Some(mut guard) = guard {
                        add_one_slowly(&mut guard);
                        updates += 1;
                    }
                }
                updates
            })
        });
        let updates: usize = threads
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .sum();
        assert_eq!(
            *lock.lock(),
            updates,
            "two threads held the lock at once and one overwrote what the other had counted"
        );
    });
}
