//! The two engines of the loom world against each other: random programs that wait.
//!
//! Two threads work beside each other on atomics and on what a mutex guards; one raises flags, the other one waits for them,
//! by a spin hint, by `yield_now`, by parking or on a condition variable, also for a limited time. No flag is waited for that is not raised, so every
//! execution comes to its end. loom finds no outcome that the explorer does not find, and of those it misses at most one in a
//! hundred: it works within three preemptions.
//!
//! The programs come from a fixed seed; `KATA_SEED=7 KATA_PROGRAMS=500 cargo test -p kata --features check,loom --test waiting`
//! tries others.
#![cfg(feature = "loom")]

use kata::check::cpp20::random::{Random, setting};
use kata::check::{Exhaustive, Extent};
use kata::sync::atomic::{
    AtomicBool, AtomicU32, Ordering, Ordering::Acquire, Ordering::Relaxed, Ordering::Release,
    Ordering::SeqCst,
};
use kata::sync::{Arc, Condvar, Mutex};
use kata::thread::{self, Thread};
use std::collections::BTreeSet;
use std::time::Duration;

/// How one thread waits for a flag of the other one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wait {
    Spin,
    Yield,
    Park,
    Condvar,
    /// On a condition variable, first for a limited time.
    Limited,
}

const WAITS: [Wait; 5] = [
    Wait::Spin,
    Wait::Yield,
    Wait::Park,
    Wait::Condvar,
    Wait::Limited,
];

/// No clock runs in a model.
const LIMIT: Duration = Duration::from_secs(1);

#[derive(Clone, Copy, Debug)]
enum Op {
    Store(usize, u32, Ordering),
    Load(usize, Ordering),
    /// Adds one to what the mutex guards.
    Add,
    Raise(usize),
    Await(usize),
}

impl Op {
    /// Anything but to wait and to end a wait.
    fn random(random: &mut Random) -> Self {
        let word = random.below(2);
        match random.below(4) {
            0 | 1 => {
                let value = 1 + random.below(2) as u32;
                Self::Store(word, value, [Relaxed, Release, SeqCst][random.below(3)])
            }
            2 => Self::Load(word, [Relaxed, Acquire, SeqCst][random.below(3)]),
            _ => Self::Add,
        }
    }
}

#[derive(Clone, Debug)]
struct Program {
    /// How each flag is waited for.
    flags: Vec<Wait>,
    worker: Vec<Op>,
    waiter: Vec<Op>,
}

impl Program {
    fn random(random: &mut Random) -> Self {
        let mut flags: Vec<Wait> = (0..1 + random.below(2))
            .map(|_| WAITS[random.below(WAITS.len())])
            .collect();
        // To the explorer time runs out once at each place in the source.
        if flags == [Wait::Limited; 2] {
            flags[1] = Wait::Condvar;
        }
        let threads = [Op::Raise, Op::Await].map(|meet| {
            let mut ops = Vec::new();
            for flag in 0..=flags.len() {
                (0..random.below(3)).for_each(|_| ops.push(Op::random(random)));
                if flag < flags.len() {
                    ops.push(meet(flag));
                }
            }
            ops.push(Op::Load(random.below(2), Relaxed));
            ops
        });
        let [worker, waiter] = threads;
        Self {
            flags,
            worker,
            waiter,
        }
    }
}

struct Shared {
    words: [AtomicU32; 2],
    guarded: Mutex<u32>,
    flags: [AtomicBool; 2],
    gates: [(Mutex<bool>, Condvar); 2],
}

impl Shared {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            words: [AtomicU32::new(0), AtomicU32::new(0)],
            guarded: Mutex::new(0),
            flags: [AtomicBool::new(false), AtomicBool::new(false)],
            gates: [(); 2].map(|()| (Mutex::new(false), Condvar::new())),
        })
    }

    fn run(&self, program: &Program, ops: &[Op], waiter: Option<&Thread>) -> Vec<u32> {
        let mut seen = Vec::new();
        for op in ops {
            match *op {
                Op::Store(word, value, order) => self.words[word].store(value, order),
                Op::Load(word, order) => seen.push(self.words[word].load(order)),
                Op::Add => {
                    let mut guarded = self.guarded.lock().unwrap();
                    *guarded += 1;
                    seen.push(*guarded);
                }
                Op::Raise(flag) => match program.flags[flag] {
                    Wait::Condvar | Wait::Limited => {
                        *self.gates[flag].0.lock().unwrap() = true;
                        self.gates[flag].1.notify_one();
                    }
                    how => {
                        self.flags[flag].store(true, Release);
                        if how == Wait::Park {
                            waiter.expect("somebody waits").unpark();
                        }
                    }
                },
                Op::Await(flag) => match program.flags[flag] {
                    how @ (Wait::Condvar | Wait::Limited) => {
                        let (open, opened) = &self.gates[flag];
                        let mut open = open.lock().unwrap();
                        if how == Wait::Limited && !*open {
                            let (again, ended) = opened.wait_timeout(open, LIMIT).unwrap();
                            seen.push(ended.timed_out().into());
                            open = again;
                        }
                        drop(opened.wait_while(open, |open| !*open).unwrap());
                    }
                    how => {
                        while !self.flags[flag].load(Acquire) {
                            match how {
                                Wait::Spin => kata::hint::spin_loop(),
                                Wait::Yield => thread::yield_now(),
                                _ => thread::park(),
                            }
                        }
                    }
                },
            }
        }
        seen
    }
}

/// What both threads see in each execution, how many executions those are, and of which they are all.
fn explore(exhaustive: Exhaustive, program: &Program) -> (BTreeSet<Vec<u32>>, usize, Extent) {
    let outcomes = std::sync::Arc::new(std::sync::Mutex::new(BTreeSet::new()));
    let found = std::sync::Arc::clone(&outcomes);
    let program = program.clone();
    let coverage = exhaustive.explore(move || {
        let shared = Shared::new();
        let me = thread::current();
        let worker = {
            let (shared, program) = (shared.clone(), program.clone());
            thread::spawn(move || shared.run(&program, &program.worker, Some(&me)))
        };
        let mut seen = shared.run(&program, &program.waiter, None);
        seen.extend(worker.join().unwrap());
        found.lock().unwrap().insert(seen);
    });
    let coverage = coverage.unwrap_or_else(|report| panic!("{}", report.text));
    let outcomes = outcomes.lock().unwrap().clone();
    (outcomes, coverage.executions, coverage.extent)
}

#[test]
fn the_engines_agree_on_programs_that_wait() {
    let seed = setting("KATA_SEED", 1);
    let programs = setting("KATA_PROGRAMS", 60);
    let mut random = Random(seed as u64);
    let (mut all, mut missing, mut counts) = (0, 0, [0, 0]);
    for number in 0..programs {
        let program = Program::random(&mut random);
        let (exact, executions, extent) = explore(Exhaustive::new(), &program);
        assert_eq!(
            extent,
            Extent::All,
            "seed {seed}, program {number}: {program:?}"
        );
        let by_loom = Exhaustive::new().step_by_step().executions(usize::MAX);
        let (proposed, tried, _) = explore(by_loom, &program);
        let beyond: Vec<_> = proposed.difference(&exact).collect();
        assert!(
            beyond.is_empty(),
            "only loom finds {beyond:?}: seed {seed}, program {number}: {program:?}"
        );
        all += exact.len();
        missing += exact.difference(&proposed).count();
        counts[0] += executions;
        counts[1] += tried;
    }
    println!(
        "{programs} programs, {all} outcomes, of which loom misses {missing}; {} executions by the explorer, {} by loom",
        counts[0], counts[1]
    );
    assert!(
        all > 2 * programs,
        "{all} outcomes of {programs} programs decide little"
    );
    assert!(
        missing * 100 <= all,
        "loom misses {missing} of {all} outcomes"
    );
}
