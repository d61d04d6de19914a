//! What was measured, as data: `--json`, and what the table is made from.

use kata_report::bench::Scenario;
use serde::Serialize;

use crate::course::Target;

/// What stands in `schema`.
pub const SCHEMA: &str = "kata/bench-result/v1";

/// The whole outcome.
#[derive(Debug, Serialize)]
pub struct Report {
    /// [`SCHEMA`].
    pub schema: &'static str,
    /// Whose code.
    pub target: Target,
    /// The selected ones, in the order of the course.
    pub exercises: Vec<ExerciseReport>,
}

impl Report {
    /// Sums up.
    pub fn new(target: Target, exercises: Vec<ExerciseReport>) -> Self {
        Self {
            schema: SCHEMA,
            target,
            exercises,
        }
    }

    /// 1 if something that could have been measured was not, 0 otherwise.
    pub fn exit_code(&self) -> u8 {
        let is_trouble = |exercise: &ExerciseReport| exercise.state.is_trouble();
        u8::from(self.exercises.iter().any(is_trouble))
    }
}

/// What became of an exercise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// There are figures.
    Measured,
    /// The source is still the stub.
    NotStarted,
    /// Nobody would pick anything else instead.
    NoPeer,
    /// The compiler rejects it.
    WontCompile,
    /// It panicked, died or said nothing.
    Failed,
    /// The hang guard stopped it.
    Hanging,
}

impl State {
    /// In words.
    pub fn words(self) -> &'static str {
        match self {
            Self::Measured => "measured",
            Self::NotStarted => "not started",
            Self::NoPeer => "no peer to measure it against",
            Self::WontCompile => "won't compile",
            Self::Failed => "failed",
            Self::Hanging => "hanging",
        }
    }

    /// Whether there should have been figures.
    pub fn is_trouble(self) -> bool {
        matches!(self, Self::WontCompile | Self::Failed | Self::Hanging)
    }
}

/// One exercise.
#[derive(Debug, Serialize)]
pub struct ExerciseReport {
    /// `1.04`.
    pub id: String,
    /// `spin_lock`.
    pub name: String,
    /// What became of it.
    pub state: State,
    /// Why there are no figures, where that is somebody's fault.
    pub message: Option<String>,
    /// The figures.
    #[serde(flatten)]
    pub measured: Option<Measured>,
}

/// What `kata` says about one program.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Measured {
    /// How much more two threads got done than one.
    pub speedup: f64,
    /// In the program's order.
    pub scenarios: Vec<Scenario>,
}
