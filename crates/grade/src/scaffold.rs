//! A new exercise: all of its files, as small as they can be and work, with what an author has to write marked as missing.
//!
//! What is laid out is an exercise in miniature, a flag that two threads share. The stub fails and the solution passes, so
//! the audit has nothing to say but what is missing: that is the list of what to do.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use crate::course::{Course, PHASES, Phase, World};
use crate::error::{Error, Result};

/// What is to be laid out.
pub struct Wanted<'a> {
    /// The word for the phase: `phase1`, `1` or `phase1_internals`.
    pub phase: &'a str,
    /// `spin_lock`.
    pub name: &'a str,
    /// Its number in the phase; without one, the first that follows all others.
    pub number: Option<u8>,
    /// The worlds that it has checks in.
    pub worlds: &'a [World],
}

/// Writes the files, and returns them, below the course's root.
pub fn lay_out(course: &Course, wanted: &Wanted<'_>) -> Result<Vec<PathBuf>> {
    let place = Place::find(course, wanted)?;
    let files = place.files(wanted.worlds);
    for folder in ["exercises", "solutions"] {
        let folder = course.root.join(folder).join(&place.path);
        if folder.exists() {
            let what = format!("{} is there already.", folder.display());
            return Err(Error::new(
                what,
                "Nothing was written. Remove it, or name another number.",
            ));
        }
    }
    let mut written = Vec::new();
    for (path, text) in files {
        write_new(&course.root.join(&path), &text).map_err(|error| {
            let what = format!("{} cannot be written: {error}", path.display());
            let advice = match written.last() {
                None => String::new(),
                Some(_) => format!("These were written before: {written:?}"),
            };
            Error::new(what, advice)
        })?;
        written.push(path);
    }
    Ok(written)
}

fn write_new(path: &Path, text: &str) -> std::io::Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    let mut file = fs::File::options()
        .write(true)
        .create_new(true)
        .open(path)?;
    file.write_all(text.as_bytes())
}

/// Where a new exercise goes, and what it is called there.
struct Place {
    id: String,
    name: String,
    /// The name of its type.
    type_name: String,
    /// `phase1_internals/04_spin_lock`.
    path: String,
}

impl Place {
    fn find(course: &Course, wanted: &Wanted<'_>) -> Result<Self> {
        let phase = Phase::named(wanted.phase).ok_or_else(|| {
            let names: Vec<&str> = PHASES.iter().map(|phase| phase.name).collect();
            let what = format!("There is no phase `{}`.", wanted.phase);
            Error::new(what, format!("The phases are {}.", names.join(", ")))
        })?;
        let name = wanted.name;
        let is_name = name.starts_with(|first: char| first.is_ascii_lowercase())
            && name
                .bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
            && syn::parse_str::<syn::Ident>(name).is_ok();
        if !is_name {
            return Err(Error::new(
                format!("`{name}` is no name for an exercise."),
                "It becomes the name of a crate: lower-case letters, digits and `_`, such as spin_lock.",
            ));
        }
        if let Some(other) = course.exercises.iter().find(|other| other.name == name) {
            return Err(Error::new(
                format!("{} {name} has that name already.", other.id()),
                "Choose another: learners name exercises by it.",
            ));
        }
        if ["grade", "kata"].contains(&name) || course.root.join("crates").join(name).exists() {
            let what = format!("`{name}` is the name of one of the course's own crates.");
            return Err(Error::new(what, "Choose another."));
        }
        let taken = |number: u8| {
            let mut of_phase = course.exercises.iter().filter(|other| other.phase == phase);
            of_phase.find(|other| other.number == number)
        };
        let last = course.exercises.iter().filter(|other| other.phase == phase);
        let next = last
            .map(|other| other.number)
            .max()
            .map_or(1, |last| last.saturating_add(1));
        let number = wanted.number.unwrap_or(next);
        if let Some(other) = taken(number) {
            return Err(Error::new(
                format!("{} is {} already.", other.id(), other.name),
                "Name another number with --number.",
            ));
        }
        if !(1..=99).contains(&number) {
            return Err(Error::new("A number has two digits, from 1 to 99.", ""));
        }
        Ok(Self {
            id: format!("{}.{number:02}", phase.number),
            type_name: camel_case(name),
            path: format!("{}/{number:02}_{name}", phase.name),
            name: name.to_owned(),
        })
    }

    fn files(&self, worlds: &[World]) -> Vec<(PathBuf, String)> {
        let has = |world| worlds.contains(&world);
        let (loom, shuttle) = (has(World::Loom), has(World::Shuttle));
        let exercise = format!("exercises/{}", self.path);
        let solution = format!("solutions/{}", self.path);
        let mut files = vec![
            (
                format!("{exercise}/Cargo.toml"),
                self.manifest(loom, shuttle),
            ),
            (
                format!("{exercise}/README.md"),
                self.fill(include_str!("scaffold/README.md")),
            ),
            (
                format!("{exercise}/src/lib.rs"),
                self.fill(include_str!("scaffold/stub.rs")),
            ),
            (
                format!("{exercise}/tests/checks/main.rs"),
                self.ladder(loom, shuttle),
            ),
            (
                format!("{exercise}/tests/checks/unit.rs"),
                self.fill(include_str!("scaffold/unit.rs")),
            ),
        ];
        if loom {
            let text = self.fill(include_str!("scaffold/loom.rs"));
            files.push((format!("{exercise}/tests/checks/loom.rs"), text));
        }
        if shuttle {
            let text = self.fill(include_str!("scaffold/shuttle.rs"));
            files.push((format!("{exercise}/tests/checks/shuttle.rs"), text));
        }
        let mutants = if loom {
            include_str!("scaffold/mutants.toml")
        } else {
            include_str!("scaffold/mutants_without_models.toml")
        };
        files.extend([
            (
                format!("hints/{}.md", self.path),
                self.fill(include_str!("scaffold/hints.md")),
            ),
            (
                format!("{solution}/src/lib.rs"),
                self.fill(include_str!("scaffold/solution.rs")),
            ),
            (format!("{solution}/mutants.toml"), self.fill(mutants)),
            (
                format!("{solution}/kinds.toml"),
                include_str!("scaffold/kinds.toml").to_owned(),
            ),
            (
                format!("{solution}/alternatives/README.md"),
                include_str!("scaffold/alternatives.md").to_owned(),
            ),
        ]);
        files
            .into_iter()
            .map(|(path, text)| (path.into(), text))
            .collect()
    }

    fn fill(&self, template: &str) -> String {
        let filled = template
            .replace("TYPE", &self.type_name)
            .replace("NAME", &self.name)
            .replace("NUMBER", &self.id);
        // Where the crate's own name belongs among the others depends on it.
        let mut lines: Vec<&str> = filled.lines().collect();
        for imports in
            lines.chunk_by_mut(|one, other| one.starts_with("use ") == other.starts_with("use "))
        {
            if imports[0].starts_with("use ") {
                imports.sort_unstable();
            }
        }
        lines.join("\n") + "\n"
    }

    fn manifest(&self, loom: bool, shuttle: bool) -> String {
        let mut features = String::new();
        if loom || shuttle {
            features.push_str("[features]\n");
        }
        for (world, has) in [("loom", loom), ("shuttle", shuttle)] {
            if has {
                features.push_str(&format!("{world} = [\"kata/{world}\"]\n"));
            }
        }
        if !features.is_empty() {
            features.push('\n');
        }
        self.fill(include_str!("scaffold/manifest.toml"))
            .replace("FEATURES\n", &features)
    }

    /// The file that says which checks belong to which world.
    fn ladder(&self, loom: bool, shuttle: bool) -> String {
        let mut text = format!(
            "//! The checks of `{}`, a file a kind. The world decides which of them are built.\n\n",
            self.name
        );
        text.push_str(match (loom, shuttle) {
            (true, true) => "#[cfg(not(any(feature = \"loom\", feature = \"shuttle\")))]\n",
            (true, false) => "#[cfg(not(feature = \"loom\"))]\n",
            (false, true) => "#[cfg(not(feature = \"shuttle\"))]\n",
            (false, false) => "",
        });
        text.push_str("mod unit;\n");
        if loom {
            text.push_str("\n#[cfg(feature = \"loom\")]\nmod loom;\n");
        }
        if shuttle {
            text.push_str(if loom {
                "\n#[cfg(all(feature = \"shuttle\", not(feature = \"loom\")))]\nmod shuttle;\n"
            } else {
                "\n#[cfg(feature = \"shuttle\")]\nmod shuttle;\n"
            });
        }
        text
    }
}

/// `spin_lock` as the name of a type.
fn camel_case(name: &str) -> String {
    let words = name.split('_').map(|word| {
        let mut letters = word.chars();
        let first = letters.next().map(|first| first.to_ascii_uppercase());
        first.into_iter().chain(letters).collect::<String>()
    });
    words.collect()
}
