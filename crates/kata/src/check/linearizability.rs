//! Is there one order of the recorded operations that explains every result?
//!
//! A concurrent object is linearizable if each operation can be given one instant between its call and its return so
//! that the operations, taken in the order of those instants, do what a sequential object does (Herlihy & Wing 1990).
//! The search is the one of Wing & Gong, "Testing and Verifying Concurrent Objects" (1993), with the memory of
//! configurations already refuted from Lowe, "Testing for linearizability" (2017). Before it, a guess that repairs
//! itself finds the order of most good histories without a search.
//!
//! ```text
//!   t0  ├── push(1) ──┤                   push(1) returned before pop was called: it comes first.
//!   t1        ├──── push(2) ────┤         push(2) overlaps both: it may come first, second or third.
//!   t0                   ├── pop ──┤      So pop may return 2 or 1, and nothing else.
//! ```
//!
//! What it decides: whether *this* history has such an order. What it cannot: whether the object has another history
//! that has none. And the time stamps must mean something: in the loom world an operation that returned earlier need
//! not be visible to one called later, so a history recorded there proves nothing. Record in the shuttle world, with
//! real threads, or at the clients of a network.

use std::cmp::Reverse;
use std::collections::HashSet;
use std::fmt::{self, Debug, Display, Write};
use std::hash::Hash;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// What an object does when only one thread uses it: a state, and what each operation makes of it.
///
/// `apply` must be a function of state and operation alone, and must accept every operation in every state.
pub trait Spec: Clone + Eq + Hash {
    /// An operation with its arguments.
    type Op: Clone + Debug;
    /// What an operation returns.
    type Ret: Clone + PartialEq + Debug;

    /// Performs `op` and tells what it returns.
    fn apply(&mut self, op: &Self::Op) -> Self::Ret;
}

/// One call of a history, and its return unless it is still running.
#[derive(Clone)]
pub struct Operation<S: Spec> {
    thread: usize,
    op: S::Op,
    invoked_at: u64,
    /// When it returned, and what. `None` while it runs.
    returned: Option<(u64, S::Ret)>,
}

impl<S: Spec> Operation<S> {
    /// An operation that returned `ret`.
    ///
    /// # Panics
    ///
    /// If it returned before it was called.
    pub fn completed(
        thread: usize,
        op: S::Op,
        ret: S::Ret,
        invoked_at: u64,
        returned_at: u64,
    ) -> Self {
        assert!(
            invoked_at < returned_at,
            "{op:?} returned at {returned_at}, before its call at {invoked_at}"
        );
        Self {
            thread,
            op,
            invoked_at,
            returned: Some((returned_at, ret)),
        }
    }

    /// An operation that was called and has not returned: it may have taken effect, or may do so later, or never.
    pub fn pending(thread: usize, op: S::Op, invoked_at: u64) -> Self {
        Self {
            thread,
            op,
            invoked_at,
            returned: None,
        }
    }

    /// The thread (or client) that called it.
    pub fn thread(&self) -> usize {
        self.thread
    }

    /// What was called.
    pub fn op(&self) -> &S::Op {
        &self.op
    }

    /// What it returned; `None` while it runs.
    pub fn ret(&self) -> Option<&S::Ret> {
        self.returned.as_ref().map(|(_, ret)| ret)
    }

    /// The logical time of the call.
    pub fn invoked_at(&self) -> u64 {
        self.invoked_at
    }

    /// The logical time of the return; `None` while it runs.
    pub fn returned_at(&self) -> Option<u64> {
        self.returned.as_ref().map(|&(at, _)| at)
    }
}

impl<S: Spec> Display for Operation<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.ret() {
            Some(ret) => write!(f, "{:?} → {ret:?}", self.op),
            None => write!(f, "{:?} (still running)", self.op),
        }
    }
}

impl<S: Spec> Debug for Operation<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "t{} {self} [{}, ", self.thread, self.invoked_at)?;
        match self.returned_at() {
            Some(at) => write!(f, "{at}]"),
            None => f.write_str("…]"),
        }
    }
}

/// Records operations as they are called and return.
///
/// Each event takes the next tick of one logical clock under one lock, so no two stamps are equal, and a call that
/// came after a return has the later stamp. The lock is a `std` one and is never held while learner code runs: a model
/// checker neither sees it nor can stop a thread inside it. It orders the threads that record, though, so a
/// history is no means to find a missing `Release`.
pub struct History<S: Spec> {
    log: Mutex<Log<S>>,
}

struct Log<S: Spec> {
    clock: u64,
    operations: Vec<Operation<S>>,
}

impl<S: Spec> Log<S> {
    fn tick(&mut self) -> u64 {
        self.clock += 1;
        self.clock
    }
}

/// A call that has not returned yet.
#[must_use = "a call whose return is never recorded counts as still running"]
#[derive(Debug)]
pub struct Invocation(usize);

impl<S: Spec> History<S> {
    /// An empty history.
    pub const fn new() -> Self {
        Self {
            log: Mutex::new(Log {
                clock: 0,
                operations: Vec::new(),
            }),
        }
    }

    /// Records that `thread` calls `op`. Comes before the first step of the operation.
    pub fn invoke(&self, thread: usize, op: S::Op) -> Invocation {
        let mut log = self.log();
        let at = log.tick();
        log.operations.push(Operation::pending(thread, op, at));
        Invocation(log.operations.len() - 1)
    }

    /// Records that a call returned `ret`. Comes after the last step of the operation.
    ///
    /// # Panics
    ///
    /// If `invocation` is from another history.
    pub fn respond(&self, invocation: Invocation, ret: S::Ret) {
        let mut log = self.log();
        let at = log.tick();
        let operation = log.operations.get_mut(invocation.0);
        let operation = operation
            .filter(|operation| operation.returned.is_none())
            .expect("an invocation belongs to the history that handed it out");
        operation.returned = Some((at, ret));
    }

    /// Runs `call` as the operation `op` of `thread`, records both ends and hands on what it returned. If it panics,
    /// the operation stays pending.
    pub fn record(&self, thread: usize, op: S::Op, call: impl FnOnce() -> S::Ret) -> S::Ret {
        let invocation = self.invoke(thread, op);
        let ret = call();
        self.respond(invocation, ret.clone());
        ret
    }

    /// What was recorded so far, in the order of the calls.
    pub fn operations(&self) -> Vec<Operation<S>> {
        self.log().operations.clone()
    }

    /// Checks what was recorded so far: [`check`].
    ///
    /// # Errors
    ///
    /// As [`check`].
    pub fn check(&self, initial: &S) -> Result<Vec<usize>, Counterexample<S>> {
        check(initial, &self.operations())
    }

    fn log(&self) -> MutexGuard<'_, Log<S>> {
        // Poison is ignored: a tick and a push cannot be seen half done.
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<S: Spec> Default for History<S> {
    fn default() -> Self {
        Self::new()
    }
}

impl<S: Spec> Debug for History<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.operations()).finish()
    }
}

/// Looks for an order that explains `operations`, beginning in the state `initial`.
///
/// An operation that returned must be in that order, with the result it had; one still running may be in it, with any
/// result. The order respects real time: what returned before another was called stands before it.
///
/// Returns the order found, as indices into `operations`.
///
/// # Errors
///
/// A [`Counterexample`], cut to the shortest part of the history that already has no order.
///
/// # Panics
///
/// If two time stamps are equal.
///
/// # Complexity
///
/// The problem is NP-complete (Gibbons & Korach 1997). Each configuration, the set of operations already in the
/// order and the state they lead to, is entered once. With *t* threads of *n* operations there are at most
/// (*n* + 1)^*t* such sets, and in practice a few for each operation; every operation that never returns can double
/// them. A configuration costs one copy of the state and a bit for each operation. The counterexample takes a few
/// searches more. An order is mostly found by a guess in polynomial time, and the search is left out; a
/// history without one pays in full. No recursion: it fits on the small stack of a model's task.
pub fn check<S: Spec>(
    initial: &S,
    operations: &[Operation<S>],
) -> Result<Vec<usize>, Counterexample<S>> {
    let mut stamps: Vec<u64> = operations
        .iter()
        .flat_map(|operation| [Some(operation.invoked_at), operation.returned_at()])
        .flatten()
        .collect();
    stamps.sort_unstable();
    if let Some(tie) = stamps.windows(2).find(|pair| pair[0] == pair[1]) {
        panic!("two events of the history bear the time stamp {}", tie[0]);
    }

    let entries = entries_until(operations, u64::MAX);
    match search(initial, &entries) {
        Ok(order) => Ok(order
            .into_iter()
            .map(|position| entries[position].index)
            .collect()),
        Err(stuck) => Err(explain(initial, operations, stuck.first_unexplained)),
    }
}

/// Why a history is not linearizable.
///
/// All indices are indices into [`operations`](Self::operations).
pub struct Counterexample<S: Spec> {
    /// The shortest part of the history that has no order, in the order of the calls. Its last event is the return of
    /// the culprit: what was still running then is pending here, what was called later is left out.
    pub operations: Vec<Operation<S>>,
    /// The operation whose return cannot be explained: as long as it ran, there was an order.
    pub culprit: usize,
    /// What the culprit could have returned instead; at least one value, and at most [`Self::MOST_POSSIBLE`].
    pub possible: Vec<S::Ret>,
    /// The order that got furthest.
    pub longest: Vec<usize>,
    /// Every operation that real time allows to come after [`longest`](Self::longest), with what it would have had to
    /// return there.
    pub refused: Vec<(usize, S::Ret)>,
}

/// An event of a counterexample, for drawing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// Whose event it is: the column.
    pub thread: usize,
    /// What happened.
    pub text: String,
}

impl<S: Spec> Counterexample<S> {
    /// How many possible results are looked for; each costs a search.
    pub const MOST_POSSIBLE: usize = 4;

    /// How many columns the rows need.
    pub fn threads(&self) -> usize {
        self.operations
            .iter()
            .map(|operation| operation.thread + 1)
            .max()
            .unwrap_or(0)
    }

    /// The events in the order of time: a row for each call and each return. The last one is the return that cannot be
    /// explained.
    pub fn rows(&self) -> Vec<Row> {
        let mut events = Vec::new();
        for operation in &self.operations {
            let thread = operation.thread;
            let text = format!("call {:?}", operation.op);
            events.push((operation.invoked_at, Row { thread, text }));
            if let Some(at) = operation.returned_at() {
                let text = operation.to_string();
                events.push((at, Row { thread, text }));
            }
        }
        events.sort_unstable_by_key(|&(at, _)| at);
        events.into_iter().map(|(_, row)| row).collect()
    }

    /// The reason in words.
    pub fn explanation(&self) -> String {
        let culprit = &self.operations[self.culprit];
        let named = |index: usize| {
            let operation = &self.operations[index];
            format!("t{} {operation}", operation.thread)
        };
        let mut text = format!(
            "No order of these operations that respects real time explains t{} {culprit}: it could only have returned ",
            culprit.thread
        );
        text += &join(
            self.possible.iter().map(|ret| format!("{ret:?}")),
            ", ",
            " or ",
        );
        if self.possible.len() == Self::MOST_POSSIBLE {
            text += " (or perhaps something else still)";
        }
        text += ".";

        let order = join(self.longest.iter().copied().map(named), ", ", ", ");
        match &self.refused[..] {
            // Nothing but the culprit is left, and why it does not fit has been said.
            [(index, _)] if *index == self.culprit && !order.is_empty() => {
                write!(text, "\nThe others fit in this order: {order}.")
            }
            [(index, _)] if *index == self.culprit => Ok(()),
            refused => {
                let refused = refused.iter().map(|&(index, ref ret)| {
                    format!("{} would have had to return {ret:?}", named(index))
                });
                let refused = join(refused, ", ", " and ");
                match &order[..] {
                    "" => write!(text, "\nNothing can come first: {refused}."),
                    _ => write!(
                        text,
                        "\nThe longest order that fits: {order}. Nothing can come next: {refused}."
                    ),
                }
            }
        }
        .expect("writing to a String does not fail");
        text
    }
}

impl<S: Spec> Display for Counterexample<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rows = self.rows();
        let widths: Vec<usize> = (0..self.threads())
            .map(|thread| {
                let texts = rows.iter().filter(|row| row.thread == thread);
                texts
                    .map(|row| row.text.chars().count())
                    .max()
                    .unwrap_or(0)
                    .max(4)
            })
            .collect();

        let mut head = "   #".to_owned();
        for (thread, width) in widths.iter().enumerate() {
            write!(head, "  {:width$}", format!("t{thread}"))?;
        }
        f.write_str(head.trim_end())?;
        for (number, row) in rows.iter().enumerate() {
            write!(f, "\n{:>4}", number + 1)?;
            for width in &widths[..row.thread] {
                write!(f, "  {:width$}", "")?;
            }
            write!(f, "  {}", row.text)?;
        }
        write!(f, "\n\n{}", self.explanation())
    }
}

/// As [`Display`], so that `unwrap` shows the history.
impl<S: Spec> Debug for Counterexample<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "not linearizable\n\n{self}")
    }
}

impl<S: Spec> std::error::Error for Counterexample<S> {}

/// An operation as the search sees it. A slice of entries is in the order of the calls.
struct Entry<'a, S: Spec> {
    /// Its place in the slice given to [`check`].
    index: usize,
    op: &'a S::Op,
    accepts: Accepts<'a, S::Ret>,
    invoked_at: u64,
    /// `u64::MAX` while it runs: nothing has to come after it, and it need not come at all.
    returned_at: u64,
}

/// Which results of an operation explain what was seen.
enum Accepts<'a, R> {
    /// It returned this.
    Only(&'a R),
    /// It has not returned.
    Anything,
    /// It returned something new, we ask what that could be.
    AnythingBut(Vec<R>),
}

impl<S: Spec> Entry<'_, S> {
    fn is_pending(&self) -> bool {
        self.returned_at == u64::MAX
    }

    fn accepts(&self, ret: &S::Ret) -> bool {
        match &self.accepts {
            Accepts::Only(recorded) => *recorded == ret,
            Accepts::Anything => true,
            Accepts::AnythingBut(known) => !known.contains(ret),
        }
    }
}

/// The history as it stood at the time `end`: later calls are left out, later returns have not happened.
fn entries_until<S: Spec>(operations: &[Operation<S>], end: u64) -> Vec<Entry<'_, S>> {
    let mut entries: Vec<_> = operations
        .iter()
        .enumerate()
        .filter(|(_, operation)| operation.invoked_at <= end)
        .map(|(index, operation)| {
            let returned = operation.returned.as_ref().filter(|&&(at, _)| at <= end);
            Entry {
                index,
                op: &operation.op,
                accepts: returned.map_or(Accepts::Anything, |(_, ret)| Accepts::Only(ret)),
                invoked_at: operation.invoked_at,
                returned_at: returned.map_or(u64::MAX, |&(at, _)| at),
            }
        })
        .collect();
    entries.sort_unstable_by_key(|entry| entry.invoked_at);
    entries
}

/// Positions of entries.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Set(Box<[u64]>);

impl Set {
    fn empty(positions: usize) -> Self {
        Self(vec![0; positions.div_ceil(64)].into())
    }

    fn contains(&self, position: usize) -> bool {
        self.0[position / 64] & (1 << (position % 64)) != 0
    }

    fn insert(&mut self, position: usize) {
        self.0[position / 64] |= 1 << (position % 64);
    }

    fn remove(&mut self, position: usize) {
        self.0[position / 64] &= !(1 << (position % 64));
    }
}

/// Looks for an order that contains every entry that returned: first a quick guess, then everything.
fn search<S: Spec>(initial: &S, entries: &[Entry<'_, S>]) -> Result<Vec<usize>, Stuck<S>> {
    match guess(initial, entries) {
        Some(order) => Ok(order),
        None => exhaust(initial, entries).0,
    }
}

/// Takes the first entry that fits, and when none does, repairs: moves one entry.
///
/// A wrong choice often shows only much later: which of two overlapping pushes came first shows when the values are
/// popped. Going back one choice at a time would try every outcome of all choices in between, which have nothing to do
/// with it; moving the one push does not. Polynomial: at most one repair for each entry, and a repair replays the order
/// for each move that real time allows. `None` means nothing: there may be an order all the same.
fn guess<S: Spec>(initial: &S, entries: &[Entry<'_, S>]) -> Option<Vec<usize>> {
    let returned = entries.iter().filter(|entry| !entry.is_pending()).count();
    let mut in_order = Set::empty(entries.len());
    let mut explained = 0;
    let mut order = Vec::new();
    let mut state = initial.clone();

    while explained < returned {
        let (next, _) = next_in_order(entries, &in_order);
        let fitting = next.iter().rev().find_map(|&position| {
            let mut state = state.clone();
            let ret = state.apply(entries[position].op);
            entries[position].accepts(&ret).then_some((position, state))
        });
        let position;
        (position, state) = match fitting {
            Some((position, state)) => {
                order.push(position);
                (position, state)
            }
            None => next.iter().rev().find_map(|&position| {
                order.push(position);
                let state = repair(initial, entries, &mut order);
                if state.is_none() {
                    order.pop();
                }
                Some((position, state?))
            })?,
        };
        in_order.insert(position);
        explained += usize::from(!entries[position].is_pending());
    }
    Some(order)
}

/// Moves one entry of `order` so that all of them fit. Returns the state they lead to; without such a move, `None`, and
/// `order` is as it was.
fn repair<S: Spec>(initial: &S, entries: &[Entry<'_, S>], order: &mut [usize]) -> Option<S> {
    let mut before = vec![initial.clone()];
    for &position in &order[..order.len() - 1] {
        let mut state = before[before.len() - 1].clone();
        state.apply(entries[position].op);
        before.push(state);
    }
    // The state after `order`, if everything from the place `first` on fits.
    let replay = |order: &[usize], first: usize| {
        let mut state = before[first].clone();
        let mut rest = order[first..].iter().map(|&position| &entries[position]);
        rest.all(|entry| entry.accepts(&state.apply(entry.op)))
            .then_some(state)
    };
    // Real time lets two neighbours change places.
    let overlap =
        |first: usize, second: usize| entries[first].returned_at > entries[second].invoked_at;

    for from in (0..order.len()).rev() {
        let mut to = from;
        while to > 0 && overlap(order[to - 1], order[to]) {
            order.swap(to - 1, to);
            to -= 1;
            if let Some(state) = replay(order, to) {
                return Some(state);
            }
        }
        order[to..=from].rotate_left(1);

        to = from;
        while to + 1 < order.len() && overlap(order[to], order[to + 1]) {
            order.swap(to, to + 1);
            to += 1;
            if let Some(state) = replay(order, from) {
                return Some(state);
            }
        }
        order[from..=to].rotate_right(1);
    }
    None
}

/// Where the search got furthest.
struct Stuck<S: Spec> {
    order: Vec<usize>,
    /// Who could have come next but for its result.
    refused: Vec<(usize, S::Ret)>,
    /// There are orders for the history up to every return before this one.
    first_unexplained: u64,
}

/// A configuration on the path from the empty order to the present one.
struct Step<S> {
    /// The position that led here. Meaningless in the first step.
    taken: usize,
    state: S,
    /// Who may come next and has not been tried, the first to try last.
    untried: Vec<usize>,
}

/// Depth-first search through all configurations. Returns the order found, and how many configurations it took.
fn exhaust<S: Spec>(
    initial: &S,
    entries: &[Entry<'_, S>],
) -> (Result<Vec<usize>, Stuck<S>>, usize) {
    let returned = entries.iter().filter(|entry| !entry.is_pending()).count();
    let mut in_order = Set::empty(entries.len());
    // How many entries that returned are in the order.
    let mut explained = 0;
    let mut entered: HashSet<(Set, S)> = HashSet::new();
    let (untried, first_unexplained) = next_in_order(entries, &in_order);
    let mut path = vec![Step {
        taken: 0,
        state: initial.clone(),
        untried,
    }];
    let positions = |path: &[Step<S>]| path[1..].iter().map(|step| step.taken).collect::<Vec<_>>();
    // The best dead end: most entries explained, and among those the shortest order.
    let mut furthest = None;
    let mut stuck = Stuck {
        order: Vec::new(),
        refused: Vec::new(),
        first_unexplained,
    };

    let result = loop {
        if explained == returned {
            break Ok(positions(&path));
        }
        let length = path.len();
        let Some(step) = path.last_mut() else {
            break Err(stuck);
        };

        if let Some(position) = step.untried.pop() {
            let entry = &entries[position];
            let mut state = step.state.clone();
            if !entry.accepts(&state.apply(entry.op)) {
                continue;
            }
            in_order.insert(position);
            if entered.insert((in_order.clone(), state.clone())) {
                explained += usize::from(!entry.is_pending());
                let (untried, first_unexplained) = next_in_order(entries, &in_order);
                stuck.first_unexplained = stuck.first_unexplained.max(first_unexplained);
                path.push(Step {
                    taken: position,
                    state,
                    untried,
                });
            } else {
                in_order.remove(position);
            }
            continue;
        }

        // A dead end. (Looked at on the way back only: a search that never turns back pays nothing for it.)
        let reached = (explained, Reverse(length));
        if furthest < Some(reached) {
            furthest = Some(reached);
            stuck.refused = next_in_order(entries, &in_order)
                .0
                .into_iter()
                .filter(|&position| !entries[position].is_pending())
                .map(|position| (position, step.state.clone().apply(entries[position].op)))
                .collect();
            stuck.order = positions(&path);
        }
        if let Some(dead_end) = path.pop()
            && !path.is_empty()
        {
            in_order.remove(dead_end.taken);
            explained -= usize::from(!entries[dead_end.taken].is_pending());
        }
    };
    (result, entered.len() + 1)
}

/// Who may come next: whoever was called before any other entry outside the order returned. And when the first of them
/// returned.
///
/// Those that returned last come first in the list and are therefore tried last: an operation that never returned is
/// given an effect only when nothing else helps.
fn next_in_order<S: Spec>(entries: &[Entry<'_, S>], in_order: &Set) -> (Vec<usize>, u64) {
    let mut first_return = u64::MAX;
    let mut next = Vec::new();
    for (position, entry) in entries.iter().enumerate() {
        if in_order.contains(position) {
            continue;
        }
        // The entries come in the order of their calls: whoever comes later cannot have returned before this call.
        if entry.invoked_at > first_return {
            break;
        }
        first_return = first_return.min(entry.returned_at);
        next.push(position);
    }
    next.sort_unstable_by_key(|&position| Reverse(entries[position].returned_at));
    (next, first_return)
}

/// Cuts a history that has no order to the shortest part that has none, and finds the reasons. There is an order for
/// every part that ends before `first_unexplained`.
fn explain<S: Spec>(
    initial: &S,
    operations: &[Operation<S>],
    first_unexplained: u64,
) -> Counterexample<S> {
    let mut ends: Vec<u64> = operations
        .iter()
        .filter_map(Operation::returned_at)
        .filter(|&at| at >= first_unexplained)
        .collect();
    ends.sort_unstable();
    // One after the other, not by bisection: a part that has no order is what takes long, so try just one of those.
    let (mut entries, Stuck { order, refused, .. }) = ends
        .into_iter()
        .find_map(|end| {
            let entries = entries_until(operations, end);
            let stuck = search(initial, &entries).err()?;
            Some((entries, stuck))
        })
        .expect("the whole history has no order");
    let culprit = entries
        .iter()
        .enumerate()
        .filter(|(_, entry)| !entry.is_pending())
        .max_by_key(|(_, entry)| entry.returned_at)
        .map(|(position, _)| position)
        .expect("only what has returned can be without explanation");

    // Ask again and again for an order in which the culprit returns something new. The first one exists: as long as it
    // ran there was an order, and whatever it returns at the end of that order will do.
    let mut possible = Vec::new();
    while possible.len() < Counterexample::<S>::MOST_POSSIBLE {
        entries[culprit].accepts = Accepts::AnythingBut(possible.clone());
        let Ok(order) = search(initial, &entries) else {
            break;
        };
        let mut state = initial.clone();
        let returned = order.iter().find_map(|&position| {
            let ret = state.apply(entries[position].op);
            (position == culprit).then_some(ret)
        });
        possible.push(returned.expect("an order contains whatever returned"));
    }

    let operations = entries
        .iter()
        .map(|entry| {
            let mut operation = operations[entry.index].clone();
            operation.returned = operation.returned.filter(|_| !entry.is_pending());
            operation
        })
        .collect();
    Counterexample {
        operations,
        culprit,
        possible,
        longest: order,
        refused,
    }
}

fn join(texts: impl Iterator<Item = String>, between: &str, before_last: &str) -> String {
    let texts: Vec<String> = texts.collect();
    match &texts[..] {
        [] => String::new(),
        [only] => only.clone(),
        [first @ .., last] => first.join(between) + before_last + last,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use super::*;

    #[derive(Clone, Debug, PartialEq, Eq, Hash)]
    enum Op {
        Push(u8),
        Pop,
    }
    use Op::{Pop, Push};

    #[derive(Clone, PartialEq, Eq, Hash, Default)]
    struct Queue(VecDeque<u8>);

    impl Spec for Queue {
        type Op = Op;
        type Ret = Option<u8>;
        fn apply(&mut self, op: &Op) -> Option<u8> {
            match *op {
                Push(value) => {
                    self.0.push_back(value);
                    None
                }
                Pop => self.0.pop_front(),
            }
        }
    }

    #[derive(Clone, PartialEq, Eq, Hash, Default)]
    struct Stack(Vec<u8>);

    impl Spec for Stack {
        type Op = Op;
        type Ret = Option<u8>;
        fn apply(&mut self, op: &Op) -> Option<u8> {
            match *op {
                Push(value) => {
                    self.0.push(value);
                    None
                }
                Pop => self.0.pop(),
            }
        }
    }

    #[derive(Clone, Debug)]
    enum Access {
        Write(u8),
        Read,
    }
    use Access::{Read, Write};

    #[derive(Clone, PartialEq, Eq, Hash, Default)]
    struct Register(u8);

    impl Spec for Register {
        type Op = Access;
        /// What was read; a write returns what it wrote.
        type Ret = u8;
        fn apply(&mut self, op: &Access) -> u8 {
            if let Write(value) = *op {
                self.0 = value;
            }
            self.0
        }
    }

    /// (thread, operation, result, call, return)
    type Line<S> = (usize, <S as Spec>::Op, <S as Spec>::Ret, u64, u64);

    fn operations<S: Spec>(lines: &[Line<S>]) -> Vec<Operation<S>> {
        lines
            .iter()
            .map(|(thread, op, ret, invoked_at, returned_at)| {
                Operation::completed(*thread, op.clone(), ret.clone(), *invoked_at, *returned_at)
            })
            .collect()
    }

    fn verdict<S: Spec + Default>(lines: &[Line<S>]) -> Result<Vec<usize>, Counterexample<S>> {
        check(&S::default(), &operations(lines))
    }

    #[test]
    fn the_empty_history_is_linearizable() {
        assert!(verdict::<Queue>(&[]).unwrap().is_empty());
    }

    #[test]
    fn overlapping_operations_take_whichever_order_explains_them() {
        let lines = [
            (0, Push(1), None, 1, 4),
            (1, Push(2), None, 2, 3),
            (0, Pop, Some(2), 5, 6),
            (1, Pop, Some(1), 7, 8),
        ];
        assert_eq!(verdict::<Queue>(&lines).unwrap(), [1, 0, 2, 3]);
        assert_eq!(verdict::<Stack>(&lines).unwrap(), [0, 1, 2, 3]);
    }

    #[test]
    fn a_queue_that_forgets_is_rejected() {
        let lines = [
            (0, Push(1), None, 1, 2),
            (1, Pop, None, 3, 6),
            (0, Push(2), None, 4, 5),
        ];
        let found = verdict::<Queue>(&lines).unwrap_err();
        assert_eq!(found.culprit, 1);
        assert_eq!(found.possible, [Some(1)]);
        assert_eq!(found.longest, [0, 2]);
        assert_eq!(found.refused, [(1, Some(1))]);
    }

    #[test]
    fn a_queue_that_overtakes_is_rejected_and_the_same_stack_is_not() {
        let lines = [
            (0, Push(1), None, 1, 2),
            (0, Push(2), None, 3, 4),
            (1, Pop, Some(2), 5, 6),
        ];
        assert_eq!(verdict::<Queue>(&lines).unwrap_err().possible, [Some(1)]);
        verdict::<Stack>(&lines).unwrap();
    }

    #[test]
    fn a_value_popped_twice_is_rejected() {
        let lines = [
            (0, Push(1), None, 1, 2),
            (1, Pop, Some(1), 3, 5),
            (2, Pop, Some(1), 4, 6),
        ];
        let found = verdict::<Stack>(&lines).unwrap_err();
        assert_eq!((found.culprit, &found.possible[..]), (2, &[None][..]));
    }

    #[test]
    fn sequential_consistency_is_not_enough() {
        // The read could stand before the write, had the write not returned before the read was called.
        let lines = [(0, Write(1), 1, 1, 2), (1, Read, 0, 3, 4)];
        assert_eq!(verdict::<Register>(&lines).unwrap_err().possible, [1]);
        let lines = [(0, Write(1), 1, 1, 3), (1, Read, 0, 2, 4)];
        assert_eq!(verdict::<Register>(&lines).unwrap(), [1, 0]);
    }

    #[test]
    fn two_readers_must_agree_on_when_a_write_took_effect() {
        let lines = [
            (0, Write(1), 1, 1, 10),
            (1, Read, 1, 2, 3),
            (2, Read, 0, 4, 5),
        ];
        let found = verdict::<Register>(&lines).unwrap_err();
        assert_eq!((found.culprit, &found.possible[..]), (2, &[1][..]));
        // The write had not returned by then.
        assert_eq!(found.operations[0].returned_at(), None);
    }

    #[test]
    fn a_pending_operation_may_take_effect_or_not() {
        let pending = Operation::<Register>::pending(0, Write(1), 1);
        for (first, second, fine) in [(0, 0, true), (0, 1, true), (1, 1, true), (1, 0, false)] {
            let mut history = operations(&[(1, Read, first, 2, 3), (1, Read, second, 4, 5)]);
            history.push(pending.clone());
            let verdict = check(&Register(0), &history);
            assert_eq!(verdict.is_ok(), fine, "{first} {second}");
        }
    }

    #[test]
    fn a_pending_operation_has_no_effect_before_its_call() {
        let mut history = operations(&[(1, Read, 1, 2, 3)]);
        history.push(Operation::<Register>::pending(0, Write(1), 4));
        let found = check(&Register(0), &history).unwrap_err();
        assert_eq!(found.operations.len(), 1);
    }

    #[test]
    fn a_counterexample_ends_where_the_history_went_wrong() {
        let found = verdict::<Queue>(&[
            (0, Push(1), None, 1, 2),
            (1, Push(9), None, 3, 20),
            (0, Pop, Some(7), 4, 5),
            (0, Pop, Some(8), 6, 7),
            (2, Push(7), None, 8, 9),
        ])
        .unwrap_err();
        assert_eq!(found.threads(), 2);
        let rows: Vec<_> = found.rows();
        let texts: Vec<&str> = rows.iter().map(|row| &row.text[..]).collect();
        assert_eq!(
            texts,
            [
                "call Push(1)",
                "Push(1) → None",
                "call Push(9)",
                "call Pop",
                "Pop → Some(7)"
            ]
        );
        assert_eq!(found.possible, [Some(1)]);
    }

    #[test]
    fn every_possible_result_is_named() {
        let found = verdict::<Queue>(&[
            (0, Push(1), None, 1, 10),
            (1, Push(2), None, 2, 11),
            (2, Pop, Some(3), 3, 4),
        ])
        .unwrap_err();
        let mut possible = found.possible.clone();
        possible.sort_unstable();
        assert_eq!(possible, [None, Some(1), Some(2)]);
    }

    #[test]
    fn a_counterexample_is_drawn() {
        let history = History::<Queue>::new();
        history.record(0, Push(1), || None);
        let pop = history.invoke(1, Pop);
        let _never_returns = history.invoke(2, Push(2));
        history.respond(pop, None);
        let found = history.check(&Queue::default()).unwrap_err();
        assert_eq!(
            found.to_string(),
            "   #  t0              t1          t2
   1  call Push(1)
   2  Push(1) → None
   3                  call Pop
   4                              call Push(2)
   5                  Pop → None

No order of these operations that respects real time explains t1 Pop → None: it could only have returned Some(1).
The others fit in this order: t0 Push(1) → None."
        );
    }

    #[test]
    fn an_explanation_names_whoever_is_stuck_besides_the_culprit() {
        // The second pop is the culprit, since its return is the last; but which of the two is wrong, who can say?
        let found = verdict::<Queue>(&[
            (0, Push(1), None, 1, 2),
            (1, Pop, None, 3, 5),
            (2, Pop, None, 4, 6),
        ])
        .unwrap_err();
        assert_eq!(
            found.explanation(),
            "No order of these operations that respects real time explains t2 Pop → None: it could only have returned \
             Some(1).\nThe longest order that fits: t0 Push(1) → None. Nothing can come next: t2 Pop → None would have \
             had to return Some(1) and t1 Pop → None would have had to return Some(1)."
        );
    }

    #[test]
    #[should_panic(expected = "two events of the history bear the time stamp 2")]
    fn equal_time_stamps_are_refused() {
        let _ = verdict::<Queue>(&[(0, Push(1), None, 1, 2), (1, Pop, Some(1), 2, 3)]);
    }

    #[test]
    #[should_panic(expected = "belongs to the history that handed it out")]
    fn an_invocation_of_another_history_is_refused() {
        let (one, other) = (History::<Queue>::new(), History::<Queue>::new());
        other.respond(one.invoke(0, Pop), None);
    }

    /// A linear congruential generator (Knuth's MMIX constants), so that every run sees the same histories.
    struct Random(u64);

    impl Random {
        fn below(&mut self, bound: usize) -> usize {
            self.0 = self
                .0
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (self.0 >> 33) as usize % bound
        }
    }

    /// A call, its stamp, and its result once it took effect.
    type Running = (Op, u64, Option<Option<u8>>);

    /// A history of a real queue: each operation takes effect at some instant between its call and its return.
    /// With `spoil`, one result in `spoil` is wrong instead.
    fn random_history(
        random: &mut Random,
        threads: usize,
        each: usize,
        spoil: usize,
    ) -> Vec<Operation<Queue>> {
        let mut queue = Queue::default();
        let mut clock = 0;
        let mut done = Vec::new();
        let mut running: Vec<Option<Running>> = vec![None; threads];
        let mut left = vec![each; threads];
        while left.iter().any(|&left| left > 0) {
            let thread = random.below(threads);
            clock += 1;
            running[thread] = match running[thread].take() {
                None if left[thread] == 0 => None,
                None => {
                    left[thread] -= 1;
                    let op = if random.below(2) == 0 {
                        Pop
                    } else {
                        Push(random.below(4) as u8)
                    };
                    Some((op, clock, None))
                }
                Some((op, at, None)) => {
                    let mut ret = queue.apply(&op);
                    if op == Pop && spoil > 0 && random.below(spoil) == 0 {
                        ret = [None, Some(random.below(4) as u8)][random.below(2)];
                    }
                    Some((op, at, Some(ret)))
                }
                Some((op, at, Some(ret))) => {
                    done.push(Operation::completed(thread, op, ret, at, clock));
                    None
                }
            };
        }
        // What still runs stays pending, whether it took effect or not.
        for (thread, running) in running.into_iter().enumerate() {
            if let Some((op, at, _)) = running {
                done.push(Operation::pending(thread, op, at));
            }
        }
        done
    }

    /// Tries every order of every subset: nothing in common with the search but the definition.
    fn brute_force(state: &Queue, left: &[Operation<Queue>]) -> bool {
        left.iter().all(|operation| operation.ret().is_none())
            || left.iter().enumerate().any(|(index, operation)| {
                let first = left.iter().all(|other| {
                    other
                        .returned_at()
                        .is_none_or(|at| at > operation.invoked_at())
                });
                let mut state = state.clone();
                let ret = state.apply(operation.op());
                let mut left = left.to_vec();
                left.remove(index);
                let fits = operation.ret().is_none_or(|recorded| *recorded == ret);
                first && fits && brute_force(&state, &left)
            })
    }

    #[test]
    fn agrees_with_brute_force_on_small_histories() {
        let mut random = Random(1);
        let (mut good, mut bad) = (0, 0);
        for _ in 0..2_000 {
            let history = random_history(&mut random, 3, 2, 3);
            let expected = brute_force(&Queue::default(), &history);
            // A guess may hide a fault of the exhaustive search: ask that one alone, too.
            let (exhausted, _) = exhaust(&Queue::default(), &entries_until(&history, u64::MAX));
            assert_eq!(exhausted.is_ok(), expected, "{history:?}");
            match check(&Queue::default(), &history) {
                Ok(order) => {
                    good += 1;
                    assert!(expected, "{history:?}");
                    replay(&history, &order);
                }
                Err(found) => {
                    bad += 1;
                    assert!(!expected, "{history:?}");
                    let mut cut = found.operations;
                    assert!(!brute_force(&Queue::default(), &cut), "{cut:?}");
                    let (at, _) = cut[found.culprit].returned.take().unwrap();
                    assert!(brute_force(&Queue::default(), &cut), "{cut:?}");
                    assert_eq!(
                        cut.iter()
                            .filter_map(Operation::returned_at)
                            .max()
                            .max(Some(at)),
                        Some(at)
                    );
                    assert!(!found.possible.is_empty());
                    for ret in found.possible {
                        cut[found.culprit].returned = Some((at, ret));
                        assert!(brute_force(&Queue::default(), &cut), "{cut:?}");
                    }
                }
            }
        }
        assert!(good > 300 && bad > 300, "{good} good, {bad} bad");
    }

    /// Asserts that `order` explains `history`.
    fn replay(history: &[Operation<Queue>], order: &[usize]) {
        let mut queue = Queue::default();
        for (place, &index) in order.iter().enumerate() {
            let ret = queue.apply(history[index].op());
            assert!(history[index].ret().is_none_or(|recorded| *recorded == ret));
            for &later in &order[place + 1..] {
                let before = history[later].returned_at();
                assert!(before.is_none_or(|at| at > history[index].invoked_at()));
            }
        }
        for (index, operation) in history.iter().enumerate() {
            let times = order.iter().filter(|&&other| other == index).count();
            assert!(times == 1 || times == 0 && operation.ret().is_none());
        }
    }

    #[test]
    fn three_threads_of_fifty_operations_are_little_work() {
        let mut random = Random(2);
        for _ in 0..20 {
            let history = random_history(&mut random, 3, 50, 0);
            let entries = entries_until(&history, u64::MAX);
            // Left to the exhaustive search, one of these takes 60 000 configurations.
            let order = guess(&Queue::default(), &entries).expect("an order needs no search");
            assert!(order.len() >= 147);
        }
        for _ in 0..20 {
            let history = random_history(&mut random, 3, 50, 20);
            let entries = entries_until(&history, u64::MAX);
            let (_, configurations) = exhaust(&Queue::default(), &entries);
            assert!(configurations < 30_000, "{configurations} configurations");
        }
    }

    #[test]
    fn threads_record_into_one_history() {
        let history = History::<Register>::default();
        std::thread::scope(|scope| {
            for thread in 0..3 {
                let history = &history;
                scope.spawn(move || {
                    for value in 0..20 {
                        history.record(thread, Write(value), || value);
                    }
                });
            }
        });
        assert_eq!(history.operations().len(), 60);
        assert_eq!(history.check(&Register(0)).unwrap().len(), 60);
    }
}
