//! The crates that an exercise is taken apart into.

use std::collections::BTreeSet;

use super::generated::{self, Generated, Kind};
use super::material::Material;
use super::orderings;
use super::report::ExerciseReport;
use super::scratch::{Origin, Plot};
use super::source::{self, Edit};

/// What a variant is.
#[derive(Debug)]
pub enum Role {
    /// What a learner begins with.
    Stub,
    /// The reference.
    Solution,
    /// Another right solution.
    Alternative,
    /// A wrong solution that an author wrote down.
    Mutant {
        /// The kinds of checks that may reject it.
        declared: Vec<String>,
    },
    /// A wrong solution made from the right one.
    Generated(Generated),
}

/// One crate to be tried.
#[derive(Debug)]
pub struct Variant {
    /// What it is.
    pub role: Role,
    /// What a reader calls it.
    pub name: String,
    /// What cargo calls it.
    pub package: String,
    /// Its src/lib.rs.
    pub source: String,
    /// How that comes out of the solution's.
    pub edits: Vec<Edit>,
}

impl Variant {
    /// Whose other files it has.
    pub fn origin(&self) -> Origin {
        match self.role {
            Role::Stub => Origin::Stub,
            _ => Origin::Solution,
        }
    }

    /// The crate to write.
    pub fn plot(&self) -> Plot {
        Plot {
            name: self.package.clone(),
            origin: self.origin(),
            source: self.source.clone(),
        }
    }

    /// What it is, in a word.
    pub fn role_name(&self) -> &'static str {
        match &self.role {
            Role::Stub => "stub",
            Role::Solution => "solution",
            Role::Alternative => "alternative",
            Role::Mutant { .. } => "mutant",
            Role::Generated(generated) if generated.kind == Kind::Ordering => "ordering",
            Role::Generated(_) => "generated",
        }
    }

    /// What it is, and which one.
    pub fn subject(&self) -> String {
        match self.role {
            Role::Stub | Role::Solution => self.role_name().to_owned(),
            _ => format!("{} {}", self.role_name(), self.name),
        }
    }

    /// Whether the checks are to reject it.
    pub fn is_to_be_rejected(&self) -> bool {
        matches!(self.role, Role::Mutant { .. } | Role::Generated(_))
    }
}

/// All variants of an exercise. What keeps one from being made is reported.
pub fn all(material: &Material, exercise: &str, report: &mut ExerciseReport) -> Vec<Variant> {
    let mut all = vec![
        whole(
            Role::Stub,
            "stub",
            format!("{exercise}_stub"),
            &material.stub,
        ),
        whole(
            Role::Solution,
            "solution",
            format!("{exercise}_reference"),
            &material.solution,
        ),
    ];
    for (name, source) in &material.alternatives {
        let package = format!("{exercise}_alternative_{name}");
        all.push(whole(Role::Alternative, name, package, source));
    }
    add_mutants(&mut all, material, exercise, report);

    let generated = orderings::weakenings(&material.solution).and_then(|mut generated| {
        generated.extend(generated::breakages(&material.solution)?);
        Ok(generated)
    });
    match generated {
        Ok(generated) => add_generated(&mut all, generated, material, exercise),
        Err(error) => {
            let line = error.span().start().line;
            report.find("solution", format!("src/lib.rs, line {line}: {error}"));
        }
    }
    all
}

fn whole(role: Role, name: &str, package: String, source: &str) -> Variant {
    Variant {
        role,
        name: name.to_owned(),
        package,
        source: source.to_owned(),
        edits: Vec::new(),
    }
}

fn add_mutants(
    all: &mut Vec<Variant>,
    material: &Material,
    exercise: &str,
    report: &mut ExerciseReport,
) {
    for mutant in &material.mutants {
        let subject = format!("mutant {}", mutant.name);
        if mutant.why.trim().is_empty() {
            report.find(&subject, "`why` says nothing");
        }
        if mutant.killed_by.names().is_empty() {
            report.find(&subject, "`killed_by` names no kind of checks");
        }
        match mutant.edits(&material.solution) {
            Ok(edits) => all.push(Variant {
                role: Role::Mutant {
                    declared: mutant.killed_by.names().to_vec(),
                },
                name: mutant.name.clone(),
                package: format!("{exercise}_mutant_{}", mutant.name),
                source: source::apply(&material.solution, &edits),
                edits,
            }),
            Err(problem) => {
                report.mutants.total += 1;
                report.find(&subject, problem);
            }
        }
    }
}

fn add_generated(
    all: &mut Vec<Variant>,
    generated: Vec<Generated>,
    material: &Material,
    exercise: &str,
) {
    let mut taken = BTreeSet::new();
    for generated in generated {
        let stem = format!(
            "{exercise}_line{}_{}",
            generated.line,
            words(&generated.what)
        );
        let mut package = stem.clone();
        let mut number = 1;
        while !taken.insert(package.clone()) {
            number += 1;
            package = format!("{stem}_{number}");
        }
        let edits = generated.edits.clone();
        all.push(Variant {
            name: format!("in line {}: {}", generated.line, generated.what),
            package,
            source: source::apply(&material.solution, &edits),
            edits,
            role: Role::Generated(generated),
        });
    }
}

/// Text as part of a package's name.
fn words(text: &str) -> String {
    let text = text
        .replace('<', "less ")
        .replace('>', "greater ")
        .replace('=', "or equal ")
        .to_lowercase();
    let words: Vec<&str> = text
        .split(|character: char| !character.is_ascii_alphanumeric())
        .filter(|word| !word.is_empty())
        .collect();
    words.join("_")
}
