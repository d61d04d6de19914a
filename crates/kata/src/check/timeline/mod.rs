//! The timeline: what happened, in the learner's own lines, a column a thread, the failing step last.

mod cure;
mod explain;
mod source;

use super::messages::{Says, says};
use super::report::{Remedy, Report, SCHEMA, Step};
use crate::record::{Event, Kind, NO_OBJECT, Op, Record, Site, Value};
use std::collections::{HashMap, HashSet};
use std::panic::Location;

/// What the headline says if nobody got anywhere within the bound on steps.
pub(crate) const INCONCLUSIVE: &str = "inconclusive: unbounded spinning";

/// What is said of a failure that comes about if every access is SeqCst.
const NO_ORDERING: &str = "It would happen in this very order if every access were SeqCst: no ordering is at fault, but the \
                           order of the steps is, or what is missing between them.";

/// More steps than these are elided to the ones that matter.
const LONG: usize = 40;

/// How many of each thread's last steps are always shown.
const TAIL: usize = 3;

/// What kind of failure a panic message stands for.
enum Failure {
    Race,
    Freed(String),
    Deadlock,
    /// Nobody got anywhere within the bound on steps.
    Spinning,
    /// Found by an oracle, which says what and why.
    Stated {
        headline: String,
        why: String,
    },
    /// An assertion of the check, or a panic in the code under test.
    Panic,
}

impl Failure {
    fn is_a_race(&self) -> bool {
        match self {
            Self::Race => true,
            Self::Stated { headline, .. } => headline == "data race",
            _ => false,
        }
    }
}

fn classify(message: &str) -> Failure {
    if let Some(stated) = message.strip_prefix(crate::world::FAILURE) {
        let (headline, why) = stated.split_once('\n').unwrap_or((stated, ""));
        return match headline {
            "use after free" | "double free" => Failure::Freed(why.to_owned()),
            _ => Failure::Stated {
                headline: headline.to_owned(),
                why: why.to_owned(),
            },
        };
    }
    match says(message) {
        Some(Says::Race) => Failure::Race,
        Some(Says::Deadlock) => Failure::Deadlock,
        Some(Says::Spinning) => Failure::Spinning,
        Some(Says::Aborting) | None => Failure::Panic,
    }
}

/// The events of a failed execution, numbered and named.
struct Picture {
    events: Vec<Event>,
    /// How many of the events were performed; the others are what threads were about to do.
    performed: usize,
    numbers: Vec<usize>,
    names: Vec<String>,
    threads: Vec<String>,
    pointers: HashMap<u64, usize>,
    /// The graph of what was performed.
    execution: Option<memory_model::Graph>,
}

impl Picture {
    fn step(&self, event: usize) -> String {
        format!("step {}", self.numbers[event])
    }

    fn thread(&self, thread: usize) -> String {
        self.threads[thread].clone()
    }

    fn name(&self, object: u32) -> &str {
        self.names.get(object as usize).map_or("?", String::as_str)
    }

    fn value(&self, value: Value) -> String {
        match value.kind {
            Kind::Bool => (value.bits != 0).to_string(),
            Kind::Signed => (value.bits as i64).to_string(),
            Kind::Unsigned if value.bits > u32::MAX.into() => format!("{:#x}", value.bits),
            Kind::Unsigned => value.bits.to_string(),
            Kind::Pointer if value.bits == 0 => "null".to_owned(),
            Kind::Pointer => match value.bits & 7 {
                0 => format!("p{}", self.pointers[&value.bits]),
                low => match self.pointers.get(&(value.bits - low)) {
                    Some(pointer) => format!("p{pointer}+{low}"),
                    None => low.to_string(),
                },
            },
        }
    }

    /// Marks a load that did not read the newest store, and a read-modify-write whose place in the modification order is not where
    /// it stands.
    fn age(&self, load: usize) -> String {
        let overlooked = self.overlooked(load);
        let Some(&first) = overlooked.first() else {
            return String::new();
        };
        if self.modifies(load) {
            return format!(" (in memory before {})", self.step(first));
        }
        let source = self.events[load].trace.source;
        let written = self.events[..load]
            .iter()
            .any(|event| event.trace.store == source);
        let age = if written {
            " (an old one)"
        } else {
            " (the initial one)"
        };
        age.to_owned()
    }

    /// Whether an event is a read-modify-write that has stored something.
    fn modifies(&self, event: usize) -> bool {
        let op = &self.events[event].op;
        matches!(
            op,
            Op::Rmw {
                written: Some(_),
                ..
            }
        )
    }

    /// What an event is done to: as its own line has it, with the object's number, where an object goes by several indices.
    fn object(&self, event: &Event) -> String {
        let name = self.name(event.object);
        match receiver(event) {
            Some(own) if own.contains('[') && base(&own) == base(name) => {
                format!("{own}{}", &name[name.find('#').unwrap_or(name.len())..])
            }
            _ => name.to_owned(),
        }
    }

    fn text(&self, event: &Event) -> String {
        let name = self.object(event);
        let value =
            |value: Option<Value>| value.map_or_else(|| "…".to_owned(), |value| self.value(value));
        match &event.op {
            Op::Load { order, value: None } => format!("{name}.load({order:?})"),
            Op::Load {
                order,
                value: Some(value),
            } => format!("{name}.load({order:?}) → {}", self.value(*value)),
            Op::Store { order, value } => {
                format!("{name}.store({}, {order:?})", self.value(*value))
            }
            Op::Rmw {
                name: method,
                operands,
                order,
                failure: None,
                read,
                ..
            } => {
                let call = format!("{name}.{method}({}, {order:?})", value(operands[0]));
                read.map_or(call.clone(), |read| {
                    format!("{call} → {}", self.value(read))
                })
            }
            Op::Rmw {
                name: method,
                operands,
                order,
                failure: Some(failure),
                read,
                written,
                spurious,
            } => {
                let call = format!(
                    "{name}.{method}({}, {}, {order:?}, {failure:?})",
                    value(operands[0]),
                    value(operands[1])
                );
                match (read, written) {
                    (None, _) => call,
                    (Some(_), Some(_)) => format!("{call} → Ok"),
                    (Some(read), None) if *spurious => {
                        format!("{call} → Err({}), spurious", self.value(*read))
                    }
                    (Some(read), None) => format!("{call} → Err({})", self.value(*read)),
                }
            }
            Op::Fence(order) => format!("fence({order:?})"),
            Op::Exclusive("drop") => format!("{name}: drop"),
            Op::Exclusive(how) => format!("{name}.{how}()"),
            Op::CellRead => format!("{name}: read"),
            Op::CellWrite => format!("{name}: write"),
            Op::Lock(how) => format!("{name}.{how}()"),
            Op::TryLock {
                name: how,
                acquired: None,
            } => format!("{name}.{how}()"),
            Op::TryLock {
                name: how,
                acquired: Some(true),
            } => format!("{name}.{how}() → acquired"),
            Op::TryLock {
                name: how,
                acquired: Some(false),
            } => format!("{name}.{how}() → held"),
            Op::Unlock => format!("{name}: unlock"),
            Op::Wait { spurious: false } => format!("{name}: wait"),
            Op::Wait { spurious: true } => format!("{name}: wait → no wake-up"),
            Op::Notify(how) => format!("{name}.{how}()"),
            Op::Spawn(child) => format!("spawn {}", self.threads[*child]),
            Op::Join(child) => format!("join {}", self.threads[*child]),
            Op::Park { spurious: false } => "park".to_owned(),
            Op::Park { spurious: true } => "park → no wake-up".to_owned(),
            Op::Unpark(target) => format!("unpark {}", self.threads[*target]),
            Op::Poll(true) => "poll → Ready".to_owned(),
            Op::Poll(false) => "poll → Pending".to_owned(),
            Op::Await { spurious: false } => "waits to be woken".to_owned(),
            Op::Await { spurious: true } => "polls again, no wake-up".to_owned(),
            Op::Wake {
                thread,
                stale: false,
            } => format!("wake {}", self.threads[*thread]),
            Op::Wake {
                thread,
                stale: true,
            } => format!("wake {}, old waker", self.threads[*thread]),
            Op::Note(text) => (*text).to_owned(),
            Op::Yield => "spins".to_owned(),
            Op::Panic { message, .. } => panics(message),
        }
    }
}

/// A panic as a step, with its message if that is short.
fn panics(message: &str) -> String {
    if message.chars().count() > 60 {
        "panics".to_owned()
    } else {
        format!("panics: {message}")
    }
}

/// Empty for the oracles' own lines: they are not the learner's.
fn location(site: Site) -> String {
    let file = site.file();
    if file.contains("kata/src/check") || file.contains("kata\\src\\check") {
        return String::new();
    }
    format!("{file}:{}", site.line())
}

/// What the line of an event says that it is done to.
fn receiver(event: &Event) -> Option<String> {
    let method = !matches!(event.op, Op::Exclusive("drop") | Op::Unlock);
    method.then(|| source::receiver(event.site)).flatten()
}

/// A name without an index or a number.
fn base(name: &str) -> &str {
    name.split(['[', '#']).next().unwrap_or(name)
}

/// What each object is called: by the field it was created for, else by what its operations are called on. Those that share a
/// name are numbered, and so are those that go by several indices.
fn names(record: &Record, events: &[Event]) -> Vec<String> {
    let of = |index: usize| {
        let events = events.iter();
        events.filter(move |event| event.object as usize == index)
    };
    let mut names: Vec<String> = record
        .objects
        .iter()
        .enumerate()
        .map(|(index, object)| {
            let used = || of(index).find_map(receiver);
            source::created(object.created)
                .or_else(used)
                .unwrap_or_else(|| object.what.to_owned())
        })
        .collect();
    let mut of_name = HashMap::<String, Vec<usize>>::new();
    let mut renamed = HashSet::new();
    for (index, name) in names.iter_mut().enumerate() {
        // Only objects that occur compete for a name.
        if of(index).all(|event| matches!(event.op, Op::Exclusive("drop"))) {
            continue;
        }
        let mut indices = of(index).filter_map(receiver);
        let key = base(name).to_owned();
        if indices.any(|own| base(&own) == key && own.contains('[') && own != *name) {
            *name = key.clone();
            renamed.insert(index);
        }
        of_name.entry(key).or_default().push(index);
    }
    for objects in of_name.into_values() {
        if objects.len() > 1 || renamed.contains(&objects[0]) {
            for (number, index) in objects.into_iter().enumerate() {
                names[index] = format!("{}#{}", names[index], number + 1);
            }
        }
    }
    names
}

/// A step on its way into the picture, and how often it was repeated.
struct Row {
    event: usize,
    times: usize,
    step: Step,
}

/// Draws what a thread repeats without anybody else in between only once. Rows that must `stay` are left alone.
fn fold(rows: Vec<Row>, stay: impl Fn(&Row) -> bool) -> Vec<Row> {
    /// The longest turn of a loop that is recognised, in steps.
    const TURN: usize = 3;
    let same = |one: &Row, other: &Row| {
        one.step.thread == other.step.thread
            && one.step.text == other.step.text
            && one.step.location == other.step.location
            && !stay(one)
            && !stay(other)
    };
    let mut folded: Vec<Row> = Vec::new();
    let mut rest = rows.into_iter().peekable();
    let mut ahead: std::collections::VecDeque<Row> = std::collections::VecDeque::new();
    loop {
        ahead.extend(rest.by_ref().take(TURN - ahead.len().min(TURN)));
        let turn = (1..=TURN.min(ahead.len())).find(|&turn| {
            folded.len() >= turn
                && folded[folded.len() - turn..]
                    .iter()
                    .zip(&ahead)
                    .all(|(one, other)| same(one, other))
        });
        match turn {
            Some(turn) => {
                ahead.drain(..turn);
                let start = folded.len() - turn;
                for row in &mut folded[start..] {
                    row.times += 1;
                }
            }
            None => match ahead.pop_front() {
                Some(row) => folded.push(row),
                None => return folded,
            },
        }
    }
}

/// Keeps the steps that matter: what the explanation speaks of and touches, and the last ones of each thread.
fn elide(rows: Vec<Row>, picture: &Picture, speaks_of: &[usize], focus: u32) -> Vec<Row> {
    let objects: Vec<u32> = speaks_of
        .iter()
        .map(|&index| picture.events[index].object)
        .chain([focus])
        .filter(|&object| object != NO_OBJECT)
        .collect();
    let total = rows.len();
    let recent: Vec<bool> = rows
        .iter()
        .enumerate()
        .map(|(index, row)| {
            let later = |other: &&Row| other.step.thread == row.step.thread;
            rows[index + 1..].iter().filter(later).take(TAIL).count() < TAIL
        })
        .collect();
    rows.into_iter()
        .zip(recent)
        .filter(|(row, recent)| {
            let event = &picture.events[row.event];
            *recent
                || speaks_of.contains(&row.event)
                || matches!(event.op, Op::Spawn(_))
                || (objects.contains(&event.object) && total <= 4 * LONG)
        })
        .map(|(row, _)| row)
        .collect()
}

/// What is known of the check that failed.
#[derive(Clone, Debug)]
pub(crate) struct Context {
    pub test: String,
    pub world: &'static str,
    pub explored: String,
    pub replay: String,
}

/// Makes a report of a failed execution.
pub(crate) fn report(
    record: &Record,
    context: Context,
    message: &str,
    panicked: Option<&Location<'_>>,
) -> Report {
    let failure = classify(message);
    let mut events: Vec<Event> = record.events.clone();
    let performed = events.len();
    let current = crate::record::current();
    match failure {
        Failure::Deadlock | Failure::Spinning => {
            events.extend(record.pending.iter().flatten().cloned())
        }
        _ => {
            let own = record.pending.get(current).cloned().flatten();
            // Another thread may be in the middle of what this one collides with.
            if let Some(own) = own.as_ref().filter(|_| failure.is_a_race()) {
                let others = record.pending.iter().flatten();
                let collides = |other: &&Event| {
                    other.thread != current && other.object == own.object && own.object != NO_OBJECT
                };
                events.extend(others.filter(collides).cloned());
            }
            events.extend(own);
        }
    }
    let focus = events
        .get(performed)
        .map_or(NO_OBJECT, |event| event.object);
    let spinning = matches!(failure, Failure::Spinning);
    let hidden = |index: usize, event: &Event| match event.op {
        Op::Exclusive("drop") | Op::CellRead
            if !matches!(event.op, Op::CellRead) || record.is_handle(event.object) =>
        {
            index < performed && (focus == NO_OBJECT || event.object != focus)
        }
        Op::Yield => index < performed && !spinning,
        _ => false,
    };
    let mut number = 0;
    let numbers: Vec<usize> = events
        .iter()
        .enumerate()
        .map(|(index, event)| {
            number += usize::from(!hidden(index, event));
            number
        })
        .collect();
    let mut pointers = HashMap::new();
    for event in &events {
        let values: Vec<Option<Value>> = match event.op {
            Op::Load { value, .. } => vec![value],
            Op::Store { value, .. } => vec![Some(value)],
            Op::Rmw {
                operands,
                read,
                written,
                ..
            } => vec![operands[0], operands[1], read, written],
            _ => vec![],
        };
        for value in values.into_iter().flatten() {
            if value.kind == Kind::Pointer && value.bits != 0 && value.bits & 7 == 0 {
                let next = pointers.len() + 1;
                pointers.entry(value.bits).or_insert(next);
            }
        }
    }
    let names = names(record, &events);
    let picture = Picture {
        events,
        performed,
        numbers,
        names,
        threads: record.threads.clone(),
        pointers,
        execution: cure::execution(),
    };

    let failing = picture.events.len() > performed;
    let strengthened = crate::record::pass().strengthened;
    let (headline, why) = match &failure {
        Failure::Race if failing => ("data race".to_owned(), explain::race(&picture, record)),
        Failure::Freed(why) if failing => {
            let headline = message[crate::world::FAILURE.len()..]
                .lines()
                .next()
                .unwrap_or_default();
            (headline.to_owned(), explain::freed(&picture, why))
        }
        Failure::Deadlock => ("deadlock".to_owned(), explain::deadlock(&picture)),
        Failure::Spinning => (INCONCLUSIVE.to_owned(), explain::spinning(&picture)),
        Failure::Stated { headline, why } if headline == "data race" && failing => {
            (headline.clone(), explain::overlap(&picture, why))
        }
        Failure::Stated { headline, why } => (
            headline.clone(),
            explain::Why {
                text: why.clone(),
                ..Default::default()
            },
        ),
        _ => {
            let mut lines = message.lines();
            let headline = lines.next().unwrap_or("panic").to_owned();
            let rest: Vec<&str> = lines.collect();
            let mut why = explain::adversary(&picture, current).unwrap_or_default();
            if strengthened {
                why.text = NO_ORDERING.to_owned();
            } else if why.text.is_empty()
                && let Some(stale) = explain::stale(&picture)
            {
                why = stale;
            }
            if !rest.is_empty() {
                why.text = format!("{}\n{}", rest.join("\n"), why.text);
            }
            (headline, why)
        }
    };

    let remedies = why.advises.iter().filter(|_| !strengthened);
    let remedies = remedies.map(|(cure, goal)| Remedy {
        text: picture.words(cure),
        helps: picture.really_helps(cure, *goal),
    });
    let remedies = remedies.collect();
    let blocked = matches!(failure, Failure::Deadlock);
    let racing = failure.is_a_race();
    let last = picture.events.len();
    let mut rows: Vec<Row> = picture
        .events
        .iter()
        .enumerate()
        .filter(|&(index, event)| !hidden(index, event))
        .map(|(index, event)| Row {
            event: index,
            times: 1,
            step: Step {
                step: picture.numbers[index],
                thread: event.thread,
                text: picture.text(event)
                    + &picture.age(index)
                    + if blocked && index >= performed {
                        "  (blocked)"
                    } else if racing && (performed + 1..last).contains(&(index + 1)) {
                        "  (under way)"
                    } else {
                        ""
                    },
                location: match &event.op {
                    Op::Exclusive("drop") | Op::Unlock | Op::Wake { .. } => String::new(),
                    Op::Panic { place, .. } => place.clone(),
                    _ => location(event.site),
                },
            },
        })
        .collect();
    rows = fold(rows, |row| {
        row.event >= performed || why.speaks_of.contains(&row.event)
    });
    if rows.len() > LONG {
        rows = elide(rows, &picture, &why.speaks_of, focus);
    }
    let mut steps: Vec<Step> = rows
        .into_iter()
        .map(|row| match row.times {
            1 => row.step,
            times => Step {
                text: format!("{}  ×{times}", row.step.text),
                ..row.step
            },
        })
        .collect();
    if matches!(failure, Failure::Panic)
        && let Some(site) = panicked
    {
        let step = picture.numbers.last().map_or(1, |number| number + 1);
        steps.push(Step {
            step,
            thread: current,
            text: panics(&headline),
            location: format!("{}:{}", site.file(), site.line()),
        });
    }

    let Context {
        test,
        world,
        explored,
        replay,
    } = context;
    let mut report = Report {
        schema: SCHEMA,
        test,
        world,
        headline,
        explored,
        why: why.text.trim().to_owned(),
        threads: picture.threads,
        steps,
        replay,
        text: String::new(),
        remedies,
    };
    report.draw();
    report
}
