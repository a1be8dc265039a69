//! What a render uses of a store.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use vignette_templates::blob::Digest;

use super::circuit::Patience;
use super::flight::{Flight, Landing};
use super::trouble::{Trouble, TroubleKind, Troubles};
use super::{Claim, Guarded, Store};

/// A store that never makes a render fail, and that lets one caller make each entry.
///
/// Whatever goes wrong in the store becomes a warning, and the entry is made as if it were not there. A store
/// that keeps failing is left alone for a while (see [`Guarded`]).
///
/// ```text
/// match vault.begin(&key) {
///     Found(bytes)  =>  use them
///     Mine(turn)    =>  make the entry; turn.keep(bytes)
///     Busy(waiting) =>  do something else, or waiting.wait(..), which is a Lookup again
/// }
/// ```
///
/// Whoever holds a [`Turn`] should end it before waiting for another entry: two who each wait for what the other
/// makes wait until their time is up.
pub struct Vault {
    store: Option<Arc<dyn Store>>,
    flights: Mutex<HashMap<Digest, Arc<Flight>>>,
    /// Entries that were found to be bad and could not be removed, so they must not be looked at again.
    distrusted: Mutex<HashSet<Digest>>,
    troubles: Troubles,
    found: AtomicU64,
    made: AtomicU64,
    corrupt: AtomicU64,
    errors: AtomicU64,
}

/// What a [`Vault`] has seen since it was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Entries that were given out: from the store, or made by somebody else meanwhile.
    pub found: u64,
    /// Entries that callers made.
    pub made: u64,
    /// Entries that were damaged.
    pub corrupt: u64,
    /// Other calls to the store that failed. Those that were not made, since it was left alone, do not count.
    pub errors: u64,
}

/// How an entry stands.
#[must_use = "a turn that is dropped goes to somebody else"]
pub enum Lookup<'a> {
    /// It is there.
    Found(Arc<[u8]>),
    /// It is not there, and the caller makes it.
    Mine(Turn<'a>),
    /// Somebody else is just making it, in this process or another.
    Busy(Waiting<'a>),
}

/// The caller makes the entry. Dropped without [`keep`](Turn::keep), whether by failure, panic or cancellation,
/// it wakes those who wait, and one of them gets the turn.
#[must_use = "a turn that is dropped goes to somebody else"]
pub struct Turn<'a> {
    vault: &'a Vault,
    key: Digest,
    flight: Arc<Flight>,
    claim: Option<Claim>,
}

/// Somebody else makes the entry.
#[must_use = "waiting is done by `wait`"]
pub struct Waiting<'a> {
    vault: &'a Vault,
    key: Digest,
    /// `None` when another process makes it.
    flight: Option<Arc<Flight>>,
    pause: Duration,
}

/// What the store has.
enum Seen {
    There(Arc<[u8]>),
    Missing,
    /// It is damaged, or nobody knows.
    Unusable,
}

/// How often another process is looked after: at first, and at last. Looking takes some ten microseconds, making
/// an entry some hundred milliseconds.
const PAUSES: (Duration, Duration) = (Duration::from_millis(5), Duration::from_millis(50));

impl Vault {
    /// Keeps entries in `store`.
    pub fn new(store: Arc<dyn Store>) -> Vault {
        Vault::with_patience(store, Patience::default())
    }

    /// Keeps entries in `store`, and leaves it alone by `patience` when it keeps failing.
    pub fn with_patience(store: Arc<dyn Store>, patience: Patience) -> Vault {
        Vault { store: Some(Guarded::around(store, patience)), ..Vault::none() }
    }

    /// Keeps nothing. Callers who want the same entry at the same time still share one.
    pub fn none() -> Vault {
        Vault {
            store: None,
            flights: Mutex::default(),
            distrusted: Mutex::default(),
            troubles: Troubles::default(),
            found: AtomicU64::new(0),
            made: AtomicU64::new(0),
            corrupt: AtomicU64::new(0),
            errors: AtomicU64::new(0),
        }
    }

    /// The store, which reports failures to the caller; `None` when nothing is kept.
    pub fn store(&self) -> Option<&Arc<dyn Store>> {
        self.store.as_ref()
    }

    /// Looks for the entry under `key`. Takes as long as the store takes to answer, and never waits for
    /// somebody to make the entry.
    pub fn begin(&self, key: &Digest) -> Lookup<'_> {
        let flight = {
            let mut flights = self.flights();
            if let Some(flight) = flights.get(key) {
                return match flight.landed() {
                    Some(Landing::With(bytes)) => self.found(bytes),
                    _ => Lookup::Busy(Waiting::new(self, key, Some(flight.clone()))),
                };
            }
            let flight = Arc::new(Flight::default());
            flights.insert(*key, flight.clone());
            flight
        };
        let mut turn = Turn { vault: self, key: *key, flight, claim: None };
        let seen = self.look(key);
        if let Seen::There(bytes) = seen {
            turn.flight.land(Landing::With(bytes.clone()));
            return self.found(bytes);
        }
        match self.store.as_ref().map(|store| store.claim(key)) {
            Some(Ok(Some(claim))) => {
                let look_again = claim.is_locked() && matches!(seen, Seen::Missing);
                turn.claim = Some(claim);
                // Another process may have put it after it was looked for and before it was claimed.
                if look_again && let Seen::There(bytes) = self.look(key) {
                    turn.flight.land(Landing::With(bytes.clone()));
                    return self.found(bytes);
                }
            }
            Some(Ok(None)) => {
                turn.flight.land(Landing::Elsewhere);
                return Lookup::Busy(Waiting::new(self, key, None));
            }
            // Without a lock another process may make it too, which costs time and does no harm.
            Some(Err(_)) | None => {}
        }
        Lookup::Mine(turn)
    }

    /// The entry under `key` if the store has it. Nobody's turn to make it is taken.
    pub fn find(&self, key: &Digest) -> Option<Arc<[u8]>> {
        let Seen::There(bytes) = self.look(key) else { return None };
        self.found.fetch_add(1, Ordering::Relaxed);
        Some(bytes)
    }

    /// Whether the store has an entry under `key`. It is not read, so it may still have to be made.
    pub fn contains(&self, key: &Digest) -> bool {
        let Some(store) = &self.store else { return false };
        !self.distrusted().contains(key) && store.contains(key).unwrap_or(false)
    }

    /// Puts an entry that was made without a turn.
    pub fn keep(&self, key: &Digest, bytes: Arc<[u8]>) {
        let Some(store) = &self.store else { return };
        if store.put(key, &bytes).is_ok() {
            self.distrusted().remove(key);
        }
    }

    /// Removes an entry whose bytes are those that were put, but that the caller could not read. The next who
    /// asks for it makes it.
    pub fn distrust(&self, key: &Digest) {
        let Some(store) = &self.store else { return };
        self.corrupt.fetch_add(1, Ordering::Relaxed);
        self.troubles.add(Trouble {
            place: store.place(),
            kind: TroubleKind::Corrupt,
            count: 1,
            first: format!("the entry {key} is whole, but not what this program writes"),
        });
        self.distrusted().insert(*key);
        if store.remove(key).is_ok() {
            self.distrusted().remove(key);
        }
    }

    /// What went wrong in the store since this was last called: each kind of trouble once, in words, with how
    /// often, where, and what helps.
    pub fn take_warnings(&self) -> Vec<String> {
        self.gather();
        self.troubles.take().iter().map(Trouble::to_string).collect()
    }

    /// What was seen since the vault was made.
    pub fn counters(&self) -> Counters {
        self.gather();
        Counters {
            found: self.found.load(Ordering::Relaxed),
            made: self.made.load(Ordering::Relaxed),
            corrupt: self.corrupt.load(Ordering::Relaxed),
            errors: self.errors.load(Ordering::Relaxed),
        }
    }

    /// Fetches from the store what it lived with.
    fn gather(&self) {
        for trouble in self.store.iter().flat_map(|store| store.take_troubles()) {
            match trouble.kind {
                TroubleKind::Corrupt => self.corrupt.fetch_add(trouble.count, Ordering::Relaxed),
                // An answer is no error, however late.
                TroubleKind::Slow => 0,
                _ => self.errors.fetch_add(trouble.count, Ordering::Relaxed),
            };
            self.troubles.add(trouble);
        }
    }

    /// Asks the store. What fails is noted by its guard.
    fn look(&self, key: &Digest) -> Seen {
        let Some(store) = &self.store else { return Seen::Missing };
        if self.distrusted().contains(key) {
            return Seen::Unusable;
        }
        match store.get(key) {
            Ok(Some(bytes)) => Seen::There(bytes),
            Ok(None) => Seen::Missing,
            Err(_) => Seen::Unusable,
        }
    }

    fn found(&self, bytes: Arc<[u8]>) -> Lookup<'_> {
        self.found.fetch_add(1, Ordering::Relaxed);
        Lookup::Found(bytes)
    }

    /// Both locks guard a map that is whole at every moment, so a panic elsewhere does not spoil it.
    fn flights(&self) -> MutexGuard<'_, HashMap<Digest, Arc<Flight>>> {
        self.flights.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn distrusted(&self) -> MutexGuard<'_, HashSet<Digest>> {
        self.distrusted.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Turn<'_> {
    /// The entry to make.
    pub fn key(&self) -> &Digest {
        &self.key
    }

    /// Gives `bytes` to those who wait in this process, puts them into the store, and ends the turn.
    pub fn keep(self, bytes: Arc<[u8]>) {
        self.vault.made.fetch_add(1, Ordering::Relaxed);
        // Those who ask while it is put find it here.
        self.flight.land(Landing::With(bytes.clone()));
        self.vault.keep(&self.key, bytes);
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        // Who is woken must find the claim free and no flight under way.
        self.claim = None;
        self.vault.flights().remove(&self.key);
        self.flight.land(Landing::Without);
    }
}

impl<'a> Waiting<'a> {
    fn new(vault: &'a Vault, key: &Digest, flight: Option<Arc<Flight>>) -> Self {
        Waiting { vault, key: *key, flight, pause: PAUSES.0 }
    }

    /// The entry that somebody makes.
    pub fn key(&self) -> &Digest {
        &self.key
    }

    /// Waits until the entry is there, or free for the caller to make, or `timeout` is over; then it is
    /// [`Lookup::Busy`] again, and may be waited for again.
    pub fn wait(mut self, timeout: Duration) -> Lookup<'a> {
        // A time that cannot be told is for ever.
        let deadline = Instant::now().checked_add(timeout);
        loop {
            let landing = match self.flight.take() {
                Some(flight) => match flight.wait(deadline) {
                    Some(landing) => landing,
                    None => {
                        self.flight = Some(flight);
                        return Lookup::Busy(self);
                    }
                },
                None => Landing::Elsewhere,
            };
            match landing {
                Landing::With(bytes) => return self.vault.found(bytes),
                Landing::Without => {}
                Landing::Elsewhere => {
                    let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
                    if left.is_some_and(|left| left.is_zero()) {
                        return Lookup::Busy(self);
                    }
                    std::thread::sleep(left.map_or(self.pause, |left| left.min(self.pause)));
                    self.pause = (self.pause * 2).min(PAUSES.1);
                }
            }
            match self.vault.begin(&self.key) {
                Lookup::Busy(next) => self.flight = next.flight,
                done => return done,
            }
        }
    }
}
