//! The programs, each written down twice: as code that runs on this machine and under a model checker, and as data for
//! the enumerator.

use kata::check::cpp20::{Op, Outcome, Program, fence, fetch_add, load, store};
use kata::sync::atomic::Ordering::{self, Relaxed};
use kata::sync::atomic::{self, AtomicU32};
use litmus::{
    CoRr, Iriw, Isa2, Lb, Mp, MpFences, Overwritten, ReleaseSequence, Sb, Side, TwoPlusTwoW, Wrc,
};

/// What the threads of a program share.
pub struct Memory {
    x: AtomicU32,
    y: AtomicU32,
    z: AtomicU32,
}

impl Memory {
    pub fn new() -> Self {
        Self {
            x: AtomicU32::new(0),
            y: AtomicU32::new(0),
            z: AtomicU32::new(0),
        }
    }
}

/// What a thread has read, in program order. What it has no register for is 0.
pub type Read = [u32; 2];

/// A program with orderings chosen.
pub trait Litmus: Copy + Send + Sync + 'static {
    /// What it is called in the literature.
    const NAME: &'static str;
    const THREADS: usize;
    /// The outcome that must not be.
    const NEVER: &'static [(&'static str, u32)];
    /// What somebody suffers who sees it nonetheless.
    const SUFFERS: &'static str;
    /// All Relaxed, without fences.
    #[cfg_attr(feature = "loom", allow(dead_code))]
    const WEAKEST: Self;

    /// Runs one thread of it.
    fn run(&self, thread: usize, memory: &Memory) -> Read;

    /// The same, for the enumerator.
    fn program(&self) -> Program;
}

/// The outcome of a run that is over.
pub fn outcome(program: &Program, read: &[Read], memory: &Memory) -> Outcome {
    let registers = program
        .threads()
        .iter()
        .zip(read)
        .flat_map(|(thread, &read)| thread.registers().into_iter().zip(read));
    let ops = || program.threads().iter().flat_map(|thread| &thread.ops);
    let used = |name| {
        ops().any(|op| match op {
            Op::Load { location, .. }
            | Op::Store { location, .. }
            | Op::FetchAdd { location, .. } => *location == name,
            _ => false,
        })
    };
    let last = [("x", &memory.x), ("y", &memory.y), ("z", &memory.z)]
        .into_iter()
        .filter(|&(name, _)| used(name))
        // Relaxed: all threads have been joined.
        .map(|(name, location)| (name, location.load(Relaxed)));
    registers.chain(last).collect()
}

/// The choice, if there can be such a program.
pub fn possible<L: Litmus>(choice: fn() -> L) -> L {
    let choice = choice();
    if let Some(misfit) = choice.program().misfit() {
        panic!("{}: {misfit}. At run time it is a panic.", L::NAME);
    }
    choice
}

/// `a = 1, b = 0`.
pub fn never<L: Litmus>() -> Outcome {
    L::NEVER.iter().copied().collect()
}

fn fence_if(order: Option<Ordering>) {
    if let Some(order) = order {
        atomic::fence(order);
    }
}

const RELAXED: Side = Side {
    first: Relaxed,
    fence: None,
    second: Relaxed,
};

impl Litmus for Mp {
    const NAME: &'static str = "MP";
    const THREADS: usize = 2;
    const NEVER: &'static [(&'static str, u32)] = &[("a", 1), ("b", 0)];
    const SUFFERS: &'static str =
        "the reader has seen the flag and works on a message that is not there";
    const WEAKEST: Self = Self {
        x_store: Relaxed,
        y_store: Relaxed,
        y_load: Relaxed,
        x_load: Relaxed,
    };

    fn run(&self, thread: usize, memory: &Memory) -> Read {
        if thread == 0 {
            memory.x.store(1, self.x_store);
            memory.y.store(1, self.y_store);
            [0, 0]
        } else {
            let a = memory.y.load(self.y_load);
            let b = memory.x.load(self.x_load);
            [a, b]
        }
    }

    fn program(&self) -> Program {
        Program::new()
            .thread(
                "writer",
                [store("x", 1, self.x_store), store("y", 1, self.y_store)],
            )
            .thread(
                "reader",
                [load("y", self.y_load, "a"), load("x", self.x_load, "b")],
            )
    }
}

impl Litmus for MpFences {
    const NAME: &'static str = "MP+fences";
    const THREADS: usize = 2;
    const NEVER: &'static [(&'static str, u32)] = Mp::NEVER;
    const SUFFERS: &'static str = Mp::SUFFERS;
    const WEAKEST: Self = Self {
        writer: None,
        reader: None,
    };

    fn run(&self, thread: usize, memory: &Memory) -> Read {
        if thread == 0 {
            memory.x.store(1, Relaxed);
            fence_if(self.writer);
            memory.y.store(1, Relaxed);
            [0, 0]
        } else {
            let a = memory.y.load(Relaxed);
            fence_if(self.reader);
            let b = memory.x.load(Relaxed);
            [a, b]
        }
    }

    fn program(&self) -> Program {
        Program::new()
            .thread(
                "writer",
                [
                    store("x", 1, Relaxed),
                    fence(self.writer),
                    store("y", 1, Relaxed),
                ],
            )
            .thread(
                "reader",
                [
                    load("y", Relaxed, "a"),
                    fence(self.reader),
                    load("x", Relaxed, "b"),
                ],
            )
    }
}

impl Litmus for CoRr {
    const NAME: &'static str = "CoRR";
    const THREADS: usize = 2;
    const NEVER: &'static [(&'static str, u32)] = &[("a", 1), ("b", 0)];
    const SUFFERS: &'static str = "a counter that only grows has been seen to shrink";
    const WEAKEST: Self = Self {
        store: Relaxed,
        first: Relaxed,
        second: Relaxed,
    };

    fn run(&self, thread: usize, memory: &Memory) -> Read {
        if thread == 0 {
            memory.x.store(1, self.store);
            [0, 0]
        } else {
            let a = memory.x.load(self.first);
            let b = memory.x.load(self.second);
            [a, b]
        }
    }

    fn program(&self) -> Program {
        Program::new()
            .thread("writer", [store("x", 1, self.store)])
            .thread(
                "reader",
                [load("x", self.first, "a"), load("x", self.second, "b")],
            )
    }
}

impl Litmus for Sb {
    const NAME: &'static str = "SB";
    const THREADS: usize = 2;
    const NEVER: &'static [(&'static str, u32)] = &[("a", 0), ("b", 0)];
    const SUFFERS: &'static str =
        "each thread has announced itself and missed the other: both enter the critical section";
    const WEAKEST: Self = Self {
        left: RELAXED,
        right: RELAXED,
    };

    fn run(&self, thread: usize, memory: &Memory) -> Read {
        if thread == 0 {
            memory.x.store(1, self.left.first);
            fence_if(self.left.fence);
            let a = memory.y.load(self.left.second);
            [a, 0]
        } else {
            memory.y.store(1, self.right.first);
            fence_if(self.right.fence);
            let b = memory.x.load(self.right.second);
            [b, 0]
        }
    }

    fn program(&self) -> Program {
        let Self { left, right } = self;
        Program::new()
            .thread(
                "left",
                [
                    store("x", 1, left.first),
                    fence(left.fence),
                    load("y", left.second, "a"),
                ],
            )
            .thread(
                "right",
                [
                    store("y", 1, right.first),
                    fence(right.fence),
                    load("x", right.second, "b"),
                ],
            )
    }
}

impl Litmus for Lb {
    const NAME: &'static str = "LB";
    const THREADS: usize = 2;
    const NEVER: &'static [(&'static str, u32)] = &[("a", 1), ("b", 1)];
    const SUFFERS: &'static str = "each thread has read what the other one stores only later: effects have come before their causes";
    const WEAKEST: Self = Self {
        x_load: Relaxed,
        y_store: Relaxed,
        y_load: Relaxed,
        x_store: Relaxed,
    };

    fn run(&self, thread: usize, memory: &Memory) -> Read {
        if thread == 0 {
            let a = memory.x.load(self.x_load);
            memory.y.store(1, self.y_store);
            [a, 0]
        } else {
            let b = memory.y.load(self.y_load);
            memory.x.store(1, self.x_store);
            [b, 0]
        }
    }

    fn program(&self) -> Program {
        Program::new()
            .thread(
                "left",
                [load("x", self.x_load, "a"), store("y", 1, self.y_store)],
            )
            .thread(
                "right",
                [load("y", self.y_load, "b"), store("x", 1, self.x_store)],
            )
    }
}

impl Litmus for Wrc {
    const NAME: &'static str = "WRC";
    const THREADS: usize = 3;
    const NEVER: &'static [(&'static str, u32)] = &[("a", 1), ("b", 1), ("c", 0)];
    const SUFFERS: &'static str =
        "the reader has been told of a value by one who saw it, and does not find it";
    const WEAKEST: Self = Self {
        x_store: Relaxed,
        x_load: Relaxed,
        y_store: Relaxed,
        y_load: Relaxed,
        x_reload: Relaxed,
    };

    fn run(&self, thread: usize, memory: &Memory) -> Read {
        match thread {
            0 => {
                memory.x.store(1, self.x_store);
                [0, 0]
            }
            1 => {
                let a = memory.x.load(self.x_load);
                memory.y.store(1, self.y_store);
                [a, 0]
            }
            _ => {
                let b = memory.y.load(self.y_load);
                let c = memory.x.load(self.x_reload);
                [b, c]
            }
        }
    }

    fn program(&self) -> Program {
        Program::new()
            .thread("writer", [store("x", 1, self.x_store)])
            .thread(
                "courier",
                [load("x", self.x_load, "a"), store("y", 1, self.y_store)],
            )
            .thread(
                "reader",
                [load("y", self.y_load, "b"), load("x", self.x_reload, "c")],
            )
    }
}

impl Litmus for Isa2 {
    const NAME: &'static str = "ISA2";
    const THREADS: usize = 3;
    const NEVER: &'static [(&'static str, u32)] = &[("a", 1), ("b", 1), ("c", 0)];
    const SUFFERS: &'static str =
        "a message handed on by a courier is not there when the reader has been told of it";
    const WEAKEST: Self = Self {
        x_store: Relaxed,
        y_store: Relaxed,
        y_load: Relaxed,
        z_store: Relaxed,
        z_load: Relaxed,
        x_load: Relaxed,
    };

    fn run(&self, thread: usize, memory: &Memory) -> Read {
        match thread {
            0 => {
                memory.x.store(1, self.x_store);
                memory.y.store(1, self.y_store);
                [0, 0]
            }
            1 => {
                let a = memory.y.load(self.y_load);
                memory.z.store(1, self.z_store);
                [a, 0]
            }
            _ => {
                let b = memory.z.load(self.z_load);
                let c = memory.x.load(self.x_load);
                [b, c]
            }
        }
    }

    fn program(&self) -> Program {
        Program::new()
            .thread(
                "writer",
                [store("x", 1, self.x_store), store("y", 1, self.y_store)],
            )
            .thread(
                "courier",
                [load("y", self.y_load, "a"), store("z", 1, self.z_store)],
            )
            .thread(
                "reader",
                [load("z", self.z_load, "b"), load("x", self.x_load, "c")],
            )
    }
}

impl Litmus for Iriw {
    const NAME: &'static str = "IRIW";
    const THREADS: usize = 4;
    const NEVER: &'static [(&'static str, u32)] = &[("a", 1), ("b", 0), ("c", 1), ("d", 0)];
    const SUFFERS: &'static str =
        "two readers disagree about which of two events came first, and act on it";
    const WEAKEST: Self = Self {
        x_store: Relaxed,
        y_store: Relaxed,
        xy: RELAXED,
        yx: RELAXED,
    };

    fn run(&self, thread: usize, memory: &Memory) -> Read {
        match thread {
            0 => {
                memory.x.store(1, self.x_store);
                [0, 0]
            }
            1 => {
                memory.y.store(1, self.y_store);
                [0, 0]
            }
            2 => {
                let a = memory.x.load(self.xy.first);
                fence_if(self.xy.fence);
                let b = memory.y.load(self.xy.second);
                [a, b]
            }
            _ => {
                let c = memory.y.load(self.yx.first);
                fence_if(self.yx.fence);
                let d = memory.x.load(self.yx.second);
                [c, d]
            }
        }
    }

    fn program(&self) -> Program {
        let Self { xy, yx, .. } = self;
        Program::new()
            .thread("writer of x", [store("x", 1, self.x_store)])
            .thread("writer of y", [store("y", 1, self.y_store)])
            .thread(
                "reader xy",
                [
                    load("x", xy.first, "a"),
                    fence(xy.fence),
                    load("y", xy.second, "b"),
                ],
            )
            .thread(
                "reader yx",
                [
                    load("y", yx.first, "c"),
                    fence(yx.fence),
                    load("x", yx.second, "d"),
                ],
            )
    }
}

impl Litmus for TwoPlusTwoW {
    const NAME: &'static str = "2+2W";
    const THREADS: usize = 2;
    const NEVER: &'static [(&'static str, u32)] = &[("x", 1), ("y", 1)];
    const SUFFERS: &'static str = "what is left are the first halves of two updates, although each thread wrote its second half last";
    const WEAKEST: Self = Self {
        left: RELAXED,
        right: RELAXED,
    };

    fn run(&self, thread: usize, memory: &Memory) -> Read {
        if thread == 0 {
            memory.x.store(1, self.left.first);
            fence_if(self.left.fence);
            memory.y.store(2, self.left.second);
        } else {
            memory.y.store(1, self.right.first);
            fence_if(self.right.fence);
            memory.x.store(2, self.right.second);
        }
        [0, 0]
    }

    fn program(&self) -> Program {
        let Self { left, right } = self;
        Program::new()
            .thread(
                "left",
                [
                    store("x", 1, left.first),
                    fence(left.fence),
                    store("y", 2, left.second),
                ],
            )
            .thread(
                "right",
                [
                    store("y", 1, right.first),
                    fence(right.fence),
                    store("x", 2, right.second),
                ],
            )
    }
}

impl Litmus for ReleaseSequence {
    const NAME: &'static str = "release sequence";
    const THREADS: usize = 3;
    const NEVER: &'static [(&'static str, u32)] = &[("a", 2), ("b", 0)];
    const SUFFERS: &'static str = "the reader has seen the flag, raised by the writer and counted by another, and the message is not there";
    const WEAKEST: Self = Self {
        x_store: Relaxed,
        y_store: Relaxed,
        y_add: Relaxed,
        y_load: Relaxed,
        x_load: Relaxed,
    };

    fn run(&self, thread: usize, memory: &Memory) -> Read {
        match thread {
            0 => {
                memory.x.store(1, self.x_store);
                memory.y.store(1, self.y_store);
                [0, 0]
            }
            1 => {
                let c = memory.y.fetch_add(1, self.y_add);
                [c, 0]
            }
            _ => {
                let a = memory.y.load(self.y_load);
                let b = memory.x.load(self.x_load);
                [a, b]
            }
        }
    }

    fn program(&self) -> Program {
        Program::new()
            .thread(
                "writer",
                [store("x", 1, self.x_store), store("y", 1, self.y_store)],
            )
            .thread("counter", [fetch_add("y", 1, self.y_add, "c")])
            .thread(
                "reader",
                [load("y", self.y_load, "a"), load("x", self.x_load, "b")],
            )
    }
}

impl Litmus for Overwritten {
    const NAME: &'static str = "overwritten";
    const THREADS: usize = 2;
    const NEVER: &'static [(&'static str, u32)] = &[("a", 2), ("b", 0)];
    const SUFFERS: &'static str =
        "the reader has seen the second value of the flag, and the message is not there";
    const WEAKEST: Self = Self {
        x_store: Relaxed,
        first: Relaxed,
        second: Relaxed,
        y_load: Relaxed,
        x_load: Relaxed,
    };

    fn run(&self, thread: usize, memory: &Memory) -> Read {
        if thread == 0 {
            memory.x.store(1, self.x_store);
            memory.y.store(1, self.first);
            memory.y.store(2, self.second);
            [0, 0]
        } else {
            let a = memory.y.load(self.y_load);
            let b = memory.x.load(self.x_load);
            [a, b]
        }
    }

    fn program(&self) -> Program {
        let Self { first, second, .. } = *self;
        Program::new()
            .thread(
                "writer",
                [
                    store("x", 1, self.x_store),
                    store("y", 1, first),
                    store("y", 2, second),
                ],
            )
            .thread(
                "reader",
                [load("y", self.y_load, "a"), load("x", self.x_load, "b")],
            )
    }
}

/// A test for each of the programs named, called like it, that hands the choice to `$check`.
macro_rules! each {
    ($check:expr; $($program:ident)*) => {$(
        #[test]
        fn $program() {
            $check(litmus::$program);
        }
    )*};
    ($check:expr) => {
        each! { $check; mp mp_fences corr sb lb wrc isa2 iriw two_plus_two_w release_sequence overwritten }
    };
}
