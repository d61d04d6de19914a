//! One thread, real atomics.
//!
//! Decides what a single thread can see of the lock: what it reads after which writes, for rows of several lengths.
//! Does not decide anything about two threads: a lock without any sequence would pass.
//! Where a broken lock would wait for itself, the checks ask with `try_read`, so that it fails instead of hanging.

use rstest::rstest;
use seqlock::SeqLock;

/// A row that no other number makes.
fn row<const N: usize>(number: u64) -> [u64; N] {
    std::array::from_fn(|place| number << 32 | place as u64)
}

#[track_caller]
fn assert_shows<const N: usize>(lock: &SeqLock<N>, expected: [u64; N]) {
    assert_eq!(
        lock.try_read().expect(
            "nobody is writing, and try_read says that somebody is: its caller gives up for nothing"
        ),
        expected,
        "try_read shows other words than the last ones written"
    );
    assert_eq!(
        lock.read(),
        expected,
        "read shows other words than the last ones written"
    );
}

fn shows_what_was_written<const N: usize>() {
    let lock = SeqLock::<N>::new(row(0));
    assert_shows(&lock, row(0));
    for number in 1..10 {
        lock.write(row(number));
        assert_shows(&lock, row(number));
        assert_shows(&lock, row(number));
    }
}

#[rstest]
#[case::no_word(shows_what_was_written::<0>)]
#[case::one_word(shows_what_was_written::<1>)]
#[case::two_words(shows_what_was_written::<2>)]
#[case::nine_words(shows_what_was_written::<9>)]
#[case::sixty_five_words(shows_what_was_written::<65>)]
#[case::three_hundred_words(shows_what_was_written::<300>)]
fn a_lock_shows_what_was_written_last(#[case] check: fn()) {
    check();
}

#[test]
fn a_lock_may_be_written_again_and_again_before_it_is_read() {
    let lock = SeqLock::<3>::new(row(0));
    for number in 1..1_000 {
        lock.write(row(number));
    }
    assert_shows(&lock, row(999));
}

#[rstest]
#[case::zero(0)]
#[case::one(1)]
#[case::largest(u64::MAX)]
#[case::highest_bit(1 << 63)]
fn every_word_is_possible(#[case] word: u64) {
    let lock = SeqLock::new([word, 7]);
    assert_shows(&lock, [word, 7]);
    lock.write([7, word]);
    assert_shows(&lock, [7, word]);
}

#[test]
fn the_seventy_thousandth_write_is_as_the_first() {
    // More than a number of 16 bits counts.
    let lock = SeqLock::<2>::new(row(0));
    for number in 1..70_000 {
        lock.write(row(number));
        assert_eq!(
            lock.try_read(),
            Some(row(number)),
            "write {number} is over, nobody else is here, and try_read shows something else or nothing"
        );
    }
    assert_shows(&lock, row(69_999));
}

#[test]
fn more_than_a_thousand_locks_at_once_are_not_mixed_up() {
    let locks: Vec<_> = (0..1_100)
        .map(|number| SeqLock::<2>::new(row(number)))
        .collect();
    for (number, lock) in (0..).zip(&locks) {
        if number % 3 != 0 {
            lock.write(row(10_000 + number));
        }
    }
    // A lock may be moved while nobody uses it.
    for (number, lock) in (0..).zip(locks) {
        let last = if number % 3 == 0 {
            number
        } else {
            10_000 + number
        };
        assert_shows(&lock, row(last));
    }
}

#[test]
fn each_lock_stands_for_itself() {
    let (left, right) = (SeqLock::new([1]), SeqLock::new([2]));
    left.write([3]);
    assert_shows(&left, [3]);
    assert_shows(&right, [2]);
}
