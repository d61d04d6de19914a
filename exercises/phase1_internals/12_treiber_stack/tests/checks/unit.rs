//! One thread, real atomics.
//!
//! Decides what a single thread can see of the stack: which value comes out, who owns it, what becomes of the values that
//! are left and of the memory. Memory is counted, not sampled.
//! Does not decide anything about two threads: a stack whose `head` is a plain pointer would pass.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Barrier;
use std::thread;

use kata::check::{Drops, Foreign, InDrop, allocations_in, assert_conserved};
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

/// Looks at its own address as it goes.
macro_rules! aligned {
    ($name:ident, $align:literal, $content:ty) => {
        #[derive(Debug)]
        #[repr(align($align))]
        struct $name($content);

        impl Drop for $name {
            fn drop(&mut self) {
                assert_eq!(
                    std::ptr::from_mut(self).addr() % $align,
                    0,
                    "a value that asks for addresses divisible by {} was kept at another one: what it does there is undefined",
                    $align
                );
            }
        }
    };
}
aligned!(Line, 64, u8);
aligned!(Page, 4096, u8);
aligned!(Big, 16, [u8; 9_000]);
aligned!(Nothing, 256, ());

#[test]
fn values_keep_their_alignment_and_content() {
    fn goes_through<T>(values: [T; 5], same: impl Fn(&T, usize) -> bool) {
        let stack = Stack::new();
        for value in values {
            stack.push(value);
        }
        for number in [4, 3] {
            let popped = stack.pop().expect("five values were pushed");
            assert!(
                same(&popped, number),
                "value {number} was on top, and came out changed"
            );
        }
        // The other ones go with the stack.
        drop(stack);
    }
    let numbers = [0, 1, 2, 3, 4_u8];
    goes_through(numbers.map(Line), |line, number| {
        usize::from(line.0) == number
    });
    goes_through(numbers.map(Page), |page, number| {
        usize::from(page.0) == number
    });
    goes_through(numbers.map(|number| Big([number; 9_000])), |big, number| {
        big.0.iter().all(|&byte| usize::from(byte) == number)
    });
    goes_through(numbers.map(|_| Nothing(())), |_, _| true);
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

/// Counts its drops.
struct Counted(usize, Rc<Cell<usize>>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.1.set(self.1.get() + 1);
    }
}

#[test]
fn the_seventy_thousandth_value_is_treated_as_the_first() {
    // More than sixteen bits can count: of values that are there, of operations, and of values that ever passed through.
    const MANY: usize = 70_000;
    const LEFT: usize = 66_000;
    let dropped = Rc::new(Cell::new(0));
    let ((), heap) = allocations_in(|| {
        let stack = Stack::new();
        for value in 0..MANY {
            stack.push(Counted(value, dropped.clone()));
            assert!(
                !stack.is_empty(),
                "{} values were pushed, and is_empty says yes",
                value + 1
            );
        }
        for value in (LEFT..MANY).rev() {
            assert!(
                !stack.is_empty(),
                "{} values are left, and is_empty says yes",
                value + 1
            );
            let popped = stack.pop().map(|popped| popped.0);
            assert_eq!(
                popped,
                Some(value),
                "{} values are left: the newest comes first",
                value + 1
            );
        }
        for value in MANY..2 * MANY {
            stack.push(Counted(value, dropped.clone()));
            let popped = stack.pop().map(|popped| popped.0);
            assert_eq!(
                popped,
                Some(value),
                "{value} values have passed through: the newest comes first"
            );
        }
        drop(stack);
    });
    assert_eq!(
        dropped.get(),
        2 * MANY,
        "values that were dropped: each of them once, popped or left in the stack"
    );
    assert_eq!(
        heap.live_bytes, 0,
        "bytes that the stack, which is gone, has not given back after {MANY} values"
    );
}

#[test]
fn eleven_hundred_threads_are_served_like_one() {
    // All alive at once: whoever gives a thread a place of its own runs out of places, or gives one away twice.
    const THREADS: usize = 1_100;
    let stack = Stack::new();
    let all_here = Barrier::new(THREADS);
    let popped = thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS)
            .map(|value| {
                let (stack, all_here) = (&stack, &all_here);
                thread::Builder::new()
                    .stack_size(64 << 10)
                    .spawn_scoped(scope, move || {
                        stack.push(value);
                        all_here.wait();
                        stack.pop()
                    })
                    .expect("a thread can be started")
            })
            .collect();
        threads
            .into_iter()
            .filter_map(|thread| thread.join().unwrap())
            .collect::<Vec<_>>()
    });
    assert_conserved(0..THREADS, popped);
    assert!(
        stack.is_empty(),
        "as many pops as pushes, and is_empty says that there is something left"
    );
}

#[test]
fn a_stack_may_be_moved_between_two_operations() {
    let (mut here, mut there) = (Stack::new(), Stack::new());
    for value in 0..4 {
        here.push(value);
        there.push(10 + value);
    }
    here.pop();
    there.pop();
    std::mem::swap(&mut here, &mut there);
    let moved = Box::new(here);
    moved.push(14);
    moved.pop();
    assert_eq!(
        [moved.pop(), moved.pop(), moved.pop(), moved.pop()],
        [Some(12), Some(11), Some(10), None],
        "the stack was moved while it held three values, the newest being 12"
    );
    assert!(
        moved.is_empty() && !there.is_empty(),
        "the two stacks were moved, and is_empty looks at the wrong one"
    );
    assert_eq!(
        there.pop(),
        Some(2),
        "another stack was moved at the same time"
    );
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
fn a_value_may_use_another_stack_as_it_goes() {
    // What a stack remembers for its thread, and not for itself, is in disorder in the middle of its drop.
    let other: &'static Stack<InDrop<u32>> = Box::leak(Box::new(Stack::new()));
    let nosy = Foreign::acts_once(1, || {
        other.push(Foreign::counts().in_drop(5));
        drop(other.pop());
        other.push(Foreign::counts().in_drop(6));
    });
    let stack = Stack::new();
    stack.push(Foreign::counts().in_drop(1));
    stack.push(nosy.in_drop(2));
    stack.push(Foreign::counts().in_drop(3));
    drop(stack);
    assert_eq!(
        nosy.calls(),
        1,
        "a value that was left in the stack is dropped once"
    );
    let left: Vec<u32> = std::iter::from_fn(|| other.pop())
        .take(3)
        .map(|value| *value)
        .collect();
    assert_eq!(
        left,
        [6],
        "while one stack was dropped another one was used, in which are now"
    );
}

#[test]
fn a_value_that_panics_in_its_drop_is_dropped_once() {
    for panics in 1..=3 {
        let trouble = Foreign::panics_once(panics);
        let drops: [Cell<usize>; 4] = Default::default();
        struct Value<'a>(&'a Cell<usize>, Foreign);
        impl Drop for Value<'_> {
            fn drop(&mut self) {
                self.0.set(self.0.get() + 1);
                self.1.call();
            }
        }
        let stack = Stack::new();
        for here in &drops {
            stack.push(Value(here, trouble.clone()));
        }
        let popped = stack.pop().expect("four values were pushed");
        let dropped = Foreign::survive(|| drop(stack));
        assert!(
            dropped.is_none(),
            "a value panicked in its drop, and the stack kept it to itself"
        );
        let counts: Vec<_> = drops.iter().map(Cell::get).collect();
        assert!(
            counts[..3].iter().all(|&count| count <= 1) && counts[2] == 1 && counts[3] == 0,
            "three values were in the stack when it went, and number {panics} from the top panicked in its drop. Drops of each, \
             from the bottom, the popped one last: {counts:?}"
        );
        drop(popped);
    }
}
