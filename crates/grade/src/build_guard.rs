//! Stops compilers that would not come to their end, one by one: the rest of the build goes on.
//!
//! A constant, a type or a macro can keep a compiler busy for ever, a file that is a pipe can keep it waiting. Only what
//! is compiled for the packages that were asked for is watched: what they depend on is the course's.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use crate::process::{Group, Member};

/// The least limit of CPU time: more than ten times what the checks of an exercise take to compile.
const LEAST: Duration = Duration::from_secs(20);

/// For how long a build may be idle although a compiler is alive.
const IDLE: Duration = Duration::from_secs(30);

/// How many bytes of memory a compiler may use.
const MEMORY: u64 = 4 << 30;

/// How often to look.
const PAUSE: Duration = Duration::from_millis(250);

/// Watches one build.
pub struct BuildGuard {
    packages: Vec<PathBuf>,
    most: Duration,
    next: Instant,
    idle_since: Option<Instant>,
}

/// A package whose compiler was stopped.
pub struct Stopped {
    /// Its folder, in canonical form.
    pub dir: PathBuf,
    /// Why, in words.
    pub why: String,
}

impl BuildGuard {
    /// Watches what is compiled for the packages in these folders, in canonical form. A compiler may use as much CPU
    /// time as a test.
    pub fn new(packages: Vec<PathBuf>, hang_guard: Duration) -> Self {
        Self {
            packages,
            most: hang_guard.max(LEAST),
            next: Instant::now() + PAUSE,
            idle_since: None,
        }
    }

    /// Stops the compilers that have used too much by now; has to be called again and again.
    pub fn look(&mut self, build: &Group) -> Vec<Stopped> {
        let now = Instant::now();
        if now < self.next {
            return Vec::new();
        }
        // A look that comes late saw nothing of the time before it.
        let late = now > self.next + IDLE / 10;
        self.next = now + PAUSE;
        let members = build.members(PAUSE / 2);
        let active = members.iter().any(|member| member.active);
        if active || late {
            self.idle_since = None;
        }
        let since = *self.idle_since.get_or_insert(now);
        let idle = now - since >= IDLE;
        let mut stopped = Vec::new();
        for member in members {
            let Some(why) = self.excess(&member, idle) else {
                continue;
            };
            if let Some(dir) = self.package_of(&member) {
                member.kill();
                stopped.push(Stopped { dir, why });
            }
        }
        stopped
    }

    fn excess(&self, member: &Member, idle: bool) -> Option<String> {
        if member.cpu >= self.most {
            Some(format!(
                "The compiler had used {} s of CPU time without coming to its end, so it was stopped: a constant, a type or a \
                 macro without an end?",
                self.most.as_secs_f64()
            ))
        } else if member.memory > MEMORY {
            Some(format!(
                "The compiler used more than {} MiB of memory, so it was stopped: a constant, a type or an included file \
                 without an end?",
                MEMORY >> 20
            ))
        } else if idle {
            Some(format!(
                "The compiler slept for {} s, so it was stopped: it waits for something that never comes. Is a file that it \
                 reads a pipe?",
                IDLE.as_secs()
            ))
        } else {
            None
        }
    }

    /// Cargo tells each compiler in which folder the package is.
    fn package_of(&self, member: &Member) -> Option<PathBuf> {
        let dir = PathBuf::from(member.variable("CARGO_MANIFEST_DIR")?);
        let dir = std::fs::canonicalize(&dir).unwrap_or(dir);
        self.packages.contains(&dir).then_some(dir)
    }
}
