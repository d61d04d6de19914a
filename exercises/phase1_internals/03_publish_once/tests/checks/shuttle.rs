//! Random, reproducible schedules of more threads than the exhaustive checks can afford, and with panics.
//!
//! Decides whether one `init` runs when four threads, or twenty, bring one, whether an `init` that panics leaves the others in
//! a state in which they can go on, and whether anybody waits forever, also for another cell.
//! Does not decide orderings: here every atomic access is sequentially consistent. Does not decide everything: it samples.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use kata::check::{Randomized, randomized};
use kata::sync::Arc;
use kata::thread;
use publish_once::OnceCell;

const THREADS: usize = 4;

/// Runs `body` on `THREADS` threads around one empty cell; returns the cell and what they return.
fn together<R: Send + 'static>(
    body: impl Fn(usize, &OnceCell<usize>) -> R + Clone + Send + 'static,
) -> (Arc<OnceCell<usize>>, Vec<R>) {
    let cell = Arc::new(OnceCell::new());
    let threads: Vec<_> = (0..THREADS)
        .map(|number| {
            let (cell, body) = (cell.clone(), body.clone());
            thread::spawn(move || body(number, &cell))
        })
        .collect();
    let results = threads.into_iter().map(|thread| thread.join().unwrap());
    let results = results.collect();
    (cell, results)
}

#[test]
fn one_init_runs_and_everybody_gets_its_value() {
    randomized(|| {
        // Of `std`, so that counting is no step of the schedule.
        let made = Arc::new(AtomicUsize::new(0));
        let counter = made.clone();
        let (cell, seen) = together(move |number, cell| {
            *cell.get_or_init(|| {
                counter.fetch_add(1, Relaxed);
                thread::yield_now();
                number
            })
        });
        assert_eq!(
            made.load(Relaxed),
            1,
            "that many threads have made a value for one cell: a connection is opened twice, a file created twice"
        );
        let value = cell.get().copied();
        assert!(
            seen.iter().all(|&seen| Some(seen) == value),
            "the cell holds {value:?}, and its callers got {seen:?}"
        );
    });
}

#[test]
fn an_init_that_panics_lets_the_next_one_try() {
    /// So many inits fail before one succeeds.
    const FAILURES: usize = 2;
    randomized(|| {
        let tried = Arc::new(AtomicUsize::new(0));
        let counter = tried.clone();
        let (cell, outcomes) = together(move |number, cell| {
            catch_unwind(AssertUnwindSafe(|| {
                *cell.get_or_init(|| {
                    thread::yield_now();
                    if counter.fetch_add(1, Relaxed) < FAILURES {
                        panic!("the initialiser's own trouble");
                    }
                    number
                })
            }))
            .map_err(|trouble| trouble.downcast_ref() == Some(&"the initialiser's own trouble"))
        });
        assert!(
            !outcomes.contains(&Err(false)),
            "a caller got another panic than the one of its own init: whoever asks a cell after somebody's init has \
             failed fails as well"
        );
        assert_eq!(
            tried.load(Relaxed),
            FAILURES + 1,
            "{FAILURES} inits panic and the next one does not; that many were tried"
        );
        let value = cell.get().copied();
        let got: Vec<_> = outcomes.into_iter().flatten().collect();
        assert_eq!(
            got,
            vec![value.expect("an init has succeeded"); THREADS - FAILURES],
            "the cell holds {value:?}, and the callers whose init did not panic got {got:?}"
        );
    });
}

#[test]
fn a_lone_caller_can_try_again_after_a_panic() {
    randomized(|| {
        let cell = OnceCell::new();
        let outcome = catch_unwind(AssertUnwindSafe(|| {
            cell.get_or_init(|| panic!("the initialiser's own trouble"));
        }));
        assert!(
            outcome.is_err(),
            "an init has panicked, and its caller does not learn of it"
        );
        assert_eq!(
            cell.get(),
            None,
            "the init has panicked, and there is a value"
        );
        assert_eq!(
            cell.set(7),
            Ok(()),
            "the only init has panicked: the cell is empty, and refuses a value"
        );
        assert_eq!(*cell.get_or_init(|| 8), 7, "the value was set before");
    });
}

#[test]
fn set_is_refused_by_a_value_and_not_by_an_attempt() {
    // An init that is running when `set` comes will not succeed. The cell never has another value than the one to be set.
    randomized(|| {
        let cell = Arc::new(OnceCell::new());
        let trying = {
            let cell = cell.clone();
            thread::spawn(move || {
                let outcome = catch_unwind(AssertUnwindSafe(|| {
                    *cell.get_or_init(|| {
                        thread::yield_now();
                        panic!("the initialiser's own trouble")
                    })
                }));
                assert!(
                    outcome.is_err() || outcome.is_ok_and(|value| value == 7),
                    "get_or_init returned a value that nobody has made"
                );
            })
        };
        assert_eq!(
            cell.set(7),
            Ok(()),
            "set says that the cell has a value, and it had none: there was only an init that came to nothing. The value \
             is lost, and whoever counts on one finds the cell empty"
        );
        trying.join().unwrap();
        assert_eq!(
            cell.get(),
            Some(&7),
            "the value was taken, and is not there"
        );
    });
}

#[test]
fn an_init_may_fill_another_cell() {
    // Two settings, one of which is made from the other. A thread that makes the first and one that wants the second
    // meet in between.
    randomized(|| {
        let cells = Arc::new((OnceCell::new(), OnceCell::new()));
        let other = {
            let cells = cells.clone();
            thread::spawn(move || *cells.1.get_or_init(|| 2))
        };
        let first = *cells.0.get_or_init(|| {
            thread::yield_now();
            1 + cells.1.get_or_init(|| 2)
        });
        assert_eq!(
            (first, other.join().unwrap(), cells.0.get(), cells.1.get()),
            (3, 2, Some(&3), Some(&2)),
            "two cells have mixed up their values"
        );
    });
}

#[test]
fn twenty_callers_wait_for_one_init() {
    const CALLERS: usize = 20;
    Randomized::new().schedules(60).steps(400_000).run(|| {
        let cell = Arc::new(OnceCell::new());
        let callers: Vec<_> = (0..CALLERS)
            .map(|number| {
                let cell = cell.clone();
                thread::spawn(move || {
                    *cell.get_or_init(|| {
                        // Long enough for all the others to come and wait.
                        for _ in 0..10 * CALLERS {
                            thread::yield_now();
                        }
                        number
                    })
                })
            })
            .collect();
        let seen: Vec<_> = callers
            .into_iter()
            .map(|caller| caller.join().unwrap())
            .collect();
        let value = *cell
            .get()
            .expect("everybody has got a value, and the cell is empty");
        assert_eq!(
            seen, [value; CALLERS],
            "{CALLERS} threads asked for the value at once, and not all of them got the one in the cell"
        );
    });
}
