//! One `cargo build` for the checks of many crates in one world, or for their benches.
//!
//! A crate that does not compile keeps none of the others from being built.

use std::collections::HashMap;
use std::ffi::OsString;
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use serde::Deserialize;

use crate::build_guard::BuildGuard;
use crate::course::{Package, World};
use crate::error::{Error, Result};
use crate::inputs::{self, Unit};
use crate::process::{self, Confinement, End, Group};
use crate::watch::Watch;

/// Which of a package's programs to build.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Program {
    /// The test target `checks`.
    Checks,
    /// The bench target `peers`, optimised. It hides behind a feature of that name, so that nobody else pays for what it
    /// depends on.
    Peers,
}

impl Program {
    /// The target's name and cargo's word for what it is.
    fn target(self) -> (&'static str, &'static str) {
        match self {
            Self::Checks => ("checks", "test"),
            Self::Peers => ("peers", "bench"),
        }
    }
}

/// What to build.
pub struct Request<'a> {
    /// The workspace's folder.
    pub root: &'a Path,
    /// Where cargo builds.
    pub target_dir: &'a Path,
    /// Which program.
    pub program: Program,
    /// Which feature, if any, each package is built with.
    pub world: World,
    /// Whose program is built.
    pub packages: &'a [&'a Package],
    /// Added to cargo's environment.
    pub environment: &'a [(OsString, OsString)],
    /// After so much CPU time the compiler of one of the packages is stopped, unless that is too little for any.
    pub hang_guard: Duration,
}

/// What became of one package.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Built {
    /// The test program.
    Binary(PathBuf),
    /// What the compiler said.
    DoesNotCompile(String),
}

/// What became of all packages, and what it was made from.
#[derive(Debug, Default)]
pub struct Outcome {
    /// In their order: the program, what the compiler warned of, and what the package consists of.
    pub packages: Vec<(Built, Vec<String>, Vec<Unit>)>,
    /// What else below the workspace's folder was needed.
    pub shared: Vec<Unit>,
}

/// Builds, and says for each package, in their order, what became of it.
pub fn build(
    request: &Request<'_>,
    stopped: &dyn Fn() -> bool,
    watch: &dyn Watch,
) -> Result<Vec<Built>> {
    let outcome = build_with_units(request, stopped, watch)?;
    let packages = outcome.packages.into_iter();
    Ok(packages.map(|(built, ..)| built).collect())
}

/// As [`build`], with what the compiler warned of.
pub fn build_with_warnings(
    request: &Request<'_>,
    stopped: &dyn Fn() -> bool,
    watch: &dyn Watch,
) -> Result<Vec<(Built, Vec<String>)>> {
    let outcome = build_with_units(request, stopped, watch)?;
    let packages = outcome.packages.into_iter();
    Ok(packages
        .map(|(built, warnings, _)| (built, warnings))
        .collect())
}

/// As [`build`], with what there is to know about what was built.
pub fn build_with_units(
    request: &Request<'_>,
    stopped: &dyn Fn() -> bool,
    watch: &dyn Watch,
) -> Result<Outcome> {
    let buildable: Vec<&Package> = request
        .packages
        .iter()
        .copied()
        .filter(|package| missing_part(package, request.program).is_none())
        .collect();
    let mut said = if buildable.is_empty() {
        Said::default()
    } else {
        let dirs = buildable.iter().map(|package| canonical(&package.dir));
        let guard = BuildGuard::new(dirs.collect(), request.hang_guard);
        run(
            command(request, &buildable),
            request.program,
            guard,
            stopped,
            watch,
        )?
    };

    if said.disk_was_full(request.target_dir) {
        return Err(Error::new(
            format!(
                "The disk is full: cargo could not write all that it builds to {}, or the compiler its temporary files to {}.",
                request.target_dir.display(),
                std::env::temp_dir().display()
            ),
            "Make room, then grade again. `cargo clean` removes what was built before; CARGO_TARGET_DIR says where to build.",
        ));
    }
    let mut packages = Vec::with_capacity(request.packages.len());
    for &package in request.packages {
        let dir = canonical(&package.dir);
        let warnings = said.warnings.get(&dir).cloned().unwrap_or_default();
        let built = if let Some(binary) = said.binaries.get(&dir) {
            Built::Binary(binary.clone())
        } else if let Some(errors) = said.errors.get(&dir) {
            Built::DoesNotCompile(errors.join("\n"))
        } else if let Some(part) = missing_part(package, request.program) {
            Built::DoesNotCompile(format!("{} has no {part}.", package.dir.display()))
        } else {
            return Err(blame_someone_else(&said, package));
        };
        let units = said.units.remove(&dir).unwrap_or_default();
        packages.push((built, warnings, units));
    }
    Ok(Outcome {
        packages,
        shared: said.units.into_values().flatten().collect(),
    })
}

fn canonical(dir: &Path) -> PathBuf {
    fs::canonicalize(dir).unwrap_or_else(|_| dir.to_path_buf())
}

/// What cargo cannot do without. It would not even begin with the other packages, or say something misleading.
fn missing_part(package: &Package, program: Program) -> Option<&'static str> {
    let has = |part: &str| package.dir.join(part).exists();
    if program == Program::Peers && !has("benches/peers.rs") {
        Some("benches/peers.rs")
    } else if program == Program::Checks && !has("tests/checks/main.rs") && !has("tests/checks.rs")
    {
        Some("tests/checks/main.rs")
    } else if !has("src/lib.rs") {
        Some("src/lib.rs")
    } else {
        None
    }
}

/// No program, and yet the compiler found nothing wrong with the package itself.
fn blame_someone_else(said: &Said, package: &Package) -> Error {
    let mut errors: Vec<(&PathBuf, &Vec<String>)> = said.errors.iter().collect();
    errors.sort();
    match errors.first() {
        Some((dir, errors)) => Error::new(
            format!(
                "`{}` could not be built, because {} does not compile:\n{}",
                package.name,
                dir.display(),
                errors.join("\n")
            ),
            "If you changed something outside the exercise, `git status` shows it.",
        ),
        None => Error::Unloadable {
            noise: said.noise.trim().to_owned(),
            advice: "If an edited Cargo.toml is to blame, `git checkout -- PATH` brings back the course's own; if cargo could \
                     not download a crate, try again with a network connection."
                .to_owned(),
        },
    }
}

/// Which cargo to run: the one that runs the grader, or the one in the path.
pub fn cargo() -> OsString {
    std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into())
}

fn command(request: &Request<'_>, packages: &[&Package]) -> Command {
    let (target, kind) = request.program.target();
    let mut command = Command::new(cargo());
    command
        .current_dir(request.root)
        .args(["build", "--keep-going", "--message-format=json"])
        .args([&format!("--{kind}"), target])
        .arg("--target-dir")
        .arg(request.target_dir);
    for package in packages {
        command.args(["--package", &package.name]);
    }
    let mut features: Vec<&str> = request.world.feature().into_iter().collect();
    if request.program == Program::Peers {
        command.args(["--profile", "bench"]);
        features.push(target);
    }
    if !features.is_empty() {
        let of_each: Vec<String> = packages
            .iter()
            .flat_map(|package| {
                let feature = |feature: &&str| format!("{}/{feature}", package.name);
                features.iter().map(feature)
            })
            .collect();
        command.arg("--features").arg(of_each.join(","));
    }
    // `cargo run` sets these for the grader; handed on, they would be taken for this build's own.
    for (name, _) in std::env::vars_os() {
        let name_bytes = name.as_encoded_bytes();
        if name_bytes.starts_with(b"CARGO_PKG_") || name_bytes.starts_with(b"CARGO_MANIFEST_") {
            command.env_remove(name);
        }
    }
    command
        .envs(
            request
                .environment
                .iter()
                .map(|(name, value)| (name, value)),
        )
        .env("CARGO_TERM_COLOR", "never")
        .env("CARGO_TERM_PROGRESS_WHEN", "never")
        .stdin(Stdio::null());
    process::mark_as_build(&mut command);
    command
}

/// What cargo said, by the canonical folder of the package that it said it about.
#[derive(Default)]
struct Said {
    binaries: HashMap<PathBuf, PathBuf>,
    errors: HashMap<PathBuf, Vec<String>>,
    warnings: HashMap<PathBuf, Vec<String>>,
    units: HashMap<PathBuf, Vec<Unit>>,
    noise: String,
}

#[derive(Deserialize)]
struct Message {
    reason: String,
    #[serde(default)]
    manifest_path: PathBuf,
    target: Option<MessageTarget>,
    executable: Option<PathBuf>,
    message: Option<Diagnostic>,
    #[serde(default)]
    package_id: String,
    #[serde(default)]
    filenames: Vec<PathBuf>,
    #[serde(default)]
    fresh: bool,
}

#[derive(Deserialize)]
struct MessageTarget {
    name: String,
    kind: Vec<String>,
}

impl MessageTarget {
    fn is(&self, program: Program) -> bool {
        let (name, kind) = program.target();
        self.name == name && self.kind.iter().any(|own| own == kind)
    }
}

#[derive(Deserialize)]
struct Diagnostic {
    level: String,
    rendered: Option<String>,
}

/// A line of one of cargo's two streams.
enum Line {
    Json(Vec<u8>),
    Text(String),
}

fn run(
    mut command: Command,
    program: Program,
    mut guard: BuildGuard,
    stopped: &dyn Fn() -> bool,
    watch: &dyn Watch,
) -> Result<Said> {
    let trouble = |error: std::io::Error| {
        Error::new(
            format!("cargo could not be run: {error}"),
            "Install Rust from https://rustup.rs, or put cargo into the PATH.",
        )
    };
    let (stdout, stdout_writer) = std::io::pipe().map_err(trouble)?;
    let (stderr, stderr_writer) = std::io::pipe().map_err(trouble)?;
    command.stdout(stdout_writer).stderr(stderr_writer);
    let confinement = Confinement {
        spares_daemons: true,
        ..Confinement::default()
    };
    let group = Group::spawn(command, &confinement).map_err(trouble)?;

    let (sender, lines) = mpsc::channel();
    let text_sender = sender.clone();
    std::thread::spawn(move || for_each_line(stdout, |line| sender.send(Line::Json(line)).is_ok()));
    std::thread::spawn(move || {
        for_each_line(stderr, |line| {
            let line = String::from_utf8_lossy(&line).into_owned();
            text_sender.send(Line::Text(line)).is_ok()
        })
    });

    let mut said = Said::default();
    loop {
        for stopped in guard.look(&group) {
            said.errors
                .entry(stopped.dir)
                .or_default()
                .push(stopped.why);
        }
        match lines.recv_timeout(Duration::from_millis(20)) {
            Ok(Line::Json(line)) => said.hear(&line, program),
            Ok(Line::Text(line)) => {
                if let Some(what) = line.trim_start().strip_prefix("Compiling ") {
                    watch.compiling(what);
                }
                said.noise.push_str(&line);
                said.noise.push('\n');
            }
            Err(mpsc::RecvTimeoutError::Timeout) if stopped() => break,
            Err(mpsc::RecvTimeoutError::Timeout) => {}
            Err(mpsc::RecvTimeoutError::Disconnected) => break,
        }
    }
    match process::wait_for_leader(group, stopped).map_err(trouble)? {
        End::Stopped => Err(Error::Interrupted),
        _ => Ok(said),
    }
}

/// How many bytes may still be written there.
fn room_at(folder: &Path) -> Option<u64> {
    #[cfg(unix)]
    return rustix::fs::statvfs(folder)
        .ok()
        .map(|disk| disk.f_bavail.saturating_mul(disk.f_frsize));
    #[cfg(not(unix))]
    {
        let _ = folder;
        None
    }
}

fn for_each_line(stream: impl Read, mut use_line: impl FnMut(Vec<u8>) -> bool) {
    let mut stream = BufReader::new(stream);
    loop {
        let mut line = Vec::new();
        match stream.read_until(b'\n', &mut line) {
            Ok(0) | Err(_) => return,
            Ok(_) => {}
        }
        while matches!(line.last(), Some(b'\n' | b'\r')) {
            line.pop();
        }
        if !use_line(line) {
            return;
        }
    }
}

/// So little room is none for a linker that died of writing.
const ROOM: u64 = 64 << 20;

impl Said {
    /// Whether something failed for want of room, which says nothing about the source.
    fn disk_was_full(&self, target_dir: &Path) -> bool {
        // What is quoted from source begins with the number of its line and a bar.
        let said = self.errors.values().flatten().chain([&self.noise]);
        let mut lines = said
            .flat_map(|text| text.lines())
            .filter(|line| !line.contains(" | "));
        // A file that is mapped into memory and finds no room is a bus error.
        let died = |line: &str| line.contains("Bus error") || line.contains("SIGBUS");
        lines.any(|line| {
            line.contains("No space left on device")
                || line.contains("Disk quota exceeded")
                || died(line) && room_at(target_dir).is_some_and(|room| room < ROOM)
        })
    }

    fn hear(&mut self, line: &[u8], program: Program) {
        let Ok(message) = serde_json::from_slice::<Message>(line) else {
            return;
        };
        let dir = canonical(message.manifest_path.parent().unwrap_or(Path::new("")));
        if message.reason == "compiler-artifact" && message.package_id.starts_with("path+") {
            self.units.entry(dir.clone()).or_default().push(Unit {
                package: inputs::package_name(&message.package_id).to_owned(),
                fresh: message.fresh,
                files: message.filenames,
            });
        }
        match (message.reason.as_str(), message.target, message.executable) {
            ("compiler-artifact", Some(target), Some(executable)) if target.is(program) => {
                self.binaries.insert(dir, executable);
            }
            ("compiler-message", ..) => {
                if let Some(diagnostic) = message.message
                    && let Some(rendered) = diagnostic.rendered
                    && !is_sum(&rendered)
                {
                    let said = if diagnostic.level.starts_with("error") {
                        self.errors.entry(dir).or_default()
                    } else if diagnostic.level == "warning" {
                        self.warnings.entry(dir).or_default()
                    } else {
                        return;
                    };
                    if !said.contains(&rendered) {
                        said.push(rendered);
                    }
                }
            }
            _ => {}
        }
    }
}

/// Whether this only says how much was said before.
fn is_sum(rendered: &str) -> bool {
    rendered.starts_with("error: aborting due to")
        || rendered.starts_with("warning: ") && rendered.trim_end().ends_with(" emitted")
}
