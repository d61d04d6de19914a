//! A stack that any number of threads use at once, without a lock. The task is in `README.md`.
#![allow(dead_code, unused_variables)] // Delete this line when you start: from then on the compiler helps you.

use kata::cell::UnsafeCell;
use kata::sync::atomic::AtomicPtr;

/// A last-in, first-out stack without an upper bound that any number of threads use at once, without a lock.
///
/// A thread that is stopped in the middle of an operation, by the scheduler or by a debugger, holds up nobody else.
///
/// The memory of a popped value's node is not given back before the stack is dropped: a stack through which a million
/// values have passed holds a million nodes, also if it is empty. The values themselves leave with the pop.
///
/// # Examples
///
/// ```no_run
/// use treiber_stack::Stack;
///
/// let stack = Stack::new();
/// stack.push('a');
/// stack.push('b');
/// assert_eq!(stack.pop(), Some('b'));
/// assert_eq!(stack.pop(), Some('a'));
/// assert_eq!(stack.pop(), None);
/// ```
pub struct Stack<T> {
    /// The newest node, or null.
    head: AtomicPtr<Node<T>>,
}

/// A value, and the way to the one below it.
///
/// Yours to change. Whatever two threads may reach belongs into an atomic or a cell of `kata`: the model checkers see
/// nothing else.
struct Node<T> {
    value: UnsafeCell<T>,
    /// The node below, or null.
    next: UnsafeCell<*mut Node<T>>,
}

impl<T> Stack<T> {
    /// An empty stack.
    pub fn new() -> Self {
        todo!()
    }

    /// Puts `value` on top.
    ///
    /// Whatever this thread did before comes before whatever the thread that pops `value` does with it.
    pub fn push(&self, value: T) {
        todo!()
    }

    /// Takes the value on top.
    ///
    /// `None` means that there was a moment during the call at which the stack was empty.
    pub fn pop(&self) -> Option<T> {
        todo!()
    }

    /// Whether there was nothing to pop at some moment during the call. By the time the caller looks at the answer,
    /// another thread may have changed it.
    pub fn is_empty(&self) -> bool {
        todo!()
    }
}

impl<T> Default for Stack<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> Drop for Stack<T> {
    /// Drops the values that are still in the stack, and gives all memory back.
    fn drop(&mut self) {
        // No `todo!()` here: drop also runs while another panic unwinds, and a second panic aborts the process. Until
        // you write this, the stack leaks.
    }
}
