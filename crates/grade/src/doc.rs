//! `doc`: the documentation of the crate that every exercise is built on.

use std::ffi::OsString;
use std::io::IsTerminal as _;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::answer::Answer;
use crate::build;
use crate::error::{Error, Result};

/// How to show it.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  ./grade.sh doc                     builds it and opens it in your browser
  ./grade.sh doc --path              builds it and prints where it is

Without a terminal or a browser, its path is printed. BROWSER says which one to use.")]
pub struct Options {
    /// Print where it is, and open nothing
    #[arg(long)]
    path: bool,
}

/// The crate.
const FACADE: &str = "kata";

/// Builds it, and opens it where there is somebody to look at it.
pub fn doc(root: &Path, target_dir: &Path, options: &Options) -> Result<Answer> {
    let status = Command::new(build::cargo())
        .current_dir(root)
        .args([
            "doc",
            "--quiet",
            "--no-deps",
            "--package",
            FACADE,
            "--target-dir",
        ])
        .arg(target_dir)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .status();
    let advice = "`git status crates` shows whether something there is not the course's own.";
    match status {
        Ok(status) if status.success() => {}
        Ok(_) => {
            return Err(Error::new(
                "The documentation could not be built; cargo says why above.",
                advice,
            ));
        }
        Err(error) => {
            return Err(Error::new(
                format!("cargo could not be run: {error}"),
                advice,
            ));
        }
    }
    let page = target_dir.join("doc").join(FACADE).join("index.html");
    if !page.is_file() {
        return Err(Error::new(
            format!(
                "cargo has built it, and yet there is no {}.",
                page.display()
            ),
            "If a configuration of cargo's has it build elsewhere, look there.",
        ));
    }
    let opened = !options.path
        && std::io::stdout().is_terminal()
        && browser().is_some_and(|browser| open(browser, &page));
    Ok(Answer::new(if opened {
        format!("Opened {} in your browser.\n", page.display())
    } else {
        format!("{}\n", page.display())
    }))
}

/// A program and its first arguments that shows a page; none if nobody would see it.
fn browser() -> Option<Vec<OsString>> {
    let set = |name| std::env::var_os(name).filter(|value| !value.is_empty());
    if let Some(named) = set("BROWSER") {
        return Some(vec![named]);
    }
    if cfg!(target_os = "macos") {
        return Some(vec!["open".into()]);
    }
    if cfg!(windows) {
        return Some(["cmd", "/C", "start", ""].map(OsString::from).to_vec());
    }
    set("DISPLAY").or_else(|| set("WAYLAND_DISPLAY"))?;
    Some(vec!["xdg-open".into()])
}

/// Whether the browser took it.
fn open(browser: Vec<OsString>, page: &Path) -> bool {
    let mut words = browser.into_iter();
    let Some(program) = words.next() else {
        return false;
    };
    let status = Command::new(program)
        .args(words)
        .arg(page)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    status.is_ok_and(|status| status.success())
}
