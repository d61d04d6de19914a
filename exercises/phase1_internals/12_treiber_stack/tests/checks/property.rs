//! Random sequences of operations, against a `Vec`.
//!
//! Decides whether some short sequence of pushes and pops on one thread has another result than on a `Vec`, and shrinks
//! it to the shortest. Every value must be dropped once, whenever the stack is dropped.
//! Does not decide anything about two threads. The sequences are the same in every run.

use kata::check::Drops;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use treiber_stack::Stack;

#[derive(Clone, Debug)]
enum Op {
    Push,
    Pop,
    IsEmpty,
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![3 => Just(Op::Push), 2 => Just(Op::Pop), 1 => Just(Op::IsEmpty)]
}

fn fixed() -> ProptestConfig {
    ProptestConfig {
        cases: 300,
        rng_seed: RngSeed::Fixed(0x6B61_7461),
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

proptest! {
    #![proptest_config(fixed())]

    #[test]
    fn a_stack_answers_as_a_vec_does(ops in vec(op(), 0..60)) {
        let drops = Drops::new();
        let (stack, mut model) = (Stack::new(), Vec::new());
        for (number, op) in ops.iter().enumerate() {
            match op {
                Op::Push => {
                    stack.push(drops.token(number));
                    model.push(number);
                }
                Op::Pop => {
                    let popped = stack.pop().map(|token| *token);
                    prop_assert_eq!(popped, model.pop(), "the answer of a pop; values are numbered by their push");
                }
                Op::IsEmpty => {
                    prop_assert_eq!(stack.is_empty(), model.is_empty(), "the answer of is_empty");
                }
            }
        }
        prop_assert_eq!(drops.created() - drops.dropped(), model.len(), "values that are still there");
        drop(stack);
        drops.assert_each_dropped_once();
    }
}
