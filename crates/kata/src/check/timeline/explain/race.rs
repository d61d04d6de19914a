//! Two accesses that nothing orders, or that overlap.

use super::*;

/// Two accesses to one cell that nothing orders; the later one is the last event.
pub(in super::super) fn race(picture: &Picture, record: &Record) -> Why {
    let last = picture.events.len() - 1;
    let failing = &picture.events[last];
    let object = record.objects.get(failing.object as usize);
    // What somebody is in the middle of may not have touched it yet.
    let rivals: Vec<usize> = (0..picture.performed.min(last))
        .rev()
        .chain(picture.performed..last)
        .filter(|&index| {
            let event = &picture.events[index];
            event.object == failing.object
                && event.thread != failing.thread
                && conflict(&event.op, &failing.op)
        })
        .collect();
    // Initialisation has no event of its own: it comes right before its thread's next one.
    let initialisation = object
        .filter(|object| object.creator != failing.thread)
        .and_then(|object| {
            (object.born..last).find(|&index| picture.events[index].thread == object.creator)
        });
    let unordered = |&index: &usize| picture.happens_before(index, last) == Some(false);
    let rival = rivals.into_iter().find(unordered);
    let initialises = rival.is_none();
    let Some(from) = rival.or_else(|| initialisation.filter(unordered)) else {
        let text = "Another access to the same memory is not ordered before this one.".to_owned();
        return Why {
            text,
            ..Why::default()
        };
    };
    let other = picture.thread(picture.events[from].thread);
    let opening = if initialises {
        let created = object.expect("it was initialised").created;
        format!(
            "{} touches what {other} has initialised at {}:{}, and nothing orders that initialisation before it.",
            capital(picture.step(last)),
            created.file().rsplit('/').next().unwrap_or_default(),
            created.line()
        )
    } else {
        let what = match picture.events[from].op {
            Op::CellRead => "read",
            Op::CellWrite => "write",
            Op::Exclusive("drop") => "drop",
            Op::Unpark(_) => "unpark",
            _ => "access",
        };
        format!(
            "{} races with {}: nothing orders {other}'s {what} before it.",
            capital(picture.step(last)),
            picture.step(from)
        )
    };
    let mut why = Why {
        text: opening,
        speaks_of: vec![from],
        ..Why::default()
    };
    let goal = Goal::Ordered(from, last);
    let found = missing(picture, from, last, goal).or_else(|| overlooked(picture, goal));
    match found.map_or_else(|| tried(picture, goal), Search::Found) {
        Search::Found(advice) => why.advise(advice, goal),
        Search::Nothing => why.text += " No ordering can help; the two must be kept apart.",
        Search::Unknown => {}
    }
    why
}

/// Two accesses to one cell at the same time; the later one is the last event.
pub(in super::super) fn overlap(picture: &Picture, why: &str) -> Why {
    let last = picture.events.len() - 1;
    let failing = &picture.events[last];
    let inside = (0..last).rev().find(|&index| {
        let event = &picture.events[index];
        event.object == failing.object
            && event.thread != failing.thread
            && conflict(&event.op, &failing.op)
    });
    let Some(inside) = inside else {
        return Why {
            text: why.to_owned(),
            ..Why::default()
        };
    };
    let text = format!(
        "{} begins while {} is still inside {}. {why}",
        capital(picture.step(last)),
        picture.thread(picture.events[inside].thread),
        picture.step(inside)
    );
    Why {
        text,
        speaks_of: vec![inside],
        ..Why::default()
    }
}
