//! Who may use a core. There are as many permits as cores, and the most urgent of those who wait gets the next one.

use std::collections::BTreeMap;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How urgent a piece of work is; earlier ones go first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Class {
    /// What a player needs to begin: the first segment, stills.
    Start,
    /// What a player waits for.
    Wanted,
    /// What a player will ask for next.
    Ahead,
    /// Work that nobody watches.
    Job,
    /// One of many rows of a batch.
    Batch,
}

/// Permits to use a core.
pub struct Permits {
    state: Mutex<State>,
    changed: Condvar,
}

struct State {
    free: usize,
    next: u64,
    /// Those who wait, most urgent first, and among equals in order of coming.
    queue: BTreeMap<(Class, u64), ()>,
}

/// A permit; dropping it frees the core.
pub struct Permit<'a>(&'a Permits);

impl Permits {
    /// `count` permits.
    pub fn new(count: usize) -> Self {
        let state = State { free: count.max(1), next: 0, queue: BTreeMap::new() };
        Permits { state: Mutex::new(state), changed: Condvar::new() }
    }

    /// Waits for a permit; `None` once `cancelled` says so, which is asked every few milliseconds.
    pub fn acquire(&self, class: Class, cancelled: &dyn Fn() -> bool) -> Option<Permit<'_>> {
        let mut state = self.lock();
        let place = (class, state.next);
        state.next += 1;
        state.queue.insert(place, ());
        loop {
            if state.free > 0 && state.queue.first_key_value().is_some_and(|(first, ())| *first == place) {
                state.queue.remove(&place);
                state.free -= 1;
                // Another permit may be free for the one behind.
                self.changed.notify_all();
                return Some(Permit(self));
            }
            state = self
                .changed
                .wait_timeout(state, PAUSE)
                .map_or_else(|error| error.into_inner().0, |(state, _)| state);
            if cancelled() {
                state.queue.remove(&place);
                self.changed.notify_all();
                return None;
            }
        }
    }

    /// How many wait.
    pub fn waiting(&self) -> usize {
        self.lock().queue.len()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How long is waited at most before it is asked again whether anybody still wants the work.
const PAUSE: Duration = Duration::from_millis(20);

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        self.0.lock().free += 1;
        self.0.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    #[test]
    fn the_most_urgent_goes_first() {
        let permits = Permits::new(1);
        let held = permits.acquire(Class::Job, &|| false).unwrap();
        let (tell, told) = mpsc::channel();
        std::thread::scope(|scope| {
            for (waiting, class) in
                [Class::Job, Class::Ahead, Class::Start, Class::Wanted].into_iter().enumerate()
            {
                let (tell, permits) = (tell.clone(), &permits);
                scope.spawn(move || {
                    let _permit = permits.acquire(class, &|| false).unwrap();
                    tell.send(class).unwrap();
                });
                while permits.waiting() <= waiting {
                    std::thread::yield_now();
                }
            }
            drop(held);
            let order: Vec<Class> = told.iter().take(4).collect();
            assert_eq!(order, [Class::Start, Class::Wanted, Class::Ahead, Class::Job]);
        });
    }

    #[test]
    fn who_gives_up_is_not_waited_for() {
        let permits = Permits::new(1);
        let held = permits.acquire(Class::Start, &|| false).unwrap();
        assert!(permits.acquire(Class::Start, &|| true).is_none());
        drop(held);
        assert!(permits.acquire(Class::Job, &|| true).is_some());
    }
}
