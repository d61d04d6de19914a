//! The loom world against the axioms: random litmus programs, run through the facade by each engine.
//!
//! No outcome beyond those that the enumerator of `memory-model` finds. With the explorer none is missing, and there are as
//! many executions as consistent graphs. loom works within three preemptions, and may miss one outcome in a thousand.
//!
//! Programs for which the enumerator has too much to do are left out, and counted. The programs come from a fixed seed;
//! `KATA_SEED=7 KATA_PROGRAMS=5000 cargo test -p kata --features check,loom --test differential` tries others, so many of each
//! profile and shape.
#![cfg(feature = "loom")]

use kata::check::cpp20::random::{PROFILES, Profile, Random, program, setting};
use kata::check::cpp20::{Cycles, Model, Op, Outcome, Program, Total, Value};
use kata::check::{Exhaustive, Extent};
use kata::sync::atomic::{AtomicU32, Ordering::Relaxed, fence};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

const RC11: Model = Model {
    total: Total::Rc11,
    cycles: Cycles::Forbidden,
};

/// The most candidates, and the most ways to them, that the enumerator goes through for one program.
const CANDIDATES: usize = 20_000;

type Registers = BTreeMap<&'static str, u32>;
type Locations = BTreeMap<&'static str, AtomicU32>;

/// Does what a thread of the program does.
fn run(ops: &[Op], locations: &Locations, registers: &mut Registers) {
    for op in ops {
        match op {
            Op::Load {
                location,
                order,
                into,
            } => {
                registers.insert(into, locations[location].load(*order));
            }
            Op::Store {
                location,
                value,
                order,
            } => {
                let value = match value {
                    Value::Constant(value) => *value,
                    Value::Register(register) => registers[register],
                };
                locations[location].store(value, *order);
            }
            Op::FetchAdd {
                location,
                operand,
                order,
                into,
            } => {
                registers.insert(into, locations[location].fetch_add(*operand, *order));
            }
            Op::CompareExchange {
                location,
                current,
                new,
                success,
                failure,
                into,
            } => {
                let outcome =
                    locations[location].compare_exchange(*current, *new, *success, *failure);
                registers.insert(into, outcome.unwrap_or_else(|found| found));
            }
            Op::Fence(order) => order.iter().for_each(|&order| fence(order)),
            Op::When { register, is, then } => {
                if registers[register] == *is {
                    run(then, locations, registers);
                }
            }
        }
    }
}

/// The outcomes of the executions that an engine explores, how many those are, and whether they are all.
fn explore(exhaustive: Exhaustive, program: &Program) -> (BTreeSet<Outcome>, usize, bool) {
    let outcomes = Arc::new(Mutex::new(BTreeSet::new()));
    let found = Arc::clone(&outcomes);
    let program = program.clone();
    let coverage = exhaustive.explore(move || {
        let locations: Locations = program
            .locations()
            .into_iter()
            .map(|name| (name, AtomicU32::new(0)))
            .collect();
        let locations = kata::sync::Arc::new(locations);
        let threads: Vec<_> = program
            .threads()
            .iter()
            .map(|thread| {
                let (ops, locations) = (thread.ops.clone(), locations.clone());
                kata::thread::spawn(move || {
                    let mut registers = Registers::new();
                    run(&ops, &locations, &mut registers);
                    registers
                })
            })
            .collect();
        let mut values = Registers::new();
        for thread in threads {
            values.extend(thread.join().unwrap());
        }
        // Everything happens before these loads: they see the last stores.
        values.extend(
            locations
                .iter()
                .map(|(&name, value)| (name, value.load(Relaxed))),
        );
        found.lock().unwrap().insert(values.into_iter().collect());
    });
    let coverage = coverage.unwrap_or_else(|report| panic!("{}", report.text));
    let outcomes = outcomes.lock().unwrap().clone();
    (
        outcomes,
        coverage.executions,
        coverage.extent == Extent::All,
    )
}

/// What was compared.
#[derive(Default)]
struct Compared {
    programs: usize,
    outcomes: usize,
    missing: usize,
    executions: usize,
}

/// Compares an engine with the axioms, on so many programs of each profile.
fn compare(by_loom: bool, threads: usize, most: usize, programs: usize) {
    let seed = setting("KATA_SEED", 1);
    let programs = setting("KATA_PROGRAMS", programs);
    let mut random = Random(seed as u64);
    for profile in &PROFILES {
        let mut compared = Compared::default();
        for number in 0..programs {
            let program = program(&mut random, profile, threads, most);
            if program.is_small(CANDIDATES) {
                one(by_loom, &program, profile, (seed, number), &mut compared);
            }
        }
        let Compared {
            programs: used,
            outcomes,
            missing,
            executions,
        } = compared;
        println!(
            "{threads} threads of up to {most}, {}: {used} programs, {outcomes} outcomes, {missing} missing, \
             {executions} executions",
            profile.name
        );
        assert!(
            2 * used >= programs && outcomes > used,
            "{}: {used} of {programs} programs decide little",
            profile.name
        );
        assert!(
            missing * 1_000 <= outcomes,
            "{}: {missing} of {outcomes} outcomes are missing",
            profile.name
        );
    }
}

fn one(
    by_loom: bool,
    program: &Program,
    profile: &Profile,
    (seed, number): (usize, usize),
    compared: &mut Compared,
) {
    let Some(allowed) = program.outcomes_of(RC11, CANDIDATES) else {
        return;
    };
    let exhaustive = if by_loom {
        Exhaustive::new().step_by_step().executions(usize::MAX)
    } else {
        Exhaustive::new()
    };
    let (found, executions, complete) = explore(exhaustive, program);
    let said = || {
        format!(
            "seed {seed}, {}, program {number}\n{}",
            profile.name, program
        )
    };
    let beyond: Vec<_> = found.difference(&allowed).collect();
    assert!(beyond.is_empty(), "forbidden: {beyond:?}, {}", said());
    let missing: Vec<_> = allowed.difference(&found).collect();
    if !by_loom {
        assert!(missing.is_empty(), "missing: {missing:?}, {}", said());
        let graphs = program.explore(1_000_000, |_, _| ()).executions;
        assert!(
            complete && executions == graphs,
            "{executions} executions, and there are {graphs} graphs, {}",
            said()
        );
    }
    compared.programs += 1;
    compared.outcomes += allowed.len();
    compared.missing += missing.len();
    compared.executions += executions;
}

#[test]
fn the_explorer_finds_every_execution_of_two_threads() {
    compare(false, 2, 3, 400);
    compare(false, 2, 4, 150);
}

#[test]
fn the_explorer_finds_every_execution_of_three_and_four_threads() {
    compare(false, 3, 2, 150);
    compare(false, 3, 3, 60);
    compare(false, 4, 2, 40);
}

#[test]
fn loom_and_the_axioms_find_nothing_that_is_forbidden() {
    compare(true, 2, 3, 60);
    compare(true, 3, 2, 3);
}
