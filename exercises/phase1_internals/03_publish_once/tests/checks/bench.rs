//! What it costs to look into a full cell, counted and not timed.
//!
//! Decides whether such a look writes to what other threads read, whether it ever waits for one of them, and whether `get`
//! waits for an `init` that stands still. These are properties of the steps it takes, the same on every machine.
//! Does not decide how many nanoseconds a look takes. A step is an operation on something from `kata`.

use kata::check::{Body, Randomized, non_blocking, stands_still, write_count};
use kata::sync::Arc;
use kata::thread;
use publish_once::OnceCell;

fn full() -> OnceCell<u32> {
    let cell = OnceCell::new();
    assert_eq!(cell.set(7), Ok(()), "the cell was empty");
    cell
}

fn look(cell: &OnceCell<u32>) {
    assert_eq!(cell.get(), Some(&7), "the value is in the cell");
    assert_eq!(*cell.get_or_init(|| 8), 7, "the value is in the cell");
}

#[test]
fn looking_into_a_full_cell_writes_nothing() {
    /// In case only some of them write.
    const LOOKS: usize = 1_100;
    Randomized::new().schedules(3).run(|| {
        let cell = full();
        let before = write_count();
        for _ in 0..LOOKS {
            look(&cell);
        }
        assert_eq!(
            write_count() - before,
            0,
            "{LOOKS} looks at a value that never changes again made that many writes, read-modify-writes included: each takes the \
             cache line away from all other readers, and a value that everybody reads becomes a bottleneck"
        );
    });
}

#[test]
fn looking_into_a_full_cell_waits_for_nobody() {
    // A reader is stopped wherever it is, as if the operating system had taken its processor away. If it holds a lock
    // there, the others wait for it.
    non_blocking(|| {
        let cell = Arc::new(full());
        (0..3)
            .map(|_| {
                let cell = cell.clone();
                Box::new(move || look(&cell)) as Body
            })
            .collect()
    });
}

/// What `get` is called beside.
fn get_never_waits_for(fill: fn(&OnceCell<u32>)) {
    /// A look or two, beside the beginning and the end of the thread. Whoever looks more often waits.
    const MOST: usize = 8;
    stands_still(MOST, move || {
        let cell = Arc::new(OnceCell::new());
        let stopped = cell.clone();
        let maker: Body = Box::new(move || fill(&stopped));
        let caller: Body = Box::new(move || {
            assert!(
                cell.get().is_none_or(|&value| value == 7),
                "get shows a value that nobody has made"
            );
        });
        [maker, caller]
    });
}

#[test]
fn get_never_waits_for_an_init() {
    get_never_waits_for(|cell| {
        cell.get_or_init(|| {
            thread::yield_now();
            7
        });
    });
}

#[test]
fn get_never_waits_for_a_set() {
    get_never_waits_for(|cell| {
        let _ = cell.set(7);
    });
}
