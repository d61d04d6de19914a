//! Sequences of calls that nobody thought of, next to a value that is right: a plain array.
//!
//! Decides whether a single thread can tell the lock from a variable. The sequences come from a fixed seed and are the same
//! in every run; one that fails is shortened before it is shown.
//! Does not decide anything about two threads.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use seqlock::SeqLock;

#[derive(Clone, Copy, Debug)]
enum Call {
    Read,
    TryRead,
    Write([u64; 3]),
}

fn call() -> impl Strategy<Value = Call> {
    prop_oneof![
        Just(Call::Read),
        Just(Call::TryRead),
        any::<[u64; 3]>().prop_map(Call::Write),
    ]
}

fn fixed() -> ProptestConfig {
    ProptestConfig {
        cases: 200,
        rng_seed: RngSeed::Fixed(0x6B61_7461),
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

proptest! {
    #![proptest_config(fixed())]

    #[test]
    fn a_lock_answers_as_a_variable_does(first: [u64; 3], calls in vec(call(), 0..40)) {
        let lock = SeqLock::new(first);
        let mut right = first;
        for call in calls {
            match call {
                Call::Read => prop_assert_eq!(lock.read(), right, "read shows other words"),
                Call::TryRead => prop_assert_eq!(
                    lock.try_read(),
                    Some(right),
                    "try_read shows other words, or none although nobody is writing"
                ),
                Call::Write(words) => {
                    lock.write(words);
                    right = words;
                }
            }
        }
        prop_assert_eq!(lock.try_read(), Some(right), "the last words written are not there");
    }
}
