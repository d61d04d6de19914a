//! Names from the learner's source: what an atomic is called where it is created or used.

use crate::record::Site;
use std::cell::RefCell;
use std::collections::HashMap;
use std::path::PathBuf;

thread_local! {
    static FILES: RefCell<HashMap<&'static str, Option<String>>> = RefCell::new(HashMap::new());
}

/// Runs `read` on the source up to the column of `site`.
fn before<R>(site: Site, read: impl FnOnce(&str) -> Option<R>) -> Option<R> {
    FILES.with_borrow_mut(|files| {
        let text = files
            .entry(site.file())
            .or_insert_with(|| load(site.file()))
            .as_deref()?;
        let line_start: usize = text
            .split_inclusive('\n')
            .take(site.line() as usize - 1)
            .map(str::len)
            .sum();
        let line = text.get(line_start..)?.lines().next()?;
        let column = line
            .char_indices()
            .nth(site.column() as usize - 1)
            .map_or(line.len(), |(index, _)| index);
        read(text.get(..line_start + column)?)
    })
}

/// The compiler's paths are relative to the workspace; tests run in the package.
fn load(file: &str) -> Option<String> {
    let package = std::env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from);
    let start = package.or_else(|| std::env::current_dir().ok())?;
    start
        .ancestors()
        .find_map(|folder| std::fs::read_to_string(folder.join(file)).ok())
}

fn is_name(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// Removes a trailing `(…)` or `[…]`, and says where it began.
fn skip_group(text: &str) -> Option<usize> {
    let (open, close) = match text.chars().next_back()? {
        ')' => ('(', ')'),
        ']' => ('[', ']'),
        _ => return None,
    };
    let mut depth = 0;
    for (index, c) in text.char_indices().rev() {
        if c == close {
            depth += 1;
        } else if c == open {
            depth -= 1;
            if depth == 0 {
                return Some(index);
            }
        }
    }
    None
}

fn last_name(text: &str) -> Option<&str> {
    let start = text
        .char_indices()
        .rev()
        .take_while(|&(_, c)| is_name(c))
        .last()?
        .0;
    let name = &text[start..];
    (!name.starts_with(|c: char| c.is_ascii_digit()) && name != "self").then_some(name)
}

/// What the method call at `site` is called on: `locked` for `self.locked.load(…)`, `slots[i]` for `slots[i].load(…)`.
pub(super) fn receiver(site: Site) -> Option<String> {
    before(site, |text| {
        let text = text.trim_end().strip_suffix('.')?.trim_end();
        match skip_group(text) {
            None => last_name(text).map(str::to_owned),
            Some(group) => {
                let name = last_name(text[..group].trim_end())?;
                let index = &text[group..];
                Some(if index.starts_with('[') && index.len() <= 12 {
                    format!("{name}{index}")
                } else {
                    name.to_owned()
                })
            }
        }
    })
}

/// What the object created at `site` is called: the field or variable it is put in.
pub(super) fn created(site: Site) -> Option<String> {
    before(site, |text| {
        let mut text = text.trim_end();
        // Step out of `Arc::new(`, `CachePadded::new(`, `[`, `(` and the like.
        while let Some(inner) = text.strip_suffix(['(', '[']) {
            text = inner
                .trim_end()
                .trim_end_matches(|c: char| is_name(c) || c == ':' || c == '<' || c == '>')
                .trim_end();
            if text.ends_with(':') {
                break;
            }
        }
        if let Some(field) = text.strip_suffix(':') {
            return last_name(field.trim_end()).map(str::to_owned);
        }
        let text = text.strip_suffix('=')?.trim_end();
        let statement = &text[text.rfind(['\n', ';', '{']).map_or(0, |index| index + 1)..];
        let rest = statement.trim_start().strip_prefix("let ")?.trim_start();
        let rest = rest.strip_prefix("mut ").unwrap_or(rest).trim_start();
        let end = rest.find(|c: char| !is_name(c)).unwrap_or(rest.len());
        (end > 0).then(|| rest[..end].to_owned())
    })
}
