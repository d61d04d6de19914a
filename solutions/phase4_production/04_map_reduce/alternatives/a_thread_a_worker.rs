//! The calling thread accepts, a thread a worker decides for itself: the state of each task is one atomic, and reports and
//! hand-outs meet in compare-exchanges. Files are lines of JSON, and output is written as it is computed.

pub mod protocol;

use std::collections::HashMap;
use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, LineWriter, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream, ToSocketAddrs};
use std::path::PathBuf;
use std::sync::OnceLock;

use kata::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use kata::thread;

use protocol::{Connection, Report, Task};

/// What a job computes. Both functions give the same for the same, whoever calls them and however often.
pub trait App: Sync {
    /// The pairs of key and value that `text`, the content of a file, gives. `input` is the file's name without its folder.
    fn map(&self, input: &str, text: &str) -> Vec<(String, String)>;

    /// What becomes of a key and all its values, which come in any order.
    fn reduce(&self, key: &str, values: &[String]) -> String;
}

/// What is to be done, and where.
#[derive(Clone, Debug)]
pub struct Job {
    /// The files to read, a map task each. Task *n* reads the file with index *n*.
    pub inputs: Vec<PathBuf>,
    /// How many files of output, a reduce task each.
    pub partitions: usize,
    /// Where the output goes: `part-00000`, `part-00001` and so on, see [`Job::part`].
    pub output: PathBuf,
    /// For everything else that has to be written, on the same file system.
    pub scratch: PathBuf,
}

impl Job {
    /// The file for the output of a partition.
    pub fn part(&self, partition: usize) -> PathBuf {
        self.output.join(format!("part-{partition:05}"))
    }
}

pub fn partition(key: &str, partitions: usize) -> usize {
    let hash = key.bytes().fold(5_381_usize, |hash, byte| {
        (hash << 5).wrapping_add(hash) ^ usize::from(byte)
    });
    // The low bits of a sum of powers of 33 are those of its last letters; fold the high ones in.
    (hash ^ (hash >> 17)) % partitions
}

/// One for each task of a kind: the files once it is reported, and who comes next.
struct Row {
    reported: Vec<OnceLock<Vec<PathBuf>>>,
    next: AtomicUsize,
}

impl Row {
    fn new(tasks: usize) -> Self {
        Self {
            reported: (0..tasks).map(|_| OnceLock::new()).collect(),
            next: AtomicUsize::new(0),
        }
    }

    /// Nothing changes if there is no such task, or if it has been reported before.
    fn report(&self, task: usize, files: Vec<PathBuf>) {
        if let Some(reported) = self.reported.get(task) {
            let _ = reported.set(files);
        }
    }

    /// Goes round and round: the first round is that of the fresh ones.
    fn hand_out(&self) -> Option<usize> {
        loop {
            if self.reported.iter().all(|task| task.get().is_some()) {
                return None;
            }
            let turn = self.next.fetch_add(1, SeqCst);
            let task = turn % self.reported.len();
            if self.reported[task].get().is_none() {
                return Some(task);
            }
        }
    }
}

pub struct Coordinator {
    listener: TcpListener,
}

impl Coordinator {
    pub fn bind(address: impl ToSocketAddrs) -> io::Result<Self> {
        Ok(Self {
            listener: TcpListener::bind(address)?,
        })
    }

    pub fn address(&self) -> SocketAddr {
        self.listener.local_addr().unwrap()
    }

    pub fn run(self, job: &Job) -> io::Result<()> {
        assert_ne!(job.partitions, 0, "a job has at least one partition");
        fs::create_dir_all(&job.output)?;
        fs::create_dir_all(&job.scratch)?;
        let address = self.address();
        let maps = Row::new(job.inputs.len());
        let reduces = Row::new(job.partitions);
        let attempts = AtomicUsize::new(0);
        let over = AtomicBool::new(false);
        let answer = |report: Report| {
            match report {
                Report::Ready => {}
                Report::Mapped { files, .. } if files.len() != job.partitions => {}
                Report::Mapped { task, files } => maps.report(task, files),
                Report::Reduced { task } => reduces.report(task, Vec::new()),
            }
            let attempt = attempts.fetch_add(1, SeqCst);
            if let Some(task) = maps.hand_out() {
                return Some(Task::Map {
                    task,
                    attempt,
                    input: job.inputs[task].clone(),
                    partitions: job.partitions,
                    scratch: job.scratch.clone(),
                });
            }
            let task = reduces.hand_out()?;
            let files = maps
                .reported
                .iter()
                .map(|files| files.get().unwrap()[task].clone());
            Some(Task::Reduce {
                task,
                attempt,
                files: files.collect(),
                output: job.part(task),
                scratch: job.scratch.clone(),
            })
        };
        let serve = |stream: TcpStream| -> io::Result<()> {
            let mut connection = Connection::new(stream);
            while let Some(report) = connection.receive()? {
                match answer(report) {
                    Some(task) => connection.send(&task)?,
                    None => {
                        over.store(true, SeqCst);
                        let _ = TcpStream::connect(address);
                        break;
                    }
                }
            }
            Ok(())
        };
        thread::scope(|scope| {
            let mut twins = Vec::new();
            while !over.load(SeqCst) {
                let Ok((stream, _)) = self.listener.accept() else {
                    continue;
                };
                twins.extend(stream.try_clone());
                let serve = &serve;
                scope.spawn(move || serve(stream));
            }
            for twin in twins {
                let _ = twin.shutdown(Shutdown::Both);
            }
        });
        Ok(())
    }
}

pub fn worker(coordinator: SocketAddr, app: &dyn App) -> io::Result<()> {
    let mut connection = Connection::new(TcpStream::connect(coordinator)?);
    let mut report = Report::Ready;
    while let Some(task) = ask(&mut connection, &report)? {
        report = match task {
            Task::Map {
                task,
                attempt,
                input,
                partitions,
                scratch,
            } => {
                let name = input.file_name().unwrap().to_string_lossy();
                let mut texts = vec![String::new(); partitions];
                for (key, value) in app.map(&name, &fs::read_to_string(&input)?) {
                    let text = &mut texts[partition(&key, partitions)];
                    // A line of JSON has no line end inside, whatever is in the key and the value.
                    let _ = writeln!(text, "{}", serde_json::to_string(&(key, value))?);
                }
                let folder = scratch.join(format!("attempt-{attempt}"));
                fs::create_dir_all(&folder)?;
                let mut files = Vec::new();
                for (part, text) in texts.iter().enumerate() {
                    files.push(folder.join(part.to_string()));
                    fs::write(&files[part], text)?;
                }
                Report::Mapped { task, files }
            }
            Task::Reduce {
                task,
                attempt,
                files,
                output,
                scratch,
            } => {
                let mut all: HashMap<String, Vec<String>> = HashMap::new();
                for file in files {
                    for line in BufReader::new(File::open(file)?).lines() {
                        let (key, value) = serde_json::from_str::<(String, String)>(&line?)?;
                        all.entry(key).or_default().push(value);
                    }
                }
                let mut keys: Vec<&String> = all.keys().collect();
                keys.sort();
                let draft = scratch.join(format!("draft-{attempt}"));
                let mut file = LineWriter::new(File::create(&draft)?);
                for key in keys {
                    writeln!(file, "{key} {}", app.reduce(key, &all[key]))?;
                }
                file.flush()?;
                fs::rename(draft, output)?;
                Report::Reduced { task }
            }
        };
    }
    Ok(())
}

fn ask(connection: &mut Connection, report: &Report) -> io::Result<Option<Task>> {
    connection.send(report)?;
    connection.receive()
}
