//! The explorer against the enumerator, on random programs: the same outcomes, as many executions, none of them twice.
//!
//! Programs for which the enumerator would have to go through more than [`CANDIDATES`] are left out, and counted.
//!
//! The programs come from a fixed seed. `KATA_SEED=7 KATA_PROGRAMS=5000 cargo test -p memory-model differential` tries others,
//! so many of each profile and shape.

use super::program::{Op, Program, fetch_add, store};
use super::random::{PROFILES, Profile, Random, THREADS, program, setting};
use super::{Cycles, EventId, Fence, Graph, Kind, Model, Remedied, Remedy, Side, Total, execution};
use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::sync::atomic::Ordering::{Relaxed, SeqCst};

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
        if !program.is_small(CANDIDATES) {
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
                program
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
            program
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

/// What is stronger: an operation is SeqCst, or a fence stands behind it.
#[derive(Clone, Copy, Debug)]
enum Stronger {
    Operation,
    Fence,
}

/// The program with one operation of a thread stronger.
fn stronger(program: Program, thread: usize, number: usize, what: Stronger) -> Program {
    let mut threads = program.threads().to_vec();
    let ops = &mut threads[thread].ops;
    match (what, &mut ops[number]) {
        (Stronger::Fence, _) => ops.insert(number + 1, Op::Fence(Some(SeqCst))),
        (
            _,
            Op::CompareExchange {
                success, failure, ..
            },
        ) => [*success, *failure] = [SeqCst; 2],
        (
            _,
            Op::Load { order, .. }
            | Op::Store { order, .. }
            | Op::FetchAdd { order, .. }
            | Op::Fence(Some(order)),
        ) => *order = SeqCst,
        (_, Op::Fence(None) | Op::When { .. }) => unreachable!("they are left out"),
    }
    let whole = |program: Program, thread: super::Thread| program.thread(thread.name, thread.ops);
    threads.into_iter().fold(Program::new(), whole)
}

/// The event of an operation.
fn event(graph: &Graph, thread: usize, number: usize) -> EventId {
    let exclusive = Kind::Store { exclusive: true };
    let events = graph.events(thread).iter().enumerate();
    let mut ops = events.filter(|(_, event)| event.kind != exclusive);
    let (place, _) = ops.nth(number).expect("an event for each operation");
    EventId::new(thread, place)
}

/// The axioms of the enumerator come to the same conclusions as the graph.
fn recheck(remedied: &Remedied, remedy: &Remedy) {
    let again = remedied.recheck().expect("it is small");
    assert_eq!(
        (remedied.is_consistent(), remedy),
        (again.is_consistent(), remedy),
        "{remedied:?}"
    );
    let moments =
        |thread: usize| (0..=remedied.around[thread].len()).map(move |place| (thread, place));
    for (before, after) in [(0, 1), (1, 0)] {
        for before in moments(before) {
            for after in moments(after) {
                assert_eq!(
                    (remedied.orders(before, after), before, after),
                    (again.orders(before, after), before, after),
                    "{remedy:?} {remedied:?}"
                );
            }
        }
    }
}

/// What a remedy forbids is what the program with it does not do any more.
#[test]
fn differential_remedies() {
    let mut random = Random(setting("KATA_SEED", 1) as u64);
    let (mut tried, mut forbidden) = (0, 0);
    for profile in &PROFILES {
        for number in 0..setting("KATA_PROGRAMS", 600) {
            let program = program(&mut random, profile, 2, 3);
            let threads = program.threads().iter();
            // Each operation has to be an event.
            let whole = |op: &Op| !matches!(op, Op::When { .. } | Op::Fence(None));
            if !threads.flat_map(|thread| &thread.ops).all(whole) {
                continue;
            }
            let mut graphs = Vec::new();
            program.explore(1_000_000, |graph, _| graphs.push(graph.clone()));
            let [left, right] = [0, 1].map(|thread| program.threads()[thread].ops.len());
            for (left, right) in
                (0..left).flat_map(|left| (0..right).map(move |right| (left, right)))
            {
                for what in [Stronger::Operation, Stronger::Fence] {
                    let remains = |graph: &&Graph| {
                        let events = [event(graph, 0, left), event(graph, 1, right)];
                        let mut remedy = Remedy::default();
                        match what {
                            Stronger::Operation => {
                                remedy.orders = events.map(|event| (event, SeqCst)).to_vec()
                            }
                            Stronger::Fence => {
                                let after = |beside| Fence {
                                    beside,
                                    side: Side::After,
                                    order: SeqCst,
                                };
                                remedy.fences = events.map(after).to_vec();
                            }
                        }
                        let remedied = graph.remedied(&remedy);
                        recheck(&remedied, &remedy);
                        remedied.is_consistent()
                    };
                    let remain = graphs.iter().filter(remains).count();
                    let strong = stronger(program.clone(), 0, left, what);
                    let strong = stronger(strong, 1, right, what);
                    assert_eq!(
                        remain,
                        strong.explore(1_000_000, |_, _| {}).executions,
                        "{}, program {number}, operations {left} and {right}, {what:?}\n{}",
                        profile.name,
                        program
                    );
                    tried += 1;
                    forbidden += graphs.len() - remain;
                }
            }
        }
    }
    assert!(
        forbidden > 200,
        "{tried} remedies forbid {forbidden} executions: that shows little"
    );
}
