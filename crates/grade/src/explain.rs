//! `explain`: what a check explores and what it rules out, as the exercise's README says.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use console::{Term, style};

use crate::answer::Answer;
use crate::course::{Course, Exercise, World};
use crate::error::{Error, Result};
use crate::files;
use crate::lock::Lock;
use crate::texts::{self, Row};

/// Which check.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  ./grade.sh explain spin_lock loom                            all checks of a kind
  ./grade.sh explain try_lock_on_a_free_lock_succeeds          one of them, as the grader names it
  ./grade.sh explain spin_lock                                 all that there are

CHECK is a kind (unit, loom, shuttle, …), the name of a check or a part of one. Without EXERCISE, the check is looked for in
the exercise in whose folder you are, or else in all of them.")]
pub struct Options {
    /// Of which exercise, and which check
    #[arg(value_name = "[EXERCISE] [CHECK]", num_args = 0..=2)]
    words: Vec<String>,
}

/// What the README says about the check that is asked for.
pub fn explain(course: &Course, lock: &Lock, options: &Options) -> Result<Answer> {
    match options.words.as_slice() {
        [exercise, check] => of(course.one(Some(exercise))?, lock, Some(check)),
        [] => of(course.one(None)?, lock, None),
        [word, ..] => {
            let unknown = match course.one(Some(word)) {
                Ok(exercise) => return of(exercise, lock, None),
                Err(unknown) => unknown,
            };
            if let Some(here) = course.here() {
                return of(course.one(Some(&here))?, lock, Some(word));
            }
            let has = |exercise: &&Exercise| !named(exercise, lock, word).is_empty();
            let found: Vec<&Exercise> = course.exercises.iter().filter(has).collect();
            match found.as_slice() {
                [] => Err(match unknown {
                    Error::Trouble { what, advice } => Error::new(
                        format!("{what} Nor has any exercise a check with that in its name."),
                        advice,
                    ),
                    other => other,
                }),
                [exercise] => of(exercise, lock, Some(word)),
                several => {
                    let names: Vec<&str> = several.iter().map(|one| one.name.as_str()).collect();
                    Err(Error::new(
                        format!(
                            "`{word}` is in the names of checks of {}.",
                            names.join(", ")
                        ),
                        format!("Say of which one: ./grade.sh explain {} {word}", names[0]),
                    ))
                }
            }
        }
    }
}

/// A check of an exercise: where it is built, and its name.
type Check<'a> = (World, &'a str);

/// The checks that a word names: a kind, or a part of a name.
fn named<'a>(exercise: &Exercise, lock: &'a Lock, word: &str) -> Vec<Check<'a>> {
    let entry = lock.entry(exercise.phase.name, &exercise.folder);
    let all: Vec<Check> = entry
        .into_iter()
        .flat_map(|entry| &entry.checks)
        .flat_map(|(world, names)| names.iter().map(|name| (*world, name.as_str())))
        .collect();
    let exact = |(_, name): &&Check| *name == word || kind(name) == word;
    let of_kind: Vec<Check> = all.iter().filter(exact).copied().collect();
    if of_kind.is_empty() {
        let has_part = |(_, name): &Check| name.contains(word);
        return all.into_iter().filter(has_part).collect();
    }
    of_kind
}

fn kind(name: &str) -> &str {
    name.split("::").next().unwrap_or(name)
}

fn of(exercise: &Exercise, lock: &Lock, word: Option<&str>) -> Result<Answer> {
    let checks = named(exercise, lock, word.unwrap_or(""));
    let Exercise { name, .. } = exercise;
    if checks.is_empty() {
        return Err(Error::new(
            format!(
                "{} {name} has no check with `{}` in its name.",
                exercise.id(),
                word.unwrap_or("")
            ),
            format!("`./grade.sh explain {name}` shows all that it has."),
        ));
    }
    let readme = exercise.package.dir.join("README.md");
    let text = files::read_text(&readme).map_err(|error| {
        Error::new(
            format!("{} cannot be read: {error}", readme.display()),
            format!(
                "`git checkout -- exercises/{}/README.md` brings it back.",
                exercise.path()
            ),
        )
    })?;
    let section = texts::section(&text, "Checks").unwrap_or_default();
    let tables = texts::tables(&section);

    let mut text = String::new();
    let width = Term::stdout()
        .size_checked()
        .map_or(100, |(_, columns)| usize::from(columns).clamp(40, 100));
    let mut kinds: Vec<&str> = Vec::new();
    for (_, name) in &checks {
        if !kinds.contains(&kind(name)) {
            kinds.push(kind(name));
        }
    }
    for of_kind in kinds {
        let mine: Vec<Check> = checks
            .iter()
            .filter(|(_, name)| kind(name) == of_kind)
            .copied()
            .collect();
        let _ = writeln!(
            text,
            "{}\n",
            style(format!("{} {name} · {of_kind}", exercise.id())).bold()
        );
        let rows = rows(&tables, of_kind, &mine);
        if rows.is_empty() {
            let _ = writeln!(
                text,
                "  The README has no row for it; its section Checks says:\n"
            );
            text.push_str(&paragraph("  ", &section, width));
        }
        for (heading, row) in rows {
            for (title, cell) in heading.iter().zip(row) {
                let indent = format!("  {title:<19}");
                text.push_str(&paragraph(&indent, cell, width));
            }
            text.push('\n');
        }
        let worlds: BTreeSet<World> = mine.iter().map(|(world, _)| *world).collect();
        for world in worlds {
            let names: Vec<&str> = mine
                .iter()
                .filter(|(of_world, _)| *of_world == world)
                .map(|(_, name)| *name)
                .collect();
            let _ = writeln!(
                text,
                "  {}",
                style(format!("in the {} world", world.name())).dim()
            );
            for name in names {
                let _ = writeln!(text, "      {name}");
            }
        }
        let file = format!("exercises/{}/tests/checks/{of_kind}.rs", exercise.path());
        let alone = match mine.as_slice() {
            [(_, one)] if word != Some(of_kind) => one,
            _ => of_kind,
        };
        let _ = writeln!(text, "\n  run     ./grade.sh {name} {alone}");
        if exercise
            .package
            .dir
            .join(format!("tests/checks/{of_kind}.rs"))
            .is_file()
        {
            let _ = writeln!(text, "  source  {file}");
        }
        text.push('\n');
    }
    Ok(Answer::new(text))
}

/// The rows about a kind, each with its heading; of those that are about some of its checks, those about these.
fn rows<'a>(
    tables: &'a [(Row, Vec<Row>)],
    kind: &str,
    checks: &[Check],
) -> Vec<(&'a Row, &'a Row)> {
    let mut of_kind = Vec::new();
    let mut of_these = Vec::new();
    for (heading, rows) in tables {
        let in_heading = heading
            .first()
            .is_some_and(|first| texts::code_words(first).contains(&kind));
        for row in rows {
            let Some(first) = row.first() else { continue };
            let words = texts::code_words(first);
            let about_kind = in_heading || words.contains(&kind);
            let patterns: Vec<&str> = words.into_iter().filter(|word| *word != kind).collect();
            let qualifier = first.rsplit(", ").next().filter(|word| !word.contains('`'));
            let is_meant = |(_, name): &Check| {
                let rest = name.split_once("::").map_or(*name, |(_, rest)| rest);
                patterns.iter().any(|pattern| fits(pattern, rest))
                    || qualifier.is_some_and(|word| rest.contains(word))
            };
            let is_special = !patterns.is_empty() || qualifier.is_some();
            if !about_kind {
                continue;
            }
            if is_special && checks.iter().any(is_meant) {
                of_these.push((heading, row));
            } else {
                of_kind.push((is_special, (heading, row)));
            }
        }
    }
    // Rows about other checks say nothing about these, unless there is nothing else.
    let has_general = of_kind.iter().any(|(is_special, _)| !is_special);
    let alone = of_these.is_empty() && !has_general;
    let kept = of_kind
        .into_iter()
        .filter(|(is_special, _)| alone || !is_special);
    let mut rows: Vec<_> = kept.map(|(_, row)| row).collect();
    rows.extend(of_these);
    rows
}

/// Whether a name is meant by a pattern, in which `*` and `…` stand for anything.
fn fits(pattern: &str, name: &str) -> bool {
    let last = name.rsplit("::").next().unwrap_or(name);
    let parts: Vec<&str> = pattern.split(['*', '…']).collect();
    let [first, .., end] = parts.as_slice() else {
        return last == pattern || name == pattern || name.starts_with(&format!("{pattern}::"));
    };
    last.starts_with(first) && last.ends_with(end)
}

/// A text in lines of a width, the first after `indent` and the others below it.
fn paragraph(indent: &str, text: &str, width: usize) -> String {
    let blank = " ".repeat(indent.chars().count());
    let room = width.saturating_sub(blank.len()).max(20);
    let mut lines = String::new();
    for (index, line) in kata_report::wrap(text, room).iter().enumerate() {
        let before = if index == 0 { indent } else { &blank };
        let _ = writeln!(lines, "{}", format!("{before}{}", line.trim()).trim_end());
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = "\
| check | what it explores |
|---|---|
| `unit` | one thread |
| `loom`, mutex | two threads that lock |
| `loom`, `who_waits_*` | a thousand steps |
| `shuttle` | all of it |
| `shuttle`, `readers_*` | readers |

| `process` check | what happens |
|---|---|
| `nothing_is_done_twice` | a single worker |
";

    fn found(kind: &str, names: &[&str]) -> Vec<String> {
        let tables = texts::tables(TABLE);
        let checks: Vec<Check> = names.iter().map(|name| (World::Std, *name)).collect();
        rows(&tables, kind, &checks)
            .into_iter()
            .map(|(_, row)| row[1].clone())
            .collect()
    }

    #[test]
    fn a_check_has_the_rows_that_are_about_it() {
        assert_eq!(found("unit", &["unit::a"]), ["one thread"]);
        let waits = found("loom", &["loom::who_waits_for_a_permit"]);
        assert_eq!(waits, ["a thousand steps"]);
        let mutex = found("loom", &["loom::mutex_lets_in_one"]);
        assert_eq!(mutex, ["two threads that lock"]);
        let readers = found("shuttle", &["shuttle::readers_read"]);
        assert_eq!(readers, ["all of it", "readers"]);
        assert_eq!(found("shuttle", &["shuttle::others"]), ["all of it"]);
        let twice = found("process", &["process::nothing_is_done_twice"]);
        assert_eq!(twice, ["a single worker"]);
        assert!(found("stress", &["stress::a"]).is_empty());
    }
}
