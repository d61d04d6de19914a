//! Every execution that C++20 allows, without load buffering, within the bounds that each check prints.
//!
//! Decides whether what one thread did before `finish` is seen by another after `is_finished`. Does not decide how it fares among
//! many threads.

use NAME::TYPE;
use kata::cell::UnsafeCell;
use kata::check::exhaustive;
use kata::sync::Arc;
use kata::thread;

struct Letter {
    text: UnsafeCell<u32>,
    written: TYPE,
}

// SAFETY: the text is read only after it was written: that is what is checked.
unsafe impl Sync for Letter {}

#[test]
fn whoever_sees_that_it_is_done_sees_what_was_done() {
    exhaustive(|| {
        let letter = Arc::new(Letter {
            text: UnsafeCell::new(0),
            written: TYPE::new(),
        });
        let writer = {
            let letter = letter.clone();
            thread::spawn(move || {
                // SAFETY: nobody reads it before `finish`.
                letter.text.with_mut(|text| unsafe { *text = 7 });
                letter.written.finish();
            })
        };
        if letter.written.is_finished() {
            // SAFETY: it is written, and nobody writes it again.
            letter.text.with(|text| assert_eq!(unsafe { *text }, 7));
        }
        writer.join().unwrap();
    });
}
