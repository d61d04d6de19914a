//! What an exercise's texts and folders look like: sections, hints, metadata, and that nothing gives the code away.

use std::collections::BTreeSet;
use std::path::Path;

use serde::Deserialize;

use crate::course::Size;
use crate::texts::sections;

/// The sections of a README, in their order.
const SECTIONS: [&str; 5] = ["Theory", "Task", "Checks", "Questions", "Further reading"];

/// What the README lacks. `tests` are the names of all checks.
pub fn readme(text: &str, tests: &BTreeSet<String>) -> Vec<String> {
    let mut problems = Vec::new();
    if !text
        .lines()
        .next()
        .is_some_and(|line| line.starts_with("# "))
    {
        problems.push("README.md does not begin with `# Title`".to_owned());
    }
    let sections = sections(text);
    let known: Vec<&str> = sections
        .iter()
        .map(|(name, _)| name.as_str())
        .filter(|name| SECTIONS.contains(name))
        .collect();
    for section in SECTIONS {
        match known.iter().filter(|name| **name == section).count() {
            0 => problems.push(format!("README.md has no section `## {section}`")),
            1 => {}
            count => problems.push(format!("README.md has {count} sections `## {section}`")),
        }
    }
    for (name, body) in &sections {
        if SECTIONS.contains(&name.as_str()) && is_empty(body) {
            problems.push(format!("README.md's section `## {name}` is empty"));
        }
    }
    if problems.is_empty() && known != SECTIONS {
        problems.push(format!(
            "README.md's sections are not in the order {}",
            SECTIONS.join(", ")
        ));
    }
    if let Some((_, checks)) = sections.iter().find(|(name, _)| name == "Checks") {
        let kinds: BTreeSet<&str> = tests
            .iter()
            .filter_map(|test| test.split("::").next())
            .collect();
        for kind in kinds {
            let of_kind = |test: &&String| test.split("::").next() == Some(kind);
            let plain = |test: &String| {
                let name = test.split("::").nth(1).unwrap_or(test);
                checks.contains(name)
            };
            let each = tests.iter().filter(of_kind).all(plain);
            if !mentions(checks, kind) && !each {
                problems.push(format!("README.md's Checks say nothing about `{kind}`"));
            }
        }
    }
    problems
}

/// Whether a section says nothing, but for a comment on what is to be said.
fn is_empty(body: &str) -> bool {
    let mut rest = body;
    let mut said = String::new();
    while let Some((before, after)) = rest.split_once("<!--") {
        said.push_str(before);
        rest = after.split_once("-->").map_or("", |(_, after)| after);
    }
    said.push_str(rest);
    said.trim().is_empty()
}

fn mentions(text: &str, word: &str) -> bool {
    text.match_indices(word).any(|(at, _)| {
        let is_word = |byte: Option<&u8>| {
            byte.is_some_and(|&byte| byte.is_ascii_alphanumeric() || byte == b'_')
        };
        let before = at.checked_sub(1).and_then(|at| text.as_bytes().get(at));
        !is_word(before) && !is_word(text.as_bytes().get(at + word.len()))
    })
}

/// What is wrong with the hints. What the stub shows anyway may be said.
pub fn hints(text: &str, stub: &str, solution: &str) -> Vec<String> {
    let mut problems = Vec::new();
    let count = sections(text)
        .iter()
        .filter(|(name, body)| name.starts_with("Hint") && !is_empty(body))
        .count();
    if count < 3 {
        problems.push(format!(
            "{count} sections `## Hint` that say something; three are the least"
        ));
    }
    for (line, language, code) in fenced(text) {
        let is_rust = matches!(language.as_str(), "rust" | "rs")
            || language.starts_with("rust,")
            || language.is_empty() && looks_like_rust(&code);
        if is_rust {
            problems.push(format!(
                "line {line}: a block of Rust; hints give no code to paste"
            ));
        }
    }
    let packed_text = packed(text);
    let packed_stub = packed(stub);
    let mut told = BTreeSet::new();
    for line in solution.lines() {
        let secret = secret_of(line);
        if is_telling(&secret)
            && packed_text.contains(&secret)
            && !packed_stub.contains(&secret)
            && told.insert(secret)
        {
            problems.push(format!(
                "gives away a line of the solution: `{}`",
                line.trim()
            ));
        }
    }
    problems
}

/// Line number, language and text of each fenced block.
fn fenced(text: &str) -> Vec<(usize, String, String)> {
    let mut blocks = Vec::new();
    let mut open: Option<(usize, String, String)> = None;
    for (index, line) in text.lines().enumerate() {
        match (line.trim_start().strip_prefix("```"), &mut open) {
            (Some(language), None) => {
                open = Some((index + 1, language.trim().to_owned(), String::new()));
            }
            (Some(_), Some(_)) => blocks.extend(open.take()),
            (None, Some((_, _, code))) => {
                code.push_str(line);
                code.push('\n');
            }
            (None, None) => {}
        }
    }
    blocks.extend(open);
    blocks
}

fn looks_like_rust(code: &str) -> bool {
    let has_marks = code.contains(';') || code.contains("fn ");
    has_marks
        && (syn::parse_file(code).is_ok()
            || syn::parse_str::<syn::Block>(&format!("{{{code}}}")).is_ok())
}

/// A line of code without its blanks, comment and the marks at its end.
fn secret_of(line: &str) -> String {
    let code = line.split("//").next().unwrap_or("");
    let packed = packed(code);
    packed
        .trim_start_matches(['.', '}', ')'])
        .trim_end_matches([';', ',', '{', '}', '('])
        .to_owned()
}

/// Whether a line says so much that it is nobody's by chance.
fn is_telling(secret: &str) -> bool {
    let letters = secret.bytes().filter(u8::is_ascii_alphanumeric).count();
    let is_code = secret.contains(['(', '=', '&', '<']) || secret.contains("::");
    letters >= 10 && is_code && !secret.starts_with("use") && !secret.starts_with("#[")
}

fn packed(text: &str) -> String {
    text.chars()
        .filter(|character| !character.is_whitespace() && *character != '`')
        .collect()
}

/// As much of the exercise's Cargo.toml as is looked at here.
#[derive(Debug, Default, Deserialize)]
pub struct Metadata {
    /// What a reader sees.
    #[serde(default)]
    pub title: String,
    /// The family within the phase.
    #[serde(default)]
    pub topic: String,
    /// Ids of the exercises to do first.
    #[serde(default)]
    pub needs: Vec<String>,
    /// How much there is to do.
    pub size: Option<Size>,
    /// The paper and the production code.
    #[serde(default)]
    pub mirrors: Vec<String>,
}

/// What the metadata in Cargo.toml lacks. `id` is the exercise's own.
pub fn metadata(manifest: &str, id: &str) -> Vec<String> {
    let table: toml::Table = match toml::from_str(manifest) {
        Ok(table) => table,
        Err(error) => return vec![format!("Cargo.toml cannot be read: {}", error.message())],
    };
    let kata = table
        .get("package")
        .and_then(|package| package.get("metadata"))
        .and_then(|metadata| metadata.get("kata"));
    let Some(kata) = kata else {
        return vec!["Cargo.toml has no [package.metadata.kata]".to_owned()];
    };
    let metadata: Metadata = match kata.clone().try_into() {
        Ok(metadata) => metadata,
        Err(error) => return vec![format!("[package.metadata.kata]: {}", error.message())],
    };
    let mut problems = Vec::new();
    for (name, missing) in [
        ("title", metadata.title.trim().is_empty()),
        ("topic", metadata.topic.trim().is_empty()),
        ("size", metadata.size.is_none()),
        ("mirrors", metadata.mirrors.is_empty()),
    ] {
        if missing {
            problems.push(format!("[package.metadata.kata] has no `{name}`"));
        }
    }
    for need in &metadata.needs {
        if !is_id(need) {
            problems.push(format!("needs `{need}`, which is no id such as 1.02"));
        } else if need == id {
            problems.push("needs itself".to_owned());
        }
    }
    problems
}

fn is_id(text: &str) -> bool {
    let Some((phase, number)) = text.split_once('.') else {
        return false;
    };
    let known = crate::course::PHASES
        .iter()
        .any(|known| known.number.to_string() == phase);
    known && number.len() == 2 && number.bytes().all(|byte| byte.is_ascii_digit())
}

/// The source of a module of the crate in `folder`, if it is where Rust looks for it.
pub fn module_source(folder: &Path, path: &[String]) -> Option<String> {
    let mut file = folder.join("src");
    if path.is_empty() {
        return std::fs::read_to_string(file.join("lib.rs")).ok();
    }
    file.extend(path);
    std::fs::read_to_string(file.with_extension("rs"))
        .or_else(|_| std::fs::read_to_string(file.join("mod.rs")))
        .ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const README: &str = "# A\n## Theory\na\n## Task\nb\n## Checks\n`unit`: all\n## Questions\nc\n## Further reading\nd\n";

    fn tests(names: &[&str]) -> BTreeSet<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn a_readme_has_its_sections_in_order() {
        assert!(readme(README, &tests(&["unit::a"])).is_empty());
        let missing = README.replace("## Task\nb\n", "");
        assert_eq!(readme(&missing, &tests(&[])).len(), 1);
        let swapped = README.replace("## Theory\na\n## Task", "## Task\na\n## Theory");
        assert!(readme(&swapped, &tests(&[]))[0].contains("order"));
        assert!(readme("text", &tests(&[]))[0].contains("# Title"));
    }

    #[test]
    fn a_section_says_something() {
        let empty = README.replace("b\n", "\n<!-- The rules.\n-->\n");
        assert_eq!(
            readme(&empty, &tests(&[])),
            ["README.md's section `## Task` is empty"]
        );
        let commented = README.replace("b\n", "<!-- The rules. --> There are none.\n");
        assert!(readme(&commented, &tests(&[])).is_empty());
        let hints = super::hints(
            "## Hint 1\na\n## Hint 2\n<!-- b -->\n## Hint 3\nc\n",
            "",
            "",
        );
        assert!(hints[0].starts_with("2 sections"), "{hints:?}");
    }

    #[test]
    fn a_readme_mentions_each_kind_or_each_check() {
        let said = readme(README, &tests(&["unit::a", "loom::b"]));
        assert_eq!(said, ["README.md's Checks say nothing about `loom`"]);
        let by_name = README.replace("all", "all, and stays_in_order");
        assert!(readme(&by_name, &tests(&["loom::stays_in_order"])).is_empty());
    }

    #[test]
    fn a_hint_gives_no_code_away() {
        let good = "## Hint 1\na\n## Hint 2\nb\n## Hint 3\nStore *free*.\n";
        let stub = "pub fn drop(&mut self) { todo!() }";
        let solution = "pub fn drop(&mut self) {\n    self.lock.locked.store(false, Release);\n}\n";
        assert!(hints(good, stub, solution).is_empty());
        let told = format!("{good}Say `self.lock.locked\n.store(false, Release)`.");
        assert_eq!(hints(&told, stub, solution).len(), 1);
        let shown = format!("{good}It is `pub fn drop(&mut self)`.");
        assert!(hints(&shown, stub, solution).is_empty());
        let block = format!("{good}```rust\nlet x = 1;\n```\n");
        assert!(hints(&block, stub, solution)[0].contains("line 7"));
        let drawing = format!("{good}```text\nA ──▶ B\n```\n```\nhead -> tail\n```\n");
        assert!(hints(&drawing, stub, solution).is_empty());
        let unmarked = format!("{good}```\nlet x = f(1);\n```\n");
        assert_eq!(hints(&unmarked, stub, solution).len(), 1);
        assert!(hints("## Hint\n", stub, solution)[0].contains("three"));
    }

    #[test]
    fn metadata_is_complete() {
        let manifest = "[package]\nname = \"a\"\n[package.metadata.kata]\ntitle = \"A\"\ntopic = \"t\"\nneeds = [\"1.02\"]\nsize = \"small\"\nmirrors = [\"p\"]\n";
        assert!(metadata(manifest, "1.04").is_empty());
        assert_eq!(metadata(manifest, "1.02"), ["needs itself"]);
        assert_eq!(metadata(&manifest.replace("1.02", "spin"), "1.04").len(), 1);
        let unsized_one = manifest.replace("size = \"small\"\n", "");
        assert_eq!(
            metadata(&unsized_one, "1.04"),
            ["[package.metadata.kata] has no `size`"]
        );
        let huge = manifest.replace("\"small\"", "\"huge\"");
        assert!(metadata(&huge, "1.04")[0].contains("huge"));
        assert_eq!(metadata("[package]\nname = \"a\"\n", "1.04").len(), 1);
    }
}
