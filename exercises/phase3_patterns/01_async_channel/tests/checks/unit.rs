//! One thread, futures polled by hand.
//!
//! Decides when a future is ready and when it is woken, who gets a free place, and what becomes of values, places and turns
//! when the channel is closed, an end goes, or a future is dropped between two polls. Each poll brings another waker, and
//! only that of the latest poll counts; the same waker may come again. Some wakers and values panic, some numbers run past
//! 2^16, and more wait than fit into a small array.
//! Does not decide anything about threads: a channel without any lock would pass. More wakes than needed are allowed, and
//! so is a future that wakes itself and is ready a few polls later.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Poll, Wake, Waker};

use async_channel::{Receiver, SendError, Sender, TryRecvError, TrySendError, channel};
use kata::check::{Drops, Wakes, poll_once};
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

/// Polls `future` with one of two wakers after the other, by their numbers, and then lets `event` end the wait.
fn is_woken_by_its_latest_waker<R>(
    what: &str,
    mut future: Pin<&mut impl Future<Output = R>>,
    polls: &[usize],
    event: impl FnOnce(),
) {
    let wakers = [Wakes::new(), Wakes::new()];
    let mut before = 0;
    for &number in polls {
        before = wakers[number].count();
        let polled = poll_once(future.as_mut(), &wakers[number].waker());
        assert!(polled.is_pending(), "{what}: there is nothing to be had");
    }
    event();
    let latest = polls[polls.len() - 1];
    assert!(
        wakers[latest].count() > before,
        "{what} was polled with the wakers {polls:?}, in this order, and the last of them was not woken. A waker that was \
         here before is no reason not to keep it: the task sleeps for ever"
    );
}

#[rstest]
#[case::the_same_twice(&[0, 0])]
#[case::the_same_three_times(&[0, 0, 0])]
#[case::the_first_again(&[0, 1, 0])]
#[case::the_second_twice(&[0, 1, 1])]
#[case::to_and_fro(&[0, 1, 0, 0, 1])]
fn a_waker_may_come_again(#[case] polls: &[usize]) {
    let (sender, mut receiver) = full(1);
    is_woken_by_its_latest_waker("a send", pin!(sender.send(1)), polls, || {
        assert_eq!(receiver.try_recv(), Ok(0));
    });
    let (sender, mut receiver) = channel(1);
    for _ in 0..2 {
        is_woken_by_its_latest_waker("a recv", pin!(receiver.recv()), polls, || {
            assert_eq!(sender.try_send(1), Ok(()));
        });
        assert_eq!(receiver.try_recv(), Ok(1));
    }
}

#[test]
fn one_task_may_wait_twice() {
    let (sender, mut receiver) = full(2);
    let task = Wakes::new();
    let mut sends = [2, 3].map(|value| Box::pin(sender.send(value)));
    for send in &mut sends {
        assert!(
            poll_once(send.as_mut(), &task.waker()).is_pending(),
            "{FULL}"
        );
    }
    for place in 0..2 {
        let before = task.count();
        assert_eq!(receiver.try_recv(), Ok(place));
        assert!(
            task.count() > before,
            "one task waits in two sends at once, as in `join!`: a place was free for send {place}, and its task was not \
             woken"
        );
        // A task that is woken polls all that it waits for.
        for (number, send) in sends.iter_mut().enumerate().skip(place) {
            assert_eq!(
                poll_once(send.as_mut(), &task.waker()).is_ready(),
                number == place,
                "one place is free, and it is the turn of send {place}; this is send {number}"
            );
        }
    }
}

/// A waker that does nothing. The number of its owners tells whether somebody holds it.
struct Idle;

impl Wake for Idle {
    fn wake(self: Arc<Self>) {}
}

/// Polls once, with a waker that this counts the owners of.
fn poll_idle<R>(future: Pin<&mut impl Future<Output = R>>, owner: &Arc<Idle>) -> Poll<R> {
    poll_once(future, &Waker::from(owner.clone()))
}

#[test]
fn nobody_keeps_the_waker_of_who_waits_no_longer() {
    let (sender, mut receiver) = full(1);
    let kept = |owner: &Arc<Idle>, whose: &str| {
        assert_eq!(
            Arc::strong_count(owner),
            1,
            "the channel keeps the waker of {whose}: the memory of that task, and all that the task owns, stays until \
             somebody else waits. If it owns an end of this channel, it stays for ever"
        );
    };
    let task = Arc::new(Idle);

    let mut send = Box::pin(sender.send(1));
    assert!(poll_idle(send.as_mut(), &task).is_pending(), "{FULL}");
    drop(send);
    kept(&task, "a send that was dropped");
    let mut send = Box::pin(sender.send(1));
    assert!(poll_idle(send.as_mut(), &task).is_pending(), "{FULL}");
    assert_eq!(receiver.try_recv(), Ok(0));
    drop(send);
    kept(&task, "a send that was dropped when its turn had come");
    assert_eq!(sender.try_send(0), Ok(()));
    let mut send = Box::pin(sender.send(1));
    assert!(poll_idle(send.as_mut(), &task).is_pending(), "{FULL}");
    assert_eq!(receiver.try_recv(), Ok(0));
    assert_eq!(poll_idle(send.as_mut(), &task), Poll::Ready(Ok(())));
    kept(&task, "a send that is ready");
    assert_eq!(receiver.try_recv(), Ok(1));

    // A future may wake itself and look again.
    let wait = |recv: &mut Pin<Box<dyn Future<Output = Option<usize>> + '_>>, owner| {
        for _ in 0..3 {
            assert!(
                poll_once(recv.as_mut(), &Waker::from(Arc::clone(owner))).is_pending(),
                "{EMPTY}"
            );
        }
    };
    let mut recv: Pin<Box<dyn Future<Output = _>>> = Box::pin(receiver.recv());
    wait(&mut recv, &task);
    drop(recv);
    kept(&task, "a recv that was dropped");
    let mut recv: Pin<Box<dyn Future<Output = _>>> = Box::pin(receiver.recv());
    wait(&mut recv, &task);
    assert_eq!(sender.try_send(2), Ok(()));
    assert_eq!(
        poll_once(recv.as_mut(), &Waker::from(task.clone())),
        Poll::Ready(Some(2))
    );
    drop(recv);
    kept(&task, "a recv that is ready");

    assert_eq!(sender.try_send(0), Ok(()));
    let mut send = Box::pin(sender.send(1));
    assert!(poll_idle(send.as_mut(), &task).is_pending(), "{FULL}");
    let mut reserve = Box::pin(sender.reserve());
    assert!(poll_idle(reserve.as_mut(), &task).is_pending(), "{FULL}");
    drop(receiver);
    drop((send, reserve));
    kept(&task, "a send that was turned away");

    let (sender, mut receiver) = channel(1);
    let mut recv: Pin<Box<dyn Future<Output = _>>> = Box::pin(receiver.recv());
    wait(&mut recv, &task);
    drop(sender);
    assert_eq!(
        poll_once(recv.as_mut(), &Waker::from(task.clone())),
        Poll::Ready(None)
    );
    drop(recv);
    kept(&task, "a recv that was told of the end");
}

#[test]
fn a_capacity_may_be_as_large_as_one_likes() {
    for capacity in [1 << 40, usize::MAX] {
        let (sender, mut receiver) = catch_unwind(|| channel(capacity)).unwrap_or_else(|_| {
            panic!(
                "channel({capacity}) panicked. A large capacity stands for no bound, and asks for no memory"
            )
        });
        let permit = at_once(sender.reserve(), "there are places").expect("the channel is open");
        for value in 0..100 {
            assert_eq!(sender.try_send(value), Ok(()), "there are places");
        }
        permit.send(100);
        receiver.close();
        assert_eq!(rest(&mut receiver), (0..=100).collect::<Vec<_>>());
        assert_eq!(
            receiver.try_recv(),
            Err(TryRecvError::Disconnected),
            "the channel is closed, all is received, and no permit is out"
        );
    }
}

#[test]
fn values_may_be_of_any_size() {
    let (sender, mut receiver) = channel(3);
    for _ in 0..3 {
        assert_eq!(sender.try_send(()), Ok(()), "there is a place");
    }
    assert_eq!(
        sender.try_send(()),
        Err(TrySendError::Full(())),
        "a value without a size takes a place like any other"
    );
    assert_eq!(rest(&mut receiver), [(); 3]);

    #[repr(align(4096))]
    #[derive(Debug, PartialEq)]
    struct Page([usize; 512]);
    let (sender, mut receiver) = channel(3);
    for number in 0..3 {
        assert_eq!(sender.try_send(Page([number; 512])), Ok(()));
    }
    let mut send = waiting(sender.send(Page([3; 512])), FULL);
    assert_eq!(receiver.try_recv(), Ok(Page([0; 512])));
    assert_eq!(send.run(), Poll::Ready(Ok(())), "its turn has come");
    for number in 1..4 {
        assert_eq!(receiver.try_recv(), Ok(Page([number; 512])));
    }
}

/// More than fit into a table of 1,024.
const MANY: usize = 1_100;

#[test]
fn many_may_wait() {
    let (sender, mut receiver) = full(MANY);
    let mut sends: Vec<_> = (MANY..3 * MANY)
        .map(|value| waiting(sender.send(value), FULL))
        .collect();
    for (place, send) in sends.iter_mut().enumerate() {
        assert_eq!(
            receiver.try_recv(),
            Ok(place),
            "values come out in the order in which they were sent, and {} tasks wait in theirs",
            2 * MANY
        );
        assert!(send.is_woken(), "{NOT_WOKEN}");
        assert_eq!(send.run(), Poll::Ready(Ok(())), "its turn has come");
    }
    drop(receiver);
    for closes in [true, false] {
        let (sender, mut receiver) = full(1);
        let mut sends: Vec<_> = (0..MANY)
            .map(|value| waiting(sender.send(value), FULL))
            .collect();
        if closes {
            receiver.close();
        } else {
            drop(receiver);
        }
        for (value, send) in sends.iter_mut().enumerate() {
            assert!(
                send.is_woken(),
                "{MANY} tasks wait when the channel is closed or its receiver goes, and number {value} is not told"
            );
            assert_eq!(send.run(), Poll::Ready(Err(SendError(value))));
        }
    }
}

/// Past what fits into 16 bits.
const PAST: usize = (1 << 16) + 10;

#[test]
fn a_channel_serves_more_than_two_to_the_sixteen() {
    // Always full, and always three who wait: each is served in its turn, also where a small number would start again.
    let (sender, mut receiver) = full(1);
    let mut sends: std::collections::VecDeque<_> = (1..=3)
        .map(|value| waiting(sender.send(value), FULL))
        .collect();
    for value in 0..PAST {
        assert_eq!(
            receiver.try_recv(),
            Ok(value),
            "after {value} waits the order is lost"
        );
        sends.push_back(waiting(sender.send(value + 4), FULL));
        let mut first = sends.pop_front().expect("three wait");
        assert_eq!(
            first.run(),
            Poll::Ready(Ok(())),
            "{value} sends have waited and were served, and the next one, whose turn has come, is not"
        );
        for send in &mut sends {
            assert!(
                send.poll().is_pending(),
                "{value} sends have waited, and one gets a place before its turn: the bound is none"
            );
        }
    }
    drop(sends);
    assert_eq!(rest(&mut receiver), [PAST]);
    assert_eq!(room(&sender), 1, "everybody is gone");
}

#[test]
fn a_channel_counts_past_two_to_the_sixteen() {
    let (sender, mut receiver) = channel(PAST + 1);
    for value in 0..=PAST {
        assert_eq!(
            sender.try_send(value),
            Ok(()),
            "{value} of {} places are taken",
            PAST + 1
        );
    }
    assert_eq!(
        sender.try_send(0),
        Err(TrySendError::Full(0)),
        "all places are taken"
    );
    let senders: Vec<_> = (0..PAST).map(|_| sender.clone()).collect();
    assert_eq!(rest(&mut receiver), (0..=PAST).collect::<Vec<_>>());
    drop(senders);
    assert_eq!(
        receiver.try_recv(),
        Err(TryRecvError::Empty),
        "{PAST} clones of a sender are gone, and one is left"
    );
    drop(sender);
    assert_eq!(receiver.try_recv(), Err(TryRecvError::Disconnected));
}

#[test]
fn channels_stand_for_themselves() {
    // One thread and one task, which waits in two channels at once; a third one lies where another was.
    let task = Wakes::new();
    for _ in 0..3 {
        let (left, mut from_left) = full(1);
        let (right, mut from_right) = full(1);
        let mut sends = [Box::pin(left.send(1)), Box::pin(right.send(2))];
        for send in &mut sends {
            assert!(
                poll_once(send.as_mut(), &task.waker()).is_pending(),
                "{FULL}"
            );
        }
        assert_eq!(from_right.try_recv(), Ok(0));
        let [first, second] = &mut sends;
        assert!(
            poll_once(first.as_mut(), &task.waker()).is_pending(),
            "a place became free in another channel"
        );
        assert_eq!(
            poll_once(second.as_mut(), &task.waker()),
            Poll::Ready(Ok(())),
            "a place is free"
        );
        from_left.close();
        assert_eq!(
            poll_once(first.as_mut(), &task.waker()),
            Poll::Ready(Err(SendError(1)))
        );
        assert_eq!(
            right.try_send(3),
            Err(TrySendError::Full(3)),
            "another channel was closed"
        );
        drop(sends);
        drop(left);
        assert_eq!(from_right.try_recv(), Ok(2));
        assert_eq!(
            from_right.try_recv(),
            Err(TryRecvError::Empty),
            "the sender of another channel is gone"
        );
    }
}

/// A waker that panics when it is woken, without a word on stderr.
struct Panics;

impl Wake for Panics {
    fn wake(self: Arc<Self>) {
        resume_unwind(Box::new("a waker panics"));
    }
}

/// Runs what wakes a waker that panics, in an executor that survives it.
fn survive(run: impl FnOnce()) {
    let _ = catch_unwind(AssertUnwindSafe(run));
}

/// Runs what a channel must still be able to do after the panic of somebody else's code.
fn still(what: &str, run: impl FnOnce() -> bool) {
    let outcome = catch_unwind(AssertUnwindSafe(run));
    assert_eq!(
        outcome.ok(),
        Some(true),
        "a waker or a value has panicked, and afterwards {what}: one bad task has broken the channel for all others"
    );
}

#[test]
fn a_waker_that_panics_breaks_nothing() {
    let panics = Waker::from(Arc::new(Panics));
    // One that waits for a value.
    let (sender, mut receiver) = channel(1);
    let mut recv = Box::pin(receiver.recv());
    survive(|| assert!(poll_once(recv.as_mut(), &panics).is_pending(), "{EMPTY}"));
    survive(|| _ = sender.try_send(1));
    survive(|| drop(recv));
    still("the value that was sent is lost", || {
        receiver.try_recv() == Ok(1)
    });
    still("there is no place any more", || room(&sender) == 1);

    // One that waits for a place.
    let (sender, mut receiver) = full(1);
    let mut send = Box::pin(sender.send(1));
    assert!(poll_once(send.as_mut(), &panics).is_pending(), "{FULL}");
    survive(|| _ = receiver.try_recv());
    survive(|| drop(send));
    still("its place is lost", || {
        rest(&mut receiver);
        room(&sender) == 1
    });

    // One that inherits a turn.
    let (sender, mut receiver) = full(1);
    let first = waiting(sender.send(1), FULL);
    let mut second = Box::pin(sender.send(2));
    assert!(poll_once(second.as_mut(), &panics).is_pending(), "{FULL}");
    survive(|| _ = receiver.try_recv());
    survive(|| drop(first));
    survive(|| drop(second));
    still("the turn is lost", || {
        rest(&mut receiver);
        room(&sender) == 1
    });

    // One that is told of the end.
    for closes in [true, false] {
        let (sender, mut receiver) = full(1);
        let mut send = Box::pin(sender.send(1));
        assert!(poll_once(send.as_mut(), &panics).is_pending(), "{FULL}");
        if closes {
            survive(|| receiver.close());
            still("what was sent before the end is lost", || {
                rest(&mut receiver) == [0]
            });
            survive(|| drop(receiver));
        } else {
            survive(|| drop(receiver));
        }
        survive(|| drop(send));
        still("a channel without a receiver is not closed", || {
            sender.try_send(2) == Err(TrySendError::Closed(2))
        });
    }
}

thread_local! {
    static DROPPED: Cell<usize> = const { Cell::new(0) };
}

/// A value that counts its drop, and panics in it if it is to.
struct Bad(bool);

impl Drop for Bad {
    fn drop(&mut self) {
        DROPPED.set(DROPPED.get() + 1);
        if self.0 {
            resume_unwind(Box::new("a value panics"));
        }
    }
}

#[test]
fn a_value_that_panics_when_it_is_dropped_breaks_nothing() {
    DROPPED.set(0);
    let (sender, receiver) = channel(3);
    for panics in [false, true, false] {
        assert!(sender.try_send(Bad(panics)).is_ok(), "there is a place");
    }
    let mut waits = waiting(sender.send(Bad(false)), FULL);
    survive(|| drop(receiver));
    assert_eq!(
        DROPPED.get(),
        3,
        "the second of three values has panicked when the receiver went, and another one was not dropped: it leaks"
    );
    still("a task that waits for a place is not told", || {
        waits.is_woken() && matches!(waits.run(), Poll::Ready(Err(SendError(_))))
    });
    still("a channel without a receiver is not closed", || {
        matches!(sender.try_send(Bad(false)), Err(TrySendError::Closed(_)))
    });

    // A send that is dropped while it waits, and one whose turn has come.
    for turn in [false, true] {
        let (sender, mut receiver) = channel(1);
        assert!(sender.try_send(Bad(false)).is_ok(), "there is a place");
        let send = waiting(sender.send(Bad(true)), FULL);
        if turn {
            drop(receiver.try_recv());
        }
        survive(|| drop(send));
        still("its place or its turn is lost", || {
            drop(receiver.try_recv());
            sender.try_send(Bad(false)).is_ok()
        });
    }

    // A permit that is used when the receiver is gone.
    let (sender, receiver) = channel(1);
    let permit = at_once(sender.reserve(), "a place is free").expect("the channel is open");
    drop(receiver);
    survive(|| permit.send(Bad(true)));
    still("a channel without a receiver is not closed", || {
        matches!(sender.try_send(Bad(false)), Err(TrySendError::Closed(_)))
    });
}

/// A task that panics, with what it owns.
fn panic_with<T>(owned: T) {
    survive(|| {
        let _owned = owned;
        resume_unwind(Box::new("a task panics"));
    });
}

#[test]
fn a_task_that_panics_takes_nothing_with_it() {
    let (sender, mut receiver) = channel(1);
    let permit = at_once(sender.reserve(), "a place is free").expect("the channel is open");
    panic_with(permit);
    still("the place of its permit is lost", || room(&sender) == 1);
    rest(&mut receiver);

    let (sender, mut receiver) = full(1);
    let send = waiting(sender.send(1), FULL);
    let mut next = waiting(sender.send(2), FULL);
    panic_with(send);
    still(
        "its turn is lost with its send, and nobody is served",
        || receiver.try_recv() == Ok(0) && next.is_woken() && next.run() == Poll::Ready(Ok(())),
    );
    drop(next);
    rest(&mut receiver);
    let woken = {
        assert_eq!(sender.try_send(3), Ok(()), "there is a place");
        let woken = waiting(sender.send(4), FULL);
        assert_eq!(receiver.try_recv(), Ok(3));
        woken
    };
    panic_with(woken);
    still("the place that it was handed is lost with its send", || {
        rest(&mut receiver);
        room(&sender) == 1
    });
    rest(&mut receiver);

    let owner = Arc::new(Idle);
    let mut recv = Box::pin(receiver.recv());
    assert!(poll_idle(recv.as_mut(), &owner).is_pending(), "{EMPTY}");
    panic_with(recv);
    still("the channel keeps the waker of its recv", || {
        Arc::strong_count(&owner) == 1
    });

    let mut recv = waiting(receiver.recv(), EMPTY);
    panic_with(sender);
    still("the receiver waits for a sender that is gone", || {
        recv.is_woken() && recv.run() == Poll::Ready(None)
    });
    drop(recv);

    let (sender, receiver) = full(1);
    let mut send = waiting(sender.send(1), FULL);
    panic_with(receiver);
    still("the senders wait for a receiver that is gone", || {
        send.is_woken() && matches!(send.run(), Poll::Ready(Err(SendError(1))))
    });
}

#[test]
fn a_recv_that_was_forgotten_does_not_keep_the_next_from_waiting() {
    let (sender, mut receiver) = channel(1);
    // On the heap, where it may be forgotten: nothing borrows from it.
    let forgotten = waiting(receiver.recv(), EMPTY);
    std::mem::forget(forgotten);
    let mut recv = waiting(receiver.recv(), EMPTY);
    assert_eq!(sender.try_send(1), Ok(()), "there is a place");
    assert!(
        recv.is_woken(),
        "a recv was forgotten while it waited, as in a task that was leaked, and the next one is not woken: {NOT_WOKEN}"
    );
    assert_eq!(recv.run(), Poll::Ready(Some(1)));
}
