//! Relations between the events of one execution, as rows of bits.

/// A set of events of a litmus test.
pub(super) type Set = u128;

/// The events of a set, in order.
pub(super) fn members(mut set: Set) -> impl Iterator<Item = usize> {
    std::iter::from_fn(move || {
        let event = (set != 0).then(|| set.trailing_zeros() as usize)?;
        set &= set - 1;
        Some(event)
    })
}

/// A binary relation: bit `b` of row `a` says that `a` is related to `b`. A row has as many words of 128 events as `WORDS`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Relation<const WORDS: usize = 1>(Vec<[Set; WORDS]>);

const fn bit(event: usize) -> (usize, u32) {
    (event / Set::BITS as usize, event as u32 % Set::BITS)
}

fn add<const WORDS: usize>(row: &mut [Set; WORDS], other: &[Set; WORDS]) {
    for (word, other) in row.iter_mut().zip(other) {
        *word |= other;
    }
}

impl<const WORDS: usize> Relation<WORDS> {
    /// How many events there may be.
    pub(super) const MOST_EVENTS: usize = WORDS * Set::BITS as usize;

    pub(super) fn empty(events: usize) -> Self {
        assert!(
            events <= Self::MOST_EVENTS,
            "a litmus test of {events} events is too long: {} is the most",
            Self::MOST_EVENTS
        );
        Self(vec![[0; WORDS]; events])
    }

    pub(super) fn identity(events: usize) -> Self {
        let mut identity = Self::empty(events);
        (0..events).for_each(|event| identity.add(event, event));
        identity
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn add(&mut self, from: usize, to: usize) {
        let (word, bit) = bit(to);
        self.0[from][word] |= 1 << bit;
    }

    pub(super) fn has(&self, from: usize, to: usize) -> bool {
        let (word, bit) = bit(to);
        self.0[from][word] >> bit & 1 == 1
    }

    fn row(&self, from: usize) -> impl Iterator<Item = usize> {
        let words = self.0[from].into_iter().enumerate();
        words.flat_map(|(word, set)| members(set).map(move |bit| word * Set::BITS as usize + bit))
    }

    pub(super) fn pairs(&self) -> impl Iterator<Item = (usize, usize)> {
        (0..self.len()).flat_map(|from| self.row(from).map(move |to| (from, to)))
    }

    pub(super) fn union(&self, other: &Self) -> Self {
        let mut union = self.clone();
        for (row, other) in union.0.iter_mut().zip(&other.0) {
            add(row, other);
        }
        union
    }

    /// The pairs for which `keep` is true.
    pub(super) fn filter(&self, keep: impl Fn(usize, usize) -> bool) -> Self {
        let mut kept = Self::empty(self.len());
        for (from, to) in self.pairs().filter(|&(from, to)| keep(from, to)) {
            kept.add(from, to);
        }
        kept
    }

    /// `a` to `c`, wherever `a` is related to some `b` here and `b` to `c` there.
    pub(super) fn then(&self, other: &Self) -> Self {
        let row = |from| {
            let mut reached = [0; WORDS];
            for middle in self.row(from) {
                add(&mut reached, &other.0[middle]);
            }
            reached
        };
        Self((0..self.len()).map(row).collect())
    }

    /// This, or nothing: `R?`.
    pub(super) fn optional(&self) -> Self {
        self.union(&Self::identity(self.len()))
    }

    /// One or more steps of it: `R⁺`.
    pub(super) fn closure(mut self) -> Self {
        for middle in 0..self.len() {
            let onward = self.0[middle];
            let (word, bit) = bit(middle);
            for row in &mut self.0 {
                if row[word] >> bit & 1 == 1 {
                    add(row, &onward);
                }
            }
        }
        self
    }

    pub(super) fn is_irreflexive(&self) -> bool {
        (0..self.len()).all(|event| !self.has(event, event))
    }

    pub(super) fn is_acyclic(&self) -> bool {
        self.clone().closure().is_irreflexive()
    }

    /// The events in an order that agrees with the relation, unless it has a cycle. Where there is a choice, an event
    /// that `prefer`s to follow the one before comes first.
    pub(super) fn linear(&self, prefer: impl Fn(usize, usize) -> bool) -> Option<Vec<usize>> {
        let mut order: Vec<usize> = Vec::new();
        while order.len() < self.len() {
            let ready = |event: usize| {
                !order.contains(&event)
                    && (0..self.len()).all(|from| !self.has(from, event) || order.contains(&from))
            };
            let last = order.last().copied();
            let next = last
                .and_then(|last| (0..self.len()).find(|&event| ready(event) && prefer(last, event)))
                .or_else(|| (0..self.len()).find(|&event| ready(event)))?;
            order.push(next);
        }
        Some(order)
    }
}
