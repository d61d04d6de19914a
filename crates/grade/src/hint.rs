//! `hint`: one hint after the other.

use std::fmt::Write as _;
use std::path::Path;

use console::style;

use crate::answer::Answer;
use crate::course::{Course, Exercise};
use crate::error::{Error, Result};
use crate::files;
use crate::remembered::Remembered;
use crate::texts;

/// Which hint.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  ./grade.sh hint spin_lock          the first hint; called again, the next one
  ./grade.sh hint spin_lock 1        the first one once more
  ./grade.sh hint 1.04 --all         all of them
  cd exercises/phase1_internals/04_spin_lock && ../../../grade.sh hint

A hint is a question first, then the invariant, then the steps in words; none gives code away. Which ones you have seen is
remembered in .kata/progress.json. Nothing but this command reads that file, and you may delete it.")]
pub struct Options {
    /// Of which exercise [default: that in whose folder you are]
    #[arg(value_name = "EXERCISE")]
    exercise: Option<String>,

    /// Which hint [default: the first one that you have not seen]
    #[arg(value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    number: Option<u16>,

    /// Show all of them
    #[arg(long, conflicts_with = "number")]
    all: bool,
}

/// The hints of an exercise: a heading and a text each.
pub fn of(root: &Path, exercise: &Exercise) -> Result<Vec<(String, String)>> {
    let path = format!("hints/{}.md", exercise.path());
    let text = files::read_text(&root.join(&path)).map_err(|error| {
        Error::new(
            format!("{path} cannot be read: {error}"),
            format!("`git checkout -- {path}` brings the course's own back."),
        )
    })?;
    let hints: Vec<_> = texts::sections(&text)
        .into_iter()
        .filter(|(heading, _)| heading.starts_with("Hint"))
        .collect();
    if hints.is_empty() {
        return Err(Error::new(format!("There is no hint in {path}."), ""));
    }
    Ok(hints)
}

/// The hint that is asked for. What was shown is remembered, if it can be.
pub fn hint(course: &Course, options: &Options) -> Result<Answer> {
    let exercise = course.one(options.exercise.as_deref())?;
    let hints = of(&course.root, exercise)?;
    let Exercise { name, .. } = exercise;
    let mut remembered = Remembered::read(&course.root);
    let seen = remembered.hints(name).min(hints.len());
    let numbers = match options.number.map(usize::from) {
        _ if options.all => 1..=hints.len(),
        Some(number) if number > hints.len() => {
            return Err(Error::new(
                format!("{} {name} has {} hints.", exercise.id(), hints.len()),
                format!("`./grade.sh hint {name} {}` shows the last.", hints.len()),
            ));
        }
        Some(number) => number..=number,
        None if seen == hints.len() => {
            return Ok(Answer::new(format!(
                "You have seen all {seen} hints of {} {name}.\n\
                 One of them again: ./grade.sh hint {name} N. All of them: ./grade.sh hint {name} --all.\n\
                 What a check explores: ./grade.sh explain {name} CHECK. The reference: ./grade.sh solution {name} --spoil.\n",
                exercise.id()
            )));
        }
        None => seen + 1..=seen + 1,
    };
    let last = *numbers.end();
    let mut text = String::new();
    for number in numbers {
        text.push_str(&render(exercise, &hints, number));
    }
    let _ = match last {
        last if last < hints.len() => writeln!(
            text,
            "{}",
            style(format!(
                "When you have thought about it: ./grade.sh hint {name} {}",
                last + 1
            ))
            .dim()
        ),
        _ => writeln!(text, "{}", style("That was the last one.").dim()),
    };
    Ok(Answer {
        text,
        note: remembered.set_hints(name, seen.max(last)).err(),
        code: 0,
    })
}

/// One hint with its heading.
pub fn render(exercise: &Exercise, hints: &[(String, String)], number: usize) -> String {
    let (heading, body) = &hints[number - 1];
    let heading = heading
        .split_once(':')
        .map_or(String::new(), |(_, rest)| format!(":{rest}"));
    let head = format!(
        "{} {} · hint {number} of {}{heading}",
        exercise.id(),
        exercise.name,
        hints.len()
    );
    format!("{}\n\n{}\n\n", style(head).bold(), body.trim_matches('\n'))
}
