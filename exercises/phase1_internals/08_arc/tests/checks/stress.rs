//! Real threads, real memory, more threads than most machines have cores.
//!
//! Decides whether a value was dropped twice, too early or never on this machine, and whether all memory came back. It is
//! the only check in which freed memory is really given to somebody else.
//! Does not decide orderings: x86 forgives every one of them. Does not prove anything: it samples.

use std::sync::Mutex;

use arc::{Arc, Weak};
use kata::check::{Count, Drops, Stress, Token, allocations_in};

const THREADS: usize = 6;
const ROUNDS: usize = 600;

type Shared = Arc<Token<usize>>;

/// What each thread is to own, made beforehand, so that nothing but the references is between the threads.
struct Scene<R> {
    drops: Drops,
    desks: Vec<Mutex<Option<R>>>,
    /// What the making did to the heap.
    heap: Count,
}

impl<R> Scene<R> {
    fn new(round: usize, hand_out: impl Fn(&Shared) -> R) -> Self {
        let drops = Drops::new();
        let token = drops.token(round);
        let mut desks = Vec::with_capacity(THREADS);
        let ((), heap) = allocations_in(|| {
            let arc = Arc::new(token);
            desks.extend((0..THREADS).map(|_| Mutex::new(Some(hand_out(&arc)))));
        });
        Self { drops, desks, heap }
    }

    fn take(&self, thread: usize) -> R {
        self.desks[thread]
            .lock()
            .unwrap()
            .take()
            .expect("each thread takes once a round")
    }

    /// Asserts that everything has come to its end once. Each thread counts for itself: what one allocates another frees.
    fn settle(self, heaps: Vec<Count>) {
        self.drops.assert_each_dropped_once();
        let heaps = || heaps.iter().chain([&self.heap]);
        assert!(
            heaps().map(|heap| heap.frees).sum::<u64>() <= 1,
            "the block was freed twice: the second time, it was somebody else's"
        );
        assert_eq!(
            heaps().map(|heap| heap.live_bytes).sum::<isize>(),
            0,
            "bytes that were not given back although all references are gone"
        );
    }
}

/// Reads the value, or panics if it was dropped.
fn read(arc: &Shared) {
    let _: usize = ***arc;
}

#[test]
fn clones_on_many_threads_drop_the_value_once() {
    Stress::new(THREADS).rounds(ROUNDS).run(
        |round| Scene::new(round, Shared::clone),
        |thread, scene| {
            let arc = scene.take(thread);
            let ((), heap) = allocations_in(|| {
                for _ in 0..20 {
                    let clone = arc.clone();
                    read(&clone);
                }
                drop(arc);
            });
            heap
        },
        Scene::settle,
    );
}

#[test]
fn upgrades_race_with_the_last_drop_and_lose_or_win() {
    Stress::new(THREADS).rounds(ROUNDS).run(
        |round| Scene::new(round, |arc| (arc.clone(), Arc::downgrade(arc))),
        |thread, scene| {
            let (arc, weak) = scene.take(thread);
            let ((), heap) = allocations_in(|| {
                let more = weak.clone();
                drop(arc);
                for weak in [weak, more] {
                    if let Some(arc) = weak.upgrade() {
                        drop(weak);
                        read(&arc);
                        drop(Arc::downgrade(&arc));
                    }
                }
            });
            heap
        },
        Scene::settle,
    );
}

#[test]
fn a_weak_reference_is_upgraded_while_an_arc_lives() {
    Stress::new(THREADS).rounds(ROUNDS).run(
        |round| Scene::new(round, |arc| (arc.clone(), Arc::downgrade(arc))),
        |thread, scene| {
            let (mut arc, weak) = scene.take(thread);
            let ((), heap) = allocations_in(|| {
                for _ in 0..20 {
                    assert!(
                        Arc::get_mut(&mut arc).is_none(),
                        "get_mut gave out a `&mut` although this thread alone has two references"
                    );
                    let upgraded = weak.upgrade();
                    read(
                        &upgraded
                            .expect("this thread holds an `Arc`, and its `Weak` was not upgraded"),
                    );
                }
                drop((arc, weak));
            });
            heap
        },
        Scene::settle,
    );
}

#[test]
fn the_value_is_unwrapped_once_at_most() {
    Stress::new(THREADS).rounds(ROUNDS).run(
        |round| Scene::new(round, Shared::clone),
        |thread, scene| {
            let arc = scene.take(thread);
            let ((), heap) = allocations_in(|| match Arc::try_unwrap(arc) {
                Ok(value) => assert!(
                    *value < ROUNDS,
                    "the value was moved out of memory that did not hold it"
                ),
                Err(arc) => read(&arc),
            });
            heap
        },
        Scene::settle,
    );
}

#[test]
fn get_mut_and_weak_references_never_meet() {
    /// Two numbers that are equal whenever nobody holds a `&mut`.
    type Pair = Mutex<Option<(Arc<[u64; 2]>, Weak<[u64; 2]>)>>;

    fn check(pair: &[u64; 2]) {
        assert_eq!(
            pair[0], pair[1],
            "the value was read while get_mut had lent it out to be changed"
        );
    }

    // One thread has the only `Arc` left in the end and wants to change the value; the others come and go.
    Stress::new(THREADS).rounds(ROUNDS).run(
        |_round| {
            let arc = Arc::new([0; 2]);
            let desks = (0..THREADS).map(|_| Mutex::new(Some((arc.clone(), Arc::downgrade(&arc)))));
            desks.collect::<Vec<Pair>>()
        },
        |thread, desks| {
            let (mut arc, weak) = desks[thread]
                .lock()
                .unwrap()
                .take()
                .expect("each thread takes once a round");
            drop(weak);
            for _ in 0..20 {
                if let Some(pair) = Arc::get_mut(&mut arc) {
                    pair[0] += 1;
                    std::hint::black_box(&mut *pair);
                    pair[1] += 1;
                }
                check(&arc);
                // From a weak reference and back: for a moment, this thread has no `Arc`.
                let weak = Arc::downgrade(&arc);
                drop(arc);
                match weak.upgrade() {
                    Some(back) => arc = back,
                    None => return,
                }
                check(&arc);
            }
        },
        |_, _| (),
    );
}
