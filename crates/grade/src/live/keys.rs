//! Keys, read in a thread of their own: a terminal that is gone holds up nobody who reads it but that thread.

use std::io::{self, IsTerminal as _};
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::mpsc::{self, Receiver};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::Thread;
use std::time::Duration;

use crossterm::event::{self, Event};

/// After so long the thread looks whether somebody else wants to read.
const TURN: Duration = Duration::from_millis(30);

/// What the terminal tells.
pub struct Keys {
    events: Receiver<io::Result<Event>>,
    shared: Arc<Shared>,
    thread: Thread,
}

#[derive(Default)]
struct Shared {
    lent: AtomicBool,
    /// Held by whoever reads.
    reading: Mutex<()>,
}

impl Keys {
    /// Begins to read.
    pub fn begin() -> Self {
        let (sender, events) = mpsc::channel();
        let shared = Arc::new(Shared::default());
        let own = Arc::clone(&shared);
        let read = move || {
            loop {
                while own.lent.load(SeqCst) {
                    std::thread::park();
                }
                let _reading = own.reading.lock().unwrap_or_else(PoisonError::into_inner);
                let event = match event::poll(TURN) {
                    Ok(false) => continue,
                    Ok(true) => event::read(),
                    Err(error) => Err(error),
                };
                let is_over = event.is_err();
                if sender.send(event).is_err() || is_over {
                    return;
                }
            }
        };
        let thread = std::thread::spawn(read).thread().clone();
        Self {
            events,
            shared,
            thread,
        }
    }

    /// The next event, if it comes soon.
    pub fn wait(&self, most: Duration) -> io::Result<Option<Event>> {
        if !io::stdin().is_terminal() {
            return Err(io::Error::other("it is gone"));
        }
        self.events.recv_timeout(most).ok().transpose()
    }

    /// Reads nothing for as long as `work` takes.
    pub fn lend<R>(&self, work: impl FnOnce() -> R) -> R {
        self.shared.lent.store(true, SeqCst);
        let reading = self
            .shared
            .reading
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let done = work();
        drop(reading);
        self.shared.lent.store(false, SeqCst);
        self.thread.unpark();
        done
    }
}
