//! Real threads on real processors, more of them than most machines have cores.
//!
//! Decides whether the words of a read belong together here, and whether every reader gets some in the end. It is the only
//! check in which the operating system takes the processor from a writer, as it will in production.
//! Does not decide orderings: x86 keeps loads and stores in order, and forgives their lack. Does not prove anything: it
//! samples.

use kata::check::Stress;
use seqlock::SeqLock;

const THREADS: usize = 6;
const WRITERS: usize = 2;
const CALLS: u64 = 200;
const ROUNDS: usize = 200;

/// Long enough for a write to take some time.
type Row = [u64; 16];

/// Write number `number` of a writer: all words the same, and no other write has them.
fn row(writer: usize, number: u64) -> Row {
    [(writer as u64) << 32 | number; 16]
}

/// Who wrote a row, and with which number.
#[track_caller]
fn stamp(row: Row) -> (usize, u64) {
    assert!(
        row.iter().all(|&word| word == row[0]),
        "these words were never written together: {row:x?}. A clock shows the seconds of one time and the nanoseconds of \
         another"
    );
    ((row[0] >> 32) as usize, row[0] & 0xFFFF_FFFF)
}

#[test]
fn the_words_of_a_read_belong_together_and_grow_no_older() {
    Stress::new(THREADS).rounds(ROUNDS).run(
        |_round| SeqLock::new(row(0, 0)),
        |thread, lock| {
            if thread < WRITERS {
                for number in 1..=CALLS {
                    lock.write(row(thread, number));
                }
                return;
            }
            let mut latest = [0; WRITERS];
            for call in 0..CALLS {
                let seen = if call % 2 == 0 {
                    lock.read()
                } else if let Some(seen) = lock.try_read() {
                    seen
                } else {
                    continue;
                };
                let (writer, number) = stamp(seen);
                assert!(
                    number >= latest[writer],
                    "a reader saw write {} of a writer, and after that its write {number}: time runs backwards",
                    latest[writer]
                );
                latest[writer] = number;
            }
        },
        |lock, _| {
            let last = lock
                .try_read()
                .expect("all writers are done, and try_read says that somebody is writing");
            let (_, number) = stamp(last);
            assert_eq!(
                number, CALLS,
                "all writers are done, and what is left is not the last write of any of them"
            );
        },
    );
}
