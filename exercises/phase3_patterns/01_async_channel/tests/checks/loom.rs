//! Every execution of two or three small tasks that the C11 memory model allows, within the bounds that each check prints.
//!
//! Decides whether a wake can fall between a look and the sleep that follows, whether who receives is sure to see what the
//! sender wrote, and whether turns and wakes survive those who give up. Each task is a thread; each poll brings another
//! waker; in a second pass the tasks are polled without having been woken.
//! Does not decide what more than three tasks, or longer streams, can do to each other.

use std::pin::pin;
use std::task::{Poll, Waker};

use async_channel::{Receiver, SendError, Sender, channel};
use kata::cell::UnsafeCell;
use kata::check::{Exhaustive, note, poll_once};
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

/// Explores with at most `preemptions` preemptions.
fn explore(preemptions: usize, model: impl Fn() + Send + Sync + 'static) {
    Exhaustive::new().preemptions(preemptions).run(model);
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
    explore(2, || {
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
