//! Real threads on your processors, each running one task.
//!
//! Decides whether values are lost, doubled, reordered or leaked here, and whether a task is left asleep: that shows as a
//! check that never ends.
//! Does not decide orderings: x86 forgives most of them. Does not prove anything: it samples.

use std::sync::Mutex;
use std::task::Waker;

use async_channel::{Receiver, Sender, channel};
use kata::check::{Drops, Stress, Token, assert_conserved, assert_fifo_per_producer, poll_once};
use kata::future::block_on;

const SENDERS: usize = 3;
const ROUNDS: usize = 200;
const VALUES: usize = 100;

/// The ends, for the threads to take.
struct Ends<T> {
    senders: Mutex<Vec<Sender<T>>>,
    receiver: Mutex<Option<Receiver<T>>>,
}

impl<T> Ends<T> {
    fn new(capacity: usize) -> Self {
        let (sender, receiver) = channel(capacity);
        let mut senders: Vec<_> = (1..SENDERS).map(|_| sender.clone()).collect();
        senders.push(sender);
        Self {
            senders: Mutex::new(senders),
            receiver: Mutex::new(Some(receiver)),
        }
    }

    fn sender(&self) -> Sender<T> {
        let sender = self.senders.lock().unwrap().pop();
        sender.expect("a sender for each thread")
    }

    fn receiver(&self) -> Receiver<T> {
        let receiver = self.receiver.lock().unwrap().take();
        receiver.expect("one receiver")
    }
}

#[test]
fn every_value_arrives_once_and_in_the_order_of_its_sender() {
    Stress::new(SENDERS + 1).rounds(ROUNDS).run(
        |round| Ends::new(1 + round % 5),
        |thread, ends| {
            let mut received = Vec::new();
            if thread < SENDERS {
                let sender = ends.sender();
                block_on(async {
                    for number in 0..VALUES {
                        if number % 8 == 7 {
                            // One that loses patience; whatever it was given is for the others.
                            let mut impatient = Box::pin(sender.send((thread, usize::MAX)));
                            if poll_once(impatient.as_mut(), Waker::noop()).is_ready() {
                                continue;
                            }
                        }
                        sender
                            .send((thread, number))
                            .await
                            .expect("the receiver is there");
                    }
                });
            } else {
                let mut receiver = ends.receiver();
                block_on(async {
                    while let Some(value) = receiver.recv().await {
                        received.push(value);
                    }
                });
            }
            received
        },
        |_ends, received| {
            let received: Vec<(usize, usize)> = received.into_iter().flatten().collect();
            // An impatient send that was ready at once stands for the number it has replaced.
            let numbers = |thread| {
                let own = received.iter().filter(move |(sender, _)| *sender == thread);
                own.map(|&(_, number)| number).collect::<Vec<_>>()
            };
            for thread in 0..SENDERS {
                let (got, expected) = (numbers(thread), (0..VALUES).collect::<Vec<_>>());
                assert_eq!(
                    got.len(),
                    VALUES,
                    "sender {thread} has sent {VALUES} values"
                );
                let replaced = |(got, expected): (&usize, &usize)| {
                    got == expected || (*got == usize::MAX && expected % 8 == 7)
                };
                assert!(
                    got.iter().zip(&expected).all(replaced),
                    "the values of sender {thread} were lost, doubled or reordered: {got:?}"
                );
            }
        },
    );
}

/// What the threads share when the drops are counted.
type Counted = (Drops, Ends<Token<(usize, usize)>>);

#[test]
fn each_value_is_dropped_once_whenever_the_receiver_goes() {
    Stress::new(SENDERS + 1).rounds(ROUNDS).run(
        |round| (Drops::new(), Ends::new(1 + round % 3)),
        |thread, (drops, ends): &Counted| {
            let mut received = Vec::new();
            if thread < SENDERS {
                let sender = ends.sender();
                let mut sent = 0;
                block_on(async {
                    while sender.send(drops.token((thread, sent))).await.is_ok() {
                        sent += 1;
                    }
                });
            } else {
                let mut receiver = ends.receiver();
                block_on(async {
                    for _ in 0..VALUES {
                        received.extend(receiver.recv().await.map(|token| *token));
                    }
                });
            }
            received
        },
        |(drops, _ends), received| {
            let received: Vec<(usize, usize)> = received.into_iter().flatten().collect();
            assert_eq!(received.len(), VALUES, "so many were received");
            assert_fifo_per_producer(&received);
            drops.assert_each_dropped_once();
        },
    );
}

#[test]
fn a_closed_channel_accounts_for_every_value() {
    Stress::new(SENDERS + 1).rounds(ROUNDS).run(
        |round| Ends::new(1 + round % 3),
        |thread, ends| {
            let mut values = Vec::new();
            if thread < SENDERS {
                let sender = ends.sender();
                block_on(async {
                    for number in 0.. {
                        let value = thread * 1_000_000 + number;
                        if sender.send(value).await.is_err() {
                            break;
                        }
                        values.push(value);
                    }
                });
            } else {
                let mut receiver = ends.receiver();
                block_on(async {
                    for _ in 0..VALUES {
                        values.extend(receiver.recv().await);
                    }
                    receiver.close();
                    while let Some(value) = receiver.recv().await {
                        values.push(value);
                    }
                });
            }
            values
        },
        |_ends, mut values| {
            let received = values.pop().expect("the receiver's");
            // Whose send was Ok before the end has its value received, and nobody else.
            assert_conserved(values.into_iter().flatten(), received);
        },
    );
}
