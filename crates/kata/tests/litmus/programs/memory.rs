//! Orderings alone: who may see what, and what stands before it.

use kata::cell::UnsafeCell;
use kata::sync::Arc;
use kata::sync::atomic::{
    AtomicBool, AtomicPtr, AtomicUsize, Ordering, Ordering::AcqRel, Ordering::Acquire,
    Ordering::Relaxed, Ordering::Release, Ordering::SeqCst, fence,
};
use kata::thread;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// A value that is not atomic, and flags that say when it may be read.
struct Message {
    payload: UnsafeCell<usize>,
    ready: AtomicUsize,
    passed_on: AtomicUsize,
}

// SAFETY: whether the payload is only touched by one thread at a time is what the checker decides.
unsafe impl Sync for Message {}

impl Message {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            payload: UnsafeCell::new(0),
            ready: AtomicUsize::new(0),
            passed_on: AtomicUsize::new(0),
        })
    }

    fn write(&self) {
        // SAFETY: see `Sync`.
        self.payload.with_mut(|payload| unsafe { *payload = 42 });
    }

    fn check(&self) {
        // SAFETY: see `Sync`.
        let payload = self.payload.with(|payload| unsafe { *payload });
        assert_eq!(payload, 42, "the message is not there");
    }
}

/// MP: one thread writes and raises a flag, the other reads if it sees the flag.
pub fn message_passing(raise: Ordering, look: Ordering) -> impl Fn() {
    move || {
        let message = Message::new();
        let writer = {
            let message = message.clone();
            thread::spawn(move || {
                message.write();
                message.ready.store(1, raise);
            })
        };
        if message.ready.load(look) == 1 {
            message.check();
        }
        writer.join().unwrap();
    }
}

/// MP with the orderings moved into fences; `[release, acquire]` says which are there.
pub fn fence_pair([release, acquire]: [bool; 2]) -> impl Fn() {
    move || {
        let message = Message::new();
        let writer = {
            let message = message.clone();
            thread::spawn(move || {
                message.write();
                if release {
                    fence(Release);
                }
                message.ready.store(1, Relaxed);
            })
        };
        if message.ready.load(Relaxed) == 1 {
            if acquire {
                fence(Acquire);
            }
            message.check();
        }
        writer.join().unwrap();
    }
}

/// Starts a thread on something shared.
fn beside<S: Send + Sync + 'static, R: Send + 'static>(
    shared: &Arc<S>,
    body: impl FnOnce(&S) -> R + Send + 'static,
) -> thread::JoinHandle<R> {
    let shared = shared.clone();
    thread::spawn(move || body(&shared))
}

/// A release fence, then more to publish, and a relaxed store: the fence covers what stands before it and no more.
pub fn fence_too_early() -> impl Fn() {
    move || {
        let message = Message::new();
        let writer = beside(&message, |message| {
            fence(Release);
            message.write();
            message.ready.store(1, Relaxed);
        });
        if message.ready.load(Relaxed) == 1 {
            fence(Acquire);
            message.check();
        }
        writer.join().unwrap();
    }
}

/// A message is published by a store that its own thread overwrites. A plain store is no part of a release sequence.
pub fn overwritten_release(second: Ordering) -> impl Fn() {
    move || {
        let message = Message::new();
        let writer = beside(&message, move |message| {
            message.write();
            message.ready.store(1, Release);
            message.ready.store(2, second);
        });
        if message.ready.load(Acquire) == 2 {
            message.check();
        }
        writer.join().unwrap();
    }
}

/// A store beside a swap: if the swap has not seen the store, the store comes later and stays.
pub fn store_beside_swap() -> impl Fn() {
    move || {
        let pair = Pair::new();
        let other = beside(&pair, |pair| pair.x.store(1, Relaxed));
        let seen = pair.x.swap(2, Relaxed);
        other.join().unwrap();
        let left = pair.x.load(Relaxed);
        assert!(seen == 1 || left == 1, "the store is lost");
    }
}

/// MP whose reader looks by a read-modify-write, which may come before an older store in modification order.
pub fn look_by_addition(raise: Ordering, look: Ordering) -> impl Fn() {
    move || {
        let pair = Pair::new();
        let writer = beside(&pair, move |pair| {
            pair.y.store(1, Relaxed);
            pair.x.store(2, raise);
        });
        let raised = pair.x.load(look);
        let before = pair.y.fetch_add(10, Relaxed);
        assert!(
            raised == 0 || before == 1,
            "the addition has overlooked the store"
        );
        writer.join().unwrap();
    }
}

/// SB with a SeqCst read-modify-write between the store and the look, of one word or of two that nothing connects.
pub fn modifications_as_fences(one_word: bool) -> impl Fn() {
    move || {
        let pair = Pair::new();
        let words = Arc::new([AtomicUsize::new(0), AtomicUsize::new(0)]);
        let other = {
            let (pair, words) = (pair.clone(), words.clone());
            thread::spawn(move || {
                pair.y.store(1, Relaxed);
                words[usize::from(!one_word)].fetch_add(1, SeqCst);
                pair.x.load(Relaxed)
            })
        };
        pair.x.store(1, Relaxed);
        words[0].fetch_add(1, SeqCst);
        let y = pair.y.load(Relaxed);
        let x = other.join().unwrap();
        assert!(x + y > 0, "each has missed the other's store");
    }
}

/// What the middle thread of [`release_sequence`] does to the flag.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Link {
    /// A relaxed read-modify-write, which continues the release sequence.
    Modify,
    /// A relaxed store, which ends it.
    Store,
}

/// A release, a relaxed change by another thread, an acquire that reads the changed value.
pub fn release_sequence(head: Link, link: Link) -> impl Fn() {
    move || {
        let message = Message::new();
        let writer = {
            let message = message.clone();
            thread::spawn(move || {
                message.write();
                match head {
                    Link::Store => message.ready.store(1, Release),
                    Link::Modify => _ = message.ready.fetch_add(1, Release),
                }
            })
        };
        let middle = {
            let message = message.clone();
            thread::spawn(move || match link {
                Link::Modify => {
                    let _ = message.ready.compare_exchange(1, 2, Relaxed, Relaxed);
                }
                Link::Store => {
                    if message.ready.load(Relaxed) == 1 {
                        message.ready.store(2, Relaxed);
                    }
                }
            })
        };
        if message.ready.load(Acquire) == 2 {
            message.check();
        }
        writer.join().unwrap();
        middle.join().unwrap();
    }
}

/// An atomic that one thread creates, and another one reaches through a release sequence that a third one has continued.
pub fn created_by_a_thread() {
    struct Parcel {
        inside: UnsafeCell<*mut AtomicUsize>,
        ready: AtomicUsize,
    }
    // SAFETY: who touches the inside when is what the model is about.
    unsafe impl Send for Parcel {}
    // SAFETY: as above.
    unsafe impl Sync for Parcel {}
    let parcel = Arc::new(Parcel {
        inside: UnsafeCell::new(std::ptr::null_mut()),
        ready: AtomicUsize::new(0),
    });
    let writer = {
        let parcel = parcel.clone();
        thread::spawn(move || {
            let atomic = Box::into_raw(Box::new(AtomicUsize::new(7)));
            // SAFETY: nobody looks before it is ready.
            parcel.inside.with_mut(|inside| unsafe { *inside = atomic });
            parcel.ready.store(1, Release);
        })
    };
    let middle = {
        let parcel = parcel.clone();
        thread::spawn(move || {
            let _ = parcel.ready.compare_exchange(1, 2, Relaxed, Relaxed);
        })
    };
    // SAFETY: it is ready, or everybody is gone.
    let inside = || parcel.inside.with(|inside| unsafe { *inside });
    if parcel.ready.load(Acquire) == 2 {
        // SAFETY: it is freed in the end.
        assert_eq!(unsafe { &*inside() }.fetch_add(1, Relaxed), 7);
    }
    writer.join().unwrap();
    middle.join().unwrap();
    // SAFETY: nobody else has it any more.
    drop(unsafe { Box::from_raw(inside()) });
}

/// WRC: a message handed from the first thread by the second to the third.
pub fn write_to_read_causality(first: [Ordering; 2], second: [Ordering; 2]) -> impl Fn() {
    let [(raise, look), (pass_on, look_again)] = [first, second].map(<(_, _)>::from);
    move || {
        let message = Message::new();
        let writer = {
            let message = message.clone();
            thread::spawn(move || {
                message.write();
                message.ready.store(1, raise);
            })
        };
        let courier = {
            let message = message.clone();
            thread::spawn(move || {
                if message.ready.load(look) == 1 {
                    message.passed_on.store(1, pass_on);
                }
            })
        };
        if message.passed_on.load(look_again) == 1 {
            message.check();
        }
        writer.join().unwrap();
        courier.join().unwrap();
    }
}

/// A node written before the pointer to it is stored.
pub fn publication(publish: Ordering) -> impl Fn() {
    struct Node {
        value: UnsafeCell<usize>,
    }
    move || {
        let shared = Arc::new(AtomicPtr::<Node>::default());
        let writer = {
            let shared = shared.clone();
            thread::spawn(move || {
                let node = Box::new(Node {
                    value: UnsafeCell::new(7),
                });
                shared.store(Box::into_raw(node), publish);
            })
        };
        let node = shared.load(Acquire);
        if !node.is_null() {
            // SAFETY: nothing is freed before the join; whether the node is initialised is what the checker decides.
            let value = unsafe { (*node).value.with(|value| *value) };
            assert_eq!(value, 7, "the node is not initialised");
        }
        writer.join().unwrap();
        // SAFETY: the writer is gone and has left its only node here.
        drop(unsafe { Box::from_raw(shared.load(Relaxed)) });
    }
}

/// Two atomics.
struct Pair {
    x: AtomicUsize,
    y: AtomicUsize,
}

impl Pair {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            x: AtomicUsize::new(0),
            y: AtomicUsize::new(0),
        })
    }
}

/// How one thread of [`store_buffering`] goes about it.
#[derive(Clone, Copy)]
pub struct Side {
    pub store: Ordering,
    pub fence: Option<Ordering>,
    pub load: Ordering,
}

impl Side {
    pub const SEQ_CST: Self = Self {
        store: SeqCst,
        fence: None,
        load: SeqCst,
    };
    pub const WEAK_STORE: Self = Self {
        store: Release,
        ..Self::SEQ_CST
    };
    pub const WEAK_LOAD: Self = Self {
        load: Acquire,
        ..Self::SEQ_CST
    };
    pub const NO_FENCE: Self = Self {
        store: Release,
        fence: None,
        load: Acquire,
    };
    pub const WEAK_FENCE: Self = Self {
        store: Relaxed,
        fence: Some(AcqRel),
        load: Relaxed,
    };
    pub const FENCE: Self = Self {
        store: Relaxed,
        fence: Some(SeqCst),
        load: Relaxed,
    };
}

/// SB: each thread stores and then looks whether the other has. At least one must see the other's store.
pub fn store_buffering(left: Side, right: Side) -> impl Fn() {
    move || {
        let pair = Pair::new();
        let other = {
            let pair = pair.clone();
            thread::spawn(move || {
                pair.y.store(1, right.store);
                if let Some(order) = right.fence {
                    fence(order);
                }
                pair.x.load(right.load)
            })
        };
        pair.x.store(1, left.store);
        if let Some(order) = left.fence {
            fence(order);
        }
        let y = pair.y.load(left.load);
        let x = other.join().unwrap();
        assert!(x + y > 0, "each has missed the other's store");
    }
}

/// LB: each thread reads what the other stores afterwards.
pub fn load_buffering(load: Ordering, store: Ordering) -> impl Fn() {
    move || {
        let pair = Pair::new();
        let other = {
            let pair = pair.clone();
            thread::spawn(move || {
                let x = pair.x.load(load);
                pair.y.store(1, store);
                x
            })
        };
        let y = pair.y.load(load);
        pair.x.store(1, store);
        let x = other.join().unwrap();
        assert!(x + y < 2, "each has read the other's later store");
    }
}

/// CoRR: two reads of one atomic never go back in time.
pub fn coherence() -> impl Fn() {
    move || {
        let pair = Pair::new();
        let writer = {
            let pair = pair.clone();
            thread::spawn(move || {
                pair.x.store(1, Relaxed);
                pair.x.store(2, Relaxed);
            })
        };
        let (first, second) = (pair.x.load(Relaxed), pair.x.load(Relaxed));
        assert!(first <= second, "the second read is older than the first");
        writer.join().unwrap();
    }
}

/// A load beside a thread that loads and then stores: it may come before the store or after it. It is wrong to count on
/// the former.
pub fn hidden_load() -> impl Fn() {
    move || {
        let pair = Pair::new();
        let writer = {
            let pair = pair.clone();
            thread::spawn(move || {
                pair.x.load(Relaxed);
                pair.x.swap(1, Relaxed);
            })
        };
        assert_eq!(pair.x.load(Relaxed), 0, "the store came first");
        writer.join().unwrap();
    }
}

/// The same for two atomics, which promises nothing without an ordering.
pub fn coherence_of_two(store: Ordering, load: Ordering) -> impl Fn() {
    move || {
        let pair = Pair::new();
        let writer = {
            let pair = pair.clone();
            thread::spawn(move || {
                pair.x.store(1, Relaxed);
                pair.y.store(1, store);
            })
        };
        let (first, second) = (pair.y.load(load), pair.x.load(Relaxed));
        assert!(first <= second, "the second read is older than the first");
        writer.join().unwrap();
    }
}

/// How the four threads of [`independent_reads`] go about it.
#[derive(Clone, Copy)]
pub struct Independent {
    pub store: Ordering,
    pub first: Ordering,
    pub fence: bool,
    pub second: Ordering,
    /// The same of the reader that looks at `y` first.
    pub other_first: Ordering,
    pub other_second: Ordering,
    /// The order of the store to `y`.
    pub other_store: Ordering,
}

impl Independent {
    pub const SEQ_CST: Self = Self {
        store: SeqCst,
        first: SeqCst,
        fence: false,
        second: SeqCst,
        other_first: SeqCst,
        other_second: SeqCst,
        other_store: SeqCst,
    };
    pub const ACQUIRE: Self = Self {
        store: Release,
        first: Acquire,
        fence: false,
        second: Acquire,
        other_first: Acquire,
        other_second: Acquire,
        other_store: Release,
    };
    pub const FENCES: Self = Self {
        fence: true,
        ..Self::ACQUIRE
    };
}

/// IRIW: two threads store, two others look in opposite order. They must not disagree about which store came first.
pub fn independent_reads(orders: Independent) -> impl Fn() {
    move || {
        let pair = Pair::new();
        let x = pair.clone();
        let x = thread::spawn(move || x.x.store(1, orders.store));
        let y = pair.clone();
        let y = thread::spawn(move || y.y.store(1, orders.other_store));
        let reader = {
            let pair = pair.clone();
            thread::spawn(move || {
                let y = pair.y.load(orders.other_first);
                if orders.fence {
                    fence(SeqCst);
                }
                (y, pair.x.load(orders.other_second))
            })
        };
        let x_first = pair.x.load(orders.first);
        if orders.fence {
            fence(SeqCst);
        }
        let then_y = pair.y.load(orders.second);
        let (y_first, then_x) = reader.join().unwrap();
        assert!(
            (x_first, then_y, y_first, then_x) != (1, 0, 1, 0),
            "the readers disagree about the order of the stores"
        );
        x.join().unwrap();
        y.join().unwrap();
    }
}

/// 2+2W: each thread stores to both, in opposite order. Not both first stores may be the last ones.
pub fn two_and_two_writes(order: Ordering) -> impl Fn() {
    move || {
        let pair = Pair::new();
        let other = {
            let pair = pair.clone();
            thread::spawn(move || {
                pair.y.store(1, order);
                pair.x.store(2, order);
            })
        };
        pair.x.store(1, order);
        pair.y.store(2, order);
        other.join().unwrap();
        let last = (pair.x.load(Relaxed), pair.y.load(Relaxed));
        assert_ne!(last, (1, 1), "both first stores came last");
    }
}

/// What a sequence lock is made of.
#[derive(Clone, Copy)]
pub struct SeqLock {
    pub writer_fence: bool,
    pub close: Ordering,
    pub open: Ordering,
    pub reader_fence: bool,
    /// The reader's fence stands behind the second look.
    pub late: bool,
    /// The writer begins by an AcqRel swap.
    pub swap: bool,
}

impl SeqLock {
    pub const RIGHT: Self = Self {
        writer_fence: true,
        close: Release,
        open: Acquire,
        reader_fence: true,
        late: false,
        swap: false,
    };
}

/// One write and one attempt to read; a read that validates must not be torn.
pub fn seqlock(parts: SeqLock) -> impl Fn() {
    struct Guarded {
        sequence: AtomicUsize,
        low: AtomicUsize,
        high: AtomicUsize,
    }
    move || {
        let guarded = Arc::new(Guarded {
            sequence: AtomicUsize::new(0),
            low: AtomicUsize::new(0),
            high: AtomicUsize::new(0),
        });
        let writer = {
            let guarded = guarded.clone();
            thread::spawn(move || {
                if parts.swap {
                    guarded.sequence.swap(1, AcqRel);
                } else {
                    guarded.sequence.store(1, Relaxed);
                }
                if parts.writer_fence {
                    fence(Release);
                }
                guarded.low.store(1, Relaxed);
                guarded.high.store(1, Relaxed);
                guarded.sequence.store(2, parts.close);
            })
        };
        let before = guarded.sequence.load(parts.open);
        if before.is_multiple_of(2) {
            let value = (guarded.low.load(Relaxed), guarded.high.load(Relaxed));
            if parts.reader_fence && !parts.late {
                fence(Acquire);
            }
            let same = guarded.sequence.load(Relaxed) == before;
            if parts.late {
                fence(Acquire);
            }
            if same {
                let expected = before / 2;
                assert_eq!(value, (expected, expected), "a torn read was validated");
            }
        }
        writer.join().unwrap();
    }
}

/// What a reader does about a letter that may come.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Reader {
    Spins,
    Parks,
    /// It counts on its never coming.
    Denies,
}

/// A letter is written, and the flag raised with `order`, by a destructor during a panic that is caught.
pub fn unwinding(order: Ordering, reader: Reader) -> impl Fn() {
    struct Mailbox {
        letter: UnsafeCell<usize>,
        arrived: AtomicBool,
    }
    // SAFETY: whether the letter is written before it is read is what the checker decides.
    unsafe impl Sync for Mailbox {}
    struct Writes(Arc<Mailbox>, Ordering, thread::Thread);
    impl Drop for Writes {
        fn drop(&mut self) {
            let Self(mailbox, order, reader) = self;
            // SAFETY: see `Sync`.
            mailbox.letter.with_mut(|letter| unsafe { *letter = 1 });
            mailbox.arrived.store(true, *order);
            reader.unpark();
        }
    }
    move || {
        let mailbox = Arc::new(Mailbox {
            letter: UnsafeCell::new(0),
            arrived: AtomicBool::new(false),
        });
        let writes = Writes(mailbox.clone(), order, thread::current());
        let writer = thread::spawn(move || {
            let panics = || {
                let _writes = writes;
                panic!("caught");
            };
            catch_unwind(AssertUnwindSafe(panics)).unwrap_err();
        });
        while !mailbox.arrived.load(Acquire) {
            match reader {
                Reader::Spins => kata::hint::spin_loop(),
                Reader::Parks => thread::park(),
                Reader::Denies => return,
            }
        }
        assert!(
            reader != Reader::Denies,
            "a letter by a thread that has panicked"
        );
        // SAFETY: see `Sync`.
        mailbox
            .letter
            .with(|letter| assert_eq!(unsafe { *letter }, 1));
        writer.join().unwrap();
    }
}

/// Two threads panic at the same time. A destructor of each writes a letter and counts it with `order`; whoever has seen both counted
/// reads them.
pub fn both_unwind(order: Ordering) -> impl Fn() {
    struct Mailbox {
        letters: [UnsafeCell<usize>; 2],
        arrived: AtomicUsize,
    }
    // SAFETY: whether the letters are written before they are read is what the checker decides.
    unsafe impl Sync for Mailbox {}
    struct Writes(Arc<Mailbox>, usize, Ordering);
    impl Drop for Writes {
        fn drop(&mut self) {
            let Self(mailbox, number, order) = self;
            // SAFETY: see `Sync`.
            mailbox.letters[*number].with_mut(|letter| unsafe { *letter = 1 });
            mailbox.arrived.fetch_add(1, *order);
        }
    }
    move || {
        let mailbox = Arc::new(Mailbox {
            letters: [UnsafeCell::new(0), UnsafeCell::new(0)],
            arrived: AtomicUsize::new(0),
        });
        let writers = [0, 1].map(|number| {
            let writes = Writes(mailbox.clone(), number, order);
            thread::spawn(move || {
                let panics = || {
                    let _writes = writes;
                    panic!("caught");
                };
                catch_unwind(AssertUnwindSafe(panics)).unwrap_err();
            })
        });
        while mailbox.arrived.load(Acquire) < 2 {
            kata::hint::spin_loop();
        }
        for letter in &mailbox.letters {
            // SAFETY: see `Sync`.
            letter.with(|letter| assert_eq!(unsafe { *letter }, 1));
        }
        for writer in writers {
            writer.join().unwrap();
        }
    }
}
