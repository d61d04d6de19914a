//! What the checks share: the sequential run that every other one is compared with, and both ends of the protocol
//! played by hand.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::Duration;

use map_reduce::protocol::{Connection, Report, Task};
use map_reduce::{App, Coordinator, Job, partition, worker};

/// A guard against waiting forever; what is waited for takes a millisecond.
pub const GUARD: Duration = Duration::from_secs(20);

/// Keys, and what was computed for them.
pub type Table = BTreeMap<String, String>;

/// What a job over these inputs has to give: no processes, no files, no partitions.
pub fn sequential<T: AsRef<str>>(app: &dyn App, inputs: &[(T, T)]) -> Table {
    let mut all: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (name, text) in inputs {
        for (key, value) in app.map(name.as_ref(), text.as_ref()) {
            all.entry(key).or_default().push(value);
        }
    }
    all.into_iter()
        .map(|(key, values)| {
            let value = app.reduce(&key, &values);
            (key, value)
        })
        .collect()
}

/// Writes the inputs below `folder`, and says where they are.
pub fn write_inputs<T: AsRef<str>>(folder: &Path, inputs: &[(T, T)]) -> Vec<PathBuf> {
    let folder = folder.join("inputs");
    fs::create_dir_all(&folder).expect("a folder can be made");
    inputs
        .iter()
        .map(|(name, text)| {
            let path = folder.join(name.as_ref());
            fs::write(&path, text.as_ref()).expect("a file can be written");
            path
        })
        .collect()
}

/// The job that the program makes of the same arguments.
pub fn job(folder: &Path, partitions: usize, inputs: Vec<PathBuf>) -> Job {
    Job {
        inputs,
        partitions,
        output: folder.join("output"),
        scratch: folder.join("scratch"),
    }
}

/// A job in form only: its inputs are there, and empty.
pub fn idle_job(folder: &Path, maps: usize, partitions: usize) -> Job {
    let inputs: Vec<(String, String)> = (0..maps)
        .map(|number| (format!("input-{number}"), String::new()))
        .collect();
    job(folder, partitions, write_inputs(folder, &inputs))
}

/// The names in the output folder, in order.
pub fn names_in_output(job: &Job) -> Vec<String> {
    let Ok(entries) = fs::read_dir(&job.output) else {
        return Vec::new();
    };
    let mut names: Vec<String> = entries
        .flatten()
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

/// Everything that the job has put out. Panics if a reader of it would be misled.
pub fn output(job: &Job) -> Table {
    let wanted: Vec<String> = (0..job.partitions)
        .map(|number| format!("part-{number:05}"))
        .collect();
    assert_eq!(
        names_in_output(job),
        wanted,
        "the output folder holds the parts of the job and nothing else"
    );
    let mut all = Table::new();
    for number in 0..job.partitions {
        let text = fs::read_to_string(job.part(number)).expect("a part can be read");
        assert!(
            text.is_empty() || text.ends_with('\n'),
            "part {number} ends in the middle of a line"
        );
        let mut last = String::new();
        for line in text.lines() {
            let (key, value) = line
                .split_once(' ')
                .unwrap_or_else(|| panic!("part {number} has a line without a value: {line:?}"));
            assert!(
                last.as_str() < key,
                "part {number} has the key {key:?} after {last:?}"
            );
            last = key.to_owned();
            let before = all.insert(key.to_owned(), value.to_owned());
            assert!(
                before.is_none(),
                "{key:?} has lines in two parts: two workers have put it into different partitions"
            );
        }
    }
    all
}

/// The output of the job against that of a sequential run, with the first difference.
pub fn assert_output(job: &Job, wanted: &Table) {
    let found = output(job);
    for (key, value) in wanted {
        assert_eq!(
            found.get(key),
            Some(value),
            "the output for {key:?} is not that of a sequential run"
        );
    }
    assert_eq!(found.len(), wanted.len(), "the output has keys too many");
}

/// A word that begins with `stem` and belongs to this partition.
pub fn word_in(stem: &str, number: usize, partitions: usize) -> String {
    (0..100_000)
        .map(|index| format!("{stem}{index}"))
        .find(|word| partition(word, partitions) == number)
        .unwrap_or_else(|| panic!("`partition` puts none of 100,000 words into partition {number}"))
}

/// A coordinator at work in a thread of this process.
pub struct Running {
    pub address: SocketAddr,
    thread: JoinHandle<io::Result<()>>,
}

impl Running {
    pub fn start(job: &Job) -> Self {
        let coordinator = Coordinator::bind("127.0.0.1:0").expect("a port on loopback");
        let address = coordinator.address();
        let job = job.clone();
        let thread = std::thread::spawn(move || coordinator.run(&job));
        Self { address, thread }
    }

    pub fn worker(&self) -> ByHand {
        let stream = TcpStream::connect(self.address).expect("the coordinator listens");
        stream.set_read_timeout(Some(GUARD)).expect("a limit");
        ByHand(Connection::new(stream))
    }

    /// Waits until `run` returns.
    pub fn end(self) {
        let result = self
            .thread
            .join()
            .unwrap_or_else(|panic| resume_unwind(panic));
        result.expect("`run` gives an error");
    }
}

/// A worker played by hand.
pub struct ByHand(Connection);

impl ByHand {
    /// Sends a report. `None`: the connection was closed instead of an answer.
    #[track_caller]
    pub fn report(&mut self, report: &Report) -> Option<Task> {
        self.0.send(report).expect("a report can be sent");
        self.answer()
    }

    #[track_caller]
    fn answer(&mut self) -> Option<Task> {
        match self.0.receive() {
            Ok(task) => task,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => panic!(
                "The coordinator leaves a worker without an answer and without the end of the connection."
            ),
            Err(error) => panic!("The coordinator's answer cannot be understood: {error}"),
        }
    }

    /// Asks for a first task.
    #[track_caller]
    pub fn ask(&mut self) -> Task {
        self.report(&Report::Ready)
            .expect("The coordinator closed the connection although there is work to do.")
    }

    /// Does what it was told, and reports it.
    #[track_caller]
    pub fn finish(&mut self, task: &Task) -> Option<Task> {
        self.report(&done(task))
    }

    /// As [`ByHand::finish`], and there has to be more to do.
    #[track_caller]
    pub fn finish_and_go_on(&mut self, task: &Task) -> Task {
        self.finish(task)
            .expect("The coordinator closed the connection although a task is unfinished.")
    }

    /// The coordinator has closed the connection.
    #[track_caller]
    pub fn assert_closed(mut self) {
        assert_eq!(self.answer(), None, "the coordinator speaks unasked");
    }
}

/// Does a task in form: files are there, with nothing in them. Gives the report.
pub fn done(task: &Task) -> Report {
    match task {
        Task::Map {
            task,
            attempt,
            partitions,
            scratch,
            ..
        } => {
            let files: Vec<PathBuf> = (0..*partitions)
                .map(|part| scratch.join(format!("by-hand-{attempt}-{part}")))
                .collect();
            for file in &files {
                fs::write(file, "").expect("the coordinator has made the scratch folder");
            }
            Report::Mapped { task: *task, files }
        }
        Task::Reduce { task, output, .. } => {
            fs::write(output, "").expect("the coordinator has made the output folder");
            Report::Reduced { task: *task }
        }
    }
}

/// The number of a map task.
#[track_caller]
pub fn map(task: &Task) -> usize {
    match task {
        Task::Map { task, .. } => *task,
        Task::Reduce { task, .. } => panic!(
            "Reduce task {task} is handed out before every map is reported: it would miss pairs of the others."
        ),
    }
}

/// The number of a reduce task.
#[track_caller]
pub fn reduce(task: &Task) -> usize {
    match task {
        Task::Reduce { task, .. } => *task,
        Task::Map { task, .. } => {
            panic!("Map task {task} is handed out although every map is reported.")
        }
    }
}

/// A worker at work in a thread of this process, with the coordinator played by hand.
pub struct Hired {
    connection: Connection,
    thread: Option<JoinHandle<io::Result<()>>>,
}

impl Hired {
    pub fn new(app: &'static dyn App) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port on loopback");
        let address = listener.local_addr().expect("an address");
        let thread = std::thread::spawn(move || {
            let outcome = catch_unwind(AssertUnwindSafe(|| worker(address, app)));
            let _ = TcpStream::connect(address); // in case that it never did, and somebody waits for it
            outcome.unwrap_or_else(|panic| resume_unwind(panic))
        });
        let (stream, _) = listener.accept().expect("the worker connects");
        stream.set_read_timeout(Some(GUARD)).expect("a limit");
        Self {
            connection: Connection::new(stream),
            thread: Some(thread),
        }
    }

    /// The worker's next report.
    pub fn report(&mut self) -> Report {
        match self.connection.receive() {
            Ok(Some(report)) => report,
            Ok(None) => {
                let thread = self.thread.take().expect("it is joined once");
                let result = thread.join().unwrap_or_else(|panic| resume_unwind(panic));
                panic!("The worker hung up instead of reporting, with {result:?}.")
            }
            Err(error) => {
                panic!("The worker's report does not come or cannot be understood: {error}")
            }
        }
    }

    /// Hands out a task, and waits for the report.
    pub fn give(&mut self, task: &Task) -> Report {
        self.connection.send(task).expect("a task can be sent");
        self.report()
    }

    /// Hands out a task that cannot be done. With which error does the worker end?
    pub fn fail(mut self, task: &Task) -> io::Error {
        self.connection.send(task).expect("a task can be sent");
        if let Ok(Some(report)) = self.connection.receive::<Report>() {
            panic!("The worker cannot have done this task, and reports it: {report:?}");
        }
        match self.hang_up() {
            Ok(()) => panic!("The worker could not do its task, and ends as if all were well."),
            Err(error) => error,
        }
    }

    /// Hangs up. What does the worker say to that?
    pub fn hang_up(self) -> io::Result<()> {
        drop(self.connection);
        let thread = self.thread.expect("it is joined once");
        let (sender, end) = mpsc::channel();
        std::thread::spawn(move || sender.send(thread.join()));
        match end.recv_timeout(GUARD) {
            Ok(outcome) => outcome.unwrap_or_else(|panic| resume_unwind(panic)),
            Err(_) => panic!("The coordinator has hung up, and the worker goes on."),
        }
    }
}
