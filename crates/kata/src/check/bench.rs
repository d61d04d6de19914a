//! Learner code beside what a user would pick instead, timed in one run.
//!
//! A time by itself says as much about the machine as about the code. So the contenders run in turns, in many short
//! rounds: in each, every one of them runs once, in an order that is shuffled anew, and only what they took in the same
//! round is compared. Whatever slows the machine for a while slows all of them, and the median over the rounds does not
//! mind the rest.
//!
//! What it decides: nothing. It shows how many nanoseconds an operation takes and what share that is of the
//! peer's, on this machine, at this load. Who is no slower than the peer gets a star.
//!
//! ```ignore
//! pub fn main() {
//!     let mut bench = Bench::new();
//!     for threads in [1, 2] {
//!         bench.compare(
//!             &format!("{threads} threads"),
//!             Contender::new("MyLock", threads, || MyLock::new(0), |lock, _thread, operations| {
//!                 (0..operations).for_each(|_| *lock.lock() += 1);
//!             }),
//!             [Contender::new("std::sync::Mutex", threads, || Mutex::new(0), |lock, _thread, operations| {
//!                 (0..operations).for_each(|_| *lock.lock().unwrap() += 1);
//!             })],
//!         );
//!     }
//!     bench.report();
//! }
//! ```

use std::any::Any;
use std::fmt::Write as _;
use std::hint::black_box;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use kata_report::bench::{Ours, Peer, Report, SCHEMA, Scenario, Spread};

use super::deliver::deliver;
use super::panics::message;

/// How often each contender of a scenario runs.
const ROUNDS: usize = 41;

/// How often at least, should the time not suffice.
const FEWEST_ROUNDS: usize = 11;

/// How long all rounds of a scenario take together before there are no more than the fewest: ten times what they should.
/// On a busy machine, what hands over from thread to thread may take a thousand times as long as on an idle one.
const PATIENCE: Duration = Duration::from_secs(4);

/// How long one of them runs, about: long beside the start of a thread, short beside what disturbs a machine.
const ROUND: Duration = Duration::from_millis(3);

/// How many operations a round has at most, should the compiler have found out that they do nothing.
const MOST_OPERATIONS: u64 = 1 << 28;

/// A difference that is none: moving a loop to another address makes as much.
const SAME: f64 = 1.02;

/// Beyond this the median counts against ours, however wide the spread: one that says nothing earns nothing.
const DOUBTFUL: f64 = 1.1;

/// What one thread does in a round: so many operations.
pub type Part = Box<dyn FnMut(u64) + Send>;

/// A part that works on what is its own. It is on the thread's stack meanwhile, and not beside that of another part.
pub fn part<State: Send + 'static>(
    state: State,
    body: impl Fn(&mut State, u64) + Send + 'static,
) -> Part {
    let mut place = Some(state);
    Box::new(move |operations| {
        if let Some(mut state) = place.take() {
            body(&mut state, operations);
            place = Some(state);
        }
    })
}

/// One way of doing what a scenario is about.
pub struct Contender {
    name: String,
    parts: Box<dyn Fn() -> Vec<Part>>,
}

impl std::fmt::Debug for Contender {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Contender")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

impl Contender {
    /// `threads` threads share what `setup` makes; each calls `body` with it, its own number and the number of operations.
    ///
    /// What `setup` makes is made anew for each round. Neither that nor its drop is timed.
    pub fn new<State: Send + Sync + 'static>(
        name: &str,
        threads: usize,
        setup: impl Fn() -> State + 'static,
        body: impl Fn(&State, usize, u64) + Send + Sync + 'static,
    ) -> Self {
        let body = Arc::new(body);
        Self::of_parts(name, move || {
            let state = Arc::new(setup());
            (0..threads)
                .map(|thread| {
                    let (state, body) = (Arc::clone(&state), Arc::clone(&body));
                    let part: Part = Box::new(move |operations| body(&state, thread, operations));
                    part
                })
                .collect()
        })
    }

    /// As many threads as `parts` returns, each with a part of its own, for what cannot be shared.
    pub fn of_parts(name: &str, parts: impl Fn() -> Vec<Part> + 'static) -> Self {
        Self {
            name: name.to_owned(),
            parts: Box::new(parts),
        }
    }

    /// One round.
    fn run(&self, operations: u64) -> Duration {
        match in_parallel((self.parts)(), operations) {
            Ok(taken) => taken,
            Err(panic) => panic!("{} panicked: {}", self.name, message(&*panic)),
        }
    }
}

/// The comparisons of one program.
#[must_use = "`report` says what was measured"]
pub struct Bench(Report);

impl std::fmt::Debug for Bench {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Bench")
            .field("scenarios", &self.0.scenarios.len())
            .finish_non_exhaustive()
    }
}

impl Default for Bench {
    fn default() -> Self {
        Self::new()
    }
}

impl Bench {
    /// Nothing measured yet.
    pub fn new() -> Self {
        Self(Report {
            schema: SCHEMA,
            speedup: 0.0,
            scenarios: Vec::new(),
        })
    }

    /// Measures `ours` beside all `peers`.
    ///
    /// # Panics
    ///
    /// If a contender panics, with its name and its message. At once: its other threads may be waiting for the one that
    /// panicked, so nobody waits for them.
    pub fn compare<const N: usize>(&mut self, name: &str, ours: Contender, peers: [Contender; N]) {
        let contenders: Vec<&Contender> = std::iter::once(&ours).chain(&peers).collect();
        let rounds = measure(contenders.len(), ROUNDS, |contender, operations| {
            contenders[contender].run(operations)
        });
        let names = contenders.iter().map(|contender| contender.name.clone());
        let scenario = judge(name, names.collect(), &rounds);
        self.0.scenarios.push(scenario);
    }

    /// Prints all comparisons, and hands them to the grader if it has asked.
    pub fn report(mut self) {
        self.0.speedup = speedup();
        print!("{}", render(&self.0));
        deliver(&self.0);
    }
}

/// For each contender the nanoseconds of an operation in each round. `run` makes one of them do so many operations.
fn measure(
    contenders: usize,
    rounds: usize,
    mut run: impl FnMut(usize, u64) -> Duration,
) -> Vec<Vec<f64>> {
    // This warms up, too.
    let mut operations: Vec<u64> = (0..contenders)
        .map(|contender| calibrate(|operations| run(contender, operations)))
        .collect();
    let mut taken = vec![Vec::with_capacity(rounds); contenders];
    let mut order: Vec<usize> = (0..contenders).collect();
    let mut seed = 1;
    let mut spent = Duration::ZERO;
    for round in 0..rounds {
        if round >= FEWEST_ROUNDS && spent > PATIENCE {
            break;
        }
        shuffle(&mut order, &mut seed);
        for &contender in &order {
            let time = run(contender, operations[contender]);
            spent += time;
            taken[contender].push(time.as_nanos() as f64 / operations[contender] as f64);
            if time > ROUND * 8 {
                operations[contender] = (operations[contender] / 8).max(1);
            }
        }
    }
    taken
}

/// How many operations make a round, if nothing disturbs it. Rounds that turn out to be far too long are made shorter later.
fn calibrate(mut run: impl FnMut(u64) -> Duration) -> u64 {
    let mut operations = 1;
    loop {
        // The least of three: one of them may have been interrupted, but hardly all.
        let taken = (0..3).map(|_| run(operations)).min().unwrap_or_default();
        if taken >= ROUND / 2 || operations == MOST_OPERATIONS {
            return operations;
        }
        let times = ROUND.as_nanos() / taken.as_nanos().max(1);
        // By small steps: the first operations are the slowest.
        let times = u64::try_from(times).unwrap_or(u64::MAX).clamp(2, 16);
        operations = operations.saturating_mul(times).min(MOST_OPERATIONS);
    }
}

/// Puts `order` into any order, the same ones in each run of the program.
fn shuffle(order: &mut [usize], seed: &mut u64) {
    for last in (1..order.len()).rev() {
        // Knuth's multiplier; the upper bits are the better ones.
        *seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        order.swap(last, (*seed >> 33) as usize % (last + 1));
    }
}

/// What the rounds say. The first contender is ours.
fn judge(name: &str, names: Vec<String>, rounds: &[Vec<f64>]) -> Scenario {
    let mut names = names.into_iter();
    let ours = Ours {
        name: names.next().unwrap_or_default(),
        nanoseconds: Spread::of(rounds[0].clone()),
    };
    let peers = names.zip(&rounds[1..]).map(|(name, peer)| {
        let ratios = rounds[0].iter().zip(peer);
        let ratio = Spread::of(ratios.map(|(ours, peer)| ours / peer).collect());
        Peer {
            name,
            nanoseconds: Spread::of(peer.clone()),
            ratio,
            star: ratio.lower <= SAME && ratio.median <= DOUBTFUL,
        }
    });
    Scenario {
        name: name.to_owned(),
        rounds: rounds[0].len(),
        ours,
        peers: peers.collect(),
    }
}

/// How much more two threads get done than one if they share nothing and never wait.
fn speedup() -> f64 {
    let work = |threads| {
        Contender::new(
            "arithmetic",
            threads,
            || (),
            |(), _thread, operations| {
                for operation in 0..operations {
                    black_box(operation);
                }
            },
        )
    };
    let contenders = [work(1), work(2)];
    let rounds = measure(2, FEWEST_ROUNDS, |contender, operations| {
        contenders[contender].run(operations)
    });
    let gains = rounds[0].iter().zip(&rounds[1]);
    Spread::of(gains.map(|(one, two)| 2.0 * one / two).collect()).median
}

/// A line for each peer.
fn render(report: &Report) -> String {
    let mut text = String::new();
    for scenario in &report.scenarios {
        let Scenario {
            name, ours, peers, ..
        } = scenario;
        for peer in peers {
            let _ = writeln!(
                text,
                "{name}: {} {:.1} ns, {} {:.1} ns, ratio {:.2} ({:.2} to {:.2}){}",
                ours.name,
                ours.nanoseconds.median,
                peer.name,
                peer.nanoseconds.median,
                peer.ratio.median,
                peer.ratio.lower,
                peer.ratio.upper,
                if peer.star { " ★" } else { "" }
            );
        }
    }
    let _ = writeln!(
        text,
        "two threads get {:.1} times as much done as one",
        report.speedup
    );
    text
}

/// How often a thread looks again at the start line before it lets others run.
const LOOKS: usize = 1_000;

/// Runs the parts, each on a thread of its own, and says how long it took from the first start to the last end.
fn in_parallel(parts: Vec<Part>, operations: u64) -> Result<Duration, Box<dyn Any + Send>> {
    let threads = parts.len();
    let line = Arc::new(AtomicUsize::new(0));
    let (sender, times) = mpsc::channel();
    let workers: Vec<_> = parts
        .into_iter()
        .map(|mut part| {
            let (line, sender) = (Arc::clone(&line), sender.clone());
            thread::spawn(move || {
                // Relaxed: about time only.
                line.fetch_add(1, Relaxed);
                let mut looks = 0;
                while line.load(Relaxed) < threads {
                    looks += 1;
                    if looks < LOOKS {
                        std::hint::spin_loop();
                    } else {
                        thread::yield_now();
                    }
                }
                let timed = catch_unwind(AssertUnwindSafe(|| {
                    let begin = Instant::now();
                    part(operations);
                    let end = Instant::now();
                    drop(part);
                    (begin, end)
                }));
                // Nobody listens any more if another part has panicked.
                let _ = sender.send(timed);
            })
        })
        .collect();
    let (mut first, mut last) = (None::<Instant>, None::<Instant>);
    for _ in 0..threads {
        let (begin, end) = times
            .recv()
            .expect("a worker catches what it panics with")?;
        first = Some(first.map_or(begin, |first| first.min(begin)));
        last = last.max(Some(end));
    }
    for worker in workers {
        worker.join().expect("a worker catches what it panics with");
    }
    match (first, last) {
        (Some(first), Some(last)) => Ok(last - first),
        _ => Ok(Duration::ZERO),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spread(lower: f64, median: f64, upper: f64) -> Spread {
        Spread {
            lower,
            median,
            upper,
        }
    }

    #[test]
    fn a_spread_is_the_median_between_the_quartiles() {
        assert_eq!(
            Spread::of(vec![5.0, 1.0, 4.0, 2.0, 3.0]),
            spread(2.0, 3.0, 4.0)
        );
        assert_eq!(Spread::of(vec![4.0, 2.0]), spread(2.5, 3.0, 3.5));
        assert_eq!(Spread::of(vec![7.0]), spread(7.0, 7.0, 7.0));
    }

    #[test]
    fn one_slow_round_moves_nothing() {
        let steady = Spread::of(vec![1.0; 9]);
        let disturbed = Spread::of([vec![1.0; 8], vec![1e6]].concat());
        assert_eq!(steady, disturbed);
    }

    /// What two contenders are said to be after rounds in which they took this.
    fn judged(ours: &[f64], peer: &[f64]) -> Peer {
        let names = vec!["ours".to_owned(), "peer".to_owned()];
        judge("scenario", names, &[ours.to_vec(), peer.to_vec()])
            .peers
            .remove(0)
    }

    #[test]
    fn rounds_are_compared_one_by_one() {
        // The machine gets slower and slower: the times differ by far more than the two contenders do.
        let peer = judged(&[1.0, 10.0, 100.0], &[2.0, 20.0, 200.0]);
        assert_eq!(peer.ratio, spread(0.5, 0.5, 0.5));
        assert_eq!(peer.nanoseconds.median, 20.0);
    }

    #[test]
    fn a_star_is_for_who_is_no_slower() {
        let star = |ours: &[f64]| judged(ours, &[100.0; 5]).star;
        assert!(star(&[50.0; 5]));
        assert!(star(&[101.0; 5]), "no difference to speak of");
        assert!(!star(&[105.0; 5]));
        assert!(
            star(&[90.0, 95.0, 105.0, 120.0, 130.0]),
            "as fast, within the spread"
        );
        assert!(!star(&[90.0, 105.0, 105.0, 120.0, 130.0]));
        assert!(
            !star(&[40.0, 50.0, 200.0, 300.0, 500.0]),
            "a spread that says nothing"
        );
    }

    #[test]
    fn every_contender_gets_rounds_of_the_same_length() {
        // A clock of its own: the second contender takes a hundred times as long, and both get slower by and by.
        let mut runs = 0_u32;
        let mut counts = [0, 0];
        let rounds = measure(2, 5, |contender, operations| {
            runs += 1;
            counts[contender] = operations;
            let nanoseconds = [20, 2_000][contender] * operations;
            Duration::from_nanos(nanoseconds).mul_f64(1.0 + f64::from(runs) / 1_000.0)
        });
        assert_eq!(rounds.iter().map(Vec::len).collect::<Vec<_>>(), [5, 5]);
        for (count, nanoseconds) in counts.into_iter().zip([20, 2_000]) {
            let round = Duration::from_nanos(count * nanoseconds);
            assert!(
                round >= ROUND / 2 && round <= ROUND * 2,
                "{count} operations make {round:?}"
            );
        }
        let peer = judged(&rounds[0], &rounds[1]);
        assert!((peer.ratio.median - 0.01).abs() < 0.001, "{peer:?}");
    }

    #[test]
    fn a_busy_machine_costs_rounds_and_not_patience() {
        let mut runs = Vec::new();
        let rounds = measure(1, ROUNDS, |_, operations| {
            runs.push(operations);
            // Three runs each of 1, 16, 256 and 768 operations find out how many make a round.
            if runs.len() > 12 {
                Duration::from_secs(operations)
            } else {
                Duration::from_nanos(3_000 * operations)
            }
        });
        assert_eq!(
            *runs.last().expect("there were runs"),
            1,
            "shorter and shorter: {runs:?}"
        );
        assert_eq!(rounds[0].len(), FEWEST_ROUNDS);
    }

    #[test]
    fn an_interruption_does_not_shorten_the_rounds() {
        let mut runs = 0;
        let operations = calibrate(|operations| {
            runs += 1;
            let interrupted = Duration::from_secs(u64::from(runs % 3 == 1));
            interrupted + Duration::from_nanos(operations * 100)
        });
        assert!((15_000..=60_000).contains(&operations), "{operations}");
    }

    #[test]
    fn what_takes_no_time_comes_to_an_end() {
        assert_eq!(calibrate(|_| Duration::ZERO), MOST_OPERATIONS);
    }

    #[test]
    fn every_order_comes_up() {
        let mut seed = 1;
        let mut orders = std::collections::BTreeSet::new();
        let mut order = [0, 1, 2];
        for _ in 0..ROUNDS {
            shuffle(&mut order, &mut seed);
            orders.insert(order);
        }
        assert_eq!(orders.len(), 6);
    }

    #[test]
    fn all_parts_run_and_none_is_left() {
        let sum = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&sum);
        let contender = Contender::new(
            "adds",
            3,
            move || Arc::clone(&count),
            |sum, thread, operations| {
                sum.fetch_add(thread * 100 + operations as usize, Relaxed);
            },
        );
        contender.run(5);
        assert_eq!(sum.load(Relaxed), 315);
        drop(contender);
        assert_eq!(Arc::strong_count(&sum), 1);
    }

    #[test]
    #[should_panic(expected = "the learner's panicked: lost its way")]
    fn a_panic_is_told_although_another_thread_waits_for_ever() {
        let parts = || -> Vec<Part> {
            vec![
                Box::new(|_| {
                    loop {
                        thread::park();
                    }
                }),
                Box::new(|_| panic!("lost its way")),
            ]
        };
        Contender::of_parts("the learner's", parts).run(1);
    }
}
