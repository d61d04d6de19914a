//! Every execution that C++20 allows, without load buffering, within the bounds that each check prints.
//!
//! Decides, for two or three threads of a few operations each, whether a value is lost or comes out twice, whether
//! whoever pops a value sees what was done to it before the push, whether memory is touched after it was freed, and whether
//! any is left when the stack is gone. A missing Acquire or Release shows here and nowhere else.
//! Does not decide what real-time order promises (see `linearizable`) or that nobody waits (see `non_blocking`). Sees a
//! field of a node only if it is an atomic or in a cell of `kata`; of a plain field it sees what follows from its value.

use std::iter;

use kata::check::{Exhaustive, Pairs, assert_conserved, steps};
use kata::sync::Arc;
use kata::thread;
use treiber_stack::Stack;

use super::parcel::{Parcel, Shelf};

type Parcels = Arc<Stack<Parcel>>;

/// All executions, with an eye on the memory that is left in the end.
fn explore<F: Fn() + Send + Sync + 'static>(model: F) {
    explore_within(3, model);
}

/// The same with fewer preemptions, for models that would have too many executions.
fn explore_within<F: Fn() + Send + Sync + 'static>(preemptions: usize, model: F) {
    Exhaustive::new()
        .preemptions(preemptions)
        .no_leaks()
        .run(model);
}

/// A stack that holds the first `filled` parcels of the shelf: 1 at the bottom, `filled` on top.
fn shared(shelf: &'static Shelf, filled: usize) -> Parcels {
    shelf.clear();
    let stack = Stack::new();
    for id in 1..=filled {
        stack.push(shelf.pack(id));
    }
    Arc::new(stack)
}

/// What one thread of a model does; it returns what it has popped.
type Script = fn(&Stack<Parcel>, &'static Shelf) -> Vec<usize>;

/// Runs the scripts at the same time, the first on this thread, and returns what each has popped.
fn race<const N: usize>(
    stack: &Parcels,
    shelf: &'static Shelf,
    scripts: [Script; N],
) -> [Vec<usize>; N] {
    let others: Vec<_> = scripts[1..]
        .iter()
        .map(|&script| {
            let stack = stack.clone();
            thread::spawn(move || script(&stack, shelf))
        })
        .collect();
    let mut popped = vec![scripts[0](stack, shelf)];
    popped.extend(others.into_iter().map(|other| other.join().unwrap()));
    popped.try_into().expect("each script returns once")
}

fn pop(stack: &Stack<Parcel>) -> Option<usize> {
    stack.pop().map(Parcel::open)
}

/// Some of the scripts.
fn pops_once(stack: &Stack<Parcel>, _shelf: &'static Shelf) -> Vec<usize> {
    pop(stack).into_iter().collect()
}

fn pops_twice(stack: &Stack<Parcel>, _shelf: &'static Shelf) -> Vec<usize> {
    pop(stack).into_iter().chain(pop(stack)).collect()
}

/// What is left in the stack, from the top. Of a stack without an end, the beginning.
fn rest(stack: &Stack<Parcel>) -> Vec<usize> {
    iter::from_fn(|| pop(stack)).take(10).collect()
}

/// The end of a model: all parcels up to `pushed` were pushed, and `popped` were popped.
fn settle(
    shelf: &'static Shelf,
    stack: Parcels,
    pushed: usize,
    popped: impl IntoIterator<Item = usize>,
) {
    let popped: Vec<_> = popped.into_iter().chain(rest(&stack)).collect();
    assert_conserved(1..=pushed, popped);
    assert!(
        stack.is_empty(),
        "everything was popped, and the stack says that there is something left"
    );
    drop(stack);
    shelf.assert_all_dropped_once();
}

#[test]
fn who_pops_a_value_sees_what_its_pusher_wrote() {
    let shelf = Shelf::new();
    explore(move || {
        let stack = shared(shelf, 0);
        let pushes: Script = |stack, shelf| {
            stack.push(shelf.pack(1));
            vec![]
        };
        let [_, popped] = race(&stack, shelf, [pushes, pops_once]);
        settle(shelf, stack, 1, popped);
    });
}

#[test]
fn who_tries_again_sees_what_the_pusher_wrote() {
    // The push may come between the pop's look at the top and its exchange: then the pop must look again, and properly.
    let shelf = Shelf::new();
    explore(move || {
        let stack = shared(shelf, 1);
        let pushes: Script = |stack, shelf| {
            stack.push(shelf.pack(2));
            vec![]
        };
        let [_, popped] = race(&stack, shelf, [pushes, pops_once]);
        assert_eq!(
            popped.len(),
            1,
            "pop says that the stack is empty, yet it never was: its caller goes home with work left"
        );
        settle(shelf, stack, 2, popped);
    });
}

#[test]
fn who_tries_again_and_again_sees_what_the_pusher_wrote() {
    // A push may come in before each of the pop's first three exchanges.
    let shelf = Shelf::new();
    explore_within(6, move || {
        let stack = shared(shelf, 1);
        let pushes_three: Script = |stack, shelf| {
            for id in 2..=4 {
                stack.push(shelf.pack(id));
            }
            vec![]
        };
        let [_, popped] = race(&stack, shelf, [pushes_three, pops_once]);
        settle(shelf, stack, 4, popped);
    });
}

#[test]
fn who_pops_what_was_pushed_after_lost_attempts_sees_it() {
    // The first three exchanges of the one push may fail, because the other thread was quicker.
    let shelf = Shelf::new();
    explore_within(6, move || {
        let stack = shared(shelf, 0);
        let pushes_one: Script = |stack, shelf| {
            stack.push(shelf.pack(4));
            vec![]
        };
        let pushes_three_and_pops: Script = |stack, shelf| {
            for id in 1..=3 {
                stack.push(shelf.pack(id));
            }
            pops_once(stack, shelf)
        };
        let [_, popped] = race(&stack, shelf, [pushes_one, pushes_three_and_pops]);
        settle(shelf, stack, 4, popped);
    });
}

#[test]
fn who_pops_an_uncovered_value_sees_what_its_pusher_wrote() {
    // Value 1 comes to the top twice: by its push, and when another thread pops value 2.
    let shelf = Shelf::new();
    explore_within(1, move || {
        let stack = shared(shelf, 0);
        let pushes: Script = |stack, shelf| {
            stack.push(shelf.pack(1));
            stack.push(shelf.pack(2));
            vec![]
        };
        let popped = race(&stack, shelf, [pushes, pops_once, pops_once]);
        settle(shelf, stack, 2, popped.concat());
    });
}

#[test]
fn pushes_at_the_same_time_lose_nothing() {
    let shelf = Shelf::new();
    explore(move || {
        let stack = shared(shelf, 0);
        let pushes_two: Script = |stack, shelf| {
            stack.push(shelf.pack(1));
            stack.push(shelf.pack(2));
            vec![]
        };
        let pushes_one: Script = |stack, shelf| {
            stack.push(shelf.pack(3));
            vec![]
        };
        race(&stack, shelf, [pushes_two, pushes_one]);
        let rest = rest(&stack);
        let place = |id| rest.iter().position(|&other| other == id);
        assert!(
            place(2) < place(1),
            "one thread pushed 1 and then 2; out came, from the top, {rest:?}: not last in, first out"
        );
        settle(shelf, stack, 3, rest);
    });
}

#[test]
fn pops_at_the_same_time_take_different_values() {
    let shelf = Shelf::new();
    explore_within(2, move || {
        let stack = shared(shelf, 3);
        let [two, one] = race(&stack, shelf, [pops_twice, pops_once]);
        assert!(
            two.len() == 2 && one.len() == 1,
            "three values and three pops, and one of them was told that the stack is empty"
        );
        assert!(
            two[0] > two[1],
            "one thread popped {two:?}, and nobody pushed meanwhile: not last in, first out"
        );
        settle(shelf, stack, 3, [two, one].concat());
    });
}

#[test]
fn of_three_pops_two_take_the_two_values() {
    let shelf = Shelf::new();
    explore_within(1, move || {
        let stack = shared(shelf, 2);
        let popped = race(&stack, shelf, [pops_once, pops_once, pops_once]).concat();
        assert_eq!(
            popped.len(),
            2,
            "two values, three pops, and out came {popped:?}"
        );
        settle(shelf, stack, 2, popped);
    });
}

#[test]
fn a_thread_finds_what_it_has_pushed() {
    // The other thread only pushes.
    let shelf = Shelf::new();
    explore(move || {
        let stack = shared(shelf, 0);
        let pushes: Script = |stack, shelf| {
            stack.push(shelf.pack(1));
            vec![]
        };
        let pushes_and_pops: Script = |stack, shelf| {
            stack.push(shelf.pack(2));
            assert!(
                !stack.is_empty(),
                "this thread has pushed a value, nobody pops, and the stack says that it is empty"
            );
            pops_once(stack, shelf)
        };
        let [_, popped] = race(&stack, shelf, [pushes, pushes_and_pops]);
        assert_eq!(
            popped.len(),
            1,
            "this thread has pushed a value, nobody else pops, and pop finds nothing"
        );
        settle(shelf, stack, 2, popped);
    });
}

#[test]
fn a_push_and_two_pops_at_the_same_time_lose_nothing() {
    let shelf = Shelf::new();
    explore_within(1, move || {
        let stack = shared(shelf, 1);
        let pushes: Script = |stack, shelf| {
            stack.push(shelf.pack(2));
            vec![]
        };
        let popped = race(&stack, shelf, [pushes, pops_once, pops_once]);
        settle(shelf, stack, 2, popped.concat());
    });
}

#[test]
fn a_stack_that_looks_as_before_is_not_taken_for_the_same() {
    // While one pop stands between its look and its exchange, the other thread pops twice and pushes. If the memory of
    // the first node is on top again, with another one below it, the exchange must not succeed.
    let shelf = Shelf::new();
    explore_within(2, move || {
        let stack = shared(shelf, 2);
        let pops_twice_and_pushes: Script = |stack, shelf| {
            let popped = pops_twice(stack, shelf);
            stack.push(shelf.pack(3));
            popped
        };
        let popped = race(&stack, shelf, [pops_twice_and_pushes, pops_once]);
        settle(shelf, stack, 3, popped.concat());
    });
}

#[test]
fn the_values_left_are_dropped_with_the_stack() {
    // Each thread lets go of the stack when it is done, and whoever is last drops it. Two values are left.
    let shelf = Shelf::new();
    explore(move || {
        let stack = shared(shelf, 2);
        let other = {
            let stack = stack.clone();
            thread::spawn(move || {
                stack.push(shelf.pack(3));
                drop(stack.pop());
            })
        };
        stack.push(shelf.pack(4));
        drop(stack.pop());
        drop(stack);
        other.join().unwrap();
        shelf.assert_all_dropped_once();
    });
}

#[test]
fn every_operation_meets_every_other_one() {
    let shelf = Shelf::new();
    let pairs = Pairs::new(move || {
        let stack = Stack::new();
        stack.push(shelf.pack(1));
        stack
    });
    pairs
        .operation("push", move |stack| {
            stack.push(shelf.pack(2));
            (1, 0)
        })
        .operation("pop", |stack| (0, usize::from(pop(stack).is_some())))
        .operation("is_empty", |stack| {
            stack.is_empty();
            (0, 0)
        })
        .operation("pop and push again", |stack| {
            let popped = stack.pop();
            let found = usize::from(popped.is_some());
            popped.into_iter().for_each(|parcel| stack.push(parcel));
            (found, found)
        })
        .triple(["push", "pop", "is_empty"])
        .triple(["pop", "pop", "is_empty"])
        .triple(["pop", "pop and push again", "push"])
        .triple(["pop", "pop and push again", "pop and push again"])
        .run(|stack, results| {
            let pushed = 1 + results.iter().map(|(pushed, _)| pushed).sum::<usize>();
            let popped = results.iter().map(|(_, popped)| popped).sum::<usize>();
            let left = rest(stack).len();
            assert_eq!(
                popped + left,
                pushed,
                "{pushed} values were pushed, {popped} popped, and {left} are left: some were lost or came out twice"
            );
        });
}

#[test]
fn the_model_sees_what_the_stack_does() {
    explore(|| {
        let stack = Stack::new();
        let me = thread::current();
        let before = steps(&me);
        stack.push(7);
        let pushed = steps(&me);
        assert_eq!(stack.pop(), Some(7), "the value just pushed is there");
        assert!(
            pushed > before && steps(&me) > pushed,
            "push and pop were called, and no operation on an atomic or a cell was seen: take them from `kata`, not from `std`. What \
             the model checker does not see it cannot judge"
        );
    });
}
