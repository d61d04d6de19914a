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
    let mut text = format!(
        "{} touches {}, which {} freed in {}.",
        capital(picture.step(last)),
        picture.name(object),
        picture.thread(picture.events[dropped].thread),
        picture.step(dropped)
    );
    let mut speaks_of = vec![dropped];
    let goal = Goal::Forbidden;
    let reason = overlooked(picture, goal).or_else(|| tried(picture, goal).found());
    let blames_an_ordering = reason.is_some();
    if let Some((reason, events)) = reason {
        text = format!("{text} {reason}");
        speaks_of.extend(events);
    }
    Why {
        text,
        speaks_of,
        blames_an_ordering,
    }
}
