//! One thread decides everything: the others turn connections into a stream of events, and nothing is shared but the
//! channel. Fresh tasks wait in a queue, and those that somebody is at in a second one, the longest waiting first. Whose
//! worker hangs up is fresh again.

pub mod protocol;

use std::collections::{HashMap, VecDeque};
use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream, ToSocketAddrs};
use std::path::PathBuf;
use std::sync::mpsc::{self, Receiver, Sender};

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
    let mut hasher = DefaultHasher::new(); // with the same keys in every process, unlike `RandomState`
    key.hash(&mut hasher);
    (hasher.finish() % partitions as u64) as usize
}

enum Event {
    Connected(usize, TcpStream),
    Reported(usize, Report),
    Gone(usize),
}

pub struct Coordinator {
    listener: TcpListener,
}

impl Coordinator {
    pub fn bind(address: impl ToSocketAddrs) -> io::Result<Self> {
        TcpListener::bind(address).map(|listener| Self { listener })
    }

    pub fn address(&self) -> SocketAddr {
        self.listener
            .local_addr()
            .expect("a listener has an address")
    }

    pub fn run(self, job: &Job) -> io::Result<()> {
        assert!(job.partitions > 0, "a job has at least one partition");
        fs::create_dir_all(&job.scratch)?;
        fs::create_dir_all(&job.output)?;
        let address = self.address();
        let (sender, events) = mpsc::channel();
        thread::scope(|scope| {
            let listener = self.listener;
            scope.spawn(move || {
                for (worker, stream) in listener.incoming().flatten().enumerate() {
                    let Ok(reader) = stream.try_clone() else {
                        continue;
                    };
                    // Fails when nobody decides any more.
                    if sender.send(Event::Connected(worker, stream)).is_err() {
                        return;
                    }
                    let sender = sender.clone();
                    scope.spawn(move || read(worker, reader, &sender));
                }
            });
            let mut streams = HashMap::new();
            decide(job, &events, &mut streams);
            drop(events);
            for stream in streams.values() {
                let _ = stream.shutdown(Shutdown::Both);
            }
            let _ = TcpStream::connect(address);
        });
        Ok(())
    }
}

fn read(worker: usize, stream: TcpStream, sender: &Sender<Event>) {
    let mut connection = Connection::new(stream);
    while let Ok(Some(report)) = connection.receive() {
        if sender.send(Event::Reported(worker, report)).is_err() {
            return;
        }
    }
    let _ = sender.send(Event::Gone(worker));
}

/// Hands out tasks until all are reported.
fn decide(job: &Job, events: &Receiver<Event>, streams: &mut HashMap<usize, TcpStream>) {
    let maps = job.inputs.len();
    // Maps come first; the number of a reduce is its partition plus `maps`.
    let mut fresh: VecDeque<usize> = (0..maps).collect();
    let mut running: VecDeque<usize> = VecDeque::new();
    let mut files: Vec<Option<Vec<PathBuf>>> = vec![None; maps];
    let mut holds: HashMap<usize, usize> = HashMap::new();
    let mut attempts = 0;
    let mut mapping = true;
    while let Ok(event) = events.recv() {
        let (worker, report) = match event {
            Event::Connected(worker, stream) => {
                streams.insert(worker, stream);
                continue;
            }
            Event::Gone(worker) => {
                // Somebody else may be at the same task. It does no harm to begin it once more.
                if let Some(task) = holds.remove(&worker)
                    && running.contains(&task)
                {
                    running.retain(|&other| other != task);
                    fresh.push_back(task);
                }
                continue;
            }
            Event::Reported(worker, report) => (worker, report),
        };
        holds.remove(&worker);
        let finished = match report {
            Report::Mapped { task, files: made } if task < maps && made.len() == job.partitions => {
                files[task].get_or_insert(made);
                Some(task)
            }
            Report::Reduced { task } if task < job.partitions => Some(maps + task),
            Report::Ready | Report::Mapped { .. } | Report::Reduced { .. } => None,
        };
        fresh.retain(|&task| Some(task) != finished);
        running.retain(|&task| Some(task) != finished);
        if mapping && fresh.is_empty() && running.is_empty() {
            mapping = false;
            fresh.extend(maps..maps + job.partitions);
        }
        let Some(task) = fresh.pop_front().or_else(|| running.pop_front()) else {
            return;
        };
        running.push_back(task);
        holds.insert(worker, task);
        attempts += 1;
        let message = if task < maps {
            Task::Map {
                task,
                attempt: attempts,
                input: job.inputs[task].clone(),
                partitions: job.partitions,
                scratch: job.scratch.clone(),
            }
        } else {
            let part = task - maps;
            Task::Reduce {
                task: part,
                attempt: attempts,
                files: files
                    .iter()
                    .flatten()
                    .map(|made| made[part].clone())
                    .collect(),
                output: job.part(part),
                scratch: job.scratch.clone(),
            }
        };
        if let Some(twin) = streams
            .get(&worker)
            .and_then(|stream| stream.try_clone().ok())
        {
            let _ = Connection::new(twin).send(&message);
        }
    }
}

pub fn worker(coordinator: SocketAddr, app: &dyn App) -> io::Result<()> {
    let mut connection = Connection::new(TcpStream::connect(coordinator)?);
    connection.send(&Report::Ready)?;
    while let Some(task) = connection.receive()? {
        let report = match task {
            Task::Map {
                task,
                attempt,
                input,
                partitions,
                scratch,
            } => {
                let text = fs::read_to_string(&input)?;
                let name = input
                    .file_name()
                    .expect("a file has a name")
                    .to_string_lossy();
                let mut pairs = app.map(&name, &text);
                pairs.sort_by_cached_key(|(key, _)| partition(key, partitions));
                let mut files = Vec::new();
                for part in 0..partitions {
                    let own: Vec<_> = pairs
                        .iter()
                        .filter(|(key, _)| partition(key, partitions) == part)
                        .collect();
                    let file = scratch.join(format!("{attempt}.{part}"));
                    fs::write(&file, serde_json::to_vec(&own)?)?;
                    files.push(file);
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
                let mut pairs: Vec<(String, String)> = Vec::new();
                for file in files {
                    let more: Vec<(String, String)> = serde_json::from_slice(&fs::read(file)?)?;
                    pairs.extend(more);
                }
                pairs.sort();
                let mut text = Vec::new();
                for group in pairs.chunk_by(|left, right| left.0 == right.0) {
                    let values: Vec<String> =
                        group.iter().map(|(_, value)| value.clone()).collect();
                    writeln!(text, "{} {}", group[0].0, app.reduce(&group[0].0, &values))?;
                }
                let draft = scratch.join(attempt.to_string());
                fs::write(&draft, text)?;
                fs::rename(draft, output)?;
                Report::Reduced { task }
            }
        };
        connection.send(&report)?;
    }
    Ok(())
}
