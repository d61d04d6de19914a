//! Every execution of the programs themselves that RC11 allows, which is C++20 without load buffering as compilers implement
//! it, on the atomics that your code uses.
//!
//! Decides whether an outcome is possible and draws how it comes about. Does not decide it for a choice that relies on the
//! letter of C++20 where the two differ: `enumerated` does. Two programs are not here: loom never lets a load
//! read a store that comes later, so it would say of any choice for LB that it is right; and CoRR needs no ordering at all,
//! so there is nothing that it could refute. Does not decide whether a choice is stronger than it needs to be.

use super::programs::{Litmus, Memory, never, outcome, possible};
use kata::check::Exhaustive;
use kata::check::cpp20::{Cycles, Model, Total};
use kata::sync::Arc;
use kata::thread;

fn the_outcome_is_never_seen<L: Litmus>(choice: fn() -> L) {
    let choice = possible(choice);
    let program = choice.program();
    let forbids = |total| {
        let cycles = Cycles::Forbidden;
        let found = program.find(Model { total, cycles }, |outcome| outcome.is(L::NEVER));
        found.is_none()
    };
    let by_the_letter = forbids(Total::Standard) && !forbids(Total::Rc11);
    if by_the_letter {
        println!(
            "{}: forbidden by the letter of C++20, not by RC11, which is what is explored here: see `enumerated`",
            L::NAME
        );
    }
    Exhaustive::new().run(move || {
        let memory = Arc::new(Memory::new());
        let others: Vec<_> = (0..L::THREADS - 1)
            .map(|number| {
                let memory = memory.clone();
                thread::spawn(move || choice.run(number, &memory))
            })
            .collect();
        let own = choice.run(L::THREADS - 1, &memory);
        let mut read: Vec<_> = others
            .into_iter()
            .map(|other| other.join().unwrap())
            .collect();
        read.push(own);
        assert!(
            by_the_letter || !outcome(&program, &read, &memory).is(L::NEVER),
            "{}, {}: {}",
            L::NAME,
            never::<L>(),
            L::SUFFERS
        );
    });
}

mod the_outcome_is_never_seen {
    each! {
        super::the_outcome_is_never_seen;
        mp mp_fences sb wrc isa2 iriw two_plus_two_w release_sequence overwritten
    }
}
