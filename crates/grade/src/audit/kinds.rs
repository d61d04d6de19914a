//! The kinds of wrong solutions that pass checks which were written with one wrong solution in mind, and what an exercise has
//! against each: `solutions/…/kinds.toml`.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::course::{Course, Exercise};
use crate::lock::Lock;

/// All kinds: what they are called in kinds.toml, and what they are. CONTRIBUTING.md says more about each.
pub const KINDS: [(&str, &str); 33] = [
    ("pairs", "two operations that no check lets meet, or three"),
    ("foreign_panics", "closures, destructors, wakers that panic"),
    (
        "foreign_calls_back",
        "closures, destructors, wakers that use the same object",
    ),
    ("auto_traits", "Send, Sync, lifetimes and variance"),
    (
        "never_waits",
        "what promises not to wait, beside somebody who stands still inside",
    ),
    ("spins_or_writes", "spinning and writing that nobody counts"),
    (
        "wrapping_numbers",
        "counters, tickets and tags that are too narrow",
    ),
    ("more_than_eight", "tables that are too small"),
    ("rare_paths", "what is leaked or forgotten on a rare path"),
    ("retries", "retries that give up"),
    ("recycling", "nodes, slots and tags that come again"),
    ("several_at_once", "two objects that are mixed up"),
    ("std_for_kata", "std's types where kata's belong"),
    ("tame_data", "data that no check thought of"),
    (
        "documented_failures",
        "errors and panics that the documentation promises",
    ),
    ("crash_points", "an end between two effects"),
    (
        "protocol_ranges",
        "messages, terms and roles out of the ordinary",
    ),
    ("value_layouts", "alignment, size and number of values"),
    (
        "announce_then_look",
        "a last look before the announcement, or at too little",
    ),
    ("saturated_source", "one supplier that hides the others"),
    ("counted_twice", "one fact that is kept in two places"),
    (
        "moved_address",
        "an address that is kept while its object moves or goes",
    ),
    (
        "reentrant_thread",
        "the same thread once more, in the middle",
    ),
    ("late_event", "what arrives after its receiver has gone"),
    (
        "confounders",
        "order, speed or cores that decide instead of what is asked",
    ),
    ("empty_and_full", "empty or full, said when it is not so"),
    ("growth", "growth that never comes"),
    (
        "stale_retry",
        "a retry that keeps a part of the attempt before",
    ),
    ("build_profile", "what another build does otherwise"),
    ("vacuous", "a check in which nothing happened"),
    (
        "order_by_hash",
        "results that depend on hashes or addresses",
    ),
    (
        "disturbing_observer",
        "a tool that changes what it measures",
    ),
    ("wrong_report", "the right verdict with the wrong reason"),
];

/// What decides a kind in an exercise.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// These checks.
    Checks(Vec<String>),
    /// The grader, before anything is built.
    Refused(String),
    /// Nothing; these words stand in the README.
    NotChecked(String),
    /// It cannot be, for this reason.
    NotApplicable(String),
}

impl Answer {
    fn sign(&self) -> &'static str {
        match self {
            Self::Checks(_) => "✓",
            Self::Refused(_) => "r",
            Self::NotChecked(_) => "n",
            Self::NotApplicable(_) => "–",
        }
    }
}

/// What an exercise has against each kind.
pub type Answers = BTreeMap<String, Answer>;

/// What `text` lacks. `checks` are the names of all checks of the exercise.
pub fn problems(text: &str, checks: &BTreeSet<String>, readme: &str) -> Vec<String> {
    let answers: Answers = match toml::from_str(text) {
        Ok(answers) => answers,
        Err(error) => return vec![format!("kinds.toml: {}", error.to_string().trim_end())],
    };
    let mut problems = Vec::new();
    let names = KINDS.map(|(name, _)| name);
    let missing: Vec<&str> = names
        .into_iter()
        .filter(|name| !answers.contains_key(*name))
        .collect();
    if !missing.is_empty() {
        let some = missing[..missing.len().min(3)].join(", ");
        let more = if missing.len() > 3 {
            format!(" and {} more of {} kinds", missing.len() - 3, KINDS.len())
        } else {
            String::new()
        };
        problems.push(format!("kinds.toml says nothing about {some}{more}"));
    }
    let readme = words(readme);
    for (name, answer) in &answers {
        if !names.contains(&name.as_str()) {
            problems.push(format!("kinds.toml: there is no kind called `{name}`"));
        }
        match answer {
            Answer::Checks(named) if named.is_empty() => {
                problems.push(format!("kinds.toml: `{name}` names no check"));
            }
            Answer::Checks(named) => {
                let unknown = named.iter().filter(|named| {
                    // A kind of check alone says nothing.
                    let cases = format!("{named}::case_");
                    !checks
                        .iter()
                        .any(|check| check == *named || check.starts_with(&cases))
                });
                problems.extend(unknown.map(|unknown| {
                    format!("kinds.toml: `{name}` names `{unknown}`, and there is no such check")
                }));
            }
            Answer::NotChecked(said)
                if said.trim().is_empty() || !readme.contains(&words(said)) =>
            {
                problems.push(format!(
                    "kinds.toml: what `{name}` says is not checked does not stand in README.md"
                ));
            }
            Answer::Refused(why) | Answer::NotApplicable(why) if why.trim().is_empty() => {
                problems.push(format!("kinds.toml: `{name}` gives no reason"));
            }
            _ => {}
        }
    }
    problems
}

/// A text without its line breaks.
fn words(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Where the answers are, below the folder of a solution.
pub const FILE: &str = "kinds.toml";

/// The answers of an exercise, as far as they can be read.
pub fn of(root: &Path, exercise: &Exercise) -> Answers {
    let file = root.join("solutions").join(exercise.path()).join(FILE);
    let text = fs::read_to_string(file).unwrap_or_default();
    toml::from_str(&text).unwrap_or_default()
}

/// The selected exercises by all kinds, for people.
pub fn table(course: &Course, selected: &[bool], lock: &Lock) -> String {
    let mut text = String::from("      ");
    for number in 1..=KINDS.len() {
        let _ = write!(text, " {number:>2}");
    }
    text.push('\n');
    let exercises = course.exercises.iter().zip(selected);
    for (exercise, _) in exercises.filter(|(_, selected)| **selected) {
        let answers = of(&course.root, exercise);
        let _ = write!(text, "  {}", exercise.id());
        for (name, _) in KINDS {
            let _ = write!(text, " {:>2}", answers.get(name).map_or("?", Answer::sign));
        }
        let checks = lock.entry(exercise.phase.name, &exercise.folder);
        let checks = checks.map_or(0, |entry| entry.checks.values().map(Vec::len).sum());
        let _ = writeln!(text, "  {} ({checks} checks)", exercise.name);
    }
    text.push_str("\n✓ checked  r refused before the build  n not checked, and README.md says so  – cannot be  ? not answered\n\n");
    for (number, (name, what)) in KINDS.iter().enumerate() {
        let _ = writeln!(text, "  {:>2}  {name}: {what}", number + 1);
    }
    text.push_str(
        "\nsolutions/…/kinds.toml names the checks; CONTRIBUTING.md explains the kinds.\n",
    );
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const README: &str = "## Checks\nNothing checks that a\nlock is fair.\n";

    fn all() -> String {
        let lines =
            KINDS.map(|(name, _)| format!("{name} = {{ not_applicable = \"no threads\" }}\n"));
        lines.concat()
    }

    fn said(text: &str) -> Vec<String> {
        let checks = ["unit::a", "stress::b::case_1_two"].map(str::to_owned);
        problems(text, &checks.into(), README)
    }

    #[test]
    fn every_kind_has_an_answer_that_is_true() {
        assert_eq!(said(&all()), Vec::<String>::new());
        let with = |answer: &str| {
            let old = "pairs = { not_applicable = \"no threads\" }";
            said(&all().replace(old, &format!("pairs = {{ {answer} }}")))
        };
        for right in [
            "checks = [\"unit::a\", \"stress::b\"]",
            "refused = \"by its name\"",
            "not_checked = \"that a lock is fair\"",
        ] {
            assert_eq!(with(right), Vec::<String>::new(), "{right}");
        }
        for (wrong, words) in [
            ("checks = []", "names no check"),
            ("checks = [\"unit::b\"]", "no such check"),
            ("checks = [\"unit\"]", "no such check"),
            ("refused = \"\"", "gives no reason"),
            (
                "not_checked = \"that a lock is quick\"",
                "does not stand in README.md",
            ),
            ("not_checked = \" \"", "does not stand in README.md"),
            ("not_aplicable = \"x\"", "unknown variant"),
        ] {
            let said = with(wrong);
            assert!(
                said.len() == 1 && said[0].contains(words),
                "{wrong}: {said:?}"
            );
        }
    }

    #[test]
    fn what_is_missing_or_unknown_is_named() {
        let one_less = all().replacen("retries = { not_applicable = \"no threads\" }\n", "", 1);
        assert_eq!(said(&one_less), ["kinds.toml says nothing about retries"]);
        assert_eq!(
            said(""),
            [
                "kinds.toml says nothing about pairs, foreign_panics, foreign_calls_back and 30 more of 33 kinds"
            ]
        );
        let one_more = format!("{}fairness = {{ refused = \"x\" }}\n", all());
        assert_eq!(
            said(&one_more),
            ["kinds.toml: there is no kind called `fairness`"]
        );
    }
}
