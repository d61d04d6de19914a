//! Real threads, many short rounds.
//!
//! In each round all threads leave one start line together, run once over a fresh state, and the calling thread judges
//! what they left behind. Many short rounds beat one long one: what goes wrong mostly does so in the first steps, while
//! the threads really overlap.
//!
//! What it decides: that a wrong result was seen, on this machine. What it cannot: that none exists. x86 performs
//! stores in order, so a `Relaxed` in place of a `Release` passes any number of rounds; the loom world is for that.
//! Rounds are counted, seconds are not.

use super::panics::message;
use std::collections::BTreeMap;
use std::fmt::Debug;
use std::hint::black_box;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{
    AtomicBool, AtomicUsize,
    Ordering::{AcqRel, Acquire, Relaxed, Release},
};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, Thread};

/// How many values a message names before it says "and 5 more".
const NAMED: usize = 10;

/// A stress test: so many threads, so many rounds.
///
/// ```ignore
/// Stress::new(2).rounds(10_000).run(
///     |_round| Queue::new(),
///     |thread, queue| if thread == 0 { queue.push(1); None } else { queue.pop() },
///     |queue, results| assert!(results[1] == Some(1) || queue.pop() == Some(1), "the value is gone"),
/// );
/// ```
#[derive(Clone, Debug)]
#[must_use = "nothing runs before `run`"]
pub struct Stress {
    threads: usize,
    rounds: usize,
}

impl Stress {
    /// `threads` threads and 1000 rounds.
    ///
    /// # Panics
    ///
    /// If `threads` is 0.
    pub fn new(threads: usize) -> Self {
        assert!(threads > 0, "a stress test needs a thread");
        Self {
            threads,
            rounds: 1_000,
        }
    }

    /// Sets the number of rounds.
    pub fn rounds(mut self, rounds: usize) -> Self {
        self.rounds = rounds;
        self
    }

    /// In each round, `setup` makes a state, every thread runs `body` once on it, all at the same time, and `verify`
    /// gets the state and what the bodies returned, in the order of the threads.
    ///
    /// The threads are started once and used for all rounds, and joined before `run` returns. An empty round
    /// of two threads cost 8 to 75 µs where starting two threads for it cost 80 to 280 µs (two cores shared with other
    /// work, hence the spread; in the same run the ratio was 2 to 10).
    ///
    /// # Panics
    ///
    /// If a body panics, with the round, the thread and the body's message. At once: the other threads may be waiting
    /// for something the one that panicked was to do, so nobody waits for them. They are left alone with the state,
    /// and end with the process if not earlier. This is why `body` must be `'static`.
    ///
    /// If `setup` or `verify` panics, with the round and the message.
    ///
    /// # Memory ordering
    ///
    /// `setup` happens before every body, every body before `verify`. Between the bodies of a round nothing is
    /// ordered by the harness but the start.
    #[track_caller]
    pub fn run<State, R>(
        &self,
        mut setup: impl FnMut(usize) -> State,
        body: impl Fn(usize, &State) -> R + Send + Sync + 'static,
        mut verify: impl FnMut(State, Vec<R>),
    ) where
        State: Send + Sync + 'static,
        R: Send + 'static,
    {
        let cores = thread::available_parallelism().map_or(1, usize::from);
        let shared = Arc::new(Shared {
            desks: (0..self.threads).map(|_| Mutex::new(Desk::Empty)).collect(),
            opened: AtomicUsize::new(0),
            lines: [AtomicUsize::new(0), AtomicUsize::new(0)],
            start_spins: if self.threads <= cores {
                START_SPINS
            } else {
                SPINS
            },
            finished: AtomicUsize::new(0),
            over: AtomicBool::new(false),
            failure: Mutex::new(None),
            failed: AtomicBool::new(false),
            caller: thread::current(),
        });
        let body = Arc::new(body);
        let mut crew = Crew {
            shared: Arc::clone(&shared),
            workers: Vec::new(),
        };
        for number in 0..self.threads {
            let (shared, body) = (Arc::clone(&shared), Arc::clone(&body));
            let worker = thread::Builder::new()
                .name(format!("stress thread {number}"))
                .spawn(move || work(&shared, number, &*body))
                .expect("the system has a thread to spare");
            crew.workers.push(worker);
        }

        for round in 0..self.rounds {
            let state = match catch_unwind(AssertUnwindSafe(|| setup(round))) {
                Ok(state) => Arc::new(state),
                Err(panic) => panic!("round {round}, setup: {}", message(&*panic)),
            };
            for desk in &shared.desks {
                *lock(desk) = Desk::Task(Arc::clone(&state));
            }
            // Release: pairs with the worker's Acquire. (The desk's lock orders the state as well.)
            shared.opened.store(round + 1, Release);
            crew.wake();

            // Acquire: pairs with the workers' AcqRel, so that all they did is visible to `verify`.
            let target = self.threads * (round + 1);
            wait(|| shared.finished.load(Acquire) == target || shared.failed.load(Acquire));
            if let Some(failure) = lock(&shared.failure).take() {
                let Failure { thread, message } = failure;
                panic!("round {round}, thread {thread}: {message}");
            }

            let results = shared
                .desks
                .iter()
                .map(
                    |desk| match std::mem::replace(&mut *lock(desk), Desk::Empty) {
                        Desk::Result(result) => result,
                        _ => unreachable!("every thread has finished the round"),
                    },
                )
                .collect();
            let state =
                Arc::into_inner(state).expect("a thread drops its state before it finishes");
            let verdict = catch_unwind(AssertUnwindSafe(|| verify(state, results)));
            if let Err(panic) = verdict {
                panic!("round {round}: {}", message(&*panic));
            }
        }
        crew.dismiss();
    }
}

/// What lies between the calling thread and one worker.
enum Desk<State, R> {
    Empty,
    Task(Arc<State>),
    Result(R),
}

struct Failure {
    thread: usize,
    message: String,
}

struct Shared<State, R> {
    /// One for each thread, so that handing out the work is not a contest.
    desks: Vec<Mutex<Desk<State, R>>>,
    /// How many rounds were opened.
    opened: AtomicUsize,
    /// How many times a thread came to each of the two start lines. Only grows: round *r* starts at `threads * (r + 1)`.
    lines: [AtomicUsize; 2],
    /// How often a thread looks again at the second line before it lets others run.
    start_spins: usize,
    /// How many times a thread finished a round. Only grows, too.
    finished: AtomicUsize,
    /// No round will be opened any more.
    over: AtomicBool,
    /// The first panic of a body.
    failure: Mutex<Option<Failure>>,
    /// Set once `failure` is.
    failed: AtomicBool,
    /// Whom to wake after a round.
    caller: Thread,
}

/// The threads. However `run` ends, they are told.
struct Crew<State, R> {
    shared: Arc<Shared<State, R>>,
    workers: Vec<thread::JoinHandle<()>>,
}

impl<State, R> Crew<State, R> {
    fn wake(&self) {
        for worker in &self.workers {
            worker.thread().unpark();
        }
    }

    /// Ends the threads and waits for them, so that their thread-locals are gone, too.
    fn dismiss(mut self) {
        self.shared.over.store(true, Release); // pairs with the Acquire in `work`
        self.wake();
        for worker in self.workers.drain(..) {
            worker
                .join()
                .expect("a worker catches what a body panics with");
        }
    }
}

impl<State, R> Drop for Crew<State, R> {
    fn drop(&mut self) {
        self.shared.over.store(true, Release); // pairs with the Acquire in `work`
        self.wake();
    }
}

/// What each thread does all its life.
fn work<State, R>(shared: &Shared<State, R>, number: usize, body: impl Fn(usize, &State) -> R) {
    let threads = shared.desks.len();
    for round in 0.. {
        // Acquire: pairs with the Release that opened the round, or that ended them all.
        wait(|| shared.opened.load(Acquire) > round || shared.over.load(Acquire));
        if shared.over.load(Acquire) {
            return;
        }
        let Desk::Task(state) = std::mem::replace(&mut *lock(&shared.desks[number]), Desk::Empty)
        else {
            unreachable!("an open round has a task for every thread");
        };

        // To the start line, and once more: whoever waited long at the first may have lost its core, and those who
        // wait at the second hold theirs until it is back. Relaxed: it is about time only, and must not order what
        // the bodies do.
        let target = threads * (round + 1);
        for (line, spins) in shared.lines.iter().zip([SPINS, shared.start_spins]) {
            line.fetch_add(1, Relaxed);
            spin(spins, || line.load(Relaxed) >= target);
        }
        for step in 0..head_start(round, number) {
            black_box(step);
        }

        let result = catch_unwind(AssertUnwindSafe(|| body(number, &state)));
        drop(state);
        match result {
            Ok(result) => {
                *lock(&shared.desks[number]) = Desk::Result(result);
                // AcqRel: Release hands the body's effects to the caller; Acquire, so that the last one to finish hands
                // on those of the others.
                if shared.finished.fetch_add(1, AcqRel) + 1 == target {
                    shared.caller.unpark();
                }
            }
            Err(panic) => {
                let message = message(&*panic);
                lock(&shared.failure).get_or_insert(Failure {
                    thread: number,
                    message,
                });
                shared.failed.store(true, Release); // pairs with the Acquire in `run`
                shared.caller.unpark();
                return;
            }
        }
    }
}

/// For how many steps a thread holds back at the start, other ones in each round.
///
/// The last to come to the line is the first to know that all are there, ahead of the others by about the
/// time a cache line takes to travel, in which a short body is over. Trying all differences makes up for it.
fn head_start(round: usize, thread: usize) -> usize {
    // Any mixing will do; this is the golden ratio's.
    let mixed = (round as u64 * 64 + thread as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    (mixed >> 57) as usize
}

/// How often a thread looks again before it lets others run.
const SPINS: usize = 100;
/// The same at the second start line, if there is a core for every thread.
const START_SPINS: usize = 2_000;
/// How often a thread lets others run before it sleeps.
const YIELDS: usize = 50;

/// Waits until `done`: shortly at full speed, then letting others run.
fn spin(spins: usize, done: impl Fn() -> bool) {
    for _ in 0..spins {
        if done() {
            return;
        }
        std::hint::spin_loop();
    }
    while !done() {
        thread::yield_now();
    }
}

/// Waits until `done`, at last asleep. Whoever makes it true calls `unpark` afterwards.
fn wait(done: impl Fn() -> bool) {
    for _ in 0..SPINS {
        if done() {
            return;
        }
        std::hint::spin_loop();
    }
    for _ in 0..YIELDS {
        if done() {
            return;
        }
        thread::yield_now();
    }
    while !done() {
        thread::park();
    }
}

/// Locks; poison is ignored, since no panic leaves a desk half written.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Asserts that exactly the values that went in came out, each as often, in any order.
///
/// # Panics
///
/// If not. The message names what was lost, what came out too often, and what never went in.
///
/// # Complexity
///
/// O(*n* log *n*).
#[track_caller]
pub fn assert_conserved<T: Ord + Debug>(
    pushed: impl IntoIterator<Item = T>,
    popped: impl IntoIterator<Item = T>,
) {
    // How often each value went in and came out.
    let mut times: BTreeMap<T, (usize, usize)> = BTreeMap::new();
    for value in pushed {
        times.entry(value).or_default().0 += 1;
    }
    for value in popped {
        times.entry(value).or_default().1 += 1;
    }
    let (mut lost, mut duplicated, mut invented) = (Vec::new(), Vec::new(), Vec::new());
    for (value, (pushed, popped)) in times {
        if pushed == 0 {
            invented.push(format!("{value:?}"));
        } else if popped > pushed {
            duplicated.push(format!("{value:?}"));
        } else if popped < pushed {
            lost.push(format!("{value:?}"));
        }
    }
    let faults: Vec<String> = [
        (lost, "lost"),
        (duplicated, "popped more often than pushed"),
        (invented, "popped but never pushed"),
    ]
    .into_iter()
    .filter(|(values, _)| !values.is_empty())
    .map(|(values, fault)| format!("{} {fault}: {}", counted(values.len()), named(&values)))
    .collect();
    assert!(faults.is_empty(), "{}", faults.join("; "));
}

/// Asserts that one consumer got each producer's values in the order in which they were pushed. `popped` is what it got,
/// in order: the producer and the number of the value, which grows with each push.
///
/// What several consumers got is checked one by one: their pops overlap, so nothing is known of the order among them.
///
/// # Panics
///
/// If a value came out after a later one of the same producer, or twice.
///
/// # Complexity
///
/// O(*n* log *p*) for *p* producers.
#[track_caller]
pub fn assert_fifo_per_producer<P: Ord + Debug, T: Ord + Debug>(popped: &[(P, T)]) {
    let mut latest: BTreeMap<&P, &T> = BTreeMap::new();
    for (producer, value) in popped {
        if let Some(before) = latest.insert(producer, value) {
            assert!(
                before != value,
                "value {value:?} of producer {producer:?} came out twice"
            );
            assert!(
                before < value,
                "value {value:?} of producer {producer:?} came out after its value {before:?}: it was overtaken"
            );
        }
    }
}

/// "1 value was", "2 values were".
pub(super) fn counted(values: usize) -> String {
    match values {
        1 => "1 value was".to_owned(),
        _ => format!("{values} values were"),
    }
}

/// The values one by one; of many the first.
pub(super) fn named(values: &[String]) -> String {
    let shown = values[..values.len().min(NAMED)].join(", ");
    match values.len().saturating_sub(NAMED) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The message `run` panics with.
    fn panic_of(run: impl FnOnce()) -> String {
        message(&*catch_unwind(AssertUnwindSafe(run)).expect_err("it panics"))
    }

    #[test]
    fn every_thread_runs_once_a_round_on_that_rounds_state() {
        let mut next = 0;
        Stress::new(3).rounds(500).run(
            |round| (round, AtomicUsize::new(0)),
            |thread, (round, sum)| {
                sum.fetch_add(thread + 1, Relaxed);
                (thread, *round)
            },
            |(round, sum), results| {
                assert_eq!(round, next);
                assert_eq!(sum.into_inner(), 6);
                assert_eq!(results, [(0, round), (1, round), (2, round)]);
                next += 1;
            },
        );
        assert_eq!(next, 500);
    }

    #[test]
    fn the_threads_of_a_round_overlap() {
        // Each body waits for the others: it ends only if all of them run at the same time.
        Stress::new(4).rounds(20).run(
            |_| AtomicUsize::new(0),
            |_, arrived| {
                arrived.fetch_add(1, Relaxed);
                spin(0, || arrived.load(Relaxed) == 4);
            },
            |_, _| (),
        );
    }

    #[test]
    fn a_panic_in_a_body_names_round_and_thread() {
        let message = panic_of(|| {
            Stress::new(3).rounds(100).run(
                |round| round,
                |thread, &round| assert!(round < 17 || thread != 1, "thread 1 lost its value"),
                |_, _| (),
            );
        });
        assert_eq!(message, "round 17, thread 1: thread 1 lost its value");
    }

    #[test]
    fn a_panic_in_a_body_does_not_wait_for_those_who_wait_for_it() {
        let message = panic_of(|| {
            Stress::new(2).run(
                |_| AtomicBool::new(false),
                |thread, flag| match thread {
                    0 => panic!("never sets the flag"),
                    _ => {
                        while !flag.load(Relaxed) {
                            thread::park();
                        }
                    }
                },
                |_, _| (),
            );
        });
        assert_eq!(message, "round 0, thread 0: never sets the flag");
    }

    #[test]
    fn a_panic_in_setup_or_verify_names_the_round() {
        let stress = Stress::new(2);
        let message = panic_of(|| stress.run(|_| (), |thread, ()| thread, |(), _| panic!("no")));
        assert_eq!(message, "round 0: no");
        let setup = |round| assert!(round < 3, "no more");
        let message = panic_of(|| stress.run(setup, |_, ()| (), |(), _| ()));
        assert_eq!(message, "round 3, setup: no more");
    }

    #[test]
    fn the_threads_are_gone_when_run_returns() {
        struct Flag(Arc<AtomicUsize>);
        impl Drop for Flag {
            fn drop(&mut self) {
                self.0.fetch_add(1, Relaxed);
            }
        }
        thread_local!(static FLAG: std::cell::RefCell<Option<Flag>> = const { std::cell::RefCell::new(None) });
        let gone = Arc::new(AtomicUsize::new(0));
        let seen = Arc::clone(&gone);
        Stress::new(3).rounds(2).run(
            |_| (),
            move |_, ()| {
                FLAG.with(|flag| _ = flag.borrow_mut().get_or_insert(Flag(Arc::clone(&seen))))
            },
            |(), _| (),
        );
        // Two rounds, three threads: the second round found the flag of the first and dropped the new one at once.
        assert_eq!(gone.load(Relaxed), 6);
    }

    #[test]
    fn conservation_names_what_is_wrong() {
        assert_conserved([1, 2, 2], [2, 1, 2]);
        assert_eq!(
            panic_of(|| assert_conserved([1, 2, 3, 4], [2, 2, 4, 7])),
            "2 values were lost: 1, 3; 1 value was popped more often than pushed: 2; 1 value was popped but never pushed: 7"
        );
        assert_eq!(
            panic_of(|| assert_conserved(0..15, 0..0)),
            "15 values were lost: 0, 1, 2, 3, 4, 5, 6, 7, 8, 9 and 5 more"
        );
    }

    #[test]
    fn fifo_holds_within_a_producer_only() {
        assert_fifo_per_producer(&[(0, 1), (1, 1), (1, 2), (0, 5)]);
        assert_eq!(
            panic_of(|| assert_fifo_per_producer(&[(0, 1), (1, 7), (1, 5)])),
            "value 5 of producer 1 came out after its value 7: it was overtaken"
        );
        assert_eq!(
            panic_of(|| assert_fifo_per_producer(&[(0, 1), (0, 1)])),
            "value 1 of producer 0 came out twice"
        );
    }
}
