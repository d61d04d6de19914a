//! Whether an operation is non-blocking: one thread is stopped after each of its steps in turn, and the others must
//! finish without it (Herlihy & Shavit, *On the Nature of Progress*, 2011: lock-freedom is progress of some thread
//! whatever the others do; a stopped thread is the harshest they can do).

use super::explore;
use super::randomized::Sample;
use super::report::Test;
use crate::record;
use shuttle::scheduler::{DataSource, RandomDataSource, Schedule, Scheduler, Task, TaskId};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};

/// A thread of a scenario.
pub type Body = Box<dyn FnOnce() + Send>;

/// Schedules tried for each thread and each step it is stopped at.
const SCHEDULES: usize = 20;

/// Steps the others may take while one thread is stopped.
const PATIENCE: usize = 5_000;

/// Steps after which a thread that still runs is not stopped any later.
const DEEPEST: usize = 200;

/// Stops each thread of `scenario` after each of its steps, and lets the others run on.
///
/// `scenario` builds the shared state and returns the threads, anew for each execution. Steps are operations of the
/// facade. All random choices come from a fixed seed.
///
/// # Panics
/// If the others do not finish while one thread is stopped, or if a thread fails. The picture goes to stderr.
pub fn non_blocking<F: Fn() -> Vec<Body> + Send + Sync + 'static>(scenario: F) {
    let test = Test::running(std::any::type_name::<F>());
    let shared = Arc::new(Shared::default());
    let scheduler = Freezer::new(&shared, None);
    freeze(test, shared, scheduler, scenario);
}

/// Calls an operation while another thread stands still inside the object, at each point in turn, and requires it to return
/// within `most` steps of its own: it may not wait for that thread, nor try again and again.
///
/// `scenario` builds the shared state, anew for each execution, and returns two threads: what stands still, and what is
/// called meanwhile. The second one begins when the first one has stopped, and is alone until it returns. Steps are operations
/// of the facade, `spin_loop` and `yield_now` included; beginning and ending the thread takes two.
///
/// # Panics
/// If the operation takes more steps or blocks, or if a thread fails. The picture goes to stderr.
pub fn stands_still<F>(most: usize, scenario: F)
where
    F: Fn() -> [Body; 2] + Send + Sync + 'static,
{
    let test = Test::running(std::any::type_name::<F>());
    let shared = Arc::new(Shared::default());
    let scheduler = Freezer::new(&shared, Some(most));
    freeze(test, shared, scheduler, move || scenario().into());
}

/// Runs the threads of `scenario` under `scheduler`.
fn freeze(
    test: Test,
    shared: Arc<Shared>,
    scheduler: Freezer,
    scenario: impl Fn() -> Vec<Body> + Send + Sync + 'static,
) {
    let explored = {
        let shared = Arc::clone(&shared);
        move || {
            let stop = shared.stop.lock().unwrap_or_else(PoisonError::into_inner);
            format!(
                "while t{} is stopped after {} steps (shuttle, execution {})",
                stop.0,
                stop.1,
                record::executions()
            )
        }
    };
    let model = move || {
        let bodies = scenario();
        shared.bodies.store(bodies.len(), Relaxed);
        shared.finished.store(0, Relaxed);
        let threads: Vec<_> = bodies
            .into_iter()
            .map(|body| {
                let shared = Arc::clone(&shared);
                crate::thread::spawn(move || {
                    body();
                    shared.finished.fetch_add(1, Relaxed);
                })
            })
            .collect();
        for thread in threads {
            let _ = thread.join();
        }
    };
    let sample = Sample {
        test,
        steps: 4 * PATIENCE,
        adversary: false,
        leaks: false,
        replayable: false,
    };
    sample
        .run(explored, scheduler, model)
        .unwrap_or_else(|report| explore::fail(&report));
}

/// What the scheduler and the threads of the scenario know of each other. All of it lives on one OS thread.
#[derive(Default)]
struct Shared {
    bodies: AtomicUsize,
    finished: AtomicUsize,
    /// The victim and the step after which it is stopped, for the report.
    stop: Mutex<(usize, usize)>,
}

/// The execution that is running.
#[derive(Default)]
struct Run {
    /// Steps the victim has taken.
    taken: usize,
    /// Steps the others have taken since it was stopped.
    waited: usize,
    released: bool,
}

/// Stops one task after a number of steps until all others have finished.
struct Freezer {
    shared: Arc<Shared>,
    victim: usize,
    steps: usize,
    round: usize,
    /// Some round of this step has stopped the victim.
    reached: bool,
    run: Run,
    random: RandomDataSource,
    /// The steps that the other thread may take meanwhile, if the first one is the only victim and begins alone.
    most: Option<usize>,
}

impl Freezer {
    fn new(shared: &Arc<Shared>, most: Option<usize>) -> Self {
        Self {
            shared: Arc::clone(shared),
            victim: 1,
            steps: 0,
            round: 0,
            reached: false,
            run: Run::default(),
            random: RandomDataSource::initialize(0),
            most,
        }
    }

    /// The last thread that is stopped, and how many schedules each of its stops gets. Where one thread begins alone there is
    /// only one schedule.
    fn victims_and_rounds(&self) -> (usize, usize) {
        match self.most {
            Some(_) => (1, 1),
            None => (self.shared.bodies.load(Relaxed), SCHEDULES),
        }
    }

    fn frozen(&self) -> bool {
        self.run.taken > self.steps && !self.run.released
    }

    fn stuck(&self, how: &str) -> ! {
        let thread =
            record::with(|record| record.threads.get(self.victim).cloned().unwrap_or_default());
        let why = format!(
            "{thread} is stopped where it stands, as if the operating system had taken its processor away, and {how}. \
             {}",
            match self.most {
                Some(_) =>
                    "Whoever calls an operation that never waits gets its answer in a few steps of its own, whatever \
                     other threads are doing.",
                None =>
                    "A non-blocking operation never waits for another thread: it completes that thread's step itself, or \
                     tries again because somebody else has succeeded.",
            }
        );
        crate::world::fail("blocking: the others do not finish", &why)
    }
}

impl Scheduler for Freezer {
    fn new_execution(&mut self) -> Option<Schedule> {
        if record::executions() > 0 {
            self.reached |= self.run.taken > self.steps;
            let (victims, rounds) = self.victims_and_rounds();
            self.round += 1;
            if self.round == rounds {
                self.round = 0;
                self.steps += 1;
                // The victim always finished before it could be stopped: on to the next one.
                if !std::mem::take(&mut self.reached) || self.steps > DEEPEST {
                    self.steps = 0;
                    self.victim += 1;
                }
            }
            if self.victim > victims {
                return None;
            }
        }
        self.run = Run::default();
        *self
            .shared
            .stop
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = (self.victim, self.steps);
        let seed = (self.victim * 1_000_000 + self.steps * 1_000 + self.round) as u64;
        self.random = RandomDataSource::initialize(seed);
        Some(Schedule::new(self.random.reinitialize()))
    }

    fn next_task(
        &mut self,
        runnable: &[&Task],
        _current: Option<TaskId>,
        _is_yielding: bool,
    ) -> Option<TaskId> {
        let victim = TaskId::from(self.victim);
        let others: Vec<TaskId> = runnable
            .iter()
            .map(|task| task.id())
            .filter(|&id| id != victim)
            .collect();
        if self.frozen() {
            if others.is_empty() {
                if self.shared.finished.load(Relaxed) + 1 < self.shared.bodies.load(Relaxed) {
                    self.stuck("every other thread that has not finished is blocked");
                }
                self.run.released = true;
                return Some(victim);
            }
            let called = TaskId::from(self.victim + 1);
            // The thread that begins the others.
            if self.most.is_some()
                && let Some(&other) = others.iter().find(|&&other| other != called)
            {
                return Some(other);
            }
            self.run.waited += 1;
            if self.run.waited > self.most.unwrap_or(PATIENCE) {
                self.stuck(&format!(
                    "the others have taken {} steps meanwhile without finishing",
                    self.run.waited - 1
                ));
            }
            return Some(others[self.random.next_u64() as usize % others.len()]);
        }
        let mut chosen = runnable[self.random.next_u64() as usize % runnable.len()].id();
        if self.most.is_some() && !self.run.released {
            // Until it stands still, nobody but it and the thread that begins it.
            let called = TaskId::from(self.victim + 1);
            let first = |id: TaskId| (id == called, id != victim);
            chosen = runnable
                .iter()
                .map(|task| task.id())
                .min_by_key(|&id| first(id))
                .unwrap_or(chosen);
        }
        if chosen == victim {
            self.run.taken += 1;
            if self.frozen() && !others.is_empty() {
                return Some(others[self.random.next_u64() as usize % others.len()]);
            }
        }
        Some(chosen)
    }

    fn next_u64(&mut self) -> u64 {
        self.random.next_u64()
    }
}
