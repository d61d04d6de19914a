//! Memory: freed too early, twice, never, or while somebody still looks at it.

use kata::Canary;
use kata::cell::UnsafeCell;
use kata::sync::Arc;
use kata::sync::atomic::{
    AtomicBool, AtomicPtr, Ordering, Ordering::AcqRel, Ordering::Acquire, Ordering::Relaxed,
    Ordering::Release,
};
use kata::thread;
use std::ptr;

/// A node of a stack that tells the checker of a touch, or does not.
pub trait Link: Send + Sync + Sized + 'static {
    fn new(next: *mut Node<Self>) -> Self;
    fn next(&self) -> *mut Node<Self>;
}

pub struct Node<L> {
    link: L,
}

/// A field like any other: what is read from freed memory is what gives it away.
pub struct Plain(*mut Node<Self>);

// SAFETY: a link is written before its node is shared.
unsafe impl Send for Plain {}
// SAFETY: as above.
unsafe impl Sync for Plain {}

impl Link for Plain {
    fn new(next: *mut Node<Self>) -> Self {
        Self(next)
    }

    fn next(&self) -> *mut Node<Self> {
        self.0
    }
}

/// In a cell that the checker watches.
pub struct Watched(UnsafeCell<*mut Node<Self>>);

// SAFETY: a link is written before its node is shared.
unsafe impl Send for Watched {}
// SAFETY: as above.
unsafe impl Sync for Watched {}

impl Link for Watched {
    fn new(next: *mut Node<Self>) -> Self {
        Self(UnsafeCell::new(next))
    }

    fn next(&self) -> *mut Node<Self> {
        // SAFETY: nobody writes to a link.
        self.0.with(|next| unsafe { *next })
    }
}

/// Beside a canary.
pub struct Guarded(Canary, *mut Node<Self>);

// SAFETY: a link is written before its node is shared.
unsafe impl Send for Guarded {}
// SAFETY: as above.
unsafe impl Sync for Guarded {}

impl Link for Guarded {
    fn new(next: *mut Node<Self>) -> Self {
        Self(Canary::new(), next)
    }

    fn next(&self) -> *mut Node<Self> {
        self.0.touch();
        self.1
    }
}

/// A Treiber stack (1986) whose `pop` frees the node at once, or hands it to somebody who outlives all.
struct Stack<L: Link> {
    head: AtomicPtr<Node<L>>,
}

impl<L: Link> Stack<L> {
    fn push(&self) {
        let node = Box::into_raw(Box::new(Node {
            link: L::new(self.head.load(Relaxed)),
        }));
        // Alone: the stack is filled before it is shared.
        self.head.store(node, Release);
    }

    fn pop(&self) -> *mut Node<L> {
        loop {
            let head = self.head.load(Acquire);
            if head.is_null() {
                return head;
            }
            // SAFETY: no. Another thread may have freed it: that is the mistake.
            let next = unsafe { &*head }.link.next();
            if self
                .head
                .compare_exchange(head, next, AcqRel, Relaxed)
                .is_ok()
            {
                return head;
            }
        }
    }
}

/// Two threads pop.
pub fn treiber<L: Link>(at_once: bool) -> impl Fn() {
    move || {
        let stack = Arc::new(Stack::<L> {
            head: AtomicPtr::default(),
        });
        stack.push();
        stack.push();
        let pop = move |stack: &Stack<L>| {
            let node = stack.pop();
            if at_once && !node.is_null() {
                // SAFETY: popped once; that others may still look at it is the mistake.
                drop(unsafe { Box::from_raw(node) });
            }
            node.expose_provenance()
        };
        let other = {
            let stack = stack.clone();
            thread::spawn(move || pop(&stack))
        };
        let nodes = [pop(&stack), other.join().unwrap()];
        if !at_once {
            for node in nodes {
                // SAFETY: each node was popped once, and the other thread is gone.
                drop(unsafe { Box::from_raw(ptr::with_exposed_provenance_mut::<Node<L>>(node)) });
            }
        }
    }
}

/// Two threads take what is in a slot and free it, in one step or in two.
pub fn take<T: Default + 'static>(in_one_step: bool) -> impl Fn() {
    move || {
        let slot = Arc::new(AtomicPtr::new(Box::into_raw(Box::<T>::default())));
        let take = move |slot: &AtomicPtr<T>| {
            let found = if in_one_step {
                slot.swap(ptr::null_mut(), AcqRel)
            } else {
                let found = slot.load(Acquire);
                slot.store(ptr::null_mut(), Release);
                found
            };
            if !found.is_null() {
                // SAFETY: only right if it was taken in one step.
                drop(unsafe { Box::from_raw(found) });
            }
        };
        let other = {
            let slot = slot.clone();
            thread::spawn(move || take(&slot))
        };
        take(&slot);
        other.join().unwrap();
    }
}

/// A slot that is filled by two threads; who overwrites frees what was there, or forgets it.
pub fn overwrite(forget: bool) -> impl Fn() {
    move || {
        let slot = Arc::new(AtomicPtr::<u64>::default());
        let fill = move |slot: &AtomicPtr<u64>| {
            let new = Box::into_raw(Box::new(1));
            let old = slot.swap(new, AcqRel);
            if !old.is_null() && !forget {
                // SAFETY: swapped out, hence this thread's.
                drop(unsafe { Box::from_raw(old) });
            }
        };
        let other = {
            let slot = slot.clone();
            thread::spawn(move || fill(&slot))
        };
        fill(&slot);
        other.join().unwrap();
        // SAFETY: the other thread is gone.
        drop(unsafe { Box::from_raw(slot.load(Relaxed)) });
    }
}

/// One thread looks at a box and says that it is done; the other one then drops it.
pub fn drop_after_use(done: Ordering, look: Ordering) -> impl Fn() {
    struct Shared {
        value: *mut Canary,
        done: AtomicBool,
    }
    // SAFETY: whether the box outlives its reader is what the checker decides.
    unsafe impl Send for Shared {}
    // SAFETY: as above.
    unsafe impl Sync for Shared {}
    move || {
        let shared = Arc::new(Shared {
            value: Box::into_raw(Box::new(Canary::new())),
            done: AtomicBool::new(false),
        });
        let reader = {
            let shared = shared.clone();
            thread::spawn(move || {
                // SAFETY: see `Sync`.
                unsafe { &*shared.value }.touch();
                shared.done.store(true, done);
            })
        };
        let finished = shared.done.load(look);
        if !finished {
            reader.join().unwrap();
        }
        // SAFETY: see `Sync`.
        drop(unsafe { Box::from_raw(shared.value) });
    }
}

/// What the destructor of a shared value reads was written by another owner, right before it let go of the value and after all
/// else that the last owner knows of.
pub fn left_for_the_destructor() {
    struct Shared {
        left: UnsafeCell<u32>,
        flag: AtomicBool,
    }
    // SAFETY: `left` is written by one thread and read when nobody is left.
    unsafe impl Send for Shared {}
    // SAFETY: as above.
    unsafe impl Sync for Shared {}
    impl Drop for Shared {
        fn drop(&mut self) {
            // SAFETY: nobody else has it any more.
            assert!(self.left.with(|left| unsafe { *left }) < 2);
        }
    }
    let shared = Arc::new(Shared {
        left: UnsafeCell::new(0),
        flag: AtomicBool::new(false),
    });
    let other = {
        let shared = shared.clone();
        thread::spawn(move || _ = shared.flag.load(Acquire))
    };
    shared.flag.store(true, Release);
    // SAFETY: read in the end.
    shared.left.with_mut(|left| unsafe { *left = 1 });
    drop(shared);
    other.join().unwrap();
}
