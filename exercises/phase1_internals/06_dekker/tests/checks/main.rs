//! The checks of `dekker`, a file a kind. The world decides which of them are built.

#[cfg(not(any(feature = "loom", feature = "shuttle")))]
mod compile;
#[cfg(not(any(feature = "loom", feature = "shuttle")))]
mod stress;

#[cfg(feature = "loom")]
mod loom;

#[cfg(all(feature = "shuttle", not(feature = "loom")))]
mod bench;
#[cfg(all(feature = "shuttle", not(feature = "loom")))]
mod shuttle;

use dekker::{BiasedLock, Peterson, Role, Side};

/// What the checks want of a lock: threads have numbers.
trait Lock: Send + Sync + 'static {
    fn new() -> Self;
    fn lock(&self, thread: usize);
    fn unlock(&self, thread: usize);
}

impl Lock for Peterson {
    fn new() -> Self {
        Self::new()
    }

    fn lock(&self, thread: usize) {
        self.lock([Side::Left, Side::Right][thread]);
    }

    fn unlock(&self, thread: usize) {
        self.unlock([Side::Left, Side::Right][thread]);
    }
}

/// Thread 0 is the owner, and all others are guests.
impl Lock for BiasedLock {
    fn new() -> Self {
        Self::new()
    }

    fn lock(&self, thread: usize) {
        self.lock(role(thread));
    }

    fn unlock(&self, thread: usize) {
        self.unlock(role(thread));
    }
}

fn role(thread: usize) -> Role {
    if thread == 0 {
        Role::Owner
    } else {
        Role::Guest
    }
}
