//! As `std`'s queue-based `Once`: one word is empty, full, or the newest of the threads that wait, each of which has a place on
//! its own stack. The value is in the cell, and a panic wakes everybody.

use std::mem::MaybeUninit;
use std::ptr;

use kata::cell::UnsafeCell;
use kata::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};
use kata::sync::atomic::{AtomicBool, AtomicUsize};
use kata::thread::{self, Thread};

/// Takes `const` away where a model checker runs the function.
macro_rules! const_outside_models {
    ($($(#[$attribute:meta])* pub const fn $name:ident() -> Self $body:block)*) => {$(
        $(#[$attribute])*
        #[cfg(not(any(feature = "loom", feature = "shuttle")))]
        pub const fn $name() -> Self $body

        $(#[$attribute])*
        #[cfg(any(feature = "loom", feature = "shuttle"))]
        pub fn $name() -> Self $body
    )*};
}

const EMPTY: usize = 0;
const FULL: usize = 1;
/// Somebody makes the value. The rest of the word is the address of a `Waiter`, or 0.
const BUSY: usize = 2;

pub struct OnceCell<T> {
    state: AtomicUsize,
    value: UnsafeCell<MaybeUninit<T>>,
}

// SAFETY: the value is shown to all threads, and moved in on one and dropped on another.
unsafe impl<T: Send + Sync> Sync for OnceCell<T> {}

#[repr(align(4))]
struct Waiter {
    thread: Thread,
    woken: AtomicBool,
    next: usize,
}

/// The right to write. At its end everybody who waits is woken.
struct Turn<'a> {
    state: &'a AtomicUsize,
    leave: usize,
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        // Release: pairs with the Acquires of those who look. Acquire: the waiters were written before they came in here.
        let mut waiter = self.state.swap(self.leave, AcqRel) & !3;
        while waiter != 0 {
            let place = ptr::with_exposed_provenance::<Waiter>(waiter);
            // SAFETY: its thread stays until it is woken, which is the last that happens to it. The thread is taken before.
            let thread = unsafe {
                waiter = (*place).next;
                let thread = (*place).thread.clone();
                (*place).woken.store(true, Release);
                thread
            };
            thread.unpark();
        }
    }
}

impl<T> OnceCell<T> {
    const_outside_models! {
        pub const fn new() -> Self {
            Self {
                state: AtomicUsize::new(EMPTY),
                value: UnsafeCell::new(MaybeUninit::uninit()),
            }
        }
    }

    pub fn get(&self) -> Option<&T> {
        (self.state.load(Acquire) == FULL).then(|| self.full())
    }

    pub fn get_or_init(&self, init: impl FnOnce() -> T) -> &T {
        let mut state = self.state.load(Acquire);
        loop {
            if state == FULL {
                return self.full();
            }
            if state == EMPTY {
                match self.state.compare_exchange(EMPTY, BUSY, Acquire, Acquire) {
                    Ok(_) => break,
                    Err(now) => state = now,
                }
                continue;
            }
            self.wait(state);
            state = self.state.load(Acquire);
        }
        let mut turn = Turn {
            state: &self.state,
            leave: EMPTY,
        };
        let value = init();
        self.value.with_mut(|slot| {
            // SAFETY: it is our turn, and nobody looks before the cell is full.
            unsafe { (*slot).write(value) };
        });
        turn.leave = FULL;
        drop(turn);
        self.full()
    }

    /// Waits until a turn ends that was in progress when the state was `state`.
    #[cold]
    fn wait(&self, mut state: usize) {
        let mut waiter = Waiter {
            thread: thread::current(),
            woken: AtomicBool::new(false),
            next: 0,
        };
        loop {
            if state & BUSY == 0 {
                return;
            }
            waiter.next = state & !3;
            let me = ptr::from_ref(&waiter).expose_provenance() | BUSY;
            // Release: pairs with the swap in `Turn::drop`, which reads the waiter.
            match self.state.compare_exchange(state, me, Release, Relaxed) {
                Ok(_) => break,
                Err(now) => state = now,
            }
        }
        // Acquire: pairs with the Release in `Turn::drop`, which has read the waiter.
        while !waiter.woken.load(Acquire) {
            thread::park();
        }
    }

    pub fn set(&self, value: T) -> Result<(), T> {
        let mut value = Some(value);
        self.get_or_init(|| value.take().expect("an `init` is called once at most"));
        value.map_or(Ok(()), Err)
    }

    /// The value of a cell that this thread has seen full.
    fn full(&self) -> &T {
        // SAFETY: it was written before the cell was full, and is not written again.
        self.value.with(|slot| unsafe { (*slot).assume_init_ref() })
    }
}

impl<T> Drop for OnceCell<T> {
    fn drop(&mut self) {
        if *self.state.get_mut() == FULL {
            // SAFETY: it was written and is dropped once.
            unsafe { self.value.get_mut().assume_init_drop() };
        }
    }
}

impl<T> Default for OnceCell<T> {
    fn default() -> Self {
        Self::new()
    }
}
