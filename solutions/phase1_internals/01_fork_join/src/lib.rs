//! Fork–join on scoped threads.
//!
//! The form is Conway's ("A Multiprocessor System Design", 1963). That a call returns only after everything it has
//! started is over is what makes borrowing safe: see `std::thread::scope`. Handing out the items in blocks smaller than a
//! worker's share is from Kruskal and Weiss, "Allocating Independent Subtasks on Parallel Processors" (1985).

use std::panic::resume_unwind;

use kata::sync::Mutex;
use kata::thread;

/// How many blocks there are for each worker, if there are items enough.
///
/// One would be the least work. With more, a worker whose items turn out to be slow does not make the others wait for
/// its whole share, only for its last block.
const BLOCKS: usize = 8;

/// Applies `f` to every item, on up to `workers` threads, and returns the results in the order of the items.
///
/// # Panics
///
/// If `workers` is 0, and with what a call of `f` panicked with, once all workers are done.
pub fn par_map<T, R>(items: &[T], workers: usize, f: impl Fn(&T) -> R + Sync) -> Vec<R>
where
    T: Sync,
    R: Send,
{
    assert!(workers > 0, "par_map needs at least one worker");
    let workers = workers.min(items.len());
    if workers <= 1 {
        return items.iter().map(f).collect();
    }
    let size = (items.len() / workers / BLOCKS).max(1);
    let blocks = Mutex::new(items.chunks(size).enumerate());
    // Not inside the loop that does the work: the guard would live to the end of it, and the workers would take turns.
    let next = || {
        blocks
            .lock()
            .expect("nobody panics while holding the lock")
            .next()
    };
    let work = || {
        let mut done = Vec::new();
        while let Some((number, block)) = next() {
            let results: Vec<R> = block.iter().map(&f).collect();
            done.push((number, results));
        }
        done
    };
    let mut done = thread::scope(|scope| {
        // Started, all of them, before any is waited for. A panic of ours waits for them, too: the scope sees to it.
        let helpers: Vec<_> = (1..workers).map(|_| scope.spawn(work)).collect();
        let mut done = work();
        for helper in helpers {
            // The join edge: all that the helper wrote, its results above all, happens before what follows.
            done.extend(helper.join().unwrap_or_else(|panic| resume_unwind(panic)));
        }
        done
    });
    done.sort_unstable_by_key(|&(number, _)| number);
    done.into_iter().flat_map(|(_, results)| results).collect()
}

/// Runs `a` and `b` at the same time and returns both results.
///
/// # Panics
///
/// With what `a` or else `b` panicked with, once both are over.
pub fn join<A, B>(a: impl FnOnce() -> A + Send, b: impl FnOnce() -> B + Send) -> (A, B)
where
    A: Send,
    B: Send,
{
    thread::scope(|scope| {
        let b = scope.spawn(b);
        // If it panics here, the scope waits for `b` and hands the panic on, whatever has become of `b`.
        let a = a();
        (a, b.join().unwrap_or_else(|panic| resume_unwind(panic)))
    })
}
