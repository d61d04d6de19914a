//! `reset` brings back the course's own text, and whatever was there is in the backup that it names.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::course::{RIGHT, WRONG, assert_has, said, snapshot, stderr, write};
use crate::grader::as_nobody;
use crate::small::Small;

const STUB: &str = "pub fn answer() -> u32 { todo!() }\n";

/// The folder that an answer names.
fn backup(course: &Small, answer: &str) -> PathBuf {
    let (_, rest) = answer
        .split_once(" is in ")
        .unwrap_or_else(|| panic!("{answer}"));
    let (name, _) = rest.split_once(". To have it back").unwrap();
    course.root.join(name)
}

fn read(path: impl AsRef<Path>) -> String {
    fs::read_to_string(path.as_ref())
        .unwrap_or_else(|error| panic!("{}: {error}", path.as_ref().display()))
}

fn git(course: &Small, arguments: &[&str]) {
    let mut command = Command::new("git");
    command.current_dir(&course.root).args([
        "-c",
        "user.name=a",
        "-c",
        "user.email=a@b",
        "-c",
        "commit.gpgsign=false",
    ]);
    let output = command.args(arguments).output().unwrap();
    assert!(output.status.success(), "{output:?}");
}

/// A course whose originals the grader has seen, and that git knows nothing of.
fn recorded(test: &str) -> Small {
    let course = write(test);
    course.run(&[]);
    course
}

#[test]
fn a_dirty_file_and_new_files_are_in_the_backup() {
    let course = recorded("reset_dirty");
    course.solve("first", RIGHT);
    course.solve("second", WRONG);
    for (file, text) in [
        ("src/helper.rs", "// mine\n"),
        ("src/deep/er/mod.rs", "// deep\n"),
        ("src/.notes", "hidden\n"),
        ("src/lib.rs~", "old\n"),
    ] {
        course.put(&course.path("first", file), text);
    }
    course.put(&course.path("first", "notes.txt"), "beside\n");
    let answer = said(&course, &["reset", "first"]);
    assert_has(
        &answer,
        &["1.01 first: src/ as the course ships it.", "(3 files)"],
    );
    let src = course.root.join(course.path("first", "src"));
    assert_eq!(read(src.join("lib.rs")), STUB);
    assert!(!src.join("helper.rs").exists() && !src.join("deep").exists());
    let saved = backup(&course, &answer).join(course.path("first", "src"));
    assert_eq!(read(saved.join("lib.rs")), RIGHT);
    assert_eq!(read(saved.join("helper.rs")), "// mine\n");
    assert_eq!(read(saved.join("deep/er/mod.rs")), "// deep\n");
    // What no digest counts stays where it is, and so does what is no source.
    assert_eq!(read(src.join(".notes")), "hidden\n");
    assert_eq!(read(src.join("lib.rs~")), "old\n");
    assert_eq!(
        read(course.root.join(course.path("first", "notes.txt"))),
        "beside\n"
    );
    assert_eq!(
        read(course.root.join(course.path("second", "src/lib.rs"))),
        WRONG
    );
    assert_has(
        &said(&course, &["list"]),
        &["first   The first one   small  not started"],
    );

    // The way back that the answer names.
    let (_, way) = answer.trim_end().rsplit_once(": cp ").unwrap();
    let copied = Command::new("sh")
        .arg("-c")
        .arg(format!("cp {way}"))
        .current_dir(&course.root)
        .status();
    assert!(copied.unwrap().success());
    assert_eq!(read(src.join("lib.rs")), RIGHT);
    assert_eq!(read(src.join("deep/er/mod.rs")), "// deep\n");
}

#[test]
fn twice_in_a_second_makes_two_backups() {
    let course = recorded("reset_twice");
    let mut backups = BTreeSet::new();
    for round in 0..5 {
        let text = format!("// {round}\n");
        course.solve("first", &text);
        let backup = backup(&course, &said(&course, &["reset", "first"]));
        assert_eq!(read(backup.join(course.path("first", "src/lib.rs"))), text);
        backups.insert(backup);
    }
    assert_eq!(backups.len(), 5);
    let before = snapshot(&course.root);
    assert_has(&said(&course, &["reset", "first"]), &["Nothing was done."]);
    assert_has(
        &said(&course, &["reset", "--all"]),
        &["3 exercises", "Nothing was done."],
    );
    assert_eq!(snapshot(&course.root), before);
}

#[test]
fn a_phase_or_all_of_it_at_once() {
    let course = recorded("reset_all");
    for arguments in [&["reset", "phase1"][..], &["reset", "--all"]] {
        course.solve("first", RIGHT);
        course.solve("third", WRONG);
        let answer = said(&course, arguments);
        assert_has(&answer, &["1.01 first", "1.03 third", "(2 files)"]);
        assert!(!answer.contains("second"), "{answer}");
        let backup = backup(&course, &answer);
        assert_eq!(read(backup.join(course.path("first", "src/lib.rs"))), RIGHT);
        assert_eq!(read(backup.join(course.path("third", "src/lib.rs"))), WRONG);
    }
    for (arguments, words) in [
        (&["reset"][..], "Reset what?"),
        (&["reset", "frist"], "Did you mean `first`?"),
        (&["reset", "first", "--all"], "cannot be used with"),
    ] {
        let output = course.run(arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {output:?}");
        assert_has(&stderr(&output), &[words]);
    }
    course.solve("first", RIGHT);
    let src = course.root.join(course.path("first", "src"));
    let output = course
        .grader(&["reset"])
        .current_dir(&src)
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    // The folder is still the one in which the learner's shell is.
    assert_eq!(read(src.join("lib.rs")), STUB);
}

#[test]
fn tests_come_back_and_the_source_stays() {
    let course = recorded("reset_tests");
    course.solve("first", RIGHT);
    let manifest = course.root.join(course.path("first", "Cargo.toml"));
    let original = read(&manifest);
    fs::write(&manifest, format!("{original}# mine\n")).unwrap();
    course.put(&course.path("first", "tests/checks/unit.rs"), "// easy\n");
    course.put(&course.path("first", "build.rs"), "fn main() {}\n");
    assert_has(&said(&course, &["list"]), &["tests edited"]);
    let answer = said(&course, &["reset", "first", "--tests"]);
    assert_has(
        &answer,
        &["1.01 first: tests/ and Cargo.toml as the course ships it."],
    );
    assert_eq!(read(&manifest), original);
    assert_eq!(
        read(course.root.join(course.path("first", "src/lib.rs"))),
        RIGHT
    );
    let backup = backup(&course, &answer);
    assert_eq!(
        read(backup.join(course.path("first", "tests/checks/unit.rs"))),
        "// easy\n"
    );
    assert_eq!(
        read(backup.join(course.path("first", "build.rs"))),
        "fn main() {}\n"
    );
    assert_eq!(
        read(backup.join(course.path("first", "Cargo.toml"))),
        format!("{original}# mine\n")
    );
    assert_eq!(course.grade(&["first"])["course"]["passed"], 1);
}

#[test]
fn the_original_is_found_in_the_history_of_git() {
    // The grader has seen no original here; the learner's own work is committed over it, on a branch.
    let course = write("reset_git");
    git(&course, &["init", "-q"]);
    course.put(".gitignore", "/target\n/.kata\n");
    git(&course, &["add", "-A"]);
    git(&course, &["commit", "-qm", "the course"]);
    git(&course, &["checkout", "-qb", "mine"]);
    course.solve("first", WRONG);
    git(&course, &["commit", "-qam", "first try"]);
    course.solve("first", RIGHT);
    course.put(&course.path("first", "src/helper.rs"), "// mine\n");
    git(&course, &["add", "-A"]);
    git(&course, &["commit", "-qm", "second try"]);
    course.solve("first", "// not committed\n");
    git(&course, &["add", "-A"]);
    course.solve("first", "// not even staged\n");
    let index = fs::read(course.root.join(".git/index")).unwrap();
    let answer = said(&course, &["reset", "first"]);
    assert_eq!(
        read(course.root.join(course.path("first", "src/lib.rs"))),
        STUB
    );
    assert!(
        !course
            .root
            .join(course.path("first", "src/helper.rs"))
            .exists()
    );
    let saved = backup(&course, &answer).join(course.path("first", "src"));
    assert_eq!(read(saved.join("lib.rs")), "// not even staged\n");
    assert_eq!(read(saved.join("helper.rs")), "// mine\n");
    assert_eq!(
        fs::read(course.root.join(".git/index")).unwrap(),
        index,
        "what is staged stays staged"
    );
}

#[test]
fn without_git_and_without_a_copy_nothing_is_changed() {
    let course = write("reset_lost");
    course.solve("first", RIGHT);
    course.solve("second", WRONG);
    let before = snapshot(&course.root.join("exercises"));
    let output = course.run(&["reset", "--all"]);
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    assert_has(
        &stderr(&output),
        &["01_first/src was not found", "Nothing was changed."],
    );
    assert_eq!(snapshot(&course.root.join("exercises")), before);

    // A copy that is not what it was is none.
    let course = recorded("reset_damaged");
    course.solve("first", RIGHT);
    for entry in walkdir::WalkDir::new(course.root.join(".kata/originals"))
        .into_iter()
        .flatten()
    {
        if entry.file_type().is_file() {
            fs::write(entry.path(), "// other\n").unwrap();
        }
    }
    let output = course.run(&["reset", "first"]);
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    assert_eq!(
        read(course.root.join(course.path("first", "src/lib.rs"))),
        RIGHT
    );
}

#[test]
fn links_are_moved_and_what_they_lead_to_stays() {
    let course = recorded("reset_links");
    let outside = course.root.join("outside");
    fs::create_dir_all(outside.join("src")).unwrap();
    fs::write(outside.join("linked.rs"), RIGHT).unwrap();
    fs::write(outside.join("src/lib.rs"), WRONG).unwrap();
    fs::write(outside.join("src/more.rs"), "// more\n").unwrap();
    // A file that is a link, one that leads nowhere, and a folder that is one.
    let src = |name: &str| course.root.join(course.path(name, "src"));
    fs::remove_file(src("first").join("lib.rs")).unwrap();
    symlink(outside.join("linked.rs"), src("first").join("lib.rs")).unwrap();
    symlink("nowhere.rs", src("first").join("dangling.rs")).unwrap();
    symlink(&outside, src("first").join("folder")).unwrap();
    fs::remove_dir_all(src("second")).unwrap();
    symlink(outside.join("src"), src("second")).unwrap();
    let before = snapshot(&outside);
    let answer = said(&course, &["reset", "--all"]);
    assert_eq!(snapshot(&outside), before);
    for name in ["first", "second"] {
        let lib = src(name).join("lib.rs");
        assert_eq!(read(&lib), STUB);
        assert!(!fs::symlink_metadata(&lib).unwrap().is_symlink());
        assert!(!fs::symlink_metadata(src(name)).unwrap().is_symlink());
    }
    let backup = backup(&course, &answer);
    let saved = |name: &str, rest: &str| backup.join(course.path(name, rest));
    assert_eq!(read(saved("first", "src/lib.rs")), RIGHT);
    assert_eq!(
        fs::read_link(saved("first", "src/dangling.rs")).unwrap(),
        Path::new("nowhere.rs")
    );
    assert_eq!(
        fs::read_link(saved("first", "src/folder")).unwrap(),
        outside
    );
    assert_eq!(
        fs::read_link(saved("second", "src")).unwrap(),
        outside.join("src")
    );
}

#[test]
fn what_stands_in_the_way_is_moved_as_well() {
    let course = recorded("reset_in_the_way");
    let lib = course.root.join(course.path("first", "src/lib.rs"));
    fs::remove_file(&lib).unwrap();
    course.put(&course.path("first", "src/lib.rs/.hidden"), "mine\n");
    course.put(&course.path("first", "src/lib.rs/inner.rs"), "// mine\n");
    fs::remove_dir_all(course.root.join(course.path("second", "src"))).unwrap();
    let answer = said(&course, &["reset", "first", "second"]);
    assert_eq!(read(&lib), STUB);
    assert_eq!(
        read(course.root.join(course.path("second", "src/lib.rs"))),
        STUB
    );
    let found = snapshot(&backup(&course, &answer));
    let contents: BTreeSet<&[u8]> = found.values().map(Vec::as_slice).collect();
    assert_eq!(contents, BTreeSet::from([&b"mine\n"[..], b"// mine\n"]));
}

#[test]
fn what_cannot_be_moved_or_written_is_left_as_it_was() {
    let course = recorded("reset_read_only");
    for name in ["first", "second", "third"] {
        course.solve(name, RIGHT);
    }
    // No place for a backup.
    let own = course.root.join(".kata");
    let aside = course.root.join("kata-aside");
    fs::rename(&own, &aside).unwrap();
    fs::write(&own, "mine").unwrap();
    let before = snapshot(&course.root);
    let output = course.run(&["reset", "first"]);
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    assert_has(&stderr(&output), &["Nothing was changed."]);
    assert_eq!(snapshot(&course.root), before);
    fs::remove_file(&own).unwrap();
    fs::rename(&aside, &own).unwrap();

    // A read-only file in a folder that can be written is moved like any other.
    let lib = |name: &str| course.root.join(course.path(name, "src/lib.rs"));
    fs::set_permissions(lib("first"), fs::Permissions::from_mode(0o444)).unwrap();
    let answer = said(&course, &["reset", "first"]);
    assert_eq!(read(lib("first")), STUB);
    assert_eq!(
        read(backup(&course, &answer).join(course.path("first", "src/lib.rs"))),
        RIGHT
    );

    // One exercise can be reset and the next cannot: neither is.
    course.solve("first", RIGHT);
    let open =
        |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    for entry in walkdir::WalkDir::new(&course.root).into_iter().flatten() {
        if !entry.path_is_symlink() && !entry.path().starts_with(course.root.join("target")) {
            open(
                entry.path(),
                if entry.file_type().is_dir() {
                    0o777
                } else {
                    0o666
                },
            );
        }
    }
    let locked = course.root.join(course.path("second", "src"));
    open(&locked, 0o555);
    let before = snapshot(&course.root.join("exercises"));
    let output = as_nobody(course.grader(&["reset", "--all"]))
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    assert_has(
        &stderr(&output),
        &["02_second/src/lib.rs", "Nothing was changed."],
    );
    assert_eq!(snapshot(&course.root.join("exercises")), before);
    open(&locked, 0o777);
    let output = as_nobody(course.grader(&["reset", "--all"]))
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert_eq!(read(lib("third")), STUB);
}

#[test]
fn killed_at_any_moment_it_has_lost_nothing() {
    let course = recorded("reset_killed");
    let all = |course: &Small| {
        let mut all: BTreeSet<Vec<u8>> = snapshot(&course.root.join("exercises"))
            .into_values()
            .collect();
        all.extend(snapshot(&course.root.join(".kata/backups")).into_values());
        all
    };
    let mut interrupted = 0;
    for round in 0..40 {
        let mut mine = BTreeSet::new();
        for name in ["first", "second", "third"] {
            for file in 0..40 {
                let text = format!("// {name} {round} {file}\n");
                let path = if file == 0 {
                    "src/lib.rs".to_owned()
                } else {
                    format!("src/mine_{file}.rs")
                };
                course.put(&course.path(name, &path), &text);
                mine.insert(text.into_bytes());
            }
        }
        let moved = || {
            let backups = walkdir::WalkDir::new(course.root.join(".kata/backups"));
            let files = backups
                .into_iter()
                .flatten()
                .filter(|entry| entry.file_type().is_file());
            files.count()
        };
        let before = moved();
        let mut grader = course
            .grader(&["reset", "--all"])
            .stderr(std::process::Stdio::null())
            .stdout(std::process::Stdio::null())
            .spawn()
            .unwrap();
        // As soon as so many files have been moved.
        while moved() < before + 3 * round && grader.try_wait().unwrap().is_none() {}
        grader.kill().unwrap();
        interrupted += usize::from(!grader.wait().unwrap().success());
        let found = all(&course);
        let lost: Vec<String> = mine
            .difference(&found)
            .map(|text| String::from_utf8_lossy(text).into_owned())
            .collect();
        assert!(lost.is_empty(), "round {round}: {lost:?}");
        // Called again, it does the rest.
        said(&course, &["reset", "--all"]);
        for name in ["first", "second", "third"] {
            let src = snapshot(&course.root.join(course.path(name, "src")));
            assert_eq!(src.into_values().collect::<Vec<_>>(), [STUB.as_bytes()]);
        }
        assert!(mine.is_subset(&all(&course)), "round {round}");
    }
    assert!(interrupted > 0, "it was always quicker than the signal");
}
