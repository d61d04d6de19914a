//! What this is, in a sentence.

use kata::sync::atomic::AtomicBool;
use kata::sync::atomic::Ordering::{Acquire, Release};

/// Tells other threads that something is done.
pub struct TYPE {
    /// Whether it is done.
    done: AtomicBool,
}

impl TYPE {
    /// Nothing is done yet.
    pub fn new() -> Self {
        Self {
            done: AtomicBool::new(false),
        }
    }

    /// Tells whoever asks from now on that it is done, and shows them what the caller did before.
    pub fn finish(&self) {
        // Release: pairs with the Acquire in `is_finished`.
        self.done.store(true, Release);
    }

    /// Whether it is done.
    pub fn is_finished(&self) -> bool {
        // Acquire: pairs with the Release in `finish`.
        self.done.load(Acquire)
    }
}

impl Default for TYPE {
    fn default() -> Self {
        Self::new()
    }
}
