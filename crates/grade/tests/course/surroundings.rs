//! Where the grader is called from, where its output goes, and disks that are full or cannot be written.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

use super::fixture::{find, json, text};
use super::small::{Small, answers};

fn solved(name: &str) -> Small {
    let course = Small::write(name, &[answers("solved"), answers("fresh")]);
    course.solve("solved", "pub fn answer() -> u32 { 42 }\n");
    course
}

/// A folder with grade.sh in it, a cargo that builds nothing, and a grader that says how it was called.
struct Script {
    root: PathBuf,
}

impl Script {
    fn write(name: &str) -> Self {
        let root = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        let _ = fs::remove_dir_all(&root);
        let script = Self { root };
        let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../grade.sh");
        fs::create_dir_all(script.course()).unwrap();
        fs::copy(own, script.course().join("grade.sh")).unwrap();
        script.program("bin/cargo", "exit 0");
        let says = "echo called:; for word in \"$@\"; do echo \"$word\"; done; echo heard >&2";
        script.program("the course/target/debug/grade", says);
        script
    }

    fn course(&self) -> PathBuf {
        self.root.join("the course")
    }

    fn program(&self, path: &str, text: &str) {
        let path = self.root.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, format!("#!/bin/sh\n{text}\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }

    /// Runs a line of the shell in `folder`.
    fn shell(&self, folder: &Path, line: &str) -> Output {
        let path = std::env::var("PATH").unwrap();
        Command::new("sh")
            .args(["-c", line])
            .current_dir(folder)
            .env(
                "PATH",
                format!("{}:{path}", self.root.join("bin").display()),
            )
            .env_remove("CARGO_TARGET_DIR")
            .output()
            .unwrap()
    }
}

#[test]
fn the_script_finds_its_course_through_links_and_from_anywhere() {
    let script = Script::write("links");
    let course = script.course();
    let elsewhere = script.root.join("else where");
    fs::create_dir_all(&elsewhere).unwrap();
    symlink(course.join("grade.sh"), elsewhere.join("absolute")).unwrap();
    symlink("../the course/grade.sh", elsewhere.join("relative")).unwrap();
    symlink("relative", elsewhere.join("chain")).unwrap();
    let inside = course.join("exercises/phase1/01_a");
    fs::create_dir_all(&inside).unwrap();
    let expected = format!("called:\n--course\n{}\na b\n", course.display());
    for (folder, line) in [
        (&course, "./grade.sh 'a b'"),
        (&course, "sh grade.sh 'a b'"),
        (&inside, "../../../grade.sh 'a b'"),
        (&elsewhere, "./absolute 'a b'"),
        (&elsewhere, "./relative 'a b'"),
        (&elsewhere, "sh chain 'a b'"),
        (&script.root, "PATH=\"$PWD/else where:$PATH\"; chain 'a b'"),
    ] {
        let output = script.shell(folder, line);
        assert_eq!(
            text(&output.stdout),
            expected,
            "{line}: {}",
            text(&output.stderr)
        );
    }
}

#[test]
fn the_script_does_without_streams_that_are_closed() {
    let script = Script::write("streams");
    // Fails, as cargo and sh do, if it cannot write to a stream.
    script.program("bin/cargo", "echo built >&2 && exec 3>&1 4<&0");
    let course = script.course();
    for line in ["./grade.sh 2>&-", "./grade.sh <&- 2>&-"] {
        let output = script.shell(&course, line);
        assert_eq!(output.status.code(), Some(0), "{line}");
        assert!(text(&output.stdout).starts_with("called:"), "{line}");
    }
    for line in ["./grade.sh >&-", "./grade.sh <&- >&-"] {
        let output = script.shell(&course, line);
        assert_eq!(output.status.code(), Some(0), "{line}");
        assert!(text(&output.stderr).contains("heard"), "{line}");
    }
    let output = script.shell(&course, "./grade.sh <&- >&- 2>&-");
    assert_eq!(output.status.code(), Some(0));
}

#[test]
fn what_keeps_the_script_from_building_is_json_too() {
    let script = Script::write("no_grader");
    script.program("bin/cargo", "exit 101");
    let output = script.shell(&script.course(), "./grade.sh solved --json");
    assert_eq!(output.status.code(), Some(2));
    let result = json(&output);
    assert_eq!(result["schema"], "kata/result/v1");
    let error = result["errors"][0].as_str().unwrap();
    assert!(error.contains("could not be built"), "{error}");
    let output = script.shell(&script.course(), "./grade.sh solved");
    assert_eq!(text(&output.stdout), "");
}

/// With the real cargo, and a grader that says how it was called.
#[test]
fn the_script_builds_the_grader_whatever_is_wrong_with_an_exercise() {
    let script = Script::write("spoilt_build");
    let course = script.course();
    fs::remove_dir_all(script.root.join("bin")).unwrap();
    fs::remove_dir_all(course.join("target")).unwrap();
    let put = |path: &str, text: &str| {
        let path = course.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    };
    let package = |name: &str| {
        format!("[package]\nname = \"{name}\"\nversion.workspace = true\nedition = \"2024\"\n")
    };
    put(
        "Cargo.toml",
        "[workspace]\nresolver = \"3\"\nmembers = [\"crates/*\", \"exercises/*/*\", \"solutions/*/*\"]\n\
         default-members = [\"crates/*\", \"solutions/*/*\"]\n[workspace.package]\nversion = \"0.1.0\"\n",
    );
    put("crates/grade/Cargo.toml", &package("grade"));
    let says = |word: &str| {
        format!(
            "fn main() {{ println!(\"{word}\"); for word in std::env::args().skip(1) {{ println!(\"{{word}}\"); }} }}\n"
        )
    };
    for path in ["exercises/phase1/01_a", "solutions/phase1/01_a"] {
        let name = if path.starts_with("solutions") {
            "a_solution"
        } else {
            "a"
        };
        put(&format!("{path}/Cargo.toml"), &package(name));
        put(&format!("{path}/src/lib.rs"), "");
    }
    let manifest = course.join("exercises/phase1/01_a/Cargo.toml");
    let own = fs::read(&manifest).unwrap();
    let spoil: [(&str, &dyn Fn()); 5] = [
        ("nothing", &|| {}),
        ("a broken manifest", &|| {
            fs::write(&manifest, "[package\n").unwrap()
        }),
        ("no manifest", &|| fs::remove_file(&manifest).unwrap()),
        ("a pipe", &|| {
            fs::remove_file(&manifest).unwrap();
            let made = Command::new("mkfifo").arg(&manifest).status();
            assert!(made.unwrap().success());
        }),
        ("a name twice", &|| {
            put("exercises/phase1/02_b/Cargo.toml", &package("a"));
            put("exercises/phase1/02_b/src/lib.rs", "");
        }),
    ];
    for (what, spoil) in spoil {
        spoil();
        // Another grader each time, so that one that was built before will not do.
        let word = what.replace(' ', "_");
        put("crates/grade/src/main.rs", &says(&word));
        let output = script.shell(&course, "./grade.sh 'a b'");
        assert_eq!(
            text(&output.stdout),
            format!("{word}\n--course\n{}\na b\n", course.display()),
            "{what}: {}",
            text(&output.stderr)
        );
        fs::remove_file(&manifest).ok();
        fs::write(&manifest, &own).unwrap();
    }

    // If the grader is what is wrong, an earlier one is not taken for it.
    put("crates/grade/src/main.rs", "fn main() { nothing }\n");
    let output = script.shell(&course, "./grade.sh --json");
    assert_eq!(output.status.code(), Some(2));
    let error = json(&output)["errors"][0].clone();
    assert!(
        error.as_str().unwrap().contains("could not be built"),
        "{error}"
    );
}

#[test]
fn the_course_that_is_named_last_counts() {
    let course = solved("named");
    let nowhere = std::env::temp_dir();
    let mut grader = Command::new(env!("CARGO_BIN_EXE_grade"));
    grader
        .args(["--json", "--course"])
        .arg(&nowhere)
        .args(["solved", "--course", "named"])
        .current_dir(course.root.parent().unwrap())
        .env("CARGO_TARGET_DIR", course.root.join("target"));
    let result = json(&grader.output().unwrap());
    assert_eq!(find(&result, "solved")["state"], "passing", "{result:#}");
}

#[test]
fn the_grader_does_without_streams_that_are_closed() {
    let course = solved("closed");
    let grade = |arguments: &str, streams: &str| {
        let line = format!(
            "'{}' --course '{}' {arguments} {streams}",
            env!("CARGO_BIN_EXE_grade"),
            course.root.display()
        );
        Command::new("sh")
            .args(["-c", &line])
            .env("CARGO_TARGET_DIR", course.root.join("target"))
            .output()
            .unwrap()
    };
    let output = grade("--json solved", "<&- 2>&-");
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(find(&json(&output), "solved")["state"], "passing");
    let output = grade("--no-cache solved", "<&- >&- 2>&-");
    assert_eq!(output.status.code(), Some(0));
    let output = grade("nobody", "2>&-");
    assert_eq!(output.status.code(), Some(2));
    // What could not be printed was not said.
    let output = grade("solved", ">/dev/full");
    assert_eq!(output.status.code(), Some(2));
    let stderr = text(&output.stderr);
    assert!(stderr.contains("cannot be printed"), "{stderr}");
    assert!(!stderr.contains("panicked"), "{stderr}");
}

/// What a compiler says when the disk is full is nothing about the exercise, and nothing to remember.
#[test]
fn a_full_disk_is_no_fault_of_an_exercise() {
    let course = solved("full_as_told");
    let root = &course.root;
    let full = |rendered: &str| {
        let manifest = root.join(course.path("solved", "Cargo.toml"));
        let message = serde_json::json!({
            "reason": "compiler-message",
            "package_id": "path+file:///solved#0.1.0",
            "manifest_path": manifest,
            "message": { "level": "error", "rendered": rendered },
        });
        let cargo = root.join("cargo");
        fs::write(
            &cargo,
            format!("#!/bin/sh\ncat <<'END'\n{message}\nEND\nexit 101\n"),
        )
        .unwrap();
        fs::set_permissions(&cargo, fs::Permissions::from_mode(0o755)).unwrap();
        let mut grader = course.grader(&["solved", "--json"]);
        grader.env("CARGO", cargo).output().unwrap()
    };
    let output = full("error: failed to write x.rmeta: No space left on device (os error 28)\n");
    assert_eq!(output.status.code(), Some(2));
    let result = json(&output);
    let error = result["errors"][0].as_str().unwrap();
    assert!(error.starts_with("The disk is full"), "{error}");
    // Words of the source that the compiler quotes are no words of the compiler.
    let output = full("error: no\n3 | const E: &str = \"No space left on device\";\n");
    assert_eq!(find(&json(&output), "solved")["state"], "wont_compile");
}

/// Runs the grader with its target directory on a small disk of its own, which `before` prepares; nothing where the system
/// lets nobody mount one, which the test then says.
#[cfg(target_os = "linux")]
fn on_small_disk(course: &Small, before: &str) -> Option<Output> {
    let disk = course.root.join("disk");
    fs::create_dir_all(&disk).unwrap();
    let grader = env!("CARGO_BIN_EXE_grade");
    let line = format!(
        "set -e; mount -t tmpfs -o size=24m none '{disk}'; cd '{disk}'; {before}; CARGO_TARGET_DIR='{disk}' exec '{grader}' --course '{root}' --json solved",
        disk = disk.display(),
        root = course.root.display(),
    );
    let alone = |line: &str| {
        let mut command = Command::new("unshare");
        command.args(["--user", "--map-root-user", "--mount", "sh", "-c", line]);
        command.output()
    };
    let probe = format!("mount -t tmpfs none '{}'", disk.display());
    match alone(&probe) {
        Ok(output) if output.status.success() => Some(alone(&line).unwrap()),
        _ => {
            // Past libtest, which keeps what a passing test prints to itself.
            let line = "skipped: small disks: nobody may mount a file system here\n";
            let _ = std::io::stderr().write_all(line.as_bytes());
            None
        }
    }
}

#[cfg(target_os = "linux")]
fn first_error(output: &Output) -> String {
    assert_eq!(output.status.code(), Some(2), "{}", text(&output.stderr));
    match &json(output)["errors"][0] {
        Value::String(error) => error.clone(),
        other => panic!("{other}"),
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_disk_that_fills_up_is_told() {
    let course = solved("full");
    // Not enough room for what is built, then none at all.
    for left in ["1m", "4k"] {
        let fill = format!(
            "head -c $((24 * 1024 * 1024)) /dev/zero >fill || true; truncate -s -{left} fill"
        );
        let Some(output) = on_small_disk(&course, &fill) else {
            return;
        };
        let error = first_error(&output);
        assert!(error.starts_with("The disk is full"), "{left}: {error}");
    }
    // Nothing of it is remembered.
    let output = on_small_disk(&course, "true").unwrap();
    assert_eq!(find(&json(&output), "solved")["state"], "passing");
}

#[cfg(target_os = "linux")]
#[test]
fn a_target_directory_that_cannot_be_written_is_told() {
    let course = solved("read_only");
    let Some(output) = on_small_disk(&course, "mount -o remount,ro .") else {
        return;
    };
    let error = first_error(&output);
    assert!(error.contains("cannot be written"), "{error}");
    assert!(error.contains("CARGO_TARGET_DIR"), "{error}");

    let script = Script::write("read_only_script");
    let line = "mount -t tmpfs -o ro none target && ./grade.sh --json";
    let line = format!("unshare --user --map-root-user --mount sh -c '{line}'");
    let output = script.shell(&script.course(), &line);
    let error = first_error(&output);
    assert!(
        error.contains("target directory cannot be written"),
        "{error}"
    );
    let stderr = text(&output.stderr);
    assert!(stderr.contains("CARGO_TARGET_DIR"), "{stderr}");
}
