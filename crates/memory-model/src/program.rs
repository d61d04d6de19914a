//! Litmus programs: a few threads of a few operations each, and what it means to weaken one.

use std::fmt;
use std::sync::atomic::Ordering;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release, SeqCst};

/// What a store stores.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Value {
    /// This number.
    Constant(u32),
    /// What an earlier load of the thread has put there.
    Register(&'static str),
}

impl From<u32> for Value {
    fn from(value: u32) -> Self {
        Self::Constant(value)
    }
}

impl From<&'static str> for Value {
    fn from(register: &'static str) -> Self {
        Self::Register(register)
    }
}

/// One operation of a thread. Locations and registers are known by their names; all locations hold 0 at first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Op {
    /// See [`load`].
    Load {
        /// What is read.
        location: &'static str,
        /// How.
        order: Ordering,
        /// Where the value goes.
        into: &'static str,
    },
    /// See [`store`].
    Store {
        /// What is written.
        location: &'static str,
        /// The new value.
        value: Value,
        /// How.
        order: Ordering,
    },
    /// See [`fetch_add`].
    FetchAdd {
        /// What is changed.
        location: &'static str,
        /// What is added.
        operand: u32,
        /// How.
        order: Ordering,
        /// Where the value before goes.
        into: &'static str,
    },
    /// See [`compare_exchange`].
    CompareExchange {
        /// What is changed.
        location: &'static str,
        /// The value it must have.
        current: u32,
        /// The value it then gets.
        new: u32,
        /// How, if it had that value.
        success: Ordering,
        /// How it is read, if not.
        failure: Ordering,
        /// Where the value found goes.
        into: &'static str,
    },
    /// See [`fence`]. `None` is a place where a fence could be.
    Fence(Option<Ordering>),
    /// See [`when`].
    When {
        /// What is looked at.
        register: &'static str,
        /// The value it must have.
        is: u32,
        /// What is done only then.
        then: Vec<Op>,
    },
}

/// `into = location.load(order)`.
pub fn load(location: &'static str, order: Ordering, into: &'static str) -> Op {
    Op::Load {
        location,
        order,
        into,
    }
}

/// `location.store(value, order)`.
pub fn store(location: &'static str, value: impl Into<Value>, order: Ordering) -> Op {
    Op::Store {
        location,
        value: value.into(),
        order,
    }
}

/// `into = location.fetch_add(operand, order)`.
pub fn fetch_add(location: &'static str, operand: u32, order: Ordering, into: &'static str) -> Op {
    Op::FetchAdd {
        location,
        operand,
        order,
        into,
    }
}

/// `location.compare_exchange(current, new, success, failure)`; the value found goes to `into`, whatever the outcome.
pub fn compare_exchange(
    location: &'static str,
    [current, new]: [u32; 2],
    [success, failure]: [Ordering; 2],
    into: &'static str,
) -> Op {
    Op::CompareExchange {
        location,
        current,
        new,
        success,
        failure,
        into,
    }
}

/// `fence(order)`, or a place without one.
pub fn fence(order: impl Into<Option<Ordering>>) -> Op {
    Op::Fence(order.into())
}

/// `if register == is { then }`.
pub fn when(register: &'static str, is: u32, then: impl Into<Vec<Op>>) -> Op {
    Op::When {
        register,
        is,
        then: then.into(),
    }
}

/// What an ordering belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Slot {
    Load,
    Store,
    Modify,
    Fence,
}

impl Slot {
    /// The next weaker orderings. `None` stands for no fence.
    fn weaker(self, order: Option<Ordering>) -> &'static [Option<Ordering>] {
        match (self, order) {
            (_, None | Some(Relaxed)) => &[],
            (Self::Load, Some(SeqCst)) => &[Some(Acquire)],
            (Self::Store, Some(SeqCst)) => &[Some(Release)],
            (_, Some(SeqCst)) => &[Some(AcqRel)],
            (_, Some(AcqRel)) => &[Some(Acquire), Some(Release)],
            (Self::Fence, Some(_)) => &[None],
            (_, Some(_)) => &[Some(Relaxed)],
        }
    }

    /// Why there is no such thing.
    fn misfit(self, order: Option<Ordering>) -> Option<&'static str> {
        match (self, order?) {
            (Self::Load, Release | AcqRel) => {
                Some("a load publishes nothing, so it cannot be a Release")
            }
            (Self::Store, Acquire | AcqRel) => {
                Some("a store reads nothing, so it cannot be an Acquire")
            }
            (Self::Fence, Relaxed) => Some("a Relaxed fence would order nothing: leave it out"),
            _ => None,
        }
    }
}

impl Op {
    /// Calls `visit` on each ordering.
    fn visit(&mut self, visit: &mut impl FnMut(Slot, &mut Option<Ordering>)) {
        let mut fixed = |slot, order: &mut Ordering| {
            let mut changed = Some(*order);
            visit(slot, &mut changed);
            *order = changed.expect("an access has an ordering");
        };
        match self {
            Self::Load { order, .. } => fixed(Slot::Load, order),
            Self::Store { order, .. } => fixed(Slot::Store, order),
            Self::FetchAdd { order, .. } => fixed(Slot::Modify, order),
            Self::CompareExchange {
                success, failure, ..
            } => {
                fixed(Slot::Modify, success);
                fixed(Slot::Load, failure);
            }
            Self::Fence(order) => visit(Slot::Fence, order),
            Self::When { then, .. } => then.iter_mut().for_each(|op| op.visit(visit)),
        }
    }
}

impl fmt::Display for Op {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Load {
                location, order, ..
            } => write!(formatter, "{location}.load({order:?})"),
            Self::Store {
                location,
                value: Value::Constant(value),
                order,
            } => write!(formatter, "{location}.store({value}, {order:?})"),
            Self::Store {
                location,
                value: Value::Register(register),
                order,
            } => write!(formatter, "{location}.store({register}, {order:?})"),
            Self::FetchAdd {
                location,
                operand,
                order,
                ..
            } => write!(formatter, "{location}.fetch_add({operand}, {order:?})"),
            Self::CompareExchange {
                location,
                current,
                new,
                success,
                failure,
                ..
            } => write!(
                formatter,
                "{location}.compare_exchange({current}, {new}, {success:?}, {failure:?})"
            ),
            Self::Fence(Some(order)) => write!(formatter, "fence({order:?})"),
            Self::Fence(None) => write!(formatter, "no fence"),
            Self::When { register, is, .. } => write!(formatter, "if {register} == {is}"),
        }
    }
}

/// One thread of a [`Program`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Thread {
    /// What it is called in a picture.
    pub name: &'static str,
    /// What it does, in program order.
    pub ops: Vec<Op>,
}

impl Thread {
    /// The registers it loads into, in program order.
    #[must_use]
    pub fn registers(&self) -> Vec<&'static str> {
        fn collect(ops: &[Op], registers: &mut Vec<&'static str>) {
            for op in ops {
                match op {
                    Op::Load { into, .. }
                    | Op::FetchAdd { into, .. }
                    | Op::CompareExchange { into, .. } => registers.push(into),
                    Op::When { then, .. } => collect(then, registers),
                    Op::Store { .. } | Op::Fence(_) => {}
                }
            }
        }
        let mut registers = Vec::new();
        collect(&self.ops, &mut registers);
        registers
    }
}

/// A litmus program.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Program {
    threads: Vec<Thread>,
}

impl fmt::Display for Program {
    /// A line a thread.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, thread) in self.threads.iter().enumerate() {
            let ops: Vec<String> = thread.ops.iter().map(ToString::to_string).collect();
            let line = if number > 0 { "\n" } else { "" };
            write!(formatter, "{line}{}: {}", thread.name, ops.join("; "))?;
        }
        Ok(())
    }
}

/// A program with one ordering that is one step weaker than in another one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Weaker {
    /// Whose ordering it is.
    pub thread: &'static str,
    /// The operation before, e.g. `y.store(1, SeqCst)`.
    pub before: String,
    /// The operation now, e.g. `y.store(1, Release)`.
    pub after: String,
    /// The program with it.
    pub program: Program,
}

impl Program {
    /// A program without threads.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a thread.
    #[must_use]
    pub fn thread(mut self, name: &'static str, ops: impl Into<Vec<Op>>) -> Self {
        let ops = ops.into();
        self.threads.push(Thread { name, ops });
        self
    }

    /// The threads.
    #[must_use]
    pub fn threads(&self) -> &[Thread] {
        &self.threads
    }

    /// What is said of the first ordering that its operation cannot have, if there is one.
    #[must_use]
    pub fn misfit(&self) -> Option<String> {
        let mut misfit = None;
        for thread in &self.threads {
            for op in &thread.ops {
                op.clone().visit(&mut |slot, order| {
                    if misfit.is_none()
                        && let Some(why) = slot.misfit(*order)
                    {
                        misfit = Some(format!("{}: {op}: {why}", thread.name));
                    }
                });
            }
        }
        misfit
    }

    /// All programs in which one ordering is one step weaker.
    ///
    /// A load goes `SeqCst`, `Acquire`, `Relaxed`; a store `SeqCst`, `Release`, `Relaxed`; a read-modify-write `SeqCst`,
    /// `AcqRel`, either half of it, `Relaxed`; a fence likewise, with no fence at the end.
    ///
    /// A program that is weaker in any way can be reached in such steps, and a step never takes an outcome away. So if
    /// none of these forbids an outcome, nothing weaker does.
    #[must_use]
    pub fn weakened(&self) -> Vec<Weaker> {
        let mut all = Vec::new();
        for (number, thread) in self.threads.iter().enumerate() {
            for (place, op) in thread.ops.iter().enumerate() {
                for after in weakened(op) {
                    let mut program = self.clone();
                    program.threads[number].ops[place] = after.0;
                    all.push(Weaker {
                        thread: thread.name,
                        before: after.1,
                        after: after.2,
                        program,
                    });
                }
            }
        }
        all
    }
}

/// `op` with one ordering one step weaker, and how the operation concerned reads before and after.
fn weakened(op: &Op) -> Vec<(Op, String, String)> {
    if let Op::When { register, is, then } = op {
        let mut all = Vec::new();
        for (place, inner) in then.iter().enumerate() {
            for (after, from, to) in weakened(inner) {
                let mut then = then.clone();
                then[place] = after;
                let (register, is) = (*register, *is);
                all.push((Op::When { register, is, then }, from, to));
            }
        }
        return all;
    }
    let mut all = Vec::new();
    // An operation has two orderings at most, an ordering at most two that are next.
    for (slot, step) in [(0, 0), (0, 1), (1, 0), (1, 1)] {
        let mut after = op.clone();
        let mut seen = 0;
        after.visit(&mut |kind, order| {
            if seen == slot
                && let Some(weaker) = kind.weaker(*order).get(step)
            {
                *order = *weaker;
            }
            seen += 1;
        });
        if after != *op {
            let (from, to) = (op.to_string(), after.to_string());
            all.push((after, from, to));
        }
    }
    all
}
