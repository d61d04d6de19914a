//! All executions of each program under the C++20 memory model, which is Rust's, enumerated one by one.
//!
//! Decides whether an outcome is possible, and so whether a choice is too weak or needlessly strong: both exactly, for
//! these programs. Does not decide what your machine does. On one point the standard's text and what compilers do are
//! known to differ: see `nothing_weaker_would_do`.

use super::programs::{Litmus, never, possible};
use kata::check::cpp20::{Cycles, Model, Total};

/// C++20, and the model it was made from. Load buffering is allowed, values out of thin air are not.
const READINGS: [Model; 2] = [
    Model {
        total: Total::Standard,
        cycles: Cycles::WithoutDependencies,
    },
    Model {
        total: Total::Rc11,
        cycles: Cycles::WithoutDependencies,
    },
];

fn no_execution_shows_the_outcome<L: Litmus>(choice: fn() -> L) {
    let program = possible(choice).program();
    if let Some(witness) = program.find(READINGS[0], |outcome| outcome.is(L::NEVER)) {
        panic!(
            "{}: too weak. This execution ends with {}: {}.\n\n{witness}",
            L::NAME,
            never::<L>(),
            L::SUFFERS
        );
    }
}

/// A choice passes if it is a weakest one in one of the two readings.
///
/// They differ where SeqCst loads observe a store that is not SeqCst itself. By the letter of C++20 that orders the
/// loads. But a processor that reads its own store back before anybody else sees it does not obey, and so this is under
/// repair (LWG issue 3941). A choice that relies on the letter is right here, and so is one that does not.
fn nothing_weaker_would_do<L: Litmus>(choice: fn() -> L) {
    let program = possible(choice).program();
    let forbidden = |model| {
        program
            .find(model, |outcome| outcome.is(L::NEVER))
            .is_none()
    };
    let needless = |model| program.needlessly_strong(model, |outcome| outcome.is(L::NEVER));
    let [letter, rc11] = READINGS.map(|model| forbidden(model).then(|| needless(model)));
    match (letter, rc11) {
        // The second one is forbidden in both readings.
        (Some(Some(_)), Some(Some(weaker))) => panic!(
            "{}: needlessly strong. In the thread \"{}\" replace `{}` by `{}`, and {} is still impossible. An ordering \
             that nothing needs costs time on most machines, and the next reader looks for what it is there for.",
            L::NAME,
            weaker.thread,
            weaker.before,
            weaker.after,
            never::<L>()
        ),
        (Some(Some(weaker)), None) => panic!(
            "{}: a weakest choice in neither reading. By RC11, which is what compilers implement, it is too weak: {} is \
             possible. By the letter of C++20 it is stronger than needed: in the thread \"{}\" `{}` would do instead of \
             `{}`. Choose by one of the two: the README says where they part.",
            L::NAME,
            never::<L>(),
            weaker.thread,
            weaker.after,
            weaker.before
        ),
        // A weakest one in a reading; or possible by the letter, and the other check says so.
        _ => {}
    }
}

mod no_execution_shows_the_outcome {
    each! { super::no_execution_shows_the_outcome }
}

mod nothing_weaker_would_do {
    each! { super::nothing_weaker_would_do }
}
