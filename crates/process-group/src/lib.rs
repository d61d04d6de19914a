//! A process and everything it starts: confined when it begins, found and killed when it ends.
//!
//! On Unix a process leads a group of its own, which its children share unless they leave it. On Linux the grader also
//! adopts orphans and looks through /proc for the ones that left, by an environment variable that they inherited. On
//! Windows a job object does all of it.

use std::io;
use std::process::{Command, ExitStatus};
use std::time::{Duration, Instant};

mod guard;
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

/// What a process may use, and how its descendants are known.
#[derive(Debug, Clone, Default)]
pub struct Confinement {
    /// What each of its processes may use.
    pub limits: Limits,
    /// `NAME=value` from its environment, found in no other process's but its descendants'.
    pub mark: Option<String>,
}

/// How long the children of a process that has ended get to end as well before they count as left behind.
const GRACE: Duration = Duration::from_secs(1);

/// How long they get while one of them runs or waits for its turn.
const BUSY_GRACE: Duration = Duration::from_secs(5);

/// How long killed processes get to disappear.
#[cfg(target_os = "linux")]
const PATIENCE: Duration = Duration::from_secs(5);

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
    let mut ended = None;
    let mut left_process_behind = false;
    let early = loop {
        if ended.is_none() && group.has_ended()? {
            ended = Some(Instant::now());
        }
        if let Some(ended) = ended {
            if !group.has_living_children() {
                break None;
            }
            let since = ended.elapsed();
            // On a busy machine what is about to end has to wait for its turn.
            let is_ending = || group.usage(GRACE / 20).is_some_and(|usage| usage.active);
            if since >= BUSY_GRACE || since >= GRACE && !is_ending() {
                left_process_behind = true;
                break None;
            }
        }
        if stopped() {
            break Some(End::Stopped);
        }
        let at = begin.elapsed();
        if watcher.is_due(at)
            && let Some(usage) = group.usage(watcher.tolerance())
            && let Some(excess) = watcher.look(at, &usage)
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
    let status = group.kill()?;
    Ok(Ended {
        end: early.unwrap_or(End::Exited(status)),
        left_process_behind,
        cpu,
    })
}

/// Waits until the leader of `group` ends or `stopped` says so; only then are its children killed.
pub fn wait_for_leader(mut group: Group, stopped: &dyn Fn() -> bool) -> io::Result<End> {
    let mut pauses = Pauses::new();
    while !group.has_ended()? {
        if stopped() {
            group.kill()?;
            return Ok(End::Stopped);
        }
        pauses.pause();
    }
    Ok(End::Exited(group.reap()?))
}

use guard::Watcher;

#[cfg(unix)]
pub use unix::{Group, confine, sweep};
#[cfg(windows)]
pub use windows::Group;
#[cfg(windows)]
pub use windows::sweep;

#[cfg(unix)]
mod unix {
    use std::io;
    use std::os::unix::process::CommandExt as _;
    use std::process::{Child, Command, ExitStatus};
    use std::time::Duration;

    use rustix::process::{
        Pid, Resource, Rlimit, Signal, WaitId, WaitIdOptions, getpid, getrlimit,
        kill_process_group, setrlimit, waitid,
    };
    #[cfg(target_os = "linux")]
    use rustix::process::{WaitOptions, waitpgid};

    #[cfg(target_os = "linux")]
    use super::PATIENCE;
    use super::{Confinement, Limits, Member, Usage};

    /// A process that leads a group.
    pub struct Group {
        leader: Child,
        id: Pid,
        #[cfg(target_os = "linux")]
        family: super::linux::Family,
    }

    impl Group {
        /// Starts `command` as the leader of a new group.
        pub fn spawn(mut command: Command, confinement: &Confinement) -> io::Result<Self> {
            confine(&mut command, confinement.limits);
            let leader = command.spawn()?;
            let id = Pid::from_child(&leader);
            Ok(Self {
                leader,
                id,
                #[cfg(target_os = "linux")]
                family: super::linux::Family::of(id, confinement.mark.as_deref()),
            })
        }

        /// Whether the leader has ended. Its id stays taken until [`Group::kill`], so the group's id does, too.
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

        /// Whether the leader, which has ended, is outlived by one of its children.
        #[cfg(target_os = "linux")]
        pub fn has_living_children(&mut self) -> bool {
            !self.family.living().is_empty()
        }

        /// Whether the leader, which has ended, is outlived by one of its children. It is a zombie, which a signal to
        /// the group reaches as well: it has to be reaped first.
        #[cfg(not(target_os = "linux"))]
        pub fn has_living_children(&mut self) -> bool {
            let _ = self.leader.wait();
            rustix::process::test_kill_process_group(self.id).is_ok()
        }

        /// What the group uses, if the system says; as of a moment that may be past by `tolerance`.
        pub fn usage(&self, tolerance: Duration) -> Option<Usage> {
            #[cfg(target_os = "linux")]
            return Some(self.family.usage(tolerance));
            #[cfg(not(target_os = "linux"))]
            {
                let _ = tolerance;
                None
            }
        }

        /// Its living processes but the leader, as far as the system says.
        pub fn members(&self, tolerance: Duration) -> Vec<Member> {
            #[cfg(target_os = "linux")]
            return self.family.members(tolerance);
            #[cfg(not(target_os = "linux"))]
            {
                let _ = tolerance;
                Vec::new()
            }
        }

        /// The CPU time that the leader and those it waited for have used, if the system says.
        pub fn cpu(&self) -> Option<Duration> {
            #[cfg(target_os = "linux")]
            return super::usage::cpu(self.id);
            #[cfg(not(target_os = "linux"))]
            None
        }

        /// Kills what is left of the group and of those who left it, and says how the leader ended.
        pub fn kill(mut self) -> io::Result<ExitStatus> {
            // Reaches all of the group at once: no fork escapes it.
            let _ = kill_process_group(self.id, Signal::KILL);
            #[cfg(target_os = "linux")]
            self.family.kill(PATIENCE);
            let status = self.leader.wait();
            #[cfg(target_os = "linux")]
            reap_adopted(self.id);
            status
        }

        /// Says how the leader, which has ended, did so, and leaves its children alone.
        pub fn reap(mut self) -> io::Result<ExitStatus> {
            self.leader.wait()
        }
    }

    /// Reaps those members of a group that the grader adopted: the others are their own parents' to reap.
    #[cfg(target_os = "linux")]
    fn reap_adopted(group: Pid) {
        while let Ok(Some(_)) = waitpgid(group, WaitOptions::NOHANG) {}
    }

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

    /// Kills orphans that nothing ties to a test any more, once no test is running.
    pub fn sweep() {
        #[cfg(target_os = "linux")]
        super::linux::sweep(PATIENCE);
    }
}

#[cfg(target_os = "linux")]
mod linux {
    //! Looks through /proc for descendants.

    use std::fs;
    use std::time::{Duration, Instant};

    use rustix::process::{Pid, Signal, WaitOptions, getpid, kill_process, waitpid};

    use super::{Member, Pauses, Usage, usage};

    /// One line of /proc/PID/stat, as far as it matters.
    pub struct Stat {
        pub id: Pid,
        pub alive: bool,
        parent: i32,
        group: i32,
        started: u64,
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
                group: fields.get(2)?.parse().ok()?,
                started: fields.get(19)?.parse().ok()?,
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

    fn environment_holds(id: Pid, mark: &str) -> Option<bool> {
        let environment = fs::read(format!("/proc/{}/environ", id.as_raw_nonzero())).ok()?;
        Some(
            environment
                .split(|&byte| byte == 0)
                .any(|variable| variable == mark.as_bytes()),
        )
    }

    /// What a process started, whether it stayed in the group or not.
    pub struct Family {
        leader: Pid,
        mark: Option<String>,
        begun: u64,
    }

    impl Family {
        pub fn of(leader: Pid, mark: Option<&str>) -> Self {
            Self {
                leader,
                mark: mark.map(str::to_owned),
                begun: Stat::of(leader).map_or(0, |stat| stat.started),
            }
        }

        fn has_member(&self, stat: &Stat) -> bool {
            stat.started >= self.begun
                && (stat.group == self.leader.as_raw_nonzero().get()
                    || self
                        .mark
                        .as_ref()
                        .is_some_and(|mark| environment_holds(stat.id, mark) == Some(true)))
        }

        /// All living members but the leader.
        pub fn living(&self) -> Vec<Pid> {
            all_processes()
                .filter(|stat| stat.alive && stat.id != self.leader && self.has_member(stat))
                .map(|stat| stat.id)
                .collect()
        }

        /// What all members use, the leader with them.
        pub fn usage(&self, tolerance: Duration) -> Usage {
            let table = usage::table(tolerance);
            usage::of(table.iter().filter(|stat| self.has_member(stat)))
        }

        /// Each of them that is alive, but the leader.
        pub fn members(&self, tolerance: Duration) -> Vec<Member> {
            let table = usage::table(tolerance);
            let others = |stat: &&Stat| stat.id != self.leader && self.has_member(stat);
            usage::each(table.iter().filter(others))
        }

        /// Kills members until there are none: one may start another while it is being killed.
        pub fn kill(&self, patience: Duration) {
            kill_until_none(patience, || self.living());
        }
    }

    fn kill_until_none(patience: Duration, living: impl Fn() -> Vec<Pid>) {
        let begin = Instant::now();
        let mut pauses = Pauses::new();
        let mut killed = Vec::new();
        loop {
            let members = living();
            if members.is_empty() || begin.elapsed() >= patience {
                break;
            }
            for id in members {
                let _ = kill_process(id, Signal::KILL);
                killed.push(id);
            }
            pauses.pause();
        }
        for id in killed {
            // Fails for those whose parent is somebody else.
            let _ = waitpid(Some(id), WaitOptions::NOHANG);
        }
    }

    /// In the environment of cargo, whose daemons (a compiler cache, say) are to live on.
    pub const BUILD_MARK: &str = "KATA_GRADE_BUILD=1";

    pub fn sweep(patience: Duration) {
        let grader = getpid().as_raw_nonzero().get();
        kill_until_none(patience, || {
            all_processes()
                .filter(|stat| stat.alive && stat.parent == grader)
                .filter(|stat| environment_holds(stat.id, BUILD_MARK) == Some(false))
                .map(|stat| stat.id)
                .collect()
        });
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

        /// A job kills its members silently, so nothing is said about them here.
        pub fn has_living_children(&mut self) -> bool {
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

        /// Kills the whole job and says how the leader ended.
        pub fn kill(mut self) -> io::Result<ExitStatus> {
            let _ = self.leader.start_kill();
            self.leader.inner_mut().wait()
        }

        /// Says how the leader, which has ended, did so.
        pub fn reap(mut self) -> io::Result<ExitStatus> {
            self.leader.inner_mut().wait()
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
