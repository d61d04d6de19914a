//! What a thread did so far in the running execution, as counts that do not depend on the machine.

use crate::record::{self, Op};
use crate::thread::Thread;

/// Operations that `thread` has performed in this execution. One that waits in a loop goes on performing them.
///
/// Who has seen another thread take more steps than the first part of an operation is long knows that this part is over.
pub fn steps(thread: &Thread) -> usize {
    let thread = thread.index();
    record::with(|record| {
        let own = record.events.iter().filter(|event| event.thread == thread);
        own.count()
    })
}

/// Read-modify-writes, failed ones included, that the current thread has performed in this execution.
pub fn rmw_count() -> usize {
    let thread = record::current();
    record::with(|record| {
        let own = record.events.iter().filter(|event| event.thread == thread);
        own.filter(|event| matches!(event.op, Op::Rmw { .. }))
            .count()
    })
}

/// Accesses of the current thread to atomics that a cache of its own would not have answered: reads of what another
/// thread has written since this one looked last, and writes to what another thread has a copy of.
///
/// Each atomic stands for a cache line, caches are as large as it takes, and whoever creates an atomic has the first copy.
/// A compare-exchange that fails counts as a write, as on x86.
pub fn misses() -> usize {
    let current = record::current();
    record::with(|record| {
        // Who has a valid copy of the line.
        let mut copies: Vec<Vec<usize>> = record
            .objects
            .iter()
            .map(|object| vec![object.creator])
            .collect();
        let mut misses = 0;
        for event in &record.events {
            let writes = match event.op {
                Op::Load { .. } => false,
                Op::Store { .. } | Op::Rmw { .. } => true,
                _ => continue,
            };
            let Some(copies) = copies.get_mut(event.object as usize) else {
                continue;
            };
            let hit = copies.contains(&event.thread) && (!writes || copies.len() == 1);
            if event.thread == current && !hit {
                misses += 1;
            }
            if writes {
                *copies = vec![event.thread];
            } else if !hit {
                copies.push(event.thread);
            }
        }
        misses
    })
}
