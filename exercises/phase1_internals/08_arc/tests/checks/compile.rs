//! What the compiler lets a user of the references do.
//!
//! Decides which of the two types may be moved to another thread or shared with one. That is a promise made in types: no
//! run of any program can show that it was right to make it, and one wrong bound lets safe code race.
//! Decides as well which programs with references compile, and whether the limit holds in a program that is compiled as users
//! ship it.
//! Does not decide anything else about how the references behave.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::MutexGuard;
use std::sync::atomic::AtomicU32;

use arc::{Arc, Weak};
use kata::check::Compiler;
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
        !implements!(Weak<Cell<u32>>: Send)
            && !implements!(Weak<Cell<u32>>: Sync)
            && !implements!(Weak<Rc<u32>>: Send)
            && !implements!(Weak<Rc<u32>>: Sync),
        "safe code can upgrade on another thread: two threads then write to one `Cell` at the same time"
    );
    assert!(
        !implements!(Weak<MutexGuard<'static, u32>>: Send)
            && !implements!(Weak<MutexGuard<'static, u32>>: Sync),
        "safe code can upgrade on another thread and drop the value there: a mutex is unlocked by a thread that does not \
         own it"
    );
}

#[test]
fn no_reference_to_the_value_outlives_its_owner() {
    there_are_references();
    Compiler::new("arc", env!("CARGO_MANIFEST_DIR"))
        .accepts(
            "let text = String::new(); let arc = Arc::new(text.as_str()); let weak = Arc::downgrade(&arc); arc.len(); \
             drop((arc, weak));",
            "a value that holds a reference cannot be shared",
        )
        .rejects(
            "E0597",
            "let arc; { let text = String::new(); arc = Arc::new(text.as_str()); } arc.len();",
            "an `Arc` outlives what its value refers to, and its owner reads freed memory",
        )
        .rejects(
            "E0597",
            "struct Looks<'a>(&'a str); impl Drop for Looks<'_> { fn drop(&mut self) { self.0.len(); } } \
             let arc; let text = String::new(); arc = Arc::new(Looks(&text));",
            "the last owner goes after what its value refers to, and the drop of the value reads freed memory",
        )
        .accepts(
            "struct Looks<'a>(&'a str); impl Drop for Looks<'_> { fn drop(&mut self) { self.0.len(); } } \
             let text = String::new(); let arc = Arc::new(Looks(&text));",
            "a value that borrows cannot be shared",
        )
        .rejects(
            "E0597",
            "fn forever(weak: Weak<&'static str>) -> Option<&'static str> { weak.upgrade().map(|arc| *arc) } \
             let seen; { let text = String::new(); let arc = Arc::new(&*text); seen = forever(Arc::downgrade(&arc)); } seen;",
            "the compiler lengthens a lifetime inside the type of a reference: safe code keeps for ever what does not live as long",
        )
        .rejects(
            "E0505",
            "let arc = Arc::new(String::new()); let text: &str = &arc; drop(arc); text.len();",
            "a reference to the value outlives the last owner, and reads freed memory",
        )
        .rejects(
            "E0505",
            "let arc = Arc::new(String::new()); let text: &str = &arc; let _ = Arc::try_unwrap(arc); text.len();",
            "a reference to the value outlives the owner that has moved it out",
        )
        .rejects(
            "E0502",
            "let mut arc = Arc::new(String::new()); let text: &str = &arc; Arc::get_mut(&mut arc).unwrap().clear(); text.len();",
            "the only owner reads the value while get_mut has lent it out to be changed",
        )
        .rejects(
            "E0502",
            "let mut arc = Arc::new(String::new()); let text = Arc::get_mut(&mut arc).unwrap(); drop(arc.clone()); text.clear();",
            "a clone is made of a value that get_mut has lent out to be changed",
        )
        .run();
}

#[test]
fn an_optimised_program_has_the_same_limit() {
    // The program starts itself: the second process does what ought to end it.
    Compiler::new("arc", env!("CARGO_MANIFEST_DIR")).run_optimised(
        "if let Some(victim) = std::env::args().nth(1) { \
             let (arcs, weaks) = if victim < \"2\".to_owned() { (MAX_REFERENCES, 0) } else { (0, MAX_REFERENCES - 1) }; \
             let arc = Arc::with_forgotten(7, arcs, weaks); let weak = Arc::downgrade(&arc); \
             for _ in 0..4 { match victim.as_str() { \
                 \"0\" => std::mem::forget(arc.clone()), \"1\" => std::mem::forget(weak.upgrade()), \
                 \"2\" => std::mem::forget(Arc::downgrade(&arc)), _ => std::mem::forget(weak.clone()), } } \
             println!(\"survives\"); return; } \
         let arc = Arc::new(7); assert_eq!(Arc::downgrade(&arc).upgrade().as_deref(), Some(&7)); \
         for victim in [\"0\", \"1\", \"2\", \"3\"] { \
             let output = std::process::Command::new(std::env::current_exe().unwrap()).arg(victim).output().unwrap(); \
             assert!(output.stdout.is_empty() && !output.status.success(), \
                 \"a count of references has passed its limit, by way {victim} of clone, upgrade, downgrade and Weak::clone: \
                  safe code can go on until it starts again from zero, and the next drop frees a value that is in use\"); }",
    );
}
