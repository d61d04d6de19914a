//! What the compiler lets a user of the locks do.
//!
//! Decides which of the types may be moved to another thread or shared with one. That is a promise made in types: no run
//! of any program can show that it was right to make it, and one wrong bound lets safe code race.
//! Decides as well that no reference can be left in a lock, or taken out of it, beyond its time.
//! Does not decide anything about how the locks behave.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::MutexGuard;

use kata::check::Compiler;
use kata::implements;
use queue_lock::{McsGuard, McsLock, TicketGuard, TicketLock};

macro_rules! promises {
    ($Lock:ident, $Guard:ident: $shared:ident, $bound:ident, $leaves:ident, $guard:ident) => {
        #[test]
        fn $shared() {
            // The promise is about a lock that locks: without one there is nothing to promise.
            drop($Lock::new(0).lock());
            assert!(
                implements!($Lock<u32>: Sync) && implements!($Lock<u32>: Send),
                "no two threads can use a lock around a plain number: it is good for nothing"
            );
            assert!(
                implements!($Lock<Cell<u32>>: Sync),
                "a `Cell` may move from thread to thread and the lock lets only one thread in at a time: asking for \
                 `T: Sync` takes away what a lock is for"
            );
        }

        #[test]
        fn $bound() {
            drop($Lock::new(0).lock());
            assert!(
                !implements!($Lock<Rc<u32>>: Sync),
                "safe code can clone one `Rc` on two threads through the lock: its plain counter is a data race, then a \
                 use after free"
            );
            assert!(
                !implements!($Lock<MutexGuard<'static, u32>>: Sync),
                "safe code can swap a `MutexGuard` out of the lock on another thread, which then unlocks a mutex that it \
                 does not own: sharing the lock moves its value, and `T: Sync` does not allow that"
            );
            assert!(
                !implements!($Lock<Rc<u32>>: Send),
                "safe code can carry an `Rc` to another thread inside the lock while a clone stays behind"
            );
        }

        #[test]
        fn $leaves() {
            drop($Lock::new(0).lock());
            assert!(
                !implements!($Guard<'static, Rc<u32>>: Send),
                "safe code can take the lock on one thread and clone the `Rc` in it on another"
            );
        }

        #[test]
        fn $guard() {
            drop($Lock::new(0).lock());
            assert!(
                !implements!($Guard<'static, Cell<u32>>: Sync),
                "safe code can share the guard between two threads, and both write to the `Cell` in it at the same time"
            );
            assert!(
                implements!($Guard<'static, u32>: Sync),
                "scoped threads cannot read a plain number together through one guard, though a `&mut` would let them"
            );
        }
    };
}

promises! {
    TicketLock, TicketGuard:
    a_ticket_lock_around_a_sendable_value_can_be_shared,
    a_ticket_lock_around_a_value_bound_to_its_thread_cannot_be_shared,
    a_ticket_guard_leaves_its_thread_only_with_a_value_that_may,
    a_ticket_guard_is_shared_exactly_when_its_value_may_be
}

promises! {
    McsLock, McsGuard:
    an_mcs_lock_around_a_sendable_value_can_be_shared,
    an_mcs_lock_around_a_value_bound_to_its_thread_cannot_be_shared,
    an_mcs_guard_leaves_its_thread_only_with_a_value_that_may,
    an_mcs_guard_is_shared_exactly_when_its_value_may_be
}

/// The same programs for either lock, since either guard stands for a `&mut T`.
macro_rules! lifetimes {
    ($Lock:literal, $Guard:literal, $new:path: $test:ident) => {
        #[test]
        fn $test() {
            drop($new(0).lock());
            Compiler::new("queue_lock", env!("CARGO_MANIFEST_DIR"))
                .accepts(
                    concat!(
                        "fn put<'a>(mut guard: ", $Guard, "<'_, &'a str>, text: &'a str) { *guard = text; } \
                         let text = String::new(); let lock = ", $Lock, "::new(\"\"); put(lock.lock(), &text); lock.lock();"
                    ),
                    "a guard cannot be handed to a function that writes to the value",
                )
                .rejects(
                    "E0597",
                    concat!(
                        "fn put<'a>(mut guard: ", $Guard, "<'_, &'a str>, text: &'a str) { *guard = text; } \
                         let lock = ", $Lock, "::new(\"\"); { let text = String::new(); put(lock.lock(), &text); } lock.lock();"
                    ),
                    "the compiler shortens a lifetime inside the guard's type: safe code leaves a reference to a local \
                     variable in the lock, and the next owner reads freed memory. A guard gives out a `&mut T`, so it must \
                     not be covariant in `T`",
                )
                .rejects(
                    "E0505",
                    concat!(
                        "let lock = ", $Lock, "::new(String::new()); let guard = lock.lock(); drop(lock); guard.len();"
                    ),
                    "a guard outlives its lock: its owner works on freed memory and unlocks it",
                )
                .rejects(
                    "E0505",
                    concat!(
                        "let lock = ", $Lock, "::new(String::new()); let guard = lock.lock(); let text: &str = &guard; \
                         drop(guard); text.len();"
                    ),
                    "a reference outlives its guard: two threads use the value at once",
                )
                .accepts(
                    concat!(
                        "let text = String::new(); let lock = ", $Lock, "::new(Vec::new()); \
                         std::thread::scope(|scope| { scope.spawn(|| lock.lock().push(&text)); }); lock.lock().clear();"
                    ),
                    "a lock around what borrows cannot be shared by scoped threads",
                )
                .rejects(
                    "E0597",
                    concat!(
                        "struct Last<'a>(&'a String); \
                         impl Drop for Last<'_> { fn drop(&mut self) { println!(\"{}\", self.0); } } \
                         let lock = ", $Lock, "::new(None); let text = String::new(); *lock.lock() = Some(Last(&text));"
                    ),
                    "the compiler does not know that the lock drops its value: the value's own drop reads a local variable that \
                     is gone",
                )
                .run();
        }
    };
}

lifetimes! { "TicketLock", "TicketGuard", TicketLock::new: a_ticket_guard_gives_no_reference_a_longer_or_shorter_life }
lifetimes! { "McsLock", "McsGuard", McsLock::new: an_mcs_guard_gives_no_reference_a_longer_or_shorter_life }
