//! A lock-free stack that keeps the nodes of popped values until it is dropped.
//!
//! The stack is from R. Kent Treiber, "Systems Programming: Coping with Parallelism" (IBM Research Report RJ 5118, 1986).

use std::marker::PhantomData;
use std::mem::MaybeUninit;
use std::ptr;

use kata::cell::UnsafeCell;
use kata::sync::atomic::AtomicPtr;
use kata::sync::atomic::Ordering::{Acquire, Relaxed, Release};

/// A last-in, first-out stack without an upper bound that any number of threads use at once, without a lock.
///
/// The memory of a popped value's node is not given back before the stack is dropped.
pub struct Stack<T> {
    /// The newest node, or null. From here `next` leads to all others that hold a value.
    head: AtomicPtr<Node<T>>,
    /// The node parked last, or null. From here `parked_before` leads to all others whose value was popped, once nobody
    /// is in `pop` any more.
    parked: AtomicPtr<Node<T>>,
    /// An `AtomicPtr` is `Send` and `Sync` whatever it points to. This is neither, and leaves the answer to us.
    owns: PhantomData<*mut T>,
}

// SAFETY: the stack owns its values, so sending it sends them.
unsafe impl<T: Send> Send for Stack<T> {}

// SAFETY: a `&Stack<T>` moves values in on one thread and out on another, hence `T: Send`. It never shows one value to
// two threads, so `T: Sync` is not needed.
unsafe impl<T: Send> Sync for Stack<T> {}

struct Node<T> {
    /// There until the pop that removes the node from the stack moves it out.
    value: UnsafeCell<MaybeUninit<T>>,
    /// The node below, or null. Written by `push` before anybody else knows the node, and never again: a `pop` that came
    /// too late may read it at any time.
    next: UnsafeCell<*mut Node<T>>,
    /// The node parked before this one, or null. Written by the pop that removed the node, read by `Stack::drop`.
    parked_before: UnsafeCell<*mut Node<T>>,
}

impl<T> Stack<T> {
    /// An empty stack.
    pub fn new() -> Self {
        Self {
            head: AtomicPtr::new(ptr::null_mut()),
            parked: AtomicPtr::new(ptr::null_mut()),
            owns: PhantomData,
        }
    }

    /// Puts `value` on top.
    pub fn push(&self, value: T) {
        let node = Box::into_raw(Box::new(Node {
            value: UnsafeCell::new(MaybeUninit::new(value)),
            next: UnsafeCell::new(ptr::null_mut()),
            parked_before: UnsafeCell::new(ptr::null_mut()),
        }));
        // Relaxed, here and on failure: `push` writes down where the top is, it does not look at what is there.
        let mut top = self.head.load(Relaxed);
        loop {
            // SAFETY: the node is alive, and nobody else knows it before the exchange below succeeds.
            unsafe { (*node).next.with_mut(|next| *next = top) };
            // Release: pairs with the Acquires in `pop`. Whoever finds this node finds its value and its `next`.
            match self.head.compare_exchange_weak(top, node, Release, Relaxed) {
                Ok(_) => return,
                Err(now) => top = now,
            }
        }
    }

    /// Takes the value on top. `None` means that there was a moment during the call at which the stack was empty.
    pub fn pop(&self) -> Option<T> {
        // Acquire, here and on failure: pairs with the Release in `push`, for `next` is read before the exchange. A pop that
        // uncovers an older node cuts nothing off: all changes of `head` are read-modify-writes, so the release sequence
        // of each push goes on through those that follow.
        let mut top = self.head.load(Acquire);
        loop {
            // SAFETY: what was ever on top is alive until the stack is dropped.
            let node = unsafe { top.as_ref() }?;
            // SAFETY: since the node was published nobody writes to it.
            let below = node.next.with(|next| unsafe { *next });
            // Relaxed on success: the load that found `top` has ordered its value already, and a pop publishes nothing.
            // No ABA: what was popped never comes back, so if `top` is on top, `below` is below it.
            match self
                .head
                .compare_exchange_weak(top, below, Relaxed, Acquire)
            {
                Ok(_) => break,
                Err(now) => top = now,
            }
        }
        // SAFETY: only one exchange removes this node, and it was ours: the value is read once.
        let value = unsafe { (*top).value.with(|value| (*value).assume_init_read()) };
        self.park(top);
        Some(value)
    }

    /// Keeps a node that has left the stack: others may still read its `next`.
    fn park(&self, node: *mut Node<T>) {
        // Between the two steps the list has a gap. Nobody follows it before the stack is dropped, when every pop is over.
        // Relaxed for the same reason: whatever ordered the pops before the drop has ordered this, too.
        let before = self.parked.swap(node, Relaxed);
        // SAFETY: only the pop that removed the node parks it, and until then nobody uses this field.
        unsafe { (*node).parked_before.with_mut(|link| *link = before) };
    }

    /// Whether there was nothing to pop at some moment during the call.
    pub fn is_empty(&self) -> bool {
        // Relaxed: nothing is looked at but the pointer.
        self.head.load(Relaxed).is_null()
    }
}

impl<T> Default for Stack<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> Drop for Stack<T> {
    fn drop(&mut self) {
        // Drops the values that are left, and parks their nodes with the others.
        while self.pop().is_some() {}
        let mut node = *self.parked.get_mut();
        while !node.is_null() {
            // SAFETY: each node is parked once, came from a box, and nobody else can reach the stack any more.
            let parked = unsafe { Box::from_raw(node) };
            node = parked.parked_before.into_inner();
        }
    }
}
