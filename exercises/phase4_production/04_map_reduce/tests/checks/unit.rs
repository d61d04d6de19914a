//! One side alone, the other one played by hand, message by message.
//!
//! Decides what the coordinator answers to every order of reports that is tried here, and what a worker makes of a
//! task. The connections are real and the processes are not: whoever plays dead here only hangs up. Between two steps of a
//! worker the kernel looks at the output, on Linux. Does not decide how long anything takes, but for one thing: a copy takes
//! about as long to get as a fresh task.

use std::collections::BTreeSet;
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::panic::catch_unwind;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use kata::check::Folder;
use map_reduce::protocol::{Connection, Report, Task};
use map_reduce::{Coordinator, Job, partition};

use super::apps::{InvertedIndex, WordCount};
use super::support::{
    Hired, Running, done, idle_job, job, map, output, reduce, sequential, write_inputs,
};

fn set(numbers: impl IntoIterator<Item = usize>) -> BTreeSet<usize> {
    numbers.into_iter().collect()
}

#[test]
fn partition_stays_in_range() {
    for partitions in [1, 2, 3, 7, 10, 1_000] {
        for key in ["", "a", "whale", "Éluard", "鯨", &"long ".repeat(1_000)] {
            assert!(partition(key, partitions) < partitions);
        }
    }
}

#[test]
fn partition_spreads_keys() {
    let mut counts = [0; 8];
    for number in 0..4_000 {
        counts[partition(&format!("key {number}"), 8)] += 1;
    }
    assert!(
        counts.iter().all(|count| (250..1_000).contains(count)),
        "of 4,000 keys 500 should go to each of 8 partitions, roughly: {counts:?}"
    );
}

/// Keys that differ in their first or last letters only, and more partitions than eight or sixteen bits tell apart.
#[test]
fn partition_spreads_keys_over_many_partitions() {
    let long = "long ".repeat(50);
    for (number, key) in [
        (0, &|number| format!("key {number}")),
        (1, &|number| format!("{long}{number}")),
        (2, &|number| format!("{number}{long}")),
    ] as [(usize, &dyn Fn(usize) -> String); 3]
    {
        let used: BTreeSet<usize> = (0..10_000).map(|n| partition(&key(n), 1_000)).collect();
        assert!(
            used.len() > 950,
            "10,000 keys of kind {number} go to {} of 1,000 partitions: the others have nothing to do",
            used.len()
        );
    }
    let used: BTreeSet<usize> = (0..200_000)
        .map(|number| partition(&format!("key {number}"), 1_000_000))
        .collect();
    assert!(
        used.len() > 150_000,
        "200,000 keys go to {} of 1,000,000 partitions: the others have nothing to do",
        used.len()
    );
}

#[test]
fn each_map_is_handed_out_before_any_is_handed_out_again() {
    let folder = Folder::new();
    let running = Running::start(&idle_job(folder.path(), 4, 1));
    let mut workers: Vec<_> = (0..4).map(|_| running.worker()).collect();
    let maps = workers.iter_mut().map(|worker| map(&worker.ask()));
    assert_eq!(set(maps), set(0..4), "four workers asked for four maps");
}

#[test]
fn a_single_worker_does_each_task_once() {
    let folder = Folder::new();
    let running = Running::start(&idle_job(folder.path(), 3, 2));
    let mut worker = running.worker();
    let mut task = worker.ask();
    let (mut maps, mut reduces) = (Vec::new(), Vec::new());
    loop {
        match &task {
            Task::Map { task, .. } => maps.push(*task),
            Task::Reduce { task, .. } => reduces.push(*task),
        }
        match worker.finish(&task) {
            Some(next) => task = next,
            None => break,
        }
    }
    maps.sort_unstable();
    reduces.sort_unstable();
    assert_eq!((maps, reduces), (vec![0, 1, 2], vec![0, 1]));
    running.end();
}

#[test]
fn a_task_says_what_to_do() {
    let folder = Folder::new();
    let job = idle_job(folder.path(), 1, 2);
    let running = Running::start(&job);
    let mut worker = running.worker();
    let task = worker.ask();
    let Task::Map {
        input,
        partitions,
        scratch,
        ..
    } = &task
    else {
        panic!("no map was handed out: {task:?}");
    };
    assert_eq!((input, *partitions), (&job.inputs[0], 2));
    assert_eq!(scratch, &job.scratch);
    let Report::Mapped { files, .. } = done(&task) else {
        panic!("a map was done");
    };
    let task = worker.finish_and_go_on(&task);
    let number = reduce(&task);
    let Task::Reduce {
        files: to_read,
        output,
        scratch,
        ..
    } = task
    else {
        panic!("no reduce was handed out");
    };
    assert_eq!(to_read, [files[number].clone()]);
    assert_eq!((output, scratch), (job.part(number), job.scratch));
}

#[test]
fn no_reduce_is_handed_out_before_every_map_is_reported() {
    let folder = Folder::new();
    let running = Running::start(&idle_job(folder.path(), 2, 2));
    let (mut first, mut second) = (running.worker(), running.worker());
    let (mine, other) = (first.ask(), second.ask());
    let copy = first.finish_and_go_on(&mine);
    assert_eq!(map(&copy), map(&other), "the other map is not reported yet");
    reduce(&second.finish_and_go_on(&other));
}

#[test]
fn whoever_asks_gets_a_copy_of_what_is_unfinished() {
    let folder = Folder::new();
    let running = Running::start(&idle_job(folder.path(), 1, 1));
    let mut silent: Vec<_> = (0..3).map(|_| running.worker()).collect();
    let mut attempts = BTreeSet::new();
    for worker in &mut silent {
        let Task::Map { task, attempt, .. } = worker.ask() else {
            panic!("the map is not reported yet");
        };
        assert_eq!(task, 0);
        assert!(attempts.insert(attempt), "attempt {attempt} is there twice");
    }
    // And so it goes in the second half: three are silent for ever, and the fourth is enough.
    let mut healthy = running.worker();
    let task = healthy.ask();
    let task = healthy.finish_and_go_on(&task);
    for _ in 0..3 {
        let mut worker = running.worker();
        assert_eq!(reduce(&worker.ask()), 0);
        silent.push(worker);
    }
    assert_eq!(healthy.finish(&task), None, "everything is done");
    running.end();
    for worker in silent {
        worker.assert_closed();
    }
}

#[test]
fn a_late_report_of_a_map_changes_nothing() {
    let folder = Folder::new();
    let running = Running::start(&idle_job(folder.path(), 2, 2));
    let mut holders = [running.worker(), running.worker()];
    let tasks = [holders[0].ask(), holders[1].ask()];
    let mut backup = running.worker();
    let copy = backup.ask();
    let finished = map(&copy);
    let other = map(&backup.finish_and_go_on(&copy));
    assert_ne!(other, finished, "a map is handed out that is reported");
    // Whoever was slow comes back, and repeats itself.
    let slow = usize::from(map(&tasks[1]) == finished);
    for _ in 0..2 {
        let next = holders[slow].finish_and_go_on(&tasks[slow]);
        assert_eq!(map(&next), other, "one of the two maps was reported, twice");
    }
    let Report::Mapped { files: of_slow, .. } = done(&tasks[slow]) else {
        panic!("a map was done");
    };
    let Report::Mapped { files: of_copy, .. } = done(&copy) else {
        panic!("a map was done");
    };
    let Task::Reduce { task, files, .. } = holders[1 - slow].finish_and_go_on(&tasks[1 - slow])
    else {
        panic!("both maps are reported");
    };
    let used = [&of_slow[task], &of_copy[task]];
    let used = files.iter().filter(|&file| used.contains(&file)).count();
    assert_eq!(
        (files.len(), used),
        (2, 1),
        "a reduce reads one file of each map, and not those of two copies: {files:?}"
    );
    assert!(
        files.contains(&of_copy[task]),
        "the copy was reported first, and this reduce reads the files of the late report: of the reduces of one job, those \
         handed out in between read others: {files:?}"
    );
}

#[test]
fn a_late_report_of_a_reduce_changes_nothing() {
    let folder = Folder::new();
    let running = Running::start(&idle_job(folder.path(), 0, 2));
    let mut holders = [running.worker(), running.worker()];
    let tasks = [holders[0].ask(), holders[1].ask()];
    let mut backup = running.worker();
    let copy = backup.ask();
    let finished = reduce(&copy);
    let other = reduce(&backup.finish_and_go_on(&copy));
    assert_ne!(other, finished, "a reduce is handed out that is reported");
    let slow = usize::from(reduce(&tasks[1]) == finished);
    for _ in 0..2 {
        let next = holders[slow].finish_and_go_on(&tasks[slow]);
        assert_eq!(reduce(&next), other, "one of two is reported, twice");
    }
    assert_eq!(holders[1 - slow].finish(&tasks[1 - slow]), None);
    running.end();
}

/// What it takes to be given 300 tasks, one after the other, if it does not take longer than `limit`.
fn time_to_ask(maps: usize, limit: Duration) -> Option<Duration> {
    let folder = Folder::new();
    let running = Running::start(&idle_job(folder.path(), maps, 1));
    let mut worker = running.worker();
    let begin = Instant::now();
    for _ in 0..300 {
        map(&worker.ask());
        if begin.elapsed() > limit {
            return None;
        }
    }
    Some(begin.elapsed())
}

#[test]
fn a_copy_is_handed_out_as_quickly_as_a_fresh_task() {
    let fresh = time_to_ask(300, Duration::MAX).expect("there is no limit");
    let limit = fresh * 10 + Duration::from_secs(2);
    // A machine that stands still for a moment is not the coordinator's fault; whoever waits does so each time.
    let in_time = (0..3).any(|_| time_to_ask(1, limit).is_some());
    assert!(
        in_time,
        "300 fresh tasks were handed out in {fresh:?}, and 300 copies of one take longer than {limit:?}, three times: whoever asks for work is \
         kept waiting until somebody else has been silent for long enough. A worker that is idle can begin at once, and how long \
         is long enough nobody knows."
    );
}

#[test]
fn a_job_may_have_many_tasks() {
    for (maps, partitions) in [(14, 140), (300, 2)] {
        does_many_tasks(maps, partitions);
    }
}

fn does_many_tasks(maps: usize, partitions: usize) {
    let folder = Folder::new();
    let job = idle_job(folder.path(), maps, partitions);
    let running = Running::start(&job);
    let mut worker = running.worker();
    let mut task = worker.ask();
    let mut answers = 0;
    let mut outputs = BTreeSet::new();
    loop {
        if let Task::Reduce { files, output, .. } = &task {
            assert_eq!(files.len(), maps, "a reduce reads a file of each map");
            outputs.insert(output.clone());
        }
        answers += 1;
        assert!(
            answers <= maps + partitions,
            "a single worker reports each task as it gets it, and of {maps} maps and {partitions} reduces it gets one again"
        );
        match worker.finish(&task) {
            Some(next) => task = next,
            None => break,
        }
    }
    running.end();
    assert_eq!(
        outputs,
        (0..partitions).map(|part| job.part(part)).collect()
    );
}

/// A worker that is busy keeps its connection: however many there are, the next one is answered at once.
#[test]
fn many_workers_are_answered() {
    const WORKERS: usize = 150;
    let folder = Folder::new();
    let running = Running::start(&idle_job(folder.path(), WORKERS, 1));
    let mut busy = Vec::new();
    let mut begun = BTreeSet::new();
    for _ in 0..WORKERS {
        let mut worker = running.worker();
        begun.insert(map(&worker.ask()));
        busy.push(worker);
    }
    assert_eq!(
        begun,
        set(0..WORKERS),
        "as many workers as maps, and each has begun another one"
    );
    let mut healthy = running.worker();
    let mut task = healthy.ask();
    while let Some(next) = healthy.finish(&task) {
        task = next;
    }
    running.end();
    for worker in busy {
        worker.assert_closed();
    }
}

#[test]
fn two_jobs_at_once_are_two() {
    let folders = [Folder::new(), Folder::new()];
    let small = Running::start(&idle_job(folders[0].path(), 1, 1));
    let job = idle_job(folders[1].path(), 3, 2);
    let large = Running::start(&job);
    let mut of_large = large.worker();
    let mut task = of_large.ask();
    let mut of_small = small.worker();
    let first = of_small.ask();
    let second = of_small.finish_and_go_on(&first);
    assert_eq!((map(&first), reduce(&second)), (0, 0));
    assert_eq!(of_small.finish(&second), None, "one job is done");
    small.end();
    let mut late = large.worker();
    assert_ne!(
        map(&late.ask()),
        map(&task),
        "the other job goes on as if it were alone"
    );
    let mut seen = Vec::new();
    loop {
        seen.push(task.clone());
        match of_large.finish(&task) {
            Some(next) => task = next,
            None => break,
        }
    }
    large.end();
    assert_eq!(seen.len(), 5, "three maps and two reduces: {seen:?}");
    assert!(output(&job).is_empty());
}

#[test]
fn folders_are_made_if_they_can_be() {
    let folder = Folder::new();
    let mut job = idle_job(folder.path(), 0, 1);
    job.output = folder.path().join("far/away/output");
    job.scratch = folder.path().join("far/away/scratch");
    for _ in 0..2 {
        // The second time they are there.
        let running = Running::start(&job);
        let mut worker = running.worker();
        let task = worker.ask();
        assert_eq!(worker.finish(&task), None, "everything is done");
        running.end();
    }
    let file = folder.path().join("file");
    fs::write(&file, "").expect("a file can be written");
    for (output, scratch) in [(&file, &job.scratch), (&job.output, &file)] {
        let job = Job {
            output: output.clone(),
            scratch: scratch.clone(),
            ..job.clone()
        };
        let coordinator = Coordinator::bind("127.0.0.1:0").expect("a port on loopback");
        let address = coordinator.address();
        let thread = std::thread::spawn(move || coordinator.run(&job));
        // Should it hand out tasks all the same, this one makes an end of it.
        if let Ok(stream) = TcpStream::connect(address) {
            let mut worker = Connection::new(stream);
            let _ = worker.send(&Report::Ready);
            if let Ok(Some(_)) = worker.receive::<Task>() {
                let _ = worker.send(&Report::Reduced { task: 0 });
                let _ = worker.receive::<Task>();
            }
        }
        let outcome = thread.join().expect("an error is no panic");
        assert!(
            outcome.is_err(),
            "a folder cannot be made, since a file lies there, and `run` does not say so"
        );
    }
}

#[test]
fn a_port_that_is_taken_is_an_error() {
    let first = Coordinator::bind("127.0.0.1:0").expect("a port on loopback");
    assert!(
        Coordinator::bind(first.address()).is_err(),
        "somebody listens at this port, and its second owner is not told: no worker will ever come"
    );
}

#[test]
fn a_report_of_no_task_of_the_job_changes_nothing() {
    let folder = Folder::new();
    let running = Running::start(&idle_job(folder.path(), 1, 2));
    let mut confused = running.worker();
    confused.ask();
    let file = || folder.path().join("nothing");
    for report in [
        Report::Mapped {
            task: 999,
            files: vec![file(), file()],
        },
        Report::Mapped {
            task: usize::MAX,
            files: vec![file(), file()],
        },
        Report::Mapped {
            task: 0,
            files: vec![file()], // of two
        },
        Report::Reduced { task: 2 },
        Report::Reduced { task: usize::MAX },
    ] {
        // To hang up on somebody who talks nonsense is fine.
        match confused.report(&report) {
            Some(task) => drop(map(&task)),
            None => {
                confused = running.worker();
                confused.ask();
            }
        }
    }
    let mut healthy = running.worker();
    let mut task = healthy.ask();
    assert_eq!(map(&task), 0, "the map is not done");
    let Report::Mapped { files: wanted, .. } = done(&task) else {
        panic!("a map was done");
    };
    loop {
        if let Task::Reduce { task, files, .. } = &task {
            assert_eq!(
                files,
                std::slice::from_ref(&wanted[*task]),
                "a report that lacks a file was taken for the map's"
            );
        }
        match healthy.finish(&task) {
            Some(next) => task = next,
            None => break,
        }
    }
    running.end();
}

#[test]
fn workers_that_hang_up_do_not_stop_the_job() {
    let folder = Folder::new();
    let running = Running::start(&idle_job(folder.path(), 2, 2));
    for _ in 0..5 {
        running.worker().ask();
    }
    drop(running.worker()); // connects and says nothing
    let mut healthy = running.worker();
    let mut task = healthy.ask();
    while let Some(next) = healthy.finish(&task) {
        task = next;
    }
    running.end();
}

#[test]
fn a_stranger_does_not_disturb_the_job() {
    let folder = Folder::new();
    let running = Running::start(&idle_job(folder.path(), 1, 1));
    let mut stranger = TcpStream::connect(running.address).expect("the coordinator listens");
    let said = stranger.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
    said.expect("something can be said");
    let mut worker = running.worker();
    let mut task = worker.ask();
    while let Some(next) = worker.finish(&task) {
        task = next;
    }
    running.end();
    let _ = stranger.read(&mut [0]);
}

#[test]
fn run_closes_every_connection() {
    let folder = Folder::new();
    let running = Running::start(&idle_job(folder.path(), 1, 1));
    let silent = running.worker(); // connects and never asks
    let mut busy = running.worker();
    busy.ask();
    let mut healthy = running.worker();
    let task = healthy.ask();
    let task = healthy.finish_and_go_on(&task);
    assert_eq!(healthy.finish(&task), None);
    running.end();
    silent.assert_closed();
    busy.assert_closed();
}

#[test]
fn a_job_without_inputs_has_empty_output() {
    let folder = Folder::new();
    let job = idle_job(folder.path(), 0, 3);
    let running = Running::start(&job);
    let mut worker = running.worker();
    let mut task = worker.ask();
    let mut reduces = Vec::new();
    loop {
        let Task::Reduce { files, .. } = &task else {
            panic!("there is nothing to map");
        };
        assert!(files.is_empty());
        reduces.push(reduce(&task));
        match worker.finish(&task) {
            Some(next) => task = next,
            None => break,
        }
    }
    assert_eq!(set(reduces), set(0..3));
    running.end();
    assert!(output(&job).is_empty());
}

#[test]
fn a_job_without_partitions_is_refused() {
    let folder = Folder::new();
    let job = idle_job(folder.path(), 1, 0);
    let coordinator = Coordinator::bind("127.0.0.1:0").expect("a port on loopback");
    let panic = catch_unwind(|| coordinator.run(&job)).expect_err("there is nowhere to put output");
    let said = panic.downcast_ref::<&str>().map(|said| (*said).to_owned());
    let said = said.or_else(|| panic.downcast_ref::<String>().cloned());
    let said = said.unwrap_or_default();
    assert!(
        said.contains("a job has at least one partition"),
        "the panic says something else: {said:?}"
    );
}

/// Inputs, and the tasks of a job over them.
struct Desk {
    inputs: Vec<(&'static str, &'static str)>,
    job: Job,
    attempts: usize,
    _folder: Folder,
}

impl Desk {
    fn new(partitions: usize, inputs: &[(&'static str, &'static str)]) -> Self {
        let folder = Folder::new();
        let job = job(
            folder.path(),
            partitions,
            write_inputs(folder.path(), inputs),
        );
        fs::create_dir_all(&job.output).expect("a folder");
        fs::create_dir_all(&job.scratch).expect("a folder");
        Self {
            inputs: inputs.to_vec(),
            job,
            attempts: 0,
            _folder: folder,
        }
    }

    fn map(&mut self, task: usize) -> Task {
        self.attempts += 1;
        Task::Map {
            task,
            attempt: self.attempts,
            input: self.job.inputs[task].clone(),
            partitions: self.job.partitions,
            scratch: self.job.scratch.clone(),
        }
    }

    fn reduce(&mut self, task: usize, maps: &[Vec<PathBuf>]) -> Task {
        self.attempts += 1;
        Task::Reduce {
            task,
            attempt: self.attempts,
            files: maps.iter().map(|files| files[task].clone()).collect(),
            output: self.job.part(task),
            scratch: self.job.scratch.clone(),
        }
    }
}

const INPUTS: [(&str, &str); 3] = [
    ("a", "the whale, the sea and the ship"),
    ("b", "the ship"),
    ("c", "whale whale"),
];

/// Has `worker` do all maps.
fn map_all(worker: &mut Hired, desk: &mut Desk) -> Vec<Vec<PathBuf>> {
    (0..desk.inputs.len())
        .map(|number| match worker.give(&desk.map(number)) {
            Report::Mapped { task, files } => {
                assert_eq!(task, number, "the worker reports another task");
                assert_eq!(files.len(), desk.job.partitions, "a file a partition");
                files
            }
            other => panic!("a map was reported as {other:?}"),
        })
        .collect()
}

#[test]
fn a_worker_does_what_it_is_told() {
    let mut desk = Desk::new(3, &INPUTS);
    let mut worker = Hired::new(&InvertedIndex);
    assert_eq!(worker.report(), Report::Ready, "it asks first");
    let maps = map_all(&mut worker, &mut desk);
    assert!(super::support::names_in_output(&desk.job).is_empty());
    for number in 0..3 {
        let report = worker.give(&desk.reduce(number, &maps));
        assert_eq!(report, Report::Reduced { task: number });
    }
    assert_eq!(output(&desk.job), sequential(&InvertedIndex, &desk.inputs));
    for number in 0..3 {
        let text = fs::read_to_string(desk.job.part(number)).expect("a part can be read");
        for line in text.lines() {
            let key = line.split(' ').next().unwrap_or_default();
            assert_eq!(partition(key, 3), number, "{key:?} is in part {number}");
        }
    }
    let end = worker.hang_up();
    assert!(end.is_ok(), "the end of the job is no error: {end:?}");
}

#[test]
fn two_attempts_share_no_file() {
    let mut desk = Desk::new(2, &INPUTS);
    let mut workers = [Hired::new(&WordCount), Hired::new(&WordCount)];
    let mut seen = BTreeSet::new();
    for worker in &mut workers {
        worker.report();
        for _ in 0..2 {
            let Report::Mapped { files, .. } = worker.give(&desk.map(0)) else {
                panic!("a map was done");
            };
            for file in files {
                assert!(
                    seen.insert(file.clone()),
                    "{} is written by two attempts: a slow one would write into what a reduce reads",
                    file.display()
                );
            }
        }
    }
}

#[test]
fn an_output_that_is_there_is_replaced() {
    let mut desk = Desk::new(1, &INPUTS);
    fs::write(desk.job.part(0), "yesterday 1\n").expect("a file can be written");
    let open = fs::File::open(desk.job.part(0)).expect("a file can be opened");
    let mut worker = Hired::new(&WordCount);
    worker.report();
    let maps = map_all(&mut worker, &mut desk);
    for _ in 0..2 {
        worker.give(&desk.reduce(0, &maps));
        assert_eq!(output(&desk.job), sequential(&WordCount, &desk.inputs));
    }
    let seen = std::io::read_to_string(open).expect("an open file can be read");
    assert_eq!(
        seen, "yesterday 1\n",
        "whoever had yesterday's output open sees it change while it is written: it has to be replaced as a whole"
    );
}

/// Sees what is in the output folder between any two steps of a worker: the kernel tells of all of them.
#[cfg(target_os = "linux")]
struct Reader(inotify::Inotify);

#[cfg(target_os = "linux")]
impl Reader {
    fn new(folder: &std::path::Path) -> Self {
        use inotify::{Inotify, WatchMask};
        let reader = Inotify::init().expect("the kernel tells what happens in a folder");
        let what = WatchMask::CREATE | WatchMask::MODIFY | WatchMask::DELETE | WatchMask::MOVE;
        let watched = reader.watches().add(folder, what);
        watched.expect("the folder is there");
        Self(reader)
    }

    /// What has happened since the last look? Panics if a reader would have been misled meanwhile.
    fn appeared(&mut self) -> Vec<String> {
        use inotify::EventMask;
        let mut appeared = Vec::new();
        let mut buffer = [0; 4096];
        while let Ok(events) = self.0.read_events(&mut buffer) {
            for event in events {
                let name = event
                    .name
                    .unwrap_or_default()
                    .to_string_lossy()
                    .into_owned();
                assert!(
                    !event.mask.contains(EventMask::MODIFY),
                    "{name} is written to while everybody can see it: a reader takes a piece for the whole in this moment, and if \
                     the worker dies here, so does everybody. The last piece may lie in a buffer that is emptied when the file is \
                     closed."
                );
                assert!(
                    !event
                        .mask
                        .intersects(EventMask::DELETE | EventMask::MOVED_FROM),
                    "{name} is taken away: a reader finds no output in this moment, and if the worker dies here, nobody ever does"
                );
                appeared.push(name);
            }
        }
        appeared
    }
}

#[cfg(target_os = "linux")]
#[test]
fn an_output_is_whole_at_every_moment() {
    let words = (0..3_000).map(|number| format!("word{number}"));
    let text: &str = words.collect::<Vec<_>>().join(" ").leak();
    let mut desk = Desk::new(1, &[("a", text)]);
    let mut reader = Reader::new(&desk.job.output);
    let mut worker = Hired::new(&WordCount);
    worker.report();
    let maps = map_all(&mut worker, &mut desk);
    for _ in 0..3 {
        // The second one and the third are copies that come late.
        worker.give(&desk.reduce(0, &maps));
        assert_eq!(
            reader.appeared(),
            ["part-00000"],
            "what came into the output folder before the reduce was reported"
        );
    }
    let end = worker.hang_up();
    assert!(end.is_ok(), "the end of the job is no error: {end:?}");
    let nothing: [String; 0] = [];
    assert_eq!(reader.appeared(), nothing, "after the last report");
    assert_eq!(output(&desk.job), sequential(&WordCount, &desk.inputs));
}

#[cfg(not(target_os = "linux"))]
#[test]
fn an_output_is_whole_at_every_moment() {
    kata::check::skip("only Linux tells a check all that happens in a folder");
}

#[test]
fn a_worker_that_finds_no_coordinator_says_so() {
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").expect("a port on loopback");
    let address = nobody.local_addr().expect("an address");
    drop(nobody);
    assert!(
        map_reduce::worker(address, &WordCount).is_err(),
        "nobody listens at this address, and the worker ends as if the job were done: a wrong address looks like success"
    );
}

#[test]
fn a_worker_that_cannot_read_or_write_a_file_says_so() {
    let fail = |desk: &Desk, task: Task| {
        let mut worker = Hired::new(&WordCount);
        worker.report();
        let error = worker.fail(&task);
        assert!(
            !super::support::names_in_output(&desk.job).contains(&"part-00000".to_owned()),
            "a task has failed with {error}, and there is an output"
        );
    };
    let mut desk = Desk::new(1, &INPUTS);
    let mut worker = Hired::new(&WordCount);
    worker.report();
    let maps = map_all(&mut worker, &mut desk);

    let task = desk.reduce(0, &maps);
    fs::remove_file(&maps[1][0]).expect("a file of a map is there");
    fail(&desk, task); // a reduce whose file is lost: its output would lack what was in there
    let task = desk.map(0);
    fs::remove_file(&desk.job.inputs[0]).expect("an input is there");
    fail(&desk, task); // a map whose input is lost
    let task = desk.map(1);
    fs::write(&desk.job.inputs[1], [0xff, 0xfe]).expect("a file can be written");
    fail(&desk, task); // a map whose input is no text
    let Task::Map {
        attempt,
        input,
        partitions,
        ..
    } = desk.map(2)
    else {
        unreachable!("a map was asked for");
    };
    let scratch = desk.job.inputs[2].clone(); // A file, in which nothing can be written.
    fail(
        &desk,
        Task::Map {
            task: 2,
            attempt,
            input,
            partitions,
            scratch,
        },
    );
}

/// Keys and values that a file of lines cannot hold as they are, and keys whose place a value must not decide.
struct Odd;

impl map_reduce::App for Odd {
    fn map(&self, _input: &str, _text: &str) -> Vec<(String, String)> {
        let keys = [
            "new york",
            "new",
            "a\tb",
            "a",
            "Zürich",
            "\u{1}",
            "zebra",
            "鯨",
            "\"quoted\"",
        ];
        let values = [
            "",
            "two\nlines",
            "a\ttab",
            " ",
            "\r\n",
            "\\n",
            &"long ".repeat(5_000),
        ];
        keys.iter()
            .flat_map(|key| {
                values
                    .iter()
                    .map(|value| ((*key).to_owned(), (*value).to_owned()))
            })
            .collect()
    }

    fn reduce(&self, _key: &str, values: &[String]) -> String {
        let mut lengths: Vec<_> = values.iter().map(String::len).collect();
        lengths.sort_unstable();
        format!("z{lengths:?}")
    }
}

#[test]
fn keys_and_values_are_kept_as_they_are() {
    let mut desk = Desk::new(1, &[("a", "")]);
    let mut worker = Hired::new(&Odd);
    worker.report();
    let maps = map_all(&mut worker, &mut desk);
    for number in 0..1 {
        worker.give(&desk.reduce(number, &maps));
        let mut wanted = String::new();
        let wanted_pairs = std::collections::BTreeMap::from_iter(
            map_reduce::App::map(&Odd, "", "")
                .into_iter()
                .map(|(key, _)| (key, ())),
        );
        let values: Vec<_> = map_reduce::App::map(&Odd, "", "")
            .into_iter()
            .filter_map(|(key, value)| (key == "a").then_some(value))
            .collect();
        for key in wanted_pairs
            .keys()
            .filter(|key| partition(key, 1) == number)
        {
            wanted += &format!("{key} {}\n", map_reduce::App::reduce(&Odd, key, &values));
        }
        assert_eq!(
            fs::read_to_string(desk.job.part(number)).expect("a part can be read"),
            wanted,
            "keys with tabs, spaces and control characters, and values with line ends: one line a key, in ascending order of the \
             keys, and each value as it was given (the lengths are shown)"
        );
    }
}

#[test]
fn nobody_listens_when_run_is_over() {
    let folder = Folder::new();
    let running = Running::start(&idle_job(folder.path(), 0, 1));
    let address = running.address;
    let mut worker = running.worker();
    let task = worker.ask();
    assert_eq!(worker.finish(&task), None, "everything is done");
    running.end();
    assert!(
        TcpStream::connect(address).is_err(),
        "run has returned, and somebody still listens at its port: a service that runs many jobs leaks a thread and a port a job, \
         and a worker that comes late waits for an answer"
    );
}
