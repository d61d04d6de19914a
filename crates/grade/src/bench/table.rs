//! What was measured, for people: a line for each peer, then why something was not measured.

use std::fmt::Write as _;

use console::style;

use kata_report::bench::{Peer, Scenario, Spread};

use super::report::{ExerciseReport, Report};
use crate::course::Target;
use crate::table::{indent, render_rows};

/// Where two threads get less than this done, as a multiple of what one gets done, they took turns for a good part.
const BUSY: f64 = 1.5;

/// The whole text.
pub fn render(report: &Report) -> String {
    let whose = match report.target {
        Target::Exercises => "yours",
        Target::Solutions => "solution",
    };
    let head = ["", "exercise", "scenario", whose, "", "peer", "ratio", ""];
    let mut rows = vec![head.map(|cell| style(cell).dim().to_string()).to_vec()];
    for exercise in &report.exercises {
        for (number, scenario) in scenarios(exercise).enumerate() {
            for (place, peer) in scenario.peers.iter().enumerate() {
                rows.push(row(
                    exercise,
                    scenario,
                    peer,
                    number + place == 0,
                    place == 0,
                ));
            }
        }
    }
    let mut text = String::new();
    if rows.len() > 1 {
        render_rows(&mut text, &rows);
        text.push('\n');
        explain(&mut text, report, whose);
    }
    for exercise in &report.exercises {
        if exercise.measured.is_some() {
            continue;
        }
        let head = style(format!("{} {}", exercise.id, exercise.name)).bold();
        let words = style(exercise.state.words());
        let words = if exercise.state.is_trouble() {
            words.red()
        } else {
            words.dim()
        };
        let _ = writeln!(text, "{head}: {words}");
        if let Some(message) = &exercise.message {
            indent(&mut text, message);
            text.push('\n');
        }
    }
    text
}

fn scenarios(exercise: &ExerciseReport) -> impl Iterator<Item = &Scenario> {
    exercise
        .measured
        .iter()
        .flat_map(|measured| &measured.scenarios)
}

/// What is the same as in the line above is left out.
fn row(
    exercise: &ExerciseReport,
    scenario: &Scenario,
    peer: &Peer,
    is_first: bool,
    is_first_of_scenario: bool,
) -> Vec<String> {
    let unless_said = |said: bool, text: String| if said { String::new() } else { text };
    let Spread {
        lower,
        median,
        upper,
    } = peer.ratio;
    let ratio = style(format!("{median:.2} ({lower:.2} to {upper:.2})"));
    vec![
        unless_said(!is_first, exercise.id.clone()),
        unless_said(!is_first, style(&exercise.name).bold().to_string()),
        unless_said(!is_first_of_scenario, scenario.name.clone()),
        unless_said(
            !is_first_of_scenario,
            time(scenario.ours.nanoseconds.median),
        ),
        time(peer.nanoseconds.median),
        peer.name.clone(),
        if peer.star {
            ratio.green().to_string()
        } else {
            ratio.yellow().to_string()
        },
        if peer.star {
            style("★").green().to_string()
        } else {
            String::new()
        },
    ]
}

/// Three digits or a few more.
fn time(nanoseconds: f64) -> String {
    let (value, unit) = match nanoseconds {
        ..1e3 => (nanoseconds, "ns"),
        ..1e6 => (nanoseconds / 1e3, "µs"),
        _ => (nanoseconds / 1e6, "ms"),
    };
    format!("{value:>5.1} {unit}")
}

fn explain(text: &mut String, report: &Report, whose: &str) {
    let _ = writeln!(
        text,
        "{whose}, peer: the time of an operation as one thread sees it, the median of all rounds. ratio: {whose} divided by peer,\n\
         round by round: the median, and where the middle half lies. {}: no slower than the peer. Stars decide nothing.",
        style("★").green()
    );
    let speedup = report
        .exercises
        .iter()
        .filter_map(|exercise| exercise.measured.as_ref())
        .map(|measured| measured.speedup)
        .fold(f64::INFINITY, f64::min);
    if speedup < BUSY {
        let _ = writeln!(
            text,
            "{} two threads that have nothing to do with each other got {speedup:.1} times as much done as one,\n\
             not twice as much. In part they took turns, and what is said of two threads may be another thing when they do not.",
            style("The machine was busy:").yellow()
        );
    }
    text.push('\n');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_has_a_unit_that_fits() {
        assert_eq!(time(0.62), "  0.6 ns");
        assert_eq!(time(171.64), "171.6 ns");
        assert_eq!(time(9_162.0), "  9.2 µs");
        assert_eq!(time(2_500_000.0), "  2.5 ms");
    }
}
