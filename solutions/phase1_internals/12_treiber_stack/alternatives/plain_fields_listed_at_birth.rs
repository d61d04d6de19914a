//! Plain fields behind raw pointers, and every node on a list of all nodes from the start: a pop has nothing to park.

use std::marker::PhantomData;
use std::mem::ManuallyDrop;
use std::ptr;

use kata::sync::atomic::AtomicPtr;
use kata::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};

pub struct Stack<T> {
    head: AtomicPtr<Node<T>>,
    /// The node made last, or null.
    youngest: AtomicPtr<Node<T>>,
    owns: PhantomData<*mut T>,
}

// SAFETY: the stack owns its values.
unsafe impl<T: Send> Send for Stack<T> {}
// SAFETY: a shared stack moves values between threads and shows none to two.
unsafe impl<T: Send> Sync for Stack<T> {}

struct Node<T> {
    value: ManuallyDrop<T>,
    next: *mut Node<T>,
    /// The node made before this one. Read by `Stack::drop` only.
    elder: *mut Node<T>,
}

impl<T> Stack<T> {
    pub fn new() -> Self {
        Self {
            head: AtomicPtr::default(),
            youngest: AtomicPtr::default(),
            owns: PhantomData,
        }
    }

    pub fn push(&self, value: T) {
        let node = Box::into_raw(Box::new(Node {
            value: ManuallyDrop::new(value),
            next: ptr::null_mut(),
            elder: ptr::null_mut(),
        }));
        // SAFETY: nobody else reads or writes `elder` before the stack is dropped.
        unsafe { (*node).elder = self.youngest.swap(node, Relaxed) };
        loop {
            let top = self.head.load(Relaxed);
            // SAFETY: the node is not in the stack yet, and nobody follows the other list.
            unsafe { (*node).next = top };
            // Release: pairs with the Acquires in `pop`.
            if self
                .head
                .compare_exchange(top, node, Release, Relaxed)
                .is_ok()
            {
                return;
            }
        }
    }

    pub fn pop(&self) -> Option<T> {
        loop {
            // Acquire: pairs with the Release in `push`.
            let top = self.head.load(Acquire);
            if top.is_null() {
                return None;
            }
            // SAFETY: nodes live as long as the stack; nobody writes to a node that was published.
            let below = unsafe { (*top).next };
            if self
                .head
                .compare_exchange(top, below, AcqRel, Relaxed)
                .is_ok()
            {
                // SAFETY: this exchange alone removes the node, so the value is moved out once.
                return Some(unsafe { ptr::read(&*(*top).value) });
            }
        }
    }

    pub fn is_empty(&self) -> bool {
        self.head.load(Acquire).is_null()
    }
}

impl<T> Default for Stack<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> Drop for Stack<T> {
    fn drop(&mut self) {
        let mut node = *self.head.get_mut();
        while !node.is_null() {
            // SAFETY: it is in the stack, so its value was not moved out.
            unsafe {
                ManuallyDrop::drop(&mut (*node).value);
                node = (*node).next;
            }
        }
        let mut node = *self.youngest.get_mut();
        while !node.is_null() {
            // SAFETY: every node is on this list once, and came from a box.
            node = unsafe { Box::from_raw(node) }.elder;
        }
    }
}
