//! Threads that look for ever.

use super::*;

/// What the threads that never finish look at.
pub(in super::super) fn spinning(picture: &Picture) -> Why {
    let events = &picture.events;
    let mut speaks_of = Vec::new();
    let mut text =
        "The execution was given up: somebody spins for longer than the bound on steps allows."
            .to_owned();
    for thread in 0..picture.threads.len() {
        // A thread that is in the middle of nothing has finished.
        if !events[picture.performed..]
            .iter()
            .any(|event| event.thread == thread)
        {
            continue;
        }
        let own = |&index: &usize| events[index].thread == thread;
        let recent = (0..events.len()).rev().filter(own).take(4);
        let Some(look) = recent
            .into_iter()
            .find(|&index| loaded(&events[index].op).is_some())
        else {
            continue;
        };
        let object = events[look].object;
        // Whoever swaps in the value that is there already has not put it there.
        let value = loaded(&events[look].op).map(|(value, _)| value.bits);
        let set = (0..look)
            .rev()
            .filter(|&index| events[index].object == object)
            .filter_map(|index| stored(&events[index].op).map(|(written, _)| (index, written.bits)))
            .take_while(|&(_, written)| Some(written) == value)
            .last()
            .map(|(index, _)| index);
        let (Some((value, _)), Some(set)) = (loaded(&events[look].op), set) else {
            continue;
        };
        if stored(&events[set].op).is_some_and(|(written, _)| written.bits == value.bits) {
            speaks_of.push(set);
            text += &format!(
                " {} keeps finding {} in {}, where {} has put it.",
                picture.thread(thread),
                picture.value(value),
                picture.name(object),
                picture.step(set)
            );
        }
    }
    text += " A thread that waits must call kata's hint::spin_loop or thread::yield_now on every turn (std's are invisible \
             here), or nobody else gets a turn. If it does, what it waits for never comes, or somebody else takes more steps \
             on the way than the bound allows.";
    Why {
        text,
        speaks_of,
        ..Why::default()
    }
}
