//! Futures: a waker that is kept too late, too long or not at all, and wakes that must not get lost.

use kata::cell::UnsafeCell;
use kata::future::block_on;
use kata::sync::atomic::{AtomicBool, AtomicUsize, Ordering, Ordering::Acquire, Ordering::Release};
use kata::sync::{Arc, Mutex};
use kata::thread;
use std::future::poll_fn;
use std::task::{Poll, Waker};

/// When the receiver of a oneshot keeps its waker.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Keep {
    /// Under the lock under which it has looked.
    WithTheLook,
    /// Looks, and keeps the waker under the same lock taken a second time.
    AfterTheLook,
    /// Only if it has kept none before.
    TheFirst,
    /// Never.
    Nothing,
}

#[derive(Default)]
struct Slot {
    value: Option<usize>,
    waker: Option<Waker>,
}

/// One value from one thread to another.
pub fn oneshot(keep: Keep) -> impl Fn() {
    move || {
        let slot = Arc::new(Mutex::new(Slot::default()));
        let sender = {
            let slot = slot.clone();
            thread::spawn(move || {
                let mut slot = slot.lock().unwrap();
                slot.value = Some(1);
                let waker = slot.waker.take();
                drop(slot);
                if let Some(waker) = waker {
                    waker.wake();
                }
            })
        };
        let value = block_on(poll_fn(|context| {
            let mut guard = slot.lock().unwrap();
            if let Some(value) = guard.value.take() {
                return Poll::Ready(value);
            }
            if keep == Keep::AfterTheLook {
                drop(guard);
                guard = slot.lock().unwrap();
            }
            match keep {
                Keep::Nothing => {}
                Keep::TheFirst if guard.waker.is_some() => {}
                _ => guard.waker = Some(context.waker().clone()),
            }
            Poll::Pending
        }));
        assert_eq!(value, 1);
        sender.join().unwrap();
    }
}

/// The waker is passed to a thread that wakes it at once: the wake may come before the poll has returned.
pub fn wake_during_the_poll() -> impl Fn() {
    || {
        let mut waking = None;
        let woken = Arc::new(AtomicBool::new(false));
        block_on(poll_fn(|context| {
            if woken.load(Acquire) {
                return Poll::Ready(());
            }
            if waking.is_none() {
                let (waker, woken) = (context.waker().clone(), woken.clone());
                waking = Some(thread::spawn(move || {
                    woken.store(true, Release);
                    waker.wake();
                }));
                return Poll::Pending;
            }
            // Polled by the adversary: the other thread has an old waker, so this one wakes itself.
            context.waker().wake_by_ref();
            thread::yield_now();
            Poll::Pending
        }));
        waking.expect("polled").join().unwrap();
    }
}

/// The token of a thread that awaits a future is still there afterwards.
pub fn token_beside_a_wake() -> impl Fn() {
    || {
        let me = thread::current();
        let mut waking = None;
        let woken = Arc::new(AtomicBool::new(false));
        block_on(poll_fn(|context| {
            if waking.is_some() && woken.load(Acquire) {
                return Poll::Ready(());
            }
            if waking.is_none() {
                let (me, waker, woken) = (me.clone(), context.waker().clone(), woken.clone());
                waking = Some(thread::spawn(move || {
                    me.unpark();
                    woken.store(true, Release);
                    waker.wake();
                }));
                return Poll::Pending;
            }
            // Polled by the adversary.
            context.waker().wake_by_ref();
            thread::yield_now();
            Poll::Pending
        }));
        thread::park();
        waking.expect("polled").join().unwrap();
    }
}

/// The wakers of two polls; the thread that was polled wakes for the newer one only, and only one of them is used.
pub fn wakes_a_waker_of(newest: bool) -> impl Fn() {
    move || {
        let wakers = Arc::new(Mutex::new(Vec::<Waker>::new()));
        let polls = AtomicUsize::new(0);
        let mut waking = None;
        block_on(poll_fn(|context| {
            let mut kept = wakers.lock().unwrap();
            kept.push(context.waker().clone());
            drop(kept);
            match polls.fetch_add(1, Ordering::Relaxed) {
                0 => {
                    // Polled again at once.
                    context.waker().wake_by_ref();
                    Poll::Pending
                }
                1 => {
                    let wakers = wakers.clone();
                    waking = Some(thread::spawn(move || {
                        let mut wakers = std::mem::take(&mut *wakers.lock().unwrap());
                        if newest {
                            wakers.reverse();
                        }
                        wakers.swap_remove(0).wake();
                    }));
                    Poll::Pending
                }
                _ => Poll::Ready(()),
            }
        }));
        waking.expect("polled twice").join().unwrap();
    }
}

/// A letter written before the wake and read in the poll after it. Whether there is something to read, a flag says.
pub fn letter_before_the_wake(flag: Ordering) -> impl Fn() {
    struct Mailbox {
        letter: UnsafeCell<usize>,
        arrived: AtomicBool,
        waker: Mutex<Option<Waker>>,
    }
    // SAFETY: whether the letter is written before it is read is what the checker decides.
    unsafe impl Sync for Mailbox {}
    move || {
        let mailbox = Arc::new(Mailbox {
            letter: UnsafeCell::new(0),
            arrived: AtomicBool::new(false),
            waker: Mutex::new(None),
        });
        let writer = {
            let mailbox = mailbox.clone();
            thread::spawn(move || {
                // SAFETY: see `Sync`.
                mailbox.letter.with_mut(|letter| unsafe { *letter = 1 });
                mailbox.arrived.store(true, flag);
                let waker = mailbox.waker.lock().unwrap().take();
                if let Some(waker) = waker {
                    waker.wake();
                }
            })
        };
        block_on(poll_fn(|context| {
            if mailbox.arrived.load(Acquire) {
                return Poll::Ready(());
            }
            *mailbox.waker.lock().unwrap() = Some(context.waker().clone());
            if mailbox.arrived.load(Acquire) {
                return Poll::Ready(());
            }
            Poll::Pending
        }));
        // SAFETY: see `Sync`.
        mailbox
            .letter
            .with(|letter| assert_eq!(unsafe { *letter }, 1));
        writer.join().unwrap();
    }
}
