//! Which types may cross threads, asked of the compiler.
//!
//! Decides whether safe code can carry a value to a thread where it must not be, and whether code that is right is
//! allowed. Does not decide anything about how the three behave.

use std::cell::Cell;
use std::rc::Rc;

use kata::implements;
use mutex_condvar::{Condvar, Mutex, MutexGuard, Permit, Semaphore};

#[test]
fn a_mutex_is_shared_exactly_when_its_value_may_move() {
    drop(Mutex::new(0).lock()); // Without a mutex that locks there is nothing to promise.
    assert!(
        implements!(Mutex<Cell<u32>>: Sync) && implements!(Mutex<Cell<u32>>: Send),
        "no two threads can use a mutex around a plain value: it is good for nothing"
    );
    assert!(
        !implements!(Mutex<Rc<u32>>: Sync) && !implements!(Mutex<Rc<u32>>: Send),
        "safe code can clone one `Rc` on two threads through the mutex: its plain counter is a data race"
    );
}

#[test]
fn a_guard_of_a_mutex_is_as_good_as_a_mutable_reference() {
    drop(Mutex::new(0).lock());
    assert!(
        !implements!(MutexGuard<'static, Rc<u32>>: Send),
        "safe code can lock on one thread and clone the `Rc` inside on another"
    );
    assert!(
        !implements!(MutexGuard<'static, Cell<u32>>: Sync),
        "safe code can share the guard between two threads, and both write to the `Cell` inside at the same time"
    );
    assert!(
        implements!(MutexGuard<'static, u32>: Sync),
        "scoped threads cannot read a plain number together through one guard, though a `&mut` would let them"
    );
}

#[test]
fn a_condvar_can_be_shared() {
    Condvar::new().notify_all();
    assert!(
        implements!(Condvar: Send + Sync),
        "no two threads can use a condition variable: nobody can notify whoever waits"
    );
}

#[test]
fn a_permit_of_a_semaphore_is_not_tied_to_its_thread() {
    drop(Semaphore::new(1).acquire());
    assert!(
        implements!(Semaphore: Send + Sync),
        "no two threads can use a semaphore: there is nobody to limit"
    );
    assert!(
        implements!(Permit<'static>: Send + Sync),
        "the thread that accepts a connection cannot hand its permit to the thread that serves it"
    );
}
