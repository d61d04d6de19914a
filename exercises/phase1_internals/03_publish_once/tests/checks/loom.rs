//! Every execution that C++20 allows, without load buffering, within the bounds that each check prints.
//!
//! Decides, for two or three threads, whether whoever gets the value sees all that was done to it, whether one `init`
//! runs, and whether `set` tells the truth. A missing Acquire or Release shows here and nowhere else.
//! Decides as well whether an `init` that comes after one that has panicked sees what that one has done.
//! Does not decide how the cell fares among many threads.

use kata::cell::UnsafeCell;
use kata::check::{Exhaustive, Foreign, exhaustive, steps};
use kata::sync::Arc;
use kata::thread;
use publish_once::OnceCell;

/// A value whose content the model watches: making it is a write, and whoever reads it must come after that, or the model
/// reports a race. So does its drop.
struct Value {
    content: UnsafeCell<u32>,
}

// SAFETY: shared, it is only read. Whether all that comes after the write is what the model decides.
unsafe impl Sync for Value {}

impl Value {
    fn new(content: u32) -> Self {
        let value = Self {
            content: UnsafeCell::new(0),
        };
        value.write(content);
        value
    }

    fn write(&self, new: u32) {
        // SAFETY: whether anybody else uses it meanwhile is what the model decides.
        self.content.with_mut(|content| unsafe { *content = new });
    }

    fn read(&self) -> u32 {
        // SAFETY: as above.
        self.content.with(|content| unsafe { *content })
    }
}

/// What the threads of a model share.
struct Shared {
    cell: OnceCell<Value>,
    /// Something that an `init` may use, for at most one runs at a time.
    tool: Value,
}

/// What one thread of a model does.
type Script<R> = fn(&Shared) -> R;

/// Runs the scripts at the same time around an empty cell, and hands what they return to `judge`. Each script goes first
/// once, on the thread that starts the others.
///
/// loom alone would overlook executions in which a store comes before somebody else's look. `kata` makes up for that; the
/// change of roles makes the check independent of it.
fn explore<R: Send + 'static, const N: usize>(scripts: [Script<R>; N], judge: fn(&Shared, [R; N])) {
    explore_with(Exhaustive::new, scripts, judge);
}

fn explore_with<R: Send + 'static, const N: usize>(
    exploration: impl Fn() -> Exhaustive,
    scripts: [Script<R>; N],
    judge: fn(&Shared, [R; N]),
) {
    for first in 0..N {
        exploration().run(move || {
            let shared = Arc::new(Shared {
                cell: OnceCell::new(),
                tool: Value::new(0),
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
            let results = results.try_into();
            judge(
                &shared,
                results.unwrap_or_else(|_| unreachable!("one result a script")),
            );
        });
    }
}

const HALF_MADE: &str = "the value was seen before it was finished";

/// Some of the scripts.
fn looks(shared: &Shared) {
    if let Some(value) = shared.cell.get() {
        assert_eq!(value.read(), 1, "{HALF_MADE}");
    }
}

fn makes_1(shared: &Shared) {
    let value = shared.cell.get_or_init(|| Value::new(1));
    assert_eq!(value.read(), 1, "{HALF_MADE}");
}

#[test]
fn get_sees_all_of_what_init_made() {
    explore([makes_1, looks], |_, _| ());
}

#[test]
fn get_sees_all_of_what_was_set() {
    let sets: Script<()> = |shared| {
        assert!(shared.cell.set(Value::new(1)).is_ok(), "the cell was empty");
    };
    explore([sets, looks], |_, _| ());
}

#[test]
fn of_three_callers_all_see_a_finished_value() {
    explore([makes_1, makes_1, looks], |_, _| ());
}

/// Calls get_or_init; returns whether its own `init` has run, and the value.
fn makes<const CONTENT: u32>(shared: &Shared) -> (bool, u32) {
    let mut made = false;
    let value = shared.cell.get_or_init(|| {
        made = true;
        Value::new(CONTENT)
    });
    (made, value.read())
}

/// Calls set; returns whether its own value was taken, and the one it then finds.
fn sets<const CONTENT: u32>(shared: &Shared) -> (bool, u32) {
    let taken = shared.cell.set(Value::new(CONTENT)).is_ok();
    let found = shared.cell.get().expect(
        "set has said that there is a value in the cell, its own or another one, and get finds none",
    );
    (taken, found.read())
}

/// One of two callers has provided the value, and both see it.
fn one_value(shared: &Shared, [one, two]: [(bool, u32); 2]) {
    assert!(
        one.0 != two.0,
        "two callers, and not exactly one of them has provided the value: a connection is opened twice, or never"
    );
    let value = if one.0 { 1 } else { 2 };
    assert_eq!(
        (one.1, two.1, shared.cell.get().map(Value::read)),
        (value, value, Some(value)),
        "the callers and the cell itself show different values"
    );
}

#[test]
fn one_init_runs_and_everybody_gets_its_value() {
    explore([makes::<1>, makes::<2>], one_value);
}

#[test]
fn of_two_values_one_is_taken_and_both_callers_find_it() {
    explore([sets::<1>, sets::<2>], one_value);
}

#[test]
fn a_value_that_is_set_is_not_lost_to_an_init() {
    explore([sets::<1>, makes::<2>], one_value);
}

#[test]
fn two_inits_do_not_overlap() {
    // Not even if the second one would be thrown away: here each needs a tool that there is once.
    let uses_the_tool: Script<()> = |shared| {
        shared.cell.get_or_init(|| {
            shared.tool.write(1);
            Value::new(1)
        });
    };
    explore([uses_the_tool, uses_the_tool], |_, _| ());
}

#[test]
fn what_init_does_comes_before_everybody_who_gets_the_value() {
    let uses_the_tool: Script<()> = |shared| {
        shared.cell.get_or_init(|| {
            shared.tool.write(1);
            Value::new(1)
        });
    };
    let uses_it_afterwards: Script<()> = |shared| {
        if shared.cell.get().is_some() {
            assert_eq!(
                shared.tool.read(),
                1,
                "the value is there, and the rest of what its init has done is not: a table is announced as loaded, and \
                 its entries are missing"
            );
        }
    };
    explore([uses_the_tool, uses_it_afterwards], |_, _| ());
}

#[test]
fn three_callers_at_once_provide_one_value() {
    // Of three, one may come back from a lost attempt with what it knew before. One preemption is enough for that.
    fn one_of_three(_: &Shared, results: [(bool, u32); 3]) {
        let provided = results.iter().filter(|(provided, _)| *provided).count();
        assert_eq!(
            provided, 1,
            "so many of three callers have provided the value: a connection is opened twice, or never"
        );
        let [value, ..] = results.map(|(_, value)| value);
        assert!(
            results.iter().all(|(_, seen)| *seen == value),
            "the callers saw different values"
        );
    }
    let exploration = || Exhaustive::new().preemptions(1);
    explore_with(
        exploration,
        [makes::<1>, makes::<2>, makes::<3>],
        one_of_three,
    );
    explore_with(
        exploration,
        [makes::<1>, makes::<2>, sets::<3>],
        one_of_three,
    );
    explore_with(
        exploration,
        [makes::<1>, sets::<2>, sets::<3>],
        one_of_three,
    );
}

#[test]
fn whoever_has_waited_sees_a_finished_value() {
    // Step by step: a look after the first one in vain may be another one than the first.
    let exploration = || {
        Exhaustive::new()
            .step_by_step()
            .preemptions(2)
            .branches(400)
    };
    explore_with(exploration, [makes_1, makes_1], |_, _| ());
}

#[test]
fn what_a_failed_init_has_done_comes_before_the_next_one() {
    let fails: Script<()> = |shared| {
        let trouble = Foreign::panics_once(1);
        let _ = Foreign::survive(|| {
            shared.cell.get_or_init(|| {
                shared.tool.write(1);
                trouble.call();
                Value::new(1)
            });
        });
    };
    let succeeds: Script<()> = |shared| {
        let value = shared.cell.get_or_init(|| {
            shared.tool.write(2);
            Value::new(1)
        });
        value.read();
    };
    explore([fails, succeeds], |_, _| ());
}

#[test]
fn the_model_sees_what_the_cell_does() {
    exhaustive(|| {
        let cell = OnceCell::new();
        let me = thread::current();
        let before = steps(&me);
        cell.get_or_init(|| 7);
        assert!(
            steps(&me) > before,
            "the cell was filled, and no operation was seen: take atomics and locks from `kata`, not from `std`. What the model \
             checker does not see it cannot judge"
        );
        assert_eq!(cell.get(), Some(&7), "the value is in the cell");
    });
}

#[test]
fn an_empty_cell_refuses_nothing() {
    // `compare_exchange_weak` may fail for no reason at all. In this world it does, once in each place that calls it.
    exhaustive(|| {
        for content in 1..3 {
            let cell = OnceCell::new();
            assert!(
                cell.set(Value::new(content)).is_ok(),
                "nobody has put anything into this cell, yet set says that there is a value"
            );
            assert_eq!(
                cell.get().map(Value::read),
                Some(content),
                "the value is in the cell, and get does not find it"
            );
        }
    });
}

#[test]
fn whoever_drops_the_cell_drops_a_finished_value() {
    exhaustive(|| {
        let cell = Arc::new(OnceCell::new());
        let other = {
            let cell = cell.clone();
            thread::spawn(move || {
                cell.get_or_init(|| Value::new(1));
            })
        };
        drop(cell);
        other.join().unwrap();
    });
}
