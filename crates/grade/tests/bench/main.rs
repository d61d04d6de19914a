//! `bench` on a small course in which everything that can go wrong does, none of it with an effect on its neighbours.

#![cfg(unix)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;

/// A name, and the body of `pub fn nanoseconds() -> f64`, which the bench says it has measured; none leaves the stub.
const EXERCISES: [(&str, Option<&str>); 8] = [
    ("fresh", None),
    ("fast", Some("50.0")),
    ("slow", Some("200.0")),
    ("does_not_compile", Some("\"fifty\"")),
    ("panics", Some("panic!(\"lost its way\")")),
    (
        "hangs",
        Some(
            "std::fs::write(\"hanging\", std::process::id().to_string()).unwrap(); loop { std::thread::park() }",
        ),
    ),
    ("exits", Some("std::process::exit(0)")),
    ("without_peer", Some("50.0")),
];

/// What the bench of every exercise does. It must be alone: it fails if another one is at work.
const PEERS: &str = r###"
pub fn main() {
    let ours = NAME::nanoseconds();
    let at_work = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../at_work");
    std::fs::File::create_new(at_work).expect("nobody else is at work");
    let begin = std::time::Instant::now();
    while begin.elapsed().as_millis() < 50 {}
    std::fs::remove_file(at_work).unwrap();
    let spread = |median: f64| format!(r##"{{"lower":{},"median":{median},"upper":{}}}"##, median * 0.9, median * 1.1);
    let report = format!(
        r##"{{"nonce":"{}","schema":"kata/bench/v1","speedup":1.1,"scenarios":[{{"name":"1 thread","rounds":41,
            "ours":{{"name":"Ours","nanoseconds":{}}},
            "peers":[{{"name":"Peer","nanoseconds":{},"ratio":{},"star":{}}}]}}]}}"##,
        std::env::var("KATA_NONCE").unwrap(), spread(ours), spread(100.0), spread(ours / 100.0), ours <= 100.0,
    );
    println!("noise");
    std::fs::write(std::env::var("KATA_REPORT").unwrap(), report).unwrap();
}
"###;

struct Course(PathBuf);

impl Course {
    /// Writes the course, has the grader lock it, then lets the learner loose on it.
    fn write(name: &str) -> Self {
        let root = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        let _ = fs::remove_dir_all(&root);
        let course = Self(root);
        course.put(
            "Cargo.toml",
            "[workspace]\nresolver = \"3\"\nmembers = [\"exercises/*/*\", \"solutions/*/*\"]\n",
        );
        for (name, _) in EXERCISES {
            let manifest = |package: &str| {
                format!(
                    "[package]\nname = \"{package}\"\nversion = \"0.1.0\"\nedition = \"2024\"\n[features]\npeers = []\n"
                )
            };
            let bench =
                "[[bench]]\nname = \"peers\"\nharness = false\nrequired-features = [\"peers\"]\n";
            let peers = PEERS.replace("NAME", name);
            let mut own = manifest(name);
            if name != "without_peer" {
                own.push_str(bench);
                course.put(&Self::path(name, "benches/peers.rs"), &peers);
            }
            course.put(&Self::path(name, "Cargo.toml"), &own);
            course.put(
                &Self::path(name, "src/lib.rs"),
                "pub fn nanoseconds() -> f64 { todo!() }\n",
            );
            let solution = |rest: &str| format!("solutions/{}", &Self::path(name, rest)[10..]);
            if name == "slow" {
                course.put(
                    &solution("Cargo.toml"),
                    &(manifest("slow_solution") + bench),
                );
                course.put(
                    &solution("src/lib.rs"),
                    "pub fn nanoseconds() -> f64 { 99.0 }\n",
                );
                course.put(
                    &solution("benches/peers.rs"),
                    &format!(
                        "extern crate slow_solution as slow;\n#[path = \"../../../../{}\"]\nmod peers;\nfn main() {{ peers::main(); }}\n",
                        Self::path(name, "benches/peers.rs")
                    ),
                );
            }
        }
        let cargo = Command::new(env!("CARGO"))
            .args(["generate-lockfile", "--offline", "--quiet"])
            .current_dir(&course.0)
            .status();
        assert!(cargo.unwrap().success());
        assert!(course.run(&["lock", "--author"]).status.success());
        for (name, body) in EXERCISES {
            if let Some(body) = body {
                let source = format!("pub fn nanoseconds() -> f64 {{ {body} }}\n");
                course.put(&Self::path(name, "src/lib.rs"), &source);
            }
        }
        course
    }

    fn path(name: &str, rest: &str) -> String {
        let index = EXERCISES.iter().position(|known| known.0 == name).unwrap();
        format!("exercises/phase1_internals/{:02}_{name}/{rest}", index + 1)
    }

    fn put(&self, path: &str, text: &str) {
        let path = self.0.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn grader(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_grade"));
        command
            .arg("--course")
            .arg(&self.0)
            .args(arguments)
            .env("CARGO_TARGET_DIR", self.0.join("target"))
            .stdin(Stdio::null());
        for name in ["NO_COLOR", "CLICOLOR_FORCE"] {
            command.env_remove(name);
        }
        command
    }

    fn run(&self, arguments: &[&str]) -> Output {
        self.grader(arguments).output().unwrap()
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn json(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}\n{}", text(&output.stderr)))
}

/// One course for all: each use of it builds everything anew.
#[test]
fn whatever_goes_wrong_is_told_and_the_others_are_measured() {
    let course = Course::write("bench");

    let output = course.run(&["bench", "--json", "--hang-guard", "3"]);
    let result = json(&output);
    assert_eq!(output.status.code(), Some(1), "{result:#}");
    assert_eq!(result["schema"], "kata/bench-result/v1");
    assert_eq!(result["target"], "exercises");
    let exercises = result["exercises"].as_array().unwrap();
    let found: Vec<_> = exercises
        .iter()
        .map(|exercise| {
            (
                exercise["name"].as_str().unwrap(),
                exercise["state"].as_str().unwrap(),
                exercise["message"].as_str().unwrap_or(""),
            )
        })
        .collect();
    for ((name, state, message), (expected_name, expected_state, words)) in found.iter().zip([
        ("fresh", "not_started", ""),
        ("fast", "measured", ""),
        ("slow", "measured", ""),
        ("does_not_compile", "wont_compile", "mismatched types"),
        ("panics", "failed", "lost its way"),
        ("hangs", "hanging", "For 3 s all its threads slept"),
        ("exits", "failed", "without saying what it measured"),
        ("without_peer", "no_peer", ""),
    ]) {
        assert_eq!((*name, *state), (expected_name, expected_state));
        assert!(message.contains(words), "{name}: {message}");
    }
    let peer = &exercises[1]["scenarios"][0]["peers"][0];
    assert_eq!(
        (&peer["star"], &peer["name"]),
        (&true.into(), &"Peer".into())
    );
    assert_eq!(peer["ratio"]["median"], 0.5);
    assert_eq!(exercises[2]["scenarios"][0]["peers"][0]["star"], false);

    let output = course.run(&["bench", "fast", "slow", "fresh"]);
    let stdout = text(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{stdout}");
    assert!(!output.stdout.contains(&0x1b), "{stdout}");
    for words in [
        "50.0 ns  100.0 ns  Peer  0.50 (0.45 to 0.55)  ★\n",
        "200.0 ns  100.0 ns  Peer  2.00 (1.80 to 2.20)\n",
        "The machine was busy",
        "1.01 fresh: not started",
    ] {
        assert!(stdout.contains(words), "{words:?} is missing:\n{stdout}");
    }

    let output = course.run(&["bench", "--solutions", "--json", "slow"]);
    let result = json(&output);
    assert_eq!(output.status.code(), Some(0), "{result:#}");
    assert_eq!(result["target"], "solutions");
    let ours = &result["exercises"][0]["scenarios"][0]["ours"];
    assert_eq!(ours["nanoseconds"]["median"], 99.0);

    // A manifest that cargo would refuse, and with it all others.
    let manifest = Course::path("slow", "Cargo.toml");
    let whole = fs::read_to_string(course.0.join(&manifest)).unwrap();
    course.put(&manifest, &whole.replace("peers = []", ""));
    let output = course.run(&["bench", "--json", "fast", "slow"]);
    assert_eq!(output.status.code(), Some(1));
    let result = json(&output);
    assert_eq!(result["exercises"][0]["state"], "measured", "{result:#}");
    let message = result["exercises"][1]["message"].as_str().unwrap();
    assert!(
        message.contains("Cargo.toml is not the course's own"),
        "{message}"
    );
    course.put(&manifest, &whole);

    let output = course.run(&["bench", "fats"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("Did you mean `fast`?"));

    interrupt(&course);
}

/// Ctrl-C ends the grader and what it measures.
fn interrupt(course: &Course) {
    let started = course.0.join(Course::path("hangs", "hanging"));
    let _ = fs::remove_file(&started);
    let mut grader = course
        .grader(&["bench", "hangs", "--hang-guard", "1000"])
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let program: u32 = loop {
        let id = fs::read_to_string(&started).unwrap_or_default();
        match id.parse() {
            Ok(id) => break id,
            Err(_) if grader.try_wait().unwrap().is_some() => panic!("ended by itself"),
            Err(_) => std::thread::yield_now(),
        }
    };
    let kill = format!("kill -INT {}", grader.id());
    let sent = Command::new("sh").args(["-c", &kill]).status();
    assert!(sent.unwrap().success());
    let output = grader.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130), "{}", text(&output.stderr));
    assert!(!cfg!(target_os = "linux") || !fs::exists(format!("/proc/{program}")).unwrap());
}
