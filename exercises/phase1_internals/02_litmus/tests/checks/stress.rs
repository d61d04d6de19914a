//! The programs on this machine, as fast as it goes.
//!
//! Shows what the hardware does: run with `--nocapture` to see how often each outcome came up, with your orderings and
//! with none. The counts are never graded. Decides only what is certain: that no outcome is lost, and that none is seen
//! which the model forbids. On x86 that is next to nothing: of all these outcomes it shows the one of SB alone.

use std::collections::BTreeMap;
use std::hint;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::Relaxed;
use std::thread;

use super::programs::{Litmus, Memory, never, outcome, possible};
use kata::check::Stress;
use kata::check::cpp20::{Cycles, Model, Outcome, Total};

const ROUNDS: usize = 20;
/// Runs of the program in a round: starting the threads takes longer than running it.
const RUNS: usize = 100;

/// What real processors are held to: see `Total::Standard` on why this is not the letter of C++20.
const MACHINE: Model = Model {
    total: Total::Rc11,
    cycles: Cycles::WithoutDependencies,
};

/// One run of the program, and the line its threads start from.
struct Run {
    memory: Memory,
    here: AtomicUsize,
}

impl Run {
    fn new() -> Self {
        Self {
            memory: Memory::new(),
            here: AtomicUsize::new(0),
        }
    }

    /// Waits until all are here. Relaxed: it is about time only and must not order what the program does.
    fn start(&self, threads: usize) {
        self.here.fetch_add(1, Relaxed);
        let mut looks = 0;
        while self.here.load(Relaxed) < threads {
            looks += 1;
            if looks % 1_000 == 0 {
                thread::yield_now();
            }
            hint::spin_loop();
        }
    }
}

fn histogram<L: Litmus>(choice: L) -> BTreeMap<Outcome, usize> {
    let program = choice.program();
    let mut seen = BTreeMap::new();
    Stress::new(L::THREADS).rounds(ROUNDS).run(
        |_round| (0..RUNS).map(|_| Run::new()).collect::<Vec<_>>(),
        move |thread, runs: &Vec<Run>| -> Vec<_> {
            let run = |run: &Run| {
                run.start(L::THREADS);
                choice.run(thread, &run.memory)
            };
            runs.iter().map(run).collect()
        },
        |runs, read| {
            for (number, run) in runs.iter().enumerate() {
                let read: Vec<_> = read.iter().map(|thread| thread[number]).collect();
                *seen
                    .entry(outcome(&program, &read, &run.memory))
                    .or_default() += 1;
            }
        },
    );
    seen
}

fn print<L: Litmus>(how: &str, seen: &BTreeMap<Outcome, usize>) {
    println!("{} {how}, on this {}:", L::NAME, std::env::consts::ARCH);
    for (outcome, times) in seen {
        let mark = if outcome.is(L::NEVER) {
            "  <- must never be"
        } else {
            ""
        };
        println!("{times:>9}  {outcome}{mark}");
    }
}

fn this_machine_stays_within_the_model<L: Litmus>(choice: fn() -> L) {
    let choice = possible(choice);
    let seen = histogram(choice);
    print::<L>("with your orderings", &seen);
    print::<L>("with none", &histogram(L::WEAKEST));

    assert_eq!(
        seen.values().sum::<usize>(),
        ROUNDS * RUNS,
        "{}: runs and outcomes do not add up",
        L::NAME
    );
    for (outcome, times) in &seen {
        assert!(
            !outcome.is(L::NEVER),
            "{}: {} was seen {times} times in {} runs on this very machine: {}",
            L::NAME,
            never::<L>(),
            ROUNDS * RUNS,
            L::SUFFERS
        );
    }
    let allowed = choice.program().outcomes(MACHINE);
    for (outcome, times) in &seen {
        assert!(
            allowed.contains(outcome),
            "{}: {outcome} was seen {times} times, and the memory model forbids it",
            L::NAME
        );
    }
}

mod this_machine_stays_within_the_model {
    each! { super::this_machine_stays_within_the_model }
}
