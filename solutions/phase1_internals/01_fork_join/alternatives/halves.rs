//! `par_map` is a `join` of two halves, down to one worker; the results go to places made for them beforehand.

use std::panic::resume_unwind;

use kata::thread;

pub fn par_map<T, R>(items: &[T], workers: usize, f: impl Fn(&T) -> R + Sync) -> Vec<R>
where
    T: Sync,
    R: Send,
{
    assert!(workers >= 1, "par_map needs at least one worker");
    let mut places: Vec<Option<R>> = Vec::new();
    places.resize_with(items.len(), || None);
    fill(&mut places, items, workers.min(items.len()), &f);
    places.into_iter().flatten().collect()
}

fn fill<T: Sync, R: Send>(
    places: &mut [Option<R>],
    items: &[T],
    workers: usize,
    f: &(impl Fn(&T) -> R + Sync),
) {
    if workers <= 1 {
        for (place, item) in places.iter_mut().zip(items) {
            *place = Some(f(item));
        }
        return;
    }
    let on_the_left = workers / 2;
    // Never more workers than items on either side.
    let middle = items.len() * on_the_left / workers;
    let (left_places, right_places) = places.split_at_mut(middle);
    let (left, right) = items.split_at(middle);
    join(
        || fill(left_places, left, on_the_left, f),
        || fill(right_places, right, workers - on_the_left, f),
    );
}

pub fn join<A, B>(a: impl FnOnce() -> A + Send, b: impl FnOnce() -> B + Send) -> (A, B)
where
    A: Send,
    B: Send,
{
    thread::scope(|scope| {
        let a = scope.spawn(a);
        let b = std::panic::catch_unwind(std::panic::AssertUnwindSafe(b));
        let a = a.join().unwrap_or_else(|panic| resume_unwind(panic));
        (a, b.unwrap_or_else(|panic| resume_unwind(panic)))
    })
}
