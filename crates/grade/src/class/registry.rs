//! The downloaded crates, for a cargo that must not see anything else of its owner's.
//!
//! Of cargo's configuration a cell gets what says where crates come from, the table `[source]` and the addresses in
//! `[registries]`: no token, no command, no credential. What is in the cell's reach can only be read.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use toml::{Table, Value};

use crate::error::{Error, Result};

/// Where crates are, outside and inside.
pub struct Registry {
    /// Outside and inside, for each folder that has to be there.
    folders: Vec<(PathBuf, String)>,
    /// The file with the cell's configuration.
    configuration: PathBuf,
}

/// The keys of an entry in `[source]` that name a folder.
const FOLDERS: [&str; 2] = ["directory", "local-registry"];

impl Registry {
    /// What the cargo in `root` uses. The configuration is written beside the copy of the course.
    pub fn find(root: &Path, stage: &Path) -> Result<Self> {
        let home = env::var_os("CARGO_HOME").map(PathBuf::from);
        let home = home.or_else(|| Some(env::home_dir()?.join(".cargo")));
        let home = home.ok_or_else(|| {
            Error::new(
                "Cargo's home is not known.",
                "Set CARGO_HOME to its folder.",
            )
        })?;
        let mut merged = Table::new();
        let mut folders = Vec::new();
        let folders_of_files = root
            .ancestors()
            .map(|folder| folder.join(".cargo"))
            .chain([home.clone()]);
        for folder in folders_of_files {
            let file = ["config.toml", "config"].map(|name| folder.join(name));
            let Some(file) = file.into_iter().find(|file| file.is_file()) else {
                continue;
            };
            let trouble = |what: String| Error::new(format!("{}: {what}", file.display()), "");
            let text = fs::read_to_string(&file).map_err(|error| trouble(error.to_string()))?;
            let found: Table =
                toml::from_str(&text).map_err(|error| trouble(error.message().to_owned()))?;
            let base = folder.parent().unwrap_or(&folder);
            merge(&mut merged, found, base, &mut folders);
        }
        let configuration = stage.join("cargo-config.toml");
        let text = toml::to_string(&merged)
            .map_err(|error| Error::new(format!("Cargo's configuration: {error}"), ""))?;
        fs::write(&configuration, text).map_err(|error| {
            let file = configuration.display();
            Error::new(format!("{file} cannot be written: {error}"), "")
        })?;
        super::submission::readable(&configuration, 0o644)
            .map_err(|error| Error::new(format!("{}: {error}", configuration.display()), ""))?;
        // Inside cargo's home; there is none yet if the course needs no crate.
        for name in ["registry", "git"] {
            if home.join(name).is_dir() {
                folders.push((home.join(name), name.to_owned()));
            }
        }
        Ok(Self {
            folders,
            configuration,
        })
    }

    /// Has bubblewrap put it into a cell, where cargo's home is `home`.
    pub fn arguments(&self, home: &str, arguments: &mut Vec<OsString>) {
        let files = [(self.configuration.clone(), "config.toml".to_owned())];
        for (source, place) in self.folders.iter().chain(&files) {
            let place = Path::new(home).join(place);
            arguments.extend(["--ro-bind".into(), source.into(), place.into()]);
        }
    }
}

/// Adds to `merged` what a file says and no file before it has said.
fn merge(merged: &mut Table, found: Table, base: &Path, folders: &mut Vec<(PathBuf, String)>) {
    for (name, allowed) in [
        ("source", None),
        ("registries", Some(["index", "protocol"])),
    ] {
        let Some(Value::Table(entries)) = found.get(name) else {
            continue;
        };
        let known = merged
            .entry(name)
            .or_insert_with(|| Value::Table(Table::new()));
        let Some(known) = known.as_table_mut() else {
            continue;
        };
        for (entry, value) in entries {
            let Some(value) = value.as_table() else {
                continue;
            };
            if known.contains_key(entry) {
                continue;
            }
            let mut kept = Table::new();
            for (key, value) in value {
                if allowed.is_some_and(|allowed| !allowed.contains(&key.as_str())) {
                    continue;
                }
                let mut value = value.clone();
                if FOLDERS.contains(&key.as_str())
                    && let Some(folder) = value.as_str()
                {
                    let inside = format!("/kata/source/{}", folders.len());
                    folders.push((base.join(folder), inside.clone()));
                    value = Value::String(inside);
                }
                kept.insert(key.clone(), value);
            }
            known.insert(entry.clone(), Value::Table(kept));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_learns_where_crates_come_from_and_no_secret() {
        let found: Table = toml::from_str(
            r#"
            [build]
            rustc-wrapper = "wrapper"
            [source.crates-io]
            replace-with = "kept"
            [source.kept]
            directory = "vendor"
            [registries.ours]
            index = "sparse+https://example.org/"
            token = "secret"
            [registry]
            token = "secret"
            "#,
        )
        .expect("it is in order");
        let mut merged = Table::new();
        let mut folders = Vec::new();
        merge(&mut merged, found, Path::new("/home/t"), &mut folders);
        let text = toml::to_string(&merged).expect("it is a table");
        assert!(
            !text.contains("secret") && !text.contains("wrapper"),
            "{text}"
        );
        assert_eq!(
            merged["source"]["kept"]["directory"].as_str(),
            Some("/kata/source/0")
        );
        assert_eq!(
            folders,
            [(PathBuf::from("/home/t/vendor"), "/kata/source/0".to_owned())]
        );
        // The file that is nearer to the course wins.
        let further: Table =
            toml::from_str("[source.crates-io]\nreplace-with = \"other\"\n").expect("in order");
        merge(&mut merged, further, Path::new("/"), &mut folders);
        assert_eq!(
            merged["source"]["crates-io"]["replace-with"].as_str(),
            Some("kept")
        );
    }
}
