//! Sequences of polls, drops and calls on one thread, next to a model that knows what each of them may do: all short ones,
//! and random long ones.
//!
//! Decides whether values, places, turns and wakes are accounted for, whatever is begun, polled again, dropped half-way or
//! closed in whatever order. The model leaves open what the text leaves open: whether a second waiter may go ahead once
//! there is a place for each of those before it, how often futures are woken in vain, and whether a task that was handed a
//! place before the channel was closed may still use it.
//! Does not decide anything about threads.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::future::poll_fn;
use std::rc::Rc;
use std::task::Poll;

use async_channel::{Receiver, SendError, Sender, TryRecvError, TrySendError, channel};
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, RngSeed, TestCaseError, TestRunner};

use super::task::Task;

const SEED: u64 = 0x6B61_7461;
const CASES: u32 = 1_000;

/// How many steps the sequences have of which all are tried, after those that they begin with.
const STEPS: usize = 4;

/// More tasks than this are not begun.
const TASKS: usize = 5;

/// A number picks one of the tasks there are, in the order in which they were begun.
#[derive(Clone, Copy, Debug)]
enum Op {
    /// Begins a send and polls it.
    Send,
    /// Begins a reserve and polls it.
    Reserve,
    /// Polls, woken or not.
    Poll(usize),
    /// Drops it, wherever it is.
    Drop(usize),
    /// Sends by the permit that it holds.
    Use(usize),
    TrySend,
    TryRecv,
    /// Begins a recv, or polls the one that waits.
    Recv,
    DropRecv,
    Close,
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        5 => Just(Op::Send),
        3 => Just(Op::Reserve),
        6 => (0..TASKS).prop_map(Op::Poll),
        4 => (0..TASKS).prop_map(Op::Drop),
        4 => (0..TASKS).prop_map(Op::Use),
        4 => Just(Op::TrySend),
        5 => Just(Op::TryRecv),
        4 => Just(Op::Recv),
        1 => Just(Op::DropRecv),
        1 => Just(Op::Close),
    ]
}

/// How a task has ended.
#[derive(Debug, PartialEq, Eq)]
enum End {
    Sent,
    GivenBack,
    Refused,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    Waits,
    Holds,
}

/// A task that sends, and what the model knows of it. They are kept in the order of their first polls.
struct Sending {
    task: Task<'static, End>,
    value: usize,
    stage: Stage,
    /// The task has got its permit.
    holds: Rc<Cell<bool>>,
    /// What is to be done with the permit: it waits until somebody says so.
    uses: Rc<Cell<Option<bool>>>,
    /// The channel was closed while it waited, and there was a place for it.
    may_still_send: bool,
}

struct Model {
    capacity: usize,
    /// `None` as soon as no more tasks shall be begun.
    sender: Option<Sender<usize>>,
    receiver: Rc<RefCell<Receiver<usize>>>,
    recv: Option<Task<'static, Option<usize>>>,
    tasks: Vec<Sending>,
    queue: VecDeque<usize>,
    next_value: usize,
    closed: bool,
    /// The receiver was told that nothing will come.
    ended: bool,
}

type Outcome = Result<(), TestCaseError>;

impl Model {
    fn new(capacity: usize) -> Self {
        let (sender, receiver) = channel(capacity);
        Self {
            capacity,
            sender: Some(sender),
            receiver: Rc::new(RefCell::new(receiver)),
            recv: None,
            tasks: Vec::new(),
            queue: VecDeque::new(),
            next_value: 0,
            closed: false,
            ended: false,
        }
    }

    /// Places without a value or a permit.
    fn free(&self) -> usize {
        let held = self.tasks.iter().filter(|it| it.stage == Stage::Holds);
        self.capacity - self.queue.len() - held.count()
    }

    /// How many wait who came before the task, or before now.
    fn older(&self, task: usize) -> usize {
        let older = self.tasks[..task].iter();
        older.filter(|it| it.stage == Stage::Waits).count()
    }

    /// Nothing will come.
    fn is_over(&self) -> bool {
        let may_come = |it: &Sending| it.stage == Stage::Holds || it.may_still_send;
        let last = self.sender.is_none() && self.tasks.is_empty();
        self.queue.is_empty() && (last || (self.closed && !self.tasks.iter().any(may_come)))
    }

    /// Something may come, but only from tasks that may also give up what they have been handed.
    fn may_be_over(&self) -> bool {
        let holds = |it: &Sending| it.stage == Stage::Holds;
        self.queue.is_empty() && self.closed && !self.tasks.iter().any(holds)
    }

    fn new_value(&mut self) -> usize {
        self.next_value += 1;
        self.next_value
    }

    fn is_sent(&mut self, value: usize) -> Outcome {
        prop_assert!(
            !self.ended,
            "{} was sent after the receiver had been told that nothing will come",
            value
        );
        self.queue.push_back(value);
        Ok(())
    }

    fn begin(&mut self, reserves: bool) -> Outcome {
        let Some(sender) = self.sender.clone().filter(|_| self.tasks.len() < TASKS) else {
            return Ok(());
        };
        let value = self.new_value();
        let holds = Rc::new(Cell::new(false));
        let uses = Rc::new(Cell::new(None));
        let task = Task::new({
            let (holds, uses) = (holds.clone(), uses.clone());
            async move {
                if !reserves {
                    return match sender.send(value).await {
                        Ok(()) => End::Sent,
                        Err(SendError(back)) => {
                            assert_eq!(back, value, "send has failed with another value");
                            End::Refused
                        }
                    };
                }
                let Ok(permit) = sender.reserve().await else {
                    return End::Refused;
                };
                holds.set(true);
                let used = poll_fn(|_| uses.get().map_or(Poll::Pending, Poll::Ready)).await;
                if used {
                    permit.send(value);
                    End::Sent
                } else {
                    drop(permit);
                    End::GivenBack
                }
            }
        });
        self.tasks.push(Sending {
            task,
            value,
            stage: Stage::Waits,
            holds,
            uses,
            may_still_send: false,
        });
        self.poll(self.tasks.len() - 1)
    }

    fn poll(&mut self, index: usize) -> Outcome {
        let (older, free) = (self.older(index), self.free());
        let task = &mut self.tasks[index];
        if task.stage == Stage::Holds {
            return Ok(());
        }
        let value = task.value;
        let outcome = task.task.run();
        let served = outcome == Poll::Ready(End::Sent) || task.holds.get();
        if served {
            prop_assert!(
                task.may_still_send || !self.closed,
                "the task of {} was given a place in a closed channel",
                value
            );
            prop_assert!(
                older < free,
                "the task of {} was given a place. Free places: {}; tasks that have waited for longer: {}",
                value,
                free,
                older
            );
        }
        match outcome {
            Poll::Ready(End::Refused) => {
                prop_assert!(self.closed, "{} was refused by an open channel", value);
                self.tasks.remove(index);
            }
            Poll::Ready(_) => {
                self.tasks.remove(index);
                self.is_sent(value)?;
            }
            Poll::Pending if served => task.stage = Stage::Holds,
            Poll::Pending => prop_assert!(
                !self.closed && (older > 0 || free == 0),
                "the task of {} waits. Free places: {}; tasks that have waited for longer: {}; the channel is {}",
                value,
                free,
                older,
                if self.closed { "closed" } else { "open" }
            ),
        }
        Ok(())
    }

    fn use_permit(&mut self, index: usize) -> Outcome {
        if self.tasks[index].stage == Stage::Waits {
            return Ok(());
        }
        let mut task = self.tasks.remove(index);
        task.uses.set(Some(true));
        prop_assert_eq!(
            task.task.poll(),
            Poll::Ready(End::Sent),
            "a permit was used"
        );
        self.is_sent(task.value)
    }

    fn try_send(&mut self) -> Outcome {
        let value = self.new_value();
        let (older, free) = (self.older(self.tasks.len()), self.free());
        let Some(sender) = &self.sender else {
            return Ok(());
        };
        match sender.try_send(value) {
            Ok(()) => {
                prop_assert!(
                    !self.closed,
                    "try_send: {} was sent into a closed channel",
                    value
                );
                prop_assert!(
                    older < free,
                    "{} was sent by try_send. Free places: {}; tasks that wait for one and came earlier: {}",
                    value,
                    free,
                    older
                );
                self.is_sent(value)
            }
            Err(TrySendError::Full(back)) => {
                prop_assert_eq!(back, value, "try_send has failed with another value");
                prop_assert!(
                    !self.closed && (older > 0 || free == 0),
                    "try_send of {} says that the channel is full. Free places: {}; nobody waits; the channel is {}",
                    value,
                    free,
                    if self.closed { "closed" } else { "open" }
                );
                Ok(())
            }
            Err(TrySendError::Closed(back)) => {
                prop_assert_eq!(back, value, "try_send has failed with another value");
                prop_assert!(self.closed, "try_send of {}: the channel is open", value);
                Ok(())
            }
        }
    }

    /// Compares what was received with the model.
    fn received(&mut self, got: Poll<Option<usize>>) -> Outcome {
        match got {
            Poll::Ready(Some(value)) => prop_assert_eq!(
                Some(value),
                self.queue.pop_front(),
                "received, and the oldest value in the channel"
            ),
            Poll::Ready(None) => {
                prop_assert!(
                    self.is_over() || self.may_be_over(),
                    "the receiver was told that nothing will come; there are {:?} in the channel, {} tasks that send, and it \
                     is {}",
                    self.queue,
                    self.tasks.len(),
                    if self.closed { "closed" } else { "open" }
                );
                self.ended = true;
            }
            Poll::Pending => prop_assert!(
                self.queue.is_empty() && !self.is_over(),
                "nothing was received, but there are {:?} in the channel, {} tasks that send, and it is {}",
                self.queue,
                self.tasks.len(),
                if self.closed { "closed" } else { "open" }
            ),
        }
        Ok(())
    }

    fn try_recv(&mut self) -> Outcome {
        self.recv = None;
        let got = match self.receiver.borrow_mut().try_recv() {
            Ok(value) => Poll::Ready(Some(value)),
            Err(TryRecvError::Empty) => Poll::Pending,
            Err(TryRecvError::Disconnected) => Poll::Ready(None),
        };
        self.received(got)
    }

    fn recv(&mut self) -> Outcome {
        let receiver = self.receiver.clone();
        let recv = self.recv.get_or_insert_with(|| {
            #[expect(
                clippy::await_holding_refcell_ref,
                reason = "nobody else borrows it as long as there is this task"
            )]
            Task::new(async move { receiver.borrow_mut().recv().await })
        });
        let got = recv.run();
        if got.is_ready() {
            self.recv = None;
        }
        self.received(got)
    }

    fn close(&mut self) {
        self.recv = None;
        self.receiver.borrow_mut().close();
        if !self.closed {
            let mut free = self.free();
            for task in self.tasks.iter_mut().filter(|it| it.stage == Stage::Waits) {
                task.may_still_send = free > 0;
                free = free.saturating_sub(1);
            }
        }
        self.closed = true;
    }

    /// Whoever could go on must have been woken since its latest poll.
    fn nobody_sleeps_in_vain(&self) -> Outcome {
        let free = self.free();
        let mut waiting = self.tasks.iter().filter(|it| it.stage == Stage::Waits);
        if self.closed {
            for task in waiting {
                prop_assert!(
                    task.task.is_woken(),
                    "the channel is closed, and the task of {} was not woken",
                    task.value
                );
            }
        } else if let Some(first) = waiting.next().filter(|_| free > 0) {
            prop_assert!(
                first.task.is_woken(),
                "free places: {}, and the task of {}, which has waited longest, was not woken",
                free,
                first.value
            );
        }
        if let Some(recv) = &self.recv {
            prop_assert!(
                recv.is_woken() || (self.queue.is_empty() && !self.is_over()),
                "there are {:?} in the channel and {} tasks that send, and the receiver was not woken",
                self.queue,
                self.tasks.len()
            );
        }
        Ok(())
    }

    fn perform(&mut self, op: Op) -> Outcome {
        let count = self.tasks.len();
        match op {
            Op::Send => self.begin(false)?,
            Op::Reserve => self.begin(true)?,
            Op::Poll(task) if count > 0 => self.poll(task % count)?,
            Op::Drop(task) if count > 0 => drop(self.tasks.remove(task % count)),
            Op::Use(task) if count > 0 => self.use_permit(task % count)?,
            Op::Poll(_) | Op::Drop(_) | Op::Use(_) => {}
            Op::TrySend => self.try_send()?,
            Op::TryRecv => self.try_recv()?,
            Op::Recv => self.recv()?,
            Op::DropRecv => self.recv = None,
            Op::Close => self.close(),
        }
        self.nobody_sleeps_in_vain()
    }

    /// Lets all tasks come to their end, polling only who was woken.
    fn finish(&mut self) -> Outcome {
        self.sender = None;
        self.nobody_sleeps_in_vain()?;
        while !self.is_over() {
            let holds = |it: &Sending| it.stage == Stage::Holds;
            let woken = |it: &Sending| it.task.is_woken();
            if let Some(holder) = self.tasks.iter().position(holds) {
                self.use_permit(holder)?;
            } else if let Some(next) = self.tasks.iter().position(woken) {
                self.poll(next)?;
            } else {
                // Nobody can go on without it, and there is a value, or somebody would have been woken.
                prop_assert!(!self.queue.is_empty(), "tasks wait for each other for ever");
                self.recv()?;
            }
            self.nobody_sleeps_in_vain()?;
        }
        self.recv()
    }
}

impl Model {
    /// What may come next, without what changes nothing.
    fn next(&self) -> Vec<Op> {
        let mut ops = vec![Op::TrySend, Op::TryRecv, Op::Recv];
        if self.tasks.len() < TASKS {
            ops.extend([Op::Send, Op::Reserve]);
        }
        for (number, task) in self.tasks.iter().enumerate() {
            ops.extend([Op::Poll(number), Op::Drop(number)]);
            if task.stage == Stage::Holds {
                ops.push(Op::Use(number));
            }
        }
        if self.recv.is_some() {
            ops.push(Op::DropRecv);
        }
        if !self.closed {
            ops.push(Op::Close);
        }
        ops
    }
}

/// Performs `ops` and all that may follow them, `more` steps long. How many sequences there were.
fn explore(capacity: usize, ops: &mut Vec<Op>, more: usize) -> usize {
    let mut model = Model::new(capacity);
    let fail = |ops: &[Op], error: TestCaseError| -> ! {
        panic!(
            "a channel that loses count: capacity {capacity}, {ops:?} (values are numbered from 1): {error}"
        )
    };
    for op in ops.iter() {
        model.perform(*op).unwrap_or_else(|error| fail(ops, error));
    }
    if more == 0 {
        model.finish().unwrap_or_else(|error| fail(ops, error));
        return 1;
    }
    let mut sequences = 0;
    for op in model.next() {
        ops.push(op);
        sequences += explore(capacity, ops, more - 1);
        ops.pop();
    }
    sequences
}

#[test]
fn every_short_sequence_is_accounted_for() {
    use Op::{Close, Recv, Reserve, Send, TryRecv, TrySend};
    let beginnings: [(usize, &[Op]); 7] = [
        (1, &[]),
        (2, &[]),
        (1, &[Recv]),
        (1, &[TrySend, Send, Reserve]),
        (2, &[TrySend, Reserve, Send, Send]),
        (
            2,
            &[TrySend, TrySend, Send, Reserve, Send, TryRecv, TryRecv],
        ),
        (2, &[TrySend, Reserve, Reserve, Close]),
    ];
    let mut sequences = 0;
    for (capacity, beginning) in beginnings {
        sequences += explore(capacity, &mut beginning.to_vec(), STEPS);
    }
    assert!(
        sequences > 10_000,
        "only {sequences} sequences: nothing was tried"
    );
}

#[test]
fn every_value_place_turn_and_wake_is_accounted_for() {
    drop(channel::<u8>(1)); // Without a channel there is nothing to count.
    let config = Config {
        cases: CASES,
        failure_persistence: None,
        rng_algorithm: RngAlgorithm::ChaCha,
        rng_seed: RngSeed::Fixed(SEED),
        max_shrink_iters: 2_000,
        ..Config::default()
    };
    TestRunner::new(config)
        .run(
            &(1..4_usize, prop::collection::vec(op(), 1..40)),
            |(capacity, ops)| {
                let mut model = Model::new(capacity);
                for (step, op) in ops.iter().enumerate() {
                    model.perform(*op).map_err(|error| {
                        TestCaseError::fail(format!("step {step}, {op:?}: {error}"))
                    })?;
                }
                model
                    .finish()
                    .map_err(|error| TestCaseError::fail(format!("at the end: {error}")))
            },
        )
        .unwrap_or_else(|failure| {
            panic!(
                "a channel that loses count (values are numbered from 1; seed {SEED:#x}; input: capacity, operations): \
                 {failure}"
            )
        });
}
