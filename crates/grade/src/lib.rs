//! The grader as a library: builds what a learner wrote, runs each check in a process of its own, says what holds.
//!
//! | module | purpose |
//! |---|---|
//! | [`course`] | which exercises there are, and which of them a selector names |
//! | [`files`] | files that somebody else has put there |
//! | [`lock`], [`digest`] | whether tests and stubs are the ones the course ships |
//! | [`workspace`] | what cargo is given, whatever else lies about |
//! | [`permitted`] | what source may name where models are to see everything |
//! | [`inputs`], [`settle`] | what the compiler read for it, and whether that is what is there |
//! | [`build`], [`build_guard`] | one `cargo build` for many crates in one world, and an end to each compiler |
//! | [`process`], [`run`] | one test is one process: confined, watched, captured |
//! | [`judge`] | what a test's ending says about the code |
//! | [`pool`], [`shard`] | several tests at once, on several machines |
//! | [`cache`] | results that need not be found out twice |
//! | [`grade`] | all of this for the selected exercises |
//! | [`bench`] | how long it takes, beside what a user would pick instead |
//! | [`audit`] | the author's gate: the tests are tested |
//! | [`scaffold`], [`repeated`], [`contents`] | what an author need not write |
//! | [`class`] | other people's code: each exercise of each submission in a sandbox |
//! | [`result`] | the outcome as data: `--json` |
//! | [`hint`], [`next`], [`list`], [`explain`], [`solution`], [`doc`] | what a learner asks beside the verdict |
//! | [`live`] | the verdict at every save |
//! | [`reset`], [`originals`] | the course's own text again, and nothing of the learner's lost |
//! | [`answer`], [`texts`], [`remembered`], [`editor`] | what those have in common |
//! | [`table`], [`progress`] | the outcome for people |
//! | [`page`], [`junit`] | the outcome for browsers and for other tools |
//! | [`markup`] | learners' text, made safe for those |
//!
//! Nothing below `grade` writes to the terminal: progress goes to a [`watch::Watch`].

pub mod answer;
pub mod audit;
pub mod bench;
pub mod build;
pub mod build_guard;
pub mod cache;
pub mod class;
pub mod contents;
pub mod course;
pub mod digest;
pub mod doc;
pub mod editor;
pub mod error;
pub mod explain;
pub mod files;
pub mod grade;
pub mod hint;
pub mod inputs;
pub mod judge;
pub mod junit;
pub mod list;
pub mod live;
pub mod lock;
pub mod markup;
pub mod next;
pub mod originals;
pub mod page;
pub mod permitted;
pub mod pool;
pub mod progress;
pub mod remembered;
pub mod repeated;
pub mod reset;
pub mod result;
pub mod run;
pub mod scaffold;
pub mod settle;
pub mod shard;
pub mod solution;
pub mod table;
pub mod texts;
pub mod watch;
pub mod workspace;

pub use process_group as process;
