//! What the compiler lets a user of the channel do.
//!
//! Decides which handles and futures may move to other threads, that there is one receiver, and which programs with
//! references compile. These are promises made in types: no run of any program can show that it was right to make them.
//! Decides as well whether the channel works when it is compiled as users ship it.
//! Does not ask whether a receiver is `Sync`, or whether futures are `Unpin`: both answers are right.
//! Does not decide anything about how the channel behaves.

use std::cell::Cell;
use std::marker::PhantomData;
use std::rc::Rc;
use std::sync::MutexGuard;

use async_channel::{Permit, Receiver, Sender, channel};
use kata::check::Compiler;
use kata::implements;

/// Stands for the type of a value, for types that have no name.
struct Of<T>(PhantomData<T>);

impl<T> Of<T> {
    fn value(_value: &T) -> Self {
        Self(PhantomData)
    }
}

/// Whether the type is `Send`: a method of `Of` itself goes before one that takes a reference to a reference to it.
#[allow(dead_code)] // One of the two answers is never asked for.
trait IfSend {
    fn is_send(&self) -> bool {
        true
    }
}
impl<T: Send> IfSend for Of<T> {}

#[allow(dead_code)] // One of the two answers is never asked for.
trait Otherwise {
    fn is_send(&self) -> bool {
        false
    }
}
impl<T> Otherwise for &Of<T> {}

/// The promise is about a channel that takes values: without one there is nothing to promise.
fn there_is_a_channel() {
    drop(channel::<u8>(1));
}

#[test]
fn the_ends_move_to_other_threads_with_values_that_may() {
    there_is_a_channel();
    assert!(
        implements!(Sender<u32>: Send) && implements!(Receiver<u32>: Send),
        "the two ends of a channel of plain numbers cannot be in tasks on two threads: it is good for nothing"
    );
    assert!(
        implements!(Sender<Cell<u32>>: Send) && implements!(Receiver<Cell<u32>>: Send),
        "a `Cell` may move from thread to thread, and the channel gives it to one thread at a time: asking for `T: Sync` \
         takes away what a channel is for"
    );
    assert!(
        implements!(Permit<'static, Cell<u32>>: Send),
        "a task that holds a permit cannot go on on another thread"
    );
}

#[test]
fn a_sender_may_be_shared() {
    there_is_a_channel();
    assert!(
        implements!(Sender<u32>: Sync) && implements!(Sender<Cell<u32>>: Sync),
        "a sender is used through `&self`: two tasks on two threads must be able to use one"
    );
}

#[test]
fn the_ends_stay_where_their_values_must_stay() {
    there_is_a_channel();
    assert!(
        !implements!(Sender<Rc<u32>>: Send) && !implements!(Sender<Rc<u32>>: Sync),
        "safe code can send one clone of an `Rc` from another thread than the one that receives it: its plain counter is \
         a data race, then a use after free"
    );
    assert!(
        !implements!(Receiver<Rc<u32>>: Send),
        "safe code can receive one clone of an `Rc` on another thread than the one that sent it: its plain counter is a \
         data race, then a use after free"
    );
    assert!(
        !implements!(Permit<'static, Rc<u32>>: Send),
        "safe code can move a permit to another thread and send an `Rc` from there"
    );
}

#[test]
fn it_is_moving_and_not_sharing_that_counts() {
    there_is_a_channel();
    // A guard may be looked at from other threads, and must be dropped on its own.
    type Guard = MutexGuard<'static, u32>;
    assert!(
        !implements!(Sender<Guard>: Send)
            && !implements!(Sender<Guard>: Sync)
            && !implements!(Receiver<Guard>: Send)
            && !implements!(Permit<'static, Guard>: Send),
        "safe code can send the guard of a lock to another thread and drop it there: `T: Sync` was asked for where \
         `T: Send` is needed, and a system whose locks belong to threads has one unlocked by a stranger"
    );
}

#[test]
fn there_is_one_receiver() {
    there_is_a_channel();
    assert!(
        !implements!(Receiver<u32>: Clone),
        "the channel is from many to one: two tasks that receive would keep the waker of one of them"
    );
}

#[test]
#[expect(
    clippy::needless_borrow,
    reason = "the reference is what lets the method for all types come second"
)]
fn futures_move_to_other_threads() {
    let (sender, mut receiver) = channel::<Cell<u32>>(1);
    let send = (&Of::value(&sender.send(Cell::new(1)))).is_send();
    let reserve = (&Of::value(&sender.reserve())).is_send();
    let recv = (&Of::value(&receiver.recv())).is_send();
    assert_eq!(
        (send, reserve, recv),
        (true, true, true),
        "an executor with several threads does not take a task that waits in one of these (send, reserve, recv): \
         something in the future is bound to its thread"
    );
}

#[test]
fn futures_stay_where_their_values_must_stay() {
    let (sender, mut receiver) = channel::<Rc<u32>>(1);
    let send = (&Of::value(&sender.send(Rc::new(1)))).is_send();
    let reserve = (&Of::value(&sender.reserve())).is_send();
    let recv = (&Of::value(&receiver.recv())).is_send();
    assert_eq!(
        (send, reserve, recv),
        (false, false, false),
        "safe code can move one of these futures (send, reserve, recv) to another thread, and with it an `Rc`: its plain \
         counter is a data race, then a use after free"
    );
}

#[test]
fn references_end_when_they_must() {
    there_is_a_channel();
    Compiler::new("async_channel", env!("CARGO_MANIFEST_DIR"))
        .accepts(
            "let text = String::new(); let (sender, mut receiver) = channel(1); sender.try_send(text.as_str()).ok(); \
             receiver.try_recv().ok();",
            "no reference can be sent, not even to a value that outlives the channel",
        )
        .rejects(
            "E0597",
            "let (sender, mut receiver) = channel(1); { let text = String::new(); sender.try_send(text.as_str()).ok(); } \
             receiver.try_recv().ok();",
            "safe code sends a reference to a local variable, and the receiver reads freed memory",
        )
        .accepts(
            "fn put<'a>(sender: &Sender<&'a str>, text: &'a str) { sender.try_send(text).ok(); } let text = String::new(); \
             let (sender, mut receiver) = channel(1); put(&sender, &text); receiver.try_recv().ok();",
            "a sender cannot be lent to a function",
        )
        .rejects(
            "E0597",
            "fn put<'a>(sender: &Sender<&'a str>, text: &'a str) { sender.try_send(text).ok(); } \
             let (sender, mut receiver) = channel(1); { let text = String::new(); put(&sender, &text); } \
             receiver.try_recv().ok();",
            "the compiler shortens a lifetime inside the sender's type: safe code sends a reference to a local variable, and \
             the receiver reads freed memory. A sender takes in a `T`, so it must not be covariant in `T`",
        )
        .rejects(
            "E0597",
            "fn put<'a>(permit: Permit<'_, &'a str>, text: &'a str) { permit.send(text); } \
             let (sender, mut receiver) = channel(1); { let text = String::new(); \
             put(kata::future::block_on(sender.reserve()).ok().unwrap(), &text); } receiver.try_recv().ok();",
            "the compiler shortens a lifetime inside the permit's type: safe code sends a reference to a local variable, and \
             the receiver reads freed memory",
        )
        .rejects(
            "E0505",
            "let (sender, receiver) = channel(1); let permit = kata::future::block_on(sender.reserve()).ok().unwrap(); \
             drop(sender); permit.send(1);",
            "a permit outlives its sender, whose end the receiver has been told of: its value is lost",
        )
        .rejects(
            "E0499",
            "let (sender, mut receiver) = channel::<u8>(1); let first = receiver.recv(); let second = receiver.recv(); \
             drop((first, second));",
            "two tasks receive at once, and the channel keeps the waker of one of them",
        )
        .run();
}

#[test]
fn an_optimised_channel_carries_values_as_well() {
    Compiler::new("async_channel", env!("CARGO_MANIFEST_DIR")).run_optimised(
        "let (sender, mut receiver) = channel(2); \
         let sending: Vec<_> = (0..3).map(|_| { let sender = sender.clone(); std::thread::spawn(move || \
             kata::future::block_on(async { for n in 0..2_000_u64 { sender.send(n).await.ok().unwrap(); } })) }).collect(); \
         drop(sender); \
         let sum = kata::future::block_on(async { let mut sum = 0; \
             while let Some(n) = receiver.recv().await { sum += n; } sum }); \
         for thread in sending { thread.join().unwrap(); } \
         assert_eq!(sum, 3 * 1_999_000, \"values were lost or doubled\"); \
         let (sender, mut receiver) = channel(1); \
         assert_eq!((sender.try_send(1), sender.try_send(2)), (Ok(()), Err(TrySendError::Full(2)))); \
         receiver.close(); \
         assert_eq!(sender.try_send(3), Err(TrySendError::Closed(3))); \
         assert_eq!((receiver.try_recv(), receiver.try_recv()), (Ok(1), Err(TryRecvError::Disconnected)));",
    );
}
