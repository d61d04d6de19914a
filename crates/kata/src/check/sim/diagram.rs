//! A run as a sequence diagram in text: a column a node, time runs down.

use std::fmt::Write as _;

use super::{Id, Moment, Protocol, Violation};
use crate::check::report::{self, Report, Step, Test};

/// The widest a picture gets, if the texts in it allow.
const WIDTH: usize = 98;
/// What the number of a step or the time takes.
const MARGIN: usize = 8;
/// The most lines of a picture. A grader shows sixty lines of a failure, and some are not the picture's.
const LINES: usize = 46;

/// One thing that happened.
#[derive(Clone, Debug)]
struct Row {
    moment: Moment,
    line: Line,
    topic: Option<u64>,
}

#[derive(Clone, Debug)]
enum Line {
    /// A message, where it arrives, or where it is lost.
    Arrow {
        from: Id,
        to: Id,
        label: String,
        lost: bool,
        /// When it was sent, if its sender has changed since.
        sent: Option<Moment>,
    },
    /// A timeout, a crash, a restart, a pause.
    At { node: Id, text: String },
    /// What a node is from now on.
    State { node: Id, text: String },
    /// What a node has persisted.
    Saved { node: Id, text: String },
    /// What happens to the network.
    Wide(String),
}

/// What a run looks like, collected as it happens.
#[derive(Clone, Debug)]
pub(super) struct Record {
    rows: Vec<Row>,
    states: Vec<String>,
    /// When each node's state has changed last, or it has crashed.
    changed: Vec<u64>,
    crashed: Vec<bool>,
    /// From when to when each node was down.
    downs: Vec<(Id, usize, usize)>,
    now: Moment,
}

/// Goes along with a message on its way.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stamp(Moment);

impl Record {
    pub(super) fn new(nodes: usize) -> Self {
        Self {
            rows: Vec::new(),
            states: vec![String::new(); nodes],
            changed: vec![0; nodes],
            crashed: vec![false; nodes],
            downs: Vec::new(),
            now: Moment::Step(0),
        }
    }

    pub(super) fn set_now(&mut self, now: Moment) {
        self.now = now;
    }

    fn add(&mut self, topic: Option<u64>, line: Line) {
        let moment = self.now;
        self.rows.push(Row {
            moment,
            line,
            topic,
        });
    }

    /// For what is sent now.
    pub(super) fn stamp(&self) -> Stamp {
        Stamp(self.now)
    }

    pub(super) fn arrow<P: Protocol>(
        &mut self,
        protocol: &P,
        (from, to): (Id, Id),
        message: &P::Message,
        lost: bool,
        stamp: Option<Stamp>,
    ) {
        let sent = stamp
            .map(|Stamp(at)| at)
            .filter(|at| self.changed[from] > at.number());
        self.add(
            protocol.topic_of_message(message),
            Line::Arrow {
                from,
                to,
                label: protocol.label(message),
                lost,
                sent,
            },
        );
    }

    pub(super) fn at(&mut self, node: Id, topic: Option<u64>, text: impl Into<String>) {
        let text = text.into();
        self.add(topic, Line::At { node, text });
    }

    pub(super) fn wide(&mut self, text: String) {
        self.add(None, Line::Wide(text));
    }

    pub(super) fn saved<P: Protocol>(&mut self, protocol: &P, node: Id, stable: &P::Stable) {
        let text = protocol.saved(stable);
        self.add(None, Line::Saved { node, text });
    }

    /// After a step: says what the node is, if it is something else than before.
    pub(super) fn state<P: Protocol>(&mut self, protocol: &P, id: Id, node: &P::Node) {
        let state = protocol.state(node);
        if self.states[id] != state {
            self.changed[id] = self.now.number();
            self.states[id].clone_from(&state);
            let topic = protocol.topic_of_node(node);
            self.add(
                topic,
                Line::State {
                    node: id,
                    text: format!("[{state}]"),
                },
            );
        }
    }

    pub(super) fn crash(&mut self, node: Id, topic: Option<u64>, undone: &[String]) {
        self.crashed[node] = true;
        self.changed[node] = self.now.number();
        self.states[node].clear();
        if undone.is_empty() {
            self.at(node, topic, "✗ crash");
        } else {
            self.at(node, topic, "✗ crash before:");
            for effect in undone {
                self.at(node, topic, format!("  {effect}"));
            }
        }
        self.downs.push((node, self.rows.len(), usize::MAX));
    }

    pub(super) fn restart(&mut self, node: Id, topic: Option<u64>) {
        let up = self.rows.len();
        if let Some(down) = self.downs.iter_mut().rfind(|down| down.0 == node) {
            down.2 = up;
        }
        self.at(node, topic, "restart");
    }

    /// Every line, for those who want to read everything.
    pub(super) fn log(&self) -> String {
        let mut text = String::new();
        for row in &self.rows {
            let number = row.moment.number();
            let _ = match &row.line {
                Line::Arrow {
                    from,
                    to,
                    label,
                    lost,
                    sent,
                } => {
                    let lost = if *lost { "  lost" } else { "" };
                    let sent = sent.map_or_else(String::new, |at| format!("  (sent {at})"));
                    writeln!(text, "{number:>6}  n{from} → n{to}  {label}{lost}{sent}")
                }
                Line::At { node, text: what } | Line::State { node, text: what } => {
                    writeln!(text, "{number:>6}  n{node}  {what}")
                }
                Line::Saved { node, text: what } => {
                    writeln!(text, "{number:>6}  n{node}  disk: {what}")
                }
                Line::Wide(what) => writeln!(text, "{number:>6}  {what}"),
            };
        }
        text
    }

    /// The rows worth a line: those about the topic, or the last ones.
    fn chosen(&self, topic: Option<u64>) -> Vec<usize> {
        let shown = |index: &usize| match &self.rows[*index].line {
            // What a node keeps matters to a reader when it has to live on it.
            Line::Saved { node, .. } => self.crashed[*node],
            _ => true,
        };
        // What led to a state, such as the timeout that made a candidate, belongs to it.
        let on_topic = |index: &usize| {
            let row = &self.rows[*index];
            let of_the_same_step = self.rows[*index..]
                .iter()
                .take_while(|other| other.moment == row.moment)
                .any(|other| matches!(other.line, Line::State { .. }) && other.topic == topic);
            topic.is_some()
                && (row.topic == topic || matches!(row.line, Line::At { .. }) && of_the_same_step)
        };
        let first = (0..self.rows.len()).find(on_topic);
        let (first, topic_known) = (first.unwrap_or(0), first.is_some());
        let mut rows: Vec<usize> = (first..self.rows.len())
            .filter(shown)
            .filter(|index| {
                let row = &self.rows[*index];
                !topic_known
                    || on_topic(index)
                    || (row.topic.is_none() && !matches!(row.line, Line::Arrow { .. }))
            })
            .collect();
        let excess = rows.len().saturating_sub(LINES);
        rows.drain(..excess);
        rows
    }

    fn spacing(&self, rows: &[usize]) -> usize {
        let nodes = self.states.len();
        let count = |text: &str| text.chars().count();
        let needed = rows
            .iter()
            .map(|&row| match &self.rows[row].line {
                Line::Arrow { label, .. } => count(label) + 6,
                // The last column may run over the edge.
                Line::At { node, text } | Line::State { node, text } if node + 1 < nodes => {
                    count(text) + 2
                }
                Line::Saved { node, text } if node + 1 < nodes => count(text) + 8,
                _ => 0,
            })
            .max()
            .unwrap_or(0);
        let most = (WIDTH - MARGIN) / nodes;
        needed.clamp(12, most.max(12))
    }

    /// The picture, and its rows for the report.
    fn draw(&self, topic: Option<u64>) -> (String, Vec<Step>) {
        let rows = self.chosen(topic);
        let nodes = self.states.len();
        let spacing = self.spacing(&rows);
        let column = |node: Id| MARGIN + node * spacing;
        let is_down = |node: Id, row: usize| {
            self.downs
                .iter()
                .any(|&(id, from, to)| id == node && (from..to).contains(&row))
        };
        let unit = match self.now {
            Moment::Step(_) => "#",
            Moment::Time(_) => "ms",
        };
        let mut text = Canvas::new();
        text.put(MARGIN - 2 - unit.len(), unit);
        for node in 0..nodes {
            text.put(column(node), &format!("n{node}"));
        }
        let mut picture = text.line();
        let mut steps = Vec::new();
        let mut last: Option<usize> = None;
        let mut last_moment = None;
        for &index in &rows {
            let row = &self.rows[index];
            let mut canvas = Canvas::new();
            for node in 0..nodes {
                if !is_down(node, index) {
                    canvas.put(column(node), "│");
                }
            }
            // Something was left out before this row.
            let left_out = match last {
                None => index > 0,
                Some(last) => (last + 1..index)
                    .any(|index| !matches!(self.rows[index].line, Line::Saved { .. })),
            };
            if left_out {
                let mut gap = Canvas::new();
                gap.put(MARGIN - 3, "…");
                picture.push_str(&gap.line());
            }
            last = Some(index);
            if last_moment != Some(row.moment) {
                let number = row.moment.number().to_string();
                canvas.put((MARGIN - 2).saturating_sub(number.len()), &number);
                last_moment = Some(row.moment);
            }
            let thread = match &row.line {
                Line::Arrow {
                    from,
                    to,
                    label,
                    lost,
                    sent,
                } => {
                    canvas.arrow(column(*from), column(*to), label, *lost);
                    if let Some(sent) = sent {
                        canvas.put(column(nodes - 1) + 3, &format!("(sent {sent})"));
                    }
                    *to
                }
                Line::At { node, text } | Line::State { node, text } => {
                    canvas.put(column(*node), text);
                    *node
                }
                Line::Saved { node, text } => {
                    canvas.put(column(*node), &format!("disk: {text}"));
                    *node
                }
                Line::Wide(text) => {
                    canvas.put(MARGIN, &format!("~~~ {text} ~~~"));
                    0
                }
            };
            picture.push_str(&canvas.line());
            steps.push(Step {
                step: usize::try_from(row.moment.number()).unwrap_or(usize::MAX),
                thread,
                text: row.line.words(),
                location: String::new(),
            });
        }
        (picture, steps)
    }

    /// What is delivered when `violation` ends this run.
    pub(super) fn report(&self, violation: &Violation, explored: String, replay: String) -> Report {
        let (picture, steps) = self.draw(violation.topic);
        let mut report = report_without_picture(violation, explored, replay);
        report.threads = (0..self.states.len()).map(|id| format!("n{id}")).collect();
        report.steps = steps;
        report.text = compose(&report, &picture);
        report
    }
}

/// What is delivered if there is nothing to draw.
pub(super) fn report_without_picture(
    violation: &Violation,
    explored: String,
    replay: String,
) -> Report {
    let mut report = Report {
        schema: report::SCHEMA,
        test: Test::running("").name(),
        world: "std",
        headline: violation.rule.to_owned(),
        explored,
        why: violation.why.clone(),
        threads: Vec::new(),
        steps: Vec::new(),
        replay,
        text: String::new(),
        remedies: Vec::new(),
    };
    report.text = compose(&report, "");
    report
}

fn compose(report: &Report, picture: &str) -> String {
    let mut text = format!("{}: {}\n", report.test, report.headline);
    for line in report::wrap(&report.explored, WIDTH) {
        let _ = writeln!(text, "{line}");
    }
    let _ = write!(text, "\n{picture}");
    for (index, line) in report::wrap(&report.why, WIDTH - MARGIN).iter().enumerate() {
        let mark = match (picture.is_empty(), index) {
            (true, _) => "",
            (false, 0) => "      ^ ",
            (false, _) => "        ",
        };
        let _ = writeln!(text, "{mark}{line}");
    }
    let _ = writeln!(text, "\nreplay: {}", report.replay);
    text
}

impl Line {
    fn words(&self) -> String {
        match self {
            Self::Arrow {
                from, label, lost, ..
            } => {
                let lost = if *lost { ", lost" } else { "" };
                format!("{label} from n{from}{lost}")
            }
            Self::At { text, .. } | Self::State { text, .. } | Self::Wide(text) => {
                text.trim().to_owned()
            }
            Self::Saved { text, .. } => format!("disk: {text}"),
        }
    }
}

/// A line of characters that can be written over.
struct Canvas(Vec<char>);

impl Canvas {
    fn new() -> Self {
        Self(Vec::new())
    }

    fn put(&mut self, at: usize, text: &str) {
        for (offset, character) in text.chars().enumerate() {
            let place = at + offset;
            if self.0.len() <= place {
                self.0.resize(place + 1, ' ');
            }
            self.0[place] = character;
        }
    }

    /// From one lifeline to another, the label in the middle.
    fn arrow(&mut self, from: usize, to: usize, label: &str, lost: bool) {
        let (left, right) = (from.min(to), from.max(to));
        for place in left + 1..right {
            self.put(place, "─");
        }
        let length = label.chars().count() + 2;
        let room = right - left - 1;
        self.put(
            left + 1 + room.saturating_sub(length) / 2,
            &format!(" {label} "),
        );
        let (tail, head) = if from < to {
            ("├", "▶")
        } else {
            ("┤", "◀")
        };
        self.put(from, tail);
        let before = if from < to { to - 1 } else { to + 1 };
        self.put(before, if lost { "✗" } else { head });
    }

    fn line(self) -> String {
        let text: String = self.0.into_iter().collect();
        format!("{}\n", text.trim_end())
    }
}
