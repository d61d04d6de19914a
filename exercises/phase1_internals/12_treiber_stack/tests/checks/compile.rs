//! What the compiler lets a user of the stack do.
//!
//! Decides whether the stack may be moved to another thread or shared with one, depending on what it holds. That is a
//! promise made in types: no run of any program can show that it was right to make it.
//! Decides as well which programs with references compile, and whether the stack works when it is compiled as users ship it.
//! Does not decide anything else about how the stack behaves.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::MutexGuard;

use kata::check::Compiler;
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
        implements!(Stack<Cell<u32>>: Sync) && implements!(Stack<Cell<u32>>: Send),
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
        !implements!(Stack<MutexGuard<'static, ()>>: Sync)
            && !implements!(Stack<MutexGuard<'static, ()>>: Send),
        "a `MutexGuard` may be shared but must be dropped by the thread that locked; safe code can push it on that thread \
         and pop it on another"
    );
}

#[test]
fn a_stack_keeps_no_reference_to_what_is_gone() {
    there_is_a_stack();
    Compiler::new("treiber_stack", env!("CARGO_MANIFEST_DIR"))
        .accepts(
            "fn fill<'a>(stack: &Stack<&'a str>, text: &'a str) { stack.push(text); } \
             let text = String::new(); let stack = Stack::new(); fill(&stack, &text); stack.pop();",
            "references cannot be put on the stack",
        )
        .rejects(
            "E0597",
            "fn fill<'a>(stack: &Stack<&'a str>, text: &'a str) { stack.push(text); } \
             let stack = Stack::new(); { let text = String::new(); fill(&stack, &text); } stack.pop();",
            "the compiler shortens a lifetime inside the stack's type: safe code pushes a reference to a local variable, and whoever \
             pops it reads freed memory. Values go in through a `&Stack<T>`, so it must not be covariant in `T`",
        )
        .rejects(
            "E0597",
            "struct Last<'a>(&'a String); impl Drop for Last<'_> { fn drop(&mut self) { self.0.len(); } } \
             let stack = Stack::new(); let text = String::new(); stack.push(Last(&text));",
            "the stack drops values that are left, and they look at what they borrow: here it was freed before. The compiler \
             must know that dropping a `Stack<T>` drops `T`s",
        )
        .rejects(
            "E0382",
            "let stack = Stack::new(); let text = String::new(); stack.push(text); text.len();",
            "a value is used by its owner after it was pushed",
        )
        .run();
}

#[test]
fn an_optimised_program_loses_no_value() {
    Compiler::new("treiber_stack", env!("CARGO_MANIFEST_DIR")).run_optimised(
        "let (stack, sum) = (Stack::new(), std::sync::atomic::AtomicUsize::new(0)); \
         let add = |value: Option<usize>| { sum.fetch_add(value.unwrap_or(0), std::sync::atomic::Ordering::Relaxed); }; \
         std::thread::scope(|scope| for thread in 0..4 { \
             let (stack, add) = (&stack, &add); \
             scope.spawn(move || for value in 0..10_000 { stack.push(4 * value + thread); if value % 3 > 0 { add(stack.pop()); } }); }); \
         while let Some(value) = stack.pop() { add(Some(value)); } \
         assert_eq!(sum.into_inner(), (0..40_000).sum::<usize>(), \"a value was lost or came out twice\");",
    );
}
