//! Which exercises are audited, and why: those that were asked for, those that `solutions/audit.lock` does not vouch for,
//! and a sample of the others.

use std::path::Path;
use std::process::{Command, Stdio};

use serde::Serialize;

use crate::digest::Digest;
use crate::shard::Shard;

/// One in so many of those that are vouched for is audited all the same.
const ONE_IN: usize = 5;

/// What was asked for.
#[derive(Debug)]
pub enum Wanted {
    /// These, by their place in the course.
    Named(Vec<bool>),
    /// Everything.
    All,
    /// What is not vouched for, and a sample.
    Due,
}

/// What `solutions/audit.lock` says about an exercise as it is now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// Nothing.
    New,
    /// Something has changed since.
    Changed,
    /// It was audited with another compiler.
    OtherCompiler,
    /// It is vouched for, but what can be seen without building anything is not in order.
    Wrong,
    /// It was audited and in order, and nothing has changed since.
    Vouched,
}

/// Why an exercise is audited.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Why {
    /// It was named, or the grader was called in its folder.
    #[default]
    Named,
    /// `--all`
    All,
    /// It is not in `solutions/audit.lock`.
    New,
    /// Something that the audit depends on has changed.
    Changed,
    /// The compiler is another one.
    OtherCompiler,
    /// Something is wrong that can be seen without an audit.
    Wrong,
    /// The commit draws it.
    Drawn,
    /// There is no commit to draw a sample by.
    NoCommit,
}

impl Why {
    /// In a word or two, for the table.
    pub fn words(self) -> &'static str {
        match self {
            Self::Named => "named",
            Self::All => "--all",
            Self::New => "not in audit.lock",
            Self::Changed => "changed",
            Self::OtherCompiler => "another compiler",
            Self::Wrong => "something is wrong",
            Self::Drawn => "drawn by the commit",
            Self::NoCommit => "no commit to draw by",
        }
    }
}

/// What becomes of an exercise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It is audited.
    Audited(Why),
    /// `solutions/audit.lock` vouches for it.
    Vouched,
    /// It was not asked for, or another part has it.
    Elsewhere,
}

/// What becomes of each exercise. `standings` are theirs, with their paths; `commit` draws the sample.
pub fn choose(
    wanted: &Wanted,
    shard: Option<Shard>,
    standings: &[(String, Standing)],
    commit: Option<&str>,
) -> Vec<Fate> {
    let drawn = draw(standings, commit);
    let fate = |index: usize, standing: Standing| match (wanted, standing) {
        (Wanted::Named(selected), _) if selected.get(index) == Some(&true) => {
            Fate::Audited(Why::Named)
        }
        (Wanted::Named(_), _) => Fate::Elsewhere,
        (Wanted::All, _) => Fate::Audited(Why::All),
        (Wanted::Due, Standing::New) => Fate::Audited(Why::New),
        (Wanted::Due, Standing::Changed) => Fate::Audited(Why::Changed),
        (Wanted::Due, Standing::OtherCompiler) => Fate::Audited(Why::OtherCompiler),
        (Wanted::Due, Standing::Wrong) => Fate::Audited(Why::Wrong),
        (Wanted::Due, Standing::Vouched) if commit.is_none() => Fate::Audited(Why::NoCommit),
        (Wanted::Due, Standing::Vouched) if drawn.contains(&index) => Fate::Audited(Why::Drawn),
        (Wanted::Due, Standing::Vouched) => Fate::Vouched,
    };
    // By the place in the course, so that machines which disagree on what is due leave nothing out.
    let is_here = |index: usize| shard.is_none_or(|shard| shard.has(index));
    standings
        .iter()
        .enumerate()
        .map(|(index, (_, standing))| match is_here(index) {
            true => fate(index, *standing),
            false => Fate::Elsewhere,
        })
        .collect()
}

/// One in five of those that are vouched for, and at least one.
fn draw(standings: &[(String, Standing)], commit: Option<&str>) -> Vec<usize> {
    let Some(commit) = commit else {
        return Vec::new();
    };
    let lot = |path: &str| {
        let mut digest = Digest::default();
        digest.add(commit);
        digest.add(path);
        digest.finish()
    };
    let mut lots: Vec<(String, usize)> = standings
        .iter()
        .enumerate()
        .filter(|(_, (_, standing))| *standing == Standing::Vouched)
        .map(|(index, (path, _))| (lot(path), index))
        .collect();
    lots.sort();
    lots.truncate(lots.len().div_ceil(ONE_IN));
    lots.into_iter().map(|(_, index)| index).collect()
}

/// The commit that is checked out, if the course is in a repository.
pub fn commit(root: &Path) -> Option<String> {
    // A repository that lies around the course by chance has no such file.
    let output = Command::new("git")
        .args(["rev-parse", "HEAD", "HEAD:./Cargo.toml"])
        .current_dir(root)
        .stdin(Stdio::null())
        .output()
        .ok()
        .filter(|output| output.status.success())?;
    let said = String::from_utf8(output.stdout).ok()?;
    said.lines().next().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn course(standing: impl Fn(usize) -> Standing) -> Vec<(String, Standing)> {
        (0..23)
            .map(|index| (format!("phase1_internals/{index:02}_x"), standing(index)))
            .collect()
    }

    fn places(fates: &[Fate], of: Fate) -> Vec<usize> {
        let is = |index: &usize| fates[*index] == of;
        (0..fates.len()).filter(is).collect()
    }

    #[test]
    fn one_in_five_is_drawn_always_the_same_by_one_commit() {
        let course = course(|_| Standing::Vouched);
        let by = |commit| {
            let fates = choose(&Wanted::Due, None, &course, Some(commit));
            places(&fates, Fate::Audited(Why::Drawn))
        };
        assert_eq!(by("1f").len(), 5);
        assert_eq!(by("1f"), by("1f"));
        let sixty: Vec<String> = (0..60).map(|number| format!("{number:02x}")).collect();
        let mut seen: Vec<usize> = sixty.iter().flat_map(|commit| by(commit)).collect();
        seen.sort_unstable();
        seen.dedup();
        assert_eq!(seen.len(), course.len(), "some are never drawn");
    }

    #[test]
    fn what_is_not_vouched_for_is_audited_and_is_no_part_of_the_sample() {
        let course = course(|index| match index {
            0 => Standing::New,
            1 => Standing::Changed,
            2 => Standing::OtherCompiler,
            3 => Standing::Wrong,
            _ => Standing::Vouched,
        });
        let fates = choose(&Wanted::Due, None, &course, Some("1f"));
        let whys = [Why::New, Why::Changed, Why::OtherCompiler, Why::Wrong];
        assert_eq!(fates[..4], whys.map(Fate::Audited));
        assert_eq!(places(&fates, Fate::Audited(Why::Drawn)).len(), 4);
        assert_eq!(places(&fates, Fate::Vouched).len(), 15);
    }

    #[test]
    fn without_a_commit_everything_is_audited() {
        let course = course(|_| Standing::Vouched);
        let fates = choose(&Wanted::Due, None, &course, None);
        assert_eq!(places(&fates, Fate::Audited(Why::NoCommit)).len(), 23);
    }

    #[test]
    fn parts_are_disjoint_and_complete() {
        let course = course(|index| match index % 3 {
            0 => Standing::Changed,
            _ => Standing::Vouched,
        });
        for wanted in [Wanted::Due, Wanted::All, Wanted::Named(vec![true; 23])] {
            let whole = choose(&wanted, None, &course, Some("1f"));
            for parts in 1..=25 {
                let mut owners = [0; 23];
                for part in 1..=parts {
                    let shard = Some(Shard { part, parts });
                    let fates = choose(&wanted, shard, &course, Some("1f"));
                    for (index, fate) in fates.iter().enumerate() {
                        if *fate != Fate::Elsewhere {
                            owners[index] += 1;
                            assert_eq!(*fate, whole[index]);
                        }
                    }
                }
                assert_eq!(owners, [1; 23], "{parts} parts");
            }
        }
    }
}
