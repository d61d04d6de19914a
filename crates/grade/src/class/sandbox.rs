//! Where a cell runs: in a sandbox made by bubblewrap, or, for code that is trusted, beside everything else.
//!
//! In the sandbox there is no network but a loopback of its own, no home, no process of anybody else's, and nothing that
//! can be written but a disk in memory of a limited size. The course, the toolchain and the downloaded crates are there
//! to be read. A user without rights runs it: where the grader is root, a user of the sandbox's own, so that limits count
//! for it alone; otherwise the grader's user in a namespace of users, without any other.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::io::{self, Read, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::cell::{Answer, CellLimits, Request, answer_in};
use super::cgroup::{Cgroup, Cgroups, Most};
use super::refusal::{self, Circumstances};
use super::registry::Registry;
use super::stage::output_of;
use crate::error::{Error, Result};
use crate::process::{Confinement, Group, Pauses};
use crate::run;

/// Bytes of the disk in memory on which a cell builds.
const DISK: u64 = 3 << 30;
/// Bytes of memory that processes of a cell share by name.
const SHARED: u64 = 256 << 20;
/// What a cell may use that runs so many tests at once: a test has a guard of its own for each of these.
fn limits(workers: usize) -> CellLimits {
    CellLimits {
        processes: run::PROCESSES * (workers + 1),
        threads: 512 * (workers as u64 + 1),
        memory: 8 << 30,
        file_size: 1 << 30,
    }
}
/// What all of a cell may use together, where the kernel counts it.
fn most(workers: usize) -> Most {
    Most {
        memory: (4 << 30) + (1 << 30) * (workers as u64).saturating_sub(1),
        tasks: limits(workers).threads,
    }
}
/// Bytes of a cell's output that are kept: the answer has to be among them.
const OUTPUT: usize = 64 << 20;
/// Bytes of a cell's complaints that are kept.
const COMPLAINTS: usize = 4096;
/// The most cells at once, so that each has a user of its own.
pub const CELLS: usize = 64;

/// The places inside.
mod place {
    pub const COURSE: &str = "/kata/course";
    pub const RUST: &str = "/kata/rust";
    pub const GRADE: &str = "/kata/grade";
    pub const WARM: &str = "/kata/warm";
    pub const SCRATCH: &str = "/scratch";
    pub const TARGET: &str = "/scratch/target";
}

/// How a cell is kept from the rest of the machine.
pub enum Sandbox {
    /// By bubblewrap.
    Bubblewrap(Box<Bubblewrap>),
    /// It is not: the code is trusted.
    None,
}

/// What bubblewrap is told each time.
pub struct Bubblewrap {
    program: PathBuf,
    grader: PathBuf,
    sysroot: PathBuf,
    registry: Registry,
    /// The user of the first cell, if the grader can choose.
    first_user: Option<u32>,
    /// Where cells get cgroups of their own, if they can.
    cgroups: Option<Cgroups>,
}

/// One cell to be run.
pub struct Cell<'a> {
    /// Which of the cells that run at once.
    pub slot: usize,
    /// The copy of the course.
    pub course: &'a Path,
    /// What is laid over a folder of the course: where it is, and its path below the course.
    pub source: Option<(&'a Path, String)>,
    /// What was built before.
    pub warm: Warm<'a>,
    /// How many tests run at once.
    pub workers: usize,
    /// After this time a test is stopped.
    pub hang_guard: Duration,
    /// After this time the cell is stopped, whatever it does.
    pub limit: Duration,
}

/// What was built before.
pub enum Warm<'a> {
    /// It is being built now, into this folder.
    Written(&'a Path),
    /// It is used to begin with.
    Read(&'a Path),
}

/// How a cell ended.
pub enum Ending {
    /// It answered.
    Answered(Answer),
    /// It did not, and this is what is known.
    Silent(String),
    /// Its time was over.
    OutOfTime,
    /// It has used up what the kernel gives it, and this is what there is to say.
    UsedUp(String),
}

impl Sandbox {
    /// A sandbox that works on this machine. `stage` is the copy of the course.
    pub fn find(root: &Path, stage: &Path) -> Result<Self> {
        Ok(Self::Bubblewrap(Box::new(Bubblewrap::find(root, stage)?)))
    }

    /// What the results say about it.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Bubblewrap(_) => "bubblewrap",
            Self::None => "none",
        }
    }

    /// What keeps the limits of a sandbox, if there is one.
    pub fn limits(&self) -> Option<&'static str> {
        match self {
            Self::Bubblewrap(bubblewrap) => {
                let cgroups = bubblewrap.cgroups.as_ref();
                Some(cgroups.map_or("processes alone", Cgroups::name))
            }
            Self::None => None,
        }
    }

    /// Runs a cell to its end.
    pub fn run(
        &self,
        cell: &Cell<'_>,
        task: super::cell::Task,
        stopped: &dyn Fn() -> bool,
    ) -> Result<Ending> {
        let nonce = nonce()?;
        let (folder, written) = match cell.warm {
            Warm::Written(folder) => (folder, true),
            Warm::Read(folder) => (folder, false),
        };
        let (command, request) = match self {
            Self::Bubblewrap(bubblewrap) => (
                bubblewrap.command(cell, folder, written)?,
                Request {
                    nonce: nonce.clone(),
                    course: place::COURSE.into(),
                    target_dir: place::TARGET.into(),
                    warm: (!written).then(|| place::WARM.into()),
                    workers: cell.workers,
                    hang_guard: cell.hang_guard,
                    limits: Some(limits(cell.workers)),
                    task,
                },
            ),
            Self::None => (
                unconfined(cell, folder)?,
                Request {
                    nonce: nonce.clone(),
                    course: cell.course.to_owned(),
                    target_dir: folder.to_owned(),
                    warm: None,
                    workers: cell.workers,
                    hang_guard: cell.hang_guard,
                    limits: None,
                    task,
                },
            ),
        };
        let request = serde_json::to_vec(&request)
            .map_err(|error| Error::new(format!("No request: {error}"), ""))?;
        // What is built for all is the course's own.
        let cgroup = match self {
            Self::Bubblewrap(bubblewrap) if !written => bubblewrap.cgroup(cell.workers)?,
            _ => None,
        };
        ask(
            command,
            cgroup.as_ref(),
            &request,
            &nonce,
            cell.limit,
            stopped,
        )
    }
}

impl Bubblewrap {
    fn find(root: &Path, stage: &Path) -> Result<Self> {
        if !cfg!(target_os = "linux") {
            return Err(Error::new(
                "There is no sandbox for other people's code on this system.",
                "Grade on Linux, or say --trust if you trust every submission as you trust your own code.",
            ));
        }
        let advice = "Debian and Ubuntu: apt-get install bubblewrap. Or say --trust if you trust every submission as you \
                      trust your own code.";
        let program = in_path("bwrap").ok_or_else(|| {
            Error::new(
                "bubblewrap is not installed, and without it other people's code is not run.",
                advice,
            )
        })?;
        let grader = env::current_exe()
            .map_err(|error| Error::new(format!("The grader itself: {error}"), ""))?;
        let sysroot = output_of(
            Command::new("rustc")
                .args(["--print", "sysroot"])
                .current_dir(root),
        )?;
        let bubblewrap = Self {
            program,
            grader,
            sysroot: PathBuf::from(sysroot.trim_end()),
            registry: Registry::find(root, stage)?,
            first_user: first_user(),
            cgroups: Cgroups::find(),
        };
        let mut probe = bubblewrap.beginning(0, &[]);
        probe.args(["--", "/bin/true"]);
        let probed = probe.stdin(Stdio::null()).output();
        let said = match probed {
            Ok(output) if output.status.success() => return Ok(bubblewrap),
            Ok(output) => String::from_utf8_lossy(&output.stderr).trim().to_owned(),
            Err(error) => error.to_string(),
        };
        let advice = refusal::advice(&Circumstances {
            root: is_root(),
            program: &bubblewrap.program,
            setuid: is_setuid(&bubblewrap.program),
            said: &said,
            setting: &|name| {
                fs::read_to_string(Path::new("/proc/sys").join(name.replace('.', "/"))).ok()
            },
        });
        Err(Error::new(
            format!("bubblewrap is installed but makes no sandbox here: {said}"),
            advice,
        ))
    }

    fn cgroup(&self, workers: usize) -> Result<Option<Cgroup>> {
        let Some(cgroups) = &self.cgroups else {
            return Ok(None);
        };
        let made = cgroups.make(most(workers)).map_err(|error| {
            Error::new(
                format!("No cgroup could be made for a sandbox: {error}"),
                "Another run goes on where this one was.",
            )
        })?;
        Ok(Some(made))
    }

    fn command(&self, cell: &Cell<'_>, warm: &Path, written: bool) -> Result<Command> {
        let mut places: Vec<OsString> = Vec::new();
        let mut read_only = |source: &Path, place: &str| {
            places.extend(["--ro-bind".into(), source.into(), place.into()]);
        };
        read_only(&self.sysroot, place::RUST);
        read_only(&self.grader, place::GRADE);
        read_only(cell.course, place::COURSE);
        if let Some((source, path)) = &cell.source {
            read_only(source, &format!("{}/{path}", place::COURSE));
        }
        if written {
            places.extend(["--bind".into(), warm.into(), place::TARGET.into()]);
            self.give_to_user(cell.slot, warm)?;
        } else {
            read_only(warm, place::WARM);
        }
        let cargo = format!("{}/cargo", place::SCRATCH);
        self.registry.arguments(&cargo, &mut places);

        let mut command = self.beginning(cell.slot, &places);
        command.args(["--", place::GRADE, "cell"]);
        Ok(command)
    }

    /// Everything up to the program that is run inside.
    fn beginning(&self, slot: usize, places: &[OsString]) -> Command {
        let mut command = Command::new(&self.program);
        command.env_clear();
        for namespace in ["ipc", "pid", "net", "uts", "cgroup-try"] {
            command.arg(format!("--unshare-{namespace}"));
        }
        match self.first_user {
            // The user is changed inside, which takes these; bubblewrap itself keeps no other.
            Some(_) => {
                command.args(["--cap-drop", "ALL"]);
                for right in ["SETUID", "SETGID", "SETPCAP"] {
                    command.args(["--cap-add", &format!("CAP_{right}")]);
                }
            }
            None => {
                command.args(["--unshare-user", "--disable-userns"]);
            }
        }
        command.args(["--die-with-parent", "--new-session"]);
        command.args(["--hostname", "sandbox"]);
        command.args(["--ro-bind", "/usr", "/usr"]);
        for name in ["bin", "sbin", "lib", "lib32", "lib64", "libx32"] {
            let folder = Path::new("/").join(name);
            if let Ok(target) = fs::read_link(&folder) {
                command.arg("--symlink").arg(target).arg(&folder);
            } else if folder.is_dir() {
                command.arg("--ro-bind").arg(&folder).arg(&folder);
            }
        }
        // bubblewrap would make these for itself alone.
        for folder in ["/etc", "/kata", "/kata/source", "/sys", "/sys/devices"] {
            command.args(["--perms", "0755", "--dir", folder]);
        }
        for name in ["alternatives", "ld.so.cache", "ld.so.conf", "ld.so.conf.d"] {
            let file = Path::new("/etc").join(name);
            command.arg("--ro-bind-try").arg(&file).arg(&file);
        }
        // How many processors and nodes there are.
        let devices = "/sys/devices/system";
        command.args(["--ro-bind-try", devices, devices]);
        command.args(["--proc", "/proc", "--dev", "/dev"]);
        command.args(["--perms", "1777", "--size", &SHARED.to_string()]);
        command.args(["--tmpfs", "/dev/shm", "--remount-ro", "/dev"]);
        command.args(["--perms", "1777", "--size", &DISK.to_string()]);
        command.args(["--tmpfs", place::SCRATCH]);
        for name in ["home", "tmp", "cargo", "target"] {
            let folder = format!("{}/{name}", place::SCRATCH);
            command.args(["--perms", "1777", "--dir", &folder]);
        }
        command.args(["--symlink", "/scratch/tmp", "/tmp"]);
        command.args(places);
        command.args(["--remount-ro", "/", "--chdir", place::SCRATCH]);
        let path = format!("{}/bin:/usr/bin:/bin", place::RUST);
        for (name, value) in [
            ("PATH", path.as_str()),
            ("HOME", "/scratch/home"),
            ("CARGO_HOME", "/scratch/cargo"),
            ("TMPDIR", "/scratch/tmp"),
            ("CARGO_NET_OFFLINE", "true"),
            // Nothing is built here twice.
            ("CARGO_INCREMENTAL", "0"),
            ("LANG", "C.UTF-8"),
        ] {
            command.args(["--setenv", name, value]);
        }
        if let Some(first) = self.first_user {
            let user = (first as usize + slot).to_string();
            command.args(["--", "/usr/bin/setpriv"]);
            command.args(["--reuid", &user, "--regid", &user, "--clear-groups"]);
            command.args(["--no-new-privs", "--inh-caps=-all", "--bounding-set=-all"]);
        }
        command
    }

    /// Has the user of a cell own a new folder.
    fn give_to_user(&self, slot: usize, folder: &Path) -> Result<()> {
        #[cfg(unix)]
        if let Some(first) = self.first_user {
            let user = first + u32::try_from(slot).unwrap_or(0);
            std::os::unix::fs::chown(folder, Some(user), Some(user)).map_err(|error| {
                Error::new(
                    format!("{} cannot be given away: {error}", folder.display()),
                    "",
                )
            })?;
        }
        let _ = (slot, folder);
        Ok(())
    }
}

/// Without a sandbox: the grader as it is, in the environment of its caller.
fn unconfined(cell: &Cell<'_>, target_dir: &Path) -> Result<Command> {
    let grader = env::current_exe()
        .map_err(|error| Error::new(format!("The grader itself: {error}"), ""))?;
    let mut command = Command::new(grader);
    command
        .arg("cell")
        .current_dir(cell.course)
        .env("CARGO_TARGET_DIR", target_dir)
        .env_remove("KATA_REQUIRE_REAL");
    Ok(command)
}

fn in_path(program: &str) -> Option<PathBuf> {
    env::split_paths(&env::var_os("PATH")?)
        .map(|folder| folder.join(program))
        .find(|path| path.is_file())
}

#[cfg(unix)]
fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

#[cfg(not(unix))]
fn is_root() -> bool {
    false
}

#[cfg(unix)]
fn is_setuid(program: &Path) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    fs::metadata(program).is_ok_and(|metadata| metadata.mode() & 0o4000 != 0)
}

#[cfg(not(unix))]
fn is_setuid(_program: &Path) -> bool {
    false
}

/// The first of [`CELLS`] users that nobody else is, for root; nothing for everybody else.
#[cfg(target_os = "linux")]
fn first_user() -> Option<u32> {
    if !is_root() {
        return None;
    }
    // How many users there are: in a container perhaps no more than 65536.
    let map = fs::read_to_string("/proc/self/uid_map").unwrap_or_default();
    let known = map
        .lines()
        .filter_map(|line| {
            let mut numbers = line.split_ascii_whitespace().map(str::parse::<u64>);
            match (numbers.next()?, numbers.next()?, numbers.next()?) {
                (Ok(0), Ok(_), Ok(length)) => Some(length),
                _ => None,
            }
        })
        .max()
        .unwrap_or(65_536);
    // Above those that a machine hands out, as far as there are any, and apart from those of another grader.
    let begin = if known > 1 << 31 { 1 << 29 } else { 10_000 };
    let span = known.min(1 << 30).checked_sub(begin + CELLS as u64)?;
    let first = begin + u64::from(std::process::id()) * CELLS as u64 % span.max(1);
    u32::try_from(first).ok()
}

#[cfg(not(target_os = "linux"))]
fn first_user() -> Option<u32> {
    None
}

/// What nobody can guess.
fn nonce() -> Result<String> {
    let mut bytes = [0; 16];
    let mut read = || {
        if cfg!(unix) {
            fs::File::open("/dev/urandom")?.read_exact(&mut bytes)
        } else {
            // No sandbox, so nobody to be kept from guessing.
            bytes[..4].copy_from_slice(&std::process::id().to_le_bytes());
            Ok(())
        }
    };
    read().map_err(|error: io::Error| Error::new(format!("/dev/urandom: {error}"), ""))?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

fn ask(
    mut command: Command,
    cgroup: Option<&Cgroup>,
    request: &[u8],
    nonce: &str,
    limit: Duration,
    stopped: &dyn Fn() -> bool,
) -> Result<Ending> {
    let program = command.get_program().to_owned();
    let trouble = |error: io::Error| {
        Error::new(
            format!("{} could not be run: {error}", program.display()),
            "",
        )
    };
    if let Some(cgroup) = cgroup {
        command = cgroup.enter(&command);
    }
    let (stdin_reader, mut stdin) = io::pipe().map_err(trouble)?;
    let (stdout, stdout_writer) = io::pipe().map_err(trouble)?;
    let (stderr, stderr_writer) = io::pipe().map_err(trouble)?;
    command
        .stdin(stdin_reader)
        .stdout(stdout_writer)
        .stderr(stderr_writer);
    let mut group = Group::spawn(command, &Confinement::default()).map_err(trouble)?;
    let stdout = std::thread::spawn(move || read(stdout, OUTPUT));
    let stderr = std::thread::spawn(move || read(stderr, COMPLAINTS));
    // It fails if nobody reads it, and then the cell has died.
    let _ = stdin.write_all(request);
    drop(stdin);

    let begin = Instant::now();
    let mut pauses = Pauses::new();
    let early = loop {
        if group.has_ended().map_err(trouble)? {
            break None;
        }
        if stopped() {
            break Some(None);
        }
        if begin.elapsed() >= limit {
            break Some(Some(Ending::OutOfTime));
        }
        pauses.pause();
    };
    // Of a sandbox everything dies with its first process, so both streams end.
    let killed = group.kill();
    if let Some(cgroup) = cgroup {
        cgroup.kill();
    }
    let (status, _) = killed.map_err(trouble)?;
    let stdout = stdout.join().unwrap_or_default();
    let stderr = stderr.join().unwrap_or_default();
    if let Some(early) = early {
        return early.ok_or(Error::Interrupted);
    }
    let out_of_memory = cgroup.and_then(Cgroup::out_of_memory);
    Ok(match (answer_in(&stdout, nonce), out_of_memory) {
        (Some(Answer::Graded(report, mut notes)), why) => {
            notes.extend(why);
            Ending::Answered(Answer::Graded(report, notes))
        }
        (Some(Answer::Prepared), _) => Ending::Answered(Answer::Prepared),
        (None, Some(why)) => Ending::UsedUp(why),
        (answer, _) => match (cgroup.and_then(Cgroup::out_of_tasks), answer) {
            (Some(why), _) => Ending::UsedUp(why),
            (None, Some(answer)) => Ending::Answered(answer),
            (None, None) => silent(&stderr, status),
        },
    })
}

/// What a cell leaves that has not answered.
fn silent(stderr: &[u8], status: impl std::fmt::Display) -> Ending {
    let stderr = String::from_utf8_lossy(stderr);
    Ending::Silent(format!("{status}. {}", stderr.trim()).trim().to_owned())
}

/// Reads to the end, so that no writer has to wait, and keeps at least the last `kept` bytes.
fn read(mut stream: impl Read, kept: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut piece = vec![0; 64 * 1024];
    loop {
        match stream.read(&mut piece) {
            Ok(0) => return bytes,
            Ok(read) => bytes.extend_from_slice(&piece[..read]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => return bytes,
        }
        if bytes.len() > 2 * kept {
            bytes.drain(..bytes.len() - kept);
        }
    }
}
