//! What is shown: how far each world is, and why a check does not pass.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use console::{measure_text_width, style, truncate_str};

use super::runs::News;
use super::{columns, key_help};
use crate::cache::WorldResult;
use crate::course::{Course, Exercise, Target, World};
use crate::error::Result;
use crate::grade::replay_command;
use crate::judge::{TestResult, Verdict};
use crate::lock::{Checks, Lock};
use crate::result::{FailureReport, NextStep, Report, State};
use crate::table::{self, Layout};

/// What the lower part shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Panel {
    /// Why a check fails, or that none does.
    Failure,
    /// A hint, or what could not be done.
    Text,
    /// All exercises.
    List,
}

/// What is known of the exercise that is watched.
pub struct View {
    exercise: String,
    head: String,
    worlds: BTreeMap<World, Progress>,
    number: u64,
    saved: Instant,
    doing: String,
    report: Option<Report>,
    /// What to turn to once it passes.
    next: Option<NextStep>,
    /// Which failure is shown, if it was chosen.
    chosen: Option<String>,
    pub panel: Panel,
    pub text: String,
    offset: usize,
    pub hints_shown: usize,
}

/// How far a world is.
#[derive(Default)]
struct Progress {
    /// How many checks there are, once that is known.
    total: Option<usize>,
    results: Vec<TestResult>,
    /// Why there will be none.
    does_not_compile: bool,
    /// When the last one was in, counted from the save.
    after: Option<Duration>,
    building: bool,
    from_before: bool,
}

impl Progress {
    fn is_over(&self) -> bool {
        self.does_not_compile || self.total == Some(self.results.len())
    }

    fn passed(&self) -> usize {
        let passed = |result: &&TestResult| {
            matches!(result.verdict, Verdict::Passed | Verdict::Skipped { .. })
        };
        self.results.iter().filter(passed).count()
    }
}

impl View {
    /// Of an exercise of which nothing is known yet.
    pub fn new(exercise: &Exercise, lock: &Lock) -> Self {
        let mut view = Self {
            exercise: exercise.name.clone(),
            head: String::new(),
            worlds: BTreeMap::new(),
            number: 0,
            saved: Instant::now(),
            doing: String::new(),
            report: None,
            next: None,
            chosen: None,
            panel: Panel::Failure,
            text: String::new(),
            offset: 0,
            hints_shown: 0,
        };
        view.begin(exercise, lock, 0, Instant::now());
        view
    }

    /// Forgets what was found out about other source; the panel that is open stays open.
    pub fn begin(&mut self, exercise: &Exercise, lock: &Lock, number: u64, saved: Instant) {
        self.head = format!("{} {} · {}", exercise.id(), exercise.name, exercise.title);
        let entry = lock.entry(exercise.phase.name, &exercise.folder);
        let none = Checks::new();
        let checks = entry.map_or(&none, |entry| &entry.checks);
        self.worlds = exercise
            .package
            .worlds
            .iter()
            .map(|world| {
                let total = checks.get(world).map(Vec::len);
                (
                    *world,
                    Progress {
                        total,
                        ..Progress::default()
                    },
                )
            })
            .collect();
        self.number = number;
        self.saved = saved;
        self.report = None;
        self.next = None;
        self.offset = 0;
        self.doing = "looking".to_owned();
        if self.panel == Panel::List {
            self.panel = Panel::Failure;
        }
    }

    /// The exercise's name.
    pub fn name(&self) -> &str {
        &self.exercise
    }

    /// Whether it is known to pass.
    pub fn passes(&self) -> bool {
        self.report
            .as_ref()
            .is_some_and(|report| report.passed == 1)
    }

    /// Takes in what a run tells; says whether it is over.
    pub fn hear(&mut self, news: News) -> Result<bool> {
        let after = self.saved.elapsed();
        match news {
            News::Building(world) => {
                self.doing = format!("building for {}", world.name());
                for (other, progress) in &mut self.worlds {
                    progress.building = *other == world;
                }
            }
            News::Compiling(what) => {
                let what = what.split(" (").next().unwrap_or("").to_owned();
                self.doing = format!("compiling {what}");
            }
            News::Waiting => "waiting for another grader".clone_into(&mut self.doing),
            News::Testing(world, total) => {
                let progress = self.worlds.entry(world).or_default();
                progress.total = Some(total);
                progress.building = false;
                "running".clone_into(&mut self.doing);
            }
            News::Tested(world, result) => {
                let progress = self.worlds.entry(world).or_default();
                progress.results.push(result);
                progress.after = Some(after);
            }
            News::Known(world, result) => {
                let progress = self.worlds.entry(world).or_default();
                progress.take(result);
                progress.from_before = true;
            }
            News::Next(step) => self.next = Some(step),
            News::Done(done) => {
                let report = (*done)?;
                self.doing.clear();
                for progress in self.worlds.values_mut() {
                    progress.building = false;
                }
                self.report = Some(report);
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Opens a panel at its beginning.
    pub fn show(&mut self, panel: Panel) {
        self.panel = panel;
        self.offset = 0;
    }

    /// By so many lines.
    pub fn scroll(&mut self, lines: isize) {
        self.offset = self.offset.saturating_add_signed(lines);
    }

    /// The failure after the one that is shown.
    pub fn next_failure(&mut self) {
        let failures = self.failures(None);
        let names: Vec<&String> = failures.iter().map(|failure| &failure.test).collect();
        let shown = self
            .chosen
            .as_ref()
            .and_then(|chosen| names.iter().position(|name| *name == chosen));
        // From another panel it leads back to the one that was shown.
        let next = match (self.panel, shown) {
            (Panel::Failure, shown) => shown.unwrap_or(0) + 1,
            (_, shown) => shown.unwrap_or(0),
        };
        self.chosen = names
            .get(next % names.len().max(1))
            .map(|name| (*name).clone());
        self.show(Panel::Failure);
    }

    /// The line in the learner's code where the failure that is shown has its last step.
    pub fn place(&self, exercise: &Exercise) -> Option<(PathBuf, usize)> {
        let failures = self.failures(None);
        let steps = self.shown_failure(&failures)?.timeline.as_ref()?["steps"]
            .as_array()?
            .clone();
        steps.iter().rev().find_map(|step| {
            let mut place = step["location"].as_str()?.split(':');
            let (file, line) = (place.next()?, place.next()?.parse().ok()?);
            let (_, below) = file
                .replace('\\', "/")
                .rsplit_once("src/")
                .map(|(a, b)| (a.to_owned(), b.to_owned()))?;
            let file = exercise.package.dir.join("src").join(below);
            file.is_file().then_some((file, line))
        })
    }

    /// What does not pass, what teaches most first; from the report, once there is one.
    fn failures(&self, exercise: Option<&Exercise>) -> Vec<FailureReport> {
        let mut failures = Vec::new();
        for (&world, progress) in &self.worlds {
            for result in &progress.results {
                let replay = exercise
                    .filter(|_| result.kind() != "build")
                    .map(|exercise| {
                        replay_command(&exercise.package, Target::Exercises, world, &result.name)
                    });
                // Without the exercise only the order is of interest.
                let replay = replay
                    .or_else(|| (exercise.is_none() && result.kind() != "build").then(String::new));
                failures.extend(FailureReport::of(result, replay));
            }
        }
        failures.retain(|failure| !failure.unfinished);
        failures.sort_by_key(FailureReport::by_what_it_teaches);
        failures
    }

    fn unfinished(&self) -> Vec<String> {
        let results = self.worlds.values().flat_map(|progress| &progress.results);
        let failures = results.filter_map(|result| FailureReport::of(result, None));
        failures
            .filter(|failure| failure.unfinished)
            .map(|failure| failure.test)
            .collect()
    }

    fn shown_failure<'a>(&self, failures: &'a [FailureReport]) -> Option<&'a FailureReport> {
        let chosen = failures
            .iter()
            .find(|failure| Some(&failure.test) == self.chosen.as_ref());
        chosen.or_else(|| failures.first())
    }
}

impl Progress {
    fn take(&mut self, result: WorldResult) {
        match result {
            WorldResult::Tests(tests) => {
                self.total = Some(tests.len());
                self.results = tests;
            }
            WorldResult::DoesNotCompile(_) => self.does_not_compile = true,
        }
        self.building = false;
    }
}

// For a terminal.
impl View {
    /// The whole screen.
    pub fn lines(&mut self, course: &Course, width: usize, height: usize) -> Vec<String> {
        let mut lines = vec![self.head_line(), String::new()];
        for (world, progress) in self.worlds_in_order() {
            lines.push(format!("  {:<8} {}", world.name(), progress.cell()));
        }
        lines.push(String::new());
        let room = height.saturating_sub(lines.len() + 2).max(1);
        let body = self.body(course, width);
        self.offset = self.offset.min(body.len().saturating_sub(room));
        let shown = body.iter().skip(self.offset).take(room);
        lines.extend(shown.cloned());
        while lines.len() < height.saturating_sub(1) {
            lines.push(String::new());
        }
        lines.truncate(height.saturating_sub(1));
        let more = match body.len().saturating_sub(self.offset + room) {
            0 => String::new(),
            more => style(format!("  ↓ {more} more lines")).dim().to_string(),
        };
        lines.push(format!("{}{more}", key_help()));
        let fit = |line: String| truncate_str(&line, width, "…").into_owned();
        lines.into_iter().map(fit).collect()
    }

    fn worlds_in_order(&self) -> impl Iterator<Item = (World, &Progress)> {
        World::BY_COST
            .into_iter()
            .filter_map(|world| Some((world, self.worlds.get(&world)?)))
    }

    fn head_line(&self) -> String {
        let state = match self.state() {
            Some(state) => table::state_cell(state),
            None => style(format!(
                "{} · {:.0} s",
                self.doing,
                self.saved.elapsed().as_secs_f64()
            ))
            .cyan()
            .to_string(),
        };
        format!("{}  {state}", style(&self.head).bold())
    }

    fn state(&self) -> Option<State> {
        Some(self.report.as_ref()?.exercises().next()?.state)
    }

    fn body(&self, course: &Course, width: usize) -> Vec<String> {
        let text = match self.panel {
            Panel::Text | Panel::List => self.text.clone(),
            Panel::Failure => self.why(course, Some(width)),
        };
        text.lines().flat_map(|line| fold(line, width)).collect()
    }

    /// Why it does not pass, as far as that is known.
    fn why(&self, course: &Course, width: Option<usize>) -> String {
        let mut text = String::new();
        let Ok(exercise) = course.one(Some(&self.exercise)) else {
            return text;
        };
        let layout = Layout {
            root: &course.root,
            width,
            all_failures: false,
        };
        match (self.state(), &self.report) {
            (Some(State::Passing), _) => {
                let _ = writeln!(
                    text,
                    "{} passes. `./grade.sh solution {}` shows the reference beside yours.",
                    self.exercise, self.exercise
                );
                let next = self.next.as_ref().filter(|next| next.name != self.exercise);
                if let Some(next) = next {
                    let _ = writeln!(
                        text,
                        "Next: {} {} (key n on a terminal)",
                        next.id, next.name
                    );
                }
            }
            (Some(State::NotStarted), _) => {
                let (file, line) = crate::next::begin(exercise);
                let _ = writeln!(
                    text,
                    "Not started: read exercises/{}/README.md, then edit\n{}:{line}",
                    exercise.path(),
                    crate::next::shown(&course.root, &file)
                );
            }
            // What the compiler says, or what is not the course's own.
            (Some(State::WontCompile | State::TestsEdited), Some(report)) => {
                for report in report.exercises() {
                    table::render_failure(&mut text, report, layout);
                }
            }
            _ => {
                let failures = self.failures(Some(exercise));
                if let Some(failure) = self.shown_failure(&failures) {
                    let index = failures.iter().position(|other| other.test == failure.test);
                    if failures.len() > 1 {
                        let number = index.unwrap_or(0) + 1;
                        let count = format!("failure {number} of {}", failures.len());
                        let _ = writeln!(text, "{}", style(count).dim());
                    }
                    table::render_message(&mut text, failure, layout);
                }
                let unfinished = self.unfinished();
                if !unfinished.is_empty() {
                    let _ = writeln!(
                        text,
                        "  Not written yet, a `todo!()`: {}",
                        unfinished.join(", ")
                    );
                }
                if let (Some(report), true) = (&self.report, text.is_empty()) {
                    for report in report.exercises() {
                        table::render_failure(&mut text, report, layout);
                    }
                }
            }
        }
        text
    }
}

impl Progress {
    fn cell(&self) -> String {
        let after = self.after.map_or_else(String::new, |after| {
            format!("  {:.2} s", after.as_secs_f64())
        });
        let from_before = if self.from_before { "  as before" } else { "" };
        let passed = self.passed();
        let failed = self.results.len() - passed;
        let total = self
            .total
            .map_or_else(|| "?".to_owned(), |total| total.to_string());
        if self.does_not_compile {
            style("does not compile").red().to_string()
        } else if self.is_over() && failed == 0 {
            format!(
                "{}{}",
                style(format!("✓ {passed}")).green(),
                style(format!("{after}{from_before}")).dim()
            )
        } else if self.is_over() {
            format!(
                "{}{}",
                style(format!("✗ {passed}/{total}")).red(),
                style(format!("{after}{from_before}")).dim()
            )
        } else if !self.results.is_empty() {
            let failed = match failed {
                0 => String::new(),
                failed => style(format!(", {failed} failed")).red().to_string(),
            };
            format!("{} of {total} run{failed}", self.results.len())
        } else if self.building {
            style("building").cyan().to_string()
        } else {
            style(format!("· {total} checks")).dim().to_string()
        }
    }
}

/// A line that is too long as several, indented as it is.
fn fold(line: &str, width: usize) -> Vec<String> {
    if measure_text_width(line) <= width || line.contains('\u{1b}') {
        return vec![line.to_owned()];
    }
    let text = line.trim_start();
    let indent = &line[..line.len() - text.len()];
    let room = width.saturating_sub(indent.len()).max(20);
    let lines = kata_report::wrap(text, room);
    lines
        .iter()
        .map(|line| format!("{indent}{}", line.trim()))
        .collect()
}

/// What was printed of the current run.
#[derive(Default)]
pub struct Told {
    exercise: String,
    number: u64,
    worlds: Vec<World>,
    over: bool,
}

// For a pipe.
impl View {
    /// The lines that are new since.
    pub fn new_lines(&self, course: &Course, told: &mut Told) -> String {
        let mut text = String::new();
        if (told.number, &told.exercise) != (self.number, &self.exercise) {
            *told = Told {
                exercise: self.exercise.clone(),
                number: self.number,
                ..Told::default()
            };
            let _ = writeln!(text, "{}: run {}", self.head, self.number);
        }
        for (world, progress) in self.worlds_in_order() {
            if progress.is_over()
                && !told.worlds.contains(&world)
                && (!progress.results.is_empty() || progress.does_not_compile)
            {
                told.worlds.push(world);
                let _ = writeln!(text, "  {:<8} {}", world.name(), progress.cell());
            }
        }
        if let (Some(state), false) = (self.state(), told.over) {
            told.over = true;
            let _ = writeln!(text, "{}: {}", self.exercise, table::state_cell(state));
            text.push_str(&self.why(course, columns()));
            text.push('\n');
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_line_is_folded_and_loses_no_word() {
        let line = "  one two three four five six seven eight";
        let folded = fold(line, 24);
        assert_eq!(folded, ["  one two three four", "  five six seven eight"]);
        assert_eq!(fold("short", 24), ["short"]);
    }
}
