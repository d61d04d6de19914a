//! What the locks cost, counted and not timed.
//!
//! Decides how many read-modify-writes an owner makes that nobody disturbs, also after a guest has come and gone.
//! Does not decide how many nanoseconds that takes, or how many fences there are: see the README on what they cost.

use dekker::{BiasedLock, Role};
use kata::check::{Randomized, rmw_count};
use kata::sync::Arc;
use kata::thread;

#[test]
fn an_owner_that_is_alone_makes_no_read_modify_write() {
    Randomized::new().schedules(3).run(|| {
        let lock = Arc::new(BiasedLock::new());
        let visits = |lock: &BiasedLock| {
            let before = rmw_count();
            for _ in 0..3 {
                lock.lock(Role::Owner);
                lock.unlock(Role::Owner);
            }
            rmw_count() - before
        };
        assert_eq!(
            visits(&lock),
            0,
            "an owner came three times, nobody else ever did, and it made that many read-modify-writes: the lock is no \
             cheaper for it than for anybody else"
        );
        let guest = {
            let lock = lock.clone();
            thread::spawn(move || {
                lock.lock(Role::Guest);
                lock.unlock(Role::Guest);
            })
        };
        guest.join().unwrap();
        assert_eq!(
            visits(&lock),
            0,
            "a guest has come once and gone, and the owner makes that many read-modify-writes: one look at the numbers makes \
             the lock dear for good"
        );
    });
}
