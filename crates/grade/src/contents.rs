//! The table of phases in README.md, made from what the exercises say of themselves.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use crate::course::{Course, PHASES};
use crate::error::{Error, Result};

/// What stands around the table.
const BEGIN: &str = "<!-- Written by `./grade.sh lock --author`. -->\n";
const END: &str = "<!-- Up to here. -->\n";

/// Writes the table where README.md has a place for it; says whether something has changed.
pub fn write(course: &Course) -> Result<bool> {
    let file = course.root.join("README.md");
    let Some((found, wanted)) = versions(course) else {
        return Ok(false);
    };
    if found != wanted {
        fs::write(&file, &wanted).map_err(|error| {
            Error::new(format!("{} cannot be written: {error}", file.display()), "")
        })?;
    }
    Ok(found != wanted)
}

/// Whether the table is as it would be written; also without a place for one.
pub fn is_current(course: &Course) -> bool {
    versions(course).is_none_or(|(found, wanted)| found == wanted)
}

/// README.md as it is and as it should be.
fn versions(course: &Course) -> Option<(String, String)> {
    let text = fs::read_to_string(course.root.join("README.md")).ok()?;
    let found = text.replace("\r\n", "\n");
    let (before, rest) = found.split_once(BEGIN)?;
    let (_, after) = rest.split_once(END)?;
    let wanted = format!("{before}{BEGIN}\n{}\n{END}{after}", table(course));
    Some((found, wanted))
}

fn table(course: &Course) -> String {
    let mut table =
        String::from("| | phase | what you build | katas there are |\n|---|---|---|---|\n");
    for phase in &PHASES {
        let katas: Vec<String> = course
            .exercises
            .iter()
            .filter(|exercise| exercise.phase == phase)
            .map(|exercise| {
                let path = Path::new("exercises")
                    .join(exercise.path())
                    .join("README.md");
                format!(
                    "[{}]({})",
                    exercise.title,
                    path.display().to_string().replace('\\', "/")
                )
            })
            .collect();
        let (written, planned) = (course.written(phase), course.planned(phase));
        let katas = match written {
            0 => format!("none of {planned} yet"),
            _ => format!("{written} of {planned}: {}", katas.join(", ")),
        };
        let _ = writeln!(
            table,
            "| {} | {} | {} | {katas} |",
            phase.number, phase.title, phase.about
        );
    }
    table
}
