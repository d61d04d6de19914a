//! The checks of `map_reduce`, a file a kind. `program/` is what the process checks start.

#[cfg(unix)]
mod process;
#[cfg(not(unix))]
mod process {
    #[test]
    fn needs_unix() {
        kata::check::skip("a process can be stopped and killed at a chosen moment on Unix only");
    }
}
mod property;
mod unit;

#[path = "program/apps.rs"]
mod apps;
#[cfg(unix)]
mod corpus;
#[cfg_attr(not(unix), allow(dead_code, reason = "used by the process checks"))]
mod support;
