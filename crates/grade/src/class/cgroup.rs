//! A cgroup for each cell, where the machine allows it: the kernel then counts the memory and the processes of a cell
//! together, and knows all of them when they are to be killed.
//!
//! The cells' cgroups lie below the grader's own, so what limits the grader limits them as well. Each is held by a lock on its
//! folder, which the kernel lets go when the grader dies: the next grader removes those that nobody holds.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

use crate::process::Pauses;

/// How the names of the cells' cgroups begin.
const CELL: &str = "kata-cell-";
/// Where the grader goes in v2, in which a cgroup that limits others holds no process itself.
const GRADER: &str = "kata-grader";
/// The controllers that are needed.
const CONTROLLERS: [&str; 2] = ["memory", "pids"];
/// After this time a cgroup is left to the next grader.
const PATIENCE: Duration = Duration::from_secs(10);
/// What stands between the cgroups and the program: it enters them, then becomes the program.
const ENTER: &str =
    r#"while [ "$1" != -- ]; do echo 0 >"$1" || exit 1; shift; done; shift; exec "$@""#;

/// What the processes of a cell may use together.
#[derive(Debug, Clone, Copy)]
pub struct Most {
    /// Bytes of memory, with the disk in memory.
    pub memory: u64,
    /// Processes and threads.
    pub tasks: u64,
}

/// Where cgroups can be made.
#[derive(Debug)]
pub struct Cgroups {
    version: Version,
    /// The grader's own cgroup. In v1 there may be one for each controller, in the order of [`CONTROLLERS`].
    bases: Vec<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Version {
    V1,
    V2,
}

impl Cgroups {
    /// Where this machine allows them, tried with a program that does nothing. What dead graders left is removed.
    pub fn find() -> Option<Self> {
        let own = fs::read_to_string("/proc/self/cgroup").ok()?;
        let mounts = fs::read_to_string("/proc/self/mountinfo").ok()?;
        let v2 = || {
            let mut base = base_of(&own, &mounts, None)?;
            // An earlier run in the same shell has moved it.
            if base.ends_with(GRADER) {
                base.pop();
            }
            prepare(&base, &ancestors()).ok()?;
            Self::tried(Version::V2, vec![base])
        };
        let v1 = || {
            let base = |controller: &&str| base_of(&own, &mounts, Some(controller));
            let mut bases: Vec<PathBuf> = CONTROLLERS.iter().map(base).collect::<Option<_>>()?;
            bases.dedup();
            Self::tried(Version::V1, bases)
        };
        v2().or_else(v1)
    }

    fn tried(version: Version, bases: Vec<PathBuf>) -> Option<Self> {
        let cgroups = Self { version, bases };
        cgroups.sweep().ok()?;
        let most = Most {
            memory: 1 << 30,
            tasks: 16,
        };
        let cgroup = cgroups.make(most).ok()?;
        let entered = cgroup.enter(&Command::new("/bin/true")).output().ok()?;
        entered.status.success().then_some(cgroups)
    }

    /// What a run says about it.
    pub fn name(&self) -> &'static str {
        match self.version {
            Version::V1 => "cgroup v1",
            Version::V2 => "cgroup v2",
        }
    }

    /// Makes a cgroup with these limits.
    pub fn make(&self, most: Most) -> io::Result<Cgroup> {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let number = NEXT.fetch_add(1, Relaxed);
        let name = format!("{CELL}{}-{number}", std::process::id());
        let _alone = self.lock()?;
        let mut cgroup = Cgroup {
            folders: Vec::new(),
            most,
        };
        for base in &self.bases {
            let folder = base.join(&name);
            fs::create_dir(&folder)?;
            let lock = File::open(&folder);
            cgroup.folders.push((folder, None));
            let lock = lock?;
            lock.lock()?;
            if let Some((_, held)) = cgroup.folders.last_mut() {
                *held = Some(lock);
            }
        }
        self.limit(&cgroup)?;
        Ok(cgroup)
    }

    fn limit(&self, cgroup: &Cgroup) -> io::Result<()> {
        let memory = cgroup.most.memory.to_string();
        let (limit, with_swap, swap) = match self.version {
            Version::V1 => (
                "memory.limit_in_bytes",
                "memory.memsw.limit_in_bytes",
                memory.as_str(),
            ),
            Version::V2 => ("memory.max", "memory.swap.max", "0"),
        };
        let folder = |index: usize| &cgroup.folders[index % cgroup.folders.len()].0;
        fs::write(folder(0).join(limit), &memory)?;
        // It is not there where the kernel counts no swap.
        let _ = fs::write(folder(0).join(with_swap), swap);
        fs::write(folder(1).join("pids.max"), cgroup.most.tasks.to_string())
    }

    /// Kills and removes what graders left that were killed.
    fn sweep(&self) -> io::Result<()> {
        let _alone = self.lock()?;
        for base in &self.bases {
            for entry in fs::read_dir(base)?.flatten() {
                let folder = entry.path();
                if entry
                    .file_name()
                    .as_encoded_bytes()
                    .starts_with(CELL.as_bytes())
                    && File::open(&folder).is_ok_and(|lock| lock.try_lock().is_ok())
                {
                    remove(&folder);
                }
            }
        }
        Ok(())
    }

    /// No two graders make and sweep at the same time.
    fn lock(&self) -> io::Result<File> {
        let lock = File::open(self.bases.first().ok_or(io::ErrorKind::NotFound)?)?;
        lock.lock()?;
        Ok(lock)
    }
}

/// The cgroup of one cell. Dropped, it kills all that is in it and is removed.
#[derive(Debug)]
pub struct Cgroup {
    /// With the locks that tell other graders to leave them alone.
    folders: Vec<(PathBuf, Option<File>)>,
    most: Most,
}

impl Cgroup {
    /// The command, run in the cgroup from its first process on. Nothing but the program, its arguments and what was
    /// set of its environment is taken over; the rest of the environment is empty.
    pub fn enter(&self, command: &Command) -> Command {
        let mut entering = Command::new("/bin/sh");
        entering.env_clear().args(["-c", ENTER, "sh"]);
        entering.args(
            self.folders
                .iter()
                .map(|(folder, _)| folder.join("cgroup.procs")),
        );
        entering.arg("--").arg(command.get_program());
        entering.args(command.get_args().map(OsString::from));
        for (name, value) in command.get_envs() {
            if let Some(value) = value {
                entering.env(name, value);
            }
        }
        entering
    }

    /// If the kernel has killed something in it for want of memory: what there is to say.
    pub fn out_of_memory(&self) -> Option<String> {
        let killed = self.folders.iter().any(|(folder, _)| {
            ["memory.events", "memory.oom_control"].iter().any(|file| {
                let text = fs::read_to_string(folder.join(file)).unwrap_or_default();
                text.lines()
                    .filter_map(|line| line.strip_prefix("oom_kill "))
                    .any(|count| count.trim() != "0")
            })
        });
        killed.then(|| {
            format!(
                "Out of memory: together the processes of the sandbox and its disk had more than {} MiB, so some were \
                 stopped.",
                self.most.memory >> 20
            )
        })
    }

    /// If the kernel has refused to begin another process in it, for there were too many: what there is to say.
    pub fn out_of_tasks(&self) -> Option<String> {
        let refused = self.folders.iter().any(|(folder, _)| {
            let text = fs::read_to_string(folder.join("pids.events")).unwrap_or_default();
            text.lines()
                .filter_map(|line| line.strip_prefix("max "))
                .any(|count| count.trim() != "0")
        });
        refused.then(|| {
            format!(
                "More than {} processes and threads ran at once in the sandbox, so that the grader could not begin another \
                 one.",
                self.most.tasks
            )
        })
    }

    /// Kills all that is in it.
    pub fn kill(&self) {
        for (folder, _) in &self.folders {
            kill(folder);
        }
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        for (folder, _) in &self.folders {
            remove(folder);
        }
    }
}

/// Kills what is in a cgroup until it is empty and can be removed.
fn remove(folder: &Path) {
    let begin = Instant::now();
    let mut pauses = Pauses::new();
    loop {
        kill(folder);
        match fs::remove_dir(folder) {
            // A process that is dying still counts.
            Err(error)
                if error.kind() == io::ErrorKind::ResourceBusy && begin.elapsed() < PATIENCE =>
            {
                pauses.pause();
            }
            _ => return,
        }
    }
}

fn kill(folder: &Path) {
    // v2 kills all at once, if the kernel is new enough.
    let all = folder.join("cgroup.kill");
    if all.exists() && fs::write(all, "1").is_ok() {
        return;
    }
    #[cfg(unix)]
    for process in processes(folder).unwrap_or_default() {
        let process = i32::try_from(process).ok();
        if let Some(process) = process.and_then(rustix::process::Pid::from_raw) {
            let _ = rustix::process::kill_process(process, rustix::process::Signal::KILL);
        }
    }
}

/// The processes in a cgroup. Those that cannot be seen from here are 0.
fn processes(folder: &Path) -> io::Result<Vec<u32>> {
    let text = fs::read_to_string(folder.join("cgroup.procs"))?;
    Ok(text.lines().filter_map(|line| line.parse().ok()).collect())
}

/// Has a cgroup of v2 limit those below it. For that it must hold no process itself: the grader, and what it was started by,
/// goes into one below. Others are not moved.
fn prepare(base: &Path, family: &[u32]) -> io::Result<()> {
    let has_all = |file: &str| -> io::Result<bool> {
        let text = fs::read_to_string(base.join(file))?;
        let known: Vec<&str> = text.split_ascii_whitespace().collect();
        Ok(CONTROLLERS
            .iter()
            .all(|controller| known.contains(controller)))
    };
    if !has_all("cgroup.controllers")? {
        return Err(io::Error::other("memory and pids are not to be had"));
    }
    if has_all("cgroup.subtree_control")? {
        return Ok(());
    }
    // The root alone may hold processes, and has no type.
    let is_root = !base.join("cgroup.type").exists();
    let moved = if is_root {
        Vec::new()
    } else {
        processes(base)?
    };
    if moved.iter().any(|process| !family.contains(process)) {
        return Err(io::Error::other("there are other processes in it"));
    }
    let to = base.join(GRADER);
    if !moved.is_empty() {
        fs::create_dir_all(&to)?;
    }
    let prepared = moved
        .iter()
        .try_for_each(|process| fs::write(to.join("cgroup.procs"), process.to_string()))
        .and_then(|()| fs::write(base.join("cgroup.subtree_control"), "+memory +pids"));
    if prepared.is_err() {
        for process in &moved {
            let _ = fs::write(base.join("cgroup.procs"), process.to_string());
        }
        let _ = fs::remove_dir(&to);
    }
    prepared
}

/// The grader, what started it, and so on.
fn ancestors() -> Vec<u32> {
    let parent = |process: &u32| {
        let status = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("PPid:"))?;
        line.trim().parse().ok().filter(|parent| *parent != 0)
    };
    std::iter::successors(Some(std::process::id()), parent).collect()
}

/// Where the grader's own cgroup is, of a controller of v1 or else of v2, from `/proc/self/cgroup` and
/// `/proc/self/mountinfo`.
fn base_of(own: &str, mounts: &str, controller: Option<&str>) -> Option<PathBuf> {
    let path = own.lines().find_map(|line| {
        let mut fields = line.splitn(3, ':').skip(1);
        let (controllers, path) = (fields.next()?, fields.next()?);
        let found = match controller {
            Some(controller) => controllers.split(',').any(|name| name == controller),
            None => controllers.is_empty(),
        };
        found.then_some(path)
    })?;
    mounts.lines().find_map(|line| {
        let (mount, system) = line.split_once(" - ")?;
        let mut fields = mount.split(' ').skip(3);
        let (root, place) = (fields.next()?, fields.next()?);
        let mut system = system.split(' ');
        let (kind, options) = (system.next()?, system.nth(1)?);
        let found = match controller {
            Some(controller) => {
                kind == "cgroup" && options.split(',').any(|name| name == controller)
            }
            None => kind == "cgroup2",
        };
        let below = Path::new(path).strip_prefix(root).ok()?;
        found.then(|| Path::new(place).join(below))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_own_cgroup_is_found() {
        let mounts = "30 23 0:26 / /sys/fs/cgroup ro - tmpfs tmpfs ro\n\
                      31 30 0:27 / /sys/fs/cgroup/memory rw,relatime shared:9 - cgroup cgroup rw,memory\n\
                      32 30 0:28 /pod /sys/fs/cgroup/pids rw - cgroup cgroup rw,pids\n\
                      33 30 0:29 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n";
        let own = "9:name=systemd:/\n8:pids:/pod/own\n4:memory:/jobs/a:b\n0::/user.slice\n";
        for (controller, expected) in [
            (Some("memory"), Some("/sys/fs/cgroup/memory/jobs/a:b")),
            (Some("pids"), Some("/sys/fs/cgroup/pids/own")),
            (Some("cpu"), None),
            (None, Some("/sys/fs/cgroup/unified/user.slice")),
        ] {
            let found = base_of(own, mounts, controller);
            assert_eq!(found.as_deref(), expected.map(Path::new), "{controller:?}");
        }
        for nonsense in ["", "\n", "0", "0::", ":::::", " - ", "1 2 3 - cgroup2"] {
            assert_eq!(base_of(own, nonsense, None), None);
            assert_eq!(base_of(nonsense, mounts, Some("memory")), None);
        }
    }

    /// A folder that looks like a cgroup of v2 below the root.
    fn like_v2(controllers: &str, processes: &str) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in [
            ("cgroup.controllers", controllers),
            ("cgroup.subtree_control", ""),
            ("cgroup.procs", processes),
            ("cgroup.type", "domain\n"),
        ] {
            fs::write(folder.path().join(name), text).unwrap();
        }
        folder
    }

    fn read(folder: &Path, file: &str) -> String {
        fs::read_to_string(folder.join(file)).unwrap_or_default()
    }

    #[test]
    fn v2_moves_the_grader_and_nobody_else() {
        let own = like_v2("cpu memory pids\n", "7\n");
        prepare(own.path(), &[9, 7, 1]).unwrap();
        assert_eq!(read(own.path(), "kata-grader/cgroup.procs"), "7");
        assert_eq!(read(own.path(), "cgroup.subtree_control"), "+memory +pids");

        let shared = like_v2("cpu memory pids\n", "7\n8\n");
        assert!(prepare(shared.path(), &[9, 7, 1]).is_err());
        assert!(!shared.path().join(GRADER).exists());
        assert_eq!(read(shared.path(), "cgroup.subtree_control"), "");

        let without_memory = like_v2("cpu pids\n", "");
        assert!(prepare(without_memory.path(), &[]).is_err());
        assert!(prepare(Path::new("/nowhere"), &[]).is_err());

        // The root may keep its processes.
        let root = like_v2("memory pids\n", "1\n");
        fs::remove_file(root.path().join("cgroup.type")).unwrap();
        prepare(root.path(), &[]).unwrap();
        assert!(!root.path().join(GRADER).exists());
    }

    #[test]
    fn v2_is_told_the_limits_and_asked_who_was_killed() {
        let base = like_v2("memory pids\n", "");
        let cgroups = Cgroups {
            version: Version::V2,
            bases: vec![base.path().to_owned()],
        };
        let most = Most {
            memory: 4 << 30,
            tasks: 1024,
        };
        let cgroup = cgroups.make(most).unwrap();
        let folder = cgroup.folders[0].0.clone();
        assert_eq!(read(&folder, "memory.max"), "4294967296");
        assert_eq!(read(&folder, "memory.swap.max"), "0");
        assert_eq!(read(&folder, "pids.max"), "1024");
        assert_eq!(cgroup.out_of_memory(), None);
        fs::write(folder.join("memory.events"), "max 3\noom 1\noom_kill 0\n").unwrap();
        assert_eq!(cgroup.out_of_memory(), None);
        fs::write(folder.join("memory.events"), "max 3\noom 1\noom_kill 2\n").unwrap();
        assert!(cgroup.out_of_memory().unwrap().contains("4096 MiB"));
        assert_eq!(cgroup.out_of_tasks(), None);
        fs::write(folder.join("pids.events"), "max 0\n").unwrap();
        assert_eq!(cgroup.out_of_tasks(), None);
        fs::write(folder.join("pids.events"), "max 7\n").unwrap();
        assert!(cgroup.out_of_tasks().unwrap().contains("1024 processes"));
        fs::write(folder.join("cgroup.kill"), "").unwrap();
        cgroup.kill();
        assert_eq!(read(&folder, "cgroup.kill"), "1");
    }

    #[test]
    fn a_sweep_removes_what_nobody_holds() {
        let base = like_v2("memory pids\n", "");
        let cgroups = Cgroups {
            version: Version::V2,
            bases: vec![base.path().to_owned()],
        };
        let left = base.path().join("kata-cell-1-0");
        let held = base.path().join("kata-cell-2-0");
        let other = base.path().join("other");
        for folder in [&left, &held, &other] {
            fs::create_dir(folder).unwrap();
        }
        let lock = File::open(&held).unwrap();
        lock.lock().unwrap();
        cgroups.sweep().unwrap();
        assert!(!left.exists() && held.exists() && other.exists());
    }
}
