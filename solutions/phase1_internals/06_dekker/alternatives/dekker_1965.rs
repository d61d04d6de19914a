//! Dekker's own lock for two: whoever does not have the turn takes its flag down and waits. The biased lock is one more of
//! them, behind a lock that the guests share.

use std::sync::PoisonError;

use kata::sync::atomic::Ordering::{Acquire, Relaxed, Release, SeqCst};
use kata::sync::atomic::{AtomicBool, AtomicUsize, fence};
use kata::sync::{Condvar, Mutex};
use kata::thread::yield_now;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    Left,
    Right,
}

pub struct Peterson {
    wants: [AtomicBool; 2],
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
            wants: [AtomicBool::new(false), AtomicBool::new(false)],
            turn: AtomicUsize::new(0),
        }
    }

    fn want(&self, me: usize) {
        self.wants[me].store(true, Relaxed);
        fence(SeqCst);
    }

    pub fn lock(&self, side: Side) {
        let (me, other) = (side as usize, 1 - side as usize);
        self.want(me);
        while self.wants[other].load(Acquire) {
            if self.turn.load(Relaxed) == me {
                yield_now();
                continue;
            }
            self.wants[me].store(false, Relaxed);
            while self.turn.load(Relaxed) != me {
                yield_now();
            }
            self.want(me);
        }
    }

    pub fn unlock(&self, side: Side) {
        self.turn.store(1 - side as usize, Relaxed);
        self.wants[side as usize].store(false, Release);
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    Owner,
    Guest,
}

#[derive(Default)]
pub struct BiasedLock {
    two: Peterson,
    guest_inside: Mutex<bool>,
    guest_left: Condvar,
}

impl BiasedLock {
    pub fn new() -> Self {
        Self::default()
    }

    pub fn lock(&self, role: Role) {
        match role {
            Role::Owner => self.two.lock(Side::Left),
            Role::Guest => {
                let inside = self
                    .guest_inside
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner);
                let inside = self.guest_left.wait_while(inside, |inside| *inside);
                *inside.unwrap_or_else(PoisonError::into_inner) = true;
                self.two.lock(Side::Right);
            }
        }
    }

    pub fn unlock(&self, role: Role) {
        match role {
            Role::Owner => self.two.unlock(Side::Left),
            Role::Guest => {
                self.two.unlock(Side::Right);
                let inside = self.guest_inside.lock();
                *inside.unwrap_or_else(PoisonError::into_inner) = false;
                self.guest_left.notify_one();
            }
        }
    }
}
