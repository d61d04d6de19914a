//! How far the course has been done, as a small picture for a README of one's own.

use crate::markup::text;
use crate::result::{Report, Tally};

/// The badge: `Concurrency Katas | 12 of 55 · Advanced`.
pub fn render(report: &Report) -> String {
    let Tally { passed, total, .. } = report.course;
    let right = format!("{passed} of {total} · {}", report.level.words());
    let left = "Concurrency Katas";
    let colour = if passed == 0 {
        "#6b7280"
    } else if passed < total {
        "#1d5fa8"
    } else {
        "#1a6b35"
    };
    let (left_room, right_room) = (room_of(left), room_of(&right));
    let width = left_room + right_room;
    let label = text(&format!("{left}: {right}"));
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"20\" role=\"img\" aria-label=\"{label}\">\n\
         <title>{label}</title>\n\
         <clipPath id=\"r\"><rect width=\"{width}\" height=\"20\" rx=\"3\"/></clipPath>\n\
         <g clip-path=\"url(#r)\"><rect width=\"{left_room}\" height=\"20\" fill=\"#374151\"/>\
         <rect x=\"{left_room}\" width=\"{right_room}\" height=\"20\" fill=\"{colour}\"/></g>\n\
         <g fill=\"#fff\" font-family=\"Verdana,DejaVu Sans,sans-serif\" font-size=\"11\">\
         <text x=\"{PADDING}\" y=\"14\" textLength=\"{}\">{}</text>\
         <text x=\"{}\" y=\"14\" textLength=\"{}\">{}</text></g>\n</svg>\n",
        left_room - 2 * PADDING,
        text(left),
        left_room + PADDING,
        right_room - 2 * PADDING,
        text(&right),
    )
}

/// On either side of a text.
const PADDING: usize = 7;

/// Room for `text`. Whatever font there is, the text is stretched or pressed to fit.
fn room_of(text: &str) -> usize {
    let width_of = |character| match character {
        ' ' | '·' | 'i' | 'l' => 4,
        _ => 7,
    };
    text.chars().map(width_of).sum::<usize>() + 2 * PADDING
}
