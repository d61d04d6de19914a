//! Watches the heap of the running execution.
//!
//! Memory that model code frees is filled with a pattern and kept until the execution ends. A later touch through the
//! facade therefore finds a dead object instead of someone else's memory, a second free is noticed, and what is still
//! allocated at the end is a leak. Memory that the engine and the record use for themselves is left alone.
//!
//! A run that comes to nothing is left where it stands, without a destructor. What it had allocated is given back all the same,
//! one such run later: until then whoever frees it gives away that a model keeps state outside of its executions.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::ptr;

/// What freed memory is filled with.
pub(crate) const POISON_BYTE: u8 = 0xD7;

/// A word of freed memory.
pub(crate) const POISON: u64 = u64::from_ne_bytes([POISON_BYTE; 8]);

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// Belongs to the engine, the harness, or an execution that is over.
    Unwatched,
    /// Allocated by the code under test in the running execution.
    Live,
    /// Freed in the running execution and kept.
    Freed,
    /// Allocated in a run that came to nothing.
    #[cfg_attr(not(feature = "loom"), allow(dead_code))]
    Left,
}

/// Stands directly before every block.
struct Header {
    layout: Layout,
    state: State,
    /// The other watched blocks of the execution.
    next: *mut Header,
}

const HEADER: usize = size_of::<Header>();

thread_local! {
    static WATCHING: Cell<bool> = const { Cell::new(false) };
    static BLOCKS: Cell<*mut Header> = const { Cell::new(ptr::null_mut()) };
    /// The blocks of the last run that came to nothing.
    static LEFT: Cell<*mut Header> = const { Cell::new(ptr::null_mut()) };
    static LEFT_USED: Cell<bool> = const { Cell::new(false) };
    static DOUBLE_FREE: Cell<bool> = const { Cell::new(false) };
    /// Whether memory is overwritten when it is freed.
    static POISONING: Cell<bool> = const { Cell::new(true) };
}

/// While it lives, allocations belong to the engine. Ends when the wrapper returns to the code under test.
pub(crate) struct Aside(bool);

pub(crate) fn aside() -> Aside {
    Aside(WATCHING.replace(false))
}

/// Runs what belongs to the code under test, from within the engine.
#[cfg(feature = "loom")]
pub(crate) fn within<R>(run: impl FnOnce() -> R) -> R {
    let aside = Aside(WATCHING.replace(crate::record::in_execution()));
    let result = run();
    drop(aside);
    result
}

impl Drop for Aside {
    fn drop(&mut self) {
        WATCHING.set(self.0);
    }
}

/// Begins the part of a new thread that is code under test.
pub(crate) fn resume() {
    WATCHING.set(crate::record::running());
}

/// Begins an execution.
pub(crate) fn begin() {
    release();
    DOUBLE_FREE.set(false);
    POISONING.set(true);
    WATCHING.set(true);
}

/// From now on in this execution freed memory keeps its content. The threads of a run that came to nothing are unwound at a
/// place at which code need not be prepared for it: what they free twice must not lead them astray.
#[cfg(feature = "loom")]
pub(crate) fn spare() {
    POISONING.set(false);
}

/// Stops watching; what was kept stays until the next execution begins.
pub(crate) fn stop() {
    WATCHING.set(false);
}

/// Ends an execution and gives back the memory that was kept.
pub(crate) fn end() {
    WATCHING.set(false);
    release();
}

/// Ends a run that came to nothing: its blocks are given back after the next one.
///
/// # Panics
/// If somebody has freed what such a run had allocated.
#[cfg(feature = "loom")]
pub(crate) fn leave() {
    WATCHING.set(false);
    let [mut old, mut block] = [LEFT.take(), BLOCKS.replace(ptr::null_mut())];
    while !old.is_null() {
        // SAFETY: blocks in the list are allocated; the list is taken, so each is visited once.
        unsafe {
            let next = (*old).next;
            System.dealloc(base(old), padded((*old).layout));
            old = next;
        }
    }
    while !block.is_null() {
        // SAFETY: as above.
        unsafe {
            let next = (*block).next;
            if (*block).state == State::Live {
                ptr::write_bytes(
                    block.cast::<u8>().add(HEADER),
                    POISON_BYTE,
                    (*block).layout.size(),
                );
            }
            (*block).state = State::Left;
            (*block).next = LEFT.replace(block);
            block = next;
        }
    }
    assert!(
        !LEFT_USED.take(),
        "kata: a model keeps what it has allocated beyond the end of an execution\nA model must clear or forget all state that \
         outlives it, at the start of each execution."
    );
}

/// Watched blocks that are still allocated, and their bytes.
pub(crate) fn live() -> (usize, usize) {
    let (mut count, mut bytes) = (0, 0);
    let mut block = BLOCKS.get();
    while !block.is_null() {
        // SAFETY: blocks in the list stay allocated until `release`.
        let header = unsafe { &*block };
        if header.state == State::Live {
            count += 1;
            bytes += header.layout.size();
        }
        block = header.next;
    }
    (count, bytes)
}

/// Whether some block was freed twice since the last call.
pub(crate) fn take_double_free() -> bool {
    DOUBLE_FREE.replace(false)
}

fn release() {
    let mut block = BLOCKS.replace(ptr::null_mut());
    while !block.is_null() {
        // SAFETY: blocks in the list are allocated; the list is taken, so each is visited once.
        unsafe {
            let next = (*block).next;
            match (*block).state {
                State::Freed => System.dealloc(base(block), padded((*block).layout)),
                _ => (*block).state = State::Unwatched,
            }
            block = next;
        }
    }
}

/// The layout of a block together with its header.
fn padded(layout: Layout) -> Layout {
    let align = layout.align().max(align_of::<Header>());
    let offset = HEADER.next_multiple_of(align);
    // SAFETY: the alignment is a power of two; a size near `isize::MAX` would have failed in the caller's `Layout`
    // or fails in the system allocator.
    unsafe { Layout::from_size_align_unchecked(layout.size().saturating_add(offset), align) }
}

/// Where the allocation of a block with this header begins.
///
/// # Safety
/// `header` was written by [`Watch::alloc`].
unsafe fn base(header: *mut Header) -> *mut u8 {
    // SAFETY: per the caller; the offset is the one `alloc` has used.
    unsafe {
        let align = (*header).layout.align().max(align_of::<Header>());
        header
            .cast::<u8>()
            .add(HEADER)
            .sub(HEADER.next_multiple_of(align))
    }
}

/// The allocator of every check binary in the model worlds.
pub(crate) struct Watch;

// SAFETY: every block is a block of `System` with a header in front; the returned pointer has the layout's alignment
// because the offset is a multiple of it.
unsafe impl GlobalAlloc for Watch {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let align = layout.align().max(align_of::<Header>());
        let offset = HEADER.next_multiple_of(align);
        // SAFETY: the size is not zero because of the header.
        let start = unsafe { System.alloc(padded(layout)) };
        if start.is_null() {
            return start;
        }
        let watched = WATCHING.try_with(Cell::get).unwrap_or(false);
        // SAFETY: `offset` bytes were allocated in front of the block, at least `HEADER` of them, aligned.
        unsafe {
            let block = start.add(offset);
            let header = block.sub(HEADER).cast::<Header>();
            if watched {
                header.write(Header {
                    layout,
                    state: State::Live,
                    next: BLOCKS.replace(header),
                });
            } else {
                header.write(Header {
                    layout,
                    state: State::Unwatched,
                    next: ptr::null_mut(),
                });
            }
            block
        }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: `block` came from `alloc`, and watched blocks keep their header until the execution ends.
        unsafe {
            let header = block.sub(HEADER).cast::<Header>();
            match (*header).state {
                State::Unwatched => System.dealloc(base(header), padded(layout)),
                State::Live => {
                    (*header).state = State::Freed;
                    if POISONING.try_with(Cell::get).unwrap_or(false) {
                        ptr::write_bytes(block, POISON_BYTE, layout.size());
                    }
                }
                State::Left => {
                    let _ = LEFT_USED.try_with(|used| used.set(true));
                }
                State::Freed => {
                    let _ = DOUBLE_FREE.try_with(|double_free| double_free.set(true));
                }
            }
        }
    }
}

#[global_allocator]
static WATCH: Watch = Watch;
