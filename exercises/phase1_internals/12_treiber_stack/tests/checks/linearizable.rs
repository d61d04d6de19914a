//! Random, reproducible schedules, and for each the question whether some sequential stack could have answered like that.
//!
//! Decides whether every operation takes effect at one moment between its call and its return: whether a pop that finds
//! nothing was ever right, whether the newest value really came first, whether `is_empty` tells the truth.
//! Does not decide orderings, and does not decide everything: it samples.

use std::fmt;

use kata::check::linearizability::Spec;
use kata::check::linearizable;
use treiber_stack::Stack;

/// A stack for one thread.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Sequential(Vec<u32>);

#[derive(Clone)]
enum Op {
    Push(u32),
    Pop,
    IsEmpty,
}
use Op::{IsEmpty, Pop, Push};

#[derive(Clone, PartialEq)]
enum Answer {
    Nothing,
    Popped(Option<u32>),
    Empty(bool),
}

impl Spec for Sequential {
    type Op = Op;
    type Ret = Answer;

    fn apply(&mut self, op: &Op) -> Answer {
        match *op {
            Push(value) => {
                self.0.push(value);
                Answer::Nothing
            }
            Pop => Answer::Popped(self.0.pop()),
            IsEmpty => Answer::Empty(self.0.is_empty()),
        }
    }
}

impl Op {
    fn perform(&self, stack: &Stack<u32>) -> Answer {
        match *self {
            Push(value) => {
                stack.push(value);
                Answer::Nothing
            }
            Pop => Answer::Popped(stack.pop()),
            IsEmpty => Answer::Empty(stack.is_empty()),
        }
    }
}

impl fmt::Debug for Op {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Push(value) => write!(f, "push({value})"),
            Pop => f.write_str("pop()"),
            IsEmpty => f.write_str("is_empty()"),
        }
    }
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Answer::Nothing => f.write_str("()"),
            Answer::Popped(value) => value.fmt(f),
            Answer::Empty(empty) => empty.fmt(f),
        }
    }
}

/// The stack and its model, with these values in them, the last one on top.
fn filled(values: &'static [u32]) -> (Sequential, impl Fn() -> Stack<u32> + Send + Sync) {
    let build = move || {
        let stack = Stack::new();
        for &value in values {
            stack.push(value);
        }
        stack
    };
    (Sequential(values.to_vec()), build)
}

#[test]
fn pushes_and_pops_happen_one_after_the_other() {
    let (model, build) = filled(&[]);
    linearizable(
        model,
        build,
        vec![
            vec![Push(1), Pop, Push(2)],
            vec![Push(3), Pop],
            vec![Pop, Push(4), Pop],
        ],
        |stack, op| op.perform(stack),
    );
}

#[test]
fn pops_alone_happen_one_after_the_other() {
    let (model, build) = filled(&[1, 2, 3, 4]);
    linearizable(
        model,
        build,
        vec![vec![Pop, Pop], vec![Pop, Pop], vec![Pop]],
        |stack, op| op.perform(stack),
    );
}

#[test]
fn a_pop_finds_nothing_only_if_there_is_nothing() {
    let (model, build) = filled(&[]);
    linearizable(
        model,
        build,
        vec![vec![Push(1), Pop], vec![Push(2), Pop], vec![Push(3), Pop]],
        |stack, op| op.perform(stack),
    );
}

#[test]
fn is_empty_is_true_only_while_there_is_nothing() {
    let (model, build) = filled(&[]);
    linearizable(
        model,
        build,
        vec![
            vec![Push(1), IsEmpty, Pop],
            vec![IsEmpty, Pop, IsEmpty],
            vec![Push(2), IsEmpty],
        ],
        |stack, op| op.perform(stack),
    );
}
