//! Who may use a core. There are as many permits as cores, and the most urgent of those who wait gets the next one.
//!
//! What somebody watches goes by the moment at which its player would stand still, the earliest first; and while something is made for which a
//! player stands still already, nothing takes the other cores that can wait.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

/// How urgent a piece of work is; earlier ones go first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Class {
    /// Somebody waits for it, and would stand still from this moment on: now for the first segment of a video, and for a still.
    Wanted(Instant),
    /// What a player will ask for next, and show at this moment.
    Ahead(Instant),
    /// Work that nobody watches.
    Job,
    /// One of many rows of a batch.
    Batch,
}

impl Class {
    /// What it is called.
    pub fn name(self) -> &'static str {
        match self {
            Class::Wanted(_) => "wanted",
            Class::Ahead(_) => "ahead",
            Class::Job => "job",
            Class::Batch => "batch",
        }
    }

    /// Somebody waits for it and sees nothing until it is there.
    pub fn now() -> Class {
        Class::Wanted(Instant::now())
    }

    /// Whether a player is to show it.
    pub fn is_watched(self) -> bool {
        matches!(self, Class::Wanted(_) | Class::Ahead(_))
    }

    /// Whether somebody stands still until it is done.
    fn presses(self, now: Instant) -> bool {
        matches!(self, Class::Wanted(due) if due <= now + PRESSING)
    }

    /// Whether it can wait until what presses is done.
    fn can_wait(self, now: Instant) -> bool {
        !matches!(self, Class::Wanted(due) if due <= now + SOON)
    }
}

/// Work that is due so soon is not slowed down by other work.
const PRESSING: Duration = Duration::from_millis(100);
/// Work that is due later than this can wait for what presses, which takes a few tenths of a second.
const SOON: Duration = Duration::from_secs(1);

/// What work that gives way in the middle keeps in memory until it goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keeps {
    /// An encoder and its frames, which may come to hundreds of megabytes. As many as there are cores may do so; others go on to their end.
    Encoder,
    /// Little, or what is bounded elsewhere.
    Little,
}

/// Permits to use a core.
pub struct Permits {
    cores: usize,
    state: Mutex<State>,
}

struct State {
    free: usize,
    /// How many of those at work press.
    pressing: usize,
    /// How many gave way and keep an encoder.
    paused: usize,
    next: u64,
    /// Those who wait, most urgent first, and among equals in order of coming.
    queue: BTreeMap<(Class, u64), Thread>,
}

impl State {
    /// Wakes the one that is to have the next permit; the others need not know.
    fn wake(&self) {
        if self.free > 0
            && let Some((_, thread)) = self.queue.first_key_value()
        {
            thread.unpark();
        }
    }
}

/// A permit; dropping it frees the core.
pub struct Permit<'a> {
    permits: &'a Permits,
    presses: bool,
}

impl Permits {
    /// `count` permits.
    pub fn new(count: usize) -> Self {
        let cores = count.max(1);
        let state = State { free: cores, pressing: 0, paused: 0, next: 0, queue: BTreeMap::new() };
        Permits { cores, state: Mutex::new(state) }
    }

    /// How many there are.
    pub fn cores(&self) -> usize {
        self.cores
    }

    /// Waits for a permit; `None` once `cancelled` says so. Both that and `class`, which may become more urgent meanwhile, are asked every
    /// few milliseconds.
    pub fn acquire(&self, class: &dyn Fn() -> Class, cancelled: &dyn Fn() -> bool) -> Option<Permit<'_>> {
        let mut wanted = class();
        let mut state = self.lock();
        let mut place = (wanted, state.next);
        state.next += 1;
        state.queue.insert(place, thread::current());
        loop {
            let now = Instant::now();
            let held_back = state.pressing > 0 && wanted.can_wait(now);
            let is_first = state.queue.first_key_value().is_some_and(|(first, _)| *first == place);
            if state.free > 0 && !held_back && is_first {
                let presses = wanted.presses(now);
                state.queue.remove(&place);
                state.free -= 1;
                state.pressing += usize::from(presses);
                // Another permit may be free for the one behind.
                state.wake();
                return Some(Permit { permits: self, presses });
            }
            drop(state);
            thread::park_timeout(PAUSE);
            // Asked without the lock, as they may take others.
            let over = cancelled();
            wanted = class();
            state = self.lock();
            if over || wanted != place.0 {
                state.queue.remove(&place);
                place.0 = wanted;
                if !over {
                    state.queue.insert(place, thread::current());
                }
                state.wake();
            }
            if over {
                return None;
            }
        }
    }

    /// Between two frames: gives `permit` to whoever waits and is more urgent, and waits for another. `false` once `cancelled` says so.
    pub fn give_way<'a>(
        &'a self,
        permit: &mut Option<Permit<'a>>,
        keeps: Keeps,
        class: &dyn Fn() -> Class,
        cancelled: &dyn Fn() -> bool,
    ) -> bool {
        let own = class();
        let heavy = keeps == Keeps::Encoder;
        let mut state = self.lock();
        let urged = state.queue.first_key_value().is_some_and(|((first, _), _)| *first < own);
        if permit.is_none() || (urged && !(heavy && state.paused >= self.cores)) {
            state.paused += usize::from(heavy);
            drop(state);
            *permit = None;
            *permit = self.acquire(class, cancelled);
            self.lock().paused -= usize::from(heavy);
        } else {
            drop(state);
        }
        permit.is_some() && !cancelled()
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
        let mut state = self.permits.lock();
        state.free += 1;
        state.pressing -= usize::from(self.presses);
        state.wake();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::sync::mpsc;

    #[test]
    fn the_most_urgent_goes_first() {
        let permits = Permits::new(1);
        let held = permits.acquire(&|| Class::Job, &|| false).unwrap();
        let (tell, told) = mpsc::channel();
        thread::scope(|scope| {
            let soon = |seconds| Instant::now() + Duration::from_secs(seconds);
            let expected = [
                Class::Wanted(soon(0)),
                Class::Wanted(soon(7)),
                Class::Ahead(soon(2)),
                Class::Ahead(soon(3)),
                Class::Job,
                Class::Batch,
            ];
            for (waiting, at) in [4, 3, 1, 5, 0, 2].into_iter().enumerate() {
                let class = expected[at];
                let (tell, permits) = (tell.clone(), &permits);
                scope.spawn(move || {
                    let _permit = permits.acquire(&|| class, &|| false).unwrap();
                    tell.send(class).unwrap();
                });
                while permits.waiting() <= waiting {
                    thread::yield_now();
                }
            }
            drop(held);
            let order: Vec<Class> = told.iter().take(expected.len()).collect();
            assert_eq!(order, expected);
        });
    }

    #[test]
    fn what_can_wait_leaves_the_other_cores_to_what_presses() {
        let permits = Permits::new(3);
        let pressing = permits.acquire(&|| Class::now(), &|| false).unwrap();
        let later = Class::Wanted(Instant::now() + Duration::from_secs(60));
        for class in [later, Class::Ahead(Instant::now()), Class::Job, Class::Batch] {
            let asked = std::cell::Cell::new(0);
            let once = || asked.replace(asked.get() + 1) > 0;
            assert!(permits.acquire(&|| class, &once).is_none(), "{class:?} was let in");
        }
        let beside = permits.acquire(&|| Class::now(), &|| false).unwrap();
        drop((pressing, beside));
        let all = [later, Class::Job, Class::Batch].map(|class| permits.acquire(&|| class, &|| true));
        assert!(all.iter().all(Option::is_some));
    }

    #[test]
    fn as_many_encoders_wait_in_the_middle_as_there_are_cores() {
        let (permits, never, went) = (Permits::new(1), || false, AtomicBool::new(false));
        let ahead = || Class::Ahead(Instant::now() + Duration::from_secs(9));
        let early = || Class::Wanted(Instant::now().checked_sub(Duration::from_secs(1)).unwrap());
        let until_wait = |count| {
            while permits.waiting() < count {
                thread::yield_now();
            }
        };
        let third = || {
            let _permit = permits.acquire(&early, &never).unwrap();
            went.store(true, Ordering::SeqCst);
        };
        thread::scope(|scope| {
            let mut first = permits.acquire(&ahead, &never);
            scope.spawn(|| {
                let mut permit = permits.acquire(&Class::now, &never);
                // The first one gave way, and waits to go on.
                until_wait(1);
                scope.spawn(third);
                until_wait(2);
                assert!(permits.give_way(&mut permit, Keeps::Encoder, &Class::now, &never));
                assert!(!went.load(Ordering::SeqCst), "a second encoder was kept");
                assert!(permits.give_way(&mut permit, Keeps::Little, &Class::now, &never));
                assert!(went.load(Ordering::SeqCst));
            });
            until_wait(1);
            assert!(permits.give_way(&mut first, Keeps::Encoder, &ahead, &never));
        });
    }

    #[test]
    fn who_gives_up_is_not_waited_for() {
        let permits = Permits::new(1);
        let held = permits.acquire(&|| Class::now(), &|| false).unwrap();
        assert!(permits.acquire(&|| Class::now(), &|| true).is_none());
        drop(held);
        assert!(permits.acquire(&|| Class::Job, &|| true).is_some());
    }
}
