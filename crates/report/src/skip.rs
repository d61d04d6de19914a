//! A part of a check that this machine cannot make.

use std::borrow::Cow;

use serde::{Deserialize, Deserializer, Serialize};

use crate::Word;
use crate::failure::one_of;

/// Why a part of a check was left out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Skip<'a> {
    /// [`Skip::SCHEMA`].
    #[serde(deserialize_with = "schema")]
    schema: Word,
    /// What is missing and how to get it.
    #[serde(borrow)]
    pub reason: Cow<'a, str>,
}

impl<'a> Skip<'a> {
    /// What stands in `schema`.
    pub const SCHEMA: &'static str = "kata/skip/v1";

    /// Left out because of `reason`.
    pub fn new(reason: impl Into<Cow<'a, str>>) -> Self {
        Self {
            schema: Self::SCHEMA,
            reason: reason.into(),
        }
    }
}

fn schema<'de, D: Deserializer<'de>>(source: D) -> Result<&'static str, D::Error> {
    one_of(source, &[Skip::SCHEMA])
}
