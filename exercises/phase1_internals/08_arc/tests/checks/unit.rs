//! One thread, real atomics, counted memory.
//!
//! Decides what a single thread can see of the references: which value they show, when it is dropped, when the memory is
//! given back, also if the value's drop panics, who is told to be the only one, and what happens when there are too many.
//! Does not decide anything about two threads: counts in plain integers would pass.

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

#[test]
fn values_keep_their_alignment() {
    #[derive(Debug, PartialEq)]
    #[repr(align(64))]
    struct Line(u8);

    let arc = Arc::new(Line(1));
    assert_eq!(
        std::ptr::from_ref(&*arc).addr() % 64,
        0,
        "a value of alignment 64 lies elsewhere"
    );
    assert_eq!(Arc::try_unwrap(arc).ok(), Some(Line(1)));
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
