//! The audit on a small course: green as it is, red for everything that an author can get wrong.

#![cfg(unix)]

mod fixture;
#[path = "../shared/grader.rs"]
mod grader;
mod locking;

use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use fixture::{
    ALTERNATIVE, CHECKS, Course, HINTS, KINDS, MANIFEST, MUTANTS, README, SOLUTION, STUB, findings,
};

/// The course as it should be, for one test at a time: they share what was built.
fn course() -> (&'static Course, MutexGuard<'static, ()>) {
    static COURSE: OnceLock<Course> = OnceLock::new();
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let guard = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let course = COURSE.get_or_init(|| Course::write("audit"));
    course.mend();
    (course, guard)
}

/// Spoils the course and expects these findings, no more and no less, each by how it begins and what it holds.
fn goes_red(spoil: impl FnOnce(&Course), expected: &[(&str, &str)]) {
    let (course, _guard) = course();
    spoil(course);
    course.lock();
    let (result, code) = course.audit();
    assert_eq!(code, 1, "{result:#}");
    let found = findings(&result);
    assert_eq!(found.len(), expected.len(), "{found:#?}");
    for (found, (begin, part)) in found.iter().zip(expected) {
        assert!(
            found.starts_with(begin) && found.contains(part),
            "{found}\nis not\n{begin} … {part}"
        );
    }
}

#[test]
fn a_good_course_is_green_and_then_costs_nothing() {
    let (course, _guard) = course();
    let (result, code) = course.audit();
    assert_eq!(findings(&result), Vec::<String>::new(), "{result:#}");
    assert_eq!((code, &result["green"]), (0, &true.into()));
    assert_eq!(result["schema"], "kata/audit/v1");
    let exercise = &result["exercises"][0];
    assert_eq!(
        (&exercise["stub"], &exercise["solution"]),
        (&true.into(), &true.into())
    );
    for (name, good, equivalent, total) in [
        ("alternatives", 2, 0, 2),
        ("mutants", 6, 0, 6),
        ("orderings", 0, 1, 1),
        ("generated", 1, 0, 1),
    ] {
        let tally = &exercise[name];
        let counts = ["good", "equivalent", "total"].map(|part| tally[part].as_u64().unwrap());
        assert_eq!(counts, [good, equivalent, total], "{name}");
    }
    let variants = exercise["variants"].as_array().unwrap();
    let spins = variants
        .iter()
        .find(|variant| variant["name"] == "spins_when_full");
    assert_eq!(spins.unwrap()["hanging"], true);

    let again = course.run(&["audit", "--hang-guard", "2"]);
    let text = String::from_utf8(again.stdout).unwrap();
    assert!(text.contains("1 audited, nothing wrong."), "{text}");
}

#[test]
fn a_check_emptied_of_its_assertions() {
    goes_red(
        |course| {
            course.edit(CHECKS, "    assert_eq!(counted, 3);\n", "");
            course.edit(CHECKS, "let counted", "let _");
        },
        &[("mutant never_full: ", "survives every check")],
    );
}

#[test]
fn a_mutant_that_survives() {
    let same = "\n[[mutant]]\nname = \"greets\"\nwhy = \"Nothing happens.\"\nkilled_by = \"unit\"\n[[mutant.edit]]\nfind = \"let mut seen\"\nreplace = \"let _greeting = 1; let mut seen\"\n";
    goes_red(
        |course| {
            course.edit(
                MUTANTS,
                "\n[[equivalent]]",
                &format!("{same}\n[[equivalent]]"),
            )
        },
        &[("mutant greets: ", "survives every check")],
    );
}

#[test]
fn a_mutant_that_something_else_rejects() {
    goes_red(
        |course| {
            course.edit(
                MUTANTS,
                "waits forever.\"\nkilled_by = \"unit\"",
                "waits forever.\"\nkilled_by = \"build\"",
            );
            course.edit(
                MUTANTS,
                "killed_by = \"build\"\n[[mutant.edit]]\nfind = \"pub struct",
                "killed_by = \"unit\"\n[[mutant.edit]]\nfind = \"pub struct",
            );
            course.edit(MUTANTS, "[\"unit\"]", "\"loom\"");
        },
        &[
            (
                "mutant counts_by_two: ",
                "killed by `loom`, but there is no such check",
            ),
            ("mutant counts_by_two: ", "is rejected by unit::"),
            ("mutant spins_when_full: ", "not by build as it declares"),
            ("mutant no_such_type: ", "does not compile"),
        ],
    );
}

#[test]
fn a_mutant_whose_text_matches_twice_or_never() {
    goes_red(
        |course| {
            course.edit(MUTANTS, "find = \"seen + 1\"", "find = \"self.count\"");
            course.edit(
                MUTANTS,
                "find = \"AtomicU32::new(0)\"",
                "find = \"AtomicU32::new(9)\"",
            );
        },
        &[
            ("mutant begins_at_one: ", "is not in the solution"),
            ("mutant counts_by_two: ", "is 3 times in the solution"),
        ],
    );
}

#[test]
fn a_kind_of_wrong_solutions_without_a_true_answer() {
    let nothing = "not_applicable = \"it only counts\"";
    goes_red(
        |course| {
            let line = |name| format!("{name} = {{ {nothing} }}");
            course.edit(KINDS, &line("retries"), "");
            course.edit(
                KINDS,
                &line("growth"),
                "growth = { checks = [\"unit::grows\"] }",
            );
            course.edit(
                KINDS,
                &line("pairs"),
                "pairs = { not_checked = \"who is first\" }",
            );
        },
        &[
            ("kinds: ", "says nothing about retries"),
            (
                "kinds: ",
                "`growth` names `unit::grows`, and there is no such check",
            ),
            (
                "kinds: ",
                "what `pairs` says is not checked does not stand in README.md",
            ),
        ],
    );
}

#[test]
fn the_kinds_of_wrong_solutions_are_shown() {
    let (course, _guard) = course();
    let shown = course.run(&["audit", "--kinds"]);
    let text = String::from_utf8(shown.stdout).unwrap();
    assert_eq!(shown.status.code(), Some(0), "{text}");
    let row = text.lines().find(|line| line.contains("counter")).unwrap();
    assert_eq!(row.matches('–').count(), 33, "{text}");
    assert!(text.contains("33  wrong_report: "), "{text}");
}

#[test]
fn a_generated_variant_that_survives() {
    goes_red(
        |course| {
            course.edit(MUTANTS, "becomes = \"Relaxed\"", "becomes = \"SeqCst\"");
        },
        &[
            (
                "ordering in line 33: Acquire to Relaxed: ",
                "survives every check",
            ),
            ("equivalent: ", "no generated variant makes `SeqCst`"),
        ],
    );
}

#[test]
fn an_equivalent_that_is_rejected() {
    let wrong = "\n[[equivalent]]\nfind = \"while seen < self.limit\"\nbecomes = \"<=\"\nwhy = \"Nobody counts.\"\n";
    goes_red(
        |course| {
            course.edit(
                MUTANTS,
                "\n[[equivalent]]",
                &format!("{wrong}\n[[equivalent]]"),
            )
        },
        &[(
            "generated in line 22: < to <=: ",
            "is listed as equivalent, but unit::",
        )],
    );
}

#[test]
fn a_right_solution_that_is_rejected() {
    goes_red(
        |course| course.edit(ALTERNATIVE, "*count < self.1", "*count <= self.1"),
        &[(
            "alternative mutex: ",
            "is rejected by unit::counts_to_the_limit",
        )],
    );
}

#[test]
fn a_check_that_needs_too_much_of_what_a_learner_is_given() {
    goes_red(
        |course| {
            let work = "for number in 0_u64..20_000_000 {\n        std::hint::black_box(number);\n    }\n    assert_eq!(counted, 3);";
            course.edit(CHECKS, "assert_eq!(counted, 3);", work);
        },
        &[(
            "solution: ",
            "s of CPU time for unit::counts_to_the_limit_and_no_further in the std world. Learners are stopped after 2 s",
        )],
    );
}

#[test]
fn a_solution_that_fails() {
    goes_red(
        |course| course.edit(CHECKS, "assert_eq!(counted, 3)", "assert_eq!(counted, 4)"),
        &[
            ("solution: ", "is rejected by unit::counts_to_the_limit"),
            ("alternative mutex: ", "is rejected"),
            ("alternative update: ", "is rejected"),
            ("mutants: ", "not tried"),
        ],
    );
}

#[test]
fn a_stub_that_passes_a_check() {
    goes_red(
        |course| {
            course.edit(
                STUB,
                "new(limit: u32) -> Self {\n        todo!()",
                "new(limit: u32) -> Self {\n        Self { limit }",
            );
            course.edit(STUB, "-> u32 {\n        todo!()", "-> u32 {\n        0");
        },
        &[("stub: ", "passes unit::begins_at_nothing")],
    );
}

#[test]
fn a_stub_that_fails_for_another_reason() {
    goes_red(
        |course| {
            course.edit(
                STUB,
                "-> Self {\n        todo!()",
                "-> Self {\n        panic!(\"no\")",
            )
        },
        &[
            ("stub: ", "fails process::a_program_counts, but not"),
            (
                "stub: ",
                "fails unit::begins_at_nothing, but not by its `todo!()`: no",
            ),
            ("stub: ", "fails unit::counts_to_the_limit"),
        ],
    );
}

#[test]
fn a_stub_that_the_compiler_warns_of() {
    goes_red(
        |course| course.edit(STUB, "#![allow(dead_code, unused_variables)]\n", ""),
        &[
            ("stub: ", "unused variable: `limit`"),
            ("stub: ", "field `limit` is never read"),
        ],
    );
}

#[test]
fn an_api_that_differs() {
    goes_red(
        |course| {
            course.edit(
                STUB,
                "pub fn get(&self) -> u32",
                "pub fn get(&mut self) -> u32",
            )
        },
        &[
            ("stub: ", "does not compile"),
            (
                "api: in the stub: pub fn Counter::get(&mut self) -> u32",
                "pub fn Counter::get(&self) -> u32",
            ),
        ],
    );
}

#[test]
fn a_hint_that_gives_the_code_away() {
    goes_red(
        |course| {
            course.edit(
                HINTS,
                "Try again.",
                "Write `match self.count\n.compare_exchange(seen, seen + 1, Relaxed, Relaxed) {`.",
            )
        },
        &[(
            "hints: ",
            "gives away a line of the solution: `match self.count",
        )],
    );
}

#[test]
fn texts_and_metadata_that_lack_something() {
    goes_red(
        |course| {
            course.edit(README, "## Questions\n", "");
            course.edit(README, "`unit`", "");
            course.edit(HINTS, "## Hint 3\n", "");
            course.edit(MANIFEST, "topic = \"counting\"\n", "");
            course.edit(MUTANTS, "killed_by = [\"unit\"]", "killed_by = []");
        },
        &[
            ("hints: ", "2 sections"),
            ("form: ", "`topic`"),
            ("mutant counts_by_two: ", "names no kind"),
            ("form: ", "`## Questions`"),
            ("form: ", "`unit`"),
            ("mutant counts_by_two: ", "is rejected by unit::"),
        ],
    );
}

#[test]
fn a_lock_that_is_stale() {
    let (course, _guard) = course();
    course.edit(STUB, "Begins at nothing.", "Begins at zero.");
    let (result, code) = course.audit();
    assert_eq!(code, 1);
    assert_eq!(
        findings(&result),
        ["lock: stale lock or edited stub: run ./grade.sh lock --author"]
    );
}

#[test]
fn a_solution_that_is_no_rust_is_said_and_not_stumbled_over() {
    let (course, _guard) = course();
    course.put(SOLUTION, "pub struct Counter {\n");
    let (result, code) = course.audit();
    assert_eq!(code, 1);
    assert!(
        findings(&result)
            .iter()
            .any(|found| found.starts_with("solution: src/lib.rs, line"))
    );
}

#[test]
fn an_exercise_that_does_not_exist_is_no_result() {
    let (course, _guard) = course();
    assert_eq!(course.run(&["audit", "conter"]).status.code(), Some(2));
}
