//! How often does this code allocate?
//!
//! A binary of checks that wants to know installs the counting allocator:
//!
//! ```ignore
//! #[global_allocator]
//! static ALLOCATOR: kata::check::Counting = kata::check::Counting;
//! ```
//!
//! What it decides: how many times a piece of code went to the allocator, exactly. What it cannot: what that cost. Every
//! allocation also updates two numbers that all threads share, which on x86 is a full barrier each: a stress
//! test that must not be helped by barriers belongs in a binary without it.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::hint::black_box;
use std::sync::atomic::{AtomicIsize, Ordering::Relaxed};

/// The system's allocator, counting.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counting;

/// What code did to the heap.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Count {
    /// How often it asked for memory. Growing or shrinking a block asks, too.
    pub allocations: u64,
    /// How often it gave memory back.
    pub frees: u64,
    /// How many bytes more it holds now than before; below zero if it freed what was allocated earlier.
    pub live_bytes: isize,
}

// Constant and without a destructor: these need no allocation and no registration at first use, and they can be
// reached as long as the thread runs any code at all.
thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
    static FREES: Cell<u64> = const { Cell::new(0) };
    static LIVE_BYTES: Cell<isize> = const { Cell::new(0) };
}

// Relaxed throughout: mere numbers. Whoever wants them exact has joined the threads that change them.
static ALL_LIVE_BLOCKS: AtomicIsize = AtomicIsize::new(0);
static ALL_LIVE_BYTES: AtomicIsize = AtomicIsize::new(0);

/// Runs `run` and counts what the calling thread did to the heap meanwhile; other threads do not count. Can be nested.
///
/// # Panics
///
/// If [`Counting`] is not the global allocator of this binary: the count would be 0 whatever `run` does.
#[track_caller]
pub fn allocations_in<R>(run: impl FnOnce() -> R) -> (R, Count) {
    let before = here();
    drop(black_box(Box::new(0_u8)));
    assert!(
        here().allocations > before.allocations,
        "this binary does not count allocations: it lacks `#[global_allocator] static ALLOCATOR: Counting = Counting;`"
    );

    let before = here();
    let result = run();
    let after = here();
    let count = Count {
        allocations: after.allocations - before.allocations,
        frees: after.frees - before.frees,
        live_bytes: after.live_bytes - before.live_bytes,
    };
    (result, count)
}

/// How many blocks are allocated now, by all threads together. Exact while no other thread allocates or frees; the
/// test harness's own threads do.
pub fn live_blocks() -> isize {
    ALL_LIVE_BLOCKS.load(Relaxed)
}

/// How many bytes are allocated now, by all threads together. As exact as [`live_blocks`].
pub fn live_bytes() -> isize {
    ALL_LIVE_BYTES.load(Relaxed)
}

/// What the calling thread did since it began.
fn here() -> Count {
    Count {
        allocations: ALLOCATIONS.get(),
        frees: FREES.get(),
        live_bytes: LIVE_BYTES.get(),
    }
}

/// Adds to the counts of the calling thread and of all. Allocates nothing, never panics.
fn note(allocations: u64, frees: u64, blocks: isize, bytes: isize) {
    // A thread that is being torn down may have lost its counts; then only the common ones are kept.
    let _ = ALLOCATIONS.try_with(|count| count.set(count.get() + allocations));
    let _ = FREES.try_with(|count| count.set(count.get() + frees));
    let _ = LIVE_BYTES.try_with(|count| count.set(count.get() + bytes));
    if blocks != 0 {
        ALL_LIVE_BLOCKS.fetch_add(blocks, Relaxed);
    }
    ALL_LIVE_BYTES.fetch_add(bytes, Relaxed);
}

/// A size as a difference. No block is larger than `isize::MAX`: `Layout` sees to it.
fn difference(size: usize) -> isize {
    size.cast_signed()
}

// SAFETY: every call is handed to `System` as it came, and its answer handed back; counting allocates nothing and does
// not unwind.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller promises what `System` asks for.
        let block = unsafe { System.alloc(layout) };
        if !block.is_null() {
            note(1, 0, 1, difference(layout.size()));
        }
        block
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller promises what `System` asks for.
        let block = unsafe { System.alloc_zeroed(layout) };
        if !block.is_null() {
            note(1, 0, 1, difference(layout.size()));
        }
        block
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: the caller promises what `System` asks for; the block came from it.
        unsafe { System.dealloc(block, layout) };
        note(0, 1, -1, -difference(layout.size()));
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        // SAFETY: the caller promises what `System` asks for; the block came from it.
        let moved = unsafe { System.realloc(block, layout, new_size) };
        if !moved.is_null() {
            note(1, 0, 0, difference(new_size) - difference(layout.size()));
        }
        moved
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    #[global_allocator]
    static ALLOCATOR: Counting = Counting;

    fn count_of<R>(run: impl FnOnce() -> R) -> Count {
        allocations_in(run).1
    }

    #[test]
    fn code_that_allocates_nothing_counts_nothing() {
        assert_eq!(count_of(|| black_box(1) + 1), Count::default());
    }

    #[test]
    fn a_block_counts_when_it_comes_and_when_it_goes() {
        let (block, count) = allocations_in(|| black_box(Box::new([0_u8; 100])));
        assert_eq!(
            (count.allocations, count.frees, count.live_bytes),
            (1, 0, 100)
        );
        let count = count_of(|| drop(block));
        assert_eq!(
            (count.allocations, count.frees, count.live_bytes),
            (0, 1, -100)
        );
    }

    #[test]
    fn growth_is_an_allocation_but_no_block_more() {
        let count = count_of(|| {
            let mut values: Vec<u8> = Vec::with_capacity(10);
            values.extend([1; 10]);
            values.reserve_exact(1_000);
            drop(black_box(values));
        });
        assert_eq!(
            (count.allocations, count.frees, count.live_bytes),
            (2, 1, 0)
        );
    }

    #[test]
    fn zeroed_memory_counts() {
        assert_eq!(count_of(|| black_box(vec![0_u64; 8])).allocations, 1);
    }

    #[test]
    fn other_threads_do_not_count() {
        let (go, gone) = (std::sync::Barrier::new(2), std::sync::Barrier::new(2));
        thread::scope(|scope| {
            scope.spawn(|| {
                go.wait();
                drop(black_box(vec![1; 1_000]));
                gone.wait();
            });
            let count = count_of(|| {
                go.wait();
                gone.wait();
            });
            assert_eq!(count, Count::default());
        });
    }

    #[test]
    fn counts_nest_and_survive_a_panic() {
        let outer = count_of(|| {
            let inner = count_of(|| black_box(Box::new(1)));
            assert_eq!(inner.allocations, 1);
        });
        // The inner one also asks whether anybody counts.
        assert_eq!(outer.allocations, 2);
        let _ =
            std::panic::catch_unwind(|| allocations_in(|| std::panic::resume_unwind(Box::new(()))));
        assert_eq!(count_of(|| ()), Count::default());
    }

    #[test]
    fn a_thread_may_allocate_while_it_is_torn_down() {
        struct Late;
        impl Drop for Late {
            fn drop(&mut self) {
                drop(black_box(Box::new(1)));
            }
        }
        thread_local!(static LATE: Late = const { Late });
        thread::spawn(|| LATE.with(|_| ())).join().unwrap();
    }

    #[test]
    fn live_blocks_are_everybodys() {
        // Other tests of this binary come and go meanwhile: a lot of blocks, so that they do not matter.
        let before = (live_blocks(), live_bytes());
        let blocks: Vec<_> = thread::spawn(|| (0..100_000_u32).map(Box::new).collect())
            .join()
            .unwrap();
        let held = (live_blocks(), live_bytes());
        assert!(held.0 - before.0 > 90_000 && held.1 - before.1 > 360_000);
        drop::<Vec<Box<u32>>>(blocks);
        assert!(held.0 - live_blocks() > 90_000);
    }
}
