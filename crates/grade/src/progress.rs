//! Shows on standard error where the work is, if that is a terminal.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::class::Listener;
use crate::class::outcome::Record;
use crate::course::World;
use crate::watch::Watch;

/// One line that says what is being built and how many tests have run.
pub struct Progress {
    line: ProgressBar,
    queued: AtomicU64,
    finished: AtomicU64,
}

impl Default for Progress {
    fn default() -> Self {
        Self::new()
    }
}

impl Progress {
    /// A line that shows nothing yet; it never does where standard error is no terminal.
    pub fn new() -> Self {
        let line = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
        if let Ok(style) = ProgressStyle::with_template("{spinner} {prefix}{wide_msg}") {
            line.set_style(style);
        }
        Self {
            line,
            queued: AtomicU64::new(0),
            finished: AtomicU64::new(0),
        }
    }

    /// Takes the line away.
    pub fn clear(&self) {
        self.line.finish_and_clear();
    }

    fn show_tests(&self) {
        let (finished, queued) = (self.finished.load(Relaxed), self.queued.load(Relaxed));
        if queued > 0 {
            self.line
                .set_prefix(format!("{finished}/{queued} checks · "));
        }
    }
}

impl Watch for Progress {
    fn building(&self, world: World, packages: usize) {
        self.line.enable_steady_tick(Duration::from_millis(120));
        let crates = if packages == 1 { "crate" } else { "crates" };
        self.line.set_message(format!(
            "building {packages} {crates} in the {} world",
            world.name()
        ));
    }

    fn compiling(&self, what: &str) {
        self.line.set_message(format!("compiling {what}"));
    }

    fn queued(&self, tests: usize) {
        self.queued.fetch_add(tests as u64, Relaxed);
        self.show_tests();
    }

    fn finished(&self, package: &str, test: &str) {
        self.finished.fetch_add(1, Relaxed);
        self.show_tests();
        self.line.set_message(format!("{package} {test}"));
    }

    fn measuring(&self, package: &str, done: usize, all: usize) {
        self.line.set_prefix(format!("{done}/{all} measured · "));
        self.line.set_message(package.to_owned());
    }

    fn waiting_for_other_grader(&self) {
        self.line.suspend(|| {
            eprintln!(
                "Another ./grade.sh is at work in this target directory; waiting for it to finish."
            );
        });
    }
}

/// A line for each submission that is through and, on a terminal, how many are.
pub struct ClassProgress {
    line: ProgressBar,
}

impl Default for ClassProgress {
    fn default() -> Self {
        Self::new()
    }
}

impl ClassProgress {
    /// A line that shows nothing yet.
    pub fn new() -> Self {
        let line = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
        if let Ok(style) = ProgressStyle::with_template("{spinner} {msg} · {elapsed}") {
            line.set_style(style);
        }
        Self { line }
    }

    /// Takes the line away.
    pub fn clear(&self) {
        self.line.finish_and_clear();
    }
}

impl Listener for ClassProgress {
    fn tell(&self, text: &str) {
        self.line.enable_steady_tick(Duration::from_millis(120));
        self.line.suspend(|| eprintln!("{text}"));
    }

    fn finished(&self, record: &Record, known: bool, done: usize, all: usize) {
        self.line.enable_steady_tick(Duration::from_millis(120));
        self.line
            .set_message(format!("{done} of {all} submissions"));
        let known = if known { " (known already)" } else { "" };
        self.line.suspend(|| {
            eprintln!("[{done}/{all}] {}: {}{known}", record.id, record.in_short());
        });
    }
}
