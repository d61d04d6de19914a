//! Nodes have numbers, not addresses, and are used again: `head` holds the number of the top and a tag that every change
//! increments, so that a number that has come back is not taken for the one that was there. More than was asked for: memory
//! grows with the number of values that are in the stack at once, not of those that ever were.
//!
//! The tag has 32 bits. A pop that sleeps while exactly 2^32 others finish would be fooled.

use std::marker::PhantomData;
use std::mem::MaybeUninit;
use std::ptr;

use kata::cell::UnsafeCell;
use kata::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};
use kata::sync::atomic::{AtomicPtr, AtomicU32, AtomicU64};

/// Block *b* holds the 2^*b* nodes from number 2^*b* on. Number 0 is no node.
const BLOCKS: usize = 31;
const NONE: u32 = 0;

pub struct Stack<T> {
    head: AtomicU64,
    /// Nodes without a value.
    free: AtomicU64,
    /// How many numbers were given out.
    used: AtomicU32,
    blocks: [AtomicPtr<Node<T>>; BLOCKS],
    owns: PhantomData<*mut T>,
}

// SAFETY: the stack owns its values.
unsafe impl<T: Send> Send for Stack<T> {}
// SAFETY: a shared stack moves values between threads and shows none to two.
unsafe impl<T: Send> Sync for Stack<T> {}

struct Node<T> {
    value: UnsafeCell<MaybeUninit<T>>,
    /// The number of the node below. Atomic, for a pop that comes too late may read it while it is written again.
    next: AtomicU32,
}

fn number(word: u64) -> u32 {
    word as u32
}

fn tagged(number: u32, before: u64) -> u64 {
    let tag = (before >> 32).wrapping_add(1);
    (tag << 32) | u64::from(number)
}

impl<T> Stack<T> {
    pub fn new() -> Self {
        Self {
            head: AtomicU64::new(0),
            free: AtomicU64::new(0),
            used: AtomicU32::new(0),
            blocks: std::array::from_fn(|_| AtomicPtr::default()),
            owns: PhantomData,
        }
    }

    pub fn push(&self, value: T) {
        let number = self.take(&self.free).unwrap_or_else(|| self.fresh());
        // SAFETY: the number is ours: taken off the free list, or new.
        self.node(number)
            .value
            .with_mut(|place| unsafe { (*place).write(value) });
        self.put(&self.head, number);
    }

    pub fn pop(&self) -> Option<T> {
        let number = self.take(&self.head)?;
        // SAFETY: the node was in the stack, so it has a value, and it is ours since we took it.
        let value = self
            .node(number)
            .value
            .with(|value| unsafe { (*value).assume_init_read() });
        self.put(&self.free, number);
        Some(value)
    }

    pub fn is_empty(&self) -> bool {
        number(self.head.load(Acquire)) == NONE
    }

    fn take(&self, list: &AtomicU64) -> Option<u32> {
        // Acquire: pairs with the Release in `put`.
        let mut word = list.load(Acquire);
        loop {
            if number(word) == NONE {
                return None;
            }
            let below = self.node(number(word)).next.load(Relaxed);
            match list.compare_exchange_weak(word, tagged(below, word), AcqRel, Acquire) {
                Ok(_) => return Some(number(word)),
                Err(now) => word = now,
            }
        }
    }

    fn put(&self, list: &AtomicU64, node: u32) {
        let mut word = list.load(Relaxed);
        loop {
            self.node(node).next.store(number(word), Relaxed);
            match list.compare_exchange_weak(word, tagged(node, word), Release, Relaxed) {
                Ok(_) => return,
                Err(now) => word = now,
            }
        }
    }

    fn fresh(&self) -> u32 {
        let number = self.used.fetch_add(1, Relaxed) + 1;
        let block = number.ilog2() as usize;
        if self.blocks[block].load(Acquire).is_null() {
            let new: Box<[Node<T>]> = (0..1 << block)
                .map(|_| Node {
                    value: UnsafeCell::new(MaybeUninit::uninit()),
                    next: AtomicU32::new(NONE),
                })
                .collect();
            let new = Box::into_raw(new).cast();
            let placed = self.blocks[block].compare_exchange(ptr::null_mut(), new, AcqRel, Acquire);
            if placed.is_err() {
                // SAFETY: somebody else has placed the block; nobody has seen this one.
                unsafe { free_block(new, block) };
            }
        }
        number
    }

    fn node(&self, number: u32) -> &Node<T> {
        let block = number.ilog2();
        let start = self.blocks[block as usize].load(Acquire);
        // SAFETY: the block was placed before its numbers were given out, and lives as long as the stack.
        unsafe { &*start.add((number - (1 << block)) as usize) }
    }
}

/// # Safety
/// `start` is a block of this size class that nobody uses.
unsafe fn free_block<T>(start: *mut Node<T>, block: usize) {
    // SAFETY: per the caller; it was a boxed slice of this length.
    drop(unsafe { Box::from_raw(ptr::slice_from_raw_parts_mut(start, 1 << block)) });
}

impl<T> Default for Stack<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> Drop for Stack<T> {
    fn drop(&mut self) {
        while self.pop().is_some() {}
        for block in 0..BLOCKS {
            let start = *self.blocks[block].get_mut();
            if !start.is_null() {
                // SAFETY: nobody uses the stack any more.
                unsafe { free_block(start, block) };
            }
        }
    }
}
