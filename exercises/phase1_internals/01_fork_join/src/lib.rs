//! Work that is handed out to several threads and brought home again. The task is in `README.md`.
#![allow(dead_code, unused_variables)] // Delete this line when you start: from then on the compiler helps you.

/// Applies `f` to every item, on up to `workers` threads at the same time, and returns the results in the order of the
/// items.
///
/// All work is over when `par_map` returns or panics, so `f` and the items may borrow from the caller.
///
/// - `f` is called once for each item, by at most `workers` threads in all; the caller's thread counts if it helps.
/// - If there are no more items than workers, each item gets a worker of its own: its call may wait for another one.
/// - No more threads are started than there are items, however large `workers` is, and no more than `workers`.
/// - `f` may call `par_map` and `join` itself, and other threads may call them at the same time: no call waits for another.
/// - A thread has as much stack as one of `std`'s. The caller sleeps while it waits.
///
/// # Panics
///
/// With "par_map needs at least one worker" if `workers` is 0.
///
/// If a call of `f` panics, with the very value that it panicked with (one of them, if there are several). The calls that
/// are running meanwhile are waited for, those not yet begun may be left out. Results that were already there are
/// dropped, and other panics as well.
///
/// # Examples
///
/// ```no_run
/// let words = ["fork", "and", "join"];
/// assert_eq!(fork_join::par_map(&words, 2, |word| word.len()), [4, 3, 4]);
/// ```
pub fn par_map<T, R>(items: &[T], workers: usize, f: impl Fn(&T) -> R + Sync) -> Vec<R>
where
    T: Sync,
    R: Send,
{
    todo!()
}

/// Runs `a` and `b` at the same time and returns both results.
///
/// Both are over when `join` returns or panics, so they may borrow from the caller. They may call `join` themselves. The
/// caller sleeps while it waits.
///
/// # Panics
///
/// If `a` or `b` panics, with the very value that it panicked with; if both do, with that of `a`. The other one runs to
/// its end first, whatever happens.
///
/// # Examples
///
/// ```no_run
/// fn sum(numbers: &[u64]) -> u64 {
///     if numbers.len() < 10_000 {
///         return numbers.iter().sum();
///     }
///     let (left, right) = numbers.split_at(numbers.len() / 2);
///     let (left, right) = fork_join::join(|| sum(left), || sum(right));
///     left + right
/// }
/// ```
pub fn join<A, B>(a: impl FnOnce() -> A + Send, b: impl FnOnce() -> B + Send) -> (A, B)
where
    A: Send,
    B: Send,
{
    todo!()
}
