//! Threads that all wait.

use super::*;

/// What each blocked thread waits for. The blocked operations are the last events.
pub(in super::super) fn deadlock(picture: &Picture) -> Why {
    let events = &picture.events;
    let mut speaks_of = Vec::new();
    let mut sentences = Vec::new();
    for blocked in picture.performed..events.len() {
        let event = &events[blocked];
        let who = picture.thread(event.thread);
        let earlier = |found: &dyn Fn(&Event) -> bool| {
            (0..blocked.min(picture.performed))
                .rev()
                .find(|&index| found(&events[index]))
        };
        let sentence = match event.op {
            Op::Lock(_) => {
                // Of several readers the last one may have let go, and another one not.
                let takes = |other: &Event| {
                    other.object == event.object
                        && matches!(
                            other.op,
                            Op::Lock(_)
                                | Op::TryLock {
                                    acquired: Some(true),
                                    ..
                                }
                        )
                };
                let holds = |index: &usize| {
                    let taken = &events[*index];
                    let gives_back = |later: &Event| {
                        later.object == taken.object
                            && later.thread == taken.thread
                            && matches!(later.op, Op::Unlock)
                    };
                    takes(taken) && !events[*index..picture.performed].iter().any(gives_back)
                };
                let holder = (0..picture.performed).rev().find(holds);
                match holder {
                    Some(holder) => {
                        speaks_of.push(holder);
                        let owner = events[holder].thread;
                        let owner = if owner == event.thread {
                            "itself".into()
                        } else {
                            picture.thread(owner)
                        };
                        format!(
                            "{who} waits for {}, held by {owner} since {}.",
                            picture.name(event.object),
                            picture.step(holder)
                        )
                    }
                    None => format!("{who} waits for {}.", picture.name(event.object)),
                }
            }
            Op::Wait { .. } => {
                match earlier(&|other| {
                    other.object == event.object && matches!(other.op, Op::Notify(_))
                }) {
                    Some(notify) => {
                        speaks_of.push(notify);
                        format!(
                            "{who} waits on {}, but the last notification, {}, has already happened: nobody will wake it.",
                            picture.name(event.object),
                            picture.step(notify)
                        )
                    }
                    None => format!(
                        "{who} waits on {}, and nobody ever notifies it.",
                        picture.name(event.object)
                    ),
                }
            }
            Op::Park { .. } => match earlier(
                &|other| matches!(other.op, Op::Unpark(target) if target == event.thread),
            ) {
                Some(unpark) => {
                    speaks_of.push(unpark);
                    // The first park that could take it did.
                    let used = (unpark..blocked).find(|&index| {
                        let other = &events[index];
                        other.thread == event.thread
                            && matches!(other.op, Op::Park { spurious: false })
                    });
                    speaks_of.extend(used);
                    let by =
                        used.map_or_else(String::new, |used| format!(" by {}", picture.step(used)));
                    format!(
                        "{who} is parked; its last unpark, {}, has already been used up{by}.",
                        picture.step(unpark)
                    )
                }
                None => format!("{who} is parked, and nobody ever unparks it."),
            },
            Op::Await { .. } => {
                let poll = earlier(&|other| {
                    other.thread == event.thread && matches!(other.op, Op::Poll(false))
                });
                let wake = earlier(
                    &|other| matches!(other.op, Op::Wake { thread, .. } if thread == event.thread),
                );
                speaks_of.extend(poll);
                speaks_of.extend(wake);
                let since = poll.map_or_else(String::new, |poll| {
                    format!(" since its poll returned Pending in {}", picture.step(poll))
                });
                let stale = |wake: usize| matches!(events[wake].op, Op::Wake { stale: true, .. });
                let wake = match wake {
                    Some(wake) if stale(wake) => format!(
                        "but the last wake, {}, was called on the waker of an earlier poll. The waker of the latest poll is \
                         the one that counts: nobody will wake it.",
                        picture.step(wake)
                    ),
                    Some(wake) => format!(
                        "but the last wake, {}, has already been used up: nobody will wake it.",
                        picture.step(wake)
                    ),
                    None => "and nobody ever wakes it.".to_owned(),
                };
                format!("{who} has been waiting to be woken{since}, {wake}")
            }
            Op::Join(target) => format!("{who} waits for {} to end.", picture.thread(target)),
            _ => format!("{who} is stuck."),
        };
        sentences.push(sentence);
    }
    let mut why = Why {
        text: sentences.join(" "),
        speaks_of,
        ..Why::default()
    };
    let goal = Goal::Forbidden;
    if let Some((load, store)) = last_stale(picture)
        && let Search::Found(advice) = tried(picture, goal)
    {
        why.text += &format!(" {}.", capital(overlooks(picture, load, store)));
        why.speaks_of.extend([load, store]);
        why.advise(advice, goal);
    }
    why
}
