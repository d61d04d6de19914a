//! A semaphore of permits beside a queue of values, as tokio builds its channel: each is right by itself and knows nothing of
//! the other, and has a lock of its own. Who waits has a node, whose state is an atomic; the receiver is woken through a slot
//! beside the two.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::task::{Poll, Waker};

use kata::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};
use kata::sync::atomic::{AtomicU8, AtomicUsize};
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

// Permits.

const WAITS: u8 = 0;
const SERVED: u8 = 1;
const REFUSED: u8 = 2;

/// Somebody who waits for a permit.
struct Waiter {
    /// Changed under the lock of the queue only. Release there, Acquire where it is read without.
    state: AtomicU8,
    waker: Mutex<Option<Waker>>,
}

struct Queue {
    permits: usize,
    waiters: VecDeque<Arc<Waiter>>,
    closed: bool,
}

struct Semaphore {
    queue: Mutex<Queue>,
}

impl Semaphore {
    fn new(permits: usize) -> Self {
        Self {
            queue: Mutex::new(Queue {
                permits,
                waiters: VecDeque::new(),
                closed: false,
            }),
        }
    }

    /// `Err` if closed, `Ok(false)` if there is none.
    fn try_acquire(&self) -> Result<bool, ()> {
        let mut queue = self.queue.lock().unwrap();
        if queue.closed {
            return Err(());
        }
        let free = queue.permits > 0;
        queue.permits -= usize::from(free);
        Ok(free)
    }

    fn release(&self) {
        let mut queue = self.queue.lock().unwrap();
        let next = if queue.closed {
            None
        } else {
            queue.waiters.pop_front()
        };
        let Some(next) = next else {
            queue.permits += 1;
            return;
        };
        next.state.store(SERVED, Release); // pairs with the Acquire in `Turn::poll` and in its drop
        drop(queue);
        next.wake();
    }

    fn close(&self) {
        let mut queue = self.queue.lock().unwrap();
        queue.closed = true;
        let refused = std::mem::take(&mut queue.waiters);
        for waiter in &refused {
            waiter.state.store(REFUSED, Release); // as in `release`
        }
        drop(queue);
        for waiter in refused {
            waiter.wake();
        }
    }

    fn permits(&self) -> usize {
        self.queue.lock().unwrap().permits
    }
}

impl Waiter {
    fn wake(&self) {
        let waker = self.waker.lock().unwrap().take();
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

struct Turn<'a, T> {
    channel: &'a Channel<T>,
    waiter: Option<Arc<Waiter>>,
}

impl<T> Turn<'_, T> {
    fn poll(&mut self, waker: &Waker) -> Poll<Result<(), ()>> {
        let waiter = match &self.waiter {
            Some(waiter) => waiter,
            None => {
                let waiter = Arc::new(Waiter {
                    state: AtomicU8::new(WAITS),
                    waker: Mutex::new(Some(waker.clone())),
                });
                let mut queue = self.channel.semaphore.queue.lock().unwrap();
                if queue.closed {
                    return Poll::Ready(Err(()));
                }
                if queue.permits > 0 {
                    queue.permits -= 1;
                    return Poll::Ready(Ok(()));
                }
                queue.waiters.push_back(waiter.clone());
                drop(queue);
                self.waiter = Some(waiter);
                return Poll::Pending;
            }
        };
        let mut kept = Some(waker.clone());
        let mut slot = waiter.waker.lock().unwrap();
        std::mem::swap(&mut *slot, &mut kept);
        drop(slot);
        // After the waker is in place: whoever changes the state takes the waker after that. Acquire: pairs with the
        // Release of `release` and `close`.
        let state = waiter.state.load(Acquire);
        if state == WAITS {
            return Poll::Pending;
        }
        self.waiter = None;
        Poll::Ready(if state == SERVED { Ok(()) } else { Err(()) })
    }
}

impl<T> Drop for Turn<'_, T> {
    fn drop(&mut self) {
        let Some(waiter) = self.waiter.take() else {
            return;
        };
        let mut queue = self.channel.semaphore.queue.lock().unwrap();
        let place = queue
            .waiters
            .iter()
            .position(|other| Arc::ptr_eq(other, &waiter));
        let left = place.and_then(|place| queue.waiters.remove(place));
        drop(queue);
        drop(left);
        // Acquire: pairs with the Release of `release`.
        if waiter.state.load(Acquire) == SERVED {
            self.channel.give_back();
        }
    }
}

// Values.

struct Values<T> {
    queue: VecDeque<T>,
    /// The receiver has taken all there was, and nobody will come for more.
    gone: bool,
}

struct Channel<T> {
    semaphore: Semaphore,
    capacity: usize,
    values: Mutex<Values<T>>,
    receiver: Mutex<Option<Waker>>,
    senders: AtomicUsize,
}

impl<T> Channel<T> {
    fn wake_receiver(&self) {
        let waker = self.receiver.lock().unwrap().take();
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// A permit that was not used. It may be the last one that the receiver waits for.
    fn give_back(&self) {
        self.semaphore.release();
        self.wake_receiver();
    }

    fn idle(&self) -> bool {
        // Acquire: pairs with the Release in a sender's drop: all it has sent is in the queue.
        self.senders.load(Acquire) == 0
            || (self.semaphore.queue.lock().unwrap().closed
                && self.semaphore.permits() == self.capacity)
    }

    fn pop(&self) -> Option<T> {
        self.values.lock().unwrap().queue.pop_front()
    }

    fn take(&self) -> Result<T, TryRecvError> {
        if let Some(value) = self.pop() {
            self.semaphore.release();
            return Ok(value);
        }
        if !self.idle() {
            return Err(TryRecvError::Empty);
        }
        // Something may have come in before the last of them went.
        let value = self.pop().ok_or(TryRecvError::Disconnected)?;
        self.semaphore.release();
        Ok(value)
    }

    fn send(&self, value: T) {
        let mut values = self.values.lock().unwrap();
        if values.gone {
            return; // The lock is released, and then `value` is dropped.
        }
        values.queue.push_back(value);
        drop(values);
        self.wake_receiver();
    }
}

pub fn channel<T>(capacity: usize) -> (Sender<T>, Receiver<T>) {
    assert_ne!(capacity, 0, "the capacity of a channel must be at least 1");
    let channel = Arc::new(Channel {
        semaphore: Semaphore::new(capacity),
        capacity,
        values: Mutex::new(Values {
            queue: VecDeque::new(),
            gone: false,
        }),
        receiver: Mutex::new(None),
        senders: AtomicUsize::new(1),
    });
    (
        Sender {
            channel: channel.clone(),
        },
        Receiver { channel },
    )
}

pub struct Sender<T> {
    channel: Arc<Channel<T>>,
}

impl<T> Sender<T> {
    pub async fn send(&self, value: T) -> Result<(), SendError<T>> {
        match self.reserve().await {
            Ok(permit) => permit.send(value),
            Err(_) => return Err(SendError(value)),
        }
        Ok(())
    }

    pub fn try_send(&self, value: T) -> Result<(), TrySendError<T>> {
        match self.channel.semaphore.try_acquire() {
            Ok(true) => {
                self.channel.send(value);
                Ok(())
            }
            Ok(false) => Err(TrySendError::Full(value)),
            Err(()) => Err(TrySendError::Closed(value)),
        }
    }

    pub async fn reserve(&self) -> Result<Permit<'_, T>, SendError<()>> {
        let mut turn = Turn {
            channel: &self.channel,
            waiter: None,
        };
        let served = poll_fn(|context| turn.poll(context.waker())).await;
        served.map_err(SendError)?;
        Ok(Permit {
            channel: &self.channel,
        })
    }
}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Self {
        self.channel.senders.fetch_add(1, Relaxed);
        Self {
            channel: self.channel.clone(),
        }
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        // AcqRel: pairs with the Acquire in `idle`, and passes on what the other senders have released.
        if self.channel.senders.fetch_sub(1, AcqRel) == 1 {
            self.channel.wake_receiver();
        }
    }
}

#[must_use = "a permit that is dropped gives its place back"]
pub struct Permit<'a, T> {
    channel: &'a Channel<T>,
}

impl<T> Permit<'_, T> {
    pub fn send(self, value: T) {
        let channel = self.channel;
        std::mem::forget(self);
        channel.send(value);
    }
}

impl<T> Drop for Permit<'_, T> {
    fn drop(&mut self) {
        self.channel.give_back();
    }
}

pub struct Receiver<T> {
    channel: Arc<Channel<T>>,
}

/// Takes the waker of a `recv` out of the channel, however the `recv` ends.
struct Waits<'a>(&'a Mutex<Option<Waker>>);

impl Drop for Waits<'_> {
    fn drop(&mut self) {
        let waker = self.0.lock().unwrap().take();
        drop(waker);
    }
}

impl<T> Receiver<T> {
    pub async fn recv(&mut self) -> Option<T> {
        let _waits = Waits(&self.channel.receiver);
        poll_fn(|context| {
            let mut waker = Some(context.waker().clone());
            let mut slot = self.channel.receiver.lock().unwrap();
            std::mem::swap(&mut *slot, &mut waker);
            drop(slot);
            // After the waker is in place. Who sends does it the other way round.
            match self.channel.take() {
                Ok(value) => Poll::Ready(Some(value)),
                Err(TryRecvError::Empty) => Poll::Pending,
                Err(TryRecvError::Disconnected) => Poll::Ready(None),
            }
        })
        .await
    }

    pub fn try_recv(&mut self) -> Result<T, TryRecvError> {
        self.channel.take()
    }

    pub fn close(&mut self) {
        self.channel.semaphore.close();
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        self.channel.semaphore.close();
        let mut values = self.channel.values.lock().unwrap();
        values.gone = true;
        let left = std::mem::take(&mut values.queue);
        drop(values);
        drop(left);
    }
}
