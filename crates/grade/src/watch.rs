//! How the work lets others know where it is, without knowing who listens.

use crate::cache::WorldResult;
use crate::course::World;
use crate::judge::TestResult;

/// Hears about progress. Every method does nothing unless a listener says otherwise.
pub trait Watch: Sync {
    /// A world of so many packages is about to be built.
    fn building(&self, _world: World, _packages: usize) {}
    /// Cargo said that it is at work on this.
    fn compiling(&self, _what: &str) {}
    /// So many more tests are going to run.
    fn queued(&self, _tests: usize) {}
    /// This was found out about a selected package in an earlier run.
    fn known(&self, _package: &str, _world: World, _result: &WorldResult) {}
    /// So many tests of a package in a world are going to have a result.
    fn testing(&self, _package: &str, _world: World, _tests: usize) {}
    /// One of those.
    fn tested(&self, _package: &str, _world: World, _result: &TestResult) {}
    /// A test has ended.
    fn finished(&self, _package: &str, _test: &str) {}
    /// A package is being measured, after so many of so many.
    fn measuring(&self, _package: &str, _done: usize, _all: usize) {}
    /// Another grader is at work in the same target directory.
    fn waiting_for_other_grader(&self) {}
}

/// Listens to nothing.
pub struct Silent;

impl Watch for Silent {}
