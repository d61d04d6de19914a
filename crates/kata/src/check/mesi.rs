//! How often do processors take cache lines away from each other?
//!
//! A simulator of private caches that are kept coherent by the MESI protocol, in the form of Papamarcos and Patel, "A
//! Low-Overhead Coherence Solution for Multiprocessors with Private Cache Memories" (1984): a cache that has a line
//! gives it to one that lacks it.
//!
//! | state | other copies | memory is up to date | a read | a write |
//! |---|---|---|---|---|
//! | Modified | none | no | nothing to do | nothing to do |
//! | Exclusive | none | yes | nothing to do | nothing to do: becomes Modified |
//! | Shared | perhaps | yes | nothing to do | an *upgrade*: all other copies are invalidated |
//! | Invalid | perhaps | perhaps not | a *miss*: others become Shared | a *miss*: all other copies are invalidated |
//!
//! What it decides: which accesses a processor has to wait for others for, given who accesses what in which order. Two
//! programs can be compared, and the numbers are the same on every machine. What it cannot decide: how long the waiting
//! takes, or anything that depends on the size of caches: here they hold whatever they have read.
//!
//! In the model worlds [`replay`] plays the running execution: threads are processors, and each object of the facade
//! is a line of its own, as if it were padded. In the std world the accesses come from the check, and [`line_of`] says
//! which line an address is in.

use std::collections::BTreeMap;
use std::iter::Sum;
use std::ops::{Add, Sub};

/// The size of a cache line on x86-64 and most ARM cores.
pub const LINE: usize = 64;

/// The line that `address` is in.
pub fn line_of(address: usize) -> usize {
    address / LINE
}

/// What a cache may do with its copy of a line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum State {
    /// The only copy, and newer than memory.
    Modified,
    /// The only copy, the same as memory.
    Exclusive,
    /// There may be other copies.
    Shared,
    /// No copy.
    #[default]
    Invalid,
}

/// What the accesses of a processor have cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// All accesses, those that cost nothing included.
    pub accesses: u64,
    /// Accesses to a line of which its cache had no copy.
    pub misses: u64,
    /// Writes to a line of which its cache had a shared copy: the data was there, the permission was not.
    pub upgrades: u64,
    /// Copies in other caches that its writes made invalid.
    pub invalidations: u64,
    /// Misses that were answered by another cache. The others were answered by memory.
    pub transfers: u64,
}

impl Counts {
    /// Accesses that had to wait for somebody else, memory included.
    pub fn stalls(&self) -> u64 {
        self.misses + self.upgrades
    }
}

macro_rules! by_field {
    ($trait:ident::$method:ident, $operator:tt) => {
        impl $trait for Counts {
            type Output = Self;

            fn $method(self, other: Self) -> Self {
                Self {
                    accesses: self.accesses $operator other.accesses,
                    misses: self.misses $operator other.misses,
                    upgrades: self.upgrades $operator other.upgrades,
                    invalidations: self.invalidations $operator other.invalidations,
                    transfers: self.transfers $operator other.transfers,
                }
            }
        }
    };
}

by_field!(Add::add, +);
by_field!(Sub::sub, -);

impl Sum for Counts {
    fn sum<I: Iterator<Item = Self>>(counts: I) -> Self {
        counts.fold(Self::default(), Self::add)
    }
}

/// A cache for each processor, all of them coherent. Processors and lines are numbers of the caller's choice.
///
/// ```
/// use kata::check::mesi::{Mesi, State};
///
/// let mut caches = Mesi::new();
/// let (ours, theirs) = (0, 1);
/// caches.write(ours, 7);
/// caches.write(ours, 7); // costs nothing: the line is ours
/// caches.read(theirs, 7); // a transfer
/// caches.write(ours, 7); // takes their copy away
///
/// assert_eq!(caches.state(ours, 7), State::Modified);
/// assert_eq!(caches.state(theirs, 7), State::Invalid);
/// assert_eq!((caches.total().transfers, caches.total().invalidations), (1, 1));
/// ```
#[derive(Clone, Debug, Default)]
pub struct Mesi {
    /// For each line its state in each cache; whoever is not listed has no copy.
    lines: BTreeMap<usize, Vec<State>>,
    /// By processor.
    counts: Vec<Counts>,
}

impl Mesi {
    /// Empty caches, as many as will be used.
    pub fn new() -> Self {
        Self::default()
    }

    /// `processor` has just made the line: no other cache has seen it, and nothing is counted.
    pub fn create(&mut self, processor: usize, line: usize) {
        *entry(self.lines.entry(line).or_default(), processor) = State::Modified;
    }

    /// `processor` reads `line`.
    pub fn read(&mut self, processor: usize, line: usize) {
        let copies = self.lines.entry(line).or_default();
        let counts = entry(&mut self.counts, processor);
        counts.accesses += 1;
        if *entry(copies, processor) != State::Invalid {
            return;
        }
        counts.misses += 1;
        let mut elsewhere = false;
        for copy in copies.iter_mut().filter(|copy| **copy != State::Invalid) {
            elsewhere = true;
            *copy = State::Shared;
        }
        counts.transfers += u64::from(elsewhere);
        copies[processor] = if elsewhere {
            State::Shared
        } else {
            State::Exclusive
        };
    }

    /// `processor` writes to `line`. An atomic read-modify-write is a write, whether or not it changes the value.
    pub fn write(&mut self, processor: usize, line: usize) {
        let copies = self.lines.entry(line).or_default();
        let counts = entry(&mut self.counts, processor);
        counts.accesses += 1;
        let own = std::mem::replace(entry(copies, processor), State::Invalid);
        match own {
            State::Modified | State::Exclusive => {}
            State::Shared => counts.upgrades += 1,
            State::Invalid => counts.misses += 1,
        }
        let mut elsewhere = false;
        for copy in copies.iter_mut().filter(|copy| **copy != State::Invalid) {
            elsewhere = true;
            counts.invalidations += 1;
            *copy = State::Invalid;
        }
        counts.transfers += u64::from(own == State::Invalid && elsewhere);
        copies[processor] = State::Modified;
    }

    /// What the cache of `processor` has of `line`.
    pub fn state(&self, processor: usize, line: usize) -> State {
        let copies = self.lines.get(&line);
        let copy = copies.and_then(|copies| copies.get(processor));
        copy.copied().unwrap_or_default()
    }

    /// What the accesses of `processor` have cost so far.
    pub fn counts(&self, processor: usize) -> Counts {
        self.counts.get(processor).copied().unwrap_or_default()
    }

    /// What all accesses have cost so far.
    pub fn total(&self) -> Counts {
        self.counts.iter().copied().sum()
    }
}

/// The entry of `processor`, which is made if there is none.
fn entry<T: Default + Clone>(entries: &mut Vec<T>, processor: usize) -> &mut T {
    if entries.len() <= processor {
        entries.resize(processor + 1, T::default());
    }
    &mut entries[processor]
}

/// The running execution, as far as it has come, on one processor for each thread: 0 is the main thread, the others are
/// numbered in the order in which they were spawned.
///
/// Atomics, cells and locks are lines. Whoever creates one has it in its cache. A compare-exchange that fails counts as a
/// write, as on x86.
#[cfg(any(feature = "loom", feature = "shuttle"))]
pub fn replay() -> Mesi {
    use crate::record::{self, Op};

    let _aside = crate::watch::aside();
    record::with(|record| {
        let mut caches = Mesi::new();
        let objects = record.objects.iter().enumerate();
        for (line, object) in objects.filter(|(line, _)| !record.is_handle(*line as u32)) {
            caches.create(object.creator, line);
        }
        let on_objects = record
            .operations()
            .filter(|event| event.object != record::NO_OBJECT);
        for event in on_objects {
            let line = event.object as usize;
            match event.op {
                Op::Load { .. } | Op::CellRead => caches.read(event.thread, line),
                Op::Store { .. }
                | Op::Rmw { .. }
                | Op::CellWrite
                | Op::Exclusive(_)
                | Op::Lock(_)
                | Op::TryLock { .. }
                | Op::Unlock => caches.write(event.thread, line),
                _ => {}
            }
        }
        caches
    })
}

#[cfg(test)]
mod tests {
    use super::State::{Exclusive, Invalid, Modified, Shared};
    use super::*;

    /// One access of a sequence.
    #[derive(Clone, Copy)]
    enum Access {
        Read(usize),
        Write(usize),
    }
    use Access::{Read, Write};

    /// Plays accesses to one line.
    fn play(accesses: &[Access]) -> Mesi {
        let mut caches = Mesi::new();
        for access in accesses {
            match *access {
                Read(processor) => caches.read(processor, 0),
                Write(processor) => caches.write(processor, 0),
            }
        }
        caches
    }

    fn states<const N: usize>(caches: &Mesi) -> [State; N] {
        std::array::from_fn(|processor| caches.state(processor, 0))
    }

    /// Accesses, misses, upgrades, invalidations, transfers.
    fn numbers(counts: Counts) -> [u64; 5] {
        let Counts {
            accesses,
            misses,
            upgrades,
            invalidations,
            transfers,
        } = counts;
        [accesses, misses, upgrades, invalidations, transfers]
    }

    #[test]
    fn every_transition_of_the_protocol() {
        let table: &[(&[Access], [State; 2], [u64; 5])] = &[
            (&[], [Invalid, Invalid], [0, 0, 0, 0, 0]),
            // From memory: alone.
            (&[Read(0)], [Exclusive, Invalid], [1, 1, 0, 0, 0]),
            (&[Write(0)], [Modified, Invalid], [1, 1, 0, 0, 0]),
            // On its own line a processor is never in anybody's way.
            (&[Read(0), Read(0)], [Exclusive, Invalid], [2, 1, 0, 0, 0]),
            (&[Read(0), Write(0)], [Modified, Invalid], [2, 1, 0, 0, 0]),
            (&[Write(0), Write(0)], [Modified, Invalid], [2, 1, 0, 0, 0]),
            (&[Write(0), Read(0)], [Modified, Invalid], [2, 1, 0, 0, 0]),
            // From another cache: shared, from whichever state.
            (&[Read(0), Read(1)], [Shared, Shared], [2, 2, 0, 0, 1]),
            (&[Write(0), Read(1)], [Shared, Shared], [2, 2, 0, 0, 1]),
            // Taken away.
            (&[Read(0), Write(1)], [Invalid, Modified], [2, 2, 0, 1, 1]),
            (&[Write(0), Write(1)], [Invalid, Modified], [2, 2, 0, 1, 1]),
            // The data is there, the permission is not.
            (
                &[Read(0), Read(1), Write(0)],
                [Modified, Invalid],
                [3, 2, 1, 1, 1],
            ),
            (
                &[Read(0), Read(1), Write(1)],
                [Invalid, Modified],
                [3, 2, 1, 1, 1],
            ),
            // And back again.
            (
                &[Write(0), Write(1), Read(0)],
                [Shared, Shared],
                [3, 3, 0, 1, 2],
            ),
        ];
        for (accesses, expected, counted) in table {
            let caches = play(accesses);
            assert_eq!(states::<2>(&caches), *expected);
            assert_eq!(numbers(caches.total()), *counted);
        }
    }

    #[test]
    fn a_write_invalidates_every_other_copy() {
        let caches = play(&[Read(0), Read(1), Read(2), Read(3), Write(2)]);
        assert_eq!(states::<4>(&caches), [Invalid, Invalid, Modified, Invalid]);
        assert_eq!(numbers(caches.counts(2)), [2, 1, 1, 3, 1]);
        assert_eq!(caches.counts(2).stalls(), 2);
        assert_eq!(caches.counts(0).invalidations, 0);
    }

    #[test]
    fn a_shared_copy_stays_shared_though_it_is_the_last_one() {
        // No cache is told that others have dropped theirs, and here none ever does: two readers, then a third.
        let caches = play(&[Write(0), Read(1), Read(2)]);
        assert_eq!(states::<3>(&caches), [Shared; 3]);
        assert_eq!(caches.total().transfers, 2);
    }

    #[test]
    fn ping_pong_costs_a_transfer_for_each_write() {
        let mut caches = Mesi::new();
        for _ in 0..100 {
            caches.write(0, 0);
            caches.write(1, 0);
        }
        assert_eq!(numbers(caches.total()), [200, 200, 0, 199, 199]);
    }

    #[test]
    fn false_sharing_is_told_from_padding() {
        let writes = |distance: usize| {
            let mut caches = Mesi::new();
            for _ in 0..100 {
                for processor in 0..4 {
                    caches.write(processor, line_of(processor * distance));
                }
            }
            caches.total().invalidations
        };
        // All on one line, two on a line, one on a line.
        assert_eq!((writes(8), writes(32), writes(64)), (399, 398, 0));
    }

    #[test]
    fn waiting_with_loads_is_cheaper_than_with_swaps() {
        let traffic = |look: fn(&mut Mesi, usize)| {
            let mut caches = Mesi::new();
            caches.write(0, 0); // locks
            for _ in 0..50 {
                look(&mut caches, 1);
                look(&mut caches, 2);
            }
            caches.write(0, 0); // unlocks
            caches.total().stalls()
        };
        assert_eq!(traffic(|caches, waiter| caches.read(waiter, 0)), 4);
        assert_eq!(traffic(|caches, waiter| caches.write(waiter, 0)), 102);
    }

    #[test]
    fn creation_is_free_and_the_first_write_of_another_is_not() {
        let mut caches = Mesi::new();
        caches.create(0, 5);
        caches.write(0, 5);
        assert_eq!(numbers(caches.total()), [1, 0, 0, 0, 0]);
        caches.write(1, 5);
        assert_eq!(numbers(caches.total()), [2, 1, 0, 1, 1]);
    }

    #[test]
    fn counts_can_be_taken_from_a_point_on() {
        let mut caches = play(&[Write(0), Write(1)]);
        let before = caches.total();
        caches.write(1, 0);
        caches.read(0, 0);
        assert_eq!(numbers(caches.total() - before), [2, 1, 0, 0, 1]);
    }

    #[cfg(all(feature = "shuttle", not(feature = "loom")))]
    #[test]
    fn an_execution_is_replayed_on_a_processor_for_each_thread() {
        use crate::check::Randomized;
        use crate::sync::Arc;
        use crate::sync::atomic::{AtomicU64, Ordering::Relaxed};

        Randomized::new().schedules(20).run(|| {
            let words = Arc::new([AtomicU64::new(0), AtomicU64::new(0)]);
            let threads: Vec<_> = (0..2)
                .map(|own| {
                    let words = words.clone();
                    crate::thread::spawn(move || {
                        for _ in 0..10 {
                            words[own].fetch_add(1, Relaxed);
                        }
                    })
                })
                .collect();
            for thread in threads {
                thread.join().unwrap();
            }
            // Each takes its word from the main thread, once.
            let caches = replay();
            assert_eq!(numbers(caches.counts(1)), [10, 1, 0, 1, 1]);
            assert_eq!(numbers(caches.counts(2)), [10, 1, 0, 1, 1]);
            words[0].load(Relaxed);
            assert_eq!(numbers(replay().counts(0)), [1, 1, 0, 0, 1]);
            // A failed compare-exchange is a write.
            assert!(
                words[1]
                    .compare_exchange(99, 100, Relaxed, Relaxed)
                    .is_err()
            );
            assert_eq!(numbers(replay().counts(0)), [2, 2, 0, 1, 2]);
        });
    }
}
