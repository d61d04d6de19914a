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
