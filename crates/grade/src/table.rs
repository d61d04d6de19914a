//! The outcome for people: a table a phase, how far it is, what to do next, and why something does not pass.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::path::Path;

use console::{Alignment, measure_text_width, pad_str, style};
use serde::Deserialize as _;

use crate::course::Target;
use crate::result::{
    CheckReport, ExerciseReport, FailureReport, NextStep, PhaseReport, Report, State, Tally,
    kind_order,
};

/// How the text is to be laid out.
#[derive(Debug, Clone, Copy)]
pub struct Layout<'a> {
    /// The course's folder, to see which hints exist.
    pub root: &'a Path,
    /// The most columns a line of a table may have; none if nothing bounds it.
    pub width: Option<usize>,
    /// Whether every failure is told, rather than the one that teaches most.
    pub all_failures: bool,
}

/// The whole text.
pub fn render(report: &Report, layout: Layout<'_>) -> String {
    let mut text = String::new();
    for phase in &report.phases {
        if !(report.partial && phase.exercises.is_empty()) {
            render_phase(&mut text, phase, layout);
        }
    }
    if !text.ends_with("\n\n") {
        text.push('\n');
    }
    render_failures(&mut text, report, layout);
    render_summary(&mut text, report);
    text
}

fn render_phase(text: &mut String, phase: &PhaseReport, layout: Layout<'_>) {
    let number = phase.id.trim_start_matches("phase");
    let title = style(format!("Phase {number} · {}", phase.title)).bold();
    let Tally {
        passed,
        written,
        total,
    } = phase.course;
    if total == 0 {
        let _ = writeln!(text, "{title}  {}", style("–").dim());
        return;
    }
    let open = match total - written {
        0 => String::new(),
        open => format!(", {open} not written yet"),
    };
    let count = format!("{passed}/{total} passing{open}");
    let count = if passed == total {
        style(count).green()
    } else {
        style(count).dim()
    };
    let _ = writeln!(text, "{title}  {count}");

    let kinds = kinds_of(phase);
    let mut rows = rows_by_kind(phase, &kinds);
    let too_wide = |rows: &[Vec<String>]| layout.width.is_some_and(|width| width_of(rows) > width);
    if too_wide(&rows) {
        rows = rows_in_short(phase);
    }
    if too_wide(&rows) {
        render_in_brief(text, phase);
    } else {
        render_rows(text, &rows);
    }
    if !phase.exercises.is_empty() {
        text.push('\n');
    }
}

/// The kinds that occur; trouble with the build shows in the state already.
fn kinds_of(phase: &PhaseReport) -> Vec<&str> {
    let mut kinds: Vec<&str> = phase
        .exercises
        .iter()
        .flat_map(|exercise| &exercise.checks)
        .map(|check| check.kind.as_str())
        .filter(|kind| *kind != "build")
        .collect();
    kinds.sort_by_key(|kind| kind_order(kind));
    kinds.dedup();
    kinds
}

fn rows_by_kind(phase: &PhaseReport, kinds: &[&str]) -> Vec<Vec<String>> {
    let mut rows = Vec::new();
    if !kinds.is_empty() {
        let header = ["", ""]
            .into_iter()
            .chain(kinds.iter().copied())
            .chain([""]);
        rows.push(
            header
                .map(|word| match word {
                    "" => String::new(),
                    word => style(word.replace('_', " ")).dim().to_string(),
                })
                .collect(),
        );
    }
    for exercise in &phase.exercises {
        let mut row = vec![exercise.id.clone(), exercise.name.clone()];
        for kind in kinds {
            let check = exercise.checks.iter().find(|check| check.kind == *kind);
            row.push(check.map_or_else(|| style("–").dim().to_string(), cell));
        }
        row.push(state_cell(exercise.state));
        rows.push(row);
    }
    rows
}

/// One column for all kinds, where the terminal has no room for a column each.
fn rows_in_short(phase: &PhaseReport) -> Vec<Vec<String>> {
    phase
        .exercises
        .iter()
        .map(|exercise| {
            let mut sum = CheckReport::default();
            for check in exercise.checks.iter().filter(|check| check.kind != "build") {
                sum.passed += check.passed;
                sum.total += check.total;
                sum.skipped += check.skipped;
            }
            let checks = if sum.total == 0 {
                style("–").dim().to_string()
            } else {
                cell(&sum)
            };
            vec![
                exercise.id.clone(),
                exercise.name.clone(),
                checks,
                state_cell(exercise.state),
            ]
        })
        .collect()
}

/// Without checks and without the columns being columns, where there is no room for either.
fn render_in_brief(text: &mut String, phase: &PhaseReport) {
    for exercise in &phase.exercises {
        let ExerciseReport { id, name, .. } = exercise;
        let _ = writeln!(text, "{id} {name} {}", state_cell(exercise.state));
    }
}

fn cell(check: &CheckReport) -> String {
    let CheckReport {
        passed,
        total,
        skipped,
        ..
    } = check;
    if passed == total {
        style("✓").green().to_string()
    } else if passed + skipped == *total {
        style(format!("{passed}/{total} skip")).yellow().to_string()
    } else {
        style(format!("{passed}/{total}")).red().to_string()
    }
}

pub(crate) fn state_cell(state: State) -> String {
    let words = style(state.words());
    let words = match state {
        State::Passing => words.green(),
        State::NotStarted => words.dim(),
        State::TestsEdited => words.yellow(),
        State::WontCompile | State::Failing | State::Hanging => words.red(),
    };
    words.to_string()
}

const INDENT: &str = "  ";
const GAP: &str = "  ";

pub(crate) fn column_widths(rows: &[Vec<String>]) -> Vec<usize> {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    (0..columns)
        .map(|column| {
            rows.iter()
                .filter_map(|row| row.get(column))
                .map(|cell| measure_text_width(cell))
                .max()
                .unwrap_or(0)
        })
        .collect()
}

pub(crate) fn width_of(rows: &[Vec<String>]) -> usize {
    let widths = column_widths(rows);
    INDENT.len() + widths.iter().sum::<usize>() + GAP.len() * widths.len().saturating_sub(1)
}

pub(crate) fn render_rows(text: &mut String, rows: &[Vec<String>]) {
    render_rows_in(text, rows, &column_widths(rows));
}

/// In columns that are also those of other rows.
pub(crate) fn render_rows_in(text: &mut String, rows: &[Vec<String>], widths: &[usize]) {
    for row in rows {
        let cells: Vec<_> = row
            .iter()
            .zip(widths)
            .map(|(cell, &width)| pad_str(cell, width, Alignment::Left, None))
            .collect();
        let _ = writeln!(text, "{INDENT}{}", cells.join(GAP).trim_end());
    }
}

fn render_failures(text: &mut String, report: &Report, layout: Layout<'_>) {
    for exercise in report.exercises() {
        if exercise.needs_work() {
            render_failure(text, exercise, layout);
        }
        for check in &exercise.checks {
            for reason in &check.skip_reasons {
                let _ = writeln!(
                    text,
                    "{} {}: part of {} was skipped: {reason}\n",
                    exercise.id, exercise.name, check.kind
                );
            }
        }
    }
}

/// The first thing that keeps an exercise from passing, and what helps.
pub(crate) fn render_failure(text: &mut String, exercise: &ExerciseReport, layout: Layout<'_>) {
    let head = format!("{} {}", exercise.id, exercise.name);
    let _ = writeln!(
        text,
        "{}: {}",
        style(head).bold(),
        state_cell(exercise.state)
    );
    let failures = exercise.checks.iter().flat_map(|check| &check.failures);
    let (unfinished, mut failures): (Vec<&FailureReport>, Vec<_>) =
        failures.partition(|failure| failure.unfinished);
    // Of a test program that is not the course's own, only that is worth saying.
    let edited = exercise.state == State::TestsEdited;
    if !edited {
        failures.sort_by_key(|failure| failure.by_what_it_teaches());
    }
    let told = if edited {
        let said = |failure: &&&FailureReport| failure.test == "tests.lock";
        failures.iter().take_while(said).count().max(1)
    } else if layout.all_failures {
        failures.len()
    } else {
        1
    };
    for failure in failures.iter().take(told) {
        render_message(text, failure, layout);
    }
    let mut rest = failures.split_off(told.min(failures.len()));
    if !rest.is_empty() {
        // Not to be left out: that is why it took so long.
        rest.sort_by_key(|failure| !failure.hanging);
        let name = |failure: &&FailureReport| {
            let hangs = if failure.hanging {
                "  (still running when it was stopped)"
            } else {
                ""
            };
            format!("{}{hangs}", failure.test)
        };
        let names: Vec<String> = rest.iter().map(name).collect();
        let shown = names.len().min(NAMES);
        let more = match names.len() - shown {
            0 => String::new(),
            more => format!("\n      and {more} more"),
        };
        let _ = writeln!(
            text,
            "  Nor does this pass; ./grade.sh {} --all-failures says why:\n      {}{more}",
            exercise.name,
            names[..shown].join("\n      ")
        );
    }
    if !unfinished.is_empty() && !edited {
        let names: Vec<&str> = unfinished.iter().map(|one| one.test.as_str()).collect();
        let shown = names.len().min(NAMES);
        let more = match names.len() - shown {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        let _ = writeln!(
            text,
            "  Not written yet, a `todo!()`: {}{more}",
            names[..shown].join(", ")
        );
    }
    let hints = format!("hints/{}.md", exercise.path);
    let hints_help = !matches!(exercise.state, State::TestsEdited | State::WontCompile);
    if hints_help && layout.root.join(&hints).exists() {
        let _ = writeln!(text, "  Hint: ./grade.sh hint {}", exercise.name);
    }
    text.push('\n');
}

pub(crate) fn render_message(text: &mut String, failure: &FailureReport, layout: Layout<'_>) {
    let is_test = failure.replay.is_some();
    if is_test {
        let _ = writeln!(text, "  {}", style(&failure.test).red());
    }
    let picture = failure.picture();
    let headline = failure.message.lines().next().unwrap_or("");
    if picture.is_empty() || !picture.contains(headline) {
        indent(text, &failure.message);
    }
    if !picture.is_empty() {
        let lines = lines_of_picture(failure, layout);
        let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
        indent_all(text, &shorten(&lines));
    }
    if let Some(replay) = &failure.replay
        && !picture.contains(replay)
    {
        let _ = writeln!(text, "  Again: {replay}");
    }
}

/// The most names of further checks that do not pass.
const NAMES: usize = 12;

/// The most lines of one message: a compiler can say a lot, and the first error is the one to read.
const LINES: usize = 60;

/// The picture as it was drawn; where there is no room for a column a thread, a list of its steps.
fn lines_of_picture(failure: &FailureReport, layout: Layout<'_>) -> Vec<String> {
    let drawn = failure.picture().trim_matches('\n').lines();
    let room = layout.width.map(|width| width.saturating_sub(4).max(20));
    let is_too_wide = |line: &str| room.is_some_and(|room| measure_text_width(line) > room);
    let report = failure.timeline.as_ref();
    let report = report.and_then(|report| kata_report::Report::deserialize(report).ok());
    match (report, room) {
        (Some(report), Some(room))
            if !report.steps.is_empty() && drawn.clone().any(is_too_wide) =>
        {
            list_steps(&report, room)
        }
        _ => drawn.map(str::to_owned).collect(),
    }
}

fn list_steps(report: &kata_report::Report, room: usize) -> Vec<String> {
    let wrap = |text: &str| kata_report::wrap(text, room);
    let mut lines = wrap(&format!(
        "{}: {} {}",
        report.test, report.headline, report.explored
    ));
    lines.push(String::new());
    let mut last = 0;
    for step in &report.steps {
        if step.step > last + 1 {
            lines.push("  …".to_owned());
        }
        last = step.step;
        let thread = report.threads.get(step.thread).map_or("", String::as_str);
        let place = step.location.rsplit(['/', '\\']).next().unwrap_or("");
        let line = format!("{last:>3}  {thread}: {}  {place}", step.text);
        lines.push(line.trim_end().to_owned());
    }
    lines.extend(wrap(&format!("^ {}", report.why)));
    lines.push(String::new());
    lines.push(format!("replay: {}", report.replay));
    lines
}

/// A picture without its middle, if it is too long: its last step, the reason and how to see it again are at its end, and
/// what leads up to the last step says more than how it all began.
fn shorten<'a>(lines: &[&'a str]) -> Vec<Cow<'a, str>> {
    let is_step = |line: &&str| {
        let number = line.split_ascii_whitespace().next().unwrap_or("");
        number.bytes().all(|byte| byte.is_ascii_digit()) && !number.is_empty()
    };
    let last_step = lines.iter().rposition(is_step).unwrap_or(lines.len());
    let beginning = LINES / 3;
    let end = (lines.len() - last_step + LINES / 6).max(LINES - beginning);
    let mut shown: Vec<Cow<str>> = lines.iter().copied().map(Cow::Borrowed).collect();
    if beginning + end < lines.len() {
        let middle = beginning..lines.len() - end;
        let gap = format!(
            "   … {} lines are left out; --json has them all",
            middle.len()
        );
        shown.splice(middle, [Cow::Owned(gap)]);
    }
    shown
}

fn indent_all(text: &mut String, lines: &[impl AsRef<str>]) {
    for line in lines {
        let _ = writeln!(text, "{}", format!("    {}", line.as_ref()).trim_end());
    }
}

pub(crate) fn indent(text: &mut String, message: &str) {
    let lines: Vec<&str> = message.trim_matches('\n').lines().collect();
    let shown = lines.len().min(LINES);
    indent_all(text, &lines[..shown]);
    if lines.len() > shown {
        let _ = writeln!(text, "    … and {} more lines", lines.len() - shown);
    }
}

fn render_summary(text: &mut String, report: &Report) {
    let remembered = if report.remembered {
        style(" · nothing has changed since these checks ran")
            .dim()
            .to_string()
    } else {
        String::new()
    };
    if let Some(filter) = &report.filter {
        render_summary_of_filter(text, report, filter);
        return;
    }
    let Tally { passed, total, .. } = report.course;
    let selection = if report.partial {
        format!("{} of {} selected, ", report.passed, report.total)
    } else {
        String::new()
    };
    let course = if report.partial { " in the course" } else { "" };
    let _ = writeln!(
        text,
        "{} {selection}{passed} of {total}{course} passing · level: {}{remembered}",
        style("Completion:").bold(),
        style(report.level.words()).bold()
    );
    if report.partial && report.target == Target::Exercises {
        for exercise in report.exercises() {
            if exercise.state == State::Passing {
                let ExerciseReport { id, name, .. } = exercise;
                let _ = writeln!(
                    text,
                    "{id} {name} passes. `./grade.sh solution {name}` shows the reference beside yours, the questions that no \
                     check asks, and how else it can be done."
                );
            }
        }
    }
    if let Some(advice) = next_step(report) {
        let _ = writeln!(text, "{} {advice}", style("Next step:").bold());
    }
}

/// What to do now; nothing of that can be said of the solutions.
pub(crate) fn next_step(report: &Report) -> Option<String> {
    match (report.target, &report.next) {
        (Target::Solutions, _) => None,
        (Target::Exercises, Some(next)) => Some(advice(next)),
        (Target::Exercises, None) if report.total == 0 => {
            Some("There is no exercise here yet.".to_owned())
        }
        (Target::Exercises, None) if report.course.passed < report.course.total => Some(
            "Everything that is written passes. Compare yours with solutions/, and see what the alternatives do differently."
                .to_owned(),
        ),
        (Target::Exercises, None) => Some(
            "Everything passes. Compare yours with solutions/, and see what the alternatives do differently.".to_owned(),
        ),
    }
}

/// What a part of the checks says, and that it is a part.
fn render_summary_of_filter(text: &mut String, report: &Report, filter: &str) {
    for exercise in report.exercises() {
        let checks = || exercise.checks.iter().filter(|check| check.kind != "build");
        let passed: usize = checks().map(|check| check.passed).sum();
        let total: usize = checks().map(|check| check.total).sum();
        let ExerciseReport { id, name, .. } = exercise;
        let _ = writeln!(
            text,
            "{} {passed} of the {total} checks of {id} {name} with `{filter}` in their names passing",
            style("Completion:").bold()
        );
        let _ = writeln!(
            text,
            "{} ./grade.sh {name} runs all of its checks",
            style("Next step:").bold()
        );
    }
}

fn advice(next: &NextStep) -> String {
    let NextStep { id, name, path, .. } = next;
    match next.state {
        State::NotStarted => format!(
            "Start with {id} {name}: read exercises/{path}/README.md, edit src/lib.rs beside it, then ./grade.sh {name}"
        ),
        _ if !next.known => {
            format!("{id} {name} has changed since it was graded: ./grade.sh {name}")
        }
        State::TestsEdited => format!(
            "Without the course's own tests {id} {name} cannot count: do what is said above, then ./grade.sh {name}"
        ),
        _ => format!(
            "Continue with {id} {name}: edit exercises/{path}/src/lib.rs, then ./grade.sh {name}"
        ),
    }
}
