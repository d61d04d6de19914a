//! The simulator itself, with nodes that count.

use super::{
    Effect, Fault, Faults, Id, Input, Kind, Moment, Property, Protocol, Schedule, Sim, View,
    Violation, Walk,
};

/// n0 counts, once every hundred milliseconds: it persists the next number and tells all others.
#[derive(Clone)]
struct Counting {
    nodes: usize,
    /// Tells first, and persists afterwards.
    hasty: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Counter {
    id: Id,
    number: u64,
}

impl Protocol for Counting {
    type Node = Counter;
    type Message = u64;
    type Stable = u64;

    fn nodes(&self) -> usize {
        self.nodes
    }

    fn initial(&self, _: Id) -> u64 {
        0
    }

    fn start(&self, id: Id, stable: &u64) -> (Counter, Vec<Effect<u64, u64>>) {
        let timer = Effect::SetTimer {
            timer: 0,
            after: 100..=100,
        };
        let effects = if id == 0 { vec![timer] } else { Vec::new() };
        let number = *stable;
        (Counter { id, number }, effects)
    }

    fn step(&self, node: &mut Counter, input: Input<u64>) -> Vec<Effect<u64, u64>> {
        match input {
            Input::Timeout(timer) => {
                node.number += 1;
                let number = node.number;
                let mut effects = vec![Effect::SetTimer {
                    timer,
                    after: 100..=100,
                }];
                effects.extend((1..self.nodes).map(|to| Effect::Send {
                    to,
                    message: number,
                }));
                let place = if self.hasty { effects.len() } else { 0 };
                effects.insert(place, Effect::Persist(number));
                effects
            }
            Input::Receive { message, .. } => {
                node.number = message;
                Vec::new()
            }
        }
    }

    fn state(&self, node: &Counter) -> String {
        node.number.to_string()
    }

    fn label(&self, message: &u64) -> String {
        format!("number {message}")
    }

    fn saved(&self, stable: &u64) -> String {
        stable.to_string()
    }
}

/// Remembers what has arrived where, and when; wrong if n0 ever says the same number twice.
#[derive(Clone, Default, PartialEq, Eq, Hash)]
struct NoNumberTwice {
    said: Vec<u64>,
}

impl Property<Counting> for NoNumberTwice {
    fn observe(&mut self, view: &View<'_, Counting>) -> Result<(), Violation> {
        for effect in view.done {
            if let Effect::Send { to: 1, message } = effect {
                if self.said.contains(message) {
                    return Err(Violation {
                        rule: "a number twice",
                        why: format!("n0 says {message} again {}.", view.moment),
                        topic: None,
                    });
                }
                self.said.push(*message);
            }
        }
        Ok(())
    }
}

/// What n1 receives, and when.
#[derive(Clone, Default)]
struct Arrivals(std::rc::Rc<std::cell::RefCell<Vec<(u64, u64)>>>);

impl Property<Counting> for Arrivals {
    fn observe(&mut self, view: &View<'_, Counting>) -> Result<(), Violation> {
        if let (1, Some(Input::Receive { message, .. }), Moment::Time(at)) =
            (view.node, view.input, view.moment)
        {
            self.0.borrow_mut().push((at, *message));
        }
        Ok(())
    }
}

const HONEST: Counting = Counting {
    nodes: 2,
    hasty: false,
};
const HASTY: Counting = Counting {
    nodes: 2,
    hasty: true,
};

fn arrivals(faults: &[(u64, u64, Kind)]) -> Vec<(u64, u64)> {
    let faults = faults.iter().cloned();
    let faults = faults.map(|(at, lasts, kind)| Fault { at, lasts, kind });
    let arrivals = Arrivals::default();
    Sim::new(HONEST)
        .until(1_000)
        .schedule(Schedule(faults.collect()))
        .explore(0..1, arrivals.clone())
        .expect("nothing is demanded");
    arrivals.0.take()
}

fn numbers(arrivals: &[(u64, u64)]) -> Vec<u64> {
    arrivals.iter().map(|(_, number)| *number).collect()
}

fn chaos() -> Sim<Counting> {
    let faults = Faults {
        most: 20,
        until: 3_000,
    };
    Sim::new(Counting {
        nodes: 3,
        hasty: false,
    })
    .faults(faults)
    .until(3_000)
}

#[test]
fn the_same_seed_gives_the_same_log() {
    for seed in 0..20 {
        let log = chaos().log(seed, NoNumberTwice::default());
        assert_eq!(log, chaos().log(seed, NoNumberTwice::default()));
        assert_ne!(log, chaos().log(seed + 1, NoNumberTwice::default()));
    }
}

#[test]
fn the_numbers_are_those_of_splitmix() {
    // From the reference implementation, seed 1234567.
    let mut random = super::Random::new(1_234_567);
    assert_eq!(random.next_u64(), 6_457_827_717_110_365_317);
    assert_eq!(random.next_u64(), 3_203_168_211_198_807_973);
}

#[test]
fn without_faults_everything_arrives_in_time() {
    let arrivals = arrivals(&[]);
    assert_eq!(numbers(&arrivals), (1..=9).collect::<Vec<_>>());
    for (at, number) in arrivals {
        assert!((1..=20).contains(&(at - number * 100)), "{number} at {at}");
    }
}

#[test]
fn a_cut_has_one_direction() {
    let all = numbers(&arrivals(&[(0, 1_000, Kind::Cut { from: 1, to: 0 })]));
    assert_eq!(all, (1..=9).collect::<Vec<_>>());
    let some = numbers(&arrivals(&[(250, 200, Kind::Cut { from: 0, to: 1 })]));
    assert_eq!(some, [1, 2, 5, 6, 7, 8, 9]);
}

#[test]
fn a_split_keeps_its_sides_apart() {
    let some = numbers(&arrivals(&[(250, 200, Kind::Split(vec![1]))]));
    assert_eq!(some, [1, 2, 5, 6, 7, 8, 9]);
}

#[test]
fn a_paused_node_finds_its_messages_waiting() {
    let arrivals = arrivals(&[(250, 200, Kind::Pause(1))]);
    assert_eq!(numbers(&arrivals), (1..=9).collect::<Vec<_>>());
    let at_once: Vec<u64> = arrivals
        .iter()
        .filter(|(at, _)| *at == 450)
        .map(|(_, number)| *number)
        .collect();
    assert_eq!(at_once, [3, 4]);
}

#[test]
fn what_is_sent_to_a_node_that_is_down_is_lost() {
    let crash = Kind::Crash {
        node: 1,
        writing: false,
        effects: 0,
        down: 150,
    };
    // It crashes as 3 arrives, before anybody can look.
    let some = numbers(&arrivals(&[(250, 200, crash)]));
    assert_eq!(some, [1, 2, 3, 5, 6, 7, 8, 9]);
}

#[test]
fn losses_duplicates_and_delays_are_what_they_say() {
    assert_eq!(
        numbers(&arrivals(&[(250, 200, Kind::Loss(100))])),
        [1, 2, 5, 6, 7, 8, 9]
    );
    let mut twice = numbers(&arrivals(&[(250, 100, Kind::Duplicates(100))]));
    twice.sort_unstable();
    assert_eq!(twice, [1, 2, 3, 3, 4, 5, 6, 7, 8, 9]);
    let late = numbers(&arrivals(&[(50, 700, Kind::Slow(500))]));
    assert!(!late.is_sorted(), "nobody overtook anybody: {late:?}");
}

#[test]
fn a_crash_loses_what_comes_after_it_in_the_list() {
    let run = |protocol: Counting| {
        let crash = Fault {
            at: 250,
            lasts: 200,
            kind: Kind::Crash {
                node: 0,
                writing: true,
                effects: 2,
                down: 10,
            },
        };
        Sim::new(protocol)
            .schedule(Schedule(vec![crash]))
            .explore(0..1, NoNumberTwice::default())
    };
    assert!(run(HONEST).is_ok());
    let report = run(HASTY).expect_err("3 was sent and not persisted");
    assert!(report.text.contains("n0 says 3 again"), "{}", report.text);
    assert!(report.text.contains("✗ crash before:"), "{}", report.text);
}

#[test]
fn a_failing_schedule_is_made_short_and_fails_still() {
    let faults = Faults {
        most: 20,
        until: 3_000,
    };
    let report = Sim::new(HASTY)
        .faults(faults)
        .explore(0..200, NoNumberTwice::default())
        .expect_err("200 seeds with crashes");
    assert_eq!(report.headline, "a number twice");
    assert!(
        report.explored.matches(" ms ").count() <= 2,
        "one crash is enough: {}",
        report.explored
    );
    assert!(report.explored.contains("crashes"), "{}", report.explored);
}

#[test]
fn a_walk_counts_what_there_is() {
    // n0 has counted to 0, 1 or 2; n1 has none, one or both of the messages, in either order.
    let walk = Walk::new(HONEST).timeouts(2);
    let extent = walk.explore(NoNumberTwice::default()).expect("right");
    // 0; 1 with {1} on its way or arrived; 2 with {1, 2}, {1}, {2} or {} on their way: {} in two orders, {2} after 1.
    assert_eq!((extent.states, extent.depth, extent.complete), (8, 4, true));
}

#[test]
fn a_walk_finds_the_shortest_history() {
    let walk = |protocol| Walk::new(protocol).timeouts(2).crashes(1);
    walk(HONEST)
        .explore(NoNumberTwice::default())
        .expect("right");
    let report = walk(HASTY)
        .explore(NoNumberTwice::default())
        .expect_err("crashes between sending and persisting");
    assert!(report.explored.contains("2 steps"), "{}", report.text);
    assert!(
        report.text.contains("n0 says 1 again in step 2"),
        "{}",
        report.text
    );
}

#[test]
fn a_walk_demands_what_must_happen_sometimes() {
    let walk = |timeouts| {
        Walk::new(HONEST)
            .timeouts(timeouts)
            .sometimes("n1 hears of 2", |nodes| {
                nodes[1].as_ref().is_some_and(|node| node.number == 2)
            })
            .explore(NoNumberTwice::default())
    };
    walk(2).expect("it does");
    let report = walk(1).expect_err("it cannot");
    assert_eq!(report.headline, "something never happens");
}
