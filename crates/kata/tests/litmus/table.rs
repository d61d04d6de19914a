//! What each world says of each program. The one place that knows.

use crate::child::Engine;
use crate::programs::blame::{
    counted_in_vain, in_turn, locked_again, rendezvous, two_tokens, written_by_a_reader,
};
use crate::programs::blocking::{
    Again, Exchange, Notify, beside_a_limited_wait, consumers, increment, late_token,
    letter_beside_a_token, limited_wait, nobody_comes, park, sleeper, token_for_a_yielding_thread,
    two_locks, waiter_on_a_stack, wake_up,
};
use crate::programs::exclusion::{
    Entry, Take, Ticket, baton, dekker, peterson, silent_spin_lock, spin_lock, ticket_lock,
    tired_reader, try_lock,
};
use crate::programs::futures::{
    Keep, letter_before_the_wake, oneshot, token_beside_a_wake, wake_during_the_poll,
    wakes_a_waker_of,
};
use crate::programs::heap::{
    Guarded, Plain, Watched, drop_after_use, left_for_the_destructor, overwrite, take, treiber,
};
use crate::programs::memory::{
    Independent, Link, Reader, SeqLock, Side, both_unwind, coherence, coherence_of_two,
    created_by_a_thread, fence_pair, fence_too_early, hidden_load, independent_reads,
    load_buffering, look_by_addition, message_passing, modifications_as_fences,
    overwritten_release, publication, release_sequence, seqlock, store_beside_swap,
    store_buffering, two_and_two_writes, unwinding, write_to_read_causality,
};
use crate::programs::structures::{
    Deque, Hazard, Ring, chase_lev, free_list, hazard_pointer, michael_scott, reference_count,
    spsc_ring,
};
use kata::Canary;
use std::sync::Arc;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release, SeqCst};

#[cfg(feature = "loom")]
pub const WORLD: &str = "loom";
#[cfg(not(feature = "loom"))]
pub const WORLD: &str = "shuttle";

pub const LOOM: bool = cfg!(feature = "loom");

/// What a checker says of a program.
#[derive(Clone, Copy, Debug)]
pub enum Verdict {
    Accepted,
    /// With a headline that contains this.
    Rejected(&'static str),
    /// Given up: unbounded spinning.
    Inconclusive,
}
use Verdict::{Accepted, Inconclusive, Rejected};

/// What is expected in this world.
#[derive(Debug)]
pub struct Expected {
    pub kata: Verdict,
    /// Where `kata` does better: what the bare engine says.
    pub raw: Option<Verdict>,
    /// Where loom alone says something else, and why.
    pub step_by_step: Option<(Verdict, &'static str)>,
    /// A bound on the executions of an accepted program, so that a growing state space is seen.
    pub at_most: Option<usize>,
    /// The verdict is wrong, because this is never explored.
    pub unseen: Option<&'static str>,
}

/// An oracle on a program, which calls the function once an execution.
type Oracle = Box<dyn Fn(fn()) + Send + Sync>;

enum Check {
    Model(Arc<dyn Fn() + Send + Sync>),
    #[cfg_attr(feature = "loom", allow(dead_code))]
    Oracle(Oracle),
}

/// A program in one of its forms.
pub struct Row {
    pub program: &'static str,
    pub variant: &'static str,
    /// `None` if it is not run in this world.
    pub expected: Option<Expected>,
    /// It is wrong because an ordering is too weak, and a stronger one would help.
    pub weak: bool,
    check: Check,
    #[cfg_attr(not(feature = "loom"), allow(dead_code))]
    preemptions: usize,
    leaks: bool,
}

impl Row {
    fn new(
        program: &'static str,
        variant: &'static str,
        check: Check,
        loom: Verdict,
        shuttle: Verdict,
    ) -> Self {
        Self {
            program,
            variant,
            expected: Some(Expected {
                kata: if LOOM { loom } else { shuttle },
                raw: None,
                step_by_step: None,
                at_most: None,
                unseen: None,
            }),
            weak: false,
            check,
            preemptions: 3,
            leaks: false,
        }
    }

    fn expect(mut self, here: bool, change: impl FnOnce(&mut Expected)) -> Self {
        if let Some(expected) = self.expected.as_mut().filter(|_| here) {
            change(expected);
        }
        self
    }

    /// The bare loom's verdict.
    fn bare_loom(self, verdict: Verdict) -> Self {
        self.expect(LOOM, |expected| expected.raw = Some(verdict))
    }

    /// The verdict of loom alone, and why it differs.
    fn step_by_step(self, verdict: Verdict, why: &'static str) -> Self {
        self.expect(LOOM, |expected| {
            expected.step_by_step = Some((verdict, why))
        })
    }

    /// The verdict of shuttle without the adversary.
    fn bare_shuttle(self, verdict: Verdict) -> Self {
        self.expect(!LOOM, |expected| expected.raw = Some(verdict))
    }

    /// A bound on the executions under loom.
    fn at_most(self, executions: usize) -> Self {
        self.expect(LOOM, |expected| expected.at_most = Some(executions))
    }

    /// It is wrong, and loom cannot know.
    fn unseen_by_loom(self, what: &'static str) -> Self {
        self.expect(LOOM, |expected| {
            expected.kata = Accepted;
            expected.unseen = Some(what);
        })
    }

    /// It is wrong, and shuttle cannot know.
    fn unseen_by_shuttle(self, what: &'static str) -> Self {
        self.expect(!LOOM, |expected| {
            expected.kata = Accepted;
            expected.unseen = Some(what);
        })
    }

    /// What shuttle says, where it differs.
    fn shuttle_says(self, verdict: Verdict) -> Self {
        self.expect(!LOOM, |expected| expected.kata = verdict)
    }

    fn preemptions(self, preemptions: usize) -> Self {
        Self {
            preemptions,
            ..self
        }
    }

    fn no_leaks(self) -> Self {
        Self {
            leaks: true,
            ..self
        }
    }

    /// What selects the row on the command line.
    pub fn name(&self) -> String {
        format!("{}/{}", self.program, self.variant).replace(' ', "_")
    }

    /// Explores the program, as a check of an exercise would. Panics if it is rejected.
    pub fn explore(&self, engine: Engine, note: fn()) {
        match &self.check {
            Check::Oracle(oracle) => oracle(note),
            Check::Model(model) => {
                let model = Arc::clone(model);
                let model = move || {
                    note();
                    model();
                };
                self.explore_model(engine, model);
            }
        }
    }

    #[cfg(feature = "loom")]
    fn explore_model(&self, engine: Engine, model: impl Fn() + Send + Sync + 'static) {
        let mut exhaustive = kata::check::Exhaustive::new().preemptions(self.preemptions);
        if engine == Engine::Raw {
            exhaustive = exhaustive.raw_engine();
        }
        if self.leaks {
            exhaustive = exhaustive.no_leaks();
        }
        exhaustive.run(model);
    }

    #[cfg(not(feature = "loom"))]
    fn explore_model(&self, engine: Engine, model: impl Fn() + Send + Sync + 'static) {
        let mut randomized = kata::check::Randomized::new();
        if engine == Engine::Raw {
            randomized = randomized.without_adversary();
        }
        if self.leaks {
            randomized = randomized.no_leaks();
        }
        randomized.run(model);
    }
}

fn model(model: impl Fn() + Send + Sync + 'static) -> Check {
    Check::Model(Arc::new(model))
}

/// A program that is right.
fn right(
    program: &'static str,
    variant: &'static str,
    code: impl Fn() + Send + Sync + 'static,
) -> Row {
    Row::new(program, variant, model(code), Accepted, Accepted)
}

/// A program that is wrong however strong the machine.
fn wrong(
    program: &'static str,
    variant: &'static str,
    code: impl Fn() + Send + Sync + 'static,
    headline: &'static str,
) -> Row {
    Row::new(
        program,
        variant,
        model(code),
        Rejected(headline),
        Rejected(headline),
    )
}

/// A program that is wrong because an ordering is too weak.
fn weak(
    program: &'static str,
    variant: &'static str,
    code: impl Fn() + Send + Sync + 'static,
    headline: &'static str,
) -> Row {
    let row = wrong(program, variant, code, headline);
    Row { weak: true, ..row }.unseen_by_shuttle("shuttle is sequentially consistent")
}

const RACE: &str = "data race";
const FREED: &str = "use after free";
const TWICE: &str = "double free";
const DEADLOCK: &str = "deadlock";

/// All rows; those of the other world have nothing to expect.
pub fn rows() -> Vec<Row> {
    let mut rows = Vec::new();
    rows.extend(litmus());
    rows.extend(locks());
    rows.extend(structures());
    rows.extend(waiting());
    rows.extend(memory());
    #[cfg(not(feature = "loom"))]
    rows.extend(oracles());
    rows
}

#[rustfmt::skip] // a row a line
fn litmus() -> Vec<Row> {
    const MISSED: &str = "each has missed the other's store";
    const DISAGREE: &str = "the readers disagree";
    const TORN: &str = "a torn read was validated";
    const OLDER: &str = "the second read is older";
    const OVERLOOKED: &str = "the addition has overlooked the store";
    let sb = store_buffering;
    let iriw = independent_reads;
    vec![
        right("MP", "Release, Acquire", message_passing(Release, Acquire)).at_most(20),
        weak("MP", "store Relaxed", message_passing(Relaxed, Acquire), RACE),
        weak("MP", "load Relaxed", message_passing(Release, Relaxed), RACE),
        right("MP", "SeqCst", message_passing(SeqCst, SeqCst)).at_most(40),
        wrong("load beside load and swap", "", hidden_load(), "the store came first").bare_loom(Accepted),
        right("SB", "SeqCst accesses", sb(Side::SEQ_CST, Side::SEQ_CST)).bare_loom(Rejected(MISSED)).at_most(60),
        right("SB", "SeqCst fences", sb(Side::FENCE, Side::FENCE)).at_most(30),
        right("SB", "SeqCst accesses, SeqCst fence", sb(Side::SEQ_CST, Side::FENCE)).bare_loom(Rejected(MISSED)),
        weak("SB", "Release, Acquire", sb(Side::NO_FENCE, Side::NO_FENCE), MISSED),
        weak("SB", "left store Release", sb(Side::WEAK_STORE, Side::SEQ_CST), MISSED),
        weak("SB", "left load Acquire", sb(Side::WEAK_LOAD, Side::SEQ_CST), MISSED),
        weak("SB", "right store Release", sb(Side::SEQ_CST, Side::WEAK_STORE), MISSED),
        weak("SB", "right load Acquire", sb(Side::SEQ_CST, Side::WEAK_LOAD), MISSED),
        weak("SB", "left store Release, right load Acquire", sb(Side::WEAK_STORE, Side::WEAK_LOAD), MISSED),
        weak("SB", "left fence missing", sb(Side::NO_FENCE, Side::FENCE), MISSED),
        weak("SB", "right fence missing", sb(Side::FENCE, Side::NO_FENCE), MISSED),
        weak("SB", "right fence AcqRel", sb(Side::FENCE, Side::WEAK_FENCE), MISSED),
        right("LB", "Acquire loads", load_buffering(Acquire, Relaxed)),
        wrong("LB", "Relaxed", load_buffering(Relaxed, Relaxed), "each has read")
            .unseen_by_loom("a load never reads a store that comes later")
            .unseen_by_shuttle("a load never reads a store that comes later"),
        right("CoRR", "one atomic", coherence()),
        right("CoRR", "two atomics, Release, Acquire", coherence_of_two(Release, Acquire)),
        weak("CoRR", "two atomics, store Relaxed", coherence_of_two(Relaxed, Acquire), OLDER),
        weak("CoRR", "two atomics, load Relaxed", coherence_of_two(Release, Relaxed), OLDER),
        right("WRC", "Release, Acquire, twice", write_to_read_causality([Release, Acquire], [Release, Acquire])).at_most(250),
        weak("WRC", "first store Relaxed", write_to_read_causality([Relaxed, Acquire], [Release, Acquire]), RACE),
        weak("WRC", "first load Relaxed", write_to_read_causality([Release, Relaxed], [Release, Acquire]), RACE),
        weak("WRC", "second store Relaxed", write_to_read_causality([Release, Acquire], [Relaxed, Acquire]), RACE),
        weak("WRC", "second load Relaxed", write_to_read_causality([Release, Acquire], [Release, Relaxed]), RACE),
        right("IRIW", "SeqCst", iriw(Independent::SEQ_CST)).preemptions(2).bare_loom(Rejected(DISAGREE)),
        right("IRIW", "SeqCst fences", iriw(Independent::FENCES)).preemptions(2),
        weak("IRIW", "Release, Acquire", iriw(Independent::ACQUIRE), DISAGREE).preemptions(2),
        weak("IRIW", "one first load Acquire", iriw(Independent { first: Acquire, ..Independent::SEQ_CST }), DISAGREE).preemptions(2),
        weak("IRIW", "one second load Acquire", iriw(Independent { second: Acquire, ..Independent::SEQ_CST }), DISAGREE)
            .preemptions(2),
        // Right by the letter of C++20: a SeqCst load that misses a store comes before every SeqCst load that sees it, whatever
        // the store is. But no compiler keeps that promise (LWG issue 3941), and the engines ask for what they do keep.
        weak("IRIW", "stores Release", iriw(Independent { store: Release, other_store: Release, ..Independent::SEQ_CST }), DISAGREE)
            .preemptions(2),
        right("2+2W", "SeqCst", two_and_two_writes(SeqCst)),
        weak("2+2W", "Release", two_and_two_writes(Release), "both first stores came last"),
        weak("2+2W", "Relaxed", two_and_two_writes(Relaxed), "both first stores came last"),
        right("release sequence", "continued by a CAS", release_sequence(Link::Store, Link::Modify)),
        right("release sequence", "RMW, continued by a CAS", release_sequence(Link::Modify, Link::Modify)),
        right("release sequence", "to an atomic created by a thread", created_by_a_thread),
        weak("release sequence", "broken by a store", release_sequence(Link::Store, Link::Store), RACE),
        weak("release sequence", "RMW, broken by a store", release_sequence(Link::Modify, Link::Store), RACE)
            .bare_loom(Rejected(RACE)),
        right("fences", "Release, Acquire", fence_pair([true, true])).at_most(20),
        weak("fences", "release fence missing", fence_pair([false, true]), RACE),
        weak("fences", "acquire fence missing", fence_pair([true, false]), RACE),
        right("seqlock", "both fences", seqlock(SeqLock::RIGHT)).at_most(300),
        weak("seqlock", "writer's fence missing", seqlock(SeqLock { writer_fence: false, ..SeqLock::RIGHT }), TORN),
        weak("seqlock", "reader's fence missing", seqlock(SeqLock { reader_fence: false, ..SeqLock::RIGHT }), TORN),
        weak("seqlock", "closing store Relaxed", seqlock(SeqLock { close: Relaxed, ..SeqLock::RIGHT }), TORN),
        weak("seqlock", "opening load Relaxed", seqlock(SeqLock { open: Relaxed, ..SeqLock::RIGHT }), TORN),
        weak("seqlock", "AcqRel swap for the writer's fence", seqlock(SeqLock { writer_fence: false, swap: true, ..SeqLock::RIGHT }), TORN),
        weak("seqlock", "reader's fence too late", seqlock(SeqLock { late: true, ..SeqLock::RIGHT }), TORN),
        weak("fences", "release fence too early", fence_too_early(), RACE),
        right("overwritten", "Release, twice", overwritten_release(Release)),
        weak("overwritten", "by a Relaxed store", overwritten_release(Relaxed), RACE),
        right("store beside swap", "", store_beside_swap()).bare_loom(Rejected("the store is lost")),
        right("look by addition", "Release, Acquire", look_by_addition(Release, Acquire)),
        weak("look by addition", "store Relaxed", look_by_addition(Relaxed, Acquire), OVERLOOKED).bare_loom(Accepted),
        weak("look by addition", "load Relaxed", look_by_addition(Release, Relaxed), OVERLOOKED).bare_loom(Accepted),
        right("SB", "a read-modify-write of one word", modifications_as_fences(true)),
        weak("SB", "read-modify-writes of two words", modifications_as_fences(false), MISSED),
        right("unwinding", "Release", unwinding(Release, Reader::Spins)),
        weak("unwinding", "Relaxed", unwinding(Relaxed, Reader::Spins), RACE),
        right("unwinding", "the reader parks", unwinding(Release, Reader::Parks)),
        wrong("unwinding", "counts for nothing", unwinding(Release, Reader::Denies), "a letter by a thread that has panicked"),
        right("unwinding", "two at once, Release", both_unwind(Release)),
        weak("unwinding", "two at once, Relaxed", both_unwind(Relaxed), RACE),
        right("publication", "Release", publication(Release)),
        weak("publication", "Relaxed", publication(Relaxed), RACE),
        wrong("innocent", "a reader who has let go", written_by_a_reader, RACE),
        right("innocent", "one of two tokens, flag Release", two_tokens(Release, Acquire)),
        weak("innocent", "one of two tokens, flag Relaxed", two_tokens(Relaxed, Acquire), RACE),
        weak("innocent", "one of two tokens, look Relaxed", two_tokens(Release, Relaxed), RACE),
        wrong("innocent", "who had the lock before", locked_again, DEADLOCK),
        right("innocent", "looks until it is its turn", in_turn(true)),
        wrong("innocent", "looks once", in_turn(false), RACE),
        right("innocent", "meet by AcqRel", rendezvous(AcqRel)),
        weak("innocent", "meet by Relaxed", rendezvous(Relaxed), RACE),
        wrong("innocent", "count by load and store", counted_in_vain, "one is lost"),
        wrong("innocent", "lines exchanged", peterson([Entry { turn_first: true, ..Entry::FENCE }; 2]), RACE),
    ]
}

#[rustfmt::skip] // a row a line
fn locks() -> Vec<Row> {
    let both = |entry: Entry| [entry, entry];
    let one = |entry: Entry| [entry, Entry::SEQ_CST];
    let sc = Entry::SEQ_CST;
    vec![
        right("spin lock", "swap", spin_lock(Take::Swap(Acquire), Release)).bare_loom(Inconclusive).at_most(40),
        right("spin lock", "CAS", spin_lock(Take::CompareExchange(Acquire), Release)).at_most(30),
        weak("spin lock", "swap, unlock Relaxed", spin_lock(Take::Swap(Acquire), Relaxed), RACE),
        weak("spin lock", "swap AcqRel, unlock Relaxed", spin_lock(Take::Swap(AcqRel), Relaxed), RACE),
        weak("spin lock", "swap, lock Relaxed", spin_lock(Take::Swap(Relaxed), Release), RACE),
        weak("spin lock", "CAS, unlock Relaxed", spin_lock(Take::CompareExchange(Acquire), Relaxed), RACE),
        weak("spin lock", "CAS, lock Relaxed", spin_lock(Take::CompareExchange(Relaxed), Release), RACE),
        wrong("spin lock", "load, then store", spin_lock(Take::LoadThenStore, Release), RACE),
        right("spin lock", "without a spin hint", silent_spin_lock()).expect(true, |expected| expected.kata = Inconclusive),
        right("baton", "taken by swap", baton(Release, Acquire)).bare_loom(Inconclusive),
        weak("baton", "passed on Relaxed", baton(Relaxed, Acquire), RACE),
        weak("baton", "taken Relaxed", baton(Release, Relaxed), RACE),
        right("tired reader", "always Acquire", tired_reader(usize::MAX)).at_most(2),
        weak("tired reader", "always Relaxed", tired_reader(0), RACE),
        weak("tired reader", "Relaxed from the second look on", tired_reader(1), RACE),
        weak("tired reader", "Relaxed from the third look on", tired_reader(2), RACE)
            .step_by_step(Accepted, "who waits looks again only after a step of another thread, and the writer has one step"),
        right("try lock", "swap", try_lock(Release)).at_most(30),
        weak("try lock", "unlock Relaxed", try_lock(Relaxed), RACE),
        right("ticket lock", "Acquire, Release", ticket_lock(Ticket::RIGHT)).at_most(60),
        weak("ticket lock", "look Relaxed", ticket_lock(Ticket { look: Relaxed, ..Ticket::RIGHT }), RACE),
        weak("ticket lock", "serve Relaxed", ticket_lock(Ticket { serve: Relaxed, ..Ticket::RIGHT }), RACE),
        wrong("ticket lock", "ticket by load and store", ticket_lock(Ticket { atomic: false, ..Ticket::RIGHT }), RACE)
            .shuttle_says(Inconclusive)
            .expect(LOOM, |expected| expected.kata = Rejected("never comes"))
            .step_by_step(Rejected(RACE), "both are wrong with it, and it comes to the race first"),
        right("Dekker", "SeqCst accesses", dekker(both(sc))),
        right("Dekker", "SeqCst fences", dekker(both(Entry::FENCE))).at_most(300),
        weak("Dekker", "Release, Acquire", dekker(both(Entry::ACQUIRE)), RACE),
        weak("Dekker", "one fence missing", dekker([Entry::ACQUIRE, Entry::FENCE]), RACE),
        weak("Dekker", "one flag's store Release", dekker(one(Entry { flag: Release, ..sc })), RACE),
        weak("Dekker", "one flag's load Acquire", dekker(one(Entry { look: Acquire, ..sc })), RACE),
        weak("Dekker", "one unlock Relaxed", dekker(one(Entry { leave: Relaxed, ..sc })), RACE),
        right("Peterson", "SeqCst accesses", peterson(both(sc))),
        right("Peterson", "SeqCst fences", peterson(both(Entry::FENCE))),
        right("Peterson", "turn swapped AcqRel", peterson(both(Entry::SWAP))),
        right("Peterson", "turn's load Acquire", peterson(both(Entry { look_turn: Acquire, ..sc }))),
        weak("Peterson", "Release, Acquire", peterson(both(Entry::ACQUIRE)), RACE),
        weak("Peterson", "one thread's fences missing", peterson([Entry::ACQUIRE, Entry::FENCE]), RACE),
        weak("Peterson", "one first fence missing", peterson([Entry { first_fence: false, ..Entry::FENCE }, Entry::FENCE]), RACE),
        weak("Peterson", "one second fence missing", peterson([Entry { fence: false, ..Entry::FENCE }, Entry::FENCE]), RACE),
        weak("Peterson", "one flag's store Release", peterson(one(Entry { flag: Release, ..sc })), RACE),
        weak("Peterson", "one turn's store Release", peterson(one(Entry { turn: Release, ..sc })), RACE),
        weak("Peterson", "one flag's load Acquire", peterson(one(Entry { look: Acquire, ..sc })), RACE),
        weak("Peterson", "one unlock Relaxed", peterson(one(Entry { leave: Relaxed, ..sc })), RACE),
    ]
}

#[rustfmt::skip] // a row a line
fn structures() -> Vec<Row> {
    const DOUBLE: &str = "an element was taken twice";
    const EARLY: &str = "an element was stolen before it was there";
    const SLOT: &str = "a slot has two owners or none";
    let deque = |parts| chase_lev(parts, 2, &[2]);
    let two_thieves = |parts| chase_lev(parts, 1, &[1, 1]);
    let (fences, sc) = (Deque::FENCES, Deque::SEQ_CST);
    let (hp, hp_sc) = (Hazard::FENCES, Hazard::SEQ_CST);
    vec![
        right("Chase-Lev", "fences", deque(fences)).at_most(6500),
        weak("Chase-Lev", "take's fence missing", deque(Deque { take_fence: false, ..fences }), DOUBLE),
        weak("Chase-Lev", "steal's fence missing", deque(Deque { steal_fence: false, ..fences }), DOUBLE),
        weak("Chase-Lev", "push's fence missing", deque(Deque { push_fence: false, ..fences }), EARLY),
        // A thief may read what take stored: only a fence in push covers that store too.
        weak("Chase-Lev", "push by a Release store", deque(Deque { push_fence: false, push: Release, ..fences }), EARLY),
        weak("Chase-Lev", "SeqCst, push Relaxed", deque(Deque { push: Relaxed, ..sc }), EARLY),
        right("Chase-Lev", "SeqCst accesses", deque(sc)).bare_loom(Rejected(DOUBLE)),
        weak("Chase-Lev", "take's store Release", deque(Deque { take_bottom: Release, ..sc }), DOUBLE),
        weak("Chase-Lev", "take's load Acquire", deque(Deque { take_top: Acquire, ..sc }), DOUBLE),
        weak("Chase-Lev", "steal's second load Acquire", deque(Deque { steal_bottom: Acquire, ..sc }), DOUBLE),
        right("Chase-Lev", "two thieves, fences", two_thieves(fences)).preemptions(2),
        right("Chase-Lev", "two thieves, SeqCst accesses", two_thieves(sc)).preemptions(2),
        weak("Chase-Lev", "two thieves, first load Acquire", two_thieves(Deque { steal_top: Acquire, ..sc }), DOUBLE),
        weak("Chase-Lev", "two thieves, second load Acquire", two_thieves(Deque { steal_bottom: Acquire, ..sc }), DOUBLE),
        right("hazard pointer", "fences", hazard_pointer(hp)).no_leaks().at_most(80),
        weak("hazard pointer", "reader's fence missing", hazard_pointer(Hazard { reader_fence: false, ..hp }), FREED),
        weak("hazard pointer", "writer's fence missing", hazard_pointer(Hazard { writer_fence: false, ..hp }), FREED),
        wrong("hazard pointer", "no second look", hazard_pointer(Hazard { validate: None, ..hp }), FREED),
        weak("hazard pointer", "cleared Relaxed", hazard_pointer(Hazard { clear: Relaxed, ..hp }), RACE),
        right("hazard pointer", "SeqCst accesses", hazard_pointer(hp_sc)).bare_loom(Rejected(FREED)),
        weak("hazard pointer", "announced Release", hazard_pointer(Hazard { announce: Release, ..hp_sc }), FREED),
        weak("hazard pointer", "second look Acquire", hazard_pointer(Hazard { validate: Some(Acquire), ..hp_sc }), FREED),
        weak("hazard pointer", "unlinked AcqRel", hazard_pointer(Hazard { unlink: AcqRel, ..hp_sc }), FREED),
        weak("hazard pointer", "looked at Acquire", hazard_pointer(Hazard { look: Acquire, ..hp_sc }), FREED),
        right("Arc", "Release, acquire fence", reference_count(Release, Some(Acquire))).no_leaks().at_most(30),
        right("Arc", "AcqRel", reference_count(AcqRel, None)).no_leaks(),
        weak("Arc", "Relaxed, acquire fence", reference_count(Relaxed, Some(Acquire)), RACE),
        weak("Arc", "Release, no fence", reference_count(Release, None), RACE),
        right("Michael-Scott queue", "Release", michael_scott(Release)).no_leaks().at_most(2500),
        weak("Michael-Scott queue", "linked Relaxed", michael_scott(Relaxed), RACE),
        right("free list", "index and tag", free_list(true)).at_most(350),
        wrong("free list", "index alone", free_list(false), SLOT),
        right("SPSC ring", "Release, Acquire, twice", spsc_ring(Ring::RIGHT)).at_most(850),
        weak("SPSC ring", "publish Relaxed", spsc_ring(Ring { publish: Relaxed, ..Ring::RIGHT }), RACE),
        weak("SPSC ring", "look Relaxed", spsc_ring(Ring { look: Relaxed, ..Ring::RIGHT }), RACE),
        weak("SPSC ring", "release Relaxed", spsc_ring(Ring { release: Relaxed, ..Ring::RIGHT }), RACE),
        weak("SPSC ring", "reuse Relaxed", spsc_ring(Ring { reuse: Relaxed, ..Ring::RIGHT }), RACE),
    ]
}

#[rustfmt::skip] // a row a line
fn waiting() -> Vec<Row> {
    const EMPTY: &str = "a consumer takes from an empty basket";
    const LOST: &str = "the increment is lost";
    const EARLY: &str = "woken before the letter arrived";
    vec![
        right("wake-up", "flag set inside the lock", wake_up(true)),
        wrong("wake-up", "flag set outside the lock", wake_up(false), DEADLOCK),
        right("two locks", "same order", two_locks(true)),
        wrong("two locks", "opposite order", two_locks(false), DEADLOCK),
        right("condition", "one consumer, while", consumers(1, Again::While)),
        right("condition", "one consumer, wait_while", consumers(1, Again::WaitWhile)),
        wrong("condition", "one consumer, if", consumers(1, Again::If), EMPTY).bare_loom(Accepted).bare_shuttle(Accepted),
        right("condition", "two consumers, while", consumers(2, Again::While)).preemptions(2),
        wrong("condition", "two consumers, if", consumers(2, Again::If), EMPTY)
            .bare_loom(Rejected(EMPTY))
            .bare_shuttle(Rejected(EMPTY)),
        right("park", "in a loop", park(true)),
        wrong("park", "without a loop", park(false), EARLY).bare_loom(Accepted).bare_shuttle(Rejected(EARLY)),
        right("waiter on a stack", "its thread copied first", waiter_on_a_stack(true)),
        wrong("waiter on a stack", "woken through what is gone", waiter_on_a_stack(false), RACE),
        right("park token", "late, the thread joins", late_token()),
        right("park token", "the thread yields", token_for_a_yielding_thread()),
        right("park token", "flag Release", letter_beside_a_token(Release)),
        weak("park token", "flag Relaxed", letter_beside_a_token(Relaxed), RACE),
        right("sleeper", "SeqCst fences", sleeper(SeqCst)),
        weak("sleeper", "AcqRel fences", sleeper(AcqRel), DEADLOCK),
        wrong("limited wait", "counts on the notification", limited_wait(true), "nobody has come in time"),
        wrong("limited wait", "counts on its end", limited_wait(false), "somebody has come in time"),
        right("limited wait", "nobody comes", nobody_comes()),
        right("limited wait", "hands its notification on", beside_a_limited_wait(Notify::One, true)),
        wrong("limited wait", "keeps its notification", beside_a_limited_wait(Notify::One, false), DEADLOCK),
        right("limited wait", "all are notified", beside_a_limited_wait(Notify::All, false)),
        right("future", "waker kept with the look", oneshot(Keep::WithTheLook)).no_leaks(),
        wrong("future", "waker kept after the look", oneshot(Keep::AfterTheLook), DEADLOCK),
        wrong("future", "only the first waker kept", oneshot(Keep::TheFirst), DEADLOCK).bare_loom(Accepted).bare_shuttle(Accepted),
        wrong("future", "no waker kept", oneshot(Keep::Nothing), DEADLOCK),
        right("future", "woken during its poll", wake_during_the_poll()).no_leaks(),
        right("future", "unparked during its wait", token_beside_a_wake()),
        right("future", "the newest of two wakers", wakes_a_waker_of(true)),
        wrong("future", "the oldest of two wakers", wakes_a_waker_of(false), DEADLOCK),
        right("future", "flag Release", letter_before_the_wake(Release)),
        weak("future", "flag Relaxed", letter_before_the_wake(Relaxed), RACE),
        right("weak exchange", "strong, once, one thread", increment(Exchange::StrongOnce, false)),
        right("weak exchange", "in a loop", increment(Exchange::WeakInALoop, true)),
        right("weak exchange", "strong, once", increment(Exchange::StrongOnce, true)),
        wrong("weak exchange", "once", increment(Exchange::WeakOnce, true), LOST).bare_loom(Accepted).bare_shuttle(Accepted),
    ]
}

#[rustfmt::skip] // a row a line
fn memory() -> Vec<Row> {
    vec![
        right("Treiber pop", "nodes outlive all", treiber::<Guarded>(false)).no_leaks(),
        wrong("Treiber pop", "frees at once, plain field", treiber::<Plain>(true), FREED)
            .unseen_by_shuttle("nobody runs between a step of the facade and a plain read after it"),
        wrong("Treiber pop", "frees at once, cell", treiber::<Watched>(true), FREED).shuttle_says(Rejected(RACE)),
        wrong("Treiber pop", "frees at once, canary", treiber::<Guarded>(true), FREED).shuttle_says(Rejected(RACE)),
        right("take and free", "in one step", take::<Canary>(true)).no_leaks(),
        wrong("take and free", "in two steps, canary", take::<Canary>(false), TWICE),
        wrong("take and free", "in two steps, plain", take::<u64>(false), TWICE),
        right("overwrite", "frees what was there", overwrite(false)).no_leaks(),
        wrong("overwrite", "forgets what was there", overwrite(true), "leak").no_leaks(),
        right("drop after use", "left for the destructor", left_for_the_destructor),
        right("drop after use", "Release, Acquire", drop_after_use(Release, Acquire)).no_leaks(),
        weak("drop after use", "done Relaxed", drop_after_use(Relaxed, Acquire), RACE),
        weak("drop after use", "look Relaxed", drop_after_use(Release, Relaxed), RACE),
    ]
}

#[cfg(not(feature = "loom"))]
#[rustfmt::skip] // a row a line
fn oracles() -> Vec<Row> {
    use crate::programs::oracles::{
        Increment, linearizable_counter, linearizable_register, non_blocking_counter,
        non_blocking_queue,
    };
    const BLOCKING: &str = "blocking";
    const ORDER: &str = "not linearizable";
    let row = |program, variant, oracle: Oracle, verdict| {
        Row::new(program, variant, Check::Oracle(oracle), verdict, verdict)
    };
    vec![
        row("non-blocking", "CAS loop", Box::new(|note| non_blocking_counter(Increment::ExchangeLoop, note)), Accepted),
        row("non-blocking", "spin lock", Box::new(|note| non_blocking_counter(Increment::SpinLock, note)), Rejected(BLOCKING)),
        row("non-blocking", "Michael-Scott queue", Box::new(|note| non_blocking_queue(true, note)), Accepted),
        row("non-blocking", "Michael-Scott queue, nobody helps", Box::new(|note| non_blocking_queue(false, note)), Rejected(BLOCKING)),
        row("linearizable", "fetch_add", Box::new(|note| linearizable_counter(true, note)), Accepted),
        row("linearizable", "load, then store", Box::new(|note| linearizable_counter(false, note)), Rejected(ORDER)),
        row("linearizable", "register", Box::new(|note| linearizable_register(false, note)), Accepted),
        row("linearizable", "register with a cache", Box::new(|note| linearizable_register(true, note)), Rejected(ORDER)),
    ]
}
