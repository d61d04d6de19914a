//! The course's own texts: what they refer to exists, and what they repeat is so.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use grade::contents;
use grade::course::Course;
use grade::lock::Lock;
use walkdir::WalkDir;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .canonicalize()
        .unwrap()
}

/// Files of the course with this ending, without what was built.
fn files(ending: &str) -> Vec<PathBuf> {
    let is_built = |name: &str| name == ".git" || name.starts_with("target");
    WalkDir::new(root())
        .into_iter()
        .filter_entry(|entry| !is_built(&entry.file_name().to_string_lossy()))
        .map(|entry| entry.unwrap().into_path())
        .filter(|path| path.extension().is_some_and(|own| own == ending))
        .collect()
}

/// The lines that are prose, with their numbers.
fn prose(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut in_code = false;
    text.lines().enumerate().filter_map(move |(index, line)| {
        let is_fence = line.trim_start().starts_with("```");
        in_code ^= is_fence;
        (!in_code && !is_fence).then_some((index + 1, line))
    })
}

/// A line without what stands in backticks.
fn without_code(line: &str) -> String {
    line.split('`').step_by(2).collect::<Vec<_>>().join("``")
}

/// Where the links and pictures of a line lead.
fn targets(line: &str) -> Vec<String> {
    let line = without_code(line);
    let mut found = Vec::new();
    for (at, _) in line.match_indices("](") {
        let rest = &line[at + 2..];
        found.extend(rest.split([')', ' ']).next().map(str::to_owned));
    }
    // [name]: target
    if let Some((name, target)) = line.split_once("]: ")
        && name.starts_with('[')
        && !name.starts_with("[^")
    {
        found.push(target.trim().to_owned());
    }
    for mark in ["src=\"", "srcset=\"", "href=\""] {
        for (at, _) in line.match_indices(mark) {
            let rest = &line[at + mark.len()..];
            found.extend(rest.split('"').next().map(str::to_owned));
        }
    }
    found
}

/// What GitHub makes of headings, so that links can lead there.
fn anchors(text: &str) -> BTreeSet<String> {
    let heading = |line: &str| {
        line.starts_with('#')
            .then(|| line.trim_start_matches('#').trim().to_lowercase())
    };
    prose(text)
        .filter_map(|(_, line)| heading(line))
        .map(|heading| {
            let kept = |character: &char| character.is_alphanumeric() || " -_".contains(*character);
            heading
                .chars()
                .filter(kept)
                .collect::<String>()
                .replace(' ', "-")
        })
        .collect()
}

/// What is wrong with the relative links of `text`, which stands in `folder`.
fn broken(text: &str, folder: &Path) -> Vec<String> {
    let mut problems = Vec::new();
    for (number, line) in prose(text) {
        for target in targets(line) {
            let is_elsewhere = target.contains("://") || target.starts_with("mailto:");
            if is_elsewhere || target.is_empty() {
                continue;
            }
            let (path, anchor) = target.split_once('#').unwrap_or((&target, ""));
            let file = folder.join(path);
            if !path.is_empty() && !file.exists() {
                problems.push(format!("line {number}: there is no {path}"));
            } else if !anchor.is_empty() {
                let there = if path.is_empty() {
                    Ok(text.to_owned())
                } else {
                    fs::read_to_string(&file)
                };
                if !there.is_ok_and(|there| anchors(&there).contains(anchor)) {
                    problems.push(format!("line {number}: there is no heading for {target}"));
                }
            }
        }
    }
    problems
}

#[test]
fn relative_links_lead_somewhere() {
    let mut problems = Vec::new();
    let mut links = 0;
    for file in files("md") {
        let text = fs::read_to_string(&file).unwrap();
        links += prose(&text)
            .map(|(_, line)| targets(line).len())
            .sum::<usize>();
        let of_file = broken(&text, file.parent().unwrap());
        problems.extend(
            of_file
                .iter()
                .map(|problem| format!("{}: {problem}", file.display())),
        );
    }
    assert!(links > 5, "only {links} links were found");
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

#[test]
fn a_link_that_leads_nowhere_is_found() {
    let text = "# A heading: of `two` words\n[a](README.md) [b](no.md) `[c](no.md)` [d](https://no.such/)\n\
                [e](#a-heading-of-two-words) [f](#nothing) ![g](no.svg)\n```\n[h](no.md)\n```\n[i]: no.md\n<img src=\"no.png\">\n";
    assert_eq!(
        broken(text, &root()),
        [
            "line 2: there is no no.md",
            "line 3: there is no heading for #nothing",
            "line 3: there is no no.svg",
            "line 7: there is no no.md",
            "line 8: there is no no.png",
        ]
    );
}

#[test]
fn the_table_of_phases_is_what_the_exercises_say() {
    let course = Course::read(&root(), &Lock::default()).unwrap();
    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    for exercise in &course.exercises {
        assert!(
            readme.contains(&format!("exercises/{}/README.md", exercise.path())),
            "{}",
            exercise.name
        );
    }
    assert!(
        contents::is_current(&course),
        "run ./grade.sh lock --author"
    );
}

#[test]
fn the_changelog_names_the_version_of_every_schema() {
    let changelog = fs::read_to_string(root().join("CHANGELOG.md")).unwrap();
    let mut schemas = BTreeSet::new();
    for file in files("rs") {
        let text = fs::read_to_string(&file).unwrap();
        if file.components().any(|part| part.as_os_str() == "src") {
            let words = text.split('"').skip(1).step_by(2);
            let is_schema = |word: &&str| {
                let parts: Vec<&str> = word.split('/').collect();
                matches!(parts[..], ["kata", _, version]
                    if version.strip_prefix('v').is_some_and(|number| number.parse::<u8>().is_ok()))
            };
            schemas.extend(words.filter(is_schema).map(str::to_owned));
        }
    }
    assert!(schemas.len() >= 8, "{schemas:?}");
    for schema in schemas {
        assert!(
            changelog.contains(&format!("`{schema}`")),
            "{schema} is not in CHANGELOG.md"
        );
    }
}
