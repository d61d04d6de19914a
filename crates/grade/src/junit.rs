//! The outcome as JUnit XML, which CI systems show as a list of tests.

use quick_junit::{NonSuccessKind, SerializeError, TestCase, TestCaseStatus, TestSuite};

use crate::judge::{Failure, Verdict};
use crate::result::{ExerciseReport, Report, State};

/// The whole document: a suite for each exercise, a case for each test.
///
/// # Errors
/// If it cannot be written as XML.
pub fn render(report: &Report) -> Result<String, SerializeError> {
    let mut document = quick_junit::Report::new("kata");
    document.add_test_suites(report.exercises().map(suite));
    document.to_string()
}

fn suite(exercise: &ExerciseReport) -> TestSuite {
    let mut suite = TestSuite::new(format!("{} {}", exercise.id, exercise.name));
    let mut add = |test: &str, status| {
        let mut case = TestCase::new(test, status);
        case.set_classname(exercise.name.as_str());
        suite.add_test_case(case);
    };
    if exercise.state == State::NotStarted {
        add(&exercise.name, skipped("not started"));
    }
    for check in &exercise.checks {
        for test in &check.tests {
            let status = match &test.verdict {
                Verdict::Passed => TestCaseStatus::success(),
                Verdict::Skipped { reason } => skipped(reason),
                Verdict::Failed(failure) | Verdict::Hanging(failure) => {
                    failed(&failure.message, picture(failure))
                }
            };
            add(&test.name, status);
        }
        // What failed without being a test: the compiler, or tests that are not the course's own.
        let others = check
            .failures
            .iter()
            .filter(|failure| failure.replay.is_none());
        for failure in others {
            add(&failure.test, failed(&failure.message, &failure.message));
        }
    }
    suite
}

fn picture(failure: &Failure) -> &str {
    let timeline = failure.timeline.as_ref();
    let picture = timeline.and_then(|timeline| timeline["text"].as_str());
    picture.unwrap_or(&failure.message)
}

fn skipped(why: &str) -> TestCaseStatus {
    let mut status = TestCaseStatus::skipped();
    status.set_message(why);
    status
}

fn failed(message: &str, text: &str) -> TestCaseStatus {
    let mut status = TestCaseStatus::non_success(NonSuccessKind::Failure);
    status
        .set_message(message.lines().next().unwrap_or(""))
        .set_description(text);
    status
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::course::Target;
    use crate::error::Error;
    use crate::judge::TestResult;
    use crate::result::{CheckReport, PhaseReport, Tally};

    #[test]
    fn every_test_is_a_case_and_what_it_says_is_text() {
        let test = |name: &str, verdict| TestResult::new(name, verdict);
        let hostile = "left: <1> & \"2\"\u{1b}[31m\u{7}\nmore";
        let check = CheckReport {
            kind: "unit".to_owned(),
            tests: vec![
                test("unit::holds", Verdict::Passed),
                test("unit::fails", Verdict::Failed(Failure::new(hostile))),
            ],
            ..CheckReport::default()
        };
        let exercise = |name: &str, state, checks| ExerciseReport {
            id: "1.04".to_owned(),
            name: name.to_owned(),
            title: name.to_owned(),
            state,
            checks,
            complete: true,
            passes: false,
            path: String::new(),
        };
        let mut report = Report::of_trouble(Target::Exercises, &Error::Interrupted);
        report.phases.push(PhaseReport {
            id: String::new(),
            name: String::new(),
            title: String::new(),
            passed: 0,
            total: 2,
            course: Tally::default(),
            exercises: vec![
                exercise("spin_lock", State::Failing, vec![check]),
                exercise("arc", State::NotStarted, Vec::new()),
            ],
        });
        let xml = render(&report).unwrap();
        let read = quick_junit::Report::deserialize_from_str(&xml).unwrap();
        assert_eq!(
            (read.tests, read.failures, read.skipped),
            (3, 1, 1),
            "{xml}"
        );
        let case = "<testcase name=\"unit::fails\" classname=\"spin_lock\">";
        let (_, inside) = xml.split_once(case).expect("a test is a case");
        assert!(
            inside
                .trim_start()
                .starts_with("<failure message=\"left: &lt;1&gt; &amp;"),
            "{xml}"
        );
        assert!(!xml.contains('\u{1b}') && !xml.contains('\u{7}'), "{xml}");
    }
}
