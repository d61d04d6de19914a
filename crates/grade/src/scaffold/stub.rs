//! What this is, in a sentence. The task is in `README.md`.
#![allow(dead_code, unused_variables)] // Delete this line when you start: from then on the compiler helps you.

use kata::sync::atomic::AtomicBool;

/// Tells other threads that something is done.
pub struct TYPE {
    /// Whether it is done.
    done: AtomicBool,
}

impl TYPE {
    /// Nothing is done yet.
    pub fn new() -> Self {
        todo!()
    }

    /// Tells whoever asks from now on that it is done, and shows them what the caller did before.
    pub fn finish(&self) {
        todo!()
    }

    /// Whether it is done.
    pub fn is_finished(&self) -> bool {
        todo!()
    }
}

impl Default for TYPE {
    fn default() -> Self {
        Self::new()
    }
}
