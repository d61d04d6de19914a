//! The enumerator against verdicts that others have published, and against what must hold of any such model.
//!
//! - **\[L\]** Lahav, Vafeiadis, Kang, Hur, Dreyer: "Repairing Sequential Consistency in C/C++11" (PLDI 2017), its figures.
//!   The tests of the Dartagnan verifier (`benchmarks/rc11`) state the same verdicts of the same programs.
//! - **\[A\]** Alglave, Maranget, Tautschnig: "Herding Cats" (TOPLAS 2014): the shapes, their names, and the barriers that
//!   forbid them.
//! - **\[B\]** Batty, Owens, Sarkar, Sewell, Weber: "Mathematizing C++ Concurrency" (POPL 2011) and Batty, Donaldson,
//!   Wickerson: "Overhauling SC Atomics in C11 and OpenCL" (POPL 2016), whose models herd runs.
//! - **\[S\]** N4861 itself: the examples and notes of \[intro.races\] and \[atomics.order\], and \[diff.cpp17.basic\].
//! - **by hand**: a variant nobody has published, argued from the rules.
//!
//! Where the standard and RC11 differ, the row says so.

use super::{
    Cycles, Model, Op, Outcome, Program, Total, compare_exchange, fence, fetch_add, load, store,
    when,
};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::Ordering::{self, AcqRel, Acquire, Relaxed, Release, SeqCst};

const RC11: Model = Model {
    total: Total::Rc11,
    cycles: Cycles::Forbidden,
};

fn threads<const N: usize>(threads: [Vec<Op>; N]) -> Program {
    let names = ["P0", "P1", "P2", "P3"];
    let numbered = names.into_iter().zip(threads);
    numbered.fold(Program::new(), |program, (name, ops)| {
        program.thread(name, ops)
    })
}

type Ends = &'static [(&'static str, u32)];

fn mp([d, f, g, e]: [Ordering; 4]) -> (Program, Ends) {
    let writer = vec![store("x", 1, d), store("y", 1, f)];
    let reader = vec![load("y", g, "a"), load("x", e, "b")];
    (threads([writer, reader]), &[("a", 1), ("b", 0)])
}

/// Message passing by fences.
fn mp_fences(write: Option<Ordering>, read: Option<Ordering>) -> (Program, Ends) {
    let writer = vec![store("x", 1, Relaxed), fence(write), store("y", 1, Relaxed)];
    let reader = vec![
        load("y", Relaxed, "a"),
        fence(read),
        load("x", Relaxed, "b"),
    ];
    (threads([writer, reader]), &[("a", 1), ("b", 0)])
}

fn sb(s: Ordering, [one, two]: [Option<Ordering>; 2], l: Ordering) -> (Program, Ends) {
    let one = vec![store("x", 1, s), fence(one), load("y", l, "a")];
    let two = vec![store("y", 1, s), fence(two), load("x", l, "b")];
    (threads([one, two]), &[("a", 0), ("b", 0)])
}

fn lb([a, b]: [Ordering; 2], [c, d]: [Ordering; 2]) -> (Program, Ends) {
    let one = vec![load("x", a, "a"), store("y", 1, b)];
    let two = vec![load("y", c, "b"), store("x", 1, d)];
    (threads([one, two]), &[("a", 1), ("b", 1)])
}

fn wrc([s, l, t, m, n]: [Ordering; 5]) -> (Program, Ends) {
    let program = threads([
        vec![store("x", 1, s)],
        vec![load("x", l, "a"), store("y", 1, t)],
        vec![load("y", m, "b"), load("x", n, "c")],
    ]);
    (program, &[("a", 1), ("b", 1), ("c", 0)])
}

fn iriw(
    s: Ordering,
    first: Ordering,
    between: Option<Ordering>,
    second: Ordering,
) -> (Program, Ends) {
    let program = threads([
        vec![store("x", 1, s)],
        vec![store("y", 1, s)],
        vec![
            load("x", first, "a"),
            fence(between),
            load("y", second, "b"),
        ],
        vec![
            load("y", first, "c"),
            fence(between),
            load("x", second, "d"),
        ],
    ]);
    (program, &[("a", 1), ("b", 0), ("c", 1), ("d", 0)])
}

fn two_plus_two_w(o: Ordering, between: Option<Ordering>) -> (Program, Ends) {
    let one = vec![store("x", 1, o), fence(between), store("y", 2, o)];
    let two = vec![store("y", 1, o), fence(between), store("x", 2, o)];
    (threads([one, two]), &[("x", 1), ("y", 1)])
}

fn r(o: Ordering, between: Option<Ordering>, l: Ordering) -> (Program, Ends) {
    let one = vec![store("x", 1, o), fence(between), store("y", 1, o)];
    let two = vec![store("y", 2, o), fence(between), load("x", l, "a")];
    (threads([one, two]), &[("y", 2), ("a", 0)])
}

fn s(o: Ordering, l: Ordering) -> (Program, Ends) {
    let one = vec![store("x", 2, Relaxed), store("y", 1, o)];
    let two = vec![load("y", l, "a"), store("x", 1, Relaxed)];
    (threads([one, two]), &[("a", 1), ("x", 2)])
}

fn isa2([s, l, t, m]: [Ordering; 4]) -> (Program, Ends) {
    let program = threads([
        vec![store("x", 1, Relaxed), store("y", 1, s)],
        vec![load("y", l, "a"), store("z", 1, t)],
        vec![load("z", m, "b"), load("x", Relaxed, "c")],
    ]);
    (program, &[("a", 1), ("b", 1), ("c", 0)])
}

fn rwc(o: Ordering, between: Option<Ordering>, l: Ordering) -> (Program, Ends) {
    let program = threads([
        vec![store("x", 1, o)],
        vec![load("x", l, "a"), fence(between), load("y", l, "b")],
        vec![store("y", 1, o), fence(between), load("x", l, "c")],
    ]);
    (program, &[("a", 1), ("b", 0), ("c", 0)])
}

fn w_rwc(between: Option<Ordering>) -> (Program, Ends) {
    let program = threads([
        vec![store("x", 1, Relaxed), store("z", 1, Release)],
        vec![
            load("z", Acquire, "a"),
            fence(between),
            load("y", Relaxed, "b"),
        ],
        vec![
            store("y", 1, Relaxed),
            fence(between),
            load("x", Relaxed, "c"),
        ],
    ]);
    (program, &[("a", 1), ("b", 0), ("c", 0)])
}

fn z6_u() -> (Program, Ends) {
    let program = threads([
        vec![store("x", 1, SeqCst), store("y", 1, Release)],
        vec![fetch_add("y", 1, SeqCst, "b"), load("y", Relaxed, "c")],
        vec![store("y", 3, SeqCst), load("x", SeqCst, "a")],
    ]);
    (program, &[("a", 0), ("b", 1), ("c", 3)])
}

/// Z6.0 as in \[A\]: x then y, y then z, z then x.
fn z6(o: Ordering, between: Option<Ordering>, l: Ordering) -> (Program, Ends) {
    let program = threads([
        vec![store("x", 1, o), fence(between), store("y", 1, o)],
        vec![load("y", l, "a"), fence(between), store("z", 1, o)],
        vec![store("z", 2, o), fence(between), load("x", l, "b")],
    ]);
    (program, &[("a", 1), ("z", 2), ("b", 0)])
}

fn iriw_acq_sc() -> (Program, Ends) {
    iriw(SeqCst, Acquire, None, SeqCst)
}

fn ww_merge() -> (Program, Ends) {
    let program = threads([
        vec![load("x", Acquire, "a"), load("y", SeqCst, "b")],
        vec![store("x", 1, SeqCst), store("x", 2, SeqCst)],
        vec![store("y", 1, SeqCst), load("x", SeqCst, "c")],
    ]);
    (program, &[("a", 2), ("b", 0), ("c", 0)])
}

fn sb_rfis(o: Ordering) -> (Program, Ends) {
    let one = vec![
        store("x", 1, o),
        load("x", SeqCst, "a"),
        load("y", SeqCst, "b"),
    ];
    let two = vec![
        store("y", 1, o),
        load("y", SeqCst, "c"),
        load("x", SeqCst, "d"),
    ];
    (
        threads([one, two]),
        &[("a", 1), ("b", 0), ("c", 1), ("d", 0)],
    )
}

/// A release, a change by `middle`, an acquire that reads it.
fn release_sequence(head: Ordering, middle: Vec<Op>, tail: Ordering) -> (Program, Ends) {
    let program = threads([
        vec![store("x", 1, Relaxed), store("y", 1, head)],
        middle,
        vec![load("y", tail, "a"), load("x", Relaxed, "b")],
    ]);
    (program, &[("a", 2), ("b", 0)])
}

/// The same thread goes on with a plain store.
fn same_thread_store(first: Ordering, second: Ordering) -> (Program, Ends) {
    let program = threads([
        vec![
            store("x", 1, Relaxed),
            store("y", 1, first),
            store("y", 2, second),
        ],
        vec![load("y", Acquire, "a"), load("x", Relaxed, "b")],
    ]);
    (program, &[("a", 2), ("b", 0)])
}

fn coherence(one: Vec<Op>, two: Vec<Op>, ends: Ends) -> (Program, Ends) {
    (threads([one, two]), ends)
}

/// LB with what is stored depending on what is read.
fn lb_deps() -> (Program, Ends) {
    let pass = |from, register, to| {
        vec![
            load(from, Relaxed, register),
            when(register, 1, [store(to, register, Relaxed)]),
        ]
    };
    let mut program = threads([pass("x", "a", "y"), pass("y", "b", "x")]);
    // So that there is a 1 to speak of.
    program = program.thread(
        "never",
        [
            load("z", Relaxed, "c"),
            when("c", 1, [store("x", 1, Relaxed), store("y", 1, Relaxed)]),
        ],
    );
    (program, &[("a", 1), ("b", 1)])
}

/// One side passes on what it has read, the other stores a constant: the first example of \[S\] after the recommendation.
fn lb_data() -> (Program, Ends) {
    let one = vec![load("y", Relaxed, "a"), store("x", "a", Relaxed)];
    let two = vec![load("x", Relaxed, "b"), store("y", 42, Relaxed)];
    (threads([one, two]), &[("a", 42), ("b", 42)])
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Allowed,
    Forbidden,
}
use Verdict::{Allowed, Forbidden};

struct Row {
    name: &'static str,
    source: &'static str,
    program: Program,
    ends: Ends,
    standard: Verdict,
    rc11: Verdict,
}

impl Row {
    fn new(
        name: &'static str,
        source: &'static str,
        (program, ends): (Program, Ends),
        standard: Verdict,
    ) -> Self {
        Self {
            name,
            source,
            program,
            ends,
            standard,
            rc11: standard,
        }
    }

    /// What RC11 says, where it differs.
    fn rc11(self, rc11: Verdict) -> Self {
        Self { rc11, ..self }
    }
}

#[rustfmt::skip] // a row a line
fn rows() -> Vec<Row> {
    let sc = Some(SeqCst);
    let relaxed = [Relaxed; 4];
    let cas = |order| vec![compare_exchange("y", [1, 2], [order, Relaxed], "c")];
    vec![
        Row::new("MP", "A, B", mp(relaxed), Allowed),
        Row::new("MP, store Release", "B", mp([Relaxed, Release, Relaxed, Relaxed]), Allowed),
        Row::new("MP, load Acquire", "B", mp([Relaxed, Relaxed, Acquire, Relaxed]), Allowed),
        Row::new("MP, Release and Acquire", "B", mp([Relaxed, Release, Acquire, Relaxed]), Forbidden),
        Row::new("MP, Release and Acquire the wrong way round", "B", mp([Release, Relaxed, Relaxed, Acquire]), Allowed),
        Row::new("MP, data SeqCst, flag Relaxed", "by hand", mp([SeqCst, Relaxed, Relaxed, SeqCst]), Allowed),
        Row::new("MP, SeqCst", "B", mp([SeqCst; 4]), Forbidden),
        Row::new("MP, fences", "B", mp_fences(Some(Release), Some(Acquire)), Forbidden),
        Row::new("MP, release fence alone", "B", mp_fences(Some(Release), None), Allowed),
        Row::new("MP, acquire fence alone", "B", mp_fences(None, Some(Acquire)), Allowed),
        Row::new("MP, fences the wrong way round", "B", mp_fences(Some(Acquire), Some(Release)), Allowed),
        Row::new("MP, SeqCst fences", "B", mp_fences(sc, sc), Forbidden),
        Row::new("SB", "A, B", sb(Relaxed, [None; 2], Relaxed), Allowed),
        Row::new("SB, Release and Acquire", "B", sb(Release, [None; 2], Acquire), Allowed),
        Row::new("SB, SeqCst", "L, B", sb(SeqCst, [None; 2], SeqCst), Forbidden),
        Row::new("SB, loads Acquire", "B", sb(SeqCst, [None; 2], Acquire), Allowed),
        Row::new("SB, stores Release", "B", sb(Release, [None; 2], SeqCst), Allowed),
        Row::new("SB, SeqCst fences", "L, B", sb(Relaxed, [sc; 2], Relaxed), Forbidden),
        Row::new("SB, one SeqCst fence", "B", sb(Relaxed, [sc, None], Relaxed), Allowed),
        Row::new("SB, AcqRel fences", "B", sb(Relaxed, [Some(AcqRel); 2], Relaxed), Allowed),
        Row::new("LB", "S, L: RC11 forbids it", lb([Relaxed; 2], [Relaxed; 2]), Allowed).rc11(Forbidden),
        Row::new("LB, Acquire loads", "B", lb([Acquire, Relaxed], [Acquire, Relaxed]), Allowed).rc11(Forbidden),
        Row::new("LB, Release stores", "B", lb([Relaxed, Release], [Relaxed, Release]), Allowed).rc11(Forbidden),
        Row::new("LB, one side Acquire and Release", "B", lb([Acquire, Release], [Relaxed, Relaxed]), Allowed).rc11(Forbidden),
        Row::new("LB, one edge synchronizes", "B", lb([Relaxed, Release], [Acquire, Relaxed]), Forbidden),
        Row::new("LB, the other one does", "B", lb([Acquire, Relaxed], [Relaxed, Release]), Forbidden),
        Row::new("LB+deps", "S: should not, L: forbidden", lb_deps(), Forbidden),
        Row::new("LB+data", "S: allowed, L: RC11 forbids it", lb_data(), Allowed).rc11(Forbidden),
        Row::new("CoRR", "A, B", coherence(vec![store("x", 1, Relaxed), store("x", 2, Relaxed)], vec![load("x", Relaxed, "a"), load("x", Relaxed, "b")], &[("a", 2), ("b", 1)]), Forbidden),
        Row::new("CoRR, one store", "A, B", coherence(vec![store("x", 1, Relaxed)], vec![load("x", Relaxed, "a"), load("x", Relaxed, "b")], &[("a", 1), ("b", 0)]), Forbidden),
        Row::new("CoWW", "A, B", coherence(vec![store("x", 1, Relaxed), store("x", 2, Relaxed)], vec![], &[("x", 1)]), Forbidden),
        Row::new("CoRW1", "A, B", coherence(vec![load("x", Relaxed, "a"), store("x", 1, Relaxed)], vec![], &[("a", 1)]), Forbidden),
        Row::new("CoRW2", "A, B", coherence(vec![load("x", Relaxed, "a"), store("x", 2, Relaxed)], vec![store("x", 1, Relaxed)], &[("a", 1), ("x", 1)]), Forbidden),
        Row::new("CoWR", "A, B", coherence(vec![store("x", 1, Relaxed), load("x", Relaxed, "a")], vec![store("x", 2, Relaxed)], &[("a", 2), ("x", 1)]), Forbidden),
        Row::new("WRC", "A, B", wrc([Relaxed; 5]), Allowed),
        Row::new("WRC, Release and Acquire twice", "A, B", wrc([Release, Acquire, Release, Acquire, Relaxed]), Forbidden),
        Row::new("WRC, the second hop alone", "by hand: CoRR", wrc([Relaxed, Relaxed, Release, Acquire, Relaxed]), Forbidden),
        Row::new("WRC, second store Relaxed", "B", wrc([Release, Acquire, Relaxed, Acquire, Relaxed]), Allowed),
        Row::new("WRC, second load Relaxed", "B", wrc([Release, Acquire, Release, Relaxed, Relaxed]), Allowed),
        Row::new("ISA2", "A", isa2(relaxed), Allowed),
        Row::new("ISA2, Release and Acquire twice", "A, B", isa2([Release, Acquire, Release, Acquire]), Forbidden),
        Row::new("ISA2, first hop Relaxed", "B", isa2([Release, Relaxed, Release, Acquire]), Allowed),
        Row::new("IRIW", "A, B", iriw(Relaxed, Relaxed, None, Relaxed), Allowed),
        Row::new("IRIW, Release and Acquire", "B", iriw(Release, Acquire, None, Acquire), Allowed),
        Row::new("IRIW, SeqCst", "B", iriw(SeqCst, SeqCst, None, SeqCst), Forbidden),
        Row::new("IRIW, SeqCst fences", "L, B", iriw(Relaxed, Relaxed, sc, Relaxed), Forbidden),
        Row::new("IRIW, AcqRel fences", "B", iriw(Relaxed, Relaxed, Some(AcqRel), Relaxed), Allowed),
        Row::new("IRIW, loads SeqCst, stores Relaxed", "S, LWG 3941", iriw(Relaxed, SeqCst, None, SeqCst), Forbidden).rc11(Allowed),
        Row::new("IRIW-acq-sc", "L", iriw_acq_sc(), Allowed),
        Row::new("2+2W", "A", two_plus_two_w(Relaxed, None), Allowed),
        Row::new("2+2W, Release", "B", two_plus_two_w(Release, None), Allowed),
        Row::new("2+2W, SeqCst", "L", two_plus_two_w(SeqCst, None), Forbidden),
        Row::new("2+2W, SeqCst fences", "L", two_plus_two_w(Relaxed, sc), Forbidden),
        Row::new("R, Release and Acquire", "A, B", r(Release, None, Acquire), Allowed),
        Row::new("R, SeqCst", "B", r(SeqCst, None, SeqCst), Forbidden),
        Row::new("R, SeqCst fences", "B", r(Relaxed, sc, Relaxed), Forbidden),
        Row::new("S", "A, B", s(Relaxed, Relaxed), Allowed),
        Row::new("S, Release and Acquire", "A, B", s(Release, Acquire), Forbidden),
        Row::new("S, Release alone", "B", s(Release, Relaxed), Allowed),
        Row::new("RWC, Release and Acquire", "A, B", rwc(Release, None, Acquire), Allowed),
        Row::new("RWC, SeqCst", "B", rwc(SeqCst, None, SeqCst), Forbidden),
        Row::new("RWC+syncs", "L", rwc(Relaxed, sc, Relaxed), Forbidden),
        Row::new("W+RWC", "L", w_rwc(sc), Forbidden),
        Row::new("W+RWC, AcqRel fences", "by hand", w_rwc(Some(AcqRel)), Allowed),
        Row::new("Z6, Release and Acquire", "A", z6(Release, None, Acquire), Allowed),
        Row::new("Z6, SeqCst", "B: an interleaving", z6(SeqCst, None, SeqCst), Forbidden),
        Row::new("Z6, SeqCst fences", "A", z6(Relaxed, sc, Relaxed), Forbidden),
        Row::new("Z6.U", "L, S", z6_u(), Allowed),
        Row::new("WWmerge", "L, by hand: strongly happens before knows no locations", ww_merge(), Forbidden).rc11(Allowed),
        Row::new("SB+rfis, stores Release", "L, LWG 3941", sb_rfis(Release), Forbidden).rc11(Allowed),
        Row::new("SB+rfis, SeqCst", "L", sb_rfis(SeqCst), Forbidden),
        Row::new("release sequence by CAS", "S, B", release_sequence(Release, cas(Relaxed), Acquire), Forbidden),
        Row::new("release sequence by addition", "S, B", release_sequence(Release, vec![fetch_add("y", 1, Relaxed, "c")], Acquire), Forbidden),
        Row::new("release sequence, head Relaxed", "B", release_sequence(Relaxed, cas(Relaxed), Acquire), Allowed),
        Row::new("release sequence, head Relaxed, CAS AcqRel", "by hand", release_sequence(Relaxed, cas(AcqRel), Acquire), Allowed),
        Row::new("release sequence, tail Relaxed", "B", release_sequence(Release, cas(Relaxed), Relaxed), Allowed),
        Row::new("release sequence, broken by another thread", "S, B", release_sequence(Release, vec![load("y", Relaxed, "c"), when("c", 1, [store("y", 2, Relaxed)])], Acquire), Allowed),
        Row::new("release sequence, same thread's store", "S: diff.cpp17", same_thread_store(Release, Relaxed), Allowed),
        Row::new("release sequence, last store Release", "S", same_thread_store(Relaxed, Release), Forbidden),
        Row::new("two additions", "S", coherence(vec![fetch_add("x", 1, Relaxed, "a")], vec![fetch_add("x", 1, Relaxed, "b")], &[("x", 1)]), Forbidden),
    ]
}

fn verdict(program: &Program, ends: Ends, model: Model) -> Verdict {
    match program.find(model, |outcome| outcome.is(ends)) {
        Some(_) => Allowed,
        None => Forbidden,
    }
}

#[test]
fn verdicts_are_the_published_ones() {
    let mut wrong = Vec::new();
    for row in rows() {
        let standard = verdict(&row.program, row.ends, Model::default());
        let rc11 = verdict(&row.program, row.ends, RC11);
        if (standard, rc11) != (row.standard, row.rc11) {
            wrong.push(format!(
                "{} [{}]: standard {:?}, here {standard:?}; RC11 {:?}, here {rc11:?}",
                row.name, row.source, row.standard, row.rc11
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn only_the_letter_allows_values_out_of_thin_air() {
    let (program, ends) = lb_deps();
    let says = |cycles| {
        let total = Total::Standard;
        verdict(&program, ends, Model { total, cycles })
    };
    assert_eq!(says(Cycles::Allowed), Allowed);
    assert_eq!(says(Cycles::WithoutDependencies), Forbidden);
    assert_eq!(says(Cycles::Forbidden), Forbidden);
}

/// Every model, the strongest last.
fn models() -> Vec<Model> {
    let cycles = [
        Cycles::Allowed,
        Cycles::WithoutDependencies,
        Cycles::Forbidden,
    ];
    let total = [Total::Rc11, Total::Standard];
    total
        .into_iter()
        .flat_map(|total| cycles.map(|cycles| Model { total, cycles }))
        .collect()
}

/// `needlessly_strong` looks one step down. This is why that is far enough.
#[test]
fn weakening_never_takes_an_outcome_away() {
    for row in rows() {
        for model in models() {
            let before = row.program.outcomes(model);
            for weaker in row.program.weakened() {
                let after = weaker.program.outcomes(model);
                assert!(
                    after.is_superset(&before),
                    "{}, {}: {} made {} loses {:?} under {model:?}",
                    row.name,
                    weaker.thread,
                    weaker.before,
                    weaker.after,
                    before.difference(&after).next()
                );
            }
        }
    }
}

/// Nor does giving up a rule.
#[test]
fn a_weaker_model_allows_no_less() {
    for row in rows() {
        for total in [Total::Rc11, Total::Standard] {
            let [any, some, none] = [
                Cycles::Allowed,
                Cycles::WithoutDependencies,
                Cycles::Forbidden,
            ]
            .map(|cycles| row.program.outcomes(Model { total, cycles }));
            assert!(
                any.is_superset(&some) && some.is_superset(&none),
                "{}",
                row.name
            );
        }
        for cycles in [
            Cycles::Allowed,
            Cycles::WithoutDependencies,
            Cycles::Forbidden,
        ] {
            let [rc11, standard] = [Total::Rc11, Total::Standard]
                .map(|total| row.program.outcomes(Model { total, cycles }));
            assert!(rc11.is_superset(&standard), "{}", row.name);
        }
    }
}

/// Raises every ordering as far as it goes.
fn strengthened(op: &Op) -> Op {
    let mut op = op.clone();
    match &mut op {
        Op::Load { order, .. } | Op::Store { order, .. } | Op::FetchAdd { order, .. } => {
            *order = SeqCst
        }
        Op::CompareExchange {
            success, failure, ..
        } => (*success, *failure) = (SeqCst, SeqCst),
        Op::Fence(_) => {}
        Op::When { then, .. } => *then = then.iter().map(strengthened).collect(),
    }
    op
}

/// A machine that runs one operation after the other.
#[derive(Clone, Default)]
struct Machine {
    memory: BTreeMap<&'static str, u32>,
    registers: BTreeMap<&'static str, u32>,
}

impl Machine {
    fn step(&mut self, op: &Op, rest: &mut Vec<Op>) {
        match op {
            Op::Load { location, into, .. } => {
                self.registers.insert(into, self.memory[location]);
            }
            Op::Store {
                location, value, ..
            } => {
                let value = match value {
                    super::Value::Constant(value) => *value,
                    super::Value::Register(register) => self.registers[register],
                };
                self.memory.insert(location, value);
            }
            Op::FetchAdd {
                location,
                operand,
                into,
                ..
            } => {
                let value = self.memory[location];
                self.registers.insert(into, value);
                self.memory.insert(location, value + operand);
            }
            Op::CompareExchange {
                location,
                current,
                new,
                into,
                ..
            } => {
                let value = self.memory[location];
                self.registers.insert(into, value);
                if value == *current {
                    self.memory.insert(location, *new);
                }
            }
            Op::Fence(_) => {}
            Op::When { register, is, then } => {
                if self.registers[register] == *is {
                    rest.extend(then.iter().rev().cloned());
                }
            }
        }
    }

    fn interleave(self, threads: &[Vec<Op>], outcomes: &mut BTreeSet<Outcome>) {
        if threads.iter().all(Vec::is_empty) {
            let all = self.memory.into_iter().chain(self.registers);
            outcomes.insert(Outcome(all.collect()));
            return;
        }
        for thread in 0..threads.len() {
            let mut threads = threads.to_vec();
            if let Some(op) = threads[thread].pop() {
                let mut machine = self.clone();
                machine.step(&op, &mut threads[thread]);
                machine.interleave(&threads, outcomes);
            }
        }
    }
}

/// The theorem every such model is built for: SeqCst everywhere is an interleaving.
#[test]
fn seq_cst_everywhere_is_an_interleaving() {
    for row in rows() {
        let strong = row
            .program
            .threads()
            .iter()
            .fold(Program::new(), |program, thread| {
                program.thread(
                    thread.name,
                    thread.ops.iter().map(strengthened).collect::<Vec<_>>(),
                )
            });
        let mut machine = Machine::default();
        for location in ["x", "y", "z"] {
            if format!("{strong:?}").contains(&format!("location: {location:?}")) {
                machine.memory.insert(location, 0);
            }
        }
        let threads: Vec<Vec<Op>> = strong
            .threads()
            .iter()
            .map(|thread| thread.ops.iter().rev().cloned().collect())
            .collect();
        let mut interleaved = BTreeSet::new();
        machine.interleave(&threads, &mut interleaved);
        for model in models() {
            assert_eq!(
                strong.outcomes(model),
                interleaved,
                "{} under {model:?}",
                row.name
            );
        }
    }
}

#[test]
fn needless_strength_is_named() {
    let (program, ends) = mp([Relaxed, SeqCst, Acquire, Relaxed]);
    let weaker = program
        .needlessly_strong(Model::default(), |outcome| outcome.is(ends))
        .expect("Release would do");
    assert_eq!(
        (weaker.thread, weaker.before.as_str(), weaker.after.as_str()),
        ("P0", "y.store(1, SeqCst)", "y.store(1, Release)")
    );
    let (program, ends) = mp([Relaxed, Release, Acquire, Relaxed]);
    assert_eq!(
        program.needlessly_strong(Model::default(), |outcome| outcome.is(ends)),
        None
    );
}

#[test]
fn steps_lead_down_from_every_ordering() {
    let steps = |op: Op| -> Vec<String> {
        let program = threads([vec![op]]);
        program
            .weakened()
            .into_iter()
            .map(|weaker| weaker.after)
            .collect()
    };
    assert_eq!(
        steps(fetch_add("x", 1, SeqCst, "a")),
        ["x.fetch_add(1, AcqRel)"]
    );
    assert_eq!(
        steps(fetch_add("x", 1, AcqRel, "a")),
        ["x.fetch_add(1, Acquire)", "x.fetch_add(1, Release)"]
    );
    assert_eq!(steps(fence(SeqCst)), ["fence(AcqRel)"]);
    assert_eq!(steps(fence(AcqRel)), ["fence(Acquire)", "fence(Release)"]);
    assert_eq!(steps(fence(Release)), ["no fence"]);
    assert_eq!(steps(fence(None)), [""; 0]);
    assert_eq!(
        steps(compare_exchange("x", [0, 1], [Acquire, Acquire], "a")),
        [
            "x.compare_exchange(0, 1, Relaxed, Acquire)",
            "x.compare_exchange(0, 1, Acquire, Relaxed)"
        ]
    );
    assert_eq!(
        steps(when("a", 1, [store("x", 1, Release)])),
        ["x.store(1, Relaxed)"]
    );
}

#[test]
fn an_ordering_that_cannot_be_is_named() {
    let says = |op: Op| threads([vec![op]]).misfit().unwrap_or_default();
    assert!(says(store("x", 1, Acquire)).contains("x.store(1, Acquire): a store reads nothing"));
    assert!(says(load("x", Release, "a")).contains("x.load(Release): a load publishes nothing"));
    assert!(says(fence(Relaxed)).contains("leave it out"));
    assert_eq!(says(fetch_add("x", 1, AcqRel, "a")), "");
}

#[test]
fn a_witness_says_which_edge_is_missing() {
    let (program, ends) = mp([Relaxed, Relaxed, Acquire, Relaxed]);
    let witness = program
        .find(Model::default(), |outcome| outcome.is(ends))
        .expect("nothing is published");
    assert_eq!(
        witness.to_string(),
        "   #  P0                   P1
   1  x.store(1, Relaxed)
   2  y.store(1, Relaxed)
   3                       y.load(Acquire) → 1
   4                       x.load(Relaxed) → 0  (the initial one)
      Step 3 reads what step 2 stored, but step 2 is Relaxed and publishes nothing that came before it.
      Step 4 reads a value older than that of step 1, which does not happen before it.
"
    );
    assert!(witness.outcome().is(ends));
}

#[test]
fn a_witness_that_release_and_acquire_cannot_forbid_says_so() {
    let program = threads([
        vec![
            store("x", 1, Relaxed),
            fence(AcqRel),
            load("y", Relaxed, "a"),
        ],
        vec![store("y", 1, SeqCst), load("x", SeqCst, "b")],
    ]);
    let witness = program
        .find(Model::default(), |outcome| {
            outcome.is(&[("a", 0), ("b", 0)])
        })
        .expect("the fence is too weak");
    let picture = witness.to_string();
    for words in [
        "Release and Acquire allow this wherever they stand",
        "and step 2 (fence(AcqRel)) is not in it.",
    ] {
        assert!(picture.contains(words), "{picture}");
    }
    assert!(!picture.contains("happen"), "{picture}");
}

#[test]
fn a_witness_of_load_buffering_reads_ahead() {
    let (program, ends) = lb([Relaxed; 2], [Relaxed; 2]);
    let witness = program
        .find(Model::default(), |outcome| outcome.is(ends))
        .expect("allowed");
    assert!(
        witness.to_string().contains("(from a later step)"),
        "{witness}"
    );
}
