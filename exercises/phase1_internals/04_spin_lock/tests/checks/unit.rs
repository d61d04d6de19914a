//! One thread, real atomics.
//!
//! Decides what a single thread can see of the lock: when it is taken, when it is free again, what the guard shows.
//! Does not decide anything about two threads: a lock whose `locked` is a plain `bool` would pass.
//! Where a broken lock would wait for itself, the checks ask with `try_lock`, so that it fails instead of hanging.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use kata::check::{Drops, Foreign, allocations_in};
use rstest::rstest;
use spin_lock::{Guard, SpinLock};

type Take = for<'a> fn(&'a SpinLock<u32>) -> Guard<'a, u32>;

fn by_lock(lock: &SpinLock<u32>) -> Guard<'_, u32> {
    lock.lock()
}

fn by_try_lock(lock: &SpinLock<u32>) -> Guard<'_, u32> {
    lock.try_lock()
        .expect("nobody holds the lock, yet try_lock says that somebody does")
}

#[rstest]
#[case::lock(by_lock)]
#[case::try_lock(by_try_lock)]
fn a_new_lock_is_free_and_holds_its_value(#[case] take: Take) {
    let lock = SpinLock::new(7);
    assert_eq!(
        *take(&lock),
        7,
        "the guard must show the value given to `new`"
    );
}

#[rstest]
#[case::lock(by_lock)]
#[case::try_lock(by_try_lock)]
fn a_held_lock_cannot_be_taken(#[case] take: Take) {
    let lock = SpinLock::new(7);
    let _guard = take(&lock);
    assert!(
        lock.try_lock().is_none(),
        "two guards at once: two threads would each hold a `&mut` to the same value"
    );
    assert!(
        lock.try_lock().is_none(),
        "the first failed try_lock has unlocked what somebody else had locked"
    );
}

#[rstest]
#[case::lock(by_lock)]
#[case::try_lock(by_try_lock)]
fn what_one_owner_writes_the_next_one_reads(#[case] take: Take) {
    let lock = SpinLock::new(7);
    *take(&lock) += 1;
    let guard = lock
        .try_lock()
        .expect("the owner is gone, yet the lock is still taken");
    assert_eq!(*guard, 8, "the owner's write was lost");
}

fn at_the_end_of_a_statement(lock: &SpinLock<u32>) {
    *lock.lock() += 1;
}

fn at_the_end_of_a_scope(lock: &SpinLock<u32>) {
    let mut guard = lock.lock();
    *guard += 1;
}

fn dropped_by_hand(lock: &SpinLock<u32>) {
    drop(lock.lock());
}

fn taken_by_try_lock(lock: &SpinLock<u32>) {
    drop(lock.try_lock());
}

fn by_a_panic(lock: &SpinLock<u32>) {
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        let _guard = lock.lock();
        resume_unwind(Box::new("the owner's own trouble"));
    }));
    assert!(outcome.is_err());
}

#[rstest]
#[case::at_the_end_of_a_statement(at_the_end_of_a_statement)]
#[case::at_the_end_of_a_scope(at_the_end_of_a_scope)]
#[case::dropped_by_hand(dropped_by_hand)]
#[case::taken_by_try_lock(taken_by_try_lock)]
#[case::by_a_panic(by_a_panic)]
fn the_end_of_a_guard_unlocks(#[case] use_the_lock: fn(&SpinLock<u32>)) {
    let lock = SpinLock::new(7);
    use_the_lock(&lock);
    assert!(
        lock.try_lock().is_some(),
        "the guard is gone, yet the lock is still taken: the next thread to ask for it waits forever"
    );
}

#[test]
fn a_forgotten_guard_keeps_the_lock_taken() {
    let lock = SpinLock::new(7);
    std::mem::forget(lock.lock());
    assert!(
        lock.try_lock().is_none(),
        "no guard was dropped, yet the lock is free: its owner may still hold a reference to the value"
    );
}

#[test]
fn each_lock_stands_for_itself() {
    let (left, right) = (SpinLock::new(1), SpinLock::new(2));
    let _guard = left.lock();
    assert!(
        right.try_lock().is_some(),
        "one lock was taken and the other one is not free: unrelated threads wait for each other"
    );
}

#[test]
fn every_value_is_dropped_once() {
    let drops = Drops::new();
    let lock = SpinLock::new(drops.token("the first value"));
    *lock.lock() = drops.token("the value that replaced it");
    drop(lock);
    drops.assert_each_dropped_once();
}

#[test]
fn a_thousand_locks_are_held_at_once() {
    // Locks that share something, one of a number of words for example, are taken with one another.
    let locks: Vec<_> = (0..1_100).map(SpinLock::new).collect();
    let guards: Vec<_> = locks.iter().map_while(SpinLock::try_lock).collect();
    assert_eq!(
        guards.len(),
        locks.len(),
        "so many of {} locks were taken, and the next one, which nobody holds, is not free: unrelated threads wait for each \
         other",
        locks.len()
    );
    assert!(
        locks.iter().all(|lock| lock.try_lock().is_none()),
        "all locks are held, and one could be taken once more"
    );
}

#[test]
fn two_locks_in_one_thread_are_not_mixed_up() {
    let (left, right) = (SpinLock::new(1), SpinLock::new(2));
    let (mut of_left, mut of_right) = (left.lock(), right.lock());
    std::mem::swap(&mut *of_left, &mut *of_right);
    drop(of_left);
    assert!(
        left.try_lock().is_some() && right.try_lock().is_none(),
        "the guard of one lock was dropped first, and the other lock was unlocked"
    );
    drop(of_right);
    assert!(
        left.try_lock().is_some_and(|value| *value == 2)
            && right.try_lock().is_some_and(|value| *value == 1),
        "both guards are gone: each lock is free and holds what its own guard wrote"
    );
}

#[test]
fn a_lock_may_be_moved_while_nobody_holds_it() {
    let lock = SpinLock::new(String::from("here"));
    lock.lock().push_str(" and");
    let lock = Box::new(lock);
    lock.lock().push_str(" there");
    assert_eq!(
        *lock.lock(),
        "here and there",
        "the lock was moved between two owners, and the second one wrote to where it had been"
    );
}

/// More than a number of 16 bits counts, in case the lock counts its owners.
#[test]
fn the_hundred_thousandth_owner_is_as_alone_as_the_first() {
    const OWNERS: u32 = 100_000;
    let lock = SpinLock::new(0);
    for owner in 0..OWNERS {
        let mut guard = lock
            .try_lock()
            .unwrap_or_else(|| panic!("owner {owner} has let go, yet the lock is still taken"));
        *guard += 1;
        assert!(
            lock.try_lock().is_none(),
            "two guards at once, at owner {owner}"
        );
    }
    for _ in 0..OWNERS {
        *lock.lock() += 1;
    }
    assert_eq!(*lock.lock(), 2 * OWNERS, "an update was lost");
}

#[test]
fn a_value_that_panics_as_it_is_replaced_leaves_the_lock_free() {
    let trouble = Foreign::panics_once(1);
    let lock = SpinLock::new(trouble.in_drop(1));
    let replaced = Foreign::survive(|| *lock.lock() = Foreign::counts().in_drop(2));
    assert!(replaced.is_none(), "the old value is dropped, and panics");
    let guard = lock.try_lock().expect(
        "the drop of the value panicked while the lock was held, and the lock is taken for ever",
    );
    assert_eq!(**guard, 2, "the value is the one that was written");
    assert_eq!(trouble.calls(), 1, "the old value was dropped twice");
}

#[test]
fn a_lock_is_used_while_a_panic_of_others_unwinds() {
    struct CountsAsItEnds<'a>(&'a SpinLock<u32>);
    impl Drop for CountsAsItEnds<'_> {
        fn drop(&mut self) {
            *self.0.lock() += 1;
            if let Some(mut count) = self.0.try_lock() {
                *count += 1;
            }
        }
    }
    let lock = SpinLock::new(0);
    let outcome = Foreign::survive(|| {
        let _counts = CountsAsItEnds(&lock);
        Foreign::panics_once(1).call();
    });
    assert_eq!(outcome, None, "the panic of others goes on");
    assert_eq!(
        lock.try_lock().map(|count| *count),
        Some(2),
        "a destructor has used the lock twice while a panic that has nothing to do with it unwound, and the lock was taken \
         for one whose owner panicked"
    );
}

#[test]
fn a_lock_whose_value_panics_in_its_drop_leaves_nothing_behind() {
    let panics = || {
        let lock = SpinLock::new(Foreign::panics_once(1).in_drop([7; 64]));
        Foreign::survive(|| drop(lock))
    };
    panics(); // What belongs to the first panic of a thread is nobody's leak.
    let ((), heap) = allocations_in(|| {
        for _ in 0..100 {
            assert!(panics().is_none(), "the value is dropped with its lock");
        }
    });
    assert!(
        heap.live_bytes < 100,
        "100 values have panicked in their drop, and {} bytes of their locks are still there",
        heap.live_bytes
    );
}

#[test]
fn a_value_that_uses_its_own_lock_finds_it_taken() {
    let lock: &'static SpinLock<Vec<kata::check::InDrop<u32>>> =
        Box::leak(Box::new(SpinLock::new(Vec::new())));
    let nosy = Foreign::acts_once(1, || {
        assert!(
            lock.try_lock().is_none(),
            "two guards at once: the drop of a value took the lock that its owner was holding"
        );
    });
    lock.lock().push(nosy.in_drop(1));
    lock.lock().clear();
    assert_eq!(nosy.calls(), 1, "the value was dropped once");
    assert!(
        lock.try_lock().is_some(),
        "a failed try_lock in the drop of a value, and the lock stays taken"
    );
}

#[test]
fn values_of_any_size_and_alignment_are_kept() {
    #[derive(Debug, PartialEq)]
    #[repr(align(256))]
    struct Aligned([u64; 1_000]);

    let lock = SpinLock::new(Aligned([1; 1_000]));
    lock.lock().0[999] = 7;
    let guard = lock.lock();
    assert_eq!(
        (guard.0[0], guard.0[999]),
        (1, 7),
        "part of the value was lost"
    );
    assert!(
        std::ptr::from_ref(&*guard).addr().is_multiple_of(256),
        "the value lies where its type cannot be"
    );

    // Eight in a row: in a place that is too small for its alignment, one of them lies wrong.
    #[repr(align(64))]
    struct Line(u8);
    let row: [SpinLock<Line>; 8] = std::array::from_fn(|_| SpinLock::new(Line(7)));
    for lock in &row {
        let guard = lock.lock();
        assert!(
            std::ptr::from_ref(&*guard).addr().is_multiple_of(64) && guard.0 == 7,
            "the value lies where its type cannot be"
        );
    }

    let nothing = SpinLock::new(());
    let guard = nothing.lock();
    assert!(
        nothing.try_lock().is_none(),
        "a lock around nothing keeps nobody out"
    );
    drop(guard);
}

#[test]
fn a_value_of_no_bytes_is_dropped_with_its_lock() {
    static DROPPED: AtomicUsize = AtomicUsize::new(0);
    struct Nothing;
    impl Drop for Nothing {
        fn drop(&mut self) {
            DROPPED.fetch_add(1, Relaxed);
        }
    }
    let lock = SpinLock::new(Nothing);
    drop(lock.lock());
    assert_eq!(
        DROPPED.load(Relaxed),
        0,
        "a guard is gone, and its value too"
    );
    drop(lock);
    assert_eq!(
        DROPPED.load(Relaxed),
        1,
        "a value of no bytes, which stands for a count or a resource, is dropped once, with its lock"
    );
}
