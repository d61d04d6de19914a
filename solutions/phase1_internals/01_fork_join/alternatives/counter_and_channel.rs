//! The workers take a number each time, and send what they have found to the caller, who does nothing but collect.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::mpsc;

use kata::sync::Mutex;
use kata::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use kata::thread;

type Panic = Box<dyn Any + Send>;

pub fn par_map<T, R>(items: &[T], workers: usize, f: impl Fn(&T) -> R + Sync) -> Vec<R>
where
    T: Sync,
    R: Send,
{
    assert_ne!(workers, 0, "par_map needs at least one worker");
    // Relaxed: no number is given out twice, and that is all. The channel orders the results.
    let next = AtomicUsize::new(0);
    let (sender, receiver) = mpsc::channel::<Result<(usize, R), Panic>>();
    thread::scope(|scope| {
        for _ in 0..workers.min(items.len()) {
            let (sender, next, f) = (sender.clone(), &next, &f);
            scope.spawn(move || {
                loop {
                    let number = next.fetch_add(1, Relaxed);
                    let Some(item) = items.get(number) else {
                        return;
                    };
                    let outcome = catch_unwind(AssertUnwindSafe(|| (number, f(item))));
                    let over = outcome.is_err();
                    let _ = sender.send(outcome);
                    if over {
                        // Nobody need begin anything any more.
                        next.store(items.len(), Relaxed);
                    }
                }
            });
        }
        drop(sender);
        let mut results: Vec<Option<R>> = items.iter().map(|_| None).collect();
        for outcome in receiver {
            match outcome {
                Ok((number, result)) => results[number] = Some(result),
                Err(panic) => resume_unwind(panic),
            }
        }
        results
            .into_iter()
            .map(|result| result.expect("every item has been mapped"))
            .collect()
    })
}

pub fn join<A, B>(a: impl FnOnce() -> A + Send, b: impl FnOnce() -> B + Send) -> (A, B)
where
    A: Send,
    B: Send,
{
    let slot: Mutex<Option<Result<B, Panic>>> = Mutex::new(None);
    let outcome = thread::scope(|scope| {
        scope.spawn(|| {
            let outcome = catch_unwind(AssertUnwindSafe(b));
            *slot.lock().unwrap() = Some(outcome);
        });
        catch_unwind(AssertUnwindSafe(a))
    });
    let b = slot.into_inner().unwrap().expect("the scope has waited");
    match (outcome, b) {
        (Err(panic), _) => resume_unwind(panic),
        (_, Err(panic)) => resume_unwind(panic),
        (Ok(a), Ok(b)) => (a, b),
    }
}
