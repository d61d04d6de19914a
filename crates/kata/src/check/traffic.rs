//! What a thread did so far in the running execution, as counts that do not depend on the machine.

use crate::record::{self, Op};
use crate::thread::Thread;

/// Operations that `thread` has performed in this execution. One that waits in a loop goes on performing them.
///
/// Who has seen another thread take more steps than the first part of an operation is long knows that this part is over.
pub fn steps(thread: &Thread) -> usize {
    let thread = thread.index();
    record::with(|record| {
        let own = record.operations().filter(|event| event.thread == thread);
        own.count()
    })
}

/// Read-modify-writes that the current thread has performed in this execution. One that fails counts, and so does taking a
/// lock, which is one at least.
pub fn rmw_count() -> usize {
    let thread = record::current();
    record::with(|record| {
        let own = record.operations().filter(|event| event.thread == thread);
        own.filter(|event| matches!(event.op, Op::Rmw { .. } | Op::Lock(_) | Op::TryLock { .. }))
            .count()
    })
}

/// Writes that the current thread has performed in this execution: plain stores, and read-modify-writes as [`rmw_count`] has
/// them. Each takes the cache line away from everybody else.
pub fn write_count() -> usize {
    let thread = record::current();
    let stores = record::with(|record| {
        let own = record.operations().filter(|event| event.thread == thread);
        own.filter(|event| matches!(event.op, Op::Store { .. }))
            .count()
    });
    stores + rmw_count()
}

/// The longest pause that the current thread has made in this execution: `spin_loop`s and `yield_now`s in a row, without a
/// look at anything in between.
pub fn longest_pause() -> usize {
    let thread = record::current();
    record::with(|record| {
        let (mut pause, mut longest) = (0, 0);
        for event in record.operations() {
            if event.thread == thread {
                pause = match event.op {
                    Op::Yield => pause + 1,
                    _ => 0,
                };
                longest = longest.max(pause);
            }
        }
        longest
    })
}

/// Reads and writes of the contents of cells that the current thread has performed in this execution.
pub fn cell_count() -> usize {
    let thread = record::current();
    record::with(|record| {
        let own = record.operations().filter(|event| event.thread == thread);
        own.filter(|event| matches!(event.op, Op::CellRead | Op::CellWrite))
            .count()
    })
}

/// Accesses of the current thread, in this execution, for which its cache had to wait for others: reads of what another
/// thread has written since this one looked last, and writes to what another thread has a copy of. See
/// [`mesi::replay`](super::mesi::replay).
pub fn misses() -> usize {
    super::mesi::replay().counts(record::current()).stalls() as usize
}
