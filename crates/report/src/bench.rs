//! How long learner code takes beside what a user would pick instead.

use serde::{Deserialize, Deserializer, Serialize};

use crate::Word;
use crate::failure::one_of;

/// What stands in `schema`.
pub const SCHEMA: &str = "kata/bench/v1";

/// What was measured of one program.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// [`SCHEMA`].
    #[serde(deserialize_with = "schema")]
    pub schema: Word,
    /// How much more two threads get done than one that have nothing to do with each other: twice as much on an idle
    /// machine. With 1 they take turns, and what was measured of two threads says how it is when they do.
    pub speedup: f64,
    /// In the program's order.
    pub scenarios: Vec<Scenario>,
}

fn schema<'de, D: Deserializer<'de>>(source: D) -> Result<&'static str, D::Error> {
    one_of(source, &[SCHEMA])
}

/// One comparison.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Scenario {
    /// What was done.
    pub name: String,
    /// How often.
    pub rounds: usize,
    /// By the code that is measured.
    pub ours: Ours,
    /// By what a user would pick instead.
    pub peers: Vec<Peer>,
}

/// The code that is measured.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Ours {
    /// Which of its types.
    pub name: String,
    /// Of an operation.
    pub nanoseconds: Spread,
}

/// What it is measured against.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Peer {
    /// `std::sync::Mutex`.
    pub name: String,
    /// Of an operation.
    pub nanoseconds: Spread,
    /// Ours divided by the peer's, round by round.
    pub ratio: Spread,
    /// Whether ours is no slower.
    pub star: bool,
}

/// The median and the quartiles around it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Spread {
    /// A quarter of the rounds lies below.
    pub lower: f64,
    /// Half of them.
    pub median: f64,
    /// Three quarters.
    pub upper: f64,
}

impl Spread {
    /// Of `values`, in whatever order.
    ///
    /// # Panics
    ///
    /// If there are none.
    pub fn of(mut values: Vec<f64>) -> Self {
        values.sort_unstable_by(f64::total_cmp);
        // Between the two nearest values, in proportion.
        let at = |share: f64| {
            let place = share * (values.len() - 1) as f64;
            let (below, above) = (values[place as usize], values[place.ceil() as usize]);
            below + (above - below) * place.fract()
        };
        Self {
            lower: at(0.25),
            median: at(0.5),
            upper: at(0.75),
        }
    }
}
