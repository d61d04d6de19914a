//! Hands what was found out to whoever asked for it, as JSON: the grader names a file in `KATA_REPORT`.

use kata_report::{NONCE, REPORT};
use serde::Serialize;
use serde_json::Value;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Write as _};

/// The path of the file a report goes to, if somebody asked for one.
fn requested() -> Option<OsString> {
    std::env::var_os(REPORT).filter(|path| !path.is_empty())
}

/// `value` as JSON, with the word by which the grader knows this process.
fn signed(value: &impl Serialize) -> io::Result<Vec<u8>> {
    let mut value = serde_json::to_value(value)?;
    if let (Value::Object(fields), Ok(nonce)) = (&mut value, std::env::var(NONCE)) {
        fields.insert("nonce".to_owned(), nonce.into());
    }
    Ok(serde_json::to_vec(&value)?)
}

/// Writes `value` as JSON to the file that was asked for, unless an earlier report is there already.
pub(crate) fn deliver(value: &impl Serialize) {
    let Some(path) = requested() else { return };
    let delivered = signed(value).and_then(|json| {
        let mut file = File::options().write(true).create_new(true).open(&path)?;
        file.write_all(&json)
    });
    if let Err(error) = delivered
        && error.kind() != io::ErrorKind::AlreadyExists
    {
        complain("report", &path, &error);
    }
}

/// Adds `value` as a line to the evidence beside the file that was asked for.
#[cfg(any(feature = "loom", feature = "shuttle"))]
pub(crate) fn testify(value: &impl Serialize) {
    let Some(path) = requested() else { return };
    let path = kata_report::evidence_path(path.as_ref());
    let told = signed(value).and_then(|mut json| {
        json.push(b'\n');
        let mut file = File::options().append(true).create(true).open(&path)?;
        file.write_all(&json)
    });
    if let Err(error) = told {
        complain("evidence", path.as_os_str(), &error);
    }
}

fn complain(what: &str, path: &OsStr, error: &io::Error) {
    eprintln!(
        "kata: cannot write the {what} to {}: {error}",
        path.to_string_lossy()
    );
}
