//! When a process and its descendants are stopped although they have not ended.
//!
//! The guards know two kinds of hang. What spins uses CPU time, of which it gets less on a busy machine; so CPU time is
//! what counts. What sleeps uses none: it is idle if for a while hardly anything of it ran *or wanted to run*, which a
//! process that only waits for its turn does. A busy machine changes neither. The wall clock stands behind both.

use std::collections::VecDeque;
use std::time::Duration;

/// What a process and its descendants may use together. What is `None` has no limit.
#[derive(Debug, Clone, Copy, Default)]
pub struct Guards {
    /// CPU time, also of descendants that have ended and were waited for.
    pub cpu: Option<Duration>,
    /// For how long a single process may be idle.
    pub idle: Option<Duration>,
    /// For how long several processes may be idle together: one that waits for another may have a limit of its own, and
    /// more to say when it is reached.
    pub idle_together: Option<Duration>,
    /// Time by the clock on the wall.
    pub wall: Option<Duration>,
    /// Processes at once.
    pub processes: Option<usize>,
    /// Bytes of memory at once, without what is only a file's content.
    pub memory: Option<u64>,
    /// Bytes written to files, pipes and sockets.
    pub written: Option<u64>,
}

/// Which guard stopped a process, and where the limit was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Excess {
    /// It used this much CPU time.
    Cpu(Duration),
    /// For this long all of it slept.
    Idle(Duration),
    /// It ran this long by the clock, and neither guard against hangs had a reason.
    Wall(Duration),
    /// It had more processes than this.
    Processes(usize),
    /// It had more bytes of memory than this.
    Memory(u64),
    /// It wrote more bytes than this.
    Written(u64),
}

/// What a process and its descendants are seen to use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Usage {
    /// CPU time so far, also of descendants that have ended and were waited for.
    pub cpu: Duration,
    /// Whether a thread runs, waits for its turn, or waits for a disk.
    pub active: bool,
    /// How many processes are alive.
    pub processes: usize,
    /// Bytes of memory, without what is only a file's content.
    pub memory: u64,
    /// Bytes written so far.
    pub written: u64,
}

/// The part of the time for which an idle process may be active: a loop of sleep and look is no work.
const IDLE_PART: u32 = 20;

/// The fewest looks that idleness is judged by: more than a watcher gets who is hardly ever given the processor.
const LEAST_LOOKS: usize = 16;

/// Looks at a group from time to time and says when one of its guards is exceeded.
pub(crate) struct Watcher {
    guards: Guards,
    looks: VecDeque<Look>,
    active: Duration,
    next: Duration,
}

/// What was known at one look.
#[derive(Clone, Copy)]
struct Look {
    at: Duration,
    cpu: Duration,
    active: Duration,
}

impl Watcher {
    /// The first look is worth its cost only if a process runs for longer than most.
    const FIRST: Duration = Duration::from_millis(50);
    const MOST: Duration = Duration::from_millis(250);
    const LEAST: Duration = Duration::from_millis(20);

    pub(crate) fn new(guards: Guards) -> Self {
        Self {
            guards,
            looks: VecDeque::new(),
            active: Duration::ZERO,
            next: Self::FIRST,
        }
    }

    /// Whether it is time for a look, so long after the beginning.
    pub(crate) fn is_due(&self, at: Duration) -> bool {
        at >= self.next
    }

    /// How old what is looked at may be.
    pub(crate) fn tolerance(&self) -> Duration {
        self.pause() / 2
    }

    fn pause(&self) -> Duration {
        let windows = [self.guards.idle, self.guards.idle_together];
        let shortest = windows.into_iter().flatten().min();
        let enough = shortest.map_or(Self::MOST, |window| window / (LEAST_LOOKS as u32 * 2));
        enough.clamp(Self::LEAST, Self::MOST)
    }

    /// Takes note of what is seen so long after the beginning; says which guard is exceeded.
    pub(crate) fn look(&mut self, at: Duration, usage: &Usage) -> Option<Excess> {
        // Close looks at the beginning: what multiplies does so at once.
        self.next = at + self.pause().min(at / 4 + Self::LEAST);
        let since_last = at - self.looks.back().map_or(Duration::ZERO, |look| look.at);
        if usage.active {
            self.active += since_last;
        }
        self.looks.push_back(Look {
            at,
            cpu: usage.cpu,
            active: self.active,
        });
        let exceeded = |limit: Option<u64>, used: u64| limit.filter(|limit| used > *limit);
        if let Some(most) = self.guards.processes
            && usage.processes > most
        {
            return Some(Excess::Processes(most));
        }
        if let Some(most) = exceeded(self.guards.memory, usage.memory) {
            return Some(Excess::Memory(most));
        }
        if let Some(most) = exceeded(self.guards.written, usage.written) {
            return Some(Excess::Written(most));
        }
        if let Some(most) = self.guards.cpu
            && usage.cpu >= most
        {
            return Some(Excess::Cpu(most));
        }
        let window = if usage.processes > 1 {
            self.guards.idle_together
        } else {
            self.guards.idle
        };
        self.idle_for(window?)
    }

    /// Whether hardly anything happened in the last part of the time, of the length of `window`.
    fn idle_for(&mut self, window: Duration) -> Option<Excess> {
        let last = *self.looks.back()?;
        let longest = self.guards.idle.max(self.guards.idle_together)?;
        let is_old = |look: &Look, window| last.at.checked_sub(window) >= Some(look.at);
        while self.looks.get(1).is_some_and(|look| is_old(look, longest)) {
            self.looks.pop_front();
        }
        let first = self.looks.iter().rposition(|look| is_old(look, window))?;
        let looks = self.looks.len() - first;
        let first = self.looks[first];
        // A clock that counts ticks may fall back a little when a descendant is waited for.
        let used = last.cpu.saturating_sub(first.cpu);
        let busy = used.max(last.active - first.active);
        (looks > LEAST_LOOKS && busy * IDLE_PART <= last.at - first.at)
            .then_some(Excess::Idle(window))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn watcher() -> Watcher {
        Watcher::new(Guards {
            cpu: Some(20 * SECOND),
            idle: Some(2 * SECOND),
            idle_together: Some(6 * SECOND),
            ..Guards::default()
        })
    }

    /// Looks ten times a second at what `usage` says of each moment; the first excess, and when.
    fn watch(mut usage: impl FnMut(u32) -> Usage) -> Option<(Duration, Excess)> {
        let mut watcher = watcher();
        (1..=3000).find_map(|tenth| {
            let at = SECOND * tenth / 10;
            watcher.look(at, &usage(tenth)).map(|excess| (at, excess))
        })
    }

    #[test]
    fn what_spins_is_stopped_by_its_cpu_time_however_little_it_gets() {
        for part in [1, 4, 10] {
            let (at, excess) = watch(|tenth| Usage {
                cpu: SECOND * tenth / 10 / part,
                active: true,
                processes: 1,
                ..Usage::default()
            })
            .unwrap();
            assert_eq!(excess, Excess::Cpu(20 * SECOND));
            assert_eq!(at, 20 * SECOND * part);
        }
    }

    #[test]
    fn what_sleeps_is_stopped_by_its_idleness() {
        for (processes, window) in [(1, 2 * SECOND), (3, 6 * SECOND)] {
            let (at, excess) = watch(|tenth| Usage {
                cpu: SECOND * tenth.min(30) / 10,
                active: tenth <= 30,
                processes,
                ..Usage::default()
            })
            .unwrap();
            assert_eq!(excess, Excess::Idle(window));
            assert!(at >= 3 * SECOND + window * 19 / 20 && at < 4 * SECOND + window);
        }
    }

    #[test]
    fn a_loop_that_sleeps_and_looks_is_idle() {
        let (at, excess) = watch(|tenth| Usage {
            cpu: SECOND * tenth / 1000,
            active: tenth % 100 == 7,
            processes: 1,
            ..Usage::default()
        })
        .unwrap();
        assert_eq!(excess, Excess::Idle(2 * SECOND));
        assert!(at < 4 * SECOND, "{at:?}");
    }

    #[test]
    fn what_waits_for_its_turn_or_for_a_disk_is_not_idle() {
        let found = watch(|tenth| Usage {
            active: tenth % 10 == 3,
            processes: 1,
            ..Usage::default()
        });
        assert_eq!(found, None);
    }

    #[test]
    fn few_looks_say_nothing_of_idleness() {
        let mut watcher = watcher();
        let asleep = Usage {
            processes: 1,
            ..Usage::default()
        };
        for look in 1..=30 {
            assert_eq!(watcher.look(SECOND * look, &asleep), None);
        }
    }

    #[test]
    fn limits_of_processes_memory_and_output_are_exceeded_at_once() {
        let guards = Guards {
            processes: Some(10),
            memory: Some(100),
            written: Some(1000),
            ..Guards::default()
        };
        let look = |processes, memory, written| {
            let usage = Usage {
                processes,
                memory,
                written,
                ..Usage::default()
            };
            Watcher::new(guards).look(SECOND, &usage)
        };
        assert_eq!(look(10, 100, 1000), None);
        assert_eq!(look(11, 100, 1000), Some(Excess::Processes(10)));
        assert_eq!(look(10, 101, 1000), Some(Excess::Memory(100)));
        assert_eq!(look(10, 100, 1001), Some(Excess::Written(1000)));
    }
}
