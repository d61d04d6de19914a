//! `std::sync::atomic`, recorded.

use super::*;
use memory_model::{Change, Signs};
pub use std::sync::atomic::{Ordering, compiler_fence};

/// `std::sync::atomic::fence`, recorded.
///
/// # Panics
/// If `order` is `Relaxed`.
#[track_caller]
pub fn fence(order: Ordering) {
    assert!(
        order != Ordering::Relaxed,
        "there is no such thing as a relaxed fence"
    );
    let fence = || engine::fence(order);
    step(
        About::Nothing,
        Op::Fence(order),
        Location::caller(),
        fence,
        nothing,
    );
}

/// An atomic word, recorded.
pub struct Atomic<W: Word> {
    raw: engine::Atomic<W>,
    tag: Tag,
    /// What `get_mut` lends out, and the value it had then; written back by the next operation.
    lent: std::cell::UnsafeCell<Option<(W, W, engine::Lent)>>,
}

// SAFETY: all model threads are coroutines of one OS thread; `lent` is set through `&mut self` only and taken without
// a switch in between.
unsafe impl<W: Word> Sync for Atomic<W> {}
// SAFETY: as above; the value is a plain word.
unsafe impl<W: Word> Send for Atomic<W> {}

impl<W: Word> Atomic<W> {
    /// Creates an atomic that holds `value`.
    #[track_caller]
    pub fn new(value: W) -> Self {
        let _aside = watch::aside();
        Self {
            raw: engine::Atomic::new(value),
            tag: Tag::new(W::ATOMIC, Location::caller()),
            lent: std::cell::UnsafeCell::new(None),
        }
    }

    fn step<R>(
        &self,
        op: Op,
        site: Site,
        perform: impl FnOnce() -> R,
        note: impl FnOnce(&R, &mut Op),
    ) -> R {
        let perform = || {
            self.give_back();
            perform()
        };
        step(About::Object(&self.tag), op, site, perform, note)
    }

    fn give_back(&self) {
        // SAFETY: no reference into `lent` is alive, for `self` is borrowed anew.
        if let Some((now, then, lent)) = unsafe { (*self.lent.get()).take() }
            && now != then
        {
            self.raw.give_back(lent, now);
        }
    }

    /// Loads the value.
    ///
    /// # Panics
    /// If `order` is `Release` or `AcqRel`.
    #[track_caller]
    pub fn load(&self, order: Ordering) -> W {
        match order {
            Ordering::Release => panic!("there is no such thing as a release load"),
            Ordering::AcqRel => panic!("there is no such thing as an acquire-release load"),
            _ => {}
        }
        let site = Location::caller();
        let load = || self.raw.read(Change::Nothing, [order, order], site).0;
        let note = |&loaded: &W, op: &mut Op| {
            if let Op::Load { value, .. } = op {
                *value = Some(super::value(loaded));
            }
        };
        self.step(Op::Load { order, value: None }, site, load, note)
    }

    /// Stores `value`.
    ///
    /// # Panics
    /// If `order` is `Acquire` or `AcqRel`.
    #[track_caller]
    pub fn store(&self, value: W, order: Ordering) {
        match order {
            Ordering::Acquire => panic!("there is no such thing as an acquire store"),
            Ordering::AcqRel => panic!("there is no such thing as an acquire-release store"),
            _ => {}
        }
        let site = Location::caller();
        let shown = super::value(value);
        let op = Op::Store {
            order,
            value: shown,
        };
        let store = || {
            reject_poison(shown);
            self.raw.store(value, order, site);
        };
        self.step(op, site, store, nothing);
    }

    /// A read-modify-write, also one that may fail.
    fn modify(
        &self,
        name: &'static str,
        operands: [Option<W>; 2],
        change: Change,
        (order, failure): (Ordering, Option<Ordering>),
        site: Site,
    ) -> Result<W, W> {
        let shown = operands.map(|operand| operand.map(super::value));
        let op = Op::Rmw {
            name,
            operands: shown,
            order,
            failure,
            read: None,
            written: None,
            spurious: false,
        };
        let orders = [order, failure.unwrap_or(order)];
        let modify = || {
            shown.into_iter().flatten().for_each(reject_poison);
            self.raw.read(change, orders, site)
        };
        let note = |&(before, stored): &(W, bool), op: &mut Op| {
            if let Op::Rmw {
                read,
                written,
                spurious,
                ..
            } = op
            {
                *read = Some(super::value(before));
                if stored {
                    let after = change.apply(before.bits(), W::MASK, 0);
                    *written = after.map(|bits| show(bits, before));
                }
                *spurious = !stored && operands[0] == Some(before);
            }
        };
        let (before, stored) = self.step(op, site, modify, note);
        if stored { Ok(before) } else { Err(before) }
    }

    fn always(
        &self,
        name: &'static str,
        operand: W,
        change: Change,
        order: Ordering,
        site: Site,
    ) -> W {
        let outcome = self.modify(name, [Some(operand), None], change, (order, None), site);
        outcome.unwrap_or_else(|before| before)
    }

    /// Stores `value` and returns the previous value.
    #[track_caller]
    pub fn swap(&self, value: W, order: Ordering) -> W {
        self.always(
            "swap",
            value,
            Change::Set(value.bits()),
            order,
            Location::caller(),
        )
    }

    fn exchange(
        &self,
        name: &'static str,
        [current, new]: [W; 2],
        change: Change,
        [success, failure]: [Ordering; 2],
        site: Site,
    ) -> Result<W, W> {
        match failure {
            Ordering::Release => panic!("there is no such thing as a release failure ordering"),
            Ordering::AcqRel => {
                panic!("there is no such thing as an acquire-release failure ordering")
            }
            _ => {}
        }
        self.modify(
            name,
            [Some(current), Some(new)],
            change,
            (success, Some(failure)),
            site,
        )
    }

    /// Stores `new` if the value is `current`.
    ///
    /// # Errors
    /// With the value found, if it is another.
    ///
    /// # Panics
    /// If `failure` is `Release` or `AcqRel`.
    #[track_caller]
    pub fn compare_exchange(
        &self,
        current: W,
        new: W,
        success: Ordering,
        failure: Ordering,
    ) -> Result<W, W> {
        let change = Change::Exchange {
            current: current.bits(),
            new: new.bits(),
        };
        self.exchange(
            "compare_exchange",
            [current, new],
            change,
            [success, failure],
            Location::caller(),
        )
    }

    /// As `compare_exchange`, but may fail although the value is `current`: here it really does.
    ///
    /// # Errors
    /// With the value found.
    ///
    /// # Panics
    /// If `failure` is `Release` or `AcqRel`.
    #[track_caller]
    pub fn compare_exchange_weak(
        &self,
        current: W,
        new: W,
        success: Ordering,
        failure: Ordering,
    ) -> Result<W, W> {
        let change = Change::Weak {
            current: current.bits(),
            new: new.bits(),
        };
        self.exchange(
            "compare_exchange_weak",
            [current, new],
            change,
            [success, failure],
            Location::caller(),
        )
    }

    /// Loads, and stores what `update` makes of the value, until nobody came in between.
    ///
    /// # Errors
    /// With the value for which `update` returned `None`.
    #[track_caller]
    pub fn fetch_update(
        &self,
        set_order: Ordering,
        fetch_order: Ordering,
        mut update: impl FnMut(W) -> Option<W>,
    ) -> Result<W, W> {
        let mut current = self.load(fetch_order);
        while let Some(next) = update(current) {
            match self.compare_exchange_weak(current, next, set_order, fetch_order) {
                Ok(before) => return Ok(before),
                Err(found) => current = found,
            }
        }
        Err(current)
    }

    /// The value, which nobody else can reach.
    #[track_caller]
    pub fn get_mut(&mut self) -> &mut W {
        let op = Op::Exclusive("get_mut");
        let (value, lent) = self.step(op, Location::caller(), || self.raw.lend(), nothing);
        let (now, ..) = self.lent.get_mut().insert((value, value, lent));
        now
    }

    /// Consumes the atomic and returns its value.
    #[track_caller]
    pub fn into_inner(mut self) -> W {
        *self.get_mut()
    }
}

impl<W: Word> Drop for Atomic<W> {
    fn drop(&mut self) {
        finish(&mut self.tag, "drop", None, || self.raw.end());
    }
}

impl<W: Word> std::fmt::Debug for Atomic<W> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct(W::ATOMIC).finish_non_exhaustive()
    }
}

impl<W: Word> From<W> for Atomic<W> {
    #[track_caller]
    fn from(value: W) -> Self {
        Self::new(value)
    }
}

macro_rules! modifications {
    ($type:ty: $($(#[$doc:meta])* $method:ident($operand:ident) = $change:expr;)*) => {
        impl Atomic<$type> {$(
            $(#[$doc])*
            #[track_caller]
            pub fn $method(&self, $operand: $type, order: Ordering) -> $type {
                self.always(stringify!($method), $operand, $change, order, Location::caller())
            }
        )*}
    };
}

macro_rules! integers {
    ($($name:ident, $type:ty, $signs:ident;)*) => {$(
        #[doc = concat!("`std::sync::atomic::", stringify!($name), "`, recorded.")]
        pub type $name = Atomic<$type>;

        impl Default for Atomic<$type> {
            #[track_caller]
            fn default() -> Self {
                Self::new(0)
            }
        }

        modifications! { $type:
            /// Adds, wrapping around, and returns the previous value.
            fetch_add(value) = Change::Add(value.bits());
            /// Subtracts, wrapping around, and returns the previous value.
            fetch_sub(value) = Change::Add(value.bits().wrapping_neg());
            /// Bitwise "and"; returns the previous value.
            fetch_and(value) = Change::And(value.bits());
            /// Bitwise "nand"; returns the previous value.
            fetch_nand(value) = Change::Nand(value.bits());
            /// Bitwise "or"; returns the previous value.
            fetch_or(value) = Change::Or(value.bits());
            /// Bitwise "xor"; returns the previous value.
            fetch_xor(value) = Change::Xor(value.bits());
            /// Maximum; returns the previous value.
            fetch_max(value) = Change::Max(value.bits(), Signs::$signs);
            /// Minimum; returns the previous value.
            fetch_min(value) = Change::Min(value.bits(), Signs::$signs);
        }
    )*};
}

integers! {
    AtomicU8, u8, Unsigned; AtomicU16, u16, Unsigned; AtomicU32, u32, Unsigned;
    AtomicU64, u64, Unsigned; AtomicUsize, usize, Unsigned;
    AtomicI8, i8, Signed; AtomicI16, i16, Signed; AtomicI32, i32, Signed;
    AtomicI64, i64, Signed; AtomicIsize, isize, Signed;
}

/// `std::sync::atomic::AtomicBool`, recorded.
pub type AtomicBool = Atomic<bool>;

impl Default for Atomic<bool> {
    #[track_caller]
    fn default() -> Self {
        Self::new(false)
    }
}

modifications! { bool:
    /// Logical "and"; returns the previous value.
    fetch_and(value) = Change::And(value.bits());
    /// Logical "nand"; returns the previous value.
    fetch_nand(value) = Change::Nand(value.bits());
    /// Logical "or"; returns the previous value.
    fetch_or(value) = Change::Or(value.bits());
    /// Logical "xor"; returns the previous value.
    fetch_xor(value) = Change::Xor(value.bits());
}

impl Atomic<bool> {
    /// Logical "not"; returns the previous value.
    #[track_caller]
    pub fn fetch_not(&self, order: Ordering) -> bool {
        self.fetch_xor(true, order)
    }
}

/// `std::sync::atomic::AtomicPtr`, recorded.
pub type AtomicPtr<T> = Atomic<*mut T>;

impl<T> Default for Atomic<*mut T> {
    #[track_caller]
    fn default() -> Self {
        Self::new(std::ptr::null_mut())
    }
}
