//! Random, reproducible schedules of more threads than the exhaustive checks can afford, and the classical clients.
//!
//! Decides whether an update, a job or a permit can be lost, and whether somebody can be left asleep: all threads asleep
//! is a deadlock, found at once. Decides how many steps a release takes. `park` returns without cause here, one time in eight and more.
//! Does not decide orderings: here every atomic access is sequentially consistent. Does not decide everything: it samples.

use std::collections::VecDeque;

use kata::check::{Randomized, randomized};
use kata::sync::Arc;
use kata::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use kata::thread::{self, JoinHandle};
use mutex_condvar::{Condvar, Mutex, Permit, Semaphore};

/// Starts so many threads on something shared, each with its number.
fn start<S, R>(
    count: usize,
    shared: &Arc<S>,
    body: impl FnOnce(usize, &S) -> R + Copy + Send + 'static,
) -> Vec<JoinHandle<R>>
where
    S: Send + Sync + 'static,
    R: Send + 'static,
{
    (0..count)
        .map(|number| {
            let shared = shared.clone();
            thread::spawn(move || body(number, &shared))
        })
        .collect()
}

fn join<R>(threads: Vec<JoinHandle<R>>) -> Vec<R> {
    threads
        .into_iter()
        .map(|thread| thread.join().unwrap())
        .collect()
}

/// Adds one as slowly as it can be done: whoever else gets in meanwhile is overwritten.
fn add_one_slowly(value: &mut usize) {
    let before = *value;
    thread::yield_now();
    *value = before + 1;
}

#[test]
fn condvars_of_one_mutex_are_not_mixed_up() {
    randomized(|| {
        let shared = Arc::new((Mutex::new([false; 2]), [Condvar::new(), Condvar::new()]));
        let waiters = start(2, &shared, |number, (done, changed)| {
            drop(changed[number].wait_while(done.lock(), |done| !done[number]));
        });
        let (done, changed) = &*shared;
        for number in [1, 0] {
            done.lock()[number] = true;
            // Not for the one who waits for the other.
            changed[number].notify_one();
        }
        join(waiters);
    });
}

#[test]
fn condvar_wait_while_asks_as_often_as_it_is_notified() {
    /// In case somebody loses patience.
    const TURNS: usize = 1_100;
    Randomized::new().schedules(3).steps(400_000).run(|| {
        let asked = Arc::new(AtomicUsize::new(0));
        let shared = Arc::new((Mutex::new(false), Condvar::new(), asked.clone()));
        let waiter = start(1, &shared, |_, (done, changed, asked)| {
            let guard = changed.wait_while(done.lock(), |done| {
                asked.fetch_add(1, Relaxed);
                !*done
            });
            assert!(
                *guard,
                "wait_while has returned although its condition still holds, after it was asked many times: a consumer takes \
                 from an empty basket"
            );
        });
        let (done, changed, _) = &*shared;
        while asked.load(Relaxed) < TURNS {
            changed.notify_one();
            thread::yield_now();
        }
        *done.lock() = true;
        changed.notify_one();
        join(waiter);
    });
}

#[test]
fn mutex_loses_no_update_and_leaves_nobody_asleep() {
    const THREADS: usize = 4;
    const UPDATES: usize = 3;
    randomized(|| {
        let mutex = Arc::new(Mutex::new(0));
        join(start(THREADS, &mutex, |_, mutex| {
            for _ in 0..UPDATES {
                add_one_slowly(&mut mutex.lock());
            }
        }));
        assert_eq!(
            *mutex.lock(),
            THREADS * UPDATES,
            "two threads held the mutex at once and one overwrote what the other had counted"
        );
    });
}

#[test]
fn mutex_try_lock_loses_no_update() {
    randomized(|| {
        let mutex = Arc::new(Mutex::new(0));
        let successes = join(start(4, &mutex, |number, mutex| {
            let mut successes = 0;
            for turn in 0..3 {
                let guard = if (number + turn) % 2 == 0 {
                    mutex.try_lock()
                } else {
                    Some(mutex.lock())
                };
                if let Some(mut guard) = guard {
                    add_one_slowly(&mut guard);
                    successes += 1;
                }
            }
            successes
        }));
        assert_eq!(
            *mutex.lock(),
            successes.into_iter().sum::<usize>(),
            "two threads held the mutex at once and one overwrote what the other had counted"
        );
    });
}

#[test]
fn condvar_wait_while_returns_only_when_the_condition_is_false() {
    const CONSUMERS: usize = 3;
    randomized(|| {
        let basket = Arc::new((Mutex::new(0_usize), Condvar::new()));
        let consumers = start(CONSUMERS, &basket, |_, (items, filled)| {
            let mut items = filled.wait_while(items.lock(), |items| *items == 0);
            assert!(
                *items > 0,
                "wait_while returned although its condition still holds: a consumer takes from an empty basket"
            );
            *items -= 1;
        });
        for _ in 0..CONSUMERS {
            *basket.0.lock() += 1;
            basket.1.notify_one();
        }
        join(consumers);
    });
}

/// A queue with room for one job.
struct Jobs {
    queue: Mutex<VecDeque<usize>>,
    filled: Condvar,
    emptied: Condvar,
}

#[test]
fn a_queue_on_condvars_delivers_every_job_once() {
    const PAIRS: usize = 2;
    const JOBS: usize = 3;
    randomized(|| {
        let jobs = Arc::new(Jobs {
            queue: Mutex::new(VecDeque::new()),
            filled: Condvar::new(),
            emptied: Condvar::new(),
        });
        let producers = start(PAIRS, &jobs, |producer, jobs| {
            for number in 0..JOBS {
                let mut queue = jobs.queue.lock();
                while !queue.is_empty() {
                    queue = jobs.emptied.wait(queue);
                }
                queue.push_back(producer * JOBS + number);
                // One notifies with the mutex held, the other without.
                if producer == 0 {
                    jobs.filled.notify_one();
                    drop(queue);
                } else {
                    drop(queue);
                    jobs.filled.notify_one();
                }
            }
        });
        let consumers = start(PAIRS, &jobs, |_, jobs| {
            let mut got = Vec::new();
            for _ in 0..JOBS {
                let mut queue = jobs.queue.lock();
                while queue.is_empty() {
                    queue = jobs.filled.wait(queue);
                }
                got.extend(queue.pop_front());
                jobs.emptied.notify_one();
            }
            got
        });
        join(producers);
        let mut got: Vec<_> = join(consumers).into_iter().flatten().collect();
        got.sort_unstable();
        assert_eq!(
            got,
            (0..PAIRS * JOBS).collect::<Vec<_>>(),
            "producers and consumers were inside together: a job was lost or done twice"
        );
    });
}

#[test]
fn condvar_notify_all_lets_everybody_go_on() {
    const THREADS: usize = 4;
    randomized(|| {
        let barrier = Arc::new((Mutex::new(0), Condvar::new()));
        join(start(THREADS, &barrier, |_, (arrived, all_here)| {
            for phase in 1..=2 {
                let mut count = arrived.lock();
                *count += 1;
                if *count == THREADS * phase {
                    all_here.notify_all();
                }
                while *count < THREADS * phase {
                    count = all_here.wait(count);
                }
            }
        }));
    });
}

/// Readers–writers, after Courtois, Heymans and Parnas (1971): readers share, a writer is alone, a waiting writer keeps new
/// readers out.
struct Library {
    state: Mutex<Desk>,
    reading_ended: Condvar,
    writing_ended: Condvar,
    /// Readers inside; what a writer does not tolerate.
    readers: AtomicUsize,
    writers: AtomicUsize,
}

#[derive(Default)]
struct Desk {
    readers: usize,
    writing: bool,
    writers_waiting: usize,
}

#[test]
fn readers_and_writers_on_condvars_keep_apart() {
    randomized(|| {
        let library = Arc::new(Library {
            state: Mutex::new(Desk::default()),
            reading_ended: Condvar::new(),
            writing_ended: Condvar::new(),
            readers: AtomicUsize::new(0),
            writers: AtomicUsize::new(0),
        });
        let readers = start(3, &library, |_, library| {
            for _ in 0..2 {
                let mut desk = library
                    .writing_ended
                    .wait_while(library.state.lock(), |desk| {
                        desk.writing || desk.writers_waiting > 0
                    });
                desk.readers += 1;
                drop(desk);

                library.readers.fetch_add(1, Relaxed);
                assert_eq!(
                    library.writers.load(Relaxed),
                    0,
                    "a reader reads what a writer is writing"
                );
                library.readers.fetch_sub(1, Relaxed);

                let mut desk = library.state.lock();
                desk.readers -= 1;
                if desk.readers == 0 {
                    library.reading_ended.notify_one();
                }
            }
        });
        let writers = start(2, &library, |_, library| {
            let mut desk = library.state.lock();
            desk.writers_waiting += 1;
            while desk.writing || desk.readers > 0 {
                desk = library.reading_ended.wait(desk);
            }
            desk.writers_waiting -= 1;
            desk.writing = true;
            drop(desk);

            let others = library.writers.fetch_add(1, Relaxed);
            assert_eq!(others, 0, "two writers write at once");
            thread::yield_now();
            assert_eq!(
                library.readers.load(Relaxed),
                0,
                "a writer writes what a reader is reading"
            );
            library.writers.fetch_sub(1, Relaxed);

            let mut desk = library.state.lock();
            desk.writing = false;
            drop(desk);
            library.reading_ended.notify_one();
            library.writing_ended.notify_all();
        });
        join(readers);
        join(writers);
    });
}

const PHILOSOPHERS: usize = 5;

/// Eats with both forks in hand, and finds out if somebody else has one of them.
fn eat(left: &mut usize, right: &mut usize) {
    add_one_slowly(left);
    add_one_slowly(right);
}

fn assert_all_have_eaten(forks: &[Mutex<usize>], meals: usize) {
    for fork in forks {
        assert_eq!(
            *fork.lock(),
            2 * meals,
            "two philosophers held the same fork at once, and one use of it was lost"
        );
    }
}

#[test]
fn philosophers_with_a_mutex_for_each_fork_all_eat() {
    const MEALS: usize = 2;
    randomized(|| {
        let forks = Arc::new(Vec::from_iter((0..PHILOSOPHERS).map(|_| Mutex::new(0))));
        join(start(PHILOSOPHERS, &forks, |seat, forks| {
            let (left, right) = (seat, (seat + 1) % PHILOSOPHERS);
            for _ in 0..MEALS {
                let mut first = forks[left.min(right)].lock();
                let mut second = forks[left.max(right)].lock();
                eat(&mut first, &mut second);
            }
        }));
        assert_all_have_eaten(&forks, MEALS);
    });
}

#[test]
fn philosophers_with_a_semaphore_of_chairs_all_eat() {
    randomized(|| {
        let table = Arc::new((
            Semaphore::new(PHILOSOPHERS - 1),
            Vec::from_iter((0..PHILOSOPHERS).map(|_| Mutex::new(0))),
        ));
        join(start(PHILOSOPHERS, &table, |seat, (chairs, forks)| {
            let _chair = chairs.acquire();
            let mut left = forks[seat].lock();
            thread::yield_now();
            let mut right = forks[(seat + 1) % PHILOSOPHERS].lock();
            eat(&mut left, &mut right);
        }));
        assert_all_have_eaten(&table.1, 1);
    });
}

#[test]
fn philosophers_with_a_condvar_all_eat() {
    randomized(|| {
        let table = Arc::new((Mutex::new([false; PHILOSOPHERS]), Condvar::new()));
        join(start(PHILOSOPHERS, &table, |seat, (taken, put_back)| {
            let (left, right) = (seat, (seat + 1) % PHILOSOPHERS);
            let mut forks = put_back.wait_while(taken.lock(), |taken| taken[left] || taken[right]);
            (forks[left], forks[right]) = (true, true);
            drop(forks);
            thread::yield_now();
            let mut forks = taken.lock();
            assert!(
                forks[left] && forks[right],
                "a philosopher's forks were put back by somebody else"
            );
            (forks[left], forks[right]) = (false, false);
            drop(forks);
            put_back.notify_all();
        }));
    });
}

/// Takes all permits that are free.
fn free(semaphore: &Semaphore) -> usize {
    let permits: Vec<_> = std::iter::from_fn(|| semaphore.try_acquire())
        .take(10)
        .collect();
    permits.into_iter().map(Permit::forget).count()
}

#[test]
fn semaphore_lets_in_no_more_threads_than_permits() {
    const PERMITS: usize = 2;
    randomized(|| {
        let room = Arc::new((Semaphore::new(PERMITS), AtomicUsize::new(0)));
        join(start(4, &room, |_, (semaphore, inside)| {
            for _ in 0..2 {
                let permit = semaphore.acquire();
                let before = inside.fetch_add(1, Relaxed);
                assert!(
                    before < PERMITS,
                    "{PERMITS} permits, and {} threads are inside at once",
                    before + 1
                );
                thread::yield_now();
                inside.fetch_sub(1, Relaxed);
                drop(permit);
            }
        }));
        assert_eq!(
            free(&room.0),
            PERMITS,
            "everybody is gone and the number of permits has changed: one was lost, or one was made"
        );
    });
}

#[test]
fn semaphore_wakes_as_many_as_permits_released() {
    randomized(|| {
        let semaphore = Arc::new(Semaphore::new(0));
        let threads = start(4, &semaphore, |_, semaphore| semaphore.acquire().forget());
        semaphore.release(1);
        semaphore.release(3);
        join(threads);
        assert_eq!(
            free(&semaphore),
            0,
            "four permits were released and four threads used up one each"
        );
    });
}

#[test]
fn semaphore_sees_a_permit_that_comes_during_the_question() {
    randomized(|| {
        let semaphore = Semaphore::new(0);
        let mut asked = false;
        let permit = semaphore.acquire_unless(|| {
            if !asked {
                semaphore.release(1);
            }
            asked = true;
            false
        });
        assert!(
            permit.is_some(),
            "a thread that was never told to give up waiting has done so"
        );
    });
}

#[test]
fn semaphore_serves_who_still_waits() {
    const WAITERS: usize = 3;
    const IMPATIENT: usize = 1;
    randomized(|| {
        // The answer is kept in a mutex: asking for it may put the thread to sleep and use up its token.
        let shared = Arc::new((Semaphore::new(0), Mutex::new([false; WAITERS])));
        let waiters = start(WAITERS, &shared, |number, (semaphore, given_up)| {
            let permit = semaphore.acquire_unless(|| {
                let answers = given_up.lock();
                thread::yield_now();
                answers[number]
            });
            if number == IMPATIENT {
                // Came too soon to give up: the permit goes back.
                drop(permit);
            } else {
                permit
                    .expect("a thread that was never told to give up waiting has done so")
                    .forget();
            }
        });
        let (semaphore, given_up) = &*shared;
        semaphore.release(1);
        given_up.lock()[IMPATIENT] = true;
        waiters[IMPATIENT].thread().unpark();
        semaphore.release(1);
        join(waiters);
        assert_eq!(
            free(semaphore),
            0,
            "two permits were released and two threads used up one each, while a third gave up: a permit was made"
        );
    });
}

#[test]
fn semaphore_takes_many_permits_at_once() {
    const STEPS: usize = 2_000;
    let outcome = Randomized::new().schedules(2).steps(STEPS).explore(|| {
        let semaphore = Arc::new(Semaphore::new(0));
        let waiters = start(2, &semaphore, |_, semaphore| semaphore.acquire().forget());
        semaphore.release(1 << 40);
        join(waiters);
        assert_eq!(
            free(&semaphore),
            10,
            "as many permits as one can ask for were released"
        );
    });
    match outcome {
        Ok(()) => {}
        Err(report) if report.headline.starts_with("inconclusive") => panic!(
            "release(1 << 40), which opens the gate for everybody, took more than {STEPS} operations, where each waiter takes a \
             few: permits are added one by one, and the call never returns"
        ),
        Err(report) => panic!("{}", report.text),
    }
}
