//! `std::thread`, as far as all three worlds have it, recorded.

use super::*;
pub use crate::local::{AccessError, LocalKey};
use engine::thread as raw;
pub use raw::ThreadId;

pub(super) fn pause(site: Site) {
    let _aside = watch::aside();
    let thread = record::current();
    record::begin(NO_OBJECT, Op::Yield, site);
    engine::pause();
    record::commit(thread, |_| {});
}

/// `std::thread::yield_now`, recorded.
#[track_caller]
pub fn yield_now() {
    pause(Location::caller());
}

/// `std::thread::Thread`, recorded.
#[derive(Clone, Debug)]
pub struct Thread {
    raw: raw::Thread,
    index: usize,
}

impl Thread {
    /// The thread's place in the record.
    pub(crate) fn index(&self) -> usize {
        self.index
    }

    /// The thread's identity.
    pub fn id(&self) -> ThreadId {
        self.raw.id()
    }

    /// The thread's name.
    pub fn name(&self) -> Option<&str> {
        self.raw.name()
    }

    /// Makes the thread's token available: its current or next `park` returns.
    #[track_caller]
    pub fn unpark(&self) {
        let _aside = watch::aside();
        let thread = record::current();
        record::begin(NO_OBJECT, Op::Unpark(self.index), Location::caller());
        self.raw.unpark();
        record::commit(thread, |_| {});
    }
}

/// The current thread.
pub fn current() -> Thread {
    let _aside = watch::aside();
    Thread {
        raw: raw::Thread::new(
            record::current(),
            record::name(record::current()).as_deref(),
        ),
        index: record::current(),
    }
}

/// Waits for the thread's token, or for nothing: `park` may return without cause, and here it really does.
#[track_caller]
pub fn park() {
    let site = Location::caller();
    let strike = engine::strikes(site);
    let _aside = watch::aside();
    let thread = record::current();
    record::begin(NO_OBJECT, Op::Park { spurious: strike }, site);
    // A strike comes at any time, also before anybody else has done anything: it does not yield.
    if !strike {
        raw::park(thread);
    }
    record::commit(thread, |_| {});
}

/// `std::thread::JoinHandle`, recorded.
pub struct JoinHandle<T> {
    raw: raw::JoinHandle<T>,
    thread: Thread,
}

impl<T> JoinHandle<T> {
    /// Waits for the thread to end.
    ///
    /// # Errors
    /// With the thread's panic.
    #[track_caller]
    pub fn join(self) -> std::thread::Result<T> {
        let _aside = watch::aside();
        let thread = record::current();
        record::begin(NO_OBJECT, Op::Join(self.thread.index), Location::caller());
        let result = self.raw.join();
        record::commit(thread, |_| {});
        result
    }

    /// The thread this handle stands for.
    pub fn thread(&self) -> &Thread {
        &self.thread
    }
}

impl<T> std::fmt::Debug for JoinHandle<T> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("JoinHandle")
            .field("thread", &self.thread)
            .finish_non_exhaustive()
    }
}

/// Spawns a thread of the model.
#[track_caller]
pub fn spawn<F, T>(body: F) -> JoinHandle<T>
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    start(None, body, Location::caller()).expect("the engine spawns threads without fail")
}

fn start<F, T>(name: Option<String>, body: F, site: Site) -> std::io::Result<JoinHandle<T>>
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    let _aside = watch::aside();
    let parent = record::current();
    // Its number is known when it has been started.
    record::begin(NO_OBJECT, Op::Spawn(parent), site);
    let run = move |index| {
        record::set_current(index);
        watch::resume();
        let result = body();
        crate::local::end_thread(index);
        // For good: what follows belongs to the engine, and whoever runs next restores its own state.
        std::mem::forget(watch::aside());
        result
    };
    let raw = raw::spawn(name.as_deref(), run);
    let index = raw.index();
    record::commit(parent, |op| *op = Op::Spawn(index));
    let thread = Thread {
        raw: raw::Thread::new(index, name.as_deref()),
        index,
    };
    Ok(JoinHandle { raw, thread })
}

/// `std::thread::Builder`, recorded.
#[derive(Debug, Default)]
pub struct Builder {
    name: Option<String>,
}

impl Builder {
    /// A thread without a name.
    pub fn new() -> Self {
        Self::default()
    }

    /// Names the thread; the timeline uses the name.
    pub fn name(self, name: String) -> Self {
        Self { name: Some(name) }
    }

    /// Accepted and ignored: the engine has stacks of its own.
    pub fn stack_size(self, _bytes: usize) -> Self {
        self
    }

    /// Spawns a thread of the model.
    ///
    /// # Errors
    /// Never; the signature is that of `std`.
    #[track_caller]
    pub fn spawn<F, T>(self, body: F) -> std::io::Result<JoinHandle<T>>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        start(self.name, body, Location::caller())
    }
}
