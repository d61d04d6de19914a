//! What the compiler lets a user of `par_map` and `join` do.
//!
//! Decides that the signatures ask for no more than they need: each check but the last two is a use that one bound too
//! many would refuse. If this file does not compile, look at what the error asks for: your signature has become stricter
//! than the stub's. Decides as well that they ask for enough, by programs that must not compile, and whether the work is
//! done when it is compiled as users ship it.
//! Does not decide what `unsafe` code inside of the functions does.

use std::cell::Cell;
use std::sync::{Mutex, MutexGuard};

use fork_join::{join, par_map};
use kata::check::Compiler;

/// A type that can do nothing.
struct Plain(u32);

#[test]
fn items_need_not_be_send() {
    // A guard may be shared between threads but must be dropped on its own.
    let (one, two) = (Mutex::new(1), Mutex::new(2));
    let guards: [MutexGuard<'_, i32>; 2] = [one.lock().unwrap(), two.lock().unwrap()];
    assert_eq!(par_map(&guards, 2, |guard| **guard), [1, 2]);
}

#[test]
fn results_need_nothing_but_to_be_sent() {
    // No `Sync`, no `Clone`, no `Default`, no `Debug`.
    let cells = par_map(&[1, 2], 2, |number| (Cell::new(*number), Plain(*number)));
    assert_eq!((cells[0].0.get(), cells[1].1.0), (1, 2));
    let (a, b) = join(|| Cell::new(3), || Plain(4));
    assert_eq!((a.get(), b.0), (3, 4));
}

#[test]
fn a_closure_may_borrow_and_need_not_be_copied_or_sent() {
    let (names, mutex) = (["fork".to_owned(), "join".to_owned()], Mutex::new(7));
    let guard = mutex.lock().unwrap();
    let greeting = String::from("Hello, ");
    let f = move |name: &&String| format!("{greeting}{name}{}", *guard);
    let borrowed: Vec<&String> = names.iter().collect();
    assert_eq!(par_map(&borrowed, 2, f), ["Hello, fork7", "Hello, join7"]);
}

#[test]
fn results_may_borrow_from_the_items() {
    let words = ["fork join".to_owned(), "a b".to_owned()];
    let first = |words: &'_ String| words.len();
    assert_eq!(par_map(&words, 2, first), [9, 3]);
    let borrowed: Vec<&str> = words.iter().map(String::as_str).collect();
    let halves = par_map(&borrowed, 2, |words| {
        words.split_at(words.find(' ').unwrap()).0
    });
    assert_eq!(halves, ["fork", "a"]);
}

#[test]
fn join_consumes_what_it_is_given_and_lends_what_it_borrows() {
    let (mut left, mut right) = (vec![1], vec![2]);
    let text = String::from("moved");
    let (moved, ()) = join(move || text, || left.push(10));
    assert_eq!(moved, "moved");
    join(|| left.push(100), || right.push(200));
    assert_eq!((left, right), (vec![1, 10, 100], vec![2, 200]));
}

#[test]
fn what_may_not_change_threads_is_refused() {
    assert_eq!(par_map(&[1], 1, |number| *number), [1]);
    Compiler::new("fork_join", env!("CARGO_MANIFEST_DIR"))
        .accepts(
            "par_map(&[1], 2, |n| std::sync::Arc::new(*n)); join(|| std::sync::Arc::new(1), || std::sync::Arc::new(2));",
            "a result that may change threads is refused",
        )
        .rejects(
            "E0277",
            "par_map(&[1], 2, |n| std::rc::Rc::new(*n));",
            "safe code gets an `Rc` that another thread has made and may have kept a clone of: its plain counter is a data \
             race, then a use after free. `R: Send` is missing",
        )
        .rejects(
            "E0277",
            "join(|| std::rc::Rc::new(1), || ());",
            "safe code gets an `Rc` of another thread: `A: Send` is missing",
        )
        .rejects(
            "E0277",
            "join(|| (), || std::rc::Rc::new(1));",
            "safe code gets an `Rc` of another thread: `B: Send` is missing",
        )
        .rejects(
            "E0277",
            "par_map(&[std::cell::Cell::new(1)], 2, |cell| cell.get());",
            "two workers look into one `Cell` at once if it is among the items twice, by reference: `T: Sync` is missing",
        )
        .rejects(
            "E0277",
            "let sum = std::cell::Cell::new(0); par_map(&[1, 2], 2, |n| sum.set(sum.get() + n));",
            "all workers write to one `Cell`: `f` must be `Sync`",
        )
        .rejects(
            "E0277",
            "let shared = std::rc::Rc::new(1); let other = shared.clone(); join(move || drop(shared), || ()); drop(other);",
            "an `Rc` is dropped on two threads at once: `a` must be `Send`",
        )
        .rejects(
            "E0277",
            "let shared = std::rc::Rc::new(1); let other = shared.clone(); join(|| (), move || drop(shared)); drop(other);",
            "an `Rc` is dropped on two threads at once: `b` must be `Send`",
        )
        .rejects(
            "E0277",
            "par_map(&[std::sync::Mutex::new(1)], 2, |m| m.lock().unwrap());",
            "safe code gives back a lock on a thread that has not taken it: `R: Send` is missing, `Sync` is not enough",
        )
        .rejects(
            "E0277",
            "let m = std::sync::Mutex::new(1); let guard = m.lock().unwrap(); join(|| (), move || drop(guard));",
            "safe code gives back a lock on a thread that has not taken it: `b` must be `Send`, `Sync` is not enough",
        )
        .rejects(
            "E0594",
            "let mut sum = 0; par_map(&[1, 2], 2, |n| { sum = *n; });",
            "all workers write to one variable: `f` must be `Fn`",
        )
        .accepts(
            "let text = String::from(\"a b\"); let words = par_map(&[0, 2], 2, |n| &text[*n..=*n]); assert_eq!(words[1].len(), 1);",
            "a result may not borrow from what `f` has borrowed",
        )
        .rejects(
            "E0597",
            "let words; { let text = String::from(\"a b\"); words = par_map(&[0, 2], 2, |n| &text[*n..=*n]); } words.len();",
            "results outlive what they borrow from",
        )
        .rejects(
            "E0499",
            "let mut list = vec![1]; join(|| list.push(2), || list.push(3));",
            "two threads write to one vector",
        )
        .rejects(
            "E0597",
            "let kept; { let text = String::new(); kept = join(|| text.as_str(), || ()).0; } kept.len();",
            "a result outlives what it borrows from",
        )
        .run();
}

#[test]
fn an_optimised_program_does_the_work_as_well() {
    Compiler::new("fork_join", env!("CARGO_MANIFEST_DIR")).run_optimised(
        "let items: Vec<u64> = (0..10_000).collect(); \
         for workers in [1, 2, 3, 7] { assert_eq!(par_map(&items, workers, |n| n + 1), (1..=10_000).collect::<Vec<_>>()); } \
         fn sum(n: &[u64]) -> u64 { if n.len() < 1_000 { return n.iter().sum(); } let (a, b) = n.split_at(n.len() / 2); \
             let (a, b) = join(|| sum(a), || sum(b)); a + b } \
         assert_eq!(sum(&items), 49_995_000); \
         std::panic::set_hook(Box::new(|_| {})); \
         assert!(std::panic::catch_unwind(|| par_map(&[1], 0, |n| *n)).is_err(), \"0 workers\"); \
         let panic = std::panic::catch_unwind(|| par_map(&[1, 2, 3], 3, |n| if *n == 2 { std::panic::panic_any(7_u8) })); \
         assert_eq!(panic.unwrap_err().downcast_ref(), Some(&7_u8));",
    );
}
