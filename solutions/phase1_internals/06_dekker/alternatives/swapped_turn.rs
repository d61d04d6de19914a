//! Peterson's lock after Anthony Williams: no fence, but the turn is written by a read-modify-write. Of two of them the
//! second one reads what the first one wrote, and with it sees the first one's flag. Guests say that they want the lock
//! before they compete for it.

use kata::hint::spin_loop;
use kata::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release, SeqCst};
use kata::sync::atomic::{AtomicBool, AtomicUsize, fence};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    Left,
    Right,
}

pub struct Peterson {
    flags: [AtomicBool; 2],
    turn: AtomicUsize,
}

impl Default for Peterson {
    fn default() -> Self {
        Self::new()
    }
}

impl Peterson {
    pub fn new() -> Self {
        Self {
            flags: [AtomicBool::new(false), AtomicBool::new(false)],
            turn: AtomicUsize::new(1),
        }
    }

    pub fn lock(&self, side: Side) {
        let me = side as usize;
        self.flags[me].store(true, Relaxed);
        self.turn.swap(1 - me, AcqRel);
        while self.flags[1 - me].load(Acquire) && self.turn.load(Acquire) != me {
            spin_loop();
        }
    }

    pub fn unlock(&self, side: Side) {
        self.flags[side as usize].store(false, Release);
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    Owner,
    Guest,
}

pub struct BiasedLock {
    owner: AtomicBool,
    /// Guests that are inside or want to be.
    guests: AtomicUsize,
    one_guest: AtomicBool,
}

impl Default for BiasedLock {
    fn default() -> Self {
        Self::new()
    }
}

impl BiasedLock {
    pub fn new() -> Self {
        Self {
            owner: AtomicBool::new(false),
            guests: AtomicUsize::new(0),
            one_guest: AtomicBool::new(false),
        }
    }

    pub fn lock(&self, role: Role) {
        if role == Role::Guest {
            self.guests.fetch_add(1, Relaxed);
            while self
                .one_guest
                .compare_exchange(false, true, Acquire, Relaxed)
                .is_err()
            {
                spin_loop();
            }
            fence(SeqCst);
            while self.owner.load(Acquire) {
                spin_loop();
            }
            return;
        }
        loop {
            self.owner.store(true, Relaxed);
            fence(SeqCst);
            if self.guests.load(Acquire) == 0 {
                return;
            }
            self.owner.store(false, Release);
            while self.guests.load(Relaxed) != 0 {
                spin_loop();
            }
        }
    }

    pub fn unlock(&self, role: Role) {
        match role {
            Role::Owner => self.owner.store(false, Release),
            Role::Guest => {
                self.one_guest.store(false, Release);
                self.guests.fetch_sub(1, Release);
            }
        }
    }
}
