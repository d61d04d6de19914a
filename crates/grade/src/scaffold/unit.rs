//! One thread, real atomics.
//!
//! Decides what a single thread can see. Does not decide anything about two threads.

use NAME::TYPE;

#[test]
fn nothing_is_done_at_first() {
    assert!(
        !TYPE::new().is_finished(),
        "nobody has finished anything, yet is_finished says so: its caller goes on too early"
    );
}

#[test]
fn what_is_done_stays_done() {
    let flag = TYPE::new();
    flag.finish();
    for _ in 0..2 {
        assert!(
            flag.is_finished(),
            "finish was called, and is_finished does not say so: its caller waits for ever"
        );
    }
}
