//! Mistakes beside something innocent that is nearer to the failure: it must not be blamed for them.

use kata::cell::UnsafeCell;
use kata::hint::spin_loop;
use kata::sync::atomic::{
    AtomicBool, AtomicUsize, Ordering, Ordering::Acquire, Ordering::Relaxed, Ordering::Release,
};
use kata::sync::{Arc, Mutex, RwLock};
use kata::thread;

/// A value that is not atomic.
struct Plain(UnsafeCell<usize>);

// SAFETY: whether threads keep out of each other's way is what the checker decides.
unsafe impl Send for Plain {}
// SAFETY: as above.
unsafe impl Sync for Plain {}

impl Plain {
    fn new() -> Self {
        Self(UnsafeCell::new(0))
    }

    fn write(&self, new: usize) {
        // SAFETY: see `Sync`.
        self.0.with_mut(|value| unsafe { *value = new });
    }

    fn read(&self) -> usize {
        // SAFETY: see `Sync`.
        self.0.with(|value| unsafe { *value })
    }
}

/// One thread reads under a reader's lock, another one writes under one.
pub fn written_by_a_reader() {
    let shared = Arc::new((RwLock::new(()), Plain::new()));
    let reader = {
        let shared = shared.clone();
        thread::spawn(move || {
            let _reader = shared.0.read().unwrap();
            shared.1.read();
        })
    };
    {
        let _reader = shared.0.read().unwrap();
        shared.1.write(1);
    }
    // Whoever is the last to have had the lock has nothing to do with it.
    drop(shared.0.read().unwrap());
    reader.join().unwrap();
}

/// Two threads have something for a third one and unpark it. It parks once, and goes by the flag of the first.
pub fn two_tokens(flag: Ordering, look: Ordering) -> impl Fn() {
    move || {
        let shared = Arc::new((Plain::new(), AtomicBool::new(false)));
        let reader = thread::current();
        let writer = {
            let (shared, reader) = (shared.clone(), reader.clone());
            thread::spawn(move || {
                shared.0.write(1);
                shared.1.store(true, flag);
                reader.unpark();
            })
        };
        let other = thread::spawn(move || reader.unpark());
        thread::park();
        if shared.1.load(look) {
            assert_eq!(shared.0.read(), 1);
        }
        writer.join().unwrap();
        other.join().unwrap();
    }
}

/// A thread waits for a lock that it has itself; another one had it before.
pub fn locked_again() {
    let lock = Arc::new(Mutex::new(0));
    let other = {
        let lock = lock.clone();
        thread::spawn(move || *lock.lock().unwrap() += 1)
    };
    let first = lock.lock().unwrap();
    let second = lock.lock().unwrap();
    drop((first, second));
    other.join().unwrap();
}

/// Whoever waits for its turn looks again, or only once.
pub fn in_turn(again: bool) -> impl Fn() {
    move || {
        let shared = Arc::new((Plain::new(), AtomicBool::new(false)));
        let next = {
            let shared = shared.clone();
            thread::spawn(move || {
                while !shared.1.load(Acquire) {
                    spin_loop();
                    if !again {
                        break;
                    }
                }
                shared.0.write(shared.0.read() + 1);
            })
        };
        shared.0.write(shared.0.read() + 1);
        shared.1.store(true, Release);
        next.join().unwrap();
        assert_eq!(shared.0.read(), 2);
    }
}

/// Two threads each leave something and count themselves. The second one takes what the first has left: the count is to publish
/// and to see.
pub fn rendezvous(count: Ordering) -> impl Fn() {
    move || {
        let shared = Arc::new(([Plain::new(), Plain::new()], AtomicUsize::new(0)));
        let meet = move |shared: &([Plain; 2], AtomicUsize), me: usize| {
            shared.0[me].write(1);
            if shared.1.fetch_add(1, count) == 1 {
                assert_eq!(shared.0[1 - me].read(), 1);
            }
        };
        let other = {
            let shared = shared.clone();
            thread::spawn(move || meet(&shared, 1))
        };
        meet(&shared, 0);
        other.join().unwrap();
    }
}

/// Two threads count by a load and a store: one is lost, whatever the orderings.
pub fn counted_in_vain() {
    let count = Arc::new(AtomicUsize::new(0));
    let other = {
        let count = count.clone();
        thread::spawn(move || count.store(count.load(Relaxed) + 1, Relaxed))
    };
    count.store(count.load(Relaxed) + 1, Relaxed);
    other.join().unwrap();
    assert_eq!(count.load(Relaxed), 2, "one is lost");
}
