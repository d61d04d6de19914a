//! What goes wrong, and when: data, so that it can be printed and made shorter.

use std::fmt;

use super::{Id, Random};

/// A list of faults.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Schedule(pub Vec<Fault>);

/// One fault. It begins and it ends, so that taking it out of a schedule takes both out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// When it begins, in milliseconds of virtual time.
    pub at: u64,
    /// How many milliseconds it lasts.
    pub lasts: u64,
    /// What goes wrong.
    pub kind: Kind,
}

/// What can go wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// What one node sends to one other is lost. What the other sends arrives.
    Cut {
        /// The one.
        from: Id,
        /// The other.
        to: Id,
    },
    /// What is sent between these nodes and the rest is lost.
    Split(Vec<Id>),
    /// A node does nothing: what arrives queues up, and timers that run out are noticed afterwards.
    Pause(Id),
    /// A node crashes in its first step while the fault lasts, loses what it has not persisted, and starts again later.
    /// What arrives meanwhile is lost.
    Crash {
        /// Which.
        node: Id,
        /// Not in its first step of all, but in the first one that persists something.
        writing: bool,
        /// After how many effects of that step; after all of them if there are fewer.
        effects: usize,
        /// After how many milliseconds it starts again.
        down: u64,
    },
    /// So many messages of a hundred are lost.
    Loss(u64),
    /// So many messages of a hundred arrive twice.
    Duplicates(u64),
    /// A message takes up to so many milliseconds, so that many overtake each other.
    Slow(u64),
}

impl Fault {
    /// When it is over, at the latest.
    pub fn end(&self) -> u64 {
        let down = match self.kind {
            Kind::Crash { down, .. } => down,
            _ => 0,
        };
        self.at + self.lasts + down
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cut { from, to } => write!(f, "n{from} → n{to} cut"),
            Self::Split(group) => {
                let names: Vec<String> = group.iter().map(|id| format!("n{id}")).collect();
                write!(f, "{} cut off", names.join(", "))
            }
            Self::Pause(node) => write!(f, "n{node} paused"),
            Self::Crash {
                node,
                writing,
                effects,
                down,
            } => {
                let when = if *writing { " while it persists" } else { "" };
                write!(
                    f,
                    "n{node} crashes{when} after {effects} outputs, for {down} ms"
                )
            }
            Self::Loss(percent) => write!(f, "{percent} % lost"),
            Self::Duplicates(percent) => write!(f, "{percent} % doubled"),
            Self::Slow(most) => write!(f, "up to {most} ms late"),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}–{} ms {}", self.at, self.at + self.lasts, self.kind)
    }
}

impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return write!(f, "no faults");
        }
        for (index, fault) in self.0.iter().enumerate() {
            let separator = if index == 0 { "" } else { "; " };
            write!(f, "{separator}{fault}")?;
        }
        Ok(())
    }
}

/// Which faults a simulation draws from its seed.
#[derive(Clone, Debug)]
pub struct Faults {
    /// At most so many.
    pub most: usize,
    /// All are over by then, in milliseconds of virtual time.
    pub until: u64,
}

impl Faults {
    /// The schedule of a seed.
    pub fn schedule(&self, seed: u64, nodes: usize) -> Schedule {
        let mut random = Random::keyed(seed, &[0xfa_17]);
        let count = random.below(self.most + 1);
        let mut faults: Vec<Fault> = (0..count)
            .map(|_| {
                let at = random.within(&(0..=self.until.saturating_sub(100)));
                // Short ones are as likely as long ones: a crash of 5 ms is another thing than one of 2 s.
                let length = |random: &mut Random, most: u64| {
                    let longest = 1_u64 << random.within(&(2..=11));
                    random.within(&(1..=longest)).min(most)
                };
                let mut lasts = length(&mut random, self.until - at);
                let node = random.below(nodes);
                let other = (node + 1 + random.below(nodes.max(2) - 1)) % nodes;
                let kind = match random.below(12) {
                    0..=3 => {
                        let down = lasts;
                        lasts = length(&mut random, self.until - at - down);
                        Kind::Crash {
                            node,
                            writing: random.chance(50),
                            effects: random.below(4),
                            down,
                        }
                    }
                    4..=5 => Kind::Cut {
                        from: node,
                        to: other,
                    },
                    6..=7 => {
                        let group = random.within(&(1..=(1 << nodes) - 2));
                        Kind::Split((0..nodes).filter(|id| group >> id & 1 == 1).collect())
                    }
                    8 => Kind::Pause(node),
                    9 => Kind::Loss(random.within(&(5..=60))),
                    10 => Kind::Duplicates(random.within(&(5..=60))),
                    _ => Kind::Slow(random.within(&(50..=500))),
                };
                Fault { at, lasts, kind }
            })
            .collect();
        faults.sort_by_key(|fault| fault.at);
        Schedule(faults)
    }
}

/// Makes `schedule` as short as it gets while it `fails`: no fault can be taken out, none can be halved.
pub(super) fn shorten(mut schedule: Schedule, fails: impl Fn(&Schedule) -> bool) -> Schedule {
    let mut attempts = 300;
    let mut try_it = |candidate: Schedule, schedule: &mut Schedule| {
        attempts -= 1;
        let shorter = attempts >= 0 && fails(&candidate);
        if shorter {
            *schedule = candidate;
        }
        shorter
    };
    let mut size = schedule.0.len();
    while size > 0 {
        let mut from = 0;
        let mut removed = false;
        while from < schedule.0.len() {
            let mut candidate = schedule.clone();
            let to = (from + size).min(candidate.0.len());
            candidate.0.drain(from..to);
            if try_it(candidate, &mut schedule) {
                removed = true;
            } else {
                from += size;
            }
        }
        if !(removed && size == 1) {
            size /= 2;
        }
    }
    for index in 0..schedule.0.len() {
        while schedule.0[index].lasts > 1 {
            let mut candidate = schedule.clone();
            candidate.0[index].lasts /= 2;
            if !try_it(candidate, &mut schedule) {
                break;
            }
        }
    }
    schedule
}
