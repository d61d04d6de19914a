//! Fork and join, with the items dealt out like cards: worker *w* of *n* takes items *w*, *w + n*, *w + 2n*, and so on,
//! the caller is worker 0, and nothing is shared but the items.

use std::panic::resume_unwind;

use kata::thread;

/// Applies `f` to every item, on up to `workers` threads at the same time, and returns the results in the order of the
/// items.
///
/// All work is over when `par_map` returns or panics, so `f` and the items may borrow from the caller.
///
/// - `f` is called once for each item, by at most `workers` threads in all; the caller's thread counts if it helps.
/// - If there are no more items than workers, each item gets a worker of its own: its call may wait for another one.
/// - No more threads are started than there are items, however large `workers` is.
///
/// # Panics
///
/// With "par_map needs at least one worker" if `workers` is 0.
///
/// If a call of `f` panics, with the very value that it panicked with (one of them, if there are several). The calls that
/// are running meanwhile are waited for, those not yet begun may be left out. Results that were already there are
/// dropped.
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
    assert!(workers > 0, "par_map needs at least one worker");
    let workers = workers.min(items.len());
    if workers == 0 {
        return Vec::new();
    }

    let hand = |worker: usize| {
        items
            .iter()
            .skip(worker)
            .step_by(workers)
            .map(&f)
            .collect::<Vec<R>>()
    };
    let hand = &hand;
    let hands: Vec<Vec<R>> = thread::scope(|scope| {
        // All of them are started before the first is waited for.
        let others: Vec<_> = (1..workers)
            .map(|worker| scope.spawn(move || hand(worker)))
            .collect();
        let mine = hand(0);
        let theirs = others
            .into_iter()
            .map(|other| other.join().unwrap_or_else(|panic| resume_unwind(panic)));
        std::iter::once(mine).chain(theirs).collect()
    });

    let mut hands: Vec<_> = hands.into_iter().map(Vec::into_iter).collect();
    // Item i is the next card of hand i mod workers: the hands are as long as they have to be, and no longer.
    (0..items.len())
        .filter_map(|i| hands[i % workers].next())
        .collect()
}

/// Runs `a` and `b` at the same time and returns both results.
///
/// Both are over when `join` returns or panics, so they may borrow from the caller. They may call `join` themselves.
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
    thread::scope(|scope| {
        let b = scope.spawn(b);
        // If `a` panics, the scope waits for `b` and goes on with the panic of `a`.
        let a = a();
        (a, b.join().unwrap_or_else(|panic| resume_unwind(panic)))
    })
}
