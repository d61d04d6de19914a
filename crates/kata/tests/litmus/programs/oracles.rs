//! What has an oracle of its own: operations that may not wait for others, and objects that promise an order.

use super::structures::Queue;
use kata::check::linearizability::Spec;
use kata::check::{Body, linearizable, non_blocking};
use kata::sync::Arc;
use kata::sync::atomic::{
    AtomicBool, AtomicUsize, Ordering::Acquire, Ordering::Relaxed, Ordering::Release,
    Ordering::SeqCst,
};

/// How three threads increment one counter.
#[derive(Clone, Copy)]
pub enum Increment {
    ExchangeLoop,
    SpinLock,
}

/// Is an increment non-blocking?
pub fn non_blocking_counter(how: Increment, note: fn()) {
    struct Counter {
        locked: AtomicBool,
        count: AtomicUsize,
    }
    non_blocking(move || {
        note();
        let counter = Arc::new(Counter {
            locked: AtomicBool::new(false),
            count: AtomicUsize::new(0),
        });
        let body = |counter: Arc<Counter>| -> Body {
            Box::new(move || match how {
                Increment::ExchangeLoop => {
                    let mut seen = counter.count.load(Relaxed);
                    while let Err(found) =
                        counter
                            .count
                            .compare_exchange(seen, seen + 1, Relaxed, Relaxed)
                    {
                        seen = found;
                    }
                }
                Increment::SpinLock => {
                    while counter.locked.swap(true, Acquire) {
                        kata::hint::spin_loop();
                    }
                    counter
                        .count
                        .store(counter.count.load(Relaxed) + 1, Relaxed);
                    counter.locked.store(false, Release);
                }
            })
        };
        (0..3).map(|_| body(counter.clone())).collect()
    });
}

/// Is the queue non-blocking, with threads that help and without?
pub fn non_blocking_queue(helps: bool, note: fn()) {
    non_blocking(move || {
        note();
        let queue = Arc::new(Queue::new(Release, helps));
        let enqueue = |value: usize| -> Body {
            let queue = queue.clone();
            Box::new(move || queue.enqueue(value))
        };
        let dequeue = queue.clone();
        vec![
            enqueue(1),
            enqueue(2),
            Box::new(move || _ = dequeue.dequeue()),
        ]
    });
}

#[derive(Clone, PartialEq, Eq, Hash)]
struct Count(usize);

impl Spec for Count {
    type Op = ();
    type Ret = usize;

    fn apply(&mut self, (): &()) -> usize {
        self.0 += 1;
        self.0 - 1
    }
}

/// Two threads fetch and add twice each, in one step or in two.
pub fn linearizable_counter(in_one_step: bool, note: fn()) {
    linearizable(
        Count(0),
        move || {
            note();
            AtomicUsize::new(0)
        },
        vec![vec![(); 2]; 2],
        move |count, ()| {
            if in_one_step {
                count.fetch_add(1, Relaxed)
            } else {
                let before = count.load(Relaxed);
                count.store(before + 1, Relaxed);
                before
            }
        },
    );
}

#[derive(Clone, PartialEq, Eq, Hash)]
struct Register(usize);

#[derive(Clone, Debug)]
enum Access {
    Write(usize),
    Read,
}

impl Spec for Register {
    type Op = Access;
    type Ret = usize;

    fn apply(&mut self, access: &Access) -> usize {
        if let Access::Write(value) = *access {
            self.0 = value;
        }
        self.0
    }
}

/// A register with one writer and one reader. A reader that looks at its own copy on every other read sees the values in
/// the order they were written: sequentially consistent. But it misses writes that are over, and only real time
/// tells.
pub fn linearizable_register(cached: bool, note: fn()) {
    struct Cached {
        value: AtomicUsize,
        copy: AtomicUsize,
        reads: AtomicUsize,
    }
    linearizable(
        Register(0),
        move || {
            note();
            Cached {
                value: AtomicUsize::new(0),
                copy: AtomicUsize::new(0),
                reads: AtomicUsize::new(0),
            }
        },
        vec![
            vec![Access::Write(1), Access::Write(2)],
            vec![Access::Read; 3],
        ],
        move |register, access| match *access {
            Access::Write(value) => {
                register.value.store(value, SeqCst);
                value
            }
            Access::Read => {
                if !cached || register.reads.fetch_add(1, Relaxed) % 2 == 1 {
                    register.copy.store(register.value.load(SeqCst), Relaxed);
                }
                register.copy.load(Relaxed)
            }
        },
    );
}
