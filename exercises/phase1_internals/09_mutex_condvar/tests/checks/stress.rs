//! Real threads on real processors, more of them than most machines have cores.
//!
//! Decides whether updates, jobs and permits are lost or made here, whether everybody who sleeps is woken in the end (a
//! wake-up that is lost shows as a check that never ends), and whether waiting costs memory for good. It is the only check in which the operating system really puts
//! threads to sleep.
//! Does not decide orderings: x86 forgives every one of them. Does not prove anything: it samples.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use kata::check::{Counting, Stress, allocations_in, assert_conserved};
use mutex_condvar::{Condvar, Mutex, MutexGuard, Semaphore};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const THREADS: usize = 8;
const ROUNDS: usize = 300;

/// The value, once all threads are done with it. Not by `lock`: a mutex that is stuck should fail here, not hang.
fn left<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex
        .try_lock()
        .expect("every owner has let go, yet the mutex is still taken")
}

#[test]
fn mutex_loses_no_update() {
    const UPDATES: usize = 50;
    Stress::new(THREADS).rounds(ROUNDS).run(
        |_round| Mutex::new(0),
        |_thread, mutex| {
            for _ in 0..UPDATES {
                *mutex.lock() += 1;
            }
        },
        |mutex, _results| {
            assert_eq!(
                *left(&mutex),
                THREADS * UPDATES,
                "two threads held the mutex at once and one overwrote what the other had counted"
            );
        },
    );
}

/// A queue of two jobs with producers on one side and consumers on the other.
struct Jobs {
    queue: Mutex<VecDeque<usize>>,
    filled: Condvar,
    emptied: Condvar,
}

#[test]
fn a_queue_on_condvars_delivers_every_job_once() {
    const CAPACITY: usize = 2;
    const JOBS: usize = 20;
    Stress::new(THREADS).rounds(ROUNDS).run(
        |_round| Jobs {
            queue: Mutex::new(VecDeque::new()),
            filled: Condvar::new(),
            emptied: Condvar::new(),
        },
        |thread, jobs| {
            let mut got = Vec::new();
            for number in 0..JOBS {
                if thread % 2 == 0 {
                    let full = |queue: &mut VecDeque<_>| queue.len() == CAPACITY;
                    let mut queue = jobs.emptied.wait_while(jobs.queue.lock(), full);
                    queue.push_back(thread * JOBS + number);
                    jobs.filled.notify_one();
                } else {
                    let empty = |queue: &mut VecDeque<_>| queue.is_empty();
                    let mut queue = jobs.filled.wait_while(jobs.queue.lock(), empty);
                    got.extend(queue.pop_front());
                    drop(queue);
                    jobs.emptied.notify_one();
                }
            }
            got
        },
        |_jobs, got| {
            let sent = (0..THREADS)
                .step_by(2)
                .flat_map(|thread| thread * JOBS..(thread + 1) * JOBS);
            assert_conserved(sent, got.into_iter().flatten());
        },
    );
}

#[test]
fn condvar_notify_all_lets_everybody_go_on() {
    const PHASES: usize = 5;
    Stress::new(THREADS).rounds(ROUNDS).run(
        |_round| (Mutex::new(0), Condvar::new()),
        |_thread, (arrived, all_here)| {
            // A barrier: nobody begins a phase before everybody has ended the one before.
            for phase in 1..=PHASES {
                let mut count = arrived.lock();
                *count += 1;
                if *count == THREADS * phase {
                    all_here.notify_all();
                }
                drop(all_here.wait_while(count, |count| *count < THREADS * phase));
            }
        },
        |(arrived, _all_here), _results| {
            assert_eq!(*left(&arrived), THREADS * PHASES, "an arrival was lost");
        },
    );
}

#[test]
fn semaphore_lets_in_no_more_threads_than_permits() {
    const PERMITS: usize = 3;
    const VISITS: usize = 20;
    Stress::new(THREADS).rounds(ROUNDS).run(
        |_round| (Semaphore::new(PERMITS), AtomicUsize::new(0)),
        |thread, (semaphore, inside)| {
            let mut most = 0;
            for visit in 0..VISITS {
                // One in four is impatient and gives up the third time it is asked.
                let mut patience = if (thread + visit) % 4 == 0 { 2 } else { usize::MAX };
                let permit = semaphore.acquire_unless(|| {
                    let enough = patience == 0;
                    patience = patience.saturating_sub(1);
                    if patience < 2 {
                        std::thread::current().unpark();
                    }
                    enough
                });
                if let Some(permit) = permit {
                    most = most.max(inside.fetch_add(1, Relaxed) + 1);
                    inside.fetch_sub(1, Relaxed);
                    drop(permit);
                }
            }
            most
        },
        |(semaphore, _inside), most| {
            let most = most.into_iter().max().expect("there are threads");
            assert!(
                most <= PERMITS,
                "{PERMITS} permits, and {most} threads were inside at once"
            );
            let rest: Vec<_> = std::iter::from_fn(|| semaphore.try_acquire())
                .take(PERMITS + 1)
                .collect();
            assert_eq!(
                rest.len(),
                PERMITS,
                "everybody is gone and the number of permits has changed: one was lost, or one was made"
            );
        },
    );
}

#[test]
fn waiting_leaves_no_memory_behind() {
    const TURNS: usize = 2_000;
    /// Room for what is set up once and grows now and then.
    const MOST: u64 = TURNS as u64 / 4;
    struct Table {
        turn: Mutex<usize>,
        changed: Condvar,
        balls: [Semaphore; 2],
    }
    Stress::new(2).rounds(1).run(
        |_round| Table {
            turn: Mutex::new(0),
            changed: Condvar::new(),
            balls: [Semaphore::new(1), Semaphore::new(0)],
        },
        |thread, table| {
            // Each waits for the other, again and again.
            let ((), count) = allocations_in(|| {
                for _ in 0..TURNS {
                    let not_mine = |turn: &mut usize| *turn % 2 != thread;
                    *table.changed.wait_while(table.turn.lock(), not_mine) += 1;
                    table.changed.notify_all();
                }
                for _ in 0..TURNS {
                    drop(table.balls[thread].acquire_unless(|| true));
                    table.balls[thread].acquire().forget();
                    table.balls[1 - thread].release(1);
                }
            });
            count
        },
        |_table, counts| {
            let allocations: u64 = counts.iter().map(|count| count.allocations).sum();
            let frees: u64 = counts.iter().map(|count| count.frees).sum();
            let left = allocations.saturating_sub(frees);
            assert!(
                left <= MOST,
                "two threads waited for each other some {} times, and {left} pieces of memory were never given back: a \
                 program that runs for long enough has none left",
                4 * TURNS
            );
        },
    );
}

#[test]
fn hundreds_of_threads_that_wait_at_once_are_all_served() {
    /// More than a number of eight bits counts, or a table of 256 holds.
    const MANY: usize = 300;
    Stress::new(MANY).rounds(3).run(
        |_round| (Mutex::new(0), Condvar::new(), Semaphore::new(0)),
        |_thread, (count, changed, semaphore)| {
            let mut arrived = count.lock();
            *arrived += 1;
            // All but the last wait for it on the condition variable.
            if *arrived == MANY {
                changed.notify_all();
            } else {
                arrived = changed.wait_while(arrived, |arrived| *arrived < MANY);
            }
            *arrived += 1;
            let last = *arrived == 2 * MANY;
            drop(arrived);
            // And then for the permits that it releases, once they have had time to go to sleep.
            if last {
                (0..2_000).for_each(|_| std::thread::yield_now());
                semaphore.release(MANY);
            }
            semaphore.acquire().forget();
        },
        |(count, _, semaphore), _results| {
            assert_eq!(*left(&count), 2 * MANY, "an arrival was lost");
            assert!(
                semaphore.try_acquire().is_none(),
                "{MANY} permits were released and {MANY} used up, and there is one more"
            );
        },
    );
}
