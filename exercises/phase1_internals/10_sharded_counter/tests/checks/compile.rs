//! What the compiler lets a user of the counter do.
//!
//! Decides which padded values may be moved to another thread or shared with one, that a counter may be both, and whether it
//! counts when it is compiled as users ship it.
//! Does not decide anything else about how the counter behaves.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::MutexGuard;

use kata::check::Compiler;
use kata::implements;
use sharded_counter::{CachePadded, Counter};

/// The promise is about a counter that counts: without one there is nothing to promise.
fn there_is_a_counter() {
    Counter::with_shards(1).add(1);
}

#[test]
fn a_counter_is_shared_and_moved() {
    there_is_a_counter();
    assert!(
        implements!(Counter: Send) && implements!(Counter: Sync),
        "a counter that one thread alone may use is good for nothing"
    );
}

#[test]
fn padding_changes_nothing_about_a_value() {
    there_is_a_counter();
    assert!(
        implements!(CachePadded<u32>: Send) && implements!(CachePadded<u32>: Sync),
        "a padded number is a number"
    );
    assert!(
        implements!(CachePadded<Cell<u32>>: Send) && !implements!(CachePadded<Cell<u32>>: Sync),
        "a `Cell` may be moved and must not be shared, padded or not: else two threads write to it at once"
    );
    assert!(
        !implements!(CachePadded<Rc<u32>>: Send) && !implements!(CachePadded<Rc<u32>>: Sync),
        "safe code can clone one `Rc` on two threads: its plain counter is a data race, then a use after free"
    );
    assert!(
        !implements!(CachePadded<MutexGuard<'static, u32>>: Send)
            && implements!(CachePadded<MutexGuard<'static, u32>>: Sync),
        "a guard may be looked at from other threads and must be dropped on its own, padded or not"
    );
}

#[test]
fn references_end_when_they_must() {
    there_is_a_counter();
    Compiler::new("sharded_counter", env!("CARGO_MANIFEST_DIR"))
        .accepts(
            "static COUNT: CachePadded<u64> = CachePadded::new(3); assert_eq!(*COUNT, 3);",
            "`new` is const: a padded value may be a static",
        )
        .accepts(
            "fn longest<'a>(a: CachePadded<&'a str>, b: &'a str) -> &'a str { if a.len() > b.len() { *a } else { b } } \
             let text = String::new(); longest(CachePadded::new(\"static\"), &text);",
            "a padded reference is a reference: its lifetime may be shortened",
        )
        .accepts(
            "struct Plain; let mut padded = CachePadded::new(Plain); *padded = Plain; padded.into_inner();",
            "a value with no traits at all cannot be padded",
        )
        .rejects(
            "E0597",
            "let kept; { let padded = CachePadded::new(String::new()); kept = &**padded; } str::len(kept);",
            "a reference outlives the padded value that it points into",
        )
        .rejects(
            "E0499",
            "let mut padded = CachePadded::new(1); let (a, b) = (&mut *padded, &mut *padded); *a = 2; *b = 3;",
            "two references to one value, both to write by",
        )
        .run();
}

#[test]
fn an_optimised_counter_counts_as_well() {
    Compiler::new("sharded_counter", env!("CARGO_MANIFEST_DIR")).run_optimised(
        "let counter = Counter::with_shards(3); \
         std::thread::scope(|scope| for _ in 0..4 { scope.spawn(|| for _ in 0..50_000 { counter.add(1); }); }); \
         assert_eq!((counter.sum(), counter.reset_sum(), counter.sum()), (200_000, 200_000, 0)); \
         counter.add(u64::MAX); counter.add(3); assert_eq!(counter.reset_sum(), 2); \
         std::panic::set_hook(Box::new(|_| {})); \
         assert!(std::panic::catch_unwind(|| Counter::with_shards(0).sum()).is_err(), \"0 shards\");",
    );
}
