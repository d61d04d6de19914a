//! Coordinator and workers as processes that are held, stopped and killed at moments that the checks choose.
//!
//! Each call of `map`, and of `reduce` for a key that begins with "gate", is held until the check lets it go on. So
//! every check is a script of events and none of them knows what time it is: twenty seconds without any event end it,
//! and nothing else does. Decides what becomes of the output whoever dies in the middle of what. Does not decide what
//! becomes of it if the machine loses its power: then it matters what was in memory only, and no process can tell.

use std::collections::BTreeSet;
use std::fmt::Write as _;
#[cfg(target_os = "linux")]
use std::net::TcpListener;

use kata::check::process::{Event, Gate, Process, Program, Scene, scene};
#[cfg(target_os = "linux")]
use map_reduce::protocol::{Connection, Report, Task};
use map_reduce::{App, Job, partition};

use super::apps::{InvertedIndex, WordCount};
use super::corpus::CORPUS;
#[cfg(target_os = "linux")]
use super::support::GUARD;
use super::support::{
    Table, assert_output, job, names_in_output, output, sequential, word_in, write_inputs,
};

const PROGRAM: &str = env!(concat!("CARGO_BIN_EXE_", env!("CARGO_PKG_NAME")));

/// A coordinator at work on word count, and what has to come of it.
struct Stage<'a> {
    scene: &'a Scene,
    coordinator: Process<'a>,
    address: String,
    job: Job,
    wanted: Table,
}

impl<'a> Stage<'a> {
    fn new<T: AsRef<str>>(scene: &'a Scene, partitions: usize, inputs: &[(T, T)]) -> Self {
        Self::with(scene, partitions, inputs, &WordCount)
    }

    fn with<T: AsRef<str>>(
        scene: &'a Scene,
        partitions: usize,
        inputs: &[(T, T)],
        app: &dyn App,
    ) -> Self {
        let paths = write_inputs(scene.folder(), inputs);
        let mut coordinator = scene
            .program(PROGRAM)
            .name("coordinator")
            .arg("coordinator")
            .arg(partitions.to_string())
            .arg(scene.folder())
            .args(&paths)
            .start();
        let address = coordinator.line();
        Self {
            scene,
            coordinator,
            address,
            job: job(scene.folder(), partitions, paths),
            wanted: sequential(app, inputs),
        }
    }

    fn program(&self, name: &str, app: &str) -> Program<'a> {
        let program = self.scene.program(PROGRAM).name(name);
        program.arg("worker").arg(&self.address).arg(app)
    }

    /// Starts a worker.
    fn worker(&self, name: &str) -> Process<'a> {
        self.program(name, "word_count").start()
    }

    /// Starts a worker and waits until it is held at its first task.
    #[track_caller]
    fn worker_at_gate(&self, name: &str) -> (Process<'a>, Gate) {
        let worker = self.worker(name);
        let gate = self.reached(name);
        (worker, gate)
    }

    /// Waits until the worker of this name is held.
    #[track_caller]
    fn reached(&self, name: &str) -> Gate {
        let gate = self.scene.reached(&format!("{name} to begin a task"));
        assert_eq!(gate.process(), name, "who has begun `{}`", gate.what());
        gate
    }

    /// The job ends, with the output that it has to have, and so do these workers.
    #[track_caller]
    fn ends_well(&mut self, workers: &mut [Process<'_>]) {
        self.coordinator.wait();
        assert_output(&self.job, &self.wanted);
        for worker in workers {
            worker.wait();
        }
        assert_output(&self.job, &self.wanted);
    }
}

/// The input that a map is held at.
#[track_caller]
fn map(gate: &Gate) -> &str {
    gate.what().strip_prefix("map ").unwrap_or_else(|| {
        panic!(
            "{} begins `{}` while a map is not reported yet: it would miss that one's pairs.",
            gate.process(),
            gate.what()
        )
    })
}

/// The key that a reduce is held at.
#[track_caller]
fn reduce(gate: &Gate) -> &str {
    gate.what().strip_prefix("reduce ").unwrap_or_else(|| {
        panic!(
            "{} begins `{}` although every map is reported.",
            gate.process(),
            gate.what()
        )
    })
}

/// A text that has one key to be held at in each partition.
fn gates(partitions: usize) -> String {
    let gates: Vec<String> = (0..partitions)
        .map(|number| word_in("gate", number, partitions))
        .collect();
    gates.join(" ")
}

/// A text with a hundred kilobytes of keys in each of two partitions.
fn bulk() -> String {
    let mut text = gates(2);
    for number in 0..2 {
        for letter in 'a'..='l' {
            let stem = letter.to_string().repeat(8_000);
            let _ = write!(text, " {}", word_in(&stem, number, 2));
        }
    }
    text
}

/// Less than that.
const HALF_WRITTEN: u64 = 40_000;

fn corpus_equals_a_sequential_run(app: &'static dyn App, name: &str) {
    scene(|scene| {
        let mut stage = Stage::with(scene, 5, &CORPUS, app);
        let mut workers: Vec<Process<'_>> = (1..=3)
            .map(|number| {
                let program = stage.program(&format!("worker {number}"), name);
                program.start()
            })
            .collect();
        // All are there before one of them can be done with everything.
        let gates: Vec<Gate> = (0..3)
            .map(|_| scene.reached("three workers to begin three maps"))
            .collect();
        scene.open_gates();
        for gate in gates {
            gate.release();
        }
        stage.ends_well(&mut workers);
    });
}

#[test]
fn word_count_equals_a_sequential_run() {
    corpus_equals_a_sequential_run(&WordCount, "word_count");
}

#[test]
fn inverted_index_equals_a_sequential_run() {
    corpus_equals_a_sequential_run(&InvertedIndex, "inverted_index");
}

#[test]
fn every_process_has_the_same_partition() {
    scene(|scene| {
        let keys: Vec<String> = sequential(&WordCount, &CORPUS).into_keys().collect();
        let numbers = |name: &str| {
            let program = scene.program(PROGRAM).name(name).arg("partition").arg("7");
            let mut process = program.args(&keys).start();
            let numbers: Vec<String> = keys.iter().map(|_| process.line()).collect();
            process.wait();
            numbers
        };
        let (first, second) = (numbers("first"), numbers("second"));
        for ((key, first), second) in keys.iter().zip(&first).zip(&second) {
            assert_eq!(
                first, second,
                "{key:?} belongs to two partitions in two processes: it has two lines of output, both wrong"
            );
        }
        assert_eq!(first[0], partition(&keys[0], 7).to_string());
    });
}

#[test]
fn maps_run_in_parallel() {
    scene(|scene| {
        let mut stage = Stage::new(scene, 1, &[("a", "x y"), ("b", "y z"), ("c", "z")]);
        let (first, one) = stage.worker_at_gate("worker 1");
        // The first one is not let go on before the third one has begun.
        let (second, two) = stage.worker_at_gate("worker 2");
        let (third, three) = stage.worker_at_gate("worker 3");
        let begun = BTreeSet::from([map(&one), map(&two), map(&three)]);
        assert_eq!(begun.len(), 3, "three workers have begun three maps");
        scene.open_gates();
        for gate in [one, two, three] {
            gate.release();
        }
        stage.ends_well(&mut [first, second, third]);
    });
}

#[test]
fn reduces_run_in_parallel() {
    scene(|scene| {
        let mut stage = Stage::new(scene, 3, &[("a", gates(3).as_str())]);
        let (first, one) = stage.worker_at_gate("worker 1");
        let (second, two) = stage.worker_at_gate("worker 2");
        let (third, three) = stage.worker_at_gate("worker 3");
        let begun = [one, two, three].map(|gate| {
            map(&gate);
            let name = gate.process().to_owned();
            gate.release();
            stage.reached(&name)
        });
        let keys: BTreeSet<&str> = begun.iter().map(reduce).collect();
        assert_eq!(keys.len(), 3, "three workers have begun three reduces");
        scene.open_gates();
        for gate in begun {
            gate.release();
        }
        stage.ends_well(&mut [first, second, third]);
    });
}

#[test]
fn nothing_is_done_twice_without_need() {
    scene(|scene| {
        let gates = gates(2);
        let inputs = [("a", gates.as_str()), ("b", "x"), ("c", "y z")];
        let mut stage = Stage::new(scene, 2, &inputs);
        let worker = stage.worker("worker 1");
        let mut begun = Vec::new();
        loop {
            match scene.next() {
                Event::Reached(gate) => {
                    begun.push(gate.what().to_owned());
                    gate.release();
                }
                Event::Ended(name, _) if name == "coordinator" => break,
                Event::Ended(..) => {}
            }
        }
        let once: BTreeSet<&String> = begun.iter().collect();
        assert_eq!(
            (begun.len(), once.len()),
            (5, 5),
            "a worker alone does three maps and two reduces, once each: {begun:?}"
        );
        stage.ends_well(&mut [worker]);
    });
}

#[test]
fn no_reduce_begins_before_every_map_is_done() {
    scene(|scene| {
        let gates = gates(2);
        let mut stage = Stage::new(scene, 2, &[("a", gates.as_str()), ("b", gates.as_str())]);
        let (first, one) = stage.worker_at_gate("worker 1");
        let (second, two) = stage.worker_at_gate("worker 2");
        one.release();
        let copy = stage.reached("worker 1");
        assert_eq!(map(&copy), map(&two), "the one that is not done");
        two.release();
        let next = stage.reached("worker 2");
        reduce(&next);
        scene.open_gates();
        next.release();
        copy.release();
        stage.ends_well(&mut [first, second]);
    });
}

#[test]
fn a_late_report_is_not_counted() {
    scene(|scene| {
        let gates = gates(2);
        let mut stage = Stage::new(scene, 2, &[("a", gates.as_str()), ("b", gates.as_str())]);
        let (first, one) = stage.worker_at_gate("worker 1");
        let (second, two) = stage.worker_at_gate("worker 2");
        let (third, copy) = stage.worker_at_gate("worker 3");
        let finished = map(&copy).to_owned();
        copy.release();
        let copy = stage.reached("worker 3");
        assert_ne!(map(&copy), finished, "it is reported");
        // The slow one reports it as well. Two reports of two maps, and one of them is not done.
        let (slow, other) = if map(&one) == finished {
            (one, two)
        } else {
            (two, one)
        };
        let name = slow.process().to_owned();
        slow.release();
        let next = stage.reached(&name);
        assert_eq!(map(&next), map(&other), "the one that is not done");
        scene.open_gates();
        for gate in [next, other, copy] {
            gate.release();
        }
        stage.ends_well(&mut [first, second, third]);
    });
}

#[test]
fn a_worker_killed_in_a_map_is_replaced() {
    scene(|scene| {
        let mut stage = Stage::new(scene, 2, &[("a", "x y"), ("b", "y z")]);
        let (mut first, one) = stage.worker_at_gate("worker 1");
        let (mut second, two) = stage.worker_at_gate("worker 2");
        let begun = [map(&one).to_owned(), map(&two).to_owned()];
        first.kill();
        second.kill();
        // Nobody is left. Whoever comes now does it all.
        let (third, gate) = stage.worker_at_gate("worker 3");
        assert!(begun.contains(&map(&gate).to_owned()));
        scene.open_gates();
        gate.release();
        stage.ends_well(&mut [third]);
    });
}

#[test]
fn a_worker_killed_in_a_reduce_is_replaced() {
    scene(|scene| {
        let mut stage = Stage::new(scene, 1, &[("a", format!("a b {} z", gates(1)).as_str())]);
        let (mut first, gate) = stage.worker_at_gate("worker 1");
        gate.release();
        reduce(&stage.reached("worker 1"));
        first.kill();
        assert_nothing_visible(&stage.job);
        let (second, gate) = stage.worker_at_gate("worker 2");
        reduce(&gate);
        assert_nothing_visible(&stage.job);
        gate.release();
        stage.ends_well(&mut [second]);
    });
}

/// Whoever looks for output now finds none.
#[track_caller]
fn assert_nothing_visible(job: &Job) {
    let mut names = names_in_output(job);
    names.retain(|name| name.starts_with("part-"));
    assert!(
        names.is_empty(),
        "{names:?} can be seen although no reduce is done: a reader takes half of the output for all of it"
    );
}

#[test]
fn a_worker_killed_while_it_writes_output_leaves_none() {
    scene(|scene| {
        let mut stage = Stage::new(scene, 2, &[("a", bulk().as_str())]);
        let (first, gate) = stage.worker_at_gate("worker 1");
        gate.release();
        let held = stage.reached("worker 1");
        scene.note("the system will kill worker 2 in the middle of its output");
        let program = stage.program("worker 2", "word_count");
        let second = program.file_size(HALF_WRITTEN).start();
        // Before or after it has begun to write, as it likes.
        loop {
            match scene.next() {
                Event::Reached(gate) => {
                    assert_ne!(reduce(&held), reduce(&gate), "two of two partitions");
                    gate.release();
                }
                Event::Ended(name, status) => {
                    assert_eq!(name, second.name(), "who has ended ({status})");
                    break;
                }
            }
        }
        assert_nothing_visible(&stage.job);
        scene.open_gates();
        held.release();
        stage.ends_well(&mut [first]);
    });
}

#[test]
fn a_reported_file_stays_as_it_is() {
    scene(|scene| {
        let text = bulk();
        let mut stage = Stage::new(scene, 2, &[("a", text.as_str()), ("b", text.as_str())]);
        let limited = |name: &str| {
            let program = stage.program(name, "word_count");
            let worker = program.file_size(HALF_WRITTEN).start();
            (worker, Some(stage.reached(name)))
        };
        let mut holders = [limited("worker 1"), limited("worker 2")];
        let (third, copy) = stage.worker_at_gate("worker 3");
        let finished = map(&copy).to_owned();
        copy.release();
        let copy = stage.reached("worker 3");
        assert_ne!(map(&copy), finished, "it is reported");
        scene.note("the system will kill the slow one while it writes what is reported already");
        let slow = holders
            .iter_mut()
            .find(|(_, gate)| gate.as_ref().is_some_and(|gate| map(gate) == finished));
        let (slow, gate) = slow.expect("worker 3 was given a copy");
        if let Some(gate) = gate.take() {
            gate.release();
        }
        slow.wait();
        for (worker, _) in &mut holders {
            worker.kill();
        }
        scene.open_gates();
        copy.release();
        stage.ends_well(&mut [third]);
    });
}

#[test]
fn a_stopped_worker_does_not_hold_up_the_job() {
    scene(|scene| {
        let mut stage = Stage::new(scene, 2, &[("a", "x y"), ("b", "y z")]);
        let (mut first, one) = stage.worker_at_gate("worker 1");
        first.stop();
        one.release();
        let (mut second, two) = stage.worker_at_gate("worker 2");
        scene.open_gates();
        two.release();
        stage.coordinator.wait();
        assert_output(&stage.job, &stage.wanted);
        second.wait();
        // It comes back when everything is over. Nobody must notice.
        first.resume();
        stage.ends_well(&mut [first]);
    });
}

#[test]
fn a_late_commit_changes_nothing() {
    scene(|scene| {
        let mut stage = Stage::new(scene, 2, &[("a", gates(2).as_str())]);
        let (slow, gate) = stage.worker_at_gate("slow worker");
        gate.release();
        let held = stage.reached("slow worker");
        reduce(&held);
        let (healthy, gate) = stage.worker_at_gate("worker 2");
        scene.open_gates();
        gate.release();
        stage.ends_well(&mut [healthy]);
        held.release();
        stage.ends_well(&mut [slow]);
    });
}

#[test]
fn the_coordinator_waits_for_the_last_commit() {
    scene(|scene| {
        let mut stage = Stage::new(scene, 2, &[("a", gates(2).as_str())]);
        let (first, one) = stage.worker_at_gate("worker 1");
        one.release();
        let one = stage.reached("worker 1");
        let (second, two) = stage.worker_at_gate("worker 2");
        // Both reduces are begun and none is done.
        let begun = [reduce(&one).to_owned(), reduce(&two).to_owned()];
        let (third, three) = stage.worker_at_gate("worker 3");
        assert!(begun.contains(&reduce(&three).to_owned()));
        one.release();
        let copy = stage.reached("worker 1");
        assert_eq!(reduce(&copy), begun[1], "the one that is not done");
        two.release();
        stage.coordinator.wait();
        assert_eq!(
            output(&stage.job),
            stage.wanted,
            "the coordinator has ended"
        );
        copy.release();
        three.release();
        stage.ends_well(&mut [first, second, third]);
    });
}

#[test]
fn workers_end_when_the_coordinator_is_killed() {
    scene(|scene| {
        let mut stage = Stage::new(scene, 1, &[("a", "x"), ("b", "y")]);
        let (mut first, one) = stage.worker_at_gate("worker 1");
        let (mut second, two) = stage.worker_at_gate("worker 2");
        stage.coordinator.kill();
        one.release();
        first.wait();
        two.release();
        second.wait();
    });
}

#[cfg(target_os = "linux")]
#[test]
fn two_workers_with_one_process_number_share_no_file() {
    scene(|scene| {
        let inputs = write_inputs(scene.folder(), &[("a", "x y"), ("b", "y z")]);
        let job = job(scene.folder(), 2, inputs);
        std::fs::create_dir_all(&job.scratch).expect("a folder can be made");
        scene.open_gates();
        let mut seen = BTreeSet::new();
        for (number, input) in job.inputs.iter().enumerate() {
            let listener = TcpListener::bind("127.0.0.1:0").expect("a port on loopback");
            let address = listener.local_addr().expect("an address").to_string();
            let program = scene
                .program(PROGRAM)
                .name(format!("worker {}", number + 1));
            let program = program.arg("twin").arg(&address).arg("word_count");
            let mut worker = program.arg("4711").start();
            let (stream, _) = listener.accept().expect("the worker connects");
            let limit = stream.set_read_timeout(Some(GUARD));
            limit.expect("a limit can be set");
            let mut connection = Connection::new(stream);
            let first = connection.receive().expect("a report can be read");
            if first.is_none() {
                worker.wait();
            }
            assert_eq!(first, Some(Report::Ready), "it asks first");
            let task = Task::Map {
                task: number,
                attempt: number + 1,
                input: input.clone(),
                partitions: 2,
                scratch: job.scratch.clone(),
            };
            connection.send(&task).expect("a task can be sent");
            let report = connection.receive().expect("a report can be read");
            let Some(Report::Mapped { files, .. }) = report else {
                panic!("a map was reported as {report:?}");
            };
            drop(connection);
            worker.wait();
            for file in files {
                assert!(
                    seen.insert(file.clone()),
                    "{} is written for two maps, by two workers that have the same process number: they run on two machines, in \
                     two containers, or one after the other. The second one overwrites what the first one has reported.",
                    file.display()
                );
            }
        }
    });
}

#[cfg(not(target_os = "linux"))]
#[test]
fn two_workers_with_one_process_number_share_no_file() {
    kata::check::skip("only on Linux can the check say which number a process believes to have");
}
