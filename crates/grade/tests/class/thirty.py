#!/usr/bin/env python3
"""Grades thirty submissions of the real course: in one run, in one that is killed half way and goes on, and in three parts.

    crates/grade/tests/class/thirty.py WORK [GRADER]

WORK is a folder for submissions and results; GRADER is the grader's program, ./grade.sh of this course by default. The
submissions are made from solutions, alternatives and mutants, and from a few that mean harm. Takes about half an hour on
two cores, so `cargo test` does not run it; its own tests take a course of three exercises.

Exits with 0 if every state is the one that is expected, and if the three ways have the same results.
"""

import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import time
import tomllib

COURSE = pathlib.Path(__file__).resolve().parents[4]
RIGHT = ["fork_join", "litmus", "publish_once", "spin_lock", "dekker", "sharded_counter", "raft_election"]
TOGETHER = ["fork_join", "spin_lock", "sharded_counter"]
ALTERNATIVES = [
    ("fork_join", "halves"),
    ("litmus", "mixed"),
    ("publish_once", "boxed"),
    ("spin_lock", "ticket"),
    ("dekker", "swapped_turn"),
    ("sharded_counter", "never_cleared"),
]
# Each is rejected by the same checks every time. The first ones of 1.01 and 1.06 have other points each time.
SURE = {"fork_join": "no_workers_return_nothing", "dekker": "relaxed_unlock"}
MUTANTS = ["fork_join", "litmus", "publish_once", "spin_lock", "spin_lock", "dekker", "sharded_counter", "raft_election"]

# Laid under the solution of 1.01, in whose tests they then are.
EXITS = """
unsafe extern "C" { fn _exit(code: i32) -> !; }
#[used]
#[unsafe(link_section = ".init_array")]
static BEFORE_MAIN: extern "C" fn() = {
    extern "C" fn end() { if std::env::args().any(|argument| argument == "--exact") { unsafe { _exit(0) } } }
    end
};
"""
BEFORE_MAIN = """
#[used]
#[unsafe(link_section = ".init_array")]
static BEFORE_MAIN: extern "C" fn() = {
    extern "C" fn begin() { if std::env::args().any(|argument| argument == "--exact") { harm() } }
    begin
};
"""
FORKS = BEFORE_MAIN + """
fn harm() { loop { let _ = std::process::Command::new("/proc/self/exe").args(["--exact", "x"]).spawn(); } }
"""
KILLS = BEFORE_MAIN + """
fn harm() {
    // Between the two stands the shepherd.
    let status = std::fs::read_to_string(format!("/proc/{}/status", std::os::unix::process::parent_id())).unwrap();
    let grader = status.lines().find_map(|line| line.strip_prefix("PPid:")).unwrap().trim();
    let _ = std::process::Command::new("kill").args(["-9", grader]).status();
    loop { std::thread::park() }
}
"""
INCLUDES = 'pub static ALL: &[u8] = include_bytes!("/dev/zero");\n'


def folders():
    """All exercises: the path below exercises/ or solutions/, by name."""
    return {path.name[3:]: path.relative_to(COURSE / "exercises") for path in COURSE.glob("exercises/*/*") if path.is_dir()}


def make(work):
    """Writes the submissions. Returns what is expected of each: the states of the exercises that are started."""
    paths = folders()
    expected = {}
    solution = lambda name: (COURSE / "solutions" / paths[name] / "src/lib.rs").read_text()

    def submit(submission, name, source, states, kinds=()):
        # Both layouts in turn.
        clone = sum(map(ord, submission)) % 2
        folder = work / submission / ("exercises" if clone else "") / (paths[name] if clone else name)
        (folder / "src").mkdir(parents=True)
        if source is not None:
            (folder / "src/lib.rs").write_text(source)
        expected.setdefault(submission, {})[name] = (states, kinds)
        return folder

    for name in RIGHT:
        submit(f"right-{name}", name, solution(name), ["passing"])
    together = work / "right-together"
    for name, path in paths.items():
        folder = together / "exercises" / path / "src"
        shutil.copytree(COURSE / "exercises" / path / "src", folder)
        if name in TOGETHER:
            (folder / "lib.rs").write_text(solution(name))
            expected.setdefault("right-together", {})[name] = (["passing"], ())
    for name, alternative in ALTERNATIVES:
        source = (COURSE / "solutions" / paths[name] / "alternatives" / f"{alternative}.rs").read_text()
        submit(f"right-{name}-{alternative}", name, source, ["passing"])
    used = set()
    for name in MUTANTS:
        mutants = tomllib.loads((COURSE / "solutions" / paths[name] / "mutants.toml").read_text())["mutant"]
        for mutant in mutants:
            source = solution(name)
            applies = all(source.count(edit["find"]) == 1 for edit in mutant["edit"])
            if not applies or (name, mutant["name"]) in used or SURE.get(name, mutant["name"]) != mutant["name"]:
                continue
            used.add((name, mutant["name"]))
            for edit in mutant["edit"]:
                source = source.replace(edit["find"], edit["replace"])
            kinds = mutant["killed_by"]
            kinds = [kinds] if isinstance(kinds, str) else kinds
            submit(f"wrong-{name}-{mutant['name']}", name, source, ["failing", "hanging", "wont_compile"], kinds)
            break

    base = solution("fork_join")
    submit("hostile-exits", "fork_join", base + EXITS, ["failing"])
    submit("hostile-forks", "fork_join", base + FORKS, ["failing", "hanging"])
    submit("hostile-kills", "fork_join", base + KILLS, [None])
    submit("hostile-includes", "fork_join", base + INCLUDES, ["wont_compile"])
    folder = submit("hostile-fifo", "fork_join", None, ["wont_compile"])
    os.mkfifo(folder / "src/lib.rs")
    # Wrong, and with checks that do not mind.
    wrong = "pub fn map() {}\n"
    folder = submit("hostile-tests", "fork_join", wrong, ["failing", "wont_compile"])
    (folder / "tests/checks").mkdir(parents=True)
    (folder / "tests/checks/main.rs").write_text("#[test]\nfn fine() {}\n")
    (folder / "build.rs").write_text('fn main() { panic!("it was built") }\n')

    (work / "empty").mkdir()
    stub = work / "empty-stubs/spin_lock/src"
    stub.mkdir(parents=True)
    (stub / "lib.rs").write_text((COURSE / "exercises" / paths["spin_lock"] / "src/lib.rs").read_text())
    for submission in ("empty", "empty-stubs"):
        expected[submission] = {}
    assert len(expected) == 30, sorted(expected)
    return expected


def check(results, expected):
    """Complaints about what is not as expected."""
    names = [goal["name"] for goal in results["exercises"]]
    rows = {row["name"]: row for row in results["submissions"]}
    wrong = [] if set(rows) == set(expected) else [f"submissions: {sorted(set(rows) ^ set(expected))}"]
    for submission, started in expected.items():
        for goal, reached in zip(results["exercises"], rows[submission]["exercises"]):
            states, kinds = started.get(goal["name"], (["not_started"], ()))
            if reached["state"] not in states:
                wrong.append(f"{submission} {goal['name']}: {reached['state']}, not {states}")
            points = reached["points"]
            if states == ["passing"] and points != goal["checks"]:
                wrong.append(f"{submission} {goal['name']}: {points} of {goal['checks']}")
            known = [kind for kind in kinds if kind in points]
            if known and all(points[kind] == goal["checks"][kind] for kind in known):
                wrong.append(f"{submission} {goal['name']}: none of {known} rejects it: {points}")
    assert len(names) == len(folders())
    return wrong


def differences(one, other):
    """Where two results differ."""
    rows = zip(one["submissions"], other["submissions"], strict=True)
    found = [f"{a['name']}: {a['exercises']} {b['exercises']}" for a, b in rows if a != b]
    one, other = ({k: v for k, v in results.items() if k != "submissions"} for results in (one, other))
    return found + ([] if one == other else ["what there was to reach"])


def main():
    if len(sys.argv) not in (2, 3):
        sys.exit(__doc__)
    work = pathlib.Path(sys.argv[1]).resolve()
    grader = pathlib.Path(sys.argv[2]).resolve() if len(sys.argv) == 3 else COURSE / "grade.sh"
    os.chdir(COURSE)
    submissions = work / "submissions"
    submissions.mkdir(parents=True)
    expected = make(submissions)

    def command(out, *options):
        return [grader, "class", submissions, "--out", work / out, *options]

    def run(out, *options):
        begin = time.monotonic()
        done = subprocess.run(command(out, *options), stdout=subprocess.DEVNULL)
        # Whoever kills the grader is not graded, so not everything is.
        assert done.returncode in (0, 1), done
        return time.monotonic() - begin

    def results(out):
        return json.loads((work / out / "results.json").read_text())

    # Nothing but what all share is built here.
    (work / "none").mkdir()
    subprocess.run([grader, "class", work / "none", "--out", work / "nothing"], check=True)

    complaints = []
    took = run("whole", "--jobs", "2")
    whole = took
    print(f"thirty at one go, two sandboxes at once: {took:.0f} s", flush=True)
    complaints += check(results("whole"), expected)

    with subprocess.Popen(command("killed", "--jobs", "2"), stdout=subprocess.DEVNULL) as killed:
        while len(list(work.glob("killed/submissions/*.json"))) < 15:
            assert killed.poll() is None, "it ended before it could be killed"
            time.sleep(0.1)
        killed.send_signal(signal.SIGKILL)
    known = len(list(work.glob("killed/submissions/*.json")))
    took = run("killed", "--jobs", "2")
    print(f"killed after {known}, and gone on: {took:.0f} s for the rest", flush=True)
    complaints += [f"killed: {what}" for what in differences(results("whole"), results("killed"))]

    took = sum(run(f"part-{part}", "--jobs", "1", "--shard", f"{part}/3") for part in (1, 2, 3))
    print(f"in three parts, one after the other, one sandbox at a time: {took:.0f} s", flush=True)
    print(f"two at once take {whole / took:.2f} of the sum of single runs", flush=True)
    parts = [work / f"part-{part}" for part in (1, 2, 3)]
    merge = [grader, "class", "merge", *parts, "--out", work / "merged"]
    assert subprocess.run(merge, stdout=subprocess.DEVNULL).returncode in (0, 1)
    complaints += [f"merged: {what}" for what in differences(results("whole"), results("merged"))]
    for out in ("killed", "merged"):
        for file in ("results.json", "results.csv"):
            same = (work / out / file).read_bytes() == (work / "whole" / file).read_bytes()
            print(f"{out}/{file}: {'the same, byte for byte' if same else 'differs'}")

    for complaint in complaints:
        print("NOT AS EXPECTED:", complaint)
    print(f"{len(complaints)} complaints")
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main())
