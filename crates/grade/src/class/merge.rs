//! The results of several machines as one.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use super::outcome::{Out, Record, Results, Row, SCHEMA};
use crate::error::{Error, Result};

/// Puts the results in `parts` together in `out`. `tell` hears of parts that are missing.
pub fn merge(parts: &[PathBuf], out: &Path, tell: &dyn Fn(&str)) -> Result<Results> {
    let mut sums: Vec<(&Path, Results)> = Vec::new();
    for part in parts {
        let sum = read(part)?;
        if let Some((first, other)) = sums.first()
            && let Some(what) = difference(other, &sum)
        {
            return Err(Error::new(
                format!(
                    "{} and {} differ in {what}.",
                    first.display(),
                    part.display()
                ),
                "Parts of one class are graded by the same course, in the same way.",
            ));
        }
        sums.push((part, sum));
    }
    let Some((_, first)) = sums.first() else {
        return Err(Error::new(
            "There is nothing to merge.",
            "Name the folders of the parts.",
        ));
    };
    let mut merged = Results {
        schema: SCHEMA.to_owned(),
        course: first.course.clone(),
        sandbox: first.sandbox.clone(),
        shard: None,
        exercises: first.exercises.clone(),
        submissions: Vec::new(),
    };
    for missing in missing(&sums) {
        tell(&format!("Shard {missing} is not among the parts."));
    }

    let mut records: BTreeMap<String, (&Path, Record)> = BTreeMap::new();
    for (part, sum) in &sums {
        for row in &sum.submissions {
            let record = Record::read(part, &row.id).ok_or_else(|| {
                Error::new(
                    format!(
                        "{}/submissions/{}.json is missing or damaged.",
                        part.display(),
                        row.id
                    ),
                    "Grade that part again; what it knows already is kept.",
                )
            })?;
            if let Some((other, known)) = records.get(&row.id) {
                if known.key == record.key {
                    continue;
                }
                return Err(Error::new(
                    format!(
                        "{} and {} hold different submissions of {}.",
                        other.display(),
                        part.display(),
                        row.name
                    ),
                    "Leave one of them out.",
                ));
            }
            records.insert(row.id.clone(), (part, record));
        }
    }
    let out = Out::take(out)?;
    for (_, record) in records.into_values() {
        out.store(&record, &merged.exercises)?;
        merged.submissions.push(Row::of(&record, &merged.exercises));
    }
    out.sum_up(&merged)?;
    Ok(merged)
}

fn read(part: &Path) -> Result<Results> {
    let file = part.join("results.json");
    let trouble = |what: String| {
        Error::new(
            format!("{}: {what}", file.display()),
            "A run writes it when it is through. Call it again with the same --out, and it goes on where it stopped.",
        )
    };
    let text = fs::read(&file).map_err(|error| trouble(error.to_string()))?;
    let sum: Results = serde_json::from_slice(&text).map_err(|error| trouble(error.to_string()))?;
    if sum.schema == SCHEMA {
        Ok(sum)
    } else {
        Err(trouble(format!("it is {}, not {SCHEMA}", sum.schema)))
    }
}

fn difference(left: &Results, right: &Results) -> Option<&'static str> {
    if left.course != right.course || left.exercises != right.exercises {
        Some("the course that they were graded by")
    } else if left.sandbox != right.sandbox {
        Some("the sandbox")
    } else {
        None
    }
}

/// The shards of which others of the same number are there.
fn missing(sums: &[(&Path, Results)]) -> Vec<String> {
    let there: Vec<&str> = sums
        .iter()
        .filter_map(|(_, sum)| sum.shard.as_deref())
        .collect();
    let mut missing = Vec::new();
    let mut totals: Vec<u32> = there
        .iter()
        .filter_map(|shard| shard.split_once('/')?.1.parse().ok())
        .collect();
    totals.sort_unstable();
    totals.dedup();
    for total in totals {
        for part in 1..=total {
            let name = format!("{part}/{total}");
            if !there.contains(&name.as_str()) {
                missing.push(name);
            }
        }
    }
    missing
}
