//! Which exercises were saved: the system says that something happened, their digests say whether it was a change.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, Receiver};
use std::time::{Duration, Instant};

use notify::{Config, EventKind, PollWatcher, RecommendedWatcher, RecursiveMode, Watcher};

use crate::course::{Course, Exercise};
use crate::digest;
use crate::error::{Error, Result};
use crate::lock::Entry;

/// How often everything is looked at where the system tells nothing.
const POLL: Duration = Duration::from_millis(300);

/// Hears of what happens below exercises/.
pub struct Saves {
    /// Canonical, as the system names files.
    exercises: PathBuf,
    events: Receiver<notify::Result<notify::Event>>,
    _watcher: Box<dyn Watcher>,
    /// When something last happened, when it first did, and to which exercises.
    last: Option<(Instant, Instant)>,
    touched: BTreeSet<String>,
    /// What each exercise was when it was last looked at, by its name.
    digests: BTreeMap<String, Entry>,
}

/// What was saved, and when.
pub struct Saved {
    pub exercises: BTreeSet<String>,
    pub at: Instant,
}

impl Saves {
    /// Begins to listen.
    pub fn begin(root: &Path) -> Result<Self> {
        let exercises = root.join("exercises");
        let exercises = exercises.canonicalize().unwrap_or(exercises);
        let (sender, events) = mpsc::channel();
        let trouble = |error: notify::Error| {
            Error::new(
                format!("{} cannot be watched: {error}", exercises.display()),
                "Grade by hand: ./grade.sh EXERCISE",
            )
        };
        let told: notify::Result<Box<dyn Watcher>> = (|| {
            let mut watcher = RecommendedWatcher::new(sender.clone(), Config::default())?;
            watcher.watch(&exercises, RecursiveMode::Recursive)?;
            Ok(Box::new(watcher) as Box<dyn Watcher>)
        })();
        let watcher = match told {
            Ok(watcher) => watcher,
            // Too many files are watched already, or the file system tells nothing.
            Err(_) => {
                let config = Config::default().with_poll_interval(POLL);
                let mut watcher = PollWatcher::new(sender, config).map_err(trouble)?;
                watcher
                    .watch(&exercises, RecursiveMode::Recursive)
                    .map_err(trouble)?;
                Box::new(watcher)
            }
        };
        Ok(Self {
            exercises,
            events,
            _watcher: watcher,
            last: None,
            touched: BTreeSet::new(),
            digests: BTreeMap::new(),
        })
    }

    /// Says that an exercise is graded as it is now.
    pub fn graded(&mut self, exercise: &Exercise) {
        if let Ok(now) = Entry::of(&exercise.package.dir) {
            self.digests.insert(exercise.name.clone(), now);
        }
    }

    /// The exercises that differ from what they were, once nothing has happened for a while.
    pub fn settled(&mut self, course: &Course, quiet: Duration) -> Option<Saved> {
        while let Ok(event) = self.events.try_recv() {
            self.hear(event);
        }
        let (first, last) = self.last?;
        if last.elapsed() < quiet {
            return None;
        }
        self.last = None;
        let touched = std::mem::take(&mut self.touched);
        let mut changed = BTreeSet::new();
        for exercise in &course.exercises {
            // Nothing is named when the system could not keep up.
            if !touched.is_empty() && !touched.contains(&exercise.path()) {
                continue;
            }
            let now = Entry::of(&exercise.package.dir).ok();
            let before = self.digests.get(&exercise.name);
            if now.as_ref() != before && (before.is_some() || !touched.is_empty()) {
                changed.insert(exercise.name.clone());
            }
        }
        (!changed.is_empty()).then_some(Saved {
            exercises: changed,
            at: first,
        })
    }

    fn hear(&mut self, event: notify::Result<notify::Event>) {
        let now = Instant::now();
        let paths = match event {
            Ok(event) if matches!(event.kind, EventKind::Access(_)) => return,
            Ok(event) if !event.need_rescan() => event.paths,
            // Something was missed.
            _ => Vec::new(),
        };
        let missed = paths.is_empty();
        let touched: Vec<String> = paths
            .iter()
            .filter_map(|path| self.exercise_of(path))
            .collect();
        if missed || !touched.is_empty() {
            let first = self.last.map_or(now, |(first, _)| first);
            self.last = Some((first, now));
        }
        self.touched.extend(touched);
    }

    /// `phase1_internals/04_spin_lock`, if the file is one that counts.
    fn exercise_of(&self, path: &Path) -> Option<String> {
        let mut parts = path.strip_prefix(&self.exercises).ok()?.iter();
        let (phase, folder) = (parts.next()?, parts.next()?);
        let part = parts.next()?;
        let counts = part == "src" || part == "tests" || part == "Cargo.toml" || part == "build.rs";
        let is_left_behind = path.file_name().is_some_and(digest::is_left_behind);
        let name = format!("{}/{}", phase.to_str()?, folder.to_str()?);
        (counts && !is_left_behind).then_some(name)
    }
}
