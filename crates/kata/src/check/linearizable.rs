//! Linearizability of an object under shuttle: histories of many schedules against a sequential specification.
//!
//! Never under loom: there an operation that has returned need not be visible to one called later.

use super::linearizability::{Counterexample, History, Spec};
use super::report::{Step, Test};
use super::{explore, randomized::Randomized};
use crate::sync::Arc;

/// Runs `scripts`, one thread each, on the object that `build` makes, under 600 schedules, and checks every history
/// against `initial`. `perform` carries out one operation on the object.
///
/// # Panics
/// If no order of the operations that respects real time explains a history, or if an execution fails otherwise. The
/// history goes to stderr.
pub fn linearizable<S, T>(
    initial: S,
    build: impl Fn() -> T + Send + Sync + 'static,
    scripts: Vec<Vec<S::Op>>,
    perform: impl Fn(&T, &S::Op) -> S::Ret + Clone + Send + Sync + 'static,
) where
    S: Spec + Send + Sync + 'static,
    S::Op: Send + Sync,
    S::Ret: Send,
    T: Send + Sync + 'static,
{
    let test = Test::running(std::any::type_name_of_val(&perform));
    let model = move || {
        let object = Arc::new(build());
        let history = std::sync::Arc::new(History::<S>::new());
        let threads: Vec<_> = scripts
            .iter()
            .cloned()
            .enumerate()
            .map(|(thread, script)| {
                let (object, history, perform) = (object.clone(), history.clone(), perform.clone());
                crate::thread::spawn(move || {
                    for op in script {
                        history.record(thread + 1, op.clone(), || perform(&object, &op));
                    }
                })
            })
            .collect();
        for thread in threads {
            thread.join().expect("a panic ends the execution");
        }
        if let Err(counterexample) = history.check(&initial) {
            let (threads, steps) = picture(&counterexample);
            explore::fail_with(
                "not linearizable",
                &counterexample.explanation(),
                threads,
                steps,
            );
        }
    };
    if let Err(report) = Randomized::new().explore_as(test, model) {
        explore::fail(&report);
    }
}

fn picture<S: Spec>(counterexample: &Counterexample<S>) -> (Vec<String>, Vec<Step>) {
    let threads = (0..counterexample.threads())
        .map(|thread| format!("t{thread}"))
        .collect();
    let steps = counterexample
        .rows()
        .into_iter()
        .zip(1..)
        .map(|(row, step)| Step {
            step,
            thread: row.thread,
            text: row.text,
            location: String::new(),
        })
        .collect();
    (threads, steps)
}
