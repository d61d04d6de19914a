//! No fences: every access is sequentially consistent. A guest that is let in keeps the others out with a mutex' one bit.

use kata::hint::spin_loop;
use kata::sync::atomic::Ordering::SeqCst;
use kata::sync::atomic::{AtomicBool, AtomicU8};
use kata::thread::yield_now;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    Left,
    Right,
}

#[derive(Default)]
pub struct Peterson {
    left: AtomicBool,
    right: AtomicBool,
    /// 0 for left, 1 for right.
    victim: AtomicU8,
}

impl Peterson {
    pub fn new() -> Self {
        Self::default()
    }

    pub fn lock(&self, side: Side) {
        match side {
            Side::Left => {
                self.left.store(true, SeqCst);
                self.victim.store(0, SeqCst);
                while self.right.load(SeqCst) && self.victim.load(SeqCst) == 0 {
                    yield_now();
                }
            }
            Side::Right => {
                self.right.store(true, SeqCst);
                self.victim.store(1, SeqCst);
                while self.left.load(SeqCst) && self.victim.load(SeqCst) == 1 {
                    yield_now();
                }
            }
        }
    }

    pub fn unlock(&self, side: Side) {
        match side {
            Side::Left => self.left.store(false, SeqCst),
            Side::Right => self.right.store(false, SeqCst),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    Owner,
    Guest,
}

#[derive(Default)]
pub struct BiasedLock {
    owner: AtomicBool,
    guest: AtomicBool,
}

impl BiasedLock {
    pub fn new() -> Self {
        Self::default()
    }

    pub fn lock(&self, role: Role) {
        match role {
            // The owner lets every guest go first.
            Role::Owner => loop {
                self.owner.store(true, SeqCst);
                if !self.guest.load(SeqCst) {
                    return;
                }
                self.owner.store(false, SeqCst);
                while self.guest.load(SeqCst) {
                    spin_loop();
                }
            },
            Role::Guest => {
                while self.guest.swap(true, SeqCst) {
                    spin_loop();
                }
                while self.owner.load(SeqCst) {
                    spin_loop();
                }
            }
        }
    }

    pub fn unlock(&self, role: Role) {
        match role {
            Role::Owner => self.owner.store(false, SeqCst),
            Role::Guest => self.guest.store(false, SeqCst),
        }
    }
}
