//! What a command of the learner's has to say once it is done.

/// What to print, and how to end.
#[derive(Debug, Default)]
pub struct Answer {
    /// For standard output.
    pub text: String,
    /// For standard error: what did not work and did not matter.
    pub note: Option<String>,
    /// The exit code.
    pub code: u8,
}

impl Answer {
    /// Everything is well.
    pub fn new(text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            ..Self::default()
        }
    }
}
