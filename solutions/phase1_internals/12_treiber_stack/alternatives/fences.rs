//! Relaxed accesses and fences that do all of the ordering. A parked node goes into the garbage list by its own `next`, which is
//! an atomic: a pop that comes too late reads a strange pointer there, and its exchange fails.

use std::marker::PhantomData;

use kata::cell::UnsafeCell;
use kata::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use kata::sync::atomic::{AtomicPtr, fence};

pub struct Stack<T> {
    head: AtomicPtr<Node<T>>,
    garbage: AtomicPtr<Node<T>>,
    owns: PhantomData<*mut T>,
}

// SAFETY: the stack owns its values.
unsafe impl<T: Send> Send for Stack<T> {}
// SAFETY: a shared stack moves values between threads and shows none to two.
unsafe impl<T: Send> Sync for Stack<T> {}

struct Node<T> {
    value: UnsafeCell<Option<T>>,
    next: AtomicPtr<Node<T>>,
}

impl<T> Stack<T> {
    pub fn new() -> Self {
        Self {
            head: AtomicPtr::default(),
            garbage: AtomicPtr::default(),
            owns: PhantomData,
        }
    }

    pub fn push(&self, value: T) {
        let node = Box::into_raw(Box::new(Node {
            value: UnsafeCell::new(Some(value)),
            next: AtomicPtr::default(),
        }));
        put(&self.head, node);
    }

    pub fn pop(&self) -> Option<T> {
        let mut top = self.head.load(Relaxed);
        loop {
            // Pairs with the fence in `put`.
            fence(Acquire);
            // SAFETY: nodes live as long as the stack.
            let next = unsafe { top.as_ref() }?.next.load(Relaxed);
            match self.head.compare_exchange_weak(top, next, Relaxed, Relaxed) {
                Ok(_) => break,
                Err(now) => top = now,
            }
        }
        // SAFETY: whoever removes the node takes its value, and nobody else does.
        let value = unsafe { &*top }
            .value
            .with_mut(|value| unsafe { (*value).take() });
        put(&self.garbage, top);
        value
    }

    pub fn is_empty(&self) -> bool {
        self.head.load(Relaxed).is_null()
    }
}

/// Puts a node on top of a list.
fn put<T>(list: &AtomicPtr<Node<T>>, node: *mut Node<T>) {
    let mut top = list.load(Relaxed);
    loop {
        // SAFETY: nodes live as long as the stack.
        unsafe { &*node }.next.store(top, Relaxed);
        // Pairs with the fence in `pop`.
        fence(Release);
        match list.compare_exchange_weak(top, node, Relaxed, Relaxed) {
            Ok(_) => return,
            Err(now) => top = now,
        }
    }
}

impl<T> Default for Stack<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> Drop for Stack<T> {
    fn drop(&mut self) {
        for list in [&mut self.head, &mut self.garbage] {
            let mut node = *list.get_mut();
            while !node.is_null() {
                // SAFETY: a node is on one of the lists, once, and came from a box. With it goes its value, if it has one.
                node = *unsafe { Box::from_raw(node) }.next.get_mut();
            }
        }
    }
}
