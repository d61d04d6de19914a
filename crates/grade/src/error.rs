//! Why the grader itself could not work. What is wrong with a learner's code is never an `Error`.

use std::fmt;

/// The grader could not do its work.
#[derive(Debug)]
pub enum Error {
    /// Ctrl-C or another signal.
    Interrupted,
    /// Cargo did not even begin.
    Unloadable {
        /// What it said instead.
        noise: String,
        /// What the reader can do about it.
        advice: String,
    },
    /// Anything else.
    Trouble {
        /// What happened.
        what: String,
        /// What the reader can do about it.
        advice: String,
    },
}

/// A result whose error stops the grader.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// An error with something to do about it.
    pub fn new(what: impl Into<String>, advice: impl Into<String>) -> Self {
        Self::Trouble {
            what: what.into(),
            advice: advice.into(),
        }
    }

    /// The exit code that tells a script which of the two it was.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Interrupted => 130,
            Self::Unloadable { .. } | Self::Trouble { .. } => 2,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Interrupted => write!(out, "interrupted"),
            Self::Unloadable { noise, advice } => {
                write!(out, "cargo could not load the course:\n{noise}\n{advice}")
            }
            Self::Trouble { what, advice } => {
                write!(out, "{what}")?;
                if !advice.is_empty() {
                    write!(out, "\n{advice}")?;
                }
                Ok(())
            }
        }
    }
}

impl std::error::Error for Error {}
