//! Every execution that C++20 allows, without load buffering, within the bounds that each check prints.
//!
//! Decides, for two or three threads of two calls at most, whether the words of a read belong together, whether a reader
//! ever goes back in time, and whether it sees what the writer did before. A missing fence, Acquire or Release shows here
//! and nowhere else.
//! Does not decide how long a reader has to try. Sees the words only if they are atomics or in a cell of `kata`.

use kata::cell::UnsafeCell;
use kata::check::{Exhaustive, exhaustive};
use kata::sync::Arc;
use kata::thread;
use seqlock::SeqLock;

type Row = [u64; 2];

/// What the threads of a model share.
struct Shared {
    lock: SeqLock<2>,
    /// Something that is not in the lock, and ordered by it.
    note: UnsafeCell<u64>,
}

// SAFETY: whether reads and writes of the note are ordered is what the model decides.
unsafe impl Sync for Shared {}

/// What one thread of a model does; returns what it has read.
type Script = fn(&Shared) -> Vec<Row>;

/// Runs the scripts at the same time around the row `[0, 0]`, and hands what they have read to `judge`. Each script goes
/// first once, on the thread that starts the others.
///
/// loom alone would overlook executions in which a store comes before somebody else's look. `kata` makes up for that; the
/// change of roles makes the check independent of it.
fn explore<const N: usize>(scripts: [Script; N], judge: fn(&Shared, [Vec<Row>; N])) {
    explore_within(3, scripts, judge);
}

/// As [`explore`], for models that have too many executions with three preemptions.
fn explore_within<const N: usize>(
    preemptions: usize,
    scripts: [Script; N],
    judge: fn(&Shared, [Vec<Row>; N]),
) {
    for first in 0..N {
        Exhaustive::new().preemptions(preemptions).run(move || {
            let shared = Arc::new(Shared {
                lock: SeqLock::new([0, 0]),
                note: UnsafeCell::new(0),
            });
            let others: Vec<_> = (1..N)
                .map(|distance| {
                    let script = scripts[(first + distance) % N];
                    let shared = shared.clone();
                    thread::spawn(move || script(&shared))
                })
                .collect();
            let here = scripts[first](&shared);
            let there = others.into_iter().map(|other| other.join().unwrap());
            let mut results: Vec<_> = std::iter::once(here).chain(there).collect();
            results.rotate_right(first);
            judge(&shared, results.try_into().expect("one result a script"));
        });
    }
}

/// All rows that are written say the same twice.
fn assert_whole(rows: &[Row]) {
    for [left, right] in rows {
        assert_eq!(
            left, right,
            "one word is from one write and the other from another one: they were never in the lock together"
        );
    }
}

fn assert_whole_and_in_order(rows: &[Row]) {
    assert_whole(rows);
    assert!(
        rows.is_sorted(),
        "one thread has read {rows:?}, one after the other, and they were written in ascending order: its clock runs \
         backwards"
    );
}

/// What is in the lock when all threads are done.
fn left(shared: &Shared) -> Row {
    shared
        .lock
        .try_read()
        .expect("all writers are done, and try_read says that somebody is writing")
}

/// Some of the scripts.
fn writes_1(shared: &Shared) -> Vec<Row> {
    shared.lock.write([1, 1]);
    vec![]
}

fn writes_2(shared: &Shared) -> Vec<Row> {
    shared.lock.write([2, 2]);
    vec![]
}

fn writes_1_and_2(shared: &Shared) -> Vec<Row> {
    shared.lock.write([1, 1]);
    shared.lock.write([2, 2]);
    vec![]
}

fn tries(shared: &Shared) -> Vec<Row> {
    shared.lock.try_read().into_iter().collect()
}

#[test]
fn the_words_of_a_read_belong_together() {
    let reads: Script = |shared| vec![shared.lock.read()];
    explore([writes_1, reads], |shared, [_, seen]| {
        assert_whole(&seen);
        assert_eq!(left(shared), [1, 1], "the only write is lost");
    });
}

#[test]
fn the_words_of_an_attempt_belong_together() {
    explore([writes_1, tries], |_, [_, seen]| assert_whole(&seen));
}

#[test]
fn a_second_round_begins_like_the_first() {
    // A read that was disturbed by the first write must not believe a mixture with the second one.
    let reads: Script = |shared| vec![shared.lock.read()];
    explore_within(2, [writes_1_and_2, reads], |_, [_, seen]| {
        assert_whole(&seen)
    });
}

#[test]
fn two_writes_are_told_apart() {
    // The second write may be over before the reader looks again: what it finds must not look as before.
    explore([writes_1_and_2, tries], |shared, [_, seen]| {
        assert_whole(&seen);
        assert_eq!(left(shared), [2, 2], "the last write is lost");
    });
}

#[test]
fn a_reader_does_not_go_back_in_time() {
    let tries_twice: Script = |shared| tries(shared).into_iter().chain(tries(shared)).collect();
    explore_within(2, [writes_1_and_2, tries_twice], |_, [_, seen]| {
        assert_whole_and_in_order(&seen);
    });
}

#[test]
fn a_writer_reads_what_it_has_written() {
    let writes_and_reads: Script = |shared| {
        shared.lock.write([1, 1]);
        vec![shared.lock.read()]
    };
    explore([writes_and_reads, tries], |_, [own, seen]| {
        assert_whole(&seen);
        assert_eq!(
            own,
            [[1, 1]],
            "the only writer has read something else than it wrote"
        );
    });
}

#[test]
fn of_two_writers_one_is_last() {
    explore([writes_1, writes_2], |shared, _| {
        let left = left(shared);
        assert_whole(&[left]);
        assert_ne!(left, [0, 0], "two writes, and both are lost");
    });
}

#[test]
fn a_reader_sees_no_mixture_of_two_writers() {
    explore_within(1, [writes_1, writes_2, tries], |shared, [_, _, seen]| {
        assert_whole(&seen);
        assert_whole(&[left(shared)]);
    });
}

#[test]
fn a_reader_sees_what_the_writer_did_before() {
    let notes_and_writes: Script = |shared| {
        // SAFETY: see `Sync`.
        shared.note.with_mut(|note| unsafe { *note = 1 });
        shared.lock.write([1, 1]);
        vec![]
    };
    let reads_and_looks: Script = |shared| {
        let seen = shared.lock.read();
        if seen == [1, 1] {
            // SAFETY: see `Sync`.
            let note = shared.note.with(|note| unsafe { *note });
            assert_eq!(
                note, 1,
                "the words are there, and what their writer did before them is not: a reader follows an index to an entry \
                 that is not there yet"
            );
        }
        vec![seen]
    };
    explore([notes_and_writes, reads_and_looks], |_, [_, seen]| {
        assert_whole(&seen);
    });
}

#[test]
fn a_lock_at_rest_can_be_read_at_once() {
    // Also after the first write: a weak compare-exchange may fail for no reason, and in this world it does.
    exhaustive(|| {
        let lock = SeqLock::new([0, 0]);
        for number in 1..3 {
            lock.write([number, number]);
            assert_eq!(
                lock.try_read(),
                Some([number, number]),
                "nobody else is here, and try_read does not find what was written before it"
            );
        }
    });
}
