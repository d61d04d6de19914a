//! Is every value dropped exactly once?
//!
//! A token counts its own drops. The counts live outside any model, in `std` atomics, and are never freed, so that a
//! value dropped a second time, from a slot that was read twice, say, is a number in a report instead of undefined
//! behaviour. What is read from memory that never held a token is recognised by its missing seal.
//!
//! What it decides: leaks, double drops and reads after a drop of *these* values, in the executions that ran. What
//! it cannot: whether the memory around them is freed (a `Canary` or the counting allocator does that).

use std::fmt::{self, Debug};
use std::ops::Deref;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};

use super::stress::{counted, named};

/// Drops of things that carry no seal, in the whole process: they cannot say where they belong.
static STRANGERS: AtomicUsize = AtomicUsize::new(0);

/// Makes tokens and knows what became of them.
///
/// It is a plain reference, copied freely. What it refers to is leaked: some forty bytes a token. Making a token
/// allocates and locks; dropping one does neither, so that it orders and costs nothing in the code under test.
#[derive(Clone, Copy)]
pub struct Drops {
    /// A row for each token.
    rows: &'static Mutex<Vec<&'static dyn Watched>>,
    /// How many strangers there were before.
    strangers: usize,
}

/// A [`Row`], whatever its value.
trait Watched: Send + Sync {
    fn drops(&self) -> usize;
    fn name(&self) -> String;
}

/// What is known of one token. Leaked.
struct Row<T> {
    value: T,
    drops: AtomicUsize,
}

impl<T: Debug + Send + Sync> Watched for Row<T> {
    fn drops(&self) -> usize {
        self.drops.load(Relaxed) // whoever asks has joined the threads that dropped
    }

    fn name(&self) -> String {
        format!("{:?}", self.value)
    }
}

/// In the model worlds: the rows are leaked on purpose, and are nothing that the code under test has leaked.
fn aside() -> impl Drop {
    #[cfg(any(feature = "loom", feature = "shuttle"))]
    return crate::watch::aside();
    #[cfg(not(any(feature = "loom", feature = "shuttle")))]
    {
        struct Nothing;
        impl Drop for Nothing {
            fn drop(&mut self) {}
        }
        Nothing
    }
}

impl Drops {
    /// No tokens yet.
    pub fn new() -> Self {
        let _aside = aside();
        Self {
            rows: Box::leak(Box::default()),
            strangers: STRANGERS.load(Relaxed), // a mere number
        }
    }

    /// A token that carries `value`. Values should differ: reports name them.
    pub fn token<T>(&self, value: T) -> Token<T>
    where
        T: Copy + Debug + Send + Sync + 'static,
    {
        let _aside = aside();
        let row: &'static Row<T> = Box::leak(Box::new(Row {
            value,
            drops: AtomicUsize::new(0),
        }));
        self.with_rows(|rows| rows.push(row));
        Token {
            row,
            seal: seal_of(row),
            value,
        }
    }

    /// How many tokens were made.
    pub fn created(&self) -> usize {
        self.with_rows(|rows| rows.len())
    }

    /// How many drops there were; a token dropped twice counts twice. Exact once the threads that drop are joined.
    pub fn dropped(&self) -> usize {
        self.with_rows(|rows| rows.iter().map(|row| row.drops()).sum())
    }

    /// Asserts that every token was dropped, and none twice. For the end, when all threads are joined and the
    /// container is gone.
    ///
    /// # Panics
    ///
    /// If not. The message names the values.
    #[track_caller]
    pub fn assert_each_dropped_once(&self) {
        let (mut leaked, mut twice, mut more) = (Vec::new(), Vec::new(), Vec::new());
        self.with_rows(|rows| {
            for row in rows {
                match row.drops() {
                    0 => leaked.push(row.name()),
                    1 => {}
                    2 => twice.push(row.name()),
                    times => more.push(format!("value {} was dropped {times} times", row.name())),
                }
            }
        });
        let mut faults = Vec::new();
        match &leaked[..] {
            [] => {}
            [value] => faults.push(format!("value {value} was never dropped (leak)")),
            _ => faults.push(format!(
                "{} never dropped (leak): {}",
                counted(leaked.len()),
                named(&leaked)
            )),
        }
        match &twice[..] {
            [] => {}
            [value] => faults.push(format!("value {value} was dropped twice")),
            _ => faults.push(format!(
                "{} dropped twice: {}",
                counted(twice.len()),
                named(&twice)
            )),
        }
        faults.append(&mut more);
        let strangers = STRANGERS.load(Relaxed) - self.strangers;
        if strangers > 0 {
            faults.push(format!(
                "{} dropped that never existed: memory was taken for a value before one was written to it, or after \
                 it was overwritten",
                counted(strangers)
            ));
        }
        assert!(faults.is_empty(), "{}", faults.join("; "));
    }

    fn with_rows<R>(&self, access: impl FnOnce(&mut Vec<&'static dyn Watched>) -> R) -> R {
        // Poison is ignored: a push cannot be seen half done.
        access(&mut self.rows.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Default for Drops {
    fn default() -> Self {
        Self::new()
    }
}

impl Debug for Drops {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Drops")
            .field("created", &self.created())
            .field("dropped", &self.dropped())
            .finish()
    }
}

/// A value whose drops are counted.
///
/// It owns nothing, so that a bitwise copy of it may be dropped as well, and any initialised bytes are a token of sorts,
/// if one without a valid seal. Hence `T: Copy`.
pub struct Token<T> {
    /// Points to a leaked row if the seal is right.
    row: *const Row<T>,
    /// `seal_of(row)`. All zeros, or bytes of something else, do not pass for a token.
    seal: usize,
    value: T,
}

// SAFETY: a row is leaked and shared by reference only: an atomic, and a `T` that is `Sync`. The value itself is sent.
unsafe impl<T: Send + Sync> Send for Token<T> {}

// SAFETY: as above; a shared token gives out `&T` only.
unsafe impl<T: Sync> Sync for Token<T> {}

fn seal_of<T>(row: *const Row<T>) -> usize {
    row.addr() ^ 0x5EA1_ED70_u32 as usize
}

impl<T> Token<T> {
    /// How often this token was dropped so far, if it is one.
    fn drops(&self) -> Option<&AtomicUsize> {
        let sealed = !self.row.is_null() && self.seal == seal_of(self.row);
        // SAFETY: only `Drops::token` seals, and it seals a pointer to a row that is never freed. Bytes that were never
        // a token match their seal by chance only.
        sealed.then(|| unsafe { &(*self.row).drops })
    }
}

impl<T> Deref for Token<T> {
    type Target = T;

    /// # Panics
    ///
    /// If the token was dropped already, or never was one.
    #[track_caller]
    fn deref(&self) -> &T {
        let Some(drops) = self.drops() else {
            panic!("a value was read from memory that does not hold one");
        };
        // Relaxed: no more order than the container under test gives.
        if drops.load(Relaxed) > 0 {
            panic!("a value was read after it had been dropped");
        }
        &self.value
    }
}

impl<T: Debug> Debug for Token<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.drops() {
            Some(_) => self.value.fmt(f),
            None => f.write_str("(not a value)"),
        }
    }
}

impl<T: PartialEq> PartialEq for Token<T> {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl<T: PartialEq> PartialEq<T> for Token<T> {
    fn eq(&self, other: &T) -> bool {
        **self == *other
    }
}

impl<T> Drop for Token<T> {
    fn drop(&mut self) {
        // Relaxed: a mere number, read after the threads are joined.
        self.drops().unwrap_or(&STRANGERS).fetch_add(1, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use std::mem::{MaybeUninit, forget};
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::ptr;
    use std::thread;

    use super::*;

    fn complaint(drops: Drops) -> String {
        let panic = catch_unwind(|| drops.assert_each_dropped_once()).expect_err("it complains");
        panic
            .downcast_ref::<String>()
            .expect("with a message")
            .clone()
    }

    #[test]
    fn what_is_dropped_once_is_fine() {
        let drops = Drops::new();
        let tokens: Vec<_> = (0..10).map(|value| drops.token(value)).collect();
        assert_eq!(*tokens[3], 3);
        assert_eq!((drops.created(), drops.dropped()), (10, 0));
        thread::spawn(|| drop(tokens)).join().unwrap();
        assert_eq!((drops.created(), drops.dropped()), (10, 10));
        drops.assert_each_dropped_once();
    }

    #[test]
    fn a_leak_is_named() {
        let drops = Drops::new();
        for value in 0..6 {
            let token = drops.token(value);
            if [1, 4, 5].contains(&value) {
                forget(token);
            }
        }
        assert_eq!(
            complaint(drops),
            "3 values were never dropped (leak): 1, 4, 5"
        );
    }

    #[test]
    fn a_double_drop_is_named() {
        let drops = Drops::new();
        let tokens = [drops.token(1), drops.token(2), drops.token(3)];
        // SAFETY: a token owns nothing: a second one of the same bits is allowed.
        drop(unsafe { ptr::read(&tokens[1]) });
        drop(tokens);
        assert_eq!(complaint(drops), "value 2 was dropped twice");
        assert_eq!((drops.created(), drops.dropped()), (3, 4));

        let drops = Drops::new();
        let token = drops.token('x');
        for _ in 0..2 {
            // SAFETY: as above.
            drop(unsafe { ptr::read(&token) });
        }
        drop(token);
        forget(drops.token('y'));
        assert_eq!(
            complaint(drops),
            "value 'y' was never dropped (leak); value 'x' was dropped 3 times"
        );
    }

    #[test]
    fn a_read_after_the_drop_is_noticed() {
        let drops = Drops::new();
        let token = drops.token(7);
        // SAFETY: a token owns nothing: a second one of the same bits is allowed.
        drop(unsafe { ptr::read(&token) });
        let panic = catch_unwind(AssertUnwindSafe(|| *token)).expect_err("it panics");
        assert_eq!(
            panic.downcast_ref(),
            Some(&"a value was read after it had been dropped")
        );
        forget(token);
    }

    #[test]
    fn memory_without_a_value_is_noticed() {
        // SAFETY: all zeros are a token, though one without a seal.
        let stranger: Token<u64> = unsafe { MaybeUninit::zeroed().assume_init() };
        let panic = catch_unwind(AssertUnwindSafe(|| *stranger)).expect_err("it panics");
        assert_eq!(
            panic.downcast_ref(),
            Some(&"a value was read from memory that does not hold one")
        );
        assert_eq!(format!("{stranger:?}"), "(not a value)");
        assert!(stranger.drops().is_none());
        // Not dropped: the count of strangers is the whole process's, and other tests look at it.
        forget(stranger);
    }
}
