//! What the compiler lets a user of the cell do.
//!
//! Decides which cells may be moved to another thread or shared with one. That is a promise made in types: no run of any
//! program can show that it was right to make it, and one wrong bound lets safe code race.
//! Does not decide anything about how the cell behaves.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::MutexGuard;

use kata::implements;
use publish_once::OnceCell;

/// The promise is about a cell that can be filled: without one there is nothing to promise.
fn there_is_a_cell() {
    OnceCell::new().get_or_init(|| 0);
}

#[test]
fn a_cell_of_a_shareable_value_can_be_shared() {
    there_is_a_cell();
    assert!(
        implements!(OnceCell<String>: Sync) && implements!(OnceCell<String>: Send),
        "no two threads can use a cell of a plain string: it is good for nothing"
    );
}

#[test]
fn a_cell_moves_wherever_its_value_may() {
    there_is_a_cell();
    assert!(
        implements!(OnceCell<Cell<u32>>: Send),
        "a `Cell` may move to another thread as long as one thread has it at a time: inside the cell it may no longer"
    );
    assert!(
        !implements!(OnceCell<Rc<u32>>: Send),
        "safe code can carry an `Rc` to another thread inside the cell while a clone stays behind: its plain counter is a \
         data race, then a use after free"
    );
    assert!(
        !implements!(OnceCell<MutexGuard<'static, u32>>: Send),
        "safe code can carry a `MutexGuard` to another thread inside the cell, which then unlocks a mutex that it does \
         not own"
    );
}

#[test]
fn a_cell_of_an_unshareable_value_cannot_be_shared() {
    there_is_a_cell();
    assert!(
        !implements!(OnceCell<Cell<u32>>: Sync),
        "safe code can write to one plain `Cell` from two threads at the same time: everybody who asks the cell gets a \
         reference to the same value"
    );
}

#[test]
fn a_cell_of_a_value_bound_to_its_thread_cannot_be_shared() {
    there_is_a_cell();
    assert!(
        !implements!(OnceCell<MutexGuard<'static, u32>>: Sync),
        "safe code can put a `MutexGuard` into a shared cell on one thread, and the cell is dropped on another, which \
         then unlocks a mutex that it does not own: sharing the cell moves a value, and `T: Sync` does not allow that"
    );
    assert!(
        !implements!(OnceCell<Rc<u32>>: Sync),
        "safe code can clone one `Rc` on two threads through the cell: its plain counter is a data race, then a use \
         after free"
    );
}
