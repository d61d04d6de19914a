//! Random, reproducible schedules of more threads than the exhaustive checks can afford.
//!
//! Decides whether several writers and readers mix words up, and whether a reader is left waiting when all writers are
//! done. Does not decide orderings: here every atomic access is sequentially consistent, and a fence does nothing. Does not
//! decide everything: it samples.

use kata::check::randomized;
use kata::sync::Arc;
use kata::thread;
use seqlock::SeqLock;

const WRITERS: u64 = 3;
const READERS: usize = 2;
const CALLS: u64 = 3;

#[test]
fn the_words_of_a_read_belong_together() {
    randomized(|| {
        let lock = Arc::new(SeqLock::new([0; 3]));
        let writers: Vec<_> = (1..=WRITERS)
            .map(|writer| {
                let lock = lock.clone();
                thread::spawn(move || {
                    for number in 0..CALLS {
                        lock.write([10 * writer + number; 3]);
                    }
                })
            })
            .collect();
        let readers: Vec<_> = (0..READERS)
            .map(|_| {
                let lock = lock.clone();
                thread::spawn(move || (0..CALLS).map(|_| lock.read()).collect::<Vec<_>>())
            })
            .collect();
        for writer in writers {
            writer.join().unwrap();
        }
        let mut seen: Vec<_> = readers
            .into_iter()
            .flat_map(|reader| reader.join().unwrap())
            .collect();
        let left = lock
            .try_read()
            .expect("all writers are done, and try_read says that somebody is writing");
        seen.push(left);
        for words in seen {
            assert!(
                words.iter().all(|&word| word == words[0]),
                "the words {words:?} were read together and never written together"
            );
        }
        assert!(
            left[0] % 10 == CALLS - 1,
            "all writers are done, and what is left, {}, is not the last write of any of them",
            left[0]
        );
    });
}
