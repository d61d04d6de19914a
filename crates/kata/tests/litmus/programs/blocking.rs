//! Waiting: notifications that get lost, waits that return for no reason, locks taken in the wrong order.

use kata::cell::UnsafeCell;
use kata::sync::atomic::{
    AtomicBool, AtomicUsize, Ordering, Ordering::Acquire, Ordering::Relaxed, Ordering::Release,
    fence,
};
use kata::sync::{Arc, Condvar, Mutex};
use kata::thread;
use std::time::Duration;

/// One thread waits for a flag that another one sets, inside the lock or outside it.
pub fn wake_up(inside: bool) -> impl Fn() {
    struct Gate {
        lock: Mutex<()>,
        open: AtomicBool,
        opened: Condvar,
    }
    move || {
        let gate = Arc::new(Gate {
            lock: Mutex::new(()),
            open: AtomicBool::new(false),
            opened: Condvar::new(),
        });
        let opener = {
            let gate = gate.clone();
            thread::spawn(move || {
                let guard = inside.then(|| gate.lock.lock().unwrap());
                gate.open.store(true, Release);
                gate.opened.notify_one();
                drop(guard);
            })
        };
        let mut guard = gate.lock.lock().unwrap();
        while !gate.open.load(Acquire) {
            guard = gate.opened.wait(guard).unwrap();
        }
        drop(guard);
        opener.join().unwrap();
    }
}

/// What looks at the condition again after a wait.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Again {
    If,
    While,
    WaitWhile,
}

/// Consumers wait until there is something for them.
pub fn consumers(count: usize, again: Again) -> impl Fn() {
    struct Basket {
        items: Mutex<usize>,
        filled: Condvar,
    }
    move || {
        let basket = Arc::new(Basket {
            items: Mutex::new(0),
            filled: Condvar::new(),
        });
        let consumers: Vec<_> = (0..count)
            .map(|_| {
                let basket = basket.clone();
                thread::spawn(move || {
                    let mut items = basket.items.lock().unwrap();
                    match again {
                        Again::If => {
                            if *items == 0 {
                                items = basket.filled.wait(items).unwrap();
                            }
                        }
                        Again::While => {
                            while *items == 0 {
                                items = basket.filled.wait(items).unwrap();
                            }
                        }
                        Again::WaitWhile => {
                            let empty = |items: &mut usize| *items == 0;
                            items = basket.filled.wait_while(items, empty).unwrap();
                        }
                    }
                    assert!(*items > 0, "a consumer takes from an empty basket");
                    *items -= 1;
                })
            })
            .collect();
        for _ in 0..count {
            *basket.items.lock().unwrap() += 1;
            basket.filled.notify_one();
        }
        for consumer in consumers {
            consumer.join().unwrap();
        }
    }
}

/// Two locks, taken by two threads in the same order or in opposite ones.
pub fn two_locks(same_order: bool) -> impl Fn() {
    struct Accounts {
        savings: Mutex<usize>,
        current: Mutex<usize>,
    }
    move || {
        let accounts = Arc::new(Accounts {
            savings: Mutex::new(10),
            current: Mutex::new(10),
        });
        let other = {
            let accounts = accounts.clone();
            thread::spawn(move || {
                if same_order {
                    let mut savings = accounts.savings.lock().unwrap();
                    let mut current = accounts.current.lock().unwrap();
                    (*savings, *current) = (*savings - 1, *current + 1);
                } else {
                    let mut current = accounts.current.lock().unwrap();
                    let mut savings = accounts.savings.lock().unwrap();
                    (*savings, *current) = (*savings - 1, *current + 1);
                }
            })
        };
        {
            let mut savings = accounts.savings.lock().unwrap();
            let mut current = accounts.current.lock().unwrap();
            (*savings, *current) = (*savings + 1, *current - 1);
        }
        other.join().unwrap();
    }
}

/// A thread parks until another one has written.
pub fn park(in_a_loop: bool) -> impl Fn() {
    struct Mailbox {
        letter: UnsafeCell<usize>,
        arrived: AtomicBool,
    }
    // SAFETY: whether the letter is written before it is read is what the checker decides.
    unsafe impl Sync for Mailbox {}
    move || {
        let mailbox = Arc::new(Mailbox {
            letter: UnsafeCell::new(0),
            arrived: AtomicBool::new(false),
        });
        let reader = thread::current();
        let writer = {
            let mailbox = mailbox.clone();
            thread::spawn(move || {
                // SAFETY: see `Sync`.
                mailbox.letter.with_mut(|letter| unsafe { *letter = 1 });
                mailbox.arrived.store(true, Release);
                reader.unpark();
            })
        };
        if in_a_loop {
            while !mailbox.arrived.load(Acquire) {
                thread::park();
            }
        } else if !mailbox.arrived.load(Acquire) {
            thread::park();
            assert!(
                mailbox.arrived.load(Acquire),
                "woken before the letter arrived"
            );
        }
        // SAFETY: see `Sync`.
        mailbox
            .letter
            .with(|letter| assert_eq!(unsafe { *letter }, 1));
        writer.join().unwrap();
    }
}

/// How an increment by compare-exchange goes about failures.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Exchange {
    WeakInALoop,
    WeakOnce,
    StrongOnce,
}

/// A compare-exchange that has nobody to lose to; another thread merely looks, if there is one.
pub fn increment(exchange: Exchange, watched: bool) -> impl Fn() {
    move || {
        let count = Arc::new(AtomicUsize::new(0));
        let watcher = watched.then(|| {
            let count = count.clone();
            thread::spawn(move || count.load(Relaxed))
        });
        match exchange {
            Exchange::WeakInALoop => {
                let mut seen = count.load(Relaxed);
                while let Err(found) = count.compare_exchange_weak(seen, seen + 1, Relaxed, Relaxed)
                {
                    seen = found;
                }
            }
            Exchange::WeakOnce => {
                let _ = count.compare_exchange_weak(0, 1, Relaxed, Relaxed);
            }
            Exchange::StrongOnce => {
                let _ = count.compare_exchange(0, 1, Relaxed, Relaxed);
            }
        }
        assert_eq!(count.load(Relaxed), 1, "the increment is lost");
        if let Some(watcher) = watcher {
            watcher.join().unwrap();
        }
    }
}

/// A flag says go and the token comes late: by then the thread waits for something else, which the token must not end.
pub fn late_token() -> impl Fn() {
    move || {
        let go = Arc::new(AtomicBool::new(false));
        let me = thread::current();
        let other = {
            let go = go.clone();
            thread::spawn(move || {
                go.store(true, Release);
                me.unpark();
            })
        };
        while !go.load(Acquire) {
            thread::park();
        }
        other.join().unwrap();
    }
}

/// The token comes while the thread yields; it must still be there when the thread parks.
pub fn token_for_a_yielding_thread() -> impl Fn() {
    move || {
        let flags = Arc::new((AtomicBool::new(true), AtomicBool::new(false)));
        let me = thread::current();
        let other = {
            let flags = flags.clone();
            thread::spawn(move || {
                flags.1.store(true, Release);
                me.unpark();
                flags.0.store(false, Release);
            })
        };
        while flags.0.load(Acquire) {
            kata::hint::spin_loop();
        }
        while !flags.1.load(Acquire) {
            thread::park();
        }
        other.join().unwrap();
    }
}

/// A flag with an ordering of its own beside the token: if the thread does not take the token, the flag alone must order
/// the letter.
pub fn letter_beside_a_token(flag: Ordering) -> impl Fn() {
    struct Mailbox {
        letter: UnsafeCell<usize>,
        arrived: AtomicBool,
    }
    // SAFETY: whether the letter is written before it is read is what the checker decides.
    unsafe impl Sync for Mailbox {}
    move || {
        let mailbox = Arc::new(Mailbox {
            letter: UnsafeCell::new(0),
            arrived: AtomicBool::new(false),
        });
        let me = thread::current();
        let writer = {
            let mailbox = mailbox.clone();
            thread::spawn(move || {
                // SAFETY: see `Sync`.
                mailbox.letter.with_mut(|letter| unsafe { *letter = 1 });
                mailbox.arrived.store(true, flag);
                me.unpark();
            })
        };
        while !mailbox.arrived.load(Acquire) {
            thread::park();
        }
        // SAFETY: see `Sync`.
        mailbox
            .letter
            .with(|letter| assert_eq!(unsafe { *letter }, 1));
        writer.join().unwrap();
    }
}

/// A thread announces that it sleeps and looks, another one raises a flag and looks: SB, and who loses it sleeps for ever.
pub fn sleeper(order: Ordering) -> impl Fn() {
    move || {
        let flags = Arc::new([AtomicBool::new(false), AtomicBool::new(false)]);
        let sleeper = {
            let flags = flags.clone();
            thread::spawn(move || {
                let [asleep, ready] = &*flags;
                asleep.store(true, Relaxed);
                fence(order);
                if !ready.load(Relaxed) {
                    thread::park();
                }
            })
        };
        let [asleep, ready] = &*flags;
        ready.store(true, Relaxed);
        fence(order);
        if asleep.load(Relaxed) {
            sleeper.thread().unpark();
        }
        sleeper.join().unwrap();
    }
}

/// A wait of limited time that counts on one of its two ends.
pub fn limited_wait(notified: bool) -> impl Fn() {
    move || {
        let gate = Arc::new((Mutex::new(false), Condvar::new()));
        let opener = {
            let gate = gate.clone();
            thread::spawn(move || {
                *gate.0.lock().unwrap() = true;
                gate.1.notify_one();
            })
        };
        let open = gate.0.lock().unwrap();
        if !*open {
            let (open, ended) = gate.1.wait_timeout(open, Duration::from_secs(1)).unwrap();
            if notified {
                assert!(!ended.timed_out(), "nobody has come in time");
            } else {
                assert!(ended.timed_out() || !*open, "somebody has come in time");
            }
        }
        opener.join().unwrap();
    }
}

/// A wait of limited time, and nobody who notifies.
pub fn nobody_comes() -> impl Fn() {
    || {
        let (never, lock) = (Condvar::new(), Mutex::new(()));
        let ended = never.wait_timeout(lock.lock().unwrap(), Duration::from_secs(1));
        assert!(ended.unwrap().1.timed_out());
    }
}

/// Who is notified.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Notify {
    One,
    All,
}

/// A thread that waits, beside one that waits for a limited time: what that one is given in time it has to hand on, and what it
/// is not given goes to the other one.
pub fn beside_a_limited_wait(notify: Notify, hands_on: bool) -> impl Fn() {
    move || {
        let gate = Arc::new((Mutex::new(false), Condvar::new()));
        let limited = {
            let gate = gate.clone();
            thread::spawn(move || {
                let (open, opened) = &*gate;
                let open = open.lock().unwrap();
                if !*open {
                    let ended = opened.wait_timeout(open, Duration::from_secs(1));
                    if hands_on && !ended.unwrap().1.timed_out() {
                        opened.notify_one();
                    }
                }
            })
        };
        let opener = {
            let gate = gate.clone();
            thread::spawn(move || {
                *gate.0.lock().unwrap() = true;
                match notify {
                    Notify::One => gate.1.notify_one(),
                    Notify::All => gate.1.notify_all(),
                }
            })
        };
        let open = gate.0.lock().unwrap();
        drop(gate.1.wait_while(open, |open| !*open).unwrap());
        limited.join().unwrap();
        opener.join().unwrap();
    }
}

/// Somebody who waits, on their own stack, and is woken through a pointer to there: what they are parked by must be copied
/// before they are told, for then they go.
pub fn waiter_on_a_stack(copied_before: bool) -> impl Fn() {
    struct Waiter {
        thread: thread::Thread,
        woken: AtomicBool,
    }
    struct Link(*const Waiter);
    // SAFETY: whether the waiter is still there is what the model is about.
    unsafe impl Send for Link {}
    move || {
        let waiter = Waiter {
            thread: thread::current(),
            woken: AtomicBool::new(false),
        };
        let link = Link(&waiter);
        let waker = thread::spawn(move || {
            let Link(waiter) = { link };
            // SAFETY: it waits until it is woken.
            let waiter = unsafe { &*waiter };
            if copied_before {
                let thread = waiter.thread.clone();
                waiter.woken.store(true, Release);
                thread.unpark();
            } else {
                waiter.woken.store(true, Release);
                waiter.thread.unpark();
            }
        });
        while !waiter.woken.load(Acquire) {
            thread::park();
        }
        drop(waiter);
        waker.join().unwrap();
    }
}
