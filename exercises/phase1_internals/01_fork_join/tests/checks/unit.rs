//! One call at a time, and what comes back from it.
//!
//! Decides which items are mapped, how often, where the results land, and what becomes of a panic.
//! Does not decide whether anything runs at the same time: a loop on the caller's thread would pass nearly all of it.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Mutex;
use std::sync::atomic::{
    AtomicBool, AtomicUsize,
    Ordering::{Acquire, Relaxed, Release},
};
use std::thread;

use fork_join::{join, par_map};
use kata::check::Drops;
use rstest::rstest;

use super::meeting::Meeting;

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
    let calls = [const { AtomicUsize::new(0) }; 9];
    let outcome = catch_unwind(|| {
        par_map(&items, workers, |&number| {
            calls[number].fetch_add(1, Relaxed);
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
    for (number, calls) in calls.iter().enumerate() {
        let calls = calls.load(Relaxed);
        assert!(
            calls <= 1,
            "the call for item {item} panicked, and that for item {number} was made {calls} times: what it does may cost \
             money"
        );
    }
}

/// Long enough to be overtaken by whoever does not wait: some milliseconds.
const A_WHILE: usize = 20_000;

#[test]
fn a_panic_beside_the_caller_reaches_the_caller() {
    type Panic = Box<dyn Any + Send>;
    /// What it is called, how it is made, and whether it has arrived.
    type Value = (&'static str, fn() -> Panic, fn(Panic) -> bool);
    let caller = thread::current().id();
    par_map(&[0], 1, |number| *number);
    let values: [Value; 5] = [
        (
            "a value of a type of its own",
            || Box::new(Trouble(7)),
            |panic| *panic.downcast::<Trouble>().unwrap() == Trouble(7),
        ),
        (
            "a text that is borrowed",
            || Box::new("seven"),
            |panic| panic.downcast::<&str>().is_ok_and(|text| *text == "seven"),
        ),
        (
            "a text of its own",
            || Box::new("seven".to_owned()),
            |panic| {
                panic
                    .downcast::<String>()
                    .is_ok_and(|text| *text == "seven")
            },
        ),
        ("no value at all", || Box::new(()), |panic| panic.is::<()>()),
        (
            "a panic that was caught before",
            || Box::new(Box::new(7_u8) as Panic),
            |panic| {
                panic
                    .downcast::<Panic>()
                    .is_ok_and(|inner| inner.is::<u8>())
            },
        ),
    ];
    for (name, value, same) in values {
        let outcomes = [
            catch_unwind(|| {
                let meeting = Meeting::new();
                par_map(&[0, 1], 2, |_| {
                    let met = meeting.meet(2);
                    if thread::current().id() != caller || !met {
                        resume_unwind(value());
                    }
                });
            }),
            catch_unwind(|| {
                join(|| resume_unwind(value()), || 0);
            }),
            catch_unwind(|| {
                join(|| 0, || resume_unwind(value()));
            }),
        ];
        for (outcome, place) in outcomes.into_iter().zip([
            "a call of `f` that is not on the caller's thread",
            "`a`",
            "`b`",
        ]) {
            match outcome {
                Ok(()) => panic!("{place} panicked with {name}, and the caller was not told"),
                Err(panic) => {
                    let arrived = text(&*panic);
                    assert!(
                        same(panic),
                        "{place} panicked with {name}, and it arrived as another one ({arrived:?}): who looks for it by its type \
                         does not find it"
                    );
                }
            }
        }
    }
}

#[rstest]
fn a_panic_waits_for_the_other_calls(#[values(0, 1, 2)] which: usize) {
    // Never freed: whoever is not waited for goes on using it.
    let still_at_work: &'static AtomicUsize = Box::leak(Box::new(AtomicUsize::new(0)));
    let returned: &'static AtomicBool = Box::leak(Box::new(AtomicBool::new(false)));
    par_map(&[0], 1, |number| *number);
    let outcome = catch_unwind(|| {
        par_map(&[0, 1, 2], 3, |&number| {
            if number == which {
                // Not before there is somebody to wait for.
                for _ in 0..A_WHILE {
                    if still_at_work.load(Relaxed) > 0 {
                        break;
                    }
                    thread::yield_now();
                }
                trouble(number);
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
    assert!(outcome.is_err(), "the call for item {which} panicked");
    assert_eq!(
        left_behind, 0,
        "par_map is over, and some calls of `f` are still running: they use what the caller is about to free"
    );
}

#[rstest]
fn results_and_panics_are_dropped_if_a_call_panics(
    #[values(1, 3, 20)] workers: usize,
    #[values(&[0], &[13], &[19], &[1, 2, 6, 12, 18])] bad: &[usize],
) {
    par_map(&[0], 1, |number| *number);
    let drops = Drops::new();
    let items: Vec<usize> = (0..20).collect();
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        par_map(&items, workers, |&number| {
            let token = drops.token(number);
            if bad.contains(&number) {
                resume_unwind(Box::new(token));
            }
            token
        })
    }));
    assert!(outcome.is_err(), "the calls for items {bad:?} panicked");
    drop(outcome);
    drops.assert_each_dropped_once();
}

#[test]
fn all_panics_beside_the_caller_are_dropped() {
    let caller = thread::current().id();
    par_map(&[0], 1, |number| *number);
    let drops = Drops::new();
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        let meeting = Meeting::new();
        par_map(&[0, 1, 2, 3], 4, |&number| {
            let token = drops.token(number);
            if meeting.meet(4) && thread::current().id() == caller {
                return token;
            }
            resume_unwind(Box::new(token))
        })
    }));
    assert!(outcome.is_err(), "three calls panicked");
    drop(outcome);
    drops.assert_each_dropped_once();
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

/// How many values of [`Laid`] there are, whatever their size.
static LIVING: AtomicUsize = AtomicUsize::new(0);

/// `SIZE` bytes at a multiple of what `A` asks for. There is a number in them if there is room.
struct Laid<A, const SIZE: usize> {
    _aligned: [A; 0],
    bytes: [u8; SIZE],
}

impl<A, const SIZE: usize> Laid<A, SIZE> {
    fn new(number: u8) -> Self {
        LIVING.fetch_add(1, Relaxed);
        Self {
            _aligned: [],
            bytes: [number; SIZE],
        }
    }

    fn holds(&self, number: u8) -> bool {
        std::ptr::from_ref(self)
            .addr()
            .is_multiple_of(align_of::<A>())
            && self.bytes.iter().all(|byte| *byte == number)
    }
}

impl<A, const SIZE: usize> Drop for Laid<A, SIZE> {
    fn drop(&mut self) {
        LIVING.fetch_sub(1, Relaxed);
    }
}

#[repr(align(64))]
struct CacheLine;

#[repr(align(4096))]
struct Page;

fn results_laid_out_as<A: Send, const SIZE: usize>(layout: &str) {
    let numbers: Vec<u8> = (0..20).collect();
    for workers in [1, 3, 20] {
        let results = par_map(&numbers, workers, |&number| Laid::<A, SIZE>::new(number));
        assert!(
            results.len() == 20
                && results
                    .iter()
                    .zip(0..)
                    .all(|(laid, number)| laid.holds(number)),
            "{workers} workers, results {layout}: they are not where they belong, or not what they were"
        );
        assert_eq!(
            LIVING.load(Relaxed),
            20,
            "{workers} workers, 20 results {layout}: this many have been made and not been dropped"
        );
        drop(results);
        let outcome = catch_unwind(|| {
            par_map(&numbers, workers, |&number| {
                if number == 13 {
                    trouble(13);
                }
                Laid::<A, SIZE>::new(number)
            })
        });
        assert!(outcome.is_err(), "the call for item 13 panicked");
        assert_eq!(
            LIVING.load(Relaxed),
            0,
            "{workers} workers, results {layout}, of which some were there when a call panicked: this many were not dropped, \
             or, if it is a very large number, some were dropped twice"
        );
    }
    let (a, b) = join(|| Laid::<A, SIZE>::new(1), || Laid::<A, SIZE>::new(2));
    assert!(
        a.holds(1) && b.holds(2) && LIVING.load(Relaxed) == 2,
        "join, results {layout}: they are not where they belong, or not what they were"
    );
    drop((a, b));
    let outcome = catch_unwind(|| {
        join(|| trouble(1), || Laid::<A, SIZE>::new(2));
    });
    assert!(
        outcome.is_err() && LIVING.load(Relaxed) == 0,
        "join, results {layout}: `a` panicked, and the result of `b` was not dropped once"
    );
}

#[test]
fn results_may_have_any_layout_and_are_dropped_once() {
    results_laid_out_as::<u8, 0>("of no size");
    results_laid_out_as::<Page, 0>("of no size, aligned to 4096 bytes");
    results_laid_out_as::<u8, 1>("of one byte");
    results_laid_out_as::<u8, 17>("of 17 bytes");
    results_laid_out_as::<CacheLine, 64>("aligned to 64 bytes");
    results_laid_out_as::<Page, 4096>("aligned to 4096 bytes");
    results_laid_out_as::<u8, 10_000>("of 10,000 bytes");
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
    let (kept, bad) = (
        |name| drops.token(name),
        |name| -> () { resume_unwind(Box::new(drops.token(name))) },
    );
    let outcomes = [
        catch_unwind(AssertUnwindSafe(|| {
            join(|| kept('a'), || bad('B'));
        })),
        catch_unwind(AssertUnwindSafe(|| {
            join(|| bad('A'), || kept('b'));
        })),
        catch_unwind(AssertUnwindSafe(|| {
            join(|| bad('1'), || bad('2'));
        })),
    ];
    assert!(
        outcomes.iter().all(Result::is_err),
        "at least one of the two closures panicked"
    );
    drop(outcomes);
    drops.assert_each_dropped_once();
}

/// Sets its flag when it is dropped, and then gives the others time.
struct Raises<'a>(&'a AtomicBool);

impl Drop for Raises<'_> {
    fn drop(&mut self) {
        self.0.store(true, Relaxed);
        (0..A_WHILE / 10).for_each(|_| thread::yield_now());
    }
}

#[rstest]
fn join_panics_with_that_of_a_whichever_came_first(#[values(true, false)] a_first: bool) {
    join(|| (), || ());
    for _ in 0..5 {
        let panicked = AtomicBool::new(false);
        let side = |number: usize, first: bool| {
            if first {
                // Dropped by the panic.
                let _raises = Raises(&panicked);
                trouble(number);
            }
            for _ in 0..A_WHILE {
                if panicked.load(Relaxed) {
                    break;
                }
                thread::yield_now();
            }
            // The other one's panic is caught meanwhile.
            (0..A_WHILE / 10).for_each(|_| thread::yield_now());
            trouble(number);
        };
        let outcome = catch_unwind(AssertUnwindSafe(|| {
            join(|| side(1, a_first), || side(2, !a_first))
        }));
        let panic = outcome.expect_err("both closures panicked");
        assert_eq!(
            number(&*panic),
            1,
            "both closures panicked, {} first, and the caller was told of that of `b`: what a caller sees depends on the \
             schedule",
            if a_first { "`a`" } else { "`b`" }
        );
    }
}

/// Notes on which threads it is dropped.
struct Homesick<'a>(&'a Mutex<Vec<thread::ThreadId>>);

impl Drop for Homesick<'_> {
    fn drop(&mut self) {
        self.0.lock().unwrap().push(thread::current().id());
    }
}

#[rstest]
fn what_f_owns_is_dropped_by_the_caller(
    #[values(1, 3)] workers: usize,
    #[values(false, true)] panics: bool,
) {
    par_map(&[0], 1, |number| *number);
    let here = thread::current().id();
    for _ in 0..20 {
        let dropped = Mutex::new(Vec::new());
        let owned = Homesick(&dropped);
        let _ = catch_unwind(AssertUnwindSafe(|| {
            par_map(&[0, 1, 2, 3, 4, 5], workers, move |&number| {
                let _owned = &owned;
                if panics && number == 4 {
                    trouble(number);
                }
            })
        }));
        let dropped = dropped.into_inner().unwrap();
        assert_eq!(
            dropped.len(),
            1,
            "par_map is over, and what `f` owned has been dropped {} times: files stay open and locks stay locked, or are \
             closed twice",
            dropped.len()
        );
        assert_eq!(
            dropped[0], here,
            "what `f` owned was dropped by a thread that par_map has started, though `f` need not be `Send`: a lock's guard \
             is given back by a thread that does not hold the lock"
        );
    }
}

#[test]
fn what_the_closures_of_join_own_is_dropped_when_it_is_over() {
    join(|| (), || ());
    for (a_panics, b_panics) in [(false, false), (true, false), (false, true), (true, true)] {
        let drops = Drops::new();
        let (a, b) = (drops.token('a'), drops.token('b'));
        let _ = catch_unwind(AssertUnwindSafe(|| {
            join(
                move || {
                    let _a = &a;
                    if a_panics {
                        trouble(1);
                    }
                },
                move || {
                    let _b = &b;
                    if b_panics {
                        trouble(2);
                    }
                },
            )
        }));
        drops.assert_each_dropped_once();
    }
}

#[test]
fn a_panic_of_another_call_is_none_of_ours() {
    let items: Vec<usize> = (0..40).collect();
    par_map(&[0], 1, |number| *number);
    for workers in [1, 3] {
        let results = par_map(&items, workers, |&number| {
            // A call within this one panics, in one way or another, and is caught at once.
            let within = catch_unwind(|| {
                if number % 2 == 0 {
                    par_map(&[0, 1], 2, |_| trouble(100 + number));
                } else {
                    join(|| (), || trouble(100 + number));
                }
            });
            let panic = within.expect_err("a panic of a call within a call is swallowed");
            self::number(&*panic) == 100 + number
        });
        assert_eq!(
            results, [true; 40],
            "{workers} workers: each call of `f` makes another call, which panics, and catches that. Not all 40 are there with \
             the panic of their own: one call's panic counts for another one"
        );
    }
}

/// Calls both while it is dropped.
struct CallsBoth<'a>(&'a Mutex<Vec<i32>>);

impl Drop for CallsBoth<'_> {
    fn drop(&mut self) {
        let items: Vec<i32> = (0..40).collect();
        let mut found = par_map(&items, 3, |n| n + 1);
        // Calls that wait for each other, so that every worker has one: the caller's own thread as well, if it helps.
        let meeting = Meeting::new();
        found.extend(par_map(&[38, 39, 40], 3, |n| {
            assert!(meeting.meet(3), "calls that wait for each other, in vain");
            n + 3
        }));
        let (a, b) = join(|| 44, || 45);
        found.extend([a, b]);
        *self.0.lock().unwrap() = found;
    }
}

#[test]
fn a_destructor_may_call_both_while_a_panic_is_on_its_way() {
    let found = Mutex::new(Vec::new());
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        let _calls_both = CallsBoth(&found);
        trouble(1);
    }));
    assert!(outcome.is_err());
    assert_eq!(
        found.into_inner().unwrap(),
        (1..=45).collect::<Vec<_>>(),
        "a destructor that runs because of a panic called par_map and join, neither of which panicked, and it did not get \
         what it gets otherwise"
    );
}

#[test]
fn a_thread_that_is_woken_in_between_waits_on() {
    par_map(&[0], 1, |number| *number);
    let caller = thread::current();
    for _ in 0..20 {
        let ended = AtomicUsize::new(0);
        let works = || {
            for _ in 0..50 {
                caller.unpark();
                thread::yield_now();
            }
            ended.fetch_add(1, Release);
        };
        caller.unpark();
        let outcome = catch_unwind(AssertUnwindSafe(|| {
            join(|| (), works);
            join(works, || ());
            par_map(&[1, 2], 2, |_| works())
        }));
        let ended = ended.load(Acquire);
        assert!(
            outcome.is_ok_and(|results| results.len() == 2) && ended == 4,
            "somebody called `unpark` for the thread that waits, which anybody may do at any time, and only {ended} of 4 calls \
             were over when all was over: it took a wake-up for the end of what it waited for"
        );
    }
}

/// Takes a kibibyte of stack for each level.
fn deep(levels: usize) -> usize {
    let room = std::hint::black_box([1_u8; 1024]);
    usize::from(room[levels]) + if levels == 0 { 0 } else { deep(levels - 1) }
}

#[test]
fn calls_have_the_stack_of_any_thread() {
    assert_eq!(par_map(&[400, 401], 2, |levels| deep(*levels)), [401, 402]);
    assert_eq!(join(|| deep(400), || deep(401)), (401, 402));
}
