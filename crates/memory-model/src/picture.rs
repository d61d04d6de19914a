//! An execution in words: a column a thread, a row a step, and beneath it what it hinges on.

use std::fmt;

use super::Outcome;
use super::execution::Execution;
use super::program::Program;

/// An execution that shows an outcome. Its `Display` is the picture.
#[derive(Clone, Debug)]
pub struct Witness {
    threads: Vec<&'static str>,
    steps: Vec<Step>,
    remarks: Vec<String>,
    outcome: Outcome,
}

#[derive(Clone, Debug)]
struct Step {
    thread: usize,
    text: String,
}

impl Witness {
    pub(super) fn new(program: &Program, execution: &Execution) -> Self {
        let derived = execution.derive();
        let Execution {
            events,
            sequenced,
            reads,
            modifications,
            outcome,
            joined: _,
        } = execution;
        // As close to an interleaving as it gets.
        let causal = sequenced.union(reads);
        let along = |one: usize, other: usize| events[one].thread == events[other].thread;
        let order = causal
            .union(modifications)
            .union(&derived.reads_before)
            .linear(along)
            .or_else(|| causal.union(modifications).linear(along))
            .or_else(|| causal.linear(along))
            .or_else(|| sequenced.linear(along))
            .expect("a thread has a first operation and a last one");
        let order: Vec<usize> = order
            .into_iter()
            .filter(|&event| events[event].thread.is_some())
            .collect();
        let number = |event: usize| {
            order
                .iter()
                .position(|&other| other == event)
                .map(|at| at + 1)
        };

        let sequential = execution.only_the_total_order_forbids(&derived);
        let mut remarks = Vec::new();
        let mut steps = Vec::new();
        for &event in &order {
            let mut text = events[event].text.clone();
            let source = reads.pairs().find(|&(_, load)| load == event);
            if let Some((source, _)) = source {
                let older_than = order
                    .iter()
                    .take_while(|&&other| other != event)
                    .any(|&other| modifications.has(source, other));
                text += match number(source) {
                    None if older_than => "  (the initial one)",
                    Some(_) if older_than => "  (an old one)",
                    Some(step) if Some(step) > number(event) => "  (from a later step)",
                    _ => "",
                };
                if let Some(store) = number(source)
                    && events[source].thread != events[event].thread
                    && !sequential
                {
                    remarks.push(edge(execution, source, event, store, &number));
                }
            }
            steps.push(Step {
                thread: events[event].thread.expect("filtered above"),
                text,
            });
        }
        for &event in &order {
            for &later in &order {
                if derived.reads_before.has(event, later) && number(later) < number(event) {
                    let (load, store) = (number(event), number(later));
                    if let (Some(load), Some(store)) = (load, store) {
                        let happens = if sequential {
                            "."
                        } else {
                            ", which does not happen before it."
                        };
                        remarks.push(format!(
                            "Step {load} reads a value older than that of step {store}{happens}"
                        ));
                    }
                }
            }
        }
        for (one, other) in modifications.pairs() {
            if let (Some(first), Some(second)) = (number(one), number(other))
                && first > second
            {
                let location = events[one].location.expect("a store has a location");
                let nothing = if sequential {
                    "."
                } else {
                    ": nothing orders the two the other way round."
                };
                remarks.push(format!(
                    "In the modification order of {location} step {first} comes before step {second}{nothing}"
                ));
            }
        }
        if sequential {
            remarks.push(
                "Release and Acquire allow this wherever they stand: no thread reads what would order it behind the others."
                    .to_owned(),
            );
            let outside = execution.outside_the_total_order();
            let missing: Vec<String> = order
                .iter()
                .filter(|&&event| outside >> event & 1 == 1)
                .map(|&event| {
                    let step = number(event).unwrap_or_default();
                    format!("step {step} ({})", events[event].text)
                })
                .collect();
            let are = if missing.len() == 1 { "is" } else { "are" };
            if let Some((last, rest)) = missing.split_last() {
                let and = if rest.is_empty() { "" } else { " and " };
                remarks.push(format!(
                    "Only the one order of everything SeqCst forbids it, and {}{and}{last} {are} not in it.",
                    rest.join(", ")
                ));
            }
        }
        Self {
            threads: program.threads().iter().map(|thread| thread.name).collect(),
            steps,
            remarks,
            outcome: outcome.clone(),
        }
    }

    /// What it leaves behind.
    #[must_use]
    pub fn outcome(&self) -> &Outcome {
        &self.outcome
    }
}

/// What a load that reads another thread's store gets with it.
fn edge(
    execution: &Execution,
    store: usize,
    load: usize,
    step: usize,
    number: &dyn Fn(usize) -> Option<usize>,
) -> String {
    let here = number(load).unwrap_or_default();
    let published = execution.releasing(store);
    let received = execution.acquiring(load);
    let kind = |event: usize| format!("{:?}", execution.events[event].order.expect("an access"));
    let start = format!("Step {here} reads what step {step} stored");
    match (published.first(), received.first()) {
        (Some(&from), Some(&to)) => {
            let (from, to) = (
                number(from).unwrap_or_default(),
                number(to).unwrap_or_default(),
            );
            format!("{start}: step {from} synchronizes with step {to}.")
        }
        (None, Some(_)) => format!(
            "{start}, but step {step} is {} and publishes nothing that came before it.",
            kind(store)
        ),
        (Some(_), None) => format!(
            "{start}, but step {here} is {} and keeps nothing behind it that comes after.",
            kind(load)
        ),
        (None, None) => format!(
            "{start}, but step {step} is {} and publishes nothing, and step {here} is {} and would not receive it.",
            kind(store),
            kind(load)
        ),
    }
}

impl fmt::Display for Witness {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let length = |text: &str| text.chars().count();
        let widths: Vec<usize> = self
            .threads
            .iter()
            .enumerate()
            .map(|(thread, name)| {
                let own = self.steps.iter().filter(|step| step.thread == thread);
                own.map(|step| length(&step.text))
                    .chain([length(name)])
                    .max()
                    .unwrap_or(0)
            })
            .collect();
        let mut line = format!("{:>4}", "#");
        for (name, &width) in self.threads.iter().zip(&widths) {
            line += &format!("  {name:<width$}");
        }
        writeln!(formatter, "{}", line.trim_end())?;
        for (number, step) in self.steps.iter().enumerate() {
            let mut line = format!("{:>4}", number + 1);
            for (thread, &width) in widths.iter().enumerate() {
                let text = if thread == step.thread {
                    step.text.as_str()
                } else {
                    ""
                };
                line += &format!("  {text:<width$}");
            }
            writeln!(formatter, "{}", line.trim_end())?;
        }
        for remark in &self.remarks {
            writeln!(formatter, "      {remark}")?;
        }
        Ok(())
    }
}
