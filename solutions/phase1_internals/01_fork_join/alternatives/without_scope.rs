//! Threads that the compiler takes for independent, and a guard that waits for them whatever happens.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::thread::Result;

use kata::sync::Mutex;
use kata::thread::{Builder, JoinHandle};

/// A thread that is joined at the latest when this is dropped.
struct Joined<R>(Option<JoinHandle<R>>);

impl<R: Send> Joined<R> {
    /// # Safety
    ///
    /// The value must be joined or dropped, never forgotten, before what `work` borrows ends.
    unsafe fn spawn(work: impl FnOnce() -> R + Send) -> Self {
        // SAFETY: the caller promises that the thread is joined before its borrows end.
        let thread = unsafe { Builder::new().spawn_unchecked(work) };
        Self(Some(thread.expect("the system has a thread to spare")))
    }

    fn join(mut self) -> Result<R> {
        self.0.take().expect("it is joined once").join()
    }
}

impl<R> Drop for Joined<R> {
    fn drop(&mut self) {
        if let Some(thread) = self.0.take() {
            let _ = thread.join();
        }
    }
}

pub fn par_map<T, R>(items: &[T], workers: usize, f: impl Fn(&T) -> R + Sync) -> Vec<R>
where
    T: Sync,
    R: Send,
{
    assert!(workers > 0, "par_map needs at least one worker");
    let places: Vec<Mutex<Option<R>>> = items.iter().map(|_| Mutex::new(None)).collect();
    let workers = workers.min(items.len());
    // Each worker takes every `workers`-th item.
    let work = |first: usize| {
        for number in (first..items.len()).step_by(workers) {
            let result = f(&items[number]);
            *places[number].lock().expect("no panic under the lock") = Some(result);
        }
    };
    let work = &work;
    // SAFETY: the threads live in a vector that is dropped before `places`, `f` and the items are.
    let spawn = |first| unsafe { Joined::spawn(move || work(first)) };
    let threads: Vec<Joined<()>> = (0..workers).map(spawn).collect();
    for thread in threads {
        thread.join().unwrap_or_else(|panic| resume_unwind(panic));
    }
    let results = places.into_iter().map(|place| place.into_inner().unwrap());
    results.map(Option::unwrap).collect()
}

pub fn join<A, B>(a: impl FnOnce() -> A + Send, b: impl FnOnce() -> B + Send) -> (A, B)
where
    A: Send,
    B: Send,
{
    // SAFETY: joined three lines below, and nothing in between panics.
    let b = unsafe { Joined::spawn(b) };
    let a = catch_unwind(AssertUnwindSafe(a));
    let b = b.join();
    match (a, b) {
        (Ok(a), Ok(b)) => (a, b),
        (Err(panic), _) | (Ok(_), Err(panic)) => resume_unwind(panic),
    }
}
