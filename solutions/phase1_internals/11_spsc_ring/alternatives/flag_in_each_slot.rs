//! No shared index at all: each slot says itself whether it holds a value (Giacomoni, Moseley and Vachharajani,
//! "FastForward", 2008), and each end keeps its place to itself. `len` has to count.

use kata::cell::UnsafeCell;
use kata::sync::Arc;
use kata::sync::atomic::AtomicBool;
use kata::sync::atomic::Ordering::{Acquire, Relaxed, Release};

struct Slot<T> {
    /// The producer sets it, the consumer clears it; whoever may change it may use `value`.
    full: AtomicBool,
    value: UnsafeCell<Option<T>>,
}

// SAFETY: `full` gives the value to one of the two ends at a time.
unsafe impl<T: Send> Sync for Slot<T> {}

pub fn channel<T>(capacity: usize) -> (Producer<T>, Consumer<T>) {
    channel_starting_at(capacity, 0)
}

#[doc(hidden)]
pub fn channel_starting_at<T>(capacity: usize, start: usize) -> (Producer<T>, Consumer<T>) {
    assert_ne!(capacity, 0, "the capacity of a ring must be at least 1");
    let slots: Arc<Vec<Slot<T>>> = Arc::new(
        (0..capacity)
            .map(|_| Slot {
                full: AtomicBool::new(false),
                value: UnsafeCell::new(None),
            })
            .collect(),
    );
    let place = start % capacity;
    (
        Producer {
            slots: slots.clone(),
            place,
        },
        Consumer { slots, place },
    )
}

/// How many slots from `place` on are as the end that asks needs them. What is so stays so until that end changes it.
fn count<T>(slots: &[Slot<T>], place: usize, full: bool) -> usize {
    let (before, from) = slots.split_at(place);
    from.iter()
        .chain(before)
        .take_while(|slot| slot.full.load(Relaxed) == full)
        .count()
}

pub struct Producer<T> {
    slots: Arc<Vec<Slot<T>>>,
    place: usize,
}

impl<T> Producer<T> {
    pub fn push(&mut self, value: T) -> Result<(), T> {
        let slot = &self.slots[self.place];
        // Acquire: pairs with the Release in `pop`.
        if slot.full.load(Acquire) {
            return Err(value);
        }
        // SAFETY: an empty slot is the producer's.
        slot.value.with_mut(|place| unsafe { *place = Some(value) });
        slot.full.store(true, Release); // pairs with the Acquire in `pop`
        self.place = (self.place + 1) % self.slots.len();
        Ok(())
    }

    pub fn capacity(&self) -> usize {
        self.slots.len()
    }

    pub fn len(&self) -> usize {
        self.slots.len() - count(&self.slots, self.place, false)
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

pub struct Consumer<T> {
    slots: Arc<Vec<Slot<T>>>,
    place: usize,
}

impl<T> Consumer<T> {
    pub fn pop(&mut self) -> Option<T> {
        let slot = &self.slots[self.place];
        // Acquire: pairs with the Release in `push`.
        if !slot.full.load(Acquire) {
            return None;
        }
        // SAFETY: a full slot is the consumer's.
        let value = slot.value.with_mut(|place| unsafe { (*place).take() });
        slot.full.store(false, Release); // pairs with the Acquire in `push`
        self.place = (self.place + 1) % self.slots.len();
        value
    }

    pub fn capacity(&self) -> usize {
        self.slots.len()
    }

    pub fn len(&self) -> usize {
        count(&self.slots, self.place, true)
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
