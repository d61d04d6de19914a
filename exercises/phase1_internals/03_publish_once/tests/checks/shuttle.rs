//! Random, reproducible schedules of more threads than the exhaustive checks can afford, and with panics.
//!
//! Decides whether one `init` runs when four threads, or three hundred, bring one, whether an `init` that panics leaves the others in
//! a state in which they can go on, and whether anybody waits forever, also for another cell.
//! Does not decide orderings: here every atomic access is sequentially consistent. Does not decide everything: it samples.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use kata::check::{Foreign, Randomized, randomized};
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
            let counter = counter.clone();
            *cell.get_or_init(move || {
                counter.fetch_add(1, Relaxed);
                thread::yield_now();
                number
            })
        });
        assert_eq!(
            Arc::strong_count(&made),
            1,
            "all callers are back, and what some of their inits held is still there: whoever has waited in vain never drops its \
             init, and the end of a channel in it stays open"
        );
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
fn those_who_wait_for_one_cell_are_not_woken_by_another() {
    randomized(|| {
        let cells = Arc::new([OnceCell::new(), OnceCell::new()]);
        let callers: Vec<_> = (0..6)
            .map(|number| {
                let cells = cells.clone();
                thread::spawn(move || {
                    *cells[number % 2].get_or_init(|| {
                        for _ in 0..5 * (number % 2 + 1) {
                            thread::yield_now();
                        }
                        number % 2
                    })
                })
            })
            .collect();
        for (number, caller) in callers.into_iter().enumerate() {
            assert_eq!(
                caller.join().unwrap(),
                number % 2,
                "two cells have mixed up their values"
            );
        }
    });
}

#[test]
fn however_many_inits_fail_the_next_one_tries() {
    /// All but the last fail, while the others wait.
    const CALLERS: usize = 40;
    Randomized::new().schedules(6).steps(400_000).run(|| {
        let cell = Arc::new(OnceCell::new());
        let tried = Arc::new(AtomicUsize::new(0));
        let callers: Vec<_> = (0..CALLERS)
            .map(|_| {
                let (cell, tried) = (cell.clone(), tried.clone());
                thread::spawn(move || {
                    Foreign::survive(|| {
                        *cell.get_or_init(|| {
                            let trouble = Foreign::panics_once(1);
                            for _ in 0..CALLERS {
                                thread::yield_now();
                            }
                            if tried.fetch_add(1, Relaxed) + 1 < CALLERS {
                                trouble.call();
                            }
                            7
                        })
                    })
                })
            })
            .collect();
        let got: Vec<_> = callers
            .into_iter()
            .filter_map(|caller| caller.join().unwrap())
            .collect();
        assert_eq!(
            (tried.load(Relaxed), got),
            (CALLERS, vec![7]),
            "of {CALLERS} inits all but the last panic, and these were tried, with these results: whoever has waited for many \
             that failed still has its turn"
        );
    });
}

#[test]
fn an_init_may_take_long() {
    /// In case somebody who waits takes the init for dead in the end, or for a value.
    const TURNS: usize = 5_000;
    for fails in [true, false] {
        Randomized::new().schedules(3).steps(400_000).run(move || {
            let cell = Arc::new(OnceCell::new());
            let started = Arc::new(AtomicUsize::new(0));
            let ask = |value: usize| {
                let (cell, started) = (cell.clone(), started.clone());
                move || {
                    Foreign::survive(|| {
                        *cell.get_or_init(|| {
                            let trouble = Foreign::panics_once(1);
                            if started.fetch_add(1, Relaxed) == 0 {
                                for _ in 0..TURNS {
                                    thread::yield_now();
                                }
                                if fails {
                                    trouble.call();
                                }
                            }
                            assert_eq!(cell.get(), None, "two inits run at once, or one although there is a value");
                            value
                        })
                    })
                }
            };
            let slow = thread::spawn(ask(1));
            while started.load(Relaxed) == 0 {
                thread::yield_now();
            }
            let other = thread::spawn(ask(2));
            let set = cell.set(3);
            assert!(
                cell.get().is_some(),
                "set has returned {set:?} after an init that took {TURNS} steps, and there is no value in the cell"
            );
            let (slow, other) = (slow.join().unwrap(), other.join().unwrap());
            let value = *cell.get().expect("the cell is full after all");
            assert_eq!(
                (slow, other, set),
                (
                    (!fails).then_some(1),
                    Some(value),
                    if value == 3 { Ok(()) } else { Err(3) }
                ),
                "an init has taken {TURNS} steps{}, and whoever has waited for it got something else than the value in the \
                 cell, which is {value}",
                if fails { " and then panicked" } else { "" }
            );
            assert!(
                fails || value == 1,
                "a slow init has made a value, and another one is in the cell"
            );
        });
    }
}

#[test]
fn three_hundred_callers_wait_for_one_init() {
    // And 257: one makes the value, and 256 wait, which is nobody to a counter of eight bits.
    for callers in [257, 300] {
        callers_wait_for_one_init(callers);
    }
}

fn callers_wait_for_one_init(callers: usize) {
    // Steps for callers who look again and again, too.
    Randomized::new().schedules(2).steps(2_000_000).run(move || {
        let cell = Arc::new(OnceCell::new());
        let come = Arc::new(AtomicUsize::new(0));
        let threads: Vec<_> = (0..callers)
            .map(|number| {
                let (cell, come) = (cell.clone(), come.clone());
                thread::spawn(move || {
                    come.fetch_add(1, Relaxed);
                    *cell.get_or_init(|| {
                        // Until all have come, and a while longer, so that they wait.
                        while come.load(Relaxed) < callers {
                            thread::yield_now();
                        }
                        for _ in 0..callers / 2 {
                            thread::yield_now();
                        }
                        number
                    })
                })
            })
            .collect();
        let seen = threads.into_iter().map(|thread| thread.join().unwrap());
        let seen: Vec<_> = seen.collect();
        let value = cell.get().copied();
        assert!(
            seen.iter().all(|&seen| Some(seen) == value),
            "{callers} threads asked for the value at once, and not all of them got the one in the cell"
        );
    });
}
