//! Checks that need something this machine may not have.
//!
//! A check that cannot be made is neither passed nor failed: it is *skipped*, and the reader learns what is missing.
//! Where everything is to be checked, in the course's own tests for example, `KATA_REQUIRE_REAL=1` makes a failure of
//! it.

use std::path::PathBuf;

use kata_report::Skip;

use super::deliver::deliver;

/// Says that the running check, or a part of it, is left out because of `reason`; the check itself goes on.
///
/// `reason` names what is missing and how to get it, e.g. "redis-server is not installed (Debian: apt install redis)".
///
/// # Panics
///
/// If the environment variable `KATA_REQUIRE_REAL` is set to 1.
///
/// # Examples
///
/// ```no_run
/// if !cfg!(unix) {
///     kata::check::skip("signals such as SIGKILL need Unix");
///     return;
/// }
/// ```
#[track_caller]
pub fn skip(reason: &str) {
    let required = std::env::var_os("KATA_REQUIRE_REAL").is_some_and(|value| value == *"1");
    assert!(
        !required,
        "{reason}. KATA_REQUIRE_REAL=1 does not allow that."
    );
    eprintln!("skipped: {reason}");
    deliver(&Skip::new(reason));
}

/// Where the program `name` is, as the system would find it; without it, says so with [`skip`].
///
/// `install` says how to get it, e.g. "Debian: apt install redis-server".
///
/// # Panics
///
/// As [`skip`] does.
///
/// # Examples
///
/// ```no_run
/// let Some(redis) = kata::check::require_program("redis-server", "Debian: apt install redis-server") else {
///     return;
/// };
/// ```
#[track_caller]
pub fn require_program(name: &str, install: &str) -> Option<PathBuf> {
    let found = std::env::var_os("PATH").and_then(|path| {
        std::env::split_paths(&path)
            .map(|folder| folder.join(format!("{name}{}", std::env::consts::EXE_SUFFIX)))
            .find(|file| is_program(file))
    });
    if found.is_none() {
        skip(&format!("{name} is not installed ({install})"));
    }
    found
}

fn is_program(file: &std::path::Path) -> bool {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        file.metadata()
            .is_ok_and(|file| file.is_file() && file.permissions().mode() & 0o111 != 0)
    }
    #[cfg(not(unix))]
    file.is_file()
}
