//! Random, reproducible schedules of more tasks than the exhaustive checks can afford, each on a thread of its own.
//!
//! Decides whether a value, a place, a turn or a wake can be lost between tasks that run at the same time, some of which
//! give up half-way: somebody left asleep is a deadlock, found at once. Each poll brings another waker, and one time in
//! eight a task is polled without having been woken.
//! Does not decide orderings: here everything is sequentially consistent. Does not decide everything: it samples.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};

use async_channel::{Receiver, SendError, Sender, TryRecvError, TrySendError, channel};
use kata::check::{
    Randomized, assert_conserved, assert_fifo_per_producer, note, poll_once, randomized,
};
use kata::future::block_on;
use kata::thread::{self, JoinHandle};

/// Runs a task on a thread of its own.
fn task<R: Send + 'static>(future: impl Future<Output = R> + Send + 'static) -> JoinHandle<R> {
    thread::spawn(move || block_on(future))
}

fn join<R>(tasks: Vec<JoinHandle<R>>) -> Vec<R> {
    tasks.into_iter().map(|task| task.join().unwrap()).collect()
}

/// Receives until the channel has ended.
async fn all<T>(receiver: &mut Receiver<T>) -> Vec<T> {
    let mut received = Vec::new();
    while let Some(value) = receiver.recv().await {
        received.push(value);
    }
    received
}

/// Polls `future` once, lets the others go on, and drops it if it was not ready.
fn give_up<R>(future: impl Future<Output = R>) -> Option<R> {
    let mut future = pin!(future);
    let outcome = poll_once(future.as_mut(), Waker::noop());
    if outcome.is_pending() {
        thread::yield_now();
    }
    match outcome {
        Poll::Ready(output) => Some(output),
        Poll::Pending => {
            note("drops the future");
            None
        }
    }
}

/// The number of values that the channel takes at once. Nobody else may use it.
fn room(sender: &Sender<usize>) -> usize {
    (0..10)
        .take_while(|&value| sender.try_send(value).is_ok())
        .count()
}

fn senders(capacity: usize, count: usize) {
    const VALUES: usize = 3;
    randomized(move || {
        let (sender, mut receiver) = channel(capacity);
        let tasks = (0..count)
            .map(|number| {
                let sender = sender.clone();
                task(async move {
                    for value in 0..VALUES {
                        sender
                            .send((number, value))
                            .await
                            .expect("the receiver is there");
                    }
                })
            })
            .collect();
        drop(sender);
        let received = block_on(all(&mut receiver));
        join(tasks);
        assert_fifo_per_producer(&received);
        let sent = (0..count).flat_map(|number| (0..VALUES).map(move |value| (number, value)));
        assert_conserved(sent, received);
    });
}

#[test]
fn two_senders_through_one_place() {
    senders(1, 2);
}

#[test]
fn three_senders_through_two_places() {
    senders(2, 3);
}

#[test]
fn one_task_may_have_both_ends() {
    const VALUES: usize = 3;
    randomized(|| {
        let (sender, mut receiver) = channel(1);
        let received = block_on(async move {
            let mut send = pin!(async move {
                for value in 0..VALUES {
                    sender.send(value).await.expect("the receiver is there");
                }
            });
            let mut recv = pin!(all(&mut receiver));
            let mut sending = true;
            // Both halves are polled whichever of them was woken.
            poll_fn(move |context| {
                if sending {
                    sending = send.as_mut().poll(context).is_pending();
                }
                recv.as_mut().poll(context)
            })
            .await
        });
        assert_eq!(
            received,
            [0, 1, 2],
            "a task that sends to itself and receives must get what it has sent"
        );
    });
}

#[test]
fn a_send_that_gives_up_keeps_no_place() {
    randomized(|| {
        let (sender, mut receiver) = channel(1);
        let impatient = {
            let sender = sender.clone();
            thread::spawn(move || {
                (0..3)
                    .filter(|&value| give_up(sender.send(value)).is_some())
                    .collect::<Vec<_>>()
            })
        };
        let mut received = Vec::new();
        for _ in 0..3 {
            received.extend(receiver.try_recv());
            thread::yield_now();
        }
        let sent = impatient.join().unwrap();
        received.extend(std::iter::from_fn(|| receiver.try_recv().ok()));
        assert_eq!(
            received, sent,
            "what was received, and what was sent by those that had the patience"
        );
        assert_eq!(
            room(&sender),
            1,
            "the channel is empty and nobody waits: a send that was dropped has taken its place with it, or left one too \
             many"
        );
    });
}

#[test]
fn a_turn_that_is_given_up_goes_to_the_next() {
    randomized(|| {
        let (sender, mut receiver) = channel(1);
        assert_eq!(sender.try_send(0), Ok(()), "there is a place");
        let impatient = {
            let sender = sender.clone();
            thread::spawn(move || {
                let sent = give_up(sender.send(1)).is_some();
                let reserved = give_up(sender.reserve()).is_some();
                (sent, reserved)
            })
        };
        let patient = task(async move { sender.send(2).await });
        let received = block_on(all(&mut receiver));
        let (sent, _reserved) = impatient.join().unwrap();
        assert_eq!(patient.join().unwrap(), Ok(()), "the receiver is there");
        assert_conserved([0, 2].into_iter().chain(sent.then_some(1)), received);
    });
}

#[test]
fn a_recv_that_gives_up_loses_no_value() {
    const VALUES: usize = 3;
    randomized(|| {
        let (sender, mut receiver) = channel(1);
        let sending = task(async move {
            for value in 0..VALUES {
                sender.send(value).await.expect("the receiver is there");
            }
        });
        let mut received = Vec::new();
        for _ in 0..2 {
            received.extend(give_up(receiver.recv()).flatten());
        }
        received.extend(block_on(all(&mut receiver)));
        sending.join().unwrap();
        assert_eq!(
            received,
            [0, 1, 2],
            "a recv that was dropped while it was pending has taken a value with it"
        );
    });
}

#[test]
fn a_permit_is_used_or_given_back() {
    randomized(|| {
        let (sender, mut receiver) = channel(1);
        let tasks = (0..2)
            .map(|number| {
                let sender = sender.clone();
                task(async move {
                    drop(sender.reserve().await.expect("the receiver is there"));
                    let permit = sender.reserve().await.expect("the receiver is there");
                    thread::yield_now();
                    permit.send(number);
                })
            })
            .collect();
        drop(sender);
        let received = block_on(all(&mut receiver));
        join(tasks);
        assert_conserved(0..2, received);
    });
}

/// Three tasks send until they are refused; the receiver ends the channel while they do.
fn ends_while_tasks_send(
    end: impl Fn(Receiver<usize>) -> Vec<usize> + Send + Sync + 'static,
    keeps: bool,
) {
    randomized(move || {
        let (sender, mut receiver) = channel(1);
        let tasks = (0..3)
            .map(|number| {
                let sender = sender.clone();
                task(async move {
                    let mut sent = Vec::new();
                    for value in [10 * number, 10 * number + 1] {
                        match sender.send(value).await {
                            Ok(()) => sent.push(value),
                            Err(SendError(back)) => {
                                assert_eq!(back, value, "send has failed with another value");
                                break;
                            }
                        }
                    }
                    sent
                })
            })
            .collect();
        drop(sender);
        let mut received: Vec<_> = block_on(receiver.recv()).into_iter().collect();
        received.extend(end(receiver));
        let sent = join(tasks).into_iter().flatten();
        if keeps {
            // Whose send was Ok has its value received, and nobody else.
            assert_conserved(sent, received);
        }
    });
}

#[test]
fn close_accounts_for_every_value() {
    ends_while_tasks_send(
        |mut receiver| {
            receiver.close();
            block_on(all(&mut receiver))
        },
        true,
    );
}

#[test]
fn nobody_waits_for_a_receiver_that_is_gone() {
    ends_while_tasks_send(
        |receiver| {
            drop(receiver);
            Vec::new()
        },
        false,
    );
}

#[test]
fn a_closed_channel_waits_for_its_permits() {
    randomized(|| {
        let (sender, mut receiver) = channel(2);
        let holder = task(async move {
            let (Ok(first), Ok(second)) = (sender.reserve().await, sender.reserve().await) else {
                return Vec::new();
            };
            thread::yield_now();
            first.send(1);
            drop(second);
            vec![1]
        });
        thread::yield_now();
        receiver.close();
        let received = block_on(all(&mut receiver));
        assert_conserved(holder.join().unwrap(), received);
    });
}

#[test]
fn the_last_sender_ends_the_channel() {
    randomized(|| {
        let (sender, mut receiver) = channel::<usize>(1);
        let tasks = (0..2)
            .map(|_| {
                let sender = sender.clone();
                thread::spawn(move || drop(sender.clone()))
            })
            .collect();
        drop(sender);
        assert_eq!(
            block_on(receiver.recv()),
            None,
            "nothing was sent and all senders are gone"
        );
        join(tasks);
    });
}

/// A waker that uses the channel when it is woken or dropped, as one does whose task has a sender.
struct Meddler(Sender<usize>);

impl Meddler {
    fn meddle(&self) {
        drop(self.0.clone());
        let _ = self.0.try_send(100);
    }
}

impl Wake for Meddler {
    fn wake(self: Arc<Self>) {
        self.meddle();
    }
}

impl Drop for Meddler {
    fn drop(&mut self) {
        self.meddle();
    }
}

/// Polls `future` twice, each time with a meddler: the first one is dropped when the second one takes its place.
fn poll_with_meddlers<R>(future: Pin<&mut impl Future<Output = R>>, sender: &Sender<usize>) {
    let mut future = future;
    for _ in 0..2 {
        let waker = Waker::from(Arc::new(Meddler(sender.clone())));
        let polled = future.as_mut().poll(&mut Context::from_waker(&waker));
        assert!(
            polled.is_pending(),
            "it is ready, and there is nothing that it could have got"
        );
    }
}

/// A channel that is full.
fn full() -> (Sender<usize>, Receiver<usize>) {
    let (sender, receiver) = channel(1);
    assert_eq!(sender.try_send(0), Ok(()), "there is a place");
    (sender, receiver)
}

/// Nothing runs beside anything here. A lock that is held tells itself at once, as a deadlock of one.
fn alone(model: impl Fn() + Send + Sync + 'static) {
    Randomized::new().schedules(3).run(model);
}

#[test]
fn a_waker_may_use_the_channel_when_a_value_comes() {
    alone(|| {
        // With room for what the meddler sends, however often it is woken: a future may wake itself.
        let (sender, mut receiver) = channel(8);
        let mut recv = Box::pin(receiver.recv());
        let waker = Waker::from(Arc::new(Meddler(sender.clone())));
        let polled = recv.as_mut().poll(&mut Context::from_waker(&waker));
        assert!(
            polled.is_pending(),
            "it is ready, and there is nothing that it could have got"
        );
        drop(waker);
        assert_eq!(sender.try_send(1), Ok(()), "there is a place");
    });
}

#[test]
fn a_waker_may_use_the_channel_when_it_is_replaced() {
    alone(|| {
        // The old waker, kept by nobody else, is dropped by the poll that brings the new one.
        let (sender, mut receiver) = channel(1);
        let mut recv = Box::pin(receiver.recv());
        for _ in 0..2 {
            let waker = Waker::from(Arc::new(Meddler(sender.clone())));
            let _ = recv.as_mut().poll(&mut Context::from_waker(&waker));
        }
        drop(recv);
        let (sender, _receiver) = full();
        let mut send = Box::pin(sender.send(1));
        poll_with_meddlers(send.as_mut(), &sender);
    });
}

#[test]
fn a_waker_may_use_the_channel_when_a_place_is_free() {
    alone(|| {
        let (sender, mut receiver) = full();
        let mut sends = [1, 2, 3].map(|value| Box::pin(sender.send(value)));
        for send in &mut sends {
            poll_with_meddlers(send.as_mut(), &sender);
        }
        assert_eq!(receiver.try_recv(), Ok(0), "the oldest value");
        let [first, second, mut third] = sends;
        // It was the turn of the first. Then of the second.
        drop(first);
        drop(second);
        assert_eq!(block_on(third.as_mut()), Ok(()), "it is its turn");
        let mut fourth = Box::pin(sender.send(4));
        poll_with_meddlers(fourth.as_mut(), &sender);
        let received = block_on(receiver.recv());
        assert_eq!(received, Some(3), "the others were dropped unsent");
    });
}

#[test]
fn a_waker_may_use_the_channel_when_it_ends() {
    for closes in [true, false] {
        alone(move || {
            let (sender, mut receiver) = full();
            let mut sends = [1, 2].map(|value| Box::pin(sender.send(value)));
            for send in &mut sends {
                poll_with_meddlers(send.as_mut(), &sender);
            }
            if closes {
                receiver.close();
            }
            drop(receiver);
        });
    }
}

/// What an executor does inside of `wake`, on the thread of whoever wakes.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Inside {
    /// Polls the task at once.
    Polls,
    /// Drops the task: somebody else was faster.
    Drops,
    /// Nothing. The waker was the last to hold the task, which goes with it.
    LetsGo,
}

/// A task that is run by its own waker.
struct Inline {
    inside: Inside,
    /// `None` while it is polled, and in the end.
    future: Mutex<Option<Pin<Box<dyn Future<Output = ()> + Send>>>>,
    again: AtomicBool,
}

impl Inline {
    /// Begins the task, and polls it as long as it wakes itself.
    fn start(
        inside: Inside,
        future: impl Future<Output = ()> + Send + 'static,
    ) -> Option<Arc<Self>> {
        let task = Arc::new(Self {
            inside,
            future: Mutex::new(Some(Box::pin(future))),
            again: AtomicBool::new(false),
        });
        task.run();
        (inside != Inside::LetsGo).then_some(task)
    }

    fn take(&self) -> Option<Pin<Box<dyn Future<Output = ()> + Send>>> {
        self.future.lock().unwrap().take()
    }

    fn run(self: &Arc<Self>) {
        let Some(mut future) = self.take() else {
            return self.again.store(true, Relaxed);
        };
        loop {
            self.again.store(false, Relaxed);
            let waker = Waker::from(self.clone());
            if future
                .as_mut()
                .poll(&mut Context::from_waker(&waker))
                .is_ready()
            {
                return;
            }
            if !self.again.load(Relaxed) {
                break;
            }
        }
        *self.future.lock().unwrap() = Some(future);
    }
}

impl Wake for Inline {
    fn wake(self: Arc<Self>) {
        match self.inside {
            Inside::Polls => self.run(),
            Inside::Drops => match self.take() {
                Some(future) => drop(future),
                None => self.again.store(true, Relaxed),
            },
            Inside::LetsGo => self.again.store(true, Relaxed),
        }
    }
}

/// What has become of a task.
const WAITS: usize = 0;
const SERVED: usize = 1;
const TURNED_AWAY: usize = 2;

/// What ends the wait of a sender.
#[derive(Clone, Copy, Debug, PartialEq)]
enum PlaceEvent {
    TryRecv,
    Recv,
    /// One that has waited for longer gives its turn up.
    TurnGivenUp,
    PermitDropped,
    Close,
    ReceiverGone,
}

fn a_waker_may_end_a_wait_for_a_place(inside: Inside) {
    use PlaceEvent::{Close, PermitDropped, ReceiverGone, Recv, TryRecv, TurnGivenUp};
    for event in [
        TryRecv,
        Recv,
        TurnGivenUp,
        PermitDropped,
        Close,
        ReceiverGone,
    ] {
        for reserves in [false, true] {
            alone(move || {
                let (sender, mut receiver) = channel(1);
                let permit = if event == PermitDropped {
                    Some(block_on(sender.reserve()).expect("a place is free"))
                } else {
                    assert_eq!(sender.try_send(0), Ok(()), "there is a place");
                    None
                };
                let mut earlier = Box::pin(sender.send(100));
                if event == TurnGivenUp {
                    let waits = poll_once(earlier.as_mut(), Waker::noop()).is_pending();
                    assert!(waits, "the channel is full");
                }
                let outcome = Arc::new(AtomicUsize::new(WAITS));
                let task = Inline::start(inside, {
                    let (sender, outcome) = (sender.clone(), outcome.clone());
                    async move {
                        let served = if reserves {
                            sender.reserve().await.is_ok()
                        } else {
                            sender.send(1).await.is_ok()
                        };
                        outcome.store(if served { SERVED } else { TURNED_AWAY }, Relaxed);
                    }
                });
                match event {
                    TryRecv | TurnGivenUp => assert_eq!(receiver.try_recv(), Ok(0)),
                    Recv => assert_eq!(block_on(receiver.recv()), Some(0)),
                    PermitDropped => drop(permit),
                    Close => receiver.close(),
                    ReceiverGone => {
                        drop(receiver);
                        receiver = channel(1).1;
                    }
                }
                drop(earlier);
                let ends = matches!(event, Close | ReceiverGone);
                let expected = match inside {
                    Inside::Polls if ends => TURNED_AWAY,
                    Inside::Polls => SERVED,
                    Inside::Drops | Inside::LetsGo => WAITS,
                };
                assert_eq!(
                    outcome.load(Relaxed),
                    expected,
                    "after {event:?}, for a task whose executor does this inside of `wake`: {inside:?} (0: it waits or is \
                     gone, 1: it was served, 2: it was turned away)"
                );
                drop(task);
                if !ends {
                    while receiver.try_recv().is_ok() {}
                    assert_eq!(
                        room(&sender),
                        1,
                        "a task was woken for a place, ended inside of `wake`, and the place is lost or counted twice \
                         ({event:?})"
                    );
                }
            });
        }
    }
}

#[test]
fn a_waker_may_poll_a_task_that_waits_for_a_place() {
    a_waker_may_end_a_wait_for_a_place(Inside::Polls);
}

#[test]
fn a_waker_may_drop_a_task_that_waits_for_a_place() {
    a_waker_may_end_a_wait_for_a_place(Inside::Drops);
}

#[test]
fn a_waker_may_be_the_last_to_hold_a_task_that_waits_for_a_place() {
    a_waker_may_end_a_wait_for_a_place(Inside::LetsGo);
}

/// What ends the wait of a receiver.
#[derive(Clone, Copy, Debug, PartialEq)]
enum ValueEvent {
    TrySend,
    Send,
    PermitUsed,
    LastSender,
    /// In a closed channel.
    LastPermit,
}

fn a_waker_may_end_a_wait_for_a_value(inside: Inside) {
    use ValueEvent::{LastPermit, LastSender, PermitUsed, Send, TrySend};
    for event in [TrySend, Send, PermitUsed, LastSender, LastPermit] {
        alone(move || {
            let (sender, mut receiver) = channel(2);
            let holder = matches!(event, PermitUsed | LastPermit).then(|| sender.clone());
            let permit = holder
                .as_ref()
                .map(|holder| block_on(holder.reserve()).expect("a place is free"));
            if event == LastPermit {
                receiver.close();
            }
            let outcome = Arc::new(AtomicUsize::new(WAITS));
            let task = Inline::start(inside, {
                let outcome = outcome.clone();
                // The receiver goes with the task.
                async move {
                    let received = receiver.recv().await;
                    outcome.store(received.map_or(TURNED_AWAY, |_| SERVED), Relaxed);
                }
            });
            match event {
                TrySend => drop(sender.try_send(1)),
                Send => drop(block_on(sender.send(1))),
                PermitUsed => permit.expect("it was reserved").send(1),
                LastPermit => drop(permit),
                LastSender => drop(sender),
            }
            let expected = match (inside, event) {
                (Inside::Drops | Inside::LetsGo, _) => WAITS,
                (Inside::Polls, LastSender | LastPermit) => TURNED_AWAY,
                (Inside::Polls, _) => SERVED,
            };
            assert_eq!(
                outcome.load(Relaxed),
                expected,
                "after {event:?}, for a task whose executor does this inside of `wake`: {inside:?} (0: it waits or is \
                 gone, 1: it has received, 2: it was told of the end)"
            );
            drop(task);
        });
    }
}

#[test]
fn a_waker_may_poll_a_task_that_waits_for_a_value() {
    a_waker_may_end_a_wait_for_a_value(Inside::Polls);
}

#[test]
fn a_waker_may_drop_a_task_that_waits_for_a_value() {
    a_waker_may_end_a_wait_for_a_value(Inside::Drops);
}

#[test]
fn a_waker_may_be_the_last_to_hold_a_task_that_waits_for_a_value() {
    a_waker_may_end_a_wait_for_a_value(Inside::LetsGo);
}

/// A value with a sender of the channel that it is sent through, such as a request that may be put back.
struct Request(#[allow(dead_code)] Option<Sender<Request>>);

#[test]
fn a_value_may_hold_a_sender() {
    randomized(|| {
        let (sender, mut receiver) = channel(2);
        for _ in 0..2 {
            assert!(sender.try_send(Request(Some(sender.clone()))).is_ok());
        }
        assert!(
            matches!(
                sender.try_send(Request(Some(sender.clone()))),
                Err(TrySendError::Full(_))
            ),
            "the channel is full"
        );
        drop(receiver.try_recv());
        assert!(sender.try_send(Request(Some(sender.clone()))).is_ok());
        let permit = {
            drop(receiver.try_recv());
            block_on(sender.reserve()).expect("a place is free")
        };
        // Its values are dropped, and with each a sender.
        drop(receiver);
        permit.send(Request(Some(sender.clone())));
    });
}

#[test]
fn try_recv_tells_empty_from_ended() {
    randomized(|| {
        let (sender, mut receiver) = channel(1);
        let sending = thread::spawn(move || sender.try_send(1));
        let mut received = Vec::new();
        loop {
            match receiver.try_recv() {
                Ok(value) => received.push(value),
                Err(TryRecvError::Empty) => thread::yield_now(),
                Err(TryRecvError::Disconnected) => break,
            }
        }
        assert_eq!(sending.join().unwrap(), Ok(()), "there is a place");
        assert_eq!(
            received,
            [1],
            "the channel has ended, and one value was sent before"
        );
    });
}
