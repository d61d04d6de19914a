//! What a solution repeats of its exercise: its manifest under another name, and the programs that run the exercise's own
//! checks and benches on it. `./grade.sh lock --author` writes these files, so nobody has to.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::course::Course;
use crate::error::{Error, Result};

/// Writes what differs, for every exercise that has a solution; the result is what was written, below the course's root.
pub fn write(course: &Course) -> Result<Vec<String>> {
    let mut written = Vec::new();
    for exercise in &course.exercises {
        let path = exercise.path();
        if !course.root.join("solutions").join(&path).is_dir() {
            continue;
        }
        let wanted = wanted(&course.root, &path, &exercise.name)
            .map_err(|error| Error::new(format!("{path} cannot be read: {error}"), ""))?;
        for (file, text) in wanted
            .into_iter()
            .filter(|(file, text)| !is(&course.root.join(file), text))
        {
            put(&course.root.join(&file), &text).map_err(|error| {
                Error::new(format!("{} cannot be written: {error}", file.display()), "")
            })?;
            written.push(file.display().to_string());
        }
    }
    Ok(written)
}

/// Which of these files of one solution are not what [`write`] would make of them.
pub fn differences(root: &Path, path: &str, name: &str) -> io::Result<Vec<PathBuf>> {
    let wanted = wanted(root, path, name)?.into_iter();
    Ok(wanted
        .filter(|(file, text)| !is(&root.join(file), text))
        .map(|(file, _)| file)
        .collect())
}

fn is(file: &Path, text: &str) -> bool {
    fs::read_to_string(file).is_ok_and(|found| found.replace("\r\n", "\n") == text)
}

fn put(file: &Path, text: &str) -> io::Result<()> {
    if let Some(folder) = file.parent() {
        fs::create_dir_all(folder)?;
    }
    fs::write(file, text)
}

/// The files and what is to be in them, for the exercise at `path`, such as `phase1_internals/04_spin_lock`.
fn wanted(root: &Path, path: &str, name: &str) -> io::Result<Vec<(PathBuf, String)>> {
    let exercise = Path::new("exercises").join(path);
    let solution = Path::new("solutions").join(path);
    let text = fs::read_to_string(root.join(&exercise).join("Cargo.toml"))?;
    let begin = format!(
        "extern crate {name}_solution as {name};\n#[path = \"../../../../exercises/{path}/"
    );
    let mut files = vec![
        (
            solution.join("Cargo.toml"),
            manifest(&text.replace("\r\n", "\n"), name),
        ),
        (
            solution.join("tests/checks.rs"),
            format!("{begin}tests/checks/main.rs\"]\nmod checks;\n"),
        ),
    ];
    if root.join(&exercise).join("benches/peers.rs").exists() {
        files.push((
            solution.join("benches/peers.rs"),
            format!(
                "{begin}benches/peers.rs\"]\nmod peers;\n\nfn main() {{\n    peers::main();\n}}\n"
            ),
        ));
    }
    Ok(files)
}

/// The exercise's manifest with the solution's name, and without what only an exercise has.
fn manifest(exercise: &str, name: &str) -> String {
    let own = format!("name = \"{name}\"");
    let mut text = String::new();
    let (mut is_metadata, mut is_named) = (false, false);
    for line in exercise.lines() {
        if line.starts_with('[') {
            is_metadata = line.trim_end() == "[package.metadata.kata]";
        }
        if is_metadata {
            continue;
        }
        if line.trim_end() == own && !is_named {
            is_named = true;
            text.push_str(&format!("name = \"{name}_solution\"\n"));
        } else {
            text.push_str(line);
            text.push('\n');
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manifest_keeps_all_but_name_and_metadata() {
        let exercise = "[package]\nname = \"ring\"\nversion = \"1\"\n\n[package.metadata.kata]\ntitle = \"A\"\nneeds = []\n\n\
                        [features]\nloom = [\"kata/loom\"]\n\n[[bench]]\nname = \"peers\"\n";
        assert_eq!(
            manifest(exercise, "ring"),
            "[package]\nname = \"ring_solution\"\nversion = \"1\"\n\n[features]\nloom = [\"kata/loom\"]\n\n[[bench]]\nname = \"peers\"\n"
        );
    }

    #[test]
    fn the_solutions_of_this_course_are_as_they_would_be_written() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let course = Course::read(&root, &crate::lock::Lock::default()).unwrap();
        assert!(!course.exercises.is_empty());
        for exercise in &course.exercises {
            let differing = differences(&root, &exercise.path(), &exercise.name).unwrap();
            assert!(differing.is_empty(), "{differing:?}");
        }
    }
}
