//! One thread, real atomics, counted memory.
//!
//! Decides what a single thread can see of a lock: when it is taken, when it is free again, what the guard shows, and
//! whether its memory comes back.
//! Does not decide anything about two threads: a lock whose state is a plain `bool` would pass.
//! Where a broken lock would wait for itself, the checks ask with `try_lock`, so that it fails instead of hanging.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use kata::check::{Drops, Token, allocations_in};

use queue_lock::{McsLock, TicketLock};

use super::lock::{Lock, for_both};

for_both! {
    new_lock: a_new_ticket_lock_is_free_and_holds_its_value, a_new_mcs_lock_is_free_and_holds_its_value;
    held_lock: a_held_ticket_lock_cannot_be_taken, a_held_mcs_lock_cannot_be_taken;
    next_owner: what_one_owner_writes_the_next_one_reads_in_a_ticket_lock,
        what_one_owner_writes_the_next_one_reads_in_an_mcs_lock;
    end_of_a_guard: the_end_of_a_guard_unlocks_a_ticket_lock, the_end_of_a_guard_unlocks_an_mcs_lock;
    forgotten_guard: a_forgotten_guard_keeps_a_ticket_lock_taken, a_forgotten_guard_keeps_an_mcs_lock_taken;
    two_locks: two_ticket_locks_may_be_held_at_once, two_mcs_locks_may_be_held_at_once;
    many_at_once: forty_ticket_locks_may_be_held_at_once, forty_mcs_locks_may_be_held_at_once;
    many_times: a_ticket_lock_may_be_taken_a_hundred_thousand_times, an_mcs_lock_may_be_taken_a_hundred_thousand_times;
    drops: a_ticket_lock_drops_every_value_once, an_mcs_lock_drops_every_value_once;
    memory: a_ticket_lock_gives_its_memory_back, an_mcs_lock_gives_its_memory_back;
}

const FREE: &str = "nobody holds the lock, yet try_lock says that somebody does";

fn new_lock<L: Lock<u32>>() {
    assert_eq!(
        *L::new(7).lock(),
        7,
        "the guard must show the value given to `new`"
    );
    assert_eq!(
        *L::new(7).try_lock().expect(FREE),
        7,
        "the guard must show the value given to `new`"
    );
}

fn held_lock<L: Lock<u32>>() {
    const TWO: &str = "two guards at once: two threads would each hold a `&mut` to the same value";
    let lock = L::new(7);
    let guard = lock.lock();
    for _ in 0..3 {
        assert!(lock.try_lock().is_none(), "{TWO}");
    }
    drop(guard);
    let guard = lock
        .try_lock()
        .expect("failed attempts have left something in the queue: the free lock waits for threads that went away");
    assert!(lock.try_lock().is_none(), "{TWO}");
    drop(guard);
}

fn next_owner<L: Lock<u32>>() {
    let lock = L::new(7);
    *lock.lock() += 1;
    *lock.try_lock().expect(FREE) += 1;
    assert_eq!(
        *lock.try_lock().expect(FREE),
        9,
        "an owner's write was lost"
    );
}

/// A way to take the lock and to let it go, with its name.
type Way<L> = (&'static str, fn(&L));

fn end_of_a_guard<L: Lock<u32>>() {
    let ways: [Way<L>; 4] = [
        ("at the end of a statement", |lock| *lock.lock() += 1),
        ("dropped by hand", |lock| drop(lock.lock())),
        ("moved into a box", |lock| drop(Box::new(lock.lock()))),
        ("by a panic", |lock| {
            let outcome = catch_unwind(AssertUnwindSafe(|| {
                let _guard = lock.lock();
                resume_unwind(Box::new("the owner's own trouble"));
            }));
            assert!(outcome.is_err());
        }),
    ];
    for (way, use_the_lock) in ways {
        let lock = L::new(7);
        use_the_lock(&lock);
        assert!(
            lock.try_lock().is_some(),
            "the guard is gone ({way}), yet the lock is still taken: the next thread to ask for it waits forever"
        );
    }
}

fn forgotten_guard<L: Lock<u32>>() {
    let lock = L::new(7);
    std::mem::forget(lock.lock());
    assert!(
        lock.try_lock().is_none(),
        "no guard was dropped, yet the lock is free: its owner may still hold a reference to the value"
    );
}

fn two_locks<L: Lock<u32>>() {
    let (left, right) = (L::new(1), L::new(2));
    let outer = left.lock();
    let inner = right.try_lock().expect(
        "one lock was taken and the other one is not free: unrelated threads wait for each other",
    );
    // Not in the opposite order of their making, as a stack of places would have it.
    drop(outer);
    assert!(
        left.try_lock().is_some(),
        "its guard is gone, yet the lock is still taken"
    );
    assert!(
        right.try_lock().is_none(),
        "the lock was given back together with another one"
    );
    drop(inner);
    assert!(
        right.try_lock().is_some(),
        "its guard is gone, yet the lock is still taken"
    );
}

fn many_at_once<L: Lock<u32>>() {
    /// More than a thread has places ready, in case it has some.
    const LOCKS: usize = 40;
    for first_is_dropped_first in [true, false] {
        let locks: Vec<L> = (0..).map(L::new).take(LOCKS).collect();
        let mut guards: Vec<_> = locks.iter().map(Lock::lock).collect();
        for (number, (lock, guard)) in locks.iter().zip(&mut guards).enumerate() {
            assert!(
                lock.try_lock().is_none(),
                "lock {number} of {LOCKS} that are held is free"
            );
            **guard += 1;
        }
        for held in (0..LOCKS).rev() {
            let at = if first_is_dropped_first { 0 } else { held };
            drop(guards.remove(at));
        }
        for (lock, number) in locks.iter().zip(1..) {
            let value = lock.try_lock().map(|guard| *guard);
            assert_eq!(
                value,
                Some(number),
                "a thread has held {LOCKS} locks at once and given all of them back, and one of them is taken or holds another \
                 one's value"
            );
        }
    }
}

macro_rules! layouts {
    ($Lock:ident: $test:ident) => {
        #[test]
        fn $test() {
            #[derive(Clone, Copy)]
            #[repr(align(4096))]
            struct Page(u8);
            let (nothing, page) = ($Lock::new(()), $Lock::new(Page(7)));
            let (nothing_held, mut page_held) = (nothing.lock(), page.lock());
            assert!(
                nothing.try_lock().is_none(),
                "a lock around a value of no bytes is taken and can be taken again: whoever needs a lock and no value has none"
            );
            assert!(
                std::ptr::from_ref(&*page_held).addr() % 4096 == 0 && page_held.0 == 7,
                "a value that must lie at the beginning of a page lies elsewhere, or is another one"
            );
            *page_held = Page(8);
            drop((nothing_held, page_held));
            assert!(nothing.try_lock().is_some(), "{FREE}");
            assert_eq!(page.lock().0, 8, "an owner's write was lost");
            let big = $Lock::new([7_u64; 5_000]);
            big.lock()[4_999] = 8;
            assert_eq!(big.lock().iter().sum::<u64>(), 7 * 4_999 + 8, "a large value has changed");
        }
    };
}

layouts! { TicketLock: a_ticket_lock_keeps_values_of_any_layout }
layouts! { McsLock: an_mcs_lock_keeps_values_of_any_layout }

fn many_times<L: Lock<u32>>() {
    let lock = L::new(0);
    for round in 0..100_000 {
        let mut guard = lock
            .try_lock()
            .unwrap_or_else(|| panic!("{FREE}, after it was taken {round} times"));
        *guard += 1;
    }
    assert_eq!(*lock.lock(), 100_000);
}

fn drops<L: Lock<Token<&'static str>>>() {
    let drops = Drops::new();
    let lock = L::new(drops.token("the first value"));
    *lock.lock() = drops.token("the value that replaced it");
    drop(lock);
    drops.assert_each_dropped_once();
}

fn memory<L: Lock<u32>>() {
    let use_some_locks = || {
        for _ in 0..10 {
            let lock = L::new(0);
            let guard = lock.lock();
            assert!(lock.try_lock().is_none());
            drop(guard);
            drop(lock.try_lock());
            drop(lock.try_lock());
        }
    };
    use_some_locks(); // A thread may keep a node for its next visit.
    let ((), heap) = allocations_in(use_some_locks);
    assert_eq!(
        heap.live_bytes, 0,
        "bytes that were not given back although the lock is gone: a program that locks often runs out of memory"
    );
}
