//! Futures in the std world: an executor for one future, made of nothing but `std`.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Acquire, Ordering::Release};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};

/// Polls `future` on the current thread until it is ready. In between the thread is parked until the future is woken.
///
/// # Memory ordering
/// What happens before a wake happens before the poll that the wake causes. A poll without a wake is ordered by nothing.
/// In this world `park` alone makes none; the model worlds poll without a wake, and with another waker each time.
pub fn block_on<F: Future>(future: F) -> F::Output {
    let task = Arc::new(Task {
        thread: thread::current(),
        woken: AtomicBool::new(false),
    });
    let waker = Waker::from(Arc::clone(&task));
    let mut future = pin!(future);
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            return output;
        }
        // Acquire: pairs with the Release in `wake_by_ref`. The flag tells a wake from other uses of the thread's token.
        while !task.woken.swap(false, Acquire) {
            thread::park();
        }
    }
}

struct Task {
    thread: Thread,
    woken: AtomicBool,
}

impl Wake for Task {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        // Release: pairs with the Acquire in `block_on`. A swap, so that it also passes on what an earlier wake released.
        self.woken.swap(true, Release);
        self.thread.unpark();
    }
}
