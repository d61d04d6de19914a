#!/bin/sh
# Finds cargo, builds the grader and runs it. Works from any directory; `./grade.sh --help` says what it can do.
set -u

# A stream that is closed would make cargo fail, or be taken for a file that it opens.
(exec 3>&2) || exec 2>/dev/null
(exec 3>&1) 2>/dev/null || exec >/dev/null
(exec 3<&0) 2>/dev/null || exec </dev/null

# Through links to where this script really is.
self=$0
case $self in
*/*) ;;
*) self=./$self ;;
esac
while [ -h "$self" ]; do
    link=$(readlink "$self") || exit 2
    case $link in
    /*) self=$link ;;
    *) self=${self%/*}/$link ;;
    esac
done
root=$(CDPATH='' cd -- "${self%/*}/" && pwd) || exit 2
target=${CARGO_TARGET_DIR:-$root/target}
grader=$target/debug/grade

# Says what is wrong and what to do about it; whoever asked for JSON gets an object in every case.
fail() {
    what=$1
    advice=$2
    shift 2
    echo "grade.sh: $what" >&2
    echo "$advice" >&2
    for argument in "$@"; do
        if [ "$argument" = --json ]; then
            printf '{"schema":"kata/result/v1","target":"exercises","level":"Basics","passed":0,"total":0,"phases":[],"errors":["%s"]}\n' "$what"
        fi
    done
    exit 2
}

if ! command -v cargo >/dev/null 2>&1; then
    PATH="$PATH:${CARGO_HOME:-${HOME:-}/.cargo}/bin"
    export PATH
fi
if ! command -v cargo >/dev/null 2>&1; then
    fail "cargo was not found, and without it nothing here can be built." \
        "Install Rust from https://rustup.rs, open a new terminal and run ./grade.sh again." "$@"
fi
if [ -e "$target" ] && [ ! -w "$target" ]; then
    echo "$target" >&2
    fail "the target directory cannot be written, and cargo builds there." \
        "Make it writable, or set CARGO_TARGET_DIR to a folder that is." "$@"
fi

# Later builds are over at once. The first one takes a while: say so, and on a terminal let cargo show how far it is.
quiet=--quiet
if [ ! -e "$grader" ]; then
    echo "Building the grader. This happens once and takes about a minute." >&2
    if [ -t 2 ]; then quiet=; fi
fi
build() {
    # shellcheck disable=SC2086  # empty means no argument
    cargo build $quiet --package grade --manifest-path "$@" >&2
}

# An exercise whose manifest is damaged keeps cargo from loading the course, and one that is a pipe holds it up for ever.
# The grader says whose trouble that is, so it is built from a folder in which there are no exercises.
build_without_exercises() {
    tools=$target/grade/tools
    mkdir -p "$tools" && ln -sfn "$root/crates" "$tools/crates" && cp "$root/Cargo.lock" "$tools/Cargo.lock" &&
        sed -e 's|^members = .*|members = ["crates/*"]|' -e '/^default-members = /d' "$root/Cargo.toml" >"$tools/Cargo.toml" &&
        build "$tools/Cargo.toml" --target-dir "$target"
}

special=$(find -L "$root/exercises" "$root/solutions" -maxdepth 3 -name Cargo.toml ! -type f 2>/dev/null | head -n 1)
if [ -n "$special" ] || ! build "$root/Cargo.toml"; then
    build_without_exercises || {
        fail "the grader could not be built; cargo says why above." \
            "If it names a file of an exercise, mend that file or bring it back: git checkout -- PATH. If the disk is full, make room." "$@"
    }
fi

if [ -x "$grader" ]; then
    exec "$grader" --course "$root" "$@"
fi
# A configuration file of cargo's has it build elsewhere.
exec cargo run --quiet --manifest-path "$root/Cargo.toml" --package grade -- --course "$root" "$@"
