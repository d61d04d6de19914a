//! What a learner asks of the grader beside the verdict: hints, where to go on, what a check explores, the reference.

#![cfg(unix)]

#[path = "../course/fixture.rs"]
#[expect(
    dead_code,
    reason = "shared with the tests of the verdict, which use more of it"
)]
mod fixture;
#[path = "../shared/grader.rs"]
mod grader;
#[path = "../course/small.rs"]
mod small;

mod asked;
mod course;
mod hints;
mod resets;
mod shell;
mod solutions;
mod watching;
