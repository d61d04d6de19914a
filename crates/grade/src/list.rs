//! `list`: all exercises, phase by phase, with what each one needs and how it stands.

use std::fmt::Write as _;

use console::{Term, style};
use serde_json::{Value, json};

use crate::course::{Course, Exercise, PHASES};
use crate::result::{ExerciseReport, Report, State};
use crate::table;

/// In which form.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  ./grade.sh list              all exercises, how large they are, how they stand, what to do before them
  ./grade.sh list --json       the same for a program (schema kata/list/v1)

How they stand is known from earlier runs: nothing is built. `not graded` means that the source has changed since.")]
pub struct Options {
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

const NOT_GRADED: &str = "not graded";

/// The state; what was found out about other source is not known of this one.
pub fn state_in_words(state: State, known: bool) -> &'static str {
    match state {
        State::NotStarted | State::TestsEdited => state.words(),
        _ if !known => NOT_GRADED,
        state => state.words(),
    }
}

/// For people. `report` is on the whole course.
pub fn list(course: &Course, report: &Report) -> String {
    let mut phases = Vec::new();
    for phase in &PHASES {
        let of_phase = |pair: &(&Exercise, &ExerciseReport)| pair.0.phase == phase;
        let exercises = course.exercises.iter().zip(report.exercises());
        let rows = exercises
            .filter(of_phase)
            .map(|(exercise, known)| row(course, report, exercise, known));
        phases.push((phase, rows.collect::<Vec<_>>()));
    }
    let width = Term::stdout()
        .size_checked()
        .map(|(_, columns)| usize::from(columns));
    let all: Vec<Vec<String>> = phases.iter().flat_map(|(_, rows)| rows.clone()).collect();
    // Where there is no room, the titles go first, then what is needed.
    let mut dropped = Vec::new();
    for column in [TITLE, NEEDS] {
        if width.is_some_and(|width| table::width_of(&without(&all, &dropped)) > width) {
            dropped.push(column);
        }
    }
    let widths = table::column_widths(&without(&all, &dropped));
    let mut text = String::new();
    for (phase, rows) in phases {
        let (written, planned) = (course.written(phase), course.planned(phase));
        let passing = report.phases.iter().find(|known| known.name == phase.name);
        let passing = passing.map_or(0, |known| known.course.passed);
        let open = match planned - written {
            0 => String::new(),
            open => format!(", {open} not written yet"),
        };
        let count = match planned {
            0 => "–".to_owned(),
            planned => format!("{passing}/{planned} passing{open}"),
        };
        let title = format!("Phase {} · {}", phase.number, phase.title);
        let _ = writeln!(text, "{}  {}", style(title).bold(), style(count).dim());
        table::render_rows_in(&mut text, &without(&rows, &dropped), &widths);
        if !rows.is_empty() {
            text.push('\n');
        }
    }
    text
}

const TITLE: usize = 2;
const NEEDS: usize = 5;

fn without(rows: &[Vec<String>], dropped: &[usize]) -> Vec<Vec<String>> {
    let kept = |row: &Vec<String>| {
        let cells = row.iter().enumerate();
        let kept = cells.filter(|(column, _)| !dropped.contains(column));
        kept.map(|(_, cell)| cell.clone()).collect()
    };
    rows.iter().map(kept).collect()
}

fn row(
    course: &Course,
    report: &Report,
    exercise: &Exercise,
    known: &ExerciseReport,
) -> Vec<String> {
    let words = state_in_words(known.state, known.complete);
    let state = match known.state {
        _ if words == NOT_GRADED => style(words).yellow().to_string(),
        state => table::state_cell(state),
    };
    // Not those that are not written yet.
    let exists = |id: &&String| course.exercises.iter().any(|other| other.id() == **id);
    let needs = exercise
        .needs
        .iter()
        .filter(exists)
        .map(|id| match passes(report, id) {
            true => style(format!("{id} ✓")).dim().to_string(),
            false => id.clone(),
        });
    let needs: Vec<String> = needs.collect();
    vec![
        exercise.id(),
        style(&exercise.name).bold().to_string(),
        exercise.title.clone(),
        style(exercise.size.map_or("–", |size| size.words()))
            .dim()
            .to_string(),
        state,
        match needs.as_slice() {
            [] => String::new(),
            needs => format!("{} {}", style("needs").dim(), needs.join(", ")),
        },
    ]
}

fn passes(report: &Report, id: &str) -> bool {
    report
        .exercises()
        .any(|known| known.id == id && known.passes)
}

/// For programs.
pub fn as_json(course: &Course, report: &Report) -> Value {
    let exercises = course.exercises.iter().zip(report.exercises());
    let exercises: Vec<Value> = exercises
        .map(|(exercise, known)| {
            json!({
                "id": exercise.id(),
                "name": exercise.name,
                "title": exercise.title,
                "phase": exercise.phase.name,
                "path": format!("exercises/{}", exercise.path()),
                "topic": exercise.topic,
                "needs": exercise.needs,
                "size": exercise.size,
                "state": match state_in_words(known.state, known.complete) {
                    NOT_GRADED => json!("not_graded"),
                    _ => json!(known.state),
                },
            })
        })
        .collect();
    json!({ "schema": "kata/list/v1", "exercises": exercises })
}
