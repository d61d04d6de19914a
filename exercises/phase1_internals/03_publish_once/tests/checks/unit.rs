//! One thread, real atomics.
//!
//! Decides what a single thread can see of the cell: what is in it after which calls, what becomes of the values that go
//! in and of those that are refused, and what a panic leaves behind.
//! Does not decide anything about two threads: a cell whose state is a plain `bool` would pass.
#![allow(clippy::drop_non_drop)] // Whether a cell needs a `Drop` of its own depends on how it keeps its value.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::ptr;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use kata::check::{Drops, Foreign, allocations_in};
use publish_once::OnceCell;
use rstest::rstest;

/// Compiles if `new` is `const`, as it must be for a cell in a `static`.
const fn empty<T>() -> OnceCell<T> {
    OnceCell::new()
}

/// Fills a cell.
type Fill = fn(&OnceCell<u32>, u32);

fn by_init(cell: &OnceCell<u32>, value: u32) {
    assert_eq!(
        *cell.get_or_init(|| value),
        value,
        "the cell was empty, and its first caller got something else than its own value"
    );
}

fn by_set(cell: &OnceCell<u32>, value: u32) {
    assert_eq!(
        cell.set(value),
        Ok(()),
        "the cell was empty, yet it has refused its first value"
    );
}

#[test]
fn a_new_cell_is_empty() {
    assert_eq!(
        empty::<u32>().get(),
        None,
        "nobody has put anything into the cell, and it shows a value: memory that nobody has written"
    );
}

#[rstest]
#[case::get_or_init(by_init)]
#[case::set(by_set)]
fn a_full_cell_shows_its_value(#[case] fill: Fill) {
    let cell = empty();
    fill(&cell, 7);
    assert_eq!(
        cell.get(),
        Some(&7),
        "the value is in the cell, and get does not find it"
    );
    assert_eq!(
        cell.get(),
        Some(&7),
        "get has found the value once and does not find it again"
    );
}

#[rstest]
#[case::get_or_init(by_init)]
#[case::set(by_set)]
fn the_first_value_stays(#[case] fill: Fill) {
    let cell = empty();
    fill(&cell, 7);
    let value =
        cell.get_or_init(|| panic!("the cell is full, and get_or_init makes another value"));
    assert_eq!(
        *value, 7,
        "the value in the cell has changed under its readers"
    );
    assert_eq!(
        cell.set(8),
        Err(8),
        "the cell is full: a second value must be refused and given back"
    );
    assert_eq!(
        cell.get(),
        Some(&7),
        "the value in the cell has changed under its readers"
    );
}

#[rstest]
#[case::get_or_init(by_init)]
#[case::set(by_set)]
fn all_callers_see_one_and_the_same_value(#[case] fill: Fill) {
    let cell = empty();
    fill(&cell, 7);
    let first = cell.get().expect("the cell is full");
    assert!(
        ptr::eq(first, cell.get_or_init(|| 8))
            && cell.get().is_some_and(|value| ptr::eq(first, value)),
        "two callers got references to two values: of a `Mutex` in the cell, each would lock its own"
    );
}

#[test]
fn a_value_that_looks_like_nothing_is_a_value() {
    let cell = empty::<Option<&u32>>();
    assert_eq!(
        *cell.get_or_init(|| None),
        None,
        "the value in the cell is `None`"
    );
    assert_eq!(
        cell.get(),
        Some(&None),
        "the cell holds a `None` and says that it is empty: it takes the value's bytes for its own state"
    );
    for number in [
        0,
        1,
        u64::from(u32::MAX),
        u64::MAX / 2,
        u64::MAX - 1,
        u64::MAX,
    ] {
        let cell = empty();
        assert_eq!(*cell.get_or_init(|| number), number, "the cell was empty");
        assert_eq!(
            cell.get(),
            Some(&number),
            "the cell holds {number} and does not show it: it takes the value's bytes for its own state"
        );
    }
    let cell = empty::<()>();
    assert_eq!(cell.set(()), Ok(()), "the cell was empty");
    assert_eq!(
        cell.set(()),
        Err(()),
        "the cell holds a value of no bytes and says that it is empty"
    );
}

#[test]
fn each_cell_stands_for_itself() {
    let (left, right) = (empty(), empty());
    by_set(&left, 1);
    assert_eq!(right.get(), None, "a value was put into another cell");
    by_init(&right, 2);
    assert_eq!(
        (left.get(), right.get()),
        (Some(&1), Some(&2)),
        "two cells share a value"
    );
}

#[rstest]
#[case::get_or_init(by_init)]
#[case::set(by_set)]
fn a_full_cell_may_be_moved(#[case] fill: Fill) {
    let mut cells = [empty(), empty(), empty()];
    for (cell, value) in cells.iter().zip(1..) {
        fill(cell, value);
    }
    cells.rotate_left(1);
    assert_eq!(
        cells.each_ref().map(OnceCell::get),
        [Some(&2), Some(&3), Some(&1)],
        "three full cells have changed places, and do not show their own values any more: a cell in a `Vec` that grows \
         shows what lies where it was before"
    );
}

#[test]
fn a_new_cell_in_the_place_of_an_old_one_is_empty() {
    let mut cell = empty();
    for value in 0..20 {
        assert_eq!(
            cell.get(),
            None,
            "a new cell lies where an old one was, and shows what nobody has written"
        );
        by_init(&cell, value);
        assert_eq!(cell.get(), Some(&value), "the value is in the cell");
        cell = empty();
    }
}

#[test]
fn what_an_init_holds_is_dropped_once() {
    let drops = Drops::new();
    let cell = empty();
    let held = drops.token("held by an init that runs");
    let fails = catch_unwind(AssertUnwindSafe(|| {
        cell.get_or_init(|| {
            let held = held;
            resume_unwind(Box::new(held.len()))
        });
    }));
    assert!(
        fails.is_err() && drops.dropped() == 1,
        "an init has panicked, and what it held is still there: a file stays open"
    );
    let held = drops.token("held by an init that runs");
    cell.get_or_init(move || held.len());
    let held = drops.token("held by an init that is not needed");
    cell.get_or_init(move || held.len());
    assert_eq!(
        drops.dropped(),
        3,
        "three inits are gone, the first of which has panicked and the last of which was not needed, and not all of what \
         they held was dropped: the end of a channel, or a lock, is held for ever"
    );
    drops.assert_each_dropped_once();
}

#[test]
fn every_value_is_dropped_once() {
    let drops = Drops::new();
    let made = empty();
    made.get_or_init(|| drops.token("made by get_or_init"));
    let given = empty();
    assert!(
        given.set(drops.token("given to set")).is_ok(),
        "the cell was empty"
    );
    let refused = given.set(drops.token("refused")).err();
    assert_eq!(
        refused.as_deref(),
        Some(&"refused"),
        "the cell was full, and the value it refused did not come back to its owner"
    );
    assert_eq!(
        drops.dropped(),
        0,
        "a value was dropped that is still to be seen"
    );
    drop((made, given));
    assert_eq!(
        drops.dropped(),
        2,
        "two full cells were dropped: of their two values this many were dropped as well. A file in there stays open"
    );
    drop(refused);
    drops.assert_each_dropped_once();
}

#[test]
fn an_empty_cell_drops_nothing() {
    // The drop of memory that was never written is noticed: a token has a seal.
    let drops = Drops::new();
    let cell = empty();
    if false {
        cell.get_or_init(|| drops.token("never made"));
    }
    drop(cell);
    drops.assert_each_dropped_once();
}

#[test]
fn an_init_that_panics_leaves_the_cell_empty() {
    let drops = Drops::new();
    let cell = empty();
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        cell.get_or_init(|| {
            let token = drops.token("made by an init that did not return it");
            if !token.is_empty() {
                resume_unwind(Box::new("the initialiser's own trouble"));
            }
            token
        });
    }));
    let trouble = outcome.expect_err("an init has panicked, and its caller does not learn of it");
    assert_eq!(
        trouble.downcast_ref(),
        Some(&"the initialiser's own trouble"),
        "an init has panicked, and its caller gets another panic instead"
    );
    assert!(
        cell.get().is_none(),
        "the init has panicked, and the cell shows a value: memory that nobody has written"
    );
    drop(cell);
    drops.assert_each_dropped_once();
}

#[test]
fn a_cell_is_filled_while_a_panic_of_others_unwinds() {
    struct AsksAsItEnds<'a>(&'a OnceCell<u32>);
    impl Drop for AsksAsItEnds<'_> {
        fn drop(&mut self) {
            by_init(self.0, 7);
        }
    }
    let cell = empty();
    let outcome = Foreign::survive(|| {
        let _asks = AsksAsItEnds(&cell);
        Foreign::panics_once(1).call();
    });
    assert_eq!(outcome, None, "the panic of others goes on");
    assert_eq!(
        (cell.get(), cell.set(8)),
        (Some(&7), Err(8)),
        "a destructor has asked the cell while a panic that has nothing to do with it unwound: its init has succeeded, and \
         the cell takes it for one that failed"
    );
}

/// One thread. Cells that share something, one of a number of locks for example, wait for themselves here, for ever.
#[test]
fn an_init_may_ask_a_thousand_other_cells() {
    const CELLS: usize = 1_100;
    fn ask(cells: &[OnceCell<usize>]) -> usize {
        let Some((first, rest)) = cells.split_first() else {
            return 0;
        };
        *first.get_or_init(|| 1 + ask(rest))
    }
    let cells: Vec<_> = (0..CELLS).map(|_| empty()).collect();
    let deep = std::thread::Builder::new().stack_size(16 << 20);
    let deep = deep.spawn(move || ask(&cells)).expect("a thread");
    assert_eq!(
        deep.join().expect("the cells fill one another"),
        CELLS,
        "each cell asks the next one, and a value was lost on the way"
    );
}

#[test]
fn an_init_may_look_at_the_cell_it_fills() {
    let cell = empty();
    let value = cell.get_or_init(|| {
        assert_eq!(
            cell.get(),
            None,
            "the value is still being made, and the cell shows it"
        );
        7
    });
    assert_eq!(*value, 7, "the value is the one that init has made");
}

#[test]
fn inits_that_fail_leave_no_memory_behind() {
    const FAILURES: usize = 100;
    let fail = |cell: &OnceCell<[u64; 16]>| {
        let trouble = Foreign::panics_once(1);
        let outcome = Foreign::survive(|| {
            cell.get_or_init(|| {
                trouble.call();
                [7; 16]
            });
        });
        assert!(
            outcome.is_none(),
            "an init has panicked, and its caller does not learn of it"
        );
    };
    let cell = empty();
    fail(&cell); // What belongs to the first panic of a thread is nobody's leak.
    let ((), heap) = allocations_in(|| (0..FAILURES).for_each(|_| fail(&cell)));
    assert!(
        heap.live_bytes < FAILURES.cast_signed(),
        "{FAILURES} inits have panicked and left {} bytes behind: a service that tries again and again to read a missing file \
         runs out of memory",
        heap.live_bytes
    );
}

/// More failures than a number of 16 bits counts, in case the cell counts its attempts.
#[test]
fn a_cell_that_has_failed_for_long_can_still_be_filled() {
    const FAILURES: u32 = 70_000;
    let cell = empty();
    for failure in 0..FAILURES {
        let trouble = Foreign::panics_once(1);
        let outcome = Foreign::survive(|| {
            *cell.get_or_init(|| {
                trouble.call();
                failure
            })
        });
        assert_eq!(
            (outcome, cell.get()),
            (None, None),
            "init number {failure} has panicked, as all before it, and there is a value"
        );
    }
    by_set(&cell, 7);
    assert_eq!(
        cell.get(),
        Some(&7),
        "the value was taken, and is not there"
    );
}

#[test]
fn a_value_that_panics_in_its_drop_is_dropped_once() {
    let trouble = Foreign::panics_once(1);
    let cell = empty();
    assert!(cell.set(trouble.in_drop(7)).is_ok(), "the cell was empty");
    let dropped = Foreign::survive(|| drop(cell));
    assert_eq!(
        (dropped, trouble.calls()),
        (None, 1),
        "the cell was dropped, and its value panics as it is dropped: the owner of the cell gets this panic, and the value is \
         gone after one drop"
    );
    let panics = || {
        let cell = empty();
        assert!(cell.set(Foreign::panics_once(1).in_drop([7; 64])).is_ok());
        Foreign::survive(|| drop(cell))
    };
    panics(); // What belongs to the first panic of a thread is nobody's leak.
    let ((), heap) = allocations_in(|| {
        for _ in 0..100 {
            panics();
        }
    });
    assert!(
        heap.live_bytes < 100,
        "100 values have panicked in their drop, and {} bytes of their cells are still there",
        heap.live_bytes
    );
}

#[test]
fn values_of_any_size_and_alignment_are_kept() {
    #[derive(Debug, PartialEq)]
    #[repr(align(256))]
    struct Aligned([u64; 1_000]);

    let cell = empty();
    cell.get_or_init(|| Aligned([7; 1_000]));
    let value = cell.get().expect("the value is in the cell");
    assert_eq!(
        (value.0[0], value.0[999]),
        (7, 7),
        "part of the value was lost"
    );
    assert!(
        ptr::from_ref(value).addr().is_multiple_of(256),
        "the value lies where its type cannot be"
    );

    // Eight in a row: in a place that is too small for its alignment, one of them lies wrong.
    small(Lines);
    small(Pages);
}

/// A value that is small and must lie at the beginning of a cache line.
#[derive(Debug, PartialEq)]
#[repr(align(64))]
struct Lines(u8);

/// Or of a page.
#[derive(Debug, PartialEq)]
#[repr(align(4096))]
struct Pages(u8);

fn small<T: PartialEq + std::fmt::Debug>(make: fn(u8) -> T) {
    let cells: [OnceCell<T>; 8] = std::array::from_fn(|_| empty());
    for (cell, number) in cells.iter().zip(0..) {
        let value = cell.get_or_init(|| make(number));
        assert!(
            ptr::from_ref(value).addr().is_multiple_of(align_of::<T>()),
            "the value lies where its type cannot be"
        );
    }
    for (cell, number) in cells.iter().zip(0..) {
        assert_eq!(cell.get(), Some(&make(number)), "the value is in the cell");
    }
}

#[test]
fn a_value_of_no_bytes_is_dropped_with_its_cell() {
    static DROPPED: AtomicUsize = AtomicUsize::new(0);
    #[repr(align(32))]
    struct Nothing;
    impl Drop for Nothing {
        fn drop(&mut self) {
            DROPPED.fetch_add(1, Relaxed);
        }
    }
    let cell = empty();
    let value = ptr::from_ref(cell.get_or_init(|| Nothing));
    assert!(
        value.addr().is_multiple_of(32),
        "the value lies where its type cannot be"
    );
    assert_eq!(DROPPED.load(Relaxed), 0, "the value is in the cell");
    drop(cell);
    assert_eq!(
        DROPPED.load(Relaxed),
        1,
        "a value of no bytes, which stands for a count or a lock, is dropped once, with its cell"
    );
}
