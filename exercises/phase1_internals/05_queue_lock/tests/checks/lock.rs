//! What both locks have in common, so that a check is written once and named twice.

use std::ops::DerefMut;

use queue_lock::{McsGuard, McsLock, TicketGuard, TicketLock};

pub trait Lock<T>: Send + Sync + Sized + 'static {
    type Guard<'a>: DerefMut<Target = T>;

    fn new(value: T) -> Self;
    fn lock(&self) -> Self::Guard<'_>;
    fn try_lock(&self) -> Option<Self::Guard<'_>>;
}

impl<T: Send + Sync + 'static> Lock<T> for TicketLock<T> {
    type Guard<'a> = TicketGuard<'a, T>;

    fn new(value: T) -> Self {
        Self::new(value)
    }

    fn lock(&self) -> TicketGuard<'_, T> {
        self.lock()
    }

    fn try_lock(&self) -> Option<TicketGuard<'_, T>> {
        self.try_lock()
    }
}

impl<T: Send + Sync + 'static> Lock<T> for McsLock<T> {
    type Guard<'a> = McsGuard<'a, T>;

    fn new(value: T) -> Self {
        Self::new(value)
    }

    fn lock(&self) -> McsGuard<'_, T> {
        self.lock()
    }

    fn try_lock(&self) -> Option<McsGuard<'_, T>> {
        self.try_lock()
    }
}

/// Makes two tests of each check: one for the first step, one for the second.
macro_rules! for_both {
    ($($check:ident: $ticket:ident, $mcs:ident;)*) => {$(
        #[test]
        fn $ticket() {
            $check::<queue_lock::TicketLock<_>>();
        }

        #[test]
        fn $mcs() {
            $check::<queue_lock::McsLock<_>>();
        }
    )*};
}
pub(crate) use for_both;
