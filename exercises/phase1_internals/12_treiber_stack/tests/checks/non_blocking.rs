//! Each thread in turn is stopped after each of its steps, as if the operating system had taken its processor away for
//! good, and the others have to finish without it.
//!
//! Decides whether an operation ever waits for another thread: a lock anywhere inside does, however short it is held.
//! Does not decide how long an operation takes. A step is an operation on something from `kata`: a lock taken from `std`
//! would not be seen.

use kata::check::{Body, non_blocking};
use kata::sync::Arc;
use treiber_stack::Stack;

/// Three threads of this script over a stack that holds six values.
fn three_of(script: fn(&Stack<u32>)) -> Vec<Body> {
    let stack = Arc::new(Stack::new());
    for value in 0..6 {
        stack.push(value);
    }
    (0..3)
        .map(|_| {
            let stack = stack.clone();
            Box::new(move || script(&stack)) as Body
        })
        .collect()
}

#[test]
fn nobody_waits_for_a_stopped_push() {
    non_blocking(|| {
        three_of(|stack| {
            stack.push(6);
            stack.push(7);
        })
    });
}

#[test]
fn nobody_waits_for_a_stopped_pop() {
    non_blocking(|| {
        three_of(|stack| {
            stack.pop();
            stack.pop();
        })
    });
}

#[test]
fn nobody_waits_whatever_the_others_are_at() {
    non_blocking(|| {
        three_of(|stack| {
            stack.push(6);
            stack.pop();
            stack.is_empty();
        })
    });
}
