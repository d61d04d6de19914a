//! The facade of the model worlds: wrappers that record each operation and pass it on to the engine.
//!
//! What the two engines do differently is in [`engine`](super::engine): how an ordering is mapped, when the adversary
//! strikes, what an access to a cell and the end of an object mean.

pub mod atomic;
pub mod cell;
pub mod hint;
pub mod sync;
pub mod thread;

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
    fn new(what: &'static str, site: Site) -> Self {
        Self {
            id: record::object(what, site),
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

/// What a step is about.
#[derive(Clone, Copy)]
pub(crate) enum About<'a> {
    Nothing,
    /// An object that may have been freed.
    Object(&'a Tag),
    /// An object that is there: it is locked, or at its end.
    Known(&'a Tag),
}

/// An operation of the code under test: what it is goes into the record before the engine performs it, and what has come of it
/// afterwards.
pub(crate) fn step<R>(
    about: About<'_>,
    op: Op,
    site: Site,
    perform: impl FnOnce() -> R,
    note: impl FnOnce(&R, &mut Op),
) -> R {
    let _aside = watch::aside();
    let thread = record::current();
    match about {
        About::Nothing => record::begin(NO_OBJECT, op, site),
        About::Object(tag) => tag.begin(op, site),
        About::Known(tag) => record::begin(tag.id, op, site),
    }
    let done = perform();
    record::commit(thread, |op| note(&done, op));
    done
}

/// What is noted of an operation of which everything is known beforehand.
pub(crate) fn nothing<R>(_: &R, _: &mut Op) {}

/// The end of an object, at `site` or where it was created.
fn finish(tag: &mut Tag, how: &'static str, site: Option<Site>, perform: impl FnOnce()) {
    let _aside = watch::aside();
    if record::running() {
        let site = site.unwrap_or_else(|| record::created(tag.id));
        tag.end();
        step(
            About::Known(tag),
            Op::Exclusive(how),
            site,
            perform,
            nothing,
        );
    }
}

/// An operation that leaves nothing in the record.
fn unrecorded<R>(perform: impl FnOnce() -> R) -> R {
    let _aside = watch::aside();
    let thread = record::current();
    let done = perform();
    record::set_current(thread);
    done
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
