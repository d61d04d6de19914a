//! Values that tell on the stack they passed through.

use std::sync::atomic::{AtomicIsize, Ordering::Relaxed};

use kata::cell::UnsafeCell;

/// A value whose content lies in a cell that the model watches. Whoever opens it must come after whoever packed it, or
/// the model reports a race: also where the fields of the nodes are plain and the model sees none of them.
pub struct Parcel {
    id: usize,
    content: UnsafeCell<usize>,
    shelf: &'static Shelf,
}

// SAFETY: a parcel is used by one thread after the other; whether the stack sees to it is what the model decides.
unsafe impl Send for Parcel {}

// SAFETY: a shared parcel gives nothing out. (So that a stack that asks for more than it should still compiles here, and
// fails where its bounds are judged.)
unsafe impl Sync for Parcel {}

impl Parcel {
    /// The content. Consumes the parcel.
    pub fn open(self) -> usize {
        // SAFETY: the parcel is this thread's, if the stack is right.
        let content = self.content.with(|content| unsafe { *content });
        assert_eq!(
            content, self.id,
            "the stack handed out a value that nobody had pushed"
        );
        content
    }
}

impl Drop for Parcel {
    fn drop(&mut self) {
        if let Some(here) = self.shelf.0.get(self.id) {
            here.fetch_sub(1, Relaxed);
        }
    }
}

const PLACES: usize = 64;

/// How many parcels of each number there are: packed, less dropped. In `std` atomics, which no model sees or orders.
pub struct Shelf([AtomicIsize; PLACES]);

impl Shelf {
    /// Leaked: a parcel dropped once too often finds it, too. To be made outside the model, so that the model does not
    /// take it for a leak of the stack.
    pub fn new() -> &'static Self {
        Box::leak(Box::new(Self([const { AtomicIsize::new(0) }; PLACES])))
    }

    /// Forgets what was left over: a checker begins executions that it does not bring to their end.
    #[cfg(feature = "loom")]
    pub fn clear(&self) {
        self.0.iter().for_each(|left| left.store(0, Relaxed));
    }

    /// A parcel with this number. No two of one execution have the same.
    pub fn pack(&'static self, id: usize) -> Parcel {
        self.0[id].fetch_add(1, Relaxed);
        let content = UnsafeCell::new(0);
        // SAFETY: nobody else knows it yet.
        content.with_mut(|content| unsafe { *content = id });
        Parcel {
            id,
            content,
            shelf: self,
        }
    }

    /// Asserts that each parcel was dropped, and none twice. For the end of an execution.
    #[track_caller]
    pub fn assert_all_dropped_once(&self) {
        for (id, left) in self.0.iter().enumerate() {
            let left = left.load(Relaxed);
            assert!(
                left <= 0,
                "the stack is gone, and value {id} was never dropped: it is leaked"
            );
            assert!(
                left >= 0,
                "value {id} was dropped twice: with a `String` in its place, memory that is in use would have been \
                 freed"
            );
        }
    }
}
