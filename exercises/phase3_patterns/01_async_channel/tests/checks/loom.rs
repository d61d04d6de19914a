//! Every execution of two or three small tasks that C++20 allows without load buffering, within the bound on preemptions
//! that each check prints.
//!
//! Decides whether a wake can fall between a look and the sleep that follows, whether who receives is sure to see what the
//! sender wrote, and whether turns and wakes survive those who give up. Each task is a thread; each poll brings another
//! waker; in a second pass the tasks are polled without having been woken.
//! Does not decide what more than three tasks, or longer streams, can do to each other.

use std::pin::pin;
use std::sync::Arc;
use std::task::{Poll, Wake, Waker};

use async_channel::{Receiver, SendError, Sender, channel};
use kata::cell::UnsafeCell;
use kata::check::{Drops, Exhaustive, note, poll_once};
use kata::future::block_on;
use kata::thread::{self, JoinHandle};

/// A value whose contents the model watches: to read them without a happens-before from the thread that wrote them is a
/// data race.
struct Letter(UnsafeCell<usize>);

// SAFETY: no two threads share a letter. Said so that a `Sender` that is `Send` only for `T: Sync` fails the check that is
// about it (compile), and not the build of this one.
unsafe impl Sync for Letter {}

impl Letter {
    fn new(text: usize) -> Self {
        let letter = Self(UnsafeCell::new(0));
        // SAFETY: nobody else has the letter yet.
        letter.0.with_mut(|inside| unsafe { *inside = text });
        letter
    }

    fn read(self) -> usize {
        // SAFETY: the letter is ours. That nobody writes it any more is what the model is asked.
        self.0.with(|text| unsafe { *text })
    }
}

/// Explores all executions; where there are too many, two hundred with at most `preemptions` preemptions.
fn explore(preemptions: usize, model: impl Fn() + Send + Sync + 'static) {
    Exhaustive::new()
        .preemptions(preemptions)
        .executions(200)
        .run(model);
}

/// Sends the letters on a thread of its own. How many were taken.
fn send(sender: Sender<Letter>, letters: &'static [usize]) -> JoinHandle<usize> {
    thread::spawn(move || {
        block_on(async {
            let mut sent = 0;
            for &text in letters {
                if let Err(SendError(letter)) = sender.send(Letter::new(text)).await {
                    assert_eq!(letter.read(), text, "send has failed with another value");
                    break;
                }
                sent += 1;
            }
            sent
        })
    })
}

/// Receives until the channel has ended.
fn all(receiver: &mut Receiver<Letter>) -> Vec<usize> {
    block_on(async {
        let mut received = Vec::new();
        while let Some(letter) = receiver.recv().await {
            received.push(letter.read());
        }
        received
    })
}

#[test]
fn a_value_wakes_who_waits_for_it() {
    explore(3, || {
        let (sender, mut receiver) = channel(1);
        let sending = send(sender.clone(), &[1]);
        let received = block_on(receiver.recv()).map(Letter::read);
        assert_eq!(received, Some(1), "the value that was sent");
        assert_eq!(sending.join().unwrap(), 1);
    });
}

#[test]
fn a_free_place_wakes_who_waits_for_it() {
    explore(3, || {
        let (sender, mut receiver) = channel(1);
        assert!(sender.try_send(Letter::new(1)).is_ok(), "there is a place");
        let sending = send(sender.clone(), &[2]);
        let first = receiver.try_recv().map(Letter::read);
        assert_eq!(first, Ok(1), "the oldest value");
        assert_eq!(
            sending.join().unwrap(),
            1,
            "a place is free and the receiver is there"
        );
    });
}

#[test]
fn values_go_through_one_place_until_the_sender_is_gone() {
    explore(3, || {
        let (sender, mut receiver) = channel(1);
        let sending = send(sender, &[1, 2]);
        assert_eq!(
            all(&mut receiver),
            [1, 2],
            "two values were sent, then the sender went"
        );
        assert_eq!(sending.join().unwrap(), 2);
    });
}

#[test]
fn the_last_sender_wakes_the_receiver() {
    explore(3, || {
        let (sender, mut receiver) = channel::<Letter>(1);
        let other = sender.clone();
        let leaving = thread::spawn(move || drop(other));
        drop(sender);
        assert!(
            block_on(receiver.recv()).is_none(),
            "nothing was sent and both senders are gone"
        );
        leaving.join().unwrap();
    });
}

#[test]
fn the_receiver_wakes_who_waits_for_a_place() {
    for closes in [false, true] {
        explore(3, move || {
            let (sender, mut receiver) = channel(1);
            assert!(sender.try_send(Letter::new(1)).is_ok(), "there is a place");
            let sending = send(sender, &[2]);
            if closes {
                receiver.close();
                assert_eq!(sending.join().unwrap(), 0, "no place has become free");
                assert_eq!(all(&mut receiver), [1], "what was sent before the end");
            } else {
                drop(receiver);
                assert_eq!(sending.join().unwrap(), 0, "the receiver is gone");
            }
        });
    }
}

#[test]
fn a_turn_that_is_given_up_goes_to_the_next() {
    explore(3, || {
        let (sender, mut receiver) = channel(1);
        assert!(sender.try_send(Letter::new(1)).is_ok(), "there is a place");
        let patient = {
            let mut impatient = pin!(sender.send(Letter::new(2)));
            assert!(
                poll_once(impatient.as_mut(), Waker::noop()).is_pending(),
                "the channel is full"
            );
            let patient = send(sender.clone(), &[3]);
            assert_eq!(receiver.try_recv().map(Letter::read), Ok(1));
            // It is its turn.
            note("drops the future");
            patient
        };
        assert_eq!(
            patient.join().unwrap(),
            1,
            "the place is free and the receiver is there"
        );
    });
}

#[test]
fn a_send_that_gives_up_meets_a_free_place() {
    explore(3, || {
        let (sender, mut receiver) = channel(1);
        assert!(sender.try_send(Letter::new(1)).is_ok(), "there is a place");
        let receiving = thread::spawn(move || {
            let first = receiver.try_recv().map(Letter::read);
            assert_eq!(first, Ok(1), "the oldest value");
            receiver
        });
        let sent = {
            let mut send = pin!(sender.send(Letter::new(2)));
            let sent = poll_once(send.as_mut(), Waker::noop()).is_ready();
            note("drops the future");
            sent
        };
        let receiver = receiving.join().unwrap();
        assert_eq!(
            sender.try_send(Letter::new(3)).is_ok(),
            !sent,
            "there is one place, and it is free unless the send that was polled once was ready"
        );
        drop(receiver);
    });
}

#[test]
fn a_recv_that_gives_up_loses_no_value() {
    explore(3, || {
        let (sender, mut receiver) = channel(1);
        let sending = send(sender.clone(), &[1]);
        let early = {
            let mut recv = pin!(receiver.recv());
            match poll_once(recv.as_mut(), Waker::noop()) {
                Poll::Ready(letter) => letter,
                Poll::Pending => {
                    note("drops the future");
                    None
                }
            }
        };
        let letter = early.or_else(|| block_on(receiver.recv()));
        assert_eq!(
            letter.map(Letter::read),
            Some(1),
            "a recv that was dropped while it was pending has taken the value with it"
        );
        assert_eq!(sending.join().unwrap(), 1);
    });
}

#[test]
fn close_accounts_for_every_value() {
    explore(3, || {
        let (sender, mut receiver) = channel(1);
        let sending = send(sender, &[1, 2]);
        receiver.close();
        let received = all(&mut receiver);
        let sent = sending.join().unwrap();
        assert_eq!(
            received,
            (1..=sent).collect::<Vec<_>>(),
            "{sent} sends were Ok: those values must come out, and no others"
        );
    });
}

#[test]
fn two_senders_take_turns() {
    // There are too many executions to go through all of them.
    let exploration = Exhaustive::new().step_by_step();
    exploration.preemptions(2).executions(200).run(|| {
        let (sender, mut receiver) = channel(1);
        let senders = [send(sender.clone(), &[1]), send(sender, &[2])];
        let mut received = all(&mut receiver);
        received.sort_unstable();
        assert_eq!(received, [1, 2], "each of two senders has sent a value");
        for sending in senders {
            assert_eq!(sending.join().unwrap(), 1);
        }
    });
}

/// What a sender does once, on a thread of its own.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Call {
    Send,
    TrySend,
    PermitUsed,
    PermitDropped,
    /// Polls a send once and drops it.
    GivesUp,
}

const CALLS: [Call; 5] = [
    Call::Send,
    Call::TrySend,
    Call::PermitUsed,
    Call::PermitDropped,
    Call::GivesUp,
];

impl Call {
    /// Whether `text` was sent.
    fn make(self, sender: &Sender<Letter>, text: usize) -> bool {
        let letter = Letter::new(text);
        match self {
            Self::Send => block_on(sender.send(letter)).is_ok(),
            Self::TrySend => sender.try_send(letter).is_ok(),
            Self::PermitUsed => match block_on(sender.reserve()) {
                Ok(permit) => {
                    permit.send(letter);
                    true
                }
                Err(_) => false,
            },
            Self::PermitDropped => {
                drop(block_on(sender.reserve()));
                false
            }
            Self::GivesUp => {
                let mut send = pin!(sender.send(letter));
                let sent = poll_once(send.as_mut(), Waker::noop()) == Poll::Ready(Ok(()));
                note("drops the future");
                sent
            }
        }
    }
}

impl PartialEq for Letter {
    fn eq(&self, _: &Self) -> bool {
        unreachable!("only results of sends are compared")
    }
}

impl std::fmt::Debug for Letter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a letter")
    }
}

/// A call of a sender beside `other`, which the receiver does and which returns what it has received. The channel has a
/// place for one letter, which is free or taken.
fn a_call_meets(
    other: impl Fn(&mut Receiver<Letter>) -> Vec<usize> + Copy + Send + Sync + 'static,
    ends: bool,
) {
    for call in CALLS {
        for taken in [false, true] {
            explore(3, move || {
                let (sender, mut receiver) = channel(1);
                if taken {
                    assert!(sender.try_send(Letter::new(1)).is_ok(), "there is a place");
                }
                let sending = {
                    let sender = sender.clone();
                    thread::spawn(move || call.make(&sender, 2))
                };
                let mut received = other(&mut receiver);
                let sent = sending.join().unwrap();
                if !ends {
                    received.extend(std::iter::from_fn(|| {
                        receiver.try_recv().ok().map(Letter::read)
                    }));
                }
                let expected: Vec<usize> = [(taken, 1), (sent, 2)]
                    .into_iter()
                    .filter_map(|(there, text)| there.then_some(text))
                    .collect();
                assert_eq!(
                    received, expected,
                    "{call:?}: what was received before the end, and what was sent with Ok; 1 may have been there before"
                );
                assert_eq!(
                    sender.try_send(Letter::new(3)).is_ok(),
                    !ends,
                    "{call:?}: the channel is empty and nobody waits; a send succeeds unless the channel was closed"
                );
            });
        }
    }
}

#[test]
fn every_call_meets_try_recv() {
    a_call_meets(
        |receiver| receiver.try_recv().map(Letter::read).into_iter().collect(),
        false,
    );
}

#[test]
fn every_call_meets_a_recv_that_gives_up() {
    a_call_meets(
        |receiver| {
            let mut recv = pin!(receiver.recv());
            let received = match poll_once(recv.as_mut(), Waker::noop()) {
                Poll::Ready(letter) => letter.map(Letter::read),
                Poll::Pending => None,
            };
            note("drops the future");
            received.into_iter().collect()
        },
        false,
    );
}

#[test]
fn every_call_meets_close() {
    a_call_meets(
        |receiver| {
            receiver.close();
            // Told that nothing will come, it must be right.
            all(receiver)
        },
        true,
    );
}

#[test]
fn every_call_meets_the_receivers_end() {
    for call in CALLS {
        explore(3, move || {
            let drops = Drops::new();
            let (sender, receiver) = channel(1);
            let sending = {
                let sender = sender.clone();
                thread::spawn(move || {
                    let value = drops.token(1);
                    match call {
                        Call::Send => drop(block_on(sender.send(value))),
                        Call::TrySend => drop(sender.try_send(value)),
                        Call::PermitUsed => {
                            if let Ok(permit) = block_on(sender.reserve()) {
                                permit.send(value);
                            }
                        }
                        Call::PermitDropped => drop(block_on(sender.reserve())),
                        Call::GivesUp => {
                            let mut send = pin!(sender.send(value));
                            drop(poll_once(send.as_mut(), Waker::noop()));
                        }
                    }
                })
            };
            drop(receiver);
            sending.join().unwrap();
            assert_eq!(
                drops.dropped(),
                1,
                "{call:?}: the receiver is gone, and a value lives on with the senders: a request that holds a sender \
                 for its answer is never answered and never given up"
            );
            drop(sender);
            drops.assert_each_dropped_once();
        });
    }
}

/// A waker that does nothing. The number of its owners tells whether somebody holds it.
struct Idle;

impl Wake for Idle {
    fn wake(self: Arc<Self>) {}
}

#[test]
fn a_recv_that_gives_up_leaves_no_waker_beside_another_call() {
    for call in CALLS {
        explore(3, move || {
            let (sender, mut receiver) = channel(1);
            let owner = Arc::new(Idle);
            let sending = {
                let sender = sender.clone();
                thread::spawn(move || call.make(&sender, 1))
            };
            {
                let mut recv = pin!(receiver.recv());
                let received = poll_once(recv.as_mut(), &Waker::from(owner.clone()));
                drop(received);
                note("drops the future");
            }
            sending.join().unwrap();
            assert_eq!(
                Arc::strong_count(&owner),
                1,
                "{call:?} met a recv that gave up, and the channel keeps its waker: the memory of that task stays, and all \
                 that it owns"
            );
            drop(sender);
        });
    }
}

#[test]
fn two_calls_find_two_places() {
    for first in CALLS {
        for second in CALLS {
            explore(2, move || {
                let (sender, mut receiver) = channel(2);
                let sending = {
                    let sender = sender.clone();
                    thread::spawn(move || first.make(&sender, 1))
                };
                let sent = [second.make(&sender, 2), sending.join().unwrap()];
                let expected = [second, first].map(|call| call != Call::PermitDropped);
                assert_eq!(
                    sent, expected,
                    "{second:?} beside {first:?}: two calls, two free places, nobody waits, and one is told that the \
                     channel is full"
                );
                let mut received: Vec<_> =
                    std::iter::from_fn(|| receiver.try_recv().ok().map(Letter::read)).collect();
                received.sort_unstable();
                let expected: Vec<_> = [(1, expected[1]), (2, expected[0])]
                    .into_iter()
                    .filter_map(|(text, sent)| sent.then_some(text))
                    .collect();
                assert_eq!(received, expected, "{second:?} beside {first:?}");
            });
        }
    }
}

#[test]
fn a_value_is_found_beside_one_that_is_being_sent() {
    explore(3, || {
        let (sender, mut receiver) = channel(2);
        let sending = {
            let sender = sender.clone();
            thread::spawn(move || sender.try_send(Letter::new(1)).is_ok())
        };
        assert!(sender.try_send(Letter::new(2)).is_ok(), "there is a place");
        assert!(
            receiver.try_recv().map(Letter::read).is_ok(),
            "this thread has sent a letter with Ok and finds none: somebody else's, half sent, lies in front of it"
        );
        assert!(sending.join().unwrap(), "there is a place");
    });
}
