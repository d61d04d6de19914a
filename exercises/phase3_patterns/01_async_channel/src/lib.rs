//! A bounded queue from many tasks to one, whose ends wait without blocking a thread. The task is in `README.md`.
#![allow(dead_code, unused_variables)] // Delete this line when you start: from then on the compiler helps you.

use std::collections::VecDeque;

use kata::sync::{Arc, Mutex};

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

struct State<T> {
    /// Sent and not yet received, oldest first.
    values: VecDeque<T>,
    // Whatever else there is to know.
}

/// A channel with places for `capacity` values, as its two ends.
///
/// Values come out in the order in which they were sent. Memory is taken for values when they come and not before, so
/// `usize::MAX` is as good as no bound.
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
    todo!()
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
        todo!()
    }

    /// Puts `value` into the channel if that can be done now, and nobody waits who came earlier.
    ///
    /// # Errors
    ///
    /// With the value if there is no place for it, or the receiver is gone or has closed the channel.
    pub fn try_send(&self, value: T) -> Result<(), TrySendError<T>> {
        todo!()
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
        todo!()
    }
}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Self {
        todo!()
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        todo!()
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
        todo!()
    }
}

impl<T> Drop for Permit<'_, T> {
    fn drop(&mut self) {
        todo!()
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
        todo!()
    }

    /// Takes the oldest value if there is one now.
    ///
    /// # Errors
    ///
    /// If there is none.
    pub fn try_recv(&mut self) -> Result<T, TryRecvError> {
        todo!()
    }

    /// Ends the sending. Values that were sent can still be received, and permits that were given can still be used; who
    /// waits for a place gets an error, and so does everybody who comes later.
    pub fn close(&mut self) {
        todo!()
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        todo!()
    }
}
