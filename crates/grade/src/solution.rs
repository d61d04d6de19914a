//! `solution`: the reference beside the learner's code, and what to think about once it passes. Nothing is written.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use console::style;
use similar::{ChangeTag, TextDiff};
use walkdir::WalkDir;

use crate::answer::Answer;
use crate::course::{Course, Exercise};
use crate::error::{Error, Result};
use crate::files;
use crate::list;
use crate::result::{Report, State};
use crate::texts;

/// Of which exercise.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  ./grade.sh solution spin_lock                   once yours passes: what the reference does differently
  ./grade.sh solution spin_lock --with ticket     the same for another right solution
  ./grade.sh solution spin_lock --spoil           before yours passes
  ./grade.sh solution spin_lock | less -R

Lines with - are yours, lines with + the other's. Nothing is written and nothing of yours is changed.

Exit code: 0 if it was shown, 1 if yours does not pass yet and --spoil was not given.")]
pub struct Options {
    /// Of which exercise [default: that in whose folder you are]
    #[arg(value_name = "EXERCISE")]
    exercise: Option<String>,

    /// Show it although yours does not pass yet
    #[arg(long)]
    spoil: bool,

    /// Compare with this one of the alternatives instead of the reference
    #[arg(long, value_name = "NAME")]
    with: Option<String>,
}

/// The reference beside the code that `report` is about.
pub fn solution(course: &Course, report: &Report, options: &Options) -> Result<Answer> {
    let exercise = course.one(options.exercise.as_deref())?;
    let known = report.exercises().find(|known| known.id == exercise.id());
    let passes = known.is_some_and(|known| known.passes);
    if !passes && !options.spoil {
        let state = known.map_or("not graded", |known| {
            list::state_in_words(known.state, known.complete)
        });
        let unknown =
            known.is_some_and(|known| !known.complete && known.state != State::NotStarted);
        return Ok(refuse(exercise, state, unknown));
    }
    let others = others(course, exercise)?;
    let mut text = String::new();
    let head = format!("{} {} · {}", exercise.id(), exercise.name, exercise.title);
    let _ = writeln!(text, "{}\n", style(head).bold());
    text.push_str(&compare(course, exercise, options, &others)?);
    if let Some(questions) = readme_section(exercise, "Questions") {
        let _ = writeln!(
            text,
            "\n{}\n\n{questions}",
            style("Questions that no check asks").bold()
        );
    }
    text.push_str(&to_compare_with(exercise, options, &others));
    Ok(Answer::new(text))
}

fn refuse(exercise: &Exercise, state: &str, unknown: bool) -> Answer {
    let Exercise { name, .. } = exercise;
    let first = if unknown {
        format!("Whether it passes as it is now is not known: ./grade.sh {name} finds out.\n")
    } else {
        String::new()
    };
    Answer {
        note: Some(format!(
            "{} {name} does not pass yet ({state}), and the reference would spoil it.\n{first}\
             A hint: ./grade.sh hint {name}. The reference all the same: ./grade.sh solution {name} --spoil.",
            exercise.id()
        )),
        code: 1,
        ..Answer::default()
    }
}

/// Another right solution: what it is called, what it says about itself, and its text.
struct Other {
    name: String,
    about: String,
    text: String,
}

/// The alternatives, least like the learner's code first.
fn others(course: &Course, exercise: &Exercise) -> Result<Vec<Other>> {
    let folder = course.root.join("solutions").join(exercise.path());
    if !folder.is_dir() {
        return Err(Error::new(
            format!("There is no solutions/{} here.", exercise.path()),
            "`git checkout -- solutions` brings it back, if this course is one with solutions.",
        ));
    }
    let own = files::read_text(&exercise.package.dir.join("src/lib.rs")).unwrap_or_default();
    let entries = fs::read_dir(folder.join("alternatives"))
        .into_iter()
        .flatten();
    let mut others: Vec<(f32, Other)> = entries
        .flatten()
        .filter_map(|entry| {
            let path = entry.path();
            let name = path.file_stem()?.to_str()?.to_owned();
            path.extension().filter(|extension| *extension == "rs")?;
            let text = files::read_text(&path).ok()?;
            let about = about(&text);
            let likeness = TextDiff::from_lines(&own, &text).ratio();
            Some((likeness, Other { name, about, text }))
        })
        .collect();
    others.sort_by(|left, right| {
        left.0
            .total_cmp(&right.0)
            .then_with(|| left.1.name.cmp(&right.1.name))
    });
    Ok(others.into_iter().map(|(_, other)| other).collect())
}

/// The first paragraph of what a source says about itself.
fn about(source: &str) -> String {
    let lines = source.lines().map_while(|line| line.strip_prefix("//!"));
    let lines: Vec<&str> = lines
        .map(str::trim)
        .take_while(|line| !line.is_empty())
        .collect();
    lines.join(" ")
}

fn compare(
    course: &Course,
    exercise: &Exercise,
    options: &Options,
    others: &[Other],
) -> Result<String> {
    let mine = exercise.package.dir.join("src");
    let Some(with) = &options.with else {
        let reference = course
            .root
            .join("solutions")
            .join(exercise.path())
            .join("src");
        let mut names = sources(&mine);
        names.extend(sources(&reference));
        let mut text = String::new();
        for name in names {
            let read = |folder: &Path| match files::read_text(&folder.join(&name)) {
                Ok(text) => text,
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
                Err(error) => format!(
                    "({} cannot be read: {error})\n",
                    folder.join(&name).display()
                ),
            };
            text.push_str(&diff(
                &read(&mine),
                &read(&reference),
                &format!("yours      exercises/{}/src/{name}", exercise.path()),
                &format!("reference  solutions/{}/src/{name}", exercise.path()),
            ));
        }
        return Ok(text);
    };
    let Some(other) = others.iter().find(|other| other.name == *with) else {
        let names: Vec<&str> = others.iter().map(|other| other.name.as_str()).collect();
        return Err(Error::new(
            format!(
                "{} {} has no alternative `{with}`.",
                exercise.id(),
                exercise.name
            ),
            format!("It has {}.", names.join(", ")),
        ));
    };
    let own = files::read_text(&mine.join("lib.rs")).unwrap_or_default();
    Ok(diff(
        &own,
        &other.text,
        &format!("yours        exercises/{}/src/lib.rs", exercise.path()),
        &format!(
            "alternative  solutions/{}/alternatives/{with}.rs",
            exercise.path()
        ),
    ))
}

/// The names of the Rust files below a folder.
fn sources(folder: &Path) -> BTreeSet<String> {
    let files = WalkDir::new(folder).into_iter().flatten();
    files
        .filter_map(|entry| {
            let path = entry.path();
            path.extension().filter(|extension| *extension == "rs")?;
            Some(
                path.strip_prefix(folder)
                    .ok()?
                    .to_string_lossy()
                    .replace('\\', "/"),
            )
        })
        .collect()
}

/// A unified diff, as `patch` understands it where there are no colours.
fn diff(old: &str, new: &str, old_name: &str, new_name: &str) -> String {
    if old == new {
        return format!("{new_name} is word for word what {old_name} is.\n");
    }
    let mut text = String::new();
    let _ = writeln!(text, "{}", style(format!("--- {old_name}")).red());
    let _ = writeln!(text, "{}", style(format!("+++ {new_name}")).green());
    let diff = TextDiff::from_lines(old, new);
    for hunk in diff.unified_diff().context_radius(4).iter_hunks() {
        let _ = writeln!(text, "{}", style(hunk.header()).cyan());
        for change in hunk.iter_changes() {
            let line = change.value().trim_end_matches(['\r', '\n']);
            let line = match change.tag() {
                ChangeTag::Delete => style(format!("-{line}")).red(),
                ChangeTag::Insert => style(format!("+{line}")).green(),
                ChangeTag::Equal => style(format!(" {line}")),
            };
            let _ = writeln!(text, "{line}");
        }
    }
    text
}

fn readme_section(exercise: &Exercise, heading: &str) -> Option<String> {
    let readme = files::read_text(&exercise.package.dir.join("README.md")).ok()?;
    texts::section(&readme, heading)
}

/// How many of the alternatives are described; of the others only the names are said.
const DESCRIBED: usize = 2;

fn to_compare_with(exercise: &Exercise, options: &Options, others: &[Other]) -> String {
    let is_other = |other: &&Other| options.with.as_ref() != Some(&other.name);
    let others: Vec<&Other> = others.iter().filter(is_other).collect();
    let mut text = String::new();
    if others.is_empty() {
        return text;
    }
    let spoil = if options.spoil { " --spoil" } else { "" };
    let _ = writeln!(
        text,
        "\n{}\n",
        style("Other right solutions, least like yours first").bold()
    );
    for other in others.iter().take(DESCRIBED) {
        let Other { name, about, .. } = other;
        let _ = writeln!(text, "  {}  {about}", style(name).bold());
        let _ = writeln!(
            text,
            "      ./grade.sh solution {}{spoil} --with {name}",
            exercise.name
        );
    }
    let rest: Vec<&str> = others
        .iter()
        .skip(DESCRIBED)
        .map(|other| other.name.as_str())
        .collect();
    if !rest.is_empty() {
        let _ = writeln!(text, "  and {}", rest.join(", "));
    }
    text
}
