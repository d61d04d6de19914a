//! Every execution that C++20 allows, without load buffering, within the bounds that each check prints.
//!
//! Decides, for two or three threads of a few operations each, whether the value is dropped once and after every use of
//! it, whether the memory is given back once and after that, whether get_mut and try_unwrap are for one owner only, and
//! whether an upgrade tells the truth. A missing Acquire or Release shows here and nowhere else.
//! Does not decide whether a load may be done after a later store of the same thread: no execution of that kind is
//! explored (see the README on get_mut). Does not decide what many threads do, or what numbers the counts can hold.

use std::sync::atomic::{AtomicIsize, Ordering::Relaxed};

use arc::{Arc, Weak};
use kata::cell::UnsafeCell;
use kata::check::{Exhaustive, steps};
use kata::thread;

/// A value that tells on the references to it. Its content lies in a cell that the model watches: reading it, changing it
/// and dropping it must be ordered, or the model reports a race, and whatever comes after the drop is a use after free.
struct Value {
    content: UnsafeCell<u32>,
    left: &'static AtomicIsize,
}

// SAFETY: shared, it is only read; it is changed through a `&mut`. Whether the references keep the two apart is what the
// model decides.
unsafe impl Sync for Value {}

/// No content is larger.
const LARGEST: u32 = 3;

impl Value {
    fn read(&self) -> u32 {
        // SAFETY: nobody changes it, if the references are right.
        self.content.with(|content| unsafe { *content })
    }

    fn write(&mut self, new: u32) {
        // SAFETY: nobody else uses it, if the references are right.
        self.content.with_mut(|content| unsafe { *content = new });
    }
}

impl Drop for Value {
    fn drop(&mut self) {
        // Freed memory is overwritten, and then there is no counter to be found in it.
        if self.read() <= LARGEST {
            self.left.fetch_sub(1, Relaxed);
        }
    }
}

/// Explores `model` around an `Arc` of a value that says 1, and judges what is left when the model is done: no value and
/// no memory.
fn explore(model: impl Fn(Arc<Value>) + Send + Sync + 'static) {
    explore_within(3, model);
}

/// The same with fewer preemptions, for three threads that would have too many executions.
fn explore_within(preemptions: usize, model: impl Fn(Arc<Value>) + Send + Sync + 'static) {
    // Made outside the model and of `std`, which no model sees or orders: a value dropped once too often finds it, too.
    let left: &AtomicIsize = Box::leak(Box::new(AtomicIsize::new(0)));
    Exhaustive::new().preemptions(preemptions).no_leaks().run(move || {
        left.store(1, Relaxed);
        model(Arc::new(Value {
            content: UnsafeCell::new(1),
            left,
        }));
        let left = left.load(Relaxed);
        assert!(left <= 0, "all references are gone, and the value was never dropped");
        assert!(
            left >= 0,
            "the value was dropped twice: with a `String` in its place, memory that is in use would have been freed"
        );
    });
}

const ALIVE: &str = "an `Arc` was alive all the time, and an upgrade says that the value is gone";

#[test]
fn the_value_is_dropped_after_every_use() {
    explore(|arc| {
        let clone = arc.clone();
        let other = thread::spawn(move || {
            clone.read();
            drop(clone);
        });
        arc.read();
        drop(arc);
        other.join().unwrap();
    });
}

#[test]
fn three_owners_drop_the_value_after_every_use() {
    explore_within(2, |arc| {
        let others = [arc.clone(), arc.clone()].map(|arc| {
            thread::spawn(move || {
                arc.read();
                drop(arc);
            })
        });
        arc.read();
        drop(arc);
        for other in others {
            other.join().unwrap();
        }
    });
}

#[test]
fn clones_made_on_another_thread_count() {
    explore(|arc| {
        let first = arc.clone();
        let other = thread::spawn(move || {
            let second = first.clone();
            drop(first);
            second.read();
            drop(second);
        });
        drop(arc);
        other.join().unwrap();
    });
}

#[test]
fn an_upgrade_finds_the_value_alive_or_nothing() {
    explore(|arc| {
        let weak = Arc::downgrade(&arc);
        let other = thread::spawn(move || {
            if let Some(arc) = weak.upgrade() {
                arc.read();
            }
            drop(weak);
        });
        arc.read();
        drop(arc);
        other.join().unwrap();
    });
}

#[test]
fn upgrades_at_the_same_time_are_all_counted() {
    explore_within(2, |arc| {
        let others = [Arc::downgrade(&arc), Arc::downgrade(&arc)].map(|weak| {
            thread::spawn(move || {
                if let Some(arc) = weak.upgrade() {
                    arc.read();
                }
                weak
            })
        });
        drop(arc);
        for other in others {
            other.join().unwrap();
        }
    });
}

#[test]
fn an_upgrade_succeeds_while_an_arc_lives() {
    // Also the first time: a weak compare-exchange may fail for no reason, and in this world it does.
    explore(|mut arc| {
        let weak = Arc::downgrade(&arc);
        let other = thread::spawn(move || {
            weak.upgrade().expect(ALIVE).read();
            weak.upgrade().expect(ALIVE).read();
        });
        // This may or may not succeed, and must not be noticed.
        let _ = Arc::get_mut(&mut arc);
        other.join().unwrap();
        arc.read();
    });
}

#[test]
fn the_memory_outlives_every_weak_reference() {
    explore_within(2, |arc| {
        let others = [Arc::downgrade(&arc), Arc::downgrade(&arc)].map(|weak| {
            thread::spawn(move || {
                let clone = weak.clone();
                drop(weak);
                drop(clone);
            })
        });
        drop(arc);
        for other in others {
            other.join().unwrap();
        }
    });
}

#[test]
fn a_value_may_hold_a_weak_reference_to_itself() {
    struct Node {
        me: UnsafeCell<Option<Weak<Node>>>,
        value: Value,
    }

    explore(|arc| {
        let value = Arc::try_unwrap(arc).unwrap_or_else(|_| panic!("it is the only reference"));
        let node = Arc::new(Node {
            me: UnsafeCell::new(None),
            value,
        });
        let me = Arc::downgrade(&node);
        // SAFETY: there is one thread, and it does nothing else with the field.
        node.me.with_mut(|field| unsafe { *field = Some(me) });
        node.value.read();
        drop(node);
    });
}

#[test]
fn get_mut_comes_after_every_use_by_others() {
    explore(|mut arc| {
        let clone = arc.clone();
        let other = thread::spawn(move || {
            clone.read();
            drop(clone);
        });
        if let Some(value) = Arc::get_mut(&mut arc) {
            value.write(2);
        }
        other.join().unwrap();
    });
}

#[test]
fn get_mut_is_refused_while_a_weak_reference_may_be_upgraded() {
    explore(|mut arc| {
        let weak = Arc::downgrade(&arc);
        let other = thread::spawn(move || {
            assert_eq!(
                weak.upgrade().expect(ALIVE).read(),
                1,
                "a `Weak` was in use, and get_mut let the value be changed under it"
            );
            drop(weak);
        });
        if let Some(value) = Arc::get_mut(&mut arc) {
            value.write(2);
        }
        other.join().unwrap();
    });
}

#[test]
fn get_mut_sees_the_arc_that_a_weak_reference_has_become() {
    explore(|mut arc| {
        let weak = Arc::downgrade(&arc);
        let other = thread::spawn(move || {
            let arc = weak.upgrade().expect(ALIVE);
            drop(weak);
            assert_eq!(
                arc.read(),
                1,
                "an `Arc` was in use, and get_mut let the value be changed under it"
            );
            drop(arc);
        });
        if let Some(value) = Arc::get_mut(&mut arc) {
            value.write(2);
        }
        other.join().unwrap();
    });
}

#[test]
fn get_mut_sees_the_weak_reference_that_an_arc_has_become() {
    // And the `Arc` that it becomes again: at every moment the other thread has one of the two.
    explore(|mut arc| {
        let clone = arc.clone();
        let other = thread::spawn(move || {
            let weak = Arc::downgrade(&clone);
            drop(clone);
            let arc = weak.upgrade().expect(ALIVE);
            drop(weak);
            assert_eq!(
                arc.read(),
                1,
                "an `Arc` was in use, and get_mut let the value be changed under it"
            );
            drop(arc);
        });
        if let Some(value) = Arc::get_mut(&mut arc) {
            value.write(2);
        }
        other.join().unwrap();
    });
}

#[test]
fn get_mut_succeeds_for_the_only_reference() {
    // Also the first time: a weak compare-exchange may fail for no reason, and in this world it does.
    explore(|mut arc| {
        for new in 2..4 {
            Arc::get_mut(&mut arc)
                .expect("nobody else has a reference, yet get_mut says so: its caller clones the value for nothing")
                .write(new);
            assert_eq!(arc.read(), new, "what get_mut gave out is not the value");
        }
    });
}

#[test]
fn a_refused_get_mut_leaves_no_trace() {
    explore(|mut arc| {
        let clone = arc.clone();
        assert!(
            Arc::get_mut(&mut arc).is_none(),
            "get_mut gave out a `&mut` to a value that a clone shows as well"
        );
        let weak = Arc::downgrade(&arc);
        assert!(
            Arc::get_mut(&mut arc).is_none(),
            "get_mut gave out a `&mut` to a value that a `Weak` can be upgraded to meanwhile"
        );
        weak.upgrade().expect(ALIVE).read();
        drop((clone, weak));
        assert!(
            Arc::get_mut(&mut arc).is_some(),
            "everybody else is gone, yet get_mut says that there is somebody: it has counted wrong before"
        );
    });
}

#[test]
fn who_unwraps_the_value_comes_after_every_use() {
    fn unwrap_or_read(arc: Arc<Value>) -> bool {
        match Arc::try_unwrap(arc) {
            Ok(mut value) => {
                value.write(2);
                true
            }
            Err(arc) => {
                arc.read();
                false
            }
        }
    }
    explore(|arc| {
        let clone = arc.clone();
        let other = thread::spawn(move || unwrap_or_read(clone));
        let here = unwrap_or_read(arc);
        let there = other.join().unwrap();
        assert!(
            !(here && there),
            "two threads have unwrapped one value, and both will drop it"
        );
    });
}

#[test]
fn who_unwraps_the_value_under_a_weak_reference_comes_after_every_use() {
    // The block stays, so that nothing that would be done to free it orders anything.
    explore(|arc| {
        let (clone, weak) = (arc.clone(), Arc::downgrade(&arc));
        let other = thread::spawn(move || {
            clone.read();
            drop(clone);
        });
        match Arc::try_unwrap(arc) {
            Ok(mut value) => value.write(2),
            Err(arc) => drop(arc),
        }
        other.join().unwrap();
        assert!(
            weak.upgrade().is_none(),
            "all owners are gone, yet a `Weak` was upgraded: its user works on a value that was dropped"
        );
    });
}

#[test]
fn the_last_owner_unwraps_the_value() {
    // Also the first time: a weak compare-exchange may fail for no reason, and in this world it does.
    explore(|arc| {
        let Ok(mut value) = Arc::try_unwrap(arc) else {
            panic!("the only owner asked for its value and did not get it");
        };
        value.write(2);
    });
}

#[test]
fn a_value_that_is_unwrapped_is_lost_to_weak_references() {
    explore(|arc| {
        let weak = Arc::downgrade(&arc);
        let other = thread::spawn(move || {
            let arc = weak.upgrade();
            drop(weak);
            if let Some(arc) = arc {
                assert_eq!(
                    arc.read(),
                    1,
                    "a value was changed that its unwrapper does not own alone"
                );
            }
        });
        if let Ok(mut value) = Arc::try_unwrap(arc) {
            value.write(2);
        }
        other.join().unwrap();
    });
}

/// What a thread does with the two references it has.
type Use = fn(Arc<Value>, Weak<Value>);

const USES: [(&str, Use); 7] = [
    ("drop", |arc, weak| {
        drop(arc);
        drop(weak);
    }),
    ("clone", |arc, weak| {
        let clone = arc.clone();
        drop(arc);
        clone.read();
        drop(weak);
        drop(clone);
    }),
    ("get_mut", |mut arc, weak| {
        drop(weak);
        if let Some(value) = Arc::get_mut(&mut arc) {
            value.write(2);
        }
        arc.read();
    }),
    ("try_unwrap", |arc, weak| {
        match Arc::try_unwrap(arc) {
            Ok(mut value) => value.write(2),
            Err(arc) => {
                arc.read();
            }
        }
        drop(weak);
    }),
    ("downgrade", |arc, weak| {
        drop(weak);
        let weak = Arc::downgrade(&arc);
        drop(arc);
        drop(weak);
    }),
    ("upgrade", |arc, weak| {
        drop(arc);
        if let Some(arc) = weak.upgrade() {
            arc.read();
        }
    }),
    ("Weak::clone", |arc, weak| {
        let clone = weak.clone();
        drop(weak);
        drop(arc);
        drop(clone.upgrade());
    }),
];

#[test]
fn every_use_of_a_reference_meets_every_other_one() {
    for (first, (here, use_here)) in USES.into_iter().enumerate() {
        for (there, use_there) in USES.into_iter().skip(first) {
            // The last name printed says which pair fails: it comes before the picture.
            eprintln!("{here} meets {there}");
            explore_within(1, move |arc| {
                let (clone, weak) = (arc.clone(), Arc::downgrade(&arc));
                let theirs = weak.clone();
                let other = thread::spawn(move || use_there(clone, theirs));
                use_here(arc, weak);
                other.join().unwrap();
            });
        }
    }
}

#[test]
fn the_model_sees_what_the_references_do() {
    explore(|arc| {
        let me = thread::current();
        let before = steps(&me);
        drop(arc.clone());
        assert!(
            steps(&me) > before + 1,
            "an `Arc` was cloned and dropped, and no atomic operation was seen: take atomics from `kata`, not from `std`. What the \
             model checker does not see it cannot judge"
        );
    });
}
