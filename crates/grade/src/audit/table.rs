//! What an audit found, for people: a line an exercise, then everything that is wrong.

use std::fmt::Write as _;

use console::style;

use super::lock::AuditLock;
use super::report::{Advice, ExerciseReport, Finding, Locked, Report, Tally, Vouched};
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
        "why",
    ];
    let mut rows: Vec<Vec<String>> = vec![head.map(|cell| style(cell).dim().to_string()).to_vec()];
    let mut all: Vec<(&str, Vec<String>)> = report
        .exercises
        .iter()
        .map(|exercise| (exercise.path.as_str(), row(exercise)))
        .collect();
    let vouched = report.vouched.iter();
    all.extend(vouched.map(|one| (one.path.as_str(), row_of_vouched(one))));
    all.sort();
    rows.extend(all.into_iter().map(|(_, row)| row));
    if rows.len() > 1 {
        render_rows(&mut text, &rows);
    }
    if let Some(commit) = &report.commit {
        let _ = writeln!(
            text,
            "\nOne in five of those that {} vouches for is drawn by commit {commit}.",
            AuditLock::PATH
        );
    }
    if !text.is_empty() {
        text.push('\n');
    }
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
    for exercise in &report.exercises {
        for skipped in &exercise.skipped {
            let (id, name) = (&exercise.id, &exercise.name);
            let _ = writeln!(text, "{id} {name}: a part was skipped, {skipped}");
        }
    }
    let advice = report.advice();
    if advice.pictures > 0 {
        let Advice {
            pictures,
            with_a_remedy,
            remedies,
            judged,
        } = advice;
        let _ = writeln!(
            text,
            "{with_a_remedy} of {pictures} pictures of loom checks say what would have helped, {remedies} things in all; {judged} \
             of these were judged a second time."
        );
    }
    let exercises = report.exercises.len();
    let summary = match (exercises, findings) {
        (0, _) => style("Nothing was audited.".to_owned()).yellow(),
        (_, 0) => style(format!("{exercises} audited, nothing wrong.")).green(),
        (_, 1) => style(format!("{exercises} audited, 1 thing wrong.")).red(),
        _ => style(format!("{exercises} audited, {findings} things wrong.")).red(),
    };
    let _ = write!(text, "{summary}");
    if !report.vouched.is_empty() {
        let vouched = report.vouched.len();
        let _ = write!(text, " {vouched} vouched for by {}.", AuditLock::PATH);
    }
    if let Some(shard) = &report.shard {
        let _ = write!(text, " This is part {shard}.");
    }
    text.push('\n');
    if let Some(locked) = &report.locked {
        render_locked(&mut text, report, locked);
    }
    text
}

fn render_locked(text: &mut String, report: &Report, locked: &Locked) {
    let path = AuditLock::PATH;
    for what in &locked.left_out {
        let _ = writeln!(text, "{path} does not vouch for {what}.");
    }
    let _ = match locked.written.len() {
        _ if !report.green => writeln!(text, "{path} is as it was: not everything is in order."),
        1 => writeln!(text, "{path}: 1 exercise written."),
        count => writeln!(text, "{path}: {count} exercises written."),
    };
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
        exercise.why.words().to_owned(),
    ]
}

fn row_of_vouched(exercise: &Vouched) -> Vec<String> {
    let nothing = || style("–").dim().to_string();
    let mut row = vec![
        exercise.id.clone(),
        style(&exercise.name).bold().to_string(),
    ];
    row.resize_with(9, nothing);
    row.push(style("vouched for by audit.lock").dim().to_string());
    row
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
