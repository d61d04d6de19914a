//! What the compiler lets a user of the references do.
//!
//! Decides which of the two types may be moved to another thread or shared with one. That is a promise made in types: no
//! run of any program can show that it was right to make it, and one wrong bound lets safe code race.
//! Does not decide anything about how the references behave.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::MutexGuard;
use std::sync::atomic::AtomicU32;

use arc::{Arc, Weak};
use kata::implements;

/// The promise is about references that work: without them there is nothing to promise.
fn there_are_references() {
    drop(Arc::downgrade(&Arc::new(0)));
}

#[test]
fn references_to_a_value_that_threads_may_share_go_to_other_threads() {
    there_are_references();
    assert!(
        implements!(Arc<u32>: Send) && implements!(Weak<u32>: Send),
        "a plain number cannot be shared between threads: an `Rc` would have done"
    );
    assert!(
        implements!(Arc<AtomicU32>: Sync) && implements!(Weak<AtomicU32>: Sync),
        "two scoped threads cannot clone the reference that they both see, though it may be moved to either"
    );
}

#[test]
fn references_to_a_value_that_threads_must_not_share_stay_on_their_thread() {
    there_are_references();
    assert!(
        !implements!(Arc<Cell<u32>>: Send),
        "safe code can keep one clone and send the other: two threads then write to one `Cell` at the same time"
    );
    assert!(
        !implements!(Arc<Cell<u32>>: Sync),
        "safe code can clone a shared reference on another thread: two threads then write to one `Cell` at the same time"
    );
    assert!(
        !implements!(Arc<Rc<u32>>: Send) && !implements!(Arc<Rc<u32>>: Sync),
        "safe code can clone the `Rc` inside on two threads: its plain counter is a data race, then a use after free"
    );
}

#[test]
fn references_to_a_value_that_must_not_change_threads_stay_on_their_thread() {
    there_are_references();
    assert!(
        !implements!(Arc<MutexGuard<'static, u32>>: Send),
        "the thread that drops the last reference drops the value: a mutex is unlocked by a thread that does not own it"
    );
    assert!(
        !implements!(Arc<MutexGuard<'static, u32>>: Sync),
        "safe code can clone a shared reference on another thread and drop that clone last: a mutex is unlocked by a \
         thread that does not own it"
    );
}

#[test]
fn a_weak_reference_goes_no_further_than_what_it_can_be_upgraded_to() {
    there_are_references();
    assert!(
        !implements!(Weak<Cell<u32>>: Send) && !implements!(Weak<Cell<u32>>: Sync),
        "safe code can upgrade on another thread: two threads then write to one `Cell` at the same time"
    );
    assert!(
        !implements!(Weak<MutexGuard<'static, u32>>: Send)
            && !implements!(Weak<MutexGuard<'static, u32>>: Sync),
        "safe code can upgrade on another thread and drop the value there: a mutex is unlocked by a thread that does not \
         own it"
    );
}
