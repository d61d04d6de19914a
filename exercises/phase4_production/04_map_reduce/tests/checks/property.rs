//! Jobs and schedules that nobody thought of, from a fixed seed, next to a sequential run and to a model.
//!
//! Decides whether threads as workers ever compute something else than a loop would, and whether the coordinator keeps
//! its rules however reports, late reports and hang-ups of workers played by hand follow each other. What fails is
//! shortened before it is shown. The workers of a job are threads that run as they like: what one run finds by chance,
//! another may miss, and what has to be found is found by the other kinds. Does not decide anything about processes
//! that are killed.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::mpsc;

use kata::check::Folder;
use map_reduce::protocol::{Report, Task};
use map_reduce::{Coordinator, worker};
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, RngSeed, TestRunner};

use super::apps::{InvertedIndex, WordCount};
use super::support::{
    ByHand, GUARD, Running, done, idle_job, job, output, sequential, write_inputs,
};

/// Of all random choices. Another one gives other jobs and schedules.
const SEED: u64 = 0x4_04;

fn runner(cases: u32) -> TestRunner {
    TestRunner::new(Config {
        cases,
        rng_algorithm: RngAlgorithm::ChaCha,
        rng_seed: RngSeed::Fixed(SEED),
        failure_persistence: None,
        // A case that hangs takes as long each time. How short the example becomes decides nothing.
        max_shrink_iters: 200,
        max_shrink_time: 10_000,
        ..Config::default()
    })
}

fn texts() -> impl Strategy<Value = Vec<(String, String)>> {
    let word = prop_oneof!["[a-d]{1,3}", "(whale|ship|Éva|鯨)"];
    let text = prop::collection::vec(word, 0..30).prop_map(|words| words.join(" "));
    prop::collection::vec(text, 0..6).prop_map(|texts| {
        let name = |(number, text)| (format!("input-{number}"), text);
        texts.into_iter().enumerate().map(name).collect()
    })
}

#[test]
fn workers_compute_what_a_loop_would() {
    enum End {
        OfJob(io::Result<()>),
        OfWorker(io::Result<()>),
    }
    let strategy = (texts(), 1..5_usize, 1..4_usize, any::<bool>());
    let outcome = runner(60).run(&strategy, |(inputs, partitions, workers, index)| {
        let app: &'static dyn map_reduce::App = if index { &InvertedIndex } else { &WordCount };
        let folder = Folder::new();
        let job = job(
            folder.path(),
            partitions,
            write_inputs(folder.path(), &inputs),
        );
        let coordinator = Coordinator::bind("127.0.0.1:0").expect("a port on loopback");
        let address = coordinator.address();
        let (ends, all_ends) = mpsc::channel();
        let of_job = (ends.clone(), job.clone());
        std::thread::spawn(move || of_job.0.send(End::OfJob(coordinator.run(&of_job.1))));
        for _ in 0..workers {
            let ends = ends.clone();
            std::thread::spawn(move || ends.send(End::OfWorker(worker(address, app))));
        }
        drop(ends);
        let mut is_done = false;
        // To the last: whoever is still at a copy writes to the folder.
        loop {
            let end = match all_ends.recv_timeout(GUARD) {
                Ok(end) => end,
                Err(mpsc::RecvTimeoutError::Disconnected) => break,
                Err(_) if is_done => panic!("the coordinator is gone, and a worker goes on"),
                Err(_) => panic!("the job does not end"),
            };
            match end {
                End::OfJob(result) => {
                    result.expect("`run` gives an error");
                    is_done = true;
                }
                End::OfWorker(Err(error)) if !came_too_late(&error) => {
                    panic!("a worker gives an error: {error}")
                }
                End::OfWorker(_) => {}
            }
        }
        assert!(is_done, "`run` panicked");
        prop_assert_eq!(output(&job), sequential(app, &inputs));
        Ok(())
    });
    outcome.unwrap_or_else(|failure| panic!("{failure}"));
}

/// The job may be over before the second worker has come.
fn came_too_late(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    [ConnectionRefused, ConnectionReset, ConnectionAborted].contains(&error.kind())
}

/// What the worker played by hand with this number, modulo how many there are, does next.
#[derive(Clone, Copy, Debug)]
enum Move {
    /// Somebody new asks.
    Join,
    Finish(usize),
    /// Says once more what it has said before.
    Repeat(usize),
    Leave(usize),
}

fn moves() -> impl Strategy<Value = Vec<Move>> {
    let one = prop_oneof![
        2 => Just(Move::Join),
        5 => (0..8_usize).prop_map(Move::Finish),
        2 => (0..8_usize).prop_map(Move::Repeat),
        1 => (0..8_usize).prop_map(Move::Leave),
    ];
    prop::collection::vec(one, 0..40)
}

struct Actor {
    hand: ByHand,
    task: Task,
    said: Vec<Report>,
}

/// What has to be true of the next answer.
struct Model {
    maps: usize,
    reduces: usize,
    /// The files of each report of each map.
    mapped: BTreeMap<usize, Vec<Vec<std::path::PathBuf>>>,
    reduced: BTreeSet<usize>,
    handed_out: BTreeSet<(bool, usize)>,
    attempts: BTreeSet<usize>,
}

impl Model {
    fn hear(&mut self, report: &Report) {
        match report {
            Report::Ready => {}
            Report::Mapped { task, files } => {
                self.mapped.entry(*task).or_default().push(files.clone());
            }
            Report::Reduced { task } => {
                self.reduced.insert(*task);
            }
        }
    }

    fn is_done(&self) -> bool {
        self.mapped.len() == self.maps && self.reduced.len() == self.reduces
    }

    fn judge(&mut self, task: &Task) -> Result<(), TestCaseError> {
        let (is_map, number, attempt) = match task {
            Task::Map { task, attempt, .. } => (true, *task, *attempt),
            Task::Reduce { task, attempt, .. } => (false, *task, *attempt),
        };
        let is_reported = if is_map {
            self.mapped.contains_key(&number)
        } else {
            self.reduced.contains(&number)
        };
        prop_assert!(!is_reported, "handed out although it is reported: {task:?}");
        let all = if is_map { self.maps } else { self.reduces };
        let fresh = (0..all).any(|number| !self.handed_out.contains(&(is_map, number)));
        prop_assert!(
            self.handed_out.insert((is_map, number)) || !fresh,
            "handed out again although another was never handed out: {task:?}"
        );
        prop_assert!(
            self.attempts.insert(attempt),
            "the attempt was there before: {task:?}"
        );
        if let Task::Reduce { files, .. } = task {
            prop_assert!(
                self.mapped.len() == self.maps,
                "handed out before every map is reported: {task:?}"
            );
            let of_one_report = |(map, reports): (&usize, &Vec<Vec<std::path::PathBuf>>)| {
                let from = reports
                    .iter()
                    .filter(|report| files.contains(&report[number]));
                (*map, from.count())
            };
            let read: Vec<(usize, usize)> = self.mapped.iter().map(of_one_report).collect();
            let first =
                |reports: &Vec<Vec<std::path::PathBuf>>| files.contains(&reports[0][number]);
            prop_assert!(
                self.mapped.values().all(first),
                "reads what a later report has named, and the first counts: {task:?}"
            );
            prop_assert!(
                files.len() == self.maps && read.iter().all(|(_, reports)| *reports == 1),
                "reads other than one file of each map, (map, how many) {read:?}: {task:?}"
            );
        }
        Ok(())
    }
}

#[test]
fn the_coordinator_keeps_its_rules() {
    let strategy = (0..4_usize, 1..4_usize, moves());
    let outcome = runner(150).run(&strategy, |(maps, reduces, moves)| {
        let folder = Folder::new();
        let job = idle_job(folder.path(), maps, reduces);
        let running = Running::start(&job);
        let mut model = Model {
            maps,
            reduces,
            mapped: BTreeMap::new(),
            reduced: BTreeSet::new(),
            handed_out: BTreeSet::new(),
            attempts: BTreeSet::new(),
        };
        let mut actors: Vec<Actor> = Vec::new();
        let until_the_end = (0..maps + reduces).map(|_| Move::Finish(0));
        let last = std::iter::once(Move::Join).chain(until_the_end);
        for (at, next) in moves.iter().copied().chain(last).enumerate() {
            if at == moves.len() {
                // One is left, who does the rest alone; so the job ends.
                actors.clear();
            }
            let number = match next {
                Move::Join => {
                    let mut hand = running.worker();
                    let task = hand.ask();
                    model.judge(&task)?;
                    let said = Vec::new();
                    actors.push(Actor { hand, task, said });
                    continue;
                }
                Move::Finish(number) | Move::Repeat(number) | Move::Leave(number) => number,
            };
            if actors.is_empty() {
                continue;
            }
            let number = number % actors.len();
            let actor = &mut actors[number];
            let report = match next {
                Move::Leave(_) => {
                    actors.remove(number);
                    continue;
                }
                Move::Repeat(at) if !actor.said.is_empty() => {
                    actor.said[at % actor.said.len()].clone()
                }
                _ => done(&actor.task),
            };
            let is_first_time = !actor.said.contains(&report);
            if is_first_time {
                model.hear(&report);
                actor.said.push(report.clone());
            }
            match actor.hand.report(&report) {
                Some(task) => {
                    model.judge(&task)?;
                    actor.task = task;
                }
                None => {
                    prop_assert!(model.is_done(), "closed the connection with work to do");
                    break;
                }
            }
            prop_assert!(!model.is_done(), "handed something out after the end");
        }
        running.end();
        Ok(())
    });
    outcome.unwrap_or_else(|failure| panic!("{failure}"));
}
