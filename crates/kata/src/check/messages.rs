//! Panic messages that are not the program's: what an engine has found, and that the process is about to abort.
//!
//! Nothing but their text tells them apart. Each text is tested here on whoever says it.

/// What such a message says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Says {
    Race,
    Deadlock,
    /// The bound on steps is reached.
    Spinning,
    /// A panic cannot go on, and the process ends.
    Aborting,
}
use Says::{Aborting, Deadlock, Race, Spinning};

/// What `message` says, unless it is the program's own.
pub(super) fn says(message: &str) -> Option<Says> {
    let begins = |text| message.starts_with(text);
    Some(match message {
        // The axioms and the explorer.
        "data race" => Race,
        "deadlock" => Deadlock,
        // loom. It finds races only where the axioms are left out.
        _ if begins("Causality violation: ") => Race,
        _ if begins("deadlock; threads = ") => Deadlock,
        _ if begins("Model exceeded maximum number of branches") => Spinning,
        // shuttle.
        _ if begins("deadlock! ") => Deadlock,
        _ if begins("deadlock while dropping the tasks ") => Deadlock,
        _ if begins("exceeded max_steps bound ") => Spinning,
        // std.
        "panic in a destructor during cleanup" => Aborting,
        "panic in a function that cannot unwind" => Aborting,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use crate::check::Report;
    use crate::thread;
    use std::process::Command;

    #[cfg(feature = "loom")]
    type Checker = crate::check::Exhaustive;
    #[cfg(not(feature = "loom"))]
    type Checker = crate::check::Randomized;

    fn headline<C>(outcome: Result<C, Box<Report>>) -> String {
        let Err(report) = outcome else {
            panic!("nothing is found")
        };
        report.headline
    }

    #[cfg(feature = "loom")]
    mod loom {
        use super::*;
        use crate::cell::UnsafeCell;
        use crate::sync::Arc;
        use crate::sync::atomic::{AtomicBool, Ordering::Relaxed};

        #[test]
        fn all_threads_wait() {
            for checker in [Checker::new(), Checker::new().step_by_step()] {
                assert_eq!(headline(checker.explore(thread::park)), "deadlock");
            }
        }

        #[test]
        fn two_threads_race() {
            struct Shared(UnsafeCell<()>);
            // SAFETY: it holds nothing.
            unsafe impl Sync for Shared {}
            let model = || {
                let one = Arc::new(Shared(UnsafeCell::new(())));
                let other = one.clone();
                thread::spawn(move || other.0.with_mut(|_| ()));
                one.0.with_mut(|_| ());
            };
            let checkers = [
                Checker::new(),
                Checker::new().step_by_step(),
                Checker::new().raw_engine(),
            ];
            for checker in checkers {
                assert_eq!(headline(checker.explore(model)), "data race");
            }
        }

        #[test]
        fn a_thread_never_ends() {
            let model = || {
                let never = AtomicBool::new(false);
                while !never.load(Relaxed) {}
            };
            let found = headline(Checker::new().step_by_step().explore(model));
            assert_eq!(found, "inconclusive: unbounded spinning");
        }
    }

    #[cfg(not(feature = "loom"))]
    mod shuttle {
        use super::*;
        use crate::sync::{Mutex, RwLock};

        #[test]
        fn all_threads_wait() {
            let checker = Checker::new().without_adversary();
            assert_eq!(headline(checker.explore(thread::park)), "deadlock");
        }

        #[test]
        fn a_thread_takes_a_lock_twice() {
            let mutex = || {
                let lock = Mutex::new(());
                let _guards = (lock.lock(), lock.lock());
            };
            let rwlock = || {
                let lock = RwLock::new(());
                let _guards = (lock.read(), lock.write());
            };
            assert_eq!(headline(Checker::new().explore(mutex)), "deadlock");
            assert_eq!(headline(Checker::new().explore(rwlock)), "deadlock");
        }

        #[test]
        fn a_thread_waits_while_it_is_dropped() {
            struct Waits;
            impl Drop for Waits {
                fn drop(&mut self) {
                    thread::park();
                }
            }
            let model = || {
                thread::spawn(|| {
                    let _waits = Waits;
                    thread::park();
                });
                thread::yield_now();
            };
            assert_eq!(headline(Checker::new().explore(model)), "deadlock");
        }

        #[test]
        fn a_thread_never_ends() {
            let model = || loop {
                thread::yield_now();
            };
            let found = headline(Checker::new().explore(model));
            assert_eq!(found, "inconclusive: unbounded spinning");
        }
    }

    /// Set in a child, and where its panic cannot go on.
    const ABORTS: &str = "KATA_ABORTS";

    struct Loud;

    impl Drop for Loud {
        fn drop(&mut self) {
            panic!("the second panic");
        }
    }

    extern "C" fn wall() {
        panic!("the first panic");
    }

    #[test]
    fn a_process_that_aborts_leaves_the_picture_of_its_first_panic() {
        if let Ok(place) = std::env::var(ABORTS) {
            let _ = Checker::new().explore(move || {
                if place == "destructor" {
                    let _loud = Loud;
                    panic!("the first panic");
                }
                wall();
            });
            return;
        }
        let name = std::thread::current().name().unwrap().to_owned();
        for place in ["destructor", "function"] {
            let child = Command::new(std::env::current_exe().unwrap())
                .args(["--exact", &name])
                .env(ABORTS, place)
                .output()
                .unwrap();
            let said = String::from_utf8_lossy(&child.stderr);
            assert!(!child.status.success(), "{place}: {}", child.status);
            assert!(said.contains("panics: the first panic"), "{place}: {said}");
        }
    }
}
