//! What the outcomes of an exercise's variants mean: which of them are as they should be, and what is wrong with the rest.

use std::collections::BTreeSet;
use std::ops::Range;
use std::path::Path;
use std::time::Duration;

use kata_report::Remedy;

use super::api;
use super::exercise::{Bench, Outcomes};
use super::form;
use super::generated::{Generated, Kind};
use super::memory::{Outcome, Ran};
use super::mutants;
use super::report::{ExerciseReport, Finding, VariantReport};
use super::source::{self, line_of};
use super::trials::kind_of;
use super::variants::{Role, Variant};
use crate::course::World;
use crate::judge::{self, Verdict};

/// The least that a learner's check is given, in times of what the solution needs.
const LEAST_PATIENCE: u32 = 20;

impl Bench<'_> {
    pub(super) fn judge_stub(&self, stub: usize, outcomes: &Outcomes, report: &mut ExerciseReport) {
        let mut problems = Vec::new();
        let mut tests_seen = 0;
        for &world in self.worlds() {
            let place = format!("in the {} world", world.name());
            match outcomes.get(&(stub, world)) {
                Some(Outcome::DoesNotCompile(errors)) => {
                    problems.push(format!("does not compile {place}:\n{}", errors.trim()));
                }
                Some(Outcome::Ran { warnings, tests }) => {
                    for warning in warnings {
                        problems.push(format!(
                            "is not free of warnings {place}:\n{}",
                            warning.trim()
                        ));
                    }
                    tests_seen += tests.len();
                    problems.extend(tests.iter().filter_map(problem_of_stub));
                }
                _ => problems.push(format!("was not tried {place}")),
            }
        }
        if tests_seen == 0 && problems.is_empty() {
            problems.push("there is not a single check".to_owned());
        }
        report.stub = Some(problems.is_empty());
        report.variants.push(VariantReport {
            role: "stub",
            name: "stub".to_owned(),
            outcome: if problems.is_empty() {
                "rejected"
            } else {
                "survived"
            },
            by: None,
            hanging: false,
            remedies: None,
        });
        for problem in problems {
            report.find("stub", problem);
        }
    }

    pub(super) fn judge_accepted(
        &self,
        index: usize,
        outcomes: &Outcomes,
        report: &mut ExerciseReport,
    ) {
        let variant = &self.variants[index];
        let mut problems = Vec::new();
        let mut rejected_by = None;
        for &world in self.worlds() {
            match outcomes.get(&(index, world)) {
                Some(Outcome::DoesNotCompile(errors)) => {
                    rejected_by.get_or_insert("build".to_owned());
                    problems.push((
                        world,
                        format!(
                            "does not compile in the {} world:\n{}",
                            world.name(),
                            errors.trim()
                        ),
                    ));
                }
                Some(Outcome::Ran { tests, .. }) => {
                    if matches!(variant.role, Role::Solution) {
                        self.judge_cpu_time(world, tests, report);
                    }
                    for test in tests {
                        let (how, failure) = match &test.verdict {
                            Verdict::Failed(failure) => ("is rejected by", failure),
                            Verdict::Hanging(failure) => ("hangs in", failure),
                            Verdict::Skipped { reason } => {
                                let name = judge::plain_name(&test.name);
                                let skipped = format!("{name}: {reason}");
                                if matches!(variant.role, Role::Solution) {
                                    report.skipped.push(skipped);
                                }
                                continue;
                            }
                            Verdict::Passed => continue,
                        };
                        let name = judge::plain_name(&test.name);
                        rejected_by.get_or_insert(name.to_owned());
                        problems.push((world, format!("{how} {name}: {}", failure.message.trim())));
                    }
                }
                _ => problems.push((
                    world,
                    format!("was not tried in the {} world", world.name()),
                )),
            }
        }
        let accepted = problems.is_empty();
        match variant.role {
            Role::Solution => report.solution = Some(accepted),
            _ => {
                report.alternatives.total += 1;
                report.alternatives.good += usize::from(accepted);
            }
        }
        report.variants.push(VariantReport {
            role: variant.role_name(),
            name: variant.name.clone(),
            outcome: if accepted { "accepted" } else { "rejected" },
            by: rejected_by,
            hanging: false,
            remedies: None,
        });
        for (world, problem) in problems {
            report.findings.push(Finding {
                subject: variant.subject(),
                problem,
                command: Some(self.command(index, Some(world))),
                ..Finding::default()
            });
        }
    }

    /// A learner's solution may be slower than the reference, and so may be the machine.
    fn judge_cpu_time(&self, world: World, tests: &[Ran], report: &mut ExerciseReport) {
        for test in tests {
            let used = Duration::from_millis(test.cpu_milliseconds);
            if test.verdict == Verdict::Passed && used * LEAST_PATIENCE > self.hang_guard {
                report.find(
                    "solution",
                    format!(
                        "needs {:.1} s of CPU time for {} in the {} world. Learners are stopped after {} s, which has to be {} \
                         times as much: make the check smaller",
                        used.as_secs_f64(),
                        judge::plain_name(&test.name),
                        world.name(),
                        self.hang_guard.as_secs_f64(),
                        LEAST_PATIENCE
                    ),
                );
            }
        }
    }

    pub(super) fn compare_api(&self, report: &mut ExerciseReport) {
        let reader = |folder: &Path| {
            let folder = folder.to_path_buf();
            move |path: &[String]| form::module_source(&folder, path)
        };
        let stub = reader(&self.material.exercise_dir);
        let solution = reader(&self.material.solution_dir);
        match api::differences(&stub, &solution) {
            Ok(lines) => {
                for line in lines {
                    report.stub = Some(false);
                    report.find("api", line);
                }
            }
            Err(problem) => report.find("api", problem),
        }
    }

    pub(super) fn check_kinds(&self, names: &BTreeSet<String>, report: &mut ExerciseReport) {
        let kinds: BTreeSet<&str> = names.iter().map(|name| kind_of(name)).collect();
        if kinds.is_empty() {
            return;
        }
        for variant in self.variants {
            if let Role::Mutant { declared } = &variant.role {
                for kind in declared {
                    if kind != "build" && !kinds.contains(kind.as_str()) {
                        report.find(
                            &variant.subject(),
                            format!(
                                "is declared to be killed by `{kind}`, but there is no such check"
                            ),
                        );
                    }
                }
            }
        }
    }

    pub(super) fn judge_rejected(&self, outcomes: &Outcomes, report: &mut ExerciseReport) {
        let mut answered = vec![false; self.material.equivalents.len()];
        let places = self.places_of_equivalents(report);
        for (index, variant) in self.variants.iter().enumerate() {
            let last = Last::of(index, outcomes);
            match &variant.role {
                Role::Mutant { declared } => self.judge_mutant(index, declared, &last, report),
                Role::Generated(generated) => {
                    self.judge_generated(index, generated, &last, &places, &mut answered, report);
                }
                _ => {}
            }
        }
        for ((equivalent, place), answered) in
            self.material.equivalents.iter().zip(&places).zip(answered)
        {
            if place.is_some() && !answered {
                report.find(
                    "equivalent",
                    format!(
                        "no generated variant makes `{}` of `{}`; remove the entry",
                        equivalent.becomes,
                        equivalent.find.trim()
                    ),
                );
            }
        }
        report.check_remedies();
    }

    fn places_of_equivalents(&self, report: &mut ExerciseReport) -> Vec<Option<Range<usize>>> {
        self.material
            .equivalents
            .iter()
            .map(|equivalent| {
                if equivalent.why.trim().is_empty() {
                    report.find(
                        "equivalent",
                        format!("`{}`: `why` says nothing", equivalent.find.trim()),
                    );
                }
                mutants::find_once(&self.material.solution, &equivalent.find)
                    .map_err(|problem| report.find("equivalent", problem))
                    .ok()
            })
            .collect()
    }

    fn judge_mutant(
        &self,
        index: usize,
        declared: &[String],
        last: &Last<'_>,
        report: &mut ExerciseReport,
    ) {
        let variant = &self.variants[index];
        let declares = |kind: &str| declared.iter().any(|declared| declared == kind);
        report.mutants.total += 1;
        let problem = match last {
            Last::Rejected { test, .. } if declares(kind_of(test)) => None,
            Last::DoesNotCompile(_) if declares("build") => None,
            Last::Rejected { test, .. } => Some(format!(
                "is rejected by {test}, not by {} as it declares",
                declared.join(" or ")
            )),
            Last::DoesNotCompile(errors) => Some(format!("does not compile:\n{}", errors.trim())),
            Last::Survived => Some("survives every check".to_owned()),
        };
        report.mutants.good += usize::from(problem.is_none());
        report.variants.push(last.report(variant, last.word()));
        if let Some(problem) = problem {
            report.findings.push(Finding {
                subject: variant.subject(),
                problem,
                diff: Some(source::diff(&self.material.solution, &variant.edits)),
                command: Some(self.command(index, None)),
                ..Finding::default()
            });
        }
    }

    fn judge_generated(
        &self,
        index: usize,
        generated: &Generated,
        last: &Last<'_>,
        places: &[Option<Range<usize>>],
        answered: &mut [bool],
        report: &mut ExerciseReport,
    ) {
        // Not every edit makes a program: a `while` that returns a value is none as an `if`.
        if let Last::DoesNotCompile(_) = last {
            report
                .variants
                .push(last.report(&self.variants[index], last.word()));
            return;
        }
        let variant = &self.variants[index];
        let solution = &self.material.solution;
        let answers: Vec<usize> = (0..places.len())
            .filter(|&at| {
                let equivalent = &self.material.equivalents[at];
                places[at].as_ref().is_some_and(|place| {
                    equivalent.answers(solution, place, &generated.becomes, &generated.edits)
                })
            })
            .collect();
        let mut finding = |problem: String, answer: Option<String>| {
            report.findings.push(Finding {
                subject: variant.subject(),
                problem,
                diff: Some(source::diff(solution, &variant.edits)),
                answer,
                command: Some(self.command(index, None)),
            });
        };
        let mut word = last.word();
        let mut is_equivalent = false;
        match (last, answers.is_empty()) {
            (Last::Survived, false) => {
                word = "equivalent";
                is_equivalent = true;
            }
            (Last::Survived, true) => {
                let answer = self.answer(generated);
                finding("survives every check".to_owned(), Some(answer));
            }
            (Last::Rejected { test, .. }, false) => finding(
                format!("is listed as equivalent, but {test} rejects it: remove the entry"),
                None,
            ),
            _ => {}
        }
        for at in answers {
            if std::mem::replace(&mut answered[at], true) && is_equivalent {
                let find = self.material.equivalents[at].find.trim();
                report.find(
                    "equivalent",
                    format!("`{find}` answers more than one variant: make `find` smaller, or write the whole text into `becomes`"),
                );
            }
        }
        let tally = match generated.kind {
            Kind::Ordering => &mut report.orderings,
            _ => &mut report.generated,
        };
        tally.total += 1;
        tally.good += usize::from(matches!(last, Last::Rejected { .. }));
        tally.equivalent += usize::from(is_equivalent);
        report.variants.push(last.report(variant, word));
    }

    /// What an author would write to say that a variant is right.
    fn answer(&self, generated: &Generated) -> String {
        let solution = &self.material.solution;
        let range = &generated.edits[0].range;
        let begin = solution[..range.start].rfind('\n').map_or(0, |at| at + 1);
        let end = solution[range.start..]
            .find('\n')
            .map_or(solution.len(), |at| range.start + at);
        let line = solution[begin..end].trim();
        let find = match source::only_match(solution, line) {
            Ok(_) => line.to_owned(),
            Err(_) => self.longer(begin, end),
        };
        format!(
            "[[equivalent]]\nfind = '''{find}'''\nbecomes = {:?}\nwhy = \"…\"",
            generated.becomes
        )
    }

    /// The line and as many before it as make it unique.
    fn longer(&self, mut begin: usize, end: usize) -> String {
        let solution = &self.material.solution;
        while begin > 0 {
            begin = solution[..begin - 1].rfind('\n').map_or(0, |at| at + 1);
            let text = solution[begin..end].trim();
            if source::only_match(solution, text).is_ok() {
                return text.to_owned();
            }
        }
        format!("line {}", line_of(solution, end))
    }

    fn command(&self, index: usize, world: Option<World>) -> String {
        let features = match world.and_then(World::feature) {
            Some(feature) => format!(" --features {feature}"),
            None => String::new(),
        };
        format!(
            "CARGO_TARGET_DIR={} cargo test --manifest-path {}{features} --test checks",
            self.target_dir.display(),
            self.folder
                .join(&self.variants[index].package)
                .join("Cargo.toml")
                .display()
        )
    }
}

/// What the worlds together say about a variant that is to be rejected.
enum Last<'a> {
    Rejected {
        test: &'a str,
        hanging: bool,
        remedies: Option<&'a Vec<Remedy>>,
    },
    DoesNotCompile(&'a str),
    Survived,
}

impl<'a> Last<'a> {
    fn of(index: usize, outcomes: &'a Outcomes) -> Self {
        for ((variant, _), outcome) in outcomes {
            if *variant == index {
                match outcome {
                    Outcome::Rejected {
                        test,
                        hanging,
                        remedies,
                    } => {
                        return Self::Rejected {
                            test,
                            hanging: *hanging,
                            remedies: remedies.as_ref(),
                        };
                    }
                    Outcome::DoesNotCompile(errors) => return Self::DoesNotCompile(errors),
                    _ => {}
                }
            }
        }
        Self::Survived
    }

    fn word(&self) -> &'static str {
        match self {
            Self::Rejected { .. } => "rejected",
            Self::DoesNotCompile(_) => "does not compile",
            Self::Survived => "survived",
        }
    }

    fn report(&self, variant: &Variant, outcome: &'static str) -> VariantReport {
        let (by, hanging, remedies) = match self {
            Self::Rejected {
                test,
                hanging,
                remedies,
            } => (Some((*test).to_owned()), *hanging, remedies.cloned()),
            Self::DoesNotCompile(_) => (Some("build".to_owned()), false, None),
            Self::Survived => (None, false, None),
        };
        VariantReport {
            role: variant.role_name(),
            name: variant.name.clone(),
            outcome,
            by,
            hanging,
            remedies,
        }
    }
}

/// Why a test of the stub is not as it should be, if it is not.
fn problem_of_stub(test: &Ran) -> Option<String> {
    let name = judge::plain_name(&test.name);
    match &test.verdict {
        Verdict::Passed => Some(format!(
            "passes {name}, so that check says nothing about it"
        )),
        Verdict::Skipped { .. } => None,
        Verdict::Failed(failure) if failure.is_todo() => None,
        Verdict::Failed(failure) => Some(format!(
            "fails {name}, but not by its `todo!()`: {}",
            failure.message.trim()
        )),
        Verdict::Hanging(_) => Some(format!(
            "hangs in {name} instead of failing by its `todo!()`"
        )),
    }
}
