//! Two handshakes: Kessels' turn, split over two words with one writer each (1982), and an owner's fence against the SeqCst
//! accesses of guests, who are counted and pass a baton that they wait for by swaps.

use kata::hint::spin_loop;
use kata::sync::atomic::{
    AtomicBool, AtomicU8, AtomicUsize,
    Ordering::{Acquire, Relaxed, Release, SeqCst},
    fence,
};

/// In a side's word: this side wants in, or is in.
const WANTS: u8 = 0b10;
/// In a side's word: its half of the turn.
const TURN: u8 = 0b01;

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
    /// A word a side, written by that side alone. The turn is split between the two (Kessels 1982): it is right's while the
    /// halves are equal, left's while they differ.
    words: [AtomicU8; 2],
}

impl Peterson {
    /// A free lock.
    pub fn new() -> Self {
        Self {
            words: [AtomicU8::new(0), AtomicU8::new(0)],
        }
    }

    /// Takes the lock for `side`, waiting for as long as the other side holds it.
    ///
    /// A side that the other one does not compete with never waits, however often it comes.
    pub fn lock(&self, side: Side) {
        let (mine, theirs) = self.words_of(side);
        // Only this side writes its word. Relaxed: it reads what it wrote itself, or what its last owner handed on with it.
        let old = mine.load(Relaxed);

        // All four are in the order S. Raise the flag, then look: two that raise theirs at the same time do not both miss
        // it. Say that the other one is first, then look: of two that say so, the later one waits.
        mine.store(old | WANTS, SeqCst);
        let their_turn = theirs.load(SeqCst) & TURN;
        let my_turn = match side {
            Side::Left => their_turn,
            Side::Right => their_turn ^ TURN,
        };
        mine.store(WANTS | my_turn, SeqCst);
        loop {
            let now = theirs.load(SeqCst);
            let equal_halves = now & TURN == my_turn;
            if now & WANTS == 0 || equal_halves != (side == Side::Left) {
                return;
            }
            spin_loop();
        }
    }

    /// Gives back the lock that `side` has taken. Everything done since then comes before whatever the next owner does.
    pub fn unlock(&self, side: Side) {
        let (mine, _) = self.words_of(side);
        // Relaxed: nobody else writes this word.
        let turn = mine.load(Relaxed) & TURN;
        // Release: pairs with the other side's last load in `lock`.
        mine.store(turn, Release);
    }
}

impl Peterson {
    /// The word of `side` and that of the other one.
    fn words_of(&self, side: Side) -> (&AtomicU8, &AtomicU8) {
        let [left, right] = &self.words;
        match side {
            Side::Left => (left, right),
            Side::Right => (right, left),
        }
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
/// locations that nobody else writes.
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
    /// The owner's flag.
    inside: AtomicBool,
    /// How many guests wait or are inside: not zero is the guests' flag. Who makes it one is first among them.
    guests: AtomicUsize,
    /// Whether a guest that left has passed the lock on to the guests that were waiting.
    baton: AtomicBool,
}

impl BiasedLock {
    /// A free lock.
    pub fn new() -> Self {
        Self {
            inside: AtomicBool::new(false),
            guests: AtomicUsize::new(0),
            baton: AtomicBool::new(false),
        }
    }

    /// Takes the lock, waiting for as long as somebody else holds it.
    pub fn lock(&self, role: Role) {
        match role {
            Role::Owner => self.lock_as_owner(),
            Role::Guest => self.lock_as_guest(),
        }
    }

    /// Gives back the lock, taken in the same role. Everything done since then comes before whatever the next one who takes
    /// it does.
    pub fn unlock(&self, role: Role) {
        match role {
            // Release: pairs with the guest's load of `inside`.
            Role::Owner => self.inside.store(false, Release),
            Role::Guest => {
                // Release: pairs with the owner's load and with the first guest's `fetch_add`.
                if self.guests.fetch_sub(1, Release) > 1 {
                    // Release: pairs with the swap of the guest that takes the baton.
                    self.baton.store(true, Release);
                }
            }
        }
    }
}

impl BiasedLock {
    fn lock_as_owner(&self) {
        loop {
            // Relaxed: the fence orders it.
            self.inside.store(true, Relaxed);
            // Pairs with the two SeqCst accesses of a guest.
            fence(SeqCst);
            // Acquire: pairs with the `fetch_sub` of the last guest.
            if self.guests.load(Acquire) == 0 {
                return;
            }
            // The guest may be waiting for this flag, so it goes down first. Release: a guest that reads this store must see
            // what the owner's *previous* visit did, too.
            self.inside.store(false, Release);
            // Relaxed: only a hint, the load above decides.
            while self.guests.load(Relaxed) != 0 {
                spin_loop();
            }
        }
    }

    fn lock_as_guest(&self) {
        // SeqCst: raises the flag, in S before the load of `inside` below. Its Acquire pairs with `fetch_sub` of the guest
        // before.
        if self.guests.fetch_add(1, SeqCst) != 0 {
            // Acquire: pairs with the store of the guest that passed the baton.
            while !self.baton.swap(false, Acquire) {
                spin_loop();
            }
        }
        // SeqCst: the look of the handshake; pairs with the owner's fence, and as an Acquire with its Release stores.
        while self.inside.load(SeqCst) {
            spin_loop();
        }
    }
}

impl Default for BiasedLock {
    /// A free lock.
    fn default() -> Self {
        Self::new()
    }
}
