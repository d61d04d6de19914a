//! One thread, real atomics.
//!
//! Decides what a single thread can see of the stack: which value comes out, who owns it, what becomes of the values that
//! are left and of the memory. Memory is counted, not sampled.
//! Does not decide anything about two threads: a stack whose `head` is a plain pointer would pass.

use kata::check::{Drops, Foreign, InDrop, allocations_in};
use rstest::rstest;
use treiber_stack::Stack;

#[test]
fn a_new_stack_holds_nothing() {
    let stack = Stack::<u32>::new();
    assert!(stack.is_empty(), "nothing was ever pushed");
    assert_eq!(
        stack.pop(),
        None,
        "nothing was ever pushed, yet something was popped"
    );
    assert_eq!(
        stack.pop(),
        None,
        "the pop of an empty stack has put something into it"
    );
}

#[test]
fn the_newest_value_comes_out_first() {
    let stack = Stack::new();
    stack.push(1);
    stack.push(2);
    assert_eq!(stack.pop(), Some(2), "1 was pushed, then 2: 2 is on top");
    stack.push(3);
    assert_eq!(stack.pop(), Some(3), "3 was pushed last: it is on top");
    assert_eq!(stack.pop(), Some(1), "the oldest value was lost on the way");
    assert_eq!(
        stack.pop(),
        None,
        "three values were pushed and three popped"
    );
}

#[test]
fn is_empty_says_whether_a_pop_would_find_something() {
    let stack = Stack::new();
    for round in 1..=3 {
        stack.push(round);
        assert!(
            !stack.is_empty(),
            "round {round}: a value was pushed, and nobody has popped it"
        );
        stack.pop();
        assert!(stack.is_empty(), "round {round}: the only value was popped");
    }
}

#[test]
fn values_without_a_size_are_counted_like_any_other() {
    let stack = Stack::new();
    stack.push(());
    stack.push(());
    assert_eq!(
        [stack.pop(), stack.pop(), stack.pop()],
        [Some(()), Some(()), None],
        "two values went in"
    );
}

#[test]
fn values_keep_their_alignment() {
    #[derive(Debug, PartialEq)]
    #[repr(align(64))]
    struct Line(u8);

    let stack = Stack::new();
    stack.push(Line(1));
    stack.push(Line(2));
    assert_eq!([stack.pop(), stack.pop()], [Some(Line(2)), Some(Line(1))]);
}

#[test]
fn a_popped_value_belongs_to_who_popped_it() {
    let drops = Drops::new();
    let stack = Stack::new();
    stack.push(drops.token(1));
    stack.push(drops.token(2));
    let popped = stack.pop().expect("two values were pushed");
    assert_eq!(
        drops.dropped(),
        0,
        "a value was dropped by the pop that should hand it out"
    );
    drop(stack);
    assert_eq!(*popped, 2, "2 was on top");
    assert_eq!(
        drops.dropped(),
        1,
        "the stack should drop the one value that it still holds, and not the one that was popped"
    );
    drop(popped);
    drops.assert_each_dropped_once();
}

#[test]
fn the_values_left_are_dropped_with_the_stack() {
    let drops = Drops::new();
    let stack = Stack::new();
    for value in 0..5 {
        stack.push(drops.token(value));
    }
    drop(stack.pop());
    drop(stack);
    drops.assert_each_dropped_once();
}

fn nothing(_stack: &Stack<u64>) {}

fn pushes_only(stack: &Stack<u64>) {
    (0..10).for_each(|value| stack.push(value));
}

fn as_many_pops(stack: &Stack<u64>) {
    pushes_only(stack);
    while stack.pop().is_some() {}
}

fn fewer_pops(stack: &Stack<u64>) {
    pushes_only(stack);
    for _ in 0..4 {
        stack.pop();
    }
    pushes_only(stack);
}

fn more_pops(stack: &Stack<u64>) {
    as_many_pops(stack);
    as_many_pops(stack);
    stack.pop();
}

#[rstest]
#[case::nothing(nothing)]
#[case::pushes_only(pushes_only)]
#[case::as_many_pops(as_many_pops)]
#[case::fewer_pops(fewer_pops)]
#[case::more_pops(more_pops)]
fn a_dropped_stack_gives_all_its_memory_back(#[case] use_the_stack: fn(&Stack<u64>)) {
    let ((), heap) = allocations_in(|| {
        let stack = Stack::new();
        use_the_stack(&stack);
    });
    assert_eq!(
        heap.live_bytes, 0,
        "bytes that the stack, which is gone, has not given back: a program that makes and drops stacks runs out of memory"
    );
}

#[test]
fn a_long_stack_is_dropped_in_a_loop() {
    let stack = Stack::new();
    for value in 0..300_000_u32 {
        stack.push(value);
    }
    // If the process dies here, it is of a stack overflow: dropping one node calls the drop of the next one, and so on.
    drop(stack);
}

#[test]
fn each_stack_stands_for_itself() {
    let (left, right) = (Stack::new(), Stack::new());
    left.push(1);
    assert!(
        right.is_empty(),
        "a value pushed into one stack is in another one as well"
    );
    right.push(2);
    assert_eq!(
        (left.pop(), right.pop()),
        (Some(1), Some(2)),
        "two stacks share their values"
    );
}

#[test]
fn a_value_may_use_its_own_stack_as_it_goes() {
    let stack: &'static Stack<InDrop<u32>> = Box::leak(Box::new(Stack::new()));
    let nosy = Foreign::acts_once(1, || {
        let above = stack.pop();
        stack.push(Foreign::counts().in_drop(3));
        stack.push(above.expect("one value was left below the one that goes"));
    });
    stack.push(Foreign::counts().in_drop(1));
    stack.push(nosy.in_drop(2));
    drop(stack.pop());
    assert_eq!(nosy.calls(), 1, "the value was dropped once");
    let left: Vec<u32> = std::iter::from_fn(|| stack.pop())
        .take(5)
        .map(|value| *value)
        .collect();
    assert_eq!(
        left,
        [1, 3],
        "the drop of a value changed the stack, in which are now"
    );
}

#[test]
fn a_value_that_panics_in_its_drop_is_dropped_once() {
    let trouble = Foreign::panics_once(1);
    let stack = Stack::new();
    for value in 0..3 {
        stack.push(trouble.in_drop(value));
    }
    let popped = stack.pop().expect("three values were pushed");
    let dropped = Foreign::survive(|| drop(stack));
    assert!(
        dropped.is_none() && trouble.calls() <= 2,
        "two values were in the stack when it went, and one panicked in its drop: {} drops",
        trouble.calls()
    );
    drop(popped);
}
