//! Loads that returned an old value.

use super::*;

/// The last load that returned an old value, and the newest store that it has overlooked.
pub(super) fn last_stale(picture: &Picture) -> Option<(usize, usize)> {
    let loads = (0..picture.events.len()).rev();
    loads
        .into_iter()
        .find_map(|load| Some((load, picture.overlooked(load).pop()?)))
}

/// The last load that did not return what was stored last although it overlooked nothing, and that store.
pub(super) fn last_overtaken(picture: &Picture) -> Option<(usize, usize)> {
    let events = &picture.events;
    (0..events.len()).rev().find_map(|load| {
        let event = &events[load];
        let (Op::Load { value: Some(_), .. }, Some(source)) = (&event.op, event.trace.source)
        else {
            return None;
        };
        let store = (0..load).rev().find(|&index| {
            events[index].object == event.object && events[index].trace.store.is_some()
        })?;
        (events[store].trace.store != Some(source)).then_some((load, store))
    })
}

/// That a load has overlooked a store.
pub(super) fn overlooks(picture: &Picture, load: usize, store: usize) -> String {
    let [step, newer] = [load, store].map(|event| picture.step(event));
    if picture.modifies(load) {
        format!("{step} comes before {newer} in memory although {newer} had been done")
    } else {
        format!("{step} returned an old value although {newer} had stored a newer one")
    }
}

/// The last load that returned an old value, and why it could.
pub(in super::super) fn stale(picture: &Picture) -> Option<Why> {
    let events = &picture.events;
    let stale = last_stale(picture);
    let (load, store) = stale.or_else(|| last_overtaken(picture))?;
    let goal = Goal::Forbidden;
    let mut speaks_of = vec![load, store];
    let opening = overlooks(picture, load, store);
    let opening = if stale.is_none() {
        let source = events[load].trace.source;
        let read = (0..load).find(|&index| events[index].trace.store == source)?;
        speaks_of.push(read);
        format!(
            "{} returned what {} stored although {} had stored something else by then: nothing orders the two stores, so \
             whichever comes last in the modification order of {} stays.",
            capital(picture.step(load)),
            picture.step(read),
            picture.step(store),
            picture.name(events[load].object)
        )
    } else {
        let [load, store] = [load, store].map(|event| picture.step(event));
        format!(
            "{}: nothing orders {store} before {load}.",
            capital(&opening)
        )
    };
    let advice = missing(picture, store, load, goal)
        .or_else(|| store_buffering(picture, load, store, goal))
        .or_else(|| tried(picture, goal).found())?;
    let mut why = Why {
        text: opening,
        speaks_of,
        ..Why::default()
    };
    why.advise(advice, goal);
    Some(why)
}

/// A load that missed a store of another thread because both threads store first and then look: two accesses that no chain
/// of reads joins are kept apart by an older value that should not have been read.
pub(super) fn overlooked(picture: &Picture, goal: Goal) -> Option<Advice> {
    let loads = (0..picture.events.len()).rev();
    let mut missed = loads.flat_map(|load| {
        let stores = picture.overlooked(load).into_iter();
        stores.map(move |store| (load, store))
    });
    missed.find_map(|(load, store)| {
        let mut advice = store_buffering(picture, load, store, goal)?;
        let opening = capital(overlooks(picture, load, store));
        advice.text = format!("{opening}. {}", advice.text);
        advice.speaks_of.extend([load, store]);
        Some(advice)
    })
}

/// A store followed by a load of something else, in both threads: only a full fence in each keeps their order.
pub(super) fn store_buffering(
    picture: &Picture,
    load: usize,
    store: usize,
    goal: Goal,
) -> Option<Advice> {
    let events = &picture.events;
    let thread = events[load].thread;
    let own = (0..load).rev().find(|&index| {
        events[index].thread == thread
            && events[index].object != events[load].object
            && stored(&events[index].op).is_some()
    })?;
    let full_fence = |from: usize, to: usize, thread: usize| {
        (from..to).any(|index| {
            events[index].thread == thread && matches!(events[index].op, Op::Fence(SeqCst))
        })
    };
    let sequential = |index: usize| seq_cst(&events[index].op);
    let other = events[store].thread;
    let theirs = (store + 1..events.len()).find(|&index| {
        events[index].thread == other
            && events[index].object == events[own].object
            && loaded(&events[index].op).is_some()
    });
    let mut lacking = Vec::new();
    if !(full_fence(own, load, thread) || sequential(own) && sequential(load)) {
        lacking.push((own, load));
    }
    if let Some(theirs) = theirs
        && !(full_fence(store, theirs, other) || sequential(store) && sequential(theirs))
    {
        lacking.push((store, theirs));
    }
    let fences = Cure {
        fences: lacking
            .iter()
            .map(|&(store, _)| full_fence_after(store))
            .collect(),
        ..Cure::default()
    };
    let accesses = lacking.iter().flat_map(|&(store, load)| [store, load]);
    let orders = Cure {
        orders: accesses.map(|access| (access, SeqCst)).collect(),
        ..Cure::default()
    };
    let what = match [&fences, &orders].map(|cure| picture.helps(cure, goal)) {
        _ if lacking.is_empty() => return None,
        [true, true] => "A fence(SeqCst), or SeqCst on the store and on the load, is missing",
        [true, false] => "A fence(SeqCst) is missing",
        [false, true] => "SeqCst on the store and on the load is missing",
        [false, false] => return None,
    };
    let places = lacking.iter().map(|&(store, load)| {
        format!(
            "{} between {} and {}",
            picture.thread(events[store].thread),
            picture.step(store),
            picture.step(load)
        )
    });
    let text = format!(
        "A store followed by a load of something else may take effect in the other order (store buffering), and \
         Release and Acquire do not prevent it. {what} in {}.",
        places.collect::<Vec<_>>().join(" and in ")
    );
    let cures = [fences, orders].into_iter();
    Some(Advice {
        text,
        speaks_of: [Some(own), theirs].into_iter().flatten().collect(),
        cures: cures.filter(|cure| picture.helps(cure, goal)).collect(),
    })
}
