//! The facade of the model worlds: wrappers that record each operation and pass it on to the engine.
//!
//! What the two engines do differently is in [`engine`](super::engine): how an ordering is mapped, when the adversary
//! strikes, what an access to a cell and the end of an object mean.

use super::engine;
use crate::record::{self, Kind, NO_OBJECT, Op, Site, Value};
use crate::watch;
use std::panic::Location;

/// Tells the learner what went wrong, in the words of the timeline: a headline and, on the next line, why.
pub(crate) fn fail(headline: &str, why: &str) -> ! {
    panic!("{FAILURE}{headline}\n{why}")
}

/// What a panic message of [`fail`] begins with.
pub(crate) const FAILURE: &str = "kata: ";

/// The identity of an object, and whether it is still alive.
///
/// Freed memory is poisoned and kept (see [`watch`]), so a dead object can still be recognised.
#[derive(Debug)]
pub(crate) struct Tag {
    id: u32,
    mark: u32,
}

const ALIVE: u32 = 0x6B61_7461;
const DEAD: u32 = 0xDEAD_0B1E;

impl Tag {
    fn new(what: &'static str, site: Site, initial: Option<Value>) -> Self {
        Self {
            id: record::object(what, site, initial),
            mark: ALIVE,
        }
    }

    /// Begins an operation on the object: it must be alive.
    fn begin(&self, op: Op, site: Site) {
        let reused = std::hint::black_box(self).mark != ALIVE;
        let id = if reused {
            record::dropped_at(std::ptr::from_ref(self).addr())
        } else {
            self.id
        };
        record::begin(id, op, site);
        if reused && record::running() {
            fail(
                "use after free",
                "The memory this step touches had already been freed.",
            );
        }
        if watch::take_double_free() && record::running() {
            fail(
                "double free",
                "Some memory was freed twice before this step.",
            );
        }
    }

    /// Ends the object. Reports a second end.
    fn end(&mut self) {
        if !record::running() {
            return;
        }
        if self.mark != ALIVE {
            let id = record::dropped_at(std::ptr::from_ref(self).addr());
            if id != NO_OBJECT {
                record::begin(id, Op::Exclusive("drop"), Location::caller());
                fail(
                    "double free",
                    "What this step drops had already been dropped.",
                );
            }
            return;
        }
        self.mark = DEAD;
        record::note_dropped(self.id, std::ptr::from_ref(self).addr());
    }
}

/// Values an atomic can hold.
pub trait Word: Copy + PartialEq {
    /// How the value is shown.
    #[doc(hidden)]
    const KIND: Kind;
    /// The bits that there are.
    #[doc(hidden)]
    const MASK: u64;
    /// The name of the atomic.
    #[doc(hidden)]
    const ATOMIC: &'static str;
    #[doc(hidden)]
    fn bits(self) -> u64;
    #[doc(hidden)]
    fn from_bits(bits: u64) -> Self;
}

fn value(word: impl Word) -> Value {
    show(word.bits(), word)
}

/// The value that has these bits, as one of the same type as `like`.
fn show<W: Word>(bits: u64, _like: W) -> Value {
    // As a number of 64 bits, with its sign.
    let bits = match W::KIND {
        Kind::Signed => {
            let unused = W::MASK.leading_zeros();
            ((bits << unused).cast_signed() >> unused).cast_unsigned()
        }
        _ => bits,
    };
    Value {
        bits,
        kind: W::KIND,
    }
}

macro_rules! words {
    ($($type:ty, $unsigned:ty, $kind:ident, $atomic:literal;)*) => {$(
        impl Word for $type {
            const KIND: Kind = Kind::$kind;
            const MASK: u64 = <$unsigned>::MAX as u64;
            const ATOMIC: &'static str = $atomic;
            fn bits(self) -> u64 {
                self as $unsigned as u64
            }
            fn from_bits(bits: u64) -> Self {
                bits as $unsigned as $type
            }
        }
    )*};
}

words! {
    u8, u8, Unsigned, "AtomicU8";
    u16, u16, Unsigned, "AtomicU16";
    u32, u32, Unsigned, "AtomicU32";
    u64, u64, Unsigned, "AtomicU64";
    usize, usize, Unsigned, "AtomicUsize";
    i8, u8, Signed, "AtomicI8";
    i16, u16, Signed, "AtomicI16";
    i32, u32, Signed, "AtomicI32";
    i64, u64, Signed, "AtomicI64";
    isize, usize, Signed, "AtomicIsize";
}

impl Word for bool {
    const KIND: Kind = Kind::Bool;
    const MASK: u64 = 1;
    const ATOMIC: &'static str = "AtomicBool";
    fn bits(self) -> u64 {
        self.into()
    }
    fn from_bits(bits: u64) -> Self {
        bits != 0
    }
}

impl<T> Word for *mut T {
    const KIND: Kind = Kind::Pointer;
    const MASK: u64 = u64::MAX;
    const ATOMIC: &'static str = "AtomicPtr";
    fn bits(self) -> u64 {
        self.expose_provenance() as u64
    }
    fn from_bits(bits: u64) -> Self {
        std::ptr::with_exposed_provenance_mut(bits as usize)
    }
}

/// A pointer that was read from freed memory gives itself away when it is passed on, also with a tag in its spare bits:
/// five bytes of the pattern in a row are enough.
fn reject_poison(value: Value) {
    const RUN: u64 = 0xFF_FFFF_FFFF;
    let poisoned = |shift| (value.bits >> shift) & RUN == watch::POISON & RUN;
    if [0, 8, 16, 24].into_iter().any(poisoned) && record::running() {
        fail(
            "use after free",
            "The value this step passes on was read from memory that had already been freed.",
        );
    }
}

/// `std::sync::atomic`, recorded.
pub mod atomic {
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
        let _aside = watch::aside();
        record::begin(NO_OBJECT, Op::Fence(order), Location::caller());
        engine::fence(order);
        record::commit(record::current(), |_| {});
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
                tag: Tag::new(W::ATOMIC, Location::caller(), Some(super::value(value))),
                lent: std::cell::UnsafeCell::new(None),
            }
        }

        fn begin(&self, op: Op, site: Site) {
            self.tag.begin(op, site);
            self.give_back();
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
            let _aside = watch::aside();
            let thread = record::current();
            let site = Location::caller();
            self.begin(Op::Load { order, value: None }, site);
            let (loaded, _) = self.raw.read(Change::Nothing, [order, order], site);
            record::commit(thread, |op| {
                if let Op::Load { value, .. } = op {
                    *value = Some(super::value(loaded));
                }
            });
            loaded
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
            let _aside = watch::aside();
            let thread = record::current();
            let site = Location::caller();
            let shown = super::value(value);
            self.begin(
                Op::Store {
                    order,
                    value: shown,
                },
                site,
            );
            reject_poison(shown);
            self.raw.store(value, order, site);
            record::commit(thread, |_| {});
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
            let _aside = watch::aside();
            let thread = record::current();
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
            self.begin(op, site);
            shown.into_iter().flatten().for_each(reject_poison);
            let (before, stored) = self
                .raw
                .read(change, [order, failure.unwrap_or(order)], site);
            record::commit(thread, |op| {
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
            });
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
            let _aside = watch::aside();
            self.begin(Op::Exclusive("get_mut"), Location::caller());
            let (value, lent) = self.raw.lend();
            record::commit(record::current(), |_| {});
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
            let _aside = watch::aside();
            if record::running() {
                let site = record::created(self.tag.id);
                self.tag.end();
                record::begin(self.tag.id, Op::Exclusive("drop"), site);
                self.raw.end();
                record::commit(record::current(), |_| {});
            }
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
}

/// Interior mutability whose accesses the checker sees.
pub mod cell {
    use super::*;

    /// `std::cell::UnsafeCell`, reached through closures: two accesses that nothing orders, one of them a write, are
    /// a data race and fail the check.
    pub struct UnsafeCell<T: ?Sized> {
        tag: Tag,
        access: engine::Tracked,
        value: std::cell::UnsafeCell<T>,
    }

    impl<T> UnsafeCell<T> {
        /// Wraps `value`.
        #[track_caller]
        pub fn new(value: T) -> Self {
            let _aside = watch::aside();
            let site = Location::caller();
            Self {
                tag: Tag::new("UnsafeCell", site, None),
                access: engine::Tracked::new(),
                value: std::cell::UnsafeCell::new(value),
            }
        }

        /// Unwraps the value.
        #[track_caller]
        pub fn into_inner(mut self) -> T {
            self.finish(Location::caller(), "into_inner");
            let this = std::mem::ManuallyDrop::new(self);
            // SAFETY: `this` is never used again, so the value is read once; the other fields own nothing.
            unsafe { std::ptr::read(&this.value) }.into_inner()
        }
    }

    impl<T: ?Sized> UnsafeCell<T> {
        /// Calls `access` with a pointer to read through. Only what a lock or a borrow keeps others away from may be
        /// used after `access` returns: the checker sees the access end there.
        #[track_caller]
        pub fn with<R>(&self, access: impl FnOnce(*const T) -> R) -> R {
            let _access = self.enter(Op::CellRead, Location::caller());
            access(self.value.get())
        }

        /// Calls `access` with a pointer to read and write through. What holds for the pointer of [`with`](Self::with)
        /// holds for this one.
        #[track_caller]
        pub fn with_mut<R>(&self, access: impl FnOnce(*mut T) -> R) -> R {
            let _access = self.enter(Op::CellWrite, Location::caller());
            access(self.value.get())
        }

        fn enter(&self, op: Op, site: Site) -> engine::Accessing<'_> {
            let _aside = watch::aside();
            let thread = record::current();
            let writes = matches!(op, Op::CellWrite);
            self.tag.begin(op, site);
            let accessing = self.access.begin(writes);
            record::commit(thread, |_| {});
            accessing.settle()
        }

        /// The value, which nobody else can reach.
        #[track_caller]
        pub fn get_mut(&mut self) -> &mut T {
            {
                let _access = self.enter(Op::CellWrite, Location::caller());
            }
            self.value.get_mut()
        }

        fn finish(&mut self, site: Site, how: &'static str) {
            let _aside = watch::aside();
            if record::running() {
                self.tag.end();
                record::begin(self.tag.id, Op::Exclusive(how), site);
                self.access.end();
                record::commit(record::current(), |_| {});
            }
        }
    }

    impl<T: ?Sized> Drop for UnsafeCell<T> {
        fn drop(&mut self) {
            self.finish(record::created(self.tag.id), "drop");
        }
    }

    impl<T: Default> Default for UnsafeCell<T> {
        #[track_caller]
        fn default() -> Self {
            Self::new(T::default())
        }
    }

    impl<T: ?Sized> std::fmt::Debug for UnsafeCell<T> {
        fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            formatter.debug_struct("UnsafeCell").finish_non_exhaustive()
        }
    }
}

/// A mark on a piece of memory: a touch after its end, a second end, and an end that is not ordered after every touch
/// fail the check.
#[derive(Debug, Default)]
pub struct Canary(cell::UnsafeCell<()>);

impl Canary {
    /// A living canary.
    #[track_caller]
    pub fn new() -> Self {
        Self(cell::UnsafeCell::new(()))
    }

    /// States that the memory this canary sits in is in use now.
    #[track_caller]
    pub fn touch(&self) {
        self.0.with(|_| ());
    }
}

/// `std::hint`, recorded.
pub mod hint {
    use super::*;

    /// Says that the thread waits for another one: the checker runs the others.
    #[track_caller]
    pub fn spin_loop() {
        super::thread::pause(Location::caller());
    }
}

/// `std::thread`, as far as all three worlds have it, recorded.
pub mod thread {
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
}

/// `std::sync`, as far as all three worlds have it, recorded.
pub mod sync {
    use super::*;
    use engine::sync::Until;
    use std::mem::ManuallyDrop;
    use std::ops::{Deref, DerefMut};
    use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

    pub use super::atomic;
    pub use std::sync::{LockResult, PoisonError, TryLockError, TryLockResult};

    /// `std::sync::Arc`: a forgotten or doubly dropped one is reported by the checker.
    pub struct Arc<T: ?Sized>(ManuallyDrop<engine::sync::Arc<T>>);

    impl<T> Arc<T> {
        /// Moves `value` to the heap, shared.
        #[track_caller]
        pub fn new(value: T) -> Self {
            let _aside = watch::aside();
            Self(ManuallyDrop::new(engine::sync::Arc::new(
                value,
                Location::caller(),
            )))
        }

        fn into_raw_arc(self) -> engine::sync::Arc<T> {
            let this = ManuallyDrop::new(self);
            // SAFETY: `this` is not used again and not dropped.
            unsafe { std::ptr::read(&*this.0) }
        }

        /// The value, if this is the last reference.
        ///
        /// # Errors
        /// With the reference, if it is not.
        #[track_caller]
        pub fn try_unwrap(this: Self) -> Result<T, Self> {
            let _aside = watch::aside();
            let thread = record::current();
            let result = engine::sync::Arc::try_unwrap(this.into_raw_arc());
            record::set_current(thread);
            result.map_err(|raw| Self(ManuallyDrop::new(raw)))
        }

        /// A raw pointer that keeps the reference; give it back with `from_raw`.
        pub fn into_raw(this: Self) -> *const T {
            engine::sync::Arc::into_raw(this.into_raw_arc())
        }

        /// Takes a reference back.
        ///
        /// # Safety
        /// `pointer` came from `into_raw` and is taken back once.
        pub unsafe fn from_raw(pointer: *const T) -> Self {
            // SAFETY: per the caller.
            Self(ManuallyDrop::new(unsafe {
                engine::sync::Arc::from_raw(pointer)
            }))
        }
    }

    impl<T: ?Sized> Arc<T> {
        /// Whether both point to the same value.
        pub fn ptr_eq(this: &Self, other: &Self) -> bool {
            engine::sync::Arc::ptr_eq(&this.0, &other.0)
        }

        /// The number of references at some moment.
        #[track_caller]
        pub fn strong_count(this: &Self) -> usize {
            let _aside = watch::aside();
            let thread = record::current();
            let count = engine::sync::Arc::strong_count(&this.0);
            record::set_current(thread);
            count
        }

        /// The value, if this is the only reference.
        #[track_caller]
        pub fn get_mut(this: &mut Self) -> Option<&mut T> {
            let _aside = watch::aside();
            let thread = record::current();
            let value = engine::sync::Arc::get_mut(&mut this.0);
            record::set_current(thread);
            value
        }
    }

    impl<T: ?Sized> Clone for Arc<T> {
        #[track_caller]
        fn clone(&self) -> Self {
            let _aside = watch::aside();
            let thread = record::current();
            let raw = engine::sync::Arc::clone(&self.0);
            record::set_current(thread);
            Self(ManuallyDrop::new(raw))
        }
    }

    impl<T: ?Sized> Drop for Arc<T> {
        fn drop(&mut self) {
            let _aside = watch::aside();
            let thread = record::current();
            // SAFETY: dropped once, here.
            unsafe { ManuallyDrop::drop(&mut self.0) };
            record::set_current(thread);
        }
    }

    impl<T: ?Sized> Deref for Arc<T> {
        type Target = T;

        fn deref(&self) -> &T {
            &self.0
        }
    }

    impl<T: ?Sized> AsRef<T> for Arc<T> {
        fn as_ref(&self) -> &T {
            self
        }
    }

    impl<T: Default> Default for Arc<T> {
        #[track_caller]
        fn default() -> Self {
            Self::new(T::default())
        }
    }

    impl<T> From<T> for Arc<T> {
        #[track_caller]
        fn from(value: T) -> Self {
            Self::new(value)
        }
    }

    impl<T: ?Sized + std::fmt::Debug> std::fmt::Debug for Arc<T> {
        fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            (**self).fmt(formatter)
        }
    }

    /// Runs a blocking or trying acquisition and wraps its guard.
    fn acquire<R>(
        tag: &Tag,
        op: Op,
        site: Site,
        perform: impl FnOnce() -> R,
        acquired: impl FnOnce(&R) -> bool,
    ) -> R {
        let _aside = watch::aside();
        let thread = record::current();
        tag.begin(op, site);
        let result = perform();
        let outcome = acquired(&result);
        record::commit(thread, |op| {
            if let Op::TryLock { acquired, .. } = op {
                *acquired = Some(outcome);
            }
        });
        result
    }

    /// What a poisonable lock answers.
    fn judge<R>(poisoned: bool, result: R) -> LockResult<R> {
        if poisoned {
            Err(PoisonError::new(result))
        } else {
            Ok(result)
        }
    }

    macro_rules! guard {
        ($(#[$doc:meta])* $guard:ident of $lock:ident, $($mutable:tt)?) => {
            $(#[$doc])*
            #[must_use = "if unused, the lock is released at once"]
            pub struct $guard<'a, T: ?Sized> {
                raw: ManuallyDrop<engine::sync::$guard<'a, T>>,
                lock: &'a $lock<T>,
                site: Site,
                /// Its thread was unwinding when it was made: then its drop is no sign of trouble.
                in_unwind: bool,
            }

            impl<'a, T: ?Sized> $guard<'a, T> {
                fn wrap(raw: engine::sync::$guard<'a, T>, lock: &'a $lock<T>, site: Site) -> Self {
                    let in_unwind = record::unwinder() == Some(record::current());
                    Self { raw: ManuallyDrop::new(raw), lock, site, in_unwind }
                }

                #[allow(dead_code)] // only a mutex's guard is taken apart, by a condition variable
                fn unwrap(self) -> (engine::sync::$guard<'a, T>, &'a $lock<T>) {
                    let this = ManuallyDrop::new(self);
                    // SAFETY: `this` is not used again and not dropped.
                    (unsafe { std::ptr::read(&*this.raw) }, this.lock)
                }
            }

            impl<T: ?Sized> Drop for $guard<'_, T> {
                fn drop(&mut self) {
                    let _aside = watch::aside();
                    let thread = record::current();
                    record::begin(self.lock.tag.id, Op::Unlock, self.site);
                    let exclusive = !stringify!($($mutable)?).is_empty();
                    if exclusive && !self.in_unwind && record::unwinder() == Some(thread) {
                        self.lock.poisoned.store(true, Relaxed);
                    }
                    // SAFETY: dropped once, here.
                    unsafe { ManuallyDrop::drop(&mut self.raw) };
                    record::commit(thread, |_| {});
                }
            }

            impl<T: ?Sized> Deref for $guard<'_, T> {
                type Target = T;

                fn deref(&self) -> &T {
                    &self.raw
                }
            }

            $(impl<T: ?Sized> DerefMut for $guard<'_, T> {
                fn deref_mut(&$mutable self) -> &$mutable T {
                    &mut self.raw
                }
            })?

            impl<T: ?Sized + std::fmt::Debug> std::fmt::Debug for $guard<'_, T> {
                fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                    (**self).fmt(formatter)
                }
            }
        };
    }

    guard! {
        /// `std::sync::MutexGuard`, recorded.
        MutexGuard of Mutex, mut
    }
    guard! {
        /// `std::sync::RwLockReadGuard`, recorded.
        RwLockReadGuard of RwLock,
    }
    guard! {
        /// `std::sync::RwLockWriteGuard`, recorded.
        RwLockWriteGuard of RwLock, mut
    }

    macro_rules! lock {
        ($(#[$doc:meta])* $lock:ident: $($(#[$method_doc:meta])* $method:ident, $try_method:ident -> $guard:ident;)*) => {
            $(#[$doc])*
            pub struct $lock<T: ?Sized> {
                tag: Tag,
                /// Somebody has panicked with the lock in hand. Not as the engine tells it: all model threads share one OS
                /// thread, so that a guard dropped by one while another one panics would count.
                poisoned: AtomicBool,
                raw: engine::sync::$lock<T>,
            }

            impl<T> $lock<T> {
                /// A lock around `value`.
                #[track_caller]
                pub fn new(value: T) -> Self {
                    let _aside = watch::aside();
                    Self {
                        tag: Tag::new(stringify!($lock), Location::caller(), None),
                        poisoned: AtomicBool::new(false),
                        raw: engine::sync::$lock::new(value),
                    }
                }

                /// The value.
                ///
                /// # Errors
                /// If the lock is poisoned.
                pub fn into_inner(self) -> LockResult<T> {
                    let poisoned = self.poisoned.load(Relaxed);
                    judge(poisoned, self.raw.into_inner())
                }
            }

            impl<T: ?Sized> $lock<T> {
                $(
                    $(#[$method_doc])*
                    ///
                    /// # Errors
                    /// If the lock is poisoned.
                    #[track_caller]
                    pub fn $method(&self) -> LockResult<$guard<'_, T>> {
                        let site = Location::caller();
                        let op = Op::Lock(stringify!($method));
                        let raw = acquire(&self.tag, op, site, || self.raw.$method(), |_| true);
                        judge(self.poisoned.load(Relaxed), $guard::wrap(raw, self, site))
                    }

                    /// As above, without waiting.
                    ///
                    /// # Errors
                    /// If the lock is held or poisoned.
                    #[track_caller]
                    pub fn $try_method(&self) -> TryLockResult<$guard<'_, T>> {
                        let site = Location::caller();
                        let op = Op::TryLock { name: stringify!($try_method), acquired: None };
                        let acquired = |result: &Option<_>| result.is_some();
                        let raw = acquire(&self.tag, op, site, || self.raw.$try_method(), acquired);
                        let Some(raw) = raw else {
                            return Err(TryLockError::WouldBlock);
                        };
                        Ok(judge(self.poisoned.load(Relaxed), $guard::wrap(raw, self, site))?)
                    }
                )*

                /// The value, which nobody else can reach.
                ///
                /// # Errors
                /// If the lock is poisoned.
                pub fn get_mut(&mut self) -> LockResult<&mut T> {
                    let poisoned = self.poisoned.load(Relaxed);
                    judge(poisoned, self.raw.get_mut())
                }
            }

            impl<T: Default> Default for $lock<T> {
                #[track_caller]
                fn default() -> Self {
                    Self::new(T::default())
                }
            }

            impl<T: ?Sized> std::fmt::Debug for $lock<T> {
                fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                    formatter.debug_struct(stringify!($lock)).finish_non_exhaustive()
                }
            }
        };
    }

    lock! {
        /// `std::sync::Mutex`, recorded.
        Mutex:
        /// Waits for the lock.
        lock, try_lock -> MutexGuard;
    }
    lock! {
        /// `std::sync::RwLock`, recorded.
        RwLock:
        /// Waits for shared access.
        read, try_read -> RwLockReadGuard;
        /// Waits for exclusive access.
        write, try_write -> RwLockWriteGuard;
    }

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
                tag: Tag::new("Condvar", Location::caller(), None),
                raw: engine::sync::Condvar::new(),
            }
        }

        fn wait_once<'a, T>(
            &self,
            guard: MutexGuard<'a, T>,
            until: Until,
            site: Site,
        ) -> MutexGuard<'a, T> {
            let _aside = watch::aside();
            let thread = record::current();
            let lock_site = guard.site;
            let (raw, lock) = guard.unwrap();
            record::event(lock.tag.id, Op::Unlock, lock_site);
            self.tag.begin(
                Op::Wait {
                    spurious: until == Until::Now,
                },
                site,
            );
            let raw = self.raw.wait(raw, &lock.raw, until);
            record::commit(thread, |_| {});
            record::event(lock.tag.id, Op::Lock("lock"), site);
            MutexGuard::wrap(raw, lock, site)
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
            let guard = self.wait_once(guard, until, site);
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
                guard = self.wait_once(guard, until, site);
            }
            judge(guard.lock.poisoned.load(Relaxed), guard)
        }

        /// As `wait`; the time may run out at any moment, whatever `timeout` says. In a model it does so once, and once it
        /// does not.
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
            let guard = self.wait_once(guard, until, site);
            let timed_out = engine::sync::Condvar::timed_out(until);
            Ok((guard, WaitTimeoutResult(timed_out)))
        }

        #[track_caller]
        fn notify(&self, name: &'static str, perform: impl FnOnce(&engine::sync::Condvar)) {
            let _aside = watch::aside();
            let thread = record::current();
            self.tag.begin(Op::Notify(name), Location::caller());
            perform(&self.raw);
            record::commit(thread, |_| {});
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
}
