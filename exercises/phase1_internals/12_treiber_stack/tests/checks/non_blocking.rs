//! Each thread in turn is stopped after each of its steps, as if the operating system had taken its processor away for
//! good, and the others have to finish without it.
//!
//! Decides whether an operation ever waits for another thread: a lock anywhere inside does, however short it is held. And
//! what an operation answers that loses every race, because another thread changes the stack between any two of its steps.
//! Does not decide how long an operation takes. A step is an operation on something from `kata`: a lock taken from `std`
//! would not be seen.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use kata::check::{Body, assert_conserved, non_blocking, outpaced};
use kata::sync::Arc;
use kata::thread;
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

/// What the busy threads push.
const BUSY: std::ops::Range<u32> = 100..400;

/// A thread that puts a new value on top three hundred times.
fn busy(stack: &Arc<Stack<u32>>, done: &std::sync::Arc<AtomicBool>) -> Body {
    let (stack, done) = (stack.clone(), done.clone());
    Box::new(move || {
        for value in BUSY {
            stack.push(value);
        }
        done.store(true, Relaxed);
    })
}

/// Asserts, once the busy thread is done, that its values and `others` are all there is, and that its own are in order.
fn settle(stack: &Stack<u32>, done: &AtomicBool, popped: Option<u32>, others: &[u32]) {
    while !done.load(Relaxed) {
        thread::yield_now();
    }
    let left: Vec<_> = std::iter::from_fn(|| stack.pop()).take(1_000).collect();
    assert!(
        left.iter()
            .filter(|value| BUSY.contains(value))
            .is_sorted_by(|above, below| above > below),
        "one thread pushed ever larger values, and out came {left:?}: not last in, first out"
    );
    assert_conserved(
        others.iter().copied().chain(BUSY),
        left.into_iter().chain(popped),
    );
}

#[test]
fn a_pop_that_loses_every_race_still_finds_a_value() {
    outpaced(usize::MAX, || {
        let stack = Arc::new(Stack::new());
        for value in 0..3 {
            stack.push(value);
        }
        // Of `std`, so that the end of the other thread is no step of the schedule.
        let done = std::sync::Arc::default();
        let others = busy(&stack, &done);
        let pop: Body = Box::new(move || {
            let popped = stack.pop();
            assert!(
                popped.is_some(),
                "pop says that the stack is empty, yet it never was: its caller goes home with work left, and only when there is \
                 much of it"
            );
            settle(&stack, &done, popped, &[0, 1, 2]);
        });
        [pop, others]
    });
}

#[test]
fn a_push_that_loses_every_race_is_not_lost() {
    outpaced(usize::MAX, || {
        let stack = Arc::new(Stack::new());
        stack.push(0);
        let done = std::sync::Arc::default();
        let others = busy(&stack, &done);
        let push: Body = Box::new(move || {
            stack.push(1);
            settle(&stack, &done, None, &[0, 1]);
        });
        [push, others]
    });
}
