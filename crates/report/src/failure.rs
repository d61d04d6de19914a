//! A failed check as data: what a terminal draws, what the grader collects, what other renderers read.

use serde::{Deserialize, Deserializer, Serialize, de};
use std::fmt::Write as _;

use crate::Word;

/// The schema of [`Report`].
pub const SCHEMA: &str = "kata/failure/v1";

/// One step of the failing execution.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Step {
    /// Its number in the picture, from 1.
    pub step: usize,
    /// Index into [`Report::threads`].
    pub thread: usize,
    /// What was done, e.g. `locked.store(false, Relaxed)`.
    pub text: String,
    /// Where, e.g. `src/lib.rs:9`; empty for what has no place of its own.
    pub location: String,
}

/// Why a check rejects a program.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// [`SCHEMA`].
    #[serde(deserialize_with = "schema")]
    pub schema: Word,
    /// The check's name.
    pub test: String,
    /// `loom`, `shuttle` or `std`.
    #[serde(deserialize_with = "world")]
    pub world: Word,
    /// What is wrong, in a few words.
    pub headline: String,
    /// How much had been explored, in words.
    pub explored: String,
    /// Which edge is missing, as far as the record tells.
    pub why: String,
    /// The threads, by name.
    pub threads: Vec<String>,
    /// What happened; the last is the failing step.
    pub steps: Vec<Step>,
    /// The command that shows the same failure again.
    pub replay: String,
    /// The picture.
    pub text: String,
    /// What the explanation advises. Nothing if it blames no ordering.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub remedies: Vec<Remedy>,
}

/// An advice, which has been tried on the execution that failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Remedy {
    /// What to change, e.g. `Release in step 4`.
    pub text: String,
    /// Whether the execution does not exist with it any more, or the two accesses that raced are in order: judged a second
    /// time, from the finished execution and by other means. Nothing if that is too long for it.
    pub helps: Option<bool>,
}

fn schema<'de, D: Deserializer<'de>>(source: D) -> Result<&'static str, D::Error> {
    one_of(source, &[SCHEMA])
}

fn world<'de, D: Deserializer<'de>>(source: D) -> Result<&'static str, D::Error> {
    one_of(source, &["loom", "shuttle", "std"])
}

/// The one of `known` that is read; an error if it is none of them.
pub(crate) fn one_of<'de, D: Deserializer<'de>>(
    source: D,
    known: &'static [&'static str],
) -> Result<&'static str, D::Error> {
    let word = String::deserialize(source)?;
    let found = known.iter().find(|known| **known == word);
    found
        .copied()
        .ok_or_else(|| de::Error::unknown_variant(&word, known))
}

/// Reads better beside code than a full path: the last component.
fn short(location: &str) -> &str {
    location.rsplit(['/', '\\']).next().unwrap_or(location)
}

/// Breaks `text` into lines of at most `width` characters where it can.
pub fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines = Vec::new();
    for paragraph in text.lines() {
        let mut line = String::new();
        for word in paragraph.split_whitespace() {
            if !line.is_empty() && line.chars().count() + 1 + word.chars().count() > width {
                lines.push(std::mem::take(&mut line));
            }
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
        lines.push(line);
    }
    lines
}

impl Report {
    /// Draws the picture: a column a thread, a row a step, the explanation under the last one.
    pub fn draw(&mut self) {
        let mut text = String::new();
        // A message of somebody's own would run into what follows.
        let gap = if self.headline.chars().count() > 40 {
            "\n"
        } else {
            " "
        };
        let _ = writeln!(
            text,
            "{}: {}{gap}{}",
            self.test, self.headline, self.explored
        );
        if !self.steps.is_empty() {
            text.push('\n');
            self.draw_steps(&mut text);
        }
        for (index, line) in wrap(&self.why, 100).iter().enumerate() {
            let mark = if index == 0 && !self.steps.is_empty() {
                "^ "
            } else {
                "  "
            };
            let _ = writeln!(text, "{:>STEP$}{mark}{line}", "");
        }
        if !self.replay.is_empty() {
            let _ = writeln!(text, "\nreplay: {}", self.replay);
        }
        self.text = text;
    }

    /// The steps, in a column for each thread. No row has more than one step in it, so where a terminal has no room for
    /// all columns side by side they begin closer to each other, and their steps reach below the next one's.
    fn draw_steps(&self, text: &mut String) {
        let mut columns: Vec<Column> = (0..self.threads.len())
            .filter_map(|thread| Column::of(self, thread))
            .collect();
        let widest = columns.iter().map(Column::width).max().unwrap_or(0);
        let others = columns.len().saturating_sub(1).max(1);
        let most = (WIDEST.saturating_sub(STEP + widest) / others).max(CLOSEST);
        let mut at = STEP;
        let mut line = format!("{:>STEP$}", "#");
        for column in &mut columns {
            column.at = at + 2;
            at += (2 + column.width()).min(most);
            let _ = write!(line, "{:1$}", "", column.at - count(&line));
            line.push_str(column.name);
        }
        let _ = writeln!(text, "{}", line.trim_end());
        let mut last = 0;
        for step in &self.steps {
            if step.step > last + 1 {
                let _ = writeln!(text, "{:>STEP$}", "…");
            }
            last = step.step;
            let column = columns.iter().find(|column| column.thread == step.thread);
            let Column {
                at, text: width, ..
            } = column.expect("whoever has a step has a column");
            let line = format!(
                "{:>STEP$}{:indent$}{:<width$}  {}",
                step.step,
                "",
                step.text,
                short(&step.location),
                indent = at - STEP,
            );
            let _ = writeln!(text, "{}", line.trim_end());
        }
    }
}

/// Room for the number of a step.
const STEP: usize = 6;

/// How wide a picture may become before its columns move closer to each other.
const WIDEST: usize = 120;

/// The least distance of two columns: a thread's name and some more.
const CLOSEST: usize = 14;

/// What is drawn of one thread.
struct Column<'a> {
    thread: usize,
    name: &'a str,
    /// Where it begins.
    at: usize,
    /// Room for what was done.
    text: usize,
    /// Room for where.
    place: usize,
}

impl<'a> Column<'a> {
    /// `None` if the thread did nothing that is shown.
    fn of(report: &'a Report, thread: usize) -> Option<Self> {
        let own = || {
            report
                .steps
                .iter()
                .filter(move |step| step.thread == thread)
        };
        let name = &report.threads[thread];
        let place = own().map(|step| count(short(&step.location))).max()?;
        let text = own().map(|step| count(&step.text)).max()?;
        Some(Self {
            thread,
            name,
            at: 0,
            text: text.max(count(name).saturating_sub(place + 2)),
            place,
        })
    }

    fn width(&self) -> usize {
        self.text + 2 + self.place
    }
}

fn count(text: &str) -> usize {
    text.chars().count()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A picture of as many threads as there are widths, each with one step of that width.
    fn picture(widths: &[usize]) -> String {
        let steps = widths.iter().enumerate().map(|(thread, &width)| Step {
            step: thread + 1,
            thread,
            text: "x".repeat(width),
            location: "src/lib.rs:7".to_owned(),
        });
        let mut report = Report {
            schema: SCHEMA,
            test: "test".to_owned(),
            world: "loom",
            headline: "data race".to_owned(),
            explored: String::new(),
            why: String::new(),
            threads: (0..widths.len())
                .map(|thread| format!("t{thread}"))
                .collect(),
            steps: steps.collect(),
            replay: String::new(),
            text: String::new(),
            remedies: Vec::new(),
        };
        report.draw();
        report.text
    }

    #[test]
    fn every_thread_has_a_column_if_there_is_room() {
        assert_eq!(
            picture(&[3, 4]),
            "test: data race \n\n     #  t0             t1\n     1  xxx  lib.rs:7\n     2                 xxxx  lib.rs:7\n"
        );
    }

    #[test]
    fn where_there_is_no_room_columns_overlap() {
        let picture = picture(&[50, 50, 50]);
        let x = "x".repeat(50);
        let row = |step: usize, at: usize| format!("     {step}{:at$}{x}  lib.rs:7\n", "");
        assert_eq!(
            picture,
            format!(
                "test: data race \n\n     #  t0{0:25}t1{0:25}t2\n{1}{2}{3}",
                "",
                row(1, 2),
                row(2, 29),
                row(3, 56)
            )
        );
    }
}
