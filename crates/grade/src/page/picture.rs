//! The picture of a failing model as SVG: a lane a thread, a row a step, and an arrow for each edge that its explanation
//! speaks of. The one that is missing is dashed.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use kata_report::{Report, Step};

use crate::markup::text;

/// What an arrow says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Edge {
    /// Nothing orders the first step before the second.
    Missing,
    /// The second step read what the first one stored.
    ReadFrom,
    /// The second step is a load that did not return what the first one had stored.
    Missed,
    /// The second step touches what the first one freed.
    Freed,
    /// Nothing keeps the second step, which begins while the first one lasts, apart from it.
    Overlap,
    /// A fence has to stand between the two.
    Fence,
}

impl Edge {
    fn class(self) -> &'static str {
        match self {
            Self::Missing | Self::Overlap => "missing",
            Self::Fence => "fence",
            Self::ReadFrom => "read",
            Self::Missed => "missed",
            Self::Freed => "freed",
        }
    }

    fn words(self) -> &'static str {
        match self {
            Self::Missing => "nothing orders the one before the other",
            Self::ReadFrom => "read by",
            Self::Missed => "stored, and not seen by",
            Self::Freed => "freed before it is touched by",
            Self::Overlap => "nothing keeps the two apart",
            Self::Fence => "a fence is missing between the two, or stronger orderings",
        }
    }
}

/// The edges that `why` speaks of, as pairs of steps, the earlier end first. They are read off the sentences that `kata`
/// explains a failure with; a sentence of another form gives none.
pub fn edges(why: &str) -> BTreeSet<(usize, usize, Edge)> {
    let steps = mentioned(why);
    let mut found = BTreeSet::new();
    for pair in steps.windows(2) {
        let ((first, _, end), (second, begin, _)) = (pair[0], pair[1]);
        let (before, between) = (&why[..end], &why[end..begin]);
        if first == second || between.contains(". ") {
            continue;
        }
        let edge = match between {
            " races with " => (second, first, Edge::Missing),
            " before " if before.contains(&format!("nothing orders step {first}")) => {
                (first, second, Edge::Missing)
            }
            " read what " | " returned what " => (second, first, Edge::ReadFrom),
            " returned an old value although " | " comes before " => (second, first, Edge::Missed),
            " and " if before.ends_with(&format!("between step {first}")) => {
                (first, second, Edge::Fence)
            }
            _ if between.starts_with(" touches ") && between.ends_with(" freed in ") => {
                (second, first, Edge::Freed)
            }
            _ if between.starts_with(" begins while ")
                && between.ends_with(" is still inside ") =>
            {
                (second, first, Edge::Overlap)
            }
            _ => continue,
        };
        found.insert(edge);
    }
    found
}

/// The steps that a text names, each with where its name begins and ends.
fn mentioned(text: &str) -> Vec<(usize, usize, usize)> {
    let mut found = Vec::new();
    for (begin, _) in text.match_indices("tep ") {
        let Some(start) = begin.checked_sub(1) else {
            continue;
        };
        let is_word = matches!(text.as_bytes()[start], b's' | b'S')
            && !text[..start].ends_with(|before: char| before.is_alphanumeric());
        let digits = text[begin + 4..]
            .bytes()
            .take_while(u8::is_ascii_digit)
            .count();
        let end = begin + 4 + digits;
        if let (true, Ok(step)) = (is_word, text[begin + 4..end].parse()) {
            found.push((step, start, end));
        }
    }
    found
}

const ROW: usize = 38;
const GAP: usize = 20;
const HEAD: usize = 34;
/// Of a character in the font of steps.
const CHARACTER: f64 = 7.3;
/// Between two arrows beside each other.
const TRACK: usize = 12;
/// Room for the number of a step.
const NUMBERS: usize = 30;
/// How wide a picture becomes before its lanes move closer to each other.
const WIDEST: usize = 700;
const CLOSEST: usize = 72;
const FARTHEST: usize = 120;
/// The most steps that are drawn. Further ones are left out in the middle.
const STEPS: usize = 160;

/// The picture; empty if there are no steps.
pub fn render(report: &Report) -> String {
    if report.steps.is_empty() {
        return String::new();
    }
    let steps: Vec<&Step> = shown(&report.steps);
    let named: BTreeSet<usize> = mentioned(&report.why)
        .into_iter()
        .map(|(step, ..)| step)
        .collect();
    let mut rows: BTreeMap<usize, (usize, usize)> = BTreeMap::new();
    let mut lanes: Vec<usize> = steps.iter().map(|step| step.thread).collect();
    lanes.sort_unstable();
    lanes.dedup();

    let arrows: Vec<_> = {
        let numbers: BTreeSet<usize> = steps.iter().map(|step| step.step).collect();
        let both =
            |edge: &(usize, usize, Edge)| numbers.contains(&edge.0) && numbers.contains(&edge.1);
        edges(&report.why).into_iter().filter(both).collect()
    };
    let left = NUMBERS + TRACK * (arrows.len() + 1);
    let box_of = |step: &Step| {
        let place = short(&step.location);
        let longest = step.text.chars().count().max(place.chars().count());
        (longest as f64 * CHARACTER).ceil() as usize + 26
    };
    let widest = steps.iter().map(|step| box_of(step)).max().unwrap_or(0);
    let between = (WIDEST.saturating_sub(left + widest) / lanes.len().max(2).saturating_sub(1))
        .clamp(CLOSEST, FARTHEST);
    let lane_at = |thread: usize| {
        left + 8 + lanes.iter().position(|lane| *lane == thread).unwrap_or(0) * between
    };

    let mut body = String::new();
    let mut y = HEAD;
    let mut width = lane_at(lanes.last().copied().unwrap_or(0)) + CLOSEST;
    let mut last = 0;
    for (index, step) in steps.iter().enumerate() {
        if step.step > last + 1 {
            let _ = write!(
                body,
                "<text class=\"gap\" x=\"{NUMBERS}\" y=\"{}\">⋮</text>",
                y + 14
            );
            y += GAP;
        }
        last = step.step;
        let x = lane_at(step.thread);
        let middle = y + ROW / 2;
        rows.insert(step.step, (x, middle));
        width = width.max(x + box_of(step) + 4);
        let class = if index + 1 == steps.len() {
            "step fails"
        } else if named.contains(&step.step) {
            "step named"
        } else {
            "step"
        };
        let _ = write!(
            body,
            "<g class=\"{class}\"><text class=\"number\" x=\"{NUMBERS}\" y=\"{}\">{}</text>\
             <rect x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\" rx=\"5\"/><circle cx=\"{x}\" cy=\"{middle}\" r=\"4\"/>",
            middle + 4,
            step.step,
            x + 10,
            y + 2,
            box_of(step) - 10,
            ROW - 4,
        );
        let place = short(&step.location);
        if place.is_empty() {
            let _ = write!(
                body,
                "<text x=\"{}\" y=\"{}\">{}</text></g>",
                x + 17,
                middle + 4,
                text(&step.text)
            );
        } else {
            let _ = write!(
                body,
                "<text x=\"{0}\" y=\"{1}\">{2}</text><text class=\"place\" x=\"{0}\" y=\"{3}\">{4}</text></g>",
                x + 17,
                middle - 2,
                text(&step.text),
                middle + 12,
                text(place)
            );
        }
        body.push('\n');
        y += ROW;
    }

    let height = y + 8;
    let mut svg = format!(
        "<svg class=\"picture\" role=\"img\" width=\"{width}\" height=\"{height}\" viewBox=\"0 0 {width} {height}\" \
         aria-label=\"{}\">\n",
        text(&format!("{}. {}", report.headline, report.why))
    );
    for &lane in &lanes {
        let x = lane_at(lane);
        let name = report.threads.get(lane).map_or("", String::as_str);
        let _ = writeln!(
            svg,
            "<line class=\"lane\" x1=\"{x}\" x2=\"{x}\" y1=\"{HEAD}\" y2=\"{y}\"/>\
             <text class=\"thread\" x=\"{}\" y=\"20\">{}</text>",
            x - 4,
            text(name)
        );
    }
    svg.push_str(&body);
    for (track, (from, to, edge)) in arrows.iter().enumerate() {
        let x = NUMBERS + TRACK * (track + 1);
        // Those that end in the same row do so below each other.
        let above = arrows[..track].iter().filter(|arrow| arrow.1 == *to);
        let (to_x, to_y) = rows[to];
        let end = (to_x, to_y + 6 * above.count());
        draw_arrow(&mut svg, rows[from], end, x, *edge);
    }
    svg.push_str("</svg>\n");
    svg
}

/// What the arrows of a picture mean, for its caption; empty if there is none.
pub fn legend(why: &str) -> String {
    let mut kinds: Vec<Edge> = edges(why).into_iter().map(|(.., edge)| edge).collect();
    kinds.sort_unstable();
    kinds.dedup();
    let mut html = String::new();
    for edge in kinds {
        let _ = write!(
            html,
            "<span class=\"key\"><svg width=\"30\" height=\"10\" aria-hidden=\"true\"><path class=\"arrow {0}\" d=\"M1 5H22\"/>\
             <path class=\"tip {0}\" d=\"M29 5l-8-4v8z\"/></svg> {1}</span>",
            edge.class(),
            edge.words()
        );
    }
    html
}

/// Left of a step nothing stands in its row, so an arrow goes there from the one lane, down beside the numbers, and to the
/// other lane.
fn draw_arrow(svg: &mut String, from: (usize, usize), to: (usize, usize), x: usize, edge: Edge) {
    let class = edge.class();
    let ((from_x, from_y), (to_x, to_y)) = (from, to);
    let _ = writeln!(
        svg,
        "<path class=\"arrow {class}\" d=\"M{} {from_y}H{x}V{to_y}H{}\"/>\
         <path class=\"tip {class}\" d=\"M{} {to_y}l-8-4v8z\"/>",
        from_x - 5,
        to_x - 12,
        to_x - 5,
    );
}

/// All steps, or the first and the last of too many.
fn shown(steps: &[Step]) -> Vec<&Step> {
    if steps.len() <= STEPS {
        return steps.iter().collect();
    }
    let beginning = &steps[..STEPS / 4];
    let end = &steps[steps.len() - (STEPS - STEPS / 4)..];
    beginning.iter().chain(end).collect()
}

fn short(location: &str) -> &str {
    location.rsplit(['/', '\\']).next().unwrap_or(location)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(why: &str) -> Vec<(usize, usize, Edge)> {
        edges(why).into_iter().collect()
    }

    #[test]
    fn the_edges_are_those_that_the_explanation_names() {
        assert_eq!(
            of(
                "Step 9 races with step 6: nothing orders t1's write before it. Step 8 read what step 7 stored, but step 7 \
                is Relaxed: it publishes nothing that t1 did before it. It needs Release."
            ),
            [(6, 9, Edge::Missing), (7, 8, Edge::ReadFrom)]
        );
        assert_eq!(
            of(
                "Step 12 returned an old value although step 3 had stored a newer one: nothing orders step 3 before step 12."
            ),
            [(3, 12, Edge::Missing), (3, 12, Edge::Missed)]
        );
        assert_eq!(
            of("Step 5 touches `node`, which t1 freed in step 4."),
            [(4, 5, Edge::Freed)]
        );
        assert_eq!(
            of("Step 71 begins while t3 is still inside step 66. Nothing keeps the two apart."),
            [(66, 71, Edge::Overlap)]
        );
        assert_eq!(
            of(
                "A fence(SeqCst), or SeqCst on the store and on the load, is missing in main between step 4 and step 5 and in \
                t1 between step 8 and step 9."
            ),
            [(4, 5, Edge::Fence), (8, 9, Edge::Fence)]
        );
    }

    #[test]
    fn what_is_no_edge_gives_none() {
        for why in [
            "t1 waits for `lock`, held by main since step 4. Step 9 is the last.",
            "Step 4 happens before step 5.",
            "steps 4, footstep 5 read what step 6 stored",
            "Step 1 read what step 1 stored.",
            "",
        ] {
            assert_eq!(of(why), [], "{why}");
        }
    }

    /// The words in between are `kata`'s; were it to choose others, there would be no arrows any more.
    #[test]
    fn kata_explains_in_these_words() {
        let explain = [
            include_str!("../../../kata/src/check/timeline/explain/freed.rs"),
            include_str!("../../../kata/src/check/timeline/explain/mod.rs"),
            include_str!("../../../kata/src/check/timeline/explain/race.rs"),
            include_str!("../../../kata/src/check/timeline/explain/stale.rs"),
        ]
        .concat();
        for words in [
            "{} races with {}: nothing orders",
            "nothing orders {store} before {load}.",
            "{to} read what {from} stored, but",
            "{to} read what {from} released, but",
            "{} returned what {} stored although",
            "{} touches {}, which {} freed in {}.",
            "{} begins while {} is still inside {}.",
            "{step} returned an old value although {newer} had stored a newer one",
            "{step} comes before {newer} in memory although",
            "{} between {} and {}",
        ] {
            assert!(explain.contains(words), "{words}");
        }
    }
}
