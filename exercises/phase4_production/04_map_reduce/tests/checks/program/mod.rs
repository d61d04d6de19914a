//! The program that the process checks start, and that you can start by hand: one process a role.
//!
//! ```text
//! map_reduce coordinator PARTITIONS FOLDER INPUT…   says where it listens, runs the job, ends; output in FOLDER/output
//! map_reduce worker ADDRESS APP                     works until the coordinator is gone; word_count or inverted_index
//! map_reduce partition PARTITIONS KEY…              says to which partition each key belongs
//! map_reduce twin ADDRESS APP NUMBER                (Linux) a worker that believes to be the process with this number
//! ```

mod apps;
mod gates;

use std::error::Error;
#[cfg(target_os = "linux")]
use std::net::TcpStream;
#[cfg(target_os = "linux")]
use std::panic::{catch_unwind, resume_unwind};
use std::path::Path;
use std::process::ExitCode;

use map_reduce::{App, Coordinator, Job, partition, worker};

use apps::{InvertedIndex, WordCount};
use gates::Gated;

/// Runs a role.
pub fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("map_reduce: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &[&str]) -> Result<(), Box<dyn Error>> {
    match arguments {
        ["coordinator", partitions, folder, inputs @ ..] => {
            let job = Job {
                inputs: inputs.iter().map(Into::into).collect(),
                partitions: partitions.parse()?,
                output: Path::new(folder).join("output"),
                scratch: Path::new(folder).join("scratch"),
            };
            let coordinator = Coordinator::bind("127.0.0.1:0")?;
            println!("{}", coordinator.address());
            coordinator.run(&job)?;
        }
        ["worker", address, app] => {
            let app: &dyn App = match *app {
                "word_count" => &WordCount,
                "inverted_index" => &InvertedIndex,
                _ => return Err(format!("there is no app `{app}`").into()),
            };
            worker(address.parse()?, &Gated(app))?;
        }
        #[cfg(target_os = "linux")]
        ["twin", address, app, number] => {
            gates::believe(number.parse()?);
            let outcome = catch_unwind(|| run(&["worker", address, app]));
            let _ = TcpStream::connect(address); // in case that it never did, and somebody waits for it
            outcome.unwrap_or_else(|panic| resume_unwind(panic))?;
        }
        ["partition", partitions, keys @ ..] => {
            let partitions = partitions.parse()?;
            for key in keys {
                println!("{}", partition(key, partitions));
            }
        }
        _ => return Err("say `coordinator`, `worker` or `partition`, see README.md".into()),
    }
    Ok(())
}
