//! Calls that meet each other on real threads.
//!
//! Decides whether calls really run at the same time, and on how many threads: a call waits until others have come as
//! far as itself, which they never do if they are to run after it. Where threads are counted, they are counted by what each
//! leaves behind, and where an item may be drawn twice, so many are drawn that it happens.
//! Does not decide how fast any of it is. A meeting that does not come about is given up after some seconds, so that the
//! check fails instead of hanging; no verdict depends on time otherwise.

use std::collections::HashSet;
use std::process::Command;
use std::sync::atomic::{
    AtomicBool, AtomicU8, AtomicUsize,
    Ordering::{AcqRel, Acquire, Relaxed},
};
use std::sync::{Condvar, Mutex};
use std::thread;
use std::time::Duration;

use fork_join::{join, par_map};
use kata::check::Stress;
use rstest::rstest;

/// Thousands of times what a meeting takes.
const PATIENCE: Duration = Duration::from_secs(5);

/// Where calls wait for each other.
struct Meeting {
    /// How far they have come together, and whether somebody has waited in vain.
    state: Mutex<(usize, bool)>,
    changed: Condvar,
}

impl Meeting {
    fn new() -> Self {
        Self {
            state: Mutex::new((0, false)),
            changed: Condvar::new(),
        }
    }

    /// One step further.
    fn advance(&self) {
        self.state.lock().unwrap().0 += 1;
        self.changed.notify_all();
    }

    /// Waits until they have come so far. `false` if it was in vain, for this call or an earlier one.
    fn wait_for(&self, steps: usize) -> bool {
        let state = self.state.lock().unwrap();
        let waiting = |(now, in_vain): &mut (usize, bool)| *now < steps && !*in_vain;
        let (mut state, _) = self
            .changed
            .wait_timeout_while(state, PATIENCE, waiting)
            .unwrap();
        state.1 |= state.0 < steps;
        self.changed.notify_all();
        !state.1
    }
}

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
        let met = par_map(&items, workers, |_| {
            meeting.advance();
            meeting.wait_for(items.len())
        });
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

#[test]
fn no_more_threads_than_workers_call_f() {
    const WORKERS: usize = 3;
    let items: Vec<usize> = (0..60).collect();
    for _ in 0..20 {
        let (inside, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let threads = Mutex::new(HashSet::new());
        par_map(&items, WORKERS, |_| {
            most.fetch_max(inside.fetch_add(1, Relaxed) + 1, Relaxed);
            threads.lock().unwrap().insert(thread::current().id());
            thread::yield_now();
            inside.fetch_sub(1, Relaxed);
        });
        let (most, threads) = (most.into_inner(), threads.into_inner().unwrap().len());
        assert!(
            most <= WORKERS,
            "{most} calls of `f` ran at the same time with {WORKERS} workers: who limits the workers to limit open \
             files or memory gets more of them"
        );
        assert!(
            threads <= WORKERS,
            "{threads} threads were started for {} items and {WORKERS} workers: with a million items it is a million \
             threads, and starting one takes longer than most calls",
            items.len()
        );
    }
}

#[test]
fn join_runs_both_at_the_same_time() {
    for _ in 0..50 {
        let meeting = Meeting::new();
        let meet = || {
            meeting.advance();
            meeting.wait_for(2)
        };
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
    const ITEMS: usize = 200_000;
    let items: Vec<usize> = (0..ITEMS).collect();
    for round in 0..10 {
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

#[test]
#[cfg(target_os = "linux")]
fn nobody_is_left_behind_if_there_is_no_thread_to_be_had() {
    // Stacks of 300 MiB in a process of 1 GiB: one or two threads can be started, and no third.
    const STACK: usize = 300 << 20;
    const KIBIBYTES: usize = 1 << 20;
    par_map(&[0], 1, |number| *number);
    in_a_process_of_its_own(
        "nobody_is_left_behind_if_there_is_no_thread_to_be_had",
        &format!("ulimit -v {KIBIBYTES} && export RUST_MIN_STACK={STACK}"),
        || {
            // Statics, and a closure without captures: who is left behind has them, whatever becomes of the caller.
            static AT_WORK: AtomicUsize = AtomicUsize::new(0);
            static PANICKING: AtomicBool = AtomicBool::new(false);
            static OVER: AtomicBool = AtomicBool::new(false);
            std::panic::set_hook(Box::new(|_| PANICKING.store(true, Relaxed)));
            fn wait_a_while(until: &AtomicBool, times: usize) {
                for _ in 0..times {
                    if until.load(Relaxed) {
                        break;
                    }
                    thread::yield_now();
                }
            }
            let items: Vec<usize> = (0..20).collect();
            let outcome = std::panic::catch_unwind(|| {
                par_map(&items, items.len(), |_| {
                    AT_WORK.fetch_add(1, AcqRel);
                    // Not before the start has failed; whoever can do with fewer threads does not panic.
                    wait_a_while(&PANICKING, 500_000);
                    wait_a_while(&OVER, 20_000);
                    AT_WORK.fetch_sub(1, AcqRel);
                })
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
                "the system had no thread to spare for one of the workers, par_map is over ({}), and {left} calls of `f` are \
                 still running: they use what the caller is about to free",
                if outcome.is_ok() {
                    "it returned"
                } else {
                    "it panicked"
                }
            );
        },
    );
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

#[test]
#[cfg(target_os = "linux")]
fn one_processor_is_enough() {
    on_one_processor();
    let meeting = Meeting::new();
    let meet = || {
        meeting.advance();
        meeting.wait_for(2)
    };
    assert_eq!(
        join(meet, meet),
        (true, true),
        "two closures waited for each other on a machine with one processor, in vain: a program that works on the laptop \
         hangs in a small container"
    );
    let meeting = Meeting::new();
    let met = par_map(&[1, 2, 3], 3, |_| {
        meeting.advance();
        meeting.wait_for(3)
    });
    assert_eq!(
        met, [true; 3],
        "three calls waited for each other on a machine with one processor, in vain: the number of workers is what the \
         caller said, and not how many processors there are"
    );
}
