//! The outcome as data: what `--json` prints, and what everything that people read is made from.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::cache::WorldResult;
use crate::course::{Course, Exercise, PHASES, Phase, Target};
use crate::error::Error;
use crate::grade::{Assessment, replay_command};
use crate::judge::{Failure, TestResult, Verdict};

/// What stands in `schema`.
pub const SCHEMA: &str = "kata/result/v1";

/// What an exercise is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// The source is still the stub.
    NotStarted,
    /// The compiler rejects it.
    WontCompile,
    /// A check does not pass.
    Failing,
    /// The hang guard stopped a check.
    Hanging,
    /// The tests are not the course's own.
    TestsEdited,
    /// Every check passes.
    Passing,
}

impl State {
    /// In words.
    pub fn words(self) -> &'static str {
        match self {
            Self::NotStarted => "not started",
            Self::WontCompile => "won't compile",
            Self::Failing => "failing",
            Self::Hanging => "hanging",
            Self::TestsEdited => "tests edited",
            Self::Passing => "passing",
        }
    }
}

/// How far the learner has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Level {
    /// Phase 1 is not complete.
    Basics,
    /// Phase 1 is complete, with every exercise of the curriculum.
    Advanced,
    /// Phases 1 to 5 are complete.
    Expert,
    /// Everything is.
    #[serde(rename = "God level")]
    God,
}

impl Level {
    /// In words.
    pub fn words(self) -> &'static str {
        match self {
            Self::Basics => "Basics",
            Self::Advanced => "Advanced",
            Self::Expert => "Expert",
            Self::God => "God level",
        }
    }

    fn of(complete: impl Fn(u8) -> bool) -> Self {
        if !complete(1) {
            Self::Basics
        } else if !(2..=5).all(&complete) {
            Self::Advanced
        } else if !complete(6) {
            Self::Expert
        } else {
            Self::God
        }
    }
}

/// How far something has come, over all of it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// How many exercises pass, as far as it is known.
    pub passed: usize,
    /// How many are written.
    pub written: usize,
    /// How many the curriculum has: what is not written yet is still to be done.
    pub total: usize,
}

impl Tally {
    fn is_complete(self) -> bool {
        self.total > 0 && self.passed == self.total
    }
}

/// The outcome for the selected exercises.
#[derive(Debug, Serialize, Deserialize)]
pub struct Report {
    /// [`SCHEMA`].
    pub schema: String,
    /// Whose code.
    pub target: Target,
    /// How far, over the whole course as far as it is known.
    pub level: Level,
    /// How many of the selected exercises pass.
    pub passed: usize,
    /// How many are selected.
    pub total: usize,
    /// The whole course.
    #[serde(default)]
    pub course: Tally,
    /// All phases, each with its selected exercises.
    pub phases: Vec<PhaseReport>,
    /// If only checks with this in their names were asked for, that: states of exercises are of those checks alone.
    #[serde(default)]
    pub filter: Option<String>,
    /// Why the grader could not work; the rest is empty then. Otherwise empty.
    #[serde(default)]
    pub errors: Vec<String>,
    /// Whether only a part of the course is selected.
    #[serde(skip)]
    pub partial: bool,
    /// Whether checks of what was selected have run, all of them in an earlier run.
    #[serde(skip)]
    pub remembered: bool,
    /// What to turn to now; nothing if everything passes.
    #[serde(skip)]
    pub next: Option<NextStep>,
}

/// The exercise to turn to.
#[derive(Debug, Clone)]
pub struct NextStep {
    /// `1.04`.
    pub id: String,
    /// `spin_lock`.
    pub name: String,
    /// `phase1_internals/04_spin_lock`.
    pub path: String,
    /// What it is in.
    pub state: State,
    /// Whether that is known of the source as it is now.
    pub known: bool,
}

/// One phase.
#[derive(Debug, Serialize, Deserialize)]
pub struct PhaseReport {
    /// `phase1`.
    pub id: String,
    /// `phase1_internals`.
    pub name: String,
    /// What a reader sees.
    pub title: String,
    /// How many of the selected exercises pass.
    pub passed: usize,
    /// How many are selected.
    pub total: usize,
    /// The whole phase.
    #[serde(default)]
    pub course: Tally,
    /// The selected ones, in order.
    pub exercises: Vec<ExerciseReport>,
}

/// One exercise.
#[derive(Debug, Serialize, Deserialize)]
pub struct ExerciseReport {
    /// `1.04`.
    pub id: String,
    /// `spin_lock`.
    pub name: String,
    /// What a reader sees.
    pub title: String,
    /// What it is in.
    pub state: State,
    /// A kind each, in the order of the course's table.
    pub checks: Vec<CheckReport>,
    /// Whether every world was looked at.
    #[serde(skip)]
    pub complete: bool,
    /// Whether every check passes, also those that were not asked for.
    #[serde(skip)]
    pub passes: bool,
    /// `phase1_internals/04_spin_lock`.
    #[serde(skip)]
    pub path: String,
}

/// All checks of one kind.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct CheckReport {
    /// The first segment of the tests' names.
    pub kind: String,
    /// How many passed in full.
    pub passed: usize,
    /// How many there are.
    pub total: usize,
    /// How many passed but for a part that needs something this machine does not have.
    pub skipped: usize,
    /// What was missing for those.
    pub skip_reasons: Vec<String>,
    /// Those that did not pass.
    pub failures: Vec<FailureReport>,
    /// What those explored that passed.
    #[serde(default)]
    pub explored: Exploration,
    /// All tests, for reports that name every one.
    #[serde(skip)]
    pub tests: Vec<TestResult>,
}

/// What models explored.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
pub struct Exploration {
    /// So many models.
    pub models: usize,
    /// Of which so many were explored to the last execution that there is.
    pub complete: usize,
    /// All executions together.
    pub executions: usize,
}

/// One test that did not pass.
#[derive(Debug, Serialize, Deserialize)]
pub struct FailureReport {
    /// Its name.
    pub test: String,
    /// Why, in words.
    pub message: String,
    /// Whether it was still running when it was stopped, which says less than any other failure.
    pub hanging: bool,
    /// Whether it met a `todo!()`, which says that it is not written yet, and no more.
    #[serde(default)]
    pub unfinished: bool,
    /// What `kata` reported, with the picture.
    pub timeline: Option<serde_json::Value>,
    /// How to run it alone.
    #[serde(skip)]
    pub replay: Option<String>,
}

/// The kinds in the order in which a reader meets them; others follow.
const KINDS: [&str; 13] = [
    "build",
    "compile",
    "unit",
    "enumerated",
    "property",
    "stress",
    "loom",
    "shuttle",
    "linearizable",
    "non_blocking",
    "sim",
    "process",
    "bench",
];

/// Where a kind belongs among the others.
pub fn kind_order(kind: &str) -> (usize, &str) {
    let known = KINDS.iter().position(|known| *known == kind);
    (known.unwrap_or(KINDS.len()), kind)
}

impl Report {
    /// What there is to say when the grader could not work: why.
    pub fn of_trouble(target: Target, error: &Error) -> Self {
        Self {
            schema: SCHEMA.to_owned(),
            target,
            level: Level::Basics,
            passed: 0,
            total: 0,
            course: Tally::default(),
            phases: Vec::new(),
            filter: None,
            errors: vec![error.to_string()],
            partial: false,
            remembered: false,
            next: None,
        }
    }

    /// Sums up. `assessments` are of all exercises of the course, in its order.
    pub fn new(
        course: &Course,
        assessments: &[Assessment],
        selected: &[bool],
        target: Target,
    ) -> Self {
        let mut all: Vec<(u8, bool, ExerciseReport)> = Vec::new();
        for ((exercise, assessment), &selected) in
            course.exercises.iter().zip(assessments).zip(selected)
        {
            let report = ExerciseReport::new(course, exercise, assessment, target);
            all.push((exercise.phase.number, selected, report));
        }
        let tally = |phase: &Phase| Tally {
            passed: all
                .iter()
                .filter(|(number, ..)| *number == phase.number)
                .filter(|(.., report)| report.passes)
                .count(),
            written: course.written(phase),
            total: course.planned(phase),
        };
        let tallies: Vec<Tally> = PHASES.iter().map(tally).collect();
        let level = Level::of(|phase| tallies[usize::from(phase) - 1].is_complete());
        let next = next_step(course, &all);
        let mut phases: Vec<PhaseReport> = PHASES
            .iter()
            .zip(&tallies)
            .map(|(phase, tally)| PhaseReport {
                course: *tally,
                id: phase.id(),
                name: phase.name.to_owned(),
                title: phase.title.to_owned(),
                passed: 0,
                total: 0,
                exercises: Vec::new(),
            })
            .collect();
        for (number, selected, report) in all {
            if selected {
                let phase = &mut phases[usize::from(number) - 1];
                phase.total += 1;
                phase.passed += usize::from(report.state == State::Passing);
                phase.exercises.push(report);
            }
        }
        Self {
            schema: SCHEMA.to_owned(),
            target,
            level,
            passed: phases.iter().map(|phase| phase.passed).sum(),
            total: phases.iter().map(|phase| phase.total).sum(),
            course: tallies.iter().fold(Tally::default(), |sum, tally| Tally {
                passed: sum.passed + tally.passed,
                written: sum.written + tally.written,
                total: sum.total + tally.total,
            }),
            phases,
            filter: assessments
                .iter()
                .find_map(|assessment| assessment.only.clone()),
            errors: Vec::new(),
            partial: selected.contains(&false),
            remembered: {
                let mut checked = assessments
                    .iter()
                    .zip(selected)
                    .filter(|(assessment, selected)| **selected && !assessment.worlds.is_empty())
                    .peekable();
                checked.peek().is_some() && checked.all(|(assessment, _)| !assessment.renewed)
            },
            next,
        }
    }

    /// All exercises in it.
    pub fn exercises(&self) -> impl Iterator<Item = &ExerciseReport> {
        self.phases.iter().flat_map(|phase| &phase.exercises)
    }

    /// 0 if nothing attempted, or with `all` nothing at all, is short of passing; 1 otherwise.
    pub fn exit_code(&self, all: bool) -> u8 {
        let short = self.exercises().any(|exercise| match exercise.state {
            State::Passing => false,
            State::NotStarted => all,
            _ => true,
        });
        u8::from(short)
    }
}

/// What was asked for comes first, then what was begun, then the first exercise whose needs are met.
fn next_step(course: &Course, all: &[(u8, bool, ExerciseReport)]) -> Option<NextStep> {
    // An exercise that is not written yet keeps nobody waiting.
    let passing = |id: &String| {
        let mut of_that_id = all.iter().filter(|(.., report)| report.id == *id);
        of_that_id.all(|(.., report)| report.state == State::Passing)
    };
    let begun = |wanted: bool| {
        all.iter()
            .find(|(_, selected, report)| *selected == wanted && report.needs_work())
            .map(|(.., report)| report)
    };
    let last = all
        .iter()
        .rposition(|(_, selected, _)| *selected)
        .unwrap_or(0);
    let untouched = |wanted: bool| {
        course
            .exercises
            .iter()
            .zip(all)
            .enumerate()
            .filter(|(_, (_, (_, selected, report)))| {
                *selected == wanted && report.state == State::NotStarted
            })
            .map(|(index, (exercise, (.., report)))| {
                let ready = exercise.needs.iter().all(passing);
                // Of those that were not asked for, one that follows.
                ((!ready, !wanted && index < last), report)
            })
            .min_by_key(|(order, _)| *order)
            .map(|(_, report)| report)
    };
    let report = [true, false]
        .into_iter()
        .find_map(|wanted| begun(wanted).or_else(|| untouched(wanted)))?;
    Some(NextStep {
        id: report.id.clone(),
        name: report.name.clone(),
        path: report.path.clone(),
        state: report.state,
        known: report.complete,
    })
}

impl ExerciseReport {
    fn new(course: &Course, exercise: &Exercise, assessment: &Assessment, target: Target) -> Self {
        let package = course
            .package(exercise, target)
            .unwrap_or_else(|| exercise.package.clone());
        let mut checks: BTreeMap<String, CheckReport> = BTreeMap::new();
        if !assessment.edited.is_empty() {
            let check = check_of(&mut checks, "build");
            for difference in &assessment.edited {
                check.total += 1;
                check.failures.push(FailureReport {
                    test: "tests.lock".to_owned(),
                    message: difference.clone(),
                    hanging: false,
                    unfinished: false,
                    timeline: None,
                    replay: None,
                });
            }
        }
        for (&world, result) in &assessment.worlds {
            match result {
                WorldResult::DoesNotCompile(errors) => {
                    let check = check_of(&mut checks, "build");
                    check.total += 1;
                    let features = world
                        .feature()
                        .map_or_else(String::new, |feature| format!(" --features {feature}"));
                    check.failures.push(FailureReport {
                        test: format!("{} world", world.name()),
                        message: format!(
                            "In the {} world (cargo test -p {}{features}):\n{errors}",
                            world.name(),
                            package.name
                        ),
                        hanging: false,
                        unfinished: false,
                        timeline: None,
                        replay: None,
                    });
                }
                WorldResult::Tests(tests) => {
                    for test in tests.iter().filter(|test| is_asked_for(test, assessment)) {
                        // What was found out without a test cannot be found out by one.
                        let replay = (test.kind() != "build")
                            .then(|| replay_command(&package, target, world, &test.name));
                        check_of(&mut checks, test.kind()).add(test, replay);
                    }
                }
            }
        }
        let mut checks: Vec<CheckReport> = checks.into_values().collect();
        checks.sort_by(|left, right| kind_order(&left.kind).cmp(&kind_order(&right.kind)));
        let state = state_of(assessment, &|test| is_asked_for(test, assessment));
        if state == State::Failing && checks.iter().all(|check| check.failures.is_empty()) {
            checks.insert(0, nothing_known(checks.is_empty()));
        }
        Self {
            id: exercise.id(),
            name: exercise.name.clone(),
            title: exercise.title.clone(),
            state,
            checks,
            complete: assessment.complete,
            passes: assessment.complete && state_of(assessment, &|_| true) == State::Passing,
            path: exercise.path(),
        }
    }

    /// Whether it is neither untouched nor done.
    pub fn needs_work(&self) -> bool {
        !matches!(self.state, State::NotStarted | State::Passing)
    }
}

fn check_of<'a>(checks: &'a mut BTreeMap<String, CheckReport>, kind: &str) -> &'a mut CheckReport {
    checks
        .entry(kind.to_owned())
        .or_insert_with(|| CheckReport {
            kind: kind.to_owned(),
            ..CheckReport::default()
        })
}

/// Why an exercise is not passing although no check failed.
fn nothing_known(no_checks: bool) -> CheckReport {
    let message = if no_checks {
        "There is not a single check, so nothing is known."
    } else {
        "No check passed in full, so too little is known."
    };
    CheckReport {
        kind: "build".to_owned(),
        total: 1,
        failures: vec![FailureReport {
            test: "checks".to_owned(),
            message: message.to_owned(),
            hanging: false,
            unfinished: false,
            timeline: None,
            replay: None,
        }],
        ..CheckReport::default()
    }
}

impl FailureReport {
    /// Why a test did not pass, if it did not.
    pub fn of(test: &TestResult, replay: Option<String>) -> Option<Self> {
        let (Verdict::Failed(failure) | Verdict::Hanging(failure)) = &test.verdict else {
            return None;
        };
        let Failure { message, timeline } = failure.clone();
        let reported = timeline
            .as_ref()
            .and_then(|timeline| timeline["replay"].as_str());
        Some(Self {
            test: test.name.clone(),
            message,
            hanging: matches!(test.verdict, Verdict::Hanging(_)),
            unfinished: failure.is_todo(),
            replay: reported.map(str::to_owned).or(replay),
            timeline,
        })
    }

    /// The picture that `kata` drew; empty if there is none.
    pub fn picture(&self) -> &str {
        let text = self.timeline.as_ref().map(|timeline| &timeline["text"]);
        text.and_then(serde_json::Value::as_str).unwrap_or("")
    }

    /// Comes first for what teaches most: what is not about a single check, such as an error of the compiler; then what
    /// has a picture, a short one first; and what only did not end comes last.
    pub fn by_what_it_teaches(&self) -> impl Ord + use<> {
        let picture = self.picture();
        (
            self.replay.is_some(),
            picture.is_empty(),
            self.hanging,
            picture.lines().count(),
        )
    }
}

impl CheckReport {
    fn add(&mut self, test: &TestResult, replay: Option<String>) {
        self.total += 1;
        self.tests.push(test.clone());
        for model in &test.explored {
            self.explored.models += 1;
            self.explored.complete += usize::from(model.complete);
            self.explored.executions += model.executions;
        }
        match &test.verdict {
            Verdict::Passed => self.passed += 1,
            Verdict::Skipped { reason } => {
                self.skipped += 1;
                if !self.skip_reasons.contains(reason) {
                    self.skip_reasons.push(reason.clone());
                }
            }
            Verdict::Failed(_) | Verdict::Hanging(_) => {
                self.failures.extend(FailureReport::of(test, replay));
            }
        }
    }
}

fn is_asked_for(test: &TestResult, assessment: &Assessment) -> bool {
    let only = assessment.only.as_ref();
    only.is_none_or(|only| test.name.contains(only) || test.kind() == "build")
}

/// The state as the tests that count say.
fn state_of(assessment: &Assessment, counts: &dyn Fn(&TestResult) -> bool) -> State {
    if !assessment.edited.is_empty() {
        return State::TestsEdited;
    }
    if assessment.untouched {
        return State::NotStarted;
    }
    let mut passed = 0;
    let mut failing = false;
    let mut hanging = false;
    for result in assessment.worlds.values() {
        let tests = match result {
            WorldResult::DoesNotCompile(_) => return State::WontCompile,
            WorldResult::Tests(tests) => tests,
        };
        for test in tests.iter().filter(|test| counts(test)) {
            match test.verdict {
                Verdict::Passed => passed += 1,
                Verdict::Skipped { .. } => {}
                Verdict::Failed(_) => failing = true,
                Verdict::Hanging(_) => hanging = true,
            }
        }
    }
    if hanging {
        State::Hanging
    } else if failing || passed == 0 || !(assessment.complete || assessment.only.is_some()) {
        State::Failing
    } else {
        State::Passing
    }
}
