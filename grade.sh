#!/bin/sh
# Finds cargo, builds the grader and runs it. Works from any directory; `./grade.sh --help` says what it can do.
set -u

case $0 in
*/*) root=${0%/*} ;;
*) root=. ;;
esac
root=$(CDPATH='' cd -- "$root/" && pwd) || exit 2
grader=${CARGO_TARGET_DIR:-$root/target}/debug/grade

if ! command -v cargo >/dev/null 2>&1; then
    PATH="$PATH:${CARGO_HOME:-${HOME:-}/.cargo}/bin"
    export PATH
fi
if ! command -v cargo >/dev/null 2>&1; then
    echo "grade.sh: cargo was not found, and without it nothing here can be built." >&2
    echo "Install Rust from https://rustup.rs, open a new terminal and run ./grade.sh again." >&2
    exit 2
fi

# Later builds are over at once. The first one takes a while: say so, and on a terminal let cargo show how far it is.
quiet=--quiet
if [ ! -e "$grader" ]; then
    echo "Building the grader. This happens once and takes about half a minute." >&2
    if [ -t 2 ]; then quiet=; fi
fi
# shellcheck disable=SC2086  # empty means no argument
cargo build $quiet --manifest-path "$root/Cargo.toml" --package grade >&2 || {
    echo "grade.sh: the grader could not be built; cargo says why above." >&2
    echo "If it names a file of an exercise, mend that file or bring it back: git checkout -- PATH" >&2
    exit 2
}

if [ -x "$grader" ]; then
    exec "$grader" --course "$root" "$@"
fi
# A configuration file of cargo's has it build elsewhere.
exec cargo run --quiet --manifest-path "$root/Cargo.toml" --package grade -- --course "$root" "$@"
