//! Futures in the model worlds: one executor for both engines, whose polls and wakes are recorded.
//!
//! It is as unkind as executors are allowed to be. Each poll brings a waker of its own, and only the waker of the latest
//! poll wakes anybody. The adversary polls without a wake.

use crate::engine::{self, Token};
use crate::record::{self, NO_OBJECT, Op};
use crate::watch;
use crate::world::{About, nothing, step};
use std::panic::Location;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::task::{Context, Poll, Wake, Waker};

/// Polls `future` on the current thread until it is ready. In between the thread is blocked until the future is woken.
///
/// Each poll brings another waker, and the wakers of earlier polls wake nobody. The future may also be polled without
/// having been woken.
///
/// # Memory ordering
/// What happens before a wake happens before the poll that the wake causes. A poll without a wake is ordered by nothing.
#[track_caller]
pub fn block_on<F: Future>(future: F) -> F::Output {
    let site = Location::caller();
    let mut future = pin!(future);
    let latest = {
        let _aside = watch::aside();
        Arc::new(AtomicUsize::new(0))
    };
    let mut poll = 0;
    loop {
        poll += 1;
        latest.store(poll, Relaxed);
        let signal = {
            let _aside = watch::aside();
            Arc::new(Signal {
                token: Token::new(),
                index: record::current(),
                poll,
                latest: Arc::clone(&latest),
            })
        };
        let waker = Waker::from(Arc::clone(&signal));
        let outcome = future.as_mut().poll(&mut Context::from_waker(&waker));
        {
            let _aside = watch::aside();
            record::event(NO_OBJECT, Op::Poll(outcome.is_ready()), site);
        }
        if let Poll::Ready(output) = outcome {
            latest.store(NONE, Relaxed);
            return output;
        }
        let spurious = engine::strikes(site);
        let wait = || {
            if !spurious {
                signal.token.take();
            }
        };
        step(About::Nothing, Op::Await { spurious }, site, wait, nothing);
    }
}

/// The number of no poll: the future has finished.
const NONE: usize = usize::MAX;

/// What the waker of one poll points to.
///
/// The engine sees the token alone. The rest is for the record, and reference counts do not matter to a model whose
/// threads share one thread of the operating system.
struct Signal {
    token: Token,
    /// The thread's place in the record.
    index: usize,
    poll: usize,
    /// The latest poll of the same future.
    latest: Arc<AtomicUsize>,
}

impl Wake for Signal {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        let op = Op::Wake {
            thread: self.index,
            stale: false,
        };
        let give = || self.token.give();
        let note = |(): &(), op: &mut Op| {
            if let Op::Wake { stale, .. } = op {
                *stale = self.poll != self.latest.load(Relaxed);
            }
        };
        step(About::Nothing, op, Location::caller(), give, note);
    }
}
