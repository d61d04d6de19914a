//! A process and everything it starts: confined when it begins, found and killed when it ends.
//!
//! On Linux a shepherd stands above each process that is started: nothing gets out from below it, and it outlives the grader
//! for as long as it takes to kill what is there. On other Unix systems a process leads a group of its own, which its
//! children share unless they leave it. On Windows a job object does all of it.

use std::io;
use std::process::{Command, ExitStatus};
use std::time::{Duration, Instant};

mod guard;
#[cfg(target_os = "linux")]
mod linux;
#[cfg(target_os = "linux")]
mod shepherd;
#[cfg(target_os = "linux")]
mod usage;

pub use guard::{Excess, Guards, Usage};

/// Whether the system says what a group of processes uses. Where it does not, the wall clock is the only guard.
pub const MEASURES: bool = cfg!(target_os = "linux");

/// What each process may use.
#[derive(Debug, Clone, Copy, Default)]
pub struct Limits {
    /// Bytes of address space.
    pub memory: Option<u64>,
    /// Bytes of the longest file it may write: in the middle of the write that would make one longer it is killed.
    pub file_size: Option<u64>,
}

/// What a process may use, and what becomes of those who outlive it.
#[derive(Debug, Clone, Copy, Default)]
pub struct Confinement {
    /// What each of its processes may use.
    pub limits: Limits,
    /// Whether those who outlive it are left alone, as long as nobody asked it to stop.
    pub spares_daemons: bool,
}

/// How long the children of a process that has ended get to end as well before they count as left behind: on a busy machine
/// what is about to end has to wait for its turn.
const GRACE: Duration = Duration::from_secs(5);

/// Makes orphaned descendants children of the grader, so that none gets out of sight.
pub fn adopt_orphans() {
    #[cfg(target_os = "linux")]
    let _ = rustix::process::set_child_subreaper(Some(rustix::process::getpid()));
}

/// Sleeps a little longer each time: quick to notice a short process, cheap beside a long one.
pub struct Pauses(Duration);

impl Default for Pauses {
    fn default() -> Self {
        Self::new()
    }
}

impl Pauses {
    /// Begins with the shortest.
    pub fn new() -> Self {
        Self(Duration::from_micros(200))
    }

    /// Sleeps, and longer next time, but never long.
    #[expect(
        clippy::disallowed_methods,
        reason = "std cannot wait for a process with a time limit; the pauses are short and decide nothing"
    )]
    pub fn pause(&mut self) {
        std::thread::sleep(self.0);
        self.0 = (self.0 * 2).min(Duration::from_millis(10));
    }
}

/// How long somebody waits for a process or a thread of which the system has none left.
const SHORTAGE: Duration = Duration::from_secs(60);

/// Starts a process or a thread, if need be later: a program that multiplies uses up all that its user may have, until it is
/// stopped.
pub fn start_patiently<T>(mut start: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    let begin = Instant::now();
    let mut pauses = Pauses::new();
    loop {
        match start() {
            Err(error)
                if error.kind() == io::ErrorKind::WouldBlock && begin.elapsed() < SHORTAGE =>
            {
                pauses.pause();
            }
            started => return started,
        }
    }
}

/// One process of a group.
#[cfg(unix)]
#[derive(Debug, Clone, Copy)]
pub struct Member {
    id: rustix::process::Pid,
    /// The CPU time that it and those it waited for have used.
    pub cpu: Duration,
    /// Its bytes of memory, without what is only a file's content.
    pub memory: u64,
    /// Whether one of its threads runs, waits for its turn, or waits for a disk.
    pub active: bool,
}

#[cfg(unix)]
impl Member {
    /// What its environment said of `name` when it started.
    pub fn variable(&self, name: &str) -> Option<std::ffi::OsString> {
        use std::os::unix::ffi::OsStringExt as _;
        let environment = std::fs::read(format!("/proc/{}/environ", self.id.as_raw_nonzero()));
        environment
            .ok()?
            .split(|&byte| byte == 0)
            .find_map(|variable| variable.strip_prefix(name.as_bytes())?.strip_prefix(b"="))
            .map(|value| std::ffi::OsString::from_vec(value.to_vec()))
    }

    /// Kills it alone.
    pub fn kill(&self) {
        let _ = rustix::process::kill_process(self.id, rustix::process::Signal::KILL);
    }
}

/// One process of a group: nothing is known of any here.
#[cfg(windows)]
#[derive(Debug, Clone, Copy)]
pub struct Member {
    /// The CPU time that it and those it waited for have used.
    pub cpu: Duration,
    /// Its bytes of memory, without what is only a file's content.
    pub memory: u64,
    /// Whether one of its threads runs, waits for its turn, or waits for a disk.
    pub active: bool,
}

#[cfg(windows)]
impl Member {
    /// Nothing is known of that here.
    pub fn variable(&self, _name: &str) -> Option<std::ffi::OsString> {
        None
    }

    /// Does nothing.
    pub fn kill(&self) {}
}

/// How a process ended.
#[derive(Debug)]
pub enum End {
    /// By itself, or by a signal that the grader did not send.
    Exited(ExitStatus),
    /// It exceeded a guard.
    Exceeded(Excess),
    /// The grader was asked to stop.
    Stopped,
}

/// What is known once a process and its descendants are gone.
#[derive(Debug)]
pub struct Ended {
    /// How the process ended.
    pub end: End,
    /// Whether it left a living descendant behind.
    pub left_process_behind: bool,
    /// The CPU time that it and those it waited for have used, if the system says.
    pub cpu: Option<Duration>,
}

/// Waits until `group` ends, exceeds one of `guards` or `stopped` says so; afterwards nothing of the group is alive.
pub fn wait(mut group: Group, guards: Guards, stopped: &dyn Fn() -> bool) -> io::Result<Ended> {
    let begin = Instant::now();
    let mut watcher = Watcher::new(guards);
    let mut pauses = Pauses::new();
    let early = loop {
        if group.has_ended()? {
            break None;
        }
        if stopped() {
            break Some(End::Stopped);
        }
        let at = begin.elapsed();
        if watcher.is_due(at)
            && let Some(usage) = group.usage(watcher.tolerance())
            && let Some(excess) = watcher.look(at, &usage)
            // Who has outlived the program has a limit of its own.
            && !(matches!(excess, Excess::Idle(_)) && group.program_has_ended())
        {
            break Some(End::Exceeded(excess));
        }
        if let Some(most) = guards.wall
            && at >= most
        {
            break Some(End::Exceeded(Excess::Wall(most)));
        }
        pauses.pause();
    };
    let cpu = group.cpu();
    let (status, outlived) = group.kill()?;
    Ok(Ended {
        left_process_behind: outlived && early.is_none(),
        end: early.unwrap_or(End::Exited(status)),
        cpu,
    })
}

/// Waits until `group`, which spares daemons, ends or `stopped` says so; only then are they killed.
pub fn wait_for_leader(mut group: Group, stopped: &dyn Fn() -> bool) -> io::Result<End> {
    let mut pauses = Pauses::new();
    while !group.has_ended()? {
        if stopped() {
            group.kill()?;
            return Ok(End::Stopped);
        }
        pauses.pause();
    }
    Ok(End::Exited(group.kill()?.0))
}

use guard::Watcher;

#[cfg(target_os = "linux")]
pub use linux::{Group, sweep};
#[cfg(unix)]
pub use unix::confine;
#[cfg(all(unix, not(target_os = "linux")))]
pub use unix::{Group, sweep};
#[cfg(windows)]
pub use windows::{Group, sweep};

#[cfg(unix)]
mod unix {
    use std::os::unix::process::CommandExt as _;
    use std::process::Command;

    use rustix::process::{Resource, Rlimit, Signal, getpid, getrlimit, setrlimit};

    use super::Limits;
    #[cfg(not(target_os = "linux"))]
    pub use others::{Group, sweep};

    /// Has what `command` starts lead a group of its own, keep to `limits` and, on Linux, die when the *thread* that
    /// started it ends. Where the system refuses the limit of memory, the
    /// process runs without it; where it refuses that of files, the process is not started.
    pub fn confine(command: &mut Command, limits: Limits) {
        command.process_group(0);
        #[cfg_attr(not(target_os = "linux"), expect(unused_variables))]
        let parent = getpid();
        let before_exec = move || {
            #[cfg(target_os = "linux")]
            {
                rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?;
                if rustix::process::getppid() != Some(parent) {
                    return Err(rustix::io::Errno::SRCH.into());
                }
            }
            if limits.memory.is_some() || limits.file_size.is_some() {
                let _ = limit(Resource::Core, 0);
            }
            if let Some(memory) = limits.memory {
                let _ = limit(Resource::As, memory);
            }
            if let Some(bytes) = limits.file_size {
                limit(Resource::Fsize, bytes)?;
            }
            Ok(())
        };
        // SAFETY: between fork and exec the closure makes system calls and nothing else: it neither allocates nor
        // takes a lock, either of which another thread may have held when the process forked.
        unsafe { command.pre_exec(before_exec) };
    }

    /// Lowers a limit, or leaves a lower one as it is.
    fn limit(resource: Resource, most: u64) -> rustix::io::Result<()> {
        let maximum = getrlimit(resource).maximum;
        let most = maximum.map_or(most, |maximum| maximum.min(most));
        let limit = Rlimit {
            current: Some(most),
            maximum: Some(most),
        };
        setrlimit(resource, limit)
    }

    #[cfg(not(target_os = "linux"))]
    mod others {
        use std::io;
        use std::process::{Child, Command, ExitStatus};
        use std::time::{Duration, Instant};

        use rustix::process::{
            Pid, Signal, WaitId, WaitIdOptions, kill_process_group, test_kill_process_group, waitid,
        };

        use super::super::{Confinement, GRACE, Member, Usage};

        /// A process that leads a group.
        pub struct Group {
            leader: Child,
            id: Pid,
            spares_daemons: bool,
            /// When the leader ended, and how.
            ended: Option<(Instant, ExitStatus)>,
        }

        impl Group {
            /// Starts `command` as the leader of a new group.
            pub fn spawn(mut command: Command, confinement: &Confinement) -> io::Result<Self> {
                super::confine(&mut command, confinement.limits);
                let leader = super::super::start_patiently(|| command.spawn())?;
                Ok(Self {
                    id: Pid::from_child(&leader),
                    leader,
                    spares_daemons: confinement.spares_daemons,
                    ended: None,
                })
            }

            /// Whether the leader has ended, and all of its group with it: who outlives it for long counts as ended.
            pub fn has_ended(&mut self) -> io::Result<bool> {
                if self.ended.is_none() {
                    let options =
                        WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
                    match waitid(WaitId::Pid(self.id), options) {
                        Ok(Some(_)) => self.ended = Some((Instant::now(), self.leader.wait()?)),
                        Ok(None) | Err(rustix::io::Errno::INTR) => return Ok(false),
                        Err(error) => return Err(error.into()),
                    }
                }
                let over = |(ended, _): &(Instant, ExitStatus)| ended.elapsed() >= GRACE;
                Ok(
                    self.spares_daemons
                        || !self.is_alive()
                        || self.ended.as_ref().is_some_and(over),
                )
            }

            fn is_alive(&self) -> bool {
                test_kill_process_group(self.id).is_ok()
            }

            /// Not asked where nothing is known of usage.
            pub fn program_has_ended(&self) -> bool {
                false
            }

            /// Nothing is known of that here.
            pub fn usage(&self, _tolerance: Duration) -> Option<Usage> {
                None
            }

            /// Nothing is known of them here.
            pub fn members(&self, _tolerance: Duration) -> Vec<Member> {
                Vec::new()
            }

            /// Nothing is known of that here.
            pub fn cpu(&self) -> Option<Duration> {
                None
            }

            /// Kills what is left, and says how the leader ended and whether others outlived it.
            pub fn kill(mut self) -> io::Result<(ExitStatus, bool)> {
                if let Some((_, status)) = self.ended {
                    let outlived = !self.spares_daemons && self.is_alive();
                    if outlived {
                        let _ = kill_process_group(self.id, Signal::KILL);
                    }
                    return Ok((status, outlived));
                }
                let _ = kill_process_group(self.id, Signal::KILL);
                Ok((self.leader.wait()?, false))
            }
        }

        /// Nobody is adopted here.
        pub fn sweep() {}
    }
}

#[cfg(windows)]
mod windows {
    use std::io;
    use std::process::{Command, ExitStatus};
    use std::time::Duration;

    use process_wrap::std::{ChildWrapper, CommandWrap, JobObject};

    use super::{Confinement, Member, Usage};

    /// A process in a job object of its own.
    pub struct Group {
        leader: Box<dyn ChildWrapper>,
    }

    impl Group {
        /// Starts `command` in a new job.
        pub fn spawn(command: Command, _confinement: &Confinement) -> io::Result<Self> {
            let mut command = CommandWrap::from(command);
            command.wrap(JobObject);
            Ok(Self {
                leader: command.spawn()?,
            })
        }

        /// Whether the leader has ended.
        pub fn has_ended(&mut self) -> io::Result<bool> {
            Ok(self.leader.inner_mut().try_wait()?.is_some())
        }

        /// Not asked where nothing is known of usage.
        pub fn program_has_ended(&self) -> bool {
            false
        }

        /// Nothing is known of that here.
        pub fn usage(&self, _tolerance: Duration) -> Option<Usage> {
            None
        }

        /// Nothing is known of them here.
        pub fn members(&self, _tolerance: Duration) -> Vec<Member> {
            Vec::new()
        }

        /// Nothing is known of that here.
        pub fn cpu(&self) -> Option<Duration> {
            None
        }

        /// Kills the whole job and says how the leader ended. It does so silently, so nothing is said about the others.
        pub fn kill(mut self) -> io::Result<(ExitStatus, bool)> {
            let _ = self.leader.start_kill();
            Ok((self.leader.inner_mut().wait()?, false))
        }
    }

    /// Nothing gets out of a job.
    pub fn sweep() {}
}

/// Marks what cargo starts, so that [`sweep`] leaves it alone.
pub fn mark_as_build(command: &mut Command) {
    #[cfg(target_os = "linux")]
    if let Some((name, value)) = linux::BUILD_MARK.split_once('=') {
        command.env(name, value);
    }
    #[cfg(not(target_os = "linux"))]
    let _ = command;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_system_has_none_of_is_waited_for_and_nothing_else() {
        let start = |kind: io::ErrorKind| {
            let mut left = 3;
            let started = start_patiently(|| {
                if left == 0 {
                    return Ok(());
                }
                left -= 1;
                Err(kind.into())
            });
            (started.map_err(|error| error.kind()), left)
        };
        assert_eq!(start(io::ErrorKind::WouldBlock), (Ok(()), 0));
        let refused = io::ErrorKind::PermissionDenied;
        assert_eq!(start(refused), (Err(refused), 2));
    }
}
