//! Every execution that C++20 allows, without load buffering, within the bounds that each check prints.
//!
//! Decides, for two threads, whether what one does before it unlocks or releases is sure to be seen by the other, whether
//! both can be inside at once, whether a wake-up can get lost, and whether who waits sleeps. A wake-up that is lost leaves
//! a thread asleep forever: the model ends in a deadlock and the process aborts, after the picture has been printed. A
//! missing Acquire or Release shows here and nowhere else. `park` returns without cause here, once in each place that
//! calls it.
//! Does not decide anything about three threads: two that spin for the same lock can keep the third, its owner, from running
//! for as long as the checker likes.

use kata::cell::UnsafeCell;
use kata::check::{Exhaustive, exhaustive, steps};
use kata::sync::Arc;
use kata::sync::atomic::{AtomicBool, Ordering::Acquire, Ordering::Release};
use kata::thread::{self, JoinHandle};
use mutex_condvar::{Condvar, Mutex, Permit, Semaphore};

/// Starts a thread on something shared.
fn start<S, R>(shared: &Arc<S>, body: impl FnOnce(&S) -> R + Send + 'static) -> JoinHandle<R>
where
    S: Send + Sync + 'static,
    R: Send + 'static,
{
    let shared = shared.clone();
    thread::spawn(move || body(&shared))
}

/// All executions, also those in which a wait is skipped or given up, with an eye on the memory that is left in the end.
fn without_leaks(model: impl Fn() + Send + Sync + 'static) {
    Exhaustive::new().no_leaks().run(model);
}

/// What a mutex is asked to keep consistent: two numbers that are equal whenever nobody holds it.
type Pair = (u32, u32);

/// Two separate writes, so that an owner let in too early has something to see half of.
fn advance(pair: &mut Pair) {
    pair.0 += 1;
    pair.1 += 1;
}

#[test]
fn try_lock_on_a_free_mutex_succeeds() {
    exhaustive(|| {
        let mutex = Mutex::new(0);
        for _ in 0..2 {
            assert!(
                mutex.try_lock().is_some(),
                "nobody holds this mutex, yet try_lock says that somebody does: its caller gives up for nothing"
            );
        }
    });
}

#[test]
fn a_thread_that_locks_a_mutex_twice_waits_for_itself() {
    let twice = Exhaustive::new().explore(|| {
        let mutex = Mutex::new(0);
        std::mem::forget(mutex.lock());
        std::mem::forget(mutex.lock());
    });
    assert!(
        twice.is_err(),
        "a thread that held the mutex has got it once more: it has two `&mut` to the same value, and may change under the \
         one what it has borrowed through the other"
    );
    exhaustive(|| drop(Mutex::new(0).lock()));
}

#[test]
fn mutex_lets_in_one_thread_at_a_time() {
    without_leaks(|| {
        let mutex = Arc::new(Mutex::<Pair>::new((0, 0)));
        let other = start(&mutex, |mutex| {
            for _ in 0..2 {
                advance(&mut mutex.lock());
            }
        });
        advance(&mut mutex.lock());
        other.join().unwrap();
        assert_eq!(
            *mutex.lock(),
            (3, 3),
            "two threads advanced the pair three times, one at a time: an update was lost"
        );
    });
}

#[test]
fn mutex_try_lock_lets_in_one_thread_at_a_time() {
    fn advance_if_free(mutex: &Mutex<Pair>) -> u32 {
        match mutex.try_lock() {
            Some(mut pair) => {
                advance(&mut pair);
                1
            }
            None => 0,
        }
    }
    exhaustive(|| {
        let mutex = Arc::new(Mutex::new((0, 0)));
        let other = start(&mutex, |mutex| {
            advance(&mut mutex.lock());
            advance_if_free(mutex)
        });
        let mine = advance_if_free(&mutex);
        let advanced = 1 + mine + other.join().unwrap();
        assert_eq!(
            *mutex.lock(),
            (advanced, advanced),
            "the pair was advanced {advanced} times, one at a time: an update was lost"
        );
    });
}

/// A flag, and who waits for it.
struct Gate {
    open: Mutex<bool>,
    opened: Condvar,
    /// Written before the gate opens, read after.
    behind: UnsafeCell<u32>,
}

// SAFETY: whether `behind` is written before it is read is what the checks decide.
unsafe impl Sync for Gate {}

impl Gate {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            open: Mutex::new(false),
            opened: Condvar::new(),
            behind: UnsafeCell::new(0),
        })
    }

    fn prepare(&self) {
        // SAFETY: see `Sync`.
        self.behind.with_mut(|behind| unsafe { *behind = 7 });
    }

    fn wait(&self) {
        let mut open = self.open.lock();
        while !*open {
            open = self.opened.wait(open);
        }
        drop(open);
        // SAFETY: see `Sync`.
        let behind = self.behind.with(|behind| unsafe { *behind });
        assert_eq!(
            behind, 7,
            "a thread was let through before what it waited for was done"
        );
    }
}

#[test]
fn condvar_notification_inside_the_lock_is_not_lost() {
    without_leaks(|| {
        let gate = Gate::new();
        let waiter = start(&gate, Gate::wait);
        gate.prepare();
        let mut open = gate.open.lock();
        *open = true;
        gate.opened.notify_one();
        drop(open);
        waiter.join().unwrap();
    });
}

#[test]
fn condvar_notification_after_the_unlock_is_not_lost() {
    exhaustive(|| {
        let gate = Gate::new();
        let waiter = start(&gate, Gate::wait);
        gate.prepare();
        *gate.open.lock() = true;
        gate.opened.notify_one();
        waiter.join().unwrap();
    });
}

#[test]
fn condvar_notify_all_is_not_lost() {
    exhaustive(|| {
        let gate = Gate::new();
        let waiter = start(&gate, Gate::wait);
        gate.prepare();
        *gate.open.lock() = true;
        gate.opened.notify_all();
        waiter.join().unwrap();
    });
}

#[test]
fn condvar_wait_while_returns_only_when_the_condition_is_false() {
    // There are too many executions to go through all of them.
    let exploration = Exhaustive::new().step_by_step();
    exploration.preemptions(2).executions(300).run(|| {
        let basket = Arc::new((Mutex::new(0_u32), Condvar::new()));
        let consumer = start(&basket, |(items, filled)| {
            let mut items = filled.wait_while(items.lock(), |items| *items == 0);
            assert!(
                *items > 0,
                "wait_while returned although its condition still holds: a consumer takes from an empty basket"
            );
            *items -= 1;
        });
        let (items, filled) = &*basket;
        let fill = || {
            *items.lock() += 1;
            filled.notify_one();
        };
        fill();
        // A second consumer, who does not wait: it may well be quicker than the one who was notified.
        let mut items = items.lock();
        let taken = *items > 0;
        *items = 0;
        drop(items);
        if taken {
            fill();
        }
        consumer.join().unwrap();
    });
}

/// Something that only the holder of the one permit may touch.
struct Limited {
    permits: Semaphore,
    inside: UnsafeCell<u32>,
}

// SAFETY: whether permits keep the accesses to `inside` apart is what the checks decide.
unsafe impl Sync for Limited {}

impl Limited {
    fn new(permits: usize) -> Arc<Self> {
        Arc::new(Self {
            permits: Semaphore::new(permits),
            inside: UnsafeCell::new(0),
        })
    }

    fn visit(&self) {
        // SAFETY: see `Sync`.
        self.inside.with_mut(|inside| unsafe { *inside += 1 });
    }
}

#[test]
fn semaphore_of_one_permit_lets_in_one_thread_at_a_time() {
    exhaustive(|| {
        let limited = Limited::new(1);
        let other = start(&limited, |limited| {
            let _permit = limited.permits.acquire();
            limited.visit();
        });
        let permit = limited.permits.acquire();
        limited.visit();
        drop(permit);
        other.join().unwrap();
    });
}

#[test]
fn semaphore_try_acquire_sees_what_was_done_before_the_release() {
    exhaustive(|| {
        let limited = Limited::new(0);
        let other = start(&limited, |limited| {
            limited.visit();
            limited.permits.release(1);
        });
        if let Some(permit) = limited.permits.try_acquire() {
            limited.visit();
            permit.forget();
        }
        other.join().unwrap();
    });
}

#[test]
fn semaphore_acquire_sees_what_was_done_before_the_release() {
    exhaustive(|| {
        let limited = Limited::new(0);
        let other = start(&limited, |limited| {
            limited.permits.acquire().forget();
            limited.visit();
        });
        limited.visit();
        limited.permits.release(1);
        other.join().unwrap();
    });
}

#[test]
fn semaphore_gives_out_every_permit_released() {
    exhaustive(|| {
        let semaphore = Arc::new(Semaphore::new(0));
        let other = start(&semaphore, |semaphore| {
            semaphore.acquire().forget();
            semaphore.acquire().forget();
        });
        semaphore.release(2);
        other.join().unwrap();
        assert!(
            semaphore.try_acquire().is_none(),
            "two permits were released and two were used up, and there is a third"
        );
    });
}

#[test]
fn semaphore_loses_nothing_when_a_permit_meets_a_cancellation() {
    without_leaks(|| {
        let shared = Arc::new((Semaphore::new(0), AtomicBool::new(false)));
        let waiter = start(&shared, |(semaphore, enough)| {
            let permit = semaphore.acquire_unless(|| enough.load(Acquire));
            permit.map(Permit::forget).is_some()
        });
        let (semaphore, enough) = &*shared;
        enough.store(true, Release);
        waiter.thread().unpark();
        semaphore.release(1);
        let used = waiter.join().unwrap();
        let left = semaphore.try_acquire();
        assert_eq!(
            left.is_some(),
            !used,
            "one permit was released; a thread that was told to give up waiting says whether it got it, and the \
             semaphore does not agree"
        );
        let made = semaphore.try_acquire();
        assert!(
            made.is_none(),
            "one permit was released, and there are two: the limit does not hold any more"
        );
    });
}

/// How often the others step aside while somebody waits.
const HOLD: usize = 1_000;

/// Whoever goes round a loop while it waits takes about as many steps as it is made to wait for. A few rounds before the
/// sleep are nobody's loss.
const MOST: usize = HOLD / 2;

/// Explores a model in which somebody waits for long. One preemption is enough: the waiter is to sleep in all executions.
fn long(model: impl Fn() + Send + Sync + 'static) {
    // How often a thread looks in vain is what is counted here, so every turn of a loop has to be one.
    Exhaustive::new()
        .step_by_step()
        .preemptions(1)
        .branches(20_000)
        .executions(500)
        .run(model);
}

fn hold() {
    for _ in 0..HOLD {
        thread::yield_now();
    }
}

/// Lets a thread wait and counts its steps.
fn wait_for<S: Send + Sync + 'static>(
    shared: &Arc<S>,
    wait: impl FnOnce(&S) + Send + 'static,
) -> JoinHandle<usize> {
    start(shared, |shared| {
        let before = steps(&thread::current());
        wait(shared);
        steps(&thread::current()) - before
    })
}

fn assert_slept(waiter: JoinHandle<usize>) {
    let steps = waiter.join().unwrap();
    assert!(
        steps <= MOST,
        "a thread that had to wait took {steps} steps: it does not sleep, and takes the processor from those it waits for"
    );
}

#[test]
fn who_waits_for_a_mutex_sleeps() {
    long(|| {
        let mutex = Arc::new(Mutex::new(0));
        let guard = mutex.lock();
        let waiter = wait_for(&mutex, |mutex| drop(mutex.lock()));
        hold();
        drop(guard);
        assert_slept(waiter);
    });
}

#[test]
fn who_waits_on_a_condvar_sleeps() {
    long(|| {
        let gate = Gate::new();
        let waiter = wait_for(&gate, Gate::wait);
        hold();
        gate.prepare();
        *gate.open.lock() = true;
        gate.opened.notify_one();
        assert_slept(waiter);
    });
}

#[test]
fn who_waits_for_a_semaphore_sleeps() {
    long(|| {
        let semaphore = Arc::new(Semaphore::new(0));
        let waiter = wait_for(&semaphore, |semaphore| semaphore.acquire().forget());
        hold();
        semaphore.release(1);
        assert_slept(waiter);
    });
}

/// Lets two threads wait at once. A thread is interrupted here only where it steps aside or sleeps: two waiters that spin for
/// the inside of a queue would keep its owner from running for as long as the checker likes.
fn in_company<S: Send + Sync + 'static>(
    make: fn() -> S,
    wait: fn(&S),
    meanwhile: fn(&Arc<S>, start: &dyn Fn()),
) {
    Exhaustive::new()
        .step_by_step()
        .preemptions(0)
        .branches(20_000)
        .executions(300)
        .run(move || {
            let shared = Arc::new(make());
            let waiters = std::cell::RefCell::new(Vec::new());
            meanwhile(&shared, &|| {
                waiters.replace((0..2).map(|_| wait_for(&shared, wait)).collect());
            });
            waiters.into_inner().into_iter().for_each(assert_slept);
        });
}

#[test]
fn who_waits_for_a_mutex_behind_another_one_sleeps() {
    in_company(
        || Mutex::new(0),
        |mutex| drop(mutex.lock()),
        |mutex, start| {
            let _guard = mutex.lock();
            start();
            hold();
        },
    );
}

#[test]
fn who_waits_on_a_condvar_sleeps_while_the_notifier_keeps_the_mutex() {
    in_company(
        || (Mutex::new(false), Condvar::new()),
        |(open, opened)| drop(opened.wait_while(open.lock(), |open| !*open)),
        |gate, start| {
            start();
            hold();
            let mut open = gate.0.lock();
            *open = true;
            gate.1.notify_all();
            hold();
        },
    );
}

#[test]
fn who_waits_for_a_semaphore_behind_another_one_sleeps() {
    in_company(
        || Semaphore::new(0),
        |semaphore| semaphore.acquire().forget(),
        |semaphore, start| {
            start();
            hold();
            semaphore.release(2);
        },
    );
}

#[test]
fn the_model_sees_what_the_three_do() {
    exhaustive(|| {
        let me = thread::current();
        let seen = [steps(&me)];
        drop(Mutex::new(0).lock());
        let seen = [seen[0], steps(&me)];
        Semaphore::new(1).acquire().forget();
        assert!(
            seen[0] < seen[1] && seen[1] < steps(&me),
            "a mutex was locked and a permit acquired, and no operation was seen: take atomics and cells from `kata`, not from \
             `std`. What the model checker does not see it cannot judge"
        );
    });
}
