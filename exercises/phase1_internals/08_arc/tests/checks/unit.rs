//! One thread, real atomics, counted memory.
//!
//! Decides what a single thread can see of the references: which value they show, when it is dropped, when the memory is
//! given back, also if the value's drop panics, who is told to be the only one, and what happens when there are too many.
//! Does not decide anything about two threads: counts in plain integers would pass.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::Command;
use std::sync::Mutex;

use arc::{Arc, MAX_REFERENCES, Weak};
use kata::check::{Drops, Foreign, Token, allocations_in};
use rstest::rstest;

type Shared = Arc<Token<&'static str>>;

#[test]
fn all_references_show_one_value() {
    let arc = Arc::new(7);
    let clone = arc.clone();
    assert_eq!(
        (*arc, *clone),
        (7, 7),
        "an `Arc` must show the value given to `new`"
    );
    assert!(
        std::ptr::eq(&*arc, &*clone),
        "a clone shows a copy: what one owner does to a `Mutex` inside, the other does not see"
    );
    let upgraded = Arc::downgrade(&arc)
        .upgrade()
        .expect("two `Arc`s are alive");
    assert!(
        std::ptr::eq(&*arc, &*upgraded),
        "an upgraded `Weak` shows something else than the `Arc` it came from"
    );
}

#[test]
fn a_value_that_panics_in_its_drop_takes_its_memory_with_it() {
    for weak_too in [false, true] {
        let trouble = Foreign::panics_once(1);
        let ((), heap) = allocations_in(|| {
            let arc = Arc::new(trouble.in_drop(7));
            let weak = weak_too.then(|| Arc::downgrade(&arc));
            let dropped = Foreign::survive(|| drop(arc));
            assert_eq!(
                (dropped, trouble.calls()),
                (None, 1),
                "the last owner is gone: its value is dropped once, and whoever dropped it gets the panic"
            );
            assert!(
                weak.is_none_or(|weak| weak.upgrade().is_none()),
                "the drop of the value has panicked, and a `Weak` still gives the value out"
            );
        });
        assert!(
            heap.frees <= heap.allocations,
            "the drop of the value has panicked, and its memory was freed twice"
        );
        assert_eq!(
            heap.live_bytes, 0,
            "bytes that were not given back although all references are gone: the drop of the value has panicked. A supervisor \
             that catches panics runs out of memory"
        );
    }
}

#[test]
fn a_value_of_no_bytes_is_a_value() {
    let mut arc = Arc::new(());
    let clone = arc.clone();
    assert!(
        Arc::get_mut(&mut arc).is_none(),
        "get_mut gave out a `&mut` to a value that a clone shows as well"
    );
    drop(clone);
    let weak = Arc::downgrade(&arc);
    assert_eq!(
        (Arc::try_unwrap(arc).ok(), weak.upgrade().as_deref()),
        (Some(()), None),
        "the only owner asked for its value, which its `Weak`s then have no longer"
    );
}

thread_local! {
    static DROPPED: Cell<usize> = const { Cell::new(0) };
}

/// A value of some size and alignment, whose drops are counted.
struct Laid<T>(T);

impl<T> Drop for Laid<T> {
    fn drop(&mut self) {
        DROPPED.set(DROPPED.get() + 1);
    }
}

fn keeps<T: Clone + PartialEq>(value: T) {
    const MANY: usize = 5;
    DROPPED.set(0);
    let ((), heap) = allocations_in(|| {
        // Several at once, so that none has a good address by chance only.
        let arcs: Vec<_> = (0..MANY).map(|_| Arc::new(Laid(value.clone()))).collect();
        let weaks: Vec<_> = arcs.iter().map(Arc::downgrade).collect();
        for mut arc in arcs {
            assert!(
                std::ptr::from_ref(&arc.0)
                    .addr()
                    .is_multiple_of(align_of::<T>()),
                "a value of type {} lies at an address that is no multiple of {}: whoever uses it has undefined behaviour",
                std::any::type_name::<T>(),
                align_of::<T>()
            );
            assert!(
                arc.0 == value,
                "the value is another one than was given to `new`"
            );
            let clone = arc.clone();
            assert!(
                Arc::get_mut(&mut arc).is_none() && clone.0 == value,
                "two owners show one value"
            );
        }
        assert!(
            weaks.iter().all(|weak| weak.upgrade().is_none()),
            "the owners are gone"
        );
    });
    assert_eq!(
        DROPPED.get(),
        MANY,
        "{MANY} values of {} bytes had owners and have none: each is dropped once",
        size_of::<T>()
    );
    assert_eq!(
        heap.live_bytes, 0,
        "all references are gone, and memory was not given back"
    );
}

#[test]
fn values_of_any_size_and_alignment_are_kept() {
    #[derive(Clone, PartialEq)]
    #[repr(align(64))]
    struct Line(u8);
    #[derive(Clone, PartialEq)]
    #[repr(align(4096))]
    struct Page(u8);
    #[derive(Clone, PartialEq)]
    #[repr(align(128))]
    struct Nothing;

    keeps(());
    keeps(Nothing);
    keeps(7_u8);
    keeps(None::<usize>);
    keeps([1_u16, 2, 3]);
    keeps([7_u128; 3]);
    keeps(Line(7));
    keeps(Page(7));
    keeps([7_u8; 20_001]);
}

#[test]
fn many_references_are_counted_one_by_one() {
    // More than a number of 16 bits counts, though a lower limit than this may have been chosen.
    const MANY: usize = if MAX_REFERENCES < 70_000 {
        MAX_REFERENCES / 2
    } else {
        70_000
    };
    let drops = Drops::new();
    let mut arc = Arc::new(drops.token("the value"));
    for kind in 0..4 {
        let weak = Arc::downgrade(&arc);
        let (mut arcs, mut weaks) = (Vec::new(), Vec::new());
        for _ in 0..MANY {
            match kind {
                0 => arcs.push(arc.clone()),
                1 => arcs.push(
                    weak.upgrade()
                        .expect("an `Arc` is alive, and an upgrade says that the value is gone"),
                ),
                2 => weaks.push(Arc::downgrade(&arc)),
                _ => weaks.push(weak.clone()),
            }
        }
        drop(weak);
        while !arcs.is_empty() || !weaks.is_empty() {
            // Asked when many are left, and when one is.
            if (arcs.len() + weaks.len()) % 4_096 == 1 {
                assert!(
                    Arc::get_mut(&mut arc).is_none(),
                    "get_mut gave out a `&mut` to a value that has {} more `Arc`s and {} `Weak`s",
                    arcs.len(),
                    weaks.len()
                );
                if !arcs.is_empty() {
                    arc = Arc::try_unwrap(arc)
                        .expect_err("the value was moved out, and there are other owners");
                }
            }
            arcs.pop();
            weaks.pop();
        }
        assert_eq!(
            drops.dropped(),
            0,
            "{MANY} references came and went, and the value was dropped under its owner"
        );
        assert!(
            Arc::get_mut(&mut arc).is_some(),
            "{MANY} references came and went, and get_mut says that there is one left"
        );
    }
    drop(arc);
    drops.assert_each_dropped_once();
}

#[test]
fn calls_that_fail_leave_no_trace_however_often() {
    const CALLS: usize = 70_000;
    let drops = Drops::new();
    let (token, other) = (drops.token("the value"), drops.token("another one"));
    let ((), heap) = allocations_in(|| {
        let gone = Arc::downgrade(&Arc::new(other));
        let mut arc = Arc::new(token);
        let clone = arc.clone();
        for _ in 0..CALLS {
            assert!(gone.upgrade().is_none(), "the value is gone");
            assert!(
                Arc::get_mut(&mut arc).is_none(),
                "get_mut gave out a `&mut` to a value that a clone shows as well"
            );
            arc = Arc::try_unwrap(arc)
                .expect_err("the value was moved out although a clone shows it");
        }
        drop(clone);
        assert!(
            Arc::get_mut(&mut arc).is_some(),
            "the clone is gone, yet get_mut says that there is one: a call that failed has counted"
        );
    });
    drops.assert_each_dropped_once();
    assert_eq!(
        heap.live_bytes, 0,
        "calls have failed {CALLS} times, and memory is kept: a program that tries again and again runs out of it"
    );
    assert!(
        heap.allocations <= 2,
        "two `Arc`s were made, and a call that failed has gone to the allocator"
    );
}

#[test]
fn more_than_a_thousand_values_at_once_are_not_mixed_up() {
    const VALUES: usize = 1_100;
    let drops = Drops::new();
    let arcs: Vec<_> = (0..VALUES)
        .map(|number| Arc::new(drops.token(number)))
        .collect();
    let weaks: Vec<_> = arcs.iter().map(Arc::downgrade).collect();
    let clones = arcs.clone();
    for (number, (arc, weak)) in arcs.into_iter().zip(&weaks).enumerate() {
        drop(arc);
        assert_eq!(
            weak.upgrade().map(|arc| **arc),
            Some(number),
            "there are {VALUES} values, and a `Weak` of one of them has lost it or shows another one"
        );
    }
    for clone in clones {
        assert!(
            Arc::try_unwrap(clone).is_ok(),
            "the only owner asked for its value"
        );
    }
    assert!(
        weaks.iter().all(|weak| weak.upgrade().is_none()),
        "the owners are gone"
    );
    drops.assert_each_dropped_once();
}

#[test]
fn a_value_may_own_others_of_its_type() {
    struct Node {
        next: Option<Arc<Node>>,
        back: Mutex<Option<Weak<Node>>>,
        _drops: Token<usize>,
    }

    let drops = Drops::new();
    let tokens: Vec<_> = (0..20).map(|number| drops.token(number)).collect();
    let ((), heap) = allocations_in(move || {
        let mut list: Option<Arc<Node>> = None;
        for token in tokens {
            let node = Arc::new(Node {
                next: list.take(),
                back: Mutex::new(None),
                _drops: token,
            });
            if let Some(next) = &node.next {
                *next.back.lock().unwrap() = Some(Arc::downgrade(&node));
            }
            list = Some(node);
        }
        // Its drop drops the next one, and so on; each drops a `Weak` of the one before.
        drop(list);
    });
    drops.assert_each_dropped_once();
    assert!(
        heap.live_bytes <= 0,
        "a list is gone, each node owned by the one before it, and memory of its nodes is kept"
    );
}

#[test]
fn a_reference_that_is_dropped_in_a_panic_is_dropped_as_any_other() {
    for weak_last in [false, true] {
        let drops = Drops::new();
        let token = drops.token("the value");
        let ((), heap) = allocations_in(|| {
            let arc = Arc::new(token);
            let (clone, weak) = (arc.clone(), Arc::downgrade(&arc));
            let panicked = catch_unwind(AssertUnwindSafe(|| {
                let _weak = (!weak_last).then(|| weak.clone());
                let _arcs = (arc, clone);
                std::panic::resume_unwind(Box::new(()));
            }));
            assert!(panicked.is_err(), "the owner has panicked");
            assert!(
                weak.upgrade().is_none(),
                "both owners went in a panic, and the value is still there"
            );
        });
        drops.assert_each_dropped_once();
        assert_eq!(
            heap.live_bytes, 0,
            "the owners went in a panic, and the memory is kept"
        );
    }
}

/// Ways for all references to a value to come to their end. At the mark, the last `Arc` goes.
type Ending = fn(Shared, &dyn Fn(), &dyn Fn());

fn an_only_reference(arc: Shared, alive: &dyn Fn(), gone: &dyn Fn()) {
    alive();
    drop(arc);
    gone();
}

fn clones_in_the_order_of_their_making(arc: Shared, alive: &dyn Fn(), gone: &dyn Fn()) {
    let (second, third) = (arc.clone(), arc.clone());
    drop(arc);
    drop(second);
    alive();
    drop(third);
    gone();
}

fn clones_in_the_opposite_order(arc: Shared, alive: &dyn Fn(), gone: &dyn Fn()) {
    let (second, third) = (arc.clone(), arc.clone());
    drop(third);
    drop(second);
    alive();
    drop(arc);
    gone();
}

fn a_weak_reference_first(arc: Shared, alive: &dyn Fn(), gone: &dyn Fn()) {
    drop(Arc::downgrade(&arc));
    alive();
    drop(arc);
    gone();
}

fn a_weak_reference_last(arc: Shared, alive: &dyn Fn(), gone: &dyn Fn()) {
    let weak = Arc::downgrade(&arc);
    alive();
    drop(arc);
    gone();
    drop(weak);
    gone();
}

fn clones_of_a_weak_reference_last(arc: Shared, alive: &dyn Fn(), gone: &dyn Fn()) {
    let weak = Arc::downgrade(&arc);
    alive();
    drop(arc);
    let clone = weak.clone();
    drop(weak);
    drop(clone.clone());
    drop(clone);
    gone();
}

fn an_upgraded_reference_last(arc: Shared, alive: &dyn Fn(), gone: &dyn Fn()) {
    let weak = Arc::downgrade(&arc);
    let upgraded = weak.upgrade().expect("an `Arc` is alive");
    drop(arc);
    drop(weak);
    alive();
    drop(upgraded);
    gone();
}

fn a_failed_upgrade_last(arc: Shared, alive: &dyn Fn(), gone: &dyn Fn()) {
    let weak = Arc::downgrade(&arc);
    alive();
    drop(arc);
    for _ in 0..2 {
        assert!(
            weak.upgrade().is_none(),
            "the last `Arc` is gone, yet a `Weak` was upgraded: its user works on a value that was dropped"
        );
    }
    gone();
}

fn a_failed_try_unwrap_last(arc: Shared, alive: &dyn Fn(), gone: &dyn Fn()) {
    let clone = arc.clone();
    let arc = Arc::try_unwrap(arc).expect_err("there is a clone");
    alive();
    drop(clone);
    alive();
    drop(arc);
    gone();
}

/// The value of an `Arc` that is the only one.
fn value_of(arc: Shared) -> Token<&'static str> {
    match Arc::try_unwrap(arc) {
        Ok(value) => value,
        Err(_) => panic!("the only owner asked for its value and did not get it"),
    }
}

fn unwrapped(arc: Shared, alive: &dyn Fn(), gone: &dyn Fn()) {
    let value = value_of(arc);
    alive();
    drop(value);
    gone();
}

fn unwrapped_under_a_weak_reference(arc: Shared, alive: &dyn Fn(), gone: &dyn Fn()) {
    let weak = Arc::downgrade(&arc);
    let value = value_of(arc);
    assert!(
        weak.upgrade().is_none(),
        "the value was moved out, yet a `Weak` was upgraded: two owners of one value, and both will drop it"
    );
    drop(weak);
    alive();
    drop(value);
    gone();
}

fn asked_whether_it_is_the_only_one(mut arc: Shared, alive: &dyn Fn(), gone: &dyn Fn()) {
    let weak = Arc::downgrade(&arc);
    let _ = Arc::get_mut(&mut arc);
    drop(weak);
    let _ = Arc::get_mut(&mut arc);
    alive();
    drop(arc);
    gone();
}

#[rstest]
#[case::an_only_reference(an_only_reference)]
#[case::clones_in_the_order_of_their_making(clones_in_the_order_of_their_making)]
#[case::clones_in_the_opposite_order(clones_in_the_opposite_order)]
#[case::a_weak_reference_first(a_weak_reference_first)]
#[case::a_weak_reference_last(a_weak_reference_last)]
#[case::clones_of_a_weak_reference_last(clones_of_a_weak_reference_last)]
#[case::an_upgraded_reference_last(an_upgraded_reference_last)]
#[case::a_failed_upgrade_last(a_failed_upgrade_last)]
#[case::a_failed_try_unwrap_last(a_failed_try_unwrap_last)]
#[case::unwrapped(unwrapped)]
#[case::unwrapped_under_a_weak_reference(unwrapped_under_a_weak_reference)]
#[case::asked_whether_it_is_the_only_one(asked_whether_it_is_the_only_one)]
fn the_value_and_its_memory_go_when_the_last_reference_does(#[case] end: Ending) {
    let drops = Drops::new();
    let token = drops.token("the value");
    let alive = || {
        assert_eq!(
            drops.dropped(),
            0,
            "the value was dropped while it still had an owner"
        );
    };
    let gone = || {
        assert_ne!(
            drops.dropped(),
            0,
            "the last owner is gone and the value is still there: the file or socket that it holds stays open"
        );
        drops.assert_each_dropped_once();
    };
    let ((), heap) = allocations_in(|| end(Arc::new(token), &alive, &gone));
    assert_eq!(
        heap.allocations, 1,
        "an `Arc` is a single allocation, however many references there are"
    );
    assert!(
        heap.frees <= 1,
        "the one block was freed {} times: the second time, it was somebody else's",
        heap.frees
    );
    assert_eq!(
        heap.live_bytes, 0,
        "bytes that were not given back although all references are gone: a program that makes and drops them runs out of \
         memory"
    );
}

#[test]
fn a_weak_reference_keeps_the_memory_and_not_the_value() {
    let drops = Drops::new();
    let token = drops.token("the value");
    let (weak, heap) = allocations_in(|| Arc::downgrade(&Arc::new(token)));
    drops.assert_each_dropped_once();
    assert_eq!(
        heap.frees, 0,
        "the memory was given back while a `Weak` points to it: its next upgrade reads what belongs to somebody else"
    );
    let ((), heap) = allocations_in(|| drop(weak));
    assert_eq!(
        heap.frees, 1,
        "the last reference is gone, and the memory is not given back"
    );
}

#[test]
fn a_value_may_hold_weak_references_to_itself() {
    /// As a node of a tree knows the way to itself, for its children to be given.
    struct Node {
        me: Mutex<Option<Weak<Node>>>,
        _drops: Token<&'static str>,
    }

    impl Drop for Node {
        fn drop(&mut self) {
            let me = self
                .me
                .get_mut()
                .unwrap()
                .take()
                .expect("the node knows itself");
            assert!(
                me.upgrade().is_none(),
                "a value that is being dropped was handed out: its user works on what is half gone"
            );
        }
    }

    let drops = Drops::new();
    let token = drops.token("the node");
    let ((), heap) = allocations_in(|| {
        let node = Arc::new(Node {
            me: Mutex::new(None),
            _drops: token,
        });
        *node.me.lock().unwrap() = Some(Arc::downgrade(&node));
        drop(node);
    });
    drops.assert_each_dropped_once();
    assert!(
        heap.frees <= heap.allocations,
        "the last `Weak` was dropped by the value itself, and the memory was freed twice"
    );
    assert_eq!(
        heap.live_bytes, 0,
        "the last `Weak` was dropped by the value itself, and the memory is leaked"
    );
}

#[test]
fn get_mut_is_for_the_only_reference() {
    const ALONE: &str =
        "nobody else has a reference, yet get_mut says so: its caller clones the value for nothing";
    let mut arc = Arc::new(1);
    *Arc::get_mut(&mut arc).expect(ALONE) += 1;

    let clone = arc.clone();
    assert!(
        Arc::get_mut(&mut arc).is_none(),
        "get_mut gave out a `&mut` to a value that a clone shows as well"
    );
    drop(clone);
    *Arc::get_mut(&mut arc).expect(ALONE) += 1;

    let weak = Arc::downgrade(&arc);
    assert!(
        Arc::get_mut(&mut arc).is_none(),
        "get_mut gave out a `&mut` to a value that a `Weak` can be upgraded to meanwhile"
    );
    drop(weak);
    *Arc::get_mut(&mut arc).expect(ALONE) += 1;

    let weak = Arc::downgrade(&arc);
    drop((arc, weak.upgrade()));
    let mut arc = Arc::new(4);
    *Arc::get_mut(&mut arc).expect(ALONE) += 1;
    assert_eq!(*arc, 5, "what get_mut gave out is not the value");
}

#[test]
fn try_unwrap_is_for_the_last_owner() {
    let arc = Arc::new(7);
    let clone = arc.clone();
    let before = std::ptr::from_ref(&*arc);
    let arc = Arc::try_unwrap(arc)
        .expect_err("the value was moved out although a clone shows it as well");
    assert!(
        std::ptr::eq(&*arc, before),
        "what a failed try_unwrap returned is not the `Arc` that it was given"
    );
    drop(arc);
    assert_eq!(
        Arc::try_unwrap(clone).ok(),
        Some(7),
        "the only owner asked for its value and did not get it"
    );
}

/// One more reference of some kind, and whether there was one. The new one is forgotten.
type OneMore = fn(&Arc<u8>, &Weak<u8>) -> bool;

fn a_clone(arc: &Arc<u8>, _: &Weak<u8>) -> bool {
    std::mem::forget(arc.clone());
    true
}

fn an_upgrade(_: &Arc<u8>, weak: &Weak<u8>) -> bool {
    let upgraded = weak.upgrade();
    let success = upgraded.is_some();
    std::mem::forget(upgraded);
    success
}

fn a_downgrade(arc: &Arc<u8>, _: &Weak<u8>) -> bool {
    std::mem::forget(Arc::downgrade(arc));
    true
}

fn a_clone_of_a_weak_reference(_: &Arc<u8>, weak: &Weak<u8>) -> bool {
    std::mem::forget(weak.clone());
    true
}

#[rstest]
#[case::a_clone(a_clone)]
#[case::an_upgrade(an_upgrade)]
#[case::a_downgrade(a_downgrade)]
#[case::a_clone_of_a_weak_reference(a_clone_of_a_weak_reference)]
fn half_of_the_most_references_are_not_too_many(#[case] one_more: OneMore) {
    const { assert!(MAX_REFERENCES >= 65_535) };
    let arc = Arc::with_forgotten(7, MAX_REFERENCES / 2, MAX_REFERENCES / 2);
    let weak = Arc::downgrade(&arc);
    assert!(
        one_more(&arc, &weak),
        "the value is alive, yet a `Weak` was not upgraded"
    );
    drop(arc);
    assert!(
        weak.upgrade().is_some(),
        "forgotten owners are owners: the value must stay"
    );
}

/// In the environment of the process that does what ought to end it.
const VICTIM: &str = "KATA_ONE_REFERENCE_TOO_MANY";
const BEGINS: &str = "<begins>";
const SURVIVES: &str = "<survives>";

#[rstest]
#[case::a_clone(a_clone, "a_clone", MAX_REFERENCES, 0)]
#[case::an_upgrade(an_upgrade, "an_upgrade", MAX_REFERENCES, 0)]
#[case::a_downgrade(a_downgrade, "a_downgrade", 0, MAX_REFERENCES - 1)]
#[case::a_clone_of_a_weak_reference(a_clone_of_a_weak_reference, "a_clone_of_a_weak_reference", 0, MAX_REFERENCES - 1)]
fn no_count_ever_starts_again_from_zero(
    #[case] one_more: OneMore,
    #[case] name: &str,
    #[case] arcs: usize,
    #[case] weaks: usize,
) {
    if let Ok(victim) = std::env::var(VICTIM) {
        // All cases are run in there; one is meant.
        if victim == name {
            let arc = Arc::with_forgotten(7, arcs, weaks);
            println!("{BEGINS}");
            let weak = Arc::downgrade(&arc);
            for _ in 0..4 {
                // A panic is no end of the process: whoever catches it goes on counting.
                let _ = catch_unwind(AssertUnwindSafe(|| one_more(&arc, &weak)));
            }
            println!("{SURVIVES}");
        }
        return;
    }
    drop(Arc::new(7));
    let (_crate, module) = module_path!().split_once("::").expect("this is a module");
    let output = Command::new(std::env::current_exe().expect("a test has a file"))
        .arg(format!("{module}::no_count_ever_starts_again_from_zero"))
        .arg("--nocapture")
        .env(VICTIM, name)
        .output()
        .expect("a test can start itself");
    let output = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.contains(BEGINS),
        "the process that was to end did not begin: {output}"
    );
    assert!(
        !output.contains(SURVIVES),
        "{name} succeeded or panicked although there were MAX_REFERENCES, and the process goes on. Safe code can go on like \
         this, with `mem::forget` and `catch_unwind`, until the count starts again from zero: then the next drop frees a value \
         that is in use"
    );
}
