//! Results by content, each asked for once.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use vignette_templates::blob::Digest;
use vignette_templates::generate::{Generated, GeneratedValue};

use crate::error::GenerateError;

type Outcome = Result<Generated, GenerateError>;

/// A result, and whether asking again would only give it again.
pub(crate) struct Made {
    pub generated: Generated,
    pub lasts: bool,
}

/// A bounded memory of results that lets only one caller make each.
pub(crate) struct Cache {
    max_bytes: usize,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    kept: HashMap<Digest, Kept>,
    /// Keys by when they were last used, oldest first.
    by_age: BTreeMap<u64, Digest>,
    clock: u64,
    bytes: usize,
    flights: HashMap<Digest, Arc<Flight>>,
}

struct Kept {
    value: Generated,
    bytes: usize,
    used: u64,
}

/// One result under way. Whoever waits is told the same.
#[derive(Default)]
struct Flight {
    outcome: Mutex<Option<Outcome>>,
    done: Condvar,
}

impl Cache {
    pub(crate) fn new(max_bytes: usize) -> Self {
        Cache { max_bytes, state: Mutex::default() }
    }

    /// The result of `make` for this key: remembered, shared with a caller who is making it right now, or made.
    /// A result that does not last is not remembered, so that a provider that was down is asked again.
    pub(crate) fn get_or_make(
        &self,
        key: Digest,
        make: impl FnOnce() -> Result<Made, GenerateError>,
    ) -> Outcome {
        let (flight, leads) = {
            let mut state = self.lock();
            if let Some(value) = state.touch(key) {
                return Ok(value);
            }
            match state.flights.get(&key) {
                Some(flight) => (Arc::clone(flight), false),
                None => {
                    let flight = Arc::<Flight>::default();
                    state.flights.insert(key, Arc::clone(&flight));
                    (flight, true)
                }
            }
        };
        if !leads {
            return flight.wait();
        }
        // Lands the flight even when `make` panics: those who wait must not wait for ever.
        let landing = Landing { cache: self, key, flight: &flight };
        let (outcome, lasts) = match make() {
            Ok(made) => (Ok(made.generated), made.lasts),
            Err(error) => (Err(error), false),
        };
        landing.land(&outcome, lasts);
        outcome
    }

    /// Lets go of the result under this key.
    pub(crate) fn forget(&self, key: &Digest) {
        let mut state = self.lock();
        if let Some(kept) = state.kept.remove(key) {
            state.by_age.remove(&kept.used);
            state.bytes -= kept.bytes;
        }
    }

    /// Bytes of all that is remembered.
    pub(crate) fn bytes(&self) -> usize {
        self.lock().bytes
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn touch(&mut self, key: Digest) -> Option<Generated> {
        self.clock += 1;
        let clock = self.clock;
        let kept = self.kept.get_mut(&key)?;
        self.by_age.remove(&kept.used);
        kept.used = clock;
        self.by_age.insert(clock, key);
        Some(kept.value.clone())
    }

    fn keep(&mut self, key: Digest, value: Generated, max_bytes: usize) {
        let bytes = size_of_result(&value);
        if bytes > max_bytes {
            return;
        }
        while self.bytes + bytes > max_bytes {
            let Some((_, oldest)) = self.by_age.pop_first() else { break };
            if let Some(kept) = self.kept.remove(&oldest) {
                self.bytes -= kept.bytes;
            }
        }
        self.clock += 1;
        if let Some(before) = self.kept.insert(key, Kept { value, bytes, used: self.clock }) {
            self.bytes -= before.bytes;
            self.by_age.remove(&before.used);
        }
        self.by_age.insert(self.clock, key);
        self.bytes += bytes;
    }
}

impl Flight {
    fn wait(&self) -> Outcome {
        let mut outcome = self.outcome.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if let Some(outcome) = outcome.as_ref() {
                return outcome.clone();
            }
            outcome = self.done.wait(outcome).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

struct Landing<'a> {
    cache: &'a Cache,
    key: Digest,
    flight: &'a Flight,
}

impl Landing<'_> {
    fn land(self, outcome: &Outcome, lasts: bool) {
        {
            let mut state = self.cache.lock();
            if let Ok(value) = outcome
                && lasts
            {
                state.keep(self.key, value.clone(), self.cache.max_bytes);
            }
        }
        *self.flight.outcome.lock().unwrap_or_else(PoisonError::into_inner) = Some(outcome.clone());
    }
}

impl Drop for Landing<'_> {
    fn drop(&mut self) {
        self.cache.lock().flights.remove(&self.key);
        let mut outcome = self.flight.outcome.lock().unwrap_or_else(PoisonError::into_inner);
        outcome.get_or_insert_with(|| {
            Err(GenerateError::Provider {
                provider: "engine".into(),
                reason: "generation was abandoned".into(),
            })
        });
        self.flight.done.notify_all();
    }
}

/// Roughly what a result costs in memory, bookkeeping included.
fn size_of_result(value: &Generated) -> usize {
    const BOOKKEEPING: usize = 512;
    BOOKKEEPING
        + match &value.value {
            GeneratedValue::Text(text) => text.len(),
            GeneratedValue::Image(blob) => blob.bytes().len(),
            GeneratedValue::Voice(voice) => {
                let words: usize = voice.words.iter().map(|word| word.text.len() + 64).sum();
                voice.audio.bytes().len() + words
            }
        }
}
