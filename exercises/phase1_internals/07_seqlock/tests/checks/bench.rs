//! What a reader costs the others, counted and not timed.
//!
//! Decides whether a read writes to what others read, also one that has failed often, and who waits for whom. Both are
//! properties of the steps that are taken, the same on every machine.
//! Does not decide how many nanoseconds a read takes. A step is an operation on something from `kata`.

use kata::check::{Body, Randomized, non_blocking, stands_still, write_count};
use kata::sync::Arc;
use kata::thread;
use seqlock::SeqLock;

#[test]
fn reading_writes_nothing() {
    Randomized::new().schedules(100).run(|| {
        let lock = Arc::new(SeqLock::new([0; 2]));
        let reader = {
            let lock = lock.clone();
            thread::spawn(move || {
                let before = write_count();
                lock.read();
                lock.try_read();
                write_count() - before
            })
        };
        lock.write([1; 2]);
        assert_eq!(
            reader.join().unwrap(),
            0,
            "a reader wrote that often, read-modify-writes included: each takes the cache line away from all other readers, and \
             a value that everybody reads becomes a bottleneck"
        );
    });
}

#[test]
fn a_read_that_fails_again_and_again_goes_on_as_it_began() {
    // Long rows, one write after the other: nearly every attempt meets a write, and a read may make more than a thousand.
    const WRITES: u64 = 500;
    Randomized::new().schedules(10).steps(200_000).run(|| {
        let lock = Arc::new(SeqLock::new([0; 16]));
        let reader = {
            let lock = lock.clone();
            thread::spawn(move || {
                let before = write_count();
                let words = lock.read();
                assert!(
                    words.iter().all(|&word| word == words[0]),
                    "a read had no luck for a long time, and then returned words that were never written together: \
                     {words:?}. Under load a clock shows the seconds of one time and the nanoseconds of another"
                );
                write_count() - before
            })
        };
        for number in 1..=WRITES {
            lock.write([number; 16]);
        }
        assert_eq!(
            reader.join().unwrap(),
            0,
            "a read that had no luck for a long time wrote that often, as for a lock: from then on a reader without a \
             processor holds the writer up, just when there is most to write"
        );
    });
}

#[test]
fn a_read_that_stands_still_is_told_of_however_many_writes() {
    /// After so many a sequence of eight bits is what it was before, and one of twelve.
    const WRITES: u64 = 1 << 11;
    stands_still(usize::MAX, || {
        let lock = Arc::new(SeqLock::new([0; 2]));
        let read = lock.clone();
        let reader: Body = Box::new(move || {
            let [one, other] = read.read();
            assert_eq!(
                one, other,
                "the system took the processor away from a reader for {WRITES} writes, and it returned two words that were never \
                 written together: the sequence was what it had been before"
            );
        });
        let writer: Body =
            Box::new(move || (1..=WRITES).for_each(|number| lock.write([number; 2])));
        [reader, writer]
    });
}

#[test]
fn a_writer_waits_for_no_reader_and_an_attempt_for_nobody() {
    // Each thread is stopped wherever it is, as if the operating system had taken its processor away. There is one writer,
    // for a second one would have to wait for it.
    non_blocking(|| {
        let lock = Arc::new(SeqLock::new([0; 2]));
        let writer = {
            let lock = lock.clone();
            Box::new(move || {
                lock.write([1; 2]);
                lock.write([2; 2]);
            }) as Body
        };
        let readers = (0..2).map(|_| {
            let lock = lock.clone();
            Box::new(move || {
                lock.try_read();
                lock.try_read();
            }) as Body
        });
        std::iter::once(writer).chain(readers).collect()
    });
}
