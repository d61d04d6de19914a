//! The first that comes to mind from README and stub: the stub's node with one field more, a loop for the garbage list,
//! and the strongest ordering everywhere.

use std::marker::PhantomData;
use std::ptr::null_mut;

use kata::cell::UnsafeCell;
use kata::sync::atomic::AtomicPtr;
use kata::sync::atomic::Ordering::SeqCst;

pub struct Stack<T> {
    head: AtomicPtr<Node<T>>,
    garbage: AtomicPtr<Node<T>>,
    not_automatic: PhantomData<*const T>,
}

// SAFETY: the values go with the stack.
unsafe impl<T: Send> Send for Stack<T> {}
// SAFETY: each value is pushed by one thread and popped by one thread.
unsafe impl<T: Send> Sync for Stack<T> {}

struct Node<T> {
    value: UnsafeCell<Option<T>>,
    next: UnsafeCell<*mut Node<T>>,
    next_garbage: UnsafeCell<*mut Node<T>>,
}

impl<T> Stack<T> {
    pub fn new() -> Self {
        Stack {
            head: AtomicPtr::new(null_mut()),
            garbage: AtomicPtr::new(null_mut()),
            not_automatic: PhantomData,
        }
    }

    pub fn push(&self, value: T) {
        let node = Box::into_raw(Box::new(Node {
            value: UnsafeCell::new(Some(value)),
            next: UnsafeCell::new(null_mut()),
            next_garbage: UnsafeCell::new(null_mut()),
        }));
        loop {
            let head = self.head.load(SeqCst);
            // SAFETY: not shared yet.
            unsafe { (*node).next.with_mut(|next| *next = head) };
            if self
                .head
                .compare_exchange(head, node, SeqCst, SeqCst)
                .is_ok()
            {
                break;
            }
        }
    }

    pub fn pop(&self) -> Option<T> {
        loop {
            let head = self.head.load(SeqCst);
            if head.is_null() {
                return None;
            }
            // SAFETY: no node is freed before the stack is dropped.
            let next = unsafe { (*head).next.with(|next| *next) };
            if self
                .head
                .compare_exchange(head, next, SeqCst, SeqCst)
                .is_ok()
            {
                // SAFETY: we have removed it, so its value is ours.
                let value = unsafe { (*head).value.with_mut(|value| (*value).take()) };
                self.throw_away(head);
                return value;
            }
        }
    }

    fn throw_away(&self, node: *mut Node<T>) {
        loop {
            let garbage = self.garbage.load(SeqCst);
            // SAFETY: we have removed the node, and only we throw it away.
            unsafe { (*node).next_garbage.with_mut(|next| *next = garbage) };
            if self
                .garbage
                .compare_exchange(garbage, node, SeqCst, SeqCst)
                .is_ok()
            {
                break;
            }
        }
    }

    pub fn is_empty(&self) -> bool {
        self.head.load(SeqCst).is_null()
    }
}

impl<T> Default for Stack<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> Drop for Stack<T> {
    fn drop(&mut self) {
        while let Some(value) = self.pop() {
            drop(value);
        }
        let mut node = self.garbage.load(SeqCst);
        while !node.is_null() {
            // SAFETY: nobody else uses the stack, and each node was thrown away once.
            let garbage = unsafe { Box::from_raw(node) };
            node = garbage.next_garbage.with(|next| unsafe { *next });
        }
    }
}
