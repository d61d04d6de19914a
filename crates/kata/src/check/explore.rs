//! What the model checks share: running an exploration, and turning its first failure into a report.

use super::deliver::deliver;
use super::evidence;
use super::messages::{Says, says};
use super::panics::message;
use super::report::Report;
use super::timeline::{self, Context};
use crate::record;
use std::cell::RefCell;
use std::io::Write as _;
use std::panic::{self, AssertUnwindSafe, PanicHookInfo};
use std::sync::Once;

thread_local! {
    static CONTEXT: RefCell<Option<Box<dyn Fn() -> Context>>> = const { RefCell::new(None) };
    /// The panics that may be what the execution fails with, and their reports: one that is caught is not.
    static FAILED: RefCell<Vec<(String, Report)>> = const { RefCell::new(Vec::new()) };
}

/// Installs the hook that takes the picture at the moment of the panic: afterwards the stacks unwind, and an engine
/// whose guards are alive then may abort the process.
///
/// Called inside the first execution, for an engine that installs a hook of its own does so before it.
fn install_hook() {
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| {
        let previous = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if probing() {
                // What a look ahead comes to will come again.
            } else if record::in_execution() {
                on_panic(info);
            } else {
                previous(info);
            }
        }));
    });
}

/// Whether nothing of what happens counts.
fn probing() -> bool {
    #[cfg(feature = "loom")]
    return crate::engine::is_probing();
    #[cfg(not(feature = "loom"))]
    false
}

/// The message of a panic whose report is ready.
const PREPARED: &str = "kata: see the report";

/// Fails the running execution with a picture of its own.
#[cfg(all(feature = "shuttle", not(feature = "loom")))]
pub(super) fn fail_with(
    headline: &str,
    why: &str,
    threads: Vec<String>,
    steps: Vec<super::report::Step>,
) -> ! {
    let _aside = crate::watch::aside();
    if let Some(context) = CONTEXT.with_borrow(|context| context.as_ref().map(|context| context()))
    {
        let Context {
            test,
            world,
            explored,
            replay,
        } = context;
        let mut report = Report {
            schema: super::report::SCHEMA,
            test,
            world,
            headline: headline.to_owned(),
            explored,
            why: why.to_owned(),
            threads,
            steps,
            replay,
            text: String::new(),
            remedies: Vec::new(),
        };
        report.draw();
        FAILED.set(vec![(PREPARED.to_owned(), report)]);
    }
    panic!("{PREPARED}")
}

fn on_panic(info: &PanicHookInfo<'_>) {
    let _aside = crate::watch::aside();
    let message = message(info.payload());
    if message == PREPARED {
        return;
    }
    // The process is about to abort: a destructor has panicked while the stack unwound.
    let says = says(&message);
    if says == Some(Says::Aborting) {
        if let Some((_, report)) = FAILED.take().first()
            && !SHOUTED.replace(true)
        {
            shout(report);
        }
        return;
    }
    let Some(context) = CONTEXT.with_borrow(|context| context.as_ref().map(|context| context()))
    else {
        return;
    };
    // Those before it were caught, unless one is still on its way.
    let first = !record::panics_again();
    if first {
        FAILED.take();
    }
    let report =
        record::with(|record| timeline::report(record, context, &message, info.location()));
    // An engine that gives up cannot unwind when guards are alive.
    #[cfg(feature = "loom")]
    let aborts = !crate::engine::survives_deadlocks();
    #[cfg(not(feature = "loom"))]
    let aborts = true;
    if first && aborts && matches!(says, Some(Says::Deadlock | Says::Spinning)) {
        shout(&report);
        SHOUTED.set(true);
    }
    FAILED.with_borrow_mut(|failed| failed.push((message.clone(), report)));
    // Seen in the picture of a later failure, if this one is caught.
    let place = info
        .location()
        .map(|place| format!("{}:{}", place.file(), place.line()));
    record::panicked(&message, place.unwrap_or_default());
}

thread_local! {
    static SHOUTED: std::cell::Cell<bool> = const { std::cell::Cell::new(false) };
}

/// Prints past libtest's capture, which is lost when the process aborts.
fn shout(report: &Report) {
    let _ = std::io::stderr().write_all(format!("\n{}\n", report.text).as_bytes());
    deliver(report);
}

/// Begins an execution inside the engine.
pub(super) fn begin_execution() {
    install_hook();
    record::begin_execution();
    #[cfg(feature = "loom")]
    crate::engine::sync::forget_values();
    #[cfg(not(feature = "loom"))]
    crate::engine::thread::forget_threads();
    FAILED.take();
}

/// Ends an execution inside the engine; `leaks` makes memory that is still allocated a failure.
pub(super) fn end_execution(leaks: bool) {
    #[cfg(not(feature = "loom"))]
    crate::local::end_thread(0);
    let (blocks, bytes) = crate::watch::live();
    if crate::watch::take_double_free() {
        crate::world::fail(
            "double free",
            "Some memory was freed twice in this execution.",
        );
    }
    if leaks && blocks > 0 {
        let what = match blocks {
            1 => format!("1 block of {bytes} bytes is"),
            _ => format!("{blocks} blocks of {bytes} bytes in all are"),
        };
        let why = format!("{what} still allocated at the end of the execution.");
        crate::world::fail("leak", &why);
    }
    #[cfg(feature = "loom")]
    if crate::engine::sync::values_alive() > 0 {
        crate::world::fail(
            "leak",
            "An `Arc` is still there at the end of the execution: a reference was forgotten, or they go round in a circle.",
        );
    }
    evidence::count_operations();
    record::end_execution();
    crate::local::end_execution();
}

/// Ends a run that has come to nothing.
#[cfg(feature = "loom")]
pub(super) fn abandon_run() {
    crate::local::forget_execution();
    record::leave_execution();
}

/// Runs an exploration.
///
/// # Errors
/// With the report of its first failure.
pub(super) fn explore(
    context: impl Fn() -> Context + 'static,
    run: impl FnOnce(),
) -> Result<(), Box<Report>> {
    CONTEXT.set(Some(Box::new(context)));
    SHOUTED.set(false);
    let outcome = panic::catch_unwind(AssertUnwindSafe(run));
    let context = CONTEXT.take().expect("set above");
    let Err(payload) = outcome else {
        FAILED.take();
        return Ok(());
    };
    record::abandon_execution();
    let message = message(&*payload);
    let mut failed = FAILED.take();
    let own = failed.iter().rposition(|(said, _)| *said == message);
    let report = if failed.is_empty() {
        // The engine found it after the execution had ended, or before it began.
        record::with(|record| timeline::report(record, context(), &message, None))
    } else {
        failed.swap_remove(own.unwrap_or(0)).1
    };
    Err(Box::new(report))
}

/// Fails the running test with `report`.
pub(super) fn fail(report: &Report) -> ! {
    if !SHOUTED.get() {
        eprint!("\n{}\n", report.text);
        deliver(report);
    }
    panic::resume_unwind(Box::new(report.headline.clone()))
}
