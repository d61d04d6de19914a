#!/usr/bin/env python3
"""Makes docs/failing-model.svg: the terminal after `./grade.sh spin_lock`, of a lock whose unlock is Relaxed.

In a copy of the course the exercise gets the reference with the mutant `relaxed_unlock`, is graded as a learner would, and
what the grader prints is drawn. Nothing is written by hand: run it again when the grader's words have changed.

    docs/failing_model.py [FOLDER]      # FOLDER: where the copy is made and built; by default a temporary one
"""

import filecmp
import html
import os
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
EXERCISE = "phase1_internals/04_spin_lock"
MUTANT = "relaxed_unlock"
CHARACTER, LINE, MARGIN = 7.83, 18, 16
STYLES = {"1": "font-weight:700", "2": "opacity:.6", "31": "fill:#ff8a80", "32": "fill:#7ee2a0", "33": "fill:#f0c36d"}


def plant(course):
    solution = ROOT / "solutions" / EXERCISE
    source = (solution / "src/lib.rs").read_text()
    mutants = tomllib.loads((solution / "mutants.toml").read_text())["mutant"]
    for edit in next(mutant for mutant in mutants if mutant["name"] == MUTANT)["edit"]:
        assert source.count(edit["find"]) == 1, edit
        source = source.replace(edit["find"], edit["replace"])
    (course / "exercises" / EXERCISE / "src/lib.rs").write_text(source)


def copy(course):
    files = subprocess.check_output(["git", "ls-files", "-z"], cwd=ROOT, text=True).split("\0")
    for file in filter(None, files):
        (course / file).parent.mkdir(parents=True, exist_ok=True)
        # What is there already need not be built again.
        if not (course / file).is_file() or not filecmp.cmp(ROOT / file, course / file, shallow=False):
            shutil.copy(ROOT / file, course / file)


def spans(line):
    """A line with the colours of a terminal as parts of an SVG text."""
    styles, parts = [], []
    for piece in re.split(r"(\x1b\[[0-9;]*m)", line):
        code = re.fullmatch(r"\x1b\[([0-9;]*)m", piece)
        if code:
            for number in code[1].split(";"):
                styles = [] if number in ("", "0") else styles + [STYLES[number]]
        elif piece:
            style = f' style="{";".join(styles)}"' if styles else ""
            parts.append(f"<tspan{style}>{html.escape(piece)}</tspan>")
    return "".join(parts)


def draw(command, output):
    lines = [f"\x1b[2m$\x1b[0m {command}"] + output.rstrip("\n").split("\n")
    longest = max(len(re.sub(r"\x1b\[[0-9;]*m", "", line)) for line in lines)
    width, height = round(longest * CHARACTER) + 2 * MARGIN, len(lines) * LINE + 2 * MARGIN
    text = "\n".join(
        f'<text x="{MARGIN}" y="{MARGIN + 13 + LINE * row}">{spans(line)}</text>' for row, line in enumerate(lines) if line
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}">\n'
        f"<title>{html.escape(command)}</title>\n"
        "<style>text{font:13px ui-monospace,SFMono-Regular,Menlo,Consolas,'DejaVu Sans Mono',monospace;"
        "fill:#e4e8ef;white-space:pre}</style>\n"
        f'<rect width="{width}" height="{height}" rx="8" fill="#161b22"/>\n{text}\n</svg>\n'
    )


def main():
    course = Path(sys.argv[1] if len(sys.argv) > 1 else tempfile.mkdtemp(prefix="failing_model_")).resolve()
    copy(course)
    plant(course)
    environment = {**os.environ, "CLICOLOR_FORCE": "1"}
    environment.pop("NO_COLOR", None)
    graded = subprocess.run(["./grade.sh", "spin_lock"], cwd=course, env=environment, stdout=subprocess.PIPE, text=True)
    assert graded.returncode == 1 and "data race" in graded.stdout, graded
    (ROOT / "docs/failing-model.svg").write_text(draw("./grade.sh spin_lock", graded.stdout))


if __name__ == "__main__":
    main()
