//! What a sandbox keeps from the code in it. Needs bubblewrap; without it these say `skipped:`, one line each, and with
//! `KATA_REQUIRE_SANDBOX=1` they fail.

use std::fs;
use std::net::TcpListener;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use super::fixture::{Course, answer, ended_with, put, running, signal, text};

/// Whether this machine makes sandboxes.
fn can_be_tried(test: &str) -> bool {
    let tried = Command::new("bwrap")
        .args([
            "--unshare-pid",
            "--unshare-net",
            "--ro-bind",
            "/",
            "/",
            "--proc",
            "/proc",
            "true",
        ])
        .output();
    let why_not = match tried {
        Ok(output) if output.status.success() => return true,
        Ok(output) => text(&output.stderr),
        Err(error) => error.to_string(),
    };
    let required = std::env::var_os("KATA_REQUIRE_SANDBOX").is_some();
    assert!(!required, "no bubblewrap: {why_not}");
    super::say_skipped(test, &format!("no bubblewrap: {}", why_not.trim()));
    false
}

/// How many seconds a process sleeps by which a test knows it again.
fn unique_seconds() -> u32 {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    700_000_000 + std::process::id() % 100_000 * 100 + NEXT.fetch_add(1, Relaxed)
}

/// Each does what it must not be able to do, and answers 42 only if it was not.
#[test]
fn a_sandbox_holds_whoever_wants_out() {
    if !can_be_tried("a_sandbox_holds_whoever_wants_out") {
        return;
    }
    let course = Course::write("class-hostile");
    let submissions = course.root.join("submissions");
    let secret = course.root.join("secret");
    put(&secret, "the teacher's");
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let seconds = unique_seconds();
    let harmless = [
        ("reads", format!("if std::fs::read({secret:?}).is_err() {{ 42 }} else {{ 1 }}")),
        (
            "calls_home",
            format!("if std::net::TcpStream::connect((\"127.0.0.1\", {port})).is_err() {{ 42 }} else {{ 1 }}"),
        ),
        (
            // Its own exercise, its neighbours', the grader, the crates, the root.
            "writes",
            "let places = [\"src/lib.rs\", \"tests/checks/unit.rs\", \"Cargo.toml\", \"../02_sum/src/lib.rs\", \
             \"../../tests.lock\", \"/kata/grade\", \"/kata/new\", \"/new\", \"/dev/new\", \"/usr/new\", \"/etc/new\", \
             \"/scratch/cargo/config.toml\"];
             match places.iter().position(|place| std::fs::OpenOptions::new().append(true).create(true).open(place).is_ok()) \
             { None => 42, Some(place) => place as u32 }"
                .to_owned(),
        ),
        (
            "looks_around",
            "let home = std::env::var(\"HOME\").unwrap(); let ids: Vec<u32> = std::fs::read_dir(\"/proc\").unwrap().flatten()\
             .filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect(); \
             if std::fs::read_dir(home).unwrap().next().is_none() && ids.len() < 20 { 42 } else { 1 }"
                .to_owned(),
        ),
        (
            // Into the grader that runs it, for the answer is on its way there.
            "looks_up",
            "let parent = std::os::unix::process::parent_id(); \
             let open = |file: &str| std::fs::File::open(format!(\"/proc/{parent}/{file}\")).is_ok(); \
             let write = std::fs::OpenOptions::new().write(true).open(format!(\"/proc/{parent}/fd/1\")).is_ok(); \
             if open(\"mem\") || open(\"environ\") || open(\"fd/0\") || write { 1 } else { 42 }"
                .to_owned(),
        ),
        (
            // How large the one place is that can be written to: it is not tried by filling it.
            "has_a_small_disk",
            "let said = std::process::Command::new(\"df\").args([\"--output=size\", \"-B1\", \"/scratch/tmp\"]).output().unwrap(); \
             let size: u64 = String::from_utf8(said.stdout).unwrap().lines().last().unwrap().trim().parse().unwrap(); \
             if size <= 4 << 30 { 42 } else { 1 }"
                .to_owned(),
        ),
        (
            // Until the limit says no. The grader counts processes, but threads are the system's business.
            "starts_threads",
            "for _ in 0..3000 { if std::thread::Builder::new().stack_size(64 << 10).spawn(std::thread::park).is_err() \
             { return 42; } } 1"
                .to_owned(),
        ),
    ];
    for (name, body) in &harmless {
        put(
            &submissions.join(name).join("answer/src/lib.rs"),
            &answer(body),
        );
    }
    let sleep = format!("sleep {seconds}");
    let caught = [
        (
            "leaves_a_daemon",
            format!(
                "std::process::Command::new(\"setsid\").args([\"--fork\", \"env\", \"-i\", \"/bin/sh\", \"-c\", \"{sleep}\"])\
                 .status().unwrap(); 42"
            ),
            &["failing", "passing"][..],
        ),
        ("exits", "std::process::exit(0)".to_owned(), &["failing"]),
        // Each copy starts copies, faster than one could kill them one by one.
        (
            "forks_for_ever",
            "loop { let _ = std::process::Command::new(\"/proc/self/exe\").args(std::env::args().skip(1)).spawn(); }".to_owned(),
            &["failing", "hanging"],
        ),
        // Whoever kills what stands between, or the grader, has not passed, and it is told.
        (
            "kills_the_shepherd",
            "std::process::Command::new(\"kill\").args([\"-9\".to_owned(), std::os::unix::process::parent_id().to_string()])\
             .status().unwrap(); loop { std::thread::park() }"
                .to_owned(),
            &["failing"],
        ),
        (
            "kills_the_grader",
            "let up = |id: u32| -> u32 { std::fs::read_to_string(format!(\"/proc/{id}/status\")).unwrap().lines()\
             .find_map(|line| line.strip_prefix(\"PPid:\")).unwrap().trim().parse().unwrap() };\
             let grader = up(std::os::unix::process::parent_id());\
             std::process::Command::new(\"kill\").args([\"-9\".to_owned(), grader.to_string()]).status().unwrap();\
             loop { std::thread::park() }"
                .to_owned(),
            &["ungraded"],
        ),
        (
            "answers_for_the_grader",
            "for id in 1..20 { for fd in 0..5 { if let Ok(mut to) = std::fs::OpenOptions::new().write(true)\
             .open(format!(\"/proc/{id}/fd/{fd}\")) { use std::io::Write; \
             let _ = to.write_all(b\"\\n{\\\"Trouble\\\":\\\"forged\\\"}\\n\"); } } } 41"
                .to_owned(),
            &["failing"],
        ),
    ];
    for (name, body, _) in &caught {
        put(
            &submissions.join(name).join("answer/src/lib.rs"),
            &answer(body),
        );
    }
    // Before any of its tests, in an exercise whose second world is built afterwards or at the same time.
    put(
        &submissions.join("forks_before_main/sum/src/lib.rs"),
        "#[used]\n#[unsafe(link_section = \".init_array\")]\nstatic FIRST: extern \"C\" fn() = {\n\
         extern \"C\" fn first() { if std::env::args().any(|word| word == \"--exact\") { \
         loop { let _ = std::process::Command::new(\"/proc/self/exe\").args([\"--exact\", \"x\"]).spawn(); } } }\nfirst\n};\n\
         pub fn answer() -> u32 { 42 }\n",
    );
    // Beside them, somebody who has done nothing but the work.
    put(&submissions.join("zoe/answer/src/lib.rs"), &answer("42"));

    let arguments = ["--hang-guard", "20", "--jobs", "2"];
    let output = course
        .class("submissions", "out", &arguments)
        .output()
        .unwrap();
    // Something could not be graded.
    ended_with(&output, 1);
    let record = |name: &str| course.text(&format!("out/submissions/{name}.json"));
    for (name, _) in &harmless {
        assert_eq!(
            course.state("out", name, "1.01"),
            "passing",
            "{name}: {}",
            record(name)
        );
    }
    for (name, _, states) in &caught {
        let state = course.state("out", name, "1.01");
        assert!(
            states.contains(&state.as_str()),
            "{name} is {state}: {}",
            record(name)
        );
    }
    assert!(
        record("kills_the_grader").contains("The grader was ended"),
        "{}",
        record("kills_the_grader")
    );
    assert!(
        record("forks_for_ever").contains("processes ran at once"),
        "{}",
        record("forks_for_ever")
    );
    let state = course.state("out", "forks_before_main", "1.02");
    assert!(
        ["failing", "hanging"].contains(&state.as_str()),
        "{state}: {}",
        record("forks_before_main")
    );
    assert_eq!(course.state("out", "zoe", "1.01"), "passing");
    assert_eq!(course.json("out/results.json")["sandbox"], "bubblewrap");
    assert_eq!(running(&sleep), 0, "a daemon outlived its sandbox");
    assert_eq!(
        running(&seconds.to_string()),
        0,
        "a daemon outlived its sandbox"
    );
    assert_eq!(fs::read_to_string(secret).unwrap(), "the teacher's");
}

/// What a grader's cells have of cgroups, by the name that it gives them.
fn cgroups_of(grader: u32) -> Vec<String> {
    let name = format!("kata-cell-{grader}-*");
    let found = Command::new("find")
        .args(["/sys/fs/cgroup", "-type", "d", "-name", &name])
        .output()
        .unwrap();
    text(&found.stdout).lines().map(str::to_owned).collect()
}

/// The disk and the process have less than the guards of a test allow, each for itself.
#[test]
fn memory_of_all_together_is_limited_where_cgroups_are_allowed() {
    const NAME: &str = "memory_of_all_together_is_limited_where_cgroups_are_allowed";
    if !can_be_tried(NAME) {
        return;
    }
    let course = Course::write("class-memory");
    put(
        &course.root.join("submissions/eats/rest/src/lib.rs"),
        &answer(
            "let piece = vec![1; 64 << 20];
             for file in 0..3 {
                 use std::io::Write;
                 let mut to = std::fs::File::create(format!(\"/scratch/tmp/{file}\")).unwrap();
                 for _ in 0..15 { to.write_all(&piece).unwrap(); }
             }
             let mut pieces = Vec::new();
             for _ in 0..22 { pieces.push(piece.clone()); }
             if std::hint::black_box(pieces).len() == 22 { 42 } else { 1 }",
        ),
    );
    let output = course
        .class("submissions", "out", &["--jobs", "64"])
        .output()
        .unwrap();
    ended_with(&output, 0);
    let stderr = text(&output.stderr);
    assert_eq!(stderr.matches("limits: ").count(), 1, "{stderr}");
    if stderr.contains("limits: processes alone\n") {
        let required = std::env::var_os("KATA_REQUIRE_CGROUP").is_some();
        assert!(!required, "no cgroup can be made");
        super::say_skipped(NAME, "no cgroup can be made");
        return;
    }
    assert!(stderr.contains("limits: cgroup v"), "{stderr}");
    let record = course.text("out/submissions/eats.json");
    assert_eq!(course.state("out", "eats", "1.03"), "failing", "{record}");
    assert!(
        record.contains("Out of memory: together the processes of the sandbox"),
        "{record}"
    );
}

/// Until a sandboxed sleeper is there.
fn wait_for_sleeper(seconds: u32, run: &mut std::process::Child) {
    while running(&seconds.to_string()) == 0 {
        assert!(
            run.try_wait().unwrap().is_none(),
            "it ended before it could be stopped"
        );
        std::thread::yield_now();
    }
}

#[test]
fn a_stopped_run_leaves_no_sandbox_and_goes_on() {
    if !can_be_tried("a_stopped_run_leaves_no_sandbox_and_goes_on") {
        return;
    }
    let course = Course::write("class-stopped");
    let submissions = course.root.join("submissions");
    let seconds = unique_seconds();
    let sleeps =
        format!("std::process::Command::new(\"sleep\").arg(\"{seconds}\").status().unwrap(); 42");
    put(&submissions.join("anna/answer/src/lib.rs"), &answer("42"));
    put(&submissions.join("ben/answer/src/lib.rs"), &answer(&sleeps));
    let mut graders = Vec::new();
    for (name, code) in [("INT", Some(130)), ("TERM", Some(130)), ("KILL", None)] {
        let mut run = course
            .class(
                "submissions",
                "out",
                &["--hang-guard", "600", "--jobs", "1"],
            )
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        wait_for_sleeper(seconds, &mut run);
        graders.push((run.id(), !cgroups_of(run.id()).is_empty()));
        signal(run.id(), name);
        assert_eq!(run.wait().unwrap().code(), code, "SIG{name}");
        // Nobody waits for what a killed grader leaves; the system takes it away.
        while name == "KILL" && running(&seconds.to_string()) > 0 {
            std::thread::yield_now();
        }
        assert_eq!(running(&seconds.to_string()), 0, "SIG{name}");
        // A killed grader's are removed by the next.
        if name != "KILL" {
            assert_eq!(cgroups_of(run.id()), Vec::<String>::new(), "SIG{name}");
        }
    }
    put(&submissions.join("ben/answer/src/lib.rs"), &answer("42"));
    let output = course
        .class("submissions", "out", &["--jobs", "1"])
        .output()
        .unwrap();
    ended_with(&output, 0);
    let stderr = text(&output.stderr);
    let has_cgroups = stderr.contains("limits: cgroup v");
    for (grader, had_cgroups) in graders {
        assert_eq!(had_cgroups, has_cgroups, "{stderr}");
        assert_eq!(cgroups_of(grader), Vec::<String>::new());
    }
    assert!(
        stderr.contains("ben: 1 passing, 2 not started\n"),
        "{stderr}"
    );
    assert_eq!(course.state("out", "anna", "1.01"), "passing");
}
