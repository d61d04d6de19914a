//! Two locks on one handshake: raise your flag, fence, look at the other's flag. Of two who do this at the same time, at
//! least one sees the other.
//!
//! The handshake is Dekker's (E. W. Dijkstra, "Cooperating Sequential Processes", 1965), the first lock is from Peterson,
//! "Myths About the Mutual Exclusion Problem" (1981), with fences as C++20 needs them. The second one is a plain form of
//! what Kawachiya, Koseki and Onodera do in "Lock Reservation" (OOPSLA 2002).

use kata::sync::atomic::Ordering::{Acquire, Relaxed, Release, SeqCst};
use kata::sync::atomic::{AtomicBool, AtomicUsize, fence};
use kata::{hint, thread};

/// One of the two who share a [`Peterson`] lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    Left,
    Right,
}

/// A lock for two, made of loads and stores.
pub struct Peterson {
    /// Which sides are inside or want to be.
    wants: [AtomicBool; 2],
    /// The side that goes first if both want to. Each side names the other one.
    first: AtomicUsize,
}

impl Peterson {
    /// A free lock.
    pub fn new() -> Self {
        Self {
            wants: [AtomicBool::new(false), AtomicBool::new(false)],
            first: AtomicUsize::new(0),
        }
    }

    /// Takes the lock for `side`, waiting for as long as the other side holds it.
    pub fn lock(&self, side: Side) {
        let (me, other) = match side {
            Side::Left => (0, 1),
            Side::Right => (1, 0),
        };
        self.wants[me].store(true, Relaxed);
        // Pairs with the other side's second fence: whoever overwrites the other's courtesy below sees its flag.
        fence(SeqCst);
        self.first.store(other, Relaxed);
        // Pairs with the same fence of the other side: of two flags raised at the same time, one at least is seen.
        fence(SeqCst);
        let mut turn = 0;
        // Acquire, first: pairs with the Release in `unlock`, by which the other side has left. Acquire, second: pairs with
        // the other side's first fence, before which it had left, if it has come back meanwhile and lets us go first.
        while self.wants[other].load(Acquire) && self.first.load(Acquire) == other {
            pause(&mut turn);
        }
    }

    /// Gives back the lock that `side` has taken.
    pub fn unlock(&self, side: Side) {
        // Release: pairs with the first Acquire in `lock`.
        self.wants[side as usize].store(false, Release);
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

/// A lock that is cheap for one thread and dear for all others.
pub struct BiasedLock {
    /// The owner is inside without having `taken` the lock, or has its flag up to see whether it may be. Written by the
    /// owner alone.
    owner_inside: AtomicBool,
    /// Somebody has taken the lock the ordinary way: a guest, or an owner that a guest was in the way of.
    taken: AtomicBool,
}

impl BiasedLock {
    /// A free lock.
    pub fn new() -> Self {
        Self {
            owner_inside: AtomicBool::new(false),
            taken: AtomicBool::new(false),
        }
    }

    /// Takes the lock, waiting for as long as somebody else holds it.
    #[inline]
    pub fn lock(&self, role: Role) {
        match role {
            Role::Owner => self.lock_as_owner(),
            Role::Guest => self.lock_as_guest(),
        }
    }

    #[inline]
    fn lock_as_owner(&self) {
        self.owner_inside.store(true, Relaxed);
        // Pairs with the fence in `lock_as_guest`: either we see that the lock is taken, or the guest sees us.
        fence(SeqCst);
        // Acquire: pairs with the Release of a guest in `unlock`.
        if self.taken.load(Acquire) {
            // Down with the flag before we wait: the guest may be waiting for that. Relaxed: for what we did when we were
            // inside, the fence above is a Release.
            self.owner_inside.store(false, Relaxed);
            self.take();
        }
    }

    #[cold]
    fn lock_as_guest(&self) {
        self.take();
        // Pairs with the fence in `lock_as_owner`.
        fence(SeqCst);
        let mut turn = 0;
        // Acquire: pairs with the Release of the owner in `unlock`, or with its fence if it has only tried.
        while self.owner_inside.load(Acquire) {
            pause(&mut turn);
        }
    }

    /// An ordinary spin lock. Keeps guests apart, and an owner that comes the slow way.
    #[cold]
    fn take(&self) {
        let mut turn = 0;
        while self
            .taken
            // Acquire: pairs with the Release in `unlock`.
            .compare_exchange_weak(false, true, Acquire, Relaxed)
            .is_err()
        {
            pause(&mut turn);
        }
    }

    /// Gives back the lock, taken in the same role.
    #[inline]
    pub fn unlock(&self, role: Role) {
        // Relaxed: whoever is the owner has written it itself.
        let flag = if role == Role::Owner && self.owner_inside.load(Relaxed) {
            &self.owner_inside
        } else {
            &self.taken
        };
        // Release: pairs with the Acquires in `lock`, of whoever comes next on any of the ways.
        flag.store(false, Release);
    }
}

impl Default for BiasedLock {
    /// A free lock.
    fn default() -> Self {
        Self::new()
    }
}

/// Whoever holds the lock may not be running: look a hundred times, then let it.
fn pause(turn: &mut u32) {
    if *turn < 100 {
        *turn += 1;
        hint::spin_loop();
    } else {
        thread::yield_now();
    }
}
