//! Every public operation meets every other one.
//!
//! A model in which two threads do the same thing says nothing about two that do different things. Most structures have
//! few operations, so all pairs can be tried, and those triples that matter.
//!
//! What it decides: what [`Exhaustive`] decides, for each pair. What it cannot: sequences of several operations in
//! one thread, unless an entry of the table is such a sequence.

use std::sync::Arc;

use super::exhaustive::Exhaustive;
use crate::thread;

/// Something done to the object that all threads share. What it returns is told to the last look.
type Operation<T, R> = Arc<dyn Fn(&T) -> R + Send + Sync>;

/// A table of operations on a `T`, and what has to hold after any of them have met.
pub struct Pairs<T, R> {
    make: Arc<dyn Fn() -> T + Send + Sync>,
    operations: Vec<(&'static str, Operation<T, R>)>,
    triples: Vec<[&'static str; 3]>,
}

impl<T, R> std::fmt::Debug for Pairs<T, R> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Pairs")
            .field("triples", &self.triples)
            .finish_non_exhaustive()
    }
}

impl<T: Send + Sync + 'static, R: Send + 'static> Pairs<T, R> {
    /// No operations yet. `make` builds the object, anew for each execution.
    pub fn new(make: impl Fn() -> T + Send + Sync + 'static) -> Self {
        Self {
            make: Arc::new(make),
            operations: Vec::new(),
            triples: Vec::new(),
        }
    }

    /// An operation, by the name that a failure tells.
    #[must_use]
    pub fn operation(
        mut self,
        name: &'static str,
        operation: impl Fn(&T) -> R + Send + Sync + 'static,
    ) -> Self {
        self.operations.push((name, Arc::new(operation)));
        self
    }

    /// Three operations that meet, within one preemption. The same name may come more than once.
    #[must_use]
    pub fn triple(mut self, names: [&'static str; 3]) -> Self {
        self.triples.push(names);
        self
    }

    /// Explores every pair, an operation with itself included, then every triple. `look` runs when the threads have
    /// ended, with the object and what the operations returned, the first thread's first. Memory that an execution leaves
    /// behind fails the check.
    ///
    /// Returns the number of models.
    ///
    /// # Panics
    ///
    /// If an execution fails, or if there is an operation missing for a triple. What met is told before the picture.
    pub fn run(self, look: impl Fn(&T, &[R]) + Send + Sync + 'static) -> usize {
        let look = Arc::new(look);
        let count = self.operations.len();
        let mut models: Vec<(Vec<usize>, Exhaustive)> = (0..count)
            .flat_map(|one| (one..count).map(move |other| vec![one, other]))
            .map(|pair| (pair, Exhaustive::new()))
            .collect();
        for triple in &self.triples {
            let indices = triple.iter().map(|name| self.index(name)).collect();
            models.push((indices, Exhaustive::new().preemptions(1)));
        }
        assert!(!models.is_empty(), "no operations, so nothing meets");
        let number = models.len();
        for (indices, exploration) in models {
            self.meet(&indices, exploration, Arc::clone(&look));
        }
        number
    }

    fn index(&self, name: &str) -> usize {
        self.operations
            .iter()
            .position(|(known, _)| *known == name)
            .unwrap_or_else(|| {
                panic!("a triple names `{name}`, which is no operation of the table")
            })
    }

    fn meet(
        &self,
        indices: &[usize],
        exploration: Exhaustive,
        look: Arc<impl Fn(&T, &[R]) + Send + Sync + 'static>,
    ) {
        let (names, operations): (Vec<_>, Vec<_>) = indices
            .iter()
            .map(|&index| self.operations[index].clone())
            .unzip();
        let make = Arc::clone(&self.make);
        let model = move || {
            let shared = crate::sync::Arc::new(make());
            let (first, others) = operations.split_first().expect("two at least");
            let others: Vec<_> = others
                .iter()
                .map(|operation| {
                    let (shared, operation) = (shared.clone(), Arc::clone(operation));
                    thread::spawn(move || operation(&shared))
                })
                .collect();
            let mut results = vec![first(&shared)];
            for other in others {
                results.push(other.join().unwrap());
            }
            look(&shared, &results);
        };
        let outcome = exploration.no_leaks().explore(model);
        if let Err(report) = outcome {
            eprintln!("where these operations meet: {}", names.join(" ∥ "));
            super::explore::fail(&report);
        }
    }
}
