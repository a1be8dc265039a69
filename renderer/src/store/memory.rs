//! A store in memory.

use std::collections::{BTreeMap, HashMap};
use std::ops::ControlFlow;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use vignette_templates::blob::Digest;

use super::{Claim, Pruned, Stats, Store, StoreError, Verified, seal};

/// Keeps entries in memory, within a bound on bytes; those not used for longest go first.
///
/// Entries are given out as they were put, without a copy and without a checksum: nothing outside the process
/// reaches them, and safe code cannot change them. What a caller still holds after an entry went is not part of
/// the bound.
pub struct Memory {
    bound: u64,
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    entries: HashMap<Digest, Entry>,
    /// Keys by the time of their last use.
    order: BTreeMap<u64, Digest>,
    clock: u64,
    bytes: u64,
}

struct Entry {
    bytes: Arc<[u8]>,
    used: u64,
}

impl Entry {
    /// An empty entry takes room as well, so the header is counted although there is none here.
    fn size(&self) -> u64 {
        seal::sealed_len(self.bytes.len() as u64)
    }
}

impl Memory {
    /// Keeps at most `max_bytes`, counted as [`Stats::bytes`] are.
    pub fn new(max_bytes: u64) -> Self {
        Memory { bound: max_bytes, kept: Mutex::default() }
    }

    /// Nothing that can panic leaves what is kept half changed, so a panic elsewhere does not spoil it.
    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    fn now(&mut self) -> u64 {
        self.clock += 1;
        self.clock
    }

    fn remove(&mut self, key: &Digest) -> Option<Entry> {
        let entry = self.entries.remove(key)?;
        self.order.remove(&entry.used);
        self.bytes -= entry.size();
        Some(entry)
    }

    /// Removes the longest unused until at most `bytes` are left.
    fn shrink_to(&mut self, bytes: u64) -> Pruned {
        let mut pruned = Pruned::default();
        while self.bytes > bytes {
            let Some(oldest) = self.order.first_key_value().map(|(_, key)| *key) else { break };
            let Some(entry) = self.remove(&oldest) else { break };
            pruned.entries += 1;
            pruned.bytes += entry.size();
        }
        pruned
    }
}

impl Store for Memory {
    fn place(&self) -> String {
        "memory".to_owned()
    }

    fn get(&self, key: &Digest) -> Result<Option<Arc<[u8]>>, StoreError> {
        let mut kept = self.lock();
        let now = kept.now();
        let Some(entry) = kept.entries.get_mut(key) else { return Ok(None) };
        let bytes = entry.bytes.clone();
        let before = std::mem::replace(&mut entry.used, now);
        kept.order.remove(&before);
        kept.order.insert(now, *key);
        Ok(Some(bytes))
    }

    fn put(&self, key: &Digest, bytes: &Arc<[u8]>) -> Result<(), StoreError> {
        let size = seal::sealed_len(bytes.len() as u64);
        if size > self.bound {
            return Err(StoreError::TooLarge { place: self.place(), bytes: size, bound: self.bound });
        }
        let mut kept = self.lock();
        let used = kept.now();
        kept.remove(key);
        kept.shrink_to(self.bound - size);
        kept.bytes += size;
        kept.order.insert(used, *key);
        kept.entries.insert(*key, Entry { bytes: bytes.clone(), used });
        Ok(())
    }

    fn contains(&self, key: &Digest) -> Result<bool, StoreError> {
        Ok(self.lock().entries.contains_key(key))
    }

    fn remove(&self, key: &Digest) -> Result<bool, StoreError> {
        Ok(self.lock().remove(key).is_some())
    }

    fn claim(&self, _key: &Digest) -> Result<Option<Claim>, StoreError> {
        Ok(Some(Claim::unlocked()))
    }

    fn stats(&self) -> Result<Stats, StoreError> {
        let kept = self.lock();
        Ok(Stats { entries: kept.entries.len() as u64, bytes: kept.bytes, bound: Some(self.bound) })
    }

    fn prune(&self, keep_bytes: u64) -> Result<Pruned, StoreError> {
        Ok(self.lock().shrink_to(keep_bytes))
    }

    /// Counts the entries: there is nothing they could be compared with.
    fn verify(&self, watch: &mut dyn FnMut(&Verified) -> ControlFlow<()>) -> Result<Verified, StoreError> {
        let stats = self.stats()?;
        let verified = Verified { sound: stats.entries, bytes: stats.bytes, ..Verified::default() };
        // All has been seen, so there is nothing left to break off.
        let _ = watch(&verified);
        Ok(verified)
    }
}
