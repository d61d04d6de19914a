//! What the compiler lets a user of the stack do.
//!
//! Decides whether the stack may be moved to another thread or shared with one, depending on what it holds. That is a
//! promise made in types: no run of any program can show that it was right to make it.
//! Does not decide anything about how the stack behaves.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::MutexGuard;

use kata::implements;
use treiber_stack::Stack;

/// The promise is about a stack that works: without one there is nothing to promise.
fn there_is_a_stack() {
    let stack = Stack::new();
    stack.push(0);
    assert_eq!(stack.pop(), Some(0), "what was pushed is not there");
}

#[test]
fn a_stack_of_sendable_values_can_be_shared() {
    there_is_a_stack();
    assert!(
        implements!(Stack<u32>: Sync) && implements!(Stack<u32>: Send),
        "no two threads can use a stack of plain numbers: it is good for nothing"
    );
    assert!(
        implements!(Stack<Cell<u32>>: Sync),
        "a `Cell` may move from thread to thread, and the stack never shows one value to two of them: asking for \
         `T: Sync` turns away what is right"
    );
}

#[test]
fn a_stack_of_values_bound_to_their_thread_stays_there() {
    there_is_a_stack();
    assert!(
        !implements!(Stack<Rc<u32>>: Send),
        "safe code can carry an `Rc` to another thread inside the stack while a clone stays behind: its plain counter is \
         a data race, then a use after free"
    );
    assert!(
        !implements!(Stack<Rc<u32>>: Sync),
        "safe code can push an `Rc` on one thread and pop it on another while a clone stays behind: its plain counter is \
         a data race, then a use after free"
    );
}

#[test]
fn a_shared_stack_moves_its_values() {
    there_is_a_stack();
    assert!(
        !implements!(Stack<MutexGuard<'static, ()>>: Sync),
        "a `MutexGuard` may be shared but must be dropped by the thread that locked; safe code can push it on that thread \
         and pop it on another"
    );
}
