//! The ring beside a `VecDeque` in a mutex and beside the `rtrb` crate.

use std::collections::VecDeque;
use std::hint::{black_box, spin_loop};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use kata::check::bench::{Bench, Contender, part};
use spsc_ring::channel;

const CAPACITY: usize = 1024;

/// One thread that pushes so many values, another one that pops them. Who cannot go on looks again, a hundred times
/// before it lets others run.
fn stream<P: Send + 'static, C: Send + 'static>(
    name: &str,
    ends: impl Fn() -> (P, C) + 'static,
    push: impl Fn(&mut P, u64) -> Result<(), u64> + Send + Copy + 'static,
    pop: impl Fn(&mut C) -> Option<u64> + Send + Copy + 'static,
) -> Contender {
    Contender::of_parts(name, move || {
        let (producer, consumer) = ends();
        let produce = move |producer: &mut P, operations| {
            for value in 0..operations {
                until(|| push(producer, value).ok());
            }
        };
        let consume = move |consumer: &mut C, operations| {
            for _ in 0..operations {
                black_box(until(|| pop(consumer)));
            }
        };
        vec![part(producer, produce), part(consumer, consume)]
    })
}

/// One thread that pushes a value and pops it.
fn alone<P: Send + 'static, C: Send + 'static>(
    name: &str,
    ends: impl Fn() -> (P, C) + 'static,
    push: impl Fn(&mut P, u64) -> Result<(), u64> + Send + Copy + 'static,
    pop: impl Fn(&mut C) -> Option<u64> + Send + Copy + 'static,
) -> Contender {
    Contender::of_parts(name, move || {
        let both = move |(producer, consumer): &mut (P, C), operations| {
            for value in 0..operations {
                let _ = black_box(push(producer, value));
                black_box(pop(consumer));
            }
        };
        vec![part(ends(), both)]
    })
}

fn until<R>(mut attempt: impl FnMut() -> Option<R>) -> R {
    let mut attempts = 0;
    loop {
        if let Some(result) = attempt() {
            return result;
        }
        attempts += 1;
        if attempts < 100 {
            spin_loop();
        } else {
            thread::yield_now();
        }
    }
}

/// Both ends of a `VecDeque` in a mutex.
type Locked = Arc<Mutex<VecDeque<u64>>>;

fn locked() -> (Locked, Locked) {
    let queue = Arc::new(Mutex::new(VecDeque::with_capacity(CAPACITY)));
    (Arc::clone(&queue), queue)
}

fn push_locked(queue: &mut Locked, value: u64) -> Result<(), u64> {
    let mut queue = queue.lock().unwrap_or_else(PoisonError::into_inner);
    if queue.len() == CAPACITY {
        return Err(value);
    }
    queue.push_back(value);
    Ok(())
}

fn pop_locked(queue: &mut Locked) -> Option<u64> {
    let mut queue = queue.lock().unwrap_or_else(PoisonError::into_inner);
    queue.pop_front()
}

fn push_rtrb(producer: &mut rtrb::Producer<u64>, value: u64) -> Result<(), u64> {
    let pushed = producer.push(value);
    pushed.map_err(|rtrb::PushError::Full(value)| value)
}

fn pop_rtrb(consumer: &mut rtrb::Consumer<u64>) -> Option<u64> {
    consumer.pop().ok()
}

pub fn main() {
    let ours = || channel(CAPACITY);
    let push = |producer: &mut spsc_ring::Producer<u64>, value| producer.push(value);
    let pop = |consumer: &mut spsc_ring::Consumer<u64>| consumer.pop();
    let rtrb = || rtrb::RingBuffer::new(CAPACITY);

    let mut bench = Bench::new();
    bench.compare(
        "push, pop, 1 thread",
        alone("channel", ours, push, pop),
        [
            alone("Mutex<VecDeque>", locked, push_locked, pop_locked),
            alone("rtrb", rtrb, push_rtrb, pop_rtrb),
        ],
    );
    bench.compare(
        "stream, 2 threads",
        stream("channel", ours, push, pop),
        [
            stream("Mutex<VecDeque>", locked, push_locked, pop_locked),
            stream("rtrb", rtrb, push_rtrb, pop_rtrb),
        ],
    );
    bench.report();
}
