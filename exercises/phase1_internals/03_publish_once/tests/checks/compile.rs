//! What the compiler lets a user of the cell do.
//!
//! Decides which cells may be moved to another thread or shared with one. That is a promise made in types: no run of any
//! program can show that it was right to make it, and one wrong bound lets safe code race.
//! Decides as well which programs with references compile, and what the cell does when it is compiled as users ship it.
//! Does not decide anything else about how the cell behaves.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::MutexGuard;

use kata::check::Compiler;
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

#[test]
fn a_cell_keeps_no_reference_to_what_is_gone() {
    there_is_a_cell();
    Compiler::new("publish_once", env!("CARGO_MANIFEST_DIR"))
        .accepts(
            "let text = String::new(); let cell = OnceCell::new(); cell.set(text.as_str()).unwrap(); cell.get();",
            "the cell cannot hold a reference to a value that outlives it",
        )
        .accepts(
            "fn fill<'a>(cell: &OnceCell<&'a str>, text: &'a str) { cell.get_or_init(|| text); } \
             let text = String::new(); let cell = OnceCell::new(); fill(&cell, &text); cell.get();",
            "a cell cannot be handed to a function that fills it",
        )
        .rejects(
            "E0597",
            "fn fill<'a>(cell: &OnceCell<&'a str>, text: &'a str) { cell.get_or_init(|| text); } \
             let cell = OnceCell::new(); { let text = String::new(); fill(&cell, &text); } cell.get();",
            "the compiler shortens a lifetime inside the cell's type: safe code fills a cell with a reference to a local variable, \
             and whoever asks later reads freed memory. A value goes in through a `&OnceCell<T>`, so it must not be covariant \
             in `T`",
        )
        .accepts(
            "struct Plain; let shared = std::rc::Rc::new(1); let cell = OnceCell::new(); \
             cell.get_or_init(|| { let _ = shared.clone(); Plain }); cell.get();",
            "an init that uses what belongs to its thread is refused, or a value with no traits: the one never leaves its thread, \
             and the other needs none",
        )
        .accepts(
            "let text = String::new(); let cell = OnceCell::new(); \
             std::thread::scope(|scope| { scope.spawn(|| cell.get_or_init(|| text.as_str())); });",
            "scoped threads cannot share a cell of a reference that outlives them all",
        )
        .rejects(
            "E0597",
            "struct Last<'a>(&'a String); \
             impl Drop for Last<'_> { fn drop(&mut self) { println!(\"{}\", self.0); } } \
             let cell = OnceCell::new(); let text = String::new(); cell.get_or_init(|| Last(&text));",
            "the compiler does not know that the cell drops its value: the value's own drop reads a local variable that is gone",
        )
        .rejects(
            "E0505",
            "let cell = OnceCell::new(); let value: &String = cell.get_or_init(String::new); drop(cell); value.len();",
            "a reference to the value outlives the cell: its owner reads freed memory",
        )
        .rejects(
            "E0505",
            "let cell = OnceCell::new(); cell.set(String::new()).unwrap(); let value = cell.get(); drop(cell); \
             value.map(String::len);",
            "a reference to the value outlives the cell: its owner reads freed memory",
        )
        .run();
}

#[test]
fn an_optimised_program_makes_one_value_as_well() {
    Compiler::new("publish_once", env!("CARGO_MANIFEST_DIR")).run_optimised(
        "for _ in 0..2_000 { \
             let (cell, seen) = (OnceCell::new(), std::sync::Mutex::new(Vec::new())); \
             std::thread::scope(|scope| for number in 0..4 { \
                 let (cell, seen) = (&cell, &seen); \
                 scope.spawn(move || seen.lock().unwrap().push(*cell.get_or_init(|| number))); }); \
             let value = *cell.get().expect(\"four threads have asked, and the cell is empty\"); \
             assert_eq!(*seen.lock().unwrap(), [value; 4], \"the callers got different values\"); \
             assert_eq!(cell.set(7), Err(7), \"a full cell has taken a second value\"); }",
    );
}
