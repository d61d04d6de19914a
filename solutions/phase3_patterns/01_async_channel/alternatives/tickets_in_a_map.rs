//! A bounded queue from many tasks to one, whose ends wait without blocking a thread. Waiters stand in a map from ticket
//! to waker, and nothing is handed to them: who has fewer before it than there are free places may take one, so a place
//! that is given back and a waiter that leaves both make one more waiter served, the one to wake. A `recv` that finds nothing
//! lets other tasks go first, once, before it waits.

use std::collections::{BTreeMap, VecDeque};
use std::future::{Future, poll_fn};
use std::mem::{self, ManuallyDrop};
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use kata::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The receiver is gone, or has closed the channel. The value comes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SendError<T>(pub T);

/// Why a value could not be sent at once. It comes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TrySendError<T> {
    /// There is no place for it, or others have waited for one longer.
    Full(T),
    /// The receiver is gone, or has closed the channel.
    Closed(T),
}

/// Why no value could be received at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TryRecvError {
    /// There is no value, but there may be one later.
    Empty,
    /// There is no value, and there will never be one again.
    Disconnected,
}

/// What the handles share.
struct Channel<T> {
    state: Mutex<State<T>>,
}

impl<T> Channel<T> {
    #[track_caller]
    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a place if one is free and not due to somebody who waits.
    fn try_reserve(&self) -> Result<Permit<'_, T>, TrySendError<()>> {
        let mut state = self.lock();
        if state.end != End::Open {
            Err(TrySendError::Closed(()))
        } else if state.is_served(u64::MAX) {
            state.free -= 1;
            Ok(Permit { channel: self })
        } else {
            Err(TrySendError::Full(()))
        }
    }
}

/// What the receiver has said.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    Open,
    Closed,
    Gone,
}

struct State<T> {
    /// Sent and not yet received, oldest first.
    values: VecDeque<T>,
    capacity: usize,
    /// Places without a value or a permit. The first `free` of those who wait may take one each.
    free: usize,
    /// Who waits for a place, by the order of the first polls. Who has been woken has no waker any more.
    waiting: BTreeMap<u64, Option<Waker>>,
    tickets: u64,
    receiver: Option<Waker>,
    senders: usize,
    end: End,
}

impl<T> State<T> {
    /// Whether there is a place for `ticket` besides those for whoever came earlier. Once true, it stays so until the
    /// ticket is given up: nobody but the served takes a place.
    fn is_served(&self, ticket: u64) -> bool {
        self.waiting.range(..ticket).take(self.free).count() < self.free
    }

    /// The last of the served, unless it has been woken already. To be called, and the waker woken, after `free` has grown
    /// and after somebody has left `waiting`.
    #[must_use]
    fn newly_served(&mut self) -> Option<Waker> {
        let last = self.free.checked_sub(1)?;
        self.waiting.values_mut().nth(last)?.take()
    }

    /// The oldest value, and who is to be woken for its place.
    fn pop(&mut self) -> (Result<T, TryRecvError>, Option<Waker>) {
        if let Some(value) = self.values.pop_front() {
            self.free += 1;
            (Ok(value), self.newly_served())
        } else if self.senders == 0 || self.is_spent() {
            (Err(TryRecvError::Disconnected), None)
        } else {
            (Err(TryRecvError::Empty), None)
        }
    }

    /// Whether the channel is closed and no permit is out, given that there is no value in it.
    fn is_spent(&self) -> bool {
        self.end != End::Open && self.free == self.capacity
    }
}

/// Must not be called with the lock in hand.
fn wake(wakers: impl IntoIterator<Item = Waker>) {
    wakers.into_iter().for_each(Waker::wake);
}

/// Waits for a place. Between two polls it holds its ticket, and with it the place that is due to it, if any.
struct Reserve<'a, T> {
    channel: &'a Channel<T>,
    ticket: Option<u64>,
}

impl<'a, T> Future for Reserve<'a, T> {
    type Output = Result<Permit<'a, T>, SendError<()>>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let channel = self.channel;
        let mut state = channel.lock();
        let ticket = self.ticket.unwrap_or(state.tickets);
        let (result, old) = if state.end != End::Open {
            (Poll::Ready(Err(SendError(()))), None)
        } else if state.is_served(ticket) {
            state.free -= 1;
            (
                Poll::Ready(Ok(Permit { channel })),
                state.waiting.remove(&ticket),
            )
        } else {
            state.tickets = state.tickets.max(ticket + 1);
            (
                Poll::Pending,
                state.waiting.insert(ticket, Some(context.waker().clone())),
            )
        };
        drop(state);
        self.ticket = result.is_pending().then_some(ticket);
        drop(old);
        result
    }
}

impl<T> Drop for Reserve<'_, T> {
    fn drop(&mut self) {
        if let Some(ticket) = self.ticket {
            let mut state = self.channel.lock();
            let own = state.waiting.remove(&ticket);
            let next = state.newly_served();
            drop(state);
            wake(next);
            drop(own);
        }
    }
}

/// A channel with places for `capacity` values, as its two ends.
///
/// Values come out in the order in which they were sent.
///
/// # Panics
///
/// With "the capacity of a channel must be at least 1" if `capacity` is 0.
///
/// # Examples
///
/// ```no_run
/// let (sender, mut receiver) = async_channel::channel(2);
/// kata::future::block_on(async {
///     sender.send('a').await.unwrap();
///     sender.send('b').await.unwrap();
///     drop(sender);
///
///     assert_eq!(receiver.recv().await, Some('a'));
///     assert_eq!(receiver.recv().await, Some('b'));
///     assert_eq!(receiver.recv().await, None);
/// });
/// ```
pub fn channel<T>(capacity: usize) -> (Sender<T>, Receiver<T>) {
    assert!(capacity > 0, "the capacity of a channel must be at least 1");
    let state = Mutex::new(State {
        values: VecDeque::new(),
        capacity,
        free: capacity,
        waiting: BTreeMap::new(),
        tickets: 0,
        receiver: None,
        senders: 1,
        end: End::Open,
    });
    let channel = Arc::new(Channel { state });
    (
        Sender {
            channel: channel.clone(),
        },
        Receiver { channel },
    )
}

/// The end that values go into. Clone it for as many senders as you like; the last one to go ends the channel.
pub struct Sender<T> {
    channel: Arc<Channel<T>>,
}

impl<T> Sender<T> {
    /// Waits for a place and puts `value` there.
    ///
    /// Places are given to those who wait in the order in which they were first polled. `Ok` does not mean that the value
    /// will be received: the receiver may go at any time.
    ///
    /// # Errors
    ///
    /// With the value if the receiver is gone or has closed the channel.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped before it is ready, the value is dropped with it and has not been sent. Its turn and its
    /// place go to the next who waits.
    pub async fn send(&self, value: T) -> Result<(), SendError<T>> {
        match self.reserve().await {
            Ok(permit) => {
                permit.send(value);
                Ok(())
            }
            Err(SendError(())) => Err(SendError(value)),
        }
    }

    /// Puts `value` into the channel if that can be done now, and nobody waits who came earlier.
    ///
    /// # Errors
    ///
    /// With the value if there is no place for it, or the receiver is gone or has closed the channel.
    pub fn try_send(&self, value: T) -> Result<(), TrySendError<T>> {
        match self.channel.try_reserve() {
            Ok(permit) => {
                permit.send(value);
                Ok(())
            }
            Err(TrySendError::Full(())) => Err(TrySendError::Full(value)),
            Err(TrySendError::Closed(())) => Err(TrySendError::Closed(value)),
        }
    }

    /// Waits for a place, and keeps it free until there is a value for it.
    ///
    /// # Errors
    ///
    /// If the receiver is gone or has closed the channel.
    ///
    /// # Cancel safety
    ///
    /// As for [`send`](Self::send).
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # use async_channel::Sender;
    /// # async fn next_job() -> u32 { 7 }
    /// /// Takes a job from elsewhere only when it is sure to get rid of it.
    /// async fn forward(sender: &Sender<u32>) {
    ///     while let Ok(permit) = sender.reserve().await {
    ///         permit.send(next_job().await);
    ///     }
    /// }
    /// ```
    pub async fn reserve(&self) -> Result<Permit<'_, T>, SendError<()>> {
        Reserve {
            channel: &self.channel,
            ticket: None,
        }
        .await
    }
}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Self {
        self.channel.lock().senders += 1;
        Self {
            channel: self.channel.clone(),
        }
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        let mut state = self.channel.lock();
        state.senders -= 1;
        let receiver = if state.senders == 0 {
            state.receiver.take()
        } else {
            None
        };
        drop(state);
        wake(receiver);
    }
}

/// A place in the channel that is kept free. Dropping it gives the place back.
#[must_use = "a permit that is dropped gives its place back"]
pub struct Permit<'a, T> {
    channel: &'a Channel<T>,
}

impl<T> Permit<'_, T> {
    /// Puts `value` into the place, also if the channel has been closed since. If the receiver is gone, `value` is dropped
    /// at once.
    pub fn send(self, value: T) {
        let channel = ManuallyDrop::new(self).channel;
        let mut state = channel.lock();
        if state.end == End::Gone {
            drop(state);
            return; // and `value` is dropped
        }
        state.values.push_back(value);
        let receiver = state.receiver.take();
        drop(state);
        wake(receiver);
    }
}

impl<T> Drop for Permit<'_, T> {
    fn drop(&mut self) {
        let mut state = self.channel.lock();
        state.free += 1;
        let next = state.newly_served();
        let receiver = if state.is_spent() {
            state.receiver.take()
        } else {
            None
        };
        drop(state);
        wake(next);
        wake(receiver);
    }
}

/// The end that values come out of. There is one.
///
/// Dropping it closes the channel and drops the values that nobody has received.
pub struct Receiver<T> {
    channel: Arc<Channel<T>>,
}

/// Takes the waker of a `recv` out of the channel, however the `recv` ends.
struct Waits<'a, T>(&'a Channel<T>);

impl<T> Drop for Waits<'_, T> {
    fn drop(&mut self) {
        let waker = self.0.lock().receiver.take();
        drop(waker);
    }
}

impl<T> Receiver<T> {
    /// Waits for a value. `None` when there is none and none will come: all senders are gone, or the channel was closed and
    /// no permit is left.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped before it is ready, no value is lost: the next call finds it.
    pub async fn recv(&mut self) -> Option<T> {
        let _waits = Waits(&self.channel);
        let mut waits = false;
        poll_fn(|context| {
            let mut state = self.channel.lock();
            let (result, next) = state.pop();
            let old = match result {
                Err(TryRecvError::Empty) => state.receiver.replace(context.waker().clone()),
                _ => None,
            };
            drop(state);
            wake(next);
            drop(old);
            match result {
                Ok(value) => Poll::Ready(Some(value)),
                Err(TryRecvError::Disconnected) => Poll::Ready(None),
                Err(TryRecvError::Empty) => {
                    if !mem::replace(&mut waits, true) {
                        context.waker().wake_by_ref();
                    }
                    Poll::Pending
                }
            }
        })
        .await
    }

    /// Takes the oldest value if there is one now.
    ///
    /// # Errors
    ///
    /// If there is none.
    pub fn try_recv(&mut self) -> Result<T, TryRecvError> {
        let (result, next) = self.channel.lock().pop();
        wake(next);
        result
    }

    /// Ends the sending. Values that were sent can still be received, and permits that were given can still be used; who
    /// waits for a place gets an error, and so does everybody who comes later.
    pub fn close(&mut self) {
        let mut state = self.channel.lock();
        state.end = End::Closed;
        let waiting = mem::take(&mut state.waiting);
        drop(state);
        wake(waiting.into_values().flatten());
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        let mut state = self.channel.lock();
        state.end = End::Gone;
        let waiting = mem::take(&mut state.waiting);
        let values = mem::take(&mut state.values);
        let own = state.receiver.take();
        drop(state);
        wake(waiting.into_values().flatten());
        drop((values, own));
    }
}
