//! SHA-256 of files and folders, the same on every platform.
//!
//! A line may end in CRLF or LF without changing a digest, for git rewrites line ends on Windows. Everything else
//! counts, and nothing has to be UTF-8.

use std::fs;
use std::io;
use std::path::Path;

use sha2::{Digest as _, Sha256};
use walkdir::WalkDir;

use crate::files;

/// Collects bytes; every piece is preceded by its length, so that no two sequences of pieces look the same.
#[derive(Clone, Default)]
pub struct Digest(Sha256);

impl Digest {
    /// Adds one piece.
    pub fn add(&mut self, piece: impl AsRef<[u8]>) {
        let piece = piece.as_ref();
        self.0.update((piece.len() as u64).to_le_bytes());
        self.0.update(piece);
    }

    /// The digest of all pieces, in hexadecimal.
    pub fn finish(self) -> String {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let mut hex = String::with_capacity(64);
        for byte in self.0.finalize() {
            hex.push(char::from(DIGITS[usize::from(byte >> 4)]));
            hex.push(char::from(DIGITS[usize::from(byte & 15)]));
        }
        hex
    }
}

/// The digest of one file's content. A file that does not exist has a digest of its own, and so has what is none, such as a
/// folder, a pipe or a link to nothing.
pub fn file(path: &Path) -> io::Result<String> {
    let mut digest = Digest::default();
    match fs::symlink_metadata(path) {
        Ok(_) => add_content(&mut digest, path),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    Ok(digest.finish())
}

/// The digest of relative paths and contents of all files below `folder`; without the folder, that of none.
///
/// Left out is what editors, systems and proptest leave behind: hidden files, `*~`, and saved regressions.
pub fn folder(folder: &Path) -> io::Result<String> {
    let mut digest = Digest::default();
    if fs::symlink_metadata(folder).is_ok() {
        let files = WalkDir::new(folder)
            .sort_by_file_name()
            .into_iter()
            .filter_entry(|entry| entry.depth() == 0 || !is_left_behind(entry.file_name()));
        for entry in files {
            let entry = entry?;
            if entry.file_type().is_dir() {
                continue;
            }
            let relative = entry.path().strip_prefix(folder).unwrap_or(entry.path());
            for part in relative {
                digest.add(part.as_encoded_bytes());
            }
            add_content(&mut digest, entry.path());
        }
    }
    Ok(digest.finish())
}

/// Adds what a file holds, or why it cannot be read, which no author has locked.
fn add_content(digest: &mut Digest, path: &Path) {
    match files::read(path) {
        Ok(content) => digest.add(with_unix_line_ends(content)),
        Err(error) => {
            digest.add("unreadable");
            digest.add(error.kind().to_string());
        }
    }
}

/// Whether editors, systems or proptest have left it behind, so that no digest counts it.
pub fn is_left_behind(name: &std::ffi::OsStr) -> bool {
    let name = name.as_encoded_bytes();
    name.starts_with(b".") || name.ends_with(b"~") || name.ends_with(b"proptest-regressions")
}

fn with_unix_line_ends(mut content: Vec<u8>) -> Vec<u8> {
    if content.contains(&b'\r') {
        let mut kept = Vec::with_capacity(content.len());
        for (at, &byte) in content.iter().enumerate() {
            if byte != b'\r' || content.get(at + 1) != Some(&b'\n') {
                kept.push(byte);
            }
        }
        content = kept;
    }
    content
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn line_ends_do_not_count_and_lone_carriage_returns_do() {
        let unix = with_unix_line_ends(b"a\nb\n".to_vec());
        assert_eq!(with_unix_line_ends(b"a\r\nb\r\n".to_vec()), unix);
        assert_eq!(with_unix_line_ends(b"a\rb".to_vec()), b"a\rb");
    }

    #[test]
    fn moving_a_byte_from_one_piece_to_the_next_changes_the_digest() {
        let digest = |pieces: [&str; 2]| {
            let mut digest = Digest::default();
            pieces.iter().for_each(|piece| digest.add(piece));
            digest.finish()
        };
        assert_ne!(digest(["ab", "c"]), digest(["a", "bc"]));
    }
}
