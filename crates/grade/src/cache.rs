//! Results that need not be found out twice, by the content of everything that they depend on.
//!
//! One file a package and world, replaced as a whole; a file that cannot be read or does not match counts as absent.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write as _};
use std::path::{Component, Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::UNIX_EPOCH;

use serde::{Deserialize, Serialize};

use crate::course::{Package, World};
use crate::digest::{self, Digest};
use crate::error::{Error, Result};
use crate::files;
use crate::inputs::{Digests, Inputs};
use crate::judge::{TestResult, Verdict};
use crate::lock::Checks;
use crate::run::Settings;

/// What is known about a package in one world.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WorldResult {
    /// It compiles, and these are all its tests.
    Tests(Vec<TestResult>),
    /// What the compiler said.
    DoesNotCompile(String),
}

impl WorldResult {
    /// Whether the same content is sure to give the same result: what a machine lacks today it may have tomorrow.
    pub fn is_lasting(&self) -> bool {
        match self {
            Self::DoesNotCompile(_) => true,
            Self::Tests(tests) => !tests
                .iter()
                .any(|test| matches!(test.verdict, Verdict::Skipped { .. })),
        }
    }
}

/// What a result rests on.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Basis {
    /// Of all that is known before anything is built.
    pub key: String,
    /// The digests of the files that the compiler read, wherever they are.
    pub read: BTreeMap<PathBuf, String>,
    /// The environment variables that it looked at, and what they held.
    pub environment: BTreeMap<String, Option<String>>,
}

#[derive(Serialize, Deserialize)]
struct Record {
    basis: Basis,
    result: WorldResult,
}

/// The results on disk, and what all their keys have in common.
pub struct Cache {
    folder: PathBuf,
    common: Digest,
    local_crates: LocalCrates,
    files: Mutex<Digests>,
}

impl Cache {
    /// Opens the cache in `folder` for the course at `root`.
    pub fn open(folder: PathBuf, root: &Path, settings: &Settings) -> Result<Self> {
        let unreadable =
            |error: io::Error| Error::new(format!("The course cannot be read: {error}"), "");
        let mut common = Digest::default();
        for file in ["Cargo.toml", "Cargo.lock", ".cargo/config.toml"] {
            common.add(digest::file(&root.join(file)).map_err(unreadable)?);
        }
        common.add(compiler());
        common.add(grader());
        common.add(settings.hang_guard.as_nanos().to_le_bytes());
        common.add(settings.memory.to_le_bytes());
        for name in ["RUSTFLAGS", "CARGO_ENCODED_RUSTFLAGS", "KATA_REQUIRE_REAL"] {
            let value = std::env::var_os(name).unwrap_or_default();
            common.add(value.as_encoded_bytes());
        }
        Ok(Self {
            folder,
            common,
            local_crates: LocalCrates::read(root),
            files: Mutex::default(),
        })
    }

    /// What a result for `package` depends on, for each world it can be built in. `tests` are folders that it takes
    /// checks from, `expected` the tests that it has to have.
    pub fn keys(
        &self,
        package: &Package,
        tests: &[PathBuf],
        expected: Option<&Checks>,
    ) -> Result<BTreeMap<World, String>> {
        let unreadable = |error: io::Error| {
            Error::new(format!("`{}` cannot be read: {error}", package.name), "")
        };
        let mut content = self.common.clone();
        content.add(&package.name);
        for dir in self.local_crates.used_by(&package.dir) {
            content.add(self.local_crates.digest(&dir).map_err(unreadable)?);
        }
        for folder in tests {
            content.add(digest::folder(folder).map_err(unreadable)?);
        }
        let key = |&world: &World| {
            let mut key = content.clone();
            key.add(world.name());
            for name in expected
                .and_then(|checks| checks.get(&world))
                .into_iter()
                .flatten()
            {
                key.add(name);
            }
            (world, key.finish())
        };
        Ok(package.worlds.iter().map(key).collect())
    }

    /// Has the crates looked at again: files may have changed.
    pub fn look_again(&self) {
        self.local_crates.forget();
    }

    /// What a result rests on whose key is `key`.
    pub fn basis(&self, key: &str, inputs: Inputs) -> Basis {
        Basis {
            key: key.to_owned(),
            read: inputs.files,
            environment: inputs.environment,
        }
    }

    /// The result stored for `key`, if what the compiler read for it is still the same.
    pub fn load(&self, package: &Package, world: World, key: &str) -> Option<WorldResult> {
        let text = fs::read(self.path(package, world)).ok()?;
        let Record { basis, result } = serde_json::from_slice(&text).ok()?;
        let same_files = || {
            let files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
            let mut read = basis.read.iter();
            read.all(|(path, digest)| files.of(path).as_ref() == Some(digest))
        };
        let same_environment = || {
            let mut variables = basis.environment.iter();
            variables.all(|(name, value)| std::env::var(name).ok() == *value)
        };
        (basis.key == key && same_files() && same_environment()).then_some(result)
    }

    /// Stores a complete result. What cannot be stored will be found out again.
    pub fn store(&self, package: &Package, world: World, basis: Basis, result: &WorldResult) {
        let record = Record {
            basis,
            result: result.clone(),
        };
        let _ = self.replace(&self.path(package, world), &record);
    }

    fn replace(&self, path: &Path, record: &Record) -> io::Result<()> {
        fs::create_dir_all(&self.folder)?;
        let mut file = tempfile::NamedTempFile::new_in(&self.folder)?;
        file.write_all(&serde_json::to_vec(record)?)?;
        file.persist(path)?;
        Ok(())
    }

    fn path(&self, package: &Package, world: World) -> PathBuf {
        self.folder
            .join(format!("{}-{}.json", package.name, world.name()))
    }
}

/// The digest of what cargo builds from in a crate's folder.
fn crate_digest(dir: &Path) -> io::Result<String> {
    let mut digest = Digest::default();
    for file in ["Cargo.toml", "build.rs"] {
        digest.add(digest::file(&dir.join(file))?);
    }
    for folder in ["src", "tests", "examples", "benches"] {
        digest.add(digest::folder(&dir.join(folder))?);
    }
    Ok(digest.finish())
}

/// Which compiler cargo will use, in its own words.
pub(crate) fn compiler() -> &'static [u8] {
    // Asked once: `watch` grades again and again, and would wait for the answer at every save.
    static COMPILER: OnceLock<Vec<u8>> = OnceLock::new();
    COMPILER.get_or_init(|| {
        let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
        let version = Command::new(rustc).arg("-vV").output();
        version.map_or_else(|_| Vec::new(), |output| output.stdout)
    })
}

/// Which grader this is.
fn grader() -> String {
    let this = std::env::current_exe().ok();
    this.as_deref()
        .and_then(path_size_and_age)
        .unwrap_or_else(|| env!("CARGO_PKG_VERSION").to_owned())
}

fn path_size_and_age(path: &Path) -> Option<String> {
    let metadata = fs::metadata(path).ok()?;
    let age = metadata.modified().ok()?.duration_since(UNIX_EPOCH).ok()?;
    Some(format!(
        "{} {} {}",
        path.display(),
        metadata.len(),
        age.as_nanos()
    ))
}

/// Where the workspace's own crates are, for those who depend on them.
pub(crate) struct LocalCrates {
    root: PathBuf,
    shared: BTreeMap<String, PathBuf>,
    digests: Mutex<BTreeMap<PathBuf, String>>,
}

impl LocalCrates {
    pub(crate) fn read(root: &Path) -> Self {
        let mut shared = BTreeMap::new();
        if let Some(manifest) = read_table(&root.join("Cargo.toml")) {
            let dependencies = manifest
                .get("workspace")
                .and_then(|workspace| workspace.get("dependencies"))
                .and_then(toml::Value::as_table);
            for (name, value) in dependencies.into_iter().flatten() {
                if let Some(path) = value.get("path").and_then(toml::Value::as_str) {
                    shared.insert(name.clone(), root.join(path));
                }
            }
        }
        Self {
            root: root.to_path_buf(),
            shared,
            digests: Mutex::default(),
        }
    }

    /// The digest of a crate, found out once.
    pub(crate) fn digest(&self, dir: &Path) -> io::Result<String> {
        let mut digests = self.digests.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(digest) = digests.get(dir) {
            return Ok(digest.clone());
        }
        let digest = crate_digest(dir)?;
        digests.insert(dir.to_path_buf(), digest.clone());
        Ok(digest)
    }

    fn forget(&self) {
        self.digests
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clear();
    }

    /// `dir` and every folder of a crate that it is built with, directly or not.
    pub(crate) fn used_by(&self, dir: &Path) -> Vec<PathBuf> {
        let mut found = vec![dir.to_path_buf()];
        let mut next = 0;
        while let Some(dir) = found.get(next).cloned() {
            next += 1;
            let Some(manifest) = read_table(&dir.join("Cargo.toml")) else {
                continue;
            };
            // Those of all targets, and those of one each.
            let targets = manifest.get("target").and_then(toml::Value::as_table);
            let of_targets = targets.into_iter().flatten().map(|(_, table)| table);
            let tables = of_targets.filter_map(toml::Value::as_table);
            for table in tables.chain([&manifest]) {
                let kinds = ["dependencies", "dev-dependencies", "build-dependencies"];
                let dependencies = kinds.iter().filter_map(|kind| table.get(*kind)?.as_table());
                for (name, value) in dependencies.flatten() {
                    let own = value.get("path").and_then(toml::Value::as_str);
                    let path = own
                        .map(|path| without_detours(&dir.join(path)))
                        .or_else(|| self.shared.get(name).cloned());
                    if let Some(path) = path
                        && !found.contains(&path)
                        && path != self.root
                    {
                        found.push(path);
                    }
                }
            }
        }
        found
    }
}

/// The same place without `..`, as long as no link is on the way.
fn without_detours(path: &Path) -> PathBuf {
    let mut straight = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir => {
                straight.pop();
            }
            part => straight.push(part),
        }
    }
    straight
}

fn read_table(path: &Path) -> Option<toml::Table> {
    toml::from_str(&files::read_text(path).ok()?).ok()
}
