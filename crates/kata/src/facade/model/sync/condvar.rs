//! `std::sync::Condvar`, recorded.

use super::*;

/// Whether a wait ended because its time had run out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WaitTimeoutResult(bool);

impl WaitTimeoutResult {
    /// Whether the time had run out.
    pub fn timed_out(&self) -> bool {
        self.0
    }
}

/// `std::sync::Condvar`, recorded. A wait may return without a notification, and here it really does.
pub struct Condvar {
    tag: Tag,
    raw: engine::sync::Condvar,
}

impl Condvar {
    /// A condition variable nobody waits on.
    #[track_caller]
    #[allow(clippy::new_without_default)] // `Default` would hide where it was created
    pub fn new() -> Self {
        let _aside = watch::aside();
        Self {
            tag: Tag::new("Condvar", Location::caller()),
            raw: engine::sync::Condvar::new(),
        }
    }

    /// Returns also whether the time has run out.
    fn wait_once<'a, T>(
        &self,
        guard: MutexGuard<'a, T>,
        until: Until,
        site: Site,
    ) -> (MutexGuard<'a, T>, bool) {
        let _aside = watch::aside();
        let lock_site = guard.site;
        let (raw, lock) = guard.unwrap();
        record::event(lock.tag.id, Op::Unlock, lock_site);
        let spurious = until == Until::Now;
        let wait = || self.raw.wait(raw, &lock.raw, until);
        let note = |&(_, timed_out): &(_, bool), op: &mut Op| {
            *op = Op::Wait {
                spurious: timed_out,
            }
        };
        let about = About::Object(&self.tag);
        let (raw, timed_out) = step(about, Op::Wait { spurious }, site, wait, note);
        record::event(lock.tag.id, Op::Lock("lock"), site);
        (MutexGuard::wrap(raw, lock, site), timed_out)
    }

    /// As long as a notification takes, or not at all.
    fn until(site: Site) -> Until {
        if engine::strikes(site) {
            Until::Now
        } else {
            Until::Notified
        }
    }

    /// Releases the lock, waits for a notification or for nothing, and takes the lock again.
    ///
    /// # Errors
    /// If the lock is poisoned.
    #[track_caller]
    pub fn wait<'a, T>(&self, guard: MutexGuard<'a, T>) -> LockResult<MutexGuard<'a, T>> {
        let site = Location::caller();
        let until = Self::until(site);
        let (guard, _) = self.wait_once(guard, until, site);
        judge(guard.lock.poisoned.load(Relaxed), guard)
    }

    /// Waits until `condition` returns `false`.
    ///
    /// # Errors
    /// If the lock is poisoned.
    #[track_caller]
    pub fn wait_while<'a, T>(
        &self,
        mut guard: MutexGuard<'a, T>,
        mut condition: impl FnMut(&mut T) -> bool,
    ) -> LockResult<MutexGuard<'a, T>> {
        let site = Location::caller();
        while condition(&mut guard) {
            let until = Self::until(site);
            (guard, _) = self.wait_once(guard, until, site);
        }
        judge(guard.lock.poisoned.load(Relaxed), guard)
    }

    /// As `wait`; the time may run out at any moment, whatever `timeout` says. In some executions it does, and in others a
    /// notification comes first.
    ///
    /// # Errors
    /// Never; the signature is that of `std`.
    #[track_caller]
    pub fn wait_timeout<'a, T>(
        &self,
        guard: MutexGuard<'a, T>,
        _timeout: std::time::Duration,
    ) -> LockResult<(MutexGuard<'a, T>, WaitTimeoutResult)> {
        let site = Location::caller();
        let until = if engine::times_out(site) {
            Until::Now
        } else {
            Until::Timed
        };
        let (guard, timed_out) = self.wait_once(guard, until, site);
        Ok((guard, WaitTimeoutResult(timed_out)))
    }

    #[track_caller]
    fn notify(&self, name: &'static str, perform: impl FnOnce(&engine::sync::Condvar)) {
        let (about, op) = (About::Object(&self.tag), Op::Notify(name));
        step(
            about,
            op,
            Location::caller(),
            || perform(&self.raw),
            nothing,
        );
    }

    /// Wakes one waiter, if there is any.
    #[track_caller]
    pub fn notify_one(&self) {
        self.notify("notify_one", |raw| raw.notify_one());
    }

    /// Wakes all waiters.
    #[track_caller]
    pub fn notify_all(&self) {
        self.notify("notify_all", |raw| raw.notify_all());
    }
}

impl Default for Condvar {
    #[track_caller]
    fn default() -> Self {
        Self::new()
    }
}

impl std::fmt::Debug for Condvar {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Condvar").finish_non_exhaustive()
    }
}
