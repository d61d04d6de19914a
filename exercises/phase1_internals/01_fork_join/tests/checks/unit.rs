//! One call at a time, and what comes back from it.
//!
//! Decides which items are mapped, how often, where the results land, and what becomes of a panic.
//! Does not decide whether anything runs at the same time: a loop on the caller's thread would pass nearly all of it.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{
    AtomicBool, AtomicUsize,
    Ordering::{Acquire, Relaxed, Release},
};
use std::thread;

use fork_join::{join, par_map};
use kata::check::Drops;
use rstest::rstest;

#[rstest]
#[case::no_items(0, 1)]
#[case::no_items_for_four(0, 4)]
#[case::one_item(1, 1)]
#[case::one_item_for_four(1, 4)]
#[case::one_worker(7, 1)]
#[case::shares_of_equal_size(8, 4)]
#[case::one_left_over(9, 4)]
#[case::one_missing(7, 4)]
#[case::last_worker_without_a_share(5, 4)]
#[case::as_many_workers_as_items(6, 6)]
#[case::many(1_000, 7)]
fn every_item_is_mapped_once_and_in_place(#[case] items: usize, #[case] workers: usize) {
    let calls: Vec<_> = (0..items).map(|_| AtomicUsize::new(0)).collect();
    let numbers: Vec<usize> = (0..items).collect();
    let results = par_map(&numbers, workers, |&number| {
        calls[number].fetch_add(1, Relaxed);
        number * 10
    });
    let expected: Vec<usize> = numbers.iter().map(|number| number * 10).collect();
    assert_eq!(
        results, expected,
        "the results of {items} items and {workers} workers are not those of a loop: some are missing or belong to \
         another item"
    );
    for (number, calls) in calls.iter().enumerate() {
        assert_eq!(
            calls.load(Relaxed),
            1,
            "`f` must be called once for item {number}: what it does may cost money"
        );
    }
}

#[test]
fn more_workers_than_items_are_not_started() {
    assert_eq!(
        par_map(&[1, 2, 3], usize::MAX, |number| number * 10),
        [10, 20, 30],
        "a caller that says \"as many as you like\" does not ask for so many threads"
    );
}

#[rstest]
#[case::some_items(&[1, 2, 3])]
#[case::no_items(&[])]
fn no_workers_are_refused(#[case] items: &[u32]) {
    par_map(&[0], 1, |number| *number);
    let outcome = catch_unwind(|| par_map(items, 0, |number| *number));
    let Err(panic) = outcome else {
        panic!("without a worker nobody can have called `f`, and yet par_map returned");
    };
    let message = text(&*panic);
    assert!(
        message.contains("par_map needs at least one worker"),
        "a caller who computed 0 workers by mistake is to read what went wrong, and reads {message:?}"
    );
}

/// What a call panics with in these checks: nothing but itself will do.
#[derive(Debug, PartialEq)]
struct Trouble(usize);

/// Panics without a word on stderr.
fn trouble(number: usize) -> ! {
    resume_unwind(Box::new(Trouble(number)))
}

fn text(panic: &(dyn Any + Send)) -> String {
    panic
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "something else than a text".to_owned())
}

/// The number of the trouble that `panic` is.
fn number(panic: &(dyn Any + Send)) -> usize {
    match panic.downcast_ref::<Trouble>() {
        Some(Trouble(number)) => *number,
        None => panic!(
            "the panic arrived as {:?} and not as the value it began with: its message, its type and the place where \
             it happened are lost to whoever handles it. (\"a scoped thread panicked\" is what `scope` says of threads \
             that nobody has joined.)",
            text(panic)
        ),
    }
}

#[rstest]
#[case::first(0)]
#[case::in_the_middle(4)]
#[case::last(8)]
fn a_panic_of_one_call_reaches_the_caller(
    #[case] item: usize,
    #[values(1, 2, 3, 9)] workers: usize,
) {
    let items: Vec<usize> = (0..9).collect();
    par_map(&items, workers, |_| ());
    let outcome = catch_unwind(|| {
        par_map(&items, workers, |&number| {
            if number == item {
                trouble(number);
            }
            number
        })
    });
    match outcome {
        Ok(results) => panic!(
            "the call for item {item} panicked, and par_map returned {results:?} as if nothing had happened"
        ),
        Err(panic) => assert_eq!(number(&*panic), item, "a panic that never happened"),
    }
}

/// Long enough to be overtaken by whoever does not wait: some milliseconds.
const A_WHILE: usize = 20_000;

#[test]
fn a_panic_beside_the_caller_reaches_the_caller() {
    let caller = thread::current().id();
    // A caller that is quicker than its workers does everything itself.
    let panic = (0..100).find_map(|_| {
        let at_work = AtomicUsize::new(0);
        let outcome = catch_unwind(AssertUnwindSafe(|| {
            par_map(&[0, 1], 2, |&number| {
                at_work.fetch_add(1, Relaxed);
                for _ in 0..A_WHILE {
                    if at_work.load(Relaxed) == 2 {
                        break;
                    }
                    thread::yield_now();
                }
                if thread::current().id() != caller {
                    trouble(number);
                }
            })
        }));
        outcome.err()
    });
    let panic = panic.expect("of two workers one has done all the work, a hundred times");
    assert!(number(&*panic) < 2, "a panic that never happened");
}

#[test]
fn a_panic_waits_for_the_other_calls() {
    // Never freed: whoever is not waited for goes on using it.
    let still_at_work: &'static AtomicUsize = Box::leak(Box::new(AtomicUsize::new(0)));
    let returned: &'static AtomicBool = Box::leak(Box::new(AtomicBool::new(false)));
    par_map(&[0], 1, |number| *number);
    let outcome = catch_unwind(|| {
        par_map(&[0, 1, 2], 3, |&number| {
            if number == 0 {
                // Not before there is somebody to wait for.
                for _ in 0..A_WHILE {
                    if still_at_work.load(Relaxed) > 0 {
                        break;
                    }
                    thread::yield_now();
                }
                trouble(0);
            }
            still_at_work.fetch_add(1, Relaxed);
            for _ in 0..A_WHILE {
                if returned.load(Relaxed) {
                    break;
                }
                thread::yield_now();
            }
            still_at_work.fetch_sub(1, Release);
        })
    });
    let left_behind = still_at_work.load(Acquire);
    returned.store(true, Relaxed);
    assert!(outcome.is_err(), "the call for item 0 panicked");
    assert_eq!(
        left_behind, 0,
        "par_map is over, and some calls of `f` are still running: they use what the caller is about to free"
    );
}

#[test]
fn results_are_dropped_if_another_call_panics() {
    par_map(&[0], 1, |number| *number);
    for workers in [1, 3] {
        let drops = Drops::new();
        let items: Vec<usize> = (0..20).collect();
        let outcome = catch_unwind(AssertUnwindSafe(|| {
            par_map(&items, workers, |&number| {
                if number == 13 {
                    trouble(number);
                }
                drops.token(number)
            })
        }));
        assert!(outcome.is_err(), "the call for item 13 panicked");
        drops.assert_each_dropped_once();
    }
}

/// A result whose drop takes a while.
struct Slow<'a> {
    begun: &'a AtomicUsize,
    ended: &'a AtomicUsize,
    over: &'a AtomicBool,
}

impl Drop for Slow<'_> {
    fn drop(&mut self) {
        self.begun.fetch_add(1, Relaxed);
        for _ in 0..A_WHILE {
            if self.over.load(Relaxed) {
                break;
            }
            thread::yield_now();
        }
        self.ended.fetch_add(1, Release);
    }
}

#[test]
fn a_panic_waits_for_the_drops_of_what_was_done() {
    // Never freed: whoever is not waited for goes on using it.
    let [begun, ended]: [&'static AtomicUsize; 2] =
        [0, 0].map(|zero| &*Box::leak(Box::new(AtomicUsize::new(zero))));
    let over: &'static AtomicBool = Box::leak(Box::new(AtomicBool::new(false)));
    par_map(&[0], 1, |number| *number);
    let made = AtomicUsize::new(0);
    // More items than workers: each worker has something in hand when one of its calls panics.
    let items: Vec<usize> = (0..12).collect();
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        par_map(&items, 3, |&number| {
            if made.load(Relaxed) >= 3 {
                trouble(number);
            }
            made.fetch_add(1, Relaxed);
            Slow { begun, ended, over }
        })
    }));
    let (made, ended) = (made.load(Relaxed), ended.load(Acquire));
    over.store(true, Relaxed);
    assert!(outcome.is_err(), "some calls panicked");
    assert_eq!(
        ended,
        made,
        "{made} results were made and then a call panicked. par_map is over, and {} of them are not dropped yet: a worker \
         has said that it is done while it was still dropping what it had in hand, and that may use what the caller frees",
        made - ended
    );
}

#[test]
fn results_may_be_of_any_size() {
    let items: Vec<usize> = (0..50).collect();
    assert_eq!(par_map(&items, 4, |_| ()), [(); 50]);
    assert_eq!(par_map(&[(); 50], 4, |()| 7), [7; 50]);
    let large = par_map(&items, 4, |&number| [number; 300]);
    assert!(
        large
            .iter()
            .zip(0..)
            .all(|(row, number)| *row == [number; 300]),
        "large results are mixed up"
    );
    let drops = Drops::new();
    drop(par_map(&items, 4, |&number| drops.token(number)));
    drops.assert_each_dropped_once();
}

#[test]
fn join_gives_each_result_to_its_place() {
    let text = "fork and join".to_owned();
    assert_eq!(
        join(|| text.len(), || text.to_uppercase()),
        (13, "FORK AND JOIN".to_owned()),
        "the results of both closures, that of `a` first"
    );
}

#[rstest]
#[case::of_a(true, false, 1)]
#[case::of_b(false, true, 2)]
#[case::of_both(true, true, 1)]
fn a_panic_reaches_the_caller_of_join(
    #[case] a_panics: bool,
    #[case] b_panics: bool,
    #[case] expected: usize,
) {
    join(|| (), || ());
    let ended = [AtomicBool::new(false), AtomicBool::new(false)];
    let end = |which: usize, panics: bool| {
        // A while, so that the other one comes to its end or its panic first.
        for _ in 0..if panics { 0 } else { A_WHILE } {
            thread::yield_now();
        }
        ended[which].store(true, Relaxed);
        if panics {
            trouble(which + 1);
        }
    };
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        join(|| end(0, a_panics), || end(1, b_panics))
    }));
    for (which, name) in ["a", "b"].into_iter().enumerate() {
        assert!(
            ended[which].load(Relaxed),
            "`{name}` had not come to its end when join was over: what it was to do, to close a file say, is not done"
        );
    }
    match outcome {
        Ok(_) => panic!("one closure panicked, and join returned as if nothing had happened"),
        Err(panic) => assert_eq!(
            number(&*panic),
            expected,
            "of two panics that of `a` counts, so that it does not depend on the schedule what a caller sees"
        ),
    }
}

#[test]
fn a_result_of_join_is_dropped_if_the_other_one_panics() {
    join(|| (), || ());
    let drops = Drops::new();
    let first = catch_unwind(AssertUnwindSafe(|| {
        join(|| drops.token('a'), || -> () { trouble(2) })
    }));
    let second = catch_unwind(AssertUnwindSafe(|| {
        join(|| -> () { trouble(1) }, || drops.token('b'))
    }));
    assert!(
        first.is_err() && second.is_err(),
        "one of the two closures panicked"
    );
    drops.assert_each_dropped_once();
}
