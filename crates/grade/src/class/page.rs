//! The page of one submission: one file without scripts, in which everything that came from a submission is text.

use std::fmt::Write as _;

use super::outcome::{Goal, Graded, Record, words};
use crate::markup::text;
use crate::result::{CheckReport, FailureReport, State};

const STYLE: &str = "body{font:15px/1.5 system-ui,sans-serif;max-width:70em;margin:2em auto;padding:0 1em}\
table{border-collapse:collapse}td,th{padding:.2em .8em;text-align:left;border-bottom:1px solid #ccc;vertical-align:top}\
pre{background:#f4f4f4;padding:.8em;overflow-x:auto;font-size:13px}\
.passing{color:#06662a}.failing,.hanging,.wont_compile,.tests_edited,.ungraded{color:#a11}.not_started{color:#666}";

/// The most characters of one message that are shown; the submission's JSON file has them all.
const SHOWN: usize = 20_000;

/// The page of a submission.
pub fn render(record: &Record, goals: &[Goal]) -> String {
    let mut page = format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n\
         <meta name=\"viewport\" content=\"width=device-width\">\n<title>{name}</title>\n<style>{STYLE}</style>\n</head>\n\
         <body>\n<h1>{name}</h1>\n<p>{passing} of {all} exercises passing.</p>\n",
        name = text(&record.name),
        passing = record.passing(),
        all = record.exercises.len(),
    );
    notes(&mut page, &record.notes);
    page.push_str("<table>\n<tr><th>Exercise</th><th>State</th><th>Checks passed</th></tr>\n");
    for (graded, goal) in record.exercises.iter().zip(goals) {
        let points: Vec<String> = goal
            .checks
            .iter()
            .map(|(kind, count)| {
                let check = graded.checks.iter().find(|check| check.kind == *kind);
                let passed = check.map_or(0, |check| check.passed);
                let skipped = check.map_or(0, |check| check.skipped);
                let also = if skipped > 0 {
                    format!(" ({skipped} skipped)")
                } else {
                    String::new()
                };
                format!("{} {passed}/{count}{also}", text(kind))
            })
            .collect();
        let title = text(&format!("{} {}", graded.id, graded.title));
        let title = if has_more(graded) {
            format!("<a href=\"#{}\">{title}</a>", text(&graded.id))
        } else {
            title
        };
        let _ = writeln!(
            page,
            "<tr><td>{title}</td><td class=\"{}\">{}</td><td>{}</td></tr>",
            class(graded.state),
            words(graded.state),
            points.join(" · ")
        );
    }
    page.push_str("</table>\n");
    for graded in record.exercises.iter().filter(|graded| has_more(graded)) {
        details(&mut page, graded);
    }
    page.push_str("</body>\n</html>\n");
    page
}

fn has_more(graded: &Graded) -> bool {
    !graded.notes.is_empty() || graded.checks.iter().any(|check| !check.failures.is_empty())
}

fn details(page: &mut String, graded: &Graded) {
    let _ = writeln!(
        page,
        "<h2 id=\"{}\">{} — {}</h2>",
        text(&graded.id),
        text(&format!("{} {}", graded.id, graded.title)),
        words(graded.state)
    );
    notes(page, &graded.notes);
    for check in &graded.checks {
        for failure in &check.failures {
            show_failure(page, check, failure);
        }
    }
}

fn show_failure(page: &mut String, check: &CheckReport, failure: &FailureReport) {
    let _ = writeln!(
        page,
        "<h3>{}: {}</h3>",
        text(&check.kind),
        text(&failure.test)
    );
    let _ = writeln!(page, "<pre>{}</pre>", text(shortened(&failure.message)));
    let picture = failure.timeline.as_ref();
    if let Some(picture) = picture.and_then(|timeline| timeline["text"].as_str()) {
        let _ = writeln!(page, "<pre>{}</pre>", text(shortened(picture)));
    }
}

fn notes(page: &mut String, notes: &[String]) {
    if notes.is_empty() {
        return;
    }
    page.push_str("<ul>\n");
    for note in notes {
        let _ = writeln!(page, "<li>{}</li>", text(note));
    }
    page.push_str("</ul>\n");
}

fn class(state: Option<State>) -> String {
    words(state).replace(' ', "_").replace('\'', "")
}

fn shortened(text: &str) -> &str {
    &text[..text.floor_char_boundary(SHOWN)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_classes_of_states_have_a_style() {
        for state in [
            State::NotStarted,
            State::WontCompile,
            State::Failing,
            State::Hanging,
        ] {
            assert!(
                STYLE.contains(&format!(".{}", class(Some(state)))),
                "{state:?}"
            );
        }
    }
}
