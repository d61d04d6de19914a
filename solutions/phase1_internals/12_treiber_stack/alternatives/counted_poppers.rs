//! Frees nodes as soon as it can: the pop that is alone in the stack frees what it has removed, and what was parked while
//! others were there (A. Williams, "C++ Concurrency in Action", section 7.2.2).

use std::marker::PhantomData;
use std::mem::MaybeUninit;
use std::ptr;

use kata::cell::UnsafeCell;
use kata::sync::atomic::Ordering::SeqCst;
use kata::sync::atomic::{AtomicPtr, AtomicUsize};

pub struct Stack<T> {
    head: AtomicPtr<Node<T>>,
    /// How many threads may hold a pointer to a node that they have not removed.
    poppers: AtomicUsize,
    parked: AtomicPtr<Node<T>>,
    owns: PhantomData<*mut T>,
}

// SAFETY: the stack owns its values.
unsafe impl<T: Send> Send for Stack<T> {}
// SAFETY: a shared stack moves values between threads and shows none to two.
unsafe impl<T: Send> Sync for Stack<T> {}

struct Node<T> {
    value: UnsafeCell<MaybeUninit<T>>,
    next: UnsafeCell<*mut Node<T>>,
    parked_before: UnsafeCell<*mut Node<T>>,
}

impl<T> Stack<T> {
    pub fn new() -> Self {
        Self {
            head: AtomicPtr::default(),
            poppers: AtomicUsize::new(0),
            parked: AtomicPtr::default(),
            owns: PhantomData,
        }
    }

    pub fn push(&self, value: T) {
        let node = Box::into_raw(Box::new(Node {
            value: UnsafeCell::new(MaybeUninit::new(value)),
            next: UnsafeCell::new(ptr::null_mut()),
            parked_before: UnsafeCell::new(ptr::null_mut()),
        }));
        let mut top = self.head.load(SeqCst);
        loop {
            // SAFETY: not published yet.
            unsafe { (*node).next.with_mut(|next| *next = top) };
            match self.head.compare_exchange(top, node, SeqCst, SeqCst) {
                Ok(_) => return,
                Err(now) => top = now,
            }
        }
    }

    pub fn pop(&self) -> Option<T> {
        self.poppers.fetch_add(1, SeqCst);
        let mut top = self.head.load(SeqCst);
        while !top.is_null() {
            // SAFETY: what was on top while we were counted is not freed while we are counted.
            let below = unsafe { (*top).next.with(|next| *next) };
            match self.head.compare_exchange(top, below, SeqCst, SeqCst) {
                Ok(_) => break,
                Err(now) => top = now,
            }
        }
        // SAFETY: our exchange removed it, so its value is ours.
        let value = unsafe { top.as_ref() }.map(|node| {
            node.value
                .with(|value| unsafe { (*value).assume_init_read() })
        });
        self.leave(top);
        value
    }

    /// Ends a pop that has removed `node`, if it is one.
    fn leave(&self, node: *mut Node<T>) {
        if self.poppers.load(SeqCst) == 1 {
            // Everything here was removed before now, and whoever comes from now on cannot find it.
            let parked = self.parked.swap(ptr::null_mut(), SeqCst);
            if self.poppers.fetch_sub(1, SeqCst) == 1 {
                free_all(parked);
            } else if !parked.is_null() {
                let mut last = parked;
                // SAFETY: the chain is ours since the swap.
                unsafe {
                    loop {
                        let next = (*last).parked_before.with(|next| *next);
                        if next.is_null() {
                            break;
                        }
                        last = next;
                    }
                }
                self.park(parked, last);
            }
            if !node.is_null() {
                // We were alone when we looked, and the node had been removed by then.
                // SAFETY: removed by us, and nobody else has found it.
                drop(unsafe { Box::from_raw(node) });
            }
        } else {
            if !node.is_null() {
                self.park(node, node);
            }
            self.poppers.fetch_sub(1, SeqCst);
        }
    }

    /// Parks a chain of nodes that is this thread's.
    fn park(&self, first: *mut Node<T>, last: *mut Node<T>) {
        let mut top = self.parked.load(SeqCst);
        loop {
            // SAFETY: the chain is ours until the exchange.
            unsafe { (*last).parked_before.with_mut(|before| *before = top) };
            match self.parked.compare_exchange(top, first, SeqCst, SeqCst) {
                Ok(_) => return,
                Err(now) => top = now,
            }
        }
    }

    pub fn is_empty(&self) -> bool {
        self.head.load(SeqCst).is_null()
    }
}

fn free_all<T>(mut node: *mut Node<T>) {
    while !node.is_null() {
        // SAFETY: the caller owns the chain, and each node came from a box.
        node = unsafe { Box::from_raw(node) }.parked_before.into_inner();
    }
}

impl<T> Default for Stack<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> Drop for Stack<T> {
    fn drop(&mut self) {
        while self.pop().is_some() {}
        free_all(*self.parked.get_mut());
    }
}
