//! The workspace that cargo is given. It is the course itself, unless something in there would keep cargo from loading it:
//! then it is a folder of links to what is sound, so that one exercise's trouble stays its own.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::files;

/// Where exercises and solutions are, one level below the phases.
const SHELVES: [&str; 2] = ["exercises", "solutions"];

/// A folder in which cargo looks for a crate.
#[derive(Debug)]
struct Member {
    /// Below the course's root.
    path: String,
    /// Why cargo would stumble over it.
    trouble: Option<String>,
}

/// All that cargo would look at besides the tools.
#[derive(Debug)]
pub struct Workspace {
    course: PathBuf,
    shadow: PathBuf,
    members: Vec<Member>,
}

impl Workspace {
    /// Looks at the course at `root`. `shadow` is a folder for links, if they are needed.
    pub fn read(root: &Path, shadow: PathBuf) -> Self {
        let mut found: Vec<Member> = Vec::new();
        let mut names: BTreeMap<String, Vec<usize>> = BTreeMap::new();
        let phases = SHELVES.iter().flat_map(|shelf| folders(&root.join(shelf)));
        for dir in phases.flat_map(|phase| folders(&phase)) {
            let name = package_name(&dir);
            if let Ok(name) = &name {
                let folder = dir.file_name().and_then(|folder| folder.to_str());
                let own = folder.and_then(|folder| Some(folder.split_once('_')?.1));
                let is_own =
                    own.is_some() && (own == Some(name) || own == name.strip_suffix("_solution"));
                let sharers = names.entry(name.clone()).or_default();
                // The one whose folder has the name keeps it.
                if is_own {
                    sharers.insert(0, found.len());
                } else {
                    sharers.push(found.len());
                }
            }
            let below = dir.strip_prefix(root).unwrap_or(&dir);
            found.push(Member {
                path: below.to_string_lossy().replace('\\', "/"),
                trouble: name.err(),
            });
        }
        for (name, sharers) in names {
            for &other in sharers.iter().skip(1) {
                let keeper = found[sharers[0]].path.clone();
                found[other].trouble = Some(format!(
                    "its package is called `{name}`, as that of {keeper} is"
                ));
            }
        }
        Self {
            course: root.to_path_buf(),
            shadow,
            members: found,
        }
    }

    /// The course's folder.
    pub fn course(&self) -> &Path {
        &self.course
    }

    /// Where cargo is to run: the course, or the folder of links if cargo would stumble in the course.
    pub fn root(&self) -> Result<PathBuf> {
        if self.members.iter().all(|member| member.trouble.is_none()) {
            return Ok(self.course.clone());
        }
        self.link().map_err(|error| {
            Error::new(
                format!(
                    "{} keeps cargo from loading the course, and {} cannot be written: {error}",
                    self.members
                        .iter()
                        .find(|member| member.trouble.is_some())
                        .map_or("An exercise", |member| &member.path),
                    self.shadow.display()
                ),
                "`git status` shows what differs from the course's own.",
            )
        })?;
        Ok(self.shadow.clone())
    }

    /// Leaves out every member that cargo speaks of in `noise`, which it made instead of a build; says whether there is one.
    pub fn leave_out(&mut self, noise: &str) -> bool {
        let mut any = false;
        for member in &mut self.members {
            let named = |root: &Path| {
                let path = root.join(&member.path);
                let path = path.to_str().unwrap_or(&member.path);
                ["/", "`", ")", "\n", "#"]
                    .iter()
                    .any(|end| noise.contains(&format!("{path}{end}")))
            };
            if member.trouble.is_none() && (named(&self.course) || named(&self.shadow)) {
                member.trouble = Some(format!("cargo cannot load it:\n{}", noise.trim()));
                any = true;
            }
        }
        any
    }

    /// What is no exercise of the course and no solution, and why it is left out. `known` are the folders of those.
    pub fn strays(&self, known: &BTreeSet<PathBuf>) -> Vec<String> {
        let strays = self.members.iter().filter_map(|member| {
            let trouble = member.trouble.as_ref()?;
            let is_known = known.contains(&self.course.join(&member.path));
            (!is_known).then(|| format!("{} is left out: {trouble}.", member.path))
        });
        strays.collect()
    }

    /// Why the crate in `dir` is left out, if it is.
    pub fn trouble(&self, dir: &Path) -> Option<&str> {
        let member = |member: &&Member| self.course.join(&member.path) == dir;
        self.members.iter().find(member)?.trouble.as_deref()
    }

    /// The same file in the course, if `path` leads through a link.
    pub fn in_course(&self, path: &Path) -> PathBuf {
        let below = path.strip_prefix(&self.shadow);
        below.map_or_else(|_| path.to_path_buf(), |below| self.course.join(below))
    }

    fn link(&self) -> io::Result<()> {
        match fs::remove_dir_all(&self.shadow) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => fs::create_dir_all(&self.shadow)?,
        }
        let mut members = Vec::new();
        for tool in folders(&self.course.join("crates")) {
            if let Some(name) = tool.file_name().and_then(|name| name.to_str()) {
                members.push(format!("crates/{name}"));
            }
        }
        for file in ["crates", ".cargo", "rust-toolchain.toml"] {
            if self.course.join(file).exists() {
                symlink(&self.course.join(file), &self.shadow.join(file))?;
            }
        }
        for member in self
            .members
            .iter()
            .filter(|member| member.trouble.is_none())
        {
            let link = self.shadow.join(&member.path);
            if let Some(phase) = link.parent() {
                fs::create_dir_all(phase)?;
            }
            symlink(&self.course.join(&member.path), &link)?;
            members.push(member.path.clone());
        }
        let invalid = |error: String| io::Error::new(io::ErrorKind::InvalidData, error);
        let text = files::read_text(&self.course.join("Cargo.toml"))?;
        let mut manifest: toml::Table =
            toml::from_str(&text).map_err(|error| invalid(error.to_string()))?;
        if let Some(toml::Value::Table(workspace)) = manifest.get_mut("workspace") {
            workspace.remove("default-members");
            workspace.insert("members".to_owned(), members.into());
        }
        fs::write(self.shadow.join("Cargo.toml"), manifest.to_string())?;
        match fs::copy(
            self.course.join("Cargo.lock"),
            self.shadow.join("Cargo.lock"),
        ) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }
}

/// The folders in a folder, in order, also those that are links.
fn folders(folder: &Path) -> BTreeSet<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let paths = entries.map(|entry| entry.path());
    paths.filter(|path| path.is_dir()).collect()
}

/// The name of the package in a folder; else why cargo would not take that folder.
fn package_name(dir: &Path) -> std::result::Result<String, String> {
    if dir.to_str().is_none() {
        return Err("its name is not UTF-8".to_owned());
    }
    let manifest = dir.join("Cargo.toml");
    if fs::symlink_metadata(&manifest).is_err() {
        return Err("it holds no Cargo.toml".to_owned());
    }
    let text = files::read_text(&manifest)
        .map_err(|error| format!("its Cargo.toml cannot be read: {error}"))?;
    let table: toml::Table = toml::from_str(&text)
        .map_err(|error| format!("its Cargo.toml cannot be read: {}", error.message()))?;
    let name = table
        .get("package")
        .and_then(|package| package.get("name"))
        .and_then(toml::Value::as_str);
    name.map(str::to_owned)
        .ok_or_else(|| "its Cargo.toml names no package".to_owned())
}

#[cfg(unix)]
fn symlink(to: &Path, link: &Path) -> io::Result<()> {
    std::os::unix::fs::symlink(to, link)
}

#[cfg(windows)]
fn symlink(to: &Path, link: &Path) -> io::Result<()> {
    if to.is_dir() {
        std::os::windows::fs::symlink_dir(to, link)
    } else {
        std::os::windows::fs::symlink_file(to, link)
    }
}
