//! Locks: one thread at a time, and everything it did visible to the next.

use kata::cell::UnsafeCell;
use kata::hint::spin_loop;
use kata::sync::Arc;
use kata::sync::atomic::{
    AtomicBool, AtomicUsize, Ordering, Ordering::AcqRel, Ordering::Acquire, Ordering::Relaxed,
    Ordering::Release, Ordering::SeqCst, fence,
};
use kata::thread;

/// What a lock protects.
struct Counter {
    value: UnsafeCell<usize>,
}

// SAFETY: whether only one thread at a time is inside is what the checker decides.
unsafe impl Sync for Counter {}

impl Counter {
    fn new() -> Self {
        Self {
            value: UnsafeCell::new(0),
        }
    }

    fn increment(&self) {
        // SAFETY: see `Sync`.
        self.value.with_mut(|value| unsafe { *value += 1 });
    }

    fn value(&self) -> usize {
        // SAFETY: see `Sync`.
        self.value.with(|value| unsafe { *value })
    }
}

/// Runs `section` in two threads, and counts.
fn twice<L: Send + Sync + 'static>(
    lock: L,
    section: impl Fn(&L, usize) + Copy + Send + 'static,
    counter: fn(&L) -> &Counter,
) {
    let lock = Arc::new(lock);
    let other = {
        let lock = lock.clone();
        thread::spawn(move || section(&lock, 1))
    };
    section(&lock, 0);
    other.join().unwrap();
    assert_eq!(counter(&lock).value(), 2, "an increment is lost");
}

/// A baton that is passed on by a plain store of a thread that does nothing else to it, to one that waits by swaps.
pub fn baton(pass: Ordering, take: Ordering) -> impl Fn() + Send + Sync + 'static {
    move || {
        let shared = Arc::new((Counter::new(), AtomicBool::new(false)));
        let waiter = {
            let shared = shared.clone();
            thread::spawn(move || {
                while !shared.1.swap(false, take) {
                    spin_loop();
                }
                shared.0.increment();
            })
        };
        shared.0.increment();
        shared.1.store(true, pass);
        waiter.join().unwrap();
        assert_eq!(shared.0.value(), 2, "an increment is lost");
    }
}

/// A letter, and a reader who waits for the flag that says so: his first looks are Acquire, all later ones Relaxed.
pub fn tired_reader(strong_looks: usize) -> impl Fn() + Send + Sync + 'static {
    move || {
        let shared = Arc::new((Counter::new(), AtomicBool::new(false)));
        let reader = {
            let shared = shared.clone();
            thread::spawn(move || {
                let mut looks = 0;
                while !shared.1.load(if looks < strong_looks {
                    Acquire
                } else {
                    Relaxed
                }) {
                    looks += 1;
                    spin_loop();
                }
                shared.0.increment();
            })
        };
        shared.0.increment();
        shared.1.store(true, Release);
        reader.join().unwrap();
    }
}

/// How a spin lock is taken.
#[derive(Clone, Copy)]
pub enum Take {
    Swap(Ordering),
    CompareExchange(Ordering),
    /// Looks, and then stores: two threads can both find it free.
    LoadThenStore,
}

/// A test-and-set lock around a counter.
pub fn spin_lock(take: Take, unlock: Ordering) -> impl Fn() {
    struct Lock {
        locked: AtomicBool,
        counter: Counter,
    }
    move || {
        let lock = Lock {
            locked: AtomicBool::new(false),
            counter: Counter::new(),
        };
        let section = move |lock: &Lock, _| {
            match take {
                Take::Swap(order) => {
                    while lock.locked.swap(true, order) {
                        spin_loop();
                    }
                }
                Take::CompareExchange(order) => {
                    while lock
                        .locked
                        .compare_exchange(false, true, order, Relaxed)
                        .is_err()
                    {
                        spin_loop();
                    }
                }
                Take::LoadThenStore => {
                    while lock.locked.load(Acquire) {
                        spin_loop();
                    }
                    lock.locked.store(true, Relaxed);
                }
            }
            lock.counter.increment();
            lock.locked.store(false, unlock);
        };
        twice(lock, section, |lock| &lock.counter);
    }
}

/// A spin lock that does not say that it spins.
pub fn silent_spin_lock() -> impl Fn() {
    struct Lock {
        locked: AtomicBool,
        counter: Counter,
    }
    move || {
        let lock = Lock {
            locked: AtomicBool::new(false),
            counter: Counter::new(),
        };
        let section = |lock: &Lock, _| {
            while lock
                .locked
                .compare_exchange(false, true, Acquire, Relaxed)
                .is_err()
            {}
            lock.counter.increment();
            lock.locked.store(false, Release);
        };
        twice(lock, section, |lock| &lock.counter);
    }
}

/// A lock that gives up after two attempts.
pub fn try_lock(unlock: Ordering) -> impl Fn() {
    struct Lock {
        locked: AtomicBool,
        counter: Counter,
    }
    move || {
        let lock = Arc::new(Lock {
            locked: AtomicBool::new(false),
            counter: Counter::new(),
        });
        let attempt = move |lock: &Lock| {
            for _ in 0..2 {
                if !lock.locked.swap(true, Acquire) {
                    lock.counter.increment();
                    lock.locked.store(false, unlock);
                    return;
                }
            }
        };
        let other = {
            let lock = lock.clone();
            thread::spawn(move || attempt(&lock))
        };
        attempt(&lock);
        other.join().unwrap();
    }
}

/// How a ticket lock is made.
#[derive(Clone, Copy)]
pub struct Ticket {
    /// The next ticket is taken in one step.
    pub atomic: bool,
    pub look: Ordering,
    pub serve: Ordering,
}

impl Ticket {
    pub const RIGHT: Self = Self {
        atomic: true,
        look: Acquire,
        serve: Release,
    };
}

/// A ticket lock around a counter.
pub fn ticket_lock(parts: Ticket) -> impl Fn() {
    struct Lock {
        next: AtomicUsize,
        serving: AtomicUsize,
        counter: Counter,
    }
    move || {
        let lock = Lock {
            next: AtomicUsize::new(0),
            serving: AtomicUsize::new(0),
            counter: Counter::new(),
        };
        let section = move |lock: &Lock, _| {
            let mine = if parts.atomic {
                lock.next.fetch_add(1, Relaxed)
            } else {
                let mine = lock.next.load(Relaxed);
                lock.next.store(mine + 1, Relaxed);
                mine
            };
            while lock.serving.load(parts.look) != mine {
                spin_loop();
            }
            lock.counter.increment();
            lock.serving.store(mine + 1, parts.serve);
        };
        twice(lock, section, |lock| &lock.counter);
    }
}

/// How one thread enters Dekker's or Peterson's lock.
#[derive(Clone, Copy)]
pub struct Entry {
    /// The turn is given away before the flag is raised.
    pub turn_first: bool,
    /// Saying that one wants to enter.
    pub flag: Ordering,
    /// Letting the other go first; not in Dekker's lock.
    pub turn: Ordering,
    /// Letting the other go first with a swap.
    pub swap: bool,
    /// Between the flag and the turn; not in Dekker's lock.
    pub first_fence: bool,
    /// Before looking.
    pub fence: bool,
    /// Looking whether the other wants to enter.
    pub look: Ordering,
    /// Looking whose turn it is.
    pub look_turn: Ordering,
    pub leave: Ordering,
}

impl Entry {
    pub const SEQ_CST: Self = Self {
        turn_first: false,
        flag: SeqCst,
        turn: SeqCst,
        swap: false,
        first_fence: false,
        fence: false,
        look: SeqCst,
        look_turn: SeqCst,
        leave: Release,
    };
    pub const ACQUIRE: Self = Self {
        turn_first: false,
        flag: Release,
        turn: Release,
        swap: false,
        first_fence: false,
        fence: false,
        look: Acquire,
        look_turn: Acquire,
        leave: Release,
    };
    pub const FENCE: Self = Self {
        flag: Relaxed,
        turn: Relaxed,
        first_fence: true,
        fence: true,
        ..Self::ACQUIRE
    };
    /// Anthony Williams's: the swaps of the turn alone decide.
    pub const SWAP: Self = Self {
        flag: Relaxed,
        turn: AcqRel,
        swap: true,
        ..Self::ACQUIRE
    };
}

struct Lock {
    wants: [AtomicBool; 2],
    turn: AtomicUsize,
    counter: Counter,
}

impl Lock {
    fn new() -> Self {
        Self {
            wants: [AtomicBool::new(false), AtomicBool::new(false)],
            turn: AtomicUsize::new(0),
            counter: Counter::new(),
        }
    }
}

/// Peterson's lock (1981), each thread with orders of its own.
pub fn peterson(orders: [Entry; 2]) -> impl Fn() {
    move || {
        let section = move |lock: &Lock, me: usize| {
            let (other, entry) = (1 - me, orders[me]);
            if entry.turn_first {
                lock.turn.store(other, entry.turn);
                fence(SeqCst);
            }
            lock.wants[me].store(true, entry.flag);
            if entry.first_fence {
                fence(SeqCst);
            }
            if entry.turn_first {
                // It has been given away.
            } else if entry.swap {
                lock.turn.swap(other, entry.turn);
            } else {
                lock.turn.store(other, entry.turn);
            }
            if entry.fence {
                fence(SeqCst);
            }
            while lock.wants[other].load(entry.look) && lock.turn.load(entry.look_turn) == other {
                spin_loop();
            }
            lock.counter.increment();
            lock.wants[me].store(false, entry.leave);
        };
        twice(Lock::new(), section, |lock| &lock.counter);
    }
}

/// Dekker's lock (1965), each thread with orders of its own.
pub fn dekker(orders: [Entry; 2]) -> impl Fn() {
    move || {
        let section = move |lock: &Lock, me: usize| {
            let (other, entry) = (1 - me, orders[me]);
            let want = || {
                lock.wants[me].store(true, entry.flag);
                if entry.fence {
                    fence(SeqCst);
                }
            };
            want();
            while lock.wants[other].load(entry.look) {
                if lock.turn.load(Relaxed) == me {
                    spin_loop();
                    continue;
                }
                lock.wants[me].store(false, Relaxed);
                while lock.turn.load(Relaxed) != me {
                    spin_loop();
                }
                want();
            }
            lock.counter.increment();
            lock.turn.store(other, Relaxed);
            lock.wants[me].store(false, entry.leave);
        };
        twice(Lock::new(), section, |lock| &lock.counter);
    }
}
