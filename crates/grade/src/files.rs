//! Files that somebody else has put there: a pipe, a device or an endless file must not hold the grader up.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

use serde::de::DeserializeOwned;

use crate::error::{Error, Result};

/// How long a file may be that the grader reads as a whole.
const MOST: u64 = 64 << 20;

/// The content of an ordinary file, to which links may lead.
pub fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut options = File::options();
    options.read(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        // Opening a pipe does not wait for a writer then.
        let flags = rustix::fs::OFlags::NONBLOCK.bits();
        options.custom_flags(i32::try_from(flags).unwrap_or_default());
    }
    let file = options.open(path)?;
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        let kind = if metadata.is_dir() {
            io::ErrorKind::IsADirectory
        } else {
            io::ErrorKind::InvalidInput
        };
        return Err(io::Error::new(kind, "this is no ordinary file"));
    }
    let mut content = Vec::new();
    let read = file.take(MOST + 1).read_to_end(&mut content)?;
    if read as u64 > MOST {
        return Err(io::Error::new(
            io::ErrorKind::FileTooLarge,
            "this file is too large",
        ));
    }
    Ok(content)
}

/// As [`read`], for what has to be UTF-8.
pub fn read_text(path: &Path) -> io::Result<String> {
    String::from_utf8(read(path)?)
        .map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "this is not UTF-8"))
}

/// A TOML file below `root`, nothing if there is none. `advice` says what to do about one that cannot be read.
pub fn read_toml<T: DeserializeOwned + Default>(
    root: &Path,
    path: &str,
    advice: &str,
) -> Result<T> {
    let text = match read_text(&root.join(path)) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(T::default()),
        Err(error) => {
            let problem = format!("{path} cannot be read: {error}");
            return Err(Error::new(problem, advice.to_owned()));
        }
    };
    toml::from_str(&text).map_err(|error| {
        let problem = format!("{path} is damaged: {}", error.message());
        Error::new(problem, advice.to_owned())
    })
}
