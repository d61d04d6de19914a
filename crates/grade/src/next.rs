//! `next`: which exercise to turn to, and where to begin in it.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use console::style;
use proc_macro2::{TokenStream, TokenTree};
use walkdir::WalkDir;

use crate::answer::Answer;
use crate::course::{Course, Exercise};
use crate::editor;
use crate::error::Result;
use crate::files;
use crate::list;
use crate::result::{NextStep, Report};

/// What to do about it.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  ./grade.sh next              the exercise to turn to, its README, and the line where to begin
  ./grade.sh next --edit       opens that line in $VISUAL or $EDITOR

It is the first one that you have begun and that does not pass; otherwise the first one that is open and whose needs are
met. That is known from earlier runs: nothing is built.")]
pub struct Options {
    /// Open the source at its first `todo!()` in $VISUAL or $EDITOR
    #[arg(long)]
    edit: bool,
}

/// Where to go on, as `report` on the whole course says.
pub fn next(course: &Course, report: &Report, options: &Options) -> Result<Answer> {
    let Some(step) = &report.next else {
        return Ok(Answer::new(match report.total {
            0 => "There is no exercise here yet.\n",
            _ => {
                "Everything that is written passes. `./grade.sh solution EXERCISE` shows how else it can be done.\n"
            }
        }));
    };
    let exercise = course.one(Some(&step.name))?;
    let (file, line) = begin(exercise);
    if options.edit {
        editor::open(&file, line)?;
        return Ok(Answer::default());
    }
    Ok(Answer::new(render(course, exercise, step, &file, line)))
}

fn render(
    course: &Course,
    exercise: &Exercise,
    step: &NextStep,
    file: &Path,
    line: usize,
) -> String {
    let Exercise { name, title, .. } = exercise;
    let size = exercise.size.map_or("", |size| size.words());
    let about = [exercise.topic.as_str(), size].join(", ");
    let mut text = String::new();
    let _ = writeln!(
        text,
        "{}  {}",
        style(format!("{} {name} · {title}", step.id)).bold(),
        style(format!(
            "({}; {})",
            about.trim_matches([',', ' ']),
            list::state_in_words(step.state, step.known)
        ))
        .dim()
    );
    let readme = shown(&course.root, &exercise.package.dir.join("README.md"));
    let what = if has_todo(file, line) {
        "the first todo!()"
    } else {
        ""
    };
    let rows = [
        ("read", readme, "the theory, the task, what is checked"),
        (
            "edit",
            format!("{}:{line}", shown(&course.root, file)),
            what,
        ),
        (
            "grade",
            format!("./grade.sh {name}"),
            "at every save: ./grade.sh watch",
        ),
        (
            "hint",
            format!("./grade.sh hint {name}"),
            "when you are stuck",
        ),
    ];
    let rows =
        rows.map(|(verb, what, why)| vec![verb.to_owned(), what, style(why).dim().to_string()]);
    crate::table::render_rows(&mut text, &rows);
    text
}

/// A path that a terminal or an editor finds from where the learner is.
pub fn shown(root: &Path, path: &Path) -> String {
    let here = std::env::current_dir().and_then(|here| here.canonicalize());
    let is_root = here.ok() == root.canonicalize().ok();
    let below = path.strip_prefix(root).ok().filter(|_| is_root);
    below.unwrap_or(path).display().to_string()
}

/// The first `todo!()` in the source; without one, the source's first line.
pub fn begin(exercise: &Exercise) -> (PathBuf, usize) {
    let src = exercise.package.dir.join("src");
    let lib = src.join("lib.rs");
    let others = WalkDir::new(&src)
        .sort_by_file_name()
        .into_iter()
        .flatten()
        .map(walkdir::DirEntry::into_path)
        .filter(|path| path.extension().is_some_and(|extension| extension == "rs") && *path != lib);
    let first = std::iter::once(lib.clone()).chain(others).find_map(|file| {
        let line = first_todo(&files::read_text(&file).ok()?)?;
        Some((file, line))
    });
    first.unwrap_or((lib, 1))
}

fn has_todo(file: &Path, line: usize) -> bool {
    files::read_text(file).is_ok_and(|text| first_todo(&text) == Some(line))
}

/// The line of the first `todo!`, not counting those in comments and strings.
fn first_todo(source: &str) -> Option<usize> {
    match source.parse::<TokenStream>() {
        Ok(tokens) => first_in(tokens),
        // Half written: the line that looks like it.
        Err(_) => {
            let code = |line: &str| line.split("//").next().unwrap_or("").contains("todo!(");
            source.lines().position(code).map(|index| index + 1)
        }
    }
}

fn first_in(tokens: TokenStream) -> Option<usize> {
    let mut todo: Option<usize> = None;
    for token in tokens {
        match token {
            TokenTree::Group(group) => {
                if let Some(line) = first_in(group.stream()) {
                    return Some(line);
                }
                todo = None;
            }
            TokenTree::Ident(word) => {
                todo = (word == "todo").then(|| word.span().start().line);
            }
            TokenTree::Punct(mark) if mark.as_char() == '!' && todo.is_some() => return todo,
            _ => todo = None,
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_todo_is_no_comment_and_no_string() {
        let source = "//! A `todo!()` here\n/// and todo!() there\nfn a() { let s = \"todo!()\"; let todo = 1; }\nmod b {\n    fn c() {\n        todo!()\n    }\n}\nfn d() { todo!() }\n";
        assert_eq!(first_todo(source), Some(6));
        assert_eq!(first_todo("fn a() {}\n"), None);
        assert_eq!(first_todo("fn a() {{\n// todo!()\n todo!()\n"), Some(3));
    }
}
