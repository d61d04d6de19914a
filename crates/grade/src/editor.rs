//! Opens a file at a line in the learner's editor.

use std::path::Path;
use std::process::Command;

use crate::error::{Error, Result};

/// The editor that the learner has named, as a command that a shell understands.
pub fn named() -> Option<String> {
    let set = |name| {
        std::env::var(name)
            .ok()
            .filter(|value| !value.trim().is_empty())
    };
    set("VISUAL").or_else(|| set("EDITOR"))
}

/// Opens it there, and waits until the editor says that it is done.
pub fn open(file: &Path, line: usize) -> Result<()> {
    let Some(editor) = named() else {
        return Err(Error::new(
            "Neither VISUAL nor EDITOR names an editor.",
            format!(
                "Open {}:{line} yourself, or say which one to use: export EDITOR=nano",
                file.display()
            ),
        ));
    };
    let advice =
        "VISUAL or EDITOR has to name a program that you have, such as: export EDITOR=nano";
    let failed = |why: String| Error::new(format!("`{editor}` {why}"), advice);
    let status = command(&editor, &arguments(&editor, &file.to_string_lossy(), line))
        .status()
        .map_err(|error| failed(format!("cannot be started: {error}")))?;
    if status.success() {
        Ok(())
    } else {
        Err(failed(format!("ended with {status}.")))
    }
}

/// What the editor wants to be told. One that is not known gets the file alone.
fn arguments(editor: &str, file: &str, line: usize) -> Vec<String> {
    let program = editor.split_whitespace().next().unwrap_or("");
    let program = program.rsplit(['/', '\\']).next().unwrap_or("");
    match program.trim_end_matches(".exe").trim_end_matches(".cmd") {
        "vi" | "vim" | "nvim" | "view" | "nano" | "emacs" | "emacsclient" | "kak" | "micro"
        | "joe" | "mg" | "ne" => vec![format!("+{line}"), file.to_owned()],
        "code" | "code-insiders" | "codium" | "cursor" => {
            vec!["--goto".to_owned(), format!("{file}:{line}")]
        }
        "hx" | "helix" | "subl" | "zed" => vec![format!("{file}:{line}")],
        "idea" | "rustrover" | "clion" => {
            vec!["--line".to_owned(), line.to_string(), file.to_owned()]
        }
        _ => vec![file.to_owned()],
    }
}

/// As git does it: a shell takes the editor's words apart, and hands the arguments on as they are.
#[cfg(unix)]
fn command(editor: &str, arguments: &[String]) -> Command {
    let mut command = Command::new("sh");
    command
        .arg("-c")
        .arg(format!("{editor} \"$@\""))
        .arg(editor)
        .args(arguments);
    command
}

#[cfg(not(unix))]
fn command(editor: &str, arguments: &[String]) -> Command {
    let mut words = editor.split_whitespace();
    let mut command = Command::new(words.next().unwrap_or(editor));
    command.args(words).args(arguments);
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_editor_is_told_the_line_in_its_own_way() {
        let told = |editor: &str| arguments(editor, "src/lib.rs", 7).join(" ");
        assert_eq!(told("/usr/bin/vim -p"), "+7 src/lib.rs");
        assert_eq!(told("code --wait"), "--goto src/lib.rs:7");
        assert_eq!(told("hx"), "src/lib.rs:7");
        assert_eq!(told("rustrover"), "--line 7 src/lib.rs");
        assert_eq!(told("ed"), "src/lib.rs");
    }
}
