//! Which exercises there are: their paths say phase and number, their own Cargo.toml says the rest.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::files;
use crate::lock::Lock;

/// One of the fixed stages of the course.
#[derive(Debug, PartialEq, Eq)]
pub struct Phase {
    /// 1 to 6.
    pub number: u8,
    /// The folder.
    pub name: &'static str,
    /// What a reader sees.
    pub title: &'static str,
    /// What is built in it, in a few words.
    pub about: &'static str,
}

/// All phases, whether or not they hold an exercise yet.
pub static PHASES: [Phase; 6] = [
    phase(
        1,
        "phase1_internals",
        "Deep theory & internals",
        "locks, publication, reference counts, lock-free structures and their reclamation, schedulers",
    ),
    phase(
        2,
        "phase2_performance",
        "Performance mastery",
        "histograms, profilers, pools, batching, layouts for caches and NUMA",
    ),
    phase(
        3,
        "phase3_patterns",
        "Advanced patterns",
        "async channels, actors, streams, gossip, Raft, leases",
    ),
    phase(
        4,
        "phase4_production",
        "Production systems",
        "a server, a connection pool, a load balancer, map-reduce, an event bus",
    ),
    phase(
        5,
        "phase5_reliability",
        "Testing & reliability",
        "race and deadlock detectors, a linearizability checker, a model checker",
    ),
    phase(
        6,
        "phase6_capstones",
        "Capstones",
        "a bug hunt, an async runtime, a replicated key–value service",
    ),
];

const fn phase(number: u8, name: &'static str, title: &'static str, about: &'static str) -> Phase {
    Phase {
        number,
        name,
        title,
        about,
    }
}

impl Phase {
    /// `phase1`.
    pub fn id(&self) -> String {
        format!("phase{}", self.number)
    }

    /// The one that `word` names: `phase1`, `1` or `phase1_internals`.
    pub fn named(word: &str) -> Option<&'static Self> {
        PHASES.iter().find(|phase| names_phase(phase, word))
    }
}

/// Whose code is graded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Target {
    /// The learner's.
    Exercises,
    /// The reference.
    Solutions,
}

impl Target {
    /// The folder below the course's root.
    pub fn folder(self) -> &'static str {
        match self {
            Self::Exercises => "exercises",
            Self::Solutions => "solutions",
        }
    }
}

/// What `kata` is when a crate is built; a cargo feature picks it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum World {
    /// The standard library.
    Std,
    /// Every execution of the memory model.
    Loom,
    /// Sampled schedules.
    Shuttle,
}

impl World {
    /// All worlds.
    pub const ALL: [Self; 3] = [Self::Std, Self::Loom, Self::Shuttle];

    /// In the order in which they are built and run: what answers soonest comes first.
    pub const BY_COST: [Self; 3] = [Self::Std, Self::Shuttle, Self::Loom];

    /// The cargo feature that turns a crate over to this world.
    pub fn feature(self) -> Option<&'static str> {
        match self {
            Self::Std => None,
            Self::Loom => Some("loom"),
            Self::Shuttle => Some("shuttle"),
        }
    }

    /// The word for it.
    pub fn name(self) -> &'static str {
        self.feature().unwrap_or("std")
    }
}

/// A crate with a test target called `checks`.
#[derive(Debug, Clone)]
pub struct Package {
    /// Its name for cargo.
    pub name: String,
    /// Where its Cargo.toml is.
    pub dir: PathBuf,
    /// In which worlds it can be built.
    pub worlds: Vec<World>,
    /// What `kata` explores in those besides that of `std`.
    pub models: Models,
}

/// What the models of an exercise are about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Models {
    /// There are none.
    None,
    /// Programs of the course, for which the learner's code says something, such as orderings.
    CourseCode,
    /// The learner's code.
    LearnerCode,
}

/// How much there is to think about and to write.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Size {
    /// One thought, in under a hundred lines.
    Small,
    /// A few that meet each other.
    Medium,
    /// Several parts, to be built one after the other.
    Large,
}

impl Size {
    /// The word for it.
    pub fn words(self) -> &'static str {
        match self {
            Self::Small => "small",
            Self::Medium => "medium",
            Self::Large => "large",
        }
    }
}

/// An exercise as the course defines it.
#[derive(Debug)]
pub struct Exercise {
    /// The phase it belongs to.
    pub phase: &'static Phase,
    /// The number within the phase.
    pub number: u8,
    /// `spin_lock`.
    pub name: String,
    /// `04_spin_lock`.
    pub folder: String,
    /// What a reader sees.
    pub title: String,
    /// The family within the phase.
    pub topic: String,
    /// Ids of the exercises to do first.
    pub needs: Vec<String>,
    /// How much there is to do, if its author says so.
    pub size: Option<Size>,
    /// What its source may take from `std` although no model sees it, such as `std::sync::mpsc`.
    pub std: Vec<String>,
    /// The learner's crate.
    pub package: Package,
    /// Why the crate cannot be handed to cargo at all, in words that follow its id.
    pub unusable: Option<String>,
}

impl Exercise {
    /// `1.04`.
    pub fn id(&self) -> String {
        format!("{}.{:02}", self.phase.number, self.number)
    }

    /// `phase1_internals/04_spin_lock`.
    pub fn path(&self) -> String {
        format!("{}/{}", self.phase.name, self.folder)
    }

    /// Whether it has a world besides that of `std`.
    pub fn has_models(&self) -> bool {
        self.package.worlds.iter().any(|&world| world != World::Std)
    }
}

/// The course on disk.
#[derive(Debug)]
pub struct Course {
    /// Where the workspace's Cargo.toml is.
    pub root: PathBuf,
    /// How many exercises the curriculum has in a phase, by the phase's folder; of a phase that is not named, what is
    /// written is all.
    curriculum: BTreeMap<String, usize>,
    /// In the order in which they are to be done.
    pub exercises: Vec<Exercise>,
}

impl Course {
    /// The nearest folder at or above `start` that looks like the course.
    pub fn find(start: &Path) -> Option<PathBuf> {
        start
            .ancestors()
            .find(|folder| is_course(folder))
            .map(Path::to_path_buf)
    }

    /// Reads what is there. `lock` adds what should be there, so that a lost folder is noticed.
    pub fn read(root: &Path, lock: &Lock) -> Result<Self> {
        if !is_course(root) {
            return Err(Error::new(
                format!(
                    "{} is not the course: it has no exercises/ beside a Cargo.toml.",
                    root.display()
                ),
                "Run ./grade.sh from the course, or name its folder with --course DIR.",
            ));
        }
        let mut exercises = Vec::new();
        for phase in &PHASES {
            let mut folders = folders_of(&root.join("exercises").join(phase.name));
            folders.extend(lock.folders_of(phase.name));
            folders.sort();
            folders.dedup();
            for folder in folders {
                exercises.extend(read_exercise(root, phase, folder, lock));
            }
        }
        exercises.sort_by_key(|exercise| (exercise.phase.number, exercise.number));
        Ok(Self {
            root: root.to_path_buf(),
            curriculum: read_curriculum(root),
            exercises,
        })
    }

    /// How many exercises of a phase are written.
    pub fn written(&self, phase: &Phase) -> usize {
        let of_phase = |exercise: &&Exercise| exercise.phase == phase;
        self.exercises.iter().filter(of_phase).count()
    }

    /// How many exercises a phase has once all of them are written.
    pub fn planned(&self, phase: &Phase) -> usize {
        let planned = self.curriculum.get(phase.name).copied();
        planned.unwrap_or(0).max(self.written(phase))
    }

    /// The crate to grade for `exercise`; `None` if there is no solution.
    pub fn package(&self, exercise: &Exercise, target: Target) -> Option<Package> {
        match target {
            Target::Exercises => Some(exercise.package.clone()),
            Target::Solutions => {
                let dir = self.root.join("solutions").join(exercise.path());
                let manifest = Manifest::read(&dir).ok()?;
                Some(Package {
                    name: manifest.package.name.clone(),
                    worlds: manifest.worlds(),
                    models: exercise.package.models,
                    dir,
                })
            }
        }
    }

    /// Which exercises the selectors name; all without a selector.
    pub fn select(&self, selectors: &[String]) -> Result<Vec<bool>> {
        if selectors.is_empty() {
            return Ok(vec![true; self.exercises.len()]);
        }
        let mut selected = vec![false; self.exercises.len()];
        for selector in selectors {
            let word = last_segment(selector);
            let phase = Phase::named(word).map(|phase| phase.number);
            let mut known = phase.is_some();
            for (exercise, selected) in self.exercises.iter().zip(&mut selected) {
                if phase == Some(exercise.phase.number) || names_exercise(exercise, word) {
                    *selected = true;
                    known = true;
                }
            }
            if !known {
                return Err(self.unknown(word));
            }
        }
        Ok(selected)
    }

    /// The one exercise that a word names; without a word, that in whose folder the grader was called.
    pub fn one(&self, named: Option<&str>) -> Result<&Exercise> {
        let Some(word) = named.map(str::to_owned).or_else(|| self.here()) else {
            return Err(Error::new(
                "Which exercise?",
                "Name one, such as spin_lock or 1.04, or go to its folder. `./grade.sh list` shows them all.",
            ));
        };
        let selected = self.select(std::slice::from_ref(&word))?;
        let mut named = self.exercises.iter().zip(selected).filter(|(_, is)| *is);
        match (named.next(), named.next()) {
            (Some((exercise, _)), None) => Ok(exercise),
            _ => Err(Error::new(
                format!("`{word}` is a phase, and one exercise is needed."),
                "`./grade.sh list` shows which ones it has.",
            )),
        }
    }

    /// The folder of the exercise in which the grader was called.
    pub fn here(&self) -> Option<String> {
        let here = std::env::current_dir().ok()?;
        let exercises = self.root.join("exercises").canonicalize().ok()?;
        let inside = here.strip_prefix(exercises).ok()?;
        let folder = inside.components().nth(1)?;
        Some(folder.as_os_str().to_string_lossy().into_owned())
    }

    fn unknown(&self, word: &str) -> Error {
        let known = self
            .exercises
            .iter()
            .flat_map(|exercise| [exercise.name.clone(), exercise.id()])
            .chain(PHASES.iter().map(|phase| phase.name.to_owned()));
        let nearest = known
            .map(|name| (strsim::jaro_winkler(&name, word), name))
            .filter(|(likeness, _)| *likeness > 0.75)
            .max_by(|left, right| left.0.total_cmp(&right.0));
        let advice = match nearest {
            Some((_, name)) => format!("Did you mean `{name}`? `./grade.sh list` shows them all."),
            None => "`./grade.sh list` shows them all.".to_owned(),
        };
        Error::new(format!("There is no exercise or phase `{word}`."), advice)
    }
}

fn is_course(folder: &Path) -> bool {
    folder.join("exercises").is_dir() && folder.join("Cargo.toml").is_file()
}

fn last_segment(selector: &str) -> &str {
    selector
        .trim_end_matches(['/', '\\'])
        .rsplit(['/', '\\'])
        .next()
        .unwrap_or(selector)
}

fn names_phase(phase: &Phase, word: &str) -> bool {
    word == phase.name || word == phase.id() || word == phase.number.to_string()
}

fn names_exercise(exercise: &Exercise, word: &str) -> bool {
    word == exercise.name || word == exercise.folder || word == exercise.id()
}

fn folders_of(phase: &Path) -> Vec<String> {
    let Ok(entries) = fs::read_dir(phase) else {
        return Vec::new();
    };
    entries
        .flatten()
        .filter(|entry| entry.path().is_dir())
        .filter_map(|entry| entry.file_name().into_string().ok())
        .collect()
}

/// An exercise, or nothing if the folder is none: its name is not `NN_name`, or it holds no Cargo.toml and never did.
fn read_exercise(
    root: &Path,
    phase: &'static Phase,
    folder: String,
    lock: &Lock,
) -> Option<Exercise> {
    let (number, name) = folder.split_once('_')?;
    if number.len() != 2 {
        return None;
    }
    let number = number.parse().ok()?;
    let dir = root.join("exercises").join(phase.name).join(&folder);
    let (manifest, unusable) = match Manifest::read(&dir) {
        Ok(manifest) if manifest.package.name != name => {
            let problem = format!(
                "its Cargo.toml names the package `{}`, its folder `{name}`",
                manifest.package.name
            );
            (Some(manifest), Some(problem))
        }
        Ok(manifest) => (Some(manifest), None),
        Err(_) if fs::symlink_metadata(dir.join("Cargo.toml")).is_err() => {
            lock.entry(phase.name, &folder)?;
            (None, Some("its Cargo.toml is missing".to_owned()))
        }
        Err(problem) => (
            None,
            Some(format!("its Cargo.toml cannot be read: {problem}")),
        ),
    };
    let name = name.to_owned();
    let worlds = manifest
        .as_ref()
        .map_or_else(|| vec![World::Std], Manifest::worlds);
    let explored = manifest.as_ref().is_some_and(Manifest::is_explored);
    let kata = manifest.and_then(|manifest| manifest.package.metadata.kata);
    let kata = kata.unwrap_or_default();
    Some(Exercise {
        phase,
        number,
        title: kata.title.unwrap_or_else(|| name.clone()),
        topic: kata.topic,
        needs: kata.needs,
        size: kata.size,
        std: kata.std,
        package: Package {
            name: name.clone(),
            dir,
            worlds,
            models: match (explored, kata.models_course_code) {
                (false, _) => Models::None,
                (true, true) => Models::CourseCode,
                (true, false) => Models::LearnerCode,
            },
        },
        name,
        folder,
        unusable,
    })
}

/// `[workspace.metadata.kata.curriculum]` of the course's own Cargo.toml.
fn read_curriculum(root: &Path) -> BTreeMap<String, usize> {
    let text = fs::read_to_string(root.join("Cargo.toml")).unwrap_or_default();
    let manifest: toml::Table = toml::from_str(&text).unwrap_or_default();
    let curriculum = ["workspace", "metadata", "kata", "curriculum"]
        .iter()
        .try_fold(&toml::Value::Table(manifest), |value, key| value.get(key))
        .cloned();
    curriculum
        .and_then(|phases| phases.try_into().ok())
        .unwrap_or_default()
}

/// As much of a Cargo.toml as the grader cares about.
#[derive(Deserialize)]
struct Manifest {
    package: PackageTable,
    #[serde(default)]
    features: BTreeMap<String, Vec<String>>,
}

#[derive(Deserialize)]
struct PackageTable {
    name: String,
    #[serde(default)]
    metadata: Metadata,
}

#[derive(Default, Deserialize)]
struct Metadata {
    kata: Option<Kata>,
}

#[derive(Default, Deserialize)]
struct Kata {
    title: Option<String>,
    #[serde(default)]
    topic: String,
    #[serde(default)]
    needs: Vec<String>,
    size: Option<Size>,
    #[serde(default)]
    std: Vec<String>,
    #[serde(default)]
    models_course_code: bool,
}

impl Manifest {
    fn read(dir: &Path) -> std::result::Result<Self, String> {
        let text = files::read_text(&dir.join("Cargo.toml")).map_err(|error| error.to_string())?;
        toml::from_str(&text).map_err(|error| error.message().to_owned())
    }

    fn is_explored(&self) -> bool {
        self.features
            .values()
            .flatten()
            .any(|feature| feature == "kata/loom" || feature == "kata/shuttle")
    }

    fn worlds(&self) -> Vec<World> {
        World::ALL
            .into_iter()
            .filter(|world| {
                world
                    .feature()
                    .is_none_or(|feature| self.features.contains_key(feature))
            })
            .collect()
    }
}
