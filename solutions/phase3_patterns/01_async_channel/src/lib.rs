//! A bounded queue from many tasks to one, whose ends wait without blocking a thread.
//!
//! One lock guards all there is to know. A place that becomes free is handed to the task that has waited longest, past the
//! count of free places, as tokio's `batch_semaphore` does; who has been served is told by tickets, as in the ticket lock
//! of Mellor-Crummey and Scott (1991). What belongs to others, their wakers and values, is never called or dropped with
//! the lock in hand.

use std::collections::VecDeque;
use std::mem;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use kata::sync::{Arc, Mutex, MutexGuard};

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
    #[track_caller] // So that a timeline names the line that locks, and not this one.
    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().expect("nothing panics under the lock")
    }

    /// Gives a place back that no value has come into.
    fn give_back(&self) {
        let waker = self.lock().place_is_free();
        wake(waker);
    }
}

/// Every place is in one of four states: it is free, it holds a value, it is kept by a [`Permit`], or it has been handed to
/// a [`Reserve`] that has not been polled since. Only the number of the free ones is written down.
struct State<T> {
    capacity: usize,
    /// While the channel is open, nobody waits unless this is 0.
    free: usize,
    /// Sent and not yet received, oldest first.
    values: VecDeque<T>,
    /// Who waits for a place, first come, first served. A ticket that has left the queue has been served.
    waiting: VecDeque<Waiting>,
    next_ticket: u64,
    /// The task that waits for a value, until it is woken or gives up.
    receiver: Option<Waker>,
    receiver_is_gone: bool,
    closed: bool,
    senders: usize,
}

struct Waiting {
    ticket: u64,
    /// That of the latest poll, until the task has been told that the channel is closed.
    waker: Option<Waker>,
}

impl<T> State<T> {
    /// A place belongs to nobody any more. Whom to wake because of it.
    #[must_use]
    fn place_is_free(&mut self) -> Option<Waker> {
        if !self.closed
            && let Some(next) = self.waiting.pop_front()
        {
            return next.waker;
        }
        self.free += 1;
        // It may have been the last permit that the receiver had to wait for.
        self.is_finished().then(|| self.receiver.take()).flatten()
    }

    /// Takes a value, and says whom to wake because of the place it leaves.
    fn take(&mut self) -> Result<(T, Option<Waker>), TryRecvError> {
        match self.values.pop_front() {
            Some(value) => Ok((value, self.place_is_free())),
            None if self.is_finished() => Err(TryRecvError::Disconnected),
            None => Err(TryRecvError::Empty),
        }
    }

    /// Whether there is no value and none will come.
    fn is_finished(&self) -> bool {
        self.senders == 0 || (self.closed && self.free == self.capacity)
    }

    /// Where somebody with `ticket` stands in the queue.
    fn position(&self, ticket: u64) -> Option<usize> {
        let found = self.waiting.binary_search_by_key(&ticket, |it| it.ticket);
        found.ok()
    }

    /// Ends the sending, and says whom to wake because of it.
    #[must_use]
    fn close(&mut self) -> Vec<Waker> {
        self.closed = true;
        // They stay in the queue, or they would look as if they had been served.
        let wakers = self.waiting.iter_mut().filter_map(|it| it.waker.take());
        wakers.collect()
    }
}

/// Called without the lock: a waker is somebody else's code, and may use this very channel.
fn wake(wakers: impl IntoIterator<Item = Waker>) {
    wakers.into_iter().for_each(Waker::wake);
}

/// A channel with places for `capacity` values, as its two ends.
///
/// Values come out in the order in which they were sent. Memory is taken for values when they come and not before, so
/// `usize::MAX` is as good as no bound.
///
/// # Panics
///
/// With "the capacity of a channel must be at least 1" if `capacity` is 0.
pub fn channel<T>(capacity: usize) -> (Sender<T>, Receiver<T>) {
    assert!(capacity > 0, "the capacity of a channel must be at least 1");
    let channel = Arc::new(Channel {
        state: Mutex::new(State {
            capacity,
            free: capacity,
            values: VecDeque::new(),
            waiting: VecDeque::new(),
            next_ticket: 0,
            receiver: None,
            receiver_is_gone: false,
            closed: false,
            senders: 1,
        }),
    });
    let sender = Sender {
        channel: Arc::clone(&channel),
    };
    (sender, Receiver { channel })
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
        let mut state = self.channel.lock();
        if state.closed {
            return Err(TrySendError::Closed(value));
        }
        // Somebody who waits has no place to be robbed of: while one waits, none is free.
        if state.free == 0 {
            return Err(TrySendError::Full(value));
        }
        state.free -= 1;
        drop(state);
        self.permit().send(value);
        Ok(())
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
    pub async fn reserve(&self) -> Result<Permit<'_, T>, SendError<()>> {
        let reserve = Reserve {
            channel: &self.channel,
            ticket: None,
        };
        reserve.await?;
        Ok(self.permit())
    }

    /// Stands for a place that has been taken already.
    fn permit(&self) -> Permit<'_, T> {
        Permit {
            channel: &self.channel,
        }
    }
}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Self {
        self.channel.lock().senders += 1;
        Self {
            channel: Arc::clone(&self.channel),
        }
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        let mut state = self.channel.lock();
        state.senders -= 1;
        let waker = (state.senders == 0).then(|| state.receiver.take());
        drop(state);
        wake(waker.flatten());
    }
}

/// Waits for a place. Ready with `Ok`, it has taken one.
struct Reserve<'a, T> {
    channel: &'a Channel<T>,
    /// From the first poll until it is ready. In the queue it waits; out of the queue it has been handed a place.
    ticket: Option<u64>,
}

impl<T> Future for Reserve<'_, T> {
    type Output = Result<(), SendError<()>>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        // Cloned before the lock is taken. The one that it replaces ends up in here and is dropped after that.
        let mut waker = Some(context.waker().clone());
        let mut state = self.channel.lock();
        let Some(ticket) = self.ticket else {
            if state.closed {
                return Poll::Ready(Err(SendError(())));
            }
            if state.free > 0 {
                state.free -= 1;
                return Poll::Ready(Ok(()));
            }
            let ticket = state.next_ticket;
            state.next_ticket += 1;
            state.waiting.push_back(Waiting { ticket, waker });
            drop(state);
            self.ticket = Some(ticket);
            return Poll::Pending;
        };
        match state.position(ticket) {
            Some(position) if state.closed => {
                let left = state.waiting.remove(position);
                drop(state);
                drop(left);
                self.ticket = None;
                Poll::Ready(Err(SendError(())))
            }
            Some(position) => {
                mem::swap(&mut state.waiting[position].waker, &mut waker);
                drop(state);
                Poll::Pending
            }
            None => {
                drop(state);
                self.ticket = None;
                Poll::Ready(Ok(()))
            }
        }
    }
}

impl<T> Drop for Reserve<'_, T> {
    fn drop(&mut self) {
        let Some(ticket) = self.ticket else { return };
        let mut state = self.channel.lock();
        match state.position(ticket) {
            Some(position) => {
                let left = state.waiting.remove(position);
                drop(state);
                drop(left);
            }
            // It was handed a place, and perhaps woken: both go to the next one.
            None => {
                drop(state);
                self.channel.give_back();
            }
        }
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
        let mut state = self.channel.lock();
        if state.receiver_is_gone {
            return; // First the lock is released, then the value is dropped, and the permit.
        }
        state.values.push_back(value);
        let waker = state.receiver.take();
        drop(state);
        mem::forget(self); // The place is the value's now.
        wake(waker);
    }
}

impl<T> Drop for Permit<'_, T> {
    fn drop(&mut self) {
        self.channel.give_back();
    }
}

/// Waits for a value. It holds none between two polls, but its waker lies in the channel.
struct Recv<'a, T> {
    channel: &'a Channel<T>,
    /// Pending at the latest poll.
    waits: bool,
}

impl<T> Future for Recv<'_, T> {
    type Output = Option<T>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let mut waker = Some(context.waker().clone());
        let mut state = self.channel.lock();
        let taken = state.take();
        self.waits = false;
        match taken {
            Ok((value, next)) => {
                drop(state);
                wake(next);
                Poll::Ready(Some(value))
            }
            Err(TryRecvError::Disconnected) => Poll::Ready(None),
            Err(TryRecvError::Empty) => {
                // Under the lock under which it has looked, or a value could come in between and wake nobody.
                mem::swap(&mut state.receiver, &mut waker);
                drop(state);
                self.waits = true;
                Poll::Pending
            }
        }
    }
}

impl<T> Drop for Recv<'_, T> {
    fn drop(&mut self) {
        // Whatever ends a wait takes the waker out to wake it, so a recv that is ready has left none.
        if self.waits {
            let waker = self.channel.lock().receiver.take();
            drop(waker);
        }
    }
}

/// The end that values come out of. There is one.
///
/// Dropping it closes the channel and drops the values that nobody has received.
pub struct Receiver<T> {
    channel: Arc<Channel<T>>,
}

impl<T> Receiver<T> {
    /// Waits for a value. `None` when there is none and none will come: all senders are gone, or the channel was closed and
    /// no permit is left.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped before it is ready, no value is lost: the next call finds it. Its waker is not kept.
    pub async fn recv(&mut self) -> Option<T> {
        let recv = Recv {
            channel: &self.channel,
            waits: false,
        };
        recv.await
    }

    /// Takes the oldest value if there is one now.
    ///
    /// # Errors
    ///
    /// If there is none.
    pub fn try_recv(&mut self) -> Result<T, TryRecvError> {
        let taken = self.channel.lock().take();
        let (value, next) = taken?;
        wake(next);
        Ok(value)
    }

    /// Ends the sending. Values that were sent can still be received, and permits that were given can still be used; who
    /// waits for a place gets an error, and so does everybody who comes later.
    pub fn close(&mut self) {
        let wakers = self.channel.lock().close();
        wake(wakers);
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        let mut state = self.channel.lock();
        state.receiver_is_gone = true;
        let wakers = state.close();
        let values = mem::take(&mut state.values);
        let waker = state.receiver.take();
        drop(state);
        wake(wakers);
        // A value may hold whatever it likes, a sender of this channel included.
        drop((values, waker));
    }
}
