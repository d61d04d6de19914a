//! Builds until every program is made of what is there now: files may change while the compiler runs.

use std::cell::Cell;
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use walkdir::WalkDir;

use crate::build::{self, Built, Request};
use crate::course::Package;
use crate::error::{Error, Result};
use crate::inputs::{self, Digests, Inputs, Unit};
use crate::watch::Watch;
use crate::workspace::Workspace;

/// A program, and what it was made from.
pub struct Settled {
    /// What became of the package.
    pub built: Built,
    /// What the compiler read. Nothing if that cannot be told, so that the result is good for this once only.
    pub inputs: Option<Inputs>,
}

/// How often a build is tried before its result is taken as it is.
const ATTEMPTS: usize = 3;

/// Builds what the request names, in its order, wherever `workspace` has cargo run. `scratch` is a folder to write to.
pub fn build(
    request: &Request<'_>,
    workspace: &mut Workspace,
    scratch: &Path,
    stopped: &dyn Fn() -> bool,
    watch: &dyn Watch,
) -> Result<Vec<Settled>> {
    loop {
        let root = workspace.root()?;
        let is_sound = |package: &&Package| workspace.trouble(&package.dir).is_none();
        let sound: Vec<&Package> = request.packages.iter().copied().filter(is_sound).collect();
        let of_sound = Request {
            root: &root,
            packages: &sound,
            ..*request
        };
        let mut built = match build_sound(&of_sound, workspace, scratch, stopped, watch) {
            // Cargo gives up over one member and does not look at the others.
            Err(Error::Unloadable { noise, .. }) if workspace.leave_out(&noise) => continue,
            built => built?.into_iter(),
        };
        let all = request
            .packages
            .iter()
            .map(|package| match workspace.trouble(&package.dir) {
                None => built.next(),
                Some(trouble) => Some(Settled {
                    built: Built::DoesNotCompile(format!("It was not built: {trouble}")),
                    inputs: None,
                }),
            });
        return Ok(all.flatten().collect());
    }
}

fn build_sound(
    request: &Request<'_>,
    workspace: &Workspace,
    scratch: &Path,
    stopped: &dyn Fn() -> bool,
    watch: &dyn Watch,
) -> Result<Vec<Settled>> {
    let mut attempt = 1;
    loop {
        let begin = inputs::now(scratch).map_err(|error| {
            let what = format!("{} cannot be written: {error}", scratch.display());
            Error::new(what, "If the disk is full, make room.")
        })?;
        let outcome = build::build_with_units(request, stopped, watch)?;
        let changed = Cell::new(false);
        let digests = Digests::default();
        let is_settled = |unit: &Unit| {
            let inputs = unit.inputs(request.root, &digests).ok();
            let settled = inputs.filter(|inputs| unit.is_settled(inputs, begin));
            if settled.is_none() {
                unit.forget();
                changed.set(true);
            }
            settled
        };
        // Every one of them is looked at, so that all are built anew that have to be.
        let shared: Vec<Option<Inputs>> = outcome.shared.iter().map(is_settled).collect();
        let shared = shared.iter().all(Option::is_some);
        let packages = request.packages.iter().zip(outcome.packages);
        let settled: Vec<Settled> = packages
            .map(|(package, (built, _, units))| {
                let inputs: Vec<Option<Inputs>> = units.iter().map(is_settled).collect();
                let mut inputs: Option<Vec<Inputs>> = inputs.into_iter().collect();
                if matches!(built, Built::DoesNotCompile(_)) {
                    let sources = sources(package, &digests).filter(|sources| {
                        let settled = Unit::default().is_settled(sources, begin);
                        changed.set(changed.get() || !settled);
                        settled
                    });
                    inputs = inputs.zip(sources).map(|(mut inputs, sources)| {
                        inputs.push(sources);
                        inputs
                    });
                }
                let inputs = inputs.filter(|_| shared).map(|inputs| {
                    let mut all = Inputs::default();
                    inputs.into_iter().for_each(|more| all.extend(more));
                    // A link to the course may be gone by the next time.
                    let files = all.files.into_iter();
                    let files = files.map(|(file, digest)| (workspace.in_course(&file), digest));
                    all.files = files.collect();
                    all
                });
                Settled { built, inputs }
            })
            .collect();
        if attempt == ATTEMPTS || !changed.get() {
            return Ok(settled);
        }
        attempt += 1;
    }
}

/// What a compiler that fails may have read: it does not say so. Nothing if a source draws in files from elsewhere.
fn sources(package: &Package, digests: &Digests) -> Option<Inputs> {
    let mut sources = BTreeSet::new();
    for folder in ["src", "tests"] {
        for entry in WalkDir::new(package.dir.join(folder)).into_iter().flatten() {
            if !entry.path().is_file() {
                continue;
            }
            let text = fs::read(entry.path()).ok()?;
            if draws_in_others(&String::from_utf8_lossy(&text)) {
                return None;
            }
            sources.insert(entry.into_path());
        }
    }
    let files = digests.of_all(sources).ok()?;
    Some(Inputs {
        files,
        ..Inputs::default()
    })
}

/// Whether it says `include…!` or `#[path = …]`, be it in a comment.
fn draws_in_others(source: &str) -> bool {
    let mut after_path = source
        .match_indices("path")
        .map(|(at, word)| &source[at + word.len()..]);
    source.contains("include") || after_path.any(|rest| rest.trim_start().starts_with('='))
}
