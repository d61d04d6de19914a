//! Everybody looks: whatever changes, all who wait are woken, and each finds out by itself whether it is among the first for
//! whom there is a place. No hand-over, nothing to forward, and many wakes in vain.

use std::collections::{BTreeMap, VecDeque};
use std::future::poll_fn;
use std::task::{Poll, Waker};

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

struct State<T> {
    values: VecDeque<T>,
    /// Places kept by permits.
    kept: usize,
    capacity: usize,
    /// Who waits for a place, by arrival, with the waker of its latest poll if that has not been woken.
    waiting: BTreeMap<u64, Option<Waker>>,
    arrivals: u64,
    receiver: Option<Waker>,
    senders: usize,
    open: bool,
    gone: bool,
}

impl<T> State<T> {
    fn free(&self) -> usize {
        self.capacity - self.values.len() - self.kept
    }

    fn over(&self) -> bool {
        self.values.is_empty() && (self.senders == 0 || (!self.open && self.kept == 0))
    }
}

struct Channel<T>(Mutex<State<T>>);

impl<T> Channel<T> {
    /// Runs `change` under the lock, and afterwards wakes everybody without it.
    fn change<R>(&self, change: impl FnOnce(&mut State<T>) -> R) -> R {
        let mut state = self.0.lock().unwrap();
        let result = change(&mut state);
        let mut wakers: Vec<Waker> = state
            .waiting
            .values_mut()
            .filter_map(Option::take)
            .collect();
        wakers.extend(state.receiver.take());
        drop(state);
        for waker in wakers {
            waker.wake();
        }
        result
    }
}

pub fn channel<T>(capacity: usize) -> (Sender<T>, Receiver<T>) {
    if capacity == 0 {
        panic!("the capacity of a channel must be at least 1");
    }
    let channel = Arc::new(Channel(Mutex::new(State {
        values: VecDeque::new(),
        kept: 0,
        capacity,
        waiting: BTreeMap::new(),
        arrivals: 0,
        receiver: None,
        senders: 1,
        open: true,
        gone: false,
    })));
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

/// Takes somebody out of those who wait, however the wait ends.
struct Place<'a, T> {
    channel: &'a Channel<T>,
    arrival: Option<u64>,
}

impl<T> Drop for Place<'_, T> {
    fn drop(&mut self) {
        if let Some(arrival) = self.arrival {
            let left = self.channel.change(|state| state.waiting.remove(&arrival));
            drop(left);
        }
    }
}

impl<T> Sender<T> {
    pub async fn send(&self, value: T) -> Result<(), SendError<T>> {
        if let Ok(permit) = self.reserve().await {
            permit.send(value);
            return Ok(());
        }
        Err(SendError(value))
    }

    pub fn try_send(&self, value: T) -> Result<(), TrySendError<T>> {
        let state = self.channel.0.lock().unwrap();
        if !state.open {
            return Err(TrySendError::Closed(value));
        }
        if state.free() <= state.waiting.len() {
            return Err(TrySendError::Full(value));
        }
        drop(state);
        self.channel.change(|state| {
            if !state.open {
                return Err(TrySendError::Closed(value));
            }
            if state.free() <= state.waiting.len() {
                return Err(TrySendError::Full(value));
            }
            state.values.push_back(value);
            Ok(())
        })
    }

    pub async fn reserve(&self) -> Result<Permit<'_, T>, SendError<()>> {
        let mut place = Place {
            channel: &self.channel,
            arrival: None,
        };
        poll_fn(|context| {
            let mut waker = Some(context.waker().clone());
            let mut state = self.channel.0.lock().unwrap();
            if !state.open {
                return Poll::Ready(Err(SendError(())));
            }
            let arrival = *place.arrival.get_or_insert_with(|| {
                state.arrivals += 1;
                let arrival = state.arrivals;
                state.waiting.insert(arrival, None);
                arrival
            });
            let before_me = state.waiting.range(..arrival).count();
            if before_me < state.free() {
                let left = state.waiting.remove(&arrival);
                state.kept += 1;
                drop(state);
                drop(left);
                place.arrival = None;
                return Poll::Ready(Ok(Permit {
                    channel: &self.channel,
                    used: false,
                }));
            }
            std::mem::swap(
                state.waiting.get_mut(&arrival).expect("entered"),
                &mut waker,
            );
            drop(state);
            Poll::Pending
        })
        .await
    }
}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Self {
        self.channel.0.lock().unwrap().senders += 1;
        Self {
            channel: self.channel.clone(),
        }
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        self.channel.change(|state| state.senders -= 1);
    }
}

#[must_use = "a permit that is dropped gives its place back"]
pub struct Permit<'a, T> {
    channel: &'a Channel<T>,
    used: bool,
}

impl<T> Permit<'_, T> {
    pub fn send(mut self, value: T) {
        self.used = true;
        let late = self.channel.change(|state| {
            state.kept -= 1;
            if state.gone {
                return Some(value);
            }
            state.values.push_back(value);
            None
        });
        drop(late);
    }
}

impl<T> Drop for Permit<'_, T> {
    fn drop(&mut self) {
        if !self.used {
            self.channel.change(|state| state.kept -= 1);
        }
    }
}

pub struct Receiver<T> {
    channel: Arc<Channel<T>>,
}

/// Takes the waker of a `recv` out of the channel, however the `recv` ends.
struct Waits<'a, T>(&'a Channel<T>);

impl<T> Drop for Waits<'_, T> {
    fn drop(&mut self) {
        let waker = self.0.0.lock().unwrap().receiver.take();
        drop(waker);
    }
}

impl<T> Receiver<T> {
    pub async fn recv(&mut self) -> Option<T> {
        let _waits = Waits(&self.channel);
        poll_fn(|context| {
            let mut waker = Some(context.waker().clone());
            let mut state = self.channel.0.lock().unwrap();
            if !state.values.is_empty() {
                drop(state);
                // Nobody else receives.
                return Poll::Ready(self.channel.change(|state| state.values.pop_front()));
            }
            if state.over() {
                return Poll::Ready(None);
            }
            std::mem::swap(&mut state.receiver, &mut waker);
            drop(state);
            Poll::Pending
        })
        .await
    }

    pub fn try_recv(&mut self) -> Result<T, TryRecvError> {
        let state = self.channel.0.lock().unwrap();
        let over = state.over();
        drop(state);
        match self.channel.change(|state| state.values.pop_front()) {
            Some(value) => Ok(value),
            None if over => Err(TryRecvError::Disconnected),
            None => Err(TryRecvError::Empty),
        }
    }

    pub fn close(&mut self) {
        self.channel.change(|state| state.open = false);
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        let values = self.channel.change(|state| {
            state.open = false;
            state.gone = true;
            std::mem::take(&mut state.values)
        });
        drop(values);
    }
}
