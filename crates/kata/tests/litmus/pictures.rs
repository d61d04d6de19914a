//! What the reports say: some things of every report, and of a few of them what only that failure can be told.

use crate::child::{self, Engine, Outcome, Report, Step};
use crate::table::{Row, WORLD};
use std::collections::HashMap;
use std::fs;
use std::panic::{self, AssertUnwindSafe};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Something that must hold of the report of one row.
type Claim = fn(&Report);

/// Examines the reports of `kata`, and returns what is wrong with them.
pub fn examine(rows: &[Row], outcomes: &[(usize, Engine, Outcome, Duration)]) -> Vec<String> {
    let mut faults = Vec::new();
    let mut blame = |row: &Row, claim: &str, report: &Report, examine: &dyn Fn()| {
        if let Err(payload) = panic::catch_unwind(AssertUnwindSafe(examine)) {
            let message = payload
                .downcast_ref::<String>()
                .map(String::as_str)
                .or_else(|| payload.downcast_ref::<&str>().copied())
                .unwrap_or_default();
            faults.push(format!(
                "{}, {claim}: {message}\n{}",
                row.name(),
                report.text
            ));
        }
    };
    let previous = panic::take_hook();
    panic::set_hook(Box::new(|_| {}));
    let mut sources = HashMap::new();
    for (index, engine, outcome, _) in outcomes {
        let row = &rows[*index];
        let Some(report) = outcome.report().filter(|_| *engine == Engine::Kata) else {
            continue;
        };
        let sources = &mut sources;
        let any = std::cell::RefCell::new(sources);
        blame(row, "any picture", report, &|| {
            any_picture(row, report, &mut any.borrow_mut())
        });
        for (name, claim) in CLAIMS {
            if row.name() == *name {
                blame(row, "this picture", report, &|| claim(report));
            }
        }
        if WORLD == "shuttle" && REPLAYED.contains(&row.name().as_str()) {
            blame(row, "replay", report, &|| replays(row, report));
        }
    }
    panic::set_hook(previous);
    faults
}

/// Rows whose replay string is tried.
const REPLAYED: &[&str] = &[
    "spin_lock/load,_then_store",
    "condition/one_consumer,_if",
    "two_locks/opposite_order",
    "weak_exchange/once",
    "free_list/index_alone",
];

#[cfg(feature = "loom")]
const CLAIMS: &[(&str, Claim)] = &[
    ("unwinding/counts_for_nothing", done_while_unwinding),
    ("unwinding/Relaxed", |report| {
        let store = step(report, "arrived.store(true, Relaxed)");
        says(report, &[&format!("step {} is Relaxed", store.step)]);
    }),
    ("spin_lock/CAS,_unlock_Relaxed", |report| {
        let unlock = step(report, "locked.store(false, Relaxed)");
        let lock = report
            .steps
            .iter()
            .rev()
            .find(|step| step.text.ends_with("→ Ok"));
        let lock = lock.expect("the second lock is shown");
        assert_eq!(
            lock.text,
            "locked.compare_exchange(false, true, Acquire, Relaxed) → Ok"
        );
        says(
            report,
            &[
                &format!("step {} read what step {} stored", lock.step, unlock.step),
                &format!("step {} is Relaxed", unlock.step),
                "It needs Release.",
                "races with",
            ],
        );
    }),
    ("spin_lock/CAS,_lock_Relaxed", |report| {
        says(report, &["is Relaxed", "It needs Acquire."])
    }),
    ("MP/load_Relaxed", |report| {
        step(report, "payload: write");
        step(report, "payload: read");
        let look = step(report, "ready.load(Relaxed) → 1");
        says(
            report,
            &[
                &format!("step {} is Relaxed", look.step),
                "It needs Acquire.",
            ],
        );
    }),
    ("SB/Release,_Acquire", |report| {
        says(
            report,
            &[
                "store buffering",
                "A fence(SeqCst), or SeqCst on the store and on the load, is missing",
            ],
        );
        says(report, &["in t1 between", "in main between"]);
    }),
    ("SB/right_fence_missing", |report| {
        says(
            report,
            &["A fence(SeqCst), or SeqCst on the store and on the load, is missing in t1 between"],
        );
        assert!(!report.why.contains("in main"), "main has its fence");
    }),
    ("SB/left_load_Acquire", |report| {
        says(report, &["is missing in main between"]);
        assert!(!report.why.contains("in t1"), "t1 is right");
    }),
    ("SB/left_store_Release", |report| {
        says(report, &["is missing in main between"]);
        assert!(!report.why.contains("in t1"), "t1 is right");
    }),
    ("two_locks/opposite_order", deadlock),
    ("wake-up/flag_set_outside_the_lock", lost_wake_up),
    ("future/waker_kept_after_the_look", never_woken),
    ("future/only_the_first_waker_kept", old_waker),
    ("condition/one_consumer,_if", spurious),
    ("waiter_on_a_stack/woken_through_what_is_gone", |report| {
        let unpark = step(report, "unpark main  (under way)");
        let end = step(report, "thread: drop");
        says(
            report,
            &[&format!(
                "step {} races with step {}: nothing orders t1's unpark before it. No ordering can help",
                end.step, unpark.step
            )],
        );
    }),
    ("park/without_a_loop", |report| {
        says(report, &["returned although nobody unparked the thread"])
    }),
    // What goes wrong is a race, but what causes it is store buffering.
    ("Dekker/Release,_Acquire", |report| {
        says(
            report,
            &[
                "races with",
                "is missing in t1 between",
                "and in main between",
            ],
        );
    }),
    ("hazard_pointer/second_look_Acquire", |report| {
        says(report, &["touches", "freed in", "is missing in t1 between"]);
        assert!(!report.why.contains("in main"), "main is right");
    }),
    ("hazard_pointer/unlinked_AcqRel", |report| {
        says(
            report,
            &["touches", "freed in", "is missing in main between"],
        );
        assert!(!report.why.contains("in t1"), "t1 is right");
    }),
    ("hazard_pointer/announced_Release", |report| {
        says(report, &["touches", "freed in", "is missing in t1 between"]);
    }),
    ("spin_lock/load,_then_store", |report| {
        says(report, &["No ordering can help"])
    }),
    ("publication/Relaxed", |report| {
        step(report, "value: read");
        says(
            report,
            &[
                "has initialised at memory.rs:",
                "is Relaxed",
                "It needs Release.",
            ],
        );
    }),
    ("fences/release_fence_missing", |report| {
        says(
            report,
            &["It needs Release, or a fence(Release) right before it."],
        )
    }),
    ("2+2W/Release", |report| {
        says(
            report,
            &[
                "nothing orders the two stores",
                "A fence(SeqCst) in main between",
                "and a fence(SeqCst) in t1 between",
            ],
        );
    }),
    ("overwrite/forgets_what_was_there", |report| {
        says(report, &["1 block of 8 bytes"])
    }),
    // Six ways to spoil a seqlock: each has its own pair and its own remedy.
    ("seqlock/writer's_fence_missing", |report| {
        let store = step(report, "high.store(1, Relaxed)");
        let what = format!("step {} is Relaxed: it publishes nothing", store.step);
        says(
            report,
            &[
                &what,
                "It needs Release, or a fence(Release) right before it.",
            ],
        );
    }),
    ("seqlock/AcqRel_swap_for_the_writer's_fence", |report| {
        let store = step(report, "high.store(1, Relaxed)");
        let swap = step(report, "sequence.swap(1, AcqRel) → 0");
        let what = format!("step {} is Relaxed: it publishes nothing", store.step);
        let missed = format!("nothing orders step {} before", swap.step);
        says(
            report,
            &[&missed, &what, "a fence(Release) right before it."],
        );
    }),
    ("seqlock/reader's_fence_missing", |report| {
        let load = step(report, "high.load(Relaxed) → 1");
        let what = format!("step {} is Relaxed: it sees nothing", load.step);
        says(
            report,
            &[
                &what,
                "It needs Acquire, or a fence(Acquire) right after it.",
            ],
        );
    }),
    ("seqlock/reader's_fence_too_late", |report| {
        let load = step(report, "high.load(Relaxed) → 1");
        let what = format!("Acquire in step {} would have made", load.step);
        says(report, &[&what]);
    }),
    ("seqlock/closing_store_Relaxed", |report| {
        let store = step(report, "sequence.store(2, Relaxed)");
        let what = format!("step {} is Relaxed, and step", store.step);
        let needs = format!("Step {} needs Release", store.step);
        says(
            report,
            &[&what, "publishes only what comes before that fence", &needs],
        );
    }),
    ("seqlock/opening_load_Relaxed", |report| {
        let load = step(report, "sequence.load(Relaxed) → 2");
        let first = report.steps.iter().find(|step| step.text == load.text);
        let what = format!("Acquire in step {} would", first.expect("it is there").step);
        says(report, &[&what]);
    }),
    ("fences/release_fence_too_early", |report| {
        let store = step(report, "ready.store(1, Relaxed)");
        let what = format!("step {} is Relaxed, and step", store.step);
        says(report, &[&what, "or a fence(Release) right before it."]);
    }),
    ("sleeper/AcqRel_fences", |report| {
        step(report, "ready.load(Relaxed) → false (the initial one)");
        says(
            report,
            &[
                "nobody ever unparks it",
                "returned an old value",
                "a fence(SeqCst) as step",
            ],
        );
    }),
    ("look_by_addition/store_Relaxed", |report| {
        let store = step(report, "y.store(1, Relaxed)").step;
        let add = format!("y.fetch_add(10, Relaxed) → 0 (in memory before step {store})");
        step(report, &add);
        says(report, &["in memory although", "It needs Release."]);
    }),
    ("SB/read-modify-writes_of_two_words", |report| {
        says(
            report,
            &[
                "a fence(SeqCst) in main between",
                "a fence(SeqCst) in t1 between",
            ],
        )
    }),
    // Something innocent is nearer to the failure.
    ("innocent/a_reader_who_has_let_go", |report| {
        races(report, "UnsafeCell: write", "UnsafeCell: read");
        says(report, &["No ordering can help"]);
        assert!(!report.why.contains("lock"), "the lock is not to blame");
    }),
    ("innocent/one_of_two_tokens,_flag_Relaxed", |report| {
        races(report, "UnsafeCell: write", "UnsafeCell: read");
        let store = step(report, "AtomicBool.store(true, Relaxed)").step;
        says(
            report,
            &[&format!("step {store} is Relaxed"), "It needs Release."],
        );
        assert!(!report.why.contains("park"), "no token is to blame");
    }),
    ("innocent/one_of_two_tokens,_look_Relaxed", |report| {
        races(report, "UnsafeCell: write", "UnsafeCell: read");
        let load = step(report, "AtomicBool.load(Relaxed) → true").step;
        says(
            report,
            &[&format!("step {load} is Relaxed"), "It needs Acquire."],
        );
        assert!(!report.why.contains("park"), "no token is to blame");
    }),
    ("innocent/who_had_the_lock_before", |report| {
        let first = step(report, "lock.lock()").step;
        says(
            report,
            &[&format!(
                "main waits for lock, held by itself since step {first}"
            )],
        );
        assert!(!report.why.contains("held by t1"), "t1 has let go");
    }),
    ("innocent/looks_once", |report| {
        no_ordering(report);
        says(report, &["No ordering can help"]);
    }),
    ("innocent/lines_exchanged", |report| {
        no_ordering(report);
        says(report, &["No ordering can help"]);
        // One word, as each of the two threads calls it.
        step(report, "wants[me]#1.store(true, Relaxed)");
        let look = |step: &Step| step.text.starts_with("wants[other]#1.load(Acquire)");
        assert!(
            report.steps.iter().any(look),
            "the other one looks at wants#1"
        );
    }),
    ("innocent/meet_by_Relaxed", |report| {
        let adds = report
            .steps
            .iter()
            .filter(|step| step.text.contains("fetch_add"));
        let adds: Vec<usize> = adds.map(|step| step.step).collect();
        let [one, other] = adds[..] else {
            panic!("there are two additions")
        };
        says(
            report,
            &[&format!(
                "step {one} is Relaxed and step {other} is Relaxed"
            )],
        );
    }),
    ("innocent/count_by_load_and_store", no_ordering),
    ("spin_lock/without_a_spin_hint", |report| {
        assert!(report.headline.contains("inconclusive"));
        // It would come: the bound is too small, and that is among what is said.
        says(
            report,
            &["or somebody else takes more steps on the way than the bound allows"],
        );
    }),
    ("Treiber_pop/frees_at_once,_canary", |report| {
        no_ordering(report);
        let end = step(report, "UnsafeCell: drop").step;
        says(report, &[&format!("which main freed in step {end}")]);
    }),
    ("drop_after_use/done_Relaxed", |report| {
        races(report, "value: read", "value: drop");
        says(report, &["It needs Release."]);
    }),
    // What fails with everything SeqCst as well is not the fault of an ordering.
    ("ticket_lock/ticket_by_load_and_store", no_ordering),
    ("hazard_pointer/no_second_look", no_ordering),
    ("free_list/index_alone", no_ordering),
    ("future/no_waker_kept", no_ordering),
    ("take_and_free/in_two_steps,_canary", no_ordering),
];

/// The two steps that are said to race are these, whichever comes first.
#[cfg(feature = "loom")]
fn races(report: &Report, one: &str, other: &str) {
    let [one, other] = [one, other].map(|text| step(report, text).step);
    let [first, second] = [one.min(other), one.max(other)];
    says(report, &[&format!("step {second} races with step {first}")]);
}

/// Nothing is said of orderings that would help.
#[cfg(feature = "loom")]
fn no_ordering(report: &Report) {
    for advice in ["needs", "is missing", "would have made", "would order"] {
        assert!(!report.why.contains(advice), "it advises something");
    }
}

#[cfg(not(feature = "loom"))]
const CLAIMS: &[(&str, Claim)] = &[
    ("unwinding/counts_for_nothing", done_while_unwinding),
    ("two_locks/opposite_order", deadlock),
    ("wake-up/flag_set_outside_the_lock", lost_wake_up),
    ("future/waker_kept_after_the_look", never_woken),
    ("future/only_the_first_waker_kept", old_waker),
    ("condition/one_consumer,_if", spurious),
    ("weak_exchange/once", |report| {
        step(
            report,
            "count.compare_exchange_weak(0, 1, Relaxed, Relaxed) → Err(0), spurious",
        );
        says(report, &["Use it in a loop, or use compare_exchange."]);
    }),
    ("spin_lock/load,_then_store", |report| {
        step(report, "value: write");
        says(report, &["is still inside"]);
    }),
    ("linearizable/load,_then_store", |report| {
        assert!(
            report.steps.iter().any(|step| step.text == "call ()"),
            "the history has calls"
        );
        assert!(
            report
                .steps
                .iter()
                .any(|step| step.text.starts_with("() → ")),
            "the history has returns"
        );
        says(
            report,
            &["No order of these operations that respects real time explains"],
        );
    }),
    ("linearizable/register_with_a_cache", |report| {
        step(report, "call Write(1)");
        step(report, "Write(1) → 1");
        step(report, "call Read");
        step(report, "Read → 0");
        says(report, &["could only have returned"]);
    }),
    ("non-blocking/spin_lock", |report| {
        says(report, &["is stopped where it stands", "without finishing"])
    }),
];

fn deadlock(report: &Report) {
    let held = |name: &str| {
        let lock = report
            .steps
            .iter()
            .find(|step| step.text == format!("{name}.lock()"));
        lock.unwrap_or_else(|| panic!("no step takes {name}"))
    };
    let (savings, current) = (held("savings"), held("current"));
    says(
        report,
        &[
            &format!(
                "main waits for current, held by t1 since step {}",
                current.step
            ),
            &format!(
                "t1 waits for savings, held by main since step {}",
                savings.step
            ),
        ],
    );
    let blocked = report
        .steps
        .iter()
        .filter(|step| step.text.ends_with(".lock()  (blocked)"));
    assert_eq!(blocked.count(), 2, "both threads are blocked at the end");
}

fn lost_wake_up(report: &Report) {
    let notify = step(report, "opened.notify_one()");
    says(
        report,
        &[
            "main waits on opened",
            &format!(
                "the last notification, step {}, has already happened",
                notify.step
            ),
        ],
    );
}

fn never_woken(report: &Report) {
    let pending = step(report, "poll → Pending");
    let since = format!(
        "since its poll returned Pending in step {}, and nobody ever wakes it",
        pending.step
    );
    says(report, &["main has been waiting to be woken", &since]);
}

fn old_waker(report: &Report) {
    step(report, "polls again, no wake-up");
    let wake = step(report, "wake main, old waker");
    let wake = format!(
        "step {}, was called on the waker of an earlier poll",
        wake.step
    );
    says(report, &[&wake]);
}

fn done_while_unwinding(report: &Report) {
    let panic = step(report, "panics: caught");
    let store = step(report, "arrived.store(true, Release)");
    assert!(panic.thread == store.thread && panic.step < store.step);
}

fn spurious(report: &Report) {
    step(report, "filled: wait → no wake-up");
    says(
        report,
        &["returned although nobody notified", "Wait in a loop"],
    );
}

/// The last step that reads `text`.
fn step<'a>(report: &'a Report, text: &str) -> &'a Step {
    let found = report.steps.iter().rev().find(|step| step.text == text);
    found.unwrap_or_else(|| panic!("no step reads `{text}`"))
}

/// The explanation contains all of `parts`, whatever the case of their first letters.
fn says(report: &Report, parts: &[&str]) {
    for part in parts {
        let lower = report.why.to_lowercase();
        assert!(
            lower.contains(&part.to_lowercase()),
            "the explanation lacks `{part}`"
        );
    }
}

/// What holds of every picture.
fn any_picture(row: &Row, report: &Report, sources: &mut HashMap<PathBuf, String>) {
    assert_eq!(report.schema, "kata/failure/v1");
    assert_eq!(report.world, WORLD);
    // The message of an assertion speaks for itself, and some have nothing to add.
    let own = [
        "data race",
        "free",
        "deadlock",
        "leak",
        "blocking",
        "linearizable",
        "inconclusive",
    ];
    let own = own.iter().any(|words| report.headline.contains(words));
    assert!(
        !own || !report.why.is_empty(),
        "the report does not say why"
    );
    let known = report.test == row.name() || row.name().ends_with(&report.test);
    assert!(known, "the report calls its test {}", report.test);
    assert!(
        report.replay.contains(&report.test),
        "the replay line does not name the test"
    );
    assert!(
        report.text.contains(&report.headline),
        "the picture lacks its headline"
    );
    assert!(!report.steps.is_empty(), "there is nothing to see");
    let numbers: Vec<usize> = report.steps.iter().map(|step| step.step).collect();
    assert!(
        numbers.is_sorted_by(|one, next| one < next),
        "the steps are not in order"
    );
    in_columns(report);
    if row.weak {
        assert!(
            !report.why.contains("No ordering can help"),
            "an ordering would have helped"
        );
    }
    for step in &report.steps {
        in_the_programs(step, sources);
    }
    let old = ["old value", "an old one", "in memory before"];
    assert!(
        WORLD == "loom" || !old.iter().any(|words| report.text.contains(words)),
        "under shuttle no read is old"
    );
    for remedy in &report.remedies {
        // The programs are small: each remedy can be judged a second time.
        assert_eq!(remedy.helps, Some(true), "of the remedy `{}`", remedy.text);
    }
}

/// Every step stands in its thread's column, in a row that begins with its number.
fn in_columns(report: &Report) {
    let mut lines = report
        .text
        .lines()
        .skip_while(|line| !line.trim_start().starts_with('#'));
    let head: Vec<char> = lines
        .next()
        .expect("the picture has a head")
        .chars()
        .collect();
    let column = |thread: &str| {
        let name: Vec<char> = thread.chars().collect();
        head.windows(name.len()).position(|window| window == name)
    };
    for step in &report.steps {
        let thread = &report.threads[step.thread];
        let column = column(thread).unwrap_or_else(|| panic!("{thread} has no column"));
        let line = lines
            .by_ref()
            .find(|line| line.trim_start().starts_with(&format!("{}  ", step.step)));
        let line = line.unwrap_or_else(|| panic!("step {} has no row", step.step));
        let cell: String = line.chars().skip(column).collect();
        assert!(
            cell.starts_with(&step.text),
            "step {} is not in {thread}'s column",
            step.step
        );
        let between: String = line.chars().take(column).skip(6).collect();
        assert!(
            between.trim().is_empty(),
            "something else is in the row of step {}",
            step.step
        );
    }
}

/// A step with a place has it in the programs, on the line where the operation is called.
fn in_the_programs(step: &Step, sources: &mut HashMap<PathBuf, String>) {
    let Some((file, line)) = step.location.rsplit_once(':') else {
        return;
    };
    assert!(
        file.contains("tests/litmus/programs"),
        "step {} is said to be at {}",
        step.step,
        step.location
    );
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let path = root.join(file);
    let source = sources
        .entry(path.clone())
        .or_insert_with(|| fs::read_to_string(&path).expect("the location names a file"));
    let line = line
        .parse::<usize>()
        .ok()
        .and_then(|line| source.lines().nth(line - 1));
    let line = line.unwrap_or_else(|| panic!("{} is not a line", step.location));
    // `name.method(…)`, `method(…)`
    let call = step.text.split('(').next().unwrap_or_default();
    if let Some((receiver, method)) = call.split_once('.') {
        let own = receiver.split('#').next().unwrap_or(receiver);
        assert!(
            !own.contains('[') || line.contains(own),
            "step {} is done to {own}, but {} reads `{}`",
            step.step,
            step.location,
            line.trim()
        );
        let method = method.rsplit('.').next().unwrap_or(method);
        let found = line.contains(&format!("{method}(")) || line.contains("wait");
        assert!(
            found,
            "step {} calls {method}, but {} reads `{}`",
            step.step,
            step.location,
            line.trim()
        );
    }
}

/// The schedule that failed fails again, in the same steps.
fn replays(row: &Row, report: &Report) {
    let schedule = report
        .replay
        .strip_prefix("KATA_REPLAY=")
        .and_then(|rest| rest.split(' ').next());
    let schedule = schedule.expect("the replay line carries a schedule");
    let again = child::explore(&row.name(), Engine::Kata, Some(schedule));
    let again = again
        .report()
        .unwrap_or_else(|| panic!("the replay fails no more: {again}"));
    assert_eq!(
        again.headline, report.headline,
        "the replay fails in another way"
    );
    assert_eq!(again.steps, report.steps, "the replay takes other steps");
    assert!(
        again.text.contains("(shuttle, replay,"),
        "the schedule was not taken up:\n{}",
        again.text
    );
}
