//! A failed check as data: what a terminal draws, what the grader collects, what other renderers read.

use serde::Serialize;
#[cfg(any(feature = "loom", feature = "shuttle"))]
use std::fmt::Write as _;

/// The schema of [`Report`].
pub(crate) const SCHEMA: &str = "kata/failure/v1";

/// One step of the failing execution.
#[derive(Clone, Debug, Serialize)]
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
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// `kata/failure/v1`.
    pub schema: &'static str,
    /// The check's name.
    pub test: String,
    /// `loom`, `shuttle` or `std`.
    pub world: &'static str,
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
}

/// Reads better beside code than a full path: the last component.
#[cfg(any(feature = "loom", feature = "shuttle"))]
fn short(location: &str) -> &str {
    location.rsplit(['/', '\\']).next().unwrap_or(location)
}

/// Breaks `text` into lines of at most `width` characters where it can.
pub(crate) fn wrap(text: &str, width: usize) -> Vec<String> {
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

#[cfg(any(feature = "loom", feature = "shuttle"))]
impl Report {
    /// Draws the picture: a column a thread, a row a step, the explanation under the last one.
    pub(crate) fn draw(&mut self) {
        const STEP: usize = 6;
        let columns: Vec<usize> = (0..self.threads.len())
            .filter(|&thread| self.steps.iter().any(|step| step.thread == thread))
            .collect();
        let count = |text: &str| text.chars().count();
        let widths: Vec<(usize, usize)> = columns
            .iter()
            .map(|&thread| {
                let own = || self.steps.iter().filter(move |step| step.thread == thread);
                let text = own().map(|step| count(&step.text)).max().unwrap_or(0);
                let place = own()
                    .map(|step| count(short(&step.location)))
                    .max()
                    .unwrap_or(0);
                (
                    text.max(count(&self.threads[thread]).saturating_sub(place + 2)),
                    place,
                )
            })
            .collect();

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
            let mut line = format!("\n{:>STEP$}", "#");
            for (&thread, &(wide, place)) in columns.iter().zip(&widths) {
                let _ = write!(
                    line,
                    "  {:<width$}",
                    self.threads[thread],
                    width = wide + place + 2
                );
            }
            let _ = writeln!(text, "{}", line.trim_end());
            let mut last = 0;
            for step in &self.steps {
                if step.step > last + 1 {
                    let _ = writeln!(text, "{:>STEP$}", "…");
                }
                last = step.step;
                let mut line = format!("{:>STEP$}", step.step);
                for (&thread, &(wide, place)) in columns.iter().zip(&widths) {
                    if thread == step.thread {
                        let _ = write!(
                            line,
                            "  {:<wide$}  {:<place$}",
                            step.text,
                            short(&step.location)
                        );
                    } else {
                        let _ = write!(line, "  {:width$}", "", width = wide + place + 2);
                    }
                }
                let _ = writeln!(text, "{}", line.trim_end());
            }
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
}

/// The path of the file a report goes to, if somebody asked for one.
pub(crate) fn requested() -> Option<std::ffi::OsString> {
    std::env::var_os("KATA_REPORT").filter(|path| !path.is_empty())
}

/// Writes `value` as JSON to the file that was asked for, unless an earlier report is there already.
pub(crate) fn deliver(value: &impl Serialize) {
    let Some(path) = requested() else { return };
    let delivered = serde_json::to_string(value)
        .map_err(std::io::Error::other)
        .and_then(|json| {
            std::fs::OpenOptions::new()
                .write(true)
                .create_new(true)
                .open(&path)
                .map(|file| (file, json))
        })
        .and_then(|(mut file, json)| std::io::Write::write_all(&mut file, json.as_bytes()));
    if let Err(error) = delivered
        && error.kind() != std::io::ErrorKind::AlreadyExists
    {
        eprintln!(
            "kata: cannot write the report to {}: {error}",
            path.to_string_lossy()
        );
    }
}

/// The name of the running test: libtest names its threads; on a single processor it does not start any, and the
/// name of the model's closure is used.
#[cfg(any(feature = "loom", feature = "shuttle"))]
pub(crate) fn test_name(closure: &str) -> String {
    let thread = std::thread::current();
    let path = match thread.name() {
        Some(name) if name != "main" => name.to_owned(),
        _ => {
            let parts: Vec<&str> = closure
                .split("::")
                .filter(|part| !part.starts_with("{{"))
                .collect();
            parts.get(1..).unwrap_or_default().join("::")
        }
    };
    path.rsplit("::").next().unwrap_or(&path).to_owned()
}

/// The package under test, for commands a learner can type.
pub(crate) fn package() -> String {
    std::env::var("CARGO_PKG_NAME").unwrap_or_else(|_| "<package>".to_owned())
}
