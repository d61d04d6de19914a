//! `watch`: grades an exercise at every save, and shows what is known of it while the rest is still being found out.
//!
//! A run is a thread of its own, which a newer one stops: it kills the compiler, or the tests with all that they started.
//! So neither a key nor a save ever waits for an exercise.

mod keys;
mod runs;
mod saves;
mod terminal;
mod view;

use std::io::{self, IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::mpsc::{self, Receiver, Sender};
use std::time::{Duration, Instant};

use console::{Term, style};
use crossterm::event::{Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};

use crate::answer::Answer;
use crate::course::{Course, Exercise, Target};
use crate::editor;
use crate::error::{Error, Result};
use crate::grade::{self, Plan};
use crate::hint;
use crate::list;
use crate::lock::Lock;
use crate::next;
use crate::originals;
use crate::remembered::Remembered;
use crate::result::Report;

use keys::Keys;
use runs::{News, Run};
use saves::Saves;
use terminal::Screen;
use view::{Panel, View};

/// What to watch.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  ./grade.sh watch                 the exercise that `next` shows, then whichever you save
  ./grade.sh watch spin_lock       this one
  ./grade.sh watch | tee log       plain lines, a run after the other

Every save stops what runs, the tests with all that they started, and begins anew: first in the std world, then in those of
shuttle and loom. Keys: h hint, f next failure, n next exercise, l list, e open in $VISUAL or $EDITOR, r run again, arrows
scroll, q or Ctrl-C quit. Exit code: 0 if what was watched last passed, otherwise 1.")]
pub struct Options {
    /// Which exercise [default: that in whose folder you are, or the next one]
    #[arg(value_name = "EXERCISE")]
    exercise: Option<String>,

    /// Stop a check that has used so many seconds of CPU time; one that only sleeps is stopped after 10
    #[arg(long, value_name = "SECONDS", default_value = "90")]
    hang_guard: f64,
}

/// For how long no file has changed when a run begins: an editor writes more than one when it saves.
const QUIET: Duration = Duration::from_millis(20);

/// How long the screen waits for a key before it looks at everything else.
const BEAT: Duration = Duration::from_millis(15);

/// Watches until somebody says that it is enough.
pub fn watch(
    root: &Path,
    target_dir: &Path,
    workers: usize,
    stop: &Arc<AtomicBool>,
    options: &Options,
) -> Result<Answer> {
    let hang_guard = Duration::try_from_secs_f64(options.hang_guard)
        .ok()
        .filter(|guard| !guard.is_zero())
        .ok_or_else(|| Error::new("--hang-guard needs a number of seconds above 0.", ""))?;
    let plan = Plan {
        target: Target::Exercises,
        use_cache: true,
        target_dir: target_dir.to_path_buf(),
        hang_guard,
        workers,
        interrupted: Arc::default(),
    };
    let lock = Lock::read(root)?;
    let course = Course::read(root, &lock)?;
    originals::record(&course, &lock);
    let named = options.exercise.clone().or_else(|| course.here());
    let first = match &named {
        Some(_) => course.one(named.as_deref())?.name.clone(),
        None => match known(&course, &lock, &plan)?.next {
            Some(step) => step.name,
            None => course.one(None)?.name.clone(),
        },
    };
    let (sender, news) = mpsc::channel();
    let mut watcher = Watcher {
        root: root.to_path_buf(),
        plan,
        stop: Arc::clone(stop),
        follows: named.is_none(),
        saves: Saves::begin(root)?,
        view: View::new(course.one(Some(&first))?, &lock),
        course,
        lock,
        run: None,
        number: 0,
        sender,
        news,
    };
    watcher.start(Instant::now());
    let is_terminal = io::stdin().is_terminal()
        && io::stdout().is_terminal()
        && std::env::var_os("TERM").is_none_or(|term| term != "dumb");
    let ended = if is_terminal {
        watcher.on_terminal()
    } else {
        watcher.in_lines()
    };
    watcher.end_run();
    ended?;
    Ok(Answer {
        code: u8::from(!watcher.view.passes()),
        ..Answer::default()
    })
}

/// What earlier runs have found out.
fn known(course: &Course, lock: &Lock, plan: &Plan) -> Result<Report> {
    let assessments = grade::known(course, lock, plan)?;
    let all = vec![true; assessments.len()];
    Ok(Report::new(course, &assessments, &all, Target::Exercises))
}

struct Watcher {
    root: PathBuf,
    plan: Plan,
    /// Set by a signal.
    stop: Arc<AtomicBool>,
    /// Whether it turns to whatever is saved.
    follows: bool,
    saves: Saves,
    view: View,
    course: Course,
    lock: Lock,
    run: Option<Run>,
    number: u64,
    sender: Sender<(u64, News)>,
    news: Receiver<(u64, News)>,
}

impl Watcher {
    /// Stops the run that there is, and begins another one.
    fn start(&mut self, saved: Instant) {
        self.number += 1;
        // A course that has become unreadable is said by the run.
        if let Ok(lock) = Lock::read(&self.root)
            && let Ok(course) = Course::read(&self.root, &lock)
        {
            self.lock = lock;
            self.course = course;
        }
        let name = self.view.name().to_owned();
        if let Ok(exercise) = self.course.one(Some(&name)) {
            self.saves.graded(exercise);
            self.view.begin(exercise, &self.lock, self.number, saved);
        }
        let run = Run::start(
            self.run.take(),
            &self.root,
            &name,
            &self.plan,
            self.number,
            self.sender.clone(),
        );
        self.run = Some(run);
    }

    fn end_run(&mut self) {
        if let Some(run) = self.run.take() {
            run.end();
        }
    }

    /// What has happened since: news of the run, and saves. Says whether there is something new to show.
    fn look_around(&mut self) -> Result<bool> {
        let mut changed = false;
        while let Ok((number, news)) = self.news.try_recv() {
            if number == self.number {
                changed = true;
                if self.view.hear(news)? {
                    self.run = None;
                }
            }
        }
        let watched = self.view.name().to_owned();
        if let Some(saved) = self.saves.settled(&self.course, QUIET) {
            let this = saved.exercises.contains(&watched);
            let other = saved.exercises.iter().find(|_| self.follows && !this);
            if let Some(other) = other {
                let other = other.clone();
                self.turn_to(&other, saved.at)?;
                changed = true;
            } else if this {
                self.start(saved.at);
                changed = true;
            }
        }
        Ok(changed)
    }

    fn turn_to(&mut self, name: &str, at: Instant) -> Result<()> {
        self.view = View::new(self.course.one(Some(name))?, &self.lock);
        self.start(at);
        Ok(())
    }

    fn exercise(&self) -> Result<&Exercise> {
        self.course.one(Some(self.view.name()))
    }
}

// On a terminal.
impl Watcher {
    fn on_terminal(&mut self) -> Result<()> {
        let mut screen = Screen::take()?;
        let keys = Keys::begin();
        let mut changed = true;
        let mut last = Instant::now();
        while !self.stop.load(Relaxed) {
            // The clock in the head goes on while a run does.
            if changed || (self.run.is_some() && last.elapsed() > Duration::from_millis(200)) {
                let (width, height) = screen.size();
                screen.draw(&self.view.lines(&self.course, width, height))?;
                last = Instant::now();
            }
            changed = false;
            let mut wait = BEAT;
            while let Some(event) = keys.wait(wait).or_else(|error| self.unreadable(error))? {
                wait = Duration::ZERO;
                changed = true;
                if let Event::Key(key) = event
                    && key.kind != KeyEventKind::Release
                    && self.key(key, &mut screen, &keys)?
                {
                    return Ok(());
                }
            }
            changed |= self.look_around()?;
        }
        Ok(())
    }

    /// A terminal that is gone is no trouble: somebody has closed it.
    fn unreadable(&self, error: io::Error) -> Result<Option<Event>> {
        self.stop.store(true, Relaxed);
        if io::stdin().is_terminal() {
            return Err(Error::new(
                format!("The terminal cannot be read: {error}"),
                "",
            ));
        }
        Ok(None)
    }

    /// Says whether it is enough.
    fn key(&mut self, key: KeyEvent, screen: &mut Screen, keys: &Keys) -> Result<bool> {
        let control = key.modifiers.contains(KeyModifiers::CONTROL);
        match key.code {
            KeyCode::Char('c' | 'd') if control => return Ok(true),
            KeyCode::Char('q') => return Ok(true),
            KeyCode::Esc if self.view.panel == Panel::Failure => return Ok(true),
            KeyCode::Esc => self.view.show(Panel::Failure),
            KeyCode::Char('h') => self.hint()?,
            KeyCode::Char('f') | KeyCode::Tab => self.view.next_failure(),
            KeyCode::Char('l') if self.view.panel == Panel::List => self.view.show(Panel::Failure),
            KeyCode::Char('l') => self.list()?,
            KeyCode::Char('n') => self.next()?,
            KeyCode::Char('e') => self.edit(screen, keys)?,
            KeyCode::Char('r') => {
                self.plan.use_cache = false;
                self.start(Instant::now());
                self.plan.use_cache = true;
            }
            KeyCode::Up | KeyCode::Char('k') => self.view.scroll(-1),
            KeyCode::Down | KeyCode::Char('j') => self.view.scroll(1),
            KeyCode::PageUp => self.view.scroll(-15),
            KeyCode::PageDown | KeyCode::Char(' ') => self.view.scroll(15),
            _ => {}
        }
        Ok(false)
    }

    /// The next hint, or after the last one that again.
    fn hint(&mut self) -> Result<()> {
        let exercise = self.exercise()?;
        let text = match hint::of(&self.root, exercise) {
            Err(error) => error.to_string(),
            Ok(hints) => {
                let mut remembered = Remembered::read(&self.root);
                // Without a memory at least as far as this screen goes.
                let seen = remembered.hints(&exercise.name).max(self.view.hints_shown);
                let number = (seen + 1).min(hints.len());
                let text = hint::render(exercise, &hints, number);
                let _ = remembered.set_hints(&exercise.name, number);
                self.view.hints_shown = number;
                text
            }
        };
        self.view.text = text;
        self.view.show(Panel::Text);
        Ok(())
    }

    fn list(&mut self) -> Result<()> {
        let report = known(&self.course, &self.lock, &self.plan)?;
        self.view.text = list::list(&self.course, &report);
        self.view.show(Panel::List);
        Ok(())
    }

    /// Turns to the next exercise that is open, after the one that is watched if there is one.
    fn next(&mut self) -> Result<()> {
        let report = known(&self.course, &self.lock, &self.plan)?;
        let open: Vec<&str> = report
            .exercises()
            .filter(|exercise| !exercise.passes)
            .map(|exercise| exercise.name.as_str())
            .collect();
        let all: Vec<&str> = self
            .course
            .exercises
            .iter()
            .map(|exercise| exercise.name.as_str())
            .collect();
        let here = all
            .iter()
            .position(|name| *name == self.view.name())
            .unwrap_or(0);
        let after = all.iter().cycle().skip(here + 1).take(all.len());
        if let Some(next) = after.copied().find(|name| open.contains(name)) {
            let next = next.to_owned();
            self.turn_to(&next, Instant::now())?;
        }
        Ok(())
    }

    fn edit(&mut self, screen: &mut Screen, keys: &Keys) -> Result<()> {
        let (file, line) = self
            .view
            .place(self.exercise()?)
            .unwrap_or(next::begin(self.exercise()?));
        let open = || editor::open(&file, line);
        let opened = match editor::named() {
            Some(_) => screen.lend(|| keys.lend(open))?,
            None => open(),
        };
        if let Err(error) = opened {
            self.view.text = error.to_string();
            self.view.show(Panel::Text);
        }
        Ok(())
    }
}

// Without one.
impl Watcher {
    fn in_lines(&mut self) -> Result<()> {
        let mut told = view::Told::default();
        while !self.stop.load(Relaxed) {
            let text = self.view.new_lines(&self.course, &mut told);
            if !text.is_empty() {
                let mut out = io::stdout().lock();
                match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
                    // Nobody reads any more.
                    Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(()),
                    Err(error) => {
                        return Err(Error::new(
                            format!("The result cannot be printed: {error}"),
                            "",
                        ));
                    }
                    Ok(()) => {}
                }
            }
            // Until there is something new.
            if let Ok((number, news)) = self.news.recv_timeout(BEAT)
                && number == self.number
                && self.view.hear(news)?
            {
                self.run = None;
            }
            self.look_around()?;
        }
        Ok(())
    }
}

/// The terminal's width, for what is printed in lines.
fn columns() -> Option<usize> {
    Term::stdout()
        .size_checked()
        .map(|(_, columns)| columns.into())
}

fn key_help() -> String {
    let keys = [
        ("h", "hint"),
        ("f", "next failure"),
        ("n", "next exercise"),
        ("l", "list"),
        ("e", "edit"),
        ("r", "run again"),
        ("q", "quit"),
    ];
    let keys = keys.map(|(key, what)| format!("{} {}", style(key).bold(), style(what).dim()));
    keys.join("  ")
}
