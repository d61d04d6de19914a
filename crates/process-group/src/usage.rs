//! What a group of processes uses, read from /proc.

use std::fs;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rustix::param::{clock_ticks_per_second, page_size};
use rustix::process::Pid;

use super::Member;
use super::guard::Usage;
use super::linux::{Stat, all_processes};

/// All processes of this machine, as they were a short time ago. Several watchers look at the same table, so that many
/// tests at once cost no more than one.
pub(crate) fn table(tolerance: Duration) -> Arc<Vec<Stat>> {
    static LAST: Mutex<Option<(Instant, Arc<Vec<Stat>>)>> = Mutex::new(None);
    let mut last = LAST.lock().unwrap_or_else(PoisonError::into_inner);
    match &*last {
        Some((then, table)) if then.elapsed() <= tolerance => Arc::clone(table),
        _ => {
            let table = Arc::new(all_processes().collect());
            *last = Some((Instant::now(), Arc::clone(&table)));
            table
        }
    }
}

/// What `members` use together. Of those who have ended, `shepherd` knows.
pub(crate) fn of<'a>(shepherd: Option<&'a Stat>, members: impl Iterator<Item = &'a Stat>) -> Usage {
    let mut usage = Usage::default();
    if let Some(shepherd) = shepherd {
        usage.cpu = duration(shepherd.ticks);
        usage.written = written(shepherd.id).unwrap_or(0);
    }
    for member in members {
        usage.cpu += duration(member.ticks);
        if member.alive {
            usage.processes += 1;
            usage.memory += memory(member.id).unwrap_or(0);
            usage.active = usage.active || has_active_thread(member.id);
        }
        usage.written += written(member.id).unwrap_or(0);
    }
    usage
}

/// Each of `members` that is alive.
pub(crate) fn each<'a>(members: impl Iterator<Item = &'a Stat>) -> Vec<Member> {
    let living = members.filter(|member| member.alive);
    let member = |stat: &Stat| Member {
        id: stat.id,
        cpu: duration(stat.ticks),
        memory: memory(stat.id).unwrap_or(0),
        active: has_active_thread(stat.id),
    };
    living.map(member).collect()
}

/// The system counts CPU time in ticks.
pub(crate) fn duration(ticks: u64) -> Duration {
    Duration::from_millis(ticks.saturating_mul(1000) / clock_ticks_per_second().max(1))
}

/// Bytes of memory that no file stands behind.
fn memory(id: Pid) -> Option<u64> {
    let text = fs::read_to_string(format!("/proc/{}/statm", id.as_raw_nonzero())).ok()?;
    let mut pages = text.split_ascii_whitespace().skip(1);
    let resident: u64 = pages.next()?.parse().ok()?;
    let shared: u64 = pages.next()?.parse().ok()?;
    Some(resident.saturating_sub(shared) * page_size() as u64)
}

/// Bytes handed to the system to write, also by descendants that have ended and were waited for.
fn written(id: Pid) -> Option<u64> {
    let text = fs::read_to_string(format!("/proc/{}/io", id.as_raw_nonzero())).ok()?;
    let bytes = text.lines().find_map(|line| line.strip_prefix("wchar:"))?;
    bytes.trim().parse().ok()
}

/// Whether a thread runs, waits for its turn (`R`) or waits for a disk (`D`).
fn has_active_thread(id: Pid) -> bool {
    fs::read_dir(format!("/proc/{}/task", id.as_raw_nonzero()))
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|thread| fs::read(thread.path().join("stat")).ok())
        .any(|stat| matches!(Stat::state(&stat), Some(b'R' | b'D')))
}
