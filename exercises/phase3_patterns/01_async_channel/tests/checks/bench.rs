//! What a value costs, counted and not timed.
//!
//! Decides how often sends and receives go to the allocator, what is kept of waiters that have gone, and how many wakes a
//! value takes: numbers that are the same on every machine.
//! Does not decide how many nanoseconds a send takes.

use std::task::Poll;

use async_channel::channel;
use kata::check::allocations_in;

use super::task::Task;

const VALUES: usize = 1_000;

#[test]
fn a_value_takes_few_allocations() {
    /// A node for the value and one for the waiter; the boxes of the check's own tasks come on top.
    const MOST: u64 = 2;
    const OWN: u64 = 6;
    let (sender, mut receiver) = channel(4);
    let mut exchange = |values: usize| {
        for value in 0..values {
            assert_eq!(Task::new(sender.send(value)).run(), Poll::Ready(Ok(())));
            assert_eq!(Task::new(receiver.recv()).run(), Poll::Ready(Some(value)));
        }
    };
    exchange(16); // What is set up once does not count.
    let ((), count) = allocations_in(|| exchange(VALUES));
    let each = count.allocations / VALUES as u64;
    assert!(
        each <= MOST + OWN,
        "{VALUES} values that nobody had to wait for took {} allocations: {MOST} for each are plenty (and {OWN} of the \
         check's own)",
        count.allocations
    );
    assert!(
        count.allocations - count.frees <= 16,
        "{VALUES} values have come and gone, and {} pieces of memory were not given back",
        count.allocations - count.frees
    );
}

#[test]
fn waiters_that_give_up_leave_no_memory_behind() {
    let (sender, mut receiver) = channel(1);
    assert_eq!(sender.try_send(0), Ok(()), "there is a place");
    let mut patient = Task::new(sender.send(1));
    assert!(patient.run().is_pending(), "the channel is full");
    let give_up = |times: usize| {
        for value in 0..times {
            let mut task = Task::new(sender.send(value));
            assert!(task.run().is_pending(), "the channel is full");
        }
    };
    give_up(16);
    let ((), count) = allocations_in(|| give_up(VALUES));
    assert!(
        count.live_bytes <= 1_024,
        "{VALUES} sends have waited on a full channel and given up, and {} bytes are kept for them: a service whose \
         requests time out while a consumer is stuck runs out of memory",
        count.live_bytes
    );
    assert_eq!(receiver.try_recv(), Ok(0));
    assert_eq!(patient.run(), Poll::Ready(Ok(())), "it was there first");
}

#[test]
fn a_value_wakes_at_most_once_on_each_side() {
    let (sender, mut receiver) = channel(1);
    let (mut wakes_of_senders, mut wakes_of_receivers) = (0, 0);
    for value in 0..VALUES {
        // The receiver waits first, then, with the place taken, a sender.
        let mut recv = Task::new(receiver.recv());
        assert!(recv.run().is_pending(), "the channel is empty");
        assert_eq!(sender.try_send(value), Ok(()), "there is a place");
        let mut send = Task::new(sender.send(VALUES));
        assert!(send.run().is_pending(), "the channel is full");
        wakes_of_receivers += recv.wakes();
        assert_eq!(recv.run(), Poll::Ready(Some(value)));
        drop(recv);
        wakes_of_senders += send.wakes();
        assert_eq!(send.run(), Poll::Ready(Ok(())));
        drop(send);
        assert_eq!(receiver.try_recv(), Ok(VALUES));
    }
    assert!(
        wakes_of_receivers <= VALUES && wakes_of_senders <= VALUES,
        "{VALUES} receivers and {VALUES} senders have waited, each alone and for one thing; they were woken \
         {wakes_of_receivers} and {wakes_of_senders} times"
    );
}

/// Does `path` many times, and says how many blocks are left over for each.
fn leaves_nothing(what: &str, mut path: impl FnMut()) {
    (0..16).for_each(|_| path()); // What is set up once does not count.
    let ((), count) = allocations_in(|| (0..VALUES).for_each(|_| path()));
    assert!(
        count.allocations - count.frees < 16 && count.live_bytes <= 1_024,
        "{what}, {VALUES} times, leaves {} pieces of memory behind, {} bytes",
        count.allocations - count.frees,
        count.live_bytes
    );
}

#[test]
fn what_does_not_come_about_leaves_nothing_behind() {
    let text = || String::from("a value with memory of its own");
    let (sender, mut receiver) = channel(1);
    leaves_nothing("a channel", || {
        let (sender, mut receiver) = channel(2);
        assert!(sender.try_send(text()).is_ok() && sender.try_send(text()).is_ok());
        drop(receiver.try_recv());
        drop((receiver, sender));
    });
    leaves_nothing("a recv that gives up", || {
        assert!(Task::new(receiver.recv()).run().is_pending());
    });
    leaves_nothing("a permit that is not used", || {
        assert!(Task::new(sender.reserve()).run().is_ready());
    });
    assert!(sender.try_send(text()).is_ok(), "there is a place");
    leaves_nothing("a try_send on a full channel", || {
        assert!(sender.try_send(text()).is_err());
    });
    leaves_nothing("a send that gives up when its turn has come", || {
        let mut send = Task::new(sender.send(text()));
        assert!(send.run().is_pending(), "the channel is full");
        drop(receiver.try_recv());
        drop(send);
        assert!(sender.try_send(text()).is_ok(), "there is a place");
    });
    leaves_nothing("a send that is turned away", || {
        let (sender, mut receiver) = channel(1);
        assert!(sender.try_send(text()).is_ok(), "there is a place");
        let mut waits = Task::new(sender.send(text()));
        let mut gives_up = Task::new(sender.send(text()));
        assert!(waits.run().is_pending() && gives_up.run().is_pending());
        receiver.close();
        assert!(waits.run().is_ready());
        drop(gives_up);
    });
    leaves_nothing("a permit that is used when the receiver is gone", || {
        let (sender, receiver) = channel(1);
        let Poll::Ready(Ok(permit)) = Task::new(sender.reserve()).run() else {
            panic!("a place is free");
        };
        drop(receiver);
        permit.send(text());
    });
    leaves_nothing("an end that comes while others wait", || {
        let (sender, receiver) = channel(1);
        assert!(sender.try_send(text()).is_ok(), "there is a place");
        let mut send = Task::new(sender.send(text()));
        assert!(send.run().is_pending(), "the channel is full");
        drop(receiver);
        drop(send);
    });
    receiver.close();
    leaves_nothing("a send into a closed channel", || {
        assert!(Task::new(sender.send(text())).run().is_ready());
        assert!(sender.try_send(text()).is_err());
    });
}
