//! Real processes: programs that are started, talked to, held at gates, stopped, killed and waited for.
//!
//! What it decides: what a system of several processes does when one of them is slow, stopped or dead at a moment that
//! the check has chosen. What it cannot: anything about moments that the check did not choose.
//!
//! Nothing here depends on how fast anything is. A check waits for *events*: a line, a [`Gate`] that a program has
//! reached, the end of a process. Time is a guard against waiting forever and nothing else, see [`GUARD`].
//!
//! **Gates.** A program that wants to be held asks for it: it connects to the address in the environment variable
//! [`GATES`], writes one line, `<its process id> <what it is about to do>`, and goes on when it has read a byte, or at
//! the end of the stream. Where the variable is not set it just goes on. That is all a program has to know, so it needs
//! nothing of `kata`.
//!
//! **Ends.** Each process leads a group of its own. The group is killed when its leader ends or the scene is over,
//! however that ends; and on Linux the system kills a process whose test has died. A process that ends with anything
//! but success fails the scene, unless the scene has killed it or said that it [may fail](Program::may_fail).
//!
//! **Exercises made of processes.** What is started is a program among the exercise's checks, so that it is locked with
//! them: `tests/checks/program/mod.rs` with a `pub fn main() -> ExitCode` that uses the learner's crate. The exercise's
//! `src/main.rs` includes it by its path and calls it, and so does the solution's, which renames its own crate as its
//! `tests/checks.rs` does. Cargo builds it together with the checks, and the audit writes one for each variant. A check
//! finds it at `env!(concat!("CARGO_BIN_EXE_", env!("CARGO_PKG_NAME")))`, whatever the crate is called.
//!
//! **Failures.** What happened is drawn, a column a process, under the message of the panic.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::io::{BufRead as _, BufReader, Read, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError, mpsc};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use process_group::{Limits, confine};
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};

use super::Folder;
use super::deliver::deliver;
use super::panics::message;
use super::report::{self, Report, Step, Test};

/// How long a scene waits for one event before it fails. What it waits for takes milliseconds.
pub const GUARD: Duration = Duration::from_secs(20);

/// The environment variable that tells a program where to ask before it goes on.
pub const GATES: &str = "KATA_GATES";

/// The column of the check itself.
const CHECK: usize = 0;

/// Runs `check` with a scene of its own. Afterwards none of its processes is alive and its folder is gone.
///
/// # Panics
///
/// If `check` does, with its panic, once what happened is drawn and delivered.
///
/// # Examples
///
/// ```no_run
/// use kata::check::process::scene;
///
/// scene(|scene| {
///     let mut echo = scene.program("cat").name("echo").start();
///     echo.say("hello");
///     assert_eq!(echo.line(), "hello");
///     echo.kill();
/// });
/// ```
pub fn scene<F: FnOnce(&Scene)>(check: F) {
    let scene = Scene::new();
    let outcome = catch_unwind(AssertUnwindSafe(|| check(&scene)));
    scene.shared.lock().silent = true;
    scene.end();
    if let Err(panic) = outcome {
        let test = Test::running(std::any::type_name::<F>());
        let report = scene.report(&test, message(&*panic));
        eprint!("\n{}\n", report.text);
        deliver(&report);
        resume_unwind(panic);
    }
}

/// Processes, what they wait for, and what happened so far.
pub struct Scene {
    shared: Arc<Shared>,
    folder: Folder,
    gates: SocketAddr,
}

impl std::fmt::Debug for Scene {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Scene")
            .field("gates", &self.gates)
            .finish_non_exhaustive()
    }
}

struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    /// Who did what, in order.
    log: Vec<(usize, String)>,
    members: Vec<Member>,
    events: VecDeque<Event>,
    /// Nobody is held any more.
    open: bool,
    over: bool,
    /// The streams of all who were held: at the end of its stream a program goes on.
    held: Vec<TcpStream>,
    /// Nothing that happens from now on explains anything.
    silent: bool,
}

/// A process, whether alive or not. Its number in the scene is its column in the picture, minus one.
struct Member {
    name: String,
    id: Pid,
    may_fail: bool,
    killed: bool,
    lines: VecDeque<String>,
    at_end_of_lines: bool,
    said: String,
    ended: Option<ExitStatus>,
}

/// Something that a scene waits for.
#[derive(Debug)]
pub enum Event {
    /// A process is held at a gate.
    Reached(Gate),
    /// The process of this name has ended, and the scene has not killed it.
    Ended(String, ExitStatus),
}

/// A process that waits to be let go on: until [`release`](Self::release), or until the scene is over.
#[derive(Debug)]
pub struct Gate {
    shared: Arc<Shared>,
    member: usize,
    name: String,
    what: String,
    stream: TcpStream,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Shared")
    }
}

impl Gate {
    /// The name of the process.
    pub fn process(&self) -> &str {
        &self.name
    }

    /// What it is about to do, in its own words.
    pub fn what(&self) -> &str {
        &self.what
    }

    /// Lets the process go on. If it has died meanwhile, nothing happens.
    pub fn release(self) {
        self.shared
            .lock()
            .note(self.member + 1, format!("may go on: {}", self.what));
        self.let_go();
    }

    fn let_go(&self) {
        let _ = (&self.stream).write_all(b".");
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        // A check that panics does so while it holds the lock, and its state is needed for the picture.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until `event` gives something.
    ///
    /// # Panics
    ///
    /// If a process fails meanwhile that may not, or if nothing comes. `what` says what was waited for.
    #[track_caller]
    fn wait<T>(&self, what: &str, mut event: impl FnMut(&mut State) -> Option<T>) -> T {
        let begin = Instant::now();
        let mut state = self.lock();
        loop {
            if let Some(event) = event(&mut state) {
                return event;
            }
            if let Some(failure) = state.failure() {
                drop(state);
                panic!("{failure}");
            }
            let rest = GUARD.saturating_sub(begin.elapsed());
            if rest.is_zero() {
                let said = state.last_words();
                drop(state);
                panic!(
                    "Nothing happened for {} s while waiting for {what}.{said}",
                    GUARD.as_secs()
                );
            }
            state = self
                .changed
                .wait_timeout(state, rest)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
    }
}

impl State {
    fn note(&mut self, column: usize, text: impl Into<String>) {
        if !self.silent {
            self.log.push((column, text.into()));
        }
    }

    /// A process that ended as it should not.
    fn failure(&self) -> Option<String> {
        let failed = |member: &&Member| {
            let badly = member.ended.is_some_and(|status| !status.success());
            badly && !member.killed && !member.may_fail
        };
        let member = self.members.iter().find(failed)?;
        let status = member.ended?;
        let said = self.last_words();
        Some(format!("{} ended by itself: {status}.{said}", member.name))
    }

    /// What the processes wrote to stderr.
    fn last_words(&self) -> String {
        let mut text = String::new();
        for member in &self.members {
            let lines: Vec<&str> = member
                .said
                .lines()
                .map(str::trim)
                .filter(|line| !line.is_empty() && !line.starts_with("note: run with"))
                .collect();
            if !lines.is_empty() {
                let last = &lines[lines.len().saturating_sub(12)..];
                text.push_str(&format!("\n{} said:\n{}", member.name, last.join("\n")));
            }
        }
        text
    }

    fn member_of(&self, id: &str) -> Option<usize> {
        let id = Pid::from_raw(id.parse().ok()?)?;
        // The last: a system may give the number of a dead process to a new one.
        self.members.iter().rposition(|member| member.id == id)
    }
}

impl Scene {
    fn new() -> Self {
        let shared = Arc::new(Shared {
            state: Mutex::default(),
            changed: Condvar::new(),
        });
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port on loopback");
        let gates = listener.local_addr().expect("the address of a listener");
        let keeper = Arc::clone(&shared);
        std::thread::spawn(move || keep_gates(&listener, &keeper));
        Self {
            shared,
            folder: Folder::new(),
            gates,
        }
    }

    /// An empty folder, on one file system, removed when the scene is over.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// A program to start. It is looked for as a shell would.
    pub fn program(&self, path: impl Into<PathBuf>) -> Program<'_> {
        Program {
            scene: self,
            path: path.into(),
            name: None,
            arguments: Vec::new(),
            file_size: None,
            may_fail: false,
        }
    }

    /// Adds a line of the check's own to the picture.
    pub fn note(&self, text: &str) {
        self.shared.lock().note(CHECK, text);
    }

    /// Waits for the next event.
    ///
    /// # Panics
    ///
    /// If there is none, or a process fails that may not.
    #[track_caller]
    pub fn next(&self) -> Event {
        self.shared
            .wait("a process to reach a gate or to end", |state| {
                state.events.pop_front()
            })
    }

    /// Waits for the next process to reach a gate.
    ///
    /// # Panics
    ///
    /// If a process ends instead, or nothing happens. `expected` says for what this is waited.
    #[track_caller]
    pub fn reached(&self, expected: &str) -> Gate {
        let event = self.shared.wait(expected, |state| state.events.pop_front());
        match event {
            Event::Reached(gate) => gate,
            Event::Ended(name, status) => {
                panic!("{name} ended ({status}) while the check waited for {expected}.")
            }
        }
    }

    /// Lets everybody go on who comes to a gate from now on. Whom the check has been told of is held as before.
    pub fn open_gates(&self) {
        let mut state = self.shared.lock();
        state.note(CHECK, "opens all gates");
        state.open = true;
        let events = std::mem::take(&mut state.events);
        for event in events {
            match event {
                Event::Reached(gate) => gate.let_go(),
                ended => state.events.push_back(ended),
            }
        }
    }

    /// Kills and buries everybody.
    fn end(&self) {
        let mut state = self.shared.lock();
        state.over = true;
        state.open = true;
        state.events.clear();
        for member in &mut state.members {
            if member.ended.is_none() {
                member.killed = true;
                let _ = kill_process_group(member.id, Signal::KILL);
            }
        }
        drop(state);
        let _ = TcpStream::connect(self.gates); // the keeper looks up
        let begin = Instant::now();
        let mut state = self.shared.lock();
        while state.members.iter().any(|member| member.ended.is_none()) {
            let rest = GUARD.saturating_sub(begin.elapsed());
            if rest.is_zero() {
                break;
            }
            let waited = self.shared.changed.wait_timeout(state, rest);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    fn report(&self, test: &Test, message: String) -> Report {
        let state = self.shared.lock();
        let threads = std::iter::once("check".to_owned())
            .chain(state.members.iter().map(|member| member.name.clone()))
            .collect();
        let steps = state
            .log
            .iter()
            .enumerate()
            .map(|(index, (thread, text))| Step {
                step: index + 1,
                thread: *thread,
                text: text.clone(),
                location: String::new(),
            });
        let (headline, rest) = message.split_once('\n').unwrap_or((&message, ""));
        let mut report = Report {
            schema: report::SCHEMA,
            test: test.name(),
            world: "std",
            headline: headline.to_owned(),
            explored: "What happened, in this order:".to_owned(),
            why: rest.to_owned(),
            threads,
            steps: steps.collect(),
            replay: test.command("std"),
            text: String::new(),
            remedies: Vec::new(),
        };
        report.draw();
        report
    }
}

/// Takes in whoever comes to a gate.
fn keep_gates(listener: &TcpListener, shared: &Arc<Shared>) {
    for stream in listener.incoming() {
        if shared.lock().over {
            return;
        }
        let Ok(stream) = stream else { continue };
        let shared = Arc::clone(shared);
        // A thread each: a process may be stopped or killed before it has said a word.
        std::thread::spawn(move || {
            let mut line = String::new();
            let read = BufReader::new(&stream).read_line(&mut line);
            if read.is_ok_and(|bytes| bytes > 0) {
                take_in(&shared, stream, line.trim_end());
            }
        });
    }
}

fn take_in(shared: &Arc<Shared>, stream: TcpStream, line: &str) {
    let (id, what) = line.split_once(' ').unwrap_or((line, ""));
    let mut state = shared.lock();
    let Some(member) = state.member_of(id) else {
        return;
    };
    if state.members[member].killed {
        return;
    }
    let gate = Gate {
        shared: Arc::clone(shared),
        member,
        name: state.members[member].name.clone(),
        what: what.to_owned(),
        stream,
    };
    if state.open {
        gate.let_go();
        return;
    }
    state.note(member + 1, format!("reaches: {what}"));
    state.held.extend(gate.stream.try_clone());
    state.events.push_back(Event::Reached(gate));
    shared.changed.notify_all();
}

/// A program that has not been started yet.
#[must_use = "a program does nothing before it is started"]
pub struct Program<'a> {
    scene: &'a Scene,
    path: PathBuf,
    name: Option<String>,
    arguments: Vec<OsString>,
    file_size: Option<u64>,
    may_fail: bool,
}

impl std::fmt::Debug for Program<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Program")
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

impl<'a> Program<'a> {
    /// What the picture calls it. Each process of a scene should have a name of its own.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Adds an argument.
    pub fn arg(mut self, argument: impl Into<OsString>) -> Self {
        self.arguments.push(argument.into());
        self
    }

    /// Adds arguments.
    pub fn args<T: Into<OsString>>(mut self, arguments: impl IntoIterator<Item = T>) -> Self {
        self.arguments.extend(arguments.into_iter().map(Into::into));
        self
    }

    /// Has the system kill it in the middle of the first write that would make a file longer than `bytes`: the file
    /// then holds just as many. It is how to have a process die *while* it writes, every time.
    pub fn file_size(mut self, bytes: u64) -> Self {
        self.file_size = Some(bytes);
        self.may_fail()
    }

    /// However it ends, the scene goes on.
    pub fn may_fail(mut self) -> Self {
        self.may_fail = true;
        self
    }

    /// Starts it.
    ///
    /// # Panics
    ///
    /// If the system cannot.
    #[track_caller]
    pub fn start(self) -> Process<'a> {
        let name = self.name.unwrap_or_else(|| {
            let name = self.path.file_stem().unwrap_or_default();
            name.to_string_lossy().into_owned()
        });
        let mut command = Command::new(&self.path);
        command
            .args(&self.arguments)
            .env(GATES, self.scene.gates.to_string())
            .env("RUST_BACKTRACE", "0")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let limits = Limits {
            file_size: self.file_size,
            ..Limits::default()
        };
        confine(&mut command, limits);
        // Locked until it is known: it may be at a gate before this thread goes on.
        let mut state = self.scene.shared.lock();
        let mut child = match start(command) {
            Ok(child) => child,
            Err(error) => {
                drop(state);
                panic!("{} cannot be started: {error}", self.path.display());
            }
        };
        let input = child.stdin.take();
        let id = Pid::from_child(&child);
        state.members.push(Member {
            name: name.clone(),
            id,
            may_fail: self.may_fail,
            killed: false,
            lines: VecDeque::new(),
            at_end_of_lines: false,
            said: String::new(),
            ended: None,
        });
        let number = state.members.len() - 1;
        state.note(number + 1, "starts");
        drop(state);
        watch(child, number, &self.scene.shared);
        Process {
            scene: self.scene,
            number,
            name,
            id,
            input,
        }
    }
}

/// Starts all processes from one thread that never ends: the system takes the end of the *thread* that started a
/// process for the death of its parent.
fn start(command: Command) -> std::io::Result<Child> {
    type Order = (Command, mpsc::Sender<std::io::Result<Child>>);
    static STARTER: OnceLock<mpsc::Sender<Order>> = OnceLock::new();
    let starter = STARTER.get_or_init(|| {
        let (sender, orders) = mpsc::channel::<Order>();
        std::thread::spawn(move || {
            for (mut command, answer) in orders {
                let _ = answer.send(command.spawn());
            }
        });
        sender
    });
    let gone = || std::io::Error::other("the thread that starts processes is gone");
    let (answer, child) = mpsc::channel();
    starter.send((command, answer)).map_err(|_| gone())?;
    child.recv().map_err(|_| gone())?
}

/// Has threads listen to what a process says, and wait for its end.
fn watch(mut child: Child, number: usize, shared: &Arc<Shared>) {
    let stdout = child.stdout.take().expect("a pipe was asked for");
    let stderr = child.stderr.take().expect("a pipe was asked for");
    let hear = Arc::clone(shared);
    let lines = std::thread::spawn(move || {
        for line in lossy_lines(stdout) {
            hear.lock().members[number].lines.push_back(line);
            hear.changed.notify_all();
        }
        hear.lock().members[number].at_end_of_lines = true;
        hear.changed.notify_all();
    });
    let hear = Arc::clone(shared);
    let said = std::thread::spawn(move || {
        for line in lossy_lines(stderr) {
            let mut state = hear.lock();
            let said = &mut state.members[number].said;
            if said.len() < 64 * 1024 {
                said.push_str(&line);
                said.push('\n');
            }
        }
    });
    let shared = Arc::clone(shared);
    std::thread::spawn(move || bury(child, number, [lines, said], &shared));
}

fn lossy_lines(stream: impl Read) -> impl Iterator<Item = String> {
    BufReader::new(stream)
        .split(b'\n')
        .map_while(Result::ok)
        .map(|line| String::from_utf8_lossy(&line).trim_end().to_owned())
}

/// Waits for the end of a process and makes it known, once all that it said has been heard.
fn bury(mut child: Child, number: usize, listeners: [JoinHandle<()>; 2], shared: &Arc<Shared>) {
    let id = Pid::from_child(&child);
    // Not reaped yet: until it is, nobody else gets its number, and a signal to it or its group reaches nobody else.
    let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
    while let Err(rustix::io::Errno::INTR) = waitid(WaitId::Pid(id), options) {}
    let _ = kill_process_group(id, Signal::KILL);
    for listener in listeners {
        let _ = listener.join();
    }
    let mut state = shared.lock();
    let Ok(status) = child.wait() else { return };
    state.note(number + 1, format!("ends: {status}"));
    let member = &mut state.members[number];
    member.ended = Some(status);
    if !member.killed {
        let event = Event::Ended(member.name.clone(), status);
        state.events.push_back(event);
    }
    shared.changed.notify_all();
}

/// A process of a scene.
pub struct Process<'a> {
    scene: &'a Scene,
    number: usize,
    name: String,
    id: Pid,
    input: Option<ChildStdin>,
}

impl std::fmt::Debug for Process<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Process")
            .field("name", &self.name)
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

impl Process<'_> {
    /// What the picture calls it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Waits for its next line on stdout.
    ///
    /// # Panics
    ///
    /// If it says no more.
    #[track_caller]
    pub fn line(&mut self) -> String {
        let number = self.number;
        let what = format!("a line from {}", self.name);
        let shared = &self.scene.shared;
        let line = shared.wait(&what, |state| {
            let member = &mut state.members[number];
            let line = member.lines.pop_front().map(Some);
            // Its end says more than the end of its lines.
            line.or_else(|| (member.at_end_of_lines && member.ended.is_some()).then_some(None))
        });
        let mut state = shared.lock();
        match line {
            Some(line) => {
                state.note(number + 1, format!("says: {line}"));
                line
            }
            None => {
                let failure = state
                    .failure()
                    .unwrap_or_else(|| format!("{} ended without another line.", self.name));
                drop(state);
                panic!("{failure}");
            }
        }
    }

    /// Writes a line to its stdin. If it does not read any more, nothing happens.
    pub fn say(&mut self, line: &str) {
        let mut state = self.scene.shared.lock();
        state.note(self.number + 1, format!("is told: {line}"));
        drop(state);
        if let Some(input) = &mut self.input {
            let _ = input
                .write_all(format!("{line}\n").as_bytes())
                .and_then(|()| input.flush());
        }
    }

    /// Ends its stdin.
    pub fn hush(&mut self) {
        self.input = None;
    }

    /// Kills it, wherever it is, and waits until it is gone. It is forgotten at the gates.
    pub fn kill(&mut self) {
        let number = self.number;
        let mut state = self.scene.shared.lock();
        if state.members[number].ended.is_none() {
            state.members[number].killed = true;
            state.note(number + 1, "is killed (SIGKILL)");
            let _ = kill_process_group(self.id, Signal::KILL);
        }
        state.forget(number, &self.name);
        drop(state);
        self.scene
            .shared
            .wait("a killed process to be gone", |state| {
                state.members[number].ended.map(|_| ())
            });
    }

    /// Stops it (SIGSTOP) and waits until it stands still.
    pub fn stop(&mut self) {
        {
            let mut state = self.scene.shared.lock();
            if state.members[self.number].ended.is_some() {
                return;
            }
            state.note(self.number + 1, "is stopped (SIGSTOP)");
            let _ = kill_process_group(self.id, Signal::STOP);
        }
        // Fails once it is gone.
        let options = WaitIdOptions::STOPPED | WaitIdOptions::NOWAIT;
        while let Err(rustix::io::Errno::INTR) = waitid(WaitId::Pid(self.id), options) {}
    }

    /// Lets a stopped process go on (SIGCONT).
    pub fn resume(&mut self) {
        let mut state = self.scene.shared.lock();
        if state.members[self.number].ended.is_none() {
            state.note(self.number + 1, "goes on (SIGCONT)");
            let _ = kill_process_group(self.id, Signal::CONT);
        }
    }

    /// Waits for its end. The gates are not looked at meanwhile.
    ///
    /// # Panics
    ///
    /// If it does not end, or if a process fails that may not.
    #[track_caller]
    pub fn wait(&mut self) -> ExitStatus {
        let number = self.number;
        let what = format!("the end of {}", self.name);
        let status = self
            .scene
            .shared
            .wait(&what, |state| match state.failure() {
                Some(_) => None,
                None => state.members[number].ended,
            });
        self.scene.shared.lock().forget(number, &self.name);
        status
    }
}

impl State {
    /// Drops what a process that has ended was waited for.
    fn forget(&mut self, number: usize, name: &str) {
        self.events.retain(|event| match event {
            Event::Reached(gate) => gate.member != number,
            Event::Ended(other, _) => other != name,
        });
    }
}
