//! What an audit found, for people: a line an exercise, then everything that is wrong.

use std::fmt::Write as _;

use console::style;

use super::report::{ExerciseReport, Finding, Report, Tally};
use crate::table::render_rows;

/// The whole text.
pub fn render(report: &Report) -> String {
    let mut text = String::new();
    let head = [
        "",
        "exercise",
        "stub",
        "solution",
        "alternatives",
        "mutants",
        "orderings",
        "generated",
        "seconds",
    ];
    let mut rows: Vec<Vec<String>> = vec![head.map(|cell| style(cell).dim().to_string()).to_vec()];
    rows.extend(report.exercises.iter().map(row));
    render_rows(&mut text, &rows);
    text.push('\n');
    for exercise in &report.exercises {
        for finding in &exercise.findings {
            render_finding(&mut text, exercise, finding);
        }
    }
    let findings: usize = report
        .exercises
        .iter()
        .map(|exercise| exercise.findings.len())
        .sum();
    let exercises = report.exercises.len();
    let summary = match (exercises, findings) {
        (0, _) => style("Nothing has changed since the last green audit.".to_owned()).green(),
        (_, 0) => style(format!("{exercises} audited, nothing wrong.")).green(),
        (_, 1) => style(format!("{exercises} audited, 1 thing wrong.")).red(),
        _ => style(format!("{exercises} audited, {findings} things wrong.")).red(),
    };
    let _ = writeln!(text, "{summary}");
    text
}

fn row(exercise: &ExerciseReport) -> Vec<String> {
    vec![
        exercise.id.clone(),
        style(&exercise.name).bold().to_string(),
        verdict(exercise.stub),
        verdict(exercise.solution),
        tally(exercise.alternatives),
        tally(exercise.mutants),
        tally(exercise.orderings),
        tally(exercise.generated),
        format!("{:.1}", exercise.seconds),
    ]
}

fn verdict(good: Option<bool>) -> String {
    match good {
        Some(true) => style("ok").green().to_string(),
        Some(false) => style("no").red().to_string(),
        None => style("–").dim().to_string(),
    }
}

fn tally(tally: Tally) -> String {
    if tally.total == 0 {
        return style("–").dim().to_string();
    }
    let equivalent = match tally.equivalent {
        0 => String::new(),
        count => format!(" ({count} equivalent)"),
    };
    let cell = format!("{}/{}{equivalent}", tally.good, tally.total);
    if tally.good + tally.equivalent == tally.total {
        style(cell).green().to_string()
    } else {
        style(cell).red().to_string()
    }
}

fn render_finding(text: &mut String, exercise: &ExerciseReport, finding: &Finding) {
    let head = format!("{} {}: {}", exercise.id, exercise.name, finding.subject);
    let _ = writeln!(text, "{}: {}", style(head).bold(), finding.problem);
    for line in finding.diff.iter().flat_map(|diff| diff.lines()) {
        let shown = match line.chars().next() {
            Some('-') => style(line).red(),
            Some('+') => style(line).green(),
            _ => style(line).dim(),
        };
        let _ = writeln!(text, "    {shown}");
    }
    if let Some(answer) = &finding.answer {
        let _ = writeln!(text, "  If that is right, mutants.toml says so:");
        for line in answer.lines() {
            let _ = writeln!(text, "    {line}");
        }
    }
    if let Some(command) = &finding.command {
        let _ = writeln!(text, "  try it: {command}");
    }
    text.push('\n');
}
