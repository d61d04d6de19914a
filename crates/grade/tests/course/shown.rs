//! What is shown of a result, and in which order.

use std::process::{Command, Output};

use super::fixture::{find, text};
use super::small::{Exercise, Small, answers};

/// Checks whose source is their verdict: what `answer` does is not asked.
const TEACHES: Exercise = Exercise {
    name: "teaches",
    manifest: "",
    checks: &[
        ("main.rs", "mod unit;\nmod loom;\nmod shuttle;\n"),
        (
            "unit.rs",
            "#[test] fn a_begun() { todo!() }\n#[test] fn b_alone() { panic!(\"no picture\") }\n#[test] fn c_hangs() { loop { std::thread::park() } }\n#[test] fn d_open() { todo!() }\n#[test] fn e_passes() { answer::answer(); }\n",
        ),
        ("loom.rs", PICTURES),
        (
            "shuttle.rs",
            "#[test] fn draws() { super::loom::draw(\"shuttle::draws\", 30) }\n",
        ),
    ],
};

/// Reports as `kata` writes them, with as many steps as are asked for.
const PICTURES: &str = r####"
#[test] fn draws_much() { draw("loom::draws_much", 150) }
pub fn draw(test: &str, steps: usize) {
    let mut text = format!("{test}: data race in execution 1\n\n   #  main\n");
    let mut list = Vec::new();
    for step in 1..=steps {
        let wide = "x".repeat(if step == 3 { 90 } else { 3 });
        text.push_str(&format!("{step:>4}  {wide}.load(Relaxed)  lib.rs:{step}\n"));
        list.push(format!("{{\"step\":{step},\"thread\":0,\"text\":\"{wide}.load(Relaxed)\",\"location\":\"src/lib.rs:{step}\"}}"));
    }
    let replay = format!("cargo test -p teaches --test checks -- --exact {test}");
    text.push_str(&format!("      ^ nothing orders them\n\nreplay: {replay}\n"));
    let list = list.join(",");
    let text = text.replace('\n', "\\n");
    let nonce = std::env::var("KATA_NONCE").unwrap();
    let report = format!("{{\"nonce\":\"{nonce}\",\"schema\":\"kata/failure/v1\",\"test\":\"{test}\",\"world\":\"std\",\"headline\":\"data race\",\"explored\":\"in execution 1\",\"why\":\"nothing orders them\",\"threads\":[\"main\"],\"steps\":[{list}],\"replay\":\"{replay}\",\"text\":\"{text}\"}}");
    std::fs::write(std::env::var("KATA_REPORT").unwrap(), report).unwrap();
    panic!("raw");
}
"####;

fn course(name: &str) -> Small {
    let course = Small::write(name, &[TEACHES, answers("solved"), answers("fresh")]);
    course.put(
        "Cargo.toml",
        "[workspace]\nresolver = \"3\"\nmembers = [\"crates/*\", \"exercises/*/*\"]\n[workspace.metadata.kata.curriculum]\nphase1_internals = 5\nphase2_performance = 2\n[profile.dev]\ndebug = 0\n",
    );
    let locked = course.run(&["lock", "--author"]);
    assert!(locked.status.success(), "{locked:?}");
    course.solve("teaches", "pub fn answer() -> u32 { 1 }\n");
    course.solve("solved", "pub fn answer() -> u32 { 42 }\n");
    course
}

fn stdout(output: &Output) -> String {
    text(&output.stdout)
}

/// The words in the order in which they have to come.
fn assert_in_order(text: &str, words: &[&str]) {
    let mut rest = text;
    for word in words {
        let Some(at) = rest.find(word) else {
            panic!("{word:?} does not come next in:\n{text}");
        };
        rest = &rest[at + word.len()..];
    }
}

#[test]
fn what_teaches_most_comes_first_and_nothing_that_matters_is_cut() {
    let course = course("shown");
    let arguments = ["--hang-guard", "2"];
    let shown = stdout(&course.run(&arguments));
    // The shorter of two pictures, whole.
    assert_in_order(
        &shown,
        &[
            "1.01 teaches: hanging\n  shuttle::draws\n",
            "\n       1  xxx.load(Relaxed)  lib.rs:1\n",
            "\n      30  xxx.load(Relaxed)  lib.rs:30\n",
            "^ nothing orders them",
            "replay: cargo test -p teaches --test checks -- --exact shuttle::draws",
            "  Nor does this pass; ./grade.sh teaches --all-failures says why:\n",
            "      unit::c_hangs  (still running when it was stopped)\n",
            "      loom::draws_much\n",
            "      unit::b_alone\n",
            "  Not written yet, a `todo!()`: unit::a_begun, unit::d_open\n",
        ],
    );
    assert!(!shown.contains("no picture"), "{shown}");

    let shown = stdout(&course.run(&["teaches", "--all-failures", "--hang-guard", "2"]));
    assert_in_order(
        &shown,
        &[
            "  shuttle::draws\n",
            "  loom::draws_much\n",
            "\n       1  xxx.load(Relaxed)  lib.rs:1\n",
            "lines are left out; --json has them all\n",
            "\n     150  xxx.load(Relaxed)  lib.rs:150\n",
            "^ nothing orders them",
            "replay: cargo test -p teaches --test checks -- --exact loom::draws_much",
            "  unit::b_alone\n    no picture\n",
            "  unit::c_hangs\n    For 2 s all its threads slept",
            "Not written yet",
        ],
    );
    assert!(!shown.contains("Nor does this pass"), "{shown}");
}

#[test]
fn what_is_not_written_yet_is_open() {
    let course = course("curriculum");
    let arguments = ["--hang-guard", "2"];
    let shown = stdout(&course.run(&arguments));
    for words in [
        "Phase 1 · Deep theory & internals  1/5 passing, 2 not written yet\n",
        "Phase 2 · Performance mastery  0/2 passing, 2 not written yet\n",
        "Phase 3 · Advanced patterns  –\n",
        "Completion: 1 of 7 passing · level: Basics",
    ] {
        assert!(shown.contains(words), "{words:?} is missing:\n{shown}");
    }
    let shown = stdout(&course.run(&["solved"]));
    let words = "Completion: 1 of 1 selected, 1 of 7 in the course passing · level: Basics";
    assert!(shown.contains(words), "{shown}");

    // Everything that there is passes, and yet the phase is not complete.
    let everything = Small::write("all_that_is_written", &[answers("solved")]);
    let members = "[workspace]\nresolver = \"3\"\nmembers = [\"crates/*\", \"exercises/*/*\"]\n";
    let curriculum = "[workspace.metadata.kata.curriculum]\nphase1_internals = ";
    for (planned, level) in [(2, "Basics"), (1, "Advanced")] {
        everything.solve("solved", "pub fn answer() -> u32 { todo!() }\n");
        everything.put("Cargo.toml", &format!("{members}{curriculum}{planned}\n"));
        assert!(everything.run(&["lock", "--author"]).status.success());
        everything.solve("solved", "pub fn answer() -> u32 { 42 }\n");
        let result = everything.grade(&[]);
        assert_eq!(find(&result, "solved")["state"], "passing");
        assert_eq!(result["level"], level);
        assert_eq!(result["course"]["total"], planned);
        assert_eq!(result["phases"][0]["course"]["written"], 1);
    }
}

/// Leaves a trace of each run beside the crate.
const TRACED: Exercise = Exercise {
    name: "traced",
    manifest: "[features]\nloom = []\n",
    checks: &[
        (
            "main.rs",
            "#[cfg(not(feature = \"loom\"))]\nmod unit;\n#[cfg(feature = \"loom\")]\nmod loom;\nfn leave(trace: &str) { use std::io::Write; let mut file = std::fs::File::options().append(true).create(true).open(\"runs\").unwrap(); file.write_all(trace.as_bytes()).unwrap(); }\n",
        ),
        (
            "unit.rs",
            "#[test] fn mp_answers() { super::leave(\"m\"); assert_eq!(answer::answer(), 42); }\n#[test] fn sb_fails() { super::leave(\"s\"); assert_eq!(answer::answer(), 41, \"sb is wrong\"); }\n",
        ),
        (
            "loom.rs",
            "#[test] fn lb_answers() { super::leave(\"l\"); assert_eq!(answer::answer(), 42); }\n",
        ),
    ],
};

#[test]
fn a_part_of_the_checks_is_shown_as_a_part() {
    let course = Small::write("filter", &[TRACED, answers("solved")]);
    course.solve("traced", "pub fn answer() -> u32 { 42 }\n");
    let runs = || {
        let runs = std::fs::read_to_string(course.root.join(course.path("traced", "runs")));
        let mut runs: Vec<char> = runs.unwrap_or_default().chars().collect();
        runs.sort_unstable();
        String::from_iter(runs)
    };
    let output = course.run(&["traced", "mp"]);
    let shown = stdout(&output);
    assert_eq!(output.status.code(), Some(0), "{shown}");
    for words in [
        "Completion: 1 of the 1 checks of 1.01 traced with `mp` in their names passing",
        "Next step: ./grade.sh traced runs all of its checks",
    ] {
        assert!(shown.contains(words), "{words:?} is missing:\n{shown}");
    }
    assert_eq!(runs(), "m", "no other check ran");

    // A part is no result of the whole, neither now nor later.
    let result = course.grade(&["traced", "mp"]);
    assert_eq!(result["filter"], "mp");
    assert_eq!(find(&result, "traced")["state"], "passing");
    assert_eq!(result["course"]["passed"], 0);
    assert_eq!(runs(), "mm");
    let result = course.grade(&["traced"]);
    assert_eq!(find(&result, "traced")["state"], "failing");
    assert_eq!(result["filter"], serde_json::Value::Null);
    assert_eq!(runs(), "lmmms");

    // What is known of the whole is known of a part.
    let output = course.run(&["traced", "sb"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stdout(&output).contains("sb is wrong"));
    assert_eq!(course.run(&["1.01", "b_answers"]).status.code(), Some(0));
    assert_eq!(runs(), "lmmms");

    // In the exercise's folder its name can be left out.
    let mut grader = course.grader(&["mp"]);
    let folder = course.root.join(course.path("traced", "src"));
    let shown = stdout(&grader.current_dir(folder).output().unwrap());
    assert!(
        shown.contains("1 of the 1 checks of 1.01 traced"),
        "{shown}"
    );

    for arguments in [["traced", "solvde"], ["solvde", "mp"]] {
        let output = course.run(&arguments);
        assert_eq!(output.status.code(), Some(2));
        let stderr = text(&output.stderr);
        assert!(stderr.contains("Did you mean `solved`?"), "{stderr}");
    }
}

/// The grader's words on a terminal of so many columns.
fn on_terminal(course: &Small, columns: u16, arguments: &str) -> String {
    let grade = env!("CARGO_BIN_EXE_grade");
    let root = course.root.display();
    let script = format!("stty cols {columns} rows 50; '{grade}' --course '{root}' {arguments}");
    let output = Command::new("script")
        .args(["-qec", &script, "/dev/null"])
        .env("CARGO_TARGET_DIR", course.root.join("target"))
        .env("NO_COLOR", "1")
        .env("TERM", "xterm")
        .output()
        .unwrap();
    text(&output.stdout).replace('\r', "\n")
}

#[cfg(target_os = "linux")]
#[test]
fn a_narrow_terminal_gets_narrow_tables_and_lists() {
    let course = course("narrow");
    let shown = on_terminal(&course, 40, "--hang-guard 2 --all-failures");
    for words in [
        "\n  1.01  teaches  1/7  hanging\n",
        "    150  main: xxx.load(Relaxed)  lib.rs:150\n",
        "    ^ nothing orders them\n",
    ] {
        assert!(shown.contains(words), "{words:?} is missing:\n{shown}");
    }
    let shown = on_terminal(&course, 24, "--hang-guard 2");
    assert!(shown.contains("\n1.01 teaches hanging\n"), "{shown}");
    // With room enough nothing is given up.
    let shown = on_terminal(&course, 140, "--hang-guard 2");
    assert!(
        shown.contains("\n                 unit  loom  shuttle\n"),
        "{shown}"
    );
}
