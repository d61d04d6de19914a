//! What the results of an audit depend on, as digests: the same wherever checkout and compiler are the same.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use toml::{Table, Value};

use super::material;
use crate::cache::{self, LocalCrates};
use crate::course::Exercise;
use crate::digest::{self, Digest};
use crate::error::{Error, Result};
use crate::lock;

/// The grader's crate, below the course's root.
const GRADER: &str = "crates/grade";

/// Its sources that build variants, run their checks and judge them: an outcome depends on these.
const MACHINERY: [&str; 6] = [
    "src/build.rs",
    "src/build_guard.rs",
    "src/run.rs",
    "src/judge.rs",
    "src/audit/scratch.rs",
    "src/audit/trials.rs",
];

/// Its sources that make variants and say what their outcomes mean: a whole audit depends on these as well.
const AUDIT: &str = "src/audit";

/// What the whole course has in common.
pub struct Basis {
    root: PathBuf,
    common: Digest,
    audit: String,
    compiler: String,
    settings: Table,
    packages: Vec<Table>,
    crates: LocalCrates,
    shared: Mutex<BTreeMap<PathBuf, String>>,
}

impl Basis {
    /// For the course at `root`, whose checks are stopped after so much CPU time.
    pub fn read(root: &Path, hang_guard: Duration) -> Result<Self> {
        let grader = root.join(GRADER);
        let mut basis = Self {
            root: root.to_path_buf(),
            common: Digest::default(),
            audit: digest::folder(&grader.join(AUDIT)).map_err(unreadable)?,
            compiler: compiler(),
            settings: settings(root),
            packages: packages(root),
            crates: LocalCrates::read(root),
            shared: Mutex::default(),
        };
        let mut common = Digest::default();
        common.add(&basis.compiler);
        common.add(hang_guard.as_nanos().to_string());
        common.add(digest::file(&root.join(".cargo/config.toml")).map_err(unreadable)?);
        for file in MACHINERY {
            common.add(digest::file(&grader.join(file)).map_err(unreadable)?);
        }
        basis.add_used(&mut common, &grader)?;
        for name in ["RUSTFLAGS", "CARGO_ENCODED_RUSTFLAGS", "KATA_REQUIRE_REAL"] {
            let value = std::env::var_os(name).unwrap_or_default();
            common.add(value.as_encoded_bytes());
        }
        basis.common = common;
        Ok(basis)
    }

    /// The compiler, in its own words.
    pub fn compiler(&self) -> &str {
        &self.compiler
    }

    /// What the outcome of a variant of the exercise depends on, the variant itself apart.
    pub fn of_outcomes(&self, exercise: &Exercise) -> Result<Digest> {
        let mut digest = self.common.clone();
        digest.add(&exercise.name);
        let solution = self.solution(exercise);
        let dirs = [&exercise.package.dir, &solution];
        for dir in dirs {
            digest.add(digest::file(&dir.join("Cargo.toml")).map_err(unreadable)?);
            self.add_used(&mut digest, dir)?;
        }
        let names = dirs.map(|dir| package_name(dir).unwrap_or_default());
        digest.add(self.settings_and_versions(&names));
        digest.add(digest::folder(&exercise.package.dir.join("tests")).map_err(unreadable)?);
        Ok(digest)
    }

    /// What an audit of the exercise depends on.
    pub fn of_audit(&self, exercise: &Exercise) -> Result<String> {
        let mut digest = self.of_outcomes(exercise)?;
        digest.add(&self.audit);
        digest.add(exercise.path());
        for dir in [&exercise.package.dir, &self.solution(exercise)] {
            digest.add(digest::folder(dir).map_err(unreadable)?);
        }
        let hints = material::hints_path(&self.root, exercise);
        digest.add(digest::file(&hints).map_err(unreadable)?);
        Ok(digest.finish())
    }

    fn solution(&self, exercise: &Exercise) -> PathBuf {
        self.root.join("solutions").join(exercise.path())
    }

    /// Adds the course's own crates that the one in `dir` is built with.
    fn add_used(&self, digest: &mut Digest, dir: &Path) -> Result<()> {
        for used in self.crates.used_by(dir).into_iter().skip(1) {
            let mut shared = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
            if !shared.contains_key(&used) {
                let found = lock::shared_part(&used).map_err(unreadable)?;
                shared.insert(used.clone(), found);
            }
            digest.add(&shared[&used]);
        }
        Ok(())
    }

    /// What Cargo.toml and Cargo.lock say of whatever these packages are built with. Others may come, go and change.
    fn settings_and_versions(&self, names: &[String]) -> String {
        let used = closure(&self.packages, names);
        let is_used = |name: &str| used.iter().any(|package| text(package, "name") == name);
        let mut settings = self.settings.clone();
        if let Some(Value::Table(workspace)) = settings.get_mut("workspace")
            && let Some(Value::Table(dependencies)) = workspace.get_mut("dependencies")
        {
            dependencies.retain(|name, value| {
                let renamed = value.get("package").and_then(Value::as_str);
                is_used(renamed.unwrap_or(name))
            });
        }
        let mut all = settings.to_string();
        let is_from_elsewhere = |package: &&&Table| package.contains_key("source");
        for package in used.iter().filter(is_from_elsewhere) {
            all.push('\n');
            all.push_str(&package.to_string());
        }
        all
    }
}

fn unreadable(error: io::Error) -> Error {
    Error::new(format!("The course cannot be read: {error}"), "")
}

/// `rustc --version`, which does not say for which system it compiles.
fn compiler() -> String {
    let said = String::from_utf8_lossy(cache::compiler());
    said.lines().next().unwrap_or_default().to_owned()
}

fn read_table(path: &Path) -> Table {
    fs::read_to_string(path)
        .ok()
        .and_then(|text| toml::from_str(&text).ok())
        .unwrap_or_default()
}

fn package_name(dir: &Path) -> Option<String> {
    let manifest = read_table(&dir.join("Cargo.toml"));
    Some(manifest.get("package")?.get("name")?.as_str()?.to_owned())
}

/// What Cargo.toml says to every crate.
fn settings(root: &Path) -> Table {
    let mut manifest = read_table(&root.join("Cargo.toml"));
    if let Some(Value::Table(workspace)) = manifest.get_mut("workspace") {
        for name in ["members", "default-members", "exclude", "metadata"] {
            workspace.remove(name);
        }
    }
    manifest
}

/// The packages in Cargo.lock.
fn packages(root: &Path) -> Vec<Table> {
    let packages = read_table(&root.join("Cargo.lock")).remove("package");
    let packages = packages.into_iter().filter_map(|value| match value {
        Value::Array(packages) => Some(packages),
        _ => None,
    });
    packages
        .flatten()
        .filter_map(|package| package.try_into().ok())
        .collect()
}

fn text<'a>(package: &'a Table, name: &str) -> &'a str {
    package.get(name).and_then(Value::as_str).unwrap_or("")
}

/// The packages of these names and all that they depend on, in the order of Cargo.lock.
fn closure<'a>(packages: &'a [Table], names: &[String]) -> Vec<&'a Table> {
    let mut found = BTreeSet::new();
    let mut next: Vec<&str> = names.iter().map(String::as_str).collect();
    while let Some(wanted) = next.pop() {
        // `name`, or `name version` where there are several.
        let mut words = wanted.split(' ');
        let (name, version) = (words.next(), words.next());
        for (index, package) in packages.iter().enumerate() {
            let is_meant = name == Some(text(package, "name"))
                && version.is_none_or(|version| version == text(package, "version"));
            if is_meant && found.insert(index) {
                let dependencies = package.get("dependencies").and_then(Value::as_array);
                next.extend(dependencies.into_iter().flatten().filter_map(Value::as_str));
            }
        }
    }
    found.into_iter().map(|index| &packages[index]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_packages_that_are_built_with_one_count() {
        let lock: Table = toml::from_str(
            r#"
            [[package]]
            name = "counter"
            version = "1.0.0"
            dependencies = ["kata", "rand 2.0.0"]
            [[package]]
            name = "kata"
            version = "1.0.0"
            dependencies = ["counter"]
            [[package]]
            name = "rand"
            version = "1.0.0"
            [[package]]
            name = "rand"
            version = "2.0.0"
            [[package]]
            name = "grader"
            version = "1.0.0"
            dependencies = ["rand 1.0.0"]
            "#,
        )
        .unwrap();
        let packages: Vec<Table> = lock["package"].clone().try_into().unwrap();
        let named = |names: &[&str]| -> Vec<String> {
            let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
            let found = closure(&packages, &names);
            let shown = |package: &&Table| {
                format!("{} {}", text(package, "name"), text(package, "version"))
            };
            found.iter().map(shown).collect()
        };
        assert_eq!(
            named(&["counter"]),
            ["counter 1.0.0", "kata 1.0.0", "rand 2.0.0"]
        );
        assert_eq!(named(&["grader"]), ["rand 1.0.0", "grader 1.0.0"]);
        assert_eq!(named(&["unknown"]), Vec::<String>::new());
    }

    #[test]
    fn what_builds_runs_and_judges_is_where_this_says() {
        let grader = Path::new(env!("CARGO_MANIFEST_DIR"));
        for file in MACHINERY {
            assert!(grader.join(file).is_file(), "{file}");
        }
        assert!(grader.join(AUDIT).join("basis.rs").is_file());
    }
}
