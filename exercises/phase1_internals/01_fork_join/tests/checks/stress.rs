//! Calls that meet each other on real threads.
//!
//! Decides whether calls really run at the same time, and on how many threads: a call waits until others have come as
//! far as itself, which they never do if they are to run after it. Where threads are counted, they are counted by what each
//! leaves behind, and where an item may be drawn twice, so many are drawn that it happens.
//! Does not decide how fast any of it is. A meeting that does not come about is given up after some seconds, so that the
//! check fails instead of hanging; no verdict depends on time otherwise.

use std::collections::HashSet;
use std::panic::{catch_unwind, resume_unwind};
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{
    AtomicBool, AtomicU8, AtomicUsize,
    Ordering::{AcqRel, Acquire, Relaxed},
};
use std::thread;

use fork_join::{join, par_map};
use kata::check::{Stress, live_blocks};
use rstest::rstest;

use super::meeting::Meeting;

#[rstest]
#[case::two(2, 2)]
#[case::eight(8, 8)]
#[case::fewer_items_than_workers(3, 8)]
#[case::more_than_a_small_array_holds(40, 40)]
fn every_item_gets_a_worker_of_its_own_if_there_are_enough(
    #[case] items: usize,
    #[case] workers: usize,
) {
    let items: Vec<usize> = (0..items).collect();
    for _ in 0..20 {
        let meeting = Meeting::new();
        let met = par_map(&items, workers, |_| meeting.meet(items.len()));
        assert!(
            met.iter().all(|met| *met),
            "{} calls waited for each other on {workers} workers, in vain: at least two of them run one after the \
             other. A program that computes on all its processors is as slow as on one. Is every worker started before \
             the first one is waited for, and does nobody hold a lock while calling `f`?",
            items.len()
        );
    }
}

#[test]
fn any_number_of_workers_is_enough_for_three_items() {
    for bits in [8, 16, 24, 32, 48, usize::BITS] {
        let largest = usize::MAX >> (usize::BITS - bits.min(usize::BITS));
        for workers in [largest, largest.wrapping_add(1), largest.wrapping_add(2)] {
            if workers < 3 {
                continue;
            }
            let meeting = Meeting::new();
            assert_eq!(
                par_map(&[1, 2, 3], workers, |_| meeting.meet(3)),
                [true; 3],
                "three calls waited for each other on {workers} workers, in vain: who says \"as many as you like\" by a \
                 large number gets a small one"
            );
        }
    }
}

/// Joins so many closures that all of them wait for each other: halves of halves.
fn tree(closures: usize, meeting: &Meeting, all: usize) -> bool {
    if closures == 1 {
        return meeting.meet(all);
    }
    let (left, right) = join(
        || tree(closures / 2, meeting, all),
        || tree(closures - closures / 2, meeting, all),
    );
    left && right
}

/// The same, one within the other.
fn chain(closures: usize, meeting: &Meeting, all: usize) -> bool {
    if closures == 1 {
        return meeting.meet(all);
    }
    let (one, others) = join(|| meeting.meet(all), || chain(closures - 1, meeting, all));
    one && others
}

#[test]
fn hundreds_of_calls_run_at_once() {
    #[cfg(target_os = "linux")]
    on_one_processor();
    const MANY: usize = 300;
    const DEEP: usize = 100;
    let items = [0_u8; MANY];
    let meeting = Meeting::new();
    let met = par_map(&items, MANY, |_| meeting.meet(MANY));
    assert!(
        met.iter().all(|met| *met),
        "{MANY} calls waited for each other on {MANY} workers, in vain: a server that has a worker for each of its clients \
         hangs as soon as there are many of them. The number of workers is what the caller said, whatever the machine has"
    );
    let meeting = Meeting::new();
    assert!(
        tree(MANY, &meeting, MANY),
        "{MANY} closures in a tree of joins waited for each other, in vain: some of these joins run one after the other"
    );
    let meeting = Meeting::new();
    assert!(
        chain(DEEP, &meeting, DEEP),
        "{DEEP} closures, each join within the one before, waited for each other, in vain: further down, join runs one \
         after the other"
    );
}

#[test]
fn calls_within_calls_run_at_the_same_time() {
    let meeting = Meeting::new();
    let met = par_map(&[1, 2], 2, |_| par_map(&[1, 2], 2, |_| meeting.meet(4)));
    assert_eq!(
        met, [[true; 2]; 2],
        "two calls of par_map within one of par_map, each of two items: the four calls of `f` waited for each other, in vain"
    );
    let meeting = Meeting::new();
    let met = par_map(&[1, 2], 2, |_| join(|| meeting.meet(4), || meeting.meet(4)));
    assert_eq!(
        met,
        [(true, true); 2],
        "two joins within a par_map: the four closures waited for each other, in vain"
    );
    let meeting = Meeting::new();
    let both = || par_map(&[1, 2], 2, |_| meeting.meet(4));
    let met = join(both, both);
    assert_eq!(
        met,
        (vec![true; 2], vec![true; 2]),
        "two calls of par_map within a join: the four calls of `f` waited for each other, in vain"
    );
}

#[test]
fn callers_do_not_wait_for_each_other() {
    let meeting = Meeting::new();
    let (one, other) = thread::scope(|scope| {
        let mapping = scope.spawn(|| par_map(&[1, 2], 2, |_| meeting.meet(6)));
        let joining = scope.spawn(|| join(|| meeting.meet(6), || meeting.meet(6)));
        let third = par_map(&[1, 2], 2, |_| meeting.meet(6));
        ((mapping.join().unwrap(), third), joining.join().unwrap())
    });
    assert_eq!(
        (one, other),
        ((vec![true; 2], vec![true; 2]), (true, true)),
        "three threads call par_map, par_map and join at once, with six closures that wait for each other, in vain: while one \
         call is under way, another one runs one after the other, or not at all"
    );
}

#[test]
fn the_thousandth_call_is_like_the_first() {
    const CALLS: usize = 1_100;
    for call in 0..CALLS {
        let outcome = catch_unwind(|| {
            par_map(&[1, 2], 2, |&number| {
                if number == 1 {
                    resume_unwind(Box::new(number));
                }
            })
        });
        assert!(
            outcome.is_err(),
            "call {call}: a call of `f` panicked, and par_map did not"
        );
        let outcome = catch_unwind(|| join(|| (), || resume_unwind(Box::new(2))));
        assert!(
            outcome.is_err(),
            "call {call}: `b` panicked, and join did not"
        );
        assert_eq!(par_map(&[1, 2], 2, |number| number + 1), [2, 3]);
        assert_eq!(join(|| 1, || 2), (1, 2));
    }
    for call in 0..CALLS {
        let meeting = Meeting::new();
        assert_eq!(
            par_map(&[1, 2], 2, |_| meeting.meet(2)),
            [true; 2],
            "after {CALLS} calls that were over at once, and as many that panicked, the calls of `f` run one after the other \
             in call {call}: what a call has taken is not given back, or it counts on what the calls before were like"
        );
        let meeting = Meeting::new();
        assert_eq!(
            join(|| meeting.meet(2), || meeting.meet(2)),
            (true, true),
            "after {CALLS} joins that were over at once, and as many that panicked, the closures run one after the other in \
             call {call}: what a call has taken is not given back, or it counts on what the calls before were like"
        );
    }
}

#[test]
fn results_come_in_the_order_of_the_items_and_not_of_time() {
    const ITEMS: usize = 4;
    let items: Vec<usize> = (0..ITEMS).collect();
    for _ in 0..100 {
        let meeting = Meeting::new();
        let results = par_map(&items, ITEMS, |&item| {
            // The last item first, the first item last.
            let in_turn = meeting.wait_for(ITEMS - 1 - item);
            meeting.advance();
            (item, in_turn)
        });
        assert!(
            results.iter().all(|(_, in_turn)| *in_turn),
            "a call waited for one of a later item, in vain: they run one after the other"
        );
        let order: Vec<usize> = results.iter().map(|(item, _)| *item).collect();
        assert_eq!(
            order, items,
            "the calls ended in reverse order, and the results have followed them: a user gets the result of another \
             item, on some days"
        );
    }
}

#[rstest]
#[case::one_worker(1)]
#[case::two(2)]
#[case::three(3)]
#[case::nine(9)]
fn no_more_threads_than_workers_call_f(#[case] workers: usize) {
    let items: Vec<usize> = (0..60).collect();
    for _ in 0..10 {
        let (inside, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let threads = Mutex::new(HashSet::new());
        par_map(&items, workers, |_| {
            most.fetch_max(inside.fetch_add(1, Relaxed) + 1, Relaxed);
            // Until one thread too many has come, if there is one.
            for _ in 0..20 {
                let mut threads = threads.lock().unwrap();
                threads.insert(thread::current().id());
                if threads.len() > workers {
                    break;
                }
                drop(threads);
                thread::yield_now();
            }
            inside.fetch_sub(1, Relaxed);
        });
        let (most, threads) = (most.into_inner(), threads.into_inner().unwrap().len());
        assert!(
            most <= workers,
            "{most} calls of `f` ran at the same time with {workers} workers: who limits the workers to limit open \
             files or memory gets more of them"
        );
        assert!(
            threads <= workers,
            "{threads} threads called `f` for {} items and {workers} workers: with a million items it is a million \
             threads, and starting one takes longer than most calls",
            items.len()
        );
    }
}

#[test]
fn join_runs_both_at_the_same_time() {
    for _ in 0..50 {
        let meeting = Meeting::new();
        let meet = || meeting.meet(2);
        assert_eq!(
            join(meet, meet),
            (true, true),
            "two closures waited for each other, in vain: join runs one after the other"
        );
    }
}

/// The sum of the numbers below `end`, from `begin` on.
fn sum(begin: u64, end: u64) -> u64 {
    if end - begin <= 2 {
        return (begin..end).sum();
    }
    let middle = begin.midpoint(end);
    let (left, right) = join(|| sum(begin, middle), || sum(middle, end));
    left + right
}

#[test]
fn calls_can_be_nested() {
    for _ in 0..30 {
        assert_eq!(
            sum(0, 64),
            2016,
            "a tree of joins does not add up what its leaves have found"
        );
        let rows = [10, 20, 30];
        let table = par_map(&rows, 3, |row| {
            par_map(&[1, 2, 3], 2, |column| row + column)
        });
        assert_eq!(
            table,
            [[11, 12, 13], [21, 22, 23], [31, 32, 33]],
            "a par_map inside of a par_map gets in its way"
        );
    }
}

#[test]
fn callers_do_not_disturb_each_other() {
    Stress::new(4).rounds(100).run(
        |round| round * 1_000,
        |thread, offset| {
            let items: Vec<usize> = (0..10).map(|item| offset + thread * 100 + item).collect();
            let results = par_map(&items, 2, |item| item + 1);
            let (first, last) = join(|| items[0] + 1, || items[9] + 1);
            (items, results, first, last)
        },
        |_offset, seen| {
            for (items, results, first, last) in seen {
                let expected: Vec<usize> = items.iter().map(|item| item + 1).collect();
                assert_eq!(
                    (first, last),
                    (expected[0], expected[9]),
                    "four threads call join at once, and one gets the result of another"
                );
                assert_eq!(
                    results, expected,
                    "four threads call par_map at once, and one gets the results of another"
                );
            }
        },
    );
}

#[test]
fn every_item_is_drawn_once_however_many_draw() {
    // Numbers of sixteen bits do not do, not even for blocks of sixteen items.
    const ITEMS: usize = 1_200_000;
    let items: Vec<usize> = (0..ITEMS).collect();
    for round in 0..2 {
        let calls: Vec<_> = items.iter().map(|_| AtomicU8::new(0)).collect();
        let results = par_map(&items, 4, |&item| {
            calls[item].fetch_add(1, Relaxed);
            item
        });
        for (item, calls) in calls.iter().enumerate() {
            let calls = calls.load(Relaxed);
            assert_eq!(
                calls, 1,
                "round {round}: `f` was called {calls} times for item {item} of {ITEMS}: two workers have taken the same one, \
                 or none has. What `f` does may cost money"
            );
        }
        assert!(
            results == items,
            "round {round}: {ITEMS} results, and some are missing or belong to another item"
        );
    }
}

/// How many threads this process has ever started, as `std` counts them.
fn started() -> usize {
    let probe = thread::spawn(|| format!("{:?}", thread::current().id()));
    let id = probe.join().unwrap();
    let digits: String = id.chars().filter(char::is_ascii_digit).collect();
    digits
        .parse()
        .expect("the identity of a thread is a number that counts up")
}

/// Runs `check`, which is the test of that name, in a process of its own: nobody else starts threads there. `limit` is what
/// a shell has to say before.
fn in_a_process_of_its_own(name: &str, limit: &str, check: impl FnOnce()) {
    const ALONE: &str = "KATA_ALONE";
    if std::env::var_os(ALONE).is_some() {
        return check();
    }
    let mut command = if limit.is_empty() {
        Command::new(std::env::current_exe().unwrap())
    } else {
        let mut shell = Command::new("sh");
        shell
            .arg("-c")
            .arg(format!("{limit} && exec \"$0\" \"$@\""));
        shell.arg(std::env::current_exe().unwrap());
        shell
    };
    // Without the name of the program: `stress`, or `checks::stress` beside the solution.
    let (_, module) = module_path!()
        .split_once("::")
        .expect("this is not the root");
    let child = command
        .args(["--exact", "--test-threads=1", &format!("{module}::{name}")])
        .env(ALONE, "1")
        .output()
        .expect("this binary can be started again");
    let said = String::from_utf8_lossy(&child.stdout).into_owned();
    assert!(
        child.status.success() && said.contains("1 passed"),
        "{said}{}",
        String::from_utf8_lossy(&child.stderr)
    );
}

#[test]
fn no_more_threads_are_started_than_there_are_items() {
    in_a_process_of_its_own(
        "no_more_threads_are_started_than_there_are_items",
        "",
        || {
            for (items, workers) in [(0, 4), (1, 16), (3, 32), (5, 200), (20, 3)] {
                let items: Vec<usize> = (0..items).collect();
                let before = started();
                par_map(&items, workers, |_| ());
                let threads = started() - before - 1;
                let most = items.len().min(workers);
                assert!(
                    threads <= most,
                    "{threads} threads were started for {} items and {workers} workers: starting a thread costs more than \
                     most calls",
                    items.len()
                );
            }
            let before = started();
            join(|| (), || ());
            let threads = started() - before - 1;
            assert!(
                threads <= 2,
                "{threads} threads were started for two closures"
            );
        },
    );
}

/// Statics: who is left behind has them, whatever becomes of the caller.
static AT_WORK: AtomicUsize = AtomicUsize::new(0);
static CALLS: [AtomicUsize; 20] = [const { AtomicUsize::new(0) }; 20];
static PANICKING: AtomicBool = AtomicBool::new(false);
static OVER: AtomicBool = AtomicBool::new(false);

fn wait_a_while(until: &AtomicBool, times: usize) {
    for _ in 0..times {
        if until.load(Relaxed) {
            break;
        }
        thread::yield_now();
    }
}

/// A call that lasts until the start of another one has failed, and then some; whoever can do with fewer threads does not
/// panic.
fn work_on(item: usize) -> usize {
    CALLS[item].fetch_add(1, Relaxed);
    AT_WORK.fetch_add(1, AcqRel);
    wait_a_while(&PANICKING, 100_000);
    wait_a_while(&OVER, 20_000);
    AT_WORK.fetch_sub(1, AcqRel);
    item
}

#[rstest]
#[case::of_par_map(true, 300)]
#[case::of_join(false, 400)]
#[cfg(target_os = "linux")]
fn nobody_is_left_behind_if_there_is_no_thread_to_be_had(
    #[case] mapping: bool,
    #[case] mebibytes: usize,
) {
    // Stacks of 300 MiB in a process of 1 GiB: beside the test's own thread one or two can be started, and no third. Of
    // 400 MiB: one.
    const KIBIBYTES: usize = 1 << 20;
    par_map(&[0], 1, |number| *number);
    in_a_process_of_its_own(
        &format!(
            "nobody_is_left_behind_if_there_is_no_thread_to_be_had::case_{}",
            if mapping { "1_of_par_map" } else { "2_of_join" }
        ),
        &format!(
            "ulimit -v {KIBIBYTES} && export RUST_MIN_STACK={}",
            mebibytes << 20
        ),
        || {
            std::panic::set_hook(Box::new(|_| PANICKING.store(true, Relaxed)));
            let items: Vec<usize> = (0..if mapping { CALLS.len() } else { 2 }).collect();
            // Closures without captures.
            let outcome = catch_unwind(|| {
                if mapping {
                    par_map(&items, items.len(), |&item| work_on(item))
                } else {
                    let (a, b) = join(|| work_on(0), || work_on(1));
                    vec![a, b]
                }
            });
            // A thread that was started may not have come to its call yet.
            for _ in 0..20_000 {
                if AT_WORK.load(Relaxed) > 0 {
                    break;
                }
                thread::yield_now();
            }
            let left = AT_WORK.load(Acquire);
            OVER.store(true, Relaxed);
            drop(std::panic::take_hook());
            assert_eq!(
                left,
                0,
                "the system had no thread to spare for one of the calls, all is over ({}), and {left} calls are still \
                 running: they use what the caller is about to free",
                if outcome.is_ok() {
                    "it returned"
                } else {
                    "it panicked"
                }
            );
            for (item, calls) in CALLS.iter().enumerate() {
                let calls = calls.load(Relaxed);
                assert!(
                    calls <= 1,
                    "the system had no thread to spare, and the call for item {item} was made {calls} times: what it does \
                     may cost money"
                );
            }
            if let Ok(results) = outcome {
                assert_eq!(
                    results, items,
                    "the system had no thread to spare for one of the calls, and its results are missing: nobody is told"
                );
            }
        },
    );
}

#[test]
fn what_a_call_allocates_is_freed() {
    const ROUNDS: usize = 200;
    par_map(&[0], 1, |number| *number);
    in_a_process_of_its_own("what_a_call_allocates_is_freed", "", || {
        let trouble = |number: usize| -> usize { resume_unwind(Box::new(number)) };
        let each_way = || {
            par_map(&[0, 1, 2, 3], 2, |number| number + 1);
            join(|| 1, || 2);
            let outcomes = [
                catch_unwind(|| drop(par_map(&[0, 1, 2], 3, |&number| trouble(number)))),
                catch_unwind(|| {
                    join(|| trouble(1), || 2);
                }),
                catch_unwind(|| {
                    join(|| 1, || trouble(2));
                }),
                catch_unwind(|| {
                    join(|| trouble(1), || trouble(2));
                }),
            ];
            assert!(outcomes.iter().all(Result::is_err), "a panic is swallowed");
        };
        (0..20).for_each(|_| each_way());
        let before = live_blocks();
        (0..ROUNDS).for_each(|_| each_way());
        let allowed = before + ROUNDS.cast_signed() / 2;
        // The last threads may be about to end.
        for _ in 0..100_000 {
            if live_blocks() <= allowed {
                break;
            }
            thread::yield_now();
        }
        let more = live_blocks() - before;
        assert!(
            live_blocks() <= allowed,
            "after {ROUNDS} calls of each kind, some of them with panics, {more} blocks more are allocated than before: a \
             server that maps and joins runs out of memory, by and by"
        );
    });
}

/// What the system says that a thread does: `R` if it runs or could, `S` if it sleeps.
#[cfg(target_os = "linux")]
fn state_of(thread: &std::path::Path) -> Option<char> {
    let stat =
        std::fs::read_to_string(std::path::Path::new("/proc").join(thread).join("stat")).ok()?;
    stat.rsplit(')').next()?.trim_start().chars().next()
}

/// Looks until the thread is found asleep many times in a row. `false` if that does not come about.
#[cfg(target_os = "linux")]
fn falls_asleep(sleeper: &std::path::Path) -> bool {
    let mut in_a_row = 0;
    for _ in 0..50_000 {
        in_a_row = match state_of(sleeper) {
            Some('R') => 0,
            _ => in_a_row + 1,
        };
        if in_a_row == 100 {
            return true;
        }
        thread::yield_now();
    }
    false
}

#[test]
#[cfg(target_os = "linux")]
fn a_caller_that_waits_sleeps() {
    let caller = thread::current().id();
    let this = std::fs::read_link("/proc/thread-self").expect("Linux says who runs");
    // Two calls at once. One of those that are not the caller's own looks, the other one is over.
    let looks = |meeting: &Meeting, taken: &AtomicBool| {
        meeting.meet(2);
        thread::current().id() == caller || taken.swap(true, Relaxed) || falls_asleep(&this)
    };
    let (meeting, taken) = (Meeting::new(), AtomicBool::new(false));
    let joined = join(|| looks(&meeting, &taken), || looks(&meeting, &taken));
    let (meeting, taken) = (Meeting::new(), AtomicBool::new(false));
    let mapped = par_map(&[1, 2], 2, |_| looks(&meeting, &taken));
    for (fine, name) in [
        (joined.0 && joined.1, "join"),
        (mapped.iter().all(|fine| *fine), "par_map"),
    ] {
        assert!(
            fine,
            "a call lasted long, and the thread that had called {name} waited for it without ever going to sleep: while one \
             thread works, another one uses up a processor"
        );
    }
}

/// Keeps the calling thread, and those that it starts, on one processor.
#[cfg(target_os = "linux")]
fn on_one_processor() {
    unsafe extern "C" {
        fn sched_getaffinity(thread: i32, size: usize, set: *mut u8) -> i32;
        fn sched_setaffinity(thread: i32, size: usize, set: *const u8) -> i32;
    }
    let mut allowed = [0_u8; 128];
    // SAFETY: the set is as long as is said, and 0 is the calling thread.
    let found = unsafe { sched_getaffinity(0, allowed.len(), allowed.as_mut_ptr()) };
    assert_eq!(
        found, 0,
        "the processors of this thread cannot be asked for"
    );
    let byte = allowed
        .iter()
        .position(|byte| *byte != 0)
        .expect("a processor");
    let mut one = [0_u8; 128];
    one[byte] = 1 << allowed[byte].trailing_zeros();
    // SAFETY: as above.
    let set = unsafe { sched_setaffinity(0, one.len(), one.as_ptr()) };
    assert_eq!(set, 0, "this thread cannot be kept on one processor");
    assert_eq!(
        thread::available_parallelism().map(usize::from).ok(),
        Some(1)
    );
}
