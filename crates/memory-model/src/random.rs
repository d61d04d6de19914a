//! Random litmus programs, the same on every machine for the same seed.

use super::program::{Op, Program, compare_exchange, fence, fetch_add, load, store, when};
use std::sync::atomic::Ordering::{self, AcqRel, Acquire, Relaxed, Release, SeqCst};

/// What a profile makes often.
#[derive(Clone, Copy, Debug)]
pub struct Profile {
    /// What the programs have in common.
    pub name: &'static str,
    loads: &'static [Ordering],
    stores: &'static [Ordering],
    modifications: &'static [Ordering],
    fences: &'static [Ordering],
    /// Of ten operations: loads, stores, read-modify-writes. The rest are fences.
    shares: [usize; 3],
    locations: usize,
}

/// What programs are worth trying.
pub const PROFILES: [Profile; 4] = [
    Profile {
        name: "weak orderings",
        loads: &[Relaxed, Acquire],
        stores: &[Relaxed, Release],
        modifications: &[Relaxed, Acquire, Release, AcqRel],
        fences: &[Acquire, Release, AcqRel],
        shares: [4, 4, 1],
        locations: 2,
    },
    Profile {
        name: "mixed with SeqCst",
        loads: &[Relaxed, Acquire, SeqCst, SeqCst],
        stores: &[Relaxed, Release, SeqCst, SeqCst],
        modifications: &[Relaxed, AcqRel, SeqCst],
        fences: &[AcqRel, SeqCst],
        shares: [4, 4, 1],
        locations: 2,
    },
    Profile {
        name: "fences",
        loads: &[Relaxed, SeqCst],
        stores: &[Relaxed, SeqCst],
        modifications: &[Relaxed, SeqCst],
        fences: &[Acquire, Release, AcqRel, SeqCst, SeqCst],
        shares: [3, 3, 1],
        locations: 2,
    },
    Profile {
        name: "read-modify-writes on one location",
        loads: &[Relaxed, Acquire, SeqCst],
        stores: &[Relaxed, Release, SeqCst],
        modifications: &[Relaxed, Acquire, Release, AcqRel, SeqCst],
        fences: &[AcqRel, SeqCst],
        shares: [2, 3, 5],
        locations: 1,
    },
];

/// A number from the environment, such as a seed.
///
/// # Panics
/// If something else stands there.
#[must_use]
pub fn setting(name: &str, otherwise: usize) -> usize {
    std::env::var(name).map_or(otherwise, |text| text.parse().expect("a number"))
}

/// Sebastiano Vigna's SplitMix64: small, and the same on every machine.
#[derive(Clone, Debug)]
pub struct Random(pub u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A number below `limit`.
    ///
    /// # Panics
    /// If `limit` is 0.
    pub fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit as u64) as usize
    }

    fn pick<T: Copy>(&mut self, items: &[T]) -> T {
        items[self.below(items.len())]
    }
}

const LOCATIONS: [&str; 2] = ["x", "y"];
const REGISTERS: [&str; 16] = [
    "r0", "r1", "r2", "r3", "r4", "r5", "r6", "r7", "r8", "r9", "r10", "r11", "r12", "r13", "r14",
    "r15",
];
/// The names of the threads.
pub(crate) const THREADS: [&str; 4] = ["P0", "P1", "P2", "P3"];

/// A program of so many threads with up to so many operations each.
///
/// # Panics
/// If there are more than four threads, or more than sixteen operations that read.
pub fn program(random: &mut Random, profile: &Profile, threads: usize, most: usize) -> Program {
    let mut registers = REGISTERS.into_iter();
    let mut constants = 1..;
    // One sum at most: the enumerator tries every value that a load might see, and sums of sums are many.
    let sums = usize::from(profile.locations > 1 && threads * most < 8);
    let mut operands = std::iter::repeat_n(10, sums).chain(std::iter::repeat(0));
    let mut program = Program::new();
    for name in &THREADS[..threads] {
        let mut ops: Vec<Op> = Vec::new();
        let mut last = None;
        for _ in 0..1 + random.below(most) {
            let location = random.pick(&LOCATIONS[..profile.locations]);
            let [loads, stores, modifications] = profile.shares;
            let kind = random.below(10);
            let op = if kind < loads {
                let into = registers.next().expect("enough registers");
                last = Some(into);
                load(location, random.pick(profile.loads), into)
            } else if kind < loads + stores {
                let order = random.pick(profile.stores);
                // Now and then what was read is passed on.
                match last.filter(|_| random.below(6) == 0) {
                    Some(register) => store(location, register, order),
                    None => store(location, constants.next().expect("endless"), order),
                }
            } else if kind < loads + stores + modifications {
                let into = registers.next().expect("enough registers");
                last = Some(into);
                let order = random.pick(profile.modifications);
                if random.below(2) == 0 {
                    fetch_add(location, operands.next().expect("endless"), order, into)
                } else {
                    let failure = match order {
                        SeqCst => random.pick(&[SeqCst, Acquire]),
                        Acquire | AcqRel => random.pick(&[Acquire, Relaxed]),
                        _ => Relaxed,
                    };
                    let current = random.pick(&[0, 1, 10]);
                    let new = constants.next().expect("endless");
                    compare_exchange(location, [current, new], [order, failure], into)
                }
            } else {
                fence(random.pick(profile.fences))
            };
            // Now and then it depends on what was read before.
            let condition = last.filter(|_| ops.len() > 1 && random.below(8) == 0);
            ops.push(match (condition, &op) {
                (Some(register), Op::Store { .. } | Op::Fence(_)) => {
                    when(register, random.pick(&[0, 1]), [op])
                }
                _ => op,
            });
        }
        program = program.thread(name, ops);
    }
    program
}
