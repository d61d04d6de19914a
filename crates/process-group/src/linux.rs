//! Processes under a [`shepherd`], and what /proc says of them.

use std::collections::HashSet;
use std::fs;
use std::io::{self, PipeReader, Read as _};
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, ExitStatus};
use std::time::{Duration, Instant};

use rustix::process::{
    Pid, Signal, WaitId, WaitIdOptions, WaitOptions, getpid, kill_process, waitid, waitpid,
};

use super::shepherd::{self, Outlived, Report};
use super::unix::confine;
use super::{Confinement, GRACE, Member, Pauses, Usage, start_patiently, usage};

/// How long killed processes get to disappear.
const PATIENCE: Duration = Duration::from_secs(5);

/// A program, everything that it started, and the shepherd above them.
pub struct Group {
    shepherd: Child,
    id: Pid,
    report: PipeReader,
}

impl Group {
    /// Starts `command` under a shepherd.
    pub fn spawn(mut command: Command, confinement: &Confinement) -> io::Result<Self> {
        confine(&mut command, confinement.limits);
        let (report, writer) = io::pipe()?;
        let writer = OwnedFd::from(writer);
        let grader = getpid().as_raw_nonzero().get();
        let outlived = if confinement.spares_daemons {
            Outlived::LeftAlone
        } else {
            Outlived::Killed { after: GRACE }
        };
        // SAFETY: the closure runs between fork and exec, as `divide` demands, and makes system calls and nothing else.
        unsafe {
            command.pre_exec(move || shepherd::divide(grader, outlived, &writer));
        }
        let shepherd = start_patiently(|| command.spawn())?;
        Ok(Self {
            id: Pid::from_child(&shepherd),
            shepherd,
            report,
        })
    }

    /// Whether the program has ended, and all that it started with it: who outlives it for long is killed.
    pub fn has_ended(&mut self) -> io::Result<bool> {
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        loop {
            match waitid(WaitId::Pid(self.id), options) {
                Ok(status) => return Ok(status.is_some()),
                Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Whether the program itself has ended; others may have outlived it.
    pub fn program_has_ended(&self) -> bool {
        let mut report = libc::pollfd {
            fd: self.report.as_raw_fd(),
            events: libc::POLLIN,
            revents: 0,
        };
        // SAFETY: one descriptor, a local, and no time to wait.
        unsafe { libc::poll(&mut report, 1, 0) > 0 }
    }

    /// What the group uses, as of a moment that may be past by `tolerance`.
    pub fn usage(&self, tolerance: Duration) -> Option<Usage> {
        let table = usage::table(tolerance);
        let shepherd = table.iter().find(|stat| stat.id == self.id);
        Some(usage::of(shepherd, self.flock(&table)))
    }

    /// Its living processes.
    pub fn members(&self, tolerance: Duration) -> Vec<Member> {
        usage::each(self.flock(&usage::table(tolerance)))
    }

    /// All who are below the shepherd.
    fn flock<'a>(&self, table: &'a [Stat]) -> impl Iterator<Item = &'a Stat> {
        let mut known = HashSet::from([self.id.as_raw_nonzero().get()]);
        loop {
            let before = known.len();
            for stat in table {
                if known.contains(&stat.parent) {
                    known.insert(stat.id.as_raw_nonzero().get());
                }
            }
            if known.len() == before {
                break;
            }
        }
        let shepherd = self.id;
        table.iter().filter(move |stat| {
            stat.id != shepherd && known.contains(&stat.id.as_raw_nonzero().get())
        })
    }

    /// The CPU time that all have used so far, those who have ended as well.
    pub fn cpu(&self) -> Option<Duration> {
        let shepherd = Stat::of(self.id)?;
        if shepherd.alive {
            Some(self.usage(Duration::ZERO)?.cpu)
        } else {
            Some(usage::duration(shepherd.ticks))
        }
    }

    /// Kills what is left, and says how the program ended and whether others outlived it.
    pub fn kill(mut self) -> io::Result<(ExitStatus, bool)> {
        let signal = Signal::from_named_raw(shepherd::DISMISS);
        if let Some(signal) = signal {
            let _ = kill_process(self.id, signal);
        }
        let begin = Instant::now();
        let mut pauses = Pauses::new();
        while !self.has_ended()? {
            // It has a limit of its own, which is the same.
            if begin.elapsed() > PATIENCE * 2 {
                let _ = kill_process(self.id, Signal::KILL);
            }
            pauses.pause();
        }
        let own = self.shepherd.wait()?;
        let mut bytes = Vec::new();
        self.report.read_to_end(&mut bytes)?;
        // Without a report the shepherd was killed, and all below it with it.
        Ok(Report::decode(&bytes).map_or((own, false), |report| (report.status, report.outlived)))
    }
}

/// One line of /proc/PID/stat, as far as it matters.
pub struct Stat {
    pub id: Pid,
    pub alive: bool,
    parent: i32,
    /// Of CPU time, with that of descendants that have ended and were waited for.
    pub ticks: u64,
}

impl Stat {
    /// The letter that says what the process or thread is at.
    pub fn state(stat: &[u8]) -> Option<u8> {
        let name_ends = stat.iter().rposition(|&byte| byte == b')')?;
        stat.get(name_ends + 2).copied()
    }

    pub fn of(id: Pid) -> Option<Self> {
        let text = fs::read(format!("/proc/{}/stat", id.as_raw_nonzero())).ok()?;
        // The second field is the program's name in parentheses, and may hold blanks and parentheses itself.
        let name_ends = text.iter().rposition(|&byte| byte == b')')?;
        let rest = std::str::from_utf8(&text[name_ends + 1..]).ok()?;
        let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
        Some(Self {
            id,
            alive: !matches!(*fields.first()?, "Z" | "X"),
            parent: fields.get(1)?.parse().ok()?,
            ticks: fields
                .get(11..15)?
                .iter()
                .filter_map(|ticks| ticks.parse::<u64>().ok())
                .sum(),
        })
    }
}

pub fn all_processes() -> impl Iterator<Item = Stat> {
    fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter_map(Pid::from_raw)
        .filter_map(Stat::of)
}

/// In the environment of cargo, whose daemons (a compiler cache, say) are to live on.
pub const BUILD_MARK: &str = "KATA_GRADE_BUILD=1";

fn environment_holds(id: Pid, mark: &str) -> Option<bool> {
    let environment = fs::read(format!("/proc/{}/environ", id.as_raw_nonzero())).ok()?;
    Some(
        environment
            .split(|&byte| byte == 0)
            .any(|variable| variable == mark.as_bytes()),
    )
}

/// Kills what a shepherd that was killed itself has left to the grader, once no test is running.
pub fn sweep() {
    let grader = getpid().as_raw_nonzero().get();
    let living = || -> Vec<Pid> {
        all_processes()
            .filter(|stat| stat.alive && stat.parent == grader)
            .filter(|stat| environment_holds(stat.id, BUILD_MARK) == Some(false))
            .map(|stat| stat.id)
            .collect()
    };
    let begin = Instant::now();
    let mut pauses = Pauses::new();
    let mut killed = Vec::new();
    // One may start another while it is being killed.
    loop {
        let members = living();
        if members.is_empty() || begin.elapsed() >= PATIENCE {
            break;
        }
        for id in members {
            let _ = kill_process(id, Signal::KILL);
            killed.push(id);
        }
        pauses.pause();
    }
    for id in killed {
        let _ = waitpid(Some(id), WaitOptions::NOHANG);
    }
}
