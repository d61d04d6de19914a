//! A small course, written to disk with one learner who makes every mistake. One exercise needs `kata`, the others nothing.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;

/// An exercise, and what the learner made of it.
pub struct Exercise {
    pub name: &'static str,
    /// The body of `pub fn answer() -> u32`; none leaves the stub.
    pub body: Option<&'static str>,
    /// What else the learner put into src/lib.rs.
    pub rest: &'static str,
}

const fn exercise(name: &'static str, body: &'static str) -> Exercise {
    Exercise {
        name,
        body: Some(body),
        rest: "",
    }
}

pub const EXERCISES: [Exercise; 21] = [
    Exercise {
        name: "fresh",
        body: None,
        rest: "",
    },
    exercise("solved", "42"),
    exercise("wrong", "41"),
    exercise("does_not_compile", "\"forty-two\""),
    exercise(
        "deadlocks",
        "let lock = std::sync::Mutex::new(42); let _first = lock.lock().unwrap(); *lock.lock().unwrap()",
    ),
    exercise(
        "spins",
        "std::fs::write(\"spinning\", std::process::id().to_string()).unwrap(); loop { std::hint::spin_loop() }",
    ),
    exercise("exits", "std::process::exit(0)"),
    exercise("aborts", "std::process::abort()"),
    Exercise {
        name: "panics_twice",
        body: Some("let _bomb = Bomb; panic!(\"first panic\")"),
        rest: "struct Bomb;\nimpl Drop for Bomb { fn drop(&mut self) { panic!(\"second panic\") } }\n",
    },
    Exercise {
        name: "recurses",
        body: Some("deeper(1) as u32"),
        rest: "#[inline(never)]\nfn deeper(depth: u64) -> u64 { let page = [depth; 512]; if depth == 0 { 0 } else { deeper(std::hint::black_box(depth + 1)) + std::hint::black_box(page)[0] } }\n",
    },
    exercise(
        "hoards",
        "let mut hoard: Vec<Vec<u8>> = Vec::new(); loop { hoard.push(Vec::with_capacity(256 << 20)); std::hint::black_box(&hoard); }",
    ),
    exercise(
        "floods",
        "let line = \"x\".repeat(1 << 20); for _ in 0..8 { println!(\"{line}\"); eprintln!(\"{line}\"); } 42",
    ),
    exercise(
        "leaves_child",
        "std::process::Command::new(\"sleep\").arg(\"86341\").spawn().unwrap(); 42",
    ),
    exercise(
        "child_escapes",
        "std::process::Command::new(\"setsid\").args([\"sleep\", \"86342\"]).spawn().unwrap(); 42",
    ),
    exercise("test_deleted", "42"),
    exercise("test_ignored", "42"),
    exercise("test_edited", "41"),
    exercise("not_utf8", "42"),
    exercise("lost_source", "42"),
    exercise(
        "skips",
        "kata::check::require_program(\"no-such-server\", \"get it\"); 42",
    ),
    exercise(
        "explains",
        "std::fs::write(std::env::var(\"KATA_REPORT\").unwrap(), r#\"{\"nonce\":\"NONCE\",\"schema\":\"kata/failure/v1\",\"headline\":\"data race\",\"why\":\"nothing orders them\",\"replay\":\"cargo test -p explains\",\"text\":\"the picture\"}\"#.replace(\"NONCE\", &std::env::var(\"KATA_NONCE\").unwrap())).unwrap(); panic!(\"raw\")",
    ),
];

/// A child that only the grader may have killed.
pub const SLEEPERS: [&str; 2] = ["86341", "86342"];

pub struct Course {
    pub root: PathBuf,
}

impl Course {
    /// Writes the course, has the grader lock it, then lets the learner loose on it.
    pub fn write(name: &str) -> Self {
        let root = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        let _ = fs::remove_dir_all(&root);
        let course = Self { root };
        course.put(
            "Cargo.toml",
            "[workspace]\nresolver = \"3\"\nmembers = [\"exercises/*/*\", \"solutions/*/*\"]\n[profile.dev]\ndebug = 0\n",
        );
        for (index, exercise) in EXERCISES.iter().enumerate() {
            course.write_exercise(index, exercise);
        }
        // Begins with the versions that are here already.
        let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../Cargo.lock");
        fs::copy(own, course.root.join("Cargo.lock")).unwrap();
        let cargo = Command::new(env!("CARGO"))
            .args(["update", "--workspace", "--offline", "--quiet"])
            .current_dir(&course.root)
            .stdout(Stdio::null())
            .status();
        assert!(cargo.unwrap().success());
        let locked = course.run(&["lock", "--author"]);
        assert!(locked.status.success(), "{locked:?}");
        for exercise in &EXERCISES {
            if let Some(body) = exercise.body {
                let source = format!("{}pub fn answer() -> u32 {{ {body} }}\n", exercise.rest);
                course.put(&Self::path(exercise.name, "src/lib.rs"), &source);
            }
        }
        let checks = |name| course.root.join(Self::path(name, "tests/checks/unit.rs"));
        fs::remove_dir_all(checks("test_deleted").parent().unwrap()).unwrap();
        let text = fs::read_to_string(checks("test_ignored")).unwrap();
        fs::write(
            checks("test_ignored"),
            text.replace("#[test]", "#[test]\n#[ignore]"),
        )
        .unwrap();
        let text = fs::read_to_string(checks("test_edited")).unwrap();
        fs::write(checks("test_edited"), text.replace("42", "41")).unwrap();
        let source = course.root.join(Self::path("not_utf8", "src/lib.rs"));
        fs::write(source, b"// caf\xe9\npub fn answer() -> u32 { 42 }\n").unwrap();
        fs::remove_file(course.root.join(Self::path("lost_source", "src/lib.rs"))).unwrap();
        course
    }

    /// A path inside an exercise.
    pub fn path(name: &str, rest: &str) -> String {
        let index = EXERCISES
            .iter()
            .position(|exercise| exercise.name == name)
            .unwrap();
        format!("exercises/phase1_internals/{:02}_{name}/{rest}", index + 1)
    }

    fn put(&self, path: &str, text: &str) {
        let path = self.root.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn write_exercise(&self, index: usize, exercise: &Exercise) {
        let name = exercise.name;
        let loom = if name == "solved" {
            "[features]\nloom = []\n"
        } else {
            ""
        };
        let kata = if name == "skips" {
            let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../kata");
            format!("[dependencies]\nkata = {{ path = {path:?}, features = [\"check\"] }}\n")
        } else {
            String::new()
        };
        let manifest = |package: &str| {
            format!(
                "[package]\nname = \"{package}\"\nversion = \"0.1.0\"\nedition = \"2024\"\n[package.metadata.kata]\ntitle = \"The {name} one\"\n{kata}{loom}"
            )
        };
        self.put(&Self::path(name, "Cargo.toml"), &manifest(name));
        self.put(
            &Self::path(name, "src/lib.rs"),
            "pub fn answer() -> u32 { todo!() }\n",
        );
        let mut main = "mod unit;\n".to_owned();
        if name == "solved" {
            main.push_str("#[cfg(feature = \"loom\")]\nmod loom;\n");
            self.put(
                &Self::path(name, "tests/checks/loom.rs"),
                &test(name, "models"),
            );
            let folder = format!("solutions/phase1_internals/{:02}_{name}", index + 1);
            let solution = format!("{name}_solution");
            self.put(&format!("{folder}/Cargo.toml"), &manifest(&solution));
            self.put(
                &format!("{folder}/src/lib.rs"),
                "pub fn answer() -> u32 { 42 }\n",
            );
            self.put(
                &format!("{folder}/tests/checks.rs"),
                &format!(
                    "extern crate {solution} as {name};\n#[path = \"../../../../{}\"]\nmod checks;\n",
                    Self::path(name, "tests/checks/main.rs")
                ),
            );
        }
        self.put(&Self::path(name, "tests/checks/main.rs"), &main);
        let mut unit = test(name, "answers");
        if name == "solved" {
            // Leaves a trace of every run beside the crate.
            unit.push_str(
                "#[test]\nfn leaves_a_trace() { use std::io::Write; let mut file = std::fs::File::options().append(true).create(true).open(\"runs\").unwrap(); file.write_all(b\".\").unwrap(); }\n",
            );
        }
        self.put(&Self::path(name, "tests/checks/unit.rs"), &unit);
    }

    /// The grader on this course.
    pub fn grader(&self, arguments: &[&str]) -> Command {
        crate::grader::grader(&self.root, arguments)
    }

    pub fn run(&self, arguments: &[&str]) -> Output {
        self.grader(arguments).output().unwrap()
    }

    /// How often the trace was left.
    pub fn runs(&self) -> usize {
        let runs = self.root.join(Self::path("solved", "runs"));
        fs::read(runs).map_or(0, |runs| runs.len())
    }
}

fn test(name: &str, test: &str) -> String {
    format!("#[test]\nfn {test}() {{ assert_eq!({name}::answer(), 42); }}\n")
}

pub fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

pub fn json(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| {
        panic!(
            "{error}\n{}\n{}",
            text(&output.stdout),
            text(&output.stderr)
        )
    })
}

/// One exercise of a result.
pub fn find<'a>(result: &'a Value, name: &str) -> &'a Value {
    result["phases"]
        .as_array()
        .unwrap()
        .iter()
        .flat_map(|phase| phase["exercises"].as_array().unwrap())
        .find(|exercise| exercise["name"] == name)
        .unwrap_or_else(|| panic!("{name} is not in {result:#}"))
}

/// The first failure's message.
pub fn message<'a>(result: &'a Value, name: &str) -> &'a str {
    let checks = find(result, name)["checks"].as_array().unwrap();
    checks
        .iter()
        .flat_map(|check| check["failures"].as_array().unwrap())
        .find_map(|failure| failure["message"].as_str())
        .unwrap_or_else(|| panic!("{name} has no failure"))
}

/// Whether a living process has `argument` in its command line.
#[cfg(target_os = "linux")]
pub fn is_running(argument: &str) -> bool {
    fs::read_dir("/proc").unwrap().flatten().any(|entry| {
        let line = fs::read(entry.path().join("cmdline")).unwrap_or_default();
        line.split(|&byte| byte == 0)
            .any(|word| word == argument.as_bytes())
    })
}
