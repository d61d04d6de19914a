//! Which types may cross threads, asked of the compiler.
//!
//! Decides whether safe code can carry a value to a thread where it must not be, and whether code that is right is
//! allowed. Decides as well which programs with references compile, and whether the three work when they are compiled as users
//! ship them. Does not decide anything else about how the three behave.

use std::cell::Cell;
use std::rc::Rc;

use kata::check::Compiler;
use kata::implements;
use mutex_condvar::{Condvar, Mutex, MutexGuard, Permit, Semaphore};

#[test]
fn a_mutex_is_shared_exactly_when_its_value_may_move() {
    drop(Mutex::new(0).lock()); // Without a mutex that locks there is nothing to promise.
    assert!(
        implements!(Mutex<Cell<u32>>: Sync) && implements!(Mutex<Cell<u32>>: Send),
        "no two threads can use a mutex around a plain value: it is good for nothing"
    );
    assert!(
        !implements!(Mutex<Rc<u32>>: Sync) && !implements!(Mutex<Rc<u32>>: Send),
        "safe code can clone one `Rc` on two threads through the mutex: its plain counter is a data race"
    );
    assert!(
        !implements!(Mutex<std::sync::MutexGuard<'static, u32>>: Sync),
        "safe code can swap a guard of a `std` mutex out on another thread, which then unlocks what it does not own: sharing a \
         mutex moves its value, and `T: Sync` does not allow that"
    );
}

#[test]
fn a_guard_of_a_mutex_is_as_good_as_a_mutable_reference() {
    drop(Mutex::new(0).lock());
    assert!(
        !implements!(MutexGuard<'static, Rc<u32>>: Send),
        "safe code can lock on one thread and clone the `Rc` inside on another"
    );
    assert!(
        !implements!(MutexGuard<'static, std::sync::MutexGuard<'static, u32>>: Send),
        "safe code can swap a guard of a `std` mutex out on a thread that has only been given the guard around it"
    );
    assert!(
        !implements!(MutexGuard<'static, Cell<u32>>: Sync),
        "safe code can share the guard between two threads, and both write to the `Cell` inside at the same time"
    );
    assert!(
        implements!(MutexGuard<'static, u32>: Sync),
        "scoped threads cannot read a plain number together through one guard, though a `&mut` would let them"
    );
}

#[test]
fn a_condvar_can_be_shared() {
    Condvar::new().notify_all();
    assert!(
        implements!(Condvar: Send + Sync),
        "no two threads can use a condition variable: nobody can notify whoever waits"
    );
}

#[test]
fn a_permit_of_a_semaphore_is_not_tied_to_its_thread() {
    drop(Semaphore::new(1).acquire());
    assert!(
        implements!(Semaphore: Send + Sync),
        "no two threads can use a semaphore: there is nobody to limit"
    );
    assert!(
        implements!(Permit<'static>: Send + Sync),
        "the thread that accepts a connection cannot hand its permit to the thread that serves it"
    );
}

#[test]
fn a_mutex_keeps_no_reference_to_what_is_gone() {
    drop(Mutex::new(0).lock());
    Compiler::new("mutex_condvar", env!("CARGO_MANIFEST_DIR"))
        .accepts(
            "fn put<'a>(mut guard: MutexGuard<'_, &'a str>, text: &'a str) { *guard = text; } \
             let text = String::new(); let mutex = Mutex::new(\"\"); put(mutex.lock(), &text); mutex.lock();",
            "a guard cannot be handed to a function that writes to the value",
        )
        .rejects(
            "E0597",
            "fn put<'a>(mut guard: MutexGuard<'_, &'a str>, text: &'a str) { *guard = text; } \
             let mutex = Mutex::new(\"\"); { let text = String::new(); put(mutex.lock(), &text); } mutex.lock();",
            "the compiler shortens a lifetime inside the guard's type: safe code leaves a reference to a local variable in the mutex, \
             and the next owner reads freed memory. A guard gives out a `&mut T`, so it must not be covariant in `T`",
        )
        .rejects(
            "E0505",
            "let mutex = Mutex::new(String::new()); let guard = mutex.lock(); drop(mutex); guard.len();",
            "a guard outlives its mutex: its owner works on freed memory and unlocks it",
        )
        .rejects(
            "E0505",
            "let mutex = Mutex::new(String::new()); let guard = mutex.lock(); let text: &str = &guard; drop(guard); text.len();",
            "a reference outlives its guard: two threads use the value at once",
        )
        .accepts(
            "let text = String::new(); let mutex = Mutex::new(Vec::new()); let changed = Condvar::new(); \
             std::thread::scope(|scope| { scope.spawn(|| { mutex.lock().push(&text); changed.notify_all(); }); }); \
             changed.wait_while(mutex.lock(), |texts| texts.is_empty()).clear();",
            "a mutex around what borrows cannot be shared by scoped threads",
        )
        .rejects(
            "E0597",
            "struct Last<'a>(&'a String); \
             impl Drop for Last<'_> { fn drop(&mut self) { println!(\"{}\", self.0); } } \
             let mutex = Mutex::new(None); let text = String::new(); *mutex.lock() = Some(Last(&text));",
            "the compiler does not know that the mutex drops its value: the value's own drop reads a local variable that is gone",
        )
        .rejects(
            "E0382",
            "let mutex = Mutex::new(0); let guard = mutex.lock(); drop(Condvar::new().wait(guard)); drop(guard);",
            "a guard is used after a wait has unlocked it",
        )
        .rejects(
            "E0505",
            "let semaphore = Semaphore::new(1); let permit = semaphore.acquire(); drop(semaphore); permit.forget();",
            "a permit outlives its semaphore, and is given back to freed memory",
        )
        .run();
}

#[test]
fn an_optimised_program_waits_and_wakes_as_well() {
    Compiler::new("mutex_condvar", env!("CARGO_MANIFEST_DIR")).run_optimised(
        "let (count, changed, permits) = (Mutex::new(0), Condvar::new(), Semaphore::new(2)); \
         std::thread::scope(|scope| for thread in 0..4 { \
             let (count, changed, permits) = (&count, &changed, &permits); \
             scope.spawn(move || for round in 0..500 { \
                 let permit = permits.acquire(); { let mut count = count.lock(); *count += 1; changed.notify_all(); } drop(permit); \
                 drop(changed.wait_while(count.lock(), |count| *count < 4 * (round + 1))); let _ = thread; }); }); \
         assert_eq!(*count.lock(), 2_000, \"an update was lost\"); \
         assert!(permits.try_acquire().is_some(), \"all have given back their permits, and none is free\");",
    );
}
