//! What the compiler makes of the locks.
//!
//! Decides whether threads may share them, and whether they lock when they are compiled as users ship them: optimised,
//! without debug assertions and without overflow checks.
//! Does not decide anything else about how the locks behave.

use dekker::{BiasedLock, Peterson, Role, Side};
use kata::check::Compiler;
use kata::implements;

#[test]
fn the_locks_can_be_shared() {
    let (lock, biased) = (Peterson::default(), BiasedLock::default());
    lock.lock(Side::Left);
    biased.lock(Role::Owner);
    assert!(
        implements!(Peterson: Send + Sync) && implements!(BiasedLock: Send + Sync),
        "no two threads can use the lock: there is nobody to keep out"
    );
}

#[test]
fn an_optimised_program_locks_as_well() {
    Compiler::new("dekker", env!("CARGO_MANIFEST_DIR")).run_optimised(
        "use std::sync::atomic::{AtomicUsize, Ordering::Relaxed}; \
         let (peterson, biased, visits) = (Peterson::new(), BiasedLock::new(), [AtomicUsize::new(0), AtomicUsize::new(0)]); \
         let add = |visits: &AtomicUsize| { let before = visits.load(Relaxed); \
             for _ in 0..10 { std::hint::spin_loop(); } visits.store(before + 1, Relaxed); }; \
         std::thread::scope(|scope| for (side, role) in [(Side::Left, Role::Owner), (Side::Right, Role::Guest)] { \
             let (peterson, biased, visits, add) = (&peterson, &biased, &visits, &add); \
             scope.spawn(move || for _ in 0..20_000 { \
                 peterson.lock(side); add(&visits[0]); peterson.unlock(side); \
                 biased.lock(role); add(&visits[1]); biased.unlock(role); }); }); \
         assert_eq!(visits.map(AtomicUsize::into_inner), [40_000; 2], \
             \"two threads were inside at once, and one wrote over what the other had counted (Peterson's, the biased lock)\");",
    );
}
