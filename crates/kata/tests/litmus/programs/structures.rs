//! Data structures whose published proofs tell which orderings they need.

use kata::Canary;
use kata::cell::UnsafeCell;
use kata::sync::Arc;
use kata::sync::atomic::{
    AtomicIsize, AtomicPtr, AtomicUsize, Ordering, Ordering::AcqRel, Ordering::Acquire,
    Ordering::Relaxed, Ordering::Release, Ordering::SeqCst, fence,
};
use kata::thread;
use std::ptr;

/// How a work-stealing deque keeps its two ends apart.
#[derive(Clone, Copy)]
pub struct Deque {
    pub push_fence: bool,
    pub push: Ordering,
    pub take_bottom: Ordering,
    pub take_fence: bool,
    pub take_top: Ordering,
    pub steal_top: Ordering,
    pub steal_fence: bool,
    pub steal_bottom: Ordering,
}

impl Deque {
    /// With fences, as in Lê, Pop, Cohen, Nardelli, "Correct and efficient work-stealing for weak memory models" (2013).
    pub const FENCES: Self = Self {
        push_fence: true,
        push: Relaxed,
        take_bottom: Relaxed,
        take_fence: true,
        take_top: Relaxed,
        steal_top: Acquire,
        steal_fence: true,
        steal_bottom: Acquire,
    };
    /// With SeqCst accesses in place of the fences.
    pub const SEQ_CST: Self = Self {
        push_fence: false,
        push: Release,
        take_bottom: SeqCst,
        take_fence: false,
        take_top: SeqCst,
        steal_top: SeqCst,
        steal_fence: false,
        steal_bottom: SeqCst,
    };
}

struct ChaseLev {
    top: AtomicIsize,
    bottom: AtomicIsize,
    slots: [AtomicUsize; 2],
    parts: Deque,
}

impl ChaseLev {
    fn new(parts: Deque) -> Self {
        Self {
            top: AtomicIsize::new(0),
            bottom: AtomicIsize::new(0),
            slots: [AtomicUsize::new(0), AtomicUsize::new(0)],
            parts,
        }
    }

    fn slot(&self, index: isize) -> &AtomicUsize {
        &self.slots[index as usize % self.slots.len()]
    }

    fn push(&self, value: usize) {
        let bottom = self.bottom.load(Relaxed);
        self.slot(bottom).store(value, Relaxed);
        if self.parts.push_fence {
            fence(Release);
        }
        self.bottom.store(bottom + 1, self.parts.push);
    }

    fn take(&self) -> Option<usize> {
        let bottom = self.bottom.load(Relaxed) - 1;
        self.bottom.store(bottom, self.parts.take_bottom);
        if self.parts.take_fence {
            fence(SeqCst);
        }
        let top = self.top.load(self.parts.take_top);
        if top > bottom {
            self.bottom.store(bottom + 1, Relaxed);
            return None;
        }
        let value = self.slot(bottom).load(Relaxed);
        if top < bottom {
            return Some(value);
        }
        // The last one: thieves may be after it.
        let won = self.top.compare_exchange(top, top + 1, SeqCst, Relaxed);
        self.bottom.store(bottom + 1, Relaxed);
        won.is_ok().then_some(value)
    }

    fn steal(&self) -> Option<usize> {
        let top = self.top.load(self.parts.steal_top);
        if self.parts.steal_fence {
            fence(SeqCst);
        }
        let bottom = self.bottom.load(self.parts.steal_bottom);
        if top >= bottom {
            return None;
        }
        let value = self.slot(top).load(Relaxed);
        let won = self.top.compare_exchange(top, top + 1, SeqCst, Relaxed);
        won.is_ok().then_some(value)
    }
}

/// The owner pushes two and takes `takes`, while each thief steals as often as `thieves` says.
pub fn chase_lev(parts: Deque, takes: usize, thieves: &'static [usize]) -> impl Fn() {
    move || {
        let deque = Arc::new(ChaseLev::new(parts));
        let thieves: Vec<_> = thieves
            .iter()
            .map(|&times| {
                let deque = deque.clone();
                thread::spawn(move || (0..times).filter_map(|_| deque.steal()).collect::<Vec<_>>())
            })
            .collect();
        deque.push(1);
        deque.push(2);
        let mut taken: Vec<_> = (0..takes).filter_map(|_| deque.take()).collect();
        for thief in thieves {
            taken.extend(thief.join().unwrap());
        }
        for value in &taken {
            assert_ne!(*value, 0, "an element was stolen before it was there");
        }
        taken.sort_unstable();
        let all = taken.len();
        taken.dedup();
        assert_eq!(taken.len(), all, "an element was taken twice");
    }
}

/// How a hazard pointer is set, checked, cleared and looked at.
#[derive(Clone, Copy)]
pub struct Hazard {
    pub announce: Ordering,
    pub reader_fence: bool,
    /// The order of the second look at the source; `None` leaves it out.
    pub validate: Option<Ordering>,
    pub clear: Ordering,
    pub unlink: Ordering,
    pub writer_fence: bool,
    pub look: Ordering,
}

impl Hazard {
    /// Michael, "Hazard pointers" (2004), with a fence on each side.
    pub const FENCES: Self = Self {
        announce: Relaxed,
        reader_fence: true,
        validate: Some(Acquire),
        clear: Release,
        unlink: AcqRel,
        writer_fence: true,
        look: Acquire,
    };
    /// With SeqCst accesses in place of the fences.
    pub const SEQ_CST: Self = Self {
        announce: SeqCst,
        reader_fence: false,
        validate: Some(SeqCst),
        clear: Release,
        unlink: SeqCst,
        writer_fence: false,
        look: SeqCst,
    };
}

/// One reader protects and reads a node that the writer replaces and frees unless it is protected.
pub fn hazard_pointer(parts: Hazard) -> impl Fn() {
    struct Protected {
        source: AtomicPtr<Canary>,
        hazard: AtomicPtr<Canary>,
    }
    move || {
        let protected = Arc::new(Protected {
            source: AtomicPtr::new(Box::into_raw(Box::new(Canary::new()))),
            hazard: AtomicPtr::default(),
        });
        let reader = {
            let protected = protected.clone();
            thread::spawn(move || {
                let node = protected.source.load(Acquire);
                protected.hazard.store(node, parts.announce);
                if parts.reader_fence {
                    fence(SeqCst);
                }
                if parts
                    .validate
                    .is_none_or(|order| protected.source.load(order) == node)
                {
                    // SAFETY: it is protected and was still linked afterwards.
                    unsafe { &*node }.touch();
                }
                protected.hazard.store(ptr::null_mut(), parts.clear);
            })
        };
        let new = Box::into_raw(Box::new(Canary::new()));
        let old = protected.source.swap(new, parts.unlink);
        if parts.writer_fence {
            fence(SeqCst);
        }
        let kept = protected.hazard.load(parts.look) == old;
        if !kept {
            // SAFETY: unlinked, and nobody protects it.
            drop(unsafe { Box::from_raw(old) });
        }
        reader.join().unwrap();
        if kept {
            // SAFETY: the only reader is gone.
            drop(unsafe { Box::from_raw(old) });
        }
        // SAFETY: as above.
        drop(unsafe { Box::from_raw(new) });
    }
}

/// Two owners of one value each read it and let go; the last one frees it.
pub fn reference_count(decrement: Ordering, last: Option<Ordering>) -> impl Fn() {
    struct Inner {
        count: AtomicUsize,
        value: UnsafeCell<usize>,
    }
    #[derive(Clone, Copy)]
    struct Owner(*const Inner);
    // SAFETY: whether the last owner alone frees is what the checker decides.
    unsafe impl Send for Owner {}

    impl Owner {
        fn let_go(self, decrement: Ordering, last: Option<Ordering>) {
            // SAFETY: this owner has not let go yet.
            let inner = unsafe { &*self.0 };
            // SAFETY: nobody writes to the value.
            inner.value.with(|value| assert_eq!(unsafe { *value }, 5));
            if inner.count.fetch_sub(1, decrement) == 1 {
                if let Some(order) = last {
                    fence(order);
                }
                // SAFETY: the last owner.
                drop(unsafe { Box::from_raw(self.0.cast_mut()) });
            }
        }
    }
    move || {
        let first = Owner(Box::into_raw(Box::new(Inner {
            count: AtomicUsize::new(2),
            value: UnsafeCell::new(5),
        })));
        let second = first;
        let other = thread::spawn(move || second.let_go(decrement, last));
        first.let_go(decrement, last);
        other.join().unwrap();
    }
}

struct QueueNode {
    value: UnsafeCell<usize>,
    next: AtomicPtr<Self>,
}

impl QueueNode {
    fn boxed(value: usize) -> *mut Self {
        Box::into_raw(Box::new(Self {
            value: UnsafeCell::new(value),
            next: AtomicPtr::default(),
        }))
    }
}

/// Michael and Scott's queue (1996). Nodes are freed with the queue.
pub struct Queue {
    first: *mut QueueNode,
    head: AtomicPtr<QueueNode>,
    tail: AtomicPtr<QueueNode>,
    link: Ordering,
    /// Who finds the tail behind moves it on; who does not waits for the thread that left it behind.
    helps: bool,
}

// SAFETY: whether a value is written before it is read is what the checker decides.
unsafe impl Send for Queue {}
// SAFETY: as above.
unsafe impl Sync for Queue {}

impl Queue {
    pub fn new(link: Ordering, helps: bool) -> Self {
        let first = QueueNode::boxed(0);
        Self {
            first,
            head: AtomicPtr::new(first),
            tail: AtomicPtr::new(first),
            link,
            helps,
        }
    }

    pub fn enqueue(&self, value: usize) {
        let node = QueueNode::boxed(value);
        loop {
            let tail = self.tail.load(Acquire);
            // SAFETY: nodes live as long as the queue.
            let next = unsafe { &*tail }.next.load(Acquire);
            if !next.is_null() {
                self.move_tail(tail, next);
                continue;
            }
            // SAFETY: as above.
            let link = unsafe { &(*tail).next };
            if link
                .compare_exchange(ptr::null_mut(), node, self.link, Relaxed)
                .is_ok()
            {
                let _ = self.tail.compare_exchange(tail, node, AcqRel, Relaxed);
                return;
            }
        }
    }

    /// Finds the tail behind.
    fn move_tail(&self, tail: *mut QueueNode, next: *mut QueueNode) {
        if self.helps {
            let _ = self.tail.compare_exchange(tail, next, AcqRel, Relaxed);
        } else {
            kata::hint::spin_loop();
        }
    }

    pub fn dequeue(&self) -> Option<usize> {
        loop {
            let head = self.head.load(Acquire);
            let tail = self.tail.load(Acquire);
            // SAFETY: nodes live as long as the queue.
            let next = unsafe { &*head }.next.load(Acquire);
            if next.is_null() {
                return None;
            }
            if head == tail {
                self.move_tail(tail, next);
                continue;
            }
            // SAFETY: as above; nobody writes to a linked node's value.
            let value = unsafe { (*next).value.with(|value| *value) };
            if self
                .head
                .compare_exchange(head, next, AcqRel, Relaxed)
                .is_ok()
            {
                return Some(value);
            }
        }
    }
}

impl Drop for Queue {
    fn drop(&mut self) {
        let mut node = self.first;
        while !node.is_null() {
            // SAFETY: the chain from the first node contains every node once, and nobody else is left.
            node = *unsafe { Box::from_raw(node) }.next.get_mut();
        }
    }
}

/// Two threads enqueue one and dequeue one each.
pub fn michael_scott(link: Ordering) -> impl Fn() {
    move || {
        let queue = Arc::new(Queue::new(link, true));
        let other = {
            let queue = queue.clone();
            thread::spawn(move || {
                queue.enqueue(1);
                queue.dequeue()
            })
        };
        queue.enqueue(2);
        let mine = queue.dequeue();
        let theirs = other.join().unwrap();
        let mut values: Vec<_> = mine.into_iter().chain(theirs).collect();
        values.extend(std::iter::from_fn(|| queue.dequeue()));
        values.sort_unstable();
        assert_eq!(values, [1, 2], "what was enqueued is not what was dequeued");
    }
}

/// A free list of indices whose head is compared by index alone, or by index and a tag that counts changes.
pub fn free_list(tagged: bool) -> impl Fn() {
    const END: usize = 3;
    struct FreeList {
        head: AtomicUsize,
        next: [AtomicUsize; END],
        tagged: bool,
    }
    impl FreeList {
        fn changed(&self, head: usize, index: usize) -> usize {
            if self.tagged {
                ((head >> 8) + 1) << 8 | index
            } else {
                index
            }
        }

        fn pop(&self) -> Option<usize> {
            loop {
                let head = self.head.load(Acquire);
                let index = head & 0xFF;
                if index == END {
                    return None;
                }
                let next = self.next[index].load(Relaxed);
                let new = self.changed(head, next);
                if self
                    .head
                    .compare_exchange(head, new, AcqRel, Relaxed)
                    .is_ok()
                {
                    return Some(index);
                }
            }
        }

        fn push(&self, index: usize) {
            loop {
                let head = self.head.load(Relaxed);
                self.next[index].store(head & 0xFF, Relaxed);
                let new = self.changed(head, index);
                if self
                    .head
                    .compare_exchange(head, new, AcqRel, Relaxed)
                    .is_ok()
                {
                    return;
                }
            }
        }
    }
    move || {
        let list = Arc::new(FreeList {
            head: AtomicUsize::new(0),
            next: [
                AtomicUsize::new(1),
                AtomicUsize::new(2),
                AtomicUsize::new(END),
            ],
            tagged,
        });
        let other = {
            let list = list.clone();
            thread::spawn(move || {
                let (first, second) = (list.pop(), list.pop());
                if let Some(index) = first {
                    list.push(index);
                }
                second
            })
        };
        let mine = list.pop();
        let theirs = other.join().unwrap();
        let mut taken: Vec<_> = mine.into_iter().chain(theirs).collect();
        taken.extend(std::iter::from_fn(|| list.pop()).take(END + 1));
        taken.sort_unstable();
        assert_eq!(taken, [0, 1, 2], "a slot has two owners or none");
    }
}

/// What one producer and one consumer do to the indices of their ring.
#[derive(Clone, Copy)]
pub struct Ring {
    pub publish: Ordering,
    pub look: Ordering,
    pub release: Ordering,
    pub reuse: Ordering,
}

impl Ring {
    pub const RIGHT: Self = Self {
        publish: Release,
        look: Acquire,
        release: Release,
        reuse: Acquire,
    };
}

/// One producer, one consumer, one slot: two values go through.
pub fn spsc_ring(orders: Ring) -> impl Fn() {
    struct Shared {
        slot: UnsafeCell<usize>,
        head: AtomicUsize,
        tail: AtomicUsize,
    }
    // SAFETY: whether producer and consumer stay apart is what the checker decides.
    unsafe impl Sync for Shared {}
    move || {
        let shared = Arc::new(Shared {
            slot: UnsafeCell::new(0),
            head: AtomicUsize::new(0),
            tail: AtomicUsize::new(0),
        });
        let producer = {
            let shared = shared.clone();
            thread::spawn(move || {
                for value in 1..=2 {
                    let tail = shared.tail.load(Relaxed);
                    while tail - shared.head.load(orders.reuse) == 1 {
                        kata::hint::spin_loop();
                    }
                    // SAFETY: see `Sync`.
                    shared.slot.with_mut(|slot| unsafe { *slot = value });
                    shared.tail.store(tail + 1, orders.publish);
                }
            })
        };
        for value in 1..=2 {
            let head = shared.head.load(Relaxed);
            while shared.tail.load(orders.look) == head {
                kata::hint::spin_loop();
            }
            // SAFETY: see `Sync`.
            let found = shared.slot.with(|slot| unsafe { *slot });
            assert_eq!(found, value, "the values come out in another order");
            shared.head.store(head + 1, orders.release);
        }
        producer.join().unwrap();
    }
}
