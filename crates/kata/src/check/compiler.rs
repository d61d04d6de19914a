//! Programs that a user may write, given to the compiler: some must compile, others must not.
//!
//! What it decides: lifetimes, variance, auto traits of types without a name, such as futures, and privacy. A named type's
//! `Send` and `Sync` are asked more cheaply with [`implements!`](crate::implements). What it cannot decide: anything about
//! how a program runs, unless it is run ([`Compiler::run_optimised`]).
//!
//! The compiler is called directly, without cargo: once for `kata`, once for the exercise and once for all cases together.
//! Of an error only the code counts, never its words, which change from one release to the next. The exercise must
//! need no crate but `kata`.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde::Deserialize;

use super::Folder;

/// What the compiler has to say to a case.
enum Wanted {
    Nothing,
    Error(&'static str),
}

/// A program and what a user suffers if the compiler decides otherwise.
struct Case {
    wanted: Wanted,
    code: &'static str,
    otherwise: &'static str,
}

/// A table of programs that use one crate.
///
/// Each program is the body of a function with `use NAME::*;` above it. Items may stand in it.
///
/// # Examples
///
/// ```ignore
/// Compiler::new("spin_lock", env!("CARGO_MANIFEST_DIR"))
///     .accepts("let lock = SpinLock::new(1); *lock.lock() = 2;", "nobody can use the lock")
///     .rejects("E0382", "let lock = SpinLock::new(1); drop(lock); lock.lock();", "the lock is used after its end")
///     .run();
/// ```
pub struct Compiler {
    name: &'static str,
    source: PathBuf,
    cases: Vec<Case>,
}

impl std::fmt::Debug for Compiler {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Compiler")
            .field("name", &self.name)
            .field("source", &self.source)
            .finish_non_exhaustive()
    }
}

impl Compiler {
    /// No programs yet. `name` is what the crate is called in them, `folder` holds its `src/lib.rs`.
    #[must_use]
    pub fn new(name: &'static str, folder: impl AsRef<Path>) -> Self {
        Self {
            name,
            source: folder.as_ref().join("src/lib.rs"),
            cases: Vec::new(),
        }
    }

    /// `code` must compile; `otherwise` is what a user suffers if it does not.
    ///
    /// Beside each program that is to be rejected belongs one that is accepted and differs in the one thing that matters:
    /// a program that is rejected for a slip of its own decides nothing.
    #[must_use]
    pub fn accepts(mut self, code: &'static str, otherwise: &'static str) -> Self {
        self.cases.push(Case {
            wanted: Wanted::Nothing,
            code,
            otherwise,
        });
        self
    }

    /// `code` must fail to compile with the error `error`, such as `E0597`, and no other; `otherwise` is what a user
    /// suffers if it compiles.
    #[must_use]
    pub fn rejects(
        mut self,
        error: &'static str,
        code: &'static str,
        otherwise: &'static str,
    ) -> Self {
        self.cases.push(Case {
            wanted: Wanted::Error(error),
            code,
            otherwise,
        });
        self
    }

    /// Has all programs compiled, together and once.
    ///
    /// # Panics
    ///
    /// If the compiler decides otherwise in one of them: the message shows all of these. If there is no program, or the
    /// compiler cannot be run.
    #[track_caller]
    pub fn run(self) {
        assert!(!self.cases.is_empty(), "no program to compile");
        let folder = Folder::new();
        self.build_crates(folder.path(), &["--emit=metadata"]);
        let mut text = String::from("#![allow(warnings)]\n");
        let before = text.lines().count();
        for (number, case) in self.cases.iter().enumerate() {
            // One line each, so that the line of an error tells the case.
            let code = case.code.split_whitespace().collect::<Vec<_>>().join(" ");
            let name = self.name;
            let _ = writeln!(
                text,
                "mod case_{number} {{ use {name}::*; fn case() {{ {code} }} }}"
            );
        }
        let file = folder.path().join("cases.rs");
        std::fs::write(&file, text).expect("the folder for temporary files can be written to");
        let output = self.compile(
            &file,
            "cases",
            folder.path(),
            &["--emit=metadata", "--error-format=json"],
        );
        let mut found = vec![BTreeSet::new(); self.cases.len()];
        for message in messages(&output) {
            if message.level != "error" {
                continue;
            }
            let Some(line) = message.line_in("cases.rs") else {
                // "aborting due to 2 previous errors" stands nowhere.
                assert!(
                    message.code.is_none(),
                    "the compiler says of no program in particular: {}",
                    message.message
                );
                continue;
            };
            let code = message
                .code
                .map_or_else(|| "an error without a code".to_owned(), |code| code.code);
            found[line - 1 - before].insert((code, message.message));
        }
        let faults: Vec<String> = self
            .cases
            .iter()
            .zip(&found)
            .filter_map(|(case, found)| case.fault(found))
            .collect();
        assert!(faults.is_empty(), "{}", faults.join("\n\n"));
    }

    /// Compiles `code` as users ship it, optimised, without `debug_assert!` and without overflow checks, and runs it.
    ///
    /// For what only a debug build does or finds. `code` panics if it does not find what it should.
    ///
    /// # Panics
    ///
    /// If it does not compile or does not end with success: the message holds what it printed.
    #[track_caller]
    pub fn run_optimised(self, code: &str) {
        const OPTIMISED: [&str; 2] = ["-Copt-level=2", "-Cdebug-assertions=off"];
        let folder = Folder::new();
        self.build_crates(folder.path(), &OPTIMISED);
        let file = folder.path().join("program.rs");
        let name = self.name;
        let text = format!("#![allow(warnings)]\nuse {name}::*;\nfn main() {{ {code} }}\n");
        std::fs::write(&file, text).expect("the folder for temporary files can be written to");
        let program = folder.path().join("program");
        let mut arguments = OPTIMISED.to_vec();
        arguments.push("--crate-type=bin");
        let output = self.compile(&file, "program", folder.path(), &arguments);
        assert!(
            output.status.success(),
            "the program does not compile: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        let output = Command::new(program)
            .output()
            .expect("a program that was just compiled runs");
        assert!(
            output.status.success(),
            "compiled as users ship it (optimised, without debug assertions) the program ends with {}: {}",
            output.status,
            String::from_utf8_lossy(&output.stderr)
        );
    }

    /// `kata` and the crate under test.
    #[track_caller]
    fn build_crates(&self, folder: &Path, arguments: &[&str]) {
        let kata = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/lib.rs");
        for (file, name) in [(&*kata, "kata"), (&*self.source, self.name)] {
            let output = self.compile(file, name, folder, arguments);
            assert!(
                output.status.success(),
                "{} does not compile by itself: {}",
                file.display(),
                String::from_utf8_lossy(&output.stderr)
            );
        }
    }

    fn compile(&self, file: &Path, name: &str, folder: &Path, arguments: &[&str]) -> Output {
        let mut command = Command::new(rustc());
        command
            .args(["--edition=2024", "--cap-lints=allow", "--crate-name", name])
            .arg(file)
            .arg("--out-dir")
            .arg(folder)
            .arg("-L")
            .arg(folder);
        if !arguments
            .iter()
            .any(|argument| argument.starts_with("--crate-type"))
        {
            command.arg("--crate-type=lib");
        }
        if name != "kata" {
            command.args(["--extern", "kata"]);
            if name != self.name {
                command.args(["--extern", self.name]);
            }
        }
        command
            .args(arguments)
            .output()
            .expect("the compiler that built this check can be run")
    }
}

/// The compiler that has built this check: it stands beside its cargo.
fn rustc() -> PathBuf {
    option_env!("CARGO")
        .map(|cargo| {
            Path::new(cargo).with_file_name(format!("rustc{}", std::env::consts::EXE_SUFFIX))
        })
        .filter(|rustc| rustc.is_file())
        .unwrap_or_else(|| PathBuf::from("rustc"))
}

impl Case {
    /// What is wrong, if anything.
    fn fault(&self, found: &BTreeSet<(String, String)>) -> Option<String> {
        let Self {
            wanted,
            code,
            otherwise,
        } = self;
        let said = || {
            found
                .iter()
                .map(|(code, message)| format!("{code}: {message}"))
                .collect::<Vec<_>>()
                .join("; ")
        };
        match wanted {
            Wanted::Nothing if found.is_empty() => None,
            Wanted::Nothing => Some(format!(
                "{otherwise}. This program must compile:\n    {code}\nThe compiler says: {}",
                said()
            )),
            Wanted::Error(_) if found.is_empty() => Some(format!(
                "{otherwise}. This program compiles, and it must not:\n    {code}"
            )),
            Wanted::Error(error) => found.iter().any(|(code, _)| code != error).then(|| {
                format!(
                    "this program must be rejected with {error}:\n    {code}\nThe compiler says: {}",
                    said()
                )
            }),
        }
    }
}

/// A line of `--error-format=json`.
#[derive(Deserialize)]
struct Message {
    message: String,
    level: String,
    code: Option<Code>,
    #[serde(default)]
    spans: Vec<Span>,
}

#[derive(Deserialize)]
struct Code {
    code: String,
}

#[derive(Deserialize)]
struct Span {
    file_name: String,
    line_start: usize,
    is_primary: bool,
    expansion: Option<Box<Expansion>>,
}

#[derive(Deserialize)]
struct Expansion {
    span: Span,
}

impl Message {
    /// The line of `file` in which the error is, or the call of a macro that contains it.
    fn line_in(&self, file: &str) -> Option<usize> {
        fn inside(span: &Span, file: &str) -> Option<usize> {
            if span.file_name.ends_with(file) {
                return Some(span.line_start);
            }
            inside(&span.expansion.as_ref()?.span, file)
        }
        let primary = self.spans.iter().filter(|span| span.is_primary);
        primary
            .chain(&self.spans)
            .find_map(|span| inside(span, file))
    }
}

fn messages(output: &Output) -> Vec<Message> {
    String::from_utf8_lossy(&output.stderr)
        .lines()
        .filter_map(|line| serde_json::from_str(line).ok())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::panic::catch_unwind;

    /// A crate with an accepted slip: `Shared` is `Send` for every `T`.
    fn crate_of(source: &str) -> Folder {
        let folder = Folder::new();
        std::fs::create_dir(folder.path().join("src")).unwrap();
        std::fs::write(folder.path().join("src/lib.rs"), source).unwrap();
        folder
    }

    fn complaint(run: impl FnOnce() + std::panic::UnwindSafe) -> String {
        *catch_unwind(run)
            .expect_err("it must not pass")
            .downcast::<String>()
            .unwrap()
    }

    #[test]
    fn errors_of_all_phases_are_told_apart() {
        let folder = crate_of(
            "use kata::cell::UnsafeCell; pub struct Cell<T>(UnsafeCell<T>); \
             impl<T> Cell<T> { pub fn new(value: T) -> Self { Self(UnsafeCell::new(value)) } }",
        );
        Compiler::new("sample", folder.path())
            .accepts("let cell = Cell::new(1);", "nobody can make a cell")
            .rejects("E0599", "Cell::new(1).get();", "a method too many")
            .rejects(
                "E0277",
                "fn send<T: Send>(_: T) {} send(Cell::new(std::rc::Rc::new(1)));",
                "an `Rc` leaves its thread",
            )
            .rejects(
                "E0382",
                "let cell = Cell::new(1); drop(cell); drop(cell);",
                "a use after the end",
            )
            .rejects(
                "E0597",
                "let outer; { let inner = 1; outer = Cell::new(&inner); } drop(outer);",
                "a dead local is reached",
            )
            .rejects("E0616", "Cell::new(1).0;", "the field is reached")
            .accepts(
                "println!(\"{}\", size_of::<Cell<u8>>());",
                "the size is secret",
            )
            .run();
    }

    #[test]
    fn a_program_that_compiles_and_must_not_is_shown_with_what_a_user_suffers() {
        let folder = crate_of("pub fn answer() -> u32 { 42 }");
        let path = folder.path().to_path_buf();
        let complaint = complaint(|| {
            Compiler::new("sample", path)
                .rejects("E0308", "let number: u32 = answer();", "nobody is safe")
                .run();
        });
        assert!(
            complaint.starts_with("nobody is safe. This program compiles"),
            "{complaint}"
        );
        assert!(complaint.contains("answer()"), "{complaint}");
    }

    #[test]
    fn another_error_than_the_expected_one_is_no_rejection() {
        let folder = crate_of("pub fn answer() -> u32 { 42 }");
        let path = folder.path().to_path_buf();
        let complaint = complaint(|| {
            Compiler::new("sample", path)
                .rejects("E0277", "let text: String = answer();", "nobody is safe")
                .run();
        });
        assert!(
            complaint.contains("must be rejected with E0277"),
            "{complaint}"
        );
        assert!(complaint.contains("E0308"), "{complaint}");
    }

    #[test]
    fn a_right_program_that_is_refused_is_shown() {
        let folder = crate_of("fn answer() -> u32 { 42 }");
        let path = folder.path().to_path_buf();
        let complaint = complaint(|| {
            Compiler::new("sample", path)
                .accepts("sample::answer();", "nobody gets an answer")
                .run();
        });
        assert!(
            complaint.starts_with("nobody gets an answer. This program must compile"),
            "{complaint}"
        );
    }

    #[test]
    fn an_optimised_program_has_no_debug_assertions() {
        let folder = crate_of(
            "use kata::sync::atomic::{AtomicU32, Ordering::Relaxed}; pub static COUNT: AtomicU32 = AtomicU32::new(0); \
             pub fn count() { debug_assert!(COUNT.fetch_add(1, Relaxed) < 10); }",
        );
        let path = folder.path().to_path_buf();
        let program = "count(); assert_eq!(COUNT.load(kata::sync::atomic::Ordering::Relaxed), 1, \"not counted\");";
        let complaint = complaint(|| Compiler::new("sample", path).run_optimised(program));
        assert!(complaint.contains("not counted"), "{complaint}");
    }
}
