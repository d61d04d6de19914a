//! A share for each worker, all of them as large as the first, and the results put one after the other.

use std::panic::resume_unwind;

use kata::thread;

pub fn par_map<T, R>(items: &[T], workers: usize, f: impl Fn(&T) -> R + Sync) -> Vec<R>
where
    T: Sync,
    R: Send,
{
    if workers == 0 {
        panic!("par_map needs at least one worker");
    }
    let share = items.len().div_ceil(workers).max(1);
    let f = &f;
    thread::scope(|scope| {
        let mut threads = Vec::new();
        for items in items.chunks(share) {
            threads.push(scope.spawn(move || items.iter().map(f).collect::<Vec<R>>()));
        }
        let mut results = Vec::with_capacity(items.len());
        for thread in threads {
            match thread.join() {
                Ok(share) => results.extend(share),
                Err(panic) => resume_unwind(panic),
            }
        }
        results
    })
}

pub fn join<A, B>(a: impl FnOnce() -> A + Send, b: impl FnOnce() -> B + Send) -> (A, B)
where
    A: Send,
    B: Send,
{
    thread::scope(|scope| {
        let (a, b) = (scope.spawn(a), scope.spawn(b));
        match (a.join(), b.join()) {
            (Ok(a), Ok(b)) => (a, b),
            (Err(panic), _) | (_, Err(panic)) => resume_unwind(panic),
        }
    })
}
