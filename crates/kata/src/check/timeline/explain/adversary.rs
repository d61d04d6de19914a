//! What the adversary did.

use super::*;

/// What the adversary did to the thread that failed last, if anything.
pub(in super::super) fn adversary(picture: &Picture, thread: usize) -> Option<Why> {
    let own = |&index: &usize| picture.events[index].thread == thread;
    let last = (0..picture.events.len())
        .rev()
        .filter(own)
        .take(12)
        .find(|&index| {
            matches!(
                picture.events[index].op,
                Op::Wait { spurious: true }
                    | Op::Park { spurious: true }
                    | Op::Await { spurious: true }
                    | Op::Rmw { spurious: true, .. }
            )
        })?;
    let step = capital(picture.step(last));
    let text = match picture.events[last].op {
        Op::Rmw { .. } => format!(
            "{step} failed although the value was the expected one: compare_exchange_weak may do that at any time. Use it \
             in a loop, or use compare_exchange."
        ),
        Op::Await { .. } => format!(
            "{step} polled the future again although nobody had woken it: executors may do that at any time. A future that \
             is polled looks again whether what it waits for has come, and keeps the waker of this poll."
        ),
        Op::Park { .. } => format!(
            "{step} returned although nobody unparked the thread: park may do that at any time. Park in a loop that \
             looks again whether there is still a reason to wait."
        ),
        _ => format!(
            "{step} returned although nobody notified: wait may do that at any time. Wait in a loop that checks the \
             condition again."
        ),
    };
    Some(Why {
        text,
        speaks_of: vec![last],
        ..Why::default()
    })
}
