//! `std::thread`, as far as all three worlds have it, recorded.

use super::*;
pub use crate::local::{AccessError, LocalKey};
use engine::thread as raw;
pub use raw::ThreadId;

pub(super) fn pause(site: Site) {
    step(About::Nothing, Op::Yield, site, engine::pause, nothing);
}

/// `std::thread::yield_now`, recorded.
#[track_caller]
pub fn yield_now() {
    pause(Location::caller());
}

/// `std::thread::Thread`, recorded. Like an [`UnsafeCell`](super::cell::UnsafeCell) it lies in memory that somebody may free: its
/// end must be ordered after every use by others.
pub struct Thread {
    raw: raw::Thread,
    index: usize,
    tag: Tag,
    /// Outside of a model nobody looks.
    access: Option<engine::Tracked>,
}

impl Thread {
    #[track_caller]
    fn new(raw: raw::Thread, index: usize) -> Self {
        let _aside = watch::aside();
        Self {
            raw,
            index,
            tag: Tag::new(record::HANDLE, Location::caller()),
            access: record::in_execution().then(engine::Tracked::new),
        }
    }

    fn enter(&self) -> Option<engine::Accessing<'_>> {
        Some(self.access.as_ref()?.begin(false).settle())
    }

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
        let op = Op::Unpark(self.index);
        let unpark = || {
            let _access = self.enter();
            self.raw.unpark();
        };
        step(
            About::Object(&self.tag),
            op,
            Location::caller(),
            unpark,
            nothing,
        );
    }
}

impl Clone for Thread {
    #[track_caller]
    fn clone(&self) -> Self {
        let op = Op::CellRead;
        let clone = || {
            let _access = self.enter();
            self.raw.clone()
        };
        let raw = step(
            About::Object(&self.tag),
            op,
            Location::caller(),
            clone,
            nothing,
        );
        Self::new(raw, self.index)
    }
}

impl Drop for Thread {
    fn drop(&mut self) {
        if let Some(access) = &self.access {
            finish(&mut self.tag, "drop", None, || access.end());
        }
    }
}

impl std::fmt::Debug for Thread {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.raw.fmt(formatter)
    }
}

/// The current thread.
#[track_caller]
pub fn current() -> Thread {
    let _aside = watch::aside();
    let index = record::current();
    let raw = raw::Thread::new(index, record::name(index).as_deref());
    Thread::new(raw, index)
}

/// Waits for the thread's token, or for nothing: `park` may return without cause, and here it really does.
#[track_caller]
pub fn park() {
    let site = Location::caller();
    let spurious = engine::strikes(site);
    // A strike comes at any time, also before anybody else has done anything: it does not yield.
    let park = || {
        if !spurious {
            raw::park(record::current());
        }
    };
    step(About::Nothing, Op::Park { spurious }, site, park, nothing);
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
        let Self { raw, thread } = self;
        let op = Op::Join(thread.index);
        step(
            About::Nothing,
            op,
            Location::caller(),
            || raw.join(),
            nothing,
        )
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
    let run = move |index| {
        record::set_current(index);
        watch::resume();
        let result = body();
        crate::local::end_thread(index);
        // For good: what follows belongs to the engine, and whoever runs next restores its own state.
        std::mem::forget(watch::aside());
        result
    };
    let spawn = || {
        let raw = raw::spawn(name.as_deref(), run);
        let index = raw.index();
        let thread = Thread::new(raw::Thread::new(index, name.as_deref()), index);
        JoinHandle { raw, thread }
    };
    // Its number is known when it has been started.
    let note = |handle: &JoinHandle<T>, op: &mut Op| *op = Op::Spawn(handle.thread.index);
    let op = Op::Spawn(record::current());
    Ok(step(About::Nothing, op, site, spawn, note))
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
