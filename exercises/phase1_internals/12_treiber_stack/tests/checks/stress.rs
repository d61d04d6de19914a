//! Real threads, real memory, more threads than most machines have cores.
//!
//! Decides whether a value was lost, handed out twice, dropped twice or leaked on this machine, and whether all memory
//! came back. It is the only check in which freed memory is really given to somebody else.
//! Does not decide orderings: x86 forgives every one of them. Does not prove anything: it samples.

use std::iter;
use std::sync::Mutex;

use kata::check::{Drops, Stress, Token, allocations_in, assert_conserved};
use treiber_stack::Stack;

const THREADS: usize = 4;
const VALUES: usize = 40;
const ROUNDS: usize = 1_000;

/// A stack, and what each thread is to push: made beforehand, so that nothing but the stack is between the threads.
struct Scene {
    drops: Drops,
    stack: Stack<Token<usize>>,
    supplies: Vec<Mutex<Vec<Token<usize>>>>,
}

impl Scene {
    /// `filled` values are in the stack, the newest having the highest number; each thread has `VALUES` more.
    fn new(filled: usize) -> Self {
        let drops = Drops::new();
        let stack = Stack::new();
        for value in 0..filled {
            stack.push(drops.token(value));
        }
        let supply = |thread: usize| {
            let first = filled + thread * VALUES;
            Mutex::new(
                (first..first + VALUES)
                    .map(|value| drops.token(value))
                    .collect(),
            )
        };
        let supplies = (0..THREADS).map(supply).collect();
        Self {
            drops,
            stack,
            supplies,
        }
    }

    fn supply(&self, thread: usize) -> Vec<Token<usize>> {
        std::mem::take(&mut *self.supplies[thread].lock().unwrap())
    }

    /// Asserts that `popped` and what is left in the stack are all there was, and lets everything go.
    fn settle(self, popped: Vec<Vec<Token<usize>>>) {
        let Self {
            drops,
            stack,
            supplies,
        } = self;
        let unused = supplies
            .into_iter()
            .flat_map(|supply| supply.into_inner().unwrap());
        let left = iter::from_fn(|| stack.pop()).take(drops.created() + 1);
        let values: Vec<_> = popped
            .into_iter()
            .flatten()
            .chain(unused)
            .chain(left)
            .collect();
        assert_conserved(0..drops.created(), values.iter().map(|value| **value));
        drop((values, stack));
        drops.assert_each_dropped_once();
    }
}

#[test]
fn pushes_and_pops_lose_nothing_and_drop_everything_once() {
    Stress::new(THREADS).rounds(ROUNDS).run(
        |_round| Scene::new(2),
        |thread, scene| {
            let mut popped = Vec::with_capacity(VALUES);
            for value in scene.supply(thread) {
                scene.stack.push(value);
                popped.extend(scene.stack.pop());
            }
            popped
        },
        |scene, popped| scene.settle(popped),
    );
}

#[test]
fn what_is_popped_and_pushed_again_stays_one_value() {
    // Values go round and round: the harshest for a stack that gives a node's memory back too early.
    Stress::new(THREADS).rounds(ROUNDS).run(
        |_round| Scene::new(3),
        |_thread, scene| {
            for _ in 0..VALUES {
                let (first, second) = (scene.stack.pop(), scene.stack.pop());
                first
                    .into_iter()
                    .chain(second)
                    .for_each(|value| scene.stack.push(value));
            }
        },
        |scene, _| scene.settle(Vec::new()),
    );
}

#[test]
fn pops_alone_take_the_newest_first() {
    Stress::new(THREADS).rounds(ROUNDS).run(
        |_round| Scene::new(THREADS * VALUES / 2),
        |_thread, scene| {
            let popped: Vec<_> = iter::from_fn(|| scene.stack.pop()).take(VALUES).collect();
            assert!(
                popped.is_sorted_by(|above, below| **above > **below),
                "one thread popped {popped:?}, and nobody pushed meanwhile: not last in, first out"
            );
            popped
        },
        |scene, popped| scene.settle(popped),
    );
}

#[test]
fn pushes_alone_keep_each_threads_order() {
    Stress::new(THREADS).rounds(ROUNDS).run(
        |_round| Scene::new(0),
        |thread, scene| {
            for value in scene.supply(thread) {
                scene.stack.push(value);
            }
        },
        |scene, _| {
            let all = scene.drops.created();
            let popped: Vec<_> = iter::from_fn(|| scene.stack.pop()).take(all + 1).collect();
            for thread in 0..THREADS {
                let mine = thread * VALUES..(thread + 1) * VALUES;
                let mine: Vec<_> = popped.iter().filter(|value| mine.contains(value)).collect();
                assert!(
                    mine.is_sorted_by(|above, below| ***above > ***below),
                    "the values of one thread came out as {mine:?}: not last in, first out"
                );
            }
            scene.settle(vec![popped]);
        },
    );
}

#[test]
fn a_stack_that_many_used_gives_all_its_memory_back() {
    Stress::new(THREADS).rounds(ROUNDS).run(
        |_round| allocations_in(Stack::new),
        |thread, (stack, _)| {
            let ((), heap) = allocations_in(|| {
                for value in 0..VALUES {
                    stack.push(value);
                    if (value + thread) % 3 > 0 {
                        stack.pop();
                    }
                }
            });
            heap
        },
        |(stack, made), used| {
            let ((), dropped) = allocations_in(|| drop(stack));
            // Each thread counts for itself: what one allocates another one may free.
            let left: isize = used.iter().chain([&made, &dropped]).map(|heap| heap.live_bytes).sum();
            assert_eq!(
                left, 0,
                "bytes that the stack, which is gone, has not given back: a program that makes and drops stacks runs out \
                 of memory"
            );
        },
    );
}
