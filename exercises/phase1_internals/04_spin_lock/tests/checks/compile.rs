//! What the compiler lets a user of the lock do.
//!
//! Decides which of the lock's types may be moved to another thread or shared with one. That is a promise made in
//! types: no run of any program can show that it was right to make it, and one wrong bound lets safe code race.
//! Decides as well which programs with references compile, and whether the lock locks when it is compiled as users ship it.
//! Does not decide anything else about how the lock behaves.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::MutexGuard;

use kata::check::Compiler;
use kata::implements;
use spin_lock::{Guard, SpinLock};

/// The promise is about a lock that locks: without one there is nothing to promise.
fn there_is_a_lock() {
    drop(SpinLock::new(0).lock());
}

#[test]
fn a_lock_around_a_sendable_value_can_be_shared() {
    there_is_a_lock();
    assert!(
        implements!(SpinLock<u32>: Sync) && implements!(SpinLock<u32>: Send),
        "no two threads can use a lock around a plain number: it is good for nothing"
    );
    assert!(
        implements!(SpinLock<Cell<u32>>: Sync),
        "a `Cell` may move from thread to thread and the lock lets only one thread in at a time: asking for `T: Sync` \
         takes away what a lock is for"
    );
}

#[test]
fn a_lock_around_a_value_bound_to_its_thread_cannot_be_shared() {
    there_is_a_lock();
    assert!(
        !implements!(SpinLock<Rc<u32>>: Sync),
        "safe code can clone one `Rc` on two threads through the lock: its plain counter is a data race, then a use \
         after free"
    );
    assert!(
        !implements!(SpinLock<MutexGuard<'static, u32>>: Sync),
        "safe code can swap a `MutexGuard` out of the lock on another thread, which then unlocks a mutex that it does not \
         own: sharing the lock moves its value, and `T: Sync` does not allow that"
    );
    assert!(
        !implements!(SpinLock<Rc<u32>>: Send),
        "safe code can carry an `Rc` to another thread inside the lock while a clone stays behind"
    );
    assert!(
        !implements!(SpinLock<MutexGuard<'static, u32>>: Send),
        "safe code can carry a `MutexGuard` to another thread inside the lock, and unlock there a mutex that the thread \
         does not own"
    );
}

#[test]
fn a_guard_leaves_its_thread_only_with_a_value_that_may() {
    there_is_a_lock();
    assert!(
        !implements!(Guard<'static, Rc<u32>>: Send),
        "safe code can take the lock on one thread and clone the `Rc` in it on another"
    );
    assert!(
        !implements!(Guard<'static, MutexGuard<'static, u32>>: Send),
        "safe code can swap a `MutexGuard` out of the lock on a thread that has only been given the spin lock's guard, and \
         unlock there a mutex that the thread does not own: a guard gives out a `&mut T`, so `T: Sync` does not allow that"
    );
}

#[test]
fn a_guard_is_shared_exactly_when_its_value_may_be() {
    there_is_a_lock();
    assert!(
        !implements!(Guard<'static, Cell<u32>>: Sync),
        "safe code can share the guard between two threads, and both write to the `Cell` in it at the same time"
    );
    assert!(
        implements!(Guard<'static, u32>: Sync),
        "scoped threads cannot read a plain number together through one guard, though a `&mut` would let them"
    );
}

#[test]
fn a_lock_keeps_no_reference_to_what_is_gone() {
    there_is_a_lock();
    Compiler::new("spin_lock", env!("CARGO_MANIFEST_DIR"))
        .accepts(
            "let text = String::new(); let lock = SpinLock::new(\"\"); *lock.lock() = &text; lock.lock();",
            "the lock cannot hold a reference to a value that outlives it",
        )
        .rejects(
            "E0597",
            "let lock = SpinLock::new(\"\"); { let text = String::new(); *lock.lock() = &text; } lock.lock();",
            "safe code leaves a reference to a local variable in the lock, and the next owner reads freed memory",
        )
        .accepts(
            "fn put<'a>(mut guard: Guard<'_, &'a str>, text: &'a str) { *guard = text; } \
             let text = String::new(); let lock = SpinLock::new(\"\"); put(lock.lock(), &text); lock.lock();",
            "a guard cannot be handed to a function that writes to the value",
        )
        .rejects(
            "E0597",
            "fn put<'a>(mut guard: Guard<'_, &'a str>, text: &'a str) { *guard = text; } \
             let lock = SpinLock::new(\"\"); { let text = String::new(); put(lock.lock(), &text); } lock.lock();",
            "the compiler shortens a lifetime inside the guard's type: safe code leaves a reference to a local variable in the \
             lock, and the next owner reads freed memory. A guard gives out a `&mut T`, so it must not be covariant in `T`",
        )
        .rejects(
            "E0597",
            "fn put<'a>(lock: &SpinLock<&'a str>, text: &'a str) { *lock.lock() = text; } \
             let lock = SpinLock::new(\"\"); { let text = String::new(); put(&lock, &text); } lock.lock();",
            "the compiler shortens a lifetime inside the lock's type: safe code leaves a reference to a local variable in the \
             lock, and the next owner reads freed memory. A value goes in through a `&SpinLock<T>`, so it must not be covariant \
             in `T`",
        )
        .accepts(
            "struct Plain; let lock = SpinLock::new(Plain); drop(lock.lock()); drop(lock.try_lock());",
            "a value with no traits at all cannot be locked",
        )
        .accepts(
            "let text = String::new(); let lock = SpinLock::new(text.as_str()); \
             std::thread::scope(|scope| { scope.spawn(|| *lock.lock() = text.as_str()); });",
            "scoped threads cannot share a lock around a reference that outlives them all",
        )
        .rejects(
            "E0597",
            "struct Last<'a>(&'a String); \
             impl Drop for Last<'_> { fn drop(&mut self) { println!(\"{}\", self.0); } } \
             let lock = SpinLock::new(None); let text = String::new(); *lock.lock() = Some(Last(&text));",
            "the compiler does not know that the lock drops its value: the value's own drop reads a local variable that is gone",
        )
        .rejects(
            "E0505",
            "let lock = SpinLock::new(String::new()); let guard = lock.lock(); drop(lock); guard.len();",
            "a guard outlives its lock: its owner works on freed memory and unlocks it",
        )
        .rejects(
            "E0505",
            "let lock = SpinLock::new(String::new()); let guard = lock.lock(); let text: &str = &guard; drop(guard); \
             text.len();",
            "a reference outlives its guard: two threads use the value at once",
        )
        .run();
}

#[test]
fn an_optimised_program_locks_as_well() {
    Compiler::new("spin_lock", env!("CARGO_MANIFEST_DIR")).run_optimised(
        "let lock = SpinLock::new(0); \
         std::thread::scope(|scope| for _ in 0..4 { \
             scope.spawn(|| for _ in 0..20_000 { let mut n = lock.lock(); *n += 1; \
                 assert!(lock.try_lock().is_none(), \"two guards at once\"); }); }); \
         assert_eq!(*lock.try_lock().expect(\"all owners have let go, yet the lock is taken\"), 80_000, \"an update was lost\");",
    );
}
