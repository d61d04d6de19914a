//! What coordinator and workers say to each other. Given: the checks speak it, too.
//!
//! A worker connects and sends a [`Report`]. Each report is answered, at once, with one [`Task`]. There is no message
//! for the end: when there is nothing more to do, the coordinator closes the connection.

use std::io::{self, BufRead as _, BufReader, ErrorKind, Write as _};
use std::net::TcpStream;
use std::path::PathBuf;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// From a worker: what it has done. It asks for the next task as well.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Report {
    /// Nothing yet.
    Ready,
    /// A map task. What it made is in these files, the pairs of partition *p* in the one with index *p*.
    Mapped {
        /// The number of the task.
        task: usize,
        /// One for each partition. They stay as they are.
        files: Vec<PathBuf>,
    },
    /// A reduce task. Its output is in its place.
    Reduced {
        /// The number of the task.
        task: usize,
    },
}

/// From the coordinator: what to do next.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Task {
    /// Apply `map` to an input.
    Map {
        /// The number of the task: the index of its input.
        task: usize,
        /// No other task of this job, whether map or reduce, is handed out with this number.
        attempt: usize,
        /// The file to read.
        input: PathBuf,
        /// How many files to make.
        partitions: usize,
        /// Where to make them.
        scratch: PathBuf,
    },
    /// Apply `reduce` to every key of a partition.
    Reduce {
        /// The number of the task: its partition.
        task: usize,
        /// No other task of this job, whether map or reduce, is handed out with this number.
        attempt: usize,
        /// The files to read, one of each map task.
        files: Vec<PathBuf>,
        /// Where the output has to appear, whole.
        output: PathBuf,
        /// Where to write what is not whole yet. A file can be renamed from here to `output`.
        scratch: PathBuf,
    },
}

/// A connection that carries messages, each a line of JSON.
#[derive(Debug)]
pub struct Connection {
    stream: BufReader<TcpStream>,
}

impl Connection {
    /// Messages over `stream`.
    pub fn new(stream: TcpStream) -> Self {
        // A message is answered before the next one is sent: there is nothing to be gained by holding it back.
        let _ = stream.set_nodelay(true);
        Self {
            stream: BufReader::new(stream),
        }
    }

    /// Sends a message. If the other side is gone, nothing happens: the next [`receive`](Self::receive) says so.
    ///
    /// # Errors
    ///
    /// If sending fails for another reason.
    pub fn send(&mut self, message: &impl Serialize) -> io::Result<()> {
        let mut line = serde_json::to_vec(message)?;
        line.push(b'\n');
        match self.stream.get_mut().write_all(&line) {
            Err(error) if says_gone(&error) => Ok(()),
            sent => sent,
        }
    }

    /// Waits for the next message. `None`: the other side has closed the connection, or died. A message that it had
    /// sent only in part is none.
    ///
    /// # Errors
    ///
    /// If something else was sent than a `T`, or receiving fails for another reason.
    pub fn receive<T: DeserializeOwned>(&mut self) -> io::Result<Option<T>> {
        let mut line = Vec::new();
        match self.stream.read_until(b'\n', &mut line) {
            Ok(_) if line.ends_with(b"\n") => Ok(Some(serde_json::from_slice(&line)?)),
            Ok(_) => Ok(None),
            Err(error) if says_gone(&error) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

fn says_gone(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::BrokenPipe | ErrorKind::ConnectionReset | ErrorKind::ConnectionAborted
    )
}
