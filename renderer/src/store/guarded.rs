//! A store that is left alone while it keeps failing.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::{Duration, Instant};

use vignette_templates::blob::Digest;

use super::circuit::{Circuit, Patience};
use super::trouble::{Trouble, TroubleKind, Troubles};
use super::{Claim, Pruned, Stats, Store, StoreError, Verified};

/// Passes calls on to a store, lists what fails, and stops asking for a while after several failures in a row,
/// so that a dead store costs the time of a few calls and not of each.
///
/// Reading, writing, removing and claiming are judged apart: a store that cannot be written to is still read, and
/// one that is full but lets go of entries is still full. What is not asked fails with [`StoreError::Resting`]. Statistics, pruning and verifying are always passed on.
pub struct Guarded {
    store: Arc<dyn Store>,
    patience: Patience,
    reading: Circuit,
    writing: Circuit,
    removing: Circuit,
    claiming: Circuit,
    troubles: Troubles,
}

impl Guarded {
    /// Guards `store`; one that guards itself is given back as it is.
    pub fn around(store: Arc<dyn Store>, patience: Patience) -> Arc<dyn Store> {
        if store.is_guarded() {
            return store;
        }
        Arc::new(Guarded {
            store,
            patience,
            reading: Circuit::default(),
            writing: Circuit::default(),
            removing: Circuit::default(),
            claiming: Circuit::default(),
            troubles: Troubles::default(),
        })
    }

    fn call<T>(
        &self,
        circuit: &Circuit,
        size: impl FnOnce(&T) -> usize,
        ask: impl FnOnce(&dyn Store) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let began = Instant::now();
        let Some(pass) = circuit.pass(began) else {
            return Err(StoreError::Resting { place: self.place() });
        };
        let answer = ask(&*self.store);
        let now = Instant::now();
        let well = match &answer {
            Ok(value) => {
                let transfer = Duration::from_millis((size(value) as u64).saturating_mul(1000) >> 20);
                let in_time = now - began <= self.patience.slow.saturating_add(transfer);
                if !in_time {
                    self.note_slow(now - began);
                }
                in_time
            }
            Err(error) => {
                self.troubles.note(error);
                // These are answers of a store that works.
                matches!(error, StoreError::Corrupt { .. } | StoreError::TooLarge { .. })
            }
        };
        circuit.ended(pass, well, now, &self.patience);
        answer
    }

    fn note_slow(&self, took: Duration) {
        self.troubles.add(Trouble {
            place: self.place(),
            kind: TroubleKind::Slow,
            count: 1,
            first: format!("{} ms", took.as_millis()),
        });
    }
}

impl Store for Guarded {
    fn place(&self) -> String {
        self.store.place()
    }

    fn get(&self, key: &Digest) -> Result<Option<Arc<[u8]>>, StoreError> {
        let size = |found: &Option<Arc<[u8]>>| found.as_ref().map_or(0, |bytes| bytes.len());
        self.call(&self.reading, size, |store| store.get(key))
    }

    fn put(&self, key: &Digest, bytes: &Arc<[u8]>) -> Result<(), StoreError> {
        self.call(&self.writing, |()| bytes.len(), |store| store.put(key, bytes))
    }

    fn contains(&self, key: &Digest) -> Result<bool, StoreError> {
        self.call(&self.reading, |_| 0, |store| store.contains(key))
    }

    fn remove(&self, key: &Digest) -> Result<bool, StoreError> {
        self.call(&self.removing, |_| 0, |store| store.remove(key))
    }

    fn claim(&self, key: &Digest) -> Result<Option<Claim>, StoreError> {
        self.call(&self.claiming, |_| 0, |store| store.claim(key))
    }

    fn stats(&self) -> Result<Stats, StoreError> {
        self.store.stats()
    }

    fn prune(&self, keep_bytes: u64) -> Result<Pruned, StoreError> {
        self.store.prune(keep_bytes)
    }

    fn verify(&self, watch: &mut dyn FnMut(&Verified) -> ControlFlow<()>) -> Result<Verified, StoreError> {
        self.store.verify(watch)
    }

    fn take_troubles(&self) -> Vec<Trouble> {
        let mut troubles = self.troubles.take();
        troubles.extend(self.store.take_troubles());
        troubles
    }

    fn is_guarded(&self) -> bool {
        true
    }
}
