//! What is not atomic: who has written where, who has read, and whether that was in order.
//!
//! The atomics have an entry as well: the memory that one stands in is written when it is created and when it ends.

use crate::engine::LOCAL;
use memory_model::{Clock, Location, MOST_THREADS, NOTHING};

/// What is done with the memory of an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Touch {
    /// An atomic access: it must not meet the beginning or the end of its object.
    Atomic,
    Read,
    Write,
    /// The object ends.
    End,
}

/// What is wrong with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Nothing orders it after an access that it conflicts with, or after the creation of its object.
    Race,
    /// The object has ended.
    Ended,
}

#[derive(Clone, Debug)]
struct Entry {
    initial: u64,
    /// Who created it or wrote last, after so many of its events.
    written: Option<(usize, u16)>,
    /// After how many of its events each thread has read last, plus one.
    read: Clock,
    ended: bool,
}

/// The memory of all objects of one execution, by the thread that created them.
#[derive(Debug, Default)]
pub(crate) struct Memory(Vec<Vec<Entry>>);

impl Memory {
    /// Nothing but a token for each thread; see [`token`].
    pub(crate) fn reset(&mut self) {
        self.0.resize(MOST_THREADS + 1, Vec::new());
        for (creator, entries) in self.0.iter_mut().enumerate() {
            entries.clear();
            if creator < MOST_THREADS {
                entries.push(Entry::known_to_all());
            }
        }
    }

    /// The location of a new object.
    pub(crate) fn create(&mut self, initial: u64, thread: usize, place: usize) -> Location {
        self.0[thread].push(Entry {
            initial,
            written: Some((thread, place as u16)),
            ..Entry::known_to_all()
        });
        number(thread, self.0[thread].len() - 1)
    }

    /// The location of an object that was there before the first thread, the one of this number.
    pub(crate) fn create_static(&mut self, index: usize) -> Location {
        let entries = &mut self.0[MOST_THREADS];
        if entries.len() <= index {
            entries.resize(index + 1, Entry::known_to_all());
        }
        number(MOST_THREADS, index)
    }

    /// `None` if this is the number of no object: it was read from memory that has been freed.
    fn entry(&mut self, location: Location) -> Option<&mut Entry> {
        let entries = self.0.get_mut((location >> LOCAL) as usize)?;
        entries.get_mut((location & ((1 << LOCAL) - 1)) as usize)
    }

    pub(crate) fn initial(&mut self, location: Location) -> u64 {
        self.entry(location).map_or(0, |entry| entry.initial)
    }

    /// Notes what `thread` does after `place` of its events, when it knows of everything in `now`.
    pub(crate) fn touch(
        &mut self,
        location: Location,
        touch: Touch,
        (thread, place): (usize, usize),
        now: &Clock,
    ) -> Result<(), Fault> {
        let place = place as u16;
        let Some(entry) = self.entry(location) else {
            return Err(Fault::Ended);
        };
        if entry.ended {
            return Err(Fault::Ended);
        }
        let ordered = entry
            .written
            .is_none_or(|(writer, position)| writer == thread || position < now[writer]);
        if !ordered {
            return Err(Fault::Race);
        }
        if matches!(touch, Touch::Atomic | Touch::Read) {
            entry.read[thread] = place + 1;
            return Ok(());
        }
        if (0..MOST_THREADS).any(|other| other != thread && entry.read[other] > now[other]) {
            return Err(Fault::Race);
        }
        entry.written = Some((thread, place));
        entry.ended = touch == Touch::End;
        Ok(())
    }
}

impl Entry {
    fn known_to_all() -> Self {
        Self {
            initial: 0,
            written: None,
            read: NOTHING,
            ended: false,
        }
    }
}

fn number(creator: usize, index: usize) -> Location {
    (creator as Location) << LOCAL | index as Location
}

/// The location of what `unpark` makes available to a thread.
pub(crate) fn token(thread: usize) -> Location {
    number(thread, 0)
}
