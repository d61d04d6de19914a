//! The outcome as JUnit XML, which CI systems show as a list of tests.

use std::fmt::Write as _;

use crate::judge::Verdict;
use crate::result::{ExerciseReport, Report, State};

/// The whole document.
pub fn render(report: &Report) -> String {
    let mut xml =
        String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites name=\"kata\">\n");
    for exercise in report.exercises() {
        render_exercise(&mut xml, exercise);
    }
    xml.push_str("</testsuites>\n");
    xml
}

fn render_exercise(xml: &mut String, exercise: &ExerciseReport) {
    let suite = format!("{} {}", exercise.id, exercise.name);
    let not_run = usize::from(exercise.state == State::NotStarted);
    let sum = |count: fn(&crate::result::CheckReport) -> usize| -> usize {
        exercise.checks.iter().map(count).sum()
    };
    let _ = writeln!(
        xml,
        "  <testsuite name=\"{}\" tests=\"{}\" failures=\"{}\" skipped=\"{}\">",
        escape(&suite),
        sum(|check| check.total) + not_run,
        sum(|check| check.failures.len()),
        sum(|check| check.skipped) + not_run,
    );
    if not_run == 1 {
        let _ = writeln!(
            xml,
            "    <testcase name=\"{0}\" classname=\"{0}\"><skipped message=\"not started\"/></testcase>",
            escape(&exercise.name)
        );
    }
    for check in &exercise.checks {
        for test in &check.tests {
            let inner = match &test.verdict {
                Verdict::Passed => String::new(),
                Verdict::Skipped { reason } => {
                    format!("<skipped message=\"{}\"/>", escape(reason))
                }
                Verdict::Failed(failure) | Verdict::Hanging(failure) => {
                    let picture = failure
                        .timeline
                        .as_ref()
                        .and_then(|timeline| timeline["text"].as_str())
                        .unwrap_or(&failure.message);
                    failure_element(&failure.message, picture)
                }
            };
            render_case(xml, exercise, &test.name, &inner);
        }
        // What failed without being a test: the compiler, or tests that are not the course's own.
        for failure in check
            .failures
            .iter()
            .filter(|failure| failure.replay.is_none())
        {
            let inner = failure_element(&failure.message, &failure.message);
            render_case(xml, exercise, &failure.test, &inner);
        }
    }
    xml.push_str("  </testsuite>\n");
}

fn render_case(xml: &mut String, exercise: &ExerciseReport, test: &str, inner: &str) {
    let _ = writeln!(
        xml,
        "    <testcase name=\"{}\" classname=\"{}\">{inner}</testcase>",
        escape(test),
        escape(&exercise.name)
    );
}

fn failure_element(message: &str, text: &str) -> String {
    let first = message.lines().next().unwrap_or("");
    format!(
        "<failure message=\"{}\">{}</failure>",
        escape(first),
        escape(text)
    )
}

/// XML knows no control characters but tab and line ends, not even escaped.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\n' | '\t' | '\r' => escaped.push(character),
            '\u{fffe}' | '\u{ffff}' => {}
            other if other.is_control() => {}
            other => escaped.push(other),
        }
    }
    escaped
}
