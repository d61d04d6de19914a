//! The std world: `kata` is `std` and nothing more, so what compiles against it costs nothing.
//!
//! Decides that the names are there, that they are those of `std`, and that constructors work in statics. The oracles of
//! this world have their tests beside them.
#![cfg(not(any(feature = "loom", feature = "shuttle")))]

use kata::Canary;
use kata::cell::UnsafeCell;
use kata::sync::atomic::{AtomicBool, AtomicPtr, AtomicUsize, Ordering::Relaxed, fence};
use kata::sync::{Arc, Condvar, Mutex, RwLock};
use std::any::TypeId;
use std::time::Duration;

static COUNT: AtomicUsize = AtomicUsize::new(3);
static READY: AtomicBool = AtomicBool::new(true);
static HEAD: AtomicPtr<u8> = AtomicPtr::new(std::ptr::null_mut());
static NAMES: Mutex<Vec<&str>> = Mutex::new(Vec::new());
static LIMIT: RwLock<usize> = RwLock::new(8);
static CHANGED: Condvar = Condvar::new();

const CANARY: Canary = Canary::new();

kata::thread_local! {
    static DEPTH: std::cell::Cell<u32> = const { std::cell::Cell::new(1) };
}

kata::lazy_static! {
    /// Made at its first use.
    static ref WORDS: Vec<&'static str> = vec!["one", "two"];
}

#[test]
fn statics_are_initialised_by_constants() {
    assert_eq!(COUNT.fetch_add(1, Relaxed), 3);
    assert!(READY.load(Relaxed) && HEAD.load(Relaxed).is_null());
    NAMES.lock().unwrap().push("first");
    assert_eq!(*NAMES.lock().unwrap(), ["first"]);
    assert_eq!(*LIMIT.read().unwrap(), 8);
    let guard = NAMES.lock().unwrap();
    let (_guard, result) = CHANGED.wait_timeout(guard, Duration::ZERO).unwrap();
    assert!(result.timed_out());
}

#[test]
fn what_has_no_wrapper_is_the_type_of_std() {
    fn same<Ours: 'static, Std: 'static>() -> bool {
        TypeId::of::<Ours>() == TypeId::of::<Std>()
    }
    assert!(same::<AtomicUsize, std::sync::atomic::AtomicUsize>());
    assert!(same::<Arc<u8>, std::sync::Arc<u8>>());
    assert!(same::<Mutex<u8>, std::sync::Mutex<u8>>());
    assert!(same::<RwLock<u8>, std::sync::RwLock<u8>>());
    assert!(same::<Condvar, std::sync::Condvar>());
    assert!(same::<
        kata::thread::JoinHandle<u8>,
        std::thread::JoinHandle<u8>,
    >());
    assert!(same::<kata::thread::Thread, std::thread::Thread>());
}

#[test]
fn a_cell_is_as_large_as_its_value_and_a_canary_is_nothing() {
    assert_eq!(size_of::<UnsafeCell<u16>>(), size_of::<u16>());
    assert_eq!(size_of::<(u64, Canary)>(), size_of::<u64>());
}

#[test]
fn a_cell_lends_its_value() {
    let mut cell = const { UnsafeCell::new(5_u32) };
    // SAFETY: one thread, and no two accesses at a time.
    cell.with_mut(|value| unsafe { *value += 1 });
    // SAFETY: as above.
    assert_eq!(cell.with(|value| unsafe { *value }), 6);
    *cell.get_mut() += 1;
    assert_eq!(cell.into_inner(), 7);
    CANARY.touch();
}

#[test]
fn threads_are_those_of_std() {
    let parked = kata::thread::Builder::new()
        .name("sleeper".into())
        .spawn(|| {
            while COUNT.load(Relaxed) == usize::MAX {
                kata::thread::park();
            }
            DEPTH.with(|depth| depth.set(depth.get() + 1));
            (DEPTH.with(std::cell::Cell::get), WORDS.len())
        })
        .unwrap();
    assert_eq!(parked.thread().name(), Some("sleeper"));
    parked.thread().unpark();
    kata::hint::spin_loop();
    kata::thread::yield_now();
    fence(std::sync::atomic::Ordering::SeqCst);
    assert_eq!(parked.join().unwrap(), (2, 2));
    assert_eq!(DEPTH.with(std::cell::Cell::get), 1);
}

#[test]
fn a_future_is_polled_until_it_is_ready_and_only_when_it_was_woken() {
    use std::task::Poll;
    assert_eq!(kata::future::block_on(async { 5 }), 5);
    let mut polls = 0;
    let mut waking = None;
    kata::future::block_on(std::future::poll_fn(|context| {
        polls += 1;
        match polls {
            // Before the thread sleeps; the token of the thread is there in vain.
            1 => {
                std::thread::current().unpark();
                context.waker().wake_by_ref();
            }
            // While it sleeps, or just before; the clone outlives the poll.
            2 => {
                let waker = context.waker().clone();
                waking = Some(kata::thread::spawn(move || waker.wake()));
            }
            _ => return Poll::Ready(()),
        }
        Poll::Pending
    }));
    waking.expect("polled twice").join().unwrap();
    assert_eq!(polls, 3, "a poll without a wake, or a wake without a poll");
}
