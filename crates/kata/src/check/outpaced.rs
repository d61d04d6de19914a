//! One thread that is always too late: between any two of its steps another one does a lot.
//!
//! A retry loop that loses once is common, and one that loses twenty times in a row is so rare that random schedules do not
//! contain it. Here it happens every time.
//!
//! What it decides: what an operation does that loses again and again, and how many steps it takes then. What it cannot:
//! orderings; every atomic access is sequentially consistent.

use super::explore;
use super::non_blocking::Body;
use super::randomized::Sample;
use super::report::Test;
use crate::record;
use shuttle::scheduler::{Schedule, Scheduler, Task, TaskId};
use std::cell::Cell;

/// The fast thread takes from one to so many steps between two of the slow one.
const PACES: usize = 40;

/// Steps of an execution.
const STEPS: usize = 40_000;

thread_local! {
    static PACE: Cell<usize> = const { Cell::new(0) };
}

/// Runs the first thread of `scenario` slowly: after each of its steps the second one takes some, from one to forty in turn,
/// for as long as it has anything to do. The slow one may take `most` steps of its own, beginning and ending the thread
/// included.
///
/// `scenario` builds the shared state, anew for each execution. Where the slow one may have to try as often as the fast one
/// succeeds, `most` is `usize::MAX`; what such a call must not do, its body asserts. Steps are operations of the facade.
/// There is no random choice.
///
/// # Panics
/// If the slow thread takes more steps, if a thread fails, or if both are blocked. The picture goes to stderr.
pub fn outpaced<F>(most: usize, scenario: F)
where
    F: Fn() -> [Body; 2] + Send + Sync + 'static,
{
    let test = Test::running(std::any::type_name::<F>());
    let explored = || {
        let pace = PACE.get();
        format!("while t2 takes {pace} steps for each of t1's (shuttle, execution {pace})")
    };
    let model = move || {
        let threads = scenario().map(crate::thread::spawn);
        for thread in threads {
            let _ = thread.join();
        }
    };
    let sample = Sample {
        test,
        steps: STEPS,
        adversary: false,
        leaks: false,
        replayable: false,
    };
    sample
        .run(
            explored,
            Metronome {
                most,
                taken: 0,
                ahead: 0,
            },
            model,
        )
        .unwrap_or_else(|report| explore::fail(&report));
}

/// The slow thread, by the order in which threads begin; the fast one follows.
const SLOW: usize = 1;

/// A fixed rhythm.
struct Metronome {
    most: usize,
    /// Steps of the slow thread.
    taken: usize,
    /// Steps of the fast one since the last of the slow one.
    ahead: usize,
}

impl Scheduler for Metronome {
    fn new_execution(&mut self) -> Option<Schedule> {
        let pace = record::executions() + 1;
        if pace > PACES {
            return None;
        }
        PACE.set(pace);
        (self.taken, self.ahead) = (0, 0);
        Some(Schedule::new(0))
    }

    fn next_task(
        &mut self,
        runnable: &[&Task],
        _current: Option<TaskId>,
        _is_yielding: bool,
    ) -> Option<TaskId> {
        let can_run = |number: usize| {
            let mut ids = runnable.iter().map(|task| task.id());
            ids.find(|&id| id == TaskId::from(number))
        };
        // The thread that begins the others goes first.
        if let Some(main) = can_run(0) {
            return Some(main);
        }
        let (slow, fast) = (can_run(SLOW), can_run(SLOW + 1));
        if let Some(fast) = fast
            && (self.ahead < PACE.get() || slow.is_none())
        {
            self.ahead += 1;
            return Some(fast);
        }
        self.ahead = 0;
        self.taken += usize::from(slow.is_some());
        if self.taken > self.most {
            let why = format!(
                "t1 has taken {} steps and is not done: it tries again and again while t2 succeeds. An operation that takes a \
                 bounded number of steps is done after a few of its own, whatever other threads are doing.",
                self.taken - 1
            );
            crate::world::fail("no bound: an operation is outpaced", &why)
        }
        slow.or_else(|| runnable.first().map(|task| task.id()))
    }

    fn next_u64(&mut self) -> u64 {
        0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sync::Arc;
    use crate::sync::atomic::{AtomicUsize, Ordering::Relaxed};
    use std::panic::catch_unwind;

    /// A slow addition by `add`, and forty quick ones.
    fn beside_many(add: fn(&AtomicUsize)) -> [Body; 2] {
        let count = Arc::new(AtomicUsize::new(0));
        let other = count.clone();
        let slow: Body = Box::new(move || add(&count));
        let fast: Body = Box::new(move || {
            for _ in 0..40 {
                other.fetch_add(1, Relaxed);
            }
        });
        [slow, fast]
    }

    fn by_exchange(count: &AtomicUsize) {
        let _ = count.fetch_update(Relaxed, Relaxed, |count| Some(count + 1));
    }

    fn by_exchange_sixteen_times(count: &AtomicUsize) {
        let mut now = count.load(Relaxed);
        for _ in 0..16 {
            match count.compare_exchange(now, now + 1, Relaxed, Relaxed) {
                Ok(_) => return,
                Err(other) => now = other,
            }
        }
        panic!("given up");
    }

    #[test]
    fn a_single_step_cannot_be_outpaced() {
        outpaced(4, || {
            beside_many(|count| {
                count.fetch_add(1, Relaxed);
            })
        });
    }

    #[test]
    fn a_loop_that_others_keep_going_has_no_bound() {
        assert!(catch_unwind(|| outpaced(20, || beside_many(by_exchange))).is_err());
        outpaced(usize::MAX, || beside_many(by_exchange));
    }

    #[test]
    fn an_attempt_that_gives_up_is_brought_to_it() {
        assert!(
            catch_unwind(|| outpaced(usize::MAX, || beside_many(by_exchange_sixteen_times)))
                .is_err()
        );
    }
}
