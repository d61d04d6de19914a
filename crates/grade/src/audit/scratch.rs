//! A workspace aside in which every variant of an exercise is a small crate of its own.
//!
//! It takes its settings from the course's Cargo.toml, its versions from the course's Cargo.lock and its tests, by path,
//! from the exercise.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use toml::{Table, Value};
use walkdir::WalkDir;

use crate::course::{Models, Package, World};
use crate::error::{Error, Result};

/// Whose manifest and other files a variant has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Origin {
    /// The exercise's.
    Stub,
    /// The solution's.
    Solution,
}

/// A crate to write.
#[derive(Debug)]
pub struct Plot {
    /// The package's name.
    pub name: String,
    /// Whose other files it has.
    pub origin: Origin,
    /// Its src/lib.rs.
    pub source: String,
}

/// Where all these come from.
#[derive(Debug)]
pub struct Ground<'a> {
    /// The course.
    pub root: &'a Path,
    /// The exercise's folder.
    pub exercise: &'a Path,
    /// The exercise's crate.
    pub exercise_name: &'a str,
    /// The solution's folder.
    pub solution: &'a Path,
    /// The worlds that the checks are built in.
    pub worlds: &'a [World],
    /// What `kata` explores.
    pub models: Models,
    /// The workspace to write.
    pub folder: &'a Path,
}

impl Ground<'_> {
    /// Writes the workspace with these crates and no others; what is there and the same is left alone, so that cargo
    /// need not build it again.
    pub fn write(&self, plots: &[Plot]) -> Result<Vec<Package>> {
        let unwritable = |error: io::Error| {
            Error::new(
                format!("{} cannot be written: {error}", self.folder.display()),
                "The audit builds there. Make it writable, or set CARGO_TARGET_DIR to a folder that is.",
            )
        };
        fs::create_dir_all(self.folder).map_err(unwritable)?;
        for entry in fs::read_dir(self.folder).map_err(unwritable)?.flatten() {
            let known = |plot: &Plot| entry.file_name() == *plot.name;
            if entry.path().join("Cargo.toml").exists() && !plots.iter().any(known) {
                fs::remove_dir_all(entry.path()).map_err(unwritable)?;
            }
        }
        put(&self.folder.join("Cargo.toml"), &self.workspace(plots)?).map_err(unwritable)?;
        for file in [
            "Cargo.lock",
            ".cargo/config.toml",
            "rust-toolchain.toml",
            "clippy.toml",
        ] {
            if let Ok(text) = fs::read_to_string(self.root.join(file)) {
                put(&self.folder.join(file), &text).map_err(unwritable)?;
            }
        }
        let mut packages = Vec::with_capacity(plots.len());
        for plot in plots {
            let dir = self.folder.join(&plot.name);
            let manifest = self.manifest(plot.origin, &plot.name)?;
            put(&dir.join("Cargo.toml"), &manifest).map_err(unwritable)?;
            put(&dir.join("src/lib.rs"), &plot.source).map_err(unwritable)?;
            put(&dir.join("tests/checks.rs"), &self.checks(&plot.name)).map_err(unwritable)?;
            self.copy_other_sources(plot, &dir).map_err(unwritable)?;
            if let Some(program) = self.program(&plot.name) {
                put(&dir.join("src/main.rs"), &program).map_err(unwritable)?;
            }
            packages.push(Package {
                name: plot.name.clone(),
                dir,
                worlds: self.worlds.to_vec(),
                models: self.models,
            });
        }
        Ok(packages)
    }

    fn origin(&self, origin: Origin) -> &Path {
        match origin {
            Origin::Stub => self.exercise,
            Origin::Solution => self.solution,
        }
    }

    /// The course's Cargo.toml with these members.
    fn workspace(&self, plots: &[Plot]) -> Result<String> {
        let mut manifest = read_table(&self.root.join("Cargo.toml"))?;
        let mut kept = Table::new();
        if let Some(Value::Table(mut workspace)) = manifest.remove("workspace") {
            workspace.remove("default-members");
            workspace.remove("exclude");
            let members = plots.iter().map(|plot| Value::String(plot.name.clone()));
            workspace.insert("members".to_owned(), Value::Array(members.collect()));
            if let Some(Value::Table(dependencies)) = workspace.get_mut("dependencies") {
                make_absolute(dependencies, self.root);
            }
            kept.insert("workspace".to_owned(), Value::Table(workspace));
        }
        for (name, mut value) in manifest {
            match (name.as_str(), &mut value) {
                ("profile", _) => {}
                ("patch", Value::Table(sources)) => {
                    for (_, source) in sources.iter_mut() {
                        if let Value::Table(dependencies) = source {
                            make_absolute(dependencies, self.root);
                        }
                    }
                }
                _ => continue,
            }
            kept.insert(name, value);
        }
        Ok(kept.to_string())
    }

    /// A crate's Cargo.toml under another name.
    fn manifest(&self, origin: Origin, name: &str) -> Result<String> {
        let dir = self.origin(origin);
        let mut manifest = read_table(&dir.join("Cargo.toml"))?;
        if let Some(Value::Table(package)) = manifest.get_mut("package") {
            package.insert("name".to_owned(), Value::String(name.to_owned()));
        }
        if let Some(Value::Table(lib)) = manifest.get_mut("lib") {
            lib.remove("name");
        }
        // A variant is checked and not measured: the file that this names is not there.
        manifest.remove("bench");
        // The stub must not warn. A wrong solution is to be rejected by a check, not by a lint.
        if origin == Origin::Solution {
            manifest.remove("lints");
        }
        for kind in ["dependencies", "dev-dependencies", "build-dependencies"] {
            if let Some(Value::Table(dependencies)) = manifest.get_mut(kind) {
                make_absolute(dependencies, dir);
            }
        }
        Ok(manifest.to_string())
    }

    /// The test target, which runs the exercise's own checks.
    fn checks(&self, name: &str) -> String {
        let main = self.exercise.join("tests/checks/main.rs");
        format!(
            "extern crate {name} as {};\n#[path = {:?}]\nmod checks;\n",
            self.exercise_name,
            main.display().to_string()
        )
    }

    /// The program that the checks start as processes, if the exercise has one among its checks.
    fn program(&self, name: &str) -> Option<String> {
        let program = self.exercise.join("tests/checks/program/mod.rs");
        program.exists().then(|| {
            format!(
                "extern crate {name} as {};\n#[path = {:?}]\nmod program;\n\nfn main() -> std::process::ExitCode {{\n    program::main()\n}}\n",
                self.exercise_name,
                program.display().to_string()
            )
        })
    }

    /// Modules and programs beside lib.rs. They may name the crate, which has another name here.
    fn copy_other_sources(&self, plot: &Plot, dir: &Path) -> io::Result<()> {
        let from = self.origin(plot.origin);
        let own_name = match plot.origin {
            Origin::Stub => self.exercise_name.to_owned(),
            Origin::Solution => format!("{}_solution", self.exercise_name),
        };
        for entry in WalkDir::new(from.join("src")) {
            let entry = entry?;
            let Ok(relative) = entry.path().strip_prefix(from) else {
                continue;
            };
            let is_written_here = relative == Path::new("src/lib.rs")
                || relative == Path::new("src/main.rs") && self.program(&plot.name).is_some();
            if entry.file_type().is_file() && !is_written_here {
                let text = fs::read_to_string(entry.path())?;
                put(&dir.join(relative), &text.replace(&own_name, &plot.name))?;
            }
        }
        Ok(())
    }
}

fn make_absolute(dependencies: &mut Table, base: &Path) {
    for (_, dependency) in dependencies.iter_mut() {
        if let Value::Table(dependency) = dependency
            && let Some(Value::String(path)) = dependency.get_mut("path")
        {
            *path = base.join(&*path).display().to_string();
        }
    }
}

fn read_table(path: &Path) -> Result<Table> {
    let damaged = |problem: String| {
        Error::new(
            format!("{} cannot be read: {problem}", path.display()),
            "Mend it, then run the audit again.",
        )
    };
    let text = fs::read_to_string(path).map_err(|error| damaged(error.to_string()))?;
    toml::from_str(&text).map_err(|error| damaged(error.message().to_owned()))
}

/// Writes `text` unless that is there already.
fn put(path: &Path, text: &str) -> io::Result<()> {
    if fs::read_to_string(path).is_ok_and(|there| there == text) {
        return Ok(());
    }
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    fs::write(path, text)
}

/// Removes what cargo built for these crates: there are thousands in a course, and each is built once.
pub fn remove_builds(target_dir: &Path, packages: &[Package], binaries: &[PathBuf]) {
    for binary in binaries {
        let _ = fs::remove_file(binary);
        let _ = fs::remove_file(binary.with_extension("d"));
    }
    for package in packages {
        let program = target_dir.join("debug").join(&package.name);
        for suffix in [std::env::consts::EXE_EXTENSION, "d"] {
            let _ = fs::remove_file(program.with_extension(suffix));
        }
    }
    let is_of = |name: &str, prefix: &str| {
        let name = name.strip_prefix(prefix)?;
        let (package, _) = name.rsplit_once('-')?;
        packages.iter().find(|known| known.name == package)
    };
    for (folder, prefix) in [("deps", "lib"), (".fingerprint", ""), ("deps", "")] {
        let Ok(entries) = fs::read_dir(target_dir.join("debug").join(folder)) else {
            continue;
        };
        for entry in entries.flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            if is_of(&name, prefix).is_some() {
                let path = entry.path();
                let _ = if path.is_dir() {
                    fs::remove_dir_all(path)
                } else {
                    fs::remove_file(path)
                };
            }
        }
    }
}
