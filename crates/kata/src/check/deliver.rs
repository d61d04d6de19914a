//! Hands what was found out to whoever asked for it, as JSON: the grader names a file in `KATA_REPORT`.

use serde::Serialize;

/// The path of the file a report goes to, if somebody asked for one.
fn requested() -> Option<std::ffi::OsString> {
    std::env::var_os("KATA_REPORT").filter(|path| !path.is_empty())
}

/// Writes `value` as JSON to the file that was asked for, unless an earlier report is there already.
pub(crate) fn deliver(value: &impl Serialize) {
    let Some(path) = requested() else { return };
    let delivered = serde_json::to_string(value)
        .map_err(std::io::Error::other)
        .and_then(|json| {
            std::fs::OpenOptions::new()
                .write(true)
                .create_new(true)
                .open(&path)
                .map(|file| (file, json))
        })
        .and_then(|(mut file, json)| std::io::Write::write_all(&mut file, json.as_bytes()));
    if let Err(error) = delivered
        && error.kind() != std::io::ErrorKind::AlreadyExists
    {
        eprintln!(
            "kata: cannot write the report to {}: {error}",
            path.to_string_lossy()
        );
    }
}
