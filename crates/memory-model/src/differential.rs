//! The explorer against the enumerator, on random programs: the same outcomes, as many executions, none of them twice.
//!
//! Programs for which the enumerator would have to go through more than [`CANDIDATES`] are left out, and counted.
//!
//! The programs come from a fixed seed. `KATA_SEED=7 KATA_PROGRAMS=5000 cargo test -p memory-model differential` tries others,
//! so many of each profile and shape.

use super::program::{Op, Program, compare_exchange, fence, fetch_add, load, store, when};
use super::{Cycles, Model, Total, execution};
use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::sync::atomic::Ordering::{self, AcqRel, Acquire, Relaxed, Release, SeqCst};

/// What a profile makes often.
#[derive(Clone, Copy, Debug)]
struct Profile {
    name: &'static str,
    loads: &'static [Ordering],
    stores: &'static [Ordering],
    modifications: &'static [Ordering],
    fences: &'static [Ordering],
    /// Of ten operations: loads, stores, read-modify-writes. The rest are fences.
    shares: [usize; 3],
    locations: usize,
}

const PROFILES: [Profile; 4] = [
    Profile {
        name: "weak orderings",
        loads: &[Relaxed, Acquire],
        stores: &[Relaxed, Release],
        modifications: &[Relaxed, Acquire, Release, AcqRel],
        fences: &[Acquire, Release, AcqRel],
        shares: [4, 4, 1],
        locations: 2,
    },
    Profile {
        name: "mixed with SeqCst",
        loads: &[Relaxed, Acquire, SeqCst, SeqCst],
        stores: &[Relaxed, Release, SeqCst, SeqCst],
        modifications: &[Relaxed, AcqRel, SeqCst],
        fences: &[AcqRel, SeqCst],
        shares: [4, 4, 1],
        locations: 2,
    },
    Profile {
        name: "fences",
        loads: &[Relaxed, SeqCst],
        stores: &[Relaxed, SeqCst],
        modifications: &[Relaxed, SeqCst],
        fences: &[Acquire, Release, AcqRel, SeqCst, SeqCst],
        shares: [3, 3, 1],
        locations: 2,
    },
    Profile {
        name: "read-modify-writes on one location",
        loads: &[Relaxed, Acquire, SeqCst],
        stores: &[Relaxed, Release, SeqCst],
        modifications: &[Relaxed, Acquire, Release, AcqRel, SeqCst],
        fences: &[AcqRel, SeqCst],
        shares: [2, 3, 5],
        locations: 1,
    },
];

/// Sebastiano Vigna's SplitMix64: small, and the same on every machine.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit as u64) as usize
    }

    fn pick<T: Copy>(&mut self, items: &[T]) -> T {
        items[self.below(items.len())]
    }
}

const LOCATIONS: [&str; 2] = ["x", "y"];
const REGISTERS: [&str; 16] = [
    "r0", "r1", "r2", "r3", "r4", "r5", "r6", "r7", "r8", "r9", "r10", "r11", "r12", "r13", "r14",
    "r15",
];
const THREADS: [&str; 4] = ["P0", "P1", "P2", "P3"];

/// A program of so many threads with up to so many operations each.
fn program(random: &mut Random, profile: &Profile, threads: usize, most: usize) -> Program {
    let mut registers = REGISTERS.into_iter();
    let mut constants = 1..;
    // One sum at most: the enumerator tries every value that a load might see, and sums of sums are many.
    let sums = usize::from(profile.locations > 1 && threads * most < 8);
    let mut operands = std::iter::repeat_n(10, sums).chain(std::iter::repeat(0));
    let mut program = Program::new();
    for name in &THREADS[..threads] {
        let mut ops: Vec<Op> = Vec::new();
        let mut last = None;
        for _ in 0..1 + random.below(most) {
            let location = random.pick(&LOCATIONS[..profile.locations]);
            let [loads, stores, modifications] = profile.shares;
            let kind = random.below(10);
            let op = if kind < loads {
                let into = registers.next().expect("enough registers");
                last = Some(into);
                load(location, random.pick(profile.loads), into)
            } else if kind < loads + stores {
                let order = random.pick(profile.stores);
                // Now and then what was read is passed on.
                match last.filter(|_| random.below(6) == 0) {
                    Some(register) => store(location, register, order),
                    None => store(location, constants.next().expect("endless"), order),
                }
            } else if kind < loads + stores + modifications {
                let into = registers.next().expect("enough registers");
                last = Some(into);
                let order = random.pick(profile.modifications);
                if random.below(2) == 0 {
                    fetch_add(location, operands.next().expect("endless"), order, into)
                } else {
                    let failure = match order {
                        SeqCst => random.pick(&[SeqCst, Acquire]),
                        Acquire | AcqRel => random.pick(&[Acquire, Relaxed]),
                        _ => Relaxed,
                    };
                    let current = random.pick(&[0, 1, 10]);
                    let new = constants.next().expect("endless");
                    compare_exchange(location, [current, new], [order, failure], into)
                }
            } else {
                fence(random.pick(profile.fences))
            };
            // Now and then it depends on what was read before.
            let condition = last.filter(|_| ops.len() > 1 && random.below(8) == 0);
            ops.push(match (condition, &op) {
                (Some(register), Op::Store { .. } | Op::Fence(_)) => {
                    when(register, random.pick(&[0, 1]), [op])
                }
                _ => op,
            });
        }
        program = program.thread(name, ops);
    }
    program
}

fn listing(program: &Program) -> String {
    let threads = program.threads().iter().map(|thread| {
        let ops: Vec<String> = thread.ops.iter().map(ToString::to_string).collect();
        format!("{}: {}", thread.name, ops.join("; "))
    });
    threads.collect::<Vec<_>>().join("\n")
}

fn setting(name: &str, otherwise: usize) -> usize {
    std::env::var(name).map_or(otherwise, |text| text.parse().expect("a number"))
}

const RC11: Model = Model {
    total: Total::Rc11,
    cycles: Cycles::Forbidden,
};

/// The most candidates, and the most ways to them, that the enumerator goes through for one program: a few have millions.
const CANDIDATES: usize = 20_000;

/// Compares the two on `programs` programs, and returns how many programs and how many executions were compared.
fn compare(profile: &Profile, threads: usize, most: usize, programs: usize) -> (usize, usize) {
    let seed = setting("KATA_SEED", 1);
    let mut random = Random(seed as u64);
    let (mut compared, mut executions) = (0, 0);
    for number in 0..setting("KATA_PROGRAMS", programs) {
        let program = program(&mut random, profile, threads, most);
        let (mut candidates, mut allowed) = (0, 0);
        let mut outcomes = BTreeSet::new();
        if execution::ways(&program) > CANDIDATES {
            continue;
        }
        execution::candidates(&program, &|_| true, &mut |execution| {
            if execution.is_consistent(RC11) {
                allowed += 1;
                outcomes.insert(execution.outcome.clone());
            }
            candidates += 1;
            if candidates < CANDIDATES {
                ControlFlow::Continue(())
            } else {
                ControlFlow::Break(())
            }
        });
        let mut seen = BTreeSet::new();
        let found = program.explore(1_000_000, |graph, _| {
            assert!(
                seen.insert(graph.key()),
                "an execution was explored twice: seed {seed}, {}, program {number}\n{}",
                profile.name,
                listing(&program)
            );
        });
        if candidates == CANDIDATES {
            continue;
        }
        assert!(
            found.complete && found.outcomes == outcomes && found.executions == allowed,
            "seed {seed}, {}, program {number}: {} executions, {allowed} are allowed; beyond: {:?}; missing: {:?}\n{}",
            profile.name,
            found.executions,
            found.outcomes.difference(&outcomes).collect::<Vec<_>>(),
            outcomes.difference(&found.outcomes).collect::<Vec<_>>(),
            listing(&program)
        );
        compared += 1;
        executions += found.executions;
    }
    (compared, executions)
}

/// A program with a single execution shows little, and one that was left out nothing: there must be enough of both.
fn agree(threads: usize, most: usize, programs: usize) {
    for profile in &PROFILES {
        let (compared, executions) = compare(profile, threads, most, programs);
        println!(
            "{threads} threads of up to {most}, {}: {compared} programs, {executions} executions",
            profile.name
        );
        assert!(
            2 * compared >= setting("KATA_PROGRAMS", programs) && executions > compared,
            "{}: {compared} of {programs} programs with {executions} executions decide little",
            profile.name
        );
    }
}

#[test]
fn differential_two_threads_of_three() {
    agree(2, 3, 500);
}

#[test]
fn differential_two_threads_of_four() {
    agree(2, 4, 200);
}

#[test]
fn differential_three_threads_of_two() {
    agree(3, 2, 300);
}

#[test]
fn differential_three_threads_of_three() {
    agree(3, 3, 60);
}

#[test]
fn differential_four_threads_of_two() {
    agree(4, 2, 60);
}

/// Two read-modify-writes that leave the value as it is may seem to read each other: a candidate, and no execution.
#[test]
fn read_modify_writes_that_read_each_other_are_no_execution() {
    let program = ["a", "b"]
        .into_iter()
        .zip(THREADS)
        .fold(Program::new(), |program, (register, thread)| {
            program.thread(thread, [fetch_add("x", 0, SeqCst, register)])
        });
    let outcomes = program.outcomes(RC11);
    assert_eq!(outcomes.len(), 1, "both read 0: {outcomes:?}");
    assert_eq!(program.explore(10, |_, _| ()).executions, 2);
}

/// A budget that runs out is said to have run out.
#[test]
fn a_budget_that_runs_out_is_said() {
    let [one, two] = [1, 2].map(|value| vec![store("x", value, Relaxed)]);
    let program = Program::new().thread("P0", one).thread("P1", two);
    let all = program.explore(2, |_, _| ());
    assert!(all.complete && all.executions == 2);
    let some = program.explore(1, |_, _| ());
    assert!(!some.complete && some.executions == 1);
}
