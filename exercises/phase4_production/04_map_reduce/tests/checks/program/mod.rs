//! The program that the process checks start, and that you can start by hand: one process a role.
//!
//! ```text
//! map_reduce coordinator PARTITIONS FOLDER INPUT…   says where it listens, runs the job, ends; output in FOLDER/output
//! map_reduce worker ADDRESS APP                     works until the coordinator is gone; word_count or inverted_index
//! map_reduce partition PARTITIONS KEY…              says to which partition each key belongs
//! ```

mod apps;
mod gates;

use std::error::Error;
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
