//! One thread, real atomics.
//!
//! Decides what a single thread can see: when the mutex is taken and when it is free again, how many permits there are,
//! what waiting does where nothing has to be waited for.
//! Does not decide anything about two threads. Where a broken type would wait for itself, the checks ask without waiting,
//! so that it fails instead of hanging.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use kata::check::Drops;
use mutex_condvar::{Condvar, Mutex, MutexGuard, Permit, Semaphore};
use rstest::rstest;

type Take = for<'a> fn(&'a Mutex<u32>) -> MutexGuard<'a, u32>;

fn by_lock(mutex: &Mutex<u32>) -> MutexGuard<'_, u32> {
    mutex.lock()
}

fn by_try_lock(mutex: &Mutex<u32>) -> MutexGuard<'_, u32> {
    mutex
        .try_lock()
        .expect("nobody holds the mutex, yet try_lock says that somebody does")
}

#[rstest]
#[case::lock(by_lock)]
#[case::try_lock(by_try_lock)]
fn a_new_mutex_is_free_and_holds_its_value(#[case] take: Take) {
    let mutex = Mutex::new(7);
    assert_eq!(
        *take(&mutex),
        7,
        "the guard must show the value given to `new`"
    );
}

#[rstest]
#[case::lock(by_lock)]
#[case::try_lock(by_try_lock)]
fn a_held_mutex_cannot_be_taken(#[case] take: Take) {
    let mutex = Mutex::new(7);
    let _guard = take(&mutex);
    assert!(
        mutex.try_lock().is_none(),
        "two guards at once: two threads would each hold a `&mut` to the same value"
    );
    assert!(
        mutex.try_lock().is_none(),
        "the first failed try_lock has unlocked what somebody else had locked"
    );
}

#[rstest]
#[case::lock(by_lock)]
#[case::try_lock(by_try_lock)]
fn what_one_owner_of_a_mutex_writes_the_next_one_reads(#[case] take: Take) {
    let mutex = Mutex::new(7);
    *take(&mutex) += 1;
    let guard = mutex
        .try_lock()
        .expect("the owner is gone, yet the mutex is still taken");
    assert_eq!(*guard, 8, "the owner's write was lost");
}

fn at_the_end_of_a_statement(mutex: &Mutex<u32>) {
    *mutex.lock() += 1;
}

fn dropped_by_hand(mutex: &Mutex<u32>) {
    drop(mutex.lock());
}

fn taken_by_try_lock(mutex: &Mutex<u32>) {
    drop(mutex.try_lock());
}

fn by_a_panic(mutex: &Mutex<u32>) {
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        let _guard = mutex.lock();
        resume_unwind(Box::new("the owner's own trouble"));
    }));
    assert!(outcome.is_err());
}

#[rstest]
#[case::at_the_end_of_a_statement(at_the_end_of_a_statement)]
#[case::dropped_by_hand(dropped_by_hand)]
#[case::taken_by_try_lock(taken_by_try_lock)]
#[case::by_a_panic(by_a_panic)]
fn the_end_of_a_guard_unlocks_the_mutex(#[case] use_the_mutex: fn(&Mutex<u32>)) {
    let mutex = Mutex::new(7);
    use_the_mutex(&mutex);
    assert!(
        mutex.try_lock().is_some(),
        "the guard is gone, yet the mutex is still taken: the next thread to ask for it waits forever"
    );
}

#[test]
fn a_forgotten_guard_keeps_the_mutex_taken() {
    let mutex = Mutex::new(7);
    std::mem::forget(mutex.lock());
    assert!(
        mutex.try_lock().is_none(),
        "no guard was dropped, yet the mutex is free: its owner may still hold a reference to the value"
    );
}

#[test]
fn every_value_in_a_mutex_is_dropped_once() {
    let drops = Drops::new();
    let mutex = Mutex::new(drops.token("the first value"));
    *mutex.lock() = drops.token("the value that replaced it");
    drop(mutex);
    drops.assert_each_dropped_once();
}

#[test]
fn condvar_wait_while_returns_at_once_when_there_is_nothing_to_wait_for() {
    let mutex = Mutex::new(7);
    let mut asked = 0;
    let guard = Condvar::new().wait_while(mutex.lock(), |value| {
        asked += 1;
        *value += 1;
        false
    });
    assert_eq!(
        *guard, 8,
        "the condition was shown something else than the value, or changed it in vain"
    );
    assert!(
        mutex.try_lock().is_none(),
        "wait_while returned a guard of a mutex that is free: two threads can be inside"
    );
    drop(guard);
    assert_eq!(
        asked, 1,
        "the condition was false the first time and was asked again"
    );
    assert!(
        mutex.try_lock().is_some(),
        "the guard that wait_while returned is gone, yet the mutex is still taken"
    );
}

#[test]
fn notifying_a_condvar_without_waiters_does_nothing() {
    let condvar = Condvar::new();
    let mutex = Mutex::new(7);
    let guard = mutex.lock();
    condvar.notify_one();
    condvar.notify_all();
    assert!(
        mutex.try_lock().is_none(),
        "a notification has unlocked a mutex that somebody holds"
    );
    drop(guard);
    condvar.notify_one();
    condvar.notify_all();
}

/// Takes all permits that are free, and keeps them.
fn take_all(semaphore: &Semaphore) -> Vec<Permit<'_>> {
    std::iter::from_fn(|| semaphore.try_acquire())
        .take(100)
        .collect()
}

fn free(semaphore: &Semaphore) -> usize {
    take_all(semaphore).len()
}

fn acquire(semaphore: &Semaphore) -> Permit<'_> {
    semaphore.acquire()
}

fn try_acquire(semaphore: &Semaphore) -> Permit<'_> {
    semaphore
        .try_acquire()
        .expect("a permit is free, yet try_acquire says that there is none")
}

fn acquire_unless(semaphore: &Semaphore) -> Permit<'_> {
    semaphore
        .acquire_unless(|| false)
        .expect("a permit is free and nobody has cancelled, yet acquire_unless gave up")
}

fn acquire_although_cancelled(semaphore: &Semaphore) -> Permit<'_> {
    semaphore
        .acquire_unless(|| true)
        .expect("a permit is free, yet acquire_unless asked whether it should wait for one")
}

#[rstest]
#[case::acquire(acquire)]
#[case::try_acquire(try_acquire)]
#[case::acquire_unless(acquire_unless)]
#[case::acquire_although_cancelled(acquire_although_cancelled)]
fn a_semaphore_gives_out_as_many_permits_as_it_has(
    #[case] take: for<'a> fn(&'a Semaphore) -> Permit<'a>,
) {
    let semaphore = Semaphore::new(2);
    let first = take(&semaphore);
    let second = take(&semaphore);
    assert!(
        semaphore.try_acquire().is_none(),
        "two permits, three holders: the limit does not hold"
    );
    drop(first);
    assert_eq!(
        free(&semaphore),
        1,
        "one of two permits was given back: one must be free"
    );
    drop(second);
    assert_eq!(
        free(&semaphore),
        2,
        "all permits were given back: two must be free"
    );
}

#[test]
fn release_adds_permits_to_a_semaphore() {
    let semaphore = Semaphore::new(0);
    assert_eq!(free(&semaphore), 0, "a semaphore without permits gave one");
    semaphore.release(3);
    assert_eq!(free(&semaphore), 3, "three permits were added to none");
    semaphore.release(0);
    assert_eq!(free(&semaphore), 3, "no permit was added to three");
}

#[test]
fn a_forgotten_permit_does_not_come_back_to_the_semaphore() {
    let semaphore = Semaphore::new(2);
    semaphore.acquire().forget();
    assert_eq!(
        free(&semaphore),
        1,
        "one of two permits was used up for good: one must be left"
    );
}

#[test]
fn who_gives_up_on_a_semaphore_takes_nothing_and_brings_nothing() {
    let semaphore = Semaphore::new(0);
    assert!(
        semaphore.acquire_unless(|| true).is_none(),
        "there was no permit, yet one was acquired"
    );
    assert_eq!(
        free(&semaphore),
        0,
        "a thread that had no permit gave up waiting, and afterwards there was one: the limit does not hold"
    );
    semaphore.release(1);
    assert_eq!(
        free(&semaphore),
        1,
        "the only permit went to a thread that had given up waiting: nobody will ever get it"
    );
}

#[test]
fn a_question_that_panics_costs_the_semaphore_no_permit() {
    let semaphore = Semaphore::new(0);
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        drop(semaphore.acquire_unless(|| resume_unwind(Box::new("the caller's own trouble"))));
    }));
    assert!(
        outcome.is_err(),
        "nobody was asked whether to go on waiting"
    );
    semaphore.release(1);
    assert_eq!(
        free(&semaphore),
        1,
        "one permit was released and there is another number of them: a thread that had panicked while it waited still \
         stands in the queue, or gave back what it did not have"
    );
}

#[test]
fn a_panic_gives_the_permit_back_to_the_semaphore() {
    let semaphore = Semaphore::new(2);
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        let _permit = semaphore.acquire();
        resume_unwind(Box::new("the worker's own trouble"));
    }));
    assert!(outcome.is_err());
    assert_eq!(
        free(&semaphore),
        2,
        "a worker has panicked with one of two permits in its hands, and it does not come back: after as many panics as permits \
         the service stands still"
    );
}

#[test]
fn a_condition_that_panics_leaves_the_mutex_free() {
    let mutex = Mutex::new(7);
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        drop(Condvar::new().wait_while(mutex.lock(), |_| {
            resume_unwind(Box::new("the caller's own trouble"))
        }));
    }));
    assert!(outcome.is_err(), "the condition was not asked");
    assert!(
        mutex.try_lock().is_some_and(|value| *value == 7),
        "the condition of a wait_while has panicked, and the mutex is taken for good"
    );
}

#[test]
fn a_guard_of_a_mutex_may_be_moved() {
    let mutex = Mutex::new(7);
    let mut guards = Vec::with_capacity(1);
    guards.push(mutex.lock());
    guards.reserve(100); // Elsewhere from now on.
    *guards[0] += 1;
    assert!(
        mutex.try_lock().is_none(),
        "a guard was moved, and the mutex is free although the guard is still there"
    );
    drop(guards);
    assert!(
        mutex.try_lock().is_some_and(|value| *value == 8),
        "a guard was moved before it was dropped, and the mutex stays taken"
    );
}

#[test]
fn two_mutexes_in_one_thread_are_not_mixed_up() {
    let (left, right) = (Mutex::new(1), Mutex::new(2));
    let (mut of_left, mut of_right) = (left.lock(), right.lock());
    std::mem::swap(&mut *of_left, &mut *of_right);
    drop(of_left);
    assert!(
        left.try_lock().is_some() && right.try_lock().is_none(),
        "the guard of one mutex was dropped first, and the other mutex was unlocked"
    );
    drop(of_right);
    assert!(
        left.try_lock().is_some_and(|value| *value == 2)
            && right.try_lock().is_some_and(|value| *value == 1),
        "both guards are gone: each mutex is free and holds what its own guard wrote"
    );
}

#[test]
fn forty_mutexes_and_permits_may_be_held_at_once() {
    const MANY: usize = 40;
    let mutexes: Vec<Mutex<usize>> = (0..MANY).map(Mutex::new).collect();
    let semaphores: Vec<Semaphore> = (0..MANY).map(|_| Semaphore::new(1)).collect();
    let mut guards: Vec<_> = mutexes.iter().map(Mutex::lock).collect();
    let permits: Vec<_> = semaphores.iter().map(Semaphore::acquire).collect();
    for (number, mutex) in mutexes.iter().enumerate() {
        assert!(
            mutex.try_lock().is_none() && semaphores[number].try_acquire().is_none(),
            "mutex or semaphore {number} of {MANY} that are held is free"
        );
        *guards[number] += 1;
    }
    // The first one first.
    drop((guards, permits));
    for (number, mutex) in mutexes.iter().enumerate() {
        assert_eq!(
            mutex.try_lock().map(|value| *value),
            Some(number + 1),
            "a thread has held {MANY} mutexes at once and given all of them back, and one is taken or holds another one's value"
        );
        assert_eq!(
            free(&semaphores[number]),
            1,
            "the permit of semaphore {number} was given back"
        );
    }
}

#[test]
fn a_mutex_keeps_values_of_any_layout() {
    #[derive(Clone, Copy)]
    #[repr(align(4096))]
    struct Page(u8);
    let (nothing, page, big) = (
        Mutex::new(()),
        Mutex::new(Page(7)),
        Mutex::new([7_u64; 5_000]),
    );
    let (nothing_held, mut page_held) = (nothing.lock(), page.lock());
    assert!(
        nothing.try_lock().is_none(),
        "a mutex around a value of no bytes is taken and can be taken again: whoever needs a lock and no value has none"
    );
    assert!(
        std::ptr::from_ref(&*page_held).addr() % 4096 == 0 && page_held.0 == 7,
        "a value that must lie at the beginning of a page lies elsewhere, or is another one"
    );
    *page_held = Page(8);
    drop((nothing_held, page_held));
    assert!(
        nothing.try_lock().is_some() && page.try_lock().is_some_and(|page| page.0 == 8),
        "the guard is gone, and the mutex is taken or has lost what was written"
    );
    big.lock()[4_999] = 8;
    assert_eq!(
        big.lock().iter().sum::<u64>(),
        7 * 4_999 + 8,
        "a large value has changed"
    );
}

/// More than a number of 16 bits counts, in case places in the queue are numbered.
#[test]
fn the_hundred_thousandth_who_gives_up_on_a_semaphore_does_so_as_the_first() {
    let semaphore = Semaphore::new(0);
    for _ in 0..100_000 {
        assert!(
            semaphore.acquire_unless(|| true).is_none(),
            "there was no permit, yet one was acquired"
        );
    }
    semaphore.release(100_000);
    for _ in 0..100_000 {
        try_acquire(&semaphore).forget();
    }
    assert_eq!(
        free(&semaphore),
        0,
        "as many permits were released as used up"
    );
}
