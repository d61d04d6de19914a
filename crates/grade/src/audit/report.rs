//! What an audit found, as data: `--json`, and what the table is made from.

use kata_report::Remedy;
use serde::Serialize;

use super::choice::Why;
use super::lock::Kills;

/// What stands in `schema`.
pub const SCHEMA: &str = "kata/audit/v1";

/// The whole outcome.
#[derive(Debug, Serialize)]
pub struct Report {
    /// [`SCHEMA`].
    pub schema: &'static str,
    /// Whether nothing is wrong with what was audited.
    pub green: bool,
    /// What was audited, in the order of the course.
    pub exercises: Vec<ExerciseReport>,
    /// What was not, because `solutions/audit.lock` vouches for it.
    pub vouched: Vec<Vouched>,
    /// The commit that drew the sample, if there was one to draw.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub commit: Option<String>,
    /// Which part this is, `1/4`, if it is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shard: Option<String>,
    /// What `--lock` did, if it was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub locked: Option<Locked>,
}

/// An exercise that was not audited.
#[derive(Debug, Serialize)]
pub struct Vouched {
    /// `1.04`.
    pub id: String,
    /// `spin_lock`.
    pub name: String,
    /// `phase1_internals/04_spin_lock`.
    pub path: String,
}

/// What `solutions/audit.lock` was told.
#[derive(Debug, Default, Serialize)]
pub struct Locked {
    /// The paths of the exercises that it vouches for from now on.
    pub written: Vec<String>,
    /// Why it does not for others that were audited.
    pub left_out: Vec<String>,
}

impl Report {
    /// Sums up.
    pub fn new(exercises: Vec<ExerciseReport>) -> Self {
        Self {
            schema: SCHEMA,
            green: exercises.iter().all(ExerciseReport::is_green),
            exercises,
            vouched: Vec::new(),
            commit: None,
            shard: None,
            locked: None,
        }
    }

    /// What the pictures of loom checks advise.
    pub fn advice(&self) -> Advice {
        let variants = self.exercises.iter().flat_map(|one| &one.variants);
        let mut advice = Advice::default();
        for remedies in variants.filter_map(|variant| variant.remedies.as_ref()) {
            advice.pictures += 1;
            advice.with_a_remedy += usize::from(!remedies.is_empty());
            advice.remedies += remedies.len();
            advice.judged += remedies
                .iter()
                .filter(|remedy| remedy.helps.is_some())
                .count();
        }
        advice
    }

    /// 0 if nothing is wrong, 1 otherwise.
    pub fn exit_code(&self) -> u8 {
        u8::from(!self.green)
    }
}

/// One exercise.
#[derive(Debug, Default, Serialize)]
pub struct ExerciseReport {
    /// `1.04`.
    pub id: String,
    /// `spin_lock`.
    pub name: String,
    /// `phase1_internals/04_spin_lock`.
    pub path: String,
    /// Why it was audited.
    pub why: Why,
    /// Whether every test of the stub fails as it should, and its API is the solution's; nothing if it was not looked at.
    pub stub: Option<bool>,
    /// Whether the solution passes everything; nothing if it was not looked at.
    pub solution: Option<bool>,
    /// How many of the other right solutions are accepted.
    pub alternatives: Tally,
    /// How many of the author's wrong solutions are rejected as declared.
    pub mutants: Tally,
    /// How many weaker orderings are rejected.
    pub orderings: Tally,
    /// How many other generated variants are rejected.
    pub generated: Tally,
    /// How long it took.
    pub seconds: f64,
    /// Checks of which a part could not be run here, and why.
    pub skipped: Vec<String>,
    /// What is wrong.
    pub findings: Vec<Finding>,
    /// Every variant, with what became of it.
    pub variants: Vec<VariantReport>,
}

impl ExerciseReport {
    /// Whether nothing is wrong.
    pub fn is_green(&self) -> bool {
        self.findings.is_empty()
    }

    /// How many wrong solutions each check rejected before any other did.
    pub fn kills(&self) -> Kills {
        let mut kills = Kills::new();
        for variant in &self.variants {
            if let Some(test) = variant.by.as_ref().filter(|_| variant.is_kill()) {
                *kills.entry(test.clone()).or_default() += 1;
            }
        }
        kills
    }

    /// Finds remedies with which the failure happens all the same.
    pub fn check_remedies(&mut self) {
        let mut wrong = Vec::new();
        for variant in &self.variants {
            for remedy in variant.remedies.iter().flatten() {
                if remedy.helps == Some(false) {
                    let subject = format!("{} {}", variant.role, variant.name);
                    wrong.push((subject, remedy.text.clone()));
                }
            }
        }
        for (subject, text) in wrong {
            self.find(
                &subject,
                format!("is explained by `{text}`, with which it fails all the same"),
            );
        }
    }

    /// Adds something that is wrong.
    pub fn find(&mut self, subject: &str, problem: impl Into<String>) {
        self.findings.push(Finding {
            subject: subject.to_owned(),
            problem: problem.into(),
            ..Finding::default()
        });
    }
}

/// What the pictures of loom checks advise, in numbers.
#[derive(Debug, Default, Clone, Copy)]
pub struct Advice {
    /// Wrong solutions that a loom check rejected with a picture.
    pub pictures: usize,
    /// Those whose picture says which ordering or fence would have helped.
    pub with_a_remedy: usize,
    /// How many such things they say.
    pub remedies: usize,
    /// How many of these were short enough to be judged a second time.
    pub judged: usize,
}

/// So many of so many.
#[derive(Debug, Default, Clone, Copy, Serialize)]
pub struct Tally {
    /// As it should be.
    pub good: usize,
    /// Right although generated to be wrong, as the author says with a reason.
    pub equivalent: usize,
    /// In all.
    pub total: usize,
}

/// Something that is wrong.
#[derive(Debug, Default, Serialize)]
pub struct Finding {
    /// What it is about: `stub`, `mutant relaxed_unlock`.
    pub subject: String,
    /// What is wrong with it.
    pub problem: String,
    /// How the variant differs from the solution.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub diff: Option<String>,
    /// What an author may write into mutants.toml if the variant is right.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub answer: Option<String>,
    /// How to try it by hand.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub command: Option<String>,
}

/// What became of a variant.
#[derive(Debug, Serialize)]
pub struct VariantReport {
    /// `stub`, `solution`, `alternative`, `mutant`, `ordering`, `generated`.
    pub role: &'static str,
    /// Its name, or what it changes where.
    pub name: String,
    /// `accepted`, `rejected`, `survived`, `equivalent`, `does not compile`.
    pub outcome: &'static str,
    /// The test that rejected it, or `build`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// Whether that test had to be stopped.
    pub hanging: bool,
    /// What the picture of that test advises, if it is one of loom.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remedies: Option<Vec<Remedy>>,
}

impl VariantReport {
    /// Whether it is a wrong solution that a check rejected.
    fn is_kill(&self) -> bool {
        let is_wrong = matches!(self.role, "mutant" | "ordering" | "generated");
        is_wrong && self.outcome == "rejected"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn remedy(helps: Option<bool>) -> Remedy {
        Remedy {
            text: "Release in step 4".to_owned(),
            helps,
        }
    }

    #[test]
    fn a_remedy_that_does_not_help_is_found() {
        let variant = |name: &str, remedies| VariantReport {
            role: "mutant",
            name: name.to_owned(),
            outcome: "rejected",
            by: Some("loom::publication".to_owned()),
            hanging: false,
            remedies,
        };
        let mut exercise = ExerciseReport {
            variants: vec![
                variant("by_stress", None),
                variant("deadlock", Some(vec![])),
                variant("relaxed", Some(vec![remedy(Some(true)), remedy(None)])),
            ],
            ..ExerciseReport::default()
        };
        exercise.check_remedies();
        assert!(exercise.is_green());
        let misled = variant("misled", Some(vec![remedy(Some(false))]));
        exercise.variants.push(misled);
        exercise.check_remedies();
        let found = &exercise.findings[0];
        assert_eq!(exercise.findings.len(), 1);
        assert_eq!(found.subject, "mutant misled");
        assert!(found.problem.contains("Release in step 4"), "{found:?}");
        let advice = Report::new(vec![exercise]).advice();
        assert_eq!((advice.pictures, advice.with_a_remedy), (3, 2));
        assert_eq!((advice.remedies, advice.judged), (3, 2));
    }
}
