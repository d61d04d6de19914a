//! What the compiler lets a user of `par_map` and `join` do.
//!
//! Decides that the signatures ask for no more than they need: each check is a use that one bound too many would refuse.
//! If this file does not compile, look at what the error asks for: your signature has become stricter than the stub's.
//! Does not decide whether they ask for enough. In safe code the compiler sees to it; whoever writes `unsafe` must.

use std::cell::Cell;
use std::sync::{Mutex, MutexGuard};

use fork_join::{join, par_map};

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
