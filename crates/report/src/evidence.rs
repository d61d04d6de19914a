//! A model that ended without a failure, and what it has seen.

use serde::{Deserialize, Deserializer, Serialize};

use crate::Word;
use crate::failure::one_of;

/// Why a model is to be believed: it ran to its end, and the code it is about took part.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Evidence {
    /// [`Evidence::SCHEMA`].
    #[serde(deserialize_with = "schema")]
    pub schema: Word,
    /// The name of the test, without its modules.
    pub test: String,
    /// How many executions were explored.
    pub executions: usize,
    /// Whether these are all that there are.
    #[serde(default)]
    pub complete: bool,
    /// How many operations in them stand in code that is neither a check's nor `kata`'s own.
    pub operations: usize,
}

impl Evidence {
    /// What stands in `schema`.
    pub const SCHEMA: &'static str = "kata/evidence/v1";
}

fn schema<'de, D: Deserializer<'de>>(source: D) -> Result<&'static str, D::Error> {
    one_of(source, &[Evidence::SCHEMA])
}
