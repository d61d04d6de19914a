//! What is touched after its end.

use super::*;

/// Who freed what the last event touches.
pub(in super::super) fn freed(picture: &Picture, why: &str) -> Why {
    let last = picture.events.len() - 1;
    let object = picture.events[last].object;
    let dropped = (0..last).rev().find(|&index| {
        object != NO_OBJECT
            && picture.events[index].object == object
            && matches!(picture.events[index].op, Op::Exclusive("drop"))
    });
    let Some(dropped) = dropped else {
        return Why {
            text: why.to_owned(),
            ..Why::default()
        };
    };
    let text = format!(
        "{} touches {}, which {} freed in {}.",
        capital(picture.step(last)),
        picture.name(object),
        picture.thread(picture.events[dropped].thread),
        picture.step(dropped)
    );
    let mut why = Why {
        text,
        speaks_of: vec![dropped],
        ..Why::default()
    };
    let goal = Goal::Forbidden;
    if let Some(advice) = overlooked(picture, goal).or_else(|| tried(picture, goal).found()) {
        why.advise(advice, goal);
    }
    why
}
