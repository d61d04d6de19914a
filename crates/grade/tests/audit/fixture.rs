//! A course of one exercise without dependencies, in which everything is as it should be until a test spoils it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

pub const STUB: &str = "exercises/phase1_internals/01_counter/src/lib.rs";
pub const CHECKS: &str = "exercises/phase1_internals/01_counter/tests/checks/unit.rs";
pub const README: &str = "exercises/phase1_internals/01_counter/README.md";
pub const MANIFEST: &str = "exercises/phase1_internals/01_counter/Cargo.toml";
pub const SOLUTION: &str = "solutions/phase1_internals/01_counter/src/lib.rs";
pub const KINDS: &str = "solutions/phase1_internals/01_counter/kinds.toml";
pub const MUTANTS: &str = "solutions/phase1_internals/01_counter/mutants.toml";
pub const ALTERNATIVE: &str = "solutions/phase1_internals/01_counter/alternatives/mutex.rs";
pub const HINTS: &str = "hints/phase1_internals/01_counter.md";

const FILES: [(&str, &str); 19] = [
    (
        "Cargo.toml",
        "[workspace]\nresolver = \"3\"\nmembers = [\"exercises/*/*\", \"solutions/*/*\"]\n[profile.dev]\ndebug = 0\n",
    ),
    (
        MANIFEST,
        r#"[package]
name = "counter"
version = "0.1.0"
edition = "2024"
[package.metadata.kata]
title = "A counter"
topic = "counting"
needs = []
size = "small"
mirrors = ["abacus"]
"#,
    ),
    (
        "solutions/phase1_internals/01_counter/Cargo.toml",
        "[package]\nname = \"counter_solution\"\nversion = \"0.1.0\"\nedition = \"2024\"\n",
    ),
    (
        README,
        "# A counter\n\n## Theory\n\nOne.\n\n## Task\n\nTwo.\n\n## Checks\n\n`unit`, `process`\n\n## Questions\n\nThree?\n\n## Further reading\n\nFour.\n",
    ),
    (
        HINTS,
        "# Hints\n\n## Hint 1\n\nWho else counts?\n\n## Hint 2\n\nLook, then take.\n\n## Hint 3\n\nTry again.\n",
    ),
    (
        STUB,
        r"//! A counter with a limit.
#![allow(dead_code, unused_variables)]

/// Counts to a limit.
pub struct Counter {
    limit: u32,
}

impl Counter {
    /// Begins at nothing.
    pub fn new(limit: u32) -> Self {
        todo!()
    }

    /// Counts one more, unless the limit is reached.
    pub fn add(&self) -> bool {
        todo!()
    }

    /// How many have been counted.
    pub fn get(&self) -> u32 {
        todo!()
    }
}
",
    ),
    (
        "exercises/phase1_internals/01_counter/tests/checks/main.rs",
        "mod process;\nmod unit;\n",
    ),
    (
        "exercises/phase1_internals/01_counter/tests/checks/process.rs",
        r#"#[test]
fn a_program_counts() {
    let program = env!(concat!("CARGO_BIN_EXE_", env!("CARGO_PKG_NAME")));
    let output = std::process::Command::new(program).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.stdout, b"true\n", "{said}");
}
"#,
    ),
    (
        "exercises/phase1_internals/01_counter/tests/checks/program/mod.rs",
        r#"pub fn main() -> std::process::ExitCode {
    println!("{}", counter::Counter::new(3).add());
    std::process::ExitCode::SUCCESS
}
"#,
    ),
    (
        "exercises/phase1_internals/01_counter/src/main.rs",
        r#"#[path = "../tests/checks/program/mod.rs"]
mod program;

fn main() -> std::process::ExitCode {
    program::main()
}
"#,
    ),
    (
        "solutions/phase1_internals/01_counter/src/main.rs",
        r#"extern crate counter_solution as counter;
#[path = "../../../../exercises/phase1_internals/01_counter/tests/checks/program/mod.rs"]
mod program;

fn main() -> std::process::ExitCode {
    program::main()
}
"#,
    ),
    (
        CHECKS,
        r"use counter::Counter;

#[test]
fn begins_at_nothing() {
    assert_eq!(Counter::new(3).get(), 0);
}

#[test]
fn counts_to_the_limit_and_no_further() {
    let counter = Counter::new(3);
    let counted = (0..5).filter(|_| counter.add()).count();
    assert_eq!(counted, 3);
    assert_eq!(counter.get(), 3);
}
",
    ),
    (
        "solutions/phase1_internals/01_counter/tests/checks.rs",
        r#"extern crate counter_solution as counter;
#[path = "../../../../exercises/phase1_internals/01_counter/tests/checks/main.rs"]
mod checks;
"#,
    ),
    (
        SOLUTION,
        r"//! A counter with a limit.

use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering::{Acquire, Relaxed};

/// Counts to a limit.
pub struct Counter {
    count: AtomicU32,
    limit: u32,
}

impl Counter {
    /// Begins at nothing.
    pub fn new(limit: u32) -> Self {
        let count = AtomicU32::new(0);
        Self { count, limit }
    }

    /// Counts one more, unless the limit is reached.
    pub fn add(&self) -> bool {
        let mut seen = self.count.load(Relaxed);
        while seen < self.limit {
            match self.count.compare_exchange(seen, seen + 1, Relaxed, Relaxed) {
                Ok(_) => return true,
                Err(now) => seen = now,
            }
        }
        false
    }

    /// How many have been counted.
    pub fn get(&self) -> u32 {
        self.count.load(Acquire)
    }
}
",
    ),
    (
        ALTERNATIVE,
        r"use std::sync::Mutex;

pub struct Counter(Mutex<u32>, u32);

impl Counter {
    pub fn new(limit: u32) -> Self {
        Self(Mutex::new(0), limit)
    }

    pub fn add(&self) -> bool {
        let mut count = self.0.lock().unwrap();
        let free = *count < self.1;
        *count += u32::from(free);
        free
    }

    pub fn get(&self) -> u32 {
        *self.0.lock().unwrap()
    }
}
",
    ),
    (
        "solutions/phase1_internals/01_counter/alternatives/update.rs",
        r"use std::sync::atomic::{AtomicU32, Ordering::SeqCst};

pub struct Counter(AtomicU32, u32);

impl Counter {
    pub fn new(limit: u32) -> Self {
        Self(AtomicU32::new(0), limit)
    }

    pub fn add(&self) -> bool {
        let one_more = |count| (count < self.1).then_some(count + 1);
        self.0.fetch_update(SeqCst, SeqCst, one_more).is_ok()
    }

    pub fn get(&self) -> u32 {
        self.0.load(SeqCst)
    }
}
",
    ),
    (
        KINDS,
        r#"pairs = { not_applicable = "it only counts" }
foreign_panics = { not_applicable = "it only counts" }
foreign_calls_back = { not_applicable = "it only counts" }
auto_traits = { not_applicable = "it only counts" }
never_waits = { not_applicable = "it only counts" }
spins_or_writes = { not_applicable = "it only counts" }
wrapping_numbers = { not_applicable = "it only counts" }
more_than_eight = { not_applicable = "it only counts" }
rare_paths = { not_applicable = "it only counts" }
retries = { not_applicable = "it only counts" }
recycling = { not_applicable = "it only counts" }
several_at_once = { not_applicable = "it only counts" }
std_for_kata = { not_applicable = "it only counts" }
tame_data = { not_applicable = "it only counts" }
documented_failures = { not_applicable = "it only counts" }
crash_points = { not_applicable = "it only counts" }
protocol_ranges = { not_applicable = "it only counts" }
value_layouts = { not_applicable = "it only counts" }
announce_then_look = { not_applicable = "it only counts" }
saturated_source = { not_applicable = "it only counts" }
counted_twice = { not_applicable = "it only counts" }
moved_address = { not_applicable = "it only counts" }
reentrant_thread = { not_applicable = "it only counts" }
late_event = { not_applicable = "it only counts" }
confounders = { not_applicable = "it only counts" }
empty_and_full = { not_applicable = "it only counts" }
growth = { not_applicable = "it only counts" }
stale_retry = { not_applicable = "it only counts" }
build_profile = { not_applicable = "it only counts" }
vacuous = { not_applicable = "it only counts" }
order_by_hash = { not_applicable = "it only counts" }
disturbing_observer = { not_applicable = "it only counts" }
wrong_report = { not_applicable = "it only counts" }
"#,
    ),
    (
        MUTANTS,
        r#"[[mutant]]
name = "begins_at_one"
why = "The first one to count is told that somebody was there."
killed_by = "unit"
[[mutant.edit]]
find = "AtomicU32::new(0)"
replace = "AtomicU32::new(1)"

[[mutant]]
name = "counts_by_two"
why = "Half of the places stay free."
killed_by = ["unit"]
[[mutant.edit]]
find = "seen + 1"
replace = "seen + 2"

[[mutant]]
name = "one_too_few"
why = "The last place stays free."
killed_by = "unit"
[[mutant.edit]]
find = "Self { count, limit }"
replace = "Self { count, limit: limit - 1 }"

[[mutant]]
name = "never_full"
why = "Everybody gets in."
killed_by = "unit"
[[mutant.edit]]
find = "false"
replace = "true"

[[mutant]]
name = "spins_when_full"
why = "Whoever comes too late waits forever."
killed_by = "unit"
[[mutant.edit]]
find = "        }\n        false"
replace = "        }\n        loop { std::hint::spin_loop(); }"

[[mutant]]
name = "no_such_type"
why = "Nobody can use it."
killed_by = "build"
[[mutant.edit]]
find = "pub struct Counter"
replace = "struct Counter"

[[equivalent]]
find = "self.count.load(Acquire)"
becomes = "Relaxed"
why = "The number publishes nothing."
"#,
    ),
    (".gitignore", "target\n"),
];

/// A crate of the course's own, as `kata` is one.
pub const AID: &str = "crates/aid/src/lib.rs";

pub struct Course {
    root: PathBuf,
    is_pair: bool,
}

impl Course {
    /// The course as it should be.
    pub fn write(name: &str) -> Self {
        Self::with(name, false)
    }

    /// A course of two, `counter` and `tally`, of which the latter depends on a crate of the course's own.
    pub fn write_pair(name: &str) -> Self {
        Self::with(name, true)
    }

    fn with(name: &str, is_pair: bool) -> Self {
        let root = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        let _ = fs::remove_dir_all(&root);
        let course = Self { root, is_pair };
        course.mend();
        let cargo = Command::new(env!("CARGO"))
            .args(["generate-lockfile", "--offline", "--quiet"])
            .current_dir(&course.root)
            .status();
        assert!(cargo.unwrap().success());
        course
    }

    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Makes everything as it should be again.
    pub fn mend(&self) {
        for (path, text) in FILES {
            self.put(path, text);
            if self.is_pair && path.contains("01_counter") {
                self.put(&of_tally(path), &of_tally(text));
            }
        }
        if self.is_pair {
            let manifest = "[package]\nname = \"aid\"\nversion = \"0.1.0\"\nedition = \"2024\"\n";
            self.put("crates/aid/Cargo.toml", manifest);
            self.put(AID, "//! Nothing yet.\n");
            let needs =
                "[dependencies]\naid = { path = \"../../../crates/aid\" }\n[package.metadata";
            self.edit(&of_tally(MANIFEST), "[package.metadata", needs);
        }
        self.lock();
    }

    pub fn put(&self, path: &str, text: &str) {
        let path = self.root.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// Replaces text that is there.
    pub fn edit(&self, path: &str, find: &str, replace: &str) {
        let text = fs::read_to_string(self.root.join(path)).unwrap();
        assert!(text.contains(find), "{find} is not in {path}");
        self.put(path, &text.replace(find, replace));
    }

    pub fn lock(&self) {
        let locked = self.run(&["lock", "--author"]);
        assert!(locked.status.success(), "{locked:?}");
    }

    pub fn run(&self, arguments: &[&str]) -> Output {
        crate::grader::grader(&self.root, arguments)
            .output()
            .unwrap()
    }

    /// What the audit says, and its exit code.
    pub fn audit(&self) -> (Value, i32) {
        self.audit_with(&[])
    }

    /// As [`Self::audit`], with more arguments.
    pub fn audit_with(&self, arguments: &[&str]) -> (Value, i32) {
        let all = [&["audit", "--json", "--hang-guard", "2"], arguments].concat();
        let output = self.run(&all);
        let result = serde_json::from_slice(&output.stdout).unwrap_or_else(|error| {
            panic!(
                "{error}\n{}\n{}",
                String::from_utf8_lossy(&output.stdout),
                String::from_utf8_lossy(&output.stderr)
            )
        });
        (result, output.status.code().unwrap())
    }
}

/// A file of the first exercise, or its path, for the second.
pub fn of_tally(text: &str) -> String {
    text.replace("01_counter", "02_tally")
        .replace("counter", "tally")
}

/// What is wrong, as `subject: problem`.
pub fn findings(result: &Value) -> Vec<String> {
    result["exercises"][0]["findings"]
        .as_array()
        .unwrap()
        .iter()
        .map(|finding| {
            let part = |name: &str| finding[name].as_str().unwrap().to_owned();
            format!("{}: {}", part("subject"), part("problem"))
        })
        .collect()
}
