//! Relations between the events of one execution, as rows of bits.

/// How many events an execution may have.
pub(super) const MOST_EVENTS: usize = Set::BITS as usize;

/// A set of events.
pub(super) type Set = u64;

/// The events of a set, in order.
pub(super) fn members(mut set: Set) -> impl Iterator<Item = usize> {
    std::iter::from_fn(move || {
        let event = (set != 0).then(|| set.trailing_zeros() as usize)?;
        set &= set - 1;
        Some(event)
    })
}

/// A binary relation: bit `b` of row `a` says that `a` is related to `b`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Relation(Vec<Set>);

impl Relation {
    pub(super) fn empty(events: usize) -> Self {
        assert!(
            events <= MOST_EVENTS,
            "a litmus test of {events} events is too long: {MOST_EVENTS} is the most"
        );
        Self(vec![0; events])
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
        self.0[from] |= 1 << to;
    }

    pub(super) fn has(&self, from: usize, to: usize) -> bool {
        self.0[from] >> to & 1 == 1
    }

    pub(super) fn pairs(&self) -> impl Iterator<Item = (usize, usize)> {
        let rows = self.0.iter().enumerate();
        rows.flat_map(|(from, &row)| members(row).map(move |to| (from, to)))
    }

    pub(super) fn union(&self, other: &Self) -> Self {
        Self(self.0.iter().zip(&other.0).map(|(a, b)| a | b).collect())
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
        let row = |&row: &Set| members(row).fold(0, |reached, middle| reached | other.0[middle]);
        Self(self.0.iter().map(row).collect())
    }

    /// This, or nothing: `R?`.
    pub(super) fn optional(&self) -> Self {
        self.union(&Self::identity(self.len()))
    }

    /// One or more steps of it: `R⁺`.
    pub(super) fn closure(mut self) -> Self {
        for middle in 0..self.len() {
            let onward = self.0[middle];
            for row in &mut self.0 {
                if *row >> middle & 1 == 1 {
                    *row |= onward;
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
