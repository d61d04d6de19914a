//! `mutants.toml`: wrong solutions that an author wrote down, and answers to generated ones that survive.

use std::collections::BTreeSet;
use std::ops::Range;

use serde::Deserialize;

use super::source::{self, Edit};

/// The whole file.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct File {
    /// Wrong solutions.
    #[serde(default)]
    pub mutant: Vec<Mutant>,
    /// Generated variants that are right.
    #[serde(default)]
    pub equivalent: Vec<Equivalent>,
}

/// A wrong solution.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mutant {
    /// What the mistake is called.
    pub name: String,
    /// What then happens to a user.
    pub why: String,
    /// The check kinds of which one must reject it; `build` is the compiler.
    pub killed_by: Kinds,
    /// How it comes out of the solution.
    pub edit: Vec<Replacement>,
}

/// One kind or several.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
pub enum Kinds {
    /// `"loom"`
    One(String),
    /// `["loom", "shuttle"]`
    Several(Vec<String>),
}

impl Kinds {
    /// All of them.
    pub fn names(&self) -> &[String] {
        match self {
            Self::One(name) => std::slice::from_ref(name),
            Self::Several(names) => names,
        }
    }
}

/// One edit of a mutant.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Replacement {
    /// Text that is in the solution exactly once.
    pub find: String,
    /// What takes its place.
    pub replace: String,
}

/// Says that a generated variant is right.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Equivalent {
    /// Text that is in the solution exactly once and that the variant changes.
    pub find: String,
    /// What the variant puts there, as the audit prints it; or `find` as it reads afterwards.
    pub becomes: String,
    /// Why that is right.
    pub why: String,
}

/// Reads the file's text. The error says what is wrong with it.
pub fn parse(text: &str) -> Result<File, String> {
    let file: File = toml::from_str(text).map_err(|error| error.to_string())?;
    let mut names = BTreeSet::new();
    for mutant in &file.mutant {
        if !names.insert(&mutant.name) {
            return Err(format!("two mutants are called `{}`", mutant.name));
        }
        let word = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
        if mutant.name.is_empty() || !mutant.name.bytes().all(word) {
            return Err(format!(
                "`{}` is no name for a mutant: use lowercase letters, digits and `_`",
                mutant.name
            ));
        }
    }
    Ok(file)
}

impl Mutant {
    /// The edits, once each is found; otherwise what is wrong with the first that is not.
    pub fn edits(&self, solution: &str) -> Result<Vec<Edit>, String> {
        let mut edits: Vec<Edit> = Vec::new();
        for replacement in &self.edit {
            let range = find_once(solution, &replacement.find)?;
            if replacement.find == replacement.replace {
                return Err("`replace` is the same as `find`".to_owned());
            }
            let overlaps =
                |edit: &Edit| edit.range.start < range.end && range.start < edit.range.end;
            if edits.iter().any(overlaps) {
                return Err("two of its edits change the same text".to_owned());
            }
            edits.push(Edit::new(range, replacement.replace.clone()));
        }
        if edits.is_empty() {
            return Err("it has no edit".to_owned());
        }
        Ok(edits)
    }
}

impl Equivalent {
    /// Whether this answers a variant that makes `becomes` of its place by `edits`. `find` is at `place`.
    pub fn answers(
        &self,
        solution: &str,
        place: &Range<usize>,
        becomes: &str,
        edits: &[Edit],
    ) -> bool {
        let touches = |edit: &Edit| edit.range.start < place.end && place.start <= edit.range.start;
        let covers = |edit: &Edit| edit.range.start <= place.start && place.end <= edit.range.end;
        let Some(first) = edits.first() else {
            return false;
        };
        if !touches(first) && !covers(first) {
            return false;
        }
        self.becomes == becomes || self.becomes == after(solution, place, edits)
    }
}

/// The text at `place` once `edits` are made.
fn after(solution: &str, place: &Range<usize>, edits: &[Edit]) -> String {
    let inside: Vec<Edit> = edits
        .iter()
        .filter(|edit| place.start <= edit.range.start && edit.range.end <= place.end)
        .map(|edit| {
            let range = edit.range.start - place.start..edit.range.end - place.start;
            Edit::new(range, edit.with.clone())
        })
        .collect();
    source::apply(&solution[place.clone()], &inside)
}

/// Where `find` is in the solution; otherwise why it cannot be said.
pub fn find_once(solution: &str, find: &str) -> Result<Range<usize>, String> {
    source::only_match(solution, find).map_err(|count| {
        let times = match count {
            0 => "is not in the solution's src/lib.rs".to_owned(),
            count => format!(
                "is {count} times in the solution's src/lib.rs; say more of its surroundings"
            ),
        };
        format!("`{}` {times}", find.trim())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_equivalent_is_told_by_the_word_or_by_the_whole_text() {
        let solution = "x.swap(1, SeqCst); y.cx(0, 1, SeqCst, SeqCst);";
        let at = solution.rfind("SeqCst").unwrap();
        let edits = [Edit::new(at..at + 6, "Acquire")];
        let equivalent = |find: &str, becomes: &str| Equivalent {
            find: find.to_owned(),
            becomes: becomes.to_owned(),
            why: String::new(),
        };
        let answers = |equivalent: &Equivalent| {
            let place = find_once(solution, &equivalent.find).unwrap();
            equivalent.answers(solution, &place, "Acquire", &edits)
        };
        assert!(answers(&equivalent(
            "y.cx(0, 1, SeqCst, SeqCst)",
            "Acquire"
        )));
        assert!(answers(&equivalent(
            "y.cx(0, 1, SeqCst, SeqCst)",
            "y.cx(0, 1, SeqCst, Acquire)"
        )));
        assert!(!answers(&equivalent("x.swap(1, SeqCst)", "Acquire")));
        assert!(!answers(&equivalent(
            "y.cx(0, 1, SeqCst, SeqCst)",
            "Relaxed"
        )));
    }

    #[test]
    fn a_file_with_a_mistake_says_which() {
        assert!(
            parse("[[mutant]]\nname = \"a\"")
                .unwrap_err()
                .contains("why")
        );
        let twice =
            "[[mutant]]\nname = \"a\"\nwhy = \"\"\nkilled_by = \"unit\"\nedit = []\n".repeat(2);
        assert!(parse(&twice).unwrap_err().contains("two mutants"));
        assert!(parse("[[mutants]]").is_err());
    }
}
