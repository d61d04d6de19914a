//! Two locks that need no read-modify-write: each side says what it wants, and looks what the other one wants. The task is
//! in `README.md`.
#![allow(dead_code, unused_variables)] // Delete this line when you start: from then on the compiler helps you.

/// One of the two who share a [`Peterson`] lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    Left,
    Right,
}

/// A lock for two, made of loads and stores. (Step 1.)
///
/// Each side belongs to one thread at a time: nobody calls `lock` for a side that somebody else has locked or is waiting
/// for. Both of that is the caller's to see to; nothing checks it.
///
/// # Examples
///
/// ```no_run
/// use dekker::{Peterson, Side};
///
/// let lock = Peterson::new();
/// std::thread::scope(|scope| {
///     for side in [Side::Left, Side::Right] {
///         let lock = &lock;
///         scope.spawn(move || {
///             lock.lock(side);
///             println!("{side:?} is alone in here");
///             lock.unlock(side);
///         });
///     }
/// });
/// ```
pub struct Peterson {
    // Yours to fill in, with atomics of `kata`.
}

impl Peterson {
    /// A free lock.
    pub fn new() -> Self {
        todo!()
    }

    /// Takes the lock for `side`, waiting for as long as the other side holds it.
    ///
    /// A side that the other one does not compete with never waits, however often it comes.
    pub fn lock(&self, side: Side) {
        todo!()
    }

    /// Gives back the lock that `side` has taken. Everything done since then comes before whatever the next owner does.
    pub fn unlock(&self, side: Side) {
        todo!()
    }
}

impl Default for Peterson {
    /// A free lock.
    fn default() -> Self {
        Self::new()
    }
}

/// As whom a thread asks for a [`BiasedLock`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// The one thread for which the lock is made. It comes all the time.
    Owner,
    /// Any other thread. There may be many of them, and they come seldom.
    Guest,
}

/// A lock that is cheap for one thread and dear for all others. (Step 2.)
///
/// While no guest comes, the owner takes it and gives it back without a read-modify-write, in a few loads and stores of two
/// locations that nobody else writes meanwhile.
///
/// The role of the owner belongs to one thread at a time, which the caller sees to; nothing checks it. Guests may be any
/// number of threads.
///
/// # Examples
///
/// ```no_run
/// use dekker::{BiasedLock, Role};
///
/// let lock = BiasedLock::new();
/// std::thread::scope(|scope| {
///     scope.spawn(|| {
///         for _request in 0..1_000_000 {
///             lock.lock(Role::Owner);
///             // count it
///             lock.unlock(Role::Owner);
///         }
///     });
///     // Once in a while somebody wants to see the numbers.
///     lock.lock(Role::Guest);
///     lock.unlock(Role::Guest);
/// });
/// ```
pub struct BiasedLock {
    // Yours to fill in, with atomics of `kata`.
}

impl BiasedLock {
    /// A free lock.
    pub fn new() -> Self {
        todo!()
    }

    /// Takes the lock, waiting for as long as somebody else holds it.
    pub fn lock(&self, role: Role) {
        todo!()
    }

    /// Gives back the lock, taken in the same role. Everything done since then comes before whatever the next one who takes
    /// it does.
    pub fn unlock(&self, role: Role) {
        todo!()
    }
}

impl Default for BiasedLock {
    /// A free lock.
    fn default() -> Self {
        Self::new()
    }
}
