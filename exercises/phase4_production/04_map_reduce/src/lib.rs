//! MapReduce: a coordinator hands out tasks to worker processes, any of which may be slow or dead. The task is in
//! `README.md`.
#![allow(dead_code, unused_variables)] // Delete this line when you start: from then on the compiler helps you.

pub mod protocol;

use std::io;
use std::net::{SocketAddr, TcpListener, ToSocketAddrs};
use std::path::PathBuf;

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
/// It is the same in every process, today and tomorrow, and spreads keys over all partitions about evenly.
///
/// # Examples
///
/// ```no_run
/// assert!(map_reduce::partition("whale", 4) < 4);
/// assert_eq!(map_reduce::partition("whale", 4), map_reduce::partition("whale", 4));
/// ```
pub fn partition(key: &str, partitions: usize) -> usize {
    todo!()
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
        todo!()
    }

    /// Where workers find it. If port 0 was asked for, this says which one it has become.
    pub fn address(&self) -> SocketAddr {
        todo!()
    }

    /// Gets `job` done: waits for workers and hands out tasks until every partition has its output.
    ///
    /// - Every [`Report`](protocol::Report) is answered at once, as long as there is a task that nobody has reported.
    /// - A map task that was never handed out comes before one that was.
    /// - If all were handed out, the answer is another copy of one that is not reported yet.
    /// - Reduce tasks follow in the same way, once every map task is reported.
    /// - Of several reports of one task the first counts, whoever sent it. The others change nothing, and neither does a
    ///   report of a task that the job has not, or of a map without one file for each partition.
    ///
    /// It does not wait for workers that are slow or gone. When it returns, every partition has its output, every
    /// connection is closed, and all its threads have ended. It makes the folders for output and scratch if there are
    /// none, and leaves in the second one whatever lies there: a slow worker may be using it.
    ///
    /// # Errors
    ///
    /// If a folder cannot be made.
    ///
    /// # Panics
    ///
    /// With "a job has at least one partition" if it has none.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # fn main() -> std::io::Result<()> {
    /// let coordinator = map_reduce::Coordinator::bind("127.0.0.1:0")?;
    /// println!("{}", coordinator.address());
    /// coordinator.run(&map_reduce::Job {
    ///     inputs: vec!["moby-dick.txt".into(), "emma.txt".into()],
    ///     partitions: 4,
    ///     output: "out".into(),
    ///     scratch: "scratch".into(),
    /// })
    /// # }
    /// ```
    pub fn run(self, job: &Job) -> io::Result<()> {
        todo!()
    }
}

/// Works for the coordinator at `coordinator` until that closes the connection or dies, whichever it is.
///
/// A file it has reported never changes again. An output appears whole or not at all: one line a key, `key value`, keys
/// in ascending order. An output that is there already is replaced.
///
/// # Errors
///
/// If it cannot connect, or cannot read or write a file.
///
/// # Examples
///
/// ```no_run
/// # use map_reduce::App;
/// struct LineCount;
///
/// impl App for LineCount {
///     fn map(&self, input: &str, text: &str) -> Vec<(String, String)> {
///         vec![("lines".to_owned(), text.lines().count().to_string())]
///     }
///
///     fn reduce(&self, key: &str, values: &[String]) -> String {
///         let counts = values.iter().filter_map(|value| value.parse::<usize>().ok());
///         counts.sum::<usize>().to_string()
///     }
/// }
///
/// # fn main() -> std::io::Result<()> {
/// # let address = ([127, 0, 0, 1], 4000).into();
/// map_reduce::worker(address, &LineCount)
/// # }
/// ```
pub fn worker(coordinator: SocketAddr, app: &dyn App) -> io::Result<()> {
    todo!()
}
