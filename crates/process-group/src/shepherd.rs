//! A process between the grader and what it starts. Everything that is started below it stays below it, whatever it does:
//! a process whose parent ends becomes a child of the shepherd. So the shepherd knows when all have ended, can kill those
//! that have not, and does so if the grader itself is killed. It is killed last, and cannot be talked to.
//!
//! It is a copy of the grader, made by the fork that would have become the program, and goes on as the function below.
//! Another thread of the grader may have held any lock at that moment, the allocator's included, so the shepherd makes
//! system calls and nothing else.

use std::io;
use std::os::fd::{AsRawFd as _, OwnedFd, RawFd};
use std::process::ExitStatus;
use std::time::Duration;

use libc::{c_int, pid_t};

/// What a shepherd does with those who outlive the program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outlived {
    /// They get this time, then they are killed.
    Killed { after: Duration },
    /// They are nobody's business.
    LeftAlone,
}

/// What a shepherd has said: as soon as the program has ended, how; and when it ends itself, whether somebody had to be
/// killed who outlived the program.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Report {
    pub status: ExitStatus,
    pub outlived: bool,
}

impl Report {
    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        use std::os::unix::process::ExitStatusExt as _;
        let (status, outlived) = bytes.split_first_chunk()?;
        Some(Self {
            status: ExitStatus::from_raw(c_int::from_ne_bytes(*status)),
            outlived: outlived == [1],
        })
    }
}

/// Asks a shepherd to kill its flock and to end.
pub(crate) const DISMISS: c_int = libc::SIGTERM;

/// How long a flock that multiplies is hunted.
const PATIENCE: Duration = Duration::from_secs(5);

/// To be called between fork and exec: returns in a new process, which is to become the program, and goes on as its shepherd
/// in this one. The report goes to `report`. `grader` is the parent of this process.
///
/// # Safety
///
/// The process must be one that was just made by a fork, and is to call exec or to end.
pub(crate) unsafe fn divide(grader: pid_t, outlived: Outlived, report: &OwnedFd) -> io::Result<()> {
    // SAFETY: makes no use of memory. An orphan becomes a child of this process rather than of a distant one.
    if unsafe { libc::prctl(libc::PR_SET_CHILD_SUBREAPER, 1) } != 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: as the caller promises, nothing but exec follows in the new process.
    match unsafe { libc::fork() } {
        -1 => Err(io::Error::last_os_error()),
        // SAFETY: system calls with plain numbers. Who leads a group of its own cannot hit the shepherd by a signal to it.
        0 => unsafe {
            if libc::setpgid(0, 0) != 0 || libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) != 0 {
                return Err(io::Error::last_os_error());
            }
            Ok(())
        },
        program => {
            let shepherd = Shepherd {
                grader,
                program,
                outlived,
                report: report.as_raw_fd(),
                status: None,
            };
            shepherd.watch()
        }
    }
}

struct Shepherd {
    grader: pid_t,
    program: pid_t,
    outlived: Outlived,
    report: RawFd,
    /// How the program ended, once it has.
    status: Option<c_int>,
}

impl Shepherd {
    fn watch(mut self) -> ! {
        let signals = self.settle();
        let mut ended = None;
        loop {
            let any_left = self.reap();
            if self.status.is_some() {
                let since = *ended.get_or_insert_with(now);
                match self.outlived {
                    _ if !any_left => self.end(false),
                    Outlived::LeftAlone => self.end(false),
                    Outlived::Killed { after } if now().saturating_sub(since) >= after => {
                        self.kill_all();
                        self.end(true);
                    }
                    Outlived::Killed { .. } => {}
                }
            }
            // The signal that tells of the grader's death may have come before anybody asked for it.
            // SAFETY: no arguments.
            if wait_for(&signals) == DISMISS || unsafe { libc::getppid() } != self.grader {
                self.kill_all();
                self.end(false);
            }
        }
    }

    /// Lets go of all files but the report, and of all signals but those that it waits for.
    fn settle(&self) -> libc::sigset_t {
        // SAFETY: the sets are local and initialised by the calls; the descriptors are this process's own copies.
        unsafe {
            let mut all = std::mem::zeroed();
            libc::sigfillset(&mut all);
            libc::sigprocmask(libc::SIG_SETMASK, &all, std::ptr::null_mut());
            let mut awaited = std::mem::zeroed();
            libc::sigemptyset(&mut awaited);
            libc::sigaddset(&mut awaited, libc::SIGCHLD);
            libc::sigaddset(&mut awaited, DISMISS);
            libc::prctl(libc::PR_SET_PDEATHSIG, DISMISS);
            close_all_but(self.report);
            awaited
        }
    }

    /// Takes leave of all children that have ended; says whether there are others.
    fn reap(&mut self) -> bool {
        loop {
            let mut status = 0;
            // SAFETY: the status is a local.
            match unsafe { libc::waitpid(-1, &mut status, libc::WNOHANG) } {
                0 => return true,
                -1 => return false,
                ended if ended == self.program => {
                    self.status = Some(status);
                    self.say(&status.to_ne_bytes());
                }
                _ => {}
            }
        }
    }

    /// Kills children until there are none: those of a child that is killed become children.
    fn kill_all(&mut self) {
        let begin = now();
        // Reaches all of the group at once: no fork escapes that.
        if self.status.is_none() {
            // SAFETY: plain numbers; the program is not reaped yet, so nobody else has its number.
            unsafe { libc::kill(-self.program, libc::SIGKILL) };
        }
        while self.reap() && now().saturating_sub(begin) < PATIENCE {
            for_each_child(|child| {
                // SAFETY: plain numbers. A child keeps its number until it is reaped, which only this process does.
                unsafe { libc::kill(child, libc::SIGKILL) };
            });
            // SAFETY: no arguments.
            unsafe { libc::sched_yield() };
        }
    }

    fn end(&self, outlived: bool) -> ! {
        if self.status.is_some() {
            self.say(&[u8::from(outlived)]);
        }
        // SAFETY: a copy of another process must not run what that one has registered for its end.
        unsafe { libc::_exit(0) }
    }

    fn say(&self, bytes: &[u8]) {
        // SAFETY: as many bytes as is said. So few fit into the pipe.
        unsafe { libc::write(self.report, bytes.as_ptr().cast(), bytes.len()) };
    }
}

/// Waits for one of `signals`, but not for ever; 0 if none came.
fn wait_for(signals: &libc::sigset_t) -> c_int {
    let most = libc::timespec {
        tv_sec: 0,
        tv_nsec: 100_000_000,
    };
    // SAFETY: both arguments are locals of the callers, and no information is asked for.
    let signal = unsafe { libc::sigtimedwait(signals, std::ptr::null_mut(), &most) };
    signal.max(0)
}

fn now() -> Duration {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: the time is a local.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &mut time) };
    Duration::new(
        u64::try_from(time.tv_sec).unwrap_or(0),
        u32::try_from(time.tv_nsec).unwrap_or(0),
    )
}

/// Closes every file of this process but one.
///
/// # Safety
///
/// Nobody may go on to use the others.
unsafe fn close_all_but(kept: RawFd) {
    let kept = kept.unsigned_abs();
    let close = |first: u32, last: u32| {
        // SAFETY: plain numbers; the caller promises that the files are not used again.
        unsafe { libc::syscall(libc::SYS_close_range, first, last, 0) == 0 }
    };
    let lower = kept == 0 || close(0, kept - 1);
    if !(lower && close(kept + 1, u32::MAX)) {
        // An old kernel.
        for file in (0..4096).filter(|&file| file != kept) {
            // SAFETY: as above.
            unsafe { libc::close(file as RawFd) };
        }
    }
}

/// Calls `tell` with each child of this process, as the system lists them. One that begins meanwhile may be missing.
fn for_each_child(mut tell: impl FnMut(pid_t)) {
    // The number of this process's only thread is its own.
    // SAFETY: the path is a constant; the descriptor is closed below.
    let list = unsafe {
        libc::open(
            c"/proc/thread-self/children".as_ptr(),
            libc::O_RDONLY | libc::O_CLOEXEC,
        )
    };
    if list < 0 {
        return;
    }
    let mut number = 0;
    let mut buffer = [0_u8; 4096];
    loop {
        // SAFETY: the buffer is a local, as long as is said.
        let read = unsafe { libc::read(list, buffer.as_mut_ptr().cast(), buffer.len()) };
        let Some(bytes) = usize::try_from(read)
            .ok()
            .and_then(|read| buffer.get(..read))
        else {
            break;
        };
        if bytes.is_empty() {
            break;
        }
        for &byte in bytes {
            if byte.is_ascii_digit() {
                number = number * 10 + pid_t::from(byte - b'0');
            } else if number > 0 {
                tell(number);
                number = 0;
            }
        }
    }
    // SAFETY: opened above.
    unsafe { libc::close(list) };
}
