//! Random, reproducible schedules of more threads and more operations than the exhaustive checks can afford.
//!
//! Decides whether values are lost, invented, handed out twice or leaked when four threads push and pop in any order, and
//! whether memory is touched after it was freed.
//! Does not decide orderings: here every atomic access is sequentially consistent. Does not decide everything: it samples.

use std::iter;

use kata::check::{Randomized, assert_conserved, steps};
use kata::sync::Arc;
use kata::thread;
use treiber_stack::Stack;

use super::parcel::{Parcel, Shelf};

const THREADS: usize = 4;

/// Runs `script` on `THREADS` threads over a stack that holds the parcels before number `filled`. The script gets the
/// number of its thread and returns what it popped. In the end all parcels before number `pushed` must have come out once.
fn conserve<F>(shelf: &'static Shelf, filled: usize, pushed: usize, script: F)
where
    F: Fn(usize, &Stack<Parcel>) -> Vec<usize> + Copy + Send + 'static,
{
    let stack = Arc::new(Stack::new());
    for id in 0..filled {
        stack.push(shelf.pack(id));
    }
    let threads: Vec<_> = (0..THREADS)
        .map(|thread| {
            let stack = stack.clone();
            thread::spawn(move || script(thread, &stack))
        })
        .collect();
    let mut popped = Vec::new();
    for thread in threads {
        popped.extend(thread.join().unwrap());
    }
    popped.extend(iter::from_fn(|| pop(&stack)).take(2 * pushed));
    assert_conserved(0..pushed, popped);
    drop(stack);
    shelf.assert_all_dropped_once();
}

fn pop(stack: &Stack<Parcel>) -> Option<usize> {
    stack.pop().map(Parcel::open)
}

#[test]
fn pushes_and_pops_in_turn_lose_nothing() {
    let shelf = Shelf::new();
    Randomized::new().no_leaks().run(move || {
        conserve(shelf, 0, 3 * THREADS, move |thread, stack| {
            let mut popped = Vec::new();
            for number in 0..3 {
                stack.push(shelf.pack(3 * thread + number));
                popped.extend(pop(stack));
            }
            popped
        });
    });
}

#[test]
fn many_pops_of_few_values_take_each_once() {
    let shelf = Shelf::new();
    Randomized::new().no_leaks().run(move || {
        conserve(shelf, 6, 6, |_thread, stack| {
            let popped: Vec<_> = (0..3).filter_map(|_| pop(stack)).collect();
            assert!(
                popped.is_sorted_by(|above, below| above > below),
                "one thread popped {popped:?}, and nobody pushed meanwhile: not last in, first out"
            );
            popped
        });
    });
}

#[test]
fn two_pops_and_a_push_in_turn_lose_nothing() {
    // The pattern that makes a recycled node dangerous.
    let shelf = Shelf::new();
    Randomized::new().no_leaks().run(move || {
        conserve(shelf, 6, 6 + 2 * THREADS, move |thread, stack| {
            let mut popped = Vec::new();
            for number in 0..2 {
                popped.extend(pop(stack));
                popped.extend(pop(stack));
                stack.push(shelf.pack(6 + 2 * thread + number));
            }
            popped
        });
    });
}

#[test]
fn nodes_that_go_round_again_and_again_lose_nothing() {
    // Few nodes and many rounds: a tag of a few bits comes round, and one that is used twice meets its own node again.
    const ROUNDS: usize = 24;
    const SCHEDULES: usize = 1_500;
    let shelf = Shelf::new();
    Randomized::new()
        .schedules(SCHEDULES)
        .no_leaks()
        .run(move || {
            conserve(shelf, 1, 1 + THREADS, move |thread, stack| {
                let mut mine = Some(shelf.pack(1 + thread));
                for _ in 0..ROUNDS {
                    mine.into_iter().for_each(|parcel| stack.push(parcel));
                    mine = stack.pop();
                }
                mine.map(Parcel::open).into_iter().collect()
            });
        });
}

#[test]
fn twenty_threads_lose_nothing() {
    const MANY: usize = 20;
    let shelf = Shelf::new();
    Randomized::new().schedules(60).no_leaks().run(move || {
        let stack = Arc::new(Stack::new());
        let threads: Vec<_> = (0..MANY)
            .map(|thread| {
                let stack = stack.clone();
                thread::spawn(move || {
                    stack.push(shelf.pack(2 * thread));
                    stack.push(shelf.pack(2 * thread + 1));
                    pop(&stack)
                })
            })
            .collect();
        let mut popped: Vec<_> = threads
            .into_iter()
            .filter_map(|thread| thread.join().unwrap())
            .collect();
        assert_eq!(
            popped.len(),
            MANY,
            "every thread pushed twice and popped once, and so many of {MANY} pops found something"
        );
        popped.extend(iter::from_fn(|| pop(&stack)).take(2 * MANY));
        assert_conserved(0..2 * MANY, popped);
        drop(stack);
        shelf.assert_all_dropped_once();
    });
}

#[test]
fn two_stacks_at_once_keep_to_themselves() {
    // One of them goes while threads are in the other one.
    let shelf = Shelf::new();
    Randomized::new().schedules(200).no_leaks().run(move || {
        let (stays, goes) = (Arc::new(Stack::new()), Arc::new(Stack::new()));
        let threads: Vec<_> = (0..3)
            .map(|thread| {
                let (stays, goes) = (stays.clone(), goes.clone());
                thread::spawn(move || {
                    stays.push(shelf.pack(2 * thread));
                    goes.push(shelf.pack(10 + thread));
                    let popped = pop(&goes);
                    drop(goes);
                    assert!(
                        popped.is_some_and(|id| id >= 10),
                        "a pop after a push found nothing, or what was pushed to another stack: {popped:?}"
                    );
                    let popped = pop(&stays);
                    stays.push(shelf.pack(2 * thread + 1));
                    popped
                })
            })
            .collect();
        drop(goes);
        let mut popped = Vec::new();
        for thread in threads {
            popped.extend(thread.join().unwrap());
        }
        popped.extend(iter::from_fn(|| pop(&stays)).take(10));
        assert_conserved(0..6, popped);
        drop(stays);
        shelf.assert_all_dropped_once();
    });
}

#[test]
fn an_operation_on_a_long_stack_takes_no_more_steps() {
    const LONG: usize = 140;
    const STEPS: usize = 25;
    Randomized::new().schedules(1).run(|| {
        let me = thread::current();
        let stack = Stack::new();
        let before = steps(&me);
        // Who yields is not taken for one that spins.
        for value in 0..LONG {
            stack.push(value);
            thread::yield_now();
        }
        for _ in 0..LONG / 2 {
            stack.pop();
            stack.is_empty();
            thread::yield_now();
        }
        let each = (steps(&me) - before) / (2 * LONG);
        assert!(
            each <= STEPS,
            "{LONG} values were pushed and half of them popped, by one thread, and an operation took {each} steps on average: the \
             longer the stack, the slower"
        );
    });
}
