//! The command line of the grader.

use std::io::{self, IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use clap::{CommandFactory as _, Parser, Subcommand};
use console::{Term, style};

use grade::answer::Answer;
use grade::audit::choice::Wanted;
use grade::class;
use grade::course::{Course, Exercise, Target, World};
use grade::error::{Error, Result};
use grade::grade::Plan;
use grade::lock::Lock;
use grade::progress::{ClassProgress, Progress};
use grade::result::Report;
use grade::shard::Shard;
use grade::table::Layout;
use grade::workspace::Workspace;
use grade::{
    audit, bench, contents, doc, explain, hint, junit, list, live, next, originals, page, process,
    repeated, reset, scaffold, solution, table,
};

/// Grades your exercises: builds what you have started, runs every check in a process of its own, and says what holds
/// and what to do next.
#[derive(Parser)]
#[command(
    name = "grade.sh",
    bin_name = "./grade.sh",
    version,
    after_help = "\
Examples:
  ./grade.sh                        grade what you have started, and say what to do next
  ./grade.sh spin_lock              grade one exercise
  ./grade.sh spin_lock try_lock     only its checks with try_lock in their names
  ./grade.sh phase1 --all-failures  grade a phase, and tell why each check fails
  ./grade.sh watch                  grade at every save
  ./grade.sh COMMAND --help         more about a command

An EXERCISE is a name, a number or a folder: spin_lock, 1.04, 04_spin_lock. A PHASE is phase1, 1 or phase1_internals.
With selectors, only what they name is built, run and shown; level and completion still regard the whole course, as far as
it is known from earlier runs. After one exercise, a word that names none is a part of the names of its checks: `litmus mp`
runs those alone, to look at them. Results are kept until something they depend on changes.

Exit code: 0 if nothing you started is short of passing, 1 if something is, 2 if the grader itself could not work.
Environment: NO_COLOR=1 turns colour off; KATA_REQUIRE_REAL=1 makes a check fail rather than skip the part that needs a
real server which is not installed; CARGO_TARGET_DIR says where to build."
)]
struct Cli {
    #[command(subcommand)]
    command: Option<Verb>,

    #[command(flatten)]
    grade: GradeOptions,

    /// The course's folder [default: the nearest one above the current folder]
    // ./grade.sh names its own, and hands on what it is told after that: the last one counts.
    #[arg(long, global = true, value_name = "DIR", overrides_with = "course")]
    course: Option<PathBuf>,
}

const COMPLETIONS: &str = "\
Examples:
  source <(./grade.sh completions bash)
  ./grade.sh completions zsh >~/.zfunc/_grade.sh        with ~/.zfunc in fpath
  ./grade.sh completions fish >~/.config/fish/completions/grade.sh.fish";

#[derive(Subcommand)]
enum Verb {
    /// Show all exercises: how large they are, how they stand, what each one needs
    List(list::Options),
    /// Show which exercise to turn to, and where to begin in it
    Next(next::Options),
    /// Show a hint, one at a time
    Hint(hint::Options),
    /// Show what a check explores and what it rules out
    Explain(explain::Options),
    /// Bring back the course's own text, after a backup of what is there
    Reset(reset::Options),
    /// Show the reference beside your code, questions that no check asks, and other solutions
    Solution(solution::Options),
    /// Grade an exercise at every save
    Watch(live::Options),
    /// Open the documentation of kata, on which every exercise is built
    Doc(doc::Options),
    /// Print what a shell needs to complete this command line
    #[command(after_help = COMPLETIONS)]
    Completions {
        /// For which shell
        shell: clap_complete::Shell,
    },
    /// Measure the time your code takes beside what a user would pick instead, such as std's own; decides nothing
    Bench(BenchOptions),
    /// Write a page that shows how far you are and why what fails does, or a badge; grades first what has changed
    Report(ReportOptions),
    /// For authors: record tests, Cargo.toml and stubs as the course's own in exercises/tests.lock
    #[command(
        after_help = "Examples:\n  ./grade.sh lock --author    after you have changed a stub, a check or a crate they are built with"
    )]
    Lock {
        /// I am an author of this course: what is there now is what every learner is to be measured by
        #[arg(long)]
        author: bool,
    },
    /// For authors: lay out all files of a new exercise, so that the audit says what is missing
    New(NewOptions),
    /// For authors: test the tests. The stub fails every check, every right solution passes, every wrong one is rejected
    Audit(AuditOptions),
    /// For teachers: grade a folder of other people's submissions, each exercise of each in a sandbox of its own
    Class(ClassOptions),
    /// What `class` runs inside a sandbox
    #[command(hide = true)]
    Cell,
}

#[derive(clap::Args)]
#[command(
    args_conflicts_with_subcommands = true,
    subcommand_negates_reqs = true,
    after_help = "\
Examples:
  ./grade.sh class submissions --out results                  grade a folder of submissions
  ./grade.sh class submissions --out part1 --shard 1/4        a quarter of them, on one of four machines
  ./grade.sh class merge part1 part2 part3 part4 --out all    put the four together

A submission is a folder in SUBMISSIONS: a clone of the course, a tree with exercises/PHASE/NN_NAME/src in it, or a folder
NAME or NN_NAME with src in it for each exercise. Only .rs files below src are taken. docs/classes.md says more.

Exit code: 0 if everything was graded, whatever came out; 1 if something could not be graded; 2 if the grader itself could
not work; 130 if it was stopped. Called again with the same --out, it goes on where it stopped."
)]
struct ClassOptions {
    #[command(subcommand)]
    verb: Option<ClassVerb>,

    /// The folder that holds a folder for each submission
    #[arg(value_name = "SUBMISSIONS", required = true)]
    submissions: Option<PathBuf>,

    /// Where the results go: results.json, results.csv, and a page and a JSON file for each submission
    #[arg(long, value_name = "DIR", required = true)]
    out: Option<PathBuf>,

    /// Grade the K-th of N parts of the submissions, and leave the others to other machines
    #[arg(long, value_name = "K/N")]
    shard: Option<Shard>,

    /// How many sandboxes at once [default: the number of cores]
    #[arg(short, long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    jobs: Option<u16>,

    /// Run the submissions without a sandbox: they may read, change and send whatever you may
    #[arg(long)]
    trust: bool,

    /// Stop a check that has used so many seconds of CPU time; one that only sleeps is stopped after 10
    #[arg(long, value_name = "SECONDS", default_value = "90", value_parser = seconds)]
    hang_guard: Duration,

    /// Stop an exercise that is still being graded after so many seconds: somebody has stopped its grader
    #[arg(long, value_name = "SECONDS", default_value = "3600", value_parser = seconds)]
    limit: Duration,
}

#[derive(Subcommand)]
enum ClassVerb {
    /// Put the results of several parts together
    Merge {
        /// What the parts' --out named
        #[arg(value_name = "DIR", required = true)]
        parts: Vec<PathBuf>,

        /// Where the results go
        #[arg(long, value_name = "DIR")]
        out: PathBuf,
    },
}

#[derive(clap::Args)]
#[command(after_help = "\
The page is one file without scripts: it can be opened from the disk, sent, or put on a web server. The badge is an SVG.

Examples:
  ./grade.sh report --html progress.html
  ./grade.sh report --badge badge.svg

Exit code: 0 if what was asked for was written, whatever it shows; 2 if the grader itself could not work.")]
#[command(group = clap::ArgGroup::new("what").required(true).multiple(true))]
struct ReportOptions {
    /// Write the page to this file
    #[arg(long, value_name = "FILE", group = "what")]
    html: Option<PathBuf>,

    /// Write the badge to this file
    #[arg(long, value_name = "FILE", group = "what")]
    badge: Option<PathBuf>,

    /// Report on the reference solutions instead of your code
    #[arg(long)]
    solutions: bool,

    /// Stop a check that has used so many seconds of CPU time; one that only sleeps is stopped after 10
    #[arg(long, value_name = "SECONDS", default_value = "90", value_parser = seconds)]
    hang_guard: Duration,
}

#[derive(clap::Args)]
#[command(after_help = "\
What is laid out is an exercise in miniature, with a stub that fails and a solution that passes. CONTRIBUTING.md says how it
becomes one of yours. Nothing that is there is written over.

Examples:
  ./grade.sh new phase1 hazard_pointers --number 14
  ./grade.sh new 5 trace_checker --world std")]
struct NewOptions {
    /// Where it belongs: phase1, 1 or phase1_internals
    #[arg(value_name = "PHASE")]
    phase: String,

    /// What it is called: spin_lock
    #[arg(value_name = "NAME")]
    name: String,

    /// Its number in the phase [default: the one after the last]
    #[arg(long, value_name = "NN")]
    number: Option<u8>,

    /// A world that it has checks in, std, loom or shuttle; may be given several times [default: all three]
    #[arg(long = "world", value_name = "WORLD", value_parser = world)]
    worlds: Vec<World>,
}

#[derive(clap::Args)]
#[command(after_help = "\
solutions/audit.lock says which exercises were in order when all was as it is now. Without EXERCISE, what it does not vouch
for is audited, and one in five of the others, drawn by the commit's hash; outside of a git repository, everything.

Examples:
  ./grade.sh audit                           what has changed, and a sample of the rest
  ./grade.sh audit spin_lock                 one exercise, whatever audit.lock says
  ./grade.sh audit spin_lock --lock          the same, and audit.lock says so if all is in order
  ./grade.sh audit --all --shard 2/8 --json  the second of eight parts of everything, for a program
  ./grade.sh audit --kinds                   which kinds of wrong solutions which exercise is proof against

Exit code: 0 if all is in order, 1 if something is not, 2 if the grader itself could not work.")]
struct AuditOptions {
    /// What to audit [default: what audit.lock does not vouch for, and a sample; in an exercise's folder, that one]
    #[arg(value_name = "EXERCISE|PHASE")]
    selectors: Vec<String>,

    /// Audit everything, whatever audit.lock vouches for
    #[arg(long, conflicts_with = "selectors")]
    all: bool,

    /// Audit the K-th of N parts, and leave the others to other machines
    #[arg(long, value_name = "K/N")]
    shard: Option<Shard>,

    /// Show what each exercise has against each kind of wrong solution, and audit nothing
    #[arg(long, conflicts_with_all = ["all", "shard", "lock", "json"])]
    kinds: bool,

    /// Explore the loom models with one engine alone, to compare them
    #[arg(long, conflicts_with = "lock", value_parser = ["graph", "loom"])]
    engine: Option<String>,

    /// Write what was audited into solutions/audit.lock, unless something is wrong; what else it says stays
    #[arg(long)]
    lock: bool,

    /// Print one JSON object instead of a table
    #[arg(long)]
    json: bool,

    /// Stop a check of a right solution after so many seconds of CPU time; a wrong one is stopped earlier
    #[arg(long, value_name = "SECONDS", default_value = "90", value_parser = seconds)]
    hang_guard: Duration,

    /// Build and run everything again, whatever is known already
    #[arg(long)]
    no_cache: bool,

    /// How many checks run at once [default: the number of cores]
    #[arg(short, long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    jobs: Option<u16>,
}

#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  ./grade.sh bench spin_lock                yours beside std's and parking_lot's
  ./grade.sh bench spin_lock --solutions    the reference beside them
  ./grade.sh bench phase1 --json            a phase, for a program

Your code and its peers run in turns, in many short rounds, optimised, one exercise after the other. The ratio is your time
divided by the peer's. A busy machine makes the figures spread: close what you can, and measure twice.

Exit code: 0 if all was measured that could be, 1 if something would not compile, panicked or hung, 2 if the grader itself
could not work.")]
struct BenchOptions {
    /// What to measure [default: everything you have started; in an exercise's folder, that one]
    #[arg(value_name = "EXERCISE|PHASE")]
    selectors: Vec<String>,

    /// Measure the reference solutions instead of your code
    #[arg(long)]
    solutions: bool,

    /// Print one JSON object instead of a table
    #[arg(long)]
    json: bool,

    /// Stop what has used so many seconds of CPU time; an exercise takes two or three
    #[arg(long, value_name = "SECONDS", default_value = "120", value_parser = seconds)]
    hang_guard: Duration,
}

#[derive(clap::Args)]
struct GradeOptions {
    /// What to grade [default: everything; in an exercise's folder, that one]; after one exercise, which of its checks
    #[arg(value_name = "EXERCISE|PHASE|CHECK")]
    selectors: Vec<String>,

    /// Grade the reference solutions instead of your code
    #[arg(long)]
    solutions: bool,

    /// Print one JSON object instead of tables
    #[arg(long)]
    json: bool,

    /// Exit with 1 unless everything passes, also what has not been started
    #[arg(long)]
    all: bool,

    /// Tell why each check fails, not only the one that teaches most
    #[arg(long)]
    all_failures: bool,

    /// Write a JUnit XML report as well
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,

    /// Stop a check that has used so many seconds of CPU time; one that only sleeps is stopped after 10
    #[arg(long, value_name = "SECONDS", default_value = "90", value_parser = seconds)]
    hang_guard: Duration,

    /// Build and run everything again, whatever is known already
    #[arg(long)]
    no_cache: bool,

    /// How many checks run at once [default: the number of cores]
    #[arg(short, long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    jobs: Option<u16>,
}

fn world(text: &str) -> std::result::Result<World, String> {
    let known = World::ALL.into_iter().find(|world| world.name() == text);
    known.ok_or_else(|| "the worlds are std, loom and shuttle".to_owned())
}

fn seconds(text: &str) -> std::result::Result<Duration, String> {
    text.parse()
        .ok()
        .filter(|seconds: &f64| *seconds > 0.0)
        .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
        .ok_or_else(|| "a number of seconds above 0 is needed".to_owned())
}

fn main() -> ExitCode {
    let cli = Cli::try_parse().unwrap_or_else(|error| misunderstood(&error));
    console::set_colors_enabled(wants_colour(io::stdout().is_terminal()));
    console::set_colors_enabled_stderr(wants_colour(io::stderr().is_terminal()));
    let run = std::panic::catch_unwind(|| run(&cli));
    match run {
        Ok(Ok(code)) => ExitCode::from(code),
        Ok(Err(error)) => {
            let _ = writeln!(
                io::stderr(),
                "{} {error}",
                style("grade:").for_stderr().red()
            );
            ExitCode::from(error.exit_code())
        }
        Err(_) => {
            let mistake = Error::new("This is a mistake in the grader.", "Please report it.");
            let _ = in_json_too(&cli, mistake);
            let _ = writeln!(
                io::stderr(),
                "grade: this is a mistake in the grader, not in your code. Please report it with the lines above."
            );
            ExitCode::from(2)
        }
    }
}

/// Says what is wrong with the arguments, or what was asked about them, and ends.
fn misunderstood(error: &clap::Error) -> ! {
    let wants_json = |word| word == "--json";
    if error.use_stderr() && std::env::args_os().any(wants_json) {
        let said = error.to_string();
        let trouble = Error::new(said.lines().next().unwrap_or_default(), "See --help.");
        let _ = print(&as_json(&Report::of_trouble(Target::Exercises, &trouble)));
    }
    error.exit()
}

/// Colour only where somebody sees it, unless the environment says otherwise.
fn wants_colour(is_terminal: bool) -> bool {
    let value = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
    if value("NO_COLOR").is_some() {
        false
    } else if value("CLICOLOR_FORCE").is_some_and(|value| value != "0") {
        true
    } else {
        is_terminal
            && value("CLICOLOR").is_none_or(|value| value != "0")
            && value("TERM").is_none_or(|value| value != "dumb")
    }
}

/// The command line as it is, where an exercise is asked for with these names. For shells alone: whoever types may say it in other
/// ways.
fn knowing(command: clap::Command, names: &[String]) -> clap::Command {
    let command = command.mut_args(|argument| {
        let asks = |name: &clap::builder::Str| name.starts_with("EXERCISE");
        let asked = argument.is_positional()
            && argument
                .get_value_names()
                .is_some_and(|all| all.iter().any(asks));
        if asked && !names.is_empty() {
            argument.value_parser(clap::builder::PossibleValuesParser::new(names))
        } else {
            argument
        }
    });
    command.mut_subcommands(|command| knowing(command, names))
}

fn run(cli: &Cli) -> Result<u8> {
    if let Some(Verb::Completions { shell }) = &cli.command {
        let mut script = Vec::new();
        let exercises = find_course(cli.course.as_deref())
            .and_then(|root| read(&root))
            .map_or_else(|_| Vec::new(), |course| course.exercises);
        let names = exercises.into_iter().map(|exercise| exercise.name);
        let mut command = knowing(Cli::command(), &names.collect::<Vec<_>>());
        clap_complete::generate(*shell, &mut command, "grade.sh", &mut script);
        print(&String::from_utf8_lossy(&script))?;
        return Ok(0);
    }
    if let Some(Verb::Cell) = cli.command {
        // What it is asked says where the course is.
        return class::cell::run(prepare()?).map(|()| 0);
    }
    let root = match find_course(cli.course.as_deref()) {
        Ok(root) => root,
        Err(error) => return Err(in_json_too(cli, error)),
    };
    match &cli.command {
        Some(Verb::List(options)) => {
            let (course, report) = known(&root)?;
            print(&if options.json {
                as_json(&list::as_json(&course, &report))
            } else {
                list::list(&course, &report)
            })?;
            Ok(0)
        }
        Some(Verb::Next(options)) => {
            let (course, report) = known(&root)?;
            say(next::next(&course, &report, options)?)
        }
        Some(Verb::Hint(options)) => say(hint::hint(&read(&root)?, options)?),
        Some(Verb::Explain(options)) => say(explain::explain(
            &read(&root)?,
            &Lock::read(&root)?,
            options,
        )?),
        Some(Verb::Watch(options)) => {
            let stop = prepare()?;
            say(live::watch(
                &root,
                &target_dir(&root),
                cores(),
                &stop,
                options,
            )?)
        }
        Some(Verb::Doc(options)) => say(doc::doc(&root, &target_dir(&root), options)?),
        Some(Verb::Reset(options)) => {
            say(reset::reset(&read(&root)?, &Lock::read(&root)?, options)?)
        }
        Some(Verb::Solution(options)) => {
            let (course, report) = known(&root)?;
            say(solution::solution(&course, &report, options)?)
        }
        Some(Verb::Lock { author: false }) => Err(Error::new(
            format!(
                "`lock` is for authors: it would make checks and stubs as they are now the course's own, and take what you \
                 have written for stubs. Nothing was changed in {}.",
                Lock::PATH
            ),
            "A learner never needs it: `git checkout -- exercises/…/tests` brings the course's checks back. \
             Authors say `./grade.sh lock --author`.",
        )),
        Some(Verb::Lock { author: true }) => {
            lock(&root)?;
            Ok(0)
        }
        Some(Verb::New(options)) => run_new(&root, options),
        Some(Verb::Bench(options)) => run_bench(&root, options),
        Some(Verb::Report(options)) => run_report(&root, options),
        Some(Verb::Audit(options)) => run_audit(&root, options),
        Some(Verb::Class(options)) => run_class(&root, options),
        Some(Verb::Cell | Verb::Completions { .. }) => unreachable!("they need no course"),
        None => {
            let report =
                assess(&root, &cli.grade, false).map_err(|error| in_json_too(cli, error))?;
            show(&root, &cli.grade, &report)
        }
    }
}

/// A program that asked for JSON gets an object in every case: this one says what stopped the grader.
fn in_json_too(cli: &Cli, error: Error) -> Error {
    if cli.command.is_none() && cli.grade.json {
        let report = Report::of_trouble(target(cli.grade.solutions), &error);
        // Whether or not it can be printed, the trouble that was there first is what the reader needs.
        let _ = print(&as_json(&report));
    }
    error
}

/// What asks the grader to stop: Ctrl-C, a polite kill and, on Unix, the end of its terminal and Ctrl-backslash.
const SIGNALS: &[i32] = &[
    signal_hook::consts::SIGINT,
    signal_hook::consts::SIGTERM,
    #[cfg(unix)]
    signal_hook::consts::SIGHUP,
    #[cfg(unix)]
    signal_hook::consts::SIGQUIT,
];

/// Makes ready for running tests; the flag is set when the grader is to stop.
fn prepare() -> Result<Arc<AtomicBool>> {
    let interrupted = Arc::new(AtomicBool::new(false));
    for &signal in SIGNALS {
        signal_hook::flag::register(signal, Arc::clone(&interrupted))
            .map_err(|error| Error::new(format!("Signals cannot be handled: {error}"), ""))?;
    }
    process::adopt_orphans();
    Ok(interrupted)
}

fn assess(root: &Path, options: &GradeOptions, everything: bool) -> Result<Report> {
    let interrupted = prepare()?;
    let lock = Lock::read(root)?;
    let course = Course::read(root, &lock)?;
    let (selected, only) = if everything {
        (course.select(&[])?, None)
    } else {
        select_checks(&course, &lock, &options.selectors)?
    };
    let target = target(options.solutions);
    originals::record(&course, &lock);
    let plan = Plan {
        target,
        use_cache: !options.no_cache,
        target_dir: target_dir(root),
        hang_guard: options.hang_guard,
        workers: options.jobs.map_or_else(cores, usize::from),
        interrupted,
    };
    let progress = Progress::new();
    let only = only.as_deref();
    let assessments = grade::grade::assess_only(&course, &lock, &selected, only, &plan, &progress);
    progress.clear();
    let mut report = Report::new(&course, &assessments?, &selected, target);
    report.errors = strays(&course);
    Ok(report)
}

fn read(root: &Path) -> Result<Course> {
    Course::read(root, &Lock::read(root)?)
}

/// The course, and what earlier runs have found out about all of it as it is now.
fn known(root: &Path) -> Result<(Course, Report)> {
    let lock = Lock::read(root)?;
    let course = Course::read(root, &lock)?;
    let plan = Plan {
        target: Target::Exercises,
        use_cache: true,
        target_dir: target_dir(root),
        hang_guard: Duration::from_secs(90),
        workers: 1,
        interrupted: Arc::default(),
    };
    let assessments = grade::grade::known(&course, &lock, &plan)?;
    let all = vec![true; assessments.len()];
    let report = Report::new(&course, &assessments, &all, Target::Exercises);
    Ok((course, report))
}

/// What lies about among the exercises and is none.
fn strays(course: &Course) -> Vec<String> {
    let solutions = |exercise: &Exercise| course.root.join("solutions").join(exercise.path());
    let known = course
        .exercises
        .iter()
        .flat_map(|exercise| [exercise.package.dir.clone(), solutions(exercise)]);
    Workspace::read(&course.root, PathBuf::new()).strays(&known.collect())
}

fn show(root: &Path, options: &GradeOptions, report: &Report) -> Result<u8> {
    print(&if options.json {
        as_json(report)
    } else {
        let width = Term::stdout()
            .size_checked()
            .map(|(_, columns)| columns.into());
        let layout = Layout {
            root,
            width,
            all_failures: options.all_failures,
        };
        table::render(report, layout)
    })?;
    if let Some(file) = &options.junit {
        let xml = junit::render(report)
            .map_err(|error| Error::new(format!("JUnit XML cannot be written: {error}"), ""))?;
        write(file, &xml, "--junit")?;
    }
    Ok(report.exit_code(options.all))
}

fn run_report(root: &Path, options: &ReportOptions) -> Result<u8> {
    // As `./grade.sh` alone would, but for everything, wherever it is called.
    let mut grade = Cli::parse_from(["./grade.sh"]).grade;
    grade.solutions = options.solutions;
    grade.hang_guard = options.hang_guard;
    let report = assess(root, &grade, true)?;
    if let Some(file) = &options.html {
        write(file, &page::render(&report), "--html")?;
    }
    if let Some(file) = &options.badge {
        write(file, &page::badge::render(&report), "--badge")?;
    }
    Ok(0)
}

fn write(file: &Path, content: &str, option: &str) -> Result<()> {
    std::fs::write(file, content).map_err(|error| {
        Error::new(
            format!("{} cannot be written: {error}", file.display()),
            format!("Name another file with {option} FILE."),
        )
    })
}

/// Records what is there, and writes what solutions repeat of it.
fn lock(root: &Path) -> Result<()> {
    // What is there counts, not what an earlier lock expected.
    let course = Course::read(root, &Lock::default())?;
    for file in repeated::write(&course)? {
        print(&format!("{file}: written\n"))?;
    }
    if contents::write(&course)? {
        print("README.md: the table of phases written\n")?;
    }
    let plan = Plan {
        target: Target::Exercises,
        use_cache: false,
        target_dir: target_dir(root),
        hang_guard: Duration::from_secs(90),
        workers: 1,
        interrupted: prepare()?,
    };
    let progress = Progress::new();
    let earlier = Lock::read(root).unwrap_or_default();
    let checks = grade::grade::checks(&course, &earlier, &plan, &progress);
    progress.clear();
    Lock::of(&course, checks?)?.write(root)?;
    print(&format!(
        "{}: {} exercises\n",
        Lock::PATH,
        course.exercises.len()
    ))
}

fn run_new(root: &Path, options: &NewOptions) -> Result<u8> {
    let course = Course::read(root, &Lock::read(root)?)?;
    let worlds = match options.worlds.as_slice() {
        [] => &World::ALL[..],
        named => named,
    };
    let wanted = scaffold::Wanted {
        phase: &options.phase,
        name: &options.name,
        number: options.number,
        worlds,
    };
    for file in scaffold::lay_out(&course, &wanted)? {
        print(&format!("{}\n", file.display()))?;
    }
    lock(root)?;
    print(&format!(
        "{} ./grade.sh audit {} says what is missing; CONTRIBUTING.md says how it is written.\n",
        style("Next step:").bold(),
        options.name
    ))?;
    Ok(0)
}

fn run_bench(root: &Path, options: &BenchOptions) -> Result<u8> {
    let lock = Lock::read(root)?;
    let course = Course::read(root, &lock)?;
    let selected = select(&course, &options.selectors)?;
    let plan = Plan {
        target: target(options.solutions),
        use_cache: false,
        target_dir: target_dir(root),
        hang_guard: options.hang_guard,
        workers: 1,
        interrupted: prepare()?,
    };
    let progress = Progress::new();
    let report = bench::bench(&course, &lock, &selected, &plan, &progress);
    progress.clear();
    let report = report?;
    print(&if options.json {
        as_json(&report)
    } else {
        bench::table::render(&report)
    })?;
    Ok(report.exit_code())
}

fn run_audit(root: &Path, options: &AuditOptions) -> Result<u8> {
    let lock = Lock::read(root)?;
    let course = Course::read(root, &lock)?;
    if options.kinds {
        let chosen = match (options.selectors.as_slice(), course.here()) {
            ([], Some(here)) => course.select(&[here])?,
            (named, _) => course.select(named)?,
        };
        print(&audit::kinds::table(&course, &chosen, &lock))?;
        return Ok(0);
    }
    let wanted = match (options.selectors.as_slice(), course.here()) {
        _ if options.all => Wanted::All,
        ([], None) => Wanted::Due,
        ([], Some(here)) => Wanted::Named(course.select(&[here])?),
        (named, _) => Wanted::Named(course.select(named)?),
    };
    let request = audit::Request {
        wanted,
        shard: options.shard,
        lock: options.lock,
        engine: options.engine.clone(),
    };
    let plan = Plan {
        target: Target::Solutions,
        use_cache: !options.no_cache,
        target_dir: target_dir(root),
        hang_guard: options.hang_guard,
        workers: options.jobs.map_or_else(cores, usize::from),
        interrupted: prepare()?,
    };
    let progress = Progress::new();
    let report = audit::audit(&course, &lock, &request, &plan, &progress);
    progress.clear();
    let report = report?;
    print(&if options.json {
        as_json(&report)
    } else {
        audit::table::render(&report)
    })?;
    Ok(report.exit_code())
}

fn run_class(root: &Path, options: &ClassOptions) -> Result<u8> {
    let results = match (&options.verb, &options.submissions, &options.out) {
        (Some(ClassVerb::Merge { parts, out }), ..) => {
            class::merge::merge(parts, out, &|line| eprintln!("{line}"))?
        }
        (None, Some(submissions), Some(out)) => {
            let cores = cores();
            let plan = class::Plan {
                submissions: submissions.clone(),
                out: out.clone(),
                shard: options.shard,
                jobs: options.jobs.map_or(cores, usize::from),
                cores,
                trust: options.trust,
                hang_guard: options.hang_guard,
                limit: options.limit,
                target_dir: target_dir(root),
                interrupted: prepare()?,
            };
            let progress = ClassProgress::new();
            let results = class::grade(root, &plan, &progress);
            progress.clear();
            results?
        }
        _ => unreachable!("clap asks for both"),
    };
    print(&class::outcome::overview(&results))?;
    Ok(results.exit_code())
}

fn target(solutions: bool) -> Target {
    if solutions {
        Target::Solutions
    } else {
        Target::Exercises
    }
}

fn find_course(named: Option<&Path>) -> Result<PathBuf> {
    let advice = "Run ./grade.sh from the course, or name its folder with --course DIR.";
    let unreadable = |path: &Path, error| {
        Error::new(
            format!("{} cannot be read: {error}", path.display()),
            advice,
        )
    };
    if let Some(named) = named {
        return std::path::absolute(named).map_err(|error| unreadable(named, error));
    }
    let here = std::env::current_dir().map_err(|error| unreadable(Path::new("."), error))?;
    Course::find(&here).ok_or_else(|| {
        Error::new(
            format!(
                "{} is not inside the course: no folder above it has exercises/ beside a Cargo.toml.",
                here.display()
            ),
            advice,
        )
    })
}

/// What the selectors name; without any, the exercise in whose folder the grader was called, or else everything.
fn select(course: &Course, selectors: &[String]) -> Result<Vec<bool>> {
    match selectors {
        [] => course.select(course.here().as_slice()),
        named => course.select(named),
    }
}

/// As [`select`]; but after one exercise, or in its folder, a word that names none is a part of the names of its checks.
fn select_checks(
    course: &Course,
    lock: &Lock,
    selectors: &[String],
) -> Result<(Vec<bool>, Option<String>)> {
    let unknown = match select(course, selectors) {
        Ok(selected) => return Ok((selected, None)),
        Err(unknown) => unknown,
    };
    let (exercise, part) = match (selectors, course.here()) {
        ([exercise, part], _) => (exercise.clone(), part),
        ([part], Some(here)) => (here, part),
        _ => return Err(unknown),
    };
    let selected = course.select(&[exercise])?;
    let mut named = course
        .exercises
        .iter()
        .zip(&selected)
        .filter(|(_, is)| **is);
    let (Some((exercise, _)), None) = (named.next(), named.next()) else {
        return Err(unknown);
    };
    let entry = lock.entry(exercise.phase.name, &exercise.folder);
    let names = entry
        .into_iter()
        .flat_map(|entry| entry.checks.values().flatten());
    if names.clone().any(|name| name.contains(part)) {
        return Ok((selected, Some(part.clone())));
    }
    let Error::Trouble { what, advice } = unknown else {
        return Err(unknown);
    };
    let what = format!(
        "{what} Nor has {} a check with that in its name.",
        exercise.name
    );
    Err(Error::Trouble { what, advice })
}

/// Where cargo would build, as far as the environment says.
fn target_dir(root: &Path) -> PathBuf {
    ["CARGO_TARGET_DIR", "CARGO_BUILD_TARGET_DIR"]
        .into_iter()
        .find_map(|name| std::env::var_os(name).filter(|value| !value.is_empty()))
        .map_or_else(
            || root.join("target"),
            |dir| std::path::absolute(&dir).unwrap_or_else(|_| PathBuf::from(dir)),
        )
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

fn as_json(value: &impl serde::Serialize) -> String {
    let json = serde_json::to_string_pretty(value);
    json.map_or_else(|error| format!("\"{error}\"\n"), |json| json + "\n")
}

/// Prints what a command has to say.
fn say(answer: Answer) -> Result<u8> {
    print(&answer.text)?;
    if let Some(note) = &answer.note {
        let _ = writeln!(
            io::stderr(),
            "{} {note}",
            style("grade:").for_stderr().yellow()
        );
    }
    Ok(answer.code)
}

/// Writes to standard output. A reader that has seen enough, such as `head`, is no error.
fn print(text: &str) -> Result<()> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(Error::new(
            format!("The result cannot be printed: {error}"),
            "If the disk is full, make room.",
        )),
        _ => Ok(()),
    }
}
