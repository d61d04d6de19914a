//! One thread, futures polled by hand.
//!
//! Decides when a future is ready and when it is woken, who gets a free place, and what becomes of values, places and turns
//! when the channel is closed, an end goes, or a future is dropped between two polls. Each poll brings another waker, and
//! only that of the latest poll counts.
//! Does not decide anything about threads: a channel without any lock would pass. More wakes than needed are allowed, and
//! so is a future that wakes itself and is ready a few polls later.

use std::panic::catch_unwind;
use std::task::Poll;

use async_channel::{Receiver, SendError, Sender, TryRecvError, TrySendError, channel};
use kata::check::Drops;
use rstest::rstest;

use super::task::{Task, at_once};

/// A channel that is full of the numbers from 0.
fn full(capacity: usize) -> (Sender<usize>, Receiver<usize>) {
    let (sender, receiver) = channel(capacity);
    for value in 0..capacity {
        assert_eq!(sender.try_send(value), Ok(()), "there is a place");
    }
    (sender, receiver)
}

/// A task that has been polled and waits.
fn waiting<'a, R>(future: impl Future<Output = R> + 'a, otherwise: &str) -> Task<'a, R> {
    let mut task = Task::new(future);
    assert!(task.run().is_pending(), "{otherwise}");
    task
}

/// The number of values that the channel takes at once.
fn room(sender: &Sender<usize>) -> usize {
    const ENOUGH: usize = 100;
    (0..ENOUGH)
        .take_while(|&value| sender.try_send(value).is_ok())
        .count()
}

/// All that can be received at once.
fn rest<T>(receiver: &mut Receiver<T>) -> Vec<T> {
    std::iter::from_fn(|| receiver.try_recv().ok()).collect()
}

const FULL: &str = "the channel is full: send must wait";
const EMPTY: &str = "the channel is empty and has a sender: recv must wait";
const NOT_WOKEN: &str = "a task waits for what has come, and the waker of its latest poll was not woken: it sleeps for ever";

#[test]
fn a_channel_without_places_is_refused() {
    drop(channel::<u8>(1));
    let panic = catch_unwind(|| drop(channel::<u8>(0)))
        .expect_err("a channel of capacity 0 was made: each send into it waits for ever");
    let message = panic
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_default();
    assert!(
        message.contains("the capacity of a channel must be at least 1"),
        "capacity 0 panics with {message:?}: its user cannot tell what is wrong"
    );
}

#[rstest]
#[case::capacity_one(1)]
#[case::capacity_two(2)]
#[case::capacity_three(3)]
#[case::capacity_eight(8)]
fn a_channel_takes_exactly_its_capacity(#[case] capacity: usize) {
    let (sender, mut receiver) = channel(capacity);
    for lap in 0..3 {
        for place in 0..capacity {
            let value = lap * capacity + place;
            let sent = at_once(
                sender.send(value),
                "there is a place and nobody waits: send must be ready at once",
            );
            assert_eq!(sent, Ok(()), "the channel is open");
        }
        assert_eq!(
            sender.try_send(100),
            Err(TrySendError::Full(100)),
            "the channel holds {capacity} values: one more must be handed back, or the limit is none"
        );
        for place in 0..capacity {
            let received = at_once(
                receiver.recv(),
                "there is a value: recv must be ready at once",
            );
            assert_eq!(
                received,
                Some(lap * capacity + place),
                "values must come out in the order in which they were sent"
            );
        }
        assert_eq!(
            receiver.try_recv(),
            Err(TryRecvError::Empty),
            "all values were received, and a sender is there"
        );
    }
}

#[test]
fn a_free_place_wakes_who_waits_for_one() {
    let (sender, mut receiver) = full(2);
    let mut send = waiting(sender.send(2), FULL);
    assert_eq!(receiver.try_recv(), Ok(0), "the oldest value");
    assert!(send.is_woken(), "{NOT_WOKEN}");
    assert_eq!(
        send.run(),
        Poll::Ready(Ok(())),
        "a place is free and nobody else waits"
    );
    assert_eq!(rest(&mut receiver), [1, 2], "the value was sent once, last");
}

#[test]
fn recv_wakes_who_waits_for_a_place() {
    let (sender, mut receiver) = full(1);
    let mut reserve = waiting(sender.reserve(), "the channel is full: reserve must wait");
    assert_eq!(
        at_once(receiver.recv(), "there is a value: recv must be ready"),
        Some(0)
    );
    assert!(reserve.is_woken(), "{NOT_WOKEN}");
    assert!(
        reserve.run().is_ready(),
        "a place is free and nobody else waits"
    );
}

/// What ends the wait of a receiver.
#[derive(Clone, Copy)]
enum Event {
    TrySend,
    Send,
    Permit,
    LastSender,
}

#[rstest]
#[case::by_try_send(Event::TrySend, Some(7))]
#[case::by_send(Event::Send, Some(7))]
#[case::by_a_permit(Event::Permit, Some(7))]
#[case::by_the_last_sender(Event::LastSender, None)]
fn a_waiting_receiver_is_woken(#[case] event: Event, #[case] expected: Option<usize>) {
    let (sender, mut receiver) = channel(1);
    let mut recv = waiting(receiver.recv(), EMPTY);
    match event {
        Event::TrySend => assert_eq!(sender.try_send(7), Ok(()), "there is a place"),
        Event::Send => assert_eq!(at_once(sender.send(7), "there is a place"), Ok(())),
        Event::Permit => {
            let permit = at_once(sender.reserve(), "there is a place");
            permit.expect("the channel is open").send(7);
        }
        Event::LastSender => drop(sender),
    }
    assert!(recv.is_woken(), "{NOT_WOKEN}");
    assert_eq!(recv.run(), Poll::Ready(expected), "what it has waited for");
}

#[rstest]
#[case::two_polls(2)]
#[case::three_polls(3)]
fn the_waker_of_the_latest_poll_is_woken(#[case] polls: usize) {
    const OLD: &str = "the future was polled again with another waker, for the task has moved: the one woken is that of an \
                       earlier poll, and the task sleeps for ever";
    let (sender, mut receiver) = full(1);
    let mut send = waiting(sender.send(1), FULL);
    for _ in 1..polls {
        assert!(send.poll().is_pending(), "{FULL}");
    }
    assert_eq!(receiver.try_recv(), Ok(0));
    assert!(send.is_woken(), "send: {OLD}");
    assert_eq!(send.run(), Poll::Ready(Ok(())), "a place is free");
    assert_eq!(receiver.try_recv(), Ok(1));

    let mut recv = waiting(receiver.recv(), EMPTY);
    for _ in 1..polls {
        assert!(recv.poll().is_pending(), "{EMPTY}");
    }
    assert_eq!(sender.try_send(2), Ok(()));
    assert!(recv.is_woken(), "recv: {OLD}");
    assert_eq!(recv.run(), Poll::Ready(Some(2)), "what was sent");
}

#[test]
fn places_are_given_in_the_order_of_the_first_polls() {
    let (sender, mut receiver) = full(1);
    let mut sends: Vec<_> = (1..=4)
        .map(|value| Some(waiting(sender.send(value), FULL)))
        .collect();
    // Who is polled again keeps its turn.
    for send in sends.iter_mut().flatten() {
        assert!(send.poll().is_pending(), "{FULL}");
    }
    for expected in 0..=4 {
        assert_eq!(
            receiver.try_recv(),
            Ok(expected),
            "who has waited longest is served first, however often the others are polled"
        );
        // The last ones first.
        for slot in sends.iter_mut().rev() {
            if let Some(send) = slot
                && send.run() == Poll::Ready(Ok(()))
            {
                *slot = None;
            }
        }
    }
}

#[test]
fn nobody_overtakes_who_waits() {
    let (sender, mut receiver) = full(1);
    let mut first = waiting(sender.send(1), FULL);
    assert_eq!(receiver.try_recv(), Ok(0));
    assert_eq!(
        sender.try_send(2),
        Err(TrySendError::Full(2)),
        "a task has waited for the place that is free now, and try_send has taken it: a busy try_send starves who waits"
    );
    let mut second = waiting(
        sender.send(3),
        "a task has waited for the place that is free now, and a newcomer has taken it",
    );
    assert_eq!(first.run(), Poll::Ready(Ok(())), "its turn has come");
    assert_eq!(receiver.try_recv(), Ok(1));
    assert_eq!(second.run(), Poll::Ready(Ok(())), "its turn has come");
}

/// When a future is dropped.
#[derive(Clone, Copy)]
enum Dropped {
    Unpolled,
    Waiting,
    /// A place has been free since its latest poll.
    Woken,
}

#[rstest]
#[case::before_its_first_poll(Dropped::Unpolled)]
#[case::while_it_waits(Dropped::Waiting)]
#[case::when_its_turn_has_come(Dropped::Woken)]
fn a_dropped_send_keeps_no_place(#[case] when: Dropped, #[values(1, 2)] capacity: usize) {
    for reserves in [false, true] {
        let (sender, mut receiver) = full(capacity);
        let future = async {
            if reserves {
                drop(sender.reserve().await);
            } else {
                let _ = sender.send(100).await;
            }
        };
        let mut task = Task::new(future);
        if !matches!(when, Dropped::Unpolled) {
            assert!(task.run().is_pending(), "{FULL}");
        }
        if matches!(when, Dropped::Woken) {
            assert_eq!(receiver.try_recv(), Ok(0));
        }
        drop(task);
        let left = rest(&mut receiver);
        assert!(
            !left.contains(&100),
            "a send was dropped before it was ready, and its value was sent all the same"
        );
        assert_eq!(
            room(&sender),
            capacity,
            "the channel is empty, nobody waits, and it has room for that many values: the future that was dropped has \
             taken a place with it, or left one too many"
        );
    }
}

#[test]
fn the_turn_of_a_dropped_send_goes_to_the_next() {
    let (sender, mut receiver) = full(1);
    let first = waiting(sender.send(1), FULL);
    let second = waiting(sender.send(2), FULL);
    let mut third = waiting(sender.send(3), FULL);
    // One that waits in the middle, then one whose turn has come.
    drop(second);
    assert_eq!(receiver.try_recv(), Ok(0));
    drop(first);
    assert!(
        third.is_woken(),
        "the task whose turn had come is gone, and the next was not woken: it waits beside a free place for ever"
    );
    assert_eq!(third.run(), Poll::Ready(Ok(())), "its turn has come");
    assert_eq!(rest(&mut receiver), [3], "the others were dropped unsent");
}

#[test]
fn every_turn_can_be_dropped() {
    let (sender, mut receiver) = full(2);
    let mut sends: Vec<_> = (2..6)
        .map(|value| waiting(sender.send(value), FULL))
        .collect();
    assert_eq!((receiver.try_recv(), receiver.try_recv()), (Ok(0), Ok(1)));
    // Two have been handed a place. Each is dropped in turn, and so are those who inherit.
    sends.drain(..3);
    let mut last = sends.pop().expect("the fourth");
    assert!(last.is_woken(), "{NOT_WOKEN}");
    assert_eq!(last.run(), Poll::Ready(Ok(())), "both places are free");
    assert_eq!(room(&sender), 1, "one of two places is taken");
}

#[test]
fn a_dropped_recv_loses_no_value() {
    let (sender, mut receiver) = channel(2);
    drop(Task::new(receiver.recv()));
    let recv = waiting(receiver.recv(), EMPTY);
    assert_eq!(sender.try_send(1), Ok(()));
    drop(recv);
    assert_eq!(sender.try_send(2), Ok(()));
    let mut recv = Task::new(receiver.recv());
    assert_eq!(
        recv.run(),
        Poll::Ready(Some(1)),
        "a recv was dropped after it was woken, and the value that had woken it is lost"
    );
    drop(recv);
    // Polled a single time: what it has in hand when it is dropped, it must not take with it.
    let mut recv = Task::new(receiver.recv());
    if recv.poll().is_pending() {
        drop(recv);
        assert_eq!(
            receiver.try_recv(),
            Ok(2),
            "a recv was dropped while it was pending, and has taken a value with it"
        );
    }
}

#[test]
fn a_receiver_that_has_given_up_can_wait_again() {
    let (sender, mut receiver) = channel(1);
    drop(waiting(receiver.recv(), EMPTY));
    let mut recv = waiting(receiver.recv(), EMPTY);
    assert_eq!(sender.try_send(1), Ok(()));
    assert!(recv.is_woken(), "{NOT_WOKEN}");
    assert_eq!(recv.run(), Poll::Ready(Some(1)));
}

#[test]
fn a_permit_keeps_a_place() {
    let (sender, mut receiver) = channel(2);
    let permit = at_once(sender.reserve(), "two places are free").expect("the channel is open");
    assert_eq!(room(&sender), 1, "a permit keeps one of two places");
    assert_eq!(
        receiver.try_recv(),
        Ok(0),
        "nothing was sent by the permit yet"
    );
    permit.send(7);
    assert_eq!(receiver.try_recv(), Ok(7), "the permit has sent");
    assert_eq!(
        room(&sender),
        2,
        "the permit was used: both places are free"
    );
}

#[test]
fn a_dropped_permit_gives_its_place_back() {
    let (sender, _receiver) = channel(1);
    let permit = at_once(sender.reserve(), "a place is free").expect("the channel is open");
    let mut send = waiting(
        sender.send(1),
        "the only place is kept by a permit: send must wait",
    );
    drop(permit);
    assert!(send.is_woken(), "{NOT_WOKEN}");
    assert_eq!(send.run(), Poll::Ready(Ok(())), "the place was given back");
    drop(send);
    assert_eq!(room(&sender), 0, "the place was given back once");
}

#[test]
fn a_closed_channel_takes_nothing_and_keeps_what_it_has() {
    let (sender, mut receiver) = channel(3);
    for value in 0..2 {
        assert_eq!(sender.try_send(value), Ok(()));
    }
    receiver.close();
    receiver.close();
    assert_eq!(
        sender.try_send(2),
        Err(TrySendError::Closed(2)),
        "a value was sent after the channel was closed: nobody may be there to receive it"
    );
    assert_eq!(
        at_once(sender.send(3), "the channel is closed: send must not wait"),
        Err(SendError(3))
    );
    let reserved = at_once(
        sender.reserve(),
        "the channel is closed: reserve must not wait",
    );
    assert!(
        reserved.is_err(),
        "a place in a closed channel was given away"
    );
    for value in 0..2 {
        assert_eq!(
            at_once(receiver.recv(), "there is a value"),
            Some(value),
            "a value that was sent before the channel was closed must still come out"
        );
    }
    for _ in 0..2 {
        assert_eq!(
            at_once(receiver.recv(), "nothing will come: recv must not wait"),
            None
        );
    }
    assert_eq!(
        receiver.try_recv(),
        Err(TryRecvError::Disconnected),
        "nothing will come, and try_recv promises otherwise"
    );
}

#[rstest]
#[case::by_close(false)]
#[case::by_the_receivers_end(true)]
fn who_waits_for_a_place_is_turned_away(#[case] dropped: bool) {
    let (sender, mut receiver) = full(1);
    let mut sends = [1, 2].map(|value| waiting(sender.send(value), FULL));
    let mut reserve = waiting(sender.reserve(), FULL);
    let receiver = if dropped {
        drop(receiver);
        None
    } else {
        receiver.close();
        Some(receiver)
    };
    for (send, value) in sends.iter_mut().zip([1, 2]) {
        assert!(
            send.is_woken(),
            "no place will ever be free, and a task that waits for one was not woken: it sleeps for ever"
        );
        assert_eq!(
            send.run(),
            Poll::Ready(Err(SendError(value))),
            "who waited when the channel was closed must get its value back"
        );
    }
    assert!(reserve.is_woken(), "{NOT_WOKEN}");
    assert!(
        matches!(reserve.run(), Poll::Ready(Err(SendError(())))),
        "who waited when the channel was closed must be told so"
    );
    if let Some(mut receiver) = receiver {
        assert_eq!(rest(&mut receiver), [0], "what was sent before the end");
        assert_eq!(receiver.try_recv(), Err(TryRecvError::Disconnected));
    }
}

#[test]
fn a_place_that_is_freed_after_the_end_is_nobodys() {
    let (sender, mut receiver) = full(1);
    let mut send = waiting(sender.send(1), FULL);
    receiver.close();
    assert_eq!(receiver.try_recv(), Ok(0));
    assert_eq!(
        send.run(),
        Poll::Ready(Err(SendError(1))),
        "the channel was closed before a place was free for it"
    );
    drop(send);
    assert_eq!(
        at_once(receiver.recv(), "all is received: recv must not wait"),
        None
    );
}

#[rstest]
#[case::used(true)]
#[case::given_back(false)]
fn a_closed_channel_waits_for_its_permits(#[case] used: bool) {
    let (sender, mut receiver) = channel(2);
    let permit = at_once(sender.reserve(), "a place is free").expect("the channel is open");
    receiver.close();
    assert_eq!(
        receiver.try_recv(),
        Err(TryRecvError::Empty),
        "a permit was given before the channel was closed: its value may still come"
    );
    let mut recv = waiting(
        receiver.recv(),
        "a permit was given before the channel was closed, and recv says that nothing will come: the value is lost",
    );
    if used {
        permit.send(7);
        assert!(recv.is_woken(), "{NOT_WOKEN}");
        assert_eq!(recv.run(), Poll::Ready(Some(7)), "the permit was used");
    } else {
        drop(permit);
        assert!(
            recv.is_woken(),
            "the last permit was given back: nothing will come, and the receiver was not woken"
        );
        assert_eq!(recv.run(), Poll::Ready(None), "nothing will come");
    }
    drop(recv);
    assert_eq!(receiver.try_recv(), Err(TryRecvError::Disconnected));
}

#[test]
fn the_channel_ends_with_its_last_sender() {
    let (sender, mut receiver) = channel(2);
    let clone = sender.clone();
    assert_eq!(sender.try_send(1), Ok(()));
    drop(sender);
    assert_eq!(receiver.try_recv(), Ok(1));
    assert_eq!(
        receiver.try_recv(),
        Err(TryRecvError::Empty),
        "one of two senders is left"
    );
    assert_eq!(clone.try_send(2), Ok(()), "the other sender goes on");
    drop(clone);
    assert_eq!(
        at_once(receiver.recv(), "there is a value"),
        Some(2),
        "a value is lost because its sender is gone"
    );
    assert_eq!(
        at_once(receiver.recv(), "all senders are gone: recv must not wait"),
        None
    );
    assert_eq!(receiver.try_recv(), Err(TryRecvError::Disconnected));
}

#[test]
fn a_receiver_takes_the_values_with_it() {
    let drops = Drops::new();
    let (sender, receiver) = channel(3);
    let permit = at_once(sender.reserve(), "a place is free").expect("the channel is open");
    for value in 0..2 {
        assert!(sender.try_send(drops.token(value)).is_ok());
    }
    drop(receiver);
    assert_eq!(
        drops.dropped(),
        2,
        "the receiver is gone and the values (right) live on with the senders: a request that holds a sender for its \
         answer is never answered and never given up"
    );
    permit.send(drops.token(2));
    assert_eq!(
        drops.dropped(),
        3,
        "a permit was used after the receiver had gone: nobody will ever receive the value, so it must be dropped"
    );
    let refused = sender.try_send(drops.token(3));
    assert!(
        matches!(refused, Err(TrySendError::Closed(_))),
        "the receiver is gone, and a value was taken for it"
    );
    drop((refused, sender));
    drops.assert_each_dropped_once();
}

#[rstest]
#[case::the_sender_first(true)]
#[case::the_receiver_first(false)]
fn each_value_is_dropped_once(#[case] sender_first: bool) {
    let drops = Drops::new();
    let (sender, mut receiver) = channel(2);
    for value in 0..3 {
        drop(sender.try_send(drops.token(value)));
    }
    drop(receiver.try_recv().expect("two were sent"));
    assert!(at_once(sender.send(drops.token(3)), "a place is free").is_ok());
    let mut send = Task::new(sender.send(drops.token(4)));
    assert!(send.run().is_pending(), "{FULL}");
    drop(send);
    assert_eq!(
        drops.created() - drops.dropped(),
        2,
        "two values are in the channel; the others were refused, received, or dropped with their send"
    );
    if sender_first {
        drop(sender);
        drop(receiver);
    } else {
        drop(receiver);
        drop(sender);
    }
    drops.assert_each_dropped_once();
}
