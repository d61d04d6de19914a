//! MapReduce over one file system: a coordinator hands out tasks to worker processes, any of which may be slow or dead.
//!
//! After J. Dean and S. Ghemawat, "MapReduce: Simplified Data Processing on Large Clusters" (OSDI 2004). Theirs finds
//! out who is dead and starts backup tasks near the end. Here the second does the work of both: whoever asks when all
//! is handed out gets a copy of something unfinished, so nobody has to know whether the first one is slow or dead.

pub mod protocol;

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, BufReader, BufWriter, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream, ToSocketAddrs};
use std::path::{Path, PathBuf};

use kata::sync::{Condvar, Mutex, MutexGuard};
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

/// To which of `partitions` partitions `key` belongs: a number below that.
///
/// FNV-1a, written out. The hashers of `std` begin with a random number in each process, or promise nothing about
/// their next version, and a key that two workers put into different partitions has two lines of output.
pub fn partition(key: &str, partitions: usize) -> usize {
    let hash = key.bytes().fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    (hash % partitions as u64) as usize
}

/// The tasks of one kind. `T` is what the report of one leaves behind.
struct Phase<T> {
    /// What the first report said. A task without is unfinished, whoever may be at it.
    done: Vec<Option<T>>,
    handed_out: Vec<usize>,
}

impl<T> Phase<T> {
    fn new(tasks: usize) -> Self {
        Self {
            done: (0..tasks).map(|_| None).collect(),
            handed_out: vec![0; tasks],
        }
    }

    /// The unfinished task that was handed out least often: fresh ones first, then copies in turn, so that not even a
    /// task on which one worker after the other dies keeps the others from being copied. `None`: all are finished.
    fn hand_out(&mut self) -> Option<usize> {
        let task = (0..self.done.len())
            .filter(|&task| self.done[task].is_none())
            .min_by_key(|&task| self.handed_out[task])?;
        self.handed_out[task] += 1;
        Some(task)
    }

    /// The first report counts. A later one is of a copy, and what it names is used by nobody.
    fn finish(&mut self, task: usize, result: T) {
        if let Some(done) = self.done.get_mut(task) {
            done.get_or_insert(result);
        }
    }
}

/// How far a job is. All that is decided is decided here, under one lock.
struct Progress<'job> {
    job: &'job Job,
    maps: Phase<Vec<PathBuf>>,
    reduces: Phase<()>,
    attempts: usize,
    /// To close them at the end: a thread waits in each for a report that may never come.
    connections: Vec<TcpStream>,
    over: bool,
}

impl Progress<'_> {
    fn take_in(&mut self, report: Report) {
        match report {
            Report::Ready => {}
            // Anybody may say anything. Of the files of a map, each reduce will read its own.
            Report::Mapped { files, .. } if files.len() != self.job.partitions => {}
            Report::Mapped { task, files } => self.maps.finish(task, files),
            Report::Reduced { task } => self.reduces.finish(task, ()),
        }
    }

    /// The next task; `None` if everything is done.
    fn hand_out(&mut self) -> Option<Task> {
        self.attempts += 1;
        let attempt = self.attempts;
        let scratch = self.job.scratch.clone();
        if let Some(task) = self.maps.hand_out() {
            return Some(Task::Map {
                task,
                attempt,
                input: self.job.inputs[task].clone(),
                partitions: self.job.partitions,
                scratch,
            });
        }
        let task = self.reduces.hand_out()?;
        let maps = self.maps.done.iter().flatten();
        Some(Task::Reduce {
            task,
            attempt,
            files: maps.map(|files| files[task].clone()).collect(),
            output: self.job.part(task),
            scratch,
        })
    }
}

/// What the threads of a running coordinator share.
struct Desk<'job> {
    progress: Mutex<Progress<'job>>,
    over: Condvar,
}

impl<'job> Desk<'job> {
    fn lock(&self) -> MutexGuard<'_, Progress<'job>> {
        self.progress
            .lock()
            .expect("nobody panics while holding the lock")
    }

    /// Answers the reports of one worker. That it goes, or talks nonsense, is no matter: its task is still unfinished.
    fn serve(&self, stream: TcpStream) -> io::Result<()> {
        let mut connection = Connection::new(stream);
        while let Some(report) = connection.receive()? {
            let mut progress = self.lock();
            progress.take_in(report);
            let Some(task) = progress.hand_out() else {
                progress.over = true;
                self.over.notify_one();
                break;
            };
            drop(progress); // a worker that does not read must not hold up the others
            connection.send(&task)?;
        }
        Ok(())
    }
}

/// Hands out the tasks of a job.
pub struct Coordinator {
    listener: TcpListener,
}

impl Coordinator {
    /// A coordinator that workers can connect to from now on. They are answered once it [runs](Self::run).
    ///
    /// # Errors
    ///
    /// If it cannot listen on `address`.
    pub fn bind(address: impl ToSocketAddrs) -> io::Result<Self> {
        let listener = TcpListener::bind(address)?;
        Ok(Self { listener })
    }

    /// Where workers find it. If port 0 was asked for, this says which one it has become.
    pub fn address(&self) -> SocketAddr {
        self.listener
            .local_addr()
            .expect("a listener has an address")
    }

    /// Gets `job` done: waits for workers and hands out tasks until every partition has its output.
    ///
    /// # Errors
    ///
    /// If a folder cannot be made.
    ///
    /// # Panics
    ///
    /// If the job has no partitions.
    pub fn run(self, job: &Job) -> io::Result<()> {
        assert!(job.partitions > 0, "a job has at least one partition");
        fs::create_dir_all(&job.output)?;
        fs::create_dir_all(&job.scratch)?;
        let address = self.address();
        let desk = Desk {
            progress: Mutex::new(Progress {
                job,
                maps: Phase::new(job.inputs.len()),
                reduces: Phase::new(job.partitions),
                attempts: 0,
                connections: Vec::new(),
                over: false,
            }),
            over: Condvar::new(),
        };
        thread::scope(|scope| {
            scope.spawn(|| {
                for stream in self.listener.incoming().flatten() {
                    let mut progress = desk.lock();
                    if progress.over {
                        return;
                    }
                    let Ok(twin) = stream.try_clone() else {
                        continue;
                    };
                    progress.connections.push(twin);
                    drop(progress);
                    scope.spawn(|| desk.serve(stream));
                }
            });
            let progress = desk.lock();
            let progress = desk
                .over
                .wait_while(progress, |progress| !progress.over)
                .expect("nobody panics while holding the lock");
            // A worker that is still at a copy will hear of it when it comes back. Nobody waits for it here.
            for connection in &progress.connections {
                let _ = connection.shutdown(Shutdown::Both);
            }
            drop(progress);
            let _ = TcpStream::connect(address); // `incoming` looks up, and sees that it is over
        });
        Ok(())
    }
}

/// Works for the coordinator at `coordinator` until that closes the connection or dies, whichever it is.
///
/// # Errors
///
/// If it cannot connect, or cannot read or write a file.
pub fn worker(coordinator: SocketAddr, app: &dyn App) -> io::Result<()> {
    let mut connection = Connection::new(TcpStream::connect(coordinator)?);
    let mut report = Report::Ready;
    loop {
        connection.send(&report)?;
        report = match connection.receive()? {
            None => return Ok(()),
            Some(Task::Map {
                task,
                attempt,
                input,
                partitions,
                scratch,
            }) => {
                let stem = scratch.join(format!("map-{task}-{attempt}"));
                let files = map(app, &input, partitions, &stem)?;
                Report::Mapped { task, files }
            }
            Some(Task::Reduce {
                task,
                attempt,
                files,
                output,
                scratch,
            }) => {
                let draft = scratch.join(format!("reduce-{task}-{attempt}"));
                reduce(app, &files, &draft)?;
                // The commit. Before it nobody sees anything, after it everybody sees everything; and if a copy has
                // been here before, the same replaces the same.
                fs::rename(&draft, &output)?;
                Report::Reduced { task }
            }
        };
    }
}

/// Maps one input, and writes a file for each partition. Their names have the attempt in them: no two attempts, not
/// even of the same task, write to the same file, so what was reported stays as it was.
fn map(app: &dyn App, input: &Path, partitions: usize, stem: &Path) -> io::Result<Vec<PathBuf>> {
    let name = input.file_name().unwrap_or_default().to_string_lossy();
    let mut parts: Vec<Vec<(String, String)>> = vec![Vec::new(); partitions];
    for (key, value) in app.map(&name, &fs::read_to_string(input)?) {
        parts[partition(&key, partitions)].push((key, value));
    }
    let mut files = Vec::with_capacity(partitions);
    for (number, pairs) in parts.iter().enumerate() {
        let path = PathBuf::from(format!("{}-{number}", stem.display()));
        let mut file = BufWriter::new(File::create(&path)?);
        serde_json::to_writer(&mut file, pairs)?;
        file.flush()?;
        files.push(path);
    }
    Ok(files)
}

/// Reduces all keys of a partition into `draft`.
fn reduce(app: &dyn App, files: &[PathBuf], draft: &Path) -> io::Result<()> {
    let mut all: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for path in files {
        let file = BufReader::new(File::open(path)?);
        let pairs: Vec<(String, String)> = serde_json::from_reader(file)?;
        for (key, value) in pairs {
            all.entry(key).or_default().push(value);
        }
    }
    let mut file = BufWriter::new(File::create(draft)?);
    for (key, values) in &all {
        writeln!(file, "{key} {}", app.reduce(key, values))?;
    }
    file.flush()
}
