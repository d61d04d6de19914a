//! What runs too long or uses too much is stopped by the guard made for it, and nothing else is.

use std::process::{Child, Command};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::fixture::{find, is_running, message};
use super::small::{Exercise, Small, answers};

/// Names of exercises and what the learner made of them.
const SOURCES: &[(&str, &str)] = &[
    (
        "spins",
        "pub fn answer() -> u32 { loop { std::hint::spin_loop() } }",
    ),
    (
        "sleeps",
        "pub fn answer() -> u32 { std::thread::spawn(|| std::thread::park()).join().unwrap(); 42 }",
    ),
    (
        "sleeps_and_looks",
        "pub fn answer() -> u32 { loop { std::thread::sleep(std::time::Duration::from_secs(2)) } }",
    ),
    (
        "spins_elsewhere",
        "pub fn answer() -> u32 { std::process::Command::new(\"sh\").args([\"-c\", \"while :; do :; done\"]).status().unwrap(); 42 }",
    ),
    (
        "waits_for_work",
        "pub fn answer() -> u32 { let work = \"n=0; while [ $n -lt 300000 ]; do n=$((n+1)); done\"; std::process::Command::new(\"sh\").args([\"-c\", work]).status().unwrap(); 42 }",
    ),
    // Grows to 2048 processes, which sleep, unless it is stopped.
    (
        "multiplies",
        "unsafe extern \"C\" { safe fn fork() -> i32; }\npub fn answer() -> u32 { for _ in 0..11 { fork(); } std::thread::sleep(std::time::Duration::from_secs(20)); 42 }",
    ),
    (
        "prints_for_ever",
        "pub fn answer() -> u32 { let line = \"x\".repeat(1 << 16); for _ in 0..160_000 { println!(\"{line}\"); } 42 }",
    ),
    (
        "writes_a_long_file",
        "use std::io::{Seek, SeekFrom, Write};\npub fn answer() -> u32 { let mut file = std::fs::File::create(std::env::temp_dir().join(\"long\")).unwrap(); file.seek(SeekFrom::Start(1 << 30)).unwrap(); file.write_all(b\"x\").unwrap(); 42 }",
    ),
    (
        "writes_for_ever",
        "use std::io::Write;\npub fn answer() -> u32 { let mut hole = std::fs::File::create(\"/dev/null\").unwrap(); let page = [0; 1 << 16]; loop { hole.write_all(&page).unwrap(); } }",
    ),
];

/// What is measured by CPU time takes long enough without others beside it.
fn one_at_a_time() -> MutexGuard<'static, ()> {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Six checks, each of which hangs.
const HANGS_OFTEN: Exercise = Exercise {
    name: "hangs_often",
    manifest: "",
    checks: &[
        ("main.rs", "mod unit;\n"),
        (
            "unit.rs",
            "use answer::answer;\n#[test] fn a() { answer(); }\n#[test] fn b() { answer(); }\n#[test] fn c() { answer(); }\n#[test] fn d() { answer(); }\n#[test] fn e() { answer(); }\n#[test] fn f() { answer(); }\n",
        ),
    ],
};

fn course(name: &str, sources: &[(&'static str, &str)], others: &[Exercise]) -> Small {
    let exercises = sources.iter().map(|(name, _)| answers(name));
    let exercises: Vec<Exercise> = exercises.chain(others.iter().copied()).collect();
    let course = Small::write(name, &exercises);
    for (name, source) in sources {
        course.solve(name, source);
    }
    course
}

#[test]
fn each_guard_stops_what_it_is_for_and_says_so() {
    let _guard = one_at_a_time();
    let course = course("guards", SOURCES, &[HANGS_OFTEN]);
    let hangs = "pub fn answer() -> u32 { loop { std::thread::park() } }";
    course.solve("hangs_often", hangs);
    let result = course.grade(&["--hang-guard", "4", "--jobs", "2"]);
    for (name, state, words) in [
        ("spins", "hanging", "had used 4 s of CPU time"),
        ("sleeps", "hanging", "For 4 s all its threads slept"),
        (
            "sleeps_and_looks",
            "hanging",
            "For 4 s all its threads slept",
        ),
        ("spins_elsewhere", "hanging", "had used 4 s of CPU time"),
        ("multiplies", "failing", "more than 256 processes at once"),
        ("prints_for_ever", "failing", "printed more than 256 MiB"),
        (
            "writes_a_long_file",
            "failing",
            "wrote a file longer than 1024 MiB",
        ),
        ("writes_for_ever", "failing", "wrote more than 4096 MiB"),
    ] {
        assert_eq!(find(&result, name)["state"], state, "{name}");
        let message = message(&result, name);
        assert!(message.contains(words), "{name}: {message}");
    }
    assert_eq!(find(&result, "waits_for_work")["state"], "passing");

    let failures = find(&result, "hangs_often")["checks"][0]["failures"].as_array();
    let messages: Vec<&str> = failures.unwrap().iter().map(text_of).collect();
    assert_eq!(messages.len(), 6);
    let short =
        |message: &&&str| message.contains("For 2 s") && message.contains("had hung before");
    let short = messages.iter().filter(short).count();
    assert!(
        short >= 4,
        "two at a time, so at most two without warning: {messages:#?}"
    );
}

fn text_of(failure: &Value) -> &str {
    failure["message"].as_str().unwrap()
}

/// Eight processes of 900 MiB each, where each may have 4 GiB and all together no more.
const HOARDS: &[(&str, &str)] = &[(
    "hoards_in_company",
    "unsafe extern \"C\" { safe fn fork() -> i32; }\npub fn answer() -> u32 { for _ in 0..3 { fork(); } let hoard = vec![1_u8; 900 << 20]; std::thread::sleep(std::time::Duration::from_secs(20)); u32::from(hoard[7]) * 42 }",
)];

#[test]
fn the_memory_of_all_processes_of_a_test_is_limited() {
    let _guard = one_at_a_time();
    let result = course("hoards", HOARDS, &[]).grade(&[]);
    assert_eq!(find(&result, "hoards_in_company")["state"], "failing");
    let message = message(&result, "hoards_in_company");
    let words = "together its processes had more than 4096 MiB";
    assert!(message.contains(words), "{message}");
}

#[test]
fn a_compiler_that_does_not_end_is_stopped_and_its_neighbours_are_graded() {
    let _guard = one_at_a_time();
    let sources = [
        (
            "never_ends",
            "#![allow(long_running_const_eval)]\nconst END: u64 = { let mut n = 0; while n < u64::MAX { n += 1; } n };\npub fn answer() -> u32 { END as u32 }",
        ),
        (
            "reads_a_pipe",
            "const TEXT: &str = include_str!(\"../pipe\");\npub fn answer() -> u32 { TEXT.len() as u32 }",
        ),
        (
            "reads_a_device",
            "const ZEROS: &[u8] = include_bytes!(\"/dev/zero\");\npub fn answer() -> u32 { ZEROS.len() as u32 }",
        ),
        ("solved", "pub fn answer() -> u32 { 42 }"),
    ];
    let course = course("compilers", &sources, &[]);
    let pipe = course.root.join(course.path("reads_a_pipe", "pipe"));
    assert!(Command::new("mkfifo").arg(pipe).status().unwrap().success());
    let result = course.grade(&["--hang-guard", "3"]);
    for (name, words) in [
        ("never_ends", "The compiler had used 20 s of CPU time"),
        ("reads_a_pipe", "The compiler slept for 30 s"),
        ("reads_a_device", "The compiler used more than 4096 MiB"),
    ] {
        assert_eq!(find(&result, name)["state"], "wont_compile", "{name}");
        let message = message(&result, name);
        assert!(message.contains(words), "{name}: {message}");
    }
    assert_eq!(find(&result, "solved")["state"], "passing");
}

/// Keeps one processor busy until it is dropped.
struct Spinner(Child);

impl Drop for Spinner {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// What it needs is a part of a second of CPU time, by one thread, by four that spin for each other, and by a child.
const RIGHT: &[(&str, &str)] = &[
    (
        "computes",
        "pub fn answer() -> u32 { let mut n = 1_u64; for i in 0..60_000_000 { n = std::hint::black_box(n ^ i); } u32::from(n > 0) * 42 }",
    ),
    (
        "takes_turns",
        "use std::sync::{Condvar, Mutex};\npub fn answer() -> u32 { let turn = Mutex::new(0); let changed = Condvar::new(); std::thread::scope(|scope| { for me in 0..4 { let (turn, changed) = (&turn, &changed); scope.spawn(move || for _ in 0..500 { let mut turn = changed.wait_while(turn.lock().unwrap(), |turn| *turn % 4 != me).unwrap(); *turn += 1; changed.notify_all(); }); } }); 42 }",
    ),
    (
        "waits",
        "pub fn answer() -> u32 { let work = \"n=0; while [ $n -lt 100000 ]; do n=$((n+1)); done\"; std::process::Command::new(\"sh\").args([\"-c\", work]).status().unwrap(); 42 }",
    ),
];

#[test]
fn beside_twenty_busy_processes_nothing_right_hangs() {
    let _guard = one_at_a_time();
    let course = course("busy", RIGHT, &[]);
    // What is built already is not built beside them.
    assert_eq!(course.run(&[]).status.code(), Some(0));
    let spin = || {
        let spinner = Command::new("sh")
            .args(["-c", "while :; do :; done # 86343"])
            .spawn();
        Spinner(spinner.unwrap())
    };
    let spinners: Vec<Spinner> = (0..20).map(|_| spin()).collect();
    let begin = Instant::now();
    let result = course.grade(&["--no-cache", "--hang-guard", "3"]);
    let taken = begin.elapsed();
    assert!(is_running("while :; do :; done # 86343"));
    drop(spinners);
    for (name, _) in RIGHT {
        let state = &find(&result, name)["state"];
        assert_eq!(state, "passing", "{result:#}");
    }
    assert!(
        taken > Duration::from_secs(3),
        "the machine was not busy: {taken:?}"
    );
}
