//! Threads of the model.

use super::{Body, Token, Wish, explorer, perform, proposer};
use std::cell::RefCell;
use std::rc::Rc;

/// The identity of a thread of a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ThreadId(usize);

/// A thread of the running execution.
#[derive(Clone, Debug)]
pub(crate) struct Thread {
    index: usize,
    name: Option<Rc<str>>,
}

// SAFETY: all threads of a model are coroutines of one thread of the operating system, and no switch happens while the
// name's count changes.
unsafe impl Send for Thread {}
// SAFETY: as above.
unsafe impl Sync for Thread {}

impl Thread {
    /// The current thread, or another one.
    pub(crate) fn new(index: usize, name: Option<&str>) -> Self {
        Self {
            index,
            name: name.map(Rc::from),
        }
    }

    pub(crate) fn id(&self) -> ThreadId {
        ThreadId(self.index)
    }

    pub(crate) fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    pub(crate) fn unpark(&self) {
        Token::of(self.index).give();
    }
}

pub(crate) fn park(index: usize) {
    Token::of(index).take();
}

/// What a thread leaves when it ends.
struct Slot<T>(Rc<RefCell<Option<T>>>);

pub(crate) struct JoinHandle<T> {
    index: usize,
    slot: Slot<T>,
}

// SAFETY: all threads of a model are coroutines of one thread of the operating system; the value itself is sent.
unsafe impl<T: Send> Send for JoinHandle<T> {}
// SAFETY: a shared handle gives access to nothing.
unsafe impl<T> Sync for JoinHandle<T> {}

impl<T> JoinHandle<T> {
    pub(crate) fn index(&self) -> usize {
        self.index
    }

    pub(crate) fn join(self) -> std::thread::Result<T> {
        perform(Wish::Join(self.index));
        let result = self.slot.0.borrow_mut().take();
        Ok(result.expect("a thread that has ended leaves its result"))
    }
}

/// Starts a thread; `body` is told its number.
pub(crate) fn spawn<T: 'static>(
    name: Option<&str>,
    body: impl FnOnce(usize) -> T + 'static,
) -> JoinHandle<T> {
    let slot = Rc::new(RefCell::new(None));
    let result = Rc::clone(&slot);
    let number = Rc::new(std::cell::Cell::new(0));
    let own = Rc::clone(&number);
    let body: Body = Box::new(move || {
        let value = body(own.get());
        *result.borrow_mut() = Some(value);
    });
    let index = if explorer::is_running() {
        explorer::spawn(body)
    } else {
        proposer::spawn(body)
    };
    number.set(index);
    crate::record::thread(index, name);
    JoinHandle {
        index,
        slot: Slot(slot),
    }
}
