//! What recording costs: the same models explored by loom itself and through `kata`.
//!
//! Each program is written once, over the paths of the facade or of loom. All of them need a single pass: no SeqCst
//! access, no weak compare-exchange, no wait. Both sides explore the same executions; rounds alternate, so that whatever
//! slows the machine slows both. Shown are executions per second, the median of the rounds, and `kata`'s share of loom's.
//!
//! `cargo bench -p kata --features loom`. A share below 0.8 is more than the picture of a failure is worth.

#[cfg(not(feature = "loom"))]
fn main() {
    println!("nothing is recorded here: add --features loom");
}

#[cfg(feature = "loom")]
fn main() {
    compare::main();
}

#[cfg(feature = "loom")]
mod compare {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Instant;

    const ROUNDS: usize = 9;
    const PREEMPTIONS: usize = 3;

    /// The programs, over `$sync`, `$thread`, `$hint` and `$cell`.
    macro_rules! programs {
        ($name:ident: $($facade:ident)::+) => {
            mod $name {
                use $($facade)::+::cell::UnsafeCell;
                use $($facade)::+::hint::spin_loop;
                use $($facade)::+::sync::Arc;
                use $($facade)::+::sync::atomic::{
                    AtomicIsize, AtomicPtr, AtomicUsize,
                    Ordering::{AcqRel, Acquire, Relaxed, Release, SeqCst},
                    fence,
                };
                use $($facade)::+::thread;
                use std::ptr;

                struct Node {
                    value: UnsafeCell<usize>,
                    next: AtomicPtr<Node>,
                }

                fn node(value: usize) -> *mut Node {
                    Box::into_raw(Box::new(Node {
                        value: UnsafeCell::new(value),
                        next: AtomicPtr::new(ptr::null_mut()),
                    }))
                }

                struct Queue {
                    first: *mut Node,
                    head: AtomicPtr<Node>,
                    tail: AtomicPtr<Node>,
                }

                // SAFETY: values are written before their node is linked, and nodes live as long as the queue.
                unsafe impl Send for Queue {}
                // SAFETY: as above.
                unsafe impl Sync for Queue {}

                impl Queue {
                    fn enqueue(&self, value: usize) {
                        let node = node(value);
                        loop {
                            let tail = self.tail.load(Acquire);
                            // SAFETY: nodes live as long as the queue.
                            let next = unsafe { &(*tail).next };
                            let behind = next.load(Acquire);
                            if !behind.is_null() {
                                let _ = self.tail.compare_exchange(tail, behind, AcqRel, Relaxed);
                            } else if next.compare_exchange(ptr::null_mut(), node, Release, Relaxed).is_ok() {
                                let _ = self.tail.compare_exchange(tail, node, AcqRel, Relaxed);
                                return;
                            }
                        }
                    }

                    fn dequeue(&self) -> Option<usize> {
                        loop {
                            let head = self.head.load(Acquire);
                            let tail = self.tail.load(Acquire);
                            // SAFETY: nodes live as long as the queue.
                            let next = unsafe { &*head }.next.load(Acquire);
                            if next.is_null() {
                                return None;
                            }
                            if head == tail {
                                let _ = self.tail.compare_exchange(tail, next, AcqRel, Relaxed);
                                continue;
                            }
                            // SAFETY: as above; nobody writes to the value of a linked node.
                            let value = unsafe { (*next).value.with(|value| *value) };
                            if self.head.compare_exchange(head, next, AcqRel, Relaxed).is_ok() {
                                return Some(value);
                            }
                        }
                    }
                }

                impl Drop for Queue {
                    fn drop(&mut self) {
                        let mut node = self.first;
                        while !node.is_null() {
                            // SAFETY: the chain contains every node once, and nobody else is left.
                            node = unsafe { Box::from_raw(node) }.next.load(Relaxed);
                        }
                    }
                }

                /// Michael and Scott's queue: two threads, two operations each.
                pub fn queue() {
                    let first = node(0);
                    let queue = Arc::new(Queue {
                        first,
                        head: AtomicPtr::new(first),
                        tail: AtomicPtr::new(first),
                    });
                    let other = {
                        let queue = queue.clone();
                        thread::spawn(move || {
                            queue.enqueue(1);
                            queue.dequeue()
                        })
                    };
                    queue.enqueue(2);
                    let found = queue.dequeue();
                    let theirs = other.join().unwrap();
                    assert!(found.is_some() || theirs.is_some());
                }

                struct Deque {
                    top: AtomicIsize,
                    bottom: AtomicIsize,
                    slots: [AtomicUsize; 2],
                }

                impl Deque {
                    fn push(&self, value: usize) {
                        let bottom = self.bottom.load(Relaxed);
                        self.slots[bottom as usize % 2].store(value, Relaxed);
                        fence(Release);
                        self.bottom.store(bottom + 1, Relaxed);
                    }

                    fn take(&self) -> usize {
                        let bottom = self.bottom.load(Relaxed) - 1;
                        self.bottom.store(bottom, Relaxed);
                        fence(SeqCst);
                        let top = self.top.load(Relaxed);
                        if top > bottom {
                            self.bottom.store(bottom + 1, Relaxed);
                            return 0;
                        }
                        let value = self.slots[bottom as usize % 2].load(Relaxed);
                        if top < bottom {
                            return value;
                        }
                        let won = self.top.compare_exchange(top, top + 1, AcqRel, Relaxed).is_ok();
                        self.bottom.store(bottom + 1, Relaxed);
                        if won { value } else { 0 }
                    }

                    fn steal(&self) -> usize {
                        let top = self.top.load(Acquire);
                        fence(SeqCst);
                        if top >= self.bottom.load(Acquire) {
                            return 0;
                        }
                        let value = self.slots[top as usize % 2].load(Relaxed);
                        let won = self.top.compare_exchange(top, top + 1, AcqRel, Relaxed).is_ok();
                        if won { value } else { 0 }
                    }
                }

                /// Chase and Lev's deque: the owner takes twice, a thief steals twice.
                pub fn deque() {
                    let deque = Arc::new(Deque {
                        top: AtomicIsize::new(0),
                        bottom: AtomicIsize::new(0),
                        slots: [AtomicUsize::new(0), AtomicUsize::new(0)],
                    });
                    let thief = {
                        let deque = deque.clone();
                        thread::spawn(move || deque.steal() + deque.steal())
                    };
                    deque.push(1);
                    deque.push(2);
                    let sum = deque.take() + deque.take();
                    assert!(sum + thief.join().unwrap() <= 3);
                }

                struct Ring {
                    slot: UnsafeCell<usize>,
                    head: AtomicUsize,
                    tail: AtomicUsize,
                }

                // SAFETY: producer and consumer take turns with the slot.
                unsafe impl Sync for Ring {}

                /// One slot, one producer, one consumer: three values.
                pub fn ring() {
                    let ring = Arc::new(Ring {
                        slot: UnsafeCell::new(0),
                        head: AtomicUsize::new(0),
                        tail: AtomicUsize::new(0),
                    });
                    let producer = {
                        let ring = ring.clone();
                        thread::spawn(move || {
                            for value in 0..3 {
                                while value - ring.head.load(Acquire) == 1 {
                                    spin_loop();
                                }
                                // SAFETY: see `Sync`.
                                ring.slot.with_mut(|slot| unsafe { *slot = value });
                                ring.tail.store(value + 1, Release);
                            }
                        })
                    };
                    for value in 0..3 {
                        while ring.tail.load(Acquire) == value {
                            spin_loop();
                        }
                        // SAFETY: see `Sync`.
                        assert_eq!(ring.slot.with(|slot| unsafe { *slot }), value);
                        ring.head.store(value + 1, Release);
                    }
                    producer.join().unwrap();
                }

                struct Inner {
                    count: AtomicUsize,
                    value: UnsafeCell<usize>,
                }

                #[derive(Clone, Copy)]
                struct Owner(*mut Inner);
                // SAFETY: the count says who is the last.
                unsafe impl Send for Owner {}

                impl Owner {
                    fn clone_and_let_go(self) {
                        // SAFETY: this owner has not let go yet.
                        let inner = unsafe { &*self.0 };
                        inner.count.fetch_add(1, Relaxed);
                        self.let_go();
                        self.let_go();
                    }

                    fn let_go(self) {
                        // SAFETY: this owner has not let go yet.
                        let inner = unsafe { &*self.0 };
                        // SAFETY: nobody writes to the value.
                        inner.value.with(|value| assert_eq!(unsafe { *value }, 5));
                        if inner.count.fetch_sub(1, Release) == 1 {
                            fence(Acquire);
                            // SAFETY: the last owner.
                            drop(unsafe { Box::from_raw(self.0) });
                        }
                    }
                }

                /// Two owners of one value; each clones it and lets go of both.
                pub fn counted() {
                    let owner = Owner(Box::into_raw(Box::new(Inner {
                        count: AtomicUsize::new(2),
                        value: UnsafeCell::new(5),
                    })));
                    let other = thread::spawn(move || owner.clone_and_let_go());
                    owner.clone_and_let_go();
                    other.join().unwrap();
                }
            }
        };
    }

    programs!(recorded: kata);
    programs!(raw: loom);

    /// Executions per second, and how many there were.
    fn rate(explore: impl FnOnce(&'static AtomicUsize)) -> (f64, usize) {
        static EXECUTIONS: AtomicUsize = AtomicUsize::new(0);
        EXECUTIONS.store(0, Ordering::Relaxed);
        let start = Instant::now();
        explore(&EXECUTIONS);
        let executions = EXECUTIONS.load(Ordering::Relaxed);
        (
            executions as f64 / start.elapsed().as_secs_f64(),
            executions,
        )
    }

    /// Explores often enough for a clock to measure.
    const TIMES: usize = if cfg!(debug_assertions) { 4 } else { 25 };

    fn by_kata(program: fn()) -> (f64, usize) {
        rate(|executions| {
            for _ in 0..TIMES {
                let exhaustive = kata::check::Exhaustive::new().preemptions(PREEMPTIONS);
                exhaustive.run(move || {
                    executions.fetch_add(1, Ordering::Relaxed);
                    program();
                });
            }
        })
    }

    fn by_loom(program: fn()) -> (f64, usize) {
        rate(|executions| {
            for _ in 0..TIMES {
                let mut engine = loom::model::Builder::new();
                engine.preemption_bound = Some(PREEMPTIONS);
                engine.max_branches = 2_000;
                engine.check(move || {
                    executions.fetch_add(1, Ordering::Relaxed);
                    program();
                });
            }
        })
    }

    fn median(mut rates: Vec<f64>) -> f64 {
        rates.sort_unstable_by(f64::total_cmp);
        rates[rates.len() / 2]
    }

    pub fn main() {
        type Program = (&'static str, fn(), fn());
        let programs: [Program; 4] = [
            ("Michael-Scott queue", recorded::queue, raw::queue),
            ("Chase-Lev deque", recorded::deque, raw::deque),
            ("SPSC ring", recorded::ring, raw::ring),
            ("reference count", recorded::counted, raw::counted),
        ];
        println!(
            "{:<22}{:>12}{:>12}{:>12}{:>8}",
            "program", "executions", "loom/s", "kata/s", "share"
        );
        let mut shares = Vec::new();
        for (name, recorded, raw) in programs {
            let (mut theirs, mut ours) = (Vec::new(), Vec::new());
            let mut executions = (0, 0);
            for _ in 0..ROUNDS {
                let (rate, count) = by_loom(raw);
                theirs.push(rate);
                executions.0 = count / TIMES;
                let (rate, count) = by_kata(recorded);
                ours.push(rate);
                executions.1 = count / TIMES;
            }
            let (theirs, ours) = (median(theirs), median(ours));
            let note = if executions.0 == executions.1 {
                String::new()
            } else {
                format!("  loom alone: {} executions", executions.0)
            };
            println!(
                "{name:<22}{:>12}{theirs:>12.0}{ours:>12.0}{:>8.2}{note}",
                executions.1,
                ours / theirs
            );
            shares.push(ours / theirs);
        }
        println!("{:<22}{:>44.2}", "median share", median(shares));
    }
}
