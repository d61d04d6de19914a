//! Where calls wait for each other, so that they are known to run at the same time.

use std::sync::{Condvar, Mutex};
use std::time::Duration;

/// Thousands of times what a meeting takes.
const PATIENCE: Duration = Duration::from_secs(5);

/// Where calls wait for each other.
pub struct Meeting {
    /// How far they have come together, and whether somebody has waited in vain.
    state: Mutex<(usize, bool)>,
    changed: Condvar,
}

impl Meeting {
    pub fn new() -> Self {
        Self {
            state: Mutex::new((0, false)),
            changed: Condvar::new(),
        }
    }

    /// One step further.
    pub fn advance(&self) {
        self.state.lock().unwrap().0 += 1;
        self.changed.notify_all();
    }

    /// Waits until they have come so far. `false` if it was in vain, for this call or an earlier one.
    pub fn wait_for(&self, steps: usize) -> bool {
        let state = self.state.lock().unwrap();
        let waiting = |(now, in_vain): &mut (usize, bool)| *now < steps && !*in_vain;
        let (mut state, _) = self
            .changed
            .wait_timeout_while(state, PATIENCE, waiting)
            .unwrap();
        if state.0 < steps {
            state.1 = true;
            self.changed.notify_all();
        }
        !state.1
    }

    /// Comes, and waits until `calls` have come. `false` if it was in vain. Wakes nobody before the last one is there.
    pub fn meet(&self, calls: usize) -> bool {
        let come = {
            let mut state = self.state.lock().unwrap();
            state.0 += 1;
            state.0
        };
        if come == calls {
            self.changed.notify_all();
        }
        self.wait_for(calls)
    }
}
