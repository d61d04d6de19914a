//! How far the course has been done, as a page: one file without scripts, in which everything that came from a learner is
//! text. And the badge.

pub mod badge;
pub mod picture;

use std::fmt::Write as _;

use serde::Deserialize as _;

use crate::markup::text;
use crate::result::{
    CheckReport, ExerciseReport, Exploration, FailureReport, Level, PhaseReport, Report, State,
    Tally,
};
use crate::table;

/// The most characters of one message that are shown.
const SHOWN: usize = 20_000;

/// What each level asks for.
const LEVELS: [(Level, &str); 4] = [
    (Level::Basics, "from the first exercise on"),
    (Level::Advanced, "phase 1 complete"),
    (Level::Expert, "phases 1 to 5 complete"),
    (Level::God, "all of it, with the capstones"),
];

/// The whole page.
pub fn render(report: &Report) -> String {
    let mut page = format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'; img-src data:\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>Concurrency Katas: {passed} of {total}</title>\n<link rel=\"icon\" href=\"data:,\">\n\
         <style>\n{}</style>\n</head>\n<body>\n<main>\n<h1>Concurrency Katas</h1>\n",
        include_str!("style.css"),
        passed = report.course.passed,
        total = report.course.total,
    );
    let _ = writeln!(
        page,
        "<p>{} · level: <b>{}</b></p>",
        in_words(report.course),
        report.level.words()
    );
    bar(&mut page, report.course);
    page.push_str("<ul class=\"levels\">\n");
    for (level, asks) in LEVELS {
        let reached = if level <= report.level {
            " class=\"reached\""
        } else {
            ""
        };
        let _ = writeln!(
            page,
            "<li{reached}><b>{}</b>{asks}</li>",
            text(level.words())
        );
    }
    page.push_str("</ul>\n");
    if let Some(advice) = table::next_step(report) {
        let _ = writeln!(
            page,
            "<p class=\"next\"><b>Next step:</b> {}</p>",
            text(&advice)
        );
    }
    for error in &report.errors {
        let _ = writeln!(page, "<p class=\"next\">{}</p>", text(error));
    }
    for phase in &report.phases {
        show_phase(&mut page, phase);
    }
    page.push_str(
        "<footer>Written by <code>./grade.sh report</code>. A model that passes has been explored as far as the README of its \
         exercise says.</footer>\n</main>\n</body>\n</html>\n",
    );
    page
}

fn in_words(tally: Tally) -> String {
    let Tally {
        passed,
        written,
        total,
    } = tally;
    let open = match total - written {
        0 => String::new(),
        open => format!(", {open} not written yet"),
    };
    format!("{passed} of {total} passing{open}")
}

/// What passes, what can be done, and what is not written yet.
fn bar(page: &mut String, tally: Tally) {
    let share = |part: usize| 100.0 * part as f64 / tally.total.max(1) as f64;
    let _ = writeln!(
        page,
        "<div class=\"bar\" role=\"img\" aria-label=\"{}\"><i style=\"width:{:.2}%\"></i>\
         <span style=\"width:{:.2}%\"></span><b style=\"width:{:.2}%\"></b></div>",
        in_words(tally),
        share(tally.passed),
        share(tally.written - tally.passed.min(tally.written)),
        share(tally.total - tally.written),
    );
}

fn show_phase(page: &mut String, phase: &PhaseReport) {
    let number = phase.id.trim_start_matches("phase");
    let _ = writeln!(
        page,
        "<section>\n<h2>Phase {number} · {}</h2>\n<p class=\"quiet\">{}</p>",
        text(&phase.title),
        in_words(phase.course)
    );
    bar(page, phase.course);
    page.push_str("<div class=\"cards\">\n");
    for exercise in &phase.exercises {
        show_exercise(page, exercise);
    }
    page.push_str("</div>\n</section>\n");
}

fn show_exercise(page: &mut String, exercise: &ExerciseReport) {
    let wide = if exercise.needs_work() { " wide" } else { "" };
    let state = exercise.state.words();
    let _ = writeln!(
        page,
        "<article class=\"card {}{wide}\">\n<header><h3>{} {}</h3><span class=\"state\">{state}</span></header>\n\
         <div class=\"quiet\"><code>{}</code></div>",
        class(exercise.state),
        text(&exercise.id),
        text(&exercise.title),
        text(&exercise.name),
    );
    if !exercise.checks.is_empty() {
        page.push_str("<ul class=\"kinds\">");
        for check in &exercise.checks {
            show_kind(page, check);
        }
        page.push_str("</ul>\n");
    }
    for check in &exercise.checks {
        show_explored(page, check);
    }
    for reason in exercise.checks.iter().flat_map(|check| &check.skip_reasons) {
        let _ = writeln!(page, "<p class=\"quiet\">Skipped: {}</p>", text(reason));
    }
    if exercise.needs_work() {
        show_failures(page, exercise);
    }
    page.push_str("</article>\n");
}

fn show_kind(page: &mut String, check: &CheckReport) {
    let CheckReport {
        kind,
        passed,
        total,
        skipped,
        ..
    } = check;
    let kind = text(&kind.replace('_', " "));
    let class = if passed == total {
        "all"
    } else if passed + skipped == *total {
        "left"
    } else {
        "short"
    };
    let mark = if passed == total { "✓ " } else { "" };
    let _ = write!(
        page,
        "<li><span class=\"{class}\">{mark}{kind} {passed}/{total}</span></li>"
    );
}

/// How much the models of a kind have seen.
fn show_explored(page: &mut String, check: &CheckReport) {
    let Exploration {
        models,
        complete,
        executions,
    } = check.explored;
    if models == 0 {
        return;
    }
    let kind = text(&check.kind.replace('_', " "));
    let models = match models {
        1 => "1 model".to_owned(),
        many => format!("{} models", thousands(many)),
    };
    let all = match complete {
        0 => String::new(),
        complete if complete == check.explored.models => ", to the last one".to_owned(),
        complete => format!(", to the last one in {complete}"),
    };
    let _ = writeln!(
        page,
        "<p class=\"quiet\">{kind}: {} executions of {models}{all}</p>",
        thousands(executions)
    );
}

/// `5,312`
fn thousands(number: usize) -> String {
    let digits = number.to_string();
    let groups: Vec<&str> = digits
        .as_bytes()
        .rchunks(3)
        .rev()
        .map(|group| std::str::from_utf8(group).unwrap_or_default())
        .collect();
    groups.join(",")
}

/// The failure that teaches most first and open, the others behind it.
fn show_failures(page: &mut String, exercise: &ExerciseReport) {
    let failures = exercise.checks.iter().flat_map(|check| &check.failures);
    let (unfinished, mut failures): (Vec<&FailureReport>, Vec<_>) =
        failures.partition(|failure| failure.unfinished);
    // Of a test program that is not the course's own, only that is worth saying.
    if exercise.state == State::TestsEdited {
        failures.retain(|failure| failure.test == "tests.lock");
    } else {
        failures.sort_by_key(|failure| failure.by_what_it_teaches());
        if !unfinished.is_empty() {
            let names: Vec<String> = unfinished
                .iter()
                .map(|failure| format!("<code>{}</code>", name(&failure.test)))
                .collect();
            let _ = writeln!(
                page,
                "<p>Not written yet, a <code>todo!()</code>: {}</p>",
                names.join(", ")
            );
        }
    }
    for (index, failure) in failures.iter().enumerate() {
        let open = if index == 0 { " open" } else { "" };
        let hangs = if failure.hanging {
            " <span class=\"quiet\">still running when it was stopped</span>"
        } else {
            ""
        };
        let _ = writeln!(
            page,
            "<details{open}>\n<summary><code>{}</code>{hangs}</summary>",
            name(&failure.test)
        );
        show_failure(page, failure);
        page.push_str("</details>\n");
    }
}

fn show_failure(page: &mut String, failure: &FailureReport) {
    let report = failure.timeline.as_ref();
    let report = report.and_then(|report| kata_report::Report::deserialize(report).ok());
    match report {
        Some(report) if !report.steps.is_empty() => show_picture(page, &report),
        _ if failure.picture().is_empty() => block(page, &failure.message),
        _ => block(page, failure.picture()),
    }
    if let Some(replay) = &failure.replay {
        let _ = writeln!(page, "<p>Again: <code>{}</code></p>", name(replay));
    }
}

fn show_picture(page: &mut String, report: &kata_report::Report) {
    let _ = writeln!(
        page,
        "<p class=\"why\"><b>{}</b> <span class=\"quiet\">{}</span></p>\n<div class=\"scroll\">\n{}</div>",
        text(shortened(&report.headline)),
        text(&report.explored),
        picture::render(report)
    );
    let legend = picture::legend(&report.why);
    if !legend.is_empty() {
        let _ = writeln!(page, "<div>{legend}</div>");
    }
    for paragraph in shortened(&report.why).lines() {
        let _ = writeln!(page, "<p class=\"why\">{}</p>", text(paragraph));
    }
}

fn block(page: &mut String, message: &str) {
    let _ = writeln!(
        page,
        "<pre>{}</pre>",
        text(shortened(message.trim_matches('\n')))
    );
}

/// As text that a narrow page breaks between the words of a name.
fn name(raw: &str) -> String {
    text(raw).replace("::", "::<wbr/>").replace('_', "_<wbr/>")
}

fn class(state: State) -> String {
    state.words().replace(' ', "_").replace('\'', "")
}

fn shortened(text: &str) -> &str {
    &text[..text.floor_char_boundary(SHOWN)]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::course::Target;

    const HOSTILE: &str = "<script>alert('1')</script>\u{202e}\" onload=x";

    /// An exercise with two failures, in which all that a learner's code can say is hostile.
    fn report() -> Report {
        let step = |step, thread, text: &str, location: &str| serde_json::json!({ "step": step, "thread": thread, "text": text, "location": location });
        let timeline = serde_json::json!({
            "schema": kata_report::SCHEMA,
            "test": HOSTILE,
            "world": "loom",
            "headline": HOSTILE,
            "explored": HOSTILE,
            "why": format!("Step 9 races with step 6: nothing orders it. {HOSTILE}"),
            "threads": ["main", HOSTILE],
            "steps": [step(6, 1, HOSTILE, "src/lib.rs:98"), step(9, 0, "value: write", HOSTILE)],
            "replay": HOSTILE,
            "text": HOSTILE,
        });
        let failure = |timeline| FailureReport {
            test: HOSTILE.to_owned(),
            message: HOSTILE.to_owned(),
            hanging: false,
            unfinished: false,
            timeline,
            replay: Some(HOSTILE.to_owned()),
        };
        let mut report = Report::of_trouble(Target::Exercises, &crate::error::Error::Interrupted);
        report.errors = vec![HOSTILE.to_owned()];
        report.course = Tally {
            passed: 3,
            written: 10,
            total: 20,
        };
        report.level = Level::Advanced;
        report.phases.push(PhaseReport {
            id: "phase1".to_owned(),
            name: "phase1_internals".to_owned(),
            title: "Deep theory & internals".to_owned(),
            passed: 0,
            total: 1,
            course: report.course,
            exercises: vec![ExerciseReport {
                id: "1.04".to_owned(),
                name: HOSTILE.to_owned(),
                title: HOSTILE.to_owned(),
                state: State::Failing,
                checks: vec![CheckReport {
                    kind: HOSTILE.to_owned(),
                    total: 3,
                    passed: 1,
                    skip_reasons: vec![HOSTILE.to_owned()],
                    explored: Exploration {
                        models: 12,
                        complete: 11,
                        executions: 5_312,
                    },
                    failures: vec![failure(Some(timeline)), failure(None)],
                    ..CheckReport::default()
                }],
                complete: true,
                passes: false,
                path: "phase1_internals/04_spin_lock".to_owned(),
            }],
        });
        report
    }

    #[test]
    fn what_a_learner_wrote_is_text() {
        let page = render(&report());
        assert!(page.contains("&lt;script&gt;alert(&#39;1&#39;)"));
        assert!(!page.contains("<script"), "{page}");
        assert!(
            !page.contains("\" onload") && !page.contains('\u{202e}'),
            "{page}"
        );
    }

    #[test]
    fn what_was_explored_is_told() {
        let said = "5,312 executions of 12 models, to the last one in 11</p>";
        assert!(render(&report()).contains(said));
        let told = [7, 999, 1_000, 1_234_567].map(thousands);
        assert_eq!(told, ["7", "999", "1,000", "1,234,567"]);
    }

    #[test]
    fn a_failing_model_is_drawn_with_the_edge_that_is_missing() {
        let page = render(&report());
        assert_eq!(page.matches("<svg class=\"picture\"").count(), 1);
        // In the picture and in its caption.
        assert_eq!(page.matches("class=\"arrow missing\"").count(), 2);
        assert_eq!(page.matches("<details open>").count(), 1);
        assert_eq!(page.matches("<details>").count(), 1);
    }

    #[test]
    fn elements_are_closed_in_the_order_in_which_they_were_opened() {
        let page = render(&report());
        let body = &page[page.find("<body>").unwrap()..];
        let mut open: Vec<&str> = Vec::new();
        for tag in body.split('<').skip(1) {
            let name = tag.split(['>', ' ', '\n']).next().unwrap();
            let inner = tag.split('>').next().unwrap();
            if let Some(closed) = name.strip_prefix('/') {
                assert_eq!(
                    open.pop(),
                    if closed == "html" { None } else { Some(closed) }
                );
            } else if !inner.ends_with('/') {
                open.push(name);
            }
        }
        assert!(open.is_empty(), "{open:?}");
    }

    #[test]
    fn progress_and_level_are_told() {
        let page = render(&report());
        assert!(page.contains("3 of 20 passing, 10 not written yet"));
        assert_eq!(page.matches("class=\"reached\"").count(), 2);
        let badge = badge::render(&report());
        assert!(
            badge.contains("Concurrency Katas: 3 of 20 · Advanced"),
            "{badge}"
        );
    }
}
