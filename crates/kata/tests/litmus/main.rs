//! The litmus suite: small programs with known answers, and what each world of `kata` says of them.
//!
//! [`table`] is the one place that knows the answers. This file walks it: every row, with `kata` and where stated with the
//! bare engine too, runs in a process of its own, for an engine that finds a deadlock may abort. A child has to give
//! evidence: it says how many executions it accepted, or it leaves a report. Then [`pictures`] looks at the reports.
//!
//! `cargo test -p kata --features loom` walks the loom column, `--features shuttle` the other one. Arguments that are not
//! flags select rows whose name contains one of them.
//!
//! What this decides: that these verdicts do not change unnoticed. Where a verdict is wrong, because the tool never
//! explores what goes wrong, the row says so.

#[cfg(any(feature = "loom", feature = "shuttle"))]
mod child;
#[cfg(any(feature = "loom", feature = "shuttle"))]
mod pictures;
#[cfg(any(feature = "loom", feature = "shuttle"))]
mod programs;
#[cfg(any(feature = "loom", feature = "shuttle"))]
mod table;

#[cfg(not(any(feature = "loom", feature = "shuttle")))]
fn main() {
    println!("the std world explores nothing: add --features loom or --features shuttle");
}

#[cfg(any(feature = "loom", feature = "shuttle"))]
fn main() -> std::process::ExitCode {
    walk::main()
}

#[cfg(any(feature = "loom", feature = "shuttle"))]
mod walk {
    use crate::child::{self, Engine, Outcome};
    use crate::pictures;
    use crate::table::{self, Row, Verdict, WORLD};
    use std::collections::VecDeque;
    use std::process::ExitCode;
    use std::sync::Mutex;
    use std::thread;
    use std::time::{Duration, Instant};

    /// One child to run, and what it must say.
    struct Job {
        row: usize,
        engine: Engine,
    }

    pub fn main() -> ExitCode {
        let rows = table::rows();
        let arguments: Vec<String> = std::env::args().skip(1).collect();
        if let [flag, name, engine] = &arguments[..]
            && flag == child::FLAG
        {
            return child::run(&rows, name, engine);
        }
        let wanted = |row: &&Row| {
            let mut filters = arguments
                .iter()
                .filter(|argument| !argument.starts_with('-'))
                .peekable();
            row.expected.is_some()
                && (filters.peek().is_none()
                    || filters.any(|filter| row.name().contains(filter.as_str())))
        };
        if arguments.iter().any(|argument| argument == "--list") {
            for row in rows.iter().filter(wanted) {
                println!("{}: test", row.name());
            }
            return ExitCode::SUCCESS;
        }

        let start = Instant::now();
        let mut jobs = VecDeque::new();
        for (index, row) in rows.iter().enumerate().filter(|(_, row)| wanted(row)) {
            jobs.push_back(Job {
                row: index,
                engine: Engine::Kata,
            });
            if table::LOOM {
                jobs.push_back(Job {
                    row: index,
                    engine: Engine::StepByStep,
                });
            }
            if row
                .expected
                .as_ref()
                .is_some_and(|expected| expected.raw.is_some())
            {
                jobs.push_back(Job {
                    row: index,
                    engine: Engine::Raw,
                });
            }
        }
        let outcomes = run_all(&rows, jobs);
        let mut faults = print_table(&rows, &outcomes);
        faults.extend(pictures::examine(&rows, &outcomes));
        let count = outcomes.len();
        println!(
            "\n{WORLD}: {count} explorations in {:.1} s, {} not as expected",
            start.elapsed().as_secs_f64(),
            faults.len()
        );
        for fault in &faults {
            println!("\nFAILED {fault}");
        }
        if faults.is_empty() {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        }
    }

    fn run_all(rows: &[Row], jobs: VecDeque<Job>) -> Vec<(usize, Engine, Outcome, Duration)> {
        let workers = thread::available_parallelism().map_or(1, usize::from);
        let (jobs, outcomes) = (Mutex::new(jobs), Mutex::new(Vec::new()));
        thread::scope(|scope| {
            for _ in 0..workers {
                scope.spawn(|| {
                    loop {
                        let job = jobs.lock().unwrap().pop_front();
                        let Some(Job { row, engine }) = job else {
                            return;
                        };
                        let start = Instant::now();
                        let outcome = child::explore(&rows[row].name(), engine, None);
                        outcomes
                            .lock()
                            .unwrap()
                            .push((row, engine, outcome, start.elapsed()));
                    }
                });
            }
        });
        let mut outcomes = outcomes.into_inner().unwrap();
        outcomes.sort_by_key(|&(row, engine, ..)| (row, engine));
        outcomes
    }

    /// Prints what the children said, and returns where they should have said something else.
    fn print_table(rows: &[Row], outcomes: &[(usize, Engine, Outcome, Duration)]) -> Vec<String> {
        let mut faults = Vec::new();
        let mut last = "";
        println!(
            "{:<22}{:<44}{:<14}{:<14}{:>10}{:>7}",
            "program", "variant", WORLD, "bare engine", "executions", "ms"
        );
        for (index, row) in rows.iter().enumerate() {
            let found = |engine| {
                outcomes
                    .iter()
                    .find(|&&(row, by, ..)| (row, by) == (index, engine))
                    .map(|(_, _, outcome, took)| (outcome, *took))
            };
            let (Some(expected), Some((outcome, took))) = (&row.expected, found(Engine::Kata))
            else {
                continue;
            };
            let raw = found(Engine::Raw).map(|(outcome, _)| outcome);
            let mark = |outcome: &Outcome, verdict: &Verdict| {
                if outcome.is(verdict) {
                    outcome.word()
                } else {
                    format!("!! {}", outcome.word())
                }
            };
            let executions = match outcome {
                Outcome::Accepted { executions } => executions.to_string(),
                _ => String::new(),
            };
            println!(
                "{:<22}{:<44}{:<14}{:<14}{:>10}{:>7}{}",
                if row.program == last { "" } else { row.program },
                row.variant,
                mark(outcome, &expected.kata),
                raw.zip(expected.raw.as_ref())
                    .map_or(String::new(), |(raw, verdict)| mark(raw, verdict)),
                executions,
                took.as_millis(),
                expected
                    .unseen
                    .map_or(String::new(), |why| format!("  never explored: {why}"))
            );
            last = row.program;
            let mut compare = |engine: &str, outcome: &Outcome, verdict: &Verdict| {
                if !outcome.is(verdict) {
                    faults.push(format!(
                        "{} ({engine}): expected {verdict:?}, but {outcome}",
                        row.name()
                    ));
                }
            };
            compare(WORLD, outcome, &expected.kata);
            if let Some((outcome, _)) = found(Engine::StepByStep) {
                let differs = expected.step_by_step.as_ref();
                let verdict = differs.map_or(&expected.kata, |(verdict, _)| verdict);
                compare("step by step", outcome, verdict);
                if let Some((verdict, why)) = differs {
                    println!("{:<22}  step by step: {verdict:?}, for {why}", "");
                }
            }
            if let Some((raw, verdict)) = raw.zip(expected.raw.as_ref()) {
                compare("bare engine", raw, verdict);
            }
            if let (Some(most), &Outcome::Accepted { executions }) = (expected.at_most, outcome)
                && executions > most
            {
                faults.push(format!(
                    "{}: {executions} executions, and there used to be at most {most}",
                    row.name()
                ));
            }
        }
        faults
    }
}
