//! Every execution of the programs themselves that C++20 allows, without load buffering, within the bounds that each check
//! prints, on the atomics that your code uses.
//!
//! Decides whether an outcome is possible and draws how it comes about. Two programs are not here: loom never lets a load
//! read a store that comes later, so it would say of any choice for LB that it is right; and CoRR needs no ordering at all,
//! so there is nothing that it could refute. Does not decide whether a choice is stronger than it needs to be.

use super::programs::{Litmus, Memory, never, outcome, possible};
use kata::check::Exhaustive;
use kata::sync::Arc;
use kata::thread;

fn the_outcome_is_never_seen<L: Litmus>(choice: fn() -> L) {
    let choice = possible(choice);
    let program = choice.program();
    // Four threads are many; the outcome of IRIW does not need more.
    let preemptions = if L::THREADS > 3 { 2 } else { 3 };
    Exhaustive::new().preemptions(preemptions).run(move || {
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
            !outcome(&program, &read, &memory).is(L::NEVER),
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
