//! Steps that come at the same time are written as one, so that the disk is waited for once for all of them.
//!
//! Whoever comes while somebody writes leaves what is to be written and waits; the next one writes all that was left. Each is answered
//! when it is on the disk, so an answer means what it means for a step that is written alone.

use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Mutex, PoisonError};

use crate::database::Fault;

/// Things that wait to be written, each with who waits for it.
type Waiting<T> = Vec<(T, SyncSender<Result<(), Fault>>)>;

/// What is to be written by whoever comes next.
pub struct Group<T> {
    waiting: Mutex<Waiting<T>>,
    turn: Mutex<()>,
}

impl<T> Default for Group<T> {
    fn default() -> Self {
        Group { waiting: Mutex::default(), turn: Mutex::default() }
    }
}

impl<T> Group<T> {
    /// Has `thing` written, by this call or by another one that writes it with its own. `write` does all that it is given or none of it.
    ///
    /// # Errors
    /// What `write` said to whoever wrote it.
    pub fn add(&self, thing: T, write: impl FnOnce(&[T]) -> Result<(), Fault>) -> Result<(), Fault> {
        let (answer, told) = sync_channel(1);
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).push((thing, answer));
        let turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        if let Ok(outcome) = told.try_recv() {
            return outcome;
        }
        // Empty only when whoever took it did not come to its end.
        let all = std::mem::take(&mut *self.waiting.lock().unwrap_or_else(PoisonError::into_inner));
        let (things, waiting): (Vec<T>, Vec<_>) = all.into_iter().unzip();
        let outcome = if things.is_empty() { Ok(()) } else { write(&things) };
        for answer in waiting {
            // It has room for one, and whoever waits is still there.
            let _ = answer.send(outcome.clone());
        }
        drop(turn);
        told.try_recv().unwrap_or_else(|_| Err(Fault::Away("it was given up".into())))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Barrier;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::thread;

    use super::*;

    #[test]
    fn those_who_come_meanwhile_are_written_together_and_each_is_answered() {
        const MANY: usize = 8;
        let group: Group<usize> = Group::default();
        let (steps, begun, written) = (AtomicUsize::new(0), Barrier::new(2), Mutex::new(Vec::new()));
        thread::scope(|scope| {
            let first = scope.spawn(|| {
                group.add(0, |things| {
                    begun.wait();
                    // Until all others have come.
                    while group.waiting.lock().unwrap().len() < MANY {
                        thread::yield_now();
                    }
                    written.lock().unwrap().extend_from_slice(things);
                    Ok(())
                })
            });
            begun.wait();
            let write = |things: &[usize]| {
                steps.fetch_add(1, Ordering::Relaxed);
                written.lock().unwrap().extend_from_slice(things);
                Err(Fault::Empty)
            };
            let others: Vec<_> = (1..=MANY)
                .map(|number| {
                    let group = &group;
                    scope.spawn(move || group.add(number, write))
                })
                .collect();
            assert_eq!(first.join().unwrap(), Ok(()));
            for other in others {
                assert_eq!(other.join().unwrap(), Err(Fault::Empty));
            }
        });
        assert_eq!(steps.into_inner(), 1, "one step for all");
        let mut written = written.into_inner().unwrap();
        written.sort_unstable();
        assert_eq!(written, (0..=MANY).collect::<Vec<_>>());
    }

    #[test]
    fn one_that_does_not_come_to_its_end_does_not_hold_up_others() {
        let group: Group<usize> = Group::default();
        let fails = thread::scope(|scope| scope.spawn(|| group.add(1, |_| panic!("on purpose"))).join());
        assert!(fails.is_err());
        assert_eq!(group.add(2, |things| if things == [2] { Ok(()) } else { Err(Fault::Empty) }), Ok(()));
    }
}
